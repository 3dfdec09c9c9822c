//! Stored relations with few different values, absent ones among them.

use std::sync::Arc;

use laterbase_lang::plan::{Place, Source, Stored, StoredColumn};
use laterbase_lang::{DataType, Decimal, Value};
use laterbase_query::MemoryData;

use super::{Random, column};

/// A value of any kind.
pub fn value(random: &mut Random) -> Value {
    match random.below(12) {
        0..=5 => Value::Int(random.below(4) as i64),
        6..=8 => Value::text(["a", "b", "c"][random.below(3)]),
        9 => Value::decimal(Decimal::new(random.below(4) as i64 * 5, 1)),
        10 => Value::Time(random.below(6) as i64),
        _ => list(random),
    }
}

fn list(random: &mut Random) -> Value {
    let values = (0..random.below(4)).map(|_| Value::Int(random.below(4) as i64)).collect();
    if random.chance(50) { Value::List(values) } else { Value::set(values.to_vec()) }
}

/// How a column is filled.
#[derive(Clone, Copy)]
enum Filling {
    Ints,
    Texts,
    Times,
    Lists,
    Anything,
}

fn cell(random: &mut Random, filling: Filling) -> Value {
    if random.chance(12) {
        return Value::Null;
    }
    match filling {
        Filling::Ints => Value::Int(random.below(4) as i64),
        Filling::Texts => Value::text(["a", "b", "c", "d"][random.below(4)]),
        Filling::Times => Value::Time(random.below(6) as i64),
        Filling::Lists => list(random),
        Filling::Anything => value(random),
    }
}

fn period(random: &mut Random) -> Value {
    let from = random.below(5) as i64;
    let until = random.chance(70).then(|| from + random.between(1, 4) as i64);
    Value::Period(random.chance(80).then_some(from), until)
}

/// A relation of up to four columns, and its rows.
pub fn stored(random: &mut Random, number: usize, data: &mut MemoryData) -> Stored {
    let name = format!("s{number}");
    let width = if random.chance(50) { 2 } else { random.between(1, 3) };
    let same = random.chance(75);
    let mut fillings: Vec<Filling> = (0..width)
        .map(|_| match random.below(8) {
            _ if same => Filling::Ints,
            0..=2 => Filling::Ints,
            3..=4 => Filling::Texts,
            5 => Filling::Times,
            6 => Filling::Lists,
            _ => Filling::Anything,
        })
        .collect();
    let mut places: Vec<Place> =
        (0..width).map(|at| Place::Field { number: at as u32, name: Arc::from("f") }).collect();
    if random.chance(30) {
        places
            .push([Place::At, Place::Tx, Place::Arrived, Place::Validity][random.below(4)].clone());
        fillings.push(Filling::Times);
    }
    if random.chance(20) {
        places[0] = Place::Key;
    }
    // Rows with an id are told apart by it.
    let has_id = random.chance(25);
    if has_id {
        (places[0], fillings[0]) = (Place::Id, Filling::Ints);
    }
    let rows = (0..random.between(1, 9))
        .map(|number| {
            let mut row: Vec<Value> =
                fillings.iter().map(|filling| cell(random, *filling)).collect();
            if places.last() == Some(&Place::Validity) {
                *row.last_mut().unwrap() = period(random);
            }
            if has_id {
                row[0] = Value::Int(number as i64);
            }
            row
        })
        .collect();
    data.insert(&name, rows);
    for at in 0..width {
        if random.chance(40) {
            data.make_seekable(&name, at);
        }
        if random.chance(40) {
            data.make_ordered(&name, at);
        }
    }
    let columns = places
        .into_iter()
        .zip(&fillings)
        .enumerate()
        .map(|(at, (place, filling))| {
            let data_type = match filling {
                Filling::Ints => DataType::Int,
                Filling::Texts => DataType::Text,
                Filling::Times => DataType::Time,
                Filling::Lists => DataType::List(Arc::new(DataType::Int)),
                Filling::Anything => DataType::Json,
            };
            StoredColumn { column: column(format!("c{at}"), data_type), place }
        })
        .collect();
    Stored { name: Arc::from(name), source: Source::Events, columns }
}
