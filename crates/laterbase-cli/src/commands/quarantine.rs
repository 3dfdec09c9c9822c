//! `laterbase quarantine`: events of others that a validator here refused.

use clap::{Args, Subcommand};
use laterbase::EventId;
use serde_json::{Value, json};

use super::stats::{counted, grouped};
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::refusals;
use crate::table::{Column, Table};

/// List, show and retry events of others that a validator refused
///
/// They are kept and forwarded, and left out of every read.
#[derive(Debug, Args)]
pub(crate) struct Quarantine {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the batches in quarantine
    List,
    /// Show the batch that an event is in
    Show {
        /// The event's id
        #[arg(value_name = "ID")]
        id: EventId,
    },
    /// Have the validators of this program look at all of them again
    Retry,
}

const COLUMNS: [Column; 5] = [
    Column::whole("root", Ink::Plain),
    Column::whole("log", Ink::Name),
    Column::whole("event", Ink::Plain),
    Column::whole("events", Ink::Plain),
    Column::text("refused because", 20, Ink::Bad),
];

impl Quarantine {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self.action {
            Action::List => list(context),
            Action::Show { id } => show(id, context),
            Action::Retry => retry(context),
        }
    }
}

/// The batches, as documents.
fn batches(context: &Context) -> Result<Vec<Value>, Failure> {
    match context.open_to_read()? {
        Place::Here(database) => {
            let batches = database.quarantined().map_err(|error| refusals::reading(&error))?;
            Ok(batches.iter().map(laterbase_json::quarantined).collect())
        }
        #[cfg(feature = "remote")]
        Place::There(there) => {
            let document = there.document("/quarantine")?;
            let batches = document.get("quarantine").and_then(Value::as_array);
            Ok(batches.cloned().unwrap_or_default())
        }
    }
}

fn text<'v>(batch: &'v Value, name: &str) -> &'v str {
    batch.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(batch: &Value, name: &str) -> u64 {
    batch.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn events(batch: &Value) -> impl Iterator<Item = &str> {
    batch["events"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn list(context: &mut Context) -> Result<(), Failure> {
    let all = batches(context)?;
    if context.json() {
        return context.out.line(json!({ "quarantine": all }));
    }
    if all.is_empty() {
        return context.out.line("nothing in quarantine");
    }
    let mut table = Table::new(&COLUMNS);
    for batch in &all {
        let row = vec![
            text(batch, "root").to_owned(),
            text(batch, "log").to_owned(),
            number(batch, "seq").to_string(),
            events(batch).count().to_string(),
            reason(batch),
        ];
        table.row(row, &mut context.out)?;
    }
    table.release(&mut context.out)
}

fn show(id: EventId, context: &mut Context) -> Result<(), Failure> {
    let all = batches(context)?;
    let id = id.to_string();
    let Some(batch) = all.iter().find(|batch| events(batch).any(|event| event == id)) else {
        return Err(Failure::new(Exit::NotFound, format_args!("event {id} is not in quarantine"))
            .hint("`laterbase quarantine list` shows what is"));
    };
    if context.json() {
        return context.out.line(batch);
    }
    let style = context.out.style();
    context.out.line(format_args!(
        "{} from event {} of the log {} under {}",
        counted(events(batch).count() as u64, "event"),
        grouped(number(batch, "seq")),
        text(batch, "log"),
        text(batch, "root")
    ))?;
    let refused = batch["refused"].as_str();
    for event in events(batch) {
        let is_it = refused == Some(event);
        let why = if is_it { format!("  {}", text(batch, "message")) } else { String::new() };
        let why = style.paint(Ink::Bad, &why);
        context.out.line(format_args!("{}{why}", style.paint(Ink::Name, event)))?;
    }
    if refused.is_none() {
        context
            .out
            .line("no validator of this program refuses it: `laterbase quarantine retry`")?;
    }
    Ok(())
}

fn retry(context: &mut Context) -> Result<(), Failure> {
    let retried = match context.open_or_forward()? {
        Place::Here(database) => {
            let retried =
                database.retry_quarantine().map_err(|error| refusals::appending(&error))?;
            database.close().map_err(|error| refusals::closing(&error))?;
            laterbase_json::retried(&retried)
        }
        #[cfg(feature = "remote")]
        Place::There(there) => there.post("/quarantine/retry", None)?,
    };
    if context.json() {
        return context.out.line(retried);
    }
    context.out.line(format_args!(
        "{} admitted; batches that stay refused: {}",
        counted(number(&retried, "admitted_events"), "event"),
        grouped(number(&retried, "refused"))
    ))
}

fn reason(batch: &Value) -> String {
    match batch["refused"].as_str() {
        Some(id) => format!("{id}: {}", text(batch, "message")),
        None => "a validator that this program does not have".to_owned(),
    }
}
