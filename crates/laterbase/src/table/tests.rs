//! Tables against a model that looks at each instant by itself.
//!
//! Breaks that these tests catch: cells of an older life that are kept; the last writer taken by
//! event, by arrival or by the slice's order in place of its commit; a removal that also takes adds
//! it has not seen; an operation that counts at its end, or not at its beginning; neighbours that
//! are not joined; what is let go of too early.

use std::collections::{BTreeMap, BTreeSet};

use laterbase_event::{EventId, Hlc, ReplicaId};
use laterbase_lang::schema::Table;
use laterbase_lang::{Value, parse, schema};
use laterbase_query::ValidTime;

use super::merge::{MergeColumn, MergedRow, merge, superseded};
use super::operation::{Cell, Operation, Reading, pending_id};
use super::{Change, ColumnName, RowDraft, SchemaHash};

/// Instants at which histories take place.
const INSTANTS: i64 = 12;

fn table() -> Table {
    let text = "table 1 customer {\n 1 name: text\n 2 points: counter\n 3 tags: set text\n 4 note: \
                text?\n}";
    let (schema, diagnostics) = schema::declare(&parse(text).statements);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    schema.tables.get(&1).unwrap().clone()
}

fn columns() -> Vec<MergeColumn> {
    table().fields.fields.iter().map(|(number, field)| MergeColumn::of(*number, field)).collect()
}

fn name(number: u32) -> ColumnName {
    ColumnName::Number(number)
}

fn event(clock: u64, replica: u64) -> EventId {
    EventId::new(Hlc::from_u64(clock), ReplicaId::from_u64(replica))
}

/// Numbers that look random, the same for one seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// The operations of a draft's events, recorded one behind the other.
fn record(draft: RowDraft, clock: &mut u64, replica: u64) -> Vec<Operation> {
    let reading = Reading::same(&table());
    let commit = event(*clock + 1, replica);
    let writes = draft.finish(SchemaHash::of(""));
    let recorded = writes.iter().map(|write| {
        *clock += 1;
        reading.read_back(write, event(*clock, replica), commit).expect("what is written is read")
    });
    recorded.collect()
}

fn random_change(random: &mut Random) -> (ColumnName, Change) {
    let text = |random: &mut Random| Value::text(["a", "b", "c"][random.below(3) as usize]);
    let texts = |random: &mut Random| -> Vec<Value> {
        (0..random.below(3)).map(|_| text(random)).collect()
    };
    match random.below(8) {
        0 | 1 => (name(1), Change::Set(text(random))),
        2 => (name(4), Change::Set(Value::Null)),
        3 => (name(4), Change::Set(text(random))),
        4 => (name(2), Change::Add(random.below(9) as i64 - 4)),
        5 => (name(3), Change::Insert(texts(random))),
        6 => (name(3), Change::Remove(texts(random))),
        _ => (name(3), Change::Replace(texts(random))),
    }
}

/// What several copies do to one row while they know of each other now and then.
fn history(random: &mut Random) -> Vec<Operation> {
    let copies = 1 + random.below(3) as usize;
    let mut known: Vec<BTreeMap<EventId, Operation>> = vec![BTreeMap::new(); copies];
    let mut clocks = vec![0_u64; copies];
    for _ in 0..random.below(14) {
        let copy = random.below(copies as u64) as usize;
        if random.below(3) == 0 {
            let other = random.below(copies as u64) as usize;
            let theirs = known[other].clone();
            known[copy].extend(theirs);
            clocks[copy] = clocks[copy].max(clocks[other]);
        }
        let mut draft = RowDraft::new(known[copy].values().cloned().collect());
        for _ in 0..=random.below(2) {
            let from = random.below(INSTANTS as u64) as i64;
            let until = (random.below(2) == 0).then(|| from + random.below(6) as i64);
            if random.below(4) == 0 {
                draft.delete(from, until);
            } else {
                let changes: Vec<_> = (0..random.below(4)).map(|_| random_change(random)).collect();
                draft.put(from, until, &changes);
            }
        }
        // Clocks of copies that have not met run apart.
        clocks[copy] += random.below(3);
        let recorded = record(draft, &mut clocks[copy], copy as u64 + 1);
        known[copy].extend(recorded.into_iter().map(|it| (it.id, it)));
    }
    let all: BTreeMap<EventId, Operation> = known.into_iter().flatten().collect();
    all.into_values().collect()
}

/// The row at an instant, by the words of the reference.
fn model(operations: &[Operation], at: i64) -> Option<Vec<Value>> {
    let covers = |it: &&Operation| it.from <= at && it.until.is_none_or(|until| at < until);
    let life = operations.iter().filter(covers).map(|it| it.life).max()?;
    if life.is_multiple_of(2) {
        return None;
    }
    let alive: Vec<&Operation> =
        operations.iter().filter(covers).filter(|it| it.life == life).collect();
    let cell = |it: &Operation, number: u32| {
        it.cells.iter().find(|(other, _)| *other == name(number)).map(|(_, cell)| cell.clone())
    };
    let last = |number: u32| {
        let puts = alive.iter().filter_map(|it| match cell(it, number) {
            Some(Cell::Value(value)) => Some(((it.commit, it.id), value)),
            _ => None,
        });
        puts.max_by_key(|(place, _)| *place).map_or(Value::Null, |(_, value)| value)
    };
    let mut points = 0;
    let mut adds: Vec<(Value, EventId)> = Vec::new();
    let mut removals: Vec<(Value, EventId)> = Vec::new();
    for operation in &alive {
        if let Some(Cell::Count(count)) = cell(operation, 2) {
            points += count;
        }
        if let Some(Cell::Set { added, removed }) = cell(operation, 3) {
            adds.extend(added.into_iter().map(|value| (value, operation.id)));
            for (value, ids) in removed {
                removals.extend(ids.into_iter().map(|id| (value.clone(), id)));
            }
        }
    }
    adds.retain(|add| !removals.contains(add));
    let tags = Value::set(adds.into_iter().map(|(value, _)| value).collect());
    Some(vec![last(1), Value::Int(points), tags, last(4)])
}

fn at(rows: &[MergedRow], at: i64) -> Option<Vec<Value>> {
    let mut rows = rows.iter().filter(|row| row.from <= at && row.until.is_none_or(|it| at < it));
    let found = rows.next().map(|row| row.cells.clone());
    assert!(rows.next().is_none(), "two rows at {at}");
    found
}

#[test]
fn every_instant_is_as_the_model_says_whatever_the_order() {
    let columns = columns();
    for seed in 0..6_000 {
        let mut random = Random(seed);
        let mut operations = history(&mut random);
        let rows = merge(&operations, &columns, ValidTime::Any);
        for instant in -1..INSTANTS + 8 {
            let expected = model(&operations, instant);
            assert_eq!(at(&rows, instant), expected, "seed {seed} at {instant}: {operations:#?}");
            let alone = merge(&operations, &columns, ValidTime::At(instant));
            assert_eq!(at(&alone, instant), expected, "seed {seed} only at {instant}");
        }
        for pair in rows.windows(2) {
            assert!(pair[0].until.is_some_and(|until| until <= pair[1].from), "seed {seed}");
            let touch = pair[0].until == Some(pair[1].from);
            assert!(!touch || pair[0].cells != pair[1].cells, "seed {seed}: not joined");
        }
        random.shuffle(&mut operations);
        assert_eq!(merge(&operations, &columns, ValidTime::Any), rows, "seed {seed} shuffled");
    }
}

#[test]
fn a_range_is_the_whole_cut_to_it() {
    let columns = columns();
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let operations = history(&mut random);
        let whole = merge(&operations, &columns, ValidTime::Any);
        let from = random.below(INSTANTS as u64) as i64;
        let until = from + 1 + random.below(8) as i64;
        let cut: Vec<MergedRow> = whole
            .into_iter()
            .filter(|row| row.from < until && row.until.is_none_or(|it| from < it))
            .map(|row| MergedRow {
                from: row.from.max(from),
                until: Some(row.until.map_or(until, |it| it.min(until))),
                ..row
            })
            .collect();
        let valid = ValidTime::In(Some(from), Some(until));
        assert_eq!(merge(&operations, &columns, valid), cut, "seed {seed}");
    }
}

/// All orders of a list.
fn permutations<T: Clone>(values: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = values.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for rest in permutations(rest) {
        for at in 0..=rest.len() {
            let mut one = rest.clone();
            one.insert(at, first.clone());
            all.push(one);
        }
    }
    all
}

#[test]
fn every_order_of_arrival_comes_to_the_same() {
    let columns = columns();
    let mut looked_at = 0;
    for seed in 0..400 {
        let operations = history(&mut Random(seed));
        if operations.len() > 5 {
            continue;
        }
        looked_at += 1;
        let rows = merge(&operations, &columns, ValidTime::Any);
        for order in permutations(&operations) {
            assert_eq!(merge(&order, &columns, ValidTime::Any), rows, "seed {seed}");
        }
    }
    assert!(looked_at > 50, "{looked_at}");
}

#[test]
fn what_is_let_go_of_never_shows() {
    let columns = columns();
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut operations = history(&mut random);
        random.shuffle(&mut operations);
        for instant in 0..INSTANTS {
            let mut kept: Vec<Operation> = Vec::new();
            for operation in operations.iter().filter(|it| it.covers(instant)) {
                kept.push(operation.clone());
                superseded(&mut kept);
            }
            let rows = merge(&kept, &columns, ValidTime::At(instant));
            assert_eq!(at(&rows, instant), model(&operations, instant), "seed {seed} {instant}");
        }
    }
}

#[test]
fn a_commit_wins_or_loses_as_a_whole() {
    // Copy 2 begins its commit earlier and writes its last event later than copy 1.
    let put = |clock, commit, replica, number, value: &str| Operation {
        id: event(clock, replica),
        commit: event(commit, replica),
        life: 1,
        from: 0,
        until: None,
        is_delete: false,
        cells: vec![(name(number), Cell::Value(Value::text(value)))],
    };
    let operations = [
        put(10, 10, 2, 1, "lost"),
        put(30, 10, 2, 4, "lost"),
        put(20, 20, 1, 1, "won"),
        put(21, 20, 1, 4, "won"),
    ];
    let rows = merge(&operations, &columns(), ValidTime::Any);
    let won = Value::text("won");
    let none = Value::Set([].into());
    assert_eq!(rows[0].cells, [won.clone(), Value::Int(0), none, won]);
}

#[test]
fn a_counter_beyond_64_bits_is_absent_and_comes_back() {
    let mut clock = 0;
    let mut operations = Vec::new();
    for (count, from) in [(i64::MAX, 0), (1, 10), (-5, 20)] {
        let mut draft = RowDraft::new(operations.clone());
        draft.put(from, None, &[(name(2), Change::Add(count))]);
        operations.extend(record(draft, &mut clock, 1));
    }
    let points: Vec<Value> = merge(&operations, &columns(), ValidTime::Any)
        .into_iter()
        .map(|row| row.cells[1].clone())
        .collect();
    assert_eq!(points, [Value::Int(i64::MAX), Value::Null, Value::Int(i64::MAX - 4)]);
}

#[test]
fn ten_thousand_operations_of_one_row_are_merged() {
    let mut random = Random(7);
    let text = |number: u64| Value::text(&format!("t{}", number % 50));
    let operations: Vec<Operation> = (0..10_000_u64)
        .map(|clock| Operation {
            id: event(clock + 1, 1),
            commit: event(clock + 1, 1),
            life: 1,
            from: random.below(1_000_000) as i64,
            until: None,
            is_delete: false,
            cells: vec![
                (name(1), Cell::Value(text(clock))),
                (name(2), Cell::Count(1)),
                (name(3), Cell::Set { added: vec![text(clock)], removed: Vec::new() }),
            ],
        })
        .collect();
    let rows = merge(&operations, &columns(), ValidTime::Any);
    let last = rows.last().unwrap();
    assert_eq!(last.cells[..2], [text(9_999), Value::Int(10_000)]);
    assert!(rows.len() > 9_900, "{}", rows.len());
}

#[test]
fn a_removal_names_the_adds_of_its_own_commit_and_no_later_ones() {
    let tags = |operations: &[Operation]| {
        merge(operations, &columns(), ValidTime::At(50)).pop().unwrap().cells[2].clone()
    };
    let a = || vec![Value::text("a")];
    let mut draft = RowDraft::new(Vec::new());
    draft.put(0, None, &[(name(3), Change::Insert(a()))]);
    draft.put(0, None, &[(name(3), Change::Remove(a()))]);
    assert_eq!(tags(draft.operations()), Value::Set([].into()));
    let recorded = record(draft, &mut 100, 3);
    assert_eq!(tags(&recorded), Value::Set([].into()));
    let Some(Cell::Set { removed, .. }) = recorded[1].cells.first().map(|(_, it)| it.clone())
    else {
        panic!("{recorded:?}");
    };
    assert_eq!(removed, [(Value::text("a"), vec![recorded[0].id])]);
    assert_ne!(removed[0].1[0], pending_id(0));
    // Another copy adds it while it does not know.
    let other = record(
        {
            let mut draft = RowDraft::new(Vec::new());
            draft.put(0, None, &[(name(3), Change::Insert(a()))]);
            draft
        },
        &mut 50,
        4,
    );
    assert_eq!(tags(&[recorded, other].concat()), Value::set(a()));
}

#[test]
fn pieces_of_one_life_are_one_event_and_what_is_gone_is_not_deleted() {
    let mut clock = 0;
    let mut draft = RowDraft::new(Vec::new());
    draft.put(10, Some(20), &[]);
    let mut history = record(draft, &mut clock, 1);
    let lives = |draft: RowDraft| -> Vec<(i64, Option<i64>, u64)> {
        let drafted = draft.operations().iter().filter(|it| it.id >= pending_id(0));
        drafted.map(|it| (it.from, it.until, it.life)).collect()
    };
    let draft = |history: &[Operation]| RowDraft::new(history.to_vec());
    let mut over_all = draft(&history);
    over_all.put(0, None, &[]);
    assert_eq!(lives(over_all), [(0, None, 1)]);
    let mut gone = draft(&history);
    gone.delete(0, None);
    assert_eq!(lives(gone.clone()), [(10, Some(20), 2)]);
    history.extend(record(gone, &mut clock, 1));
    let mut again = draft(&history);
    again.put(0, None, &[]);
    assert_eq!(lives(again), [(0, Some(10), 1), (10, Some(20), 3), (20, None, 1)]);
    let mut nothing = draft(&history);
    nothing.delete(0, None);
    nothing.put(5, Some(5), &[]);
    assert_eq!(nothing.finish(SchemaHash::of("")), []);
}

#[test]
fn lives_of_all_times_are_told_apart() {
    let seen: BTreeSet<u64> =
        (0..6_000).flat_map(|seed| history(&mut Random(seed))).map(|it| it.life).collect();
    assert!(seen.len() >= 5, "{seen:?}");
}
