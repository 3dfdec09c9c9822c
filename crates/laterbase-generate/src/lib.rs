//! Types for programs, made from a schema.
//!
//! ```text
//!   schema, its text ─▶ names, comments ─▶ model ─┬▶ a module of Rust
//!                                                └▶ a module of TypeScript, with its client
//! ```
//! The same schema gives the same bytes. What the modules need at run time is in
//! `laterbase::typed`, or stands in the module itself. Left out: reading files, and what the hash
//! of a schema is.
#![forbid(unsafe_code)]

mod comments;
mod model;
mod names;
mod rust;
mod typescript;
mod writer;

use laterbase_lang::schema::Schema;

pub use names::Clash;

/// What types are made of.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What the schema is called in the module that is made: its file.
    pub name: &'a str,
    /// The text that declares it, for the comments in it.
    pub text: &'a str,
    /// What it declares.
    pub schema: &'a Schema,
    /// Its canonical text.
    pub canonical: &'a str,
    /// Its hash, 16 hexadecimal digits.
    pub hash: &'a str,
}

/// A module of Rust.
///
/// # Errors
/// [`Clash`] names what would have one name in Rust.
pub fn rust(source: &Source<'_>) -> Result<String, Clash> {
    rust::module(source)
}

/// A module of TypeScript.
///
/// # Errors
/// [`Clash`] names what would have one name in TypeScript.
pub fn typescript(source: &Source<'_>) -> Result<String, Clash> {
    typescript::module(source)
}
