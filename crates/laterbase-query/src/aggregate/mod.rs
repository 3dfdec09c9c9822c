//! Aggregates: functions of all bindings of a group, in the one place that says what they compute.
//!
//! Invariants: the result does not depend on the order of bindings (sums of floats are exact before
//! they are rounded once); what cannot be computed is found at the end.
//!
//! Where the language leaves it open: absent values are left out of every aggregate but `count()`,
//! `every` and `some` (for which they are not true), and `first`, `last`, `arg_min` and `arg_max`,
//! which leave out bindings whose second argument is absent. Of several bindings with one such
//! argument `first` and `arg_min` answer the smallest value, `last` and `arg_max` the greatest.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a function says of any other kind of value, it says of new kinds too"
)]

mod exact_sum;
mod sum;

use std::collections::BTreeSet;

use laterbase_lang::{Aggregate, DataType, Value};

use self::sum::Sum;
use crate::error::MistakeKind;

/// An aggregate on its way through the bindings of a group.
#[derive(Debug, Clone)]
pub struct Fold {
    state: State,
    bytes: u64,
}

#[derive(Debug, Clone)]
enum State {
    Count(i64),
    Distinct(BTreeSet<Value>),
    Sum(Sum, DataType),
    Average(Sum),
    Lattice(Aggregate, Option<Value>),
    /// The value and what it stands at; whether the greatest is wanted.
    Extreme(Option<(Value, Value)>, bool),
    Collect(BTreeSet<Value>),
    CollectBy(Vec<(Value, Value)>),
}

impl Fold {
    /// Of no bindings yet. `data_type` is that of the result, `argument_count` tells forms apart.
    #[must_use]
    pub fn new(aggregate: &Aggregate, data_type: &DataType, argument_count: usize) -> Self {
        let state = match aggregate {
            Aggregate::Count => State::Count(0),
            Aggregate::CountDistinct => State::Distinct(BTreeSet::new()),
            Aggregate::Sum => State::Sum(Sum::default(), data_type.clone()),
            Aggregate::Average => State::Average(Sum::default()),
            Aggregate::Min
            | Aggregate::Max
            | Aggregate::Union
            | Aggregate::Every
            | Aggregate::Some => State::Lattice(aggregate.clone(), None),
            Aggregate::First | Aggregate::ArgMin => State::Extreme(None, false),
            Aggregate::Last | Aggregate::ArgMax => State::Extreme(None, true),
            Aggregate::Collect if argument_count < 2 => State::Collect(BTreeSet::new()),
            Aggregate::Collect => State::CollectBy(Vec::new()),
        };
        Self { state, bytes: 0 }
    }

    /// Takes one binding's arguments.
    pub fn add(&mut self, arguments: &[Value]) {
        let first = arguments.first();
        let present = first.filter(|value| !value.is_null());
        let second = arguments.get(1);
        match &mut self.state {
            State::Count(count) => {
                *count += i64::from(first.is_none() || present.is_some());
            }
            State::Distinct(values) | State::Collect(values) => {
                if let Some(value) = present.filter(|value| !values.contains(value)) {
                    self.bytes += VALUE_BYTES;
                    values.insert(value.clone());
                }
            }
            State::Sum(sum, _) | State::Average(sum) => {
                if let Some(value) = present {
                    sum.add(value);
                }
            }
            State::Lattice(aggregate, held) => {
                let one = contribution(aggregate, first.unwrap_or(&Value::Null));
                *held = Some(match held.take() {
                    Some(held) => merge(aggregate, &held, &one).unwrap_or(held),
                    None => one,
                });
            }
            State::Extreme(held, is_greatest) => {
                let by = second.filter(|by| !by.is_null());
                if let (Some(value), Some(by)) = (first, by) {
                    let better = held.as_ref().is_none_or(|held| {
                        let ordering = by.cmp(&held.1).then_with(|| value.cmp(&held.0));
                        if *is_greatest { ordering.is_gt() } else { ordering.is_lt() }
                    });
                    if better {
                        *held = Some((value.clone(), by.clone()));
                    }
                }
            }
            State::CollectBy(pairs) => {
                if let Some(value) = present {
                    self.bytes += 2 * VALUE_BYTES;
                    pairs.push((second.cloned().unwrap_or_default(), value.clone()));
                }
            }
        }
    }

    /// About how many bytes it holds beyond its own size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The result.
    ///
    /// # Errors
    ///
    /// A sum that its type cannot hold.
    pub fn finish(self) -> Result<Value, MistakeKind> {
        match self.state {
            State::Count(count) => Ok(Value::Int(count)),
            State::Distinct(values) => {
                i64::try_from(values.len()).map(Value::Int).map_err(|_| MistakeKind::OutOfRange)
            }
            State::Sum(sum, data_type) => sum.total(&data_type),
            State::Average(sum) => sum.average(),
            State::Lattice(aggregate, held) => Ok(match held {
                Some(held) => held,
                None => contribution_of_none(&aggregate),
            }),
            State::Extreme(held, _) => Ok(held.map(|(value, _)| value).unwrap_or_default()),
            State::Collect(values) => Ok(Value::List(values.into_iter().collect())),
            State::CollectBy(mut pairs) => {
                pairs.sort();
                Ok(Value::List(pairs.into_iter().map(|(_, value)| value).collect()))
            }
        }
    }
}

/// What a value in a list or a set takes, about.
const VALUE_BYTES: u64 = 64;

fn contribution_of_none(aggregate: &Aggregate) -> Value {
    match aggregate {
        Aggregate::Union => Value::Set([].into()),
        Aggregate::Every => Value::Bool(true),
        Aggregate::Some => Value::Bool(false),
        Aggregate::Min
        | Aggregate::Max
        | Aggregate::Count
        | Aggregate::CountDistinct
        | Aggregate::Sum
        | Aggregate::Average
        | Aggregate::First
        | Aggregate::Last
        | Aggregate::ArgMin
        | Aggregate::ArgMax
        | Aggregate::Collect => Value::Null,
    }
}

/// What one binding's value is worth to a lattice aggregate: a boolean for `every` and `some`, a
/// set for `union`, the value itself for `min` and `max`.
#[must_use]
pub fn contribution(aggregate: &Aggregate, value: &Value) -> Value {
    match aggregate {
        Aggregate::Every | Aggregate::Some => Value::Bool(*value == Value::Bool(true)),
        Aggregate::Union => match value {
            Value::Set(_) => value.clone(),
            Value::List(values) => Value::set(values.to_vec()),
            _ => Value::Set([].into()),
        },
        Aggregate::Min
        | Aggregate::Max
        | Aggregate::Count
        | Aggregate::CountDistinct
        | Aggregate::Sum
        | Aggregate::Average
        | Aggregate::First
        | Aggregate::Last
        | Aggregate::ArgMin
        | Aggregate::ArgMax
        | Aggregate::Collect => value.clone(),
    }
}

/// What two values, each a [`contribution`], are together for an aggregate that is a lattice;
/// `None` if the first is what they are, or if the aggregate is no lattice.
#[must_use]
pub fn merge(aggregate: &Aggregate, held: &Value, other: &Value) -> Option<Value> {
    let changed = match aggregate {
        Aggregate::Min => !other.is_null() && (held.is_null() || other < held),
        Aggregate::Max => !other.is_null() && (held.is_null() || other > held),
        Aggregate::Every => *other == Value::Bool(false) && *held != *other,
        Aggregate::Some => *other == Value::Bool(true) && *held != *other,
        Aggregate::Union => return union(held, other),
        Aggregate::Count
        | Aggregate::CountDistinct
        | Aggregate::Sum
        | Aggregate::Average
        | Aggregate::First
        | Aggregate::Last
        | Aggregate::ArgMin
        | Aggregate::ArgMax
        | Aggregate::Collect => false,
    };
    changed.then(|| other.clone())
}

fn union(held: &Value, other: &Value) -> Option<Value> {
    let (Value::Set(a), Value::Set(b)) = (held, other) else { return None };
    if b.iter().all(|value| a.binary_search(value).is_ok()) {
        return None;
    }
    Some(Value::set(a.iter().chain(b.iter()).cloned().collect()))
}

#[cfg(test)]
mod tests;
