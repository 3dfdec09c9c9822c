//! `cargo xtask bench`: builds the benchmarks with all peers, optimised, and hands them its
//! arguments. What is measured, and how, is described in the `bench` package.
//!
//! SQLite is built with fdatasync, which its bundled build leaves out: the others sync so too.

use crate::failure::Failure;
use crate::process::cargo;
use crate::repository::Repository;

/// Runs the bench package with `arguments`.
///
/// # Errors
///
/// When it does not build or an area fails.
pub(crate) fn run(repository: &Repository, arguments: &[String]) -> Result<(), Failure> {
    let mut line =
        vec!["run", "--profile", "bench", "-p", "laterbase-bench", "--features", "peers", "--"];
    line.extend(arguments.iter().map(String::as_str));
    cargo(repository.root(), &line).env("LIBSQLITE3_FLAGS", "-DHAVE_FDATASYNC=1").run().map(|_| ())
}
