//! Stored rows in memory: for tests, and for hosts whose rows are few.

use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_lang::Value;
use laterbase_lang::plan::{Cut, Place, Stored};

use crate::data::{Constraint, Data, DataError, Restriction, Scan, Scanned, ValidTime, ValueRef};

/// Stored relations by name, each as rows of values. Rows of a relation with an `at` column are
/// events for the purpose of valid times, and with a `tx` or an arrival for cuts by time; those of
/// one with a validity are rows of a table.
#[derive(Debug, Default)]
pub struct MemoryData {
    relations: Vec<(Arc<str>, Vec<Vec<Value>>)>,
    seekable: Vec<(Arc<str>, usize)>,
    ordered: Vec<(Arc<str>, usize)>,
    ignores_constraints: bool,
}

impl MemoryData {
    /// Adds a relation. The cells of a row are those of the plan's columns, in their order.
    pub fn insert(&mut self, name: &str, rows: Vec<Vec<Value>>) {
        self.relations.push((Arc::from(name), rows));
    }

    /// Pretends that a column has an index, so that the engine asks for values of it.
    pub fn make_seekable(&mut self, name: &str, column: usize) {
        self.seekable.push((Arc::from(name), column));
    }

    /// Answers rows in the order of a column where that is asked for.
    pub fn make_ordered(&mut self, name: &str, column: usize) {
        self.ordered.push((Arc::from(name), column));
    }

    /// Leaves constraints to the engine from now on.
    pub fn ignore_constraints(&mut self) {
        self.ignores_constraints = true;
    }

    fn rows(&self, name: &str) -> Option<&[Vec<Value>]> {
        let found = self.relations.iter().find(|(other, _)| other.as_ref() == name);
        found.map(|(_, rows)| rows.as_slice())
    }
}

impl Data for MemoryData {
    fn scan(
        &self,
        request: &Scan<'_>,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, DataError> {
        let name = request.relation.name.as_ref();
        let Some(rows) = self.rows(name) else {
            return Err(DataError(format!("there is no relation `{name}`").into()));
        };
        let mut scanned = Scanned::default();
        let mut rows: Vec<&Vec<Value>> = rows.iter().collect();
        if let Some(order) = request.order {
            rows.sort_by(|a, b| {
                let ordering = a.get(order.column).cmp(&b.get(order.column));
                if order.is_descending { ordering.reverse() } else { ordering }
            });
        }
        for row in rows {
            scanned.rows_read += 1;
            let Some(row) = at_times(request, row) else { continue };
            if !self.ignores_constraints && !satisfies(&row, request.constraints) {
                continue;
            }
            let null = Value::Null;
            let cell = |column: &usize| ValueRef::from(row.get(*column).unwrap_or(&null));
            let cells: Vec<ValueRef<'_>> = request.columns.iter().map(cell).collect();
            if take(&cells).is_break() {
                break;
            }
        }
        Ok(scanned)
    }

    fn estimate(&self, request: &Scan<'_>) -> Option<u64> {
        let rows = self.rows(&request.relation.name)?.len() as u64;
        let narrowed =
            request.constraints.iter().fold(rows, |rows, constraint| match &constraint.is {
                Restriction::OneOf(values) => rows.min(rows / 16 * values.len() as u64 + 1),
                Restriction::Range(..) => rows / 4,
                Restriction::Holds(_) => rows / 8,
            });
        Some(narrowed)
    }

    fn can_seek(&self, request: &Scan<'_>, column: usize) -> bool {
        let is =
            |(name, other): &(Arc<str>, usize)| *name == request.relation.name && *other == column;
        self.seekable.iter().any(is)
    }

    fn can_order(&self, request: &Scan<'_>) -> bool {
        self.ordered.iter().any(|(name, column)| {
            *name == request.relation.name
                && request.order.is_some_and(|order| order.column == *column)
        })
    }
}

fn satisfies(row: &[Value], constraints: &[Constraint]) -> bool {
    constraints
        .iter()
        .all(|constraint| constraint.is.allows(row.get(constraint.column).unwrap_or(&Value::Null)))
}

fn cell_at<'a>(relation: &Stored, row: &'a [Value], place: &Place) -> Option<&'a Value> {
    let at = relation.columns.iter().position(|column| column.place == *place)?;
    row.get(at)
}

/// The row as it is at the times of a scan; `None` if it is not there then.
fn at_times(request: &Scan<'_>, row: &[Value]) -> Option<Vec<Value>> {
    let relation = request.relation;
    let by = |place: &Place, time: i64| match cell_at(relation, row, place) {
        Some(Value::Time(at)) => *at <= time,
        _ => true,
    };
    let is_known = match request.cut {
        Cut::Latest | Cut::Vector(_) => true,
        Cut::KnownAt(time) => by(&Place::Arrived, *time),
        Cut::RecordedBy(time) => by(&Place::Tx, *time),
    };
    if !is_known {
        return None;
    }
    if let Some(Value::Period(from, until)) = cell_at(relation, row, &Place::Validity) {
        let cut = cut_period((*from, *until), request.valid)?;
        let column = relation.columns.iter().position(|column| column.place == Place::Validity)?;
        let mut row = row.to_vec();
        *row.get_mut(column)? = Value::Period(cut.0, cut.1);
        return Some(row);
    }
    let at = match cell_at(relation, row, &Place::At) {
        Some(Value::Time(at)) => *at,
        _ => return Some(row.to_vec()),
    };
    let is_valid = match request.valid {
        ValidTime::Any => true,
        ValidTime::At(time) => at <= time,
        ValidTime::In(from, until) => {
            from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until)
        }
    };
    is_valid.then(|| row.to_vec())
}

type Ends = (Option<i64>, Option<i64>);

fn cut_period(period: Ends, valid: ValidTime) -> Option<Ends> {
    match valid {
        ValidTime::Any => Some(period),
        ValidTime::At(time) => {
            let is_in = period.0.is_none_or(|from| from <= time)
                && period.1.is_none_or(|until| time < until);
            is_in.then_some(period)
        }
        ValidTime::In(from, until) => {
            let from = period.0.max(from);
            let until = match (period.1, until) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let is_empty = from.zip(until).is_some_and(|(from, until)| from >= until);
            (!is_empty).then_some((from, until))
        }
    }
}
