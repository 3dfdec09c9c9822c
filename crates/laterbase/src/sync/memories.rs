//! What is remembered of peers: a small file for each under `sync/`.
//!
//! ```text
//! sync/<replica id, 16 hex digits>.memory = memory of the peer ‖ CRC-32C of it, u32 LE
//! ```
//! The memory's own bytes are drawn in `laterbase-sync`. Nothing here is synced to the device:
//! losing a file costs the next session some bytes, and a damaged one is as good as none.

use std::collections::VecDeque;

use laterbase_event::ReplicaId;
use laterbase_log::storage::{OpenMode, Storage, StorageError};
use laterbase_sync::PeerMemory;

use crate::inner::{Inner, lock};

/// The directory of what sync remembers.
pub(crate) const SYNC_DIR: &str = "sync";

/// The longest memory that is read back.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// Peers that have a file at the most. A peer may call itself what it likes, and each name that it
/// gives itself costs a file.
const PEERS_MAX: usize = 1024;

/// What a file is written under first. Whoever writes one holds [`Remembered`].
const NEW: &str = "sync/new";

/// The peers that have a file.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Those of earlier processes in no order, and then those of this one, the last one last.
    /// `None`: to be looked up.
    peers: Option<VecDeque<ReplicaId>>,
}

impl Inner {
    /// What is remembered of a peer.
    pub(crate) fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        read(self.storage.as_ref(), peer)
    }

    /// Remembers a peer, and forgets another one if there are too many. What cannot be written is
    /// forgotten, and costs bytes.
    pub(crate) fn remember(&self, memory: &PeerMemory) {
        let _ = lock(&self.remembered).write(self.storage.as_ref(), memory);
    }
}

impl Remembered {
    fn write(&mut self, storage: &dyn Storage, memory: &PeerMemory) -> Result<(), StorageError> {
        let mut peers = match self.peers.take() {
            Some(peers) => peers,
            None => peers_in(storage)?,
        };
        peers.retain(|peer| *peer != memory.peer());
        while peers.len() >= PEERS_MAX
            && let Some(oldest) = peers.pop_front()
        {
            storage.remove(&path_of(oldest))?;
        }
        write(storage, memory)?;
        peers.push_back(memory.peer());
        // Only now: after an error it is looked up again.
        self.peers = Some(peers);
        Ok(())
    }
}

/// The peers that have a file; the directory is made if there is none.
fn peers_in(storage: &dyn Storage) -> Result<VecDeque<ReplicaId>, StorageError> {
    storage.create_dir(SYNC_DIR)?;
    let names = storage.list(SYNC_DIR)?;
    let digits = names.iter().filter_map(|name| name.strip_suffix(".memory"));
    let ids = digits.filter_map(|digits| u64::from_str_radix(digits, 16).ok());
    Ok(ids.map(ReplicaId::from_u64).collect())
}

fn path_of(peer: ReplicaId) -> String {
    format!("{SYNC_DIR}/{:016x}.memory", peer.as_u64())
}

fn read(storage: &dyn Storage, peer: ReplicaId) -> Option<PeerMemory> {
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

fn write(storage: &dyn Storage, memory: &PeerMemory) -> Result<(), StorageError> {
    if storage.exists(NEW)? {
        storage.remove(NEW)?;
    }
    let mut bytes = memory.encode();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    storage.open(NEW, OpenMode::CREATE)?.write_at(0, &bytes)?;
    storage.rename(NEW, &path_of(memory.peer()))
}

#[cfg(test)]
mod tests {
    use laterbase_log::storage::MemoryStorage;
    use laterbase_sync::frame::Capabilities;
    use laterbase_sync::{HashTag, Head, Heads, LogId};

    use super::*;

    fn memory(peer: u64, seq: u64) -> PeerMemory {
        let log = LogId::new("truck".try_into().unwrap(), ReplicaId::from_u64(1));
        let head = Head { seq, tag: HashTag([7; 8]), branch: None };
        let peer = ReplicaId::from_u64(peer);
        PeerMemory::presumed(peer, Capabilities::default(), Heads::from([(log, head)]))
    }

    fn recall(storage: &MemoryStorage, peer: u64) -> Option<PeerMemory> {
        read(storage, ReplicaId::from_u64(peer))
    }

    #[test]
    fn what_was_remembered_last_of_a_peer_is_recalled() {
        let storage = MemoryStorage::new();
        let mut remembered = Remembered::default();
        assert_eq!(recall(&storage, 5), None);
        for seq in [3, 4] {
            remembered.write(&storage, &memory(5, seq)).unwrap();
            assert_eq!(recall(&storage, 5), Some(memory(5, seq)));
        }
        assert_eq!(recall(&storage, 6), None);
    }

    #[test]
    fn a_memory_that_is_damaged_or_of_another_peer_is_none() {
        let storage = MemoryStorage::new();
        Remembered::default().write(&storage, &memory(5, 3)).unwrap();
        let path = path_of(ReplicaId::from_u64(5));
        let whole = memory(5, 3).encode().len() as u64 + 4;
        for at in 0..whole {
            let file = storage.open(&path, OpenMode::READ_WRITE).unwrap();
            let mut byte = [0];
            file.read_at(at, &mut byte).unwrap();
            file.write_at(at, &[byte[0] ^ 0x10]).unwrap();
            assert_eq!(recall(&storage, 5), None, "byte {at}");
            file.write_at(at, &byte).unwrap();
        }
        assert_eq!(recall(&storage, 5), Some(memory(5, 3)));
        storage.rename(&path, &path_of(ReplicaId::from_u64(6))).unwrap();
        assert_eq!(recall(&storage, 6), None);
    }

    #[test]
    fn the_peers_that_were_remembered_longest_ago_are_forgotten() {
        let storage = MemoryStorage::new();
        let mut remembered = Remembered::default();
        let last = PEERS_MAX as u64 + 3;
        for peer in 1..=last {
            // One of them comes back all the time.
            remembered.write(&storage, &memory(1, peer)).unwrap();
            remembered.write(&storage, &memory(peer, peer)).unwrap();
        }
        assert_eq!(storage.list(SYNC_DIR).unwrap().len(), PEERS_MAX);
        assert_eq!(recall(&storage, 2), None);
        assert!([1, 5, last].iter().all(|peer| recall(&storage, *peer).is_some()));
        // Another process counts those that are there.
        Remembered::default().write(&storage, &memory(last + 1, 1)).unwrap();
        assert_eq!(storage.list(SYNC_DIR).unwrap().len(), PEERS_MAX);
    }
}
