//! NDJSON of any length, recorded in commits of some events each as it arrives: `?batch=N`.
//!
//! ```text
//!   body ─▶ batch ─▶ commit, on a thread that may block ─▶ batch ─▶ … ─▶ 201 with the sums
//!                       └ refused ─▶ a problem with `done`: what the commits before it came to
//! ```
//! One batch is held at a time: the next is read when this one is on the device. It takes no place
//! from requests but one of those for what lasts, as bundles do. A batch that was recorded before
//! is not recorded again, nor is a part of one: with idempotency keys the body can be sent again
//! whole, however far it came. A client that leaves breaks off what is not a whole batch.

use std::sync::Arc;

use axum::http::{HeaderName, StatusCode, header};
use axum::response::Response;
use laterbase::{AppendError, EventId, Outcome, RootName, Ticket};
use serde_json::{Map, Value, json};

use super::body::{self, Forms};
use super::conditions::Conditions;
use super::lines::{Bounds, Lines};
use super::refusal::not_appended;
use super::{IDEMPOTENCY_KEY, Ready, Writing, push, vector_shown};
use crate::access::Standing;
use crate::admission::Admission;
use crate::call::Call;
use crate::databases::Hosted;
use crate::metrics::Ended;
use crate::parameters::{Parameters, wrong};
use crate::problem::{Kind, Problem};
use crate::request::{Whole, json};
use crate::routes::Shared;

/// The parameter that asks for this.
const BATCH: &str = "batch";
/// Events of a commit.
const BATCH_EVENTS_MAX: usize = 10_000;

/// How many events a commit shall have, if the body is to be recorded in several.
pub(super) fn wanted(parameters: &Parameters) -> Result<Option<usize>, Problem> {
    let Some(events) = parameters.parsed::<usize>(BATCH)? else { return Ok(None) };
    if !(1..=BATCH_EVENTS_MAX).contains(&events) {
        let range = format_args!("1 to {BATCH_EVENTS_MAX} events of a commit");
        return Err(wrong(BATCH, range));
    }
    Ok(Some(events))
}

/// What the commits of a body came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    events: usize,
    commits: usize,
    /// Events that are new, and events that were there.
    recorded: usize,
    already: usize,
    first: Option<EventId>,
    last: Option<EventId>,
}

/// A body that is being recorded.
struct Stream {
    shared: Arc<Shared>,
    hosted: Arc<Hosted>,
    call: Parts,
    standing: Standing,
    done: Done,
}

/// What each of its batches is recorded with.
struct Parts {
    headers: axum::http::HeaderMap,
    root: Option<RootName>,
    key: Option<String>,
}

/// Records the events of a body, so many in each commit.
pub(super) async fn append(
    call: Call,
    hosted: Arc<Hosted>,
    root: Option<RootName>,
    batch: usize,
) -> Result<Response, Problem> {
    if Forms::of(call.headers())? != Forms::Ndjson {
        return Err(Problem::media_type("application/x-ndjson, or leave out `batch`"));
    }
    for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
        refuse_condition(&call, &name)?;
    }
    let key = call.header(&IDEMPOTENCY_KEY)?.map(str::to_owned);
    let standing = call.standing();
    let Call { shared, parts, body, .. } = call;
    // It lasts as long as its client sends: a live connection, and no request at work.
    let place = Arc::clone(&shared.live).try_acquire_owned().map_err(|_| Problem::busy())?;
    let place = Arc::new(place);
    let mut lines = Lines::new(&shared, body, Bounds::new(batch, shared.config.body_bytes_max));
    let parts = Parts { headers: parts.headers, root, key };
    let mut stream = Stream { shared, hosted, call: parts, standing, done: Done::default() };
    let problem = loop {
        let next = lines.next(&stream.shared).await;
        let read = match next {
            Ok(Some(read)) => read,
            Ok(None) if stream.done.events == 0 => {
                break Problem::bad_request("the body has no events; send at least one");
            }
            Ok(None) => return Admission::run_beside(place, move || stream.response()).await,
            // That line stands in front of a batch.
            Err(problem) if problem.kind() == Kind::TooLarge => {
                break problem.field("index", json!(stream.done.events));
            }
            Err(problem) => break problem,
        };
        if !stream.standing.holds() {
            break Problem::new(Kind::Forbidden).detail(Kind::Forbidden.advice());
        }
        let writing = stream.writing(read);
        let recorded = Admission::run_beside(Arc::clone(&place), move || writing.record()).await;
        match recorded {
            Ok(done) => stream.done.add(done),
            Err(problem) => break problem,
        }
    };
    let drained = Arc::clone(&place);
    tokio::spawn(async move {
        lines.drain().await;
        drop(drained);
    });
    Admission::run_beside(place, move || Err(stream.stopped(problem))).await
}

/// A condition holds for one commit, so it says nothing of a body that is several.
fn refuse_condition(call: &Call, name: &HeaderName) -> Result<(), Problem> {
    if !call.headers().contains_key(name) {
        return Ok(());
    }
    let detail = format_args!(
        "{name} holds for one commit, and with `batch` a body is several: leave one of them out"
    );
    Err(Problem::bad_request(detail))
}

impl Stream {
    fn writing(&self, body: Whole) -> Writing {
        let Parts { headers, root, key } = &self.call;
        Writing {
            shared: Arc::clone(&self.shared),
            hosted: Arc::clone(&self.hosted),
            headers: headers.clone(),
            root: *root,
            forms: Forms::Ndjson,
            key: key.clone(),
            demanded: None,
            body,
            before: Some(self.done.events),
        }
    }

    fn response(&self) -> Result<Response, Problem> {
        let outcome = if self.done.commits > 0 { "recorded" } else { "already_applied" };
        let mut document = self.done.document();
        document.insert("outcome".to_owned(), json!(outcome));
        document.insert("vv".to_owned(), json!(self.vector()?));
        let mut response = json(&Value::Object(document));
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }

    /// The problem that a batch met, and what had come of those before it.
    fn stopped(&self, problem: Problem) -> Problem {
        let problem = how_far(problem, self.done.events);
        let mut document = self.done.document();
        if let Ok(vv) = self.vector() {
            document.insert("vv".to_owned(), json!(vv));
        }
        problem.field("done", Value::Object(document))
    }

    fn vector(&self) -> Result<String, Problem> {
        let only = self.call.root.filter(|_| self.shared.config.authorizer.is_some());
        vector_shown(&self.hosted.database, only)
    }
}

impl Writing {
    /// Records a batch. Blocks.
    fn record(self) -> Result<Done, Problem> {
        let root = self.root.as_ref().map(RootName::as_str);
        let mut events = body::lines(&self.body, root);
        if events.is_empty() {
            return Ok(Done::default());
        }
        self.give_keys(&mut events)?;
        self.ready(events, Conditions::default())?.record()
    }
}

impl Ready {
    /// Records what is not recorded yet.
    fn record(mut self) -> Result<Done, Problem> {
        let before = self.writing.before.unwrap_or(0);
        let mut left: Vec<usize> = (0..self.events.len()).collect();
        let mut ids: Vec<Option<EventId>> = vec![None; self.events.len()];
        loop {
            let appended = self.writing.hosted.database.append(&mut self.commit);
            match appended.and_then(Ticket::wait) {
                Ok(appended) => {
                    for (at, id) in left.iter().zip(appended.ids()) {
                        note(&mut ids, *at, id);
                    }
                    let is_new = appended.outcome == Outcome::Recorded;
                    let recorded = if is_new { left.len() } else { 0 };
                    self.count(if is_new {
                        Ended::Recorded(recorded)
                    } else {
                        Ended::AlreadyApplied
                    });
                    return Ok(Done {
                        events: ids.len(),
                        commits: usize::from(is_new),
                        recorded,
                        already: ids.len() - recorded,
                        first: ids.first().copied().flatten(),
                        last: ids.last().copied().flatten(),
                    });
                }
                Err(AppendError::PartlyApplied { applied, .. }) if !applied.is_empty() => {
                    self.leave_out(&applied, &mut left, &mut ids)?;
                }
                Err(error) => {
                    let index = |at: usize| before + left.get(at).copied().unwrap_or(at);
                    let problem = not_appended(&error, None, &self.events, &index);
                    self.count(Ended::of(&problem));
                    return Err(problem);
                }
            }
        }
    }

    /// Makes the commit anew without the events that are recorded already.
    fn leave_out(
        &mut self,
        applied: &[(usize, EventId)],
        left: &mut Vec<usize>,
        ids: &mut [Option<EventId>],
    ) -> Result<(), Problem> {
        for (at, id) in applied {
            if let Some(at) = left.get(*at) {
                note(ids, *at, *id);
            }
        }
        let both = std::mem::take(&mut self.events).into_iter().zip(std::mem::take(left));
        let is_new = |at: &usize| ids.get(*at).is_some_and(Option::is_none);
        (self.events, *left) = both.filter(|(_, at)| is_new(at)).unzip();
        self.commit.clear();
        let before = self.writing.before.unwrap_or(0);
        let index = |at: usize| before + left.get(at).copied().unwrap_or(at);
        push(&mut self.commit, &self.events, &index)
    }
}

/// The problem that a batch met behind so many events, with how far the body came.
fn how_far(problem: Problem, events: usize) -> Problem {
    // Where storage or database failed, its own batch may be recorded all the same.
    let unsure = matches!(problem.kind(), Kind::Storage | Kind::Internal);
    match (events, unsure) {
        (0, false) => problem.and("Nothing was recorded."),
        (0, true) => problem.and("Whether its batch is recorded shows later: send all again."),
        (_, false) => problem.and(format_args!(
            "The {events} events before its batch are recorded and stay so: go on with event \
             {events}, from 0."
        )),
        (_, true) => problem.and(format_args!(
            "The {events} events before its batch are recorded and stay so; whether its batch is, \
             shows later: send again from event {events} on, from 0."
        )),
    }
}

fn note(ids: &mut [Option<EventId>], at: usize, id: EventId) {
    if let Some(place) = ids.get_mut(at) {
        *place = Some(id);
    }
}

impl Done {
    fn add(&mut self, next: Self) {
        self.events += next.events;
        self.commits += next.commits;
        self.recorded += next.recorded;
        self.already += next.already;
        self.first = self.first.or(next.first);
        self.last = next.last.or(self.last);
    }

    fn document(&self) -> Map<String, Value> {
        let Self { events, commits, recorded, already, first, last } = self;
        let id = |id: &Option<EventId>| json!(id.map(|id| id.to_string()));
        let members = [
            ("events", json!(events)),
            ("commits", json!(commits)),
            ("recorded", json!(recorded)),
            ("already", json!(already)),
            ("first", id(first)),
            ("last", id(last)),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nothing_was_recorded_is_said_only_where_it_is_sure() {
        let detail = |kind, events| {
            let told = how_far(Problem::new(kind).detail("it failed"), events);
            told.document()["detail"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(detail(Kind::Timeout, 0), "it failed. Nothing was recorded.");
        assert!(detail(Kind::Timeout, 7).contains("The 7 events before its batch are recorded"));
        for kind in [Kind::Storage, Kind::Internal] {
            for events in [0, 7] {
                let text = detail(kind, events);
                assert!(!text.contains("Nothing") && text.contains("send"), "{text}");
            }
        }
    }
}
