//! Rows that another version of a view has left: they answer while this one is made.
//!
//! They are of one moment, which the answer names as a cursor, and nothing else is known of them:
//! what is asked of the past, or goes on after a page of another moment, is to come again. Names of
//! versions are in headers: `Laterbase-Fold-Version` made the rows, `Laterbase-Fold-Building` is
//! being made.

use axum::http::HeaderValue;
use axum::response::Response;
use laterbase::{Moment, PageRequest, Previous, PreviousError, PreviousRow};
use serde_json::value::RawValue;

use super::answer::{Asking, RowDocument, made_by, paged, to_text};
use crate::accept::Form;
use crate::describe::text;
use crate::problem::{Kind, Problem};

/// One row.
pub(super) fn one(
    asking: &Asking,
    previous: &Previous,
    key: &str,
    moment: &Moment,
) -> Result<Response, Problem> {
    if *moment != Moment::default() {
        return Err(Problem::rebuilding());
    }
    let row = previous.get(key).map_err(|error| not_left(&error))?;
    let Some(row) = row else {
        let detail = format!("`{key}` was not there when version {} ended", previous.version());
        return Err(Problem::new(Kind::NoSuchRow).detail(detail));
    };
    let state = state_of(&row)?.ok_or_else(Problem::rebuilding)?;
    let (version, state) = (Some(row.version), Some(state.as_ref()));
    let shown = RowDocument { key, version, state, problem: None };
    let mut response = text(to_text(&shown)?, Form::Json.media_type());
    made_by(previous.version(), &mut response);
    if let Ok(cursor) = HeaderValue::from_str(&previous.cursor().to_string()) {
        response.headers_mut().insert("laterbase-cursor", cursor);
    }
    Ok(being_made(asking, response))
}

/// A page of rows.
pub(super) fn page(
    asking: &Asking,
    previous: &Previous,
    request: &PageRequest,
    form: Form,
) -> Result<Response, Problem> {
    let page = previous.page(request).map_err(|error| not_left(&error))?;
    let states = page.rows.iter().map(state_of).collect::<Result<Vec<_>, Problem>>()?;
    let rows = page.rows.iter().zip(&states).map(|(row, state)| {
        let key = row.key.as_ref();
        match state {
            Some(state) => {
                let (version, state) = (Some(row.version), Some(state.as_ref()));
                RowDocument { key, version, state, problem: None }
            }
            None => {
                let problem = Some(Problem::rebuilding().document());
                RowDocument { key, version: None, state: None, problem }
            }
        }
    });
    let rows: Vec<RowDocument<'_>> = rows.collect();
    let (next, cursor) = (page.next.as_ref(), previous.cursor());
    let response = paged(&rows, next, &cursor, previous.version(), form)?;
    Ok(being_made(asking, response))
}

/// Says which version is being made.
fn being_made(asking: &Asking, mut response: Response) -> Response {
    let version = HeaderValue::from(asking.shown.version());
    response.headers_mut().insert("laterbase-fold-building", version);
    response
}

/// On one line, as it was written.
fn state_of(row: &PreviousRow) -> Result<Option<Box<RawValue>>, Problem> {
    let shaped = row.state.clone().map(RawValue::from_string).transpose();
    let shaped = shaped.map_err(Problem::failed)?;
    shaped.map(super::shape).transpose().map_err(Problem::failed)
}

fn not_left(error: &PreviousError) -> Problem {
    match error {
        PreviousError::OtherMoment => Problem::rebuilding(),
        error @ (PreviousError::File(_) | _) => Problem::rebuilding().because(error),
    }
}
