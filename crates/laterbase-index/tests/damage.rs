//! Damaged files: whichever byte is wrong, an answer is right or there is a typed error.
//!
//! Runs and manifest are broken byte by byte and cut at every length; each time everything is read.
//! Catches, among others (each was tried): a page or a table that is used without its checksum.
#![allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod world;

use laterbase_event::Position;
use laterbase_index::{
    DamageKind, IndexConfig, IndexFollower, IndexWriter, OpenError, PendingEntries, Range,
    ReadError,
};
use laterbase_log::storage::{MemoryStorage, OpenMode, Random, Storage};
use std::sync::Arc;
use world::{Log, Model, check_snapshot, tiny_config};

const DIR: &str = "index";
const LOG: Log = Log { seed: 31 };
const END: Position = Position::new(330);

fn config() -> IndexConfig {
    IndexConfig { cache_bytes: 0, ..tiny_config() }
}

/// The files of an index of two runs.
fn files() -> Vec<(String, Vec<u8>)> {
    let storage = Arc::new(MemoryStorage::new());
    let mut index = IndexWriter::create(storage.clone(), DIR, config()).expect("a new index");
    let mut pending = PendingEntries::new();
    for upto in [Position::new(300), END] {
        LOG.fill(&mut pending, index.complete_to(), upto);
        index.absorb(&mut pending).expect("positions are right");
        index.write_out(upto).expect("memory does not fail");
    }
    let names = storage.list(DIR).expect("the directory").into_iter();
    let files = names.filter(|name| name != "MANIFEST.new");
    files.map(|name| (name.clone(), read(&*storage, &name))).collect()
}

fn read(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let file = storage.open(&format!("{DIR}/{name}"), OpenMode::READ).expect("the file");
    let mut bytes = vec![0; file.len().expect("its length") as usize];
    file.read_at(0, &mut bytes).expect("its bytes");
    bytes
}

fn storage_of(files: &[(String, Vec<u8>)]) -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new());
    storage.create_dir(DIR).expect("a directory");
    for (name, bytes) in files {
        let file = storage.open(&format!("{DIR}/{name}"), OpenMode::CREATE).expect("a file");
        file.write_at(0, bytes).expect("memory does not fail");
    }
    storage
}

/// Reads everything there is; an answer is compared with the model, an error is handed on.
fn look(files: &[(String, Vec<u8>)], model: &Model) -> Result<(), OpenError> {
    let follower = IndexFollower::open(storage_of(files), DIR, config())?;
    let snapshot = follower.snapshot();
    assert_eq!(snapshot.complete_to(), END, "a manifest is whole or refused");
    let mut random = Random::new(3);
    let checked = check_snapshot(&snapshot, model, &mut random, 6);
    let checked = checked.and_then(|()| snapshot.verify(&mut |_| {}));
    checked.map_err(|error| match error {
        ReadError::Damaged(damage) => OpenError::Damaged(damage),
        ReadError::Storage(error) => OpenError::Storage(error),
    })
}

/// The error must name the broken file and, of its parts, one that reaches to the broken byte.
fn assert_names(found: Result<(), OpenError>, name: &str, byte: usize) {
    match found {
        Err(OpenError::Damaged(damage)) => {
            assert_eq!(damage.file, format!("{DIR}/{name}"), "byte {byte}: {damage}");
            // A file that is cut is found out at its end.
            let at_end = matches!(damage.kind, DamageKind::Length | DamageKind::Magic);
            assert!(damage.offset <= byte as u64 || at_end, "byte {byte}: {damage}");
        }
        Err(other) => panic!("byte {byte} of {name}: {other}"),
        Ok(()) => panic!("byte {byte} of {name} is wrong and nobody minds"),
    }
}

#[test]
fn every_broken_byte_is_found_and_named() {
    let (files, model) = (files(), Model::upto(LOG, END));
    assert!(files.len() == 3 && look(&files, &model).is_ok());
    let mut random = Random::new(7);
    for (number, (name, bytes)) in files.iter().enumerate() {
        for byte in 0..bytes.len() {
            let mut broken = files.clone();
            broken[number].1[byte] ^= 1 << random.index(8);
            assert_names(look(&broken, &model), name, byte);
        }
    }
}

#[test]
fn every_cut_and_extended_file_is_found_and_named() {
    let (files, model) = (files(), Model::upto(LOG, END));
    for (number, (name, bytes)) in files.iter().enumerate() {
        for length in 0..bytes.len() {
            let mut cut = files.clone();
            cut[number].1.truncate(length);
            assert_names(look(&cut, &model), name, length);
        }
        let mut longer = files.clone();
        longer[number].1.push(0);
        assert_names(look(&longer, &model), name, bytes.len());
    }
}

#[test]
fn parts_that_changed_places_are_found() {
    let (files, model) = (files(), Model::upto(LOG, END));
    // Every stretch of 64 bytes of the larger run over every other one.
    let (number, len) = (0, files[0].1.len());
    assert!(len > files[1].1.len());
    for from in (0..len - 64).step_by(192) {
        for to in (0..len - 64).step_by(160) {
            let mut broken = files.clone();
            broken[number].1.copy_within(from..from + 64, to);
            if broken != files {
                assert!(look(&broken, &model).is_err(), "{from} over {to}");
            }
        }
    }
}

#[test]
fn a_run_of_another_index_is_refused() {
    let (mut files, model) = (files(), Model::upto(LOG, END));
    let storage = Arc::new(MemoryStorage::new());
    let mut index = IndexWriter::create(storage.clone(), DIR, config()).expect("a new index");
    let mut pending = PendingEntries::new();
    Log { seed: 32 }.fill(&mut pending, Position::NONE, Position::new(300));
    index.absorb(&mut pending).expect("positions are right");
    index.write_out(Position::new(300)).expect("memory does not fail");
    let name = files[0].0.clone();
    files[0].1 = read(&*storage, &name);
    assert_names(look(&files, &model), &name, files[0].1.len());
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let (mut files, model) = (files(), Model::upto(LOG, END));
    let (name, manifest) = &mut files[2];
    assert_eq!(name, "MANIFEST");
    manifest[8] = 2;
    let body = manifest.len() - 4;
    let crc = crc32c::crc32c(&manifest[..body]);
    manifest[body..].copy_from_slice(&crc.to_le_bytes());
    match look(&files, &model) {
        Err(OpenError::NewerFormat { file, found, supported }) => {
            assert_eq!((file.as_str(), found, supported), ("index/MANIFEST", 2, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_that_a_cursor_meets_ends_it_with_an_error() {
    let mut files = files();
    // In the first block of the first run's postings, behind the head.
    files[0].1[100] ^= 1;
    let follower = IndexFollower::open(storage_of(&files), DIR, config());
    let snapshot = follower.expect("blocks are read when they are asked for").snapshot();
    let mut cursor = snapshot.cursor(&Range::all(laterbase_index::Family::Posting));
    match cursor.next() {
        Err(ReadError::Damaged(damage)) => {
            assert_eq!((damage.offset, damage.kind), (64, DamageKind::Checksum));
            assert!(damage.to_string().contains("delete the index"), "{damage}");
        }
        other => panic!("{other:?}"),
    }
}
