//! `laterbase init`: a new, empty database.

use std::path::PathBuf;

use clap::Args;
use laterbase::Database;
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::output::Ink;
use crate::refusals;

/// Make a new, empty database
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Its directory, if not given with --db
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Init {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        if self.directory.is_some() {
            context.everywhere.db = self.directory;
        }
        let directory = context.directory()?.to_owned();
        let database = Database::create(&directory, context.options())
            .map_err(|error| refusals::opening(&error, &directory))?;
        let (id, replica) = (database.id(), database.replica());
        database.close().map_err(|error| refusals::closing(&error))?;
        if context.json() {
            return context.out.line(json!({
                "db": directory.display().to_string(),
                "database": id.to_string(),
                "replica": replica.to_string(),
            }));
        }
        let style = context.out.style();
        let path = style.paint(Ink::Name, &directory.display().to_string());
        context.out.line(format_args!("made an empty database in {path}"))?;
        context.out.line(format_args!("database {id}, replica {replica}"))
    }
}
