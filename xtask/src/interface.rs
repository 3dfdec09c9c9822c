//! The HTTP interface against its own description: schemathesis sends what the OpenAPI document
//! allows, and what it forbids, to a server, and holds every answer against it.
//!
//! The work is done by `scripts/schemathesis/run`, which can be run by hand as well. It installs a
//! pinned version, and says `SKIPPED` where that cannot be.

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
    let arguments = [program.as_str(), SECONDS];
    let lines = Invocation::new(repository.root(), "scripts/schemathesis/run", &arguments).run()?;
    if let Some(why) = lines.iter().find_map(|line| line.strip_prefix("SKIPPED ")) {
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    let generated = lines.iter().find(|line| line.contains(" generated"));
    Ok(Outcome::Passed(generated.map_or_else(String::new, |line| line.trim().to_owned())))
}
