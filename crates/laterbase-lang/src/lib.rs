//! Laterlog, the language of Laterbase.
//!
//! ```text
//!   text ─▶ tokens ─▶ syntax ─▶ check against the schema ─▶ strata ─▶ plan
//!                        └──▶ formatter        └──▶ diagnostics, with spans
//! ```
//! Left out: answering plans (`laterbase-query`), and where rows come from (`laterbase`).
#![forbid(unsafe_code)]

mod check;
mod data_type;
mod diagnostic;
mod format;
mod function;
mod highlight;
pub mod literal;
mod parser;
pub mod plan;
mod plan_text;
pub mod schema;
mod span;
pub mod syntax;
mod token;
mod value;
pub mod write;

pub use check::{
    Checked, CheckedStep, Context, Evaluate, check_expect, check_mutation, check_query, fitting,
    operations_root,
};
pub use data_type::{Column, DataType};
pub use diagnostic::{Diagnostic, Severity, has_errors, render_all};
pub use format::{COLUMNS_MAX, format};
pub use function::{Aggregate, Function};
pub use highlight::{KEYWORDS, Piece, completions, is_incomplete, pieces};
pub use parser::{DEPTH_MAX, NAME_BYTES_MAX, Parsed, parse};
pub use rust_decimal::Decimal;
pub use span::Span;
pub use token::TEXT_BYTES_MAX;
pub use value::Value;
