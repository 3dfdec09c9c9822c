//! Opening a log whose segment was tampered with at will: it opens or says why not, never panics,
//! and what it shows afterwards verifies.
//!
//! The input edits a sound segment (pairs of offset and byte), so that most of it stays believable.

#![no_main]

use laterbase_event::{
    BatchBuilder, DatabaseId, EventDraft, Hash, Hlc, Limits, Position, ReplicaId, RootName, Stamp,
};
use laterbase_log::storage::{MemoryStorage, OpenMode, Storage};
use laterbase_log::{
    BatchRole, BatchStatus, CommitNumber, EventBuffer, Log, LogConfig, ReadError, StagedBatch, Sync,
};
use libfuzzer_sys::fuzz_target;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

const DATABASE: DatabaseId = DatabaseId::from_bytes([7; 16]);
const EDIT_BYTES: usize = 4;
const SEGMENT_BYTES: usize = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let mut segment = sound_segment().clone();
    for edit in data.as_chunks::<EDIT_BYTES>().0 {
        let [o0, o1, o2, byte] = *edit;
        let offset = u32::from_le_bytes([o0, o1, o2, 0]) as usize % SEGMENT_BYTES;
        segment[offset] = byte;
    }
    let storage = Arc::new(MemoryStorage::new());
    storage.create_dir("log").expect("creates");
    let file = storage.open("log/00000001.log", OpenMode::CREATE).expect("creates");
    file.write_at(0, &segment).expect("writes");
    let config = LogConfig { accept_damage: true, ..config() };
    let Ok(log) = Log::open(storage, "log", DATABASE, config, 2) else { return };
    let last = CommitNumber::new(log.recovery.next_commit.as_u64() - 1);
    let mut scan = log.reader.scan_commits(CommitNumber::FIRST, last);
    loop {
        match scan.next() {
            Ok(Some(_)) | Err(ReadError::Damaged(_)) => {}
            Ok(None) => break,
            Err(error) => panic!("recovered, and then: {error}"),
        }
    }
    let mut buffer = EventBuffer::new();
    let next = log.recovery.next_position.as_u64().min(100);
    for position in 1..next {
        let _ = log.reader.get(Position::new(position), &mut buffer).map(drop);
    }
    log.reader.verify(Limits::default(), &mut |_| ControlFlow::Continue(())).expect("reads");
});

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: SEGMENT_BYTES as u64,
        chunk_bytes: 16 << 10,
        ring_bytes: 64 << 10,
        direct: false,
        ..LogConfig::small_device()
    }
}

/// A segment with groups of one to three commits, as a killed process leaves it.
fn sound_segment() -> &'static Vec<u8> {
    static SEGMENT: OnceLock<Vec<u8>> = OnceLock::new();
    SEGMENT.get_or_init(|| {
        let storage = Arc::new(MemoryStorage::new());
        let port = Arc::clone(&storage) as Arc<dyn Storage>;
        let mut log = Log::create(port, "log", DATABASE, config(), 1).expect("creates");
        for group in 0..6_u64 {
            for _ in 0..=group % 3 {
                stage(&mut log);
            }
            let group = log.front.take_group(Sync::Flush).expect("a group");
            log.writer.commit(group).expect("commits");
        }
        let file = storage.open("log/00000001.log", OpenMode::READ).expect("opens");
        let mut bytes = vec![0; SEGMENT_BYTES];
        file.read_at(0, &mut bytes).expect("reads");
        bytes
    })
}

fn stage(log: &mut Log) {
    let replica = ReplicaId::from_u64(1);
    let head = log.front.heads().get(&replica, "r").copied();
    let (seq, previous) = head.map_or((0, Hash::ZERO), |head| (head.seq, head.hash));
    let mut builder = BatchBuilder::new(RootName::try_from("r").expect("a root"));
    for _ in 0..=seq % 4 {
        let draft = EventDraft { payload: b"payload", ..EventDraft::new("key", "type") };
        builder.push(&draft).expect("fits");
    }
    let body = builder.finish();
    let first_hlc = Hlc::new(1_700_000_000_000 + seq, 0);
    let stamp = Stamp {
        database: DATABASE,
        replica,
        first_seq: seq + 1,
        first_hlc,
        commit_hlc: first_hlc,
        part: 0,
        parts: 1,
        previous,
    };
    let header = body.stamp(&stamp).expect("a stamp");
    let mut front = Vec::new();
    let hash = body.write_front(&header, &mut front);
    let staged = StagedBatch {
        replica,
        root: "r",
        first_seq: seq + 1,
        event_count: u16::try_from(header.count).expect("few"),
        last_hlc: header.last_hlc(),
        previous,
        hash,
        status: BatchStatus::Admitted,
        role: BatchRole::Continues,
        pieces: [&front, body.envelopes, body.payloads, &[]],
    };
    log.front.stage(first_hlc, &[staged]).expect("stages");
}
