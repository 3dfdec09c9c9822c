//! Random operations on an index, compared with a sorted set after each of them.
//!
//! Catches, among others (each was tried): a writer that loses the last block of a family; a flush
//! that drops a chunk too many, or writes what is not flushed; a replay that is absorbed twice; a
//! count that takes a whole block although its extra bits differ; a filter of the group before the
//! one that a term begins in; a cache that knows offsets and not files; a cursor that can be moved
//! back; a follower that keeps what a new run has.

#![allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod world;

use laterbase_event::Position;
use laterbase_index::{
    AbsorbError, Cursor, Entry, Family, IndexConfig, IndexFollower, IndexReader, IndexSnapshot,
    IndexWork, IndexWriter, OpenError, PendingEntries, Progress, Range,
};
use laterbase_log::storage::{MemoryStorage, Random, Storage};
use std::sync::Arc;
use world::{Log, Model, check_snapshot, tiny_config};

const DIR: &str = "index";

/// A writer and a follower on one storage, and the log that they index.
struct World {
    storage: Arc<MemoryStorage>,
    config: IndexConfig,
    model: Model,
    log: Log,
    random: Random,
    writer: IndexWriter,
    follower: IndexFollower,
    flushed: Position,
    end: Position,
    kept: Vec<Arc<IndexSnapshot>>,
    pending: PendingEntries,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let storage = Arc::new(MemoryStorage::new());
        let config = IndexConfig { fan_out: 2 + random.index(4), ..tiny_config() };
        let log = Log { seed };
        Self {
            writer: IndexWriter::create(storage.clone(), DIR, config).expect("a new index"),
            follower: IndexFollower::open(storage.clone(), DIR, config).expect("an index"),
            storage,
            config,
            model: Model::new(log),
            log,
            random,
            flushed: Position::NONE,
            end: Position::NONE,
            kept: Vec::new(),
            pending: PendingEntries::new(),
        }
    }

    fn step(&mut self) {
        match self.random.index(12) {
            0..=4 => self.append(),
            5..=7 => {
                let gap = self.end.as_u64() - self.flushed.as_u64() + 1;
                self.flushed = Position::new(self.flushed.as_u64() + self.random.below(gap));
                let budget = 1 + self.random.index(3_000);
                if self.random.flip() {
                    self.writer.maintain(budget, self.flushed).expect("memory does not fail");
                } else {
                    self.work(budget);
                }
            }
            8 => {
                let everything = self.random.flip();
                self.writer.reclaim(|_| everything).expect("memory does not fail");
            }
            9 => self.follow(),
            10 => self.kept.push(self.writer.snapshot()),
            _ if self.random.chance(1, 6) => self.reopen(),
            _ => {}
        }
        assert!(self.writer.watermark() <= self.flushed);
        assert_eq!(self.writer.complete_to(), self.end);
    }

    /// Maintenance beside the writer: others go on in the meantime, and it may be given up.
    fn work(&mut self, mut budget: usize) {
        let flushed = self.flushed;
        let Some(mut work) = self.writer.begin_work(flushed).expect("memory does not fail") else {
            return;
        };
        self.append();
        work.run(&mut budget);
        let second = self.writer.begin_work(flushed).expect("memory does not fail");
        assert!(second.is_none(), "one piece of work is out at a time");
        self.check();
        if self.random.chance(9, 10) {
            self.append();
            self.writer.finish_work(work).expect("memory does not fail");
        }
    }

    fn append(&mut self) {
        let count = match self.random.index(4) {
            0 => 1,
            1 => self.random.below(20),
            _ => self.random.below(400),
        };
        let from = self.end;
        self.end = Position::new(from.as_u64() + count);
        // Some of what was there already comes again, as it does after a crash.
        let again = from.as_u64().saturating_sub(self.random.below(3));
        self.log.fill(&mut self.pending, Position::new(again), self.end);
        self.writer.absorb(&mut self.pending).expect("positions are right");
        assert!(self.pending.is_empty());
        self.model.grow(self.end);
    }

    /// The follower reads what is flushed, before or after looking for a new manifest.
    fn follow(&mut self) {
        if self.random.flip() {
            self.follower.refresh().expect("memory does not fail");
        }
        let from = self.follower.complete_to();
        if from < self.flushed {
            self.log.fill(&mut self.pending, from, self.flushed);
            self.follower.absorb(&mut self.pending).expect("positions are right");
        }
        if self.random.flip() {
            self.follower.refresh().expect("memory does not fail");
        }
        let snapshot = self.follower.snapshot();
        assert!(snapshot.complete_to() >= self.flushed);
        check_snapshot(&snapshot, &self.model, &mut self.random, 5).expect("memory does not fail");
    }

    /// The writer's process ends, orderly or not, and another one begins.
    fn reopen(&mut self) {
        if self.random.flip() {
            self.writer.write_out(self.flushed).expect("memory does not fail");
        }
        let storage = self.storage.clone();
        self.writer = IndexWriter::open(storage, DIR, self.config).expect("an index");
        assert!(self.writer.watermark() <= self.flushed);
        let snapshot = self.writer.snapshot();
        check_snapshot(&snapshot, &self.model, &mut self.random, 5).expect("memory does not fail");
        self.log.fill(&mut self.pending, self.writer.watermark(), self.end);
        self.writer.absorb(&mut self.pending).expect("positions are right");
    }

    fn check(&mut self) {
        let snapshot = self.writer.snapshot();
        assert_eq!(snapshot.complete_to(), self.end);
        let questions = 10;
        check_snapshot(&snapshot, &self.model, &mut self.random, questions).expect("no failure");
    }
}

#[test]
fn random_operations_agree_with_a_sorted_set() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        for step in 0..250 {
            world.step();
            if step % 10 == 0 {
                world.check();
            }
        }
        world.check();
        // Snapshots from all along the way, whatever has happened to the index since.
        for snapshot in std::mem::take(&mut world.kept) {
            check_snapshot(&snapshot, &world.model, &mut world.random, 3).expect("no failure");
        }
        world.writer.snapshot().verify(&mut |_| {}).expect("nothing is damaged");
    }
}

#[test]
fn an_index_that_was_deleted_comes_back_from_the_log() {
    let mut world = World::new(99);
    for _ in 0..100 {
        world.step();
    }
    world.writer.write_out(world.flushed).expect("memory does not fail");
    IndexWriter::destroy(&*world.storage, DIR).expect("memory does not fail");
    assert_eq!(world.storage.list(DIR).expect("the directory stays"), Vec::<String>::new());
    let missing = IndexWriter::open(world.storage.clone(), DIR, world.config);
    assert!(matches!(missing, Err(OpenError::Missing { .. })));
    let storage = world.storage.clone();
    world.writer = IndexWriter::open_or_create(storage, DIR, world.config).expect("a new index");
    assert_eq!(world.writer.complete_to(), Position::NONE);
    world.log.fill(&mut world.pending, Position::NONE, world.end);
    world.writer.absorb(&mut world.pending).expect("positions are right");
    world.check();
    // The follower had the old one open; it goes on, and takes the new one over once it is level.
    world.follow();
    world.flushed = world.end;
    world.writer.write_out(world.end).expect("memory does not fail");
    assert!(world.follower.refresh().expect("memory does not fail"));
    world.follow();
    assert_eq!(world.follower.watermark(), world.end);
}

#[test]
fn runs_stay_few_while_an_index_grows() {
    let storage = Arc::new(MemoryStorage::new());
    let mut index = IndexWriter::create(storage.clone(), DIR, tiny_config()).expect("a new index");
    let (log, mut pending) = (Log { seed: 5 }, PendingEntries::new());
    let mut most = 0;
    for step in 1..=300 {
        let upto = Position::new(step * 100);
        log.fill(&mut pending, index.complete_to(), upto);
        index.absorb(&mut pending).expect("positions are right");
        while index.maintain(1_000, upto).expect("memory does not fail") == Progress::More {}
        index.reclaim(|_| true).expect("memory does not fail");
        let statistics = index.statistics();
        most = most.max(statistics.runs);
        assert!(index.memtable_bytes() <= tiny_config().memtable_bytes);
        assert!(statistics.cache_bytes <= tiny_config().cache_bytes);
    }
    assert!(most <= 20, "{most} runs");
    assert_eq!(index.retired(), []);
    let files = storage.list(DIR).expect("the directory");
    assert_eq!(files.len(), index.statistics().runs + 1, "{files:?}");
    let mut random = Random::new(1);
    let model = Model::upto(log, index.complete_to());
    let snapshot = index.snapshot();
    check_snapshot(&snapshot, &model, &mut random, 200).expect("memory does not fail");
    // Each term: also those that a group begins or ends with.
    let mut last = None;
    for entry in model.read(&Range::all(Family::Posting), index.complete_to()) {
        if last != Some(entry.a) {
            let found = snapshot.first(&Range::term(Family::Posting, entry.a));
            assert_eq!(found.expect("memory does not fail"), Some(entry));
            last = Some(entry.a);
        }
    }
}

#[test]
fn entries_that_come_twice_are_kept_once() {
    let storage = Arc::new(MemoryStorage::new());
    let mut index = IndexWriter::create(storage, DIR, tiny_config()).expect("a new index");
    let mut pending = PendingEntries::new();
    for _ in 0..3 {
        pending.push(Family::Posting, Entry::new(1, 2, 3, 4));
    }
    pending.set_upto(Position::new(4));
    index.absorb(&mut pending).expect("positions are right");
    assert_eq!(index.snapshot().count(&Range::all(Family::Posting)).expect("memory"), 1);
}

#[test]
fn positions_beyond_the_end_are_refused_and_nothing_changes() {
    let storage = Arc::new(MemoryStorage::new());
    let mut index = IndexWriter::create(storage, DIR, tiny_config()).expect("a new index");
    let mut pending = PendingEntries::new();
    pending.push(Family::Posting, Entry::new(1, 2, 3, 5));
    pending.set_upto(Position::new(4));
    let refused = index.absorb(&mut pending);
    let (position, upto) = (Position::new(5), Position::new(4));
    assert_eq!(refused, Err(AbsorbError::BeyondEnd { position, upto }));
    pending.set_upto(Position::new(1 << 48));
    let upto = Position::new(1 << 48);
    assert_eq!(index.absorb(&mut pending), Err(AbsorbError::TooHigh { upto }));
    assert_eq!(index.complete_to(), Position::NONE);
    assert_eq!(pending.len(), 1);
    pending.set_upto(Position::new(5));
    assert_eq!(index.absorb(&mut pending), Ok(()));
    assert_eq!(index.complete_to(), Position::new(5));
}

#[test]
fn an_index_of_another_owner_is_refused() {
    let storage = Arc::new(MemoryStorage::new());
    let config = tiny_config();
    drop(IndexWriter::create(storage.clone(), DIR, config).expect("a new index"));
    let other = config.with_owner([1; 16]);
    let foreign = IndexWriter::open(storage.clone(), DIR, other);
    assert!(matches!(foreign, Err(OpenError::Foreign { .. })));
    let foreign = IndexFollower::open(storage.clone(), DIR, other);
    assert!(matches!(foreign, Err(OpenError::Foreign { .. })));
    let exists = IndexWriter::create(storage, DIR, config);
    assert!(matches!(exists, Err(OpenError::Exists { .. })));
}

#[test]
fn snapshots_taken_by_other_threads_stay_whole_while_runs_are_merged() {
    let storage = Arc::new(MemoryStorage::new());
    let mut index = IndexWriter::create(storage, DIR, tiny_config()).expect("a new index");
    let log = Log { seed: 17 };
    let model = Model::upto(log, Position::new(12_000));
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (reader, model) = (index.reader(), &model);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                loop {
                    let snapshot = reader.snapshot();
                    check_snapshot(&snapshot, model, &mut random, 5).expect("no failure");
                    if snapshot.complete_to() == Position::new(12_000) {
                        return;
                    }
                }
            });
        }
        let mut pending = PendingEntries::new();
        for step in 1..=120 {
            let upto = Position::new(step * 100);
            log.fill(&mut pending, index.complete_to(), upto);
            index.absorb(&mut pending).expect("positions are right");
            index.maintain(2_000, upto).expect("memory does not fail");
            index.reclaim(|_| true).expect("memory does not fail");
        }
    });
}

#[test]
fn everything_can_be_moved_to_another_thread() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<IndexWriter>();
    is_send::<IndexFollower>();
    is_send::<IndexWork>();
    is_send::<Cursor>();
    is_shared::<IndexReader>();
    is_shared::<IndexSnapshot>();
}
