//! What functions take and answer.
//!
//! Where a value of JSON meets one of a type it is read as that type, and is absent if it cannot be:
//! so `payload.weight > 10` and `payload.at < now()` say what they seem to.

use std::sync::Arc;

use super::expression::{Typing, fitting};
use super::instance::{Checker, Typed};
use crate::data_type::DataType;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::plan::Expression;
use crate::span::Span;
use crate::value::Value;

/// How many arguments a function takes: at least, at most.
fn arity(function: Function) -> (usize, usize) {
    match function {
        Function::Negate
        | Function::Not
        | Function::IsNull
        | Function::Length
        | Function::Lower
        | Function::Upper
        | Function::Trim
        | Function::Abs
        | Function::Floor
        | Function::Ceil
        | Function::ToInt
        | Function::ToDecimal
        | Function::ToFloat
        | Function::ToText
        | Function::ToBool
        | Function::ToTime
        | Function::ToDate
        | Function::ToDuration
        | Function::ToId
        | Function::ToJson
        | Function::PeriodFrom
        | Function::PeriodUntil
        | Function::Seconds => (1, 1),
        Function::Round => (1, 2),
        Function::Slice => (2, 3),
        Function::If | Function::Replace => (3, 3),
        Function::List | Function::Record => (0, usize::MAX),
        Function::Add
        | Function::Subtract
        | Function::Multiply
        | Function::Divide
        | Function::Remainder
        | Function::Equal
        | Function::NotEqual
        | Function::Less
        | Function::LessOrEqual
        | Function::Greater
        | Function::GreaterOrEqual
        | Function::And
        | Function::Or
        | Function::Otherwise
        | Function::Concatenate
        | Function::In
        | Function::Field
        | Function::Element
        | Function::StartsWith
        | Function::EndsWith
        | Function::Contains
        | Function::Matches
        | Function::Split
        | Function::Join
        | Function::Least
        | Function::Greatest
        | Function::Period
        | Function::Overlaps
        | Function::Intersect
        | Function::Truncate
        | Function::Part => (2, 2),
    }
}

/// How many arguments are taken, in words.
pub(super) fn arguments_text(least: usize, most: usize) -> String {
    match (least, most) {
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    }
}

/// The function that reads JSON as a type.
fn reader(data_type: &DataType) -> Option<Function> {
    match data_type.base() {
        DataType::Bool => Some(Function::ToBool),
        DataType::Int => Some(Function::ToInt),
        DataType::Decimal => Some(Function::ToDecimal),
        DataType::Float => Some(Function::ToFloat),
        DataType::Text => Some(Function::ToText),
        DataType::Time => Some(Function::ToTime),
        DataType::Date => Some(Function::ToDate),
        DataType::Duration => Some(Function::ToDuration),
        DataType::Id => Some(Function::ToId),
        DataType::Bytes
        | DataType::Ref(_)
        | DataType::List(_)
        | DataType::Set(_)
        | DataType::Json
        | DataType::Period
        | DataType::Record(_) => None,
    }
}

/// The type that holds values of both, if there is one.
pub(super) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (DataType::Ref(_), _) | (_, DataType::Ref(_)) => common(a.base(), b.base()),
        (DataType::Json, _) | (_, DataType::Json) => Some(DataType::Json),
        (DataType::Float, other) | (other, DataType::Float) if other.is_number() => {
            Some(DataType::Float)
        }
        _ if a.is_number() && b.is_number() => Some(DataType::Decimal),
        (DataType::List(a), DataType::List(b)) => Some(DataType::List(Arc::new(common(a, b)?))),
        (DataType::Set(a), DataType::Set(b)) => Some(DataType::Set(Arc::new(common(a, b)?))),
        _ => None,
    }
}

impl Checker<'_> {
    /// A call with its type; `None` after a mistake was told.
    pub(super) fn typed_call(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let (least, most) = arity(function);
        if arguments.len() < least || arguments.len() > most {
            let message = format!(
                "`{}` takes {}, and here are {}",
                function.name(),
                arguments_text(least, most),
                arguments.len()
            );
            self.tell(Diagnostic::error(span, message));
            return None;
        }
        match function {
            Function::Equal
            | Function::NotEqual
            | Function::Less
            | Function::LessOrEqual
            | Function::Greater
            | Function::GreaterOrEqual => self.comparison(function, arguments, span),
            Function::Add
            | Function::Subtract
            | Function::Multiply
            | Function::Divide
            | Function::Remainder => self.arithmetic(function, arguments, span),
            Function::Otherwise | Function::Least | Function::Greatest => {
                self.choice(function, arguments, span)
            }
            Function::If => self.if_call(arguments, span),
            Function::In
            | Function::Contains
            | Function::Field
            | Function::Element
            | Function::Concatenate
            | Function::Slice => self.part_call(function, arguments, span),
            Function::Negate
            | Function::Abs
            | Function::Floor
            | Function::Ceil
            | Function::Round => self.number_call(function, arguments, span),
            _ => self.plain_call(function, arguments, span),
        }
    }

    /// An expression as one of a type; `None` after a mistake was told.
    pub(super) fn as_type(&mut self, typing: Typing, wanted: &DataType) -> Option<Typing> {
        let Some(found) = typing.base().cloned() else {
            return Some(typing);
        };
        if found == *wanted.base() || *wanted == DataType::Json {
            return Some(typing);
        }
        let span = typing.span;
        if let Expression::Value(value) = &typing.expression
            && let Some(value) = fitting(value, wanted)
        {
            return Some(super::expression::constant(value, span));
        }
        let is_wider = match (&found, wanted.base()) {
            (DataType::Json, _) => true,
            (DataType::Int, DataType::Decimal | DataType::Float)
            | (DataType::Decimal, DataType::Float)
            | (DataType::Date, DataType::Time) => true,
            _ => false,
        };
        match reader(wanted).filter(|_| is_wider) {
            Some(reader) => {
                let is_optional = typing.typed.is_optional || found == DataType::Json;
                let typed = Typed { data_type: Some(wanted.clone()), is_optional };
                self.folded(reader, vec![typing.expression], typed, span)
            }
            None if is_wider => Some(typing),
            None => {
                let message = format!("expected {wanted}, found {found}");
                let help = reader(wanted)
                    .filter(|_| found.is_number() || found == DataType::Text)
                    .map(|reader| format!("convert it with {}(…)", reader.name()));
                let mut told = Diagnostic::error(span, message);
                told.help = help;
                self.tell(told);
                None
            }
        }
    }

    fn comparison(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let [left, right] = <[Typing; 2]>::try_from(arguments).ok()?;
        for (side, is_order) in [(&left, false), (&right, false)] {
            let _ = is_order;
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
                let is_literal = |it: &Typing| matches!(it.expression, Expression::Value(_));
                if is_literal(&right)
                    && let Expression::Value(value) = &right.expression
                    && let Some(value) = fitting(value, &a)
                {
                    let right = super::expression::constant(value, right.span);
                    return Some((left, right));
                }
                if is_literal(&left)
                    && let Expression::Value(value) = &left.expression
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

    fn arithmetic(
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
        let beside = |other: &DataType| match other {
            DataType::Int | DataType::Json => DataType::Decimal,
            _ => other.clone(),
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
    fn choice(&mut self, function: Function, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let [left, right] = <[Typing; 2]>::try_from(arguments).ok()?;
        let is_optional = match function {
            Function::Otherwise => right.typed.is_optional,
            _ => left.typed.is_optional && right.typed.is_optional,
        };
        let (left, right, data_type) = self.same(left, right, span)?;
        let typed = Typed { data_type, is_optional };
        self.folded(function, vec![left.expression, right.expression], typed, span)
    }

    fn if_call(&mut self, arguments: Vec<Typing>, span: Span) -> Option<Typing> {
        let [condition, left, right] = <[Typing; 3]>::try_from(arguments).ok()?;
        let condition = self.as_condition(condition)?;
        let is_optional = left.typed.is_optional || right.typed.is_optional;
        let (left, right, data_type) = self.same(left, right, span)?;
        let typed = Typed { data_type, is_optional };
        let arguments = vec![condition, left.expression, right.expression];
        self.folded(Function::If, arguments, typed, span)
    }

    /// Two values of one type.
    fn same(
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

    fn number_call(
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

    /// Functions of texts, lists, sets and JSON.
    fn part_call(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        let mut arguments = arguments.into_iter();
        let (first, second) = (arguments.next()?, arguments.next()?);
        let third = arguments.next();
        let is_optional = first.typed.is_optional || second.typed.is_optional;
        let some = |data_type, is_optional| Typed { data_type: Some(data_type), is_optional };
        match function {
            Function::In => {
                if !matches!(
                    second.base(),
                    None | Some(
                        DataType::List(_) | DataType::Set(_) | DataType::Json | DataType::Period
                    )
                ) {
                    self.tell(
                        Diagnostic::error(second.span, "`in` wants a list, a set or a period")
                            .help("a range of values is said by comparisons: 1 <= x, x < 5"),
                    );
                    return None;
                }
                let first = match second.base() {
                    Some(DataType::Period) => self.as_type(first, &DataType::Time)?,
                    Some(DataType::List(of) | DataType::Set(of)) => {
                        let of = of.as_ref().clone();
                        if of == DataType::Json { first } else { self.as_type(first, &of)? }
                    }
                    _ => first,
                };
                let typed = some(DataType::Bool, false);
                self.folded(function, vec![first.expression, second.expression], typed, span)
            }
            Function::Contains => {
                let typed = some(DataType::Bool, false);
                let second = match first.base() {
                    Some(DataType::Text) => self.as_type(second, &DataType::Text)?,
                    Some(DataType::List(of) | DataType::Set(of)) => {
                        let of = of.as_ref().clone();
                        self.as_type(second, &of)?
                    }
                    _ => second,
                };
                self.folded(function, vec![first.expression, second.expression], typed, span)
            }
            Function::Field => self.field_call(first, second, span),
            Function::Element => {
                let typed = match first.base() {
                    Some(DataType::List(of)) => some(of.as_ref().clone(), true),
                    Some(DataType::Json) => some(DataType::Json, true),
                    None => Typed { data_type: None, is_optional: true },
                    Some(other) => {
                        let message = format!("{other} has no elements");
                        self.tell(Diagnostic::error(first.span, message));
                        return None;
                    }
                };
                self.folded(function, vec![first.expression, second.expression], typed, span)
            }
            Function::Concatenate => {
                let (first, second, data_type) = self.same(first, second, span)?;
                let is_json = data_type == Some(DataType::Json);
                let (first, second) = if is_json {
                    let first = self.as_type(first, &DataType::Text)?;
                    (first, self.as_type(second, &DataType::Text)?)
                } else {
                    (first, second)
                };
                let data_type = if is_json { Some(DataType::Text) } else { data_type };
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
                self.folded(function, vec![first.expression, second.expression], typed, span)
            }
            _ => {
                let typed = first.typed.clone();
                let second = self.as_type(second, &DataType::Int)?;
                let mut all = vec![first.expression, second.expression];
                if let Some(third) = third {
                    all.push(self.as_type(third, &DataType::Int)?.expression);
                }
                self.folded(function, all, typed, span)
            }
        }
    }

    /// `a.name`.
    fn field_call(&mut self, of: Typing, name: Typing, span: Span) -> Option<Typing> {
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

    /// Functions whose arguments have one type each.
    fn plain_call(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        span: Span,
    ) -> Option<Typing> {
        use DataType::{Bool, Date, Decimal, Duration, Float, Id, Int, Json, Period, Text, Time};
        let texts = DataType::List(Arc::new(Text));
        let (wanted, made): (Vec<Option<DataType>>, DataType) = match function {
            Function::And | Function::Or => (vec![Some(Bool), Some(Bool)], Bool),
            Function::Not => (vec![Some(Bool)], Bool),
            Function::IsNull => (vec![None], Bool),
            Function::Lower | Function::Upper | Function::Trim => (vec![Some(Text)], Text),
            Function::StartsWith | Function::EndsWith | Function::Matches => {
                (vec![Some(Text), Some(Text)], Bool)
            }
            Function::Replace => (vec![Some(Text), Some(Text), Some(Text)], Text),
            Function::Split => (vec![Some(Text), Some(Text)], texts),
            Function::Join => (vec![Some(texts), Some(Text)], Text),
            Function::Length | Function::ToInt => (vec![None], Int),
            Function::ToDecimal => (vec![None], Decimal),
            Function::ToFloat => (vec![None], Float),
            Function::ToText => (vec![None], Text),
            Function::ToBool => (vec![None], Bool),
            Function::ToTime => (vec![None], Time),
            Function::ToDate => (vec![None], Date),
            Function::ToDuration => (vec![None], Duration),
            Function::ToId => (vec![None], Id),
            Function::ToJson => (vec![None], Json),
            Function::PeriodFrom | Function::PeriodUntil => (vec![Some(Period)], Time),
            Function::Period => (vec![Some(Time), Some(Time)], Period),
            Function::Overlaps => (vec![Some(Period), Some(Period)], Bool),
            Function::Intersect => (vec![Some(Period), Some(Period)], Period),
            Function::Truncate => (vec![Some(Time), Some(Text)], Time),
            Function::Part => (vec![Some(Time), Some(Text)], Int),
            Function::Seconds => (vec![Some(Duration)], Decimal),
            // The others are handled by their own functions.
            _ => (arguments.iter().map(|_| None).collect(), Json),
        };
        let is_predicate = made == Bool && function != Function::ToBool;
        let may_be_absent = match function {
            Function::PeriodFrom | Function::PeriodUntil | Function::Intersect => true,
            Function::ToText | Function::ToJson => false,
            _ => reads(function),
        };
        let mut is_optional = may_be_absent;
        let mut all = Vec::new();
        for (argument, wanted) in arguments.into_iter().zip(wanted) {
            let argument = match wanted {
                Some(wanted) => self.as_type(argument, &wanted)?,
                None => argument,
            };
            is_optional |= argument.typed.is_optional;
            all.push(argument.expression);
        }
        if function == Function::Period {
            is_optional = false;
        }
        let typed = Typed { data_type: Some(made), is_optional: is_optional && !is_predicate };
        self.folded(function, all, typed, span)
    }
}

/// Whether a function reads a value as one of another type, and may fail to.
fn reads(function: Function) -> bool {
    matches!(
        function,
        Function::ToInt
            | Function::ToDecimal
            | Function::ToFloat
            | Function::ToBool
            | Function::ToTime
            | Function::ToDate
            | Function::ToDuration
            | Function::ToId
    )
}
