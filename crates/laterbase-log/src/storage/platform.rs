//! All code that differs between operating systems: direct I/O, gathered writes, full sync,
//! directory sync, and who a file and a machine are. Nothing else here has a `cfg` for a platform.
//!
//! Where each stands, and what is planned:
//!
//! - Direct I/O. Linux: `O_DIRECT` by `fcntl`, probed per file. macOS: none; plan: `F_NOCACHE`,
//!   once measured. Windows: none; plan: `FILE_FLAG_NO_BUFFERING` when opening.
//! - Gathered write. Linux, macOS: `pwritev`. Windows: one write per slice.
//! - Sync of data. Linux: `fdatasync`. macOS: `F_FULLFSYNC`, which the standard library's
//!   `sync_data` issues. Windows: `FlushFileBuffers`.
//! - Sync of a directory. Linux: `fsync` on it. macOS: `F_FULLFSYNC` on it. Windows: none, as NTFS
//!   journals names in order; plan: prove it on real hardware.
//! - Locks. Linux, macOS: `flock`. Windows: `LockFileEx`, which also keeps others from reading the
//!   file; plan: lock a file of its own beside the one that is read.
//! - File identity. Linux, macOS: inode and time of birth. Windows: time of birth; plan: the file
//!   index of `GetFileInformationByHandle`.
//! - Priority of background threads. Linux: `setpriority`. macOS: none; plan: a quality-of-service
//!   class. Windows: none; plan: `SetThreadPriority`.
//! - Machine identity. Linux: `/etc/machine-id`. macOS: none; plan: `IOPlatformUUID`. Windows:
//!   none; plan: `MachineGuid` of the registry.
//!
//! Locks need no code here: the standard library's `File::try_lock` behaves as listed.
//! Only Linux is tested continuously; the others are meant to build and are honest fallbacks.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Turns on direct I/O for an open file; `false` where it has none.
#[cfg(target_os = "linux")]
pub(super) fn enable_direct(file: &File) -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    fcntl_getfl(file).and_then(|flags| fcntl_setfl(file, flags | OFlags::DIRECT)).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn enable_direct(_file: &File) -> bool {
    false
}

/// Turns off direct I/O for an open file.
#[cfg(target_os = "linux")]
pub(super) fn disable_direct(file: &File) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    Ok(fcntl_setfl(file, fcntl_getfl(file)? - OFlags::DIRECT)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn disable_direct(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Lets other threads go first where there are not enough processors, from now on and for the
/// calling thread alone; a wish that may not be granted.
#[cfg(target_os = "linux")]
pub(super) fn lower_priority() {
    const NICE: i32 = 5;
    // On Linux this is the calling thread's own value.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn lower_priority() {}

/// Reads once, at most `buf.len()` bytes.
#[cfg(unix)]
pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

/// Writes once, at most the slices' bytes.
#[cfg(unix)]
pub(super) fn write_at(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, slices, offset)?)
}

#[cfg(windows)]
pub(super) fn write_at(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let first = slices.iter().find(|slice| !slice.is_empty());
    first.map_or(Ok(0), |slice| std::os::windows::fs::FileExt::seek_write(file, slice, offset))
}

/// Makes data and length durable, down to the medium; see the list above.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Makes a directory's entries durable.
#[cfg(unix)]
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(windows)]
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    std::fs::metadata(path).map(|_| ())
}

/// Tells a file from its copies on one machine: inode number and time of birth, as known.
pub(super) fn file_identity(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    let born = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or_else(|| "-".to_owned(), |since| since.as_nanos().to_string());
    Ok(format!("inode={} born_ns={born}", inode(&metadata)))
}

/// The machine's own id, or `-` where it has none that can be read.
pub(super) fn machine_identity() -> String {
    let files = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let mut ids = texts.map(|text| text.trim().to_owned());
    let plausible = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    ids.find(plausible).unwrap_or_else(|| "-".to_owned())
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> String {
    std::os::unix::fs::MetadataExt::ino(metadata).to_string()
}

#[cfg(not(unix))]
fn inode(_metadata: &std::fs::Metadata) -> String {
    "-".to_owned()
}
