//! `laterbase read`: events by every access path.

use clap::Args;
use laterbase::{Cursor, Cut, Direction, Query, VersionVector};

use super::Context;
use super::filters::Filters;
use super::listing::Listing;
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::show::{COLUMNS, CSV_HEADER, row, write_csv, write_json};
use crate::table::Table;
use crate::values::{Layout, Moment, OrderName, moment, version_vector};

const CHUNK_BYTES: usize = 64 << 10;

/// Read events by root, stream, tag, type, cause or time, now or as of an earlier moment
///
/// Filters all hold together; without any, every event is read.
#[derive(Debug, Args)]
pub(crate) struct Read {
    #[command(flatten)]
    filters: Filters,
    /// Only what this version vector does not cover
    #[arg(long, value_name = "VECTOR", value_parser = version_vector)]
    vv: Option<VersionVector>,
    /// As it was known here at this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    #[arg(group = "cut", help_heading = "As of when")]
    as_of: Option<Moment>,
    /// Whatever was recorded by this time, also if it came here later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    #[arg(group = "cut", help_heading = "As of when")]
    recorded_by: Option<Moment>,
    /// Exactly what this version vector covers
    #[arg(long, value_name = "VECTOR", value_parser = version_vector)]
    #[arg(group = "cut", help_heading = "As of when")]
    as_of_vv: Option<VersionVector>,
    /// By transaction time, valid time or arrival
    #[arg(long, value_enum, default_value_t = OrderName::Tx, help_heading = "How")]
    order: OrderName,
    /// The last first
    #[arg(long, help_heading = "How")]
    reverse: bool,
    /// At most so many
    #[arg(long, value_name = "N", help_heading = "How")]
    limit: Option<u64>,
    /// Go on after the cursor that an earlier read ended with
    #[arg(long, value_name = "CURSOR", help_heading = "How")]
    after: Option<Cursor>,
    /// How to write them
    #[arg(long, value_enum, default_value_t = Layout::Table, help_heading = "How")]
    #[arg(conflicts_with = "json")]
    format: Layout,
}

impl Read {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let layout = if context.json() { Layout::Json } else { self.format };
        let query = self.query()?;
        let mut events = Listing::new(context.open_to_read()?, &query)?;
        match layout {
            Layout::Table => table(&mut events, self.limit, context),
            Layout::Json => document(&mut events, context),
            Layout::Ndjson | Layout::Csv => lines(&mut events, layout, context),
        }
    }

    fn query(&self) -> Result<Query, Failure> {
        let mut query = self.filters.query()?;
        query.unknown_to = self.vv.clone();
        query.cut = match (self.as_of, self.recorded_by, &self.as_of_vv) {
            (Some(Moment(at)), _, _) => Cut::KnownAt(at),
            (None, Some(Moment(at)), _) => Cut::RecordedBy(at),
            (None, None, Some(vector)) => Cut::Vector(vector.clone()),
            (None, None, None) => Cut::Latest,
        };
        query.order = self.order.into();
        query.direction = if self.reverse { Direction::Backward } else { Direction::Forward };
        query.limit = self.limit;
        query.after = self.after;
        if let Some(cursor) = &query.after
            && cursor.order() != query.order
        {
            let order = format!("{:?}", cursor.order()).to_lowercase();
            return Err(Failure::new(Exit::Usage, "the cursor belongs to another order")
                .hint(format_args!("it goes on with --order {order}")));
        }
        Ok(query)
    }
}

fn table(events: &mut Listing, limit: Option<u64>, context: &mut Context) -> Result<(), Failure> {
    context.page();
    let clock = context.clock();
    let mut table = Table::new(&COLUMNS);
    let mut count = 0_u64;
    for recorded in events.by_ref() {
        let recorded = recorded?;
        table.row(row(&recorded, &clock), &mut context.out)?;
        count = count.saturating_add(1);
    }
    table.release(&mut context.out)?;
    let style = context.out.style();
    if !style.terminal {
        return Ok(());
    }
    let events_word = if count == 1 { "event" } else { "events" };
    let mut summary = format!("{count} {events_word}");
    if limit == Some(count)
        && let Some(cursor) = events.cursor()
    {
        summary.push_str(&format!(", more with --after {cursor}"));
    }
    context.out.line(style.paint(Ink::Faint, &summary))
}

/// `{"events": […], "count": N, "cursor": "…"}`, an event on each line.
fn document(events: &mut Listing, context: &mut Context) -> Result<(), Failure> {
    let clock = context.clock();
    let mut text = b"{\"events\":[".to_vec();
    let mut count = 0_u64;
    for recorded in events.by_ref() {
        let recorded = recorded?;
        text.extend_from_slice(if count == 0 { b"\n" } else { b",\n" });
        write_json(&recorded, &clock, None, &mut text);
        count = count.saturating_add(1);
        if text.len() >= CHUNK_BYTES {
            context.out.bytes(&text)?;
            text.clear();
        }
    }
    let cursor = events.cursor().map_or("null".to_owned(), |cursor| format!("\"{cursor}\""));
    let break_line = if count > 0 { "\n" } else { "" };
    text.extend_from_slice(
        format!("{break_line}],\"count\":{count},\"cursor\":{cursor}}}\n").as_bytes(),
    );
    context.out.bytes(&text)
}

fn lines(events: &mut Listing, layout: Layout, context: &mut Context) -> Result<(), Failure> {
    let clock = context.clock();
    let mut text = Vec::with_capacity(CHUNK_BYTES * 2);
    if layout == Layout::Csv {
        text.extend_from_slice(CSV_HEADER.as_bytes());
        text.push(b'\n');
    }
    for recorded in events.by_ref() {
        let recorded = recorded?;
        if layout == Layout::Csv {
            write_csv(&recorded, &clock, &mut text);
        } else {
            write_json(&recorded, &clock, None, &mut text);
            text.push(b'\n');
        }
        if text.len() >= CHUNK_BYTES {
            context.out.bytes(&text)?;
            text.clear();
        }
    }
    context.out.bytes(&text)
}
