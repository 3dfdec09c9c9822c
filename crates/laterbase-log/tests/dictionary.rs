//! Sealed segments with a dictionary hold what the hot ones held, and damage to it is told.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on says where"
)]

mod world;

use laterbase_event::{DatabaseId, Limits, Position};
use laterbase_log::storage::{FaultyStorage, MemoryStorage, OpenMode, Storage};
use laterbase_log::{CommitNumber, EventBuffer, Log, LogConfig, Problem, ReadError, Sync};
use std::ops::ControlFlow;
use std::sync::Arc;
use world::{DATABASE, World, seeds, small_config};

/// Where the first stored block of a sealed segment stands: its dictionary, if it has one.
const FIRST_BLOCK: u64 = 4096;
const SEALED: &str = "log/00000001.seg";

/// A world with at least two complete segments, none of them sealed.
fn filled(seed: u64, repetitive: bool, config: LogConfig) -> World {
    let mut world = World::on(FaultyStorage::new(seed), config, seed);
    world.repetitive = repetitive;
    world.create().expect("creates");
    while world.log().reader.segments().expect("segments").len() < 3 {
        for _ in 0..1 + world.random.index(20) {
            if !world.stage().expect("stages") {
                break;
            }
        }
        world.commit(Sync::Flush).expect("commits");
    }
    world
}

fn config(segment_bytes: u64) -> LogConfig {
    LogConfig { segment_bytes, cache_bytes: 1 << 20, ..small_config() }
}

fn flip(world: &World, offset: u64, bit: u32) {
    world.storage.flip_bit(SEALED, offset, bit).expect("flips");
}

/// What a scan says of the first commit. It reads past the caches.
fn first_commit(world: &mut World) -> Result<(), ReadError> {
    let first = CommitNumber::FIRST;
    world.log().reader.scan_commits(first, first).next().map(drop)
}

fn has_dictionary(world: &mut World) -> bool {
    flip(world, FIRST_BLOCK, 0);
    let outcome = first_commit(world);
    flip(world, FIRST_BLOCK, 0);
    match outcome {
        Err(ReadError::Dictionary { .. }) => true,
        Err(ReadError::Corrupt { .. } | ReadError::Damaged(_)) => false,
        Ok(()) => panic!("a flipped bit went unnoticed"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn sealed_reads_equal_hot_reads() {
    let (mut with, mut without) = (0, 0);
    for seed in seeds(0, 40) {
        let repetitive = seed % 4 != 0;
        let mut world = filled(seed, repetitive, config((64 << 10) << (seed % 3)));
        world.check_all();
        world.log().maintenance.seal_all().expect("seals");
        world.check_all();
        world.verify();
        if has_dictionary(&mut world) {
            with += 1;
        } else {
            without += 1;
        }
        let promised = world.flushed;
        world.reopen_checked(promised);
    }
    assert!(with >= 5 && without >= 5, "{with} with a dictionary, {without} without");
}

#[test]
fn segment_that_repeats_nothing_gets_no_dictionary() {
    let mut world = filled(3, false, config(256 << 10));
    world.log().maintenance.seal_all().expect("seals");
    assert!(!has_dictionary(&mut world));
    world.check_all();
    world.verify();
}

#[test]
fn every_flipped_bit_of_a_dictionary_is_told_by_reads_and_verify() {
    let mut world = filled(5, true, config(256 << 10));
    world.log().maintenance.seal_all().expect("seals");
    assert!(has_dictionary(&mut world));
    let mut offset = FIRST_BLOCK;
    loop {
        for bit in 0..8 {
            flip(&world, offset, bit);
            match first_commit(&mut world) {
                Err(ReadError::Dictionary { path }) => assert_eq!(path, SEALED),
                // Behind the dictionary.
                Err(ReadError::Corrupt { .. } | ReadError::Damaged(_)) => {
                    assert!(bit == 0 && offset > FIRST_BLOCK + 100, "byte {offset} bit {bit}");
                    return;
                }
                outcome => panic!("byte {offset} bit {bit}: {outcome:?}"),
            }
            if bit == 0 && offset.is_multiple_of(64) {
                check_told(&mut world);
            }
            flip(&world, offset, bit);
        }
        offset += 1;
    }
}

/// The whole segment is lost: a read of one event and `verify` say so, and what follows is there.
fn check_told(world: &mut World) {
    let database = DatabaseId::from_bytes(DATABASE);
    let log = Log::open(world.port(), "log", database, world.config.clone(), 1).expect("opens");
    let outcome = log.reader.get(Position::new(1), &mut EventBuffer::new()).map(drop);
    assert!(matches!(outcome, Err(ReadError::Dictionary { .. })), "{outcome:?}");
    let report =
        log.reader.verify(Limits::default(), &mut |_| ControlFlow::Continue(())).expect("reads");
    let [Problem::Damaged(damage)] = report.problems.as_slice() else {
        panic!("{:?}", report.problems)
    };
    let segments = log.reader.segments().expect("segments");
    assert_eq!(damage.path, SEALED);
    assert_eq!((damage.first_commit, damage.offset), (CommitNumber::FIRST, 0));
    assert_eq!(damage.next_position, segments[1].first_position);
    let behind = log.reader.get(segments[1].first_position, &mut EventBuffer::new()).map(drop);
    assert!(behind.is_ok(), "{behind:?}");
}

#[test]
fn segment_with_a_dictionary_is_read_by_a_log_with_almost_no_cache() {
    let mut world = filled(6, true, config(256 << 10));
    world.log().maintenance.seal_all().expect("seals");
    assert!(has_dictionary(&mut world));
    world.config.cache_bytes = 8 << 10;
    let promised = world.flushed;
    world.reopen_checked(promised);
    world.verify();
}

/// Nothing of a file with a dictionary makes a reader panic, wherever it is cut.
#[test]
fn cut_segment_with_a_dictionary_is_refused() {
    let mut world = filled(7, true, config(256 << 10));
    world.log().maintenance.seal_all().expect("seals");
    assert!(has_dictionary(&mut world));
    let file = world.storage.open(SEALED, OpenMode::READ).expect("opens");
    let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
    file.read_at(0, &mut bytes).expect("reads");
    let database = DatabaseId::from_bytes(DATABASE);
    for len in (0..bytes.len()).step_by(61) {
        let storage = MemoryStorage::new();
        storage.create_dir("log").expect("creates");
        let cut = storage.open(SEALED, OpenMode::CREATE).expect("creates");
        cut.write_at(0, &bytes[..len]).expect("writes");
        let outcome = Log::open(Arc::new(storage), "log", database, world.config.clone(), 1);
        assert!(outcome.is_err(), "{len} bytes are no segment");
    }
}
