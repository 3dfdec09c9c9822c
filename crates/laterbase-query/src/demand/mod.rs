//! Demand: relations are made as far as they are asked for (magic sets).
//!
//! ```text
//!   ?{item} :- inside{item, box: "truck-7"}
//!   inside{item, box} :- packed{item, box: m}, inside{item: m, box}
//!
//!   demand{"truck-7"}                                   what is asked for
//!   inside'{item, box} :- demand{box}, packed{item, box: m}, inside'{item: m, box}
//! ```
//! A derived atom some of whose columns are known (values, or variables that atoms before it bind,
//! or that are said to be one of some values) is asked for these alone: another relation of the
//! same rules, each joined with the demand, and rules that make the demand of what stands before
//! the atom. Where a recursion hands some columns through unchanged, asking for values of others
//! needs no pairs at all (see [`factor`]).
//!
//! Invariants: the answer is the same; what is negated, or joined with rows around a tree, is asked
//! for as a whole. If demand would make something negated or aggregated need itself, the plan stays
//! as it is; so it does if rows of a lattice would be read while they may still be merged into
//! better ones, by what is made behind it. Demand may read them: too much of it asks for more, and
//! answers the same.

mod factor;
mod strata;

use laterbase_lang::plan::{
    Answer, Atom, Derived, Expression, HeadTerm, Literal, Operand, Plan, Relation, Rule, Stratum,
    Term, Times, Tree, Variable,
};
use laterbase_lang::{Column, Function, Span, Value};

use crate::engine::is_plain;
use crate::times;

/// Relations that a plan may be given; beyond, it stays as it is.
const RELATIONS_MAX: usize = 256;

/// The plan, its relations made on demand, and none that nobody asks for; `None` if it stays as it
/// is.
pub(crate) fn on_demand(plan: &Plan) -> Option<Plan> {
    demanded(plan).or_else(|| {
        let strata = strata::strata(&plan.derived, &plan.answer, &|_, _| false)?;
        let count = |strata: &[Stratum]| strata.iter().map(|one| one.relations.len()).sum();
        let (needed, all): (usize, usize) = (count(&strata), count(&plan.strata));
        (needed < all).then(|| Plan { strata, ..plan.clone() })
    })
}

fn demanded(plan: &Plan) -> Option<Plan> {
    let mut demand = Demand {
        plan,
        derived: plan.derived.clone(),
        origins: (0..plan.derived.len()).map(Some).collect(),
        asked: Vec::new(),
        factored: Vec::new(),
        has_changed: false,
    };
    for number in 0..plan.derived.len() {
        let rules = plan.derived.get(number)?.rules.iter();
        let rules = rules.map(|rule| demand.rule(rule, None)).collect();
        demand.derived.get_mut(number)?.rules = rules;
    }
    let answer = demand.answer(&plan.answer);
    // Rules of what is asked for may ask for more.
    let mut at = 0;
    while at < demand.asked.len() {
        demand.make_asked(at)?;
        at += 1;
    }
    if !demand.has_changed || demand.derived.len() > RELATIONS_MAX {
        return None;
    }
    let strata = strata::strata(&demand.derived, &answer, &|reader, read| {
        demand.must_be_whole(reader, read)
    })?;
    let derived = demand.derived;
    Some(Plan { stored: plan.stored.clone(), derived, strata, answer })
}

struct Demand<'p> {
    plan: &'p Plan,
    derived: Vec<Derived>,
    /// For each of these the relation of the plan whose rows it has; nothing for demand.
    origins: Vec<Option<usize>>,
    asked: Vec<Asked>,
    factored: Vec<factor::Factored>,
    has_changed: bool,
}

/// A relation of which some columns are known.
struct Asked {
    number: usize,
    known: Vec<bool>,
    /// The relation of the rows that are asked for, and that of the demand.
    made: usize,
    demand: usize,
}

/// What is known before a body: an atom of the demand, and the variables in it.
struct Before {
    atom: Atom,
    slots: Vec<usize>,
}

impl Demand<'_> {
    /// Whether a relation reads another one only once that is whole: a lattice, unless the plan
    /// makes both together.
    fn must_be_whole(&self, reader: usize, read: usize) -> bool {
        let origin = |number: usize| self.origins.get(number).copied().flatten();
        let (Some(reader), Some(read)) = (origin(reader), origin(read)) else { return false };
        let is_lattice =
            self.plan.derived.get(read).is_some_and(|it| it.lattice.iter().any(Option::is_some));
        let mut strata = self.plan.strata.iter();
        let is_together = strata.any(|stratum| {
            stratum.relations.contains(&reader) && stratum.relations.contains(&read)
        });
        is_lattice && !is_together
    }

    fn answer(&mut self, answer: &Answer) -> Answer {
        let mut made = answer.clone();
        made.rule = self.rule(&answer.rule, None);
        made
    }

    fn rule(&mut self, rule: &Rule, before: Option<&Before>) -> Rule {
        let head = rule.head.iter().map(|term| match term {
            HeadTerm::Tree(tree) => {
                let Tree { is_many, answer, outer } = tree.as_ref();
                let answer = self.answer(answer);
                let (is_many, outer) = (*is_many, outer.clone());
                HeadTerm::Tree(Box::new(Tree { is_many, answer, outer }))
            }
            HeadTerm::Value(_) | HeadTerm::Aggregate { .. } => term.clone(),
        });
        let head = head.collect();
        let body = self.body(&rule.body, &rule.variables, before);
        Rule { variables: rule.variables.clone(), head, body, span: rule.span }
    }

    /// A body whose derived atoms are asked for what is known of them.
    fn body(
        &mut self,
        body: &[Literal],
        variables: &[Variable],
        before: Option<&Before>,
    ) -> Vec<Literal> {
        let mut made = body.to_vec();
        let mut known: Vec<usize> = before.map(|before| before.slots.clone()).unwrap_or_default();
        let mut prefix: Vec<Literal> =
            before.map(|before| Literal::Atom(before.atom.clone())).into_iter().collect();
        // Of several lists one: all ways through two may be more than there are rows.
        let mut has_list = false;
        for (slot, literal) in body.iter().filter_map(given) {
            let is_list = matches!(literal, Literal::Each(..));
            if is_asked_of(body, slot) && !(is_list && has_list) {
                has_list |= is_list;
                known.push(slot);
                prefix.push(literal);
            }
        }
        let mut rest: Vec<usize> = (0..body.len()).collect();
        while let Some(at) = next_atom(body, &rest, &known) {
            rest.retain(|other| *other != at);
            let Some(Literal::Atom(atom)) = body.get(at) else { continue };
            let atom = self.atom(atom, variables, &known, &prefix);
            known.extend(slots(&atom.terms));
            prefix.push(Literal::Atom(atom.clone()));
            if let Some(place) = made.get_mut(at) {
                *place = Literal::Atom(atom);
            }
        }
        if let Some(before) = before {
            made.insert(0, Literal::Atom(before.atom.clone()));
        }
        made
    }

    fn atom(
        &mut self,
        atom: &Atom,
        variables: &[Variable],
        known: &[usize],
        prefix: &[Literal],
    ) -> Atom {
        let Relation::Derived(number) = atom.relation else { return atom.clone() };
        if let Some(factored) = self.factor(atom, number) {
            return factored;
        }
        let Some(derived) = self.plan.derived.get(number) else { return atom.clone() };
        let mut is_known = vec![false; derived.columns.len()];
        let mut arguments = Vec::new();
        for (column, is_known) in is_known.iter_mut().enumerate() {
            if !can_be_asked(derived, column) {
                continue;
            }
            let found = atom.terms.iter().find(|term| {
                term.column == column
                    && match &term.operand {
                        Operand::Value(_) => true,
                        Operand::Variable(variable) => known.contains(&variable.0),
                    }
            });
            if let Some(term) = found {
                *is_known = true;
                arguments.push(HeadTerm::Value(match &term.operand {
                    Operand::Value(value) => Expression::Value(value.clone()),
                    Operand::Variable(variable) => Expression::Variable(*variable),
                }));
            }
        }
        if !is_known.contains(&true) || self.derived.len() > RELATIONS_MAX {
            return atom.clone();
        }
        let (made, demand) = self.asked(number, is_known);
        let rule = Rule {
            variables: variables.to_vec(),
            head: arguments,
            body: prefix.to_vec(),
            span: atom.span,
        };
        if let Some(demand) = self.derived.get_mut(demand)
            && !demand.rules.contains(&rule)
        {
            demand.rules.push(rule);
        }
        Atom { relation: Relation::Derived(made), ..atom.clone() }
    }

    /// The relation that is asked for some columns, and that of the demand.
    fn asked(&mut self, number: usize, known: Vec<bool>) -> (usize, usize) {
        let found = self.asked.iter().find(|asked| asked.number == number && asked.known == known);
        if let Some(found) = found {
            return (found.made, found.demand);
        }
        self.has_changed = true;
        let Some(derived) = self.plan.derived.get(number) else { return (number, number) };
        let made = self.derived.len();
        self.derived.push(Derived { rules: Vec::new(), ..derived.clone() });
        self.origins.push(Some(number));
        let columns = derived.columns.iter().zip(&known);
        let columns = columns.filter(|(_, known)| **known).map(|(column, _)| column.clone());
        let demand = self.push(&derived.name, columns.collect());
        self.asked.push(Asked { number, known, made, demand });
        (made, demand)
    }

    /// Adds a relation of demand.
    fn push(&mut self, name: &str, columns: Vec<Column>) -> usize {
        let lattice = vec![None; columns.len()];
        let name = format!("demand for {name}").into();
        self.derived.push(Derived { name, columns, lattice, rules: Vec::new() });
        self.origins.push(None);
        self.derived.len() - 1
    }

    /// Makes the rules of a relation that is asked for.
    fn make_asked(&mut self, at: usize) -> Option<()> {
        let asked = self.asked.get(at)?;
        let (made, demand, known) = (asked.made, asked.demand, asked.known.clone());
        let derived = self.plan.derived.get(asked.number)?;
        let mut rules = Vec::new();
        for rule in &derived.rules {
            let before = before(demand, rule, &known)?;
            rules.push(self.rule(rule, Some(&before)));
        }
        self.derived.get_mut(made)?.rules = rules;
        Some(())
    }
}

/// The demand of a rule's head: its variables in the columns that are known.
fn before(demand: usize, rule: &Rule, known: &[bool]) -> Option<Before> {
    let (mut terms, mut slots) = (Vec::new(), Vec::new());
    for (term, _) in rule.head.iter().zip(known).filter(|(_, known)| **known) {
        let HeadTerm::Value(Expression::Variable(variable)) = term else { return None };
        terms.push(Term { column: terms.len(), operand: Operand::Variable(*variable) });
        slots.push(variable.0);
    }
    Some(Before { atom: plain_atom(demand, terms, rule.span), slots })
}

fn plain_atom(relation: usize, terms: Vec<Term>, span: Span) -> Atom {
    Atom { relation: Relation::Derived(relation), terms, times: Times::default(), span }
}

/// The variable that a literal gives values to, whatever else stands in the body, and a literal
/// that binds it to these.
fn given(literal: &Literal) -> Option<(usize, Literal)> {
    let (filter, span) = match literal {
        Literal::Let(variable, Expression::Value(_), _)
        | Literal::Each(variable, Expression::Value(_), _) => {
            return Some((variable.0, literal.clone()));
        }
        Literal::Filter(filter, span) => (filter, *span),
        Literal::Atom(_) | Literal::Not(..) | Literal::Let(..) | Literal::Each(..) => return None,
    };
    let Expression::Call(function, arguments, _) = filter else { return None };
    let (variable, value) = match (function, arguments.as_slice()) {
        (Function::Equal, [Expression::Variable(variable), Expression::Value(value)])
        | (Function::Equal, [Expression::Value(value), Expression::Variable(variable)])
        | (Function::In, [Expression::Variable(variable), Expression::Value(value)]) => {
            (*variable, value)
        }
        _ => return None,
    };
    let given = Expression::Value(value.clone());
    let literal = match (function, value) {
        (Function::In, Value::List(values) | Value::Set(values)) => {
            let is_given = values.iter().all(is_plain);
            is_given.then_some(Literal::Each(variable, given, span))
        }
        (Function::Equal, value) => is_plain(value).then_some(Literal::Let(variable, given, span)),
        _ => None,
    };
    Some((variable.0, literal?))
}

/// Whether a derived atom of the body has a variable.
fn is_asked_of(body: &[Literal], slot: usize) -> bool {
    body.iter().any(|literal| match literal {
        Literal::Atom(atom) => {
            matches!(atom.relation, Relation::Derived(_))
                && slots(&atom.terms).any(|other| other == slot)
        }
        Literal::Not(..) | Literal::Filter(..) | Literal::Let(..) | Literal::Each(..) => false,
    })
}

/// Whether rows may be asked for by a column: every rule has a variable there.
fn can_be_asked(derived: &Derived, column: usize) -> bool {
    let is_plain = derived.lattice.get(column).is_none_or(Option::is_none);
    let is_variable = |rule: &Rule| {
        matches!(rule.head.get(column), Some(HeadTerm::Value(Expression::Variable(_))))
    };
    is_plain && derived.rules.iter().all(is_variable)
}

/// The atom that is looked at next, because something of it is known; stored ones first.
fn next_atom(body: &[Literal], rest: &[usize], known: &[usize]) -> Option<usize> {
    let is_next = |at: &usize, wants_stored: bool| {
        let Some(Literal::Atom(atom)) = body.get(*at) else { return false };
        let is_stored = matches!(atom.relation, Relation::Stored(_));
        let mut needed = times::variables(&atom.times.valid);
        let can_be = needed.all(|variable| known.contains(&variable.0));
        let knows = atom.terms.iter().any(|term| match &term.operand {
            Operand::Value(_) => true,
            Operand::Variable(variable) => known.contains(&variable.0),
        });
        is_stored == wants_stored && can_be && knows
    };
    let stored = rest.iter().find(|at| is_next(at, true));
    stored.or_else(|| rest.iter().find(|at| is_next(at, false))).copied()
}

fn slots(terms: &[Term]) -> impl Iterator<Item = usize> {
    terms.iter().filter_map(|term| match &term.operand {
        Operand::Variable(variable) => Some(variable.0),
        Operand::Value(_) => None,
    })
}
