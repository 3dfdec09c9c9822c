//! The `laterbase` command line, as a library.
//!
//! ```text
//! main ─▶ Program::run ─▶ commands (one file each) ─▶ laterbase
//!                            │        │            └─▶ remote: a server that has the database
//!                  values, refusals   ├─▶ import: records ─▶ drafts ─▶ commits
//!              (what goes in, what    ├─▶ sample: a workload
//!               may go wrong)         └─▶ show, table, output: what comes out
//! ```
//!
//! [`Program`] is what a program with validators of its own uses to get the same commands. The
//! other public modules are the pure parts: readers of records, pointers, times, the sample.
//! What the commands print is described in `docs/reference/command-line.md`.
#![forbid(unsafe_code)]

mod commands;
pub mod failure;
pub mod import;
#[cfg(feature = "server")]
mod logging;
pub mod output;
pub mod pointer;
mod program;
mod progress;
mod refusals;
#[cfg(feature = "remote")]
mod remote;
pub mod sample;
#[cfg(feature = "server")]
mod settings;
mod show;
mod table;
mod values;

pub use laterbase_json::time;
pub use program::Program;
