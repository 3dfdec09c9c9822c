//! `laterbase why-not-synced`: where an event is, and what keeps it from elsewhere.

use clap::Args;
use laterbase::EventId;
use laterbase_client::{Contact, ContactFile};
use serde_json::{Value, json};

use super::Context;
use super::peer::{micros, read};
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::refusals;

/// Show which peers have an event, and why others do not
#[derive(Debug, Args)]
pub(crate) struct WhyNotSynced {
    /// The event's id
    #[arg(value_name = "ID")]
    id: EventId,
}

impl WhyNotSynced {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let database = context.open_read_only()?;
        let found = database.get(self.id).map_err(|error| refusals::reading(&error))?;
        let Some(recorded) = found else { return self.missing(&database, context) };
        let event = recorded.event;
        let log = database.log_of(self.id).map_err(|error| refusals::reading(&error))?;
        let log = log.map_or(event.id.replica(), |log| log.replica).to_string();
        let mut answers: Vec<(String, bool, String)> = Vec::new();
        for peer in read(context)?.iter() {
            let contact = ContactFile::new(context.directory()?, &peer.name).read();
            let held = contact.heads.get(&event.root).and_then(|logs| logs.get(&log)).copied();
            let has_it = held.unwrap_or(0) >= event.seq;
            let why = if has_it { "has it".to_owned() } else { lacking(&contact, held, context) };
            answers.push((peer.name.clone(), has_it, why));
        }
        if context.json() {
            let one = |(peer, has_it, why): &(String, bool, String)| {
                let has_it = *has_it;
                json!({ "peer": peer, "has_it": has_it, "why": why })
            };
            return context.out.line(json!({
                "id": self.id.to_string(),
                "root": event.root,
                "log": log,
                "seq": event.seq,
                "peers": answers.iter().map(one).collect::<Vec<Value>>(),
            }));
        }
        let style = context.out.style();
        let (root, seq) = (&event.root, event.seq);
        context.out.line(format_args!("event {seq} of the log {log} under {root}; it is here"))?;
        if answers.is_empty() {
            context.out.line("no peers; add one with `laterbase peer add NAME URL`")?;
        }
        for (peer, has_it, why) in answers {
            let ink = if has_it { Ink::Good } else { Ink::Bad };
            let peer = style.paint(Ink::Name, &peer);
            context.out.line(format_args!("{peer}: {}", style.paint(ink, &why)))?;
        }
        Ok(())
    }

    /// The event is not here: perhaps it is held back, or was never brought.
    fn missing(&self, database: &laterbase::Database, context: &Context) -> Result<(), Failure> {
        let held = database.quarantined().map_err(|error| refusals::reading(&error))?;
        if held.iter().any(|batch| batch.events.contains(&self.id)) {
            let message =
                format!("event {} is here, in quarantine: a validator refused it", self.id);
            return Err(Failure::new(Exit::NotFound, message).hint(
                "`laterbase quarantine list` shows why; it was forwarded to peers all the same",
            ));
        }
        let writer = self.id.replica();
        let vector = database.version_vector().map_err(|error| refusals::reading(&error))?;
        let logs = vector.iter().filter(|(_, replica, _)| *replica == writer).count();
        let mut holders = Vec::new();
        for peer in read(context)?.iter() {
            let contact = ContactFile::new(context.directory()?, &peer.name).read();
            if contact.replica.as_deref() == Some(writer.to_string().as_str()) {
                holders.push(format!("{} wrote it", peer.name));
            } else if contact.lacked_here > 0 {
                holders.push(format!("{} has events that are lacking here", peer.name));
            }
        }
        let known = match logs {
            0 => format!("nothing of replica {writer}, which wrote it, has come here"),
            _ => format!("replica {writer}, which wrote it, is known here, but not this event"),
        };
        let hint = match holders.as_slice() {
            [] => "sync with a peer that may have it: `laterbase sync`".to_owned(),
            holders => format!("{}; sync with it: `laterbase sync`", holders.join("; ")),
        };
        Err(Failure::new(Exit::NotFound, format_args!("event {} is not here: {known}", self.id))
            .hint(hint))
    }
}

/// Why a peer does not have what is here.
fn lacking(contact: &Contact, held: Option<u64>, context: &Context) -> String {
    let time = |at: u64| context.clock().format_short(micros(at));
    match (&contact.error, contact.synced_ms, held) {
        (Some(error), _, _) => {
            let tried = contact.tried_ms.map_or_else(String::new, |at| format!(" at {}", time(at)));
            format!("does not have it: the last try{tried} failed: {error}")
        }
        (None, None, _) => "does not have it: there was no sync with it yet".to_owned(),
        (None, Some(at), None) => {
            format!("does not have it: it had nothing of this log at the last sync, {}", time(at))
        }
        (None, Some(at), Some(held)) => {
            format!("does not have it: it had {held} events of this log at {}", time(at))
        }
    }
}
