//! What functions of texts, lists, sets, periods and JSON take and answer.

use std::sync::Arc;

use super::call::common;
use super::expression::Typing;
use super::instance::{Checker, Typed};
use crate::data_type::DataType;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::plan::Expression;
use crate::span::Span;
use crate::value::Value;

impl Checker<'_> {
    /// `a in b`.
    pub(super) fn in_call(&mut self, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let [first, second] = <[Typing; 2]>::try_from(arguments).ok()?;
        let of = match second.base() {
            None => None,
            Some(DataType::Period) => Some(DataType::Time),
            Some(whole) => match whole.element() {
                Some(of) => Some(of.as_ref().clone()).filter(|of| *of != DataType::Json),
                None => {
                    self.tell(
                        Diagnostic::error(second.span, "`in` wants a list, a set or a period")
                            .help("a range of values is said by comparisons: 1 <= x, x < 5"),
                    );
                    return None;
                }
            },
        };
        let first = match of {
            Some(of) => self.as_type(first, &of)?,
            None => first,
        };
        self.folded(Function::In, vec![first.expression, second.expression], truth(), span)
    }

    pub(super) fn contains_call(&mut self, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let [first, second] = <[Typing; 2]>::try_from(arguments).ok()?;
        let wanted = match first.base() {
            Some(DataType::Text) => Some(DataType::Text),
            Some(DataType::List(of) | DataType::Set(of)) => Some(of.as_ref().clone()),
            Some(_) | None => None,
        };
        let second = match wanted {
            Some(wanted) => self.as_type(second, &wanted)?,
            None => second,
        };
        let is_optional = first.typed.is_optional || second.typed.is_optional;
        let typed = Typed { is_optional, ..truth() };
        self.folded(Function::Contains, vec![first.expression, second.expression], typed, span)
    }

    /// `a[i]`.
    pub(super) fn element_call(&mut self, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let [first, second] = <[Typing; 2]>::try_from(arguments).ok()?;
        let data_type = match first.base() {
            Some(DataType::List(of)) => Some(of.as_ref().clone()),
            Some(DataType::Json) => Some(DataType::Json),
            None => None,
            Some(other) => {
                let message = format!("`[…]` takes a list or JSON, not {other}");
                let help = "elements of a set are taken one by one: x in tags";
                self.tell(Diagnostic::error(first.span, message).help(help));
                return None;
            }
        };
        let typed = Typed { data_type, is_optional: true };
        self.folded(Function::Element, vec![first.expression, second.expression], typed, span)
    }

    /// `a ++ b`.
    pub(super) fn concatenate_call(
        &mut self,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let [first, second] = <[Typing; 2]>::try_from(arguments).ok()?;
        let is_optional = first.typed.is_optional || second.typed.is_optional;
        let (mut first, mut second, mut data_type) = self.same(first, second, span)?;
        if data_type == Some(DataType::Json) {
            first = self.as_type(first, &DataType::Text)?;
            second = self.as_type(second, &DataType::Text)?;
            data_type = Some(DataType::Text);
        }
        let fits = matches!(
            data_type.as_ref().map(DataType::base),
            None | Some(DataType::Text | DataType::Bytes | DataType::List(_))
        );
        if !fits {
            let help = "convert what is no text with text(…)";
            let message = "`++` joins texts, bytes or lists";
            self.tell(Diagnostic::error(span, message).help(help));
            return None;
        }
        let typed = Typed { data_type, is_optional };
        self.folded(Function::Concatenate, vec![first.expression, second.expression], typed, span)
    }

    pub(super) fn slice_call(&mut self, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let mut arguments = arguments.into_iter();
        let first = arguments.next()?;
        let typed = first.typed.clone();
        let mut all = vec![first.expression];
        for end in arguments {
            all.push(self.as_type(end, &DataType::Int)?.expression);
        }
        self.folded(Function::Slice, all, typed, span)
    }

    /// `a.name`.
    pub(super) fn field_call(&mut self, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let [of, name] = <[Typing; 2]>::try_from(arguments).ok()?;
        let typed = match (of.base(), &name.expression) {
            (Some(DataType::Record(columns)), Expression::Value(Value::Text(text))) => {
                let found = columns.iter().find(|column| column.name == *text);
                let Some(found) = found else {
                    let message = format!(
                        "there is no field `{text}` in {}",
                        DataType::Record(Arc::clone(columns))
                    );
                    self.tell(Diagnostic::error(name.span, message));
                    return None;
                };
                let is_optional = found.is_optional || of.typed.is_optional;
                Typed { data_type: Some(found.data_type.clone()), is_optional }
            }
            (Some(DataType::Json), _) => {
                Typed { data_type: Some(DataType::Json), is_optional: true }
            }
            (None, _) => Typed { data_type: None, is_optional: true },
            (Some(other), _) => {
                let message = format!("{other} has no fields");
                self.tell(
                    Diagnostic::error(of.span, message)
                        .help("fields of an event are named in its atom: shipment.departed{port}"),
                );
                return None;
            }
        };
        self.folded(Function::Field, vec![of.expression, name.expression], typed, span)
    }

    /// Elements of one type.
    pub(super) fn list(&mut self, elements: Vec<Typing>, span: Span) -> Option<Typing> {
        let mut of: Option<DataType> = None;
        for element in &elements {
            of = match (&of, &element.typed.data_type) {
                (None, found) => found.clone(),
                (known, None) => known.clone(),
                (Some(known), Some(found)) => Some(common(known, found).unwrap_or(DataType::Json)),
            };
        }
        let of = of.unwrap_or(DataType::Json);
        let mut arguments = Vec::new();
        for element in elements {
            let element = if of == DataType::Json { element } else { self.as_type(element, &of)? };
            arguments.push(element.expression);
        }
        let typed = Typed { data_type: Some(DataType::List(Arc::new(of))), is_optional: false };
        self.folded(Function::List, arguments, typed, span)
    }
}

fn truth() -> Typed {
    Typed { data_type: Some(DataType::Bool), is_optional: false }
}
