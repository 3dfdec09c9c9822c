//! `laterbase restore`: a database from a backup.

use std::path::PathBuf;

use clap::Args;
use laterbase::Database;
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::refusals;

/// Make a database from a backup, as a new replica
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup's directory
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
}

impl Restore {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let directory = context.directory()?.to_owned();
        let report = Database::restore(&self.from, &directory)
            .map_err(|error| refusals::backing_up(&error, &self.from))?;
        if context.json() {
            return context.out.line(json!({
                "db": directory.display().to_string(),
                "database": report.database.to_string(),
                "replica": report.replica.to_string(),
                "position": report.position.as_u64(),
                "bytes_copied": report.bytes_copied,
            }));
        }
        context.out.line(format_args!(
            "restored everything up to position {} into {}",
            report.position,
            directory.display()
        ))?;
        context.out.line(format_args!("database {}, replica {}", report.database, report.replica))
    }
}
