//! Questions to a server, and statements that it carries out.

use laterbase::ask::{Column, DataType, Value as Cell, value_of_json};
use serde_json::{Value, json};

use super::There;
use crate::failure::Failure;
use crate::show::Answered;

/// What a statement wrote: how many events, and their commit.
pub(crate) type WroteThere = (u64, Option<String>);

/// What statements wrote at a server, and the rows of the last query if there is one.
pub(crate) fn execute(
    there: &There,
    text: &str,
    parameters: &[(String, Value)],
) -> Result<(Vec<WroteThere>, Option<Answered<'static>>), Failure> {
    let mut document = post(there, text, parameters)?;
    let Some(Value::Array(written)) = document.get_mut("written").map(Value::take) else {
        return Err(there.foreign("the answer does not say what was written"));
    };
    let one = |it: &Value| {
        let commit = it.get("commit").and_then(Value::as_str).map(str::to_owned);
        (it.get("events").and_then(Value::as_u64).unwrap_or(0), commit)
    };
    let written = written.iter().map(one).collect();
    let answered = answered(there, document)?;
    Ok((written, (!answered.columns.is_empty()).then_some(answered)))
}

/// The answer of a server. Its values are those that JSON has: texts where there were times.
pub(crate) fn ask(
    there: &There,
    text: &str,
    parameters: &[(String, Value)],
) -> Result<Answered<'static>, Failure> {
    let document = post(there, text, parameters)?;
    answered(there, document)
}

fn post(there: &There, text: &str, parameters: &[(String, Value)]) -> Result<Value, Failure> {
    let parameters: serde_json::Map<String, Value> = parameters.iter().cloned().collect();
    let question = json!({ "query": text, "parameters": parameters });
    there.post("/q", Some(&question))
}

fn answered(there: &There, mut document: Value) -> Result<Answered<'static>, Failure> {
    let columns = columns(&document).ok_or_else(|| there.foreign("the answer has no columns"))?;
    let Some(Value::Array(rows)) = document.get_mut("rows").map(Value::take) else {
        return Err(there.foreign("the answer has no rows"));
    };
    let names: Vec<String> = columns.iter().map(|column| column.name.to_string()).collect();
    let cells = move |row: Value| -> Vec<Cell> {
        names.iter().map(|name| row.get(name).map(value_of_json).unwrap_or_default()).collect()
    };
    let explanation = document.get("explanation").and_then(Value::as_str).map(str::to_owned);
    Ok(Answered { explanation, columns, rows: Box::new(rows.into_iter().map(cells)) })
}

fn columns(document: &Value) -> Option<Vec<Column>> {
    let columns = document.get("columns")?.as_array()?;
    columns
        .iter()
        .map(|column| {
            let name = column.get("name")?.as_str()?.into();
            Some(Column { name, data_type: DataType::Json, is_optional: true })
        })
        .collect()
}
