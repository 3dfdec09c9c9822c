//! `GET …/schema` and `PUT …/schema`: what a database may hold.
//!
//! The entity tag is the schema's hash: the same on every copy that has the same schema.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use laterbase::ask::{Diagnostic, Severity};
use laterbase::{SchemaError, SchemaHash};
use serde_json::{Value, json};

use crate::accept::{Form, choose};
use crate::ask::told;
use crate::call::Call;
use crate::describe::text;
use crate::problem::{Kind, Problem};
use crate::read::not_read;
use crate::request::{json as document, media_type, whole};
use crate::write::entity_tag::{among, not_modified};
use crate::write::if_none_match;

/// The forms of a schema, the default first.
const FORMS: [Form; 2] = [Form::Json, Form::Text];

/// `GET …/schema`.
pub(crate) async fn show(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let form = choose(call.headers(), &FORMS)?;
    let headers = call.headers().clone();
    let show = move || {
        let schema = hosted.database.schema().map_err(|error| not_read(&error))?;
        let tag = tag(schema.hash);
        if let Some(asked) = if_none_match(&headers)?
            && let Some(had) = among(asked, &tag)
        {
            return Ok(not_modified(had));
        }
        let mut response = if form == Form::Text {
            text(schema.text.to_string(), Form::Text.media_type())
        } else {
            document(&laterbase_json::schema(&schema))
        };
        response.headers_mut().insert(header::ETAG, tag);
        Ok(response)
    };
    call.shared.admission.run(show).await
}

/// `PUT …/schema`.
pub(crate) async fn apply(mut call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    let is_dry = call.parameters()?.parsed("dry_run")?.unwrap_or(false);
    let expected = expected(call.headers())?;
    let text = body(&mut call).await?;
    let apply = move || {
        let database = &hosted.database;
        let failed = |error: SchemaError| not_applied(&error, &text);
        if is_dry {
            let difference = database.schema_difference(&text).map_err(failed)?;
            if let Some(expected) = expected.filter(|expected| *expected != difference.base) {
                let actual = difference.base;
                return Err(failed(SchemaError::Changed { expected, actual }));
            }
            if !difference.is_allowed() {
                return Err(mistaken(
                    &difference.refusals,
                    &text,
                    difference.render_refusals("schema", &text),
                ));
            }
            return Ok(document(&laterbase_json::schema_difference(&difference)));
        }
        let change = match expected {
            Some(expected) => database.apply_schema_to(expected, &text),
            None => database.apply_schema(&text),
        };
        let change = change.map_err(failed)?;
        let mut response = document(&laterbase_json::schema_change(&change));
        response.headers_mut().insert(header::ETAG, tag(change.hash));
        Ok(response)
    };
    let shared = Arc::clone(&call.shared);
    shared.admission.run(apply).await
}

async fn body(call: &mut Call) -> Result<String, Problem> {
    let media_type = media_type(call.headers());
    let body = std::mem::take(&mut call.body);
    let body = whole(&call.shared, body).await?;
    match media_type.as_deref() {
        None | Some("text/plain") => {
            let text = std::str::from_utf8(&body);
            let text =
                text.map_err(|error| Problem::bad_request(format_args!("the body: {error}")))?;
            Ok(text.to_owned())
        }
        Some(_) => Err(Problem::media_type("text/plain")),
    }
}

fn tag(hash: SchemaHash) -> HeaderValue {
    let tag = HeaderValue::from_str(&format!("\"{hash}\""));
    // Hexadecimal digits between quotes may stand in every header.
    tag.unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// The hash that the header If-Match names.
fn expected(headers: &HeaderMap) -> Result<Option<SchemaHash>, Problem> {
    let Some(text) = crate::call::header(headers, &header::IF_MATCH)? else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let hash = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    // What the compression of an answer put behind it says nothing about the schema.
    let hash = hash.map(|hash| hash.split('-').next().unwrap_or(hash));
    let hash = hash.and_then(|hash| hash.parse().ok());
    let unknown = || {
        let detail = "the entity tag in If-Match is no schema's: read the schema again";
        Problem::new(Kind::Precondition).detail(detail)
    };
    hash.map(Some).ok_or_else(unknown)
}

fn not_applied(error: &SchemaError, text: &str) -> Problem {
    match error {
        SchemaError::Mistakes(_) => mistaken(error.diagnostics(), text, error.render("schema")),
        SchemaError::Changed { actual, .. } => Problem::new(Kind::Precondition)
            .detail(error)
            .field("actual", json!(actual.to_string())),
        SchemaError::Append(error) => Problem::failed(error).of_kind(Kind::Storage),
        SchemaError::Read(error) => not_read(error),
        _ => Problem::failed(error),
    }
}

fn mistaken(mistakes: &[Diagnostic], text: &str, rendered: String) -> Problem {
    let first = mistakes.iter().find(|one| one.severity == Severity::Error);
    let detail = first.map_or_else(String::new, |one| one.message.clone());
    let told: Vec<Value> = mistakes.iter().map(|mistake| told(mistake, text)).collect();
    Problem::new(Kind::Schema)
        .detail(detail)
        .field("mistakes", Value::from(told))
        .field("text", json!(rendered))
}
