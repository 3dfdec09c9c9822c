//! Where the program under test comes from: built by cargo, and copied, so that a build of another
//! flavour does not replace it in the middle of a campaign.

use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which `laterbase` is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// As users get it, but for the optimisation level.
    Plain,
    /// The same, with the faults that tests must catch, all of them off.
    WithMutants,
}

/// Why there is no program to test.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo could not be run, or the program not be copied.
    #[error("cannot build the program: {0}")]
    Io(#[from] io::Error),
    /// Cargo has failed.
    #[error("cargo cannot build the program:\n{0}")]
    Cargo(String),
}

/// Builds `laterbase` and puts it into the directory `to`; returns the executable file.
///
/// # Errors
/// It cannot be built or copied.
pub fn build(flavour: Flavour, to: &Path) -> Result<PathBuf, BuildError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.args(["build", "--package", "laterbase-cli", "--bin", "laterbase"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    if flavour == Flavour::WithMutants {
        command.args(["--package", "laterbase-log", "--features", "laterbase-log/mutants"]);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(BuildError::Cargo(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let built = text.lines().filter_map(executable).next_back();
    let built = built.ok_or_else(|| BuildError::Cargo("it names no executable".to_owned()))?;
    let copy = to.join("laterbase");
    std::fs::copy(built, &copy)?;
    Ok(copy)
}

/// The executable that a line of cargo's messages names, if it does.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    message.get("executable")?.as_str().map(PathBuf::from)
}
