//! Comparisons, and what depends on them alone.

use std::cmp::Ordering;

use laterbase_lang::{Function, Value};

use super::Computed;
use crate::error::MistakeKind;

/// How two values compare in a question: numbers by what they say, others with their own kind;
/// `None` for values of two kinds, and for absent ones.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    if let Some(ordering) = a.compare_numbers(b) {
        return Some(ordering);
    }
    let is_same_kind = std::mem::discriminant(a) == std::mem::discriminant(b);
    (is_same_kind && !a.is_null()).then(|| a.cmp(b))
}

/// Whether two values are equal in a question; an absent one equals nothing.
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    compare(a, b) == Some(Ordering::Equal)
}

pub(super) fn compute(function: Function, arguments: &[Value]) -> Computed {
    use Function as F;
    if let [a] = arguments {
        return match (function, a) {
            (F::IsNull, _) => Ok(Value::Bool(a.is_null())),
            (F::Not, Value::Null) => Ok(Value::Bool(true)),
            (F::Not, Value::Bool(value)) => Ok(Value::Bool(!value)),
            (F::Not, _) => Ok(Value::Null),
            _ => Err(MistakeKind::Arguments),
        };
    }
    let [a, b] = arguments else { return Err(MistakeKind::Arguments) };
    let is_ordered = |test: fn(Ordering) -> bool| Value::Bool(compare(a, b).is_some_and(test));
    Ok(match function {
        F::Equal => Value::Bool(equal(a, b)),
        F::NotEqual if a.is_null() && b.is_null() => Value::Bool(false),
        F::NotEqual => Value::Bool(!equal(a, b)),
        F::Less => is_ordered(Ordering::is_lt),
        F::LessOrEqual => is_ordered(Ordering::is_le),
        F::Greater => is_ordered(Ordering::is_gt),
        F::GreaterOrEqual => is_ordered(Ordering::is_ge),
        F::Least | F::Greatest if a.is_null() => b.clone(),
        F::Least | F::Greatest if b.is_null() => a.clone(),
        F::Least => a.min(b).clone(),
        F::Greatest => a.max(b).clone(),
        _ => return Err(MistakeKind::Arguments),
    })
}

/// Functions that need not look at all of their arguments, where all are known.
pub(super) fn choose(function: Function, arguments: &[Value]) -> Computed {
    let is = |value: &Value, wanted: bool| *value == Value::Bool(wanted);
    match (function, arguments) {
        (Function::And, [a, b]) if is(a, false) || is(b, false) => Ok(Value::Bool(false)),
        (Function::And, [a, b]) if is(a, true) && is(b, true) => Ok(Value::Bool(true)),
        (Function::Or, [a, b]) if is(a, true) || is(b, true) => Ok(Value::Bool(true)),
        (Function::Or, [a, b]) if is(a, false) && is(b, false) => Ok(Value::Bool(false)),
        (Function::And | Function::Or, [_, _]) => Ok(Value::Null),
        (Function::Otherwise, [a, b]) => Ok(if a.is_null() { b.clone() } else { a.clone() }),
        (Function::If, [c, a, b]) => Ok(if is(c, true) { a.clone() } else { b.clone() }),
        _ => Err(MistakeKind::Arguments),
    }
}
