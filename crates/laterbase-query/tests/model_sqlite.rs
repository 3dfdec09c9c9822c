//! Random schemas, rows and questions without recursion: the engine, the oracle and SQLite answer
//! alike, row for row. What stands in for what is told in `texts`.
//!
//! `LATERBASE_SEED` is the first seed, `LATERBASE_SCALE` how many times the usual number.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    missing_docs,
    dead_code,
    unused_imports,
    reason = "a test fails by panicking; it uses some of what the others share"
)]

mod programs;
mod texts;

use std::collections::BTreeMap;

use laterbase_lang::plan::Plan;
use laterbase_lang::syntax::StatementKind;
use laterbase_lang::{
    Context, Function, Span, Value, check_query, has_errors, parse, render_all, schema,
};
use laterbase_query::scalar::Scalars;
use laterbase_query::{Limits, MemoryData, Never, oracle, run};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use texts::{Kind, Text};

const USUAL: u64 = 4_000;
/// What `now()` is: 2026-03-10T12:00Z.
const NOW: i64 = 1_773_144_000_000_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn evaluate(function: Function, values: &[Value]) -> Result<Value, String> {
    Scalars::default().call(function, values, Span::default()).map_err(|it| it.to_string())
}

/// The plan of a text, from the schema as it is written.
fn plan(seed: u64, text: &Text) -> Plan {
    let declared = parse(&text.schema);
    let (schema, diagnostics) = schema::declare(&declared.statements);
    assert!(diagnostics.is_empty(), "{}", render_all(&diagnostics, "schema", &text.schema));
    let parsed = parse(&text.log);
    let mut diagnostics = parsed.diagnostics;
    let (stored, parameters) = (BTreeMap::new(), BTreeMap::new());
    let context =
        Context { schema: &schema, stored: &stored, parameters: &parameters, now: NOW, evaluate };
    let (mut rules, mut plan) = (Vec::new(), None);
    for statement in &parsed.statements {
        match &statement.kind {
            StatementKind::Rule(rule) => rules.push(rule.clone()),
            StatementKind::Query(query) => {
                let checked = check_query(&context, &rules, query);
                diagnostics.extend(checked.diagnostics);
                plan = checked.plan;
            }
            _ => panic!("seed {seed}: {}", text.log),
        }
    }
    assert!(
        !has_errors(&diagnostics),
        "seed {seed}: {}",
        render_all(&diagnostics, "text", &text.log)
    );
    plan.unwrap()
}

fn data(text: &Text, plan: &Plan, seed: u64) -> MemoryData {
    let mut data = MemoryData::default();
    if seed.is_multiple_of(3) {
        data.ignore_constraints();
    }
    for stored in &plan.stored {
        let names: Vec<&str> = stored.columns.iter().map(|it| it.column.name.as_ref()).collect();
        let table = text.tables.iter().find(|table| table.name() == *stored.name).unwrap();
        data.insert(&stored.name, table.values(&names));
        for column in (0..names.len()).filter(|_| seed.is_multiple_of(2)) {
            data.make_seekable(&stored.name, column);
            data.make_ordered(&stored.name, column);
        }
    }
    data
}

/// What SQLite answers, as values of the kinds that are wanted.
fn sqlite(text: &Text) -> Result<Vec<Vec<Value>>, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    for table in &text.tables {
        connection.execute_batch(&table.sql())?;
    }
    let mut statement = connection.prepare(&text.sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = text.kinds.iter().enumerate();
        let cells: Result<Vec<Value>, rusqlite::Error> =
            cells.map(|(at, kind)| Ok(value(row.get_ref(at)?, *kind))).collect();
        found.push(cells?);
    }
    Ok(found)
}

fn value(cell: ValueRef<'_>, kind: Kind) -> Value {
    match (cell, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(int), Kind::Int) => Value::Int(int),
        (ValueRef::Integer(int), Kind::Bool) => Value::Bool(int != 0),
        (ValueRef::Integer(int), Kind::Time) => Value::Time(int),
        (ValueRef::Integer(int), Kind::Decimal) => Value::decimal(int.into()),
        (ValueRef::Real(real), Kind::Decimal) => Value::decimal(real.try_into().unwrap()),
        (ValueRef::Text(text), Kind::Text) => Value::text(std::str::from_utf8(text).unwrap()),
        (cell, kind) => panic!("{cell:?} is no {kind:?}"),
    }
}

fn check(seed: u64) -> usize {
    let text = texts::text(seed);
    let plan = plan(seed, &text);
    let data = data(&text, &plan, seed);
    let shown = || {
        let tables: String = text.tables.iter().map(texts::Table::sql).collect();
        format!(
            "LATERBASE_SEED={seed} LATERBASE_ONE=1 cargo test -p laterbase-query --test \
             model_sqlite\n{}{tables}{}\n\n{};\n{plan}",
            text.schema, text.log, text.sql
        )
    };
    let expected = sqlite(&text).unwrap_or_else(|error| panic!("{error}\n{}", shown()));
    let answered = oracle::answer(&plan, &data);
    let answered = answered.unwrap_or_else(|error| panic!("{error}\n{}", shown()));
    let rows = run(&plan, &data, &Limits::NONE, &Never);
    let rows = rows.unwrap_or_else(|error| panic!("{error}\n{}", shown()));
    let found: Vec<Vec<Value>> = rows.iter().map(|row| row.values()).collect();
    assert!(found == answered, "engine {found:?}\noracle {answered:?}\n{}", shown());
    for (at, column) in plan.answer.columns.iter().enumerate() {
        let holds_null = found.iter().any(|row| row[at].is_null());
        assert!(column.is_optional || !holds_null, "{column:?} is absent\n{}", shown());
    }
    assert!(found == expected, "engine {found:?}\nSQLite {expected:?}\n{}", shown());
    expected.len()
}

#[test]
fn the_engine_answers_what_sqlite_answers() {
    let first = setting("LATERBASE_SEED").unwrap_or(1);
    let count = match setting("LATERBASE_ONE") {
        Some(count) => count,
        None => USUAL * setting("LATERBASE_SCALE").unwrap_or(1).max(1),
    };
    let answered = (first..first + count).map(check).filter(|rows| *rows > 0).count();
    println!("{answered} of {count} texts had rows");
}
