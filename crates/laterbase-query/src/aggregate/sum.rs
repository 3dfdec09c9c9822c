//! Sums and averages of numbers and durations.

use laterbase_lang::{DataType, Decimal, Value};
use rust_decimal::prelude::{FromPrimitive as _, ToPrimitive as _};

use super::exact_sum::ExactSum;
use crate::error::MistakeKind;

/// Numbers and durations, each kind by itself until the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    count: u64,
    ints: i128,
    durations: i128,
    has_durations: bool,
    /// `None` once it was too large.
    decimals: Option<Option<Decimal>>,
    floats: Option<ExactSum>,
}

impl Sum {
    /// Anything that is neither a number nor a duration is left out.
    pub(super) fn add(&mut self, value: &Value) {
        match value {
            Value::Int(value) => self.ints = self.ints.saturating_add(i128::from(*value)),
            Value::Duration(value) => {
                self.has_durations = true;
                self.durations = self.durations.saturating_add(i128::from(*value));
            }
            Value::Decimal(value) => {
                let held = self.decimals.unwrap_or(Some(Decimal::ZERO));
                self.decimals = Some(held.and_then(|held| held.checked_add(*value)));
            }
            Value::Float(value) => self.floats.get_or_insert_default().add(*value),
            Value::Null
            | Value::Bool(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Time(_)
            | Value::Date(_)
            | Value::Id(_)
            | Value::Period(..)
            | Value::List(_)
            | Value::Set(_)
            | Value::Record(_) => return,
        }
        self.count += 1;
    }

    pub(super) fn total(self, data_type: &DataType) -> Result<Value, MistakeKind> {
        let out_of_range = MistakeKind::OutOfRange;
        if self.count == 0 {
            return Ok(zero(data_type));
        }
        if self.has_durations {
            return i64::try_from(self.durations).map(Value::Duration).map_err(|_| out_of_range);
        }
        if self.floats.is_some() {
            return Value::float(self.float()?).ok_or(out_of_range);
        }
        if self.decimals.is_some() {
            return Ok(Value::decimal(self.decimal()?));
        }
        i64::try_from(self.ints).map(Value::Int).map_err(|_| out_of_range)
    }

    pub(super) fn average(self) -> Result<Value, MistakeKind> {
        let out_of_range = MistakeKind::OutOfRange;
        if self.count == 0 {
            return Ok(Value::Null);
        }
        if self.has_durations {
            let average = self.durations / i128::from(self.count);
            return i64::try_from(average).map(Value::Duration).map_err(|_| out_of_range);
        }
        if self.floats.is_some() {
            let count = self.count.to_f64().unwrap_or(f64::INFINITY);
            return Value::float(self.float()? / count).ok_or(out_of_range);
        }
        let average = self.decimal()?.checked_div(Decimal::from(self.count));
        average.map(Value::decimal).ok_or(out_of_range)
    }

    fn decimal(&self) -> Result<Decimal, MistakeKind> {
        let ints = Decimal::from_i128(self.ints);
        let decimals = self.decimals.unwrap_or(Some(Decimal::ZERO));
        let sum = ints.zip(decimals).and_then(|(a, b)| a.checked_add(b));
        sum.ok_or(MistakeKind::OutOfRange)
    }

    fn float(&self) -> Result<f64, MistakeKind> {
        let mut floats = self.floats.clone().unwrap_or_default();
        floats.add(self.decimal()?.to_f64().unwrap_or_default());
        let sum = floats.rounded();
        if sum.is_nan() { Err(MistakeKind::OutOfRange) } else { Ok(sum) }
    }
}

/// The sum of nothing.
fn zero(data_type: &DataType) -> Value {
    match data_type {
        DataType::Decimal => Value::Decimal(Decimal::ZERO),
        DataType::Float => Value::Float(0.0),
        DataType::Duration => Value::Duration(0),
        DataType::Int
        | DataType::Json
        | DataType::Bool
        | DataType::Text
        | DataType::Bytes
        | DataType::Time
        | DataType::Date
        | DataType::Id
        | DataType::Ref(_)
        | DataType::List(_)
        | DataType::Set(_)
        | DataType::Period
        | DataType::Record(_) => Value::Int(0),
    }
}
