//! Answers a plan.

use laterbase_lang::plan::Plan;

use crate::code::Dictionary;
use crate::data::Data;
use crate::error::{QueryError, Usage};
use crate::limits::{Cancel, Limits};
use crate::oracle;
use crate::rows::Rows;

/// Answers a plan with the rows of `data`.
///
/// # Errors
///
/// A mistake in a value, a budget that is used up, cancelled, rows that cannot be read, or a plan
/// that contradicts itself.
pub fn run(
    plan: &Plan,
    data: &dyn Data,
    limits: &Limits,
    cancel: &dyn Cancel,
) -> Result<Rows, QueryError> {
    let _ = limits;
    if cancel.is_cancelled() {
        return Err(QueryError::Cancelled);
    }
    let rows = oracle::answer(plan, data)?;
    let mut dictionary = Dictionary::default();
    let cells = rows.iter().flatten().map(|value| dictionary.encode_value(value)).collect();
    let columns = plan.answer.columns.clone();
    Ok(Rows::new(columns, dictionary, cells, rows.len(), Usage::default()))
}
