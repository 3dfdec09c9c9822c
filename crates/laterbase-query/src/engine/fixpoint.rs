//! Recursive strata: rules over what the last round added, until a round adds nothing.
//!
//! A rule with several recursive atoms has one variant for each of them: that atom ranges over the
//! last round, those before it over what was there before that round, those behind it over all. So
//! each combination of rows is looked at once. Variants are planned anew each round, with the sizes
//! of that round.

use laterbase_lang::plan::{Derived, HeadTerm, Literal, Rule, Stratum};

use super::Run;
use super::goal::{Item, derived_number, items};
use super::program::Emit;
use super::relation::Part;
use super::rule::{emit, slots_of};
use crate::error::{PlanError, QueryError};

impl<'d> Run<'d> {
    pub(super) fn fixpoint(&mut self, stratum: &'d Stratum) -> Result<(), QueryError> {
        for (derived, rule, number) in self.rules(stratum)? {
            if recursive_atoms(rule, stratum).next().is_none() {
                self.context.meter.blame(&derived.name, rule.span);
                self.variant(derived, rule, number, stratum, None)?;
            }
        }
        let mut is_first = true;
        let closure = if self.is_dry { None } else { self.closure(stratum)? };
        while self.turn(stratum) || self.is_dry && is_first {
            is_first = false;
            if closure.as_ref().is_some_and(|closure| self.is_worth_closing(closure)) {
                return closure.map_or(Ok(()), |closure| self.close(closure));
            }
            for (derived, rule, number) in self.rules(stratum)? {
                for at in recursive_atoms(rule, stratum) {
                    self.context.meter.blame(&derived.name, rule.span);
                    self.variant(derived, rule, number, stratum, Some(at))?;
                }
            }
        }
        stratum.relations.iter().for_each(|number| self.settle(*number));
        Ok(())
    }

    fn rules(&self, stratum: &Stratum) -> Result<Vec<(&'d Derived, &'d Rule, usize)>, QueryError> {
        let mut rules = Vec::new();
        for &number in &stratum.relations {
            let derived = self.plan.derived.get(number).ok_or(PlanError::UnknownNumber)?;
            rules.extend(derived.rules.iter().map(|rule| (derived, rule, number)));
        }
        Ok(rules)
    }

    /// Ends a round; whether it added anything.
    fn turn(&mut self, stratum: &Stratum) -> bool {
        let mut has_grown = false;
        for number in &stratum.relations {
            if let Some(relation) = self.relations.get_mut(*number) {
                has_grown |= relation.turn();
            }
        }
        has_grown
    }

    /// Applies a rule, with the literal of a number over the last round.
    fn variant(
        &mut self,
        derived: &'d Derived,
        rule: &'d Rule,
        into: usize,
        stratum: &Stratum,
        delta: Option<usize>,
    ) -> Result<(), QueryError> {
        let emits = head(derived, rule)?;
        let mut at = 0;
        let recursive: Vec<usize> = recursive_atoms(rule, stratum).collect();
        let positions: Vec<usize> = (0..rule.body.len())
            .filter(|at| matches!(rule.body.get(*at), Some(Literal::Atom(_))))
            .collect();
        let goals: Vec<Item<'d>> = items(&rule.body, &mut |atom| {
            let position = positions.get(at).copied().unwrap_or_default();
            at += 1;
            let part = match delta {
                Some(delta) if recursive.contains(&position) => match position.cmp(&delta) {
                    std::cmp::Ordering::Less => Part::Old,
                    std::cmp::Ordering::Equal => Part::Delta,
                    std::cmp::Ordering::Greater => Part::All,
                },
                Some(_) | None => Part::All,
            };
            self.goal(atom, part)
        });
        let slot_count = rule.variables.len();
        let needed = slots_of(&emits, slot_count);
        let program = self.program(goals, slot_count, emits, Some(&needed))?;
        self.collect(&program, into)
    }
}

/// What a head in a recursion emits: aggregates are merged by the relation.
fn head(derived: &Derived, rule: &Rule) -> Result<Vec<Emit>, QueryError> {
    let emits = rule.head.iter().enumerate().map(|(at, term)| match term {
        HeadTerm::Value(expression) => Ok(emit(expression)),
        HeadTerm::Aggregate { arguments, .. } => {
            let is_lattice = derived.lattice.get(at).is_some_and(Option::is_some);
            let argument = arguments.first().filter(|_| is_lattice);
            argument.map(emit).ok_or(PlanError::NoLattice)
        }
        HeadTerm::Tree(_) => Err(PlanError::NoLattice),
    });
    Ok(emits.collect::<Result<Vec<Emit>, PlanError>>()?)
}

/// The literals of a rule that are atoms of its own stratum.
fn recursive_atoms<'r>(rule: &'r Rule, stratum: &'r Stratum) -> impl Iterator<Item = usize> + 'r {
    rule.body.iter().enumerate().filter_map(|(at, literal)| match literal {
        Literal::Atom(atom) => {
            let number = derived_number(atom.relation)?;
            stratum.relations.contains(&number).then_some(at)
        }
        Literal::Not(..) | Literal::Filter(..) | Literal::Let(..) | Literal::Each(..) => None,
    })
}
