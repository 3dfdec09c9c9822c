//! Valid times of an atom, once the variables in them are bound.
//!
//! Where the language leaves it open: at an absent time, or at a value that is no time, nothing is
//! so; an absent end leaves a range open; a range that ends before it begins holds nothing.

use laterbase_lang::Value;
use laterbase_lang::plan::{Operand, Valid, VariableId};

use crate::data::ValidTime;

/// The times; `None` if there can be no rows.
pub(crate) fn resolve(
    valid: &Valid,
    value: &mut dyn FnMut(VariableId) -> Value,
) -> Option<ValidTime> {
    let mut read = |operand: &Operand| match operand {
        Operand::Value(value) => value.clone(),
        Operand::Variable(variable) => value(*variable),
    };
    match valid {
        Valid::Any => Some(ValidTime::Any),
        Valid::At(at) => {
            let Value::Time(at) = read(at) else { return None };
            Some(ValidTime::At(at))
        }
        Valid::In { from, until } => {
            let mut end = |operand: &Option<Operand>| match operand.as_ref().map(&mut read) {
                None | Some(Value::Null) => Some(None),
                Some(Value::Time(time)) => Some(Some(time)),
                Some(_) => None,
            };
            let (from, until) = (end(from)?, end(until)?);
            let is_empty = from.zip(until).is_some_and(|(from, until)| from >= until);
            (!is_empty).then_some(ValidTime::In(from, until))
        }
    }
}

/// The variables in valid times.
pub(crate) fn variables(valid: &Valid) -> impl Iterator<Item = VariableId> {
    let operands = match valid {
        Valid::Any => [None, None],
        Valid::At(at) => [Some(at), None],
        Valid::In { from, until } => [from.as_ref(), until.as_ref()],
    };
    operands.into_iter().flatten().filter_map(|operand| match operand {
        Operand::Variable(variable) => Some(*variable),
        Operand::Value(_) => None,
    })
}
