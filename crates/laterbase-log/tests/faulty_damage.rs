//! Damage is reported exactly: bit flips in what was durable, and devices that lie about syncing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on says where"
)]

mod world;

use laterbase_event::{BatchView, DatabaseId, DecodeScratch, Limits, Position};
use laterbase_log::storage::{
    Fault, FaultPlan, FaultyStorage, OpClass, Random, StorageOp, Survival,
};
use laterbase_log::{
    BatchStatus, CommitNumber, Damage, EventBuffer, Log, LogConfig, OpenError, Problem, ReadError,
    Sync,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use world::{DATABASE, ModelCommit, World, seeds, small_config};

/// A log in one segment: its model, and for each commit its group and where its frame stands.
struct Laid {
    world: World,
    frames: Vec<(usize, std::ops::Range<u64>)>,
}

fn frame_len(commit: &ModelCommit) -> u64 {
    let batches: usize = commit.batches.iter().map(|batch| 8 + batch.bytes.len()).sum();
    (48 + batches as u64).next_multiple_of(8)
}

fn lay(seed: u64, random: &mut Random) -> Laid {
    let config =
        LogConfig { segment_bytes: 4 << 20, chunk_bytes: 4 << 20, direct: false, ..small_config() };
    let mut world = World::on(FaultyStorage::new(seed), config, seed);
    world.create().expect("creates");
    let mut frames = Vec::new();
    let mut offset = 4096;
    for group in 0..3 + random.index(4) {
        for _ in 0..1 + random.index(4) {
            assert!(world.stage().expect("stages"));
            let len = frame_len(world.commits.last().expect("one"));
            frames.push((group, offset..offset + len));
            offset += len;
        }
        world.commit(Sync::Flush).expect("commits");
        offset = offset.next_multiple_of(4096);
    }
    Laid { world, frames }
}

fn open(world: &World, accept_damage: bool) -> Result<Log, OpenError> {
    let config = LogConfig { accept_damage, ..world.config.clone() };
    Log::open(world.port(), "log", DatabaseId::from_bytes(DATABASE), config, 1234)
}

/// The runs of consecutive numbers, as (first, one behind the last).
fn runs(numbers: &BTreeSet<usize>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        let number = *number as u64 + 1;
        match runs.last_mut() {
            Some(run) if run.1 == number => run.1 = number + 1,
            Some(_) | None => runs.push((number, number + 1)),
        }
    }
    runs
}

fn commits_of(damages: &[Damage]) -> Vec<(u64, u64)> {
    damages.iter().map(|d| (d.first_commit.as_u64(), d.next_commit.as_u64())).collect()
}

/// Every commit is there, or told to be lost.
fn check_what_is_left(log: &Log, commits: &[ModelCommit], damages: &[Damage]) {
    let count = log.recovery.next_commit.as_u64() - 1;
    let mut found = BTreeSet::new();
    let mut scan = log.reader.scan_commits(CommitNumber::FIRST, CommitNumber::new(count));
    let mut told = Vec::new();
    loop {
        match scan.next() {
            Ok(None) => break,
            Ok(Some(batch)) => {
                let commit = &commits[batch.commit.as_u64() as usize - 1];
                assert_eq!(batch.bytes, commit.batches[usize::from(batch.index_in_commit)].bytes);
                found.insert(batch.commit.as_u64());
            }
            Err(ReadError::Damaged(damage)) => told.push(*damage),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(commits_of(&told), commits_of(damages), "the scan tells of it, too");
    for number in 1..=count {
        let is_lost = damages
            .iter()
            .any(|d| d.first_commit.as_u64() <= number && number < d.next_commit.as_u64());
        assert_eq!(found.contains(&number), !is_lost, "commit {number}");
    }
    let mut buffer = EventBuffer::new();
    for damage in damages {
        for position in damage.first_position.as_u64()..damage.next_position.as_u64() {
            let outcome = log.reader.get(Position::new(position), &mut buffer).map(drop);
            assert!(matches!(outcome, Err(ReadError::Damaged(_))), "{position}: {outcome:?}");
        }
    }
}

#[test]
fn every_bit_flip_outside_the_last_group_is_reported_exactly() {
    for seed in seeds(0, 150) {
        let mut random = Random::new(seed);
        let Laid { mut world, frames } = lay(seed, &mut random);
        world.log = None;
        let mut hit = BTreeSet::new();
        for _ in 0..1 + random.index(3) {
            let index = random.index(frames.len());
            let range = &frames[index].1;
            let offset = range.start + random.below(range.end - range.start);
            hit.insert(index);
            let bit = random.below(8) as u32;
            world.storage.flip_bit("log/00000001.log", offset, bit).expect("flips");
        }
        // The last group of which anything is left is the last one that is known of; what was hit
        // in it, and behind it, is a torn tail.
        let intact = (0..frames.len()).rev().find(|index| !hit.contains(index));
        let Some(intact) = intact else { continue };
        let last_group = frames[intact].0;
        let mut lost: BTreeSet<usize> =
            hit.iter().copied().filter(|index| frames[*index].0 < last_group).collect();
        let mut torn = None;
        for index in hit.range(frames.iter().position(|f| f.0 == last_group).expect("it is")..) {
            // Damage that runs into the last group ends with the first intact frame there.
            if torn.is_none()
                && *index < intact
                && index.checked_sub(1).is_some_and(|i| lost.contains(&i))
            {
                lost.insert(*index);
            } else {
                torn = torn.or(Some(*index));
            }
        }
        let durable_end = torn.unwrap_or(frames.len());
        let log = match open(&world, false) {
            Ok(log) => {
                assert!(lost.is_empty(), "seed {seed}: {lost:?} are lost, and nobody said so");
                log
            }
            Err(OpenError::Damaged { damages }) => {
                assert_eq!(commits_of(&damages), runs(&lost), "seed {seed}");
                let first = lost.iter().next().expect("one");
                assert_eq!(damages[0].offset, end_before(&frames, *first), "seed {seed}");
                open(&world, true).expect("opens without what is lost")
            }
            Err(error) => panic!("seed {seed}: {error}"),
        };
        assert_eq!(log.recovery.next_commit.as_u64() - 1, durable_end as u64, "seed {seed}");
        assert_eq!(log.recovery.torn_tail.is_some(), torn.is_some(), "seed {seed}");
        let damages = log.recovery.damages.clone();
        check_what_is_left(&log, &world.commits, &damages);
        let report = log
            .reader
            .verify(Limits::default(), &mut |_| ControlFlow::Continue(()))
            .expect("reads");
        let problems = report.problems.iter().map(|problem| match problem {
            Problem::Damaged(damage) => damage.clone(),
            Problem::Footer { .. }
            | Problem::Discontinuous { .. }
            | Problem::Batch { .. }
            | Problem::Chain { .. } => panic!("seed {seed}: {problem}"),
        });
        assert_eq!(commits_of(&problems.collect::<Vec<_>>()), runs(&lost), "seed {seed}");
    }
}

/// Every commit that the log claims to have is there, or every way to it says that it is not.
fn check_nothing_is_missed(log: &Log, commits: &[ModelCommit]) {
    let count = log.recovery.next_commit.as_u64() - 1;
    let report =
        log.reader.verify(Limits::default(), &mut |_| ControlFlow::Continue(())).expect("reads");
    let lost = |number: u64| {
        report.problems.iter().any(|problem| match problem {
            Problem::Damaged(d) => {
                d.first_commit.as_u64() <= number && number < d.next_commit.as_u64()
            }
            Problem::Footer { .. }
            | Problem::Discontinuous { .. }
            | Problem::Batch { .. }
            | Problem::Chain { .. } => false,
        })
    };
    let mut buffer = Vec::new();
    let mut intact = 0;
    for number in 1..=count {
        intact += u64::from(!lost(number));
        let commit = &commits[number as usize - 1];
        match log.reader.batch_of_commit(CommitNumber::new(number), 0, &mut buffer) {
            Ok(batch) => {
                assert_eq!(batch.bytes, commit.batches[0].bytes);
                assert!(!lost(number), "commit {number} is there");
            }
            Err(ReadError::NotFound { .. }) => assert!(lost(number), "commit {number} is missed"),
            Err(
                ReadError::Damaged(_)
                | ReadError::Corrupt { .. }
                | ReadError::Footer { .. }
                | ReadError::Dictionary { .. },
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(report.commits, intact, "each commit is counted, or reported as lost");
}

/// Bits flip behind an open log's back: every reader gets what was recorded, or an error.
#[test]
fn what_rots_in_an_open_log_reaches_no_reader() {
    const LARGE_BYTES: u64 = 8 << 10;
    let mut large = 0;
    for seed in seeds(0, 400) {
        let mut random = Random::new(seed);
        let Laid { mut world, frames } = lay(seed, &mut random);
        world.log = None;
        let log = open(&world, false).expect("opens");
        let len = |index: usize| frames[index].1.end - frames[index].1.start;
        // Opening may have taken the last group into memory.
        let last_group = frames.last().expect("some").0;
        let on_disk = frames.iter().take_while(|frame| frame.0 < last_group).count();
        let largest = (0..on_disk).max_by_key(|index| len(*index)).expect("some");
        let index = if random.chance(2, 3) { largest } else { random.index(on_disk) };
        large += u64::from(len(index) > LARGE_BYTES);
        let range = if random.chance(1, 3) { 48 } else { len(index) };
        let offset = frames[index].1.start + random.below(range);
        world.storage.flip_bit("log/00000001.log", offset, random.below(8) as u32).expect("flips");
        for (number, commit) in world.commits.iter().enumerate() {
            let answers = single_reads(&log, commit);
            let is_hit = number == index && commit.next_position > commit.first_position;
            assert!(!is_hit || answers == 0, "seed {seed}: commit {number} was read");
            check_known_at(&log, &world.commits, commit);
            check_scan_from(&log, &world.commits, commit.first_position);
        }
    }
    let seeds_run = seeds(0, 400);
    assert!(large > (seeds_run.end - seeds_run.start) / 20, "{large} large frames were hit");
}

/// Reads each event of a commit by its position, twice; answers how many were there.
fn single_reads(log: &Log, commit: &ModelCommit) -> usize {
    let mut buffer = EventBuffer::new();
    let mut scratch = DecodeScratch::default();
    let mut there = 0;
    for _ in 0..2 {
        let admitted = commit.batches.iter().filter(|b| b.status == BatchStatus::Admitted);
        for batch in admitted {
            let view = BatchView::parse(&batch.bytes).expect("a batch");
            for index in 0..batch.count {
                let position = Position::new(batch.first_position + u64::from(index));
                match log.reader.get(position, &mut buffer) {
                    Ok((event, arrival)) => {
                        let expected = view.event(u32::from(index), &mut scratch).expect("decodes");
                        assert_eq!((event.id(), event.key()), (expected.id(), expected.key()));
                        assert_eq!(event.payload(), expected.payload());
                        assert_eq!(arrival, commit.arrival);
                        there += 1;
                    }
                    Err(error) => assert_corrupt(&error),
                }
            }
        }
    }
    there
}

fn check_known_at(log: &Log, commits: &[ModelCommit], commit: &ModelCommit) {
    match log.reader.position_known_at(commit.arrival) {
        Ok(position) => {
            let last = commits.iter().rfind(|c| c.arrival <= commit.arrival).expect("this one");
            assert_eq!(position.as_u64(), last.next_position - 1);
        }
        Err(error) => assert_corrupt(&error),
    }
}

/// A scan gives every batch from there on, or ends with an error.
fn check_scan_from(log: &Log, commits: &[ModelCommit], first: u64) {
    let end = commits.last().expect("some").next_position;
    let mut scan = log.reader.scan(Position::new(first - 1), Position::new(end));
    let batches = commits
        .iter()
        .flat_map(|commit| &commit.batches)
        .filter(|batch| batch.status == BatchStatus::Admitted && batch.first_position >= first);
    for batch in batches {
        match scan.next() {
            Ok(Some(found)) => assert_eq!(found.bytes, batch.bytes),
            Ok(None) => panic!("the scan from {first} ends before {}", batch.first_position),
            Err(error) => return assert_corrupt(&error),
        }
    }
    assert!(matches!(scan.next(), Ok(None)));
}

fn assert_corrupt(error: &ReadError) {
    assert!(matches!(error, ReadError::Corrupt { .. }), "{error} ({error:?})");
}

/// Where the last intact frame before this one ends.
fn end_before(frames: &[(usize, std::ops::Range<u64>)], index: usize) -> u64 {
    index.checked_sub(1).map_or(4096, |before| frames[before].1.end)
}

#[test]
fn lying_syncs_lose_nothing_unseen_before_the_last_group_that_is_left() {
    for seed in seeds(0, 200) {
        let mut random = Random::new(seed);
        let mut world = World::on(FaultyStorage::new(seed), small_config(), seed);
        world.create().expect("creates");
        let lies = FaultPlan::default().with_rate(
            OpClass::Only(StorageOp::Sync),
            Fault::Lie,
            if seed % 2 == 0 { 1_000_000 } else { 300_000 },
        );
        world.storage.set_plan(lies);
        for _ in 0..4 + random.index(12) {
            assert!(world.stage().expect("stages"));
            world.commit(Sync::Flush).expect("commits");
        }
        world.log = None;
        world.storage = world.storage.crash(Survival::Scattered);
        match open(&world, true) {
            Ok(log) => check_nothing_is_missed(&log, &world.commits),
            // The header itself, or a whole segment, is among what was lost: said so.
            Err(
                OpenError::HeaderDamaged { .. }
                | OpenError::SegmentMissing { .. }
                | OpenError::Missing { .. },
            ) => {}
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
}
