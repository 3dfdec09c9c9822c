//! The merge: from the operations of one row to the periods for which it stays as it is.
//!
//! At a valid time count the operations that cover it. The greatest life among them says whether
//! the row is there: it is if that is odd. Then of that life alone
//!
//! - a last-writer column has the value of the greatest (commit, event);
//! - a counter is the sum of what was added, and absent if that is out of 64 bits;
//! - a set has the elements of which there is an add that no removal names.
//!
//! **Correctness.** Each of the three is a function of the *set* of operations that cover the time:
//! a greatest one, a sum, a union less a union. So neither the order of arrival nor that of the
//! slice is looked at, and copies that hold the same operations hold the same rows. Two events of
//! one id, which a forked log may hold, are told apart by their values.
//!
//! **Cost.** Between two ends of operations nothing changes, so the sweep goes from end to end,
//! and an operation enters once and leaves once: `O(c log n)` for `n` operations with `c` cells
//! in all, besides what is answered. A column is computed anew only where an operation that names
//! it came or went. What is answered can be larger: a set that grows by one element in each of `n`
//! periods has `n²/2` elements. Asked at one time, a row costs what covers that time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use laterbase_event::EventId;
use laterbase_lang::Value;
use laterbase_lang::schema::{Field, Merge};
use laterbase_query::ValidTime;
use laterbase_sync::mutant::{self, Mutant};

use super::ColumnName;
use super::operation::{Cell, Operation};

/// A column to be merged.
#[derive(Debug, Clone)]
pub(crate) struct MergeColumn {
    pub(crate) name: ColumnName,
    pub(crate) merge: Merge,
    /// What it is where nothing was said.
    pub(crate) default: Option<Value>,
}

/// A row over a period for which it stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MergedRow {
    pub(crate) from: i64,
    pub(crate) until: Option<i64>,
    /// The columns that were asked for, in their order.
    pub(crate) cells: Vec<Value>,
}

impl MergeColumn {
    /// A declared column.
    pub(crate) fn of(number: u32, field: &Field) -> Self {
        let (merge, default) = (field.merge, field.default.clone());
        Self { name: ColumnName::Number(number), merge, default }
    }

    /// A column that is not declared.
    pub(crate) fn member(name: &str) -> Self {
        let name = ColumnName::Member(name.into());
        Self { name, merge: Merge::LastWriter, default: None }
    }
}

/// The periods of a row that overlap the valid times, in their order, cut to them. Neighbours
/// differ in some of the columns.
///
/// `from` is the smallest time where a row begins with time itself.
pub(crate) fn merge(
    operations: &[Operation],
    columns: &[MergeColumn],
    valid: ValidTime,
) -> Vec<MergedRow> {
    let (from, until) = match valid {
        ValidTime::Any => (i64::MIN, None),
        ValidTime::At(at) => (at, at.checked_add(1)),
        ValidTime::In(from, until) => (from.unwrap_or(i64::MIN), until),
    };
    if until.is_some_and(|until| until <= from) {
        return Vec::new();
    }
    let mut sweep = Sweep::new(operations, columns);
    let mut starts: Vec<usize> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        if operation.overlaps(from, until) {
            starts.push(at);
            ends.extend(operation.until.map(|_| at));
        }
    }
    let start = |at: &usize| operations.get(*at).map_or(from, |it| it.from.max(from));
    let end = |at: &usize| operations.get(*at).and_then(|it| it.until);
    starts.sort_by_key(start);
    ends.sort_by_key(end);
    let (mut starts, mut ends) = (starts.into_iter().peekable(), ends.into_iter().peekable());
    let mut rows = Vec::new();
    while let Some(at) = earliest(starts.peek().map(start), ends.peek().and_then(end)) {
        if until.is_some_and(|until| until <= at) {
            break;
        }
        while let Some(left) = ends.next_if(|it| end(it).is_some_and(|end| end <= at)) {
            sweep.change(left, false);
        }
        while let Some(entered) = starts.next_if(|it| start(it) <= at) {
            sweep.change(entered, true);
        }
        let next = earliest(starts.peek().map(start), ends.peek().and_then(end));
        sweep.answer(at, earliest(next, until), &mut rows);
    }
    rows
}

/// Lets go of what no longer shows at a time that all of the operations cover, whatever comes.
pub(crate) fn superseded(operations: &mut Vec<Operation>) {
    let life = operations.iter().map(|it| it.life).max().unwrap_or_default();
    operations.retain(|it| it.life == life);
    // The greatest one of each column, and of sets and counters all.
    let mut last: BTreeMap<&ColumnName, (EventId, EventId, &Value)> = BTreeMap::new();
    for operation in operations.iter() {
        for (name, cell) in &operation.cells {
            let Cell::Value(value) = cell else { continue };
            let place = (operation.commit, operation.id, value);
            let found = last.entry(name).or_insert(place);
            *found = place.max(*found);
        }
    }
    let mut is_shown = |operation: &Operation| {
        let shows = |(name, cell): &(ColumnName, Cell)| {
            let Cell::Value(value) = cell else { return true };
            last.get(name) == Some(&(operation.commit, operation.id, value))
        };
        operation.cells.iter().any(shows)
    };
    let keep: Vec<bool> = operations.iter().map(&mut is_shown).collect();
    let mut keep = keep.into_iter();
    // One is kept to say that the row is there.
    let mut others = operations.len().saturating_sub(1);
    operations.retain(|_| {
        let stays = keep.next().unwrap_or(true) || others == 0;
        others -= usize::from(!stays);
        stays
    });
}

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What covers the current time.
struct Sweep<'a> {
    operations: &'a [Operation],
    columns: &'a [MergeColumn],
    lives: BTreeMap<u64, Life<'a>>,
    /// The life whose values `values` are.
    current: Option<u64>,
    values: Vec<Value>,
}

/// What of one life covers the current time.
struct Life<'a> {
    operations: usize,
    columns: Vec<State<'a>>,
    /// Columns that are otherwise than when they were answered last.
    changed: BTreeSet<usize>,
}

/// What of one column covers the current time.
enum State<'a> {
    Last(BTreeMap<(EventId, EventId, &'a Value), usize>),
    Count { sum: i128, operations: usize },
    Set(Box<Elements<'a>>),
}

/// Adds and removals of a set column, counted: a forked log may hold one id twice.
#[derive(Default)]
struct Elements<'a> {
    added: HashMap<(&'a Value, EventId), usize>,
    removed: HashMap<(&'a Value, EventId), usize>,
    /// By element, of how many adds it shows.
    shown: BTreeMap<&'a Value, usize>,
    operations: usize,
}

impl<'a> Sweep<'a> {
    fn new(operations: &'a [Operation], columns: &'a [MergeColumn]) -> Self {
        let values = vec![Value::Null; columns.len()];
        Self { operations, columns, lives: BTreeMap::new(), current: None, values }
    }

    /// An operation comes, or goes.
    fn change(&mut self, at: usize, enters: bool) {
        let Some(operation) = self.operations.get(at) else { return };
        let columns = self.columns;
        let life = self.lives.entry(operation.life).or_insert_with(|| Life {
            operations: 0,
            columns: columns.iter().map(State::new).collect(),
            changed: BTreeSet::new(),
        });
        count(&mut life.operations, enters);
        for (at, (column, state)) in columns.iter().zip(&mut life.columns).enumerate() {
            let cells = &operation.cells;
            let Ok(cell) = cells.binary_search_by(|(name, _)| name.cmp(&column.name)) else {
                continue;
            };
            let Some((_, cell)) = cells.get(cell) else { continue };
            state.change((operation.commit, operation.id), cell, enters);
            life.changed.insert(at);
        }
        if life.operations == 0 {
            self.lives.remove(&operation.life);
            if self.current == Some(operation.life) {
                self.current = None;
            }
        }
    }

    /// Answers the row as it is now, if it is there.
    fn answer(&mut self, from: i64, until: Option<i64>, rows: &mut Vec<MergedRow>) {
        let older = self.older_values();
        let Some((number, life)) = self.lives.iter_mut().next_back() else { return };
        if number.is_multiple_of(2) {
            return;
        }
        let is_same = self.current == Some(*number);
        let named = self.values.iter_mut().zip(self.columns).zip(&life.columns);
        for (at, ((value, column), state)) in named.enumerate() {
            if !is_same || life.changed.contains(&at) {
                *value = state.value(column);
            }
            if let Some(older) = older.get(at).filter(|_| value.is_null()) {
                value.clone_from(older);
            }
        }
        life.changed.clear();
        self.current = Some(*number);
        match rows.last_mut() {
            Some(last) if last.until == Some(from) && last.cells == self.values => {
                last.until = until;
            }
            _ => rows.push(MergedRow { from, until, cells: self.values.clone() }),
        }
    }
}

impl Sweep<'_> {
    /// What a fault that is built in shows of lives that have ended.
    fn older_values(&self) -> Vec<Value> {
        if !mutant::is_active(Mutant::KeepOlderLife) {
            return Vec::new();
        }
        let lives = || self.lives.iter().rev().filter(|(number, _)| !number.is_multiple_of(2));
        let value = |(at, column): (usize, &MergeColumn)| {
            let mut values =
                lives().filter_map(|(_, life)| Some(life.columns.get(at)?.value(column)));
            values.find(|value| !value.is_null()).unwrap_or_default()
        };
        self.columns.iter().enumerate().map(value).collect()
    }
}

impl<'a> State<'a> {
    fn new(column: &MergeColumn) -> Self {
        match column.merge {
            Merge::LastWriter => Self::Last(BTreeMap::new()),
            Merge::Counter => Self::Count { sum: 0, operations: 0 },
            Merge::ObservedRemove => Self::Set(Box::default()),
        }
    }

    fn change(&mut self, (commit, id): (EventId, EventId), cell: &'a Cell, enters: bool) {
        match (self, cell) {
            (Self::Last(values), Cell::Value(value)) => {
                let place = (commit, id, value);
                let times = values.entry(place).or_default();
                count(times, enters);
                if *times == 0 {
                    values.remove(&place);
                }
            }
            (Self::Count { sum, operations }, Cell::Count(added)) => {
                // 2^64 of them would fit.
                let added = i128::from(*added);
                *sum = if enters { *sum + added } else { *sum - added };
                count(operations, enters);
            }
            (Self::Set(elements), Cell::Set { added, removed }) => {
                count(&mut elements.operations, enters);
                for value in added {
                    elements.add((value, id), enters);
                }
                for (value, ids) in removed {
                    ids.iter().for_each(|id| elements.remove((value, *id), enters));
                }
            }
            // Cells are of the kind that their column is merged by: see `Reading`.
            (Self::Last(_) | Self::Count { .. } | Self::Set(_), _) => {}
        }
    }

    fn value(&self, column: &MergeColumn) -> Value {
        let default = || column.default.clone();
        match self {
            Self::Last(values) => {
                let last = values.last_key_value().map(|((_, _, value), _)| (*value).clone());
                last.filter(|value| !value.is_null()).or_else(default).unwrap_or_default()
            }
            Self::Count { sum, .. } => {
                let start = match &column.default {
                    Some(Value::Int(start)) => i128::from(*start),
                    Some(_) | None => 0,
                };
                i64::try_from(start + sum).map_or(Value::Null, Value::Int)
            }
            Self::Set(elements) if elements.operations == 0 => {
                default().unwrap_or_else(|| Value::Set([].into()))
            }
            Self::Set(elements) => {
                Value::Set(elements.shown.keys().map(|value| (*value).clone()).collect())
            }
        }
    }
}

impl<'a> Elements<'a> {
    fn add(&mut self, add: (&'a Value, EventId), enters: bool) {
        let times = self.added.entry(add).or_default();
        let before = *times > 0;
        count(times, enters);
        let now = *times > 0;
        if !now {
            self.added.remove(&add);
        }
        if before != now && !self.removed.contains_key(&add) {
            self.show(add.0, now);
        }
    }

    fn remove(&mut self, add: (&'a Value, EventId), enters: bool) {
        let times = self.removed.entry(add).or_default();
        let before = *times > 0;
        count(times, enters);
        let now = *times > 0;
        if !now {
            self.removed.remove(&add);
        }
        if before != now && self.added.contains_key(&add) {
            self.show(add.0, !now);
        }
    }

    fn show(&mut self, value: &'a Value, more: bool) {
        let adds = self.shown.entry(value).or_default();
        count(adds, more);
        if *adds == 0 {
            self.shown.remove(value);
        }
    }
}

fn count(times: &mut usize, enters: bool) {
    *times = if enters { *times + 1 } else { times.saturating_sub(1) };
}
