//! Tables of few and small values, absent ones among them.

use laterbase_lang::{Decimal, Value};

use super::Relation;
use crate::programs::Random;

/// A type of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Decimal,
    Text,
    Time,
    Bool,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Int, Self::Decimal, Self::Text, Self::Time, Self::Bool];

    pub fn any(random: &mut Random) -> Self {
        match random.below(10) {
            0..=3 => Self::Int,
            4..=5 => Self::Text,
            6..=7 => Self::Decimal,
            8 => Self::Time,
            _ => Self::Bool,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Time => "time",
            Self::Bool => "bool",
        }
    }
}

/// A value in both worlds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    /// Quarters.
    Decimal(i64),
    Text(&'static str),
    /// Half days since 2026-01-01.
    Time(i64),
    Bool(bool),
}

/// 2026-01-01T00:00Z in microseconds.
const BEGINNING: i64 = 1_767_225_600_000_000;
pub const DAY: i64 = 86_400_000_000;

impl Cell {
    pub fn of(kind: Kind, random: &mut Random) -> Self {
        match kind {
            Kind::Int => Self::Int(random.below(6) as i64 - 2),
            Kind::Decimal => Self::Decimal(random.below(9) as i64 - 3),
            Kind::Text => Self::Text(["", "a", "b", "ab", "B", " a", "é"][random.below(7)]),
            Kind::Time => Self::Time(random.below(8) as i64 - 2),
            Kind::Bool => Self::Bool(random.chance(50)),
        }
    }

    pub fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Int(int) => Value::Int(*int),
            Self::Decimal(quarters) => Value::decimal(Decimal::new(quarters * 25, 2)),
            Self::Text(text) => Value::text(text),
            Self::Time(halves) => Value::Time(BEGINNING + halves * DAY / 2),
            Self::Bool(is) => Value::Bool(*is),
        }
    }

    /// As a question has it.
    pub fn log(&self) -> String {
        self.value().to_string()
    }

    /// As SQL has it: times as microseconds, truths as 0 and 1.
    pub fn sql(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Int(int) => int.to_string(),
            Self::Decimal(quarters) => format!("{:.2}", *quarters as f64 / 4.0),
            Self::Text(text) => format!("'{text}'"),
            Self::Time(halves) => (BEGINNING + halves * DAY / 2).to_string(),
            Self::Bool(is) => i64::from(*is).to_string(),
        }
    }
}

/// A table and its rows; the key of a row is its place.
pub struct Table {
    number: usize,
    columns: Vec<(Kind, bool)>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn random(random: &mut Random, number: usize) -> Self {
        let columns: Vec<(Kind, bool)> =
            (0..random.between(1, 4)).map(|_| (Kind::any(random), random.chance(60))).collect();
        let rows = (0..random.below(9))
            .map(|_| {
                let cell = |(kind, is_optional): &(Kind, bool)| match *is_optional {
                    true if random.chance(25) => Cell::Null,
                    _ => Cell::of(*kind, random),
                };
                columns.iter().map(cell).collect()
            })
            .collect();
        Self { number, columns, rows }
    }

    pub fn name(&self) -> String {
        format!("t{}", self.number)
    }

    pub fn declaration(&self) -> String {
        let columns = self.columns.iter().enumerate().map(|(at, (kind, is_optional))| {
            let optional = if *is_optional { "?" } else { "" };
            format!("{} c{at}: {}{optional}", at + 1, kind.name())
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        format!("table {} {} {{ {columns} }}\n", self.number + 1, self.name())
    }

    pub fn relation(&self) -> Relation {
        let columns = self.columns.iter().enumerate();
        let columns = columns.map(|(at, (kind, _))| (format!("c{at}"), *kind)).collect();
        Relation { name: self.name(), columns, has_keys: true }
    }

    /// Statements that make it in SQL.
    pub fn sql(&self) -> String {
        let columns: Vec<String> = (0..self.columns.len()).map(|at| format!("c{at}")).collect();
        let mut sql = format!("CREATE TABLE {} (key, {});\n", self.name(), columns.join(", "));
        for (key, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(Cell::sql).collect();
            let cells = cells.join(", ");
            sql.push_str(&format!("INSERT INTO {} VALUES ('{key}', {cells});\n", self.name()));
        }
        sql
    }

    /// The row as values, in the order of some columns.
    pub fn values(&self, names: &[&str]) -> Vec<Vec<Value>> {
        let value = |key: usize, row: &Vec<Cell>, name: &str| match name.strip_prefix('c') {
            Some(at) => row[at.parse::<usize>().unwrap()].value(),
            None => Value::text(&key.to_string()),
        };
        let rows = self.rows.iter().enumerate();
        rows.map(|(key, row)| names.iter().map(|name| value(key, row, name)).collect()).collect()
    }
}
