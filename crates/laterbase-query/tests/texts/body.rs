//! Bodies: atoms, negations, conditions, computed values.

use super::expression::{Both, variables_of};
use super::rows::{Cell, Kind};
use super::{Maker, Relation};

/// A name that a body binds.
#[derive(Clone)]
pub struct Variable {
    pub log: String,
    pub sql: String,
    pub kind: Kind,
}

pub struct Body {
    pub variables: Vec<Variable>,
    literals: Vec<String>,
    /// A select with a column for each variable, and for the key of each row.
    pub sql: String,
}

/// What an atom says: its text, the columns that are new names, and conditions on the others.
struct Atom {
    log: String,
    new: Vec<Variable>,
    conditions: Vec<String>,
}

impl Body {
    pub fn log(&self) -> String {
        self.literals.join(", ")
    }

    /// The columns of an answer, for `having`.
    pub fn of_columns(kinds: &[Kind]) -> Self {
        let variables = kinds.iter().enumerate().map(|(at, kind)| {
            let name = format!("c{at}");
            Variable { log: name.clone(), sql: name, kind: *kind }
        });
        Self { variables: variables.collect(), literals: Vec::new(), sql: String::new() }
    }
}

impl Maker {
    pub fn body(&mut self) -> Body {
        let mut body = Body { variables: Vec::new(), literals: Vec::new(), sql: String::new() };
        let (mut from, mut columns) = (Vec::new(), vec!["1 AS one".to_owned()]);
        let mut conditions = Vec::new();
        for number in 0..self.random.between(1, 3) {
            let relation = self.relation();
            let alias = format!("a{number}");
            // Inside the select a variable is the column that it was bound by.
            let atom = self.atom(&relation, &alias, &body.variables, "x");
            from.push(format!("{} AS {alias}", relation.name));
            if relation.has_keys {
                columns.push(format!("{alias}.key AS k{number}"));
            }
            body.variables.extend(atom.new);
            conditions.extend(atom.conditions);
            body.literals.push(atom.log);
        }
        for (at, variable) in body.variables.iter_mut().enumerate() {
            columns.push(format!("{} AS v{at}", variable.sql));
            variable.sql = format!("v{at}");
        }
        let conditions =
            if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
        body.sql =
            format!("SELECT {} FROM {} WHERE {conditions}", columns.join(", "), from.join(", "));
        for _ in 0..self.random.below(3) {
            match self.random.below(10) {
                0..=4 => self.push_filter(&mut body),
                5..=7 => self.push_negation(&mut body),
                _ => self.push_let(&mut body),
            }
        }
        body
    }

    fn relation(&mut self) -> Relation {
        let at = self.random.below(self.relations.len());
        self.relations[at].clone()
    }

    /// An atom over what is bound; new names start with a letter and are counted on.
    fn atom(&mut self, relation: &Relation, alias: &str, bound: &[Variable], letter: &str) -> Atom {
        let mut atom = Atom { log: String::new(), new: Vec::new(), conditions: Vec::new() };
        let mut fields = Vec::new();
        for (name, kind) in &relation.columns {
            let column = format!("{alias}.{name}");
            let known: Vec<&Variable> =
                bound.iter().chain(&atom.new).filter(|variable| variable.kind == *kind).collect();
            match self.random.below(20) {
                0..=1 => {}
                2 => fields.push(format!("{name}: _")),
                3 => {
                    let cell = Cell::of(*kind, &mut self.random);
                    fields.push(format!("{name}: {}", cell.log()));
                    atom.conditions.push(format!("{column} = {}", cell.sql()));
                }
                4..=10 if !known.is_empty() => {
                    let variable = known[self.random.below(known.len())];
                    fields.push(format!("{name}: {}", variable.log));
                    atom.conditions.push(format!("{column} = {}", variable.sql));
                }
                _ => {
                    let log = format!("{letter}{}", bound.len() + atom.new.len());
                    fields.push(format!("{name}: {log}"));
                    atom.new.push(Variable { log, sql: column, kind: *kind });
                }
            }
        }
        atom.log = format!("{}{{{}}}", relation.name, fields.join(", "));
        atom
    }

    fn push_filter(&mut self, body: &mut Body) {
        let Both { log, sql, .. } = self.expression(body, Kind::Bool, 2);
        body.literals.push(log);
        body.sql = format!("SELECT * FROM ({}) WHERE {sql}", body.sql);
    }

    fn push_negation(&mut self, body: &mut Body) {
        let (mut literals, mut from, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        let outside = body.variables.len();
        for number in 0..self.random.between(1, 2) {
            let relation = self.relation();
            let alias = format!("n{number}");
            let atom = self.atom(&relation, &alias, &body.variables, "y");
            from.push(format!("{} AS {alias}", relation.name));
            body.variables.extend(atom.new);
            conditions.extend(atom.conditions);
            literals.push(atom.log);
        }
        if self.random.chance(40) {
            let Both { log, sql, .. } = self.expression(body, Kind::Bool, 1);
            literals.push(log);
            conditions.push(sql);
        }
        body.variables.truncate(outside);
        let conditions =
            if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
        body.literals.push(format!("not ({})", literals.join(", ")));
        let exists = format!("SELECT 1 FROM {} WHERE {conditions}", from.join(", "));
        body.sql = format!("SELECT * FROM ({}) WHERE NOT EXISTS ({exists})", body.sql);
    }

    fn push_let(&mut self, body: &mut Body) {
        let kind = Kind::any(&mut self.random);
        let both = self.expression(body, kind, 2);
        if variables_of(&both, body) == 0 {
            return;
        }
        let at = body.variables.len();
        let (log, sql) = (format!("z{at}"), format!("v{at}"));
        body.literals.push(format!("{log} = {}", both.log));
        body.sql = format!("SELECT *, {} AS {sql} FROM ({})", both.sql, body.sql);
        body.variables.push(Variable { log, sql, kind });
    }
}
