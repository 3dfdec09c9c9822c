//! `laterbase append`: one event.

use std::io::Read as _;
use std::path::Path;

use clap::Args;
use laterbase::{Cause, Database, EventId, Expected, NewEvent, Outcome, Tag, Timestamp};
use serde_json::json;
use serde_json::value::RawValue;

use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::refusals::{self, RESERVED};
use crate::values::{
    DurabilityName, Moment, StreamName, expected, moment, name_value, stream_name, tag,
};

/// Record one event
///
/// For example: laterbase append shipment/4711 departed --data '{"port":"NLRTM"}'
/// --valid-at 2026-03-01T12:00:00Z --tag truck:7
#[derive(Debug, Args)]
pub(crate) struct Append {
    /// What it happened to; without a key the event's own id is its key
    #[arg(value_name = "ROOT/KEY", value_parser = stream_name)]
    stream: StreamName,
    /// What happened
    #[arg(value_name = "TYPE")]
    type_name: String,
    /// The payload: JSON, @FILE to take it from a file, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    data: String,
    /// What the payload is, if not JSON; it is then taken as it comes
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The version of the type's schema
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    schema_version: u32,
    /// When it happened; now, if not given
    #[arg(long, value_name = "TIME", value_parser = moment)]
    valid_at: Option<Moment>,
    /// Another thing that it concerns; may be repeated
    #[arg(long = "tag", value_name = "ROOT:KEY", value_parser = tag)]
    tags: Vec<Tag>,
    /// The event that it followed from
    #[arg(long, value_name = "ID")]
    cause: Option<EventId>,
    /// A fact about the recording, such as who did it; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = name_value)]
    meta: Vec<(String, String)>,
    /// Only if the stream is so: any, none (it has no events), exists, or its number of events
    #[arg(long, value_name = "any|none|exists|N", value_parser = expected)]
    expect: Option<Expected>,
    /// Record it once per key: the same key again answers with the first event
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// What the answer promises
    #[arg(long, value_enum, default_value_t = DurabilityName::Flushed)]
    durability: DurabilityName,
}

impl Append {
    #[cfg_attr(not(feature = "remote"), expect(unused_mut, reason = "as with a server"))]
    pub(super) fn run(mut self, context: &mut Context) -> Result<(), Failure> {
        let event = self.event()?;
        if self.expect.is_some() && self.stream.key.is_none() {
            return Err(Failure::new(Exit::Usage, "--expect needs a stream, ROOT/KEY")
                .hint("an event whose key is its own id begins a stream of its own"));
        }
        if self.stream.root.is_reserved() {
            return Err(Failure::new(Exit::Refused, RESERVED).hint("record under another root"));
        }
        let (id, recorded, version) = match context.open_or_forward()? {
            Place::Here(database) => self.append(database, &event)?,
            #[cfg(feature = "remote")]
            Place::There(there) => {
                // A server waits for its device, whatever less was asked for.
                self.durability = DurabilityName::Flushed;
                let done = crate::remote::append(&there, &event, self.expect)?;
                (done.id, done.recorded, done.version)
            }
        };
        self.answer(context, id, recorded, version)
    }

    /// The event's id, whether it is new, and how many its stream has.
    fn append(
        &self,
        database: Database,
        event: &NewEvent,
    ) -> Result<(EventId, bool, u64), Failure> {
        let mut commit = database.commit();
        commit.durability(self.durability.into());
        commit.push(event).map_err(|error| refusals::pushing(&error))?;
        if let (Some(expected), Some(key)) = (self.expect, &self.stream.key) {
            commit.expect(self.stream.root, key.clone(), expected);
        }
        let appended = database
            .append(&mut commit)
            .and_then(laterbase::Ticket::wait)
            .map_err(|error| refusals::appending(&error))?;
        let id = appended.id(0).unwrap_or(appended.commit);
        let version = self.stream_version(&database, id)?;
        database.close().map_err(|error| refusals::closing(&error))?;
        Ok((id, appended.outcome == Outcome::Recorded, version))
    }

    fn event(&self) -> Result<NewEvent, Failure> {
        let content_type = self.content_type.as_deref().unwrap_or(laterbase::CONTENT_TYPE_JSON);
        let payload = payload(&self.data, content_type == laterbase::CONTENT_TYPE_JSON)?;
        Ok(NewEvent {
            root: self.stream.root.as_str().to_owned(),
            key: self.stream.key.as_ref().map(|key| key.as_str().to_owned()),
            type_name: self.type_name.clone(),
            version: self.schema_version,
            valid_at: self.valid_at.map(|Moment(at)| at),
            tags: self.tags.clone(),
            cause: self.cause.map_or(Cause::None, Cause::Id),
            idempotency_key: self.idempotency_key.as_ref().map(|key| key.as_bytes().to_vec()),
            meta: self.meta.iter().cloned().collect(),
            content_type: content_type.to_owned(),
            payload,
        })
    }

    fn stream_version(&self, database: &Database, id: EventId) -> Result<u64, Failure> {
        let own;
        let key = match &self.stream.key {
            Some(key) => key.as_str(),
            None => {
                own = id.to_string();
                &own
            }
        };
        database
            .stream_version(self.stream.root.as_str(), key)
            .map_err(|error| refusals::reading(&error))
    }

    fn answer(
        &self,
        context: &mut Context,
        id: EventId,
        recorded: bool,
        version: u64,
    ) -> Result<(), Failure> {
        let outcome = if recorded { "recorded" } else { "already_applied" };
        if context.json() {
            let tx = context.clock().format(Timestamp::from_hlc(id.hlc()).as_micros());
            return context.out.line(json!({
                "outcome": outcome,
                "id": id.to_string(),
                "tx": tx,
                "stream_version": version,
                "durability": self.durability.name(),
            }));
        }
        let style = context.out.style();
        let id = style.paint(Ink::Strong, &id.to_string());
        if recorded {
            context.out.line(format_args!("recorded {id}, event {version} of its stream"))
        } else {
            context.out.line(format_args!("already there: {id}"))
        }
    }
}

/// The payload's bytes: from the argument, a file or standard input; JSON is checked.
fn payload(data: &str, is_json: bool) -> Result<Vec<u8>, Failure> {
    let (bytes, name) = if data == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        (read.map(|_| bytes), "standard input".to_owned())
    } else if let Some(path) = data.strip_prefix('@') {
        (std::fs::read(Path::new(path)), path.to_owned())
    } else {
        (Ok(data.as_bytes().to_vec()), "--data".to_owned())
    };
    let bytes = bytes.map_err(|error| {
        Failure::new(Exit::Refused, format_args!("cannot read {name}: {error}"))
            .hint("give the payload itself, @FILE for a file, or - for standard input")
    })?;
    if is_json && let Err(error) = serde_json::from_slice::<&RawValue>(&bytes) {
        return Err(Failure::new(
            Exit::Refused,
            format_args!("the payload in {name} is not JSON: {error}"),
        )
        .hint(
            "text is written with quotes, as in --data '\"text\"'; \
             for other bytes name their --content-type",
        ));
    }
    Ok(bytes)
}
