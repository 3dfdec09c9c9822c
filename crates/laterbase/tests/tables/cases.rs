//! The merges that cr-sqlite tests in public: see `cr_sqlite.cases`.

use std::collections::BTreeMap;
use std::sync::Arc;

use laterbase::ask::Value;
use laterbase::{Database, Options};

use crate::copies::sync;
use crate::support::{TestEnvironment, at, storage};

const SCHEMA: &str = "table 1 foo { 1 b: int?, 2 c: int?, 3 d: int?, 4 e: int? }";

struct Case {
    name: String,
    source: String,
    steps: Vec<String>,
    rows: String,
    theirs: String,
}

struct Copies {
    _dirs: Vec<tempfile::TempDir>,
    clock: Arc<TestEnvironment>,
    others: Vec<Arc<TestEnvironment>>,
    all: BTreeMap<String, Database>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("cr_sqlite.cases");
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim().to_owned();
        if word == "case" {
            let (source, steps, rows, theirs) = <(String, Vec<String>, String, String)>::default();
            cases.push(Case { name: rest, source, steps, rows, theirs });
            continue;
        }
        let case = cases.last_mut().unwrap();
        match word {
            "from" => case.source = rest,
            "rows" => case.rows = rest,
            "theirs" => case.theirs = rest,
            _ => case.steps.push(line.to_owned()),
        }
    }
    cases
}

impl Copies {
    fn new() -> Self {
        let mut dirs = Vec::new();
        let mut clocks = Vec::new();
        let mut all: BTreeMap<String, Database> = BTreeMap::new();
        for (seed, name) in ["c1", "c2", "c3"].into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let clock = TestEnvironment::seeded(1_800_000_000_000, seed as u64 + 1);
            let options = Options::small_device();
            let db = match all.get("c1") {
                None => Database::create_on(storage(&dir), clock.clone(), options).unwrap(),
                Some(first) => {
                    let id = first.id();
                    Database::create_joined_on(storage(&dir), clock.clone(), options, id).unwrap()
                }
            };
            all.insert(name.to_owned(), db);
            dirs.push(dir);
            clocks.push(clock);
        }
        all["c1"].apply_schema(SCHEMA).unwrap();
        sync(&all["c1"], &all["c2"]);
        sync(&all["c1"], &all["c3"]);
        let clock = clocks.remove(0);
        Self { _dirs: dirs, clock, others: clocks, all }
    }

    fn step(&self, step: &str) {
        self.clock.advance_ms(1);
        for clock in &self.others {
            clock.advance_ms(1);
        }
        let words: Vec<&str> = step.split_whitespace().collect();
        match words.as_slice() {
            ["sync", here, there] => sync(&self.all[*here], &self.all[*there]),
            [copy, "put", key, columns @ ..] => {
                let table = self.all[*copy].table("foo").unwrap();
                let mut put = table.put(*key).valid(at(0), None);
                for column in columns {
                    let (name, value) = column.split_once('=').unwrap();
                    put = put.set(name, value.parse::<i64>().unwrap());
                }
                put.run().unwrap();
            }
            [copy, "delete", key] => {
                let table = self.all[*copy].table("foo").unwrap();
                table.delete(*key).valid(at(0), None).run().unwrap().unwrap();
            }
            _ => panic!("{step}"),
        }
    }

    fn rows(&self, copy: &str) -> String {
        let rows = self.all[copy].table("foo").unwrap().read().valid_at(at(1)).rows().unwrap();
        let shown = rows.iter().map(|row| {
            let columns = row.columns.iter().filter(|(_, value)| *value != Value::Null);
            let columns = columns.map(|(name, value)| format!(" {name}={value}"));
            format!("{}{}", row.key, columns.collect::<String>())
        });
        shown.collect::<Vec<_>>().join(" · ")
    }
}

#[test]
fn merges_come_to_what_is_told_of_them() {
    let cases = cases();
    assert!(cases.len() >= 20, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(!case.source.is_empty() && !case.theirs.is_empty(), "{}", case.name);
        let copies = Copies::new();
        case.steps.iter().for_each(|step| copies.step(step));
        for (here, there) in [("c1", "c2"), ("c2", "c3"), ("c1", "c2")] {
            sync(&copies.all[here], &copies.all[there]);
        }
        for copy in ["c1", "c2", "c3"] {
            let rows = copies.rows(copy);
            if rows != case.rows {
                wrong.push(format!("{}: {copy} has {rows:?}, not {:?}", case.name, case.rows));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
