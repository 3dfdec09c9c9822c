//! The `laterbase` command line, as a library.

pub mod failure;
pub mod import;
pub mod json_text;
pub mod output;
pub mod pointer;
pub mod sample;
pub mod table;
pub mod time;
