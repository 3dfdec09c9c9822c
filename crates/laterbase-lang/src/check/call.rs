//! What functions take and answer.
//!
//! Where a value of JSON meets one of a type it is read as that type, and is absent if it cannot
//! be: so `payload.weight > 10` and `payload.at < now()` say what they seem to.

use std::sync::Arc;

use super::expression::{Typing, fitting};
use super::instance::{Checker, Typed};
use crate::data_type::DataType;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::plan::Expression;
use crate::span::Span;

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

/// What a function takes and answers.
enum Signature {
    /// Two values of one kind; true or false.
    Comparison,
    /// Two numbers, or times and durations.
    Arithmetic,
    /// One of two values of one type.
    Choice,
    If,
    In,
    Contains,
    Field,
    Element,
    Concatenate,
    Slice,
    /// A number of the type that it takes.
    Number,
    List,
    /// Arguments of these types, or of any; and a type.
    Plain(Vec<Option<DataType>>, DataType),
}

fn signature(function: Function) -> Signature {
    use DataType::{Bool, Date, Decimal, Duration, Float, Id, Int, Json, Period, Text, Time};
    let plain = |wanted: &[DataType], made| {
        Signature::Plain(wanted.iter().cloned().map(Some).collect(), made)
    };
    let of_any = |made| Signature::Plain(vec![None], made);
    let texts = || DataType::List(Arc::new(Text));
    match function {
        Function::Equal
        | Function::NotEqual
        | Function::Less
        | Function::LessOrEqual
        | Function::Greater
        | Function::GreaterOrEqual => Signature::Comparison,
        Function::Add
        | Function::Subtract
        | Function::Multiply
        | Function::Divide
        | Function::Remainder => Signature::Arithmetic,
        Function::Otherwise | Function::Least | Function::Greatest => Signature::Choice,
        Function::If => Signature::If,
        Function::In => Signature::In,
        Function::Contains => Signature::Contains,
        Function::Field => Signature::Field,
        Function::Element => Signature::Element,
        Function::Concatenate => Signature::Concatenate,
        Function::Slice => Signature::Slice,
        Function::Negate | Function::Abs | Function::Floor | Function::Ceil | Function::Round => {
            Signature::Number
        }
        Function::List => Signature::List,
        Function::And | Function::Or => plain(&[Bool, Bool], Bool),
        Function::Not => plain(&[Bool], Bool),
        Function::IsNull => of_any(Bool),
        Function::Lower | Function::Upper | Function::Trim => plain(&[Text], Text),
        Function::StartsWith | Function::EndsWith | Function::Matches => plain(&[Text, Text], Bool),
        Function::Replace => plain(&[Text, Text, Text], Text),
        Function::Split => plain(&[Text, Text], texts()),
        Function::Join => plain(&[texts(), Text], Text),
        Function::Length | Function::ToInt => of_any(Int),
        Function::ToDecimal => of_any(Decimal),
        Function::ToFloat => of_any(Float),
        Function::ToText => of_any(Text),
        Function::ToBool => of_any(Bool),
        Function::ToTime => of_any(Time),
        Function::ToDate => of_any(Date),
        Function::ToDuration => of_any(Duration),
        Function::ToId => of_any(Id),
        Function::ToJson | Function::Record => of_any(Json),
        Function::PeriodFrom | Function::PeriodUntil => plain(&[Period], Time),
        Function::Period => plain(&[Time, Time], Period),
        Function::Overlaps => plain(&[Period, Period], Bool),
        Function::Intersect => plain(&[Period, Period], Period),
        Function::Truncate => plain(&[Time, Text], Time),
        Function::Part => plain(&[Time, Text], Int),
        Function::Seconds => plain(&[Duration], Decimal),
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
        match signature(function) {
            Signature::Comparison => self.comparison(function, arguments, span),
            Signature::Arithmetic => self.arithmetic(function, arguments, span),
            Signature::Choice => self.choice(function, arguments, span),
            Signature::If => self.if_call(arguments, span),
            Signature::In => self.in_call(arguments, span),
            Signature::Contains => self.contains_call(arguments, span),
            Signature::Field => self.field_call(arguments, span),
            Signature::Element => self.element_call(arguments, span),
            Signature::Concatenate => self.concatenate_call(arguments, span),
            Signature::Slice => self.slice_call(arguments, span),
            Signature::Number => self.number_call(function, arguments, span),
            Signature::List => self.list(arguments, span),
            Signature::Plain(wanted, made) => {
                self.plain_call(function, arguments, (&wanted, made), span)
            }
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
        let is_wider = matches!(
            (&found, wanted.base()),
            (DataType::Json, _)
                | (DataType::Int, DataType::Decimal | DataType::Float)
                | (DataType::Decimal, DataType::Float)
                | (DataType::Date, DataType::Time)
        );
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

    /// Functions whose arguments have one type each.
    fn plain_call(
        &mut self,
        function: Function,
        arguments: Vec<Typing>,
        (wanted, made): (&[Option<DataType>], DataType),
        span: Span,
    ) -> Option<Typing> {
        // Absence is what these look at; a period with an open end is there.
        let is_total = matches!(function, Function::Not | Function::IsNull | Function::Period);
        let mut is_optional = may_have_none(function);
        let mut all = Vec::new();
        for (argument, wanted) in arguments.into_iter().zip(wanted) {
            let argument = match wanted {
                Some(wanted) => self.as_type(argument, wanted)?,
                None => argument,
            };
            is_optional |= argument.typed.is_optional;
            all.push(argument.expression);
        }
        is_optional &= !is_total;
        self.folded(function, all, Typed { data_type: Some(made), is_optional }, span)
    }
}

/// Whether a function may answer nothing for values that are there.
fn may_have_none(function: Function) -> bool {
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
            | Function::PeriodFrom
            | Function::PeriodUntil
            | Function::Intersect
    )
}
