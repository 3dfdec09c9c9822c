//! One row, or a page of rows, as of now or of any moment.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use laterbase::{
    Cursor, Failure, FoldError, Folded, Moment, Page, PageCursor, PageRequest, Timestamp,
};
use laterbase_json::time;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Shape, Shown, Sort, left, stream};
use crate::accept::{Form, choose};
use crate::call::{Call, header as one_header};
use crate::databases::Hosted;
use crate::describe::text;
use crate::parameters::{Parameters, wrong};
use crate::problem::{Kind, Problem};
use crate::read::{cut, not_read, settle};
use crate::write::entity_tag::{among, not_modified, tag_of_form};
use crate::write::if_none_match;

/// Rows of a page that are not asked for by number, and at the most.
const PAGE_ROWS: usize = 100;
const PAGE_ROWS_MAX: usize = 1_000;

const ONE_FORMS: [Form; 2] = [Form::Json, Form::EventStream];
const FORMS: [Form; 3] = [Form::Json, Form::Ndjson, Form::EventStream];

/// A projection of a database, and what is asked of it.
pub(super) struct Asking {
    pub(super) shown: Arc<dyn Shown>,
    pub(super) hosted: Arc<Hosted>,
    /// The one row that is meant, if it is one.
    pub(super) key: Option<String>,
    pub(super) parameters: Parameters,
    pub(super) headers: HeaderMap,
}

/// One row as it stands in answers.
#[derive(Serialize)]
pub(super) struct RowDocument<'a> {
    pub(super) key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Value>,
}

/// `GET /db/{db}/a/{root}`.
pub(crate) async fn aggregates(call: Call) -> Result<Response, Problem> {
    many(call, Sort::Aggregates, "root").await
}

/// `GET /db/{db}/a/{root}/{key}`.
pub(crate) async fn aggregate(call: Call) -> Result<Response, Problem> {
    single(call, Sort::Aggregates, "root").await
}

/// `GET /db/{db}/v/{view}`.
pub(crate) async fn rows(call: Call) -> Result<Response, Problem> {
    many(call, Sort::View, "view").await
}

/// `GET /db/{db}/v/{view}/{key}`.
pub(crate) async fn row(call: Call) -> Result<Response, Problem> {
    single(call, Sort::View, "view").await
}

async fn many(call: Call, sort: Sort, part: &str) -> Result<Response, Problem> {
    let asking = ask(&call, sort, part, false)?;
    let form = choose(call.headers(), &FORMS)?;
    if form == Form::EventStream {
        return stream::answer(&call.shared, asking, call.standing()).await;
    }
    call.shared.admission.run(move || page(&asking, form)).await
}

async fn single(call: Call, sort: Sort, part: &str) -> Result<Response, Problem> {
    let asking = ask(&call, sort, part, true)?;
    if choose(call.headers(), &ONE_FORMS)? == Form::EventStream {
        return stream::answer(&call.shared, asking, call.standing()).await;
    }
    call.shared.admission.run(move || one(&asking, sort)).await
}

fn ask(call: &Call, sort: Sort, part: &str, is_one: bool) -> Result<Asking, Problem> {
    let hosted = call.hosted()?;
    let name = call.part(part).unwrap_or_default();
    let folds = &call.shared.folds;
    let Some(shown) = folds.get(&hosted, sort, name, &call.shared.notices) else {
        let names: Vec<&str> = folds.names(sort).collect();
        let there_are = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let detail = format!("`{name}` is not among what this program folds: {there_are}");
        return Err(Problem::new(Kind::NoSuchFold).detail(detail));
    };
    let key = is_one.then(|| call.part("key").unwrap_or_default().to_owned());
    let (parameters, headers) = (call.parameters()?, call.headers().clone());
    Ok(Asking { shown, hosted, key, parameters, headers })
}

impl Asking {
    pub(super) fn moment(&self) -> Result<Moment, Problem> {
        let mut moment = Moment::known(cut(&self.parameters)?);
        if let Some(text) = self.parameters.one("valid_at")? {
            let micros = time::parse(text).map_err(|error| wrong("valid_at", error))?;
            moment = moment.valid_at(Timestamp::from_micros(micros));
        }
        Ok(moment)
    }

    fn request(&self) -> Result<PageRequest, Problem> {
        let text = |name| Ok::<_, Problem>(self.parameters.one(name)?.map(str::to_owned));
        let after = self.parameters.one("after")?.map(str::parse::<PageCursor>).transpose();
        let after = after.map_err(|error| Problem::new(Kind::Cursor).detail(error))?;
        let limit = self.parameters.parsed("limit")?.unwrap_or(PAGE_ROWS);
        if !(1..=PAGE_ROWS_MAX).contains(&limit) {
            return Err(wrong("limit", format_args!("a page has 1 to {PAGE_ROWS_MAX} rows")));
        }
        let (from, until) = (text("from")?, text("until")?);
        Ok(PageRequest { moment: self.moment()?, from, until, limit, after })
    }

    /// What tags call the form of a state: what other code makes of the same events is another.
    fn form(&self) -> String {
        format!("fold{}-{}", self.shown.version(), Form::Json.name())
    }

    /// Whether the state is that of now, whose version a tag can name.
    fn is_now(&self) -> bool {
        !self.parameters.has("as_of") && !self.parameters.has("valid_at")
    }
}

/// One row.
fn one(asking: &Asking, sort: Sort) -> Result<Response, Problem> {
    let key = asking.key.as_deref().unwrap_or_default();
    let database = &asking.hosted.database;
    let moment = asking.moment()?;
    if let Some(previous) = asking.shown.previous() {
        return left::one(asking, &previous, key, &moment);
    }
    let folded = asking.shown.get(key, &moment);
    // Nobody is told of what a power cut could take back.
    settle(database)?;
    let folded = folded.map_err(|error| not_folded(&error))?;
    let Some(Folded { state, version }) = folded else {
        let detail = format!("no event of `{key}` was known and had happened by then");
        return Err(Problem::new(Kind::NoSuchRow).detail(detail));
    };
    let state = state.map_err(|error| Problem::failed(format!("`{key}` is not JSON: {error}")))?;
    // Rows of views have no stream, and so no version to expect.
    let tag = (sort == Sort::Aggregates && asking.is_now())
        .then(|| tag_of_form(database.replica(), version, &asking.form()));
    if let (Some(tag), Some(asked)) = (&tag, if_none_match(&asking.headers)?)
        && let Some(had) = among(asked, tag)
    {
        return Ok(not_modified(had));
    }
    let row = RowDocument { key, version: Some(version), state: Some(&state), problem: None };
    let mut response = text(to_text(&row)?, Form::Json.media_type());
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    made_by(asking.shown.version(), &mut response);
    Ok(response)
}

/// A page of rows.
fn page(asking: &Asking, form: Form) -> Result<Response, Problem> {
    let request = asking.request()?;
    if let Some(previous) = asking.shown.previous() {
        return left::page(asking, &previous, &request, form);
    }
    let page = asking.shown.page(&request);
    settle(&asking.hosted.database)?;
    let page = page.map_err(|error| not_folded(&error))?;
    let Page { rows, next, cursor, .. } = &page;
    let rows: Vec<RowDocument<'_>> = rows.iter().map(|row| shown(&row.key, &row.row)).collect();
    paged(&rows, next.as_ref(), cursor, asking.shown.version(), form)
}

/// A page of rows in the form that is wanted, made by a version of the fold.
pub(super) fn paged(
    rows: &[RowDocument<'_>],
    next: Option<&PageCursor>,
    cursor: &Cursor,
    fold_version: u32,
    form: Form,
) -> Result<Response, Problem> {
    let next = next.map(ToString::to_string);
    let mut response = if form == Form::Ndjson {
        let mut lines = Vec::new();
        for row in rows {
            lines.extend_from_slice(&to_text(row)?);
            lines.push(b'\n');
        }
        text(lines, form.media_type())
    } else {
        #[derive(Serialize)]
        struct Document<'a> {
            rows: &'a [RowDocument<'a>],
            next: &'a Option<String>,
            cursor: String,
            fold_version: u32,
        }
        let cursor = cursor.to_string();
        text(to_text(&Document { rows, next: &next, cursor, fold_version })?, form.media_type())
    };
    for (name, value) in [("laterbase-next", next), ("laterbase-cursor", Some(cursor.to_string()))]
    {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    made_by(fold_version, &mut response);
    Ok(response)
}

/// Says which version of the fold has made an answer.
pub(super) fn made_by(fold_version: u32, response: &mut Response) {
    response.headers_mut().insert("laterbase-fold-version", HeaderValue::from(fold_version));
}

/// A row of a page or a stream; what could not be folded says so in its place.
pub(super) fn shown<'a>(key: &'a str, row: &'a Result<Folded<Shape>, Failure>) -> RowDocument<'a> {
    let nothing = RowDocument { key, version: None, state: None, problem: None };
    match row {
        Ok(Folded { state: Ok(state), version }) => {
            RowDocument { version: Some(*version), state: Some(state), ..nothing }
        }
        Ok(Folded { state: Err(error), .. }) => {
            let problem = Problem::new(Kind::NotFolded).detail(error);
            RowDocument { problem: Some(problem.document()), ..nothing }
        }
        Err(failure) => RowDocument { problem: Some(failed(failure).document()), ..nothing },
    }
}

fn failed(failure: &Failure) -> Problem {
    Problem::new(Kind::NotFolded).detail(failure).field("event", json!(failure.event.to_string()))
}

/// A fold did not answer.
pub(super) fn not_folded(error: &FoldError) -> Problem {
    match error {
        FoldError::Apply(failure) => failed(failure),
        FoldError::Read(error) => not_read(error),
        other => Problem::failed(other),
    }
}

/// The last id that a stream's client has seen.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let id = one_header(headers, &header::HeaderName::from_static("last-event-id"))?;
    Ok(id.filter(|id| !id.is_empty()))
}

pub(super) fn to_text(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(Problem::failed)
}
