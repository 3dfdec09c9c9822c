//! `laterbase tail`: the newest events, and those that come.

use std::time::Duration;

use clap::Args;
use laterbase::{Cursor, Database, Direction, Order, Query, Recorded, Start};

use super::filters::Filters;
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::refusals;
#[cfg(feature = "remote")]
use crate::remote::{Came, Follow, Pages, There};
use crate::show::{COLUMNS, row, write_json};
use crate::table::Table;
use crate::values::Layout;

/// How long to wait before looking whether the output is still wanted.
const PAUSE: Duration = Duration::from_secs(1);

/// Show the newest events, and with --follow those that come, in order of arrival
///
/// With --json or --format ndjson each event carries a `cursor`; --after it goes on with the next
/// one, without a gap and without a repetition.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    filters: Filters,
    /// Go on with what comes, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Begin with the last so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    lines: u64,
    /// Begin after this cursor instead
    #[arg(long, value_name = "CURSOR", conflicts_with = "lines")]
    after: Option<Cursor>,
    /// How to write them: table or ndjson
    #[arg(long, value_enum, default_value_t = Layout::Table, conflicts_with = "json")]
    format: Layout,
}

impl Tail {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let ndjson = match self.format {
            Layout::Ndjson => true,
            Layout::Table => context.json(),
            Layout::Json | Layout::Csv => {
                return Err(Failure::new(Exit::Usage, "tail writes a table or ndjson")
                    .hint("for other formats: laterbase read --order arrival"));
            }
        };
        let query = self.filters.query()?.order(Order::Arrival);
        let mut table = (!ndjson).then(|| Table::new(&COLUMNS));
        match context.open_to_read()? {
            Place::Here(database) => self.here(&query, &database, table.as_mut(), context),
            #[cfg(feature = "remote")]
            Place::There(there) => self.there(&query, there, table.as_mut(), context),
        }
    }

    fn here(
        &self,
        query: &Query,
        database: &Database,
        mut table: Option<&mut Table>,
        context: &mut Context,
    ) -> Result<(), Failure> {
        let start = match self.after {
            Some(after) => Start::After(after),
            None => self.last_ones(query, database, table.as_deref_mut(), context)?,
        };
        if !self.follow && self.after.is_none() {
            return Ok(());
        }
        let mut subscription =
            database.subscribe(query, start).map_err(|error| refusals::reading(&error))?;
        loop {
            let mut next = subscription.try_next().map_err(|error| refusals::reading(&error))?;
            if next.is_none() {
                // Everything that is there has been shown: somebody may be waiting for it.
                release(table.as_deref_mut(), context)?;
                if !self.follow {
                    return Ok(());
                }
                next = subscription.next(PAUSE).map_err(|error| refusals::reading(&error))?;
            }
            if let Some(recorded) = next {
                let recorded = database.with_names(recorded);
                let recorded = recorded.map_err(|error| refusals::reading(&error))?;
                let cursor = Some(subscription.cursor());
                show(&recorded, cursor, table.as_deref_mut(), context)?;
            }
        }
    }

    /// The same at a server.
    #[cfg(feature = "remote")]
    fn there(
        &self,
        query: &Query,
        there: There,
        mut table: Option<&mut Table>,
        context: &mut Context,
    ) -> Result<(), Failure> {
        let mut newest = self.after;
        if newest.is_none() {
            let mut backward = query.clone().limit(self.lines.max(1));
            backward.direction = Direction::Backward;
            let mut pages = Pages::new(there.clone(), &backward);
            let last: Vec<Recorded> = pages.by_ref().collect::<Result<_, _>>()?;
            let behind = |recorded: &Recorded| pages.cursor_behind(recorded);
            if self.lines > 0 {
                for recorded in last.iter().rev() {
                    show(recorded, behind(recorded), table.as_deref_mut(), context)?;
                }
            }
            newest = last.first().and_then(behind);
        }
        release(table.as_deref_mut(), context)?;
        if !self.follow {
            if let Some(after) = self.after {
                for recorded in Pages::new(there, &query.clone().after(after)) {
                    let recorded = recorded?;
                    let cursor = after.behind(&recorded, Order::Arrival);
                    show(&recorded, Some(cursor), table.as_deref_mut(), context)?;
                }
            }
            return release(table, context);
        }
        let mut follow = Follow::new(there, query, newest);
        loop {
            if let Came::Event(recorded, cursor) = follow.wait()? {
                show(&recorded, Some(cursor), table.as_deref_mut(), context)?;
            }
            if !follow.has_more() {
                // Everything that is there has been shown: somebody may be waiting for it.
                release(table.as_deref_mut(), context)?;
            }
        }
    }

    /// Shows the last events and answers where to go on.
    fn last_ones(
        &self,
        query: &Query,
        database: &Database,
        mut table: Option<&mut Table>,
        context: &mut Context,
    ) -> Result<Start, Failure> {
        let mut newest = query.clone().limit(self.lines.max(1));
        newest.direction = Direction::Backward;
        let mut events = database.read(&newest).map_err(|error| refusals::reading(&error))?;
        let mut last: Vec<(Recorded, Option<Cursor>)> = Vec::new();
        while let Some(recorded) = events.next() {
            let recorded = recorded.and_then(|recorded| database.with_names(recorded));
            let recorded = recorded.map_err(|error| refusals::reading(&error))?;
            last.push((recorded, events.cursor()));
        }
        let newest = last.first().and_then(|(_, cursor)| *cursor);
        if self.lines > 0 {
            for (recorded, cursor) in last.iter().rev() {
                show(recorded, *cursor, table.as_deref_mut(), context)?;
            }
        }
        release(table, context)?;
        Ok(newest.map_or(Start::Beginning, Start::After))
    }
}

/// Writes out what is held back.
fn release(table: Option<&mut Table>, context: &mut Context) -> Result<(), Failure> {
    if let Some(table) = table {
        table.release(&mut context.out)?;
    }
    context.out.flush()
}

fn show(
    recorded: &Recorded,
    cursor: Option<Cursor>,
    table: Option<&mut Table>,
    context: &mut Context,
) -> Result<(), Failure> {
    let clock = context.clock();
    if let Some(table) = table {
        return table.row(row(recorded, &clock), &mut context.out);
    }
    let mut line = Vec::new();
    write_json(recorded, &clock, cursor.as_ref(), &mut line);
    line.push(b'\n');
    context.out.bytes(&line)
}
