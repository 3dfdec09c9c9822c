//! What a consistent copy of a log consists of.
//!
//! A complete segment never changes, so that a copy of it is good for ever; of the segment that is
//! being written, the flushed part is as good. Copied to another place under the same names they
//! are a log that opens, with the last group's frames written again as after a crash.
//!
//! Left out: copying, and keeping files from being sealed and reused meanwhile: the host holds a
//! lease, and says no to [`Maintenance`](crate::Maintenance) while it does.

use crate::error::ReadError;
use crate::number::{CommitNumber, SegmentNumber};
use crate::reader::LogReader;
use laterbase_event::Position;

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// In the storage's root.
    pub path: String,
    /// The segment.
    pub segment: SegmentNumber,
    /// Copy so many bytes from its start.
    pub bytes: u64,
    /// It never changes again: a copy of this segment with this epoch need not be renewed.
    pub immutable: bool,
    /// Tells this file from others of the same segment, such as its hot and its sealed form.
    pub epoch: u64,
}

/// A consistent state of the log, on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The files, oldest segment first.
    pub files: Vec<SnapshotFile>,
    /// The last commit in it.
    pub commit: CommitNumber,
    /// The last position in it.
    pub position: Position,
}

impl LogReader {
    /// The files that hold everything that is flushed now.
    ///
    /// # Errors
    /// The storage's reason.
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let (commit, position) = self.flushed();
        let table = self.shared.segments();
        let mut files = Vec::new();
        for segment in &table.segments {
            if segment.header.first_commit > commit.next() {
                break;
            }
            let immutable = segment.is_complete();
            let bytes =
                if immutable { segment.file.len()? } else { self.end_of_commit(segment, commit)? };
            files.push(SnapshotFile {
                path: segment.path.clone(),
                segment: segment.number(),
                bytes,
                immutable,
                epoch: segment.header.epoch,
            });
        }
        Ok(Snapshot { files, commit, position })
    }
}
