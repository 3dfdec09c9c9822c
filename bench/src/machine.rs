//! The machine that a report was made on, as far as the kernel tells.

use std::fs;
use std::path::Path;

use crate::error::BenchError;

/// Lines for the head of a report.
///
/// # Errors
///
/// When `folder` lies on a file system in memory: nothing durable can be measured there.
pub(crate) fn describe(folder: &Path) -> Result<Vec<String>, BenchError> {
    let filesystem = filesystem(folder);
    if matches!(filesystem.as_str(), "tmpfs" | "ramfs" | "devtmpfs") {
        return Err(BenchError::NotADevice { path: folder.to_owned(), filesystem });
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(vec![
        format!("processor: {processor}, {cores} cores"),
        format!("memory: {memory}"),
        format!("system: {} {}", std::env::consts::OS, kernel.trim()),
        format!("file system: {filesystem}"),
    ])
}

/// The value after the colon of the first line that begins with `name`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The type of the file system that `folder` lies on: the longest mount point that leads to it.
fn filesystem(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut best = (0, "unknown");
    for line in mounts.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(point), Some(kind)) = (words.next(), words.next()) else { continue };
        if folder.starts_with(point) && point.len() >= best.0 {
            best = (point.len(), kind);
        }
    }
    best.1.to_owned()
}

/// Drops what the kernel has cached of files; whether it could (only root can).
pub(crate) fn drop_caches() -> bool {
    // What is dirty cannot be dropped, so it is written first.
    let synced = std::process::Command::new("sync").status().is_ok_and(|status| status.success());
    synced && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Bytes that the files under `folder` take on the device.
pub(crate) fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(
            |(path, metadata)| {
                if metadata.is_dir() { disk_bytes(&path) } else { metadata.blocks() * 512 }
            },
        )
        .sum()
}

/// The most memory that this process had resident, in bytes.
pub(crate) fn resident_bytes_max() -> u64 {
    let text = field("/proc/self/status", "VmHWM").unwrap_or_default();
    let kilobytes = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}
