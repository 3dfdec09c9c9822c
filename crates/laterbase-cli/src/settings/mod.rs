//! The settings of `serve`: flags before the environment, before a file, before defaults.
//!
//! ```text
//!   flags ──┐
//!   environment ──▶ gather ──▶ Plan, and the source of each of its values ──▶ check ──▶ shown
//!   file ───┘          ▲
//!                    table: names, forms and bounds, once for all of them
//! ```
//! A setting has one name: `body_bytes_max` in the file, `--body-bytes-max` as a flag,
//! `LATERBASE_BODY_BYTES_MAX` in the environment. What is wrong is refused with the place that it
//! came from, before anything is opened. Left out: the file is read once, not watched.

mod check;
mod error;
mod file;
mod flags;
mod form;
mod gather;
mod plan;
mod shown;
mod source;
mod table;
mod units;

pub(crate) use flags::Given;
pub(crate) use gather::Settings;
pub(crate) use plan::{LogFormat, Plan};
pub(crate) use source::Source;
