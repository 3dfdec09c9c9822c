//! The functions and aggregates that questions may call: their names and what they take.
//!
//! What they compute is the engine's to say (`laterbase-query`); there it stands once, for every
//! engine.

/// A function of the values of one binding. Operators are functions too.
///
/// Unless said otherwise, a function of an absent value is absent, and a comparison with one is
/// false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `a + b`: numbers of one type, a time and a duration, a date and a duration of whole days,
    /// two durations.
    Add,
    /// `a - b`: as [`Function::Add`]; two times make a duration.
    Subtract,
    /// `a * b`: numbers of one type; a duration and an int.
    Multiply,
    /// `a / b`: numbers of one type; an int is divided towards zero; a duration by an int, or by a
    /// duration, which makes a decimal.
    Divide,
    /// `a % b`: the rest of a division of numbers of one type, with the sign of `a`.
    Remainder,
    /// `-a`.
    Negate,
    /// `a = b`. Numbers are equal by what they say.
    Equal,
    /// `a != b`: true also where exactly one is absent.
    NotEqual,
    /// `a < b`: values of one kind, numbers of any.
    Less,
    /// `a <= b`.
    LessOrEqual,
    /// `a > b`.
    Greater,
    /// `a >= b`.
    GreaterOrEqual,
    /// `a and b`; the second is not looked at where the first is false.
    And,
    /// `a or b`; the second is not looked at where the first is true.
    Or,
    /// `not a`; true for an absent value.
    Not,
    /// `a is null`.
    IsNull,
    /// `a ?? b`: the first unless it is absent; the second is looked at only then.
    Otherwise,
    /// `if(c, a, b)`: only the one that is answered is looked at.
    If,
    /// `a ++ b`: texts, bytes or lists, one behind the other.
    Concatenate,
    /// `a in b`: whether a list or a set holds it, or a period a time.
    In,
    /// `a.name`: a field of a record or of JSON; the second argument is its name as text.
    Field,
    /// `a[i]`: an element of a list from 0 on; from its end with a negative index; absent outside.
    /// With a text: as [`Function::Field`].
    Element,
    /// `length(a)`: characters of a text, bytes, elements.
    Length,
    /// `lower(text)`.
    Lower,
    /// `upper(text)`.
    Upper,
    /// `trim(text)`: without white space at both ends.
    Trim,
    /// `starts_with(text, prefix)`.
    StartsWith,
    /// `ends_with(text, suffix)`.
    EndsWith,
    /// `contains(text, part)`, `contains(list, element)`.
    Contains,
    /// `matches(text, pattern)`: whether a regular expression matches anywhere in it.
    Matches,
    /// `replace(text, from, to)`: every occurrence.
    Replace,
    /// `slice(text or list, from, until)`: characters or elements; negative counts from the end.
    Slice,
    /// `split(text, separator)`.
    Split,
    /// `join(list, separator)`.
    Join,
    /// `abs(number or duration)`.
    Abs,
    /// `floor(number)`: of the same type.
    Floor,
    /// `ceil(number)`: of the same type.
    Ceil,
    /// `round(number, digits)`: half away from zero; of the same type.
    Round,
    /// `least(a, b)`: the smaller of two values of one type; absent ones are left out.
    Least,
    /// `greatest(a, b)`.
    Greatest,
    /// `int(x)`: from a number, towards zero, or a text; absent if it is neither.
    ToInt,
    /// `decimal(x)`.
    ToDecimal,
    /// `float(x)`.
    ToFloat,
    /// `text(x)`: a text as it is, anything else as it is written.
    ToText,
    /// `bool(x)`.
    ToBool,
    /// `time(x)`: from a text (RFC 3339), a date (its midnight, UTC), or an id (its clock).
    ToTime,
    /// `date(x)`: of a time in UTC, or from a text.
    ToDate,
    /// `duration(x)`: from a text as it is written in a question.
    ToDuration,
    /// `id(x)`: from a text.
    ToId,
    /// `json(x)`: as a value whose kind shows when it is read.
    ToJson,
    /// `from(period)`: its first moment; absent if it is open.
    PeriodFrom,
    /// `until(period)`: the first moment behind it; absent if it is open.
    PeriodUntil,
    /// `period(from, until)`; either may be absent. An error unless `from < until`.
    Period,
    /// `overlaps(p, q)`: whether two periods share a moment.
    Overlaps,
    /// `intersect(p, q)`: what they share; absent if nothing.
    Intersect,
    /// `truncate(time, unit)`: the start of the "year", "month", "week" (Monday), "day", "hour",
    /// "minute" or "second" in UTC.
    Truncate,
    /// `part(time or date, unit)`: the "year", "month", "day", "weekday" (1 is Monday), "hour",
    /// "minute", "second" in UTC; as int.
    Part,
    /// `seconds(duration)`: as a decimal.
    Seconds,
    /// `[a, b, …]`.
    List,
    /// `{a: x, …}`: names as texts and values by turns.
    Record,
}

/// A function of all bindings of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// `count()`: bindings; `count(x)`: those for which it is not absent.
    Count,
    /// `count_distinct(x)`.
    CountDistinct,
    /// `sum(x)`: of the type of `x`; zero for none.
    Sum,
    /// `min(x)`; absent for none.
    Min,
    /// `max(x)`.
    Max,
    /// `avg(x)`: a decimal, or a float of floats; a duration of durations.
    Average,
    /// `first(x)`: that of the binding with the lowest id; the second argument is the id.
    First,
    /// `last(x)`: that of the binding with the highest id.
    Last,
    /// `arg_min(x, by)`: the `x` of the binding with the smallest `by`; the smallest such `x`.
    ArgMin,
    /// `arg_max(x, by)`: the greatest such `x`.
    ArgMax,
    /// `collect(x)`: the different values as a list in ascending order. `collect(x, by)`: every
    /// binding's, in the order of `by`.
    Collect,
    /// `union(set)`: all elements of sets.
    Union,
    /// `every(x)`: whether it is true for all.
    Every,
    /// `some(x)`: whether it is true for any.
    Some,
}

impl Aggregate {
    /// Whether folding in what was folded in already changes nothing, and the order matters not:
    /// such an aggregate may stand in a recursion.
    #[must_use]
    pub fn is_lattice(&self) -> bool {
        match self {
            Self::Min | Self::Max | Self::Union | Self::Every | Self::Some => true,
            Self::Count
            | Self::CountDistinct
            | Self::Sum
            | Self::Average
            | Self::First
            | Self::Last
            | Self::ArgMin
            | Self::ArgMax
            | Self::Collect => false,
        }
    }

    /// Whether its result is of the type of its first argument.
    pub(crate) fn answers_its_argument(&self) -> bool {
        match self {
            Self::Sum
            | Self::Min
            | Self::Max
            | Self::First
            | Self::Last
            | Self::ArgMin
            | Self::ArgMax
            | Self::Every
            | Self::Some => true,
            Self::Count | Self::CountDistinct | Self::Average | Self::Collect | Self::Union => {
                false
            }
        }
    }

    /// The aggregate of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|(_, found)| found.clone())
    }

    /// The name that it is called by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        Self::NAMES.iter().find(|(_, other)| other == self).map_or("", |(name, _)| name)
    }

    /// All of them, by name.
    pub const NAMES: &[(&str, Self)] = &[
        ("arg_max", Self::ArgMax),
        ("arg_min", Self::ArgMin),
        ("avg", Self::Average),
        ("collect", Self::Collect),
        ("count", Self::Count),
        ("count_distinct", Self::CountDistinct),
        ("every", Self::Every),
        ("first", Self::First),
        ("last", Self::Last),
        ("max", Self::Max),
        ("min", Self::Min),
        ("some", Self::Some),
        ("sum", Self::Sum),
        ("union", Self::Union),
    ];
}

impl Function {
    /// The function that is called by a name. Operators have none.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|(_, found)| *found)
    }

    /// The name that it is called by, or its operator.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .chain(Self::OPERATORS)
            .find(|(_, other)| *other == self)
            .map_or("", |(name, _)| name)
    }

    /// Operators, as they are written.
    pub const OPERATORS: &[(&str, Self)] = &[
        ("+", Self::Add),
        ("-", Self::Subtract),
        ("*", Self::Multiply),
        ("/", Self::Divide),
        ("%", Self::Remainder),
        ("-", Self::Negate),
        ("=", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        (">", Self::Greater),
        (">=", Self::GreaterOrEqual),
        ("and", Self::And),
        ("or", Self::Or),
        ("not", Self::Not),
        ("is null", Self::IsNull),
        ("??", Self::Otherwise),
        ("++", Self::Concatenate),
        ("in", Self::In),
        (".", Self::Field),
        ("[]", Self::Element),
        ("list", Self::List),
        ("record", Self::Record),
    ];

    /// Functions that are called by a name.
    pub const NAMES: &[(&str, Self)] = &[
        ("abs", Self::Abs),
        ("bool", Self::ToBool),
        ("ceil", Self::Ceil),
        ("contains", Self::Contains),
        ("date", Self::ToDate),
        ("decimal", Self::ToDecimal),
        ("duration", Self::ToDuration),
        ("ends_with", Self::EndsWith),
        ("float", Self::ToFloat),
        ("floor", Self::Floor),
        ("from", Self::PeriodFrom),
        ("greatest", Self::Greatest),
        ("id", Self::ToId),
        ("if", Self::If),
        ("int", Self::ToInt),
        ("intersect", Self::Intersect),
        ("join", Self::Join),
        ("json", Self::ToJson),
        ("least", Self::Least),
        ("length", Self::Length),
        ("lower", Self::Lower),
        ("matches", Self::Matches),
        ("overlaps", Self::Overlaps),
        ("part", Self::Part),
        ("period", Self::Period),
        ("replace", Self::Replace),
        ("round", Self::Round),
        ("seconds", Self::Seconds),
        ("slice", Self::Slice),
        ("split", Self::Split),
        ("starts_with", Self::StartsWith),
        ("text", Self::ToText),
        ("time", Self::ToTime),
        ("trim", Self::Trim),
        ("truncate", Self::Truncate),
        ("until", Self::PeriodUntil),
        ("upper", Self::Upper),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_order_and_lead_back() {
        assert!(Function::NAMES.is_sorted_by_key(|(name, _)| *name));
        assert!(Aggregate::NAMES.is_sorted_by_key(|(name, _)| *name));
        for (name, function) in Function::NAMES {
            assert_eq!(function.name(), *name);
            assert!(Aggregate::by_name(name).is_none(), "{name} is a function and an aggregate");
        }
        for (name, aggregate) in Aggregate::NAMES {
            assert_eq!(aggregate.name(), *name);
        }
    }
}
