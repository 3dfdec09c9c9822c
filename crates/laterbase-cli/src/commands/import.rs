//! `laterbase import`: files of records become events.

use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use clap::{Args, ValueEnum};
use laterbase::{Durability, RootName};
use serde_json::json;

use super::context::{self, Context};
use crate::failure::{Exit, Failure};
use crate::import::{
    Acknowledged, DatabaseSink, Feed, Format, Item, Mapping, Place, Reason, Recipe, Sink,
    SourceError, Writer, WriterEvent,
};
use crate::output::{Ink, Output};
use crate::pointer::Pointer;
use crate::progress::Progress;
#[cfg(feature = "remote")]
use crate::remote::RemoteSink;
use crate::values::{DurabilityName, TimeUnitName, root_name, tag_pointer};

const EXAMPLE: &str = "\
For example:
  laterbase import --root order --each /orders --key /id --type /status \\
      --valid-at /updated --tag customer=/customer/id --tag item=/items orders.json";

/// Refusals that the report of a person's import lists; `--json` lists all.
const REFUSALS_LISTED: usize = 1_000;

/// Turn the records of JSON, NDJSON and CSV files into events
///
/// Each record becomes one event, its payload the whole record. JSON Pointers (RFC 6901) say
/// where its key, type, valid time and tags are; a pointer to an array gives a tag for each
/// element. Where a tag is not found the event has none; where a key, type or valid time is not
/// found the record is refused.
///
/// The import goes on after a refused record and reports it at the end. Each batch is written
/// whole or not at all, and what was imported before is not imported again: an interrupted import
/// is resumed by running it again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Import {
    /// The files; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The root of the events
    #[arg(long, value_name = "ROOT", value_parser = root_name)]
    #[arg(required_unless_present = "preserve")]
    root: Option<RootName>,
    /// Where the records are in a JSON document
    #[arg(long, value_name = "POINTER")]
    each: Option<Pointer>,
    /// Where the key is; without it, the event's own id is its key
    #[arg(long, value_name = "POINTER")]
    key: Option<Pointer>,
    /// Where the type is; without it, `event`
    #[arg(long = "type", value_name = "POINTER")]
    type_name: Option<Pointer>,
    /// Where the valid time is, RFC 3339; without it, now
    #[arg(long, value_name = "POINTER")]
    valid_at: Option<Pointer>,
    /// What a number counts since 1970, where the valid time is one
    #[arg(long, value_enum, value_name = "UNIT")]
    time_unit: Option<TimeUnitName>,
    /// A tag and where its key, or an array of keys, is; may be repeated
    #[arg(long = "tag", value_name = "ROOT=POINTER", value_parser = tag_pointer)]
    tags: Vec<(String, Pointer)>,
    /// Where the idempotency key is; without it, the file's hash and the record's number
    #[arg(long, value_name = "POINTER")]
    idempotency: Option<Pointer>,
    /// Where the payload is; without it, the whole record
    #[arg(long, value_name = "POINTER")]
    data: Option<Pointer>,
    /// Take events as `read --format ndjson` wrote them, and lose nothing of them
    #[arg(long, conflicts_with_all = ["each", "key", "type_name", "valid_at", "time_unit"])]
    #[arg(conflicts_with_all = ["tags", "idempotency", "data"])]
    preserve: bool,
    /// What the files are, if neither their names nor their first bytes tell
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// How many events are written at once, all or none
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_535))]
    batch: u32,
    /// What each acknowledgement promises
    #[arg(long, value_enum, default_value_t = DurabilityName::Flushed)]
    durability: DurabilityName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    Json,
    Ndjson,
    #[cfg(feature = "csv")]
    Csv,
}

impl Import {
    pub(super) fn run(mut self, context: &mut Context) -> Result<(), Failure> {
        let format = self.format.map(Format::from);
        #[cfg(feature = "csv")]
        if self.each.is_some() && matches!(format, Some(Format::Csv { .. })) {
            return Err(Failure::new(
                Exit::Usage,
                "--each is for JSON; a CSV file's rows are its records",
            ));
        }
        let bytes_total = self.look_at_files()?;
        let recipe = self.recipe();
        let batch = self.batch as usize;
        let place = context.open_or_forward()?;
        let mut sink: Box<dyn Sink + '_> = match &place {
            context::Place::Here(database) => {
                Box::new(DatabaseSink::new(database, Durability::from(self.durability)))
            }
            #[cfg(feature = "remote")]
            context::Place::There(there) => {
                // A server waits for its device, whatever less was asked for.
                self.durability = DurabilityName::Flushed;
                Box::new(RemoteSink::new(there))
            }
        };
        let mut tally = Tally::new(context.json(), self.durability);
        let mut progress = Progress::new(context.json(), bytes_total);
        let mut writer = Writer::new(sink.as_mut())?;
        let (written, read) = thread::scope(|scope| {
            let each = self.each.as_ref();
            let feed = Feed::start(scope, &self.files, format, each, &recipe, batch);
            let written = write(&feed, &mut writer, &mut tally, &mut progress, &mut context.out);
            (written, feed.finish())
        });
        progress.finish();
        tally.imported = writer.imported;
        tally.already_there = writer.already_there;
        drop(writer);
        let closed = match &written {
            // A relaxed import is as durable at its end as the others.
            Ok(()) => sink.flush(),
            Err(_) => Ok(()),
        };
        // A reader of the acknowledgements that has gone is no reason to say more.
        if matches!(&written, Err(failure) if failure.exit() == Exit::Success) {
            return written;
        }
        tally.report(*read.as_ref().unwrap_or(&0), &mut context.out)?;
        written?;
        closed?;
        read.map_err(|error| input(&error))?;
        if tally.refused > 0 { Err(Failure::said(Exit::Refused)) } else { Ok(()) }
    }

    fn recipe(&mut self) -> Recipe {
        let root = self.root.as_ref().map(|root| root.as_str().to_owned());
        if self.preserve {
            return Recipe::Preserve { default_root: root };
        }
        Recipe::Map(Box::new(Mapping {
            root: root.unwrap_or_default(),
            key: self.key.take(),
            type_name: self.type_name.take(),
            valid_at: self.valid_at.take(),
            time_unit: self.time_unit.map(Into::into),
            tags: std::mem::take(&mut self.tags),
            idempotency: self.idempotency.take(),
            data: self.data.take(),
        }))
    }

    /// Finds a mistyped name before anything is written. Answers how much there is to read, where
    /// that can be known.
    fn look_at_files(&self) -> Result<Option<u64>, Failure> {
        let mut bytes = Some(0_u64);
        for path in &self.files {
            if path.as_os_str() == "-" {
                bytes = None;
                continue;
            }
            let found = std::fs::metadata(path)
                .map_err(|source| input(&SourceError::Open { path: path.clone(), source }))?;
            bytes = bytes.map(|bytes| bytes.saturating_add(found.len()));
        }
        Ok(bytes)
    }
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Json => Self::Json,
            FormatName::Ndjson => Self::Ndjson,
            #[cfg(feature = "csv")]
            FormatName::Csv => Self::Csv { delimiter: b',' },
        }
    }
}

/// Takes chunks until there are no more.
fn write(
    feed: &Feed<'_>,
    writer: &mut Writer<'_>,
    tally: &mut Tally,
    progress: &mut Progress,
    out: &mut Output,
) -> Result<(), Failure> {
    while let Ok(chunk) = feed.chunks.recv() {
        for item in chunk.items {
            match item {
                Item::Refused { place, reason } => tally.refuse(place, &reason, out)?,
                Item::Pending(pending) => {
                    writer.push(*pending, &mut |event| tally.hear(event, out))?;
                }
            }
        }
        writer.settle(&mut |event| tally.hear(event, out))?;
        progress.show(feed.bytes(), writer.imported, writer.already_there, tally.refused);
    }
    Ok(())
}

fn input(error: &SourceError) -> Failure {
    let (SourceError::Open { source, .. }
    | SourceError::Read { source, .. }
    | SourceError::Spool { source, .. }) = error;
    let not_found = source.kind() == std::io::ErrorKind::NotFound;
    let exit = if not_found { Exit::NotFound } else { Exit::Storage };
    let failure = Failure::new(exit, error);
    match error {
        SourceError::Open { .. } => failure,
        SourceError::Read { .. } => {
            failure.hint("run the same import again: what was imported is not imported twice")
        }
        SourceError::Spool { .. } => failure.hint("set TMPDIR to a directory with room"),
    }
}

/// What came of the import so far.
#[derive(Debug)]
struct Tally {
    json: bool,
    durability: DurabilityName,
    started: Instant,
    batches: u64,
    imported: u64,
    already_there: u64,
    refused: u64,
    refusals: Vec<(Place, String)>,
}

impl Tally {
    fn new(json: bool, durability: DurabilityName) -> Self {
        Self {
            json,
            durability,
            started: Instant::now(),
            batches: 0,
            imported: 0,
            already_there: 0,
            refused: 0,
            refusals: Vec::new(),
        }
    }

    fn hear(&mut self, event: WriterEvent, out: &mut Output) -> Result<(), Failure> {
        match event {
            WriterEvent::Acknowledged(acknowledged) => self.acknowledge(acknowledged, out),
            WriterEvent::Refused { place, reason } => self.refuse(place, &reason, out),
        }
    }

    /// With `--json`, whoever reads along learns at once what will be kept.
    fn acknowledge(&mut self, batch: Acknowledged, out: &mut Output) -> Result<(), Failure> {
        self.batches = self.batches.saturating_add(1);
        if !self.json {
            return Ok(());
        }
        out.line(json!({
            "batch": self.batches,
            "ids": [batch.first.to_string(), batch.last.to_string()],
            "count": batch.count,
            "durability": self.durability.name(),
        }))?;
        out.flush()
    }

    fn refuse(&mut self, place: Place, reason: &Reason, out: &mut Output) -> Result<(), Failure> {
        self.refused = self.refused.saturating_add(1);
        if self.json {
            return out.line(json!({
                "refusal": {
                    "file": &*place.file,
                    "line": place.line,
                    "reason": reason.to_string(),
                },
            }));
        }
        if self.refusals.len() < REFUSALS_LISTED {
            self.refusals.push((place, reason.to_string()));
        }
        Ok(())
    }

    fn report(&self, files: u64, out: &mut Output) -> Result<(), Failure> {
        let seconds = self.started.elapsed().as_secs_f64();
        if self.json {
            return out.line(json!({
                "imported": self.imported,
                "already_there": self.already_there,
                "refused": self.refused,
                "files": files,
                "batches": self.batches,
                "seconds": (seconds * 1e3).round() / 1e3,
            }));
        }
        let style = out.style();
        let good = if self.imported > 0 { Ink::Good } else { Ink::Plain };
        let bad = if self.refused > 0 { Ink::Bad } else { Ink::Plain };
        let imported = style.paint(good, &format!("{} imported", self.imported));
        let refused = style.paint(bad, &format!("{} refused", self.refused));
        let took = if style.terminal { format!(" in {seconds:.1} s") } else { String::new() };
        let from = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
        out.line(format_args!(
            "{imported}, {} already there, {refused}, from {from}{took}",
            self.already_there
        ))?;
        for (place, reason) in &self.refusals {
            let place = style.paint(Ink::Name, &format!("{}:{}", place.file, place.line));
            out.line(format_args!("  {place}: {reason}"))?;
        }
        let more = self.refused.saturating_sub(self.refusals.len() as u64);
        if more > 0 {
            out.line(format_args!("  … and {more} more; --json lists all of them"))?;
        }
        Ok(())
    }
}
