//! Batches that do not continue their log: those of another branch, and those that leave
//! quarantine.
//!
//! `tests/fixtures/v1-roles` holds a log of three segments with both, as the version that brought
//! them wrote it; made by `LATERBASE_MAKE_FIXTURES=1 cargo test -p laterbase-log --test roles`,
//! never again for the same version. Caught here: a branch that moves the end of its log, a
//! released batch that stays in quarantine or has two positions, and a footer that forgets which
//! logs are forked.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says where"
)]

use std::path::PathBuf;
use std::sync::Arc;

use laterbase_event::{
    BatchBuilder, BatchView, DatabaseId, EventDraft, Hash, Hlc, Limits, Position, ReplicaId,
    RootName, Stamp,
};
use laterbase_log::storage::{MemoryStorage, OpenMode, Storage};
use laterbase_log::{BatchRole, BatchStatus, Log, LogConfig, StageError, StagedBatch, Sync};

const DATABASE: DatabaseId = DatabaseId::from_bytes([9; 16]);
const WRITER: ReplicaId = ReplicaId::from_u64(7);
const FILES: [&str; 3] = ["00000001.log", "00000002.log", "00000003.log"];

fn config() -> LogConfig {
    LogConfig { segment_bytes: 64 << 10, direct: false, ..LogConfig::small_device() }
}

/// One event behind the batch of `previous`.
fn batch(first_seq: u64, ms: u64, previous: Hash, payload: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(RootName::try_from("truck").unwrap());
    builder.push(&EventDraft { payload, ..EventDraft::new("4711", "seen") }).unwrap();
    let body = builder.finish();
    let now = Hlc::new(1_700_000_000_000 + ms, 0);
    let stamp = Stamp {
        database: DATABASE,
        replica: WRITER,
        first_seq,
        first_hlc: now,
        commit_hlc: now,
        part: 0,
        parts: 1,
        previous,
    };
    let mut bytes = Vec::new();
    body.write_batch(&body.stamp(&stamp).unwrap(), &mut bytes);
    bytes
}

fn hash_of(bytes: &[u8]) -> Hash {
    BatchView::parse(bytes).unwrap().hash()
}

fn stage(
    log: &mut Log,
    bytes: &[u8],
    role: BatchRole,
    status: BatchStatus,
) -> Result<Position, StageError> {
    let view = BatchView::parse(bytes).unwrap();
    let header = view.header();
    let arrival = log.front.last_arrival().max(header.last_hlc());
    let staged =
        log.front.stage(arrival, &[StagedBatch::of(header, view.hash(), status, role, bytes)])?;
    let group = log.front.take_group(Sync::Flush).unwrap();
    log.writer.commit(group).unwrap();
    Ok(staged.first_position)
}

/// The batches of both branches: before the fork, ours, theirs, and one behind each.
fn batches() -> [Vec<u8>; 5] {
    let before = batch(1, 0, Hash::ZERO, b"before");
    let ours = batch(2, 1, hash_of(&before), b"ours");
    let theirs = batch(2, 2, hash_of(&before), b"theirs");
    let behind_theirs = batch(3, 3, hash_of(&theirs), b"behind theirs");
    let behind_ours = batch(3, 4, hash_of(&ours), &[b'x'; 40_000]);
    [before, ours, theirs, behind_theirs, behind_ours]
}

fn make(storage: &Arc<MemoryStorage>) -> Log {
    let port = Arc::clone(storage) as Arc<dyn Storage>;
    let mut log = Log::create(port, "log", DATABASE, config(), 3).unwrap();
    let [before, ours, theirs, behind_theirs, behind_ours] = batches();
    let (admitted, kept) = (BatchStatus::Admitted, BatchStatus::Quarantined);
    for (bytes, role, status, position) in [
        (&before, BatchRole::Continues, admitted, 1),
        (&ours, BatchRole::Continues, kept, 2),
        (&theirs, BatchRole::Branch, admitted, 2),
        (&behind_theirs, BatchRole::Branch, kept, 3),
        (&ours, BatchRole::Release, admitted, 3),
        (&behind_ours, BatchRole::Continues, admitted, 4),
    ] {
        assert_eq!(stage(&mut log, bytes, role, status).unwrap(), Position::new(position));
    }
    let next = batch(4, 5, hash_of(&behind_ours), &[b'y'; 40_000]);
    stage(&mut log, &next, BatchRole::Continues, admitted).unwrap();
    let error = stage(&mut log, &theirs, BatchRole::Continues, admitted).unwrap_err();
    let StageError::OutOfSequence { replica, root, expected, found } = error else {
        panic!("{error}")
    };
    assert_eq!((replica, root.as_str(), expected, found), (WRITER, "truck", 5, 2), "not the end");
    log
}

fn check(log: &Log) {
    let head = log.front.heads().get(&WRITER, "truck").unwrap();
    assert_eq!(head.seq, 4, "the branch that came first is the log");
    assert_eq!(log.front.forked().collect::<Vec<_>>(), [("truck", WRITER)]);
    let kept: Vec<_> = log.front.quarantined().iter().map(|b| (b.first_seq, b.commit)).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].0, kept[0].1.as_u64()), (3, 4), "what is behind theirs");
    let mut frame = Vec::new();
    let read = log.reader.batch_of_commit(kept[0].1, 0, &mut frame).unwrap();
    assert_eq!(read.bytes, batches()[3]);
    let mut seen = Vec::new();
    let mut scan = log.reader.scan(Position::NONE, Position::new(5));
    while let Some(batch) = scan.next().unwrap() {
        seen.push((batch.first_position.as_u64(), hash_of(batch.bytes), batch.role));
    }
    let [before, ours, theirs, _, _] = batches();
    assert_eq!(seen[0], (1, hash_of(&before), BatchRole::Continues));
    assert_eq!(seen[1], (2, hash_of(&theirs), BatchRole::Branch));
    assert_eq!(seen[2], (3, hash_of(&ours), BatchRole::Release));
    assert_eq!(seen.len(), 5);
    assert_eq!(log.reader.forked().unwrap(), [("truck".into(), WRITER)]);
    assert_eq!(log.reader.quarantined().unwrap(), log.front.quarantined());
    let go_on = &mut |_| std::ops::ControlFlow::Continue(());
    let report = log.reader.verify(Limits::default(), go_on).unwrap();
    assert_eq!(report.problems, []);
}

#[test]
fn branches_and_releases_leave_the_end_of_the_log_alone() {
    let storage = Arc::new(MemoryStorage::new());
    check(&make(&storage));
    // By the footer of the first segment and the frames of the second.
    check(&Log::open(storage, "log", DATABASE, config(), 4).unwrap());
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1-roles")
}

fn write_fixture() {
    let storage = Arc::new(MemoryStorage::new());
    drop(make(&storage));
    std::fs::create_dir_all(folder()).unwrap();
    for name in FILES {
        let file = storage.open(&format!("log/{name}"), OpenMode::READ).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        if name == FILES[2] {
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            bytes.truncate(end.next_multiple_of(4096));
        }
        std::fs::write(folder().join(name), bytes).unwrap();
    }
}

#[test]
fn roles_of_version_1_are_read_as_they_were_written() {
    if std::env::var_os("LATERBASE_MAKE_FIXTURES").is_some() {
        write_fixture();
    }
    let storage = MemoryStorage::new();
    storage.create_dir("log").unwrap();
    for name in FILES {
        let bytes = std::fs::read(folder().join(name)).expect("the fixture is there");
        let file = storage.open(&format!("log/{name}"), OpenMode::CREATE).unwrap();
        file.write_at(0, &bytes).unwrap();
    }
    check(&Log::open(Arc::new(storage), "log", DATABASE, config(), 4).unwrap());
}
