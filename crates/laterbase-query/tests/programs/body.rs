//! Random bodies.

use laterbase_lang::plan::{
    Atom, Cut, Expression, Literal, Operand, Place, Relation, Term, Times, Valid, Variable,
    VariableId,
};
use laterbase_lang::{DataType, Function, Span, Value};

use super::{Maker, Random, column, data};

/// Variables of a body, at most, but for those that computed values have.
const VARIABLES: usize = 5;

pub struct Body {
    pub variables: Vec<Variable>,
    pub literals: Vec<Literal>,
    /// Variables that atoms bind, or rows around a tree.
    bound: Vec<VariableId>,
    /// Variables that are computed.
    computed: Vec<VariableId>,
}

impl Body {
    fn variable(&mut self) -> VariableId {
        let id = VariableId(self.variables.len());
        let column = column(format!("v{}", id.0), DataType::Int);
        self.variables.push(Variable { column, span: Span::default() });
        id
    }

    fn bind(&mut self, variable: VariableId) {
        if !self.bound.contains(&variable) {
            self.bound.push(variable);
        }
    }

    pub fn any_variable(&self, random: &mut Random) -> VariableId {
        let all: Vec<VariableId> = self.bound.iter().chain(&self.computed).copied().collect();
        all[random.below(all.len())]
    }

    /// Leaves out what computes values, so that no new ones are made.
    pub fn drop_values(&mut self) {
        let is_computed = |literal: &Literal| matches!(literal, Literal::Let(..));
        if self.literals.iter().any(is_computed) {
            // Whatever came behind may need them.
            let first = self.literals.iter().position(is_computed).unwrap();
            self.literals.truncate(first);
            self.computed.clear();
        }
    }

    /// Adds an atom of a relation of keys and what belongs to each; the variable of the latter.
    pub fn recursive_atom(&mut self, relation: usize, key: VariableId) -> VariableId {
        let value = self.variable();
        let term = |column, variable| Term { column, operand: Operand::Variable(variable) };
        self.literals.push(Literal::Atom(Atom {
            relation: Relation::Derived(relation),
            terms: vec![term(0, key), term(1, value)],
            times: Times::default(),
            span: Span::default(),
        }));
        value
    }

    pub fn expression(&self, random: &mut Random, depth: usize) -> Expression {
        if depth == 0 || random.chance(60) {
            return if random.chance(85) {
                Expression::Variable(self.any_variable(random))
            } else {
                Expression::Value(data::value(random))
            };
        }
        let functions = [
            (Function::Add, 2),
            (Function::Multiply, 2),
            (Function::Concatenate, 2),
            (Function::Otherwise, 2),
            (Function::Least, 2),
            (Function::IsNull, 1),
            (Function::ToText, 1),
            (Function::Length, 1),
            (Function::List, 2),
            (Function::If, 3),
        ];
        let (function, count) = functions[random.below(functions.len())];
        let arguments = (0..count).map(|_| self.expression(random, depth - 1)).collect();
        Expression::Call(function, arguments, Span::default())
    }

    fn condition(&self, random: &mut Random) -> Expression {
        let function = if random.chance(80) {
            random.comparison()
        } else {
            [Function::And, Function::Or, Function::In, Function::Contains][random.below(4)]
        };
        let arguments = match function {
            Function::And | Function::Or => vec![self.condition(random), self.condition(random)],
            _ => vec![self.expression(random, 1), self.expression(random, 1)],
        };
        Expression::Call(function, arguments, Span::default())
    }
}

impl Maker {
    /// A body with some atoms; `needed` are derived relations that must be among them, `outer`
    /// variables that are bound beforehand.
    pub fn body(&mut self, atoms: usize, needed: &[usize], outer: &mut Vec<Variable>) -> Body {
        let bound = (0..outer.len()).map(VariableId).collect();
        let mut body = Body {
            variables: std::mem::take(outer),
            literals: Vec::new(),
            bound,
            computed: Vec::new(),
        };
        for relation in needed {
            self.push_atom(&mut body, Some(Relation::Derived(*relation)));
        }
        for _ in 0..self.random.between(1, atoms) {
            self.push_atom(&mut body, None);
        }
        if body.bound.is_empty() {
            self.push_binding_atom(&mut body);
        }
        for _ in 0..self.random.below(3) {
            match self.random.below(10) {
                0..=2 => {
                    let condition = body.condition(&mut self.random);
                    body.literals.push(Literal::Filter(condition, Span::default()));
                }
                3..=5 => self.push_negation(&mut body),
                6..=7 => self.push_let(&mut body),
                _ => self.push_each(&mut body),
            }
        }
        // In which order literals are written means nothing, but for what later ones drop.
        body
    }

    fn push_binding_atom(&mut self, body: &mut Body) {
        let variable = body.variable();
        body.bind(variable);
        body.literals.push(Literal::Atom(Atom {
            relation: Relation::Stored(0),
            terms: vec![Term { column: 0, operand: Operand::Variable(variable) }],
            times: Times::default(),
            span: Span::default(),
        }));
    }

    /// A relation that is made already.
    fn relation(&mut self) -> Relation {
        if self.done > 0 && self.random.chance(50) {
            return Relation::Derived(self.random.below(self.done));
        }
        Relation::Stored(self.random.below(self.stored.len()))
    }

    fn width(&self, relation: Relation) -> usize {
        match relation {
            Relation::Stored(at) => self.stored[at].columns.len(),
            Relation::Derived(at) => self.derived[at].columns.len(),
        }
    }

    fn push_atom(&mut self, body: &mut Body, relation: Option<Relation>) {
        let relation = match relation {
            Some(relation) => relation,
            None => self.relation(),
        };
        let times = self.times(relation, body);
        let mut terms = Vec::new();
        for column in 0..self.width(relation) {
            if self.random.chance(15) {
                continue;
            }
            // Derived relations are asked for values more often: that is what demand is about.
            let is_derived = matches!(relation, Relation::Derived(_));
            let operand = if self.random.chance(if is_derived { 22 } else { 6 }) {
                let is_int = self.random.chance(60);
                let int = Value::Int(self.random.below(4) as i64);
                Operand::Value(if is_int { int } else { data::value(&mut self.random) })
            } else {
                let is_new = body.variables.len() < VARIABLES && self.random.chance(55);
                let variable = if is_new || body.bound.is_empty() {
                    body.variable()
                } else {
                    body.bound[self.random.below(body.bound.len())]
                };
                body.bind(variable);
                Operand::Variable(variable)
            };
            terms.push(Term { column, operand });
        }
        let atom = Atom { relation, terms, times, span: Span::default() };
        body.literals.push(Literal::Atom(atom));
    }

    fn times(&mut self, relation: Relation, body: &Body) -> Times {
        let Relation::Stored(number) = relation else { return Times::default() };
        let places = &self.stored[number].columns;
        let has = |place: Place| places.iter().any(|column| column.place == place);
        let mut times = Times::default();
        let time = self.random.below(6) as i64;
        if has(Place::Tx) {
            times.cut = Cut::RecordedBy(time);
        } else if has(Place::Arrived) {
            times.cut = Cut::KnownAt(time);
        }
        if !has(Place::At) && !has(Place::Validity) {
            return times;
        }
        let random = &mut self.random;
        let operand = |random: &mut Random| {
            if !body.bound.is_empty() && random.chance(40) {
                Operand::Variable(body.bound[random.below(body.bound.len())])
            } else {
                Operand::Value(Value::Time(random.below(7) as i64))
            }
        };
        times.valid = match random.below(3) {
            0 => Valid::Any,
            1 => Valid::At(operand(random)),
            _ => Valid::In {
                from: random.chance(70).then(|| operand(random)),
                until: random.chance(70).then(|| operand(random)),
            },
        };
        times
    }

    fn push_negation(&mut self, body: &mut Body) {
        let known = (body.bound.clone(), body.computed.clone());
        let outside = std::mem::take(&mut body.literals);
        self.push_atom(body, None);
        if self.random.chance(30) {
            self.push_atom(body, None);
        }
        if self.random.chance(40) && !(body.bound.is_empty() && body.computed.is_empty()) {
            let condition = body.condition(&mut self.random);
            body.literals.push(Literal::Filter(condition, Span::default()));
        }
        if self.random.chance(15) && !body.bound.is_empty() {
            self.push_negation(body);
        }
        let inner = std::mem::replace(&mut body.literals, outside);
        (body.bound, body.computed) = known;
        body.literals.push(Literal::Not(inner, Span::default()));
    }

    fn push_let(&mut self, body: &mut Body) {
        let expression = body.expression(&mut self.random, 2);
        let variable = if self.random.chance(25) {
            body.any_variable(&mut self.random)
        } else {
            body.variable()
        };
        let mut needed = Vec::new();
        variables(&expression, &mut needed);
        if needed.contains(&variable) {
            return;
        }
        // A variable that is computed twice must not need itself by way of another one.
        if body.computed.contains(&variable) {
            return;
        }
        body.literals.push(Literal::Let(variable, expression, Span::default()));
        if !body.bound.contains(&variable) {
            body.computed.push(variable);
        }
    }

    fn push_each(&mut self, body: &mut Body) {
        let expression = Expression::Variable(body.any_variable(&mut self.random));
        let list =
            Expression::Value(Value::List([Value::Int(1), Value::Int(2), Value::Int(1)].into()));
        let expression = if self.random.chance(50) { expression } else { list };
        let variable = if self.random.chance(30) {
            let any = body.any_variable(&mut self.random);
            if Expression::Variable(any) == expression || body.computed.contains(&any) {
                return;
            }
            any
        } else {
            body.variable()
        };
        body.literals.push(Literal::Each(variable, expression, Span::default()));
        if !body.bound.contains(&variable) {
            body.computed.push(variable);
        }
    }

    /// `r{x, z} :- s{x, y}, r{y, z}` and the like: what closures are made of.
    pub fn chain(&mut self, recursive: usize) -> laterbase_lang::plan::Rule {
        let mut body = Body {
            variables: Vec::new(),
            literals: Vec::new(),
            bound: Vec::new(),
            computed: Vec::new(),
        };
        let ends: Vec<VariableId> = (0..4).map(|_| body.variable()).collect();
        let (left, right) = (self.random.chance(60), self.random.chance(60));
        let (a, b) = (ends[usize::from(!left)], ends[if right { 2 } else { 3 }]);
        let (a, b) = (if left { ends[1] } else { a }, b);
        let x = if left { ends[0] } else { a };
        let z = if right { ends[3] } else { b };
        let mut pairs = vec![(Relation::Derived(recursive), a, b)];
        if left {
            let relation = self.wide_relation(recursive);
            pairs.push((relation, x, a));
        }
        if right {
            let relation = self.wide_relation(recursive);
            pairs.push((relation, b, z));
        }
        for (relation, from, to) in pairs {
            let flip = self.random.chance(30);
            let (first, second) = if flip { (to, from) } else { (from, to) };
            let term = |column, variable| Term { column, operand: Operand::Variable(variable) };
            let mut terms = vec![term(0, first)];
            if self.width(relation) > 1 {
                terms.push(term(1, second));
            } else {
                terms.push(term(0, second));
            }
            let atom = Atom { relation, terms, times: Times::default(), span: Span::default() };
            body.literals.push(Literal::Atom(atom));
        }
        let head = [x, z]
            .map(|variable| laterbase_lang::plan::HeadTerm::Value(Expression::Variable(variable)));
        super::rule(head.into(), body)
    }

    /// A relation to go along; now and then the recursive one itself.
    fn wide_relation(&mut self, recursive: usize) -> Relation {
        if self.random.chance(30) { Relation::Derived(recursive) } else { self.relation() }
    }
}

fn variables(expression: &Expression, found: &mut Vec<VariableId>) {
    match expression {
        Expression::Value(_) => {}
        Expression::Variable(variable) => found.push(*variable),
        Expression::Call(_, arguments, _) => {
            arguments.iter().for_each(|argument| variables(argument, found));
        }
    }
}
