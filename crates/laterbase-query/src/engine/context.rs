//! What machines share: the dictionary, the functions, the meter, and rows that the source was
//! asked for by their keys.

use std::ops::ControlFlow;

use hashbrown::HashMap;
use laterbase_lang::Value;
use laterbase_lang::plan::{Expression, Plan, Valid, VariableId};
use rustc_hash::FxBuildHasher;

use super::budget::Meter;
use super::program::LookupKey;
use super::relation::{Cursor, Relation};
use crate::code::{Code, Dictionary, NULL};
use crate::data::{Constraint, Data, Restriction, Scan, ScanOrder, ValidTime, ValueRef};
use crate::error::{PlanError, QueryError};
use crate::scalar::{Binding, Scalars};
use crate::times;
use crate::why::is_why;

pub(crate) struct Context<'d> {
    pub(crate) plan: &'d Plan,
    pub(crate) data: &'d dyn Data,
    pub(crate) dictionary: Dictionary,
    pub(crate) scalars: Scalars,
    pub(crate) meter: Meter<'d>,
    lookups: Vec<Lookup>,
}

struct Lookup {
    key: LookupKey,
    /// Rows of all keys so far, each behind the number of its key.
    rows: Relation,
    asked: HashMap<(ValidTime, Vec<Code>), (usize, usize), FxBuildHasher>,
    /// How many keys the source is asked for next, if so many are known.
    ahead: usize,
}

/// How many keys the source is asked for at once at the most. It begins with two and doubles, so
/// that a question that needs few rows asks for few in vain.
const AHEAD_MAX: usize = 1024;

impl Lookup {
    /// Keeps the rows of some ascending keys, which stand in the first column of `found`.
    fn take(
        &mut self,
        keys: &[Code],
        valid: ValidTime,
        found: &Relation,
        dictionary: &mut Dictionary,
    ) {
        let mut places: Vec<(Code, usize)> =
            (0..found.count()).map(|row| (found.cell(row, 0), row)).collect();
        places.sort_unstable();
        let mut places = places.into_iter().peekable();
        let mut cells = Vec::with_capacity(self.key.columns.len() + 1);
        for key in keys {
            let number = self.asked.len() as Code;
            let from = self.rows.count();
            while let Some((other, row)) = places.next_if(|(other, _)| other <= key) {
                if other == *key {
                    cells.clear();
                    cells.push(number);
                    cells.extend((1..=self.key.columns.len()).map(|at| found.cell(row, at)));
                    self.rows.insert(&cells, dictionary);
                }
            }
            self.rows.see_all();
            self.asked.insert((valid, vec![*key]), (from, self.rows.count()));
        }
    }
}

/// The values in slots.
pub(crate) struct Slots<'a> {
    dictionary: &'a Dictionary,
    slots: &'a [Code],
}

impl Binding for Slots<'_> {
    fn value(&self, variable: VariableId) -> Value {
        self.dictionary.value(self.slots.get(variable.0).copied().unwrap_or(NULL))
    }
}

impl<'d> Context<'d> {
    pub(crate) fn new(plan: &'d Plan, data: &'d dyn Data, meter: Meter<'d>) -> Self {
        let (dictionary, scalars) = (Dictionary::default(), Scalars::default());
        Self { plan, data, dictionary, scalars, meter, lookups: Vec::new() }
    }

    pub(crate) fn binding<'a>(&'a self, slots: &'a [Code]) -> Slots<'a> {
        Slots { dictionary: &self.dictionary, slots }
    }

    pub(crate) fn evaluate(
        &mut self,
        expression: &Expression,
        slots: &[Code],
    ) -> Result<Code, QueryError> {
        match expression {
            Expression::Variable(variable) => Ok(slots.get(variable.0).copied().unwrap_or(NULL)),
            Expression::Value(value) => Ok(self.dictionary.encode_value(value)),
            Expression::Call(..) => {
                let value = self.scalars.evaluate(expression, &self.binding(slots))?;
                Ok(self.dictionary.encode_value(&value))
            }
        }
    }

    /// The different elements of a list or a set; nothing of anything else.
    pub(crate) fn elements(
        &mut self,
        expression: &Expression,
        slots: &[Code],
    ) -> Result<Vec<Code>, QueryError> {
        let value = self.scalars.evaluate(expression, &self.binding(slots))?;
        let (Value::List(values) | Value::Set(values)) = value else { return Ok(Vec::new()) };
        let mut codes: Vec<Code> =
            values.iter().map(|value| self.dictionary.encode_value(value)).collect();
        codes.sort_unstable();
        codes.dedup();
        Ok(codes)
    }

    /// The number of a lookup; made if there is none like it.
    pub(crate) fn lookup_number(&mut self, key: LookupKey) -> usize {
        if let Some(found) = self.lookups.iter().position(|lookup| lookup.key == key) {
            return found;
        }
        let stored = self.plan.stored.get(key.stored);
        let last = key.columns.last().and_then(|last| stored?.columns.get(*last));
        let has_note = last.is_some_and(|last| is_why(&last.column));
        let rows = Relation::with_note(key.columns.len() + 1, has_note);
        self.lookups.push(Lookup { key, rows, asked: HashMap::default(), ahead: 2 });
        self.lookups.len() - 1
    }

    /// Rows of a lookup; column 0 is not the source's.
    pub(crate) fn lookup_rows(&self, lookup: usize) -> Option<&Relation> {
        self.lookups.get(lookup).map(|lookup| &lookup.rows)
    }

    /// The rows for a key, asked for if they have not been yet.
    pub(crate) fn lookup(
        &mut self,
        lookup: usize,
        key: &[Code],
        valid: &Valid,
        slots: &[Code],
    ) -> Result<Cursor, QueryError> {
        let read = &mut |variable| self.binding(slots).value(variable);
        let Some(valid) = times::resolve(valid, read) else { return Ok(Cursor::EMPTY) };
        let held = self.lookups.get(lookup).ok_or(PlanError::UnknownNumber)?;
        let asked = (valid, key.to_vec());
        if let Some((from, until)) = held.asked.get(&asked) {
            return Ok(Cursor::Range(*from, *until));
        }
        let mut constraints = held.key.constraints.clone();
        for (column, code) in held.key.key.iter().zip(key) {
            let is = Restriction::OneOf(vec![self.dictionary.value(*code)]);
            constraints.push(Constraint { column: *column, is });
        }
        let Self { plan, data, dictionary, meter, lookups, .. } = self;
        let Some(held) = lookups.get_mut(lookup) else { return Ok(Cursor::EMPTY) };
        let stored = plan.stored.get(held.key.stored).ok_or(PlanError::UnknownNumber)?;
        let request = Request {
            stored,
            columns: &held.key.columns,
            cut: &held.key.cut,
            valid,
            constraints: &constraints,
            order: None,
            limit: None,
        };
        let number = held.asked.len() as Code;
        let from = held.rows.count();
        let rows = &mut held.rows;
        let mut row = Vec::with_capacity(held.key.columns.len() + 1);
        request.read(*data, dictionary, meter, &mut |cells, dictionary| {
            row.clear();
            row.push(number);
            row.extend_from_slice(cells);
            if rows.insert(&row, dictionary) { Keep::New } else { Keep::Known }
        })?;
        held.rows.see_all();
        let range = (from, held.rows.count());
        held.asked.insert(asked, range);
        Ok(Cursor::Range(range.0, range.1))
    }

    /// How many keys may be asked for together with that of a slot; `None` if that one was asked
    /// for, or the others' valid times may not be its.
    pub(crate) fn keys_ahead(
        &self,
        lookup: usize,
        slot: usize,
        valid: &Valid,
        slots: &[Code],
    ) -> Option<usize> {
        if times::variables(valid).next().is_some() {
            return None;
        }
        let valid = times::resolve(valid, &mut |_| Value::Null)?;
        let code = slots.get(slot).copied().filter(|code| *code != NULL)?;
        let held = self.lookups.get(lookup)?;
        (!held.asked.contains_key(&(valid, vec![code]))).then_some(held.ahead)
    }

    /// Asks for the rows of several keys at once, as far as they have not been asked for yet.
    pub(crate) fn ask_ahead(
        &mut self,
        lookup: usize,
        mut keys: Vec<Code>,
        valid: &Valid,
        slots: &[Code],
    ) -> Result<(), QueryError> {
        let read = &mut |variable| self.binding(slots).value(variable);
        let Some(valid) = times::resolve(valid, read) else { return Ok(()) };
        let held = self.lookups.get(lookup).ok_or(PlanError::UnknownNumber)?;
        let [column] = *held.key.key.as_slice() else { return Ok(()) };
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| *key != NULL && !held.asked.contains_key(&(valid, vec![*key])));
        if keys.len() < 2 {
            return Ok(());
        }
        let values = keys.iter().map(|key| self.dictionary.value(*key)).collect();
        let mut constraints = held.key.constraints.clone();
        constraints.push(Constraint { column, is: Restriction::OneOf(values) });
        let mut columns = held.key.columns.clone();
        let at = columns.iter().position(|other| *other == column).unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        });
        let Self { plan, data, dictionary, meter, lookups, .. } = self;
        let Some(held) = lookups.get_mut(lookup) else { return Ok(()) };
        let request = Request {
            stored: plan.stored.get(held.key.stored).ok_or(PlanError::UnknownNumber)?,
            columns: &columns,
            cut: &held.key.cut,
            valid,
            constraints: &constraints,
            order: None,
            limit: None,
        };
        // Rows come in any order, and those of a key are to stand together.
        let (width, rows) = (held.key.columns.len(), &held.rows);
        let mut found = rows.empty();
        let mut row = Vec::with_capacity(width + 1);
        request.read(*data, dictionary, meter, &mut |cells, dictionary| {
            row.clear();
            row.push(cells.get(at).copied().unwrap_or(NULL));
            row.extend_from_slice(cells.get(..width).unwrap_or_default());
            if found.insert(&row, dictionary) { Keep::New } else { Keep::Known }
        })?;
        held.ahead = (held.ahead * 2).min(AHEAD_MAX);
        held.take(&keys, valid, &found, dictionary);
        Ok(())
    }

    /// About how many bytes are held here.
    pub(crate) fn bytes(&self) -> u64 {
        let lookups = self.lookups.iter().map(|lookup| {
            lookup.rows.bytes() + lookup.asked.len() as u64 * (64 + 8 * lookup.key.key.len() as u64)
        });
        self.dictionary.bytes() + lookups.sum::<u64>()
    }
}

/// A scan, its constraints checked again.
pub(crate) struct Request<'a> {
    pub(crate) stored: &'a laterbase_lang::plan::Stored,
    /// Columns that are kept.
    pub(crate) columns: &'a [usize],
    pub(crate) cut: &'a laterbase_lang::plan::Cut,
    pub(crate) valid: ValidTime,
    pub(crate) constraints: &'a [Constraint],
    pub(crate) order: Option<ScanOrder>,
    pub(crate) limit: Option<u64>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    New,
    Known,
    /// It was not taken, and no more are wanted.
    Enough,
}

/// Columns by their places among those that are read, and what they may be, ascending.
pub(crate) type Checks = Vec<(usize, Vec<Code>)>;

/// Whether a row is what its columns may be. Looked at before the row is encoded, so that what is
/// not wanted is not kept in the dictionary.
#[inline]
pub(crate) fn agrees(cells: &[ValueRef<'_>], checks: &Checks, dictionary: &Dictionary) -> bool {
    let is_wanted = |at: usize, wanted: &[Code]| {
        let code = cells.get(at).and_then(|cell| dictionary.find(*cell));
        code.is_some_and(|code| wanted.binary_search(&code).is_ok())
    };
    checks.iter().all(|(at, wanted)| is_wanted(*at, wanted))
}

impl<'a> Request<'a> {
    /// The columns that are read, and what is checked of them: columns that are only checked stand
    /// behind those that are kept.
    pub(crate) fn checked(&self, dictionary: &mut Dictionary) -> (Vec<usize>, Checks) {
        let mut columns = self.columns.to_vec();
        let mut checks = Checks::new();
        for constraint in self.constraints {
            let Restriction::OneOf(values) = &constraint.is else { continue };
            let found = columns.iter().position(|column| *column == constraint.column);
            let at = found.unwrap_or_else(|| {
                columns.push(constraint.column);
                columns.len() - 1
            });
            let codes = values.iter().map(|value| dictionary.encode_value(value));
            let mut codes: Vec<Code> = codes.filter(|code| *code != NULL).collect();
            codes.sort_unstable();
            checks.push((at, codes));
        }
        (columns, checks)
    }

    /// What the source is asked for.
    pub(crate) fn scan(&self, columns: &'a [usize]) -> Scan<'a> {
        Scan {
            relation: self.stored,
            columns,
            cut: self.cut,
            valid: self.valid,
            constraints: self.constraints,
            order: self.order,
            limit: self.limit,
        }
    }

    /// Reads rows. `keep` says what became of each.
    pub(crate) fn read(
        &self,
        data: &dyn Data,
        dictionary: &mut Dictionary,
        meter: &mut Meter<'_>,
        keep: &mut dyn FnMut(&[Code], &mut Dictionary) -> Keep,
    ) -> Result<(), QueryError> {
        let (columns, checks) = self.checked(dictionary);
        let request = self.scan(&columns);
        let mut codes = vec![NULL; columns.len()];
        let mut end = Ok(());
        let scanned = data.scan(&request, &mut |cells| {
            let is_it = agrees(cells, &checks, dictionary);
            for (place, cell) in codes.iter_mut().zip(cells).take_while(|_| is_it) {
                *place = dictionary.encode(*cell);
            }
            let kept = codes.get(..self.columns.len()).unwrap_or_default();
            let what = if is_it { keep(kept, dictionary) } else { Keep::Known };
            end = meter.step();
            if what == Keep::New && end.is_ok() {
                end = meter.rows(1);
            }
            if end.is_ok() && what != Keep::Enough {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        meter.read(scanned.rows_read);
        end
    }
}
