//! Expressions and aggregates, in both languages.

use super::Maker;
use super::body::{Body, Variable};
use super::rows::{Cell, DAY, Kind};

/// One meaning, written twice.
pub struct Both {
    pub log: String,
    pub sql: String,
    pub kind: Kind,
}

/// How many variables of a body stand in an expression.
pub fn variables_of(both: &Both, body: &Body) -> usize {
    let words = || both.log.split(|c: char| !c.is_alphanumeric());
    body.variables.iter().filter(|variable| words().any(|word| word == variable.log)).count()
}

impl Maker {
    pub fn expression(&mut self, body: &Body, kind: Kind, depth: usize) -> Both {
        if depth == 0 || self.random.chance(50) {
            return self.leaf(body, kind);
        }
        let (log, sql) = match (kind, self.random.below(9)) {
            (Kind::Bool, _) => return self.condition(body, depth),
            (_, 0) => self.otherwise(body, kind, depth),
            (_, 1) => self.choice(body, kind, depth),
            (_, 2) => self.extreme(body, kind, depth),
            (Kind::Int, which) => self.int(body, which, depth),
            (Kind::Decimal, which) => self.decimal(body, which, depth),
            (Kind::Text, which) => self.text(body, which, depth),
            (Kind::Time, which) => self.time(body, which, depth),
        };
        Both { log, sql, kind }
    }

    fn leaf(&mut self, body: &Body, kind: Kind) -> Both {
        let fits: Vec<&Variable> =
            body.variables.iter().filter(|variable| variable.kind == kind).collect();
        if !fits.is_empty() && self.random.chance(80) {
            let variable = fits[self.random.below(fits.len())];
            return Both { log: variable.log.clone(), sql: variable.sql.clone(), kind };
        }
        let cell = Cell::of(kind, &mut self.random);
        let (log, sql) = (cell.log(), cell.sql());
        // A blank keeps `:-` from being a sign.
        let log = if log.starts_with('-') { format!("({log})") } else { log };
        Both { log, sql, kind }
    }

    fn two(&mut self, body: &Body, kind: Kind, depth: usize) -> (Both, Both) {
        (self.expression(body, kind, depth - 1), self.expression(body, kind, depth - 1))
    }

    fn otherwise(&mut self, body: &Body, kind: Kind, depth: usize) -> (String, String) {
        let (a, b) = self.two(body, kind, depth);
        (format!("({} ?? {})", a.log, b.log), format!("COALESCE({}, {})", a.sql, b.sql))
    }

    fn choice(&mut self, body: &Body, kind: Kind, depth: usize) -> (String, String) {
        let (a, b) = self.two(body, kind, depth);
        let c = self.condition(body, 1);
        let sql = format!("CASE WHEN {} THEN {} ELSE {} END", c.sql, a.sql, b.sql);
        (format!("if({}, {}, {})", c.log, a.log, b.log), sql)
    }

    fn extreme(&mut self, body: &Body, kind: Kind, depth: usize) -> (String, String) {
        let (a, b) = self.two(body, kind, depth);
        let (log, sql) =
            if self.random.chance(50) { ("least", "min") } else { ("greatest", "max") };
        let (a, b) = ((a.log, a.sql), (b.log, b.sql));
        let sql = format!("COALESCE({sql}({}, {}), {}, {})", a.1, b.1, a.1, b.1);
        (format!("{log}({}, {})", a.0, b.0), sql)
    }

    fn int(&mut self, body: &Body, which: usize, depth: usize) -> (String, String) {
        let (a, b) = self.two(body, Kind::Int, depth);
        let binary = |sign: &str| {
            (format!("({} {sign} {})", a.log, b.log), format!("({} {sign} {})", a.sql, b.sql))
        };
        match which {
            3 => binary("+"),
            4 => binary("-"),
            5 => binary("*"),
            6 => {
                let (sign, by) = [("/", 2), ("/", -3), ("%", 2), ("%", 3)][self.random.below(4)];
                (format!("({} {sign} ({by}))", a.log), format!("({} {sign} ({by}))", a.sql))
            }
            7 => {
                let text = self.leaf(body, Kind::Text);
                (format!("length({})", text.log), format!("length({})", text.sql))
            }
            _ if self.random.chance(50) => {
                let time = self.leaf(body, Kind::Time);
                let sql =
                    format!("CAST(strftime('%d', {} / 1000000, 'unixepoch') AS INTEGER)", time.sql);
                (format!("part({}, \"day\")", time.log), sql)
            }
            _ => {
                let decimal = self.leaf(body, Kind::Decimal);
                let sql = format!("CAST({} AS INTEGER)", decimal.sql);
                (format!("int({})", decimal.log), sql)
            }
        }
    }

    fn decimal(&mut self, body: &Body, which: usize, depth: usize) -> (String, String) {
        let (a, b) = self.two(body, Kind::Decimal, depth);
        let int = self.leaf(body, Kind::Int);
        match which {
            3 => (format!("({} + {})", a.log, b.log), format!("({} + {})", a.sql, b.sql)),
            // An int becomes a decimal where they meet.
            4 => (format!("({} - {})", a.log, int.log), format!("({} - {})", a.sql, int.sql)),
            5 => (format!("({} * {})", a.log, b.log), format!("({} * {})", a.sql, b.sql)),
            6 => (format!("({} / 4)", a.log), format!("({} / 4)", a.sql)),
            7 => (format!("decimal({})", int.log), format!("CAST({} AS REAL)", int.sql)),
            _ => {
                let (name, sql) = match self.random.below(4) {
                    0 => ("abs", format!("abs({})", a.sql)),
                    1 => ("round", format!("round({})", a.sql)),
                    // SQLite has no `ceil` and `floor` unless it is asked to.
                    2 => ("ceil", whole(&a.sql, "+", ">")),
                    _ => ("floor", whole(&a.sql, "-", "<")),
                };
                (format!("{name}({})", a.log), sql)
            }
        }
    }

    fn text(&mut self, body: &Body, which: usize, depth: usize) -> (String, String) {
        let (a, b) = self.two(body, Kind::Text, depth);
        match which {
            3 | 4 => (format!("({} ++ {})", a.log, b.log), format!("({} || {})", a.sql, b.sql)),
            5 => (format!("slice({}, 0, 1)", a.log), format!("substr({}, 1, 1)", a.sql)),
            6 => (
                format!("replace({}, \"a\", \"xy\")", a.log),
                format!("replace({}, 'a', 'xy')", a.sql),
            ),
            7 => (format!("trim({})", a.log), format!("trim({})", a.sql)),
            _ => {
                let int = self.leaf(body, Kind::Int);
                (format!("text({})", int.log), format!("CAST({} AS TEXT)", int.sql))
            }
        }
    }

    fn time(&mut self, body: &Body, which: usize, depth: usize) -> (String, String) {
        let a = self.expression(body, Kind::Time, depth - 1);
        match which {
            3..=5 => (format!("({} + 1d)", a.log), format!("({} + {DAY})", a.sql)),
            6 => (format!("({} - 12h)", a.log), format!("({} - {DAY} / 2)", a.sql)),
            _ => (
                format!("truncate({}, \"day\")", a.log),
                format!("({} - {} % {DAY})", a.sql, a.sql),
            ),
        }
    }

    /// Something that is true, not true, or absent.
    fn condition(&mut self, body: &Body, depth: usize) -> Both {
        let kind = Kind::Bool;
        let (log, sql) = match self.random.below(12) {
            0 | 1 if depth > 0 => {
                let (a, b) = self.two(body, Kind::Bool, depth);
                let (log, sql) = if self.random.chance(50) { ("and", "AND") } else { ("or", "OR") };
                (format!("({} {log} {})", a.log, b.log), format!("({} {sql} {})", a.sql, b.sql))
            }
            2 if depth > 0 => {
                let a = self.expression(body, Kind::Bool, depth - 1);
                (format!("(not {})", a.log), format!("({} IS NOT 1)", a.sql))
            }
            3 => {
                let kind = Kind::ALL[self.random.below(5)];
                let a = self.leaf(body, kind);
                let not = if self.random.chance(50) { "not " } else { "" };
                let sql = format!("({} IS {not}NULL)", a.sql);
                (format!("({} is {not}null)", a.log), sql)
            }
            4 => {
                let a = self.expression(body, Kind::Int, depth.saturating_sub(1));
                (
                    format!("({} in [0, 1, 3])", a.log),
                    format!("COALESCE({} IN (0, 1, 3), 0)", a.sql),
                )
            }
            5 => {
                let (a, b) = (self.leaf(body, Kind::Text), self.leaf(body, Kind::Text));
                let sql = format!("(instr({}, {}) > 0)", a.sql, b.sql);
                (format!("contains({}, {})", a.log, b.log), sql)
            }
            6 => {
                let (a, b) = (self.leaf(body, Kind::Text), self.leaf(body, Kind::Text));
                let sql = format!("(substr({}, 1, length({})) = {})", a.sql, b.sql, b.sql);
                (format!("starts_with({}, {})", a.log, b.log), sql)
            }
            _ => return self.comparison(body, depth),
        };
        Both { log, sql, kind }
    }

    fn comparison(&mut self, body: &Body, depth: usize) -> Both {
        let kind = Kind::any(&mut self.random);
        let depth = depth.saturating_sub(1);
        let a = self.expression(body, kind, depth);
        // Numbers of two types compare by what they say.
        let other = match kind {
            Kind::Int if self.random.chance(30) => Kind::Decimal,
            _ => kind,
        };
        let b = self.expression(body, other, depth);
        let signs = ["=", "!=", "<", "<=", ">", ">="];
        let count = if kind == Kind::Bool { 2 } else { signs.len() };
        let sign = signs[self.random.below(count)];
        let sql = match sign {
            "!=" => format!("({} IS NOT {})", a.sql, b.sql),
            _ => format!("COALESCE({} {sign} {}, 0)", a.sql, b.sql),
        };
        Both { log: format!("({} {sign} {})", a.log, b.log), sql, kind: Kind::Bool }
    }

    pub fn aggregate(&mut self, body: &Body) -> Both {
        let any = Kind::ALL[self.random.below(4)];
        let number = if self.random.chance(60) { Kind::Int } else { Kind::Decimal };
        let a = self.expression(body, any, 1);
        let n = self.expression(body, number, 1);
        let is = self.expression(body, Kind::Bool, 1);
        let (log, sql, kind) = match self.random.below(9) {
            0 => ("count()".to_owned(), "COUNT(*)".to_owned(), Kind::Int),
            1 => (format!("count({})", a.log), format!("COUNT({})", a.sql), Kind::Int),
            2 => {
                let sql = format!("COUNT(DISTINCT {})", a.sql);
                (format!("count_distinct({})", a.log), sql, Kind::Int)
            }
            3 | 4 => {
                let zero = if number == Kind::Int { "0" } else { "0.0" };
                (format!("sum({})", n.log), format!("COALESCE(SUM({}), {zero})", n.sql), number)
            }
            5 => (format!("min({})", a.log), format!("MIN({})", a.sql), any),
            6 => (format!("max({})", a.log), format!("MAX({})", a.sql), any),
            7 => {
                let sql = format!("COALESCE(MIN(COALESCE({}, 0)), 1)", is.sql);
                (format!("every({})", is.log), sql, Kind::Bool)
            }
            _ => {
                let sql = format!("COALESCE(MAX(COALESCE({}, 0)), 0)", is.sql);
                (format!("some({})", is.log), sql, Kind::Bool)
            }
        };
        Both { log, sql, kind }
    }
}

/// The next whole number to one side.
fn whole(sql: &str, sign: &str, beyond: &str) -> String {
    let cut = format!("CAST({sql} AS INTEGER)");
    format!("CAST({cut} {sign} ({sql} {beyond} {cut}) AS REAL)")
}
