//! Runs the fuzz targets for a bounded time each.
//!
//! The `fuzz` folder is a workspace of its own, since it is built with sanitizers by a nightly
//! compiler. Where cargo-fuzz or the nightly is missing the stage is skipped and says so; the
//! properties that the targets assert also run as property tests in the crates.

use std::fs;

use crate::failure::Failure;
use crate::process::{Invocation, answers};
use crate::repository::Repository;
use crate::stages::Outcome;

/// Runs every target for `seconds`, building them once before.
///
/// # Errors
///
/// The first target with a finding; libFuzzer names the input that reproduces it.
pub(crate) fn run(repository: &Repository, seconds: u64) -> Result<Outcome, Failure> {
    let targets = targets(&repository.read("fuzz/Cargo.toml")?);
    if targets.is_empty() {
        return Err(Failure::Check("fuzz/Cargo.toml names no target".to_owned()));
    }
    if !answers("cargo", &["+nightly", "fuzz", "--version"]) {
        let why = "needs cargo-fuzz and a nightly toolchain (scripts/setup installs both)";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    let folder = repository.path("fuzz");
    Invocation::new(&folder, "cargo", &["+nightly", "fuzz", "build"]).run()?;
    let time = format!("-max_total_time={seconds}");
    for target in &targets {
        // The corpus folder is made here: libFuzzer refuses one that is missing.
        let corpus = folder.join("corpus").join(target);
        fs::create_dir_all(&corpus).map_err(|source| Failure::File { path: corpus, source })?;
        let arguments =
            ["+nightly", "fuzz", "run", target, "--", &time, "-rss_limit_mb=1024", "-timeout=10"];
        Invocation::new(&folder, "cargo", &arguments).run()?;
    }
    Ok(Outcome::Passed(format!("{} targets, {seconds} s each", targets.len())))
}

/// The names of the `[[bin]]` sections of a manifest, in its order.
fn targets(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_target = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_target = line == "[[bin]]";
        } else if let Some(name) = line.strip_prefix("name").filter(|_| in_target) {
            found.push(name.trim_matches([' ', '=', '"']).to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_binaries_of_the_manifest() {
        let manifest = "[package]\nname = \"fuzz\"\n[[bin]]\nname = \"event\"\npath = \"a.rs\"\n\
                        [[bin]]\nname = \"id_text\"\n";
        assert_eq!(targets(manifest), ["event", "id_text"]);
    }
}
