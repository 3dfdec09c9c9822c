//! Durable consumers over HTTP: `c` of a database.
//!
//! A consumer is made by PUT, asked for what is next by POST, and told what became of it by POST.
//! What it is given is on this copy alone; see the library's `Consumer` for what is promised.
//!
//! Whoever may read what a consumer is given may make and use it: its root is the body's to say
//! when it is made, and the consumer's from then on. One that is not there counts as one of all
//! roots, so that a refusal does not tell which there are.

use std::ops::RangeInclusive;

use axum::http::StatusCode;
use axum::response::Response;
use laterbase::{
    Consumer, ConsumerConfig, ConsumerError, Cursor, DeadLetter, Position, Rejection, Settlement,
    Start,
};
use laterbase_json::time::Clockface;
use laterbase_json::write_json;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::accept::Form;
use crate::access::Verb;
use crate::call::Call;
use crate::databases::Hosted;
use crate::describe::text;
use crate::parameters::wrong;
use crate::problem::{Kind, Problem};
use crate::read::not_read;
use crate::request::{empty, json, json_or_default};
use crate::routes::Shared;
use crate::write::whole_number;

/// Events of one answer that are not asked for by number, and at the most.
const FETCH: usize = 100;
const FETCH_MAX: usize = 1_000;

/// Positions in one list of a settlement.
const SETTLE_MAX: usize = 10_000;

/// The longest time until an event is given again.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What a new consumer is given. All of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Make {
    root: Option<String>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// `beginning`, `now`, or a cursor in arrival order.
    start: Option<String>,
    open_max: Option<Whole>,
    redeliver_ms: Option<Whole>,
    attempts_max: Option<Whole>,
}

/// What became of events.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settle {
    #[serde(default)]
    acknowledge: Vec<Whole>,
    #[serde(default)]
    reject: Vec<Rejected>,
    #[serde(default)]
    retry: Vec<Whole>,
    #[serde(default)]
    discard: Vec<Whole>,
}

/// A whole number from 0, however it is written.
#[derive(Clone, Copy, Debug)]
struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = whole_number(&value).map(Self);
        number.ok_or_else(|| D::Error::custom(format_args!("{value} is no whole number from 0")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rejected {
    position: Whole,
    reason: String,
}

/// A consumer by name, or why there is none.
struct Found {
    consumer: Result<Consumer, Problem>,
    /// Whose events it is given; none for all, and if it is not there.
    root: Option<String>,
}

/// `GET /db/{db}/c`.
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let names =
        call.shared.admission.run(move || hosted.database.consumers().map_err(failed)).await?;
    Ok(json(&json!({ "consumers": names })))
}

/// `PUT /db/{db}/c/{consumer}`.
pub(crate) async fn make(mut call: Call) -> Result<Response, Problem> {
    let (hosted, name) = (call.hosted()?, name_of(&call));
    call.parameters()?;
    let asked: Make = json_or_default(&mut call).await?;
    call.permits(Some(&hosted.name), asked.root.as_deref().into(), Verb::Read)?;
    let (database, name_made) = (hosted.database.clone(), name.clone());
    let create = move || {
        let config = asked.config()?;
        // Whatever is wrong with the name is told before what is wrong with the start.
        match database.consumer(&name_made) {
            Ok(_) => Ok(false),
            Err(ConsumerError::Unknown { .. }) => {
                database.create_consumer(&name_made, config, asked.start()?).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    };
    let is_new = call.shared.admission.run(create).await?;
    // If it was there it stayed as it was, and may be one of another root.
    let found = Found::by_name(&call.shared, &hosted, &name).await?;
    found.permitted(&call, &hosted)?;
    let consumer = found.consumer?;
    let describe = move || Ok(json(&document(&name, &consumer)?));
    let mut response = call.shared.admission.run(describe).await?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// `GET /db/{db}/c/{consumer}`.
pub(crate) async fn describe(call: Call) -> Result<Response, Problem> {
    let (_, name) = (call.hosted()?, name_of(&call));
    call.parameters()?;
    with_consumer(call, move |consumer| Ok(json(&document(&name, &consumer)?))).await
}

/// `DELETE /db/{db}/c/{consumer}`.
pub(crate) async fn remove(call: Call) -> Result<Response, Problem> {
    let (hosted, name) = (call.hosted()?, name_of(&call));
    call.parameters()?;
    let is_gone = call.shared.admission.run(move || {
        hosted.database.remove_consumer(&name).map_err(failed)?.then_some(()).ok_or_else(|| {
            Problem::new(Kind::NoSuchConsumer).detail(format_args!("there is no `{name}`"))
        })
    });
    is_gone.await?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// `POST /db/{db}/c/{consumer}/fetch`.
pub(crate) async fn fetch(mut call: Call) -> Result<Response, Problem> {
    call.hosted()?;
    let limit = call.parameters()?.parsed("limit")?.unwrap_or(FETCH);
    if !(1..=FETCH_MAX).contains(&limit) {
        return Err(wrong("limit", format_args!("1 to {FETCH_MAX} events at once")));
    }
    empty(&mut call.body, "`?limit=` says how many events are wanted").await?;
    let database = call.hosted()?.database.clone();
    with_consumer(call, move |consumer| {
        let deliveries = consumer.fetch(limit).map_err(failed)?;
        let mut out = b"{\"deliveries\":[".to_vec();
        for (at, delivery) in deliveries.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let (position, attempt) = (delivery.recorded.position.as_u64(), delivery.attempt);
            let head = format!("{{\"position\":{position},\"attempt\":{attempt},\"event\":");
            out.extend_from_slice(head.as_bytes());
            let recorded = database.with_names(delivery.recorded).map_err(|it| not_read(&it))?;
            write_json(&recorded, &Clockface::utc(), None, &mut out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}\n");
        Ok(text(out, Form::Json.media_type()))
    })
    .await
}

/// `POST /db/{db}/c/{consumer}/settle`.
pub(crate) async fn settle(mut call: Call) -> Result<Response, Problem> {
    let (hosted, name) = (call.hosted()?, name_of(&call));
    call.parameters()?;
    let found = Found::by_name(&call.shared, &hosted, &name).await?;
    found.permitted(&call, &hosted)?;
    let asked: Settle = json_or_default(&mut call).await?;
    found.consumer?;
    let settlement = asked.settlement()?;
    // Looked up again: while the body came another may have been made of the name.
    with_consumer(call, move |consumer| {
        let settled = consumer.settle(&settlement).map_err(failed)?;
        Ok(json(&json!({
            "acknowledged": settled.acknowledged,
            "rejected": settled.rejected,
            "retried": settled.retried,
            "discarded": settled.discarded,
        })))
    })
    .await
}

/// `GET /db/{db}/c/{consumer}/dead`.
pub(crate) async fn dead(call: Call) -> Result<Response, Problem> {
    call.hosted()?;
    call.parameters()?;
    with_consumer(call, |consumer| {
        let letters = consumer.dead_letters().map_err(failed)?;
        let one = |letter: &DeadLetter| {
            json!({
                "position": letter.position.as_u64(),
                "id": letter.id.map(|id| id.to_string()),
                "readable": letter.unreadable.is_none(),
                "attempts": letter.attempts,
                "since": Clockface::utc().format(letter.since.as_micros()),
                "reason": letter.reason,
            })
        };
        Ok(json(&json!({ "dead": letters.iter().map(one).collect::<Vec<_>>() })))
    })
    .await
}

impl Make {
    fn config(&self) -> Result<ConsumerConfig, Problem> {
        let usual = ConsumerConfig::default();
        let open_max = within("open_max", self.open_max, 1..=100_000)?;
        let redeliver_ms = within("redeliver_ms", self.redeliver_ms, 0..=DAY_MS)?;
        let attempts_max = within("attempts_max", self.attempts_max, 1..=1_000)?;
        let config = ConsumerConfig {
            root: self.root.clone(),
            types: self.types.clone(),
            tags: self.tags.clone(),
            open_max: open_max
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(usual.open_max),
            redeliver_ms: redeliver_ms.unwrap_or(usual.redeliver_ms),
            attempts_max: attempts_max
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(usual.attempts_max),
        };
        config.check().map_err(failed)?;
        Ok(config)
    }

    fn start(&self) -> Result<Start, Problem> {
        match self.start.as_deref() {
            None | Some("beginning") => Ok(Start::Beginning),
            Some("now") => Ok(Start::Now),
            Some(text) => text.parse::<Cursor>().map(Start::After).map_err(|error| {
                Problem::new(Kind::Cursor)
                    .detail(format_args!("`start`: beginning, now or a cursor: {error}"))
            }),
        }
    }
}

impl Settle {
    /// The same for the library, if no list is too long.
    fn settlement(self) -> Result<Settlement, Problem> {
        let lists = [
            ("acknowledge", self.acknowledge.len()),
            ("reject", self.reject.len()),
            ("retry", self.retry.len()),
            ("discard", self.discard.len()),
        ];
        if let Some((list, count)) = lists.into_iter().find(|(_, count)| *count > SETTLE_MAX) {
            let detail = format_args!("`{list}`: at most {SETTLE_MAX} in one request, not {count}");
            return Err(Problem::bad_request(detail));
        }
        let position = |Whole(position)| Position::new(position);
        let rejection = |rejected: Rejected| Rejection {
            position: position(rejected.position),
            reason: rejected.reason,
        };
        Ok(Settlement {
            acknowledge: self.acknowledge.into_iter().map(position).collect(),
            reject: self.reject.into_iter().map(rejection).collect(),
            retry: self.retry.into_iter().map(position).collect(),
            discard: self.discard.into_iter().map(position).collect(),
        })
    }
}

/// A number of the body, if it lies within its bounds.
fn within(
    name: &str,
    number: Option<Whole>,
    bounds: RangeInclusive<u64>,
) -> Result<Option<u64>, Problem> {
    match number {
        Some(Whole(number)) if !bounds.contains(&number) => {
            let (least, most) = (bounds.start(), bounds.end());
            Err(Problem::bad_request(format_args!("`{name}` is {least} to {most}, not {number}")))
        }
        number => Ok(number.map(|Whole(number)| number)),
    }
}

fn name_of(call: &Call) -> String {
    call.part("consumer").unwrap_or_default().to_owned()
}

/// Does something with the consumer that the path names, if the client may read what it is given.
async fn with_consumer(
    call: Call,
    work: impl FnOnce(Consumer) -> Result<Response, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (hosted, name) = (call.hosted()?, name_of(&call));
    let found = Found::by_name(&call.shared, &hosted, &name).await?;
    found.permitted(&call, &hosted)?;
    let consumer = found.consumer?;
    call.shared.admission.run(move || work(consumer)).await
}

impl Found {
    async fn by_name(shared: &Shared, hosted: &Hosted, name: &str) -> Result<Self, Problem> {
        let (database, name) = (hosted.database.clone(), name.to_owned());
        let find = move || {
            let consumer = database.consumer(&name);
            let status = consumer.as_ref().ok().and_then(|consumer| consumer.status().ok());
            let root = status.and_then(|status| status.config.root);
            Ok(Self { consumer: consumer.map_err(failed), root })
        };
        shared.admission.run(find).await
    }

    /// Whether the client may read what it is given.
    fn permitted(&self, call: &Call, hosted: &Hosted) -> Result<(), Problem> {
        call.permits(Some(&hosted.name), self.root.as_deref().into(), Verb::Read)
    }
}

fn document(name: &str, consumer: &Consumer) -> Result<Value, Problem> {
    let status = consumer.status().map_err(failed)?;
    let config = status.config;
    Ok(json!({
        "name": name,
        "cursor": status.cursor.to_string(),
        "lag": status.lag,
        "open": status.open,
        "dead": status.dead,
        "root": config.root,
        "types": config.types,
        "tags": config.tags,
        "open_max": config.open_max,
        "redeliver_ms": config.redeliver_ms,
        "attempts_max": config.attempts_max,
    }))
}

fn failed(error: ConsumerError) -> Problem {
    match error {
        ConsumerError::Unknown { .. } => Problem::new(Kind::NoSuchConsumer).detail(error),
        ConsumerError::Name { .. }
        | ConsumerError::Filter { .. }
        | ConsumerError::Config { .. } => Problem::bad_request(error),
        ConsumerError::OtherCopy { .. } => Problem::new(Kind::Cursor).detail(error),
        ConsumerError::TooMany { max } => {
            Problem::new(Kind::TooManyConsumers).detail(error).field("consumers_max", json!(max))
        }
        ConsumerError::TooManyDead { max, .. } => {
            Problem::new(Kind::TooManyDead).detail(error).field("dead_max", json!(max))
        }
        ConsumerError::Read(error) => not_read(&error),
        ConsumerError::ReadOnly
        | ConsumerError::Closed
        | ConsumerError::File(_)
        | ConsumerError::Unreadable { .. }
        | _ => Problem::failed(error),
    }
}
