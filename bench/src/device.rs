//! The device's own limits, measured the way a log would use it: what no store can beat.
//!
//! Commits: 4 KiB written with direct I/O into a file whose blocks exist already, then fdatasync,
//! one after the other. Bandwidth: 1 MiB blocks over the same kind of file, one fdatasync at the
//! end.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::BenchError;

const BLOCK_BYTES: usize = 4 << 10;
const STRIDE_BYTES: usize = 1 << 20;
const COMMIT_FILE_BYTES: usize = 16 << 20;

/// What the device can do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Device {
    /// Whether direct I/O worked; otherwise writes went through the page cache.
    pub(crate) direct: bool,
    pub(crate) commit_p50_us: f64,
    pub(crate) commit_p99_us: f64,
    /// Sequential bandwidth in MiB a second.
    pub(crate) write_mib_per_s: f64,
    pub(crate) read_mib_per_s: f64,
}

/// Measures the device that `folder` lies on.
///
/// # Errors
///
/// When a file cannot be made or written there.
pub(crate) fn measure(folder: &Path, quick: bool) -> Result<Device, BenchError> {
    let commits = if quick { 1_000 } else { 5_000 };
    let mut probe = CommitProbe::new(folder)?;
    let mut latencies = probe.run(commits)?;
    let direct = probe.direct;
    drop(probe);
    latencies.sort_unstable();
    let stream_bytes = if quick { 128 << 20 } else { 512 << 20 };
    let (write, read) = bandwidth(folder, stream_bytes)?;
    Ok(Device {
        direct,
        commit_p50_us: micros(percentile(&latencies, 50)),
        commit_p99_us: micros(percentile(&latencies, 99)),
        write_mib_per_s: write,
        read_mib_per_s: read,
    })
}

/// A file to which 4 KiB commits are made.
pub(crate) struct CommitProbe {
    file: File,
    path: std::path::PathBuf,
    buffer: AlignedBytes,
    next: usize,
    direct: bool,
}

impl CommitProbe {
    /// Makes the file and writes all its blocks once.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or written.
    pub(crate) fn new(folder: &Path) -> Result<Self, BenchError> {
        let path = folder.join("commit-probe");
        let wrap = |source| BenchError::File { path: path.clone(), source };
        let (file, direct) = create(&path).map_err(wrap)?;
        let buffer = AlignedBytes::new(STRIDE_BYTES);
        for offset in (0..COMMIT_FILE_BYTES).step_by(STRIDE_BYTES) {
            file.write_all_at(buffer.first(STRIDE_BYTES), offset as u64).map_err(wrap)?;
        }
        file.sync_all().map_err(wrap)?;
        Ok(Self { file, path: path.clone(), buffer, next: 0, direct })
    }

    /// Makes `count` commits, one after the other; how long each took.
    ///
    /// # Errors
    ///
    /// When a write or a sync fails.
    pub(crate) fn run(&mut self, count: usize) -> Result<Vec<Duration>, BenchError> {
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            let block = self.buffer.first(BLOCK_BYTES);
            self.file
                .write_all_at(block, self.next as u64)
                .and_then(|()| self.file.sync_data())
                .map_err(|source| BenchError::File { path: self.path.clone(), source })?;
            latencies.push(begun.elapsed());
            self.next = (self.next + BLOCK_BYTES) % COMMIT_FILE_BYTES;
        }
        Ok(latencies)
    }
}

impl Drop for CommitProbe {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A new file for direct I/O, or for the page cache where the file system has none.
fn create(path: &Path) -> std::io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let flag = rustix::fs::OFlags::DIRECT.bits() as i32;
    match options.clone().custom_flags(flag).open(path) {
        Ok(file) => Ok((file, true)),
        Err(_) => options.open(path).map(|file| (file, false)),
    }
}

/// MiB a second, written over existing blocks and read back.
fn bandwidth(folder: &Path, bytes: usize) -> Result<(f64, f64), BenchError> {
    let path = folder.join("bandwidth-probe");
    let wrap = |source| BenchError::File { path: path.clone(), source };
    let (file, _) = create(&path).map_err(wrap)?;
    let mut buffer = AlignedBytes::new(STRIDE_BYTES);
    let write_all = || -> std::io::Result<()> {
        for offset in (0..bytes).step_by(STRIDE_BYTES) {
            file.write_all_at(buffer.first(STRIDE_BYTES), offset as u64)?;
        }
        file.sync_data()
    };
    write_all().map_err(wrap)?;
    let begun = Instant::now();
    write_all().map_err(wrap)?;
    let written = begun.elapsed();
    let begun = Instant::now();
    for offset in (0..bytes).step_by(STRIDE_BYTES) {
        file.read_exact_at(buffer.first_mut(STRIDE_BYTES), offset as u64).map_err(wrap)?;
    }
    let read = begun.elapsed();
    drop(file);
    std::fs::remove_file(&path).map_err(wrap)?;
    let mib = (bytes >> 20) as f64;
    Ok((mib / written.as_secs_f64(), mib / read.as_secs_f64()))
}

/// Bytes that begin at a multiple of the device's block, as direct I/O asks.
struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBytes {
    fn new(length: usize) -> Self {
        let bytes: Vec<u8> = (0..length + BLOCK_BYTES).map(|index| (index % 251) as u8).collect();
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        Self { bytes, start }
    }

    fn first(&self, length: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + length).unwrap_or_default()
    }

    fn first_mut(&mut self, length: usize) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + length).unwrap_or_default()
    }
}

/// The value below which `percent` of a sorted list lies.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_at_its_place() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_micros(51));
        assert_eq!(percentile(&sorted, 99), Duration::from_micros(100));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn buffers_for_direct_io_begin_at_a_block() {
        let buffer = AlignedBytes::new(STRIDE_BYTES);
        assert_eq!(buffer.first(BLOCK_BYTES).as_ptr().align_offset(BLOCK_BYTES), 0);
        assert_eq!(buffer.first(STRIDE_BYTES).len(), STRIDE_BYTES);
    }
}
