//! How a file becomes a segment, and how one gets its footer: the steps that must be durable in
//! order.
//!
//! A segment's header is written and synced under the file's old name; the rename gives it its
//! number; the directory is synced; only then is a frame written. So a file with a segment's name
//! always has a whole header, and an acknowledged frame is always in a file that a power cut leaves
//! in place.

use crate::error::OpenError;
use crate::footer::{SegmentIndex, TRAILER_BYTES, Trailer};
use crate::frame::Epoch;
use crate::mutant::{self, Mutant};
use crate::names;
use crate::segment::Segment;
use crate::segment_header::{BLOCK_BYTES, SegmentHeader};
use crate::shared::Shared;
use crate::storage::{AlignedBuffer, OpenMode, StorageError, StorageFile};
use std::sync::Arc;

/// A new hot segment.
pub(crate) struct Created {
    pub(crate) segment: Arc<Segment>,
    /// All its blocks were written before.
    pub(crate) filled: bool,
}

/// Makes the file of a new hot segment, out of a spare if there is one.
///
/// `fill` may write frames, which are then durable before the segment exists.
pub(crate) fn create_hot(
    shared: &Shared,
    mut header: SegmentHeader,
    fill: &mut dyn FnMut(&dyn StorageFile) -> Result<(), StorageError>,
) -> Result<Created, StorageError> {
    let storage = &*shared.storage;
    let spare = shared.spares().take();
    header.recycled = spare.as_ref().is_some_and(|spare| spare.recycled);
    let (made_as, file) = match spare {
        Some(spare) => {
            let file = storage.open(&spare.path, OpenMode::READ_WRITE)?;
            (spare.path, file)
        }
        None => {
            let name = names::hot(header.number) + names::TEMPORARY_SUFFIX;
            let path = shared.path(&name);
            if storage.exists(&path)? {
                storage.remove(&path)?;
            }
            let file = storage.open(&path, OpenMode::CREATE)?;
            (path, file)
        }
    };
    let filled = file.len()? == shared.config.segment_bytes;
    if !filled {
        file.set_len(shared.config.segment_bytes)?;
    }
    fill(&*file)?;
    file.write_at(0, &header.encode())?;
    sync_file(&*file)?;
    let path = shared.path(&names::hot(header.number));
    storage.rename(&made_as, &path)?;
    sync_dir(shared)?;
    let index = SegmentIndex::empty(&header, shared.config.segment_bytes);
    Ok(Created { segment: Arc::new(Segment::growing(header, path, file, index)), filled })
}

/// Writes the footer behind a segment's frames, which must be durable, and syncs it.
pub(crate) fn write_footer(
    segment: &Segment,
    index: &SegmentIndex,
    state: &[u8],
    truncate: bool,
) -> Result<Trailer, StorageError> {
    let mut index_bytes = Vec::new();
    index.encode(&mut index_bytes);
    let offset = index.end.offset.next_multiple_of(BLOCK_BYTES);
    let len = index_bytes.len() + state.len() + TRAILER_BYTES;
    let epoch = segment.epoch;
    let trailer = Trailer::new(segment.number(), index.end, offset, epoch, &index_bytes, state)
        .ok_or_else(|| too_large(&segment.path))?;
    let end = (offset + len as u64).next_multiple_of(BLOCK_BYTES);
    let file_len = segment.file.len()?;
    if truncate || end > file_len {
        segment.file.set_len(end)?;
    }
    let file_len = if truncate { end } else { end.max(file_len) };
    index_bytes.extend_from_slice(state);
    segment.file.write_at(offset, &index_bytes)?;
    segment.file.write_at(file_len - TRAILER_BYTES as u64, &trailer.encode(epoch))?;
    sync_file(&*segment.file)?;
    Ok(trailer)
}

fn too_large(path: &str) -> StorageError {
    let error = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
    StorageError::new(crate::storage::StorageOp::Write, path, error)
}

/// Makes a file's content durable.
pub(crate) fn sync_file(file: &dyn StorageFile) -> Result<(), StorageError> {
    if mutant::is_active(Mutant::SkipSync) {
        return Ok(());
    }
    match file.sync() {
        Err(_) if mutant::is_active(Mutant::RetrySync) => file.sync(),
        outcome => outcome,
    }
}

/// Makes the entries of the log's directory durable.
pub(crate) fn sync_dir(shared: &Shared) -> Result<(), StorageError> {
    if mutant::is_active(Mutant::SkipDirSync) {
        return Ok(());
    }
    shared.storage.sync_dir(&shared.dir)
}

/// Reads a segment's header.
pub(crate) fn read_header(
    shared: &Shared,
    path: &str,
    file: &dyn StorageFile,
) -> Result<SegmentHeader, OpenError> {
    use crate::segment_header::{FORMAT_VERSION, HeaderFault};
    let mut block = AlignedBuffer::with_capacity(BLOCK_BYTES as usize);
    block.resize(BLOCK_BYTES as usize);
    let read = file.read_at(0, &mut block)?;
    let path = || path.to_owned();
    match SegmentHeader::decode(block.get(..read).unwrap_or_default()) {
        Ok(header) if header.database == shared.database => Ok(header),
        Ok(header) => Err(OpenError::OtherDatabase {
            path: path(),
            expected: shared.database,
            found: header.database,
        }),
        Err(HeaderFault::Damaged) => Err(OpenError::HeaderDamaged { path: path() }),
        Err(HeaderFault::Newer { version }) => {
            Err(OpenError::NewerFormat { path: path(), version, known: FORMAT_VERSION })
        }
    }
}

/// The epoch that a header names, ready to check frames.
pub(crate) fn epoch_of(header: &SegmentHeader) -> Epoch {
    Epoch::new(header.epoch)
}
