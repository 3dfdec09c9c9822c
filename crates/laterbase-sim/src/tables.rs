//! Rows of a table that every copy edits, and what they must be: the same on all copies, at every
//! valid time, as of now and as of vectors; and what the words of the reference say, worked out
//! from the payloads for each instant by itself.
//!
//! Edits follow from the events that the world records, so that they draw no random numbers of its
//! own: a seed means the same to copies that have no tables.

use std::collections::{BTreeMap, BTreeSet};

use ciborium::Value as Cbor;
use laterbase::ask::Value;
use laterbase::{
    Cut, Database, EventId, Query, RootName, TableError, TableRow, TimeRange, Timestamp,
    VersionVector,
};
use laterbase_event::Hash;
use laterbase_log::storage::Random;

use crate::node::{Violation, Wish, violation};

const SCHEMA: &str = "table 1 fleet { 1 name: text?, 2 points: counter, 3 tags: set text }";

/// The root of its operations.
const ROOT: &str = "_table.1";

/// Who edits rows: the world's events under this root.
const EDITING_ROOT: &str = "driver";

/// Rows, and instants at which they are edited, in seconds since 1970.
const KEYS: u64 = 4;
const INSTANTS: u64 = 10;

/// An operation as its bytes say it.
#[derive(Clone, Debug)]
struct Operation {
    id: EventId,
    seq: u64,
    commit: EventId,
    life: i128,
    from: i64,
    until: Option<i64>,
    cells: BTreeMap<i128, Cbor>,
}

/// Declares the table.
pub(crate) fn declare(database: &Database) -> Result<(), Violation> {
    let applied = database.apply_schema(SCHEMA);
    applied.map(drop).map_err(|error| violation!("the schema is not applied: {error}"))
}

/// Edits a row, if an event is one that makes a copy do so.
pub(crate) fn edit(database: &Database, wish: &Wish) -> Result<bool, TableError> {
    if wish.root != EDITING_ROOT {
        return Ok(false);
    }
    let seed = Hash::of(&[wish.key.as_bytes(), &wish.payload].concat());
    let mut seeds = seed
        .as_bytes()
        .chunks(8)
        .map(|chunk| chunk.iter().fold(0_u64, |seed, byte| (seed << 8) | u64::from(*byte)));
    let mut random = Random::new(seeds.next().unwrap_or_default());
    let fleet = database.table("fleet")?;
    let key = format!("t{}", random.below(KEYS));
    let from = random.below(INSTANTS);
    let until = random.chance(1, 2).then(|| seconds(from + 1 + random.below(4)));
    let from = seconds(from);
    if random.chance(1, 4) {
        return fleet.delete(key).valid(from, until).run().map(|done| done.is_some());
    }
    let mut put = fleet.put(key).valid(from, until);
    for _ in 0..random.below(4) {
        let letter = ["a", "b", "c"][random.index(3)];
        put = match random.below(5) {
            0 => put.set("name", format!("{letter}{}", random.below(100)).as_str()),
            1 => put.set("name", Value::Null),
            2 => put.add("points", random.below(9) as i64 - 4),
            3 => put.insert("tags", letter),
            _ => put.remove("tags", letter),
        };
    }
    put.run().map(|_| true)
}

fn seconds(at: u64) -> Timestamp {
    Timestamp::from_micros(at as i64 * 1_000_000)
}

/// All rows by name, if they are what their operations come to.
pub(crate) fn rows(database: &Database) -> Result<BTreeMap<String, String>, Violation> {
    let read = |error: TableError| violation!("rows cannot be read: {error}");
    let fleet = database.table("fleet").map_err(read)?;
    let has_forks = database.has_forks();
    let has_forks = has_forks.map_err(|error| violation!("forks cannot be told: {error}"))?;
    let operations = operations(database)?;
    let vector = database.version_vector();
    let vector = vector.map_err(|error| violation!("the vector cannot be read: {error}"))?;
    let mut all = BTreeMap::new();
    for part in 0..4 {
        let cut = if part == 0 { None } else { Some(part_of(&vector, part)) };
        let as_of = cut.clone().map_or(Cut::Latest, Cut::Vector);
        let periods = fleet.read().as_of(as_of.clone()).valid_in(TimeRange::default());
        for row in periods.rows().map_err(read)? {
            let name = format!("row {} of cut {part}, {:?} to {:?}", row.key, row.from, row.until);
            all.insert(name, shown(&row));
        }
        // A forked log has two events of one id, and a vector names its branches.
        if has_forks {
            continue;
        }
        let held: BTreeMap<&String, Vec<&Operation>> = operations
            .iter()
            .map(|(key, all)| (key, all.iter().filter(|it| is_held(cut.as_ref(), it)).collect()))
            .collect();
        for at in 0..INSTANTS + 6 {
            let rows = fleet.read().as_of(as_of.clone()).valid_at(seconds(at)).rows();
            let rows = rows.map_err(read)?;
            let found: BTreeMap<String, String> =
                rows.iter().map(|row| (row.key.clone(), shown(row))).collect();
            let mut expected = BTreeMap::new();
            for (key, operations) in &held {
                if let Some(row) = model(operations, at as i64 * 1_000_000) {
                    expected.insert((*key).clone(), row);
                }
            }
            if found != expected {
                return Err(violation!(
                    "merges rows at {at} s as of cut {part} to {found:?}, from scratch {expected:?}"
                ));
            }
        }
    }
    Ok(all)
}

fn shown(row: &TableRow) -> String {
    row.columns.iter().map(|(name, value)| format!("{name} {value} ")).collect()
}

/// A vector that holds a part of each log of the table, and nothing else.
fn part_of(vector: &VersionVector, part: u64) -> VersionVector {
    let mut cut = VersionVector::new();
    for (root, replica, seq) in vector.iter().filter(|(root, ..)| root.as_str() == ROOT) {
        let mixed = replica.as_u64().wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(part);
        cut.set(*root, replica, seq * (mixed % 5) / 4);
    }
    cut
}

fn is_held(cut: Option<&VersionVector>, operation: &Operation) -> bool {
    let Ok(root) = RootName::try_from(ROOT) else { return false };
    cut.is_none_or(|cut| cut.includes(&root, operation.id.replica(), operation.seq))
}

/// All operations by key, read from the bytes of their events.
fn operations(database: &Database) -> Result<BTreeMap<String, Vec<Operation>>, Violation> {
    let read = |error| violation!("cannot be read: {error}");
    let table = |error: TableError| violation!("rows cannot be read: {error}");
    let Ok(root) = RootName::try_from(ROOT) else { return Ok(BTreeMap::new()) };
    let mut all: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for event in database.read(&Query::root(root)).map_err(read)? {
        let event = event.map_err(read)?.event;
        let Ok(Cbor::Map(members)) = ciborium::from_reader(event.payload.as_slice()) else {
            return Err(violation!("event {} is no operation", event.id));
        };
        let number = |value: &Cbor| value.as_integer().map(i128::from);
        let mut cells: BTreeMap<i128, Cbor> = BTreeMap::new();
        for (name, value) in members {
            cells.extend(number(&name).map(|name| (name, value)));
        }
        let life = cells.remove(&0).and_then(|life| number(&life)).unwrap_or_default();
        let until = cells.remove(&-1).and_then(|until| i64::try_from(number(&until)?).ok());
        let (id, seq, from) = (event.id, event.seq, event.valid_at.as_micros());
        let operation = Operation { id, seq, commit: id, life, from, until, cells };
        all.entry(event.key.clone()).or_default().push(operation);
    }
    // Which commit an event is of stands in its batch.
    let fleet = database.table("fleet").map_err(table)?;
    for (key, operations) in &mut all {
        let history = fleet.history(key).map_err(table)?;
        let commits: BTreeMap<EventId, EventId> =
            history.iter().map(|change| (change.id, change.commit)).collect();
        for operation in operations {
            operation.commit = commits.get(&operation.id).copied().unwrap_or(operation.id);
        }
    }
    Ok(all)
}

/// The row at an instant, by the words of the reference.
fn model(operations: &[&Operation], at: i64) -> Option<String> {
    let covers = |it: &&&Operation| it.from <= at && it.until.is_none_or(|until| at < until);
    let covering: Vec<&&Operation> = operations.iter().filter(covers).collect();
    let life = covering.iter().map(|it| it.life).max()?;
    if life % 2 == 0 {
        return None;
    }
    let alive = || covering.iter().filter(|it| it.life == life);
    let names = alive().filter_map(|it| Some(((it.commit, it.id), it.cells.get(&1)?)));
    let name = names.max_by_key(|(place, _)| *place).and_then(|(_, name)| name.as_text());
    let name = name.map_or_else(|| "null".to_owned(), |name| format!("{name:?}"));
    let added = |it: &&&Operation| it.cells.get(&2).and_then(Cbor::as_integer).map(i128::from);
    let points: i128 = alive().filter_map(added).sum();
    let mut adds: BTreeSet<(String, EventId)> = BTreeSet::new();
    let mut removed: BTreeSet<(String, EventId)> = BTreeSet::new();
    let text = |value: &Cbor| value.as_text().unwrap_or_default().to_owned();
    for operation in alive() {
        for (kind, values) in operation.cells.get(&3).and_then(Cbor::as_map).into_iter().flatten() {
            for value in values.as_array().into_iter().flatten() {
                if kind.as_integer().map(i128::from) == Some(1) {
                    adds.insert((text(value), operation.id));
                    continue;
                }
                let Some([element, ids]) = value.as_array().map(Vec::as_slice) else { continue };
                let ids = ids.as_array().into_iter().flatten().filter_map(Cbor::as_bytes);
                for id in ids {
                    let id = id.iter().fold(0_u128, |id, byte| (id << 8) | u128::from(*byte));
                    removed.insert((text(element), EventId::from_u128(id)));
                }
            }
        }
    }
    let tags: BTreeSet<&str> =
        adds.difference(&removed).map(|(element, _)| element.as_str()).collect();
    let tags: Vec<String> = tags.into_iter().map(|tag| format!("{tag:?}")).collect();
    Some(format!("name {name} points {points} tags set [{}] ", tags.join(", ")))
}
