//! Statements that write: mutations and transactions in Laterlog.
//!
//! ```text
//!   text ─▶ parse ─▶ check everything ─▶ for each statement, in turn:
//!     moment of this copy ─▶ demands hold? ─▶ rows of the bodies ─▶ events ─▶ one commit
//!          ▲                                   what was read ─▶ condition ──┘
//!          └── something that was read has changed meanwhile: decide anew ──┘
//! ```
//! A statement is carried out whole or not at all, and as if nothing else happened on this copy
//! between what it read and what it wrote: the commit is refused if anything that was read has
//! changed, and the statement is decided anew. Its queries do not see what it writes itself.

mod error;
mod guard;
mod rows;
mod work;

use std::sync::Arc;

use laterbase_lang::syntax::{QuerySyntax, RuleSyntax};
use laterbase_lang::{check_query, has_errors, parse};

pub use self::error::{ExecuteError, ExecuteFault};
use self::guard::Guard;
use self::rows::Drafts;
use self::work::{Planned, Steps, Work, check_all, sort};
use crate::append::AppendError;
use crate::ask::{Answer, Ask, AskError, AskFault, Cancel, Limits, Moment, Schemas, Value};
use crate::database::Database;
use crate::declared::Declared;
use crate::progress::Durability;
use crate::ticket::Appended;

/// How often a statement is decided anew because what it reads has changed.
const ATTEMPTS_MAX: usize = 64;

/// Statements, ready to be carried out.
///
/// ```
/// use laterbase::{Database, Options};
///
/// # let dir = tempfile::tempdir()?;
/// let db = Database::create(dir.path(), Options::default())?;
/// db.execute("add shipment.departed{key: $key, port: \"NLRTM\"} valid 2026-03-01T12:00Z")
///     .bind("key", "4711")
///     .run()?;
///
/// let arrive = "transaction {
///     expect none :- shipment.arrived{key: \"4711\"}
///     add shipment.arrived{key: \"4711\", port: \"USNYC\"}
/// }";
/// db.execute(arrive).run()?;
/// let again = db.execute(arrive).run().unwrap_err();
/// assert!(again.to_string().contains("no rows were expected"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "statements are carried out by `run`"]
#[derive(Debug)]
pub struct Execute<'a> {
    ask: Ask<'a>,
    may_write: Option<AllowWrite<'a>>,
    durability: Durability,
}

/// Whether events of a root may be recorded.
struct AllowWrite<'a>(&'a dyn Fn(&str) -> bool);

impl std::fmt::Debug for AllowWrite<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AllowWrite")
    }
}

/// What a statement did.
#[derive(Debug)]
pub enum Done {
    /// It asked.
    Rows(Answer),
    /// It wrote, or found nothing to write.
    Written(Written),
}

/// What a statement wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How many events were recorded. None, if a body had no rows, or nothing was there to be
    /// deleted.
    pub events: u64,
    /// The commit that they are in.
    pub appended: Option<Appended>,
}

impl<'a> Execute<'a> {
    /// Gives a parameter its value: `$port` is bound by `port`.
    pub fn bind(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.ask = self.ask.bind(name, value);
        self
    }

    /// Within limits other than the default ones, for each query of a statement.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.ask = self.ask.limits(limits);
        self
    }

    /// Stops when somebody says so. A statement that stops has written nothing.
    pub fn cancel(mut self, cancel: &'a dyn Cancel) -> Self {
        self.ask = self.ask.cancel(cancel);
        self
    }

    /// Reads of roots only what is allowed, as [`Ask::allow`].
    pub fn allow(mut self, allow: &'a dyn Fn(Option<&str>) -> bool) -> Self {
        self.ask = self.ask.allow(allow);
        self
    }

    /// Records events of roots only where that is allowed; rows of table N are events of
    /// `_table.N`.
    pub fn allow_write(mut self, allow: &'a dyn Fn(&str) -> bool) -> Self {
        self.may_write = Some(AllowWrite(allow));
        self
    }

    /// What is promised of what is written, once a statement is done.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Carries all statements out, one after the other; answers what the last one did.
    ///
    /// # Errors
    /// As [`Execute::each`]; [`AskFault::NoQuery`] if there are none.
    pub fn run(self) -> Result<Done, ExecuteError> {
        let mut last = None;
        self.each(|done| {
            last = Some(done);
            Ok(())
        })?;
        last.ok_or_else(|| ExecuteError::new(ExecuteFault::Ask(AskFault::NoStatement), ""))
    }

    /// Carries all statements out, one after the other. Everything is checked before the first one
    /// writes; each that writes is one commit.
    ///
    /// # Errors
    /// [`ExecuteError`]: the statement that failed has written nothing. Those before it have, and
    /// [`ExecuteError::done`] says how many these are.
    ///
    /// # Ordering
    /// Each statement sees what those before it wrote, and everything acknowledged before it began.
    /// What it writes is as durable as was asked for when `take` is called.
    pub fn each(
        self,
        mut take: impl FnMut(Done) -> Result<(), ExecuteError>,
    ) -> Result<(), ExecuteError> {
        let text = self.ask.text();
        let mistakes = |told| ExecuteError::mistakes(told, text);
        let parsed = parse(text);
        if has_errors(&parsed.diagnostics) {
            return Err(mistakes(parsed.diagnostics));
        }
        let (rules, works, mut told) = sort(parsed.statements);
        let schemas = self.ask.schemas(self.declared()?);
        let mut moment = self.moment(&schemas)?;
        told.extend(check_all(&mut moment, &rules, &works));
        if !told.is_empty() {
            return Err(mistakes(told));
        }
        drop(moment);
        for (done, work) in works.iter().enumerate() {
            let outcome = match work {
                Work::Query(query) => self.query(&rules, query).map(Done::Rows),
                Work::Steps(steps) => self.transact(&rules, steps).map(Done::Written),
            };
            outcome.and_then(&mut take).map_err(|error| error.after(done))?;
        }
        Ok(())
    }

    fn failed(&self, error: AskError) -> ExecuteError {
        ExecuteError::new(ExecuteFault::Ask(error.fault), self.ask.text())
    }

    fn declared(&self) -> Result<Arc<Declared>, ExecuteError> {
        let declared = self.ask.database().inner().declared_to_write();
        declared.map_err(|error| ExecuteError::new(ExecuteFault::Append(error), self.ask.text()))
    }

    fn moment<'m>(&'m self, schemas: &'m Schemas<'m>) -> Result<Moment<'m>, ExecuteError> {
        self.ask.moment(schemas).map_err(|error| self.failed(error))
    }

    fn query(&self, rules: &[RuleSyntax], query: &QuerySyntax) -> Result<Answer, ExecuteError> {
        let schemas = self.ask.schemas(self.declared()?);
        let moment = self.moment(&schemas)?;
        let checked = check_query(&moment.context(), rules, query);
        let Some(plan) = checked.plan else {
            return Err(ExecuteError::mistakes(checked.diagnostics, self.ask.text()));
        };
        if !moment.may_read(&plan) {
            return Err(self.failed(AskFault::Forbidden.into()));
        }
        let answer = self.ask.answer(&moment, query.mode, &plan, checked.diagnostics);
        answer.map_err(|error| self.failed(error))
    }

    /// Carries a statement out, as often as what it reads changes meanwhile.
    fn transact(&self, rules: &[RuleSyntax], steps: &Steps) -> Result<Written, ExecuteError> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(written) = self.attempt(rules, steps)? {
                return Ok(written);
            }
        }
        Err(ExecuteError::new(ExecuteFault::Busy, self.ask.text()))
    }

    /// Carries a statement out; `None` if what it read has changed meanwhile.
    fn attempt(
        &self,
        rules: &[RuleSyntax],
        steps: &Steps,
    ) -> Result<Option<Written>, ExecuteError> {
        let text = self.ask.text();
        let fault = |fault| ExecuteError::new(fault, text);
        let declared = self.declared()?;
        let schemas = self.ask.schemas(Arc::clone(&declared));
        let moment = self.moment(&schemas)?;
        let planned = Planned::new(&moment, rules, steps)
            .map_err(|told| ExecuteError::mistakes(told, text))?;
        self.check_rights(&moment, &planned)?;
        let mut guard = Guard::default();
        let mut commit = self.ask.database().commit();
        commit.durability(self.durability);
        planned.demand(&self.ask, &moment, &mut guard, &mut commit)?;
        let mut drafts = Drafts::new(&moment, &declared, text);
        for write in &planned.writes {
            let rows = self.ask.rows(&moment, &write.rows);
            let rows = rows.map_err(|error| self.failed(error))?;
            guard.watch(&write.rows, moment.now);
            for row in &rows {
                drafts.write(write, &row.values())?;
            }
        }
        drafts.push(&mut commit, &mut guard)?;
        if commit.is_empty() {
            return planned
                .versions_hold(&moment, text)
                .map(|()| Some(Written { events: 0, appended: None }));
        }
        guard.protect(&mut commit, moment.data.cursor());
        let appended = self.ask.database().append(&mut commit).and_then(|ticket| ticket.wait());
        match appended {
            Ok(appended) => {
                let events = appended.len() as u64;
                Ok(Some(Written { events, appended: Some(appended) }))
            }
            Err(AppendError::ConditionFailed { .. } | AppendError::SchemaChanged) => Ok(None),
            Err(error) => Err(planned.refused(error, text).unwrap_or_else(fault)),
        }
    }

    fn check_rights(&self, moment: &Moment<'_>, planned: &Planned) -> Result<(), ExecuteError> {
        let may_read = planned.plans().all(|plan| moment.may_read(plan))
            && planned.demanded_roots().all(|root| moment.may_read_root(root));
        let may_write = planned.roots().iter().all(|root| {
            self.may_write.as_ref().is_none_or(|AllowWrite(may_write)| may_write(root))
        });
        if may_read && may_write { Ok(()) } else { Err(self.failed(AskFault::Forbidden.into())) }
    }
}

impl Database {
    /// Statements in Laterlog, to be given their parameters and carried out: `add`, `put`,
    /// `delete`, `transaction`, and queries between them.
    pub fn execute(&self, text: impl Into<String>) -> Execute<'_> {
        let durability = self.inner().options.durability;
        Execute { ask: self.query(text), may_write: None, durability }
    }
}
