//! `GET …/e`, `GET …/e/{root}` and `POST …/changes`: events out.
//!
//! ```text
//!   parameters ─▶ Selection ─▶ Reader ─▶ page after page ─▶ a form
//!     what, as of when,        place, bound                 JSON, CBOR, CloudEvents: one page
//!     in which order           (read::reader)               NDJSON: all of them, streamed
//!                                                           event stream: all, then what comes
//! ```

mod by_id;
mod export;
pub(crate) mod feed;
mod forms;
pub(crate) mod place;
mod reader;
pub(crate) mod selection;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use laterbase::{Database, Key, RootName};
use serde_json::Value;

use self::reader::Reader;
pub(crate) use self::reader::{not_read, settle};
use self::selection::Selection;
pub(crate) use self::selection::cut;
use crate::accept::{Form, choose};
use crate::access::{self, Asked, Roots, Standing, Verb};
use crate::call::Call;
use crate::databases::Hosted;
use crate::parameters::{Parameters, wrong};
use crate::problem::Problem;
use crate::request::{media_type, whole};
use crate::routes::Shared;
use crate::write::entity_tag::{among, not_modified, tag_of_form};
use crate::write::whole_number;

const NEXT: HeaderName = HeaderName::from_static("laterbase-next");
const CURSOR: HeaderName = HeaderName::from_static("laterbase-cursor");
const MISSING: HeaderName = HeaderName::from_static("laterbase-missing");
const VV: HeaderName = HeaderName::from_static("laterbase-vv");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The forms of a listing, the default first.
const FORMS: [Form; 5] =
    [Form::Json, Form::Ndjson, Form::Cbor, Form::CloudEvents, Form::EventStream];
/// The forms of single events.
const ID_FORMS: [Form; 5] =
    [Form::Json, Form::Ndjson, Form::Cbor, Form::CloudEvents, Form::CloudEvent];

/// A request to read.
pub(crate) struct Reading {
    shared: Arc<Shared>,
    hosted: Arc<Hosted>,
    headers: HeaderMap,
    root: Option<RootName>,
    parameters: Parameters,
}

/// `GET …/e` and `GET …/e/{root}`.
pub(crate) async fn read(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    let (root, parameters) = (call.root()?, call.parameters()?);
    let Call { shared, parts, .. } = call;
    Reading { shared, hosted, headers: parts.headers, root, parameters }.answer().await
}

/// `POST …/changes`: the same with its parameters in the body.
pub(crate) async fn changes(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    if !matches!(media_type(call.headers()).as_deref(), None | Some("application/json")) {
        return Err(Problem::media_type("application/json"));
    }
    let Call { shared, parts, body, .. } = call;
    let body = whole(&shared, body).await?;
    let parameters = parameters_of(&body)?;
    Reading { shared, hosted, headers: parts.headers, root: None, parameters }.answer().await
}

impl Reading {
    /// What a stream of the answer is asked for again while it lasts.
    fn standing(&self) -> Standing {
        let root = self.root.as_ref().map(RootName::as_str);
        Standing::new(&self.shared, &self.headers, &self.hosted.name, root, Verb::Read)
    }

    async fn answer(mut self) -> Result<Response, Problem> {
        let form = if self.is_binary()? {
            Form::BinaryCloudEvent
        } else if self.parameters.has("keys") {
            choose(&self.headers, &ID_FORMS)?
        } else {
            choose(&self.headers, &FORMS)?
        };
        if form == Form::EventStream
            && let Some(id) = crate::call::header(&self.headers, &LAST_EVENT_ID)?
            && !id.is_empty()
        {
            self.parameters.replace("after", id.to_owned());
        }
        if self.parameters.has("keys") {
            let shared = Arc::clone(&self.shared);
            return shared.admission.run(move || by_id::answer(&self, form)).await;
        }
        let selection = Selection::read(&self.parameters, self.root, form == Form::EventStream)?;
        if selection.reaches_beyond_roots() {
            self.permitted(Roots::All)?;
        } else if let (None, Some(root)) = (self.root, &selection.query.root) {
            self.permitted(Roots::One(root.as_str()))?;
        }
        match form {
            Form::EventStream => feed::answer(self, selection).await,
            Form::Ndjson => export::answer(self, selection).await,
            Form::Json
            | Form::Cbor
            | Form::Csv
            | Form::Text
            | Form::CloudEvents
            | Form::CloudEvent
            | Form::BinaryCloudEvent => {
                let shared = Arc::clone(&self.shared);
                shared.admission.run(move || page(&self, selection, form)).await
            }
        }
    }

    fn permitted(&self, roots: Roots<'_>) -> Result<(), Problem> {
        let asked = Asked { database: Some(self.hosted.name.as_str()), roots, verb: Verb::Read };
        access::check(&self.shared, &self.headers, &asked)
    }

    /// Whether one event is asked for as a CloudEvent in binary mode: as it is no media type,
    /// `Accept` cannot say so.
    fn is_binary(&self) -> Result<bool, Problem> {
        match (self.parameters.one("ce_mode")?, self.parameters.has("keys")) {
            (None, _) => Ok(false),
            (Some("binary"), true) => Ok(true),
            (Some("binary"), false) => Err(wrong("ce_mode", "it goes with `keys`, of one event")),
            (Some(_), _) => Err(wrong("ce_mode", "write binary, or leave it out")),
        }
    }
}

/// One page of a listing.
fn page(reading: &Reading, selection: Selection, form: Form) -> Result<Response, Problem> {
    let database = &reading.hosted.database;
    let stream = selection.stream();
    let tag = match &stream {
        Some((root, key)) => Some(tag_of(database, root, key, form)?),
        None => None,
    };
    if let (Some(tag), Some(asked)) = (&tag, crate::write::if_none_match(&reading.headers)?)
        && let Some(had) = among(asked, tag)
    {
        return Ok(not_modified(had));
    }
    let events_max = selection.page_events()?;
    let mut reader = Reader::new(database, selection)?;
    let events = reader.next(events_max, reader::PAGE_BYTES_MAX)?;
    let ends = reader.ends(&events)?;
    let mut response = forms::page(form, &events, &ends, &reading.hosted.name)?;
    let headers = response.headers_mut();
    for (name, value) in [(NEXT, &ends.next), (CURSOR, &ends.cursor), (VV, &ends.vv)] {
        // A vector that is too long for a header stands in the document alone.
        if let Some(text) = value.as_ref().filter(|text| text.len() <= 4096)
            && let Ok(value) = HeaderValue::from_str(text)
        {
            headers.insert(name, value);
        }
    }
    if let Some(tag) = tag {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The version of a stream before it is read: nothing that it counts is missing in what is read.
fn tag_of(
    database: &Database,
    root: &RootName,
    key: &Key,
    form: Form,
) -> Result<HeaderValue, Problem> {
    let version = database.stream_version(root.as_str(), key.as_str()).map_err(Problem::failed)?;
    Ok(tag_of_form(database.replica(), version, form.name()))
}

/// The members of a body as parameters: texts, numbers, and lists of texts.
fn parameters_of(body: &[u8]) -> Result<Parameters, Problem> {
    let members: serde_json::Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format_args!("the body: {error}")))?;
    let mut parameters = Parameters::default();
    for (name, value) in members {
        if !selection::NAMES.contains(&name.as_str()) {
            let names = selection::NAMES.join(", ");
            let detail = format_args!("the body has no member `{name}`; use {names}");
            return Err(Problem::bad_request(detail));
        }
        let is_list = matches!(name.as_str(), "tag" | "type" | "keys");
        match value {
            Value::String(text) if !matches!(name.as_str(), "limit" | "reverse") => {
                parameters.add(&name, text)
            }
            Value::Number(number) if name == "limit" => {
                let number = Value::Number(number);
                let whole = whole_number(&number).map(|whole| whole.to_string());
                parameters.add(&name, whole.unwrap_or_else(|| number.to_string()));
            }
            Value::Bool(value) if name == "reverse" => parameters.add(&name, value.to_string()),
            Value::Array(items) if is_list => {
                let texts = items.into_iter().map(|item| item.as_str().map(str::to_owned));
                let wrong = || Problem::bad_request(format_args!("`{name}` is a list of texts"));
                let texts: Vec<String> = texts.collect::<Option<_>>().ok_or_else(wrong)?;
                if name == "keys" {
                    parameters.add(&name, texts.join(","));
                } else {
                    texts.into_iter().for_each(|text| parameters.add(&name, text));
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                let detail = format_args!(
                    "`{name}` is a text, `limit` a number, `reverse` true or false, and `tag`, \
                     `type` and `keys` may be lists of texts"
                );
                return Err(Problem::bad_request(detail));
            }
        }
    }
    Ok(parameters)
}
