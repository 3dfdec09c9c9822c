//! Aggregates over stored rows of one atom, folded while they are read.
//!
//! ```text
//!   ?{port, n: count()} :- shipment.departed{id, port}, port != "NLRTM"
//!     read ─▶ filter ─▶ group: no row is held, whatever there is
//! ```
//! Why that is right: aggregates range over different bindings, and rows with an id that the body
//! names are different ones. So nothing has to be remembered to tell bindings apart, and the id is
//! not even read unless somebody else wants it.

use std::ops::ControlFlow;

use laterbase_lang::plan::{Operand, Place, Source, Term};

use super::Run;
use super::body::{fixed_times, mark};
use super::context::{Request, agrees};
use super::goal::{Goal, Item, Target};
use super::machine::{Machine, World, write};
use super::program::{Emit, Program};
use super::rule::{Folding, Groups, Layout, slots_of};
use crate::code::{Code, NULL};
use crate::data::ValidTime;
use crate::error::{PlanError, QueryError};
use crate::why::is_why;

/// An atom whose rows are folded while they are read.
pub(super) struct Stream<'d> {
    goal: Goal<'d>,
    stored: usize,
    valid: ValidTime,
    /// Columns that are read, and the slots that they bind.
    columns: Vec<usize>,
    slots: Vec<usize>,
    /// What is tested and computed for each row.
    rest: Vec<Item<'d>>,
    slot_count: usize,
}

impl<'d> Run<'d> {
    /// The stream of a body; `None` where rows have to be held.
    pub(super) fn stream(
        &self,
        goals: &[Item<'d>],
        emits: &[Emit],
        slot_count: usize,
    ) -> Option<Stream<'d>> {
        let (mut found, mut rest) = (None, Vec::new());
        for item in goals {
            match item {
                Item::Goal(goal) if found.is_none() => found = Some(goal.clone()),
                Item::Goal(_) | Item::Not(_) | Item::Each(..) => return None,
                Item::Filter(_) | Item::Let(..) => rest.push(item.clone()),
            }
        }
        let goal = found?;
        let Target::Stored(number) = goal.target else { return None };
        let stored = self.plan.stored.get(number)?;
        let valid = fixed_times(&goal)?;
        let is_event = matches!(stored.source, Source::Events | Source::EventsOf { .. });
        let is_id = |term: &Term| {
            let column = stored.columns.get(term.column);
            column.is_some_and(|it| it.place == Place::Id && !is_why(&it.column))
        };
        let open: Vec<&Term> =
            goal.terms.iter().filter(|term| matches!(term.operand, Operand::Variable(_))).collect();
        if !is_event || !open.iter().any(|term| is_id(term)) {
            return None;
        }
        let mut wanted = slots_of(emits, slot_count);
        for item in &rest {
            needed(item, &mut wanted);
        }
        let (mut columns, mut slots) = (Vec::new(), Vec::new());
        for term in open {
            let Operand::Variable(variable) = &term.operand else { continue };
            if slots.contains(&variable.0) || columns.contains(&term.column) {
                return None;
            }
            columns.push(term.column);
            slots.push(variable.0);
        }
        let is_wanted = |slot: &usize| wanted.get(*slot).copied().unwrap_or_default();
        let kept = columns.into_iter().zip(slots).filter(|(_, slot)| is_wanted(slot));
        let (columns, slots) = kept.unzip();
        Some(Stream { goal, stored: number, valid, columns, slots, rest, slot_count })
    }

    /// Folds every row of a stream into its group.
    pub(super) fn fold_stream(
        &mut self,
        stream: Stream<'d>,
        layout: &Layout<'_>,
        groups: &mut Groups,
    ) -> Result<(), QueryError> {
        let Stream { goal, stored, valid, columns, slots: bound, rest, slot_count } = stream;
        let stored = self.plan.stored.get(stored).ok_or(PlanError::UnknownNumber)?;
        let constraints = goal.constraints(stored, &rest);
        let mut is_bound = vec![false; slot_count];
        bound.iter().for_each(|slot| mark(&mut is_bound, *slot));
        let expected = self.stored_rows(&goal, &rest)?;
        let steps = self.steps(rest, &is_bound, expected as f64)?;
        let cut = steps.len();
        let program = Program { steps, emits: layout.emits.clone(), cut, slot_count };
        let request = Request {
            stored,
            columns: &columns,
            cut: &goal.times.cut,
            valid,
            constraints: &constraints,
            order: None,
            limit: None,
        };
        let (read, checks) = request.checked(&mut self.context.dictionary);
        let (mut slots, mut codes) = (vec![NULL; slot_count], vec![NULL; read.len()]);
        let (mut folding, mut found, mut end) = (Folding::default(), 0, Ok(()));
        let mut machine = Machine::new(&program);
        let data = self.context.data;
        let scanned = data.scan(&request.scan(&read), &mut |cells| {
            // An error is large: it is moved only where there is one.
            let mut done = self.context.meter.step();
            if done.is_ok() && agrees(cells, &checks, &self.context.dictionary) {
                found += 1;
                for (place, cell) in codes.iter_mut().zip(cells) {
                    *place = self.context.dictionary.encode(*cell);
                }
                for (slot, code) in bound.iter().zip(&codes) {
                    write(&mut slots, *slot, *code);
                }
                done = self.fold_ways(&mut machine, &program, &mut slots, |run, slots| {
                    run.fold_binding(&program.emits, slots, layout, groups, &mut folding)
                });
            }
            match done {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    end = Err(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        self.context.meter.read(scanned.rows_read);
        self.explain_read(&request, expected, Some(found));
        self.explain_program(&program, Some(&machine.passed));
        end
    }

    /// Calls `fold` for each way through the steps behind an atom.
    fn fold_ways(
        &mut self,
        machine: &mut Machine<'_>,
        program: &Program,
        slots: &mut [Code],
        mut fold: impl FnMut(&mut Self, &[Code]) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        if program.steps.is_empty() {
            return fold(self, slots);
        }
        machine.start_again();
        loop {
            let (context, relations) = (&mut self.context, self.relations.as_slice());
            if !machine.next(&mut World { context, relations, slots: &mut *slots })? {
                return Ok(());
            }
            fold(self, slots)?;
        }
    }
}

/// Marks what an item reads or compares.
fn needed(item: &Item<'_>, wanted: &mut [bool]) {
    item.needed_by(&mut |slot| mark(wanted, slot));
    item.bound_by(&mut |slot| mark(wanted, slot));
}
