//! Codes: values as 64 bits each, equal exactly when the values are equal.
//!
//! ```text
//!   63    60 59                                   0
//!  +--------+--------------------------------------+
//!  | kind   | the value itself, or its place       |
//!  +--------+--------------------------------------+
//!   0 null · 1 bool · 2 int · 3 time · 4 duration · 5 date · 6 decimal (55 digits, 5 of scale)
//!   15 the place of the value in the dictionary
//! ```
//! A scalar that fits is always written into the code and never into the dictionary, which holds
//! each value once: so each value has one code. Of one kind from 1 to 5, codes stand in the order
//! of their values. What is left out: codes mean nothing outside the run that made them.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a function says of any other kind of value, it says of new kinds too"
)]

use std::cmp::Ordering;
use std::hash::{Hash as _, Hasher as _};

use hashbrown::HashTable;
use laterbase_lang::{Decimal, Value};
use rustc_hash::FxHasher;

use crate::data::ValueRef;

/// A value of a run.
pub(crate) type Code = u64;

/// The code of an absent value.
pub(crate) const NULL: Code = 0;
pub(crate) const FALSE: Code = 1 << KIND_SHIFT;
pub(crate) const TRUE: Code = FALSE | 1;

const KIND_SHIFT: u32 = 60;
const PAYLOAD: u64 = (1 << KIND_SHIFT) - 1;
const KIND_INT: u64 = 2;
const KIND_TIME: u64 = 3;
const KIND_DURATION: u64 = 4;
const KIND_DATE: u64 = 5;
const KIND_DECIMAL: u64 = 6;
const KIND_PLACE: u64 = 15;

/// What makes the smallest inline number zero.
const INLINE_BIAS: i64 = 1 << (KIND_SHIFT - 1);
const MANTISSA_BITS: u32 = 55;
const MANTISSA_BIAS: i64 = 1 << (MANTISSA_BITS - 1);

/// The kind of a code, as in the drawing above.
pub(crate) fn kind_of(code: Code) -> u64 {
    code >> KIND_SHIFT
}

/// Whether codes of a kind stand in the order of their values.
pub(crate) fn is_ordered_kind(kind: u64) -> bool {
    (1..=KIND_DATE).contains(&kind)
}

fn inline_number(kind: u64, number: i64) -> Option<Code> {
    let fits = (-INLINE_BIAS..INLINE_BIAS).contains(&number);
    fits.then(|| (kind << KIND_SHIFT) | (number + INLINE_BIAS) as u64)
}

fn number_of(code: Code) -> i64 {
    (code & PAYLOAD) as i64 - INLINE_BIAS
}

fn inline_decimal(decimal: Decimal) -> Option<Code> {
    let mantissa = i64::try_from(decimal.mantissa()).ok()?;
    let fits = (-MANTISSA_BIAS..MANTISSA_BIAS).contains(&mantissa);
    let payload =
        (u64::from(decimal.scale()) << MANTISSA_BITS) | mantissa.wrapping_add(MANTISSA_BIAS) as u64;
    (fits && decimal.scale() < 32).then_some((KIND_DECIMAL << KIND_SHIFT) | payload)
}

/// A decimal without zeros at its end. Most have none, which is found without dividing all of it.
#[inline]
fn normal(decimal: Decimal) -> Decimal {
    let is_normal = i64::try_from(decimal.mantissa()).is_ok_and(|mantissa| mantissa % 10 != 0);
    if is_normal { decimal } else { decimal.normalize() }
}

/// The code of a value that is written into its code.
pub(crate) fn inline(value: ValueRef<'_>) -> Option<Code> {
    match value {
        ValueRef::Null => Some(NULL),
        ValueRef::Bool(value) => Some(FALSE | u64::from(value)),
        ValueRef::Int(value) => inline_number(KIND_INT, value),
        ValueRef::Time(value) => inline_number(KIND_TIME, value),
        ValueRef::Duration(value) => inline_number(KIND_DURATION, value),
        ValueRef::Date(value) => inline_number(KIND_DATE, i64::from(value)),
        ValueRef::Decimal(value) => inline_decimal(normal(value)),
        ValueRef::Float(value) => value.is_nan().then_some(NULL),
        ValueRef::Text(_) | ValueRef::Bytes(_) | ValueRef::Id(_) | ValueRef::Period(..) => None,
        ValueRef::Value(value) => match value {
            Value::List(_) | Value::Set(_) | Value::Record(_) => None,
            scalar => inline(ValueRef::from(scalar)),
        },
    }
}

/// The values of a run that do not fit into codes, each once.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    values: Vec<Value>,
    table: HashTable<u32>,
    bytes: u64,
}

/// What an entry takes beside its text: the value, its count of references, its place.
const ENTRY_BYTES: u64 = 48;

impl Dictionary {
    /// The code of a value, which is kept if need be.
    pub(crate) fn encode(&mut self, value: ValueRef<'_>) -> Code {
        // Texts have no code of their own, and are as simple as they get.
        let value = if matches!(value, ValueRef::Text(_)) { value } else { simplest(value) };
        if let Some(code) = inline(value) {
            return code;
        }
        let hash = hash_of(value);
        let values = &self.values;
        let is_same = |place: &u32| values.get(*place as usize).is_some_and(|v| same(value, v));
        if let Some(place) = self.table.find(hash, is_same) {
            return place_code(*place);
        }
        let place = self.values.len() as u32;
        self.bytes += ENTRY_BYTES + own_bytes(value);
        self.values.push(value.to_value());
        let values = &self.values;
        let hash_at = |place: &u32| values.get(*place as usize).map_or(0, |v| hash_of(v.into()));
        self.table.insert_unique(hash, place, hash_at);
        place_code(place)
    }

    /// The code of a value, if it has one already.
    pub(crate) fn find(&self, value: ValueRef<'_>) -> Option<Code> {
        let value = simplest(value);
        inline(value).or_else(|| {
            let is_same =
                |place: &u32| self.values.get(*place as usize).is_some_and(|v| same(value, v));
            self.table.find(hash_of(value), is_same).map(|place| place_code(*place))
        })
    }

    /// The code of a value of its own.
    pub(crate) fn encode_value(&mut self, value: &Value) -> Code {
        self.encode(ValueRef::from(value))
    }

    /// The value of a code.
    pub(crate) fn value(&self, code: Code) -> Value {
        self.value_ref(code).to_value_shared()
    }

    /// The value of a code, borrowed.
    pub(crate) fn value_ref(&self, code: Code) -> Decoded<'_> {
        match kind_of(code) {
            KIND_PLACE => {
                let place = (code & PAYLOAD) as usize;
                self.values.get(place).map_or(Decoded::Scalar(Value::Null), Decoded::Kept)
            }
            1 => Decoded::Scalar(Value::Bool(code == TRUE)),
            KIND_INT => Decoded::Scalar(Value::Int(number_of(code))),
            KIND_TIME => Decoded::Scalar(Value::Time(number_of(code))),
            KIND_DURATION => Decoded::Scalar(Value::Duration(number_of(code))),
            KIND_DATE => Decoded::Scalar(Value::Date(number_of(code) as i32)),
            KIND_DECIMAL => {
                let payload = code & PAYLOAD;
                let mantissa = (payload & ((1 << MANTISSA_BITS) - 1)) as i64 - MANTISSA_BIAS;
                let scale = (payload >> MANTISSA_BITS) as u32;
                let decimal = Decimal::try_new(mantissa, scale);
                Decoded::Scalar(decimal.map(Value::Decimal).unwrap_or_default())
            }
            _ => Decoded::Scalar(Value::Null),
        }
    }

    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Compares codes as their values are ordered.
pub(crate) struct Order<'a> {
    dictionary: &'a Dictionary,
    /// The places of the dictionary in the order of their values, where there is much to compare.
    ranks: Vec<u32>,
}

impl<'a> Order<'a> {
    /// For about so many rows.
    pub(crate) fn new(dictionary: &'a Dictionary, rows: usize) -> Self {
        let values = &dictionary.values;
        if rows < values.len() / 4 {
            return Self { dictionary, ranks: Vec::new() };
        }
        let mut places: Vec<u32> = (0..values.len() as u32).collect();
        places.sort_unstable_by(|a, b| values.get(*a as usize).cmp(&values.get(*b as usize)));
        let mut ranks = vec![0; places.len()];
        for (rank, place) in places.into_iter().enumerate() {
            if let Some(held) = ranks.get_mut(place as usize) {
                *held = rank as u32;
            }
        }
        Self { dictionary, ranks }
    }

    #[inline]
    pub(crate) fn compare(&self, a: Code, b: Code) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let (kind, other) = (kind_of(a), kind_of(b));
        if kind == other && is_ordered_kind(kind) {
            return a.cmp(&b);
        }
        if kind == KIND_PLACE && other == KIND_PLACE && !self.ranks.is_empty() {
            let rank = |code: Code| self.ranks.get((code & PAYLOAD) as usize);
            return rank(a).cmp(&rank(b));
        }
        let (a, b) = (self.dictionary.value_ref(a), self.dictionary.value_ref(b));
        a.as_value().cmp(b.as_value())
    }
}

/// A value of a code: made from the code, or kept in the dictionary.
#[derive(Debug)]
pub(crate) enum Decoded<'a> {
    Scalar(Value),
    Kept(&'a Value),
}

impl Decoded<'_> {
    pub(crate) fn as_value(&self) -> &Value {
        match self {
            Self::Scalar(value) => value,
            Self::Kept(value) => value,
        }
    }

    fn to_value_shared(&self) -> Value {
        self.as_value().clone()
    }
}

fn place_code(place: u32) -> Code {
    (KIND_PLACE << KIND_SHIFT) | u64::from(place)
}

/// One form for one meaning, whatever the source said.
fn simplest(value: ValueRef<'_>) -> ValueRef<'_> {
    match value {
        ValueRef::Decimal(decimal) => ValueRef::Decimal(normal(decimal)),
        ValueRef::Float(float) => ValueRef::Float(float + 0.0),
        ValueRef::Value(value) => match ValueRef::from(value) {
            ValueRef::Value(value) => ValueRef::Value(value),
            scalar => simplest(scalar),
        },
        other => other,
    }
}

fn hash_of(value: ValueRef<'_>) -> u64 {
    let mut hasher = FxHasher::default();
    match value {
        ValueRef::Null => {}
        ValueRef::Bool(value) => value.hash(&mut hasher),
        ValueRef::Int(value) | ValueRef::Time(value) | ValueRef::Duration(value) => {
            value.hash(&mut hasher);
        }
        ValueRef::Decimal(value) => value.hash(&mut hasher),
        ValueRef::Float(value) => value.to_bits().hash(&mut hasher),
        ValueRef::Text(value) => value.hash(&mut hasher),
        ValueRef::Bytes(value) => value.hash(&mut hasher),
        ValueRef::Date(value) => value.hash(&mut hasher),
        ValueRef::Id(value) => value.hash(&mut hasher),
        ValueRef::Period(from, until) => (from, until).hash(&mut hasher),
        ValueRef::Value(value) => value.hash(&mut hasher),
    }
    hasher.finish()
}

fn same(a: ValueRef<'_>, b: &Value) -> bool {
    match (a, b) {
        (ValueRef::Text(a), Value::Text(b)) => a == b.as_ref(),
        (ValueRef::Bytes(a), Value::Bytes(b)) => a == b.as_ref(),
        (ValueRef::Text(_) | ValueRef::Bytes(_), _) | (_, Value::Text(_) | Value::Bytes(_)) => {
            false
        }
        (ValueRef::Value(a), b) => a == b,
        (a, b) => a.to_value() == *b,
    }
}

fn own_bytes(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Text(text) => text.len() as u64,
        ValueRef::Bytes(bytes) => bytes.len() as u64,
        ValueRef::Value(value) => value_bytes(value),
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Time(_)
        | ValueRef::Date(_)
        | ValueRef::Duration(_)
        | ValueRef::Id(_)
        | ValueRef::Period(..) => 0,
    }
}

/// What a list, set or record takes, as far as one level down: parts are counted where they are
/// made.
fn value_bytes(value: &Value) -> u64 {
    let part = |value: &Value| ENTRY_BYTES + value.as_text().map_or(0, |text| text.len() as u64);
    match value {
        Value::List(values) | Value::Set(values) => values.iter().map(part).sum(),
        Value::Record(fields) => fields.iter().map(|(_, value)| 16 + part(value)).sum(),
        scalar => part(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_leads_back_to_its_value_and_equal_values_have_one_code() {
        let mut dictionary = Dictionary::default();
        let decimal = |mantissa, scale| Value::decimal(Decimal::new(mantissa, scale));
        let values = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(0),
            Value::Int(-1),
            Value::Int(i64::MIN),
            Value::Int(i64::MAX),
            Value::Int(INLINE_BIAS - 1),
            Value::Int(INLINE_BIAS),
            Value::Time(-5),
            Value::Date(i32::MIN),
            Value::Duration(i64::MAX),
            decimal(125, 2),
            decimal(i64::MAX, 28),
            decimal(-MANTISSA_BIAS, 0),
            decimal(1, 0),
            Value::Float(1.5),
            Value::Float(f64::NEG_INFINITY),
            Value::text(""),
            Value::text("é"),
            Value::Bytes([1, 2].into()),
            Value::Period(None, Some(1)),
            Value::List([Value::Int(1)].into()),
            Value::Set([Value::Int(1)].into()),
        ];
        let codes: Vec<Code> = values.iter().map(|value| dictionary.encode_value(value)).collect();
        for (at, (value, code)) in values.iter().zip(&codes).enumerate() {
            assert_eq!(dictionary.value(*code), *value);
            assert_eq!(dictionary.encode_value(value), *code);
            assert_eq!(codes.iter().position(|other| other == code), Some(at), "{value}");
        }
        assert_eq!(dictionary.encode(ValueRef::Float(f64::NAN)), NULL);
        let trailing = ValueRef::Decimal(Decimal::new(1_250, 3));
        assert_eq!(dictionary.encode(trailing), dictionary.encode_value(&decimal(125, 2)));
    }
}
