//! Questions to a server.

use laterbase::ask::{Column, DataType, Value as Cell, value_of_json};
use serde_json::{Value, json};

use super::There;
use crate::failure::Failure;
use crate::show::Answered;

/// The answer of a server. Its values are those that JSON has: texts where there were times.
pub(crate) fn ask(
    there: &There,
    text: &str,
    parameters: &[(String, Value)],
) -> Result<Answered<'static>, Failure> {
    let parameters: serde_json::Map<String, Value> = parameters.iter().cloned().collect();
    let question = json!({ "query": text, "parameters": parameters });
    let mut document = there.post("/q", Some(&question))?;
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
