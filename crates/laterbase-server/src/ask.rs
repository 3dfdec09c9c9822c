//! `POST …/q`: questions in Laterlog.
//!
//! The answer is made whole before it is begun, within the bounds of a question, so that a mistake
//! or a question that is too large is a problem and not a torso. Rows are written while they are
//! sent.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use laterbase::ask::{
    Answer, AskError, AskFault, Diagnostic, QueryError, RowsPlace, Severity, value_of_json,
    write_csv_header, write_csv_row, write_json_row,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accept::{Form, choose};
use crate::access::{self, Asked, Roots, Verb};
use crate::call::Call;
use crate::databases::Hosted;
use crate::describe::text;
use crate::problem::{Kind, Problem};
use crate::read::not_read;
use crate::request::{media_type, whole};
use crate::routes::Shared;

/// The forms of an answer, the default first.
const FORMS: [Form; 3] = [Form::Json, Form::Ndjson, Form::Csv];
/// Bytes of an answer that are made at once, about.
const CHUNK_BYTES: usize = 64 << 10;

/// A question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// Its text.
    query: String,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

/// `POST …/q`.
pub(crate) async fn ask(mut call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let form = choose(call.headers(), &FORMS)?;
    let question = question(&mut call).await?;
    let Call { shared, parts, .. } = call;
    let is_left = Arc::new(AtomicBool::new(false));
    let leaving = Leaving(Arc::clone(&is_left));
    let place = Arc::clone(&shared);
    let answered = place.admission.run(move || {
        let may_read = |roots: Roots<'_>| {
            let database = Some(hosted.name.as_str());
            access::check(&shared, &parts.headers, &Asked { database, roots, verb: Verb::Read })
        };
        answer(&shared, &hosted, question, &may_read, &is_left)
    });
    let answered = answered.await;
    drop(leaving);
    Ok(response(answered?, form))
}

/// Tells a question that nobody waits for its answer any more.
struct Leaving(Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn question(call: &mut Call) -> Result<Question, Problem> {
    let media_type = media_type(call.headers());
    let body = std::mem::take(&mut call.body);
    let body = whole(&call.shared, body).await?;
    match media_type.as_deref() {
        None | Some("application/json") => serde_json::from_slice(&body)
            .map_err(|error| Problem::bad_request(format_args!("the body: {error}"))),
        Some("text/plain") => {
            let query = std::str::from_utf8(&body)
                .map_err(|error| Problem::bad_request(format_args!("the body: {error}")))?;
            Ok(Question { query: query.to_owned(), parameters: BTreeMap::new() })
        }
        Some(_) => Err(Problem::media_type("application/json, or text/plain")),
    }
}

fn answer(
    shared: &Shared,
    hosted: &Hosted,
    question: Question,
    may_read: &dyn Fn(Roots<'_>) -> Result<(), Problem>,
    is_left: &AtomicBool,
) -> Result<Answer, Problem> {
    let ends = Instant::now() + shared.config.request_timeout;
    let is_over = || is_left.load(Ordering::Relaxed) || Instant::now() >= ends;
    let sees_all = may_read(Roots::All).is_ok();
    let sees = |root: Option<&str>| {
        sees_all || root.is_some_and(|root| may_read(Roots::One(root)).is_ok())
    };
    let mut ask = hosted.database.query(question.query).cancel(&is_over).allow(&sees);
    for (name, value) in &question.parameters {
        ask = ask.bind(name, value_of_json(value));
    }
    ask.run().map_err(|error| not_answered(&error))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail"
)]
fn not_answered(error: &AskError) -> Problem {
    match &error.fault {
        AskFault::Mistakes(mistakes) => {
            let first = mistakes.iter().find(|one| one.severity == Severity::Error);
            let detail = first.map_or_else(String::new, |one| one.message.clone());
            let told: Vec<Value> =
                mistakes.iter().map(|mistake| told(mistake, error.text())).collect();
            Problem::new(Kind::Query)
                .detail(detail)
                .field("mistakes", Value::from(told))
                .field("text", json!(error.render("query")))
        }
        AskFault::NoQuery => Problem::new(Kind::Query).detail(&error.fault),
        AskFault::Forbidden => Problem::new(Kind::Forbidden),
        AskFault::Query(QueryError::Cancelled) => Problem::slow(),
        AskFault::Query(QueryError::Exhausted(_)) => {
            Problem::new(Kind::QueryTooLarge).detail(&error.fault)
        }
        AskFault::Read(error) => not_read(error),
        other => Problem::failed(other),
    }
}

/// A mistake, and where it stands in the text.
fn told(mistake: &Diagnostic, source: &str) -> Value {
    let (line, column) = mistake.span.line_and_column(source);
    json!({
        "detail": mistake.message,
        "line": line,
        "column": column,
        "label": mistake.label,
        "help": mistake.help,
    })
}

fn response(answer: Answer, form: Form) -> Response {
    let mut head = String::new();
    if form == Form::Csv {
        write_csv_header(answer.columns().iter().map(|it| it.name.as_ref()), &mut head);
    } else if form == Form::Json {
        head = format!("{{\"columns\":{},\"rows\":[", columns(&answer));
    }
    let state = Some((answer.rows.start(), answer, head));
    let chunks = stream::unfold(state, move |state| async move {
        let (place, answer, mut out) = state?;
        let place = chunk(&answer, place, form, &mut out);
        let is_end = place.is_end();
        if is_end && form == Form::Json {
            let (count, warnings) = (answer.rows.len(), json!(answer.warnings("query")));
            let break_line = if count > 0 { "\n" } else { "" };
            out.push_str(&format!("{break_line}],\"count\":{count},\"warnings\":{warnings}"));
            if let Some(explanation) = answer.explanation() {
                out.push_str(&format!(",\"explanation\":{}", json!(explanation)));
            }
            out.push_str("}\n");
        }
        let rest = (!is_end).then(|| (place, answer, String::new()));
        Some((Ok::<_, io::Error>(Bytes::from(out)), rest))
    });
    // Who compresses an answer asks for more of it behind its end.
    text(Body::from_stream(chunks.fuse()), form.media_type())
}

/// Writes rows from a place on; where to go on.
fn chunk(answer: &Answer, place: RowsPlace, form: Form, out: &mut String) -> RowsPlace {
    let mut is_first = place == answer.rows.start();
    let mut rows = answer.rows.iter_at(place);
    while out.len() < CHUNK_BYTES {
        let Some(row) = rows.next() else { break };
        if form == Form::Csv {
            write_csv_row(&row.values(), out);
        } else if form == Form::Json {
            out.push_str(if is_first { "\n" } else { ",\n" });
            write_json_row(answer.columns(), &row.values(), out);
        } else {
            write_json_row(answer.columns(), &row.values(), out);
            out.push('\n');
        }
        is_first = false;
    }
    rows.place()
}

fn columns(answer: &Answer) -> Value {
    let column = |it: &laterbase::ask::Column| {
        json!({
            "name": it.name.as_ref(),
            "type": it.data_type.to_string(),
            "optional": it.is_optional,
        })
    };
    answer.columns().iter().map(column).collect()
}
