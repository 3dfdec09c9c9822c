//! Aggregates by example, and sums in every order.

use super::*;

fn folded(aggregate: &Aggregate, arguments: &[&[Value]]) -> Result<Value, MistakeKind> {
    let count = arguments.first().map_or(1, |first| first.len());
    let mut fold = Fold::new(aggregate, &DataType::Int, count);
    arguments.iter().for_each(|arguments| fold.add(arguments));
    fold.finish()
}

fn ints(values: &[i64]) -> Vec<[Value; 1]> {
    values.iter().map(|value| [Value::Int(*value)]).collect()
}

fn of_ints(aggregate: &Aggregate, values: &[i64]) -> Value {
    let values = ints(values);
    let values: Vec<&[Value]> = values.iter().map(<[Value; 1]>::as_slice).collect();
    folded(aggregate, &values).unwrap()
}

#[test]
fn of_no_bindings_there_is_something_too() {
    for (aggregate, none) in [
        (Aggregate::Count, Value::Int(0)),
        (Aggregate::Sum, Value::Int(0)),
        (Aggregate::Min, Value::Null),
        (Aggregate::Average, Value::Null),
        (Aggregate::Every, Value::Bool(true)),
        (Aggregate::Some, Value::Bool(false)),
        (Aggregate::Union, Value::Set([].into())),
        (Aggregate::Collect, Value::List([].into())),
        (Aggregate::Last, Value::Null),
    ] {
        assert_eq!(folded(&aggregate, &[]), Ok(none), "{aggregate:?}");
    }
}

#[test]
fn numbers_are_added_and_averaged() {
    assert_eq!(of_ints(&Aggregate::Sum, &[1, 2, 4]), Value::Int(7));
    assert_eq!(of_ints(&Aggregate::Average, &[1, 2]).to_string(), "1.5");
    assert_eq!(of_ints(&Aggregate::CountDistinct, &[1, 2, 1]), Value::Int(2));
    let huge = [&[Value::Int(i64::MAX)] as &[Value], &[Value::Int(1)]];
    assert_eq!(folded(&Aggregate::Sum, &huge), Err(MistakeKind::OutOfRange));
    let back = [&[Value::Int(i64::MAX)] as &[Value], &[Value::Int(1)], &[Value::Int(-1)]];
    assert_eq!(folded(&Aggregate::Sum, &back), Ok(Value::Int(i64::MAX)));
}

#[test]
fn sums_of_floats_do_not_depend_on_their_order() {
    let floats = [1e100, 1.0, -1e100, 1e-3, 3.7, -1.1e20, 5e-324, 1.1e20];
    let mut sums = Vec::new();
    for turn in 0..floats.len() {
        let mut sum = exact_sum::ExactSum::default();
        floats.iter().cycle().skip(turn).take(floats.len()).for_each(|float| sum.add(*float));
        sums.push(sum.rounded());
    }
    assert!(sums.iter().all(|sum| *sum == 4.7010000000000005), "{sums:?}");
}

#[test]
fn of_equal_places_the_value_decides() {
    let pairs = [(3, 1), (2, 1), (9, 2), (8, 2)].map(|(x, by)| [Value::Int(x), Value::Int(by)]);
    let pairs: Vec<&[Value]> = pairs.iter().map(<[Value; 2]>::as_slice).collect();
    assert_eq!(folded(&Aggregate::ArgMin, &pairs), Ok(Value::Int(2)));
    assert_eq!(folded(&Aggregate::ArgMax, &pairs), Ok(Value::Int(9)));
    assert_eq!(folded(&Aggregate::Collect, &pairs).unwrap().to_string(), "[2, 3, 8, 9]");
}
