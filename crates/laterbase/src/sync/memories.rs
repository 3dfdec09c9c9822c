//! What is remembered of peers: a small file for each under `sync/`.
//!
//! ```text
//! sync/<replica id, 16 hex digits>.memory = memory of the peer ‖ CRC-32C of it, u32 LE
//! ```
//! The memory's own bytes are drawn in `laterbase-sync`. Nothing here is synced to the device:
//! losing a file costs the next session some bytes, and a damaged one is as good as none.

use laterbase_event::ReplicaId;
use laterbase_log::storage::{OpenMode, Storage, StorageError};
use laterbase_sync::PeerMemory;

use crate::inner::Inner;

/// The directory of what sync remembers.
pub(crate) const SYNC_DIR: &str = "sync";

/// The longest memory that is read back.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

impl Inner {
    /// What is remembered of a peer.
    pub(crate) fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        let storage = self.storage.as_ref();
        let path = path_of(peer);
        if !storage.exists(&path).ok()? {
            return None;
        }
        let file = storage.open(&path, OpenMode::READ).ok()?;
        let bytes = file.len().ok().filter(|bytes| *bytes <= MEMORY_BYTES_MAX)?;
        let mut content = vec![0; usize::try_from(bytes).ok()?];
        let read = file.read_at(0, &mut content).ok()?;
        content.truncate(read);
        let (memory, sum) = content.split_last_chunk::<4>()?;
        if crc32c::crc32c(memory) != u32::from_le_bytes(*sum) {
            return None;
        }
        PeerMemory::decode(memory).ok().filter(|memory| memory.peer() == peer)
    }

    /// Remembers a peer. What cannot be written is forgotten, and costs bytes.
    pub(crate) fn remember(&self, memory: &PeerMemory) {
        let _ = write(self.storage.as_ref(), memory);
    }
}

fn path_of(peer: ReplicaId) -> String {
    format!("{SYNC_DIR}/{:016x}.memory", peer.as_u64())
}

fn write(storage: &dyn Storage, memory: &PeerMemory) -> Result<(), StorageError> {
    if !storage.exists(SYNC_DIR)? {
        storage.create_dir(SYNC_DIR)?;
    }
    let path = path_of(memory.peer());
    let new = format!("{path}.new");
    if storage.exists(&new)? {
        storage.remove(&new)?;
    }
    let mut bytes = memory.encode();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    storage.open(&new, OpenMode::CREATE)?.write_at(0, &bytes)?;
    storage.rename(&new, &path)
}
