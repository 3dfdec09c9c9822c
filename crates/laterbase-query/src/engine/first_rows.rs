//! First rows: an order that the source has, and a limit, read no more than they need.
//!
//! ```text
//!   order by at desc limit 10      the newest rows, up to a change of the column, joined with the
//!                                  rest of the body; enough answers, or eight times as many rows
//! ```
//! Why that is right: an answer's first sort key is a column of the atom that is read in that
//! order. Rows that are not read have a later one, and so have all answers that are made of them.

use laterbase_lang::plan::{
    Answer, Expression, HeadTerm, Literal, Operand, Relation as RelationId, Term,
};

use super::Run;
use super::context::{Keep, Request};
use super::goal::{Goal, items};
use super::relation::{Part, Relation};
use crate::code::NULL;
use crate::data::{Scan, ScanOrder, ValidTime};
use crate::error::{PlanError, QueryError};

/// How many times as many rows are read where there were not enough.
const GROWTH: u64 = 8;

/// A goal of a body whose rows are read in part.
pub(super) struct FirstRows {
    /// Which of the atoms of the body.
    pub(super) atom: usize,
    pub(super) relation: usize,
    pub(super) terms: Vec<Term>,
}

/// An atom that can be read in the order of an answer.
struct Ordered<'d> {
    atom: usize,
    goal: Goal<'d>,
    stored: usize,
    order: ScanOrder,
    valid: ValidTime,
}

impl<'d> Run<'d> {
    /// The first rows of an answer, and perhaps more; `None` if its order is not the source's.
    pub(super) fn first_rows(
        &mut self,
        answer: &'d Answer,
    ) -> Result<Option<Relation>, QueryError> {
        let Some(limit) = answer.limit.filter(|_| !self.is_dry && answer.having.is_none()) else {
            return Ok(None);
        };
        let Some(ordered) = self.ordered(answer) else { return Ok(None) };
        let needed = answer.offset.saturating_add(limit);
        let mut rows = needed.max(1);
        loop {
            let (first, is_all) = self.read_first(&ordered, answer, rows)?;
            self.first = Some(first);
            let made = self.rows_with_trees(&answer.rule, &answer.columns, None);
            self.first = None;
            let made = made?;
            if is_all || made.count() as u64 >= needed {
                return Ok(Some(made));
            }
            rows = rows.saturating_mul(GROWTH);
        }
    }

    fn ordered(&self, answer: &'d Answer) -> Option<Ordered<'d>> {
        let sort = answer.order.first()?;
        let Expression::Variable(column) = &sort.by else { return None };
        let HeadTerm::Value(Expression::Variable(variable)) = answer.rule.head.get(column.0)?
        else {
            return None;
        };
        let is_grouped = |term: &HeadTerm| matches!(term, HeadTerm::Aggregate { .. });
        if answer.rule.head.iter().any(is_grouped) {
            return None;
        }
        let body = items(&answer.rule.body, &mut |atom| self.goal(atom, Part::All));
        let atoms = answer.rule.body.iter().filter_map(|literal| match literal {
            Literal::Atom(atom) => Some(atom),
            Literal::Not(..) | Literal::Filter(..) | Literal::Let(..) | Literal::Each(..) => None,
        });
        for (at, atom) in atoms.enumerate() {
            let RelationId::Stored(number) = atom.relation else { continue };
            let is_it = |term: &&Term| term.operand == Operand::Variable(*variable);
            let Some(term) = atom.terms.iter().find(is_it) else { continue };
            let goal = self.goal(atom, Part::All);
            let Some(valid) = super::body::fixed_times(&goal) else { continue };
            let order = ScanOrder { column: term.column, is_descending: sort.is_descending };
            let stored = self.plan.stored.get(number)?;
            let constraints = goal.constraints(stored, &body);
            let request = Scan {
                relation: stored,
                columns: &[],
                cut: &atom.times.cut,
                valid,
                constraints: &constraints,
                order: Some(order),
                limit: answer.limit,
            };
            if self.context.data.can_order(&request) {
                return Some(Ordered { atom: at, goal, stored: number, order, valid });
            }
        }
        None
    }

    /// Reads the first rows, up to a change of the column; whether these are all.
    fn read_first(
        &mut self,
        ordered: &Ordered<'d>,
        answer: &'d Answer,
        count: u64,
    ) -> Result<(FirstRows, bool), QueryError> {
        let stored = self.plan.stored.get(ordered.stored).ok_or(PlanError::UnknownNumber)?;
        let body = items(&answer.rule.body, &mut |atom| self.goal(atom, Part::All));
        let constraints = ordered.goal.constraints(stored, &body);
        let (columns, terms) = super::body::open_columns(&ordered.goal);
        let request = Request {
            stored,
            columns: &columns,
            cut: &ordered.goal.times.cut,
            valid: ordered.valid,
            constraints: &constraints,
            order: Some(ordered.order),
            limit: Some(count),
        };
        let by = columns.iter().position(|column| *column == ordered.order.column);
        let by = by.ok_or(PlanError::UnknownNumber)?;
        let mut rows = Relation::new(columns.len());
        let (mut last, mut is_all) = (NULL, true);
        let super::Context { dictionary, meter, data, .. } = &mut self.context;
        request.read(*data, dictionary, meter, &mut |cells, dictionary| {
            let key = cells.get(by).copied().unwrap_or(NULL);
            if rows.count() as u64 >= count && key != last {
                is_all = false;
                return Keep::Enough;
            }
            last = key;
            if rows.insert(cells, dictionary) { Keep::New } else { Keep::Known }
        })?;
        rows.settle();
        let found = rows.count() as u64;
        self.explain_read(&request, count, Some(found));
        let relation = self.add_relation(rows);
        Ok((FirstRows { atom: ordered.atom, relation, terms }, is_all))
    }
}
