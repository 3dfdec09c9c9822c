//! `cargo xtask sim`: builds the simulator, optimised, and hands it its arguments; a campaign is
//! told where its record is, what day it is and which commit this is.

use std::process::Command;

use crate::failure::Failure;
use crate::process::cargo;
use crate::repository::Repository;

/// Where campaigns are recorded.
const RESULTS: &str = "docs/reference/simulation-results.md";

/// Runs the simulator with `arguments`.
///
/// # Errors
///
/// When it does not build, or finds something.
pub(crate) fn run(repository: &Repository, arguments: &[String]) -> Result<(), Failure> {
    let stamp = format!(
        "{} | {}",
        output("date", &["-u", "+%Y-%m-%d"]),
        output("git", &["rev-parse", "--short", "HEAD"])
    );
    let mut line = vec!["run", "--profile", "bench", "-p", "laterbase-sim", "--"];
    line.extend(["--record", RESULTS, "--stamp", &stamp]);
    line.extend(arguments.iter().map(String::as_str));
    cargo(repository.root(), &line).run().map(|_| ())
}

/// The one line that a small program prints; empty when it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output();
    ran.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned()).unwrap_or_default()
}
