//! The one-shot engine.
//!
//! ```text
//!   strata, one after the other ─▶ fixpoint: rules, over deltas where they are recursive
//!   each rule ─▶ body: literals in an order, as a program ─▶ machine: all ways through it
//!   answer ─▶ rule: groups, aggregates ─▶ answer: having, order, limit, trees
//! ```
//! Relations of the run are numbered: the plan's derived ones first, then stored rows that were
//! read, then those that trees need.

mod answer;
mod body;
mod budget;
mod closure;
mod context;
mod first_rows;
mod fixpoint;
mod goal;
mod lists;
mod machine;
mod matrix;
mod program;
mod relation;
mod rule;
mod stream;

use laterbase_lang::plan::{Atom, Cut, Plan, Relation as RelationId, Stratum};

use self::budget::Meter;
use self::context::{Context, Keep, Request};
use self::first_rows::FirstRows;
pub(crate) use self::goal::is_plain;
use self::goal::{Goal, Target};
pub(crate) use self::matrix::Matrix;
use self::program::Program;
use self::relation::{Part, Relation};
use crate::check;
use crate::data::{Constraint, Data, ValidTime};
use crate::demand;
use crate::error::{PlanError, QueryError};
use crate::explain::{ExplainedPart, ExplainedStep, Explanation};
use crate::limits::{Cancel, Limits, Never};
use crate::rows::Rows;
use crate::why::is_why;

/// Answers a plan with the rows of `data`.
///
/// # Errors
///
/// A mistake in a value, a budget that is used up, cancelled, rows that cannot be read, or a plan
/// that contradicts itself.
pub fn run(
    plan: &Plan,
    data: &dyn Data,
    limits: &Limits,
    cancel: &dyn Cancel,
) -> Result<Rows, QueryError> {
    run_explained(plan, data, limits, cancel).0
}

/// Answers a plan as [`run`] does, and says what it did; also where it came to no answer.
pub fn run_explained(
    plan: &Plan,
    data: &dyn Data,
    limits: &Limits,
    cancel: &dyn Cancel,
) -> (Result<Rows, QueryError>, Explanation) {
    go(plan, data, limits, cancel, false)
}

/// What [`run`] would do, as far as the source's estimates tell; reads nothing.
///
/// # Errors
///
/// A plan that contradicts itself.
pub fn explain(plan: &Plan, data: &dyn Data) -> Result<Explanation, QueryError> {
    let (done, explanation) = go(plan, data, &Limits::default(), &Never, true);
    done.map(|_| explanation)
}

/// Answers a plan as [`run`] does, with one column more at the end: a list of the ids of events
/// (of tables, the keys of rows) that the row was made of, by the first derivation that was found.
/// Trees and negations name none.
///
/// # Errors
///
/// Those of [`run`].
pub fn why(
    plan: &Plan,
    data: &dyn Data,
    limits: &Limits,
    cancel: &dyn Cancel,
) -> Result<Rows, QueryError> {
    check::check(plan)?;
    run(&crate::why::explained(plan), data, limits, cancel)
}

fn go(
    plan: &Plan,
    data: &dyn Data,
    limits: &Limits,
    cancel: &dyn Cancel,
    is_dry: bool,
) -> (Result<Rows, QueryError>, Explanation) {
    if let Err(wrong) = check::check(plan) {
        return (Err(wrong.into()), Explanation::default());
    }
    let on_demand = demand::on_demand(plan);
    let plan = on_demand.as_ref().unwrap_or(plan);
    let mut run = Run::new(plan, data, limits, cancel, is_dry);
    let made = plan.strata.iter().try_for_each(|stratum| run.stratum(stratum));
    let sheet = made.and_then(|()| run.answered());
    let explanation = std::mem::take(&mut run.explanation);
    (sheet.map(|answered| run.rows(answered)), explanation)
}

/// A plan on its way.
struct Run<'d> {
    plan: &'d Plan,
    relations: Vec<Relation>,
    loaded: Vec<Loaded>,
    context: Context<'d>,
    explanation: Explanation,
    /// Plans, and reads and makes nothing.
    is_dry: bool,
    /// What is read in part, while the answer's rule is.
    first: Option<FirstRows>,
}

/// Stored rows that were read, and what they are.
struct Loaded {
    stored: usize,
    cut: Cut,
    valid: ValidTime,
    constraints: Vec<Constraint>,
    columns: Vec<usize>,
    relation: usize,
}

impl<'d> Run<'d> {
    fn new(
        plan: &'d Plan,
        data: &'d dyn Data,
        limits: &Limits,
        cancel: &'d dyn Cancel,
        is_dry: bool,
    ) -> Self {
        let context = Context::new(plan, data, Meter::new(*limits, cancel));
        let relations = plan.derived.iter().map(|derived| {
            let has_note = derived.columns.last().is_some_and(is_why);
            Relation::with_lattice(&derived.lattice, has_note)
        });
        let (relations, loaded) = (relations.collect(), Vec::new());
        let explanation = Explanation::default();
        Self { plan, relations, loaded, context, explanation, is_dry, first: None }
    }

    fn stratum(&mut self, stratum: &'d Stratum) -> Result<(), QueryError> {
        let derived = stratum.relations.iter().filter_map(|number| self.plan.derived.get(*number));
        let has_lattice = derived.flat_map(|derived| &derived.lattice).any(Option::is_some);
        if stratum.is_recursive || has_lattice {
            return self.fixpoint(stratum);
        }
        for &number in &stratum.relations {
            let derived = self.plan.derived.get(number).ok_or(PlanError::UnknownNumber)?;
            for rule in &derived.rules {
                self.context.meter.blame(&derived.name, rule.span);
                self.derived_rule(rule, &derived.columns, number)?;
            }
            self.settle(number);
        }
        Ok(())
    }

    /// An atom of the plan as a goal.
    fn goal(&self, atom: &'d Atom, part: Part) -> Goal<'d> {
        let (target, name) = match atom.relation {
            RelationId::Stored(number) => {
                (Target::Stored(number), self.plan.stored.get(number).map(|s| s.name.as_ref()))
            }
            RelationId::Derived(number) => {
                (Target::Relation(number), self.plan.derived.get(number).map(|d| d.name.as_ref()))
            }
        };
        let terms = atom.terms.clone();
        let name = name.unwrap_or_default();
        Goal { target, part, terms, times: &atom.times, name, span: atom.span }
    }

    fn add_relation(&mut self, relation: Relation) -> usize {
        self.relations.push(relation);
        self.relations.len() - 1
    }

    fn settle(&mut self, number: usize) {
        if let Some(relation) = self.relations.get_mut(number) {
            relation.settle();
        }
    }

    /// The relation of some stored rows, read if they have not been; without a request, no rows.
    fn loaded(
        &mut self,
        stored: usize,
        request: Option<Request<'_>>,
        width: usize,
        expected: u64,
    ) -> Result<usize, QueryError> {
        let Some(request) = request else { return Ok(self.add_relation(Relation::new(width))) };
        let last = request.columns.last().and_then(|last| request.stored.columns.get(*last));
        let mut rows = Relation::with_note(width, last.is_some_and(|last| is_why(&last.column)));
        let found = self.loaded.iter().find(|loaded| {
            loaded.stored == stored
                && loaded.cut == *request.cut
                && loaded.valid == request.valid
                && loaded.constraints == request.constraints
                && loaded.columns == request.columns
        });
        if let Some(found) = found {
            return Ok(found.relation);
        }
        let Context { dictionary, meter, data, .. } = &mut self.context;
        let has_id = request.columns.iter().any(|column| {
            let column = request.stored.columns.get(*column);
            column.is_some_and(|column| {
                column.place == laterbase_lang::plan::Place::Id && !is_why(&column.column)
            })
        });
        if self.is_dry {
            self.explain_read(&request, expected, None);
            rows.assume(expected as f64);
            return Ok(self.add_relation(rows));
        }
        if !has_id {
            rows.reserve(expected);
        }
        request.read(*data, dictionary, meter, &mut |cells, dictionary| {
            if has_id {
                rows.push(cells);
                return Keep::New;
            }
            if rows.insert(cells, dictionary) { Keep::New } else { Keep::Known }
        })?;
        rows.settle();
        let loaded = Loaded {
            stored,
            cut: request.cut.clone(),
            valid: request.valid,
            constraints: request.constraints.to_vec(),
            columns: request.columns.to_vec(),
            relation: self.add_relation(rows),
        };
        let relation = loaded.relation;
        self.loaded.push(loaded);
        let found = self.relations.get(relation).map(|rows| rows.count() as u64);
        self.explain_read(&request, expected, found);
        self.check_bytes()?;
        Ok(relation)
    }

    fn explain_read(&mut self, request: &Request<'_>, expected: u64, found: Option<u64>) {
        let name = &request.stored.name;
        let constraints = request.constraints.iter().map(|constraint| {
            let column = request.stored.columns.get(constraint.column);
            let column = column.map_or("", |column| column.column.name.as_ref());
            format!(" {column} {}", constraint.is)
        });
        let text = format!("read {name}{}", constraints.collect::<Vec<String>>().join(","));
        let step = ExplainedStep { text, expected: expected as f64, found };
        let span = self.context.meter.culprit().span;
        let (name, steps) = (name.to_string(), vec![step]);
        self.explanation.add(ExplainedPart { name, span, rounds: 1, steps });
    }

    /// Says what a program did; `found` are the rows behind each step.
    fn explain_program(&mut self, program: &Program, found: Option<&[u64]>) {
        let steps = program.steps.iter().enumerate().map(|(at, step)| ExplainedStep {
            text: step.label.clone(),
            expected: step.estimate,
            found: found.and_then(|found| found.get(at)).copied(),
        });
        let steps = steps.collect();
        let culprit = self.context.meter.culprit();
        let (name, span) = (culprit.name.clone(), culprit.span);
        self.explanation.add(ExplainedPart { name, span, rounds: 1, steps });
    }

    fn check_bytes(&mut self) -> Result<(), QueryError> {
        let relations: u64 = self.relations.iter().map(Relation::bytes).sum();
        let held = relations + self.context.bytes();
        self.context.meter.bytes(held)
    }
}
