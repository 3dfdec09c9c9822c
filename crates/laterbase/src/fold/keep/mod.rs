//! Rows that are kept on disk, so that a start goes on from them and another version has something
//! to show while it is made.
//!
//! ```text
//!   begin   what is there: a file of this code, of other code, or none
//!     │       this: to be loaded      other, of a view: `previous` until this one is ready
//!     ▼
//!   work    a piece at a time, on a thread or in `Database::step`:
//!           load, catch up to what the log held at the beginning, ready, write
//!     ▼
//!   write   when enough came, when the projection is dropped, when the database is closed
//! ```
//! `keeping` is what a projection remembers of it, `load` and `write` are the two ways, `file`,
//! `head`, `row` and `bytes` the format, `registry` who is kept of a database.
//!
//! **What may be in a file.** Only events that are on the device, or a power cut could leave a file
//! that knows more than the log. So what is visible is flushed first, and the position up to which
//! the rows have come then is what the file counts up to. Rows are put into bytes a block at a time
//! under their lock, and readers get in between; what they bring in behind that position is left
//! out: every place and every state knows its last arrival.
//!
//! **What it costs.** Each writing is of all rows, and comes after an eighth more events than the
//! one before, so that all of them together write some eight times what the last one does. Readers
//! wait while the list of keys is copied, 32 bytes a row, and then for one block of 64 KiB at a
//! time; rows of views that events came late for are folded again, as their next reader would.

mod bytes;
mod error;
mod file;
mod head;
mod keeping;
mod load;
mod previous;
mod registry;
mod row;
#[cfg(test)]
mod tests;
mod write;
#[cfg(test)]
mod write_tests;

pub use error::{KeepError, KeptFileError, KeptNews, KeptPart, KeptStatus, PreviousError};
pub(super) use keeping::Keeping;
pub use previous::{Previous, PreviousPage, PreviousRow};
pub(crate) use registry::KeptFolds;
