//! The HTTP interface against its own description, and against clients of others: schemathesis
//! sends what the OpenAPI document allows, and what it forbids, and holds every answer against it;
//! the SDK of CloudEvents sends events and reads them back; a module of TypeScript that is made of
//! a schema is compiled, and used.
//!
//! The work is done by `scripts/schemathesis/run`, `scripts/cloudevents/run` and
//! `scripts/typescript/run`, which can be run by hand as well. They install pinned versions, and
//! say `SKIPPED` where that cannot be.

use crate::failure::Failure;
use crate::process::{Invocation, cargo};
use crate::repository::Repository;
use crate::stages::Outcome;

/// Seconds of generated requests.
const SECONDS: &str = "45";

/// The stage.
pub(crate) fn run(repository: &Repository) -> Result<Outcome, Failure> {
    let build = ["build", "-p", "laterbase-cli", "--bin", "laterbase"];
    cargo(repository.root(), &build).run()?;
    let program = repository.target().join("debug").join("laterbase");
    let program = program.to_string_lossy().into_owned();
    let runs = [
        ("scripts/cloudevents/run", &[program.as_str()][..]),
        ("scripts/schemathesis/run", &[program.as_str(), SECONDS]),
        ("scripts/typescript/run", &[program.as_str()]),
    ];
    let mut told = String::new();
    for (script, arguments) in runs {
        let lines = Invocation::new(repository.root(), script, arguments).run()?;
        if let Some(why) = lines.iter().find_map(|line| line.strip_prefix("SKIPPED ")) {
            return Ok(Outcome::Skipped(why.to_owned()));
        }
        let said = lines.iter().find(|line| line.contains(" generated,")).or(lines.last());
        let said = said.map_or("", |line| line.trim());
        told.push_str(if told.is_empty() { "" } else { "; " });
        told.push_str(said);
    }
    Ok(Outcome::Passed(told))
}
