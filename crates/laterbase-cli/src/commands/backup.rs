//! `laterbase backup`: a copy, while the database is in use.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Context;
use super::stats::size;
use crate::failure::Failure;
use crate::refusals;

/// Copy the database into a directory, also while it is being written
///
/// Where the directory holds an earlier backup, only what is new is copied.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The backup's directory
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

impl Backup {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let database = context.open_read_only()?;
        let report =
            database.backup(&self.to).map_err(|error| refusals::backing_up(&error, &self.to))?;
        if context.json() {
            return context.out.line(json!({
                "backup": self.to.display().to_string(),
                "position": report.position.as_u64(),
                "files_copied": report.files_copied,
                "files_kept": report.files_kept,
                "bytes_copied": report.bytes_copied,
            }));
        }
        let kept = if report.files_kept > 0 {
            format!(", {} files were there already", report.files_kept)
        } else {
            String::new()
        };
        context.out.line(format_args!(
            "backed up everything up to position {}: copied {}{kept}",
            report.position,
            size(report.bytes_copied)
        ))
    }
}
