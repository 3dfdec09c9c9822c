//! Functions of the values of one binding: the one place that says what they compute.
//!
//! ```text
//!   Expression ─▶ evaluate ─▶ and, or, ??, if: only what is needed
//!                          └▶ call ─▶ compare · number · text · time · collection · convert
//! ```
//! Invariants: a result depends on the values alone; values of a kind that a function does not take
//! (as JSON may hold them) make it absent; what cannot be computed is a [`Mistake`] with its span.
//!
//! Where the language leaves it open: `and` and `or` are three-valued (false and absent is false);
//! `if` of an absent condition is its second branch.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a function says of any other kind of value, it says of new kinds too"
)]

mod collection;
mod compare;
mod convert;
mod number;
mod pattern;
mod text;
mod time;

use std::cell::RefCell;

use laterbase_lang::plan::{Expression, VariableId};
use laterbase_lang::{Function, Span, Value};

pub use self::compare::{compare, equal};
use self::pattern::Patterns;
use crate::error::{Mistake, MistakeKind};

/// Bytes of a text, or elements of a list, at most.
pub const LENGTH_MAX: usize = 16 << 20;

/// The values of variables.
pub trait Binding {
    /// The value of a variable; absent if it has none.
    fn value(&self, variable: VariableId) -> Value;
}

impl<F: Fn(VariableId) -> Value> Binding for F {
    fn value(&self, variable: VariableId) -> Value {
        self(variable)
    }
}

/// Computes expressions, and keeps the regular expressions that it has read.
#[derive(Debug, Default)]
pub struct Scalars {
    patterns: RefCell<Patterns>,
}

type Computed = Result<Value, MistakeKind>;

impl Scalars {
    /// The value of an expression.
    ///
    /// # Errors
    ///
    /// A value that cannot be computed.
    pub fn evaluate(
        &self,
        expression: &Expression,
        binding: &dyn Binding,
    ) -> Result<Value, Mistake> {
        match expression {
            Expression::Value(value) => Ok(value.clone()),
            Expression::Variable(variable) => Ok(binding.value(*variable)),
            Expression::Call(function, arguments, span) => {
                self.evaluate_call(*function, arguments, *span, binding)
            }
        }
    }

    /// Whether an expression is true.
    ///
    /// # Errors
    ///
    /// A value that cannot be computed.
    pub fn holds(&self, expression: &Expression, binding: &dyn Binding) -> Result<bool, Mistake> {
        Ok(matches!(self.evaluate(expression, binding)?, Value::Bool(true)))
    }

    fn evaluate_call(
        &self,
        function: Function,
        arguments: &[Expression],
        span: Span,
        binding: &dyn Binding,
    ) -> Result<Value, Mistake> {
        let wrong = Mistake { kind: MistakeKind::Arguments, function, span };
        match (function, arguments) {
            (Function::And, [a, b]) => self.evaluate_short(a, b, false, binding),
            (Function::Or, [a, b]) => self.evaluate_short(a, b, true, binding),
            (Function::Otherwise, [a, b]) => {
                let first = self.evaluate(a, binding)?;
                if first.is_null() { self.evaluate(b, binding) } else { Ok(first) }
            }
            (Function::If, [condition, a, b]) => {
                let chosen = if self.holds(condition, binding)? { a } else { b };
                self.evaluate(chosen, binding)
            }
            (Function::And | Function::Or | Function::Otherwise | Function::If, _) => Err(wrong),
            (_, []) => self.call(function, &[], span),
            (_, [a]) => self.call(function, &[self.evaluate(a, binding)?], span),
            (_, [a, b]) => {
                let values = [self.evaluate(a, binding)?, self.evaluate(b, binding)?];
                self.call(function, &values, span)
            }
            (_, many) => {
                let values: Result<Vec<Value>, Mistake> =
                    many.iter().map(|one| self.evaluate(one, binding)).collect();
                self.call(function, &values?, span)
            }
        }
    }

    /// `and` and `or`, where `decisive` is what makes the second not matter.
    fn evaluate_short(
        &self,
        a: &Expression,
        b: &Expression,
        decisive: bool,
        binding: &dyn Binding,
    ) -> Result<Value, Mistake> {
        let first = self.evaluate(a, binding)?;
        if first == Value::Bool(decisive) {
            return Ok(first);
        }
        let second = self.evaluate(b, binding)?;
        Ok(match (first, second) {
            (_, Value::Bool(second)) if second == decisive => Value::Bool(decisive),
            (Value::Bool(_), Value::Bool(second)) => Value::Bool(second),
            _ => Value::Null,
        })
    }

    /// The value of a function that looks at all of its arguments.
    ///
    /// # Errors
    ///
    /// A value that cannot be computed.
    pub fn call(
        &self,
        function: Function,
        arguments: &[Value],
        span: Span,
    ) -> Result<Value, Mistake> {
        let computed = if takes_absent(function) || !arguments.iter().any(Value::is_null) {
            self.compute(function, arguments)
        } else {
            Ok(Value::Null)
        };
        computed.map_err(|kind| Mistake { kind, function, span })
    }

    fn compute(&self, function: Function, arguments: &[Value]) -> Computed {
        use Function as F;
        match function {
            F::Add | F::Subtract | F::Multiply | F::Divide | F::Remainder | F::Negate => {
                number::arithmetic(function, arguments)
            }
            F::Equal
            | F::NotEqual
            | F::Less
            | F::LessOrEqual
            | F::Greater
            | F::GreaterOrEqual
            | F::Not
            | F::IsNull
            | F::Least
            | F::Greatest => compare::compute(function, arguments),
            // Looked at in part, so computed where they are evaluated; here for callers that have
            // all values already.
            F::And | F::Or | F::Otherwise | F::If => compare::choose(function, arguments),
            F::Abs | F::Floor | F::Ceil | F::Round => number::shape(function, arguments),
            F::Concatenate
            | F::In
            | F::Field
            | F::Element
            | F::Length
            | F::Contains
            | F::Slice
            | F::List
            | F::Record => collection::compute(function, arguments),
            F::Lower
            | F::Upper
            | F::Trim
            | F::StartsWith
            | F::EndsWith
            | F::Replace
            | F::Split
            | F::Join => text::compute(function, arguments),
            F::Matches => match arguments {
                [Value::Text(text), Value::Text(pattern)] => {
                    self.patterns.borrow_mut().matches(pattern, text).map(Value::Bool)
                }
                [_, _] => Ok(Value::Null),
                _ => Err(MistakeKind::Arguments),
            },
            F::ToInt
            | F::ToDecimal
            | F::ToFloat
            | F::ToText
            | F::ToBool
            | F::ToTime
            | F::ToDate
            | F::ToDuration
            | F::ToId
            | F::ToJson => convert::compute(function, arguments),
            F::PeriodFrom
            | F::PeriodUntil
            | F::Period
            | F::Overlaps
            | F::Intersect
            | F::Truncate
            | F::Part
            | F::Seconds => time::compute(function, arguments),
        }
    }
}

/// Whether a function of an absent value may be something else than absent.
fn takes_absent(function: Function) -> bool {
    matches!(
        function,
        Function::Equal
            | Function::NotEqual
            | Function::Less
            | Function::LessOrEqual
            | Function::Greater
            | Function::GreaterOrEqual
            | Function::In
            | Function::And
            | Function::Or
            | Function::Not
            | Function::IsNull
            | Function::Otherwise
            | Function::If
            | Function::Least
            | Function::Greatest
            | Function::Period
            | Function::List
            | Function::Record
    )
}

#[cfg(test)]
mod tests;
