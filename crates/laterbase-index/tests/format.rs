//! Format version 1 of runs and manifest, pinned: its files are read for ever, and the same entries
//! give the same bytes until the version changes.
//!
//! The fixture is an index of two runs over the log of seed 41. To make that of a new version, run
//! `cargo test -p laterbase-index --test format -- --ignored`, and keep the old one.
#![allow(clippy::indexing_slicing, clippy::expect_used, reason = "a test may panic")]

mod world;

use laterbase_event::Position;
use laterbase_index::{IndexConfig, IndexWriter, PendingEntries};
use laterbase_log::storage::{FileStorage, MemoryStorage, OpenMode, Random, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use world::{Log, Model, check_snapshot};

const DIR: &str = "index";
const LOG: Log = Log { seed: 41 };
const END: Position = Position::new(1_500);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn config() -> IndexConfig {
    IndexConfig::default().with_owner(*b"a fixture's log.")
}

/// The runs and the manifest that the index is written to today.
fn written() -> Vec<(String, Vec<u8>)> {
    let storage = Arc::new(MemoryStorage::new());
    let mut index = IndexWriter::create(storage.clone(), DIR, config()).expect("a new index");
    let mut pending = PendingEntries::new();
    for upto in [Position::new(1_200), END] {
        LOG.fill(&mut pending, index.complete_to(), upto);
        index.absorb(&mut pending).expect("positions are right");
        index.write_out(upto).expect("memory does not fail");
    }
    let names = storage.list(DIR).expect("the directory").into_iter();
    let read = |name: String| {
        let file = storage.open(&format!("{DIR}/{name}"), OpenMode::READ).expect("the file");
        let mut bytes = vec![0; file.len().expect("its length") as usize];
        file.read_at(0, &mut bytes).expect("its bytes");
        (name, bytes)
    };
    names.map(read).collect()
}

#[test]
fn format_version_1_is_read() {
    let storage = Arc::new(MemoryStorage::new());
    storage.create_dir(DIR).expect("a directory");
    for name in ["00000001.run", "00000002.run", "MANIFEST"] {
        let bytes = std::fs::read(fixture().join(name)).expect("the fixture is there");
        let file = storage.open(&format!("{DIR}/{name}"), OpenMode::CREATE).expect("a file");
        file.write_at(0, &bytes).expect("memory does not fail");
    }
    let index = IndexWriter::open(storage, DIR, config()).expect("version 1 can be read");
    assert_eq!(index.watermark(), END);
    let (model, mut random) = (Model::upto(LOG, END), Random::new(1));
    let checked = check_snapshot(&index.snapshot(), &model, &mut random, 300);
    checked.expect("version 1 can be read");
    index.snapshot().verify(&mut |_| {}).expect("every byte is in order");
}

#[test]
fn format_version_1_is_written_byte_for_byte() {
    let written = written();
    assert_eq!(written.len(), 3);
    for (name, bytes) in written {
        let pinned = std::fs::read(fixture().join(&name)).expect("the fixture is there");
        assert!(bytes == pinned, "{name} differs from format version 1");
    }
}

#[test]
#[ignore = "writes the fixture instead of comparing with it"]
fn write_the_fixture() {
    let storage = FileStorage::create(fixture()).expect("a directory");
    for (name, bytes) in written() {
        if storage.exists(&name).expect("the disk works") {
            storage.remove(&name).expect("the disk works");
        }
        let file = storage.open(&name, OpenMode::CREATE).expect("a file");
        file.write_at(0, &bytes).expect("the disk works");
    }
}
