//! `POST …/q`: statements in Laterlog, questions and such that write.
//!
//! The answer is made whole before it is begun, within the bounds of a question, so that a mistake
//! or a question that is too large is a problem and not a torso. Rows are written while they are
//! sent. A text that only asks sees one moment; one that writes is carried out statement by
//! statement.

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
    write_csv_header, write_csv_row, write_json_row, writes,
};
use laterbase::execute::{Done, ExecuteError, ExecuteFault, Written};
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
use crate::write::not_appended;

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

/// What a text came to.
struct Outcome {
    /// The rows of its last query, if it asks.
    answer: Option<Answer>,
    /// What each statement that writes has written.
    written: Vec<Written>,
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
        let may = |roots: Roots<'_>, verb: Verb| {
            let database = Some(hosted.name.as_str());
            access::check(&shared, &parts.headers, &Asked { database, roots, verb })
        };
        outcome(&shared, &hosted, question, &may, &is_left)
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

/// Whether somebody may do something with some roots.
type May<'a> = dyn Fn(Roots<'_>, Verb) -> Result<(), Problem> + 'a;

fn outcome(
    shared: &Shared,
    hosted: &Hosted,
    question: Question,
    may: &May<'_>,
    is_left: &AtomicBool,
) -> Result<Outcome, Problem> {
    let ends = Instant::now() + shared.config.request_timeout;
    let is_over = || is_left.load(Ordering::Relaxed) || Instant::now() >= ends;
    let sees_all = may(Roots::All, Verb::Read).is_ok();
    let sees = |root: Option<&str>| {
        sees_all || root.is_some_and(|root| may(Roots::One(root), Verb::Read).is_ok())
    };
    let parameters = question.parameters.iter().map(|(name, value)| (name, value_of_json(value)));
    if !writes(&question.query) {
        let mut ask = hosted.database.query(question.query).cancel(&is_over).allow(&sees);
        for (name, value) in parameters {
            ask = ask.bind(name, value);
        }
        let answer = ask.run().map_err(|error| not_answered(&error))?;
        return Ok(Outcome { answer: Some(answer), written: Vec::new() });
    }
    let takes = |root: &str| may(Roots::One(root), Verb::Write).is_ok();
    let execute = hosted.database.execute(question.query).cancel(&is_over);
    let mut execute = execute.allow(&sees).allow_write(&takes);
    for (name, value) in parameters {
        execute = execute.bind(name, value);
    }
    let mut outcome = Outcome { answer: None, written: Vec::new() };
    let carried_out = execute.each(|done| {
        match done {
            Done::Rows(answer) => outcome.answer = Some(answer),
            Done::Written(written) => outcome.written.push(written),
        }
        Ok(())
    });
    carried_out.map(|()| outcome).map_err(|error| not_carried_out(&error))
}

fn not_carried_out(error: &ExecuteError) -> Problem {
    let shown = |problem: Problem| {
        let told = error.diagnostics();
        let shown: Vec<Value> = told.iter().map(|it| self::told(it, error.text())).collect();
        problem.field("mistakes", Value::from(shown)).field("text", json!(error.render("query")))
    };
    let problem = match &error.fault {
        ExecuteFault::Ask(AskFault::Mistakes(_)) => {
            let first = error.diagnostics().into_iter().next();
            let detail = first.map_or_else(String::new, |one| one.message);
            shown(Problem::new(Kind::Query).detail(detail))
        }
        ExecuteFault::Ask(fault) => not_asked(fault),
        ExecuteFault::Expectation(_) => shown(Problem::new(Kind::Condition).detail(&error.fault)),
        ExecuteFault::Row(_) | ExecuteFault::Push { .. } => {
            shown(Problem::new(Kind::Query).detail(&error.fault))
        }
        ExecuteFault::Busy => Problem::busy(),
        ExecuteFault::Append(error) => not_appended(error, None, &[], &|at| at),
        other => Problem::failed(other),
    };
    problem.field("done", json!(error.done))
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
        fault => not_asked(fault),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail"
)]
fn not_asked(fault: &AskFault) -> Problem {
    match fault {
        AskFault::NoQuery | AskFault::NoStatement => Problem::new(Kind::Query).detail(fault),
        AskFault::Forbidden => Problem::new(Kind::Forbidden),
        AskFault::Query(QueryError::Cancelled) => Problem::slow(),
        AskFault::Query(QueryError::Exhausted(_)) => {
            Problem::new(Kind::QueryTooLarge).detail(fault)
        }
        AskFault::Read(error) => not_read(error),
        other => Problem::failed(other),
    }
}

/// A mistake, and where it stands in the text.
pub(crate) fn told(mistake: &Diagnostic, source: &str) -> Value {
    let (line, column) = mistake.span.line_and_column(source);
    json!({
        "detail": mistake.message,
        "line": line,
        "column": column,
        "label": mistake.label,
        "help": mistake.help,
    })
}

fn response(outcome: Outcome, form: Form) -> Response {
    let Outcome { answer, written } = outcome;
    let written: Vec<Value> = written.iter().map(written_shown).collect();
    let Some(answer) = answer else {
        let nothing = json!({
            "columns": [], "rows": [], "count": 0, "warnings": [], "written": written,
        });
        let body = if form == Form::Json { format!("{nothing}\n") } else { String::new() };
        return text(Body::from(body), form.media_type());
    };
    let mut head = String::new();
    if form == Form::Csv {
        write_csv_header(answer.columns().iter().map(|it| it.name.as_ref()), &mut head);
    } else if form == Form::Json {
        head = format!("{{\"columns\":{},\"rows\":[", columns(&answer));
    }
    let state = Some((answer.rows.start(), answer, written, head));
    let chunks = stream::unfold(state, move |state| async move {
        let (place, answer, written, mut out) = state?;
        let place = chunk(&answer, place, form, &mut out);
        let is_end = place.is_end();
        if is_end && form == Form::Json {
            let (count, warnings) = (answer.rows.len(), json!(answer.warnings("query")));
            let break_line = if count > 0 { "\n" } else { "" };
            out.push_str(&format!("{break_line}],\"count\":{count},\"warnings\":{warnings}"));
            if let Some(explanation) = answer.explanation() {
                out.push_str(&format!(",\"explanation\":{}", json!(explanation)));
            }
            if !written.is_empty() {
                out.push_str(&format!(",\"written\":{}", json!(written)));
            }
            out.push_str("}\n");
        }
        let rest = (!is_end).then(|| (place, answer, written, String::new()));
        Some((Ok::<_, io::Error>(Bytes::from(out)), rest))
    });
    // Who compresses an answer asks for more of it behind its end.
    text(Body::from_stream(chunks.fuse()), form.media_type())
}

/// What a statement has written.
fn written_shown(written: &Written) -> Value {
    let commit = written.appended.as_ref().map(|appended| appended.commit.to_string());
    json!({ "events": written.events, "commit": commit })
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
