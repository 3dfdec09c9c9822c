//! Segments that format version 1 wrote, kept for ever: every later version must read them.
//!
//! `tests/fixtures/v1` holds a log of three segments: a sealed one with a dictionary, one with a
//! footer, and a hot one as a killed process leaves it. What is in them is listed in `listing.txt`
//! beside them. Made by `LATERBASE_MAKE_FIXTURES=1 cargo test -p laterbase-log --test fixtures`,
//! never again for the same version.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on says where"
)]

mod world;

use laterbase_event::{DatabaseId, Limits};
use laterbase_log::storage::{FaultyStorage, MemoryStorage, OpenMode, Storage};
use laterbase_log::{BatchStatus, CommitNumber, Log, LogConfig, ReadError, Sync};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use world::{DATABASE, World, small_config};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 128 << 10,
        direct: false,
        chunk_bytes: 8192,
        cache_bytes: 1 << 20,
        ..small_config()
    }
}

/// Everything in a log, one line per batch.
fn listing(log: &Log) -> String {
    let mut text = String::new();
    let last = CommitNumber::new(log.recovery.next_commit.as_u64() - 1);
    let mut scan = log.reader.scan_commits(CommitNumber::FIRST, last);
    while let Some(batch) = scan.next().expect("reads") {
        let view = batch.view().expect("a batch");
        let header = view.header();
        let status = match batch.status {
            BatchStatus::Admitted => "admitted",
            BatchStatus::Quarantined => "quarantined",
        };
        writeln!(
            text,
            "commit {} batch {} position {} arrival {} {status} {}/{} seq {} count {} {}",
            batch.commit,
            batch.index_in_commit,
            batch.first_position,
            batch.arrival.as_u64(),
            header.replica,
            header.root,
            header.first_seq,
            header.count,
            view.hash(),
        )
        .expect("writes");
    }
    text
}

fn make() {
    let mut world = World::on(FaultyStorage::new(1), config(), 42);
    world.repetitive = true;
    world.create().expect("creates");
    while world.log().reader.segments().expect("segments").len() < 3 {
        // Groups of many commits, so that the segments are full of frames and not of padding.
        for _ in 0..12 {
            if !world.stage().expect("stages") {
                break;
            }
        }
        world.commit(Sync::Flush).expect("commits");
    }
    world.stage().expect("stages");
    world.commit(Sync::Write).expect("commits");
    world.log().maintenance.seal_oldest().expect("seals");
    std::fs::create_dir_all(folder()).expect("a folder");
    for name in ["00000001.seg", "00000002.log", "00000003.log"] {
        let file = world.storage.open(&format!("log/{name}"), OpenMode::READ).expect("opens");
        let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
        file.read_at(0, &mut bytes).expect("reads");
        if name == "00000003.log" {
            // The rest of the file is zeroes, and a hot segment may be shorter than it should be.
            let end = bytes.iter().rposition(|byte| *byte != 0).expect("content") + 1;
            bytes.truncate(end.next_multiple_of(4096));
        }
        std::fs::write(folder().join(name), bytes).expect("writes");
    }
    let log = open();
    std::fs::write(folder().join("listing.txt"), listing(&log)).expect("writes");
}

fn open() -> Log {
    open_with(&|_| {})
}

/// The fixture, with the sealed segment's bytes changed.
fn open_with(change: &dyn Fn(&mut Vec<u8>)) -> Log {
    let storage = MemoryStorage::new();
    storage.create_dir("log").expect("creates");
    for name in ["00000001.seg", "00000002.log", "00000003.log"] {
        let mut bytes = std::fs::read(folder().join(name)).expect("the fixture is there");
        if name == "00000001.seg" {
            change(&mut bytes);
        }
        let file = storage.open(&format!("log/{name}"), OpenMode::CREATE).expect("creates");
        file.write_at(0, &bytes).expect("writes");
    }
    let database = DatabaseId::from_bytes(DATABASE);
    Log::open(Arc::new(storage), "log", database, config(), 1).expect("opens")
}

#[test]
fn segments_of_version_1_are_read_as_they_were_written() {
    if std::env::var_os("LATERBASE_MAKE_FIXTURES").is_some() {
        make();
    }
    let log = open();
    let expected = std::fs::read_to_string(folder().join("listing.txt")).expect("the listing");
    assert_eq!(listing(&log), expected);
    assert_eq!(log.recovery.rewritten_commits, 1, "the last group was not proven durable");
    assert!(expected.contains("quarantined"));
    let report =
        log.reader.verify(Limits::default(), &mut |_| ControlFlow::Continue(())).expect("reads");
    assert_eq!(report.problems, []);
    let segments = log.reader.segments().expect("segments");
    assert_eq!(segments.iter().filter(|segment| segment.sealed).count(), 1);
}

/// The fixture would not show what the format has, otherwise.
#[test]
fn sealed_segment_of_version_1_has_a_dictionary() {
    let log = open_with(&|bytes| bytes[4096] ^= 1);
    let mut scan = log.reader.scan_commits(CommitNumber::FIRST, CommitNumber::FIRST);
    let error = scan.next().map(drop).expect_err("it is damaged");
    assert!(matches!(error, ReadError::Dictionary { .. }), "{error}");
}
