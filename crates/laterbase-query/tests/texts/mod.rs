//! Random schemas, rows and questions without recursion, each as Laterlog and as SQL.
//!
//! A seed is a text. Everything is typed, so that every text is accepted; values are few, and such
//! that numbers with a point are exact in binary too; divisors are constants. SQL says in its own
//! words what the reference says:
//!
//! ```text
//!   head :- body             SELECT DISTINCT … FROM … WHERE …
//!   aggregates               … over SELECT DISTINCT every variable, and the key of every row
//!   not (body)               NOT EXISTS (SELECT …)
//!   a comparison, not a      COALESCE(a < b, 0), a IS NOT 1: absent is not true
//!   limit, order             ORDER BY what is said, then every column
//! ```

mod body;
mod expression;
mod rows;

pub use self::rows::{Cell, Kind, Table};

use crate::programs::Random;
use body::Body;
use expression::Both;

/// A schema, its rows, and a question about them.
pub struct Text {
    pub tables: Vec<Table>,
    pub schema: String,
    pub log: String,
    pub sql: String,
    /// What the columns of the answer are.
    pub kinds: Vec<Kind>,
}

/// What can stand in an atom.
#[derive(Clone)]
pub struct Relation {
    pub name: String,
    pub columns: Vec<(String, Kind)>,
    /// Whether its rows have keys: a table.
    pub has_keys: bool,
}

/// The text of a seed.
pub fn text(seed: u64) -> Text {
    let mut random = Random::new(seed);
    let tables: Vec<Table> =
        (0..random.between(1, 3)).map(|at| Table::random(&mut random, at)).collect();
    let schema = tables.iter().map(Table::declaration).collect();
    let mut maker = Maker { random, relations: tables.iter().map(Table::relation).collect() };
    let (mut log, mut common) = (String::new(), Vec::new());
    for number in 0..maker.random.below(3) {
        let (rules, expression) = maker.rules(&format!("d{number}"));
        log.push_str(&rules);
        common.push(expression);
    }
    let (question, select, kinds) = maker.question();
    log.push_str(&question);
    let with =
        if common.is_empty() { String::new() } else { format!("WITH {}\n", common.join(",\n")) };
    Text { tables, schema, log, sql: with + &select, kinds }
}

pub struct Maker {
    pub random: Random,
    pub relations: Vec<Relation>,
}

/// A column of a head: how it is written, and its kind.
struct Column {
    both: Both,
    is_aggregate: bool,
}

impl Maker {
    /// A relation of one or two rules, and its common table expression.
    fn rules(&mut self, name: &str) -> (String, String) {
        let (mut log, mut selects) = (String::new(), Vec::new());
        let mut kinds: Option<Vec<Kind>> = None;
        for _ in 0..self.random.between(1, 2) {
            let body = self.body();
            let columns = match &kinds {
                None => {
                    let width = self.random.between(1, 3);
                    let has_aggregates = self.random.chance(30);
                    self.head(&body, width, has_aggregates)
                }
                Some(kinds) => kinds
                    .iter()
                    .map(|kind| self.expression(&body, *kind, 2))
                    .map(|both| Column { both, is_aggregate: false })
                    .collect(),
            };
            let has_aggregates = columns.iter().any(|column| column.is_aggregate);
            log.push_str(&format!("{name}{} :- {}\n", head_log(&columns), body.log()));
            selects.push(select(&columns, &body));
            kinds = Some(columns.iter().map(|column| column.both.kind).collect());
            // A sum and a value in one column would be two types, now and then.
            if has_aggregates {
                break;
            }
        }
        let kinds = kinds.unwrap();
        let columns = kinds.iter().enumerate().map(|(at, kind)| (format!("c{at}"), *kind));
        let columns: Vec<(String, Kind)> = columns.collect();
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let common = format!("{name}({}) AS ({})", names.join(", "), selects.join(" UNION "));
        self.relations.push(Relation { name: name.to_owned(), columns, has_keys: false });
        (log, common)
    }

    fn question(&mut self) -> (String, String, Vec<Kind>) {
        let body = self.body();
        let width = self.random.between(1, 4);
        let has_aggregates = self.random.chance(35);
        let columns = self.head(&body, width, has_aggregates);
        let kinds: Vec<Kind> = columns.iter().map(|column| column.both.kind).collect();
        let mut log = format!("?{} :- {}", head_log(&columns), body.log());
        let names: Vec<String> = (0..width).map(|at| format!("c{at}")).collect();
        let mut sql = format!("SELECT * FROM ({})", select(&columns, &body));
        let seen = Body::of_columns(&kinds);
        if self.random.chance(25) {
            let having = self.expression(&seen, Kind::Bool, 2);
            log.push_str(&format!("\n    having {}", having.log));
            sql.push_str(&format!(" WHERE {}", having.sql));
        }
        let mut order = Vec::new();
        let sorts = self.random.below(3);
        let mut said = Vec::new();
        for _ in 0..sorts {
            let name = &names[self.random.below(width)];
            let direction = if self.random.chance(50) { "desc" } else { "asc" };
            said.push(format!("{name} {direction}"));
            order.push(format!("{name} {direction}"));
        }
        if !said.is_empty() {
            log.push_str(&format!("\n    order by {}", said.join(", ")));
        }
        order.extend(names);
        sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        let limit = self.random.chance(25).then(|| self.random.below(5));
        let offset = self.random.chance(10).then(|| self.random.below(3));
        if let Some(limit) = limit {
            log.push_str(&format!("\n    limit {limit}"));
        }
        if let Some(offset) = offset {
            log.push_str(&format!("\n    offset {offset}"));
        }
        if limit.is_some() || offset.is_some() {
            let limit = limit.map_or("-1".to_owned(), |limit| limit.to_string());
            sql.push_str(&format!(" LIMIT {limit} OFFSET {}", offset.unwrap_or(0)));
        }
        (log, sql, kinds)
    }

    fn head(&mut self, body: &Body, width: usize, has_aggregates: bool) -> Vec<Column> {
        (0..width)
            .map(|_| {
                if has_aggregates && self.random.chance(60) {
                    Column { both: self.aggregate(body), is_aggregate: true }
                } else {
                    let kind = Kind::any(&mut self.random);
                    Column { both: self.expression(body, kind, 2), is_aggregate: false }
                }
            })
            .collect()
    }
}

fn head_log(columns: &[Column]) -> String {
    let columns = columns.iter().enumerate();
    let columns = columns.map(|(at, column)| format!("c{at}: {}", column.both.log));
    format!("{{{}}}", columns.collect::<Vec<_>>().join(", "))
}

/// The rows of a head, each once; aggregates see variables as columns of the different bindings.
fn select(columns: &[Column], body: &Body) -> String {
    let has_aggregates = columns.iter().any(|column| column.is_aggregate);
    let (mut outputs, mut groups, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (at, column) in columns.iter().enumerate() {
        if column.is_aggregate || !has_aggregates {
            outputs.push(format!("{} AS c{at}", column.both.sql));
        } else {
            outputs.push(format!("g{at} AS c{at}"));
            groups.push(format!(", {} AS g{at}", column.both.sql));
            names.push(format!("g{at}"));
        }
    }
    let outputs = outputs.join(", ");
    if !has_aggregates {
        return format!("SELECT DISTINCT {outputs} FROM ({})", body.sql);
    }
    let inner = format!("SELECT *{} FROM (SELECT DISTINCT * FROM ({}))", groups.concat(), body.sql);
    let by =
        if names.is_empty() { String::new() } else { format!(" GROUP BY {}", names.join(", ")) };
    format!("SELECT {outputs} FROM ({inner}){by}")
}
