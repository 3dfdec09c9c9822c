//! A log on a faulty disk beside a model of it, driven at random.
//!
//! The model is a `Vec` of commits. It knows what was acknowledged and how; after each opening the
//! log must hold a prefix of the model that is at least as long as what was promised, byte for
//! byte.

#![allow(dead_code)]

use laterbase_event::{
    BatchBuilder, DatabaseId, EventDraft, Hash, Hlc, Limits, Position, ReplicaId, RootName, Stamp,
};
use laterbase_log::storage::{FaultyStorage, Random, Storage};
use laterbase_log::{
    BatchRole, BatchStatus, CommitNumber, EventBuffer, Log, LogConfig, LogReader, MaintenanceError,
    OpenError, ReadError, StageError, StagedBatch, Sync,
};
use std::ops::ControlFlow;
use std::sync::Arc;

pub const DATABASE: [u8; 16] = [7; 16];
const ROOTS: [&str; 3] = ["shipment", "truck", "a.b"];

/// A batch that was staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelBatch {
    pub bytes: Vec<u8>,
    pub status: BatchStatus,
    pub count: u16,
    pub first_position: u64,
    pub keys: Vec<String>,
    replica: ReplicaId,
    root: &'static str,
    last_seq: u64,
    hash: Hash,
    last_hlc: Hlc,
}

/// A commit that was staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCommit {
    pub arrival: Hlc,
    pub first_position: u64,
    pub next_position: u64,
    pub batches: Vec<ModelBatch>,
}

/// One batch, ready to be staged.
pub struct Sample {
    pub arrival: Hlc,
    batch: ModelBatch,
}

impl Sample {
    pub fn staged(&self) -> StagedBatch<'_> {
        self.batch.staged(self.batch.bytes.len())
    }
}

impl ModelBatch {
    /// The batch in two pieces, cut there.
    fn staged(&self, cut: usize) -> StagedBatch<'_> {
        let view = laterbase_event::BatchView::parse(&self.bytes).expect("a batch");
        StagedBatch {
            replica: self.replica,
            root: self.root,
            first_seq: view.header().first_seq,
            event_count: self.count,
            last_hlc: self.last_hlc,
            previous: view.header().previous,
            hash: self.hash,
            status: self.status,
            role: BatchRole::Continues,
            pieces: [&self.bytes[..cut], &self.bytes[cut..], &[], &[]],
        }
    }
}

/// Why a run ended before its time.
#[derive(Debug)]
pub enum Stop {
    /// The storage failed, as planned.
    Failed,
}

/// The log and its model.
pub struct World {
    pub storage: FaultyStorage,
    pub config: LogConfig,
    pub log: Option<Log>,
    pub commits: Vec<ModelCommit>,
    /// So many commits were acknowledged as flushed.
    pub flushed: usize,
    /// So many commits were acknowledged as written.
    pub written: usize,
    /// So many commits can be read.
    pub visible: usize,
    pub random: Random,
    clock: u64,
    /// Payloads are text that resembles itself, instead of noise.
    pub repetitive: bool,
    /// Makes other epochs of the same seed.
    pub salt: u64,
}

/// The seeds of a campaign: `LATERBASE_SEED` is the first one, `LATERBASE_SCALE` multiplies them.
pub fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let read = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = read("LATERBASE_SEED").unwrap_or(first);
    first..first.saturating_add(count.saturating_mul(read("LATERBASE_SCALE").unwrap_or(1)))
}

pub fn small_config() -> LogConfig {
    LogConfig {
        segment_bytes: 64 << 10,
        chunk_bytes: 8 << 10,
        ring_bytes: 40 << 10,
        commit_bytes_max: 1 << 20,
        cache_bytes: 64 << 10,
        read_ahead_bytes: 4096,
        hot_bytes_max: 100 << 10,
        spares: 1,
        ..LogConfig::default()
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let storage = if random.flip() {
            FaultyStorage::new(seed)
        } else {
            FaultyStorage::with_block_bytes(seed, 4096)
        };
        Self::on(storage, small_config(), seed)
    }

    pub fn on(storage: FaultyStorage, config: LogConfig, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let clock = 1_700_000_000_000 + random.below(1000);
        Self {
            storage,
            config,
            log: None,
            commits: Vec::new(),
            flushed: 0,
            written: 0,
            visible: 0,
            random,
            clock,
            repetitive: false,
            salt: 0,
        }
    }

    pub fn port(&self) -> Arc<dyn Storage> {
        Arc::new(self.storage.clone())
    }

    pub fn create(&mut self) -> Result<(), OpenError> {
        let entropy = self.random.next_u64() ^ self.salt;
        let database = DatabaseId::from_bytes(DATABASE);
        let log = Log::create(self.port(), "log", database, self.config.clone(), entropy)?;
        self.log = Some(log);
        Ok(())
    }

    /// Opens the log and checks that it holds what was promised: `promised` commits at least.
    pub fn open(&mut self, promised: usize) -> Result<(), OpenError> {
        self.log = None;
        let entropy = self.random.next_u64() ^ self.salt;
        let database = DatabaseId::from_bytes(DATABASE);
        let log = Log::open(self.port(), "log", database, self.config.clone(), entropy)?;
        let count = log.recovery.next_commit.as_u64() as usize - 1;
        assert!(count >= promised, "{count} commits are left, {promised} were promised");
        assert!(count <= self.commits.len(), "{count} commits of {}", self.commits.len());
        self.commits.truncate(count);
        (self.flushed, self.written, self.visible) = (count, count, count);
        self.log = Some(log);
        self.check_state();
        self.check_all();
        Ok(())
    }

    pub fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("the log is open")
    }

    /// Stages one commit; `false` if all buffers are full.
    pub fn stage(&mut self) -> Result<bool, Stop> {
        self.clock += self.random.below(3);
        let arrival = Hlc::new(self.clock, 0);
        let mut batches: Vec<ModelBatch> = Vec::new();
        let count = if self.random.chance(1, 4) { 1 + self.random.index(3) } else { 1 };
        for _ in 0..count {
            let batch = self.make_batch(&batches);
            batches.push(batch);
        }
        let mut next = self.commits.last().map_or(1, |commit| commit.next_position);
        let first_position = next;
        for batch in &mut batches {
            batch.first_position = next;
            if batch.status == BatchStatus::Admitted {
                next += u64::from(batch.count);
            }
        }
        let staged: Vec<StagedBatch<'_>> = batches
            .iter()
            .map(|batch| batch.staged(self.commits.len() % batch.bytes.len()))
            .collect();
        let outcome = self.log.as_mut().expect("open").front.stage(arrival, &staged);
        match outcome {
            Ok(staged) => {
                assert_eq!(staged.commit.as_u64() as usize, self.commits.len() + 1);
                assert_eq!(staged.first_position.as_u64(), first_position);
                assert_eq!(staged.next_position.as_u64(), next);
            }
            Err(StageError::Full) => return Ok(false),
            Err(StageError::Poisoned(_)) => return Err(Stop::Failed),
            Err(error) => panic!("{error}"),
        }
        self.commits.push(ModelCommit { arrival, first_position, next_position: next, batches });
        Ok(true)
    }

    fn make_batch(&mut self, before: &[ModelBatch]) -> ModelBatch {
        let replica = ReplicaId::from_u64(1 + self.random.below(2));
        let root = ROOTS[self.random.index(ROOTS.len())];
        let staged = before.iter().rev().find(|b| b.replica == replica && b.root == root);
        let front = &self.log.as_ref().expect("open").front;
        let (last_seq, previous, last_hlc) = match staged {
            Some(batch) => (batch.last_seq, batch.hash, batch.last_hlc),
            None => front
                .heads()
                .get(&replica, root)
                .map_or((0, Hash::ZERO, Hlc::ZERO), |head| (head.seq, head.hash, head.hlc)),
        };
        let mut builder = BatchBuilder::new(RootName::try_from(root).expect("a root"));
        let count = match self.random.below(20) {
            0 => 40,
            1..4 => 1 + self.random.below(20),
            _ => 1,
        };
        let payload_bytes = if self.random.chance(1, 30) { 9000 } else { 200 };
        let mut keys = Vec::new();
        for _ in 0..count {
            let key = format!("k{}", self.random.below(1_000_000));
            let payload = self.make_payload(payload_bytes);
            builder
                .push(&EventDraft { payload: &payload, ..EventDraft::new(key.as_str(), "moved") })
                .expect("fits");
            keys.push(key);
        }
        let body = builder.finish();
        let first_hlc = Hlc::new(self.clock, 0).max(last_hlc.checked_add(1).expect("in range"));
        let header = body
            .stamp(&Stamp {
                database: DatabaseId::from_bytes(DATABASE),
                replica,
                first_seq: last_seq + 1,
                first_hlc,
                commit_hlc: first_hlc,
                part: 0,
                parts: 1,
                previous,
            })
            .expect("a stamp");
        let mut bytes = Vec::new();
        let hash = body.write_batch(&header, &mut bytes);
        let quarantined = self.random.chance(1, 12);
        ModelBatch {
            bytes,
            status: if quarantined { BatchStatus::Quarantined } else { BatchStatus::Admitted },
            count: count as u16,
            first_position: 0,
            keys,
            replica,
            root,
            last_seq: header.last_seq(),
            hash,
            last_hlc: header.last_hlc(),
        }
    }

    fn make_payload(&mut self, bytes_max: usize) -> Vec<u8> {
        let len = self.random.index(bytes_max);
        if !self.repetitive {
            return (0..len).map(|_| self.random.below(256) as u8).collect();
        }
        // Of so many phrases that a block does not have them all.
        let mut text = String::new();
        while text.len() < len {
            let mut phrase = Random::new(self.random.below(60));
            text.extend((0..4).map(|_| format!("{:016x} ", phrase.next_u64())));
        }
        text.into_bytes()
    }

    /// Takes and commits a group.
    pub fn commit(&mut self, sync: Sync) -> Result<(), Stop> {
        let staged = self.commits.len();
        let log = self.log.as_mut().expect("open");
        let Some(group) = log.front.take_group(sync) else { return Ok(()) };
        self.visible = staged;
        match log.writer.commit(group) {
            Ok(written) => {
                assert_eq!(written.commit.as_u64() as usize, staged);
                self.written = staged;
                if written.flushed {
                    self.flushed = staged;
                }
                Ok(())
            }
            Err(_) => Err(Stop::Failed),
        }
    }

    /// One random operation.
    pub fn step(&mut self) -> Result<(), Stop> {
        match self.random.below(100) {
            0..50 => {
                if !self.stage()? {
                    self.commit(Sync::Write)?;
                }
            }
            50..68 => self.commit(Sync::Flush)?,
            68..76 => self.commit(Sync::Write)?,
            76..80 => {
                self.log().front.freeze();
                self.visible = self.commits.len();
            }
            80..83 => {
                let log = self.log();
                if let Some(mark) = log.front.idle_mark() {
                    log.writer.mark_idle(&mark).map_err(|_| Stop::Failed)?;
                }
            }
            83..90 => self.maintain()?,
            90..96 => self.check_some()?,
            96..97 => match self.check_read_only() {
                Ok(()) => {}
                Err(OpenError::Storage(_)) => return Err(Stop::Failed),
                Err(error) => panic!("{error}"),
            },
            97..99 => {
                let log = self.log.take().expect("open");
                let all = self.commits.len();
                log.writer.close(log.front).map_err(|_| Stop::Failed)?;
                self.reopen(all)?;
            }
            _ => {
                // The process ends, the system goes on.
                self.log = None;
                let written = self.written;
                self.reopen(written)?;
            }
        }
        Ok(())
    }

    /// Opens the log again and checks it.
    pub fn reopen_checked(&mut self, promised: usize) {
        self.reopen(promised).expect("opens");
    }

    /// Stages and flushes until the storage fails.
    pub fn step_until_full(&mut self) -> bool {
        self.stage().is_ok() && self.commit(Sync::Flush).is_ok()
    }

    /// A batch that may be staged, and when.
    pub fn sample_batch(&mut self) -> Sample {
        let batch = self.make_batch(&[]);
        Sample { arrival: Hlc::new(self.clock, 5), batch }
    }

    fn reopen(&mut self, promised: usize) -> Result<(), Stop> {
        match self.open(promised) {
            Ok(()) => Ok(()),
            Err(OpenError::Storage(_)) => Err(Stop::Failed),
            Err(error) => panic!("{error}"),
        }
    }

    pub fn maintain(&mut self) -> Result<(), Stop> {
        let budget = 1 + self.random.index(60 << 10);
        let log = self.log.as_mut().expect("open");
        let random = &mut self.random;
        let all = random.chance(1, 10);
        let outcome = if all {
            log.maintenance.seal_all()
        } else {
            log.maintenance.step(budget, &mut |_| random.flip()).map(drop)
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(MaintenanceError::Storage(_) | MaintenanceError::Read(ReadError::Storage(_))) => {
                Err(Stop::Failed)
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Heads and quarantine, against the model.
    pub fn check_state(&self) {
        let front = &self.log.as_ref().expect("open").front;
        let mut heads = std::collections::BTreeMap::new();
        let mut quarantined = Vec::new();
        for (commit, number) in self.commits.iter().zip(1_u64..) {
            for (batch, index) in commit.batches.iter().zip(0_u16..) {
                heads.insert((batch.root, batch.replica), (batch.last_seq, batch.hash));
                if batch.status == BatchStatus::Quarantined {
                    quarantined.push((number, index, batch.count));
                }
            }
        }
        let found: Vec<_> =
            front.heads().iter().map(|(r, i, h)| ((r, i), (h.seq, h.hash))).collect();
        assert_eq!(found, heads.into_iter().collect::<Vec<_>>());
        let listed = front.quarantined().iter();
        let listed: Vec<_> =
            listed.map(|q| (q.commit.as_u64(), q.index_in_commit, q.event_count)).collect();
        assert_eq!(listed, quarantined);
    }

    /// Everything that can be read, against the model.
    pub fn check_all(&self) {
        let log = self.log.as_ref().expect("open");
        let last = CommitNumber::new(self.visible as u64);
        let mut scan = log.reader.scan_commits(CommitNumber::FIRST, last);
        for (commit, number) in self.commits.iter().take(self.visible).zip(1_u64..) {
            for (batch, index) in commit.batches.iter().zip(0_u16..) {
                let found = scan.next().expect("reads").expect("there are more");
                assert_eq!(found.bytes, batch.bytes, "commit {number}");
                assert_eq!((found.commit.as_u64(), found.index_in_commit), (number, index));
                assert_eq!(found.arrival, commit.arrival);
                assert_eq!(found.first_position.as_u64(), batch.first_position);
                assert_eq!((found.status, found.event_count), (batch.status, batch.count));
            }
        }
        assert_eq!(scan.next().expect("reads"), None);
    }

    /// What is on disk is what the model says, to the last byte.
    pub fn verify(&self) {
        let log = self.log.as_ref().expect("open");
        let report = log
            .reader
            .verify(Limits::default(), &mut |_| ControlFlow::Continue(()))
            .expect("reads");
        assert_eq!(report.problems, []);
        assert_eq!(report.commits as usize, self.written);
        let batches = self.commits[..self.written].iter().flat_map(|commit| &commit.batches);
        assert_eq!(report.events, batches.map(|batch| u64::from(batch.count)).sum::<u64>());
    }

    /// Another process reads what is flushed, and nothing else.
    pub fn check_read_only(&self) -> Result<(), OpenError> {
        let flushed = self.commits[..self.flushed].last().map_or(0, |c| c.next_position - 1);
        let database = DatabaseId::from_bytes(DATABASE);
        let config = self.config.clone();
        let at = Position::new(flushed);
        let reader = LogReader::open(self.port(), "log", database, config, at)?;
        let mut scan = reader.scan(Position::NONE, at);
        let admitted = self.commits[..self.flushed].iter().flat_map(|commit| &commit.batches);
        for batch in admitted.filter(|batch| batch.status == BatchStatus::Admitted) {
            let found = scan.next().expect("reads").expect("there are more");
            assert_eq!(found.bytes, batch.bytes);
            assert_eq!(found.first_position.as_u64(), batch.first_position);
        }
        assert_eq!(scan.next().expect("reads"), None);
        Ok(())
    }

    /// A few random reads, against the model.
    pub fn check_some(&mut self) -> Result<(), Stop> {
        let positions = self.commits[..self.visible].last().map_or(1, |c| c.next_position);
        for _ in 0..4 {
            let position = self.random.below(positions);
            let outcome = self.check_position(position);
            self.stop_if_failed(outcome)?;
        }
        let from = self.random.below(positions);
        // What is beyond may be there or not: the log shows it when it likes.
        let to = (from + self.random.below(60)).min(positions - 1);
        let outcome = self.check_range(from, to);
        self.stop_if_failed(outcome)
    }

    fn stop_if_failed(&self, outcome: Result<(), ReadError>) -> Result<(), Stop> {
        match outcome {
            Ok(()) => Ok(()),
            Err(ReadError::Storage(_)) => Err(Stop::Failed),
            Err(error) => panic!("{error}"),
        }
    }

    fn find(&self, position: u64) -> Option<(&ModelCommit, &ModelBatch)> {
        self.commits[..self.visible].iter().find_map(|commit| {
            let batch = commit.batches.iter().find(|batch| {
                batch.status == BatchStatus::Admitted
                    && (batch.first_position..batch.first_position + u64::from(batch.count))
                        .contains(&position)
            })?;
            Some((commit, batch))
        })
    }

    fn check_position(&self, position: u64) -> Result<(), ReadError> {
        let reader = &self.log.as_ref().expect("open").reader;
        let at = Position::new(position);
        let mut buffer = EventBuffer::new();
        let Some((commit, batch)) = self.find(position) else {
            let outcome = reader.get(at, &mut buffer);
            return match outcome {
                Err(error @ ReadError::Storage(_)) => Err(error),
                Err(ReadError::NotFound { .. }) => Ok(()),
                other => panic!("{position}: {other:?}"),
            };
        };
        let (event, arrival) = reader.get(at, &mut buffer)?;
        assert_eq!(arrival, commit.arrival);
        let index = (position - batch.first_position) as usize;
        assert_eq!(event.key(), batch.keys[index]);
        assert_eq!(event.root(), batch.root);
        let mut bytes = Vec::new();
        let stored = reader.batch(at, &mut bytes)?;
        assert_eq!(stored.bytes, batch.bytes);
        assert_eq!(stored.first_position.as_u64(), batch.first_position);
        let known = self.commits[..self.visible].iter().rfind(|c| c.arrival <= commit.arrival);
        let known = known.map_or(0, |commit| commit.next_position - 1);
        // The reader may see more than was shown on purpose.
        let last = self.commits[..self.visible].last().map_or(0, |c| c.next_position - 1);
        assert_eq!(reader.position_known_at(commit.arrival)?.as_u64().min(last), known);
        Ok(())
    }

    fn check_range(&self, after: u64, to: u64) -> Result<(), ReadError> {
        let reader = &self.log.as_ref().expect("open").reader;
        let mut expected: Vec<u64> = self.commits[..self.visible]
            .iter()
            .flat_map(|commit| &commit.batches)
            .filter(|batch| {
                batch.status == BatchStatus::Admitted
                    && batch.first_position <= to
                    && batch.first_position + u64::from(batch.count) > after + 1
                    && after < to
            })
            .map(|batch| batch.first_position)
            .collect();
        let mut found = Vec::new();
        let mut scan = reader.scan(Position::new(after), Position::new(to));
        while let Some(batch) = scan.next()? {
            found.push(batch.first_position.as_u64());
        }
        assert_eq!(found, expected, "scan behind {after} to {to}");
        expected.reverse();
        found.clear();
        let mut scan = reader.scan_back(Position::new(after), Position::new(to));
        while let Some(batch) = scan.next()? {
            found.push(batch.first_position.as_u64());
        }
        assert_eq!(found, expected, "scan back from {to} to {after}");
        Ok(())
    }
}
