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
mod fixpoint;
mod goal;
mod machine;
mod matrix;
mod program;
mod relation;
mod rule;

use laterbase_lang::plan::{Atom, Cut, Plan, Relation as RelationId, Stratum};

use self::budget::Meter;
use self::context::{Context, Request};
use self::goal::{Goal, Target};
pub(crate) use self::matrix::Matrix;
use self::relation::{Part, Relation};
use crate::data::{Constraint, Data, ValidTime};
use crate::demand;
use crate::error::{PlanError, QueryError};
use crate::limits::{Cancel, Limits};
use crate::rows::Rows;

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
    let on_demand = demand::on_demand(plan);
    let plan = on_demand.as_ref().unwrap_or(plan);
    let mut run = Run::new(plan, data, limits, cancel)?;
    for stratum in &plan.strata {
        run.stratum(stratum)?;
    }
    run.rows()
}

/// A plan on its way.
struct Run<'d> {
    plan: &'d Plan,
    relations: Vec<Relation>,
    loaded: Vec<Loaded>,
    context: Context<'d>,
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
    ) -> Result<Self, QueryError> {
        let context = Context::new(plan, data, Meter::new(*limits, cancel));
        let relations = plan.derived.iter().map(|derived| Relation::with_lattice(&derived.lattice));
        Ok(Self { plan, relations: relations.collect(), loaded: Vec::new(), context })
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
    ) -> Result<usize, QueryError> {
        let mut rows = Relation::new(width);
        let Some(request) = request else { return Ok(self.add_relation(rows)) };
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
            column.is_some_and(|column| column.place == laterbase_lang::plan::Place::Id)
        });
        request.read(*data, dictionary, meter, &mut |cells, dictionary| {
            if has_id {
                rows.push(cells);
                return true;
            }
            rows.insert(cells, dictionary)
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
        self.check_bytes()?;
        Ok(relation)
    }

    fn check_bytes(&mut self) -> Result<(), QueryError> {
        let relations: u64 = self.relations.iter().map(Relation::bytes).sum();
        let held = relations + self.context.bytes();
        self.context.meter.bytes(held)
    }
}
