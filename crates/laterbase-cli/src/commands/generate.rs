//! `laterbase generate`: types for programs, from a schema.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use laterbase::SchemaHash;
use laterbase::ask::{canonical, schema_of};
use laterbase_generate::Source;

use super::fmt::replace;
use super::query::{read_text, refused};
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::refusals;

/// Make types for a program from a schema
///
/// Without SCHEMA the database's own schema is taken. As in: laterbase generate rust schema.later
/// --out src/schema.rs
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// The language of the types
    #[arg(value_enum)]
    language: Language,
    /// The schema is in this file; `-` is standard input
    #[arg(value_name = "SCHEMA")]
    schema: Option<PathBuf>,
    /// Write into this file and not to standard output; it stays untouched if nothing changes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    /// Structs, on top of the crate laterbase
    Rust,
    /// Interfaces, and a client over HTTP that needs `fetch` alone
    Typescript,
}

impl Generate {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let (name, text, schema) = match &self.schema {
            Some(file) => {
                let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
                let text = read_text(file)?;
                let schema = schema_of(&text).map_err(|error| refused(&error, &name))?;
                (name.into_owned(), text, schema)
            }
            None => of_database(context)?,
        };
        let canonical = canonical(&schema);
        let hash = SchemaHash::of(&canonical).to_string();
        let source = Source {
            name: &name,
            text: &text,
            schema: &schema,
            canonical: &canonical,
            hash: &hash,
        };
        let made = match self.language {
            Language::Rust => laterbase_generate::rust(&source),
            Language::Typescript => laterbase_generate::typescript(&source),
        };
        let made = made.map_err(|clash| Failure::new(Exit::Refused, clash))?;
        match &self.out {
            None => context.out.bytes(made.as_bytes()),
            Some(file) => write(file, &made),
        }
    }
}

/// The schema of the database, and its text.
fn of_database(context: &Context) -> Result<(String, String, laterbase::ask::Schema), Failure> {
    let Place::Here(database) = context.open_to_read()? else {
        return Err(Failure::new(Exit::Usage, "a server does not give its schema to programs yet")
            .hint("name a file, or the directory of a database"));
    };
    let found = database.schema().map_err(|error| refusals::reading(&error))?;
    if found.history.is_empty() {
        return Err(Failure::new(Exit::NotFound, "the database has no schema")
            .hint("name the file that has it: laterbase generate rust schema.later"));
    }
    Ok(("the database".to_owned(), found.text.to_string(), found.schema))
}

/// What is there already stays, so that what is built from it is not built again.
fn write(file: &Path, made: &str) -> Result<(), Failure> {
    if std::fs::read_to_string(file).is_ok_and(|there| there == made) {
        return Ok(());
    }
    replace(file, made).map_err(|error| {
        Failure::new(Exit::Storage, format_args!("cannot write {}: {error}", file.display()))
    })
}
