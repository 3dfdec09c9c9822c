//! The bounds that a small device lives by: the size of the program and the memory it takes.

use std::fs;

use crate::failure::Failure;
use crate::process::{Invocation, cargo};
use crate::repository::Repository;
use crate::stages::{Outcome, SELECTION};

/// The most that the stripped device build may take.
const DEVICE_BYTES_MAX: u64 = 5 << 20;

/// Builds the program as a device gets it and measures it.
///
/// # Errors
///
/// When it does not build, or is larger than 5 MiB.
pub(crate) fn size(repository: &Repository) -> Result<Outcome, Failure> {
    let folder = repository.target().join("device");
    let target = folder.to_string_lossy().into_owned();
    let arguments = [
        "build",
        "--profile",
        "device",
        "-p",
        "laterbase-cli",
        "--bin",
        "laterbase",
        "--no-default-features",
        "--features",
        "device",
        "--target-dir",
        &target,
    ];
    cargo(repository.root(), &arguments).run()?;
    let path = folder.join("device").join("laterbase");
    let bytes =
        fs::metadata(&path).map_err(|source| Failure::File { path: path.clone(), source })?.len();
    let said = format!("{:.2} MiB of {}", mib(bytes), DEVICE_BYTES_MAX >> 20);
    if bytes > DEVICE_BYTES_MAX {
        return Err(Failure::Check(format!("the device build is too large: {said}")));
    }
    Ok(Outcome::Passed(said))
}

/// Runs the bench package's memory area, which fails by itself when a bound is exceeded.
///
/// # Errors
///
/// When a child process with a million events takes more memory than its configuration promises.
pub(crate) fn memory(repository: &Repository) -> Result<Outcome, Failure> {
    let mut arguments = vec!["build", "--bin", "laterbase-bench"];
    arguments.extend(SELECTION);
    cargo(repository.root(), &arguments).run()?;
    let program = repository.target().join("debug").join("laterbase-bench");
    let program = program.to_string_lossy().into_owned();
    let arguments = ["memory", "--check", "--only", "laterbase"];
    let lines = Invocation::new(repository.root(), &program, &arguments).run()?;
    let bounds: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("memory: ")).collect();
    if bounds.is_empty() {
        return Err(Failure::Check("the memory area printed no measurement".to_owned()));
    }
    Ok(Outcome::Passed(bounds.join(", ")))
}

#[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1_u32 << 20)
}
