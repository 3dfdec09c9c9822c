//! Promises of the log that one example each shows: durabilities, poison, pushing back, torn tails,
//! recycling, other processes, bad input.

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
use laterbase_log::storage::{
    Access, Fault, FaultPlan, FaultyStorage, OpClass, OpenMode, Storage, StorageOp, Survival,
};
use laterbase_log::{
    CommitError, EventBuffer, Log, LogConfig, LogReader, OpenError, ReadError, StageError, Sync,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use world::{DATABASE, World, small_config};

fn world(seed: u64) -> World {
    let mut world = World::on(FaultyStorage::new(seed), small_config(), seed);
    world.create().expect("creates");
    world
}

fn open(storage: &FaultyStorage, config: &LogConfig) -> Result<Log, OpenError> {
    let database = DatabaseId::from_bytes(DATABASE);
    Log::open(Arc::new(storage.clone()), "log", database, config.clone(), 77)
}

fn fill(world: &mut World, commits: usize) {
    for _ in 0..commits {
        while !world.stage().expect("stages") {
            world.commit(Sync::Flush).expect("commits");
        }
        world.commit(Sync::Flush).expect("commits");
    }
}

#[test]
fn written_group_survives_the_process_and_not_the_power() {
    let mut world = world(1);
    fill(&mut world, 3);
    assert!(world.stage().expect("stages"));
    world.commit(Sync::Write).expect("commits");
    world.log = None;
    let killed = open(&world.storage, &world.config).expect("opens");
    assert_eq!(killed.recovery.next_commit.as_u64(), 5, "the system had it");
    drop(killed);
    let mut world = self::world(1);
    fill(&mut world, 3);
    assert!(world.stage().expect("stages"));
    world.commit(Sync::Write).expect("commits");
    world.log = None;
    let cut = world.storage.crash(Survival::Lost);
    let cut = open(&cut, &world.config).expect("opens");
    assert_eq!(cut.recovery.next_commit.as_u64(), 4);
}

#[test]
fn flush_without_new_commits_makes_written_ones_durable() {
    let mut world = world(2);
    assert!(world.stage().expect("stages"));
    world.commit(Sync::Write).expect("commits");
    assert!(world.log().front.has_unflushed());
    world.commit(Sync::Flush).expect("commits");
    assert!(!world.log().front.has_unflushed());
    assert_eq!(world.log().reader.flushed().0.as_u64(), 1);
    world.log = None;
    let cut = world.storage.crash(Survival::Lost);
    let log = open(&cut, &world.config).expect("opens");
    assert_eq!(log.recovery.next_commit.as_u64(), 2);
}

#[test]
fn failed_sync_poisons_the_log_until_it_is_opened_again() {
    let mut world = world(3);
    fill(&mut world, 2);
    let plan = FaultPlan::default().with_nth(OpClass::Only(StorageOp::Sync), 1, Fault::Fail);
    world.storage.set_plan(plan);
    assert!(world.stage().expect("stages"));
    let log = world.log();
    let group = log.front.take_group(Sync::Flush).expect("a group");
    let error = log.writer.commit(group).expect_err("the sync fails");
    assert!(matches!(&error, CommitError::Poisoned(p) if p.cause.op == StorageOp::Sync), "{error}");
    let syncs = world.storage.counts();
    assert!(world.stage().is_err(), "every later append fails");
    let log = world.log();
    assert!(log.front.take_group(Sync::Flush).is_none());
    assert_eq!(format!("{:?}", world.storage.counts()), format!("{syncs:?}"), "nothing is tried");
    world.storage.set_plan(FaultPlan::default());
    world.reopen_checked(2);
    fill(&mut world, 1);
}

#[test]
fn full_buffers_push_back_and_lose_nothing() {
    let mut world = world(4);
    let mut staged = 0;
    while world.stage().expect("stages") {
        staged += 1;
        assert!(staged < 10_000, "nothing pushes back");
    }
    world.commit(Sync::Flush).expect("commits");
    assert!(world.stage().expect("there is room again"));
    world.commit(Sync::Flush).expect("commits");
    world.check_all();
}

#[test]
fn commit_over_the_limit_is_refused_and_leaves_no_trace() {
    let config = LogConfig { commit_bytes_max: 64, ..small_config() };
    let mut world = World::on(FaultyStorage::new(5), config, 5);
    world.create().expect("creates");
    let batch = world.sample_batch();
    let outcome = world.log().front.stage(batch.arrival, &[batch.staged()]);
    assert!(matches!(outcome, Err(StageError::TooLarge { bytes_max: 64, .. })));
    assert_eq!(world.log().front.next_commit().as_u64(), 1);
    assert!(!world.log().front.has_staged());
}

#[test]
fn batch_that_does_not_continue_its_log_is_refused() {
    let mut world = world(6);
    let batch = world.sample_batch();
    let front = &mut world.log().front;
    let again = [batch.staged(), batch.staged()];
    let outcome = front.stage(batch.arrival, &again);
    assert!(matches!(outcome, Err(StageError::OutOfSequence { expected, .. }) if expected > 1));
    front.stage(batch.arrival, &[batch.staged()]).expect("it continues the empty log");
    let outcome = front.stage(batch.arrival, &[batch.staged()]);
    assert!(matches!(outcome, Err(StageError::OutOfSequence { .. })));
    let early = laterbase_event::Hlc::from_u64(batch.arrival.as_u64() - 1);
    let outcome = front.stage(early, &[batch.staged()]);
    assert!(matches!(outcome, Err(StageError::ArrivalFell { .. })));
}

#[test]
fn torn_tail_is_cut_and_kept_aside_byte_for_byte() {
    let mut world = world(7);
    fill(&mut world, 2);
    for _ in 0..3 {
        assert!(world.stage().expect("stages"));
    }
    world.commit(Sync::Write).expect("commits");
    world.log = None;
    // One bit of the last group's first frame never made it.
    let path = "log/00000001.log";
    let file = world.storage.open(path, OpenMode::READ).expect("opens");
    let start = last_group_start(&world);
    world.storage.flip_bit(path, start + 60, 0).expect("flips");
    let log = open(&world.storage, &world.config).expect("opens");
    let torn = log.recovery.torn_tail.clone().expect("a tail");
    assert_eq!(torn.offset.next_multiple_of(4096), start);
    let kept = world.storage.open(&torn.kept_as, OpenMode::READ).expect("kept");
    let len = usize::try_from(torn.bytes).expect("small");
    let (mut a, mut b) = (vec![0; len], vec![0; len]);
    assert_eq!(kept.read_at(0, &mut a).expect("reads"), len);
    file.read_at(torn.offset, &mut b).expect("reads");
    assert_eq!(kept.len().expect("len"), torn.bytes);
    assert!(a.iter().any(|byte| *byte != 0));
    assert_eq!(log.recovery.next_commit.as_u64(), 3);
    assert!(!log.recovery.clean);
}

/// Where the group behind the first two, of one commit each, starts.
fn last_group_start(world: &World) -> u64 {
    let mut offset = 4096_u64;
    for commit in &world.commits[..2] {
        let batches: usize = commit.batches.iter().map(|batch| 8 + batch.bytes.len()).sum();
        offset = (offset + 48 + batches as u64).next_multiple_of(4096);
    }
    offset
}

#[test]
fn tailing_reads_never_touch_the_disk() {
    let mut world = world(8);
    fill(&mut world, 30);
    let reads = |world: &World| world.storage.counts().reads;
    let before = reads(&world);
    fill(&mut world, 1);
    let last = world.log().front.last_position();
    let mut buffer = EventBuffer::new();
    world.log().reader.get(last, &mut buffer).expect("reads");
    let mut scan = world.log().reader.scan(Position::new(last.as_u64() - 1), last);
    assert!(scan.next().expect("reads").is_some());
    assert_eq!(reads(&world), before);
}

/// What was read from memory is later read, and checked, from files of several segments, through
/// one buffer that still holds bytes of another.
#[test]
fn one_buffer_serves_memory_and_every_segment() {
    let mut world = world(12);
    world.config.cache_bytes = 4 << 20;
    world.open(0).expect("opens");
    let mut buffer = EventBuffer::new();
    for _ in 0..300 {
        fill(&mut world, 1);
        let last = world.log().front.last_position();
        world.log().reader.get(last, &mut buffer).expect("reads what is in memory");
    }
    let reader = &world.log.as_ref().expect("open").reader;
    assert!(reader.segments().expect("lists").len() > 3);
    let last = world.commits.last().expect("some").next_position - 1;
    for step in [97, 389, 1] {
        for at in 0..last {
            let position = Position::new(1 + at * step % last);
            let (_, arrival) = reader.get(position, &mut buffer).expect("reads what is in files");
            let holds = |c: &&world::ModelCommit| c.next_position > position.as_u64();
            let commit = world.commits.iter().find(holds).expect("some");
            assert_eq!(arrival, commit.arrival, "{position}");
        }
    }
}

#[test]
fn closed_log_and_idle_log_open_without_copying_anything() {
    let mut world = world(9);
    fill(&mut world, 4);
    let log = world.log.take().expect("open");
    log.writer.close(log.front).expect("closes");
    world.open(4).expect("opens");
    assert!(world.log().recovery.clean);
    fill(&mut world, 2);
    let log = world.log();
    let mark = log.front.idle_mark().expect("nothing is to do");
    log.writer.mark_idle(&mark).expect("writes");
    world.open(6).expect("opens");
    assert!(world.log().recovery.clean, "the mark proves it");
    fill(&mut world, 1);
    world.open(7).expect("opens");
    assert!(!world.log().recovery.clean, "nothing proves the last group");
    assert_eq!(world.log().recovery.rewritten_commits, 1);
}

#[test]
fn sealed_segments_hold_the_same_and_their_files_are_used_again() {
    let mut world = world(10);
    fill(&mut world, 200);
    world.log().maintenance.seal_all().expect("seals");
    let segments = world.log().reader.segments().expect("segments");
    assert!(segments.iter().filter(|segment| segment.sealed).count() >= 2);
    world.check_all();
    world.verify();
    // Not while another process may read them.
    let mut asked = 0;
    while world
        .log()
        .maintenance
        .step(1 << 20, &mut |_| {
            asked += 1;
            false
        })
        .expect("steps")
    {}
    assert!(asked > 0);
    assert!(world.storage.exists("log/00000001.log").expect("looks"));
    while world.log().maintenance.step(1 << 20, &mut |_| true).expect("steps") {}
    assert!(!world.storage.exists("log/00000001.log").expect("looks"));
    fill(&mut world, 100);
    world.check_all();
    world.open(world.flushed).expect("opens");
    world.verify();
}

#[test]
fn another_process_follows_over_rolled_and_sealed_segments() {
    let mut world = world(11);
    fill(&mut world, 5);
    let at = |world: &World| Position::new(world.commits.last().map_or(0, |c| c.next_position - 1));
    let database = DatabaseId::from_bytes(DATABASE);
    let reader = LogReader::open(world.port(), "log", database, small_config(), at(&world));
    let reader = reader.expect("opens");
    for round in 0..6 {
        fill(&mut world, 25);
        if round % 2 == 1 {
            world.log().maintenance.seal_all().expect("seals");
        }
        let last = at(&world);
        reader.refresh(last).expect("follows");
        let mut scan = reader.scan(Position::NONE, last);
        let mut next = 1;
        while let Some(batch) = scan.next().expect("reads") {
            assert_eq!(batch.first_position.as_u64(), next);
            next = batch.next_position().as_u64();
        }
        assert_eq!(next, last.as_u64() + 1, "round {round}");
    }
    world.log = None;
    let beyond = Position::new(at(&world).as_u64() + 1);
    assert!(matches!(reader.refresh(beyond), Err(OpenError::Behind { .. })));
}

/// Breaks: leaving out the footer, leaving out the frames behind it, going on where an older file
/// of the log stood.
#[test]
fn heads_of_another_process_are_the_writers_and_cost_little() {
    let mut world = world(19);
    let at = |world: &World| Position::new(world.commits.last().map_or(0, |c| c.next_position - 1));
    let database = DatabaseId::from_bytes(DATABASE);
    let reader = LogReader::open(world.port(), "log", database, small_config(), Position::NONE);
    let reader = reader.expect("opens");
    assert!(reader.heads().expect("reads").is_empty());
    for round in 0..12 {
        // What is in quarantine behind the last position is not looked at yet.
        fill(&mut world, 1 + round * 7);
        while world.commits.last().is_some_and(|c| c.first_position == c.next_position) {
            fill(&mut world, 1);
        }
        match round % 4 {
            1 => world.log().maintenance.seal_all().expect("seals"),
            2 => world.open(world.flushed).expect("opens"),
            _ => {}
        }
        let last = at(&world);
        let fresh = LogReader::open(world.port(), "log", database, small_config(), last);
        let fresh = fresh.expect("opens");
        let segments = fresh.segments().expect("segments");
        let growing = segments.iter().filter(|segment| !segment.complete).count() as u64;
        let reads = world.storage.counts().reads;
        assert_eq!(fresh.heads().expect("reads"), *world.log().front.heads(), "round {round}");
        assert!(world.storage.counts().reads - reads <= 1 + growing, "round {round}");
        reader.refresh(last).expect("follows");
        assert_eq!(reader.heads().expect("reads"), *world.log().front.heads(), "round {round}");
        let reads = world.storage.counts().reads;
        assert_eq!(reader.heads().expect("reads"), *world.log().front.heads());
        let again = u64::from(growing == 0);
        assert_eq!(world.storage.counts().reads - reads, again, "nothing is read twice");
    }
    assert!(reader.segments().expect("segments").len() > 5);
}

#[test]
fn another_process_is_told_of_damage_and_shown_nothing_behind_it() {
    let mut world = world(17);
    fill(&mut world, 4);
    let last = Position::new(world.commits.last().map_or(0, |c| c.next_position - 1));
    world.log = None;
    world.storage.flip_bit("log/00000001.log", 4096 + 60, 1).expect("flips");
    let database = DatabaseId::from_bytes(DATABASE);
    let outcome = LogReader::open(world.port(), "log", database, small_config(), last);
    let damages = match outcome {
        Err(OpenError::Damaged { damages }) => damages,
        other => panic!("{other:?}"),
    };
    assert_eq!(damages[0].first_commit.as_u64(), 1);
    assert_eq!(damages[0].next_commit.as_u64(), 2);
}

#[test]
fn snapshot_copied_elsewhere_opens_with_everything_that_was_flushed() {
    let mut world = world(12);
    fill(&mut world, 120);
    world.log().maintenance.step(1 << 20, &mut |_| true).expect("steps");
    assert!(world.stage().expect("stages"));
    world.commit(Sync::Write).expect("commits");
    let snapshot = world.log().reader.snapshot().expect("lists");
    assert_eq!(snapshot.commit.as_u64() as usize, world.flushed);
    let copy = FaultyStorage::new(1);
    copy.create_dir("log").expect("creates");
    for file in &snapshot.files {
        let from = world.storage.open(&file.path, OpenMode::READ).expect("opens");
        let mut bytes = vec![0; usize::try_from(file.bytes).expect("small")];
        assert_eq!(from.read_at(0, &mut bytes).expect("reads"), bytes.len());
        let mode = OpenMode { access: Access::Create, direct: false };
        copy.open(&file.path, mode).expect("creates").write_at(0, &bytes).expect("writes");
    }
    let flushed = world.flushed;
    world.storage = copy;
    world.open(flushed).expect("opens");
    assert_eq!(world.commits.len(), flushed);
    world.verify();
}

#[test]
fn full_disk_stops_the_log_and_opening_it_with_room_goes_on() {
    let mut world = world(13);
    fill(&mut world, 3);
    world.storage.set_capacity(Some(world.storage.used_bytes() + 10_000));
    while world.step_until_full() {}
    let flushed = world.flushed;
    world.storage.set_capacity(None);
    world.log = None;
    world.open(flushed).expect("opens");
    fill(&mut world, 3);
    world.verify();
}

#[test]
fn every_bad_directory_has_an_error_of_its_own() {
    let mut world = world(14);
    fill(&mut world, 150);
    world.log = None;
    let fresh = FaultyStorage::new(1);
    assert!(matches!(open(&fresh, &small_config()), Err(OpenError::Missing { .. })));
    let other = DatabaseId::from_bytes([9; 16]);
    let port: Arc<dyn Storage> = Arc::new(world.storage.clone());
    let outcome = Log::open(Arc::clone(&port), "log", other, small_config(), 1);
    let found = match outcome {
        Err(OpenError::OtherDatabase { found, .. }) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found.as_bytes(), &DATABASE);
    let database = DatabaseId::from_bytes(DATABASE);
    let outcome = Log::create(Arc::clone(&port), "log", database, small_config(), 1);
    assert!(matches!(outcome, Err(OpenError::Exists { .. })));
    let bad = LogConfig { segment_bytes: 1000, ..small_config() };
    assert!(matches!(open(&world.storage, &bad), Err(OpenError::BadConfig { .. })));
    let tampered = |change: &dyn Fn(&FaultyStorage)| {
        let copy = world.storage.copied_to("elsewhere");
        change(&copy);
        open(&copy, &small_config()).expect_err("it is bad")
    };
    let error = tampered(&|s| s.remove("log/00000002.log").expect("removes"));
    assert!(matches!(error, OpenError::SegmentMissing { segment, .. } if segment.as_u64() == 2));
    let error = tampered(&|s| s.flip_bit("log/00000001.log", 20, 0).expect("flips"));
    assert!(matches!(error, OpenError::HeaderDamaged { .. }), "{error}");
    let error = tampered(&|s| s.flip_bit("log/00000001.log", 8, 5).expect("flips"));
    assert!(matches!(error, OpenError::NewerFormat { version: 33, known: 1, .. }), "{error}");
}

#[test]
fn verify_tells_of_every_flipped_bit_in_a_sealed_segment() {
    let mut world = world(15);
    fill(&mut world, 150);
    world.log().maintenance.seal_all().expect("seals");
    let segments = world.log().reader.segments().expect("segments");
    let sealed = segments.iter().find(|segment| segment.sealed).expect("one");
    for offset in (4096..sealed.file_bytes).step_by(997) {
        world.storage.flip_bit(&sealed.path, offset, 1).expect("flips");
        let report = world
            .log()
            .reader
            .verify(Limits::default(), &mut |_| ControlFlow::Continue(()))
            .expect("reads");
        // Between the end of the footer and the trailer there is nothing: every bit counts.
        assert!(!report.problems.is_empty(), "byte {offset} of {sealed:?}");
        world.storage.flip_bit(&sealed.path, offset, 1).expect("flips back");
    }
    world.verify();
}

/// Break: only the last footers are looked at when the log is opened.
#[test]
fn damaged_footer_of_any_hot_segment_is_made_again_from_its_frames() {
    let config = LogConfig { hot_bytes_max: 16 << 20, ..small_config() };
    let mut world = World::on(FaultyStorage::new(18), config, 18);
    world.create().expect("creates");
    fill(&mut world, 400);
    let segments = world.log().reader.segments().expect("segments");
    assert!(segments.len() >= 5 && segments.iter().all(|segment| !segment.sealed));
    for part in [0, 1] {
        world.log = None;
        let path = "log/00000001.log";
        let (index, state) = footer_parts(&world.storage, path);
        world.storage.flip_bit(path, [index, state][part], 1).expect("flips");
        world.open(world.flushed).expect("opens");
        let rebuilt = &world.log().recovery.footers_rebuilt;
        assert!(rebuilt.iter().any(|number| number.as_u64() == 1), "part {part}: {rebuilt:?}");
        world.verify();
    }
}

/// Where the two parts of a footer start.
fn footer_parts(storage: &FaultyStorage, path: &str) -> (u64, u64) {
    let file = storage.open(path, OpenMode::READ).expect("opens");
    let mut trailer = [0; 128];
    let at = file.len().expect("len") - 128;
    assert_eq!(file.read_at(at, &mut trailer).expect("reads"), 128);
    let index = u64::from_le_bytes(trailer[48..56].try_into().expect("eight bytes"));
    let index_len = u32::from_le_bytes(trailer[56..60].try_into().expect("four bytes"));
    (index, index + u64::from(index_len))
}

#[test]
fn damaged_block_of_a_sealed_segment_is_an_error_and_never_other_data() {
    let mut world = world(16);
    fill(&mut world, 150);
    world.log().maintenance.seal_all().expect("seals");
    world.open(world.flushed).expect("opens");
    world.storage.flip_bit("log/00000001.seg", 5000, 1).expect("flips");
    let outcome = world.log().reader.get(Position::new(1), &mut EventBuffer::new()).map(drop);
    assert!(matches!(outcome, Err(ReadError::Corrupt { .. })), "{outcome:?}");
}
