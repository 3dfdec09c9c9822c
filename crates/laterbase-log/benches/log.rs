//! What the log alone can do, beside the bare device: run with `cargo bench -p laterbase-log`.
//!
//! `LATERBASE_BENCH_DIR` names the directory (never one in memory); `LATERBASE_BENCH_EVENTS` the
//! events per part, `LATERBASE_BENCH_PART` one part (`lone`, `batches`). Numbers are medians of
//! five rounds, each beside the device's own.

#![allow(clippy::print_stdout, clippy::expect_used, missing_docs, reason = "a benchmark")]

use laterbase_event::{
    BatchBuilder, BatchHeader, DatabaseId, EventDraft, Hash, Hlc, Position, ReplicaId, RootName,
    Stamp,
};
use laterbase_log::storage::{FileStorage, OpenMode, Storage};
use laterbase_log::{BatchRole, BatchStatus, EventBuffer, Log, LogConfig, StagedBatch, Sync};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAYLOAD_BYTES: usize = 188;

fn main() {
    let dir =
        std::env::var_os("LATERBASE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join("laterbase-log-bench");
    let events = std::env::var("LATERBASE_BENCH_EVENTS").ok().and_then(|n| n.parse().ok());
    let events: u64 = events.unwrap_or(1_000_000);
    let part = std::env::var("LATERBASE_BENCH_PART").unwrap_or_default();
    if part != "batches" {
        for direct in [true, false] {
            let config = LogConfig { direct, ..LogConfig::default() };
            lone_commits(&dir, &config);
        }
    }
    if part != "lone" {
        batches(&dir, events);
    }
    let _ = std::fs::remove_dir_all(&dir);
}

struct Feed {
    builder: BatchBuilder,
    header: Vec<u8>,
    clock: u64,
}

impl Feed {
    fn new() -> Self {
        let root = RootName::try_from("shipment").expect("a root");
        Self { builder: BatchBuilder::new(root), header: Vec::new(), clock: 1_700_000_000_000 }
    }

    fn fill(&mut self, count: u32) {
        self.builder.clear();
        for index in 0..count {
            let mut payload = [b'x'; PAYLOAD_BYTES];
            for (place, byte) in payload.iter_mut().zip(format!("{{\"n\":{index},").bytes()) {
                *place = byte;
            }
            let key = format!("SHP-{:07}", index * 7919 % 100_000);
            let draft =
                EventDraft { payload: &payload, ..EventDraft::new(key.as_str(), "scanned") };
            self.builder.push(&draft).expect("fits");
        }
    }

    fn stage(&mut self, log: &mut Log) -> bool {
        let replica = ReplicaId::from_u64(1);
        let head = log.front.heads().get(&replica, "shipment").copied();
        let body = self.builder.finish();
        let (seq, previous) = head.map_or((0, Hash::ZERO), |head| (head.seq, head.hash));
        self.clock += 1;
        let first_hlc = Hlc::new(self.clock, 0);
        let header: BatchHeader = body
            .stamp(&Stamp {
                database: DatabaseId::from_bytes([1; 16]),
                replica,
                first_seq: seq + 1,
                first_hlc,
                commit_hlc: first_hlc,
                part: 0,
                parts: 1,
                previous,
            })
            .expect("a stamp");
        self.header.clear();
        let hash = body.write_front(&header, &mut self.header);
        let staged = StagedBatch {
            replica,
            root: "shipment",
            first_seq: seq + 1,
            event_count: u16::try_from(body.count).expect("few"),
            last_hlc: header.last_hlc(),
            previous,
            hash,
            status: BatchStatus::Admitted,
            role: BatchRole::Continues,
            pieces: [&self.header, body.envelopes, body.payloads, &[]],
        };
        log.front.stage(first_hlc, &[staged]).is_ok()
    }
}

fn storage(dir: &Path) -> Arc<dyn Storage> {
    let _ = std::fs::remove_dir_all(dir);
    Arc::new(FileStorage::create(dir).expect("a directory"))
}

fn create(dir: &Path, config: &LogConfig) -> Log {
    let database = DatabaseId::from_bytes([1; 16]);
    Log::create(storage(dir), "log", database, config.clone(), 42).expect("a log")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// One event per commit, beside a bare write and sync of one block in a file of the same kind.
fn lone_commits(dir: &Path, config: &LogConfig) {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        bare.push(bare_commits(dir, config));
        ours.push(log_commits(dir, config));
    }
    let (bare, ours) = (median(bare), median(ours));
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    println!("one event, direct {}: device {bare:?}, log {ours:?}, {ratio:.2}", config.direct);
}

fn bare_commits(dir: &Path, config: &LogConfig) -> Duration {
    let storage = storage(dir);
    let mode = if config.direct { OpenMode::CREATE.with_direct() } else { OpenMode::CREATE };
    let file = storage.open("bare", mode).expect("a file");
    let mut block = laterbase_log::storage::AlignedBuffer::new();
    block.resize(1 << 20);
    for index in 0..16 {
        file.write_at(index << 20, &block).expect("writes");
    }
    file.sync().expect("syncs");
    block.truncate(4096);
    let mut times = Vec::new();
    for index in 0..1500_u64 {
        let start = Instant::now();
        file.write_at(index * 4096, &block).expect("writes");
        file.sync().expect("syncs");
        times.push(start.elapsed());
    }
    median(times)
}

fn log_commits(dir: &Path, config: &LogConfig) -> Duration {
    let mut log = create(dir, config);
    let mut feed = Feed::new();
    let mut times = Vec::new();
    for _ in 0..1500 {
        feed.fill(1);
        let start = Instant::now();
        feed.stage(&mut log);
        let group = log.front.take_group(Sync::Flush).expect("a group");
        log.writer.commit(group).expect("commits");
        times.push(start.elapsed());
    }
    median(times)
}

fn batches(dir: &Path, events: u64) {
    for count in [100_u32, 1000, 10_000] {
        let mut rates = Vec::new();
        for _ in 0..3 {
            let mut log = create(dir, &LogConfig::default());
            rates.push(append(&mut log, events, count));
        }
        println!(
            "batches of {count}: {:.2} M events/s",
            events as f64 / median(rates).as_secs_f64() / 1e6
        );
    }
    let mut log = create(dir, &LogConfig::default());
    append(&mut log, events, 1000);
    drop(log);
    let database = DatabaseId::from_bytes([1; 16]);
    let files: Arc<dyn Storage> = Arc::new(FileStorage::open(dir).expect("a directory"));
    let start = Instant::now();
    let mut log = Log::open(files, "log", database, LogConfig::default(), 43).expect("opens");
    println!("open after kill: {:?}", start.elapsed());
    reads(&log, events, "hot");
    let start = Instant::now();
    log.maintenance.seal_all().expect("seals");
    let seconds = start.elapsed().as_secs_f64();
    let segments = log.reader.segments().expect("segments");
    let raw: u64 = segments.iter().map(|segment| segment.stream_bytes).sum();
    let stored: u64 = segments.iter().filter(|s| s.sealed).map(|s| s.file_bytes).sum();
    println!("sealed {:.0} MB/s, to {:.3}", raw as f64 / seconds / 1e6, stored as f64 / raw as f64);
    reads(&log, events, "sealed");
}

/// Appends so many events; batches of the same bytes, so that only the log is measured.
fn append(log: &mut Log, events: u64, count: u32) -> Duration {
    let mut feed = Feed::new();
    feed.fill(count);
    // Each batch is one commit and one group: what a single writer gets.
    let start = Instant::now();
    let mut hashing = Duration::ZERO;
    for _ in 0..events / u64::from(count) {
        let hash_start = Instant::now();
        let _ = feed.builder.finish();
        hashing += hash_start.elapsed();
        assert!(feed.stage(log));
        let group = log.front.take_group(Sync::Flush).expect("a group");
        log.writer.commit(group).expect("commits");
        let _ = log.maintenance.step(0, &mut |_| false);
    }
    // `finish` runs twice; count neither.
    start.elapsed().saturating_sub(2 * hashing)
}

fn reads(log: &Log, events: u64, form: &str) {
    let mut rates = Vec::new();
    for _ in 0..3 {
        let start = Timer::start();
        let mut scan = log.reader.scan(Position::NONE, Position::new(events));
        let mut scratch = laterbase_event::DecodeScratch::default();
        let (mut found, mut sum) = (0_u64, 0_u64);
        while let Some(batch) = scan.next().expect("reads") {
            let view = batch.view().expect("a batch");
            let mut cursor = view.events(&mut scratch).expect("events");
            while let Some(event) = cursor.next().expect("an event") {
                found += 1;
                sum += event.payload().iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
        }
        assert!(found == events && sum > 0);
        rates.push(start.elapsed());
    }
    report(form, "scan", events, rates);
    let mut rates = Vec::new();
    for _ in 0..3 {
        let start = Timer::start();
        let mut scan = log.reader.scan(Position::NONE, Position::new(events));
        while let Some(batch) = scan.next().expect("reads") {
            assert!(!batch.bytes.is_empty());
        }
        rates.push(start.elapsed());
    }
    report(form, "scan of batches", events, rates);
    let mut buffer = EventBuffer::new();
    let mut rates = Vec::new();
    let mut at = 1_u64;
    for _ in 0..3 {
        let start = Timer::start();
        for _ in 0..200_000 {
            at = (at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)) % events;
            let (event, _) = log.reader.get(Position::new(at + 1), &mut buffer).expect("an event");
            assert_eq!(event.payload().len(), PAYLOAD_BYTES);
        }
        rates.push(start.elapsed());
    }
    report(form, "get", 200_000, rates);
}

/// Wall time and, where the system tells, the time on a processor: they differ on a busy machine.
struct Timer {
    wall: Instant,
    processor_ns: u64,
}

impl Timer {
    fn start() -> Self {
        Self { wall: Instant::now(), processor_ns: processor_ns() }
    }

    fn elapsed(&self) -> (Duration, Duration) {
        let spent = processor_ns().saturating_sub(self.processor_ns);
        (self.wall.elapsed(), Duration::from_nanos(spent))
    }
}

fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn report(form: &str, what: &str, count: u64, rounds: Vec<(Duration, Duration)>) {
    let wall = median(rounds.iter().map(|round| round.0).collect());
    let processor = median(rounds.iter().map(|round| round.1).collect());
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!("{form}: {what} {:.3} us each, {:.3} us on a processor", each(wall), each(processor));
}
