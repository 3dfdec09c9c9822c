//! Applying one event, with every failure caught: a mistake in a program's `apply` concerns the row
//! at hand and no other.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use laterbase_event::{EventId, EventView};

use super::aggregate::{ApplyError, Fold};
use super::event::FoldEvent;
use super::upcast::Upcasters;

/// An event that a fold could not take in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "event {event} (`{type_name}` version {version}) cannot be folded into `{row}`: {message}; \
     mend the program's `apply` or add an upcaster, the event itself stays as it is"
)]
pub struct Failure {
    /// Which.
    pub event: EventId,
    /// What kind it is.
    pub type_name: String,
    /// The version of its kind, as it was recorded.
    pub version: u32,
    /// The row.
    pub row: String,
    /// What `apply` or an upcaster said, or the message of its panic.
    pub message: String,
}

/// Applies an event to a row.
pub(crate) fn apply<F: Fold>(
    fold: &F,
    upcasters: &Upcasters,
    row: &str,
    state: &mut F::State,
    view: &EventView<'_>,
) -> Result<(), Failure> {
    caught(row, view, || fold.apply(state, row, &FoldEvent::new(view, upcasters)?))
}

/// The rows that an event touches, ascending, each once.
pub(crate) fn rows_of<F: Fold>(
    fold: &F,
    upcasters: &Upcasters,
    view: &EventView<'_>,
) -> Result<Vec<String>, Failure> {
    let mut rows = Vec::new();
    caught("", view, || {
        let event = FoldEvent::new(view, upcasters)?;
        fold.rows(&event, &mut |row| rows.push(row.to_owned()));
        Ok(())
    })?;
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

fn caught(
    row: &str,
    view: &EventView<'_>,
    work: impl FnOnce() -> Result<(), ApplyError>,
) -> Result<(), Failure> {
    // What `work` leaves half done is thrown away by whoever is told of the failure.
    let message = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic_message(panic.as_ref()),
    };
    Err(Failure {
        event: view.id(),
        type_name: view.type_name().to_owned(),
        version: view.version(),
        row: row.to_owned(),
        message,
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no message)"))
}
