//! Laterlog, the language of Laterbase.
//!
//! ```text
//!   text ─▶ tokens ─▶ syntax ─▶ check against the schema ─▶ strata ─▶ plan
//!                        └──▶ formatter        └──▶ diagnostics, with spans
//! ```
//! Left out: answering plans (`laterbase-query`), and where rows come from (`laterbase`).
#![forbid(unsafe_code)]

mod data_type;
mod function;
pub mod literal;
pub mod plan;
mod span;
mod value;

pub use data_type::{Column, DataType};
pub use function::{Aggregate, Function};
pub use rust_decimal::Decimal;
pub use span::Span;
pub use value::Value;
