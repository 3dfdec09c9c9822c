//! `GET …/quarantine` and `POST …/quarantine/retry`: events of others that a validator refused.

use axum::response::Response;
use serde_json::{Value, json};

use crate::call::Call;
use crate::problem::{Kind, Problem};
use crate::request::json as document;

/// Lists what is in quarantine.
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let list = move || {
        let batches = hosted.database.quarantined().map_err(Problem::failed)?;
        let batches: Vec<Value> = batches.iter().map(laterbase_json::quarantined).collect();
        Ok(document(&json!({ "quarantine": batches })))
    };
    call.shared.admission.run(list).await
}

/// Has the validators look at all of it again.
pub(crate) async fn retry(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    let retry = move || {
        let retried = hosted.database.retry_quarantine();
        let retried = retried.map_err(|error| Problem::failed(error).of_kind(Kind::Storage))?;
        Ok(document(&laterbase_json::retried(&retried)))
    };
    call.shared.admission.run(retry).await
}
