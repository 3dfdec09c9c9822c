//! Events as text: CSV, table rows, and the card that `get` shows; JSON is in `laterbase-json`.

#[cfg(feature = "query")]
mod answer;
mod card;
mod csv;
mod rows;
#[cfg(feature = "query")]
mod tree;

#[cfg(feature = "query")]
pub(crate) use answer::{Answered, write_answer};
pub(crate) use card::card;
pub(crate) use csv::{CSV_HEADER, write_csv};
pub(crate) use laterbase_json::{tx_micros, write_json};
pub(crate) use rows::{COLUMNS, row};

use laterbase_json::{arrival_micros, payload_json};
