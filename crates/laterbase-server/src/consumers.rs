//! Durable consumers over HTTP: `c` of a database.
//!
//! A consumer is made by PUT, asked for what is next by POST, and told what became of it by POST.
//! What it is given is on this copy alone; see the library's `Consumer` for what is promised.

use std::ops::RangeInclusive;

use axum::http::StatusCode;
use axum::response::Response;
use laterbase::{
    Consumer, ConsumerConfig, ConsumerError, Cursor, Database, DeadLetter, Position, Start,
};
use laterbase_json::time::Clockface;
use laterbase_json::write_json;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::accept::Form;
use crate::access::Verb;
use crate::call::Call;
use crate::describe::text;
use crate::parameters::wrong;
use crate::problem::{Kind, Problem};
use crate::read::not_read;
use crate::request::{blocking, json, media_type, whole};
use crate::write::whole_number;

/// Events of one answer that are not asked for by number, and at the most.
const FETCH: usize = 100;
const FETCH_MAX: usize = 1_000;

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

/// `GET /db/{db}/c`.
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let names = blocking(move || hosted.database.consumers().map_err(failed)).await?;
    Ok(json(&json!({ "consumers": names })))
}

/// `PUT /db/{db}/c/{consumer}`.
pub(crate) async fn make(mut call: Call) -> Result<Response, Problem> {
    let (hosted, name) = (call.hosted()?, name_of(&call));
    call.parameters()?;
    let asked: Make = body(&mut call).await?;
    call.permits(Some(&hosted.name), asked.root.as_deref(), Verb::Read)?;
    let (document, is_new) = blocking(move || {
        let database = &hosted.database;
        let start = match asked.start.as_deref() {
            None | Some("beginning") => Start::Beginning,
            Some("now") => Start::Now,
            Some(text) => Start::After(text.parse::<Cursor>().map_err(|error| {
                Problem::new(Kind::Cursor)
                    .detail(format_args!("`start`: beginning, now or a cursor: {error}"))
            })?),
        };
        let usual = ConsumerConfig::default();
        let open_max = within("open_max", asked.open_max, 1..=100_000)?;
        let redeliver_ms = within("redeliver_ms", asked.redeliver_ms, 0..=DAY_MS)?;
        let attempts_max = within("attempts_max", asked.attempts_max, 1..=1_000)?;
        let config = ConsumerConfig {
            root: asked.root,
            types: asked.types,
            tags: asked.tags,
            open_max: open_max
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(usual.open_max),
            redeliver_ms: redeliver_ms.unwrap_or(usual.redeliver_ms),
            attempts_max: attempts_max
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(usual.attempts_max),
        };
        let is_new = database.create_consumer(&name, config, start).map_err(failed)?;
        Ok((document(&name, &consumer(database, &name)?), is_new))
    })
    .await?;
    let mut response = json(&document);
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// `GET /db/{db}/c/{consumer}`.
pub(crate) async fn describe(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    let name = name_of(&call);
    with_consumer(call, move |consumer| Ok(json(&document(&name, &consumer)))).await
}

/// `DELETE /db/{db}/c/{consumer}`.
pub(crate) async fn remove(call: Call) -> Result<Response, Problem> {
    let (hosted, name) = (call.hosted()?, name_of(&call));
    call.parameters()?;
    let is_gone = blocking(move || {
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
pub(crate) async fn fetch(call: Call) -> Result<Response, Problem> {
    let limit = call.parameters()?.parsed("limit")?.unwrap_or(FETCH);
    if !(1..=FETCH_MAX).contains(&limit) {
        return Err(wrong("limit", format_args!("1 to {FETCH_MAX} events at once")));
    }
    with_consumer(call, move |consumer| {
        let deliveries = consumer.fetch(limit).map_err(failed)?;
        let mut out = b"{\"deliveries\":[".to_vec();
        for (at, delivery) in deliveries.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let (position, attempt) = (delivery.recorded.position.as_u64(), delivery.attempt);
            let head = format!("{{\"position\":{position},\"attempt\":{attempt},\"event\":");
            out.extend_from_slice(head.as_bytes());
            write_json(&delivery.recorded, &Clockface::utc(), None, &mut out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}\n");
        Ok(text(out, Form::Json.media_type()))
    })
    .await
}

/// `POST /db/{db}/c/{consumer}/settle`.
pub(crate) async fn settle(mut call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    let asked: Settle = body(&mut call).await?;
    with_consumer(call, move |consumer| {
        let positions = |all: &[Whole]| -> Vec<Position> {
            all.iter().map(|Whole(position)| Position::new(*position)).collect()
        };
        let acknowledged = consumer.acknowledge(&positions(&asked.acknowledge)).map_err(failed)?;
        let mut rejected = 0;
        for Rejected { position: Whole(position), reason } in &asked.reject {
            let was_open = consumer.reject(Position::new(*position), reason).map_err(failed)?;
            rejected += usize::from(was_open);
        }
        let retried = consumer.retry(&positions(&asked.retry)).map_err(failed)?;
        let discarded = consumer.discard(&positions(&asked.discard)).map_err(failed)?;
        Ok(json(&json!({
            "acknowledged": acknowledged,
            "rejected": rejected,
            "retried": retried,
            "discarded": discarded,
        })))
    })
    .await
}

/// `GET /db/{db}/c/{consumer}/dead`.
pub(crate) async fn dead(call: Call) -> Result<Response, Problem> {
    call.parameters()?;
    with_consumer(call, |consumer| {
        let letters = consumer.dead_letters().map_err(failed)?;
        let one = |letter: &DeadLetter| {
            json!({
                "position": letter.position.as_u64(),
                "id": letter.id.to_string(),
                "attempts": letter.attempts,
                "since": Clockface::utc().format(letter.since.as_micros()),
                "reason": letter.reason,
            })
        };
        Ok(json(&json!({ "dead": letters.iter().map(one).collect::<Vec<_>>() })))
    })
    .await
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
    let database = hosted.database.clone();
    let consumer = blocking(move || consumer(&database, &name)).await?;
    let root = consumer.status().config.root;
    call.permits(Some(&hosted.name), root.as_deref(), Verb::Read)?;
    blocking(move || work(consumer)).await
}

fn consumer(database: &Database, name: &str) -> Result<Consumer, Problem> {
    database.consumer(name).map_err(failed)
}

fn document(name: &str, consumer: &Consumer) -> Value {
    let status = consumer.status();
    let config = status.config;
    json!({
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
    })
}

/// The body as a value; an empty one is `{}`.
async fn body<T: DeserializeOwned + Default>(call: &mut Call) -> Result<T, Problem> {
    if !matches!(media_type(call.headers()).as_deref(), None | Some("application/json")) {
        return Err(Problem::media_type("application/json"));
    }
    let body = std::mem::take(&mut call.body);
    let body = whole(&call.shared, body).await?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format_args!("the body: {error}")))
}

fn failed(error: ConsumerError) -> Problem {
    match error {
        ConsumerError::Unknown { .. } => Problem::new(Kind::NoSuchConsumer).detail(error),
        ConsumerError::Name { .. } | ConsumerError::Filter { .. } => Problem::bad_request(error),
        ConsumerError::OtherCopy { .. } => Problem::new(Kind::Cursor).detail(error),
        ConsumerError::Read(error) => not_read(&error),
        ConsumerError::ReadOnly | ConsumerError::File(_) | _ => Problem::failed(error),
    }
}
