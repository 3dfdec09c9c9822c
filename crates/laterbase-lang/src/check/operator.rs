//! What operators and functions of numbers, times and choices take and answer.

use super::call::common;
use super::expression::{Typing, fitting};
use super::instance::{Checker, Typed};
use crate::data_type::DataType;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::plan::Expression;
use crate::span::Span;
use crate::value::Value;

impl Checker<'_> {
    pub(super) fn comparison(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let [left, right] = <[Typing; 2]>::try_from(arguments).ok()?;
        for side in [&left, &right] {
            if matches!(side.expression, Expression::Value(Value::Null)) {
                self.tell(
                    Diagnostic::error(side.span, "nothing equals `null`, and nothing is less")
                        .help("write `is null` or `is not null`"),
                );
                return None;
            }
        }
        let (left, right) = self.comparable(left, right, span)?;
        let typed = Typed { data_type: Some(DataType::Bool), is_optional: false };
        self.folded(function, vec![left.expression, right.expression], typed, span)
    }

    /// Two values of one kind, or two numbers.
    fn comparable(&mut self, left: Typing, right: Typing, span: Span) -> Option<(Typing, Typing)> {
        let (Some(a), Some(b)) = (left.base().cloned(), right.base().cloned()) else {
            return Some((left, right));
        };
        let is_plain = |it: &DataType| {
            it.is_number() || matches!(it, DataType::Text | DataType::Bool | DataType::Json)
        };
        match (&a, &b) {
            _ if a == b || (a.is_number() && b.is_number()) => Some((left, right)),
            // Numbers, texts and truths are in JSON as they are.
            (DataType::Json, other) if is_plain(other) => Some((left, right)),
            (other, DataType::Json) if is_plain(other) => Some((left, right)),
            (DataType::Json, _) => Some((self.as_type(left, &b)?, right)),
            (_, DataType::Json) => {
                let right = self.as_type(right, &a)?;
                Some((left, right))
            }
            (DataType::List(x), DataType::List(y)) | (DataType::Set(x), DataType::Set(y))
                if common(x, y).is_some() =>
            {
                Some((left, right))
            }
            (DataType::Date, DataType::Time) => Some((self.as_type(left, &DataType::Time)?, right)),
            (DataType::Time, DataType::Date) => {
                let right = self.as_type(right, &DataType::Time)?;
                Some((left, right))
            }
            _ => {
                // A literal may be written as a text: an id, a time.
                if let Expression::Value(value) = &right.expression
                    && let Some(value) = fitting(value, &a)
                {
                    let right = super::expression::constant(value, right.span);
                    return Some((left, right));
                }
                if let Expression::Value(value) = &left.expression
                    && let Some(value) = fitting(value, &b)
                {
                    let left = super::expression::constant(value, left.span);
                    return Some((left, right));
                }
                self.tell(
                    Diagnostic::error(span, format!("{a} and {b} cannot be compared"))
                        .note(left.span, format!("this is {a}"))
                        .note(right.span, format!("this is {b}")),
                );
                None
            }
        }
    }

    pub(super) fn arithmetic(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let [left, right] = <[Typing; 2]>::try_from(arguments).ok()?;
        let is_optional = left.typed.is_optional || right.typed.is_optional;
        let (Some(a), Some(b)) = (left.base().cloned(), right.base().cloned()) else {
            let data_type = left.base().or(right.base()).filter(|it| it.is_number()).cloned();
            let typed = Typed { data_type, is_optional };
            let arguments = vec![left.expression, right.expression];
            return self.folded(function, arguments, typed, span);
        };
        // What JSON is read as beside the other one.
        let beside = |other: &DataType| {
            let is_any = matches!(other, DataType::Int | DataType::Json);
            if is_any { DataType::Decimal } else { other.clone() }
        };
        let left = if a == DataType::Json { self.as_type(left, &beside(&b))? } else { left };
        let right = if b == DataType::Json { self.as_type(right, &beside(&a))? } else { right };
        let is_optional = is_optional || left.typed.is_optional || right.typed.is_optional;
        let (a, b) = (left.base()?.clone(), right.base()?.clone());
        let made = match (function, &a, &b) {
            _ if a.is_number() && b.is_number() => common(&a, &b)?,
            (Function::Add, DataType::Time, DataType::Duration)
            | (Function::Add, DataType::Duration, DataType::Time)
            | (Function::Subtract, DataType::Time, DataType::Duration) => DataType::Time,
            (Function::Add, DataType::Date, DataType::Duration)
            | (Function::Add, DataType::Duration, DataType::Date)
            | (Function::Subtract, DataType::Date, DataType::Duration) => DataType::Date,
            (Function::Subtract, DataType::Time, DataType::Time)
            | (Function::Subtract, DataType::Date, DataType::Date)
            | (Function::Add | Function::Subtract, DataType::Duration, DataType::Duration)
            | (Function::Multiply, DataType::Duration, DataType::Int)
            | (Function::Multiply, DataType::Int, DataType::Duration)
            | (Function::Divide, DataType::Duration, DataType::Int)
            | (Function::Remainder, DataType::Duration, DataType::Duration) => DataType::Duration,
            (Function::Divide, DataType::Duration, DataType::Duration) => DataType::Decimal,
            (Function::Subtract, DataType::Time, DataType::Date)
            | (Function::Subtract, DataType::Date, DataType::Time) => {
                let left = self.as_type(left, &DataType::Time)?;
                let right = self.as_type(right, &DataType::Time)?;
                let typed = Typed { data_type: Some(DataType::Duration), is_optional };
                let arguments = vec![left.expression, right.expression];
                return self.folded(function, arguments, typed, span);
            }
            _ => {
                let help = (function == Function::Add && a == DataType::Text)
                    .then(|| "texts are joined with `++`".to_owned());
                let mut told = Diagnostic::error(
                    span,
                    format!("`{}` is not defined for {a} and {b}", function.name()),
                )
                .note(left.span, format!("this is {a}"))
                .note(right.span, format!("this is {b}"));
                told.help = help;
                self.tell(told);
                return None;
            }
        };
        let (left, right) = if made.is_number() && a.is_number() {
            let left = self.as_type(left, &made)?;
            (left, self.as_type(right, &made)?)
        } else {
            (left, right)
        };
        let typed = Typed { data_type: Some(made), is_optional };
        self.folded(function, vec![left.expression, right.expression], typed, span)
    }

    /// One of two values.
    pub(super) fn choice(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let [left, right] = <[Typing; 2]>::try_from(arguments).ok()?;
        let is_optional =
            right.typed.is_optional && (function == Function::Otherwise || left.typed.is_optional);
        let (left, right, data_type) = self.same(left, right, span)?;
        let typed = Typed { data_type, is_optional };
        self.folded(function, vec![left.expression, right.expression], typed, span)
    }

    pub(super) fn if_call(&mut self, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let [condition, left, right] = <[Typing; 3]>::try_from(arguments).ok()?;
        let condition = self.as_condition(condition)?;
        let is_optional = left.typed.is_optional || right.typed.is_optional;
        let (left, right, data_type) = self.same(left, right, span)?;
        let typed = Typed { data_type, is_optional };
        let arguments = vec![condition, left.expression, right.expression];
        self.folded(Function::If, arguments, typed, span)
    }

    /// Two values of one type.
    pub(super) fn same(
        &mut self,
        left: Typing,
        right: Typing,
        span: Span,
    ) -> Option<(Typing, Typing, Option<DataType>)> {
        let (Some(a), Some(b)) = (&left.typed.data_type, &right.typed.data_type) else {
            let data_type = left.typed.data_type.clone().or(right.typed.data_type.clone());
            return Some((left, right, data_type));
        };
        let Some(both) = common(a, b) else {
            self.tell(
                Diagnostic::error(span, format!("this is {a} or {b}, and must be one of them"))
                    .note(left.span, format!("this is {a}"))
                    .note(right.span, format!("this is {b}")),
            );
            return None;
        };
        let left = self.as_type(left, &both)?;
        let right = self.as_type(right, &both)?;
        Some((left, right, Some(both)))
    }

    pub(super) fn number_call(
        &mut self,
        function: Function,
        mut arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let digits = (arguments.len() > 1).then(|| arguments.pop()).flatten();
        let number = arguments.pop()?;
        let is_span = matches!(function, Function::Negate | Function::Abs);
        let number = match number.base() {
            Some(DataType::Json) => self.as_type(number, &DataType::Decimal)?,
            None => number,
            Some(found) if found.is_number() => number,
            Some(DataType::Duration) if is_span => number,
            Some(found) => {
                let message = format!("`{}` takes a number, not {found}", function.name());
                self.tell(Diagnostic::error(number.span, message));
                return None;
            }
        };
        let typed = number.typed.clone();
        let mut arguments = vec![number.expression];
        if function == Function::Round {
            let digits = match digits {
                Some(digits) => self.as_type(digits, &DataType::Int)?.expression,
                None => Expression::Value(Value::Int(0)),
            };
            arguments.push(digits);
        }
        self.folded(function, arguments, typed, span)
    }
}
