//! Tables in a database: put, merged, asked, synced, held against what others may have written.
//!
//! Breaks that these tests catch: a row that is read by another way and is another one; a cut or a
//! valid time that is forgotten; a write that decides on a row that has changed; copies with the
//! same events and other rows; an event under a table's root that is no operation and harms.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod copies;
mod foreign;
mod history;
mod rows;
#[path = "../support/mod.rs"]
mod support;

use laterbase::Database;
use support::Fixture;

pub(crate) const SCHEMA: &str = "
table 1 customer {
    1 name: text
    2 points: counter
    3 tags: set text
    4 note: text?
    5 region: text = \"EU\"
}
table 2 place lax { 1 port: text? }
";

pub(crate) fn declared() -> Fixture {
    let fixture = Fixture::new();
    fixture.db.apply_schema(SCHEMA).unwrap_or_else(|error| panic!("{error}"));
    fixture
}

/// The rows of a question as lines of JSON.
pub(crate) fn ask(db: &Database, text: &str) -> Vec<String> {
    let answer = db.query(text).run();
    let answer = answer.unwrap_or_else(|error| panic!("{}", error.render("query")));
    let rows: Vec<serde_json::Value> = answer.rows_as().unwrap();
    rows.iter().map(ToString::to_string).collect()
}
