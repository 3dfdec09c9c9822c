//! An import's commits, at a server: each is one request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laterbase::{Cause, CauseDraft, EventId, NewEvent, Timestamp, VersionVector};
use laterbase_client::{Backoff, Problem, RemoteError, WireError};
use laterbase_json::write_new;
use serde_json::Value;

use super::There;
use super::write::read;
use crate::failure::Failure;
use crate::import::{Draft, Pushed, Settled, Sink};

/// Events and bytes of a request.
const EVENTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 24 << 20;
/// How often a request is sent whose answer did not come: its events have keys, and are recorded
/// once.
const ATTEMPTS: u32 = 6;

/// A server.
#[derive(Debug)]
pub(crate) struct RemoteSink<'t> {
    there: &'t There,
    /// The events, with commas between them.
    body: Vec<u8>,
    count: usize,
}

impl<'t> RemoteSink<'t> {
    pub(crate) fn new(there: &'t There) -> Self {
        Self { there, body: Vec::new(), count: 0 }
    }

    fn post(&self) -> Result<Value, RemoteError> {
        let body = [b"[".as_slice(), &self.body, b"]"].concat();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            match self.there.remote.post("/e", "application/json", &body) {
                Err(RemoteError::Wire(WireError::Lost { .. } | WireError::Unreachable { .. }))
                    if backoff.failures() + 1 < ATTEMPTS =>
                {
                    std::thread::sleep(backoff.after_failure());
                }
                other => return other,
            }
        }
    }

    fn refused(&self, problem: &Problem) -> Option<Settled> {
        let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
        match problem.kind.as_str() {
            "conflict" => {
                if let Some(applied) = problem.members.get("applied").and_then(Value::as_array) {
                    let one = |one: &Value| Some((number(&one["index"])?, id_in(&one["id"])?));
                    return Some(Settled::PartlyApplied(
                        applied.iter().map(one).collect::<Option<_>>()?,
                    ));
                }
                let index = number(problem.members.get("index")?)?;
                let existing = problem.members.get("event")?.as_str()?.to_owned();
                Some(Settled::Conflict { index, existing })
            }
            "refused-event" => {
                let errors = problem.members.get("errors")?.as_array()?;
                let one = |one: &Value| {
                    Some((number(&one["index"])?, one["detail"].as_str()?.to_owned()))
                };
                Some(Settled::Refused(errors.iter().map(one).collect::<Option<_>>()?))
            }
            _ => None,
        }
    }
}

fn id_in(value: &Value) -> Option<EventId> {
    value.as_str()?.parse().ok()
}

impl Sink for RemoteSink<'_> {
    fn held(&self) -> Result<VersionVector, Failure> {
        let described = self.there.describe()?;
        let text = described.get("vv").and_then(Value::as_str);
        let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let vector = bytes.and_then(|bytes| VersionVector::decode(&bytes).ok());
        vector.ok_or_else(|| self.there.foreign("it does not tell its version vector"))
    }

    fn push(&mut self, draft: &Draft, cause: CauseDraft) -> Pushed {
        let event = match event(draft, cause) {
            Ok(event) => event,
            Err(message) => return Pushed::Refused(message),
        };
        let mut line = Vec::new();
        if !write_new(&event, &mut line) {
            let message = "its idempotency key is no text, and cannot be sent to a server";
            return Pushed::Refused(message.to_owned());
        }
        if self.count == EVENTS_MAX || self.body.len() + line.len() + 1 > BYTES_MAX {
            return Pushed::Full("it is longer than a request may be".to_owned());
        }
        if self.count > 0 {
            self.body.push(b',');
        }
        self.body.append(&mut line);
        self.count += 1;
        Pushed::Taken
    }

    fn append(&mut self) -> Result<Settled, Failure> {
        let document = match self.post() {
            Ok(document) => document,
            Err(RemoteError::Problem(problem)) => {
                let settled = self.refused(&problem);
                return settled.ok_or_else(|| self.there.failed(&RemoteError::Problem(problem)));
            }
            Err(error) => return Err(self.there.failed(&error)),
        };
        let appended = read(self.there, document)?;
        let ids = appended.events.iter().map(|event| event.id.parse());
        let ids: Vec<EventId> =
            ids.collect::<Result<_, _>>().map_err(|error| self.there.foreign(error))?;
        if ids.len() != self.count {
            return Err(self.there.foreign("it recorded another number of events"));
        }
        Ok(Settled::Done { recorded: appended.outcome == "recorded", ids })
    }

    fn clear(&mut self) {
        self.body.clear();
        self.count = 0;
    }

    fn knows_earlier(&self) -> bool {
        false
    }

    fn flush(&mut self) -> Result<(), Failure> {
        // A server answers when events are on its device.
        Ok(())
    }
}

fn event(draft: &Draft, cause: CauseDraft) -> Result<NewEvent, String> {
    let tag = |(root, key): &(String, String)| format!("{root}:{key}").parse();
    let tags = draft.tags.iter().map(tag).collect::<Result<_, laterbase::ParseTagError>>();
    Ok(NewEvent {
        root: draft.root.clone(),
        key: draft.key.clone(),
        type_name: draft.type_name.clone(),
        version: draft.version,
        valid_at: draft.valid_at_micros.map(Timestamp::from_micros),
        tags: tags.map_err(|error| error.to_string())?,
        cause: match cause {
            CauseDraft::Id(id) => Cause::Id(id),
            CauseDraft::None | CauseDraft::Earlier { .. } | CauseDraft::Back { .. } => Cause::None,
        },
        idempotency_key: draft.idempotency.clone(),
        meta: draft.meta.clone(),
        content_type: draft.content_type.clone(),
        payload: draft.payload.clone(),
    })
}
