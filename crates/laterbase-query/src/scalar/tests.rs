//! Functions by example: a table of calls and what they are.

use laterbase_lang::literal;

use super::*;

fn time(text: &str) -> Value {
    Value::Time(literal::time_of(text).unwrap())
}

fn decimal(text: &str) -> Value {
    Value::decimal(literal::decimal_of(text).unwrap())
}

fn list(values: &[i64]) -> Value {
    Value::List(values.iter().map(|value| Value::Int(*value)).collect())
}

fn check(cases: &[(Function, &[Value], Result<Value, MistakeKind>)]) {
    let scalars = Scalars::default();
    for (function, arguments, expected) in cases {
        let found = scalars.call(*function, arguments, Span::default()).map_err(|wrong| wrong.kind);
        assert_eq!(found, *expected, "{function:?} of {arguments:?}");
    }
}

#[test]
fn numbers() {
    use Function as F;
    use Value::{Float, Int, Null};
    check(&[
        (F::Add, &[Int(1), Int(2)], Ok(Int(3))),
        (F::Add, &[Int(i64::MAX), Int(1)], Err(MistakeKind::OutOfRange)),
        (F::Divide, &[Int(-7), Int(2)], Ok(Int(-3))),
        (F::Divide, &[Int(1), Int(0)], Err(MistakeKind::DivisionByZero)),
        (F::Divide, &[Int(i64::MIN), Int(-1)], Err(MistakeKind::OutOfRange)),
        (F::Remainder, &[Int(i64::MIN), Int(-1)], Ok(Int(0))),
        (F::Remainder, &[Int(-7), Int(2)], Ok(Int(-1))),
        (F::Multiply, &[decimal("1.5"), decimal("2")], Ok(decimal("3"))),
        (F::Add, &[Int(1), decimal("0.5")], Ok(decimal("1.5"))),
        (F::Subtract, &[Float(f64::INFINITY), Float(f64::INFINITY)], Err(MistakeKind::OutOfRange)),
        (F::Add, &[Int(1), Null], Ok(Null)),
        (F::Add, &[Int(1), Value::text("a")], Ok(Null)),
        (F::Round, &[decimal("-2.5"), Int(0)], Ok(decimal("-3"))),
        (F::Round, &[decimal("2.345"), Int(2)], Ok(decimal("2.35"))),
        (F::Round, &[Int(1250), Int(-2)], Ok(Int(1300))),
        (F::Abs, &[Int(i64::MIN)], Err(MistakeKind::OutOfRange)),
        (F::ToInt, &[decimal("-2.7")], Ok(Int(-2))),
        (F::ToInt, &[Value::text(" 12 ")], Ok(Int(12))),
        (F::ToInt, &[Value::text("12x")], Ok(Null)),
        (F::ToInt, &[Float(1e300)], Err(MistakeKind::OutOfRange)),
    ]);
}

#[test]
fn comparisons_and_logic() {
    use Function as F;
    use Value::{Bool, Int, Null};
    check(&[
        (F::Equal, &[Int(1), decimal("1")], Ok(Bool(true))),
        (F::Equal, &[Null, Null], Ok(Bool(false))),
        (F::NotEqual, &[Null, Int(1)], Ok(Bool(true))),
        (F::NotEqual, &[Null, Null], Ok(Bool(false))),
        (F::Less, &[Int(1), Value::text("a")], Ok(Bool(false))),
        (F::GreaterOrEqual, &[Value::text("b"), Value::text("a")], Ok(Bool(true))),
        (F::Not, &[Null], Ok(Bool(true))),
        (F::And, &[Null, Bool(false)], Ok(Bool(false))),
        (F::Or, &[Null, Bool(false)], Ok(Null)),
        (F::IsNull, &[Null], Ok(Bool(true))),
        (F::Otherwise, &[Null, Int(1)], Ok(Int(1))),
        (F::Least, &[Null, Int(1)], Ok(Int(1))),
        (F::In, &[decimal("2"), list(&[1, 2])], Ok(Bool(true))),
        (F::In, &[Value::Null, list(&[1, 2])], Ok(Bool(false))),
        (F::In, &[decimal("2"), Value::Null], Ok(Bool(false))),
        (F::In, &[Value::Time(5), Value::Period(Some(5), None)], Ok(Bool(true))),
        (F::In, &[Value::Time(5), Value::Period(None, Some(5))], Ok(Bool(false))),
    ]);
}

#[test]
fn texts_and_lists() {
    use Function as F;
    use Value::{Bool, Int, Null};
    let text = Value::text;
    check(&[
        (F::Concatenate, &[text("a"), text("b")], Ok(text("ab"))),
        (F::Length, &[text("aé")], Ok(Int(2))),
        (F::Slice, &[text("häuser"), Int(1), Int(-1)], Ok(text("äuse"))),
        (F::Slice, &[list(&[1, 2, 3]), Int(2), Int(1)], Ok(list(&[]))),
        (F::Element, &[list(&[1, 2, 3]), Int(-1)], Ok(Int(3))),
        (F::Element, &[list(&[1]), Int(7)], Ok(Null)),
        (F::Element, &[list(&[1]), Int(i64::MIN)], Ok(Null)),
        (F::Field, &[Value::record(vec![("a".into(), Int(1))]), text("a")], Ok(Int(1))),
        (F::Field, &[Int(1), text("a")], Ok(Null)),
        (F::Matches, &[text("4711-x"), text("^[0-9]+")], Ok(Bool(true))),
        (F::Matches, &[text("a"), text("(")], Err(MistakeKind::BadPattern)),
        (F::Matches, &[text("a"), text("(a{1000}){1000}")], Err(MistakeKind::PatternTooLarge)),
        (F::Replace, &[text("a-b"), text("-"), text("")], Ok(text("ab"))),
        (F::Replace, &[text("ab"), text(""), text("x")], Ok(text("ab"))),
        (F::Split, &[text("a,b"), text(",")], Ok(Value::List([text("a"), text("b")].into()))),
        (F::Join, &[list(&[1, 2]), text("+")], Ok(text("1+2"))),
        (F::Contains, &[list(&[1, 2]), Int(2)], Ok(Bool(true))),
    ]);
}

#[test]
fn times() {
    use Function as F;
    use Value::{Date, Duration, Int, Null, Period};
    let text = Value::text;
    let noon = time("2026-03-01T12:34:56Z");
    check(&[
        (F::Add, &[noon.clone(), Duration(1_000_000)], Ok(time("2026-03-01T12:34:57Z"))),
        (F::Subtract, &[noon.clone(), noon.clone()], Ok(Duration(0))),
        (F::Add, &[Date(1), Duration(1)], Err(MistakeKind::PartOfDay)),
        (F::Add, &[Date(1), Duration(86_400_000_000)], Ok(Date(2))),
        (F::Truncate, &[noon.clone(), text("month")], Ok(time("2026-03-01T00:00Z"))),
        (F::Truncate, &[noon.clone(), text("week")], Ok(time("2026-02-23T00:00Z"))),
        (F::Truncate, &[noon.clone(), text("eon")], Err(MistakeKind::UnknownUnit)),
        (F::Truncate, &[Value::Time(i64::MAX), text("year")], Err(MistakeKind::OutOfRange)),
        (F::Part, &[noon.clone(), text("weekday")], Ok(Int(7))),
        (F::Part, &[noon.clone(), text("minute")], Ok(Int(34))),
        (F::ToDate, &[Value::Time(-1)], Ok(Date(-1))),
        (F::Period, &[Value::Time(2), Value::Time(2)], Err(MistakeKind::EmptyPeriod)),
        (F::Period, &[Value::Time(2), Null], Ok(Period(Some(2), None))),
        (F::Overlaps, &[Period(None, Some(2)), Period(Some(2), None)], Ok(Value::Bool(false))),
        (
            F::Intersect,
            &[Period(None, Some(3)), Period(Some(2), None)],
            Ok(Period(Some(2), Some(3))),
        ),
        (F::Seconds, &[Duration(1_500_000)], Ok(decimal("1.5"))),
    ]);
}

#[test]
fn of_a_choice_only_what_is_answered_is_looked_at() {
    let scalars = Scalars::default();
    let call = |function, arguments| Expression::Call(function, arguments, Span::new(1, 2));
    let zero = Expression::Value(Value::Int(0));
    let wrong = call(Function::Divide, vec![zero.clone(), zero.clone()]);
    let no = Expression::Value(Value::Bool(false));
    let nothing = |_: VariableId| Value::Null;
    let cases = [
        call(Function::If, vec![no.clone(), wrong.clone(), zero.clone()]),
        call(Function::And, vec![no, wrong.clone()]),
        call(Function::Otherwise, vec![zero, wrong.clone()]),
    ];
    for case in cases {
        assert!(scalars.evaluate(&case, &nothing).is_ok(), "{case:?}");
    }
    let found = scalars.evaluate(&wrong, &nothing).unwrap_err();
    assert_eq!((found.kind, found.span), (MistakeKind::DivisionByZero, Span::new(1, 2)));
}
