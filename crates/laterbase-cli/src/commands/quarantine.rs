//! `laterbase quarantine`: events of others that a validator here refused.

use clap::{Args, Subcommand};
use laterbase::EventId;
use laterbase::sync::QuarantinedBatch;
use serde_json::{Value, json};

use super::Context;
use super::stats::{counted, grouped};
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

fn batches(context: &Context) -> Result<Vec<QuarantinedBatch>, Failure> {
    let database = context.open_read_only()?;
    database.quarantined().map_err(|error| refusals::reading(&error))
}

fn list(context: &mut Context) -> Result<(), Failure> {
    let all = batches(context)?;
    if context.json() {
        let all: Vec<Value> = all.iter().map(document).collect();
        return context.out.line(json!({ "quarantine": all }));
    }
    if all.is_empty() {
        return context.out.line("nothing in quarantine");
    }
    let mut table = Table::new(&COLUMNS);
    for batch in &all {
        let row = vec![
            batch.root.to_string(),
            batch.replica.to_string(),
            batch.first_seq.to_string(),
            batch.events.len().to_string(),
            reason(batch),
        ];
        table.row(row, &mut context.out)?;
    }
    table.release(&mut context.out)
}

fn show(id: EventId, context: &mut Context) -> Result<(), Failure> {
    let all = batches(context)?;
    let Some(batch) = all.iter().find(|batch| batch.events.contains(&id)) else {
        return Err(Failure::new(Exit::NotFound, format_args!("event {id} is not in quarantine"))
            .hint("`laterbase quarantine list` shows what is"));
    };
    if context.json() {
        return context.out.line(document(batch));
    }
    let style = context.out.style();
    context.out.line(format_args!(
        "{} from event {} of the log {} under {}",
        counted(batch.events.len() as u64, "event"),
        grouped(batch.first_seq),
        batch.replica,
        batch.root
    ))?;
    for event in &batch.events {
        let refused = batch.refusal.as_ref().filter(|(refused, _)| refused == event);
        let why = refused.map_or_else(String::new, |(_, message)| format!("  {message}"));
        let why = style.paint(Ink::Bad, &why);
        context.out.line(format_args!("{}{why}", style.paint(Ink::Name, &event.to_string())))?;
    }
    if batch.refusal.is_none() {
        context
            .out
            .line("no validator of this program refuses it: `laterbase quarantine retry`")?;
    }
    Ok(())
}

fn retry(context: &mut Context) -> Result<(), Failure> {
    let database = context.open()?;
    let retried = database.retry_quarantine().map_err(|error| refusals::appending(&error))?;
    database.close().map_err(|error| refusals::closing(&error))?;
    if context.json() {
        return context.out.line(json!({
            "admitted": retried.admitted,
            "admitted_events": retried.admitted_events,
            "refused": retried.refused,
        }));
    }
    context.out.line(format_args!(
        "{} admitted; batches that stay refused: {}",
        counted(retried.admitted_events, "event"),
        grouped(retried.refused)
    ))
}

fn reason(batch: &QuarantinedBatch) -> String {
    match &batch.refusal {
        Some((id, message)) => format!("{id}: {message}"),
        None => "a validator that this program does not have".to_owned(),
    }
}

fn document(batch: &QuarantinedBatch) -> Value {
    let events: Vec<String> = batch.events.iter().map(EventId::to_string).collect();
    json!({
        "root": batch.root.as_str(),
        "log": batch.replica.to_string(),
        "seq": batch.first_seq,
        "events": events,
        "refused": batch.refusal.as_ref().map(|(id, _)| id.to_string()),
        "message": batch.refusal.as_ref().map(|(_, message)| message),
    })
}
