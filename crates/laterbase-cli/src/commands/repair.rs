//! `laterbase repair`: indexes anew from the log.

use clap::Args;
use laterbase::Database;
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::refusals;

/// Build the indexes anew from the log
///
/// The log is only read. Damage to the log itself is not repaired: restore a backup.
#[derive(Debug, Args)]
pub(crate) struct Repair {}

impl Repair {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let directory = context.directory()?.to_owned();
        let database = Database::rebuild_indexes(&directory, context.options())
            .map_err(|error| refusals::opening(&error, &directory))?;
        let statistics = database.statistics().map_err(|error| refusals::reading(&error))?;
        let events = statistics.events;
        database.close().map_err(|error| refusals::closing(&error))?;
        if context.json() {
            return context.out.line(json!({ "events": events }));
        }
        context.out.line(format_args!("built the indexes anew for {events} events"))
    }
}
