//! Expressions: their types, and constants computed on the spot.

use std::sync::Arc;

use super::aggregate::variables;
use super::body::Scope;
use super::instance::{Checker, Typed};
use crate::data_type::{Column, DataType};
use crate::diagnostic::{Diagnostic, listed};
use crate::function::{Aggregate, Function};
use crate::literal;
use crate::plan::Expression;
use crate::span::Span;
use crate::syntax::{ExpressionKind, ExpressionSyntax, Name};
use crate::value::Value;

/// An expression with its type.
#[derive(Debug, Clone)]
pub(super) struct Typing {
    pub(super) expression: Expression,
    pub(super) typed: Typed,
    pub(super) span: Span,
}

impl Typing {
    /// Its type if it is known, without what a reference names.
    pub(super) fn base(&self) -> Option<&DataType> {
        self.typed.data_type.as_ref().map(DataType::base)
    }
}

/// A value as one of a type, where that loses nothing: whole numbers as decimals and floats, days
/// as their midnight (UTC), texts as ids. `None` if it is none; an absent value is one of each.
#[must_use]
pub fn fitting(value: &Value, data_type: &DataType) -> Option<Value> {
    let fits = match (value, data_type) {
        (Value::Null, _)
        | (Value::Bool(_), DataType::Bool)
        | (Value::Int(_), DataType::Int)
        | (Value::Decimal(_), DataType::Decimal)
        | (Value::Float(_), DataType::Float)
        | (Value::Text(_), DataType::Text | DataType::Ref(_))
        | (Value::Bytes(_), DataType::Bytes)
        | (Value::Time(_), DataType::Time)
        | (Value::Date(_), DataType::Date)
        | (Value::Duration(_), DataType::Duration)
        | (Value::Id(_), DataType::Id)
        | (Value::Period(..), DataType::Period)
        | (_, DataType::Json) => value.clone(),
        (Value::Int(int), DataType::Decimal) => Value::decimal((*int).into()),
        #[expect(clippy::cast_precision_loss, reason = "checked: the float is that number")]
        (Value::Int(int), DataType::Float) => {
            let float = *int as f64;
            (int.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS).then_some(Value::Float(float))?
        }
        (Value::Decimal(decimal), DataType::Float) => {
            Value::float(decimal.to_string().parse().ok()?)?
        }
        (Value::Date(days), DataType::Time) => {
            Value::Time(i64::from(*days).checked_mul(86_400_000_000)?)
        }
        (Value::Text(text), DataType::Id) => Value::Id(text.parse().ok()?),
        (Value::Text(text), DataType::Time) => match literal::date_of(text) {
            Some(days) => fitting(&Value::Date(days), data_type)?,
            None => Value::Time(literal::time_of(text)?),
        },
        (Value::Text(text), DataType::Date) => Value::Date(literal::date_of(text)?),
        (Value::List(values) | Value::Set(values), DataType::List(of) | DataType::Set(of)) => {
            let values: Option<Vec<Value>> =
                values.iter().map(|value| fitting(value, of)).collect();
            if matches!(data_type, DataType::Set(_)) {
                Value::set(values?)
            } else {
                Value::List(values?.into())
            }
        }
        _ => return None,
    };
    Some(fits)
}

/// The type of a value, and whether it is absent.
pub(super) fn type_of(value: &Value) -> Typed {
    let some = |data_type| Typed { data_type: Some(data_type), is_optional: false };
    let of_all = |values: &[Value]| {
        let mut types = values.iter().map(|value| type_of(value).data_type);
        let first = types.next().flatten().unwrap_or(DataType::Json);
        let is_same = types.all(|other| other.as_ref() == Some(&first));
        Arc::new(if is_same { first } else { DataType::Json })
    };
    match value {
        Value::Null => Typed { data_type: None, is_optional: true },
        Value::Bool(_) => some(DataType::Bool),
        Value::Int(_) => some(DataType::Int),
        Value::Decimal(_) => some(DataType::Decimal),
        Value::Float(_) => some(DataType::Float),
        Value::Text(_) => some(DataType::Text),
        Value::Bytes(_) => some(DataType::Bytes),
        Value::Time(_) => some(DataType::Time),
        Value::Date(_) => some(DataType::Date),
        Value::Duration(_) => some(DataType::Duration),
        Value::Id(_) => some(DataType::Id),
        Value::Period(..) => some(DataType::Period),
        Value::List(values) => some(DataType::List(of_all(values))),
        Value::Set(values) => some(DataType::Set(of_all(values))),
        Value::Record(_) => some(DataType::Json),
    }
}

impl Checker<'_> {
    /// A value that no row decides.
    pub(super) fn constant(&mut self, syntax: &ExpressionSyntax) -> Option<Value> {
        if let Some((name, span)) = variables(syntax).first() {
            self.tell(
                Diagnostic::error(*span, format!("`{name}` is not known before the rows are"))
                    .help("write a literal, a $parameter, now(), or something made of them"),
            );
            return None;
        }
        let typing = self.expression(&mut Scope::default(), syntax)?;
        match typing.expression {
            Expression::Value(value) => Some(value),
            Expression::Variable(_) | Expression::Call(..) => None,
        }
    }

    /// An expression over what is bound; `None` after a mistake was told.
    pub(super) fn expression(
        &mut self,
        scope: &mut Scope,
        syntax: &ExpressionSyntax,
    ) -> Option<Typing> {
        let span = syntax.span;
        match &syntax.kind {
            ExpressionKind::Value(value) => Some(constant(value.clone(), span)),
            ExpressionKind::Variable(name) => self.variable(scope, name, span),
            ExpressionKind::Parameter(name) => self.parameter(name, span),
            ExpressionKind::Call(name, arguments) => self.call(scope, name, arguments, span),
            ExpressionKind::Operator(function, operands) => {
                let operands = self.all(scope, operands)?;
                self.typed_call(*function, operands, span)
            }
            ExpressionKind::List(elements) => {
                let elements = self.all(scope, elements)?;
                self.list(elements, span)
            }
            ExpressionKind::Set(elements) => {
                let elements = self.all(scope, elements)?;
                self.set(elements, span)
            }
            ExpressionKind::Record(fields) => self.record(scope, fields, span),
            ExpressionKind::Anything => {
                self.tell(
                    Diagnostic::error(span, "`_` stands for anything in an atom, and nowhere else")
                        .help("give it a name"),
                );
                None
            }
        }
    }

    fn all(&mut self, scope: &mut Scope, parts: &[ExpressionSyntax]) -> Option<Vec<Typing>> {
        let found: Vec<Option<Typing>> =
            parts.iter().map(|part| self.expression(scope, part)).collect();
        found.into_iter().collect()
    }

    fn variable(&mut self, scope: &mut Scope, name: &Arc<str>, span: Span) -> Option<Typing> {
        if let Some(found) = scope.find(name, span) {
            let expression = Expression::Variable(found);
            return Some(Typing { expression, typed: scope.typed(found), span });
        }
        let is_told = !scope.unbound.insert(Arc::clone(name));
        if is_told || scope.is_incomplete || !self.is_listening() {
            return None;
        }
        let known = scope.known_names();
        let label = self.guesses.label(name, known.iter().map(AsRef::as_ref));
        let told = Diagnostic::error(span, format!("nothing binds `{name}`")).label(label);
        self.tell(if scope.is_of_columns {
            told.help("`having` and `order by` see the columns of the answer: add it to the head")
        } else {
            told.help(
                "an atom of the body must name it, or `=` must say what it is; text is quoted",
            )
        });
        None
    }

    fn parameter(&mut self, name: &Arc<str>, span: Span) -> Option<Typing> {
        if let Some(value) = self.context.parameters.get(name) {
            return Some(constant(value.clone(), span));
        }
        if !self.is_listening() {
            return None;
        }
        let known: Vec<String> =
            self.context.parameters.keys().map(|it| format!("${it}")).collect();
        let label = self.guesses.label(&format!("${name}"), known.iter().map(AsRef::as_ref));
        let help = if known.is_empty() {
            "no parameters are given".to_owned()
        } else {
            format!("given are {}", listed(known.iter().map(AsRef::as_ref)))
        };
        self.tell(
            Diagnostic::error(span, format!("the parameter `${name}` has no value"))
                .label(label)
                .help(help),
        );
        None
    }

    fn call(
        &mut self,
        scope: &mut Scope,
        name: &Name,
        arguments: &[ExpressionSyntax],
        span: Span,
    ) -> Option<Typing> {
        if name.text.as_ref() == "now" && arguments.is_empty() {
            return Some(constant(Value::Time(self.context.now), span));
        }
        if let Some(function) = Function::by_name(&name.text) {
            let arguments = self.all(scope, arguments)?;
            return self.typed_call(function, arguments, span);
        }
        let mistake = if Aggregate::by_name(&name.text).is_some() {
            Diagnostic::error(span, format!("`{}` takes all bindings, not one", name.text))
                .help("aggregates stand in heads; filter by their columns with `having`")
        } else {
            let functions = Function::NAMES.iter().map(|(name, _)| *name);
            let known = functions.chain(Aggregate::NAMES.iter().map(|(name, _)| *name));
            let label = self.guesses.label(&name.text, known.chain(["now"]));
            Diagnostic::error(name.span, format!("there is no function `{}`", name.text))
                .label(label)
        };
        self.tell(mistake);
        None
    }

    fn set(&mut self, elements: Vec<Typing>, span: Span) -> Option<Typing> {
        let list = self.list(elements, span)?;
        let Expression::Value(Value::List(values)) = list.expression else {
            self.tell(
                Diagnostic::error(span, "the elements of a set are known before the rows are")
                    .help("write a list, as in [a, b]; what rows say is collected by `union`"),
            );
            return None;
        };
        Some(constant(Value::set(values.to_vec()), span))
    }

    fn record(
        &mut self,
        scope: &mut Scope,
        fields: &[(Name, ExpressionSyntax)],
        span: Span,
    ) -> Option<Typing> {
        let mut arguments = Vec::new();
        let mut columns = Vec::new();
        for (name, value) in fields {
            let value = self.expression(scope, value)?;
            columns.push(Column {
                name: Arc::clone(&name.text),
                data_type: value.typed.data_type.unwrap_or(DataType::Json),
                is_optional: value.typed.is_optional,
            });
            arguments.push(Expression::Value(Value::Text(Arc::clone(&name.text))));
            arguments.push(value.expression);
        }
        let data_type = Some(DataType::Record(columns.into()));
        let typed = Typed { data_type, is_optional: false };
        self.folded(Function::Record, arguments, typed, span)
    }

    /// A call, computed if its arguments are values.
    pub(super) fn folded(
        &mut self,
        function: Function,
        arguments: Vec<Expression>,
        typed: Typed,
        span: Span,
    ) -> Option<Typing> {
        let values: Option<Vec<Value>> = arguments
            .iter()
            .map(|argument| match argument {
                Expression::Value(value) => Some(value.clone()),
                Expression::Variable(_) | Expression::Call(..) => None,
            })
            .collect();
        let Some(values) = values else {
            return Some(Typing {
                expression: Expression::Call(function, arguments, span),
                typed,
                span,
            });
        };
        match (self.context.evaluate)(function, &values) {
            Ok(value) => {
                let is_optional = value.is_null();
                let typed = Typed { is_optional, ..typed };
                Some(Typing { expression: Expression::Value(value), typed, span })
            }
            Err(message) => {
                self.tell(Diagnostic::error(span, message));
                None
            }
        }
    }

    /// An expression that is true or not.
    pub(super) fn as_condition(&mut self, typing: Typing) -> Option<Expression> {
        match typing.base() {
            None | Some(DataType::Bool) => Some(typing.expression),
            Some(DataType::Json) => {
                let span = typing.span;
                Some(Expression::Call(Function::ToBool, vec![typing.expression], span))
            }
            Some(other) => {
                let message = format!("a condition is true or false, and this is {other}");
                let help = "compare it with something, as in total > 100";
                self.tell(Diagnostic::error(typing.span, message).help(help));
                None
            }
        }
    }
}

pub(super) fn constant(value: Value, span: Span) -> Typing {
    let typed = type_of(&value);
    Typing { expression: Expression::Value(value), typed, span }
}
