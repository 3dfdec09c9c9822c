//! Random plans and random rows for them: small, so that much of what can meet does.
//!
//! A seed is a program. Variables are bound by what stands before, so that every plan is valid;
//! recursions end, as they make no values but smallest ones; no function fails.

mod body;
mod data;
mod random;
mod show;

use std::sync::Arc;

use laterbase_lang::plan::{
    Answer, Derived, Expression, HeadTerm, Plan, Rule, Sort, Stored, Stratum, Tree, Variable,
    VariableId,
};
use laterbase_lang::{Aggregate, Column, DataType, Function, Span};
use laterbase_query::MemoryData;

pub use self::body::Body;
pub use self::random::Random;
pub use self::show::show;

/// A plan and its rows.
pub struct Program {
    pub plan: Plan,
    pub data: MemoryData,
}

/// The program of a seed.
pub fn program(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let mut data = MemoryData::default();
    if random.chance(40) {
        data.ignore_constraints();
    }
    let stored: Vec<Stored> =
        (0..random.between(1, 3)).map(|at| data::stored(&mut random, at, &mut data)).collect();
    let mut maker = Maker { random, stored, derived: Vec::new(), done: 0 };
    let mut strata = Vec::new();
    for _ in 0..maker.random.between(0, 3) {
        strata.push(maker.stratum());
        maker.done = maker.derived.len();
    }
    let answer = maker.answer(2, &mut Vec::new());
    let Maker { stored, derived, .. } = maker;
    Program { plan: Plan { stored, derived, strata, answer }, data }
}

pub struct Maker {
    pub random: Random,
    pub stored: Vec<Stored>,
    pub derived: Vec<Derived>,
    /// How many of these are made in earlier strata.
    pub done: usize,
}

pub fn column(name: String, data_type: DataType) -> Column {
    Column { name: Arc::from(name), data_type, is_optional: true }
}

fn columns(count: usize) -> Vec<Column> {
    (0..count).map(|at| column(format!("c{at}"), DataType::Int)).collect()
}

impl Maker {
    fn stratum(&mut self) -> Stratum {
        let first = self.derived.len();
        match self.random.below(5) {
            0 | 1 => {
                let derived = self.plain();
                self.derived.push(derived);
                Stratum { relations: vec![first], is_recursive: false }
            }
            2 => {
                self.lattice();
                Stratum { relations: vec![first], is_recursive: true }
            }
            _ => {
                let count = self.random.between(1, 2);
                self.recursive(count);
                Stratum { relations: (first..first + count).collect(), is_recursive: true }
            }
        }
    }

    /// A relation that does not need itself.
    fn plain(&mut self) -> Derived {
        let width = self.random.between(1, 3);
        let rules = (0..self.random.between(1, 2))
            .map(|_| {
                let body = self.body(3, &[], &mut Vec::new());
                let has_aggregates = self.random.chance(30);
                let head = self.head(width, &body, has_aggregates);
                rule(head, body)
            })
            .collect();
        let name = Arc::from(format!("d{}", self.derived.len()));
        Derived { name, columns: columns(width), lattice: vec![None; width], rules }
    }

    /// Relations that need themselves and each other.
    fn recursive(&mut self, count: usize) {
        let first = self.derived.len();
        let width = if self.random.chance(60) { 2 } else { self.random.between(1, 3) };
        for at in first..first + count {
            let name = Arc::from(format!("r{at}"));
            let lattice = vec![None; width];
            self.derived.push(Derived {
                name,
                columns: columns(width),
                lattice,
                rules: Vec::new(),
            });
        }
        let group: Vec<usize> = (first..first + count).collect();
        for at in &group {
            let mut rules = vec![self.variables_rule(width, &[])];
            for _ in 0..self.random.between(1, 2) {
                let needed: Vec<usize> = (0..self.random.between(1, 2))
                    .map(|_| group[self.random.below(group.len())])
                    .collect();
                rules.push(if width == 2 && self.random.chance(60) {
                    self.chain(needed[0])
                } else {
                    self.variables_rule(width, &needed)
                });
            }
            self.derived[*at].rules = rules;
        }
    }

    /// A rule whose head has variables alone, so that it makes no new values.
    fn variables_rule(&mut self, width: usize, needed: &[usize]) -> Rule {
        let mut body = self.body(2, needed, &mut Vec::new());
        body.drop_values();
        let head = (0..width)
            .map(|_| HeadTerm::Value(Expression::Variable(body.any_variable(&mut self.random))))
            .collect();
        rule(head, body)
    }

    /// A relation of keys and what is the smallest, greatest, … for each.
    fn lattice(&mut self) {
        let number = self.derived.len();
        let aggregates =
            [Aggregate::Min, Aggregate::Min, Aggregate::Max, Aggregate::Some, Aggregate::Every];
        let aggregate = aggregates[self.random.below(aggregates.len())].clone();
        let lattice = vec![None, Some(aggregate.clone())];
        let name = Arc::from(format!("l{number}"));
        self.derived.push(Derived { name, columns: columns(2), lattice, rules: Vec::new() });
        let mut rules = Vec::new();
        for is_recursive in [false, true] {
            let mut body = self.body(1, &[], &mut Vec::new());
            body.drop_values();
            let mut value = Expression::Variable(body.any_variable(&mut self.random));
            let key = Expression::Variable(body.any_variable(&mut self.random));
            if is_recursive {
                let from = body.any_variable(&mut self.random);
                let held = body.recursive_atom(number, from);
                value = Expression::Variable(held);
                if aggregate == Aggregate::Min && self.random.chance(70) {
                    let one = Expression::Value(laterbase_lang::Value::Int(1));
                    value = Expression::Call(Function::Add, vec![value, one], Span::default());
                }
            }
            let span = Span::default();
            let folded =
                HeadTerm::Aggregate { aggregate: aggregate.clone(), arguments: vec![value], span };
            rules.push(rule(vec![HeadTerm::Value(key), folded], body));
        }
        self.derived[number].rules = rules;
    }

    fn head(&mut self, width: usize, body: &Body, has_aggregates: bool) -> Vec<HeadTerm> {
        let mut head = Vec::new();
        for _ in 0..width {
            head.push(if has_aggregates && self.random.chance(60) {
                self.aggregate(body)
            } else {
                HeadTerm::Value(body.expression(&mut self.random, 2))
            });
        }
        head
    }

    fn aggregate(&mut self, body: &Body) -> HeadTerm {
        let (_, aggregate) = &Aggregate::NAMES[self.random.below(Aggregate::NAMES.len())];
        let count = match aggregate {
            Aggregate::Count => self.random.below(2),
            Aggregate::Collect => self.random.between(1, 2),
            Aggregate::First | Aggregate::Last | Aggregate::ArgMin | Aggregate::ArgMax => 2,
            _ => 1,
        };
        let arguments = (0..count).map(|_| body.expression(&mut self.random, 1)).collect();
        HeadTerm::Aggregate { aggregate: aggregate.clone(), arguments, span: Span::default() }
    }

    /// An answer; what it knows of rows around it is bound beforehand.
    fn answer(&mut self, depth: usize, outer: &mut Vec<Variable>) -> Answer {
        let atom_count = if outer.is_empty() { 3 } else { 2 };
        let mut body = self.body(atom_count, &[], outer);
        let width = self.random.between(1, 3);
        let has_aggregates = self.random.chance(35);
        let mut head = self.head(width, &body, has_aggregates);
        if depth > 0 && self.random.chance(35) {
            let tree = self.tree(depth, &mut body);
            let at = self.random.below(head.len() + 1);
            head.insert(at, HeadTerm::Tree(Box::new(tree)));
        }
        let columns = columns(head.len());
        let plain: Vec<usize> = (0..head.len()).collect();
        let by_column = |random: &mut Random| {
            Expression::Variable(VariableId(plain[random.below(plain.len())]))
        };
        let having = self.random.chance(25).then(|| {
            let constant = Expression::Value(data::value(&mut self.random));
            let arguments = vec![by_column(&mut self.random), constant];
            Expression::Call(self.random.comparison(), arguments, Span::default())
        });
        let order = (0..self.random.below(3))
            .map(|_| Sort {
                by: by_column(&mut self.random),
                is_descending: self.random.chance(50),
            })
            .collect();
        let offset = if self.random.chance(10) { self.random.below(3) as u64 } else { 0 };
        let limit = self.random.chance(30).then(|| self.random.below(5) as u64);
        Answer { rule: rule(head, body), columns, having, order, offset, limit }
    }

    fn tree(&mut self, depth: usize, around: &mut Body) -> Tree {
        let mut outer = Vec::new();
        let mut told = Vec::new();
        for _ in 0..self.random.between(0, 2) {
            let variable = around.any_variable(&mut self.random);
            if told.iter().any(|(other, _)| *other == variable) {
                continue;
            }
            told.push((variable, VariableId(outer.len())));
            outer.push(around.variables[variable.0].clone());
        }
        let answer = self.answer(depth - 1, &mut outer);
        Tree { is_many: self.random.chance(70), answer, outer: told }
    }
}

fn rule(head: Vec<HeadTerm>, body: Body) -> Rule {
    Rule { variables: body.variables, head, body: body.literals, span: Span::default() }
}
