//! What is put into a row, as a statement of Laterlog with parameters.

use std::collections::BTreeMap;

use laterbase_event::Timestamp;
use laterbase_lang::Value;

use super::Typed;
use crate::database::Database;
use crate::execute::{Done, ExecuteError};

/// A text in Laterlog, and the values of its parameters by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text.
    pub text: String,
    /// The parameters: `$p1` is under `p1`.
    pub parameters: Vec<(String, Value)>,
}

impl Statement {
    /// Carries it out.
    ///
    /// # Errors
    /// As [`Execute::run`](crate::execute::Execute::run).
    pub fn run(&self, database: &Database) -> Result<Done, ExecuteError> {
        let mut execute = database.execute(self.text.as_str());
        for (name, value) in &self.parameters {
            execute = execute.bind(name, value.clone());
        }
        execute.run()
    }
}

/// The columns that are put into one row of a table.
///
/// Names are written as they stand in a statement, between backticks where they need them.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    table: &'static str,
    key: String,
    columns: BTreeMap<&'static str, Change>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What happens to a column.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Set(Value),
    Count(i64),
    Values { insert: Vec<Value>, remove: Vec<Value> },
}

impl Put {
    /// Nothing yet, of the row of a key.
    pub fn new(table: &'static str, key: impl Into<String>) -> Self {
        Self { table, key: key.into(), columns: BTreeMap::new(), from: None, until: None }
    }

    /// Sets a column.
    #[must_use]
    pub fn set(mut self, column: &'static str, value: impl Typed) -> Self {
        self.columns.insert(column, Change::Set(value.to_value()));
        self
    }

    /// Takes away what stands in a column.
    #[must_use]
    pub fn unset(mut self, column: &'static str) -> Self {
        self.columns.insert(column, Change::Set(Value::Null));
        self
    }

    /// Says all that is in a set.
    #[must_use]
    pub fn replace(self, column: &'static str, values: impl Typed) -> Self {
        self.set(column, values)
    }

    /// Adds to a counter; several times is their sum.
    #[must_use]
    pub fn count(mut self, column: &'static str, by: i64) -> Self {
        let before = self.columns.get(column);
        let before = if let Some(Change::Count(before)) = before { *before } else { 0 };
        self.columns.insert(column, Change::Count(before.saturating_add(by)));
        self
    }

    /// Adds a value to a set.
    #[must_use]
    pub fn insert(self, column: &'static str, value: impl Typed) -> Self {
        let value = value.to_value();
        self.values(column, |insert, remove| {
            remove.retain(|other| *other != value);
            insert.push(value);
        })
    }

    /// Takes a value from a set.
    #[must_use]
    pub fn remove(self, column: &'static str, value: impl Typed) -> Self {
        let value = value.to_value();
        self.values(column, |insert, remove| {
            insert.retain(|other| *other != value);
            remove.push(value);
        })
    }

    fn values(
        mut self,
        column: &'static str,
        change: impl FnOnce(&mut Vec<Value>, &mut Vec<Value>),
    ) -> Self {
        let nothing = Change::Values { insert: Vec::new(), remove: Vec::new() };
        let values = self.columns.entry(column).or_insert_with(|| nothing.clone());
        if !matches!(values, Change::Values { .. }) {
            *values = nothing;
        }
        if let Change::Values { insert, remove } = values {
            change(insert, remove);
        }
        self
    }

    /// From when on it is so; now if nothing is said.
    #[must_use]
    pub fn valid_from(mut self, at: Timestamp) -> Self {
        self.from = Some(at);
        self
    }

    /// Until when it is so; for good if nothing is said.
    #[must_use]
    pub fn valid_until(mut self, at: Timestamp) -> Self {
        self.until = Some(at);
        self
    }

    /// The statement. What is taken from a set while something else is added to it is a statement of
    /// its own, in one transaction.
    #[must_use]
    pub fn statement(&self) -> Statement {
        let mut parameters = vec![("key".to_owned(), Value::text(&self.key))];
        let mut bind = |value: Value| {
            let name = format!("p{}", parameters.len());
            let shown = format!("${name}");
            parameters.push((name, value));
            shown
        };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (column, change) in &self.columns {
            match change {
                Change::Set(value) => first.push(format!("{column}: {}", bind(value.clone()))),
                Change::Count(by) => first.push(format!("{column}: +{}", bind(Value::Int(*by)))),
                Change::Values { insert, remove } => {
                    if !insert.is_empty() {
                        let added = bind(Value::set(insert.clone()));
                        first.push(format!("{column}: +{added}"));
                    }
                    if !remove.is_empty() {
                        let taken = bind(Value::set(remove.clone()));
                        let of = if insert.is_empty() { &mut first } else { &mut second };
                        of.push(format!("{column}: -{taken}"));
                    }
                }
            }
        }
        let valid = match (self.from, self.until) {
            (None, None) => String::new(),
            (from, until) => {
                let mut end = |at: Option<Timestamp>| {
                    at.map(|at| bind(Value::Time(at.as_micros()))).unwrap_or_default()
                };
                let from = from.map_or_else(|| "now()".to_owned(), |at| end(Some(at)));
                format!(" valid in [{from}, {})", end(until))
            }
        };
        let put = |columns: &[String]| {
            let columns: String = columns.iter().map(|column| format!(", {column}")).collect();
            format!("put {}{{key: $key{columns}}}{valid}", self.table)
        };
        let text = if second.is_empty() {
            put(&first)
        } else {
            format!("transaction {{\n    {}\n    {}\n}}", put(&first), put(&second))
        };
        Statement { text, parameters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_a_statement_with_parameters() {
        let put = Put::new("customer", "c1")
            .set("name", "Acme".to_owned())
            .count("points", 5)
            .count("points", -2)
            .insert("tags", "cold".to_owned())
            .unset("note");
        let statement = put.statement();
        assert_eq!(
            statement.text,
            "put customer{key: $key, name: $p1, note: $p2, points: +$p3, tags: +$p4}"
        );
        let values: Vec<Value> = statement.parameters.into_iter().map(|(_, value)| value).collect();
        let tags = Value::set(vec![Value::text("cold")]);
        let expected = [Value::text("c1"), Value::text("Acme"), Value::Null, Value::Int(3), tags];
        assert_eq!(values, expected);
        let until = put.clone().valid_until(Timestamp::from_micros(0)).statement();
        assert!(until.text.ends_with("} valid in [now(), $p5)"), "{}", until.text);
        let both = put.remove("tags", "warm".to_owned()).statement();
        assert_eq!(both.text.matches("put customer{key: $key").count(), 2, "{}", both.text);
        laterbase_lang::format(&both.text).unwrap();
    }
}
