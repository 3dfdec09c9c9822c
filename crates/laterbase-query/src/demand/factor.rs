//! Recursions that hand columns through, asked for values of the others.
//!
//! ```text
//!   ?{y} :- reach{x: 1, y}                  from{1}
//!   reach{x, y} :- edge{x, y}               from{z} :- from{x}, edge{x, y: z}
//!   reach{x, y} :- edge{x, y: z},           to{y} :- from{x}, edge{x, y}
//!                  reach{x: z, y}           ?{y} :- to{y}
//! ```
//! Let some columns be asked for, by values alone. A recursive rule either hands the other columns
//! through, and so says what else is asked for; or it hands those that are asked for through, and
//! so says what else is answered. As the two kinds of steps concern different columns, they can be
//! taken in any order: first all of what is asked for, then all answers. No pairs are made.

use laterbase_lang::Value;
use laterbase_lang::plan::{
    Atom, Derived, Expression, HeadTerm, Literal, Operand, Relation, Rule, Term,
};

use super::{Before, Demand, before, can_be_asked, plain_atom};
use crate::variables;

/// A relation asked for some values, and the relation of the columns that are not asked for.
pub(super) struct Factored {
    number: usize,
    values: Vec<Option<Value>>,
    made: usize,
}

/// What a rule hands through.
enum Step<'r> {
    Exit,
    /// The columns that are not asked for: the recursive atom says what else is asked for.
    Asks(usize, &'r Atom),
    /// Those that are: the recursive atom says what else is answered.
    Answers(usize, &'r Atom),
}

impl Demand<'_> {
    /// An atom of a factored relation instead; `None` if it cannot be factored.
    pub(super) fn factor(&mut self, atom: &Atom, number: usize) -> Option<Atom> {
        let derived = self.plan.derived.get(number)?;
        let mut values: Vec<Option<Value>> = vec![None; derived.columns.len()];
        for term in &atom.terms {
            if let Operand::Value(value) = &term.operand {
                let place = values.get_mut(term.column)?;
                // Two values for one column are for the engine to compare.
                if place.is_some() || !can_be_asked(derived, term.column) {
                    return None;
                }
                *place = Some(value.clone());
            }
        }
        let known: Vec<bool> = values.iter().map(Option::is_some).collect();
        if !known.contains(&true) {
            return None;
        }
        let is_open = |column: usize| known.get(column).is_some_and(|known| !known);
        let is_value = |term: &Term| matches!(term.operand, Operand::Value(_));
        // A variable in a column that has a value too is for the engine to compare.
        if atom.terms.iter().any(|term| !is_value(term) && !is_open(term.column)) {
            return None;
        }
        let same = |held: &&Factored| held.number == number && held.values == values;
        let found = self.factored.iter().find(same).map(|held| held.made);
        let made = match found {
            Some(made) => made,
            None => self.make_factored(number, derived, values, &known)?,
        };
        let place = |column: usize| known.iter().take(column).filter(|known| !**known).count();
        let terms = atom.terms.iter().filter(|term| !is_value(term));
        let terms =
            terms.map(|term| Term { column: place(term.column), operand: term.operand.clone() });
        Some(plain_atom(made, terms.collect(), atom.span))
    }

    fn make_factored(
        &mut self,
        number: usize,
        derived: &Derived,
        values: Vec<Option<Value>>,
        known: &[bool],
    ) -> Option<usize> {
        let is_plain = derived.lattice.iter().all(Option::is_none);
        let steps: Vec<Step<'_>> =
            derived.rules.iter().map(|rule| step(rule, number, known)).collect::<Option<_>>()?;
        let is_recursive = steps.iter().any(|step| !matches!(step, Step::Exit));
        if !is_plain || !is_recursive || self.is_mutual(number) {
            return None;
        }
        self.has_changed = true;
        let columns = |wanted: bool| {
            let columns = derived.columns.iter().zip(known);
            columns.filter(|(_, known)| **known == wanted).map(|(c, _)| c.clone()).collect()
        };
        let from = self.push(&derived.name, columns(true));
        let to = self.push(&derived.name, columns(false));
        if let Some(to) = self.derived.get_mut(to) {
            to.name = derived.name.clone();
        }
        for made in [from, to] {
            if let Some(origin) = self.origins.get_mut(made) {
                *origin = Some(number);
            }
        }
        let seed = values.iter().flatten().map(|value| Expression::Value(value.clone()));
        let first = Rule {
            variables: Vec::new(),
            head: seed.map(HeadTerm::Value).collect(),
            body: Vec::new(),
            span: derived.rules.first().map(|rule| rule.span).unwrap_or_default(),
        };
        self.add(from, first);
        self.factored.push(Factored { number, values, made: to });
        for (rule, step) in derived.rules.iter().zip(steps) {
            self.add_step(rule, step, known, from, to)?;
        }
        Some(to)
    }

    fn add_step(
        &mut self,
        rule: &Rule,
        step: Step<'_>,
        known: &[bool],
        from: usize,
        to: usize,
    ) -> Option<()> {
        let open: Vec<bool> = known.iter().map(|known| !known).collect();
        let without = |at: usize| {
            let others = rule.body.iter().enumerate().filter(|(other, _)| *other != at);
            others.map(|(_, literal)| literal.clone()).collect::<Vec<Literal>>()
        };
        let (into, head, body, before) = match step {
            Step::Exit => {
                let head = picked_head(rule, &open);
                (to, head, rule.body.clone(), before(from, rule, known)?)
            }
            Step::Asks(at, atom) => {
                (from, picked_terms(atom, known)?, without(at), before(from, rule, known)?)
            }
            Step::Answers(at, atom) => {
                let terms: Vec<Term> = picked_terms(atom, &open)?
                    .into_iter()
                    .enumerate()
                    .map(|(column, term)| {
                        let HeadTerm::Value(value) = term else { return None };
                        let operand = match value {
                            Expression::Variable(variable) => Operand::Variable(variable),
                            Expression::Value(value) => Operand::Value(value),
                            Expression::Call(..) => return None,
                        };
                        Some(Term { column, operand })
                    })
                    .collect::<Option<_>>()?;
                let slots = super::slots(&terms).collect();
                let before = Before { atom: plain_atom(to, terms, atom.span), slots };
                (to, picked_head(rule, &open), without(at), before)
            }
        };
        let body = self.body(&body, &rule.variables, Some(&before));
        let rule = Rule { variables: rule.variables.clone(), head, body, span: rule.span };
        self.add(into, rule);
        Some(())
    }

    fn add(&mut self, relation: usize, rule: Rule) {
        if let Some(derived) = self.derived.get_mut(relation) {
            derived.rules.push(rule);
        }
    }

    /// Whether a relation needs itself by way of others.
    fn is_mutual(&self, number: usize) -> bool {
        let mut strata = self.plan.strata.iter();
        strata.any(|stratum| stratum.relations.contains(&number) && stratum.relations.len() > 1)
    }
}

fn picked_head(rule: &Rule, wanted: &[bool]) -> Vec<HeadTerm> {
    let terms = rule.head.iter().zip(wanted).filter(|(_, wanted)| **wanted);
    terms.map(|(term, _)| term.clone()).collect()
}

/// What an atom that names every column once has in some of them.
fn picked_terms(atom: &Atom, wanted: &[bool]) -> Option<Vec<HeadTerm>> {
    let columns = wanted.iter().enumerate().filter(|(_, wanted)| **wanted);
    let terms = columns.map(|(column, _)| {
        let term = atom.terms.iter().find(|term| term.column == column)?;
        Some(HeadTerm::Value(match &term.operand {
            Operand::Variable(variable) => Expression::Variable(*variable),
            Operand::Value(value) => Expression::Value(value.clone()),
        }))
    });
    terms.collect()
}

/// What a rule hands through; `None` if it is neither an exit nor such a step.
fn step<'r>(rule: &'r Rule, number: usize, known: &[bool]) -> Option<Step<'r>> {
    let head: Vec<usize> = rule
        .head
        .iter()
        .map(|term| match term {
            HeadTerm::Value(Expression::Variable(variable)) => Some(variable.0),
            HeadTerm::Value(_) | HeadTerm::Aggregate { .. } | HeadTerm::Tree(_) => None,
        })
        .collect::<Option<_>>()?;
    let mut recursive = rule.body.iter().enumerate().filter_map(|(at, literal)| match literal {
        Literal::Atom(atom) if atom.relation == Relation::Derived(number) => Some((at, atom)),
        Literal::Atom(_)
        | Literal::Not(..)
        | Literal::Filter(..)
        | Literal::Let(..)
        | Literal::Each(..) => None,
    });
    let Some((at, atom)) = recursive.next() else { return Some(Step::Exit) };
    if recursive.next().is_some() || atom.terms.len() != head.len() {
        return None;
    }
    let mut elsewhere = Vec::new();
    for (other, literal) in rule.body.iter().enumerate() {
        if other != at {
            variables::bound_by(literal, &mut |variable| elsewhere.push(variable.0));
            variables::needed_by(literal, &mut |variable| elsewhere.push(variable.0));
        }
    }
    let hands_through = |wanted: bool| {
        known.iter().enumerate().filter(|(_, known)| **known == wanted).all(|(column, _)| {
            let Some(slot) = head.get(column) else { return false };
            let mut terms = atom.terms.iter().filter(|term| term.column == column);
            let same = terms.next().is_some_and(
                |term| matches!(&term.operand, Operand::Variable(variable) if variable.0 == *slot),
            );
            let is_once = head.iter().filter(|other| *other == slot).count() == 1
                && super::slots(&atom.terms).filter(|other| other == slot).count() == 1;
            same && terms.next().is_none() && is_once && !elsewhere.contains(slot)
        })
    };
    // What is said anew must be known from the rest of the rule.
    let rest = rule.body.iter().enumerate().filter(|(other, _)| *other != at);
    let rest: Vec<&Literal> = rest.map(|(_, literal)| literal).collect();
    let of = |wanted: bool, slots: &mut dyn Iterator<Item = (usize, usize)>| {
        let is_wanted = |column: usize| known.get(column) == Some(&wanted);
        slots.filter(|(column, _)| is_wanted(*column)).map(|(_, slot)| slot).collect::<Vec<_>>()
    };
    let mut heads = head.iter().copied().enumerate();
    let mut terms = atom.terms.iter().filter_map(|term| match &term.operand {
        Operand::Variable(variable) => Some((term.column, variable.0)),
        Operand::Value(_) => None,
    });
    if hands_through(false) {
        let (given, said) = (of(true, &mut heads), of(true, &mut terms));
        return variables::can_be_bound(&rest, &given, &said).then_some(Step::Asks(at, atom));
    }
    let (given, said) = (of(false, &mut terms), of(false, &mut heads));
    let can_be = hands_through(true) && variables::can_be_bound(&rest, &given, &said);
    can_be.then_some(Step::Answers(at, atom))
}
