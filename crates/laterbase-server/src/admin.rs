//! `PUT /db/{db}`: makes a database.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use laterbase::DatabaseId;
use serde::Deserialize;
use serde_json::json;

use crate::call::Call;
use crate::databases::MakeError;
use crate::describe;
use crate::names::is_database_name;
use crate::problem::{Kind, Problem};
use crate::request::{json as json_document, json_or_default};

/// What a new database is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeDatabase {
    /// Whose copy it becomes.
    database: Option<String>,
}

/// Makes the database that the path names, if there is none.
pub(crate) async fn make(mut call: Call) -> Result<Response, Problem> {
    let name = call.database().to_owned();
    if !is_database_name(&name) {
        let detail = "a database's name is [a-z0-9][a-z0-9_-]{0,62}, and no first part of a path";
        return Err(Problem::bad_request(detail));
    }
    call.parameters()?;
    let asked: MakeDatabase = json_or_default(&mut call).await?;
    let id: Option<DatabaseId> = asked
        .database
        .map(|id| id.parse())
        .transpose()
        .map_err(|error| Problem::bad_request(format_args!("`database`: {error}")))?;
    let server = Arc::clone(&call.shared);
    let make = move || {
        let made = server.databases.make(&name, id);
        let (hosted, made) = made.map_err(|error| not_made(&error))?;
        if made {
            server.publish(&hosted);
            (server.made)(&hosted);
        }
        Ok((describe::document(&server, &hosted)?, made))
    };
    let (document, made) = call.shared.admission.run(make).await?;
    let mut response = json_document(&document);
    if made {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

fn not_made(error: &MakeError) -> Problem {
    match error {
        MakeError::NoDirectory => Problem::new(Kind::NoDirectory).detail(error),
        MakeError::OtherId { .. } => {
            let detail = format_args!("{error}: leave `database` out, or take another name");
            Problem::new(Kind::Conflict).detail(detail)
        }
        MakeError::TooMany { max } => {
            let problem = Problem::new(Kind::TooManyDatabases).detail(error);
            problem.field("databases_max", json!(max))
        }
        MakeError::Open { .. } => Problem::failed(error).of_kind(Kind::Storage),
    }
}
