//! What an entry costs on its way into the index, and what a question costs: `cargo bench
//! -p laterbase-index [-- [million entries] [fill]]`;
//! `fill` alone asks nothing.
//!
//! One process, one thread, files in the target directory. Nanoseconds that the thread was
//! running, where the system tells (Linux), so that neighbours disturb little; of wall time
//! otherwise. Numbers to compare with each other on one machine, not with other programs.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a benchmark may panic and prints")]

#[path = "../tests/world/mixed.rs"]
mod mixed;

use laterbase_event::Position;
use laterbase_index::{Entry, Family, IndexConfig, IndexWriter, PendingEntries, Progress, Range};
use laterbase_log::storage::FileStorage;
use mixed::mixed;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const BATCH: u64 = 1000;
const STREAMS: u64 = 50_000;
const REPLICA: u64 = 0x5eed_0123_4567_89ab;

/// How long this thread has been running.
fn now() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

static START: std::sync::LazyLock<std::time::Instant> =
    std::sync::LazyLock::new(std::time::Instant::now);

fn hlc(position: u64) -> u64 {
    ((1_700_000_000_000 + position / BATCH * 2) << 16) | (position % BATCH)
}

/// One event: its stream, two tags of its own kind, an idempotency key; per batch three more.
fn event(position: u64, batch: u64, mut add: impl FnMut(Family, Entry)) {
    let mut posting = |term: u64| {
        let hash = mixed(term, 1);
        add(Family::Posting, Entry::new(hash, hlc(position), (hash >> 7) as u16, position));
    };
    posting(mixed(position, 2) % STREAMS);
    posting((1 << 32) + mixed(position, 3) % 1000);
    posting((2 << 32) + position / 3);
    posting((3 << 32) + position);
    if position % batch == 1 {
        posting(4 << 32);
        posting((5 << 32) + position / batch % 20);
        let count = batch as u16;
        add(Family::Id, Entry::new(REPLICA, hlc(position), count, position));
        add(Family::Hlc, Entry::new(hlc(position), REPLICA, count, position));
        add(Family::Address, Entry::new(mixed(REPLICA, 9), position, count, position));
    }
    if position.is_multiple_of(20) {
        add(Family::Valid, Entry::new(position * 999, hlc(position), 0, position));
    }
}

fn main() {
    let millions: f64 = std::env::args().filter_map(|it| it.parse().ok()).next().unwrap_or(4.0);
    let events = (millions * 1e6 / 4.0) as u64;
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-index");
    let storage = Arc::new(FileStorage::create(&dir).expect("a directory"));
    let index = IndexWriter::create(storage, "index", IndexConfig::default()).expect("an index");
    let index = fill(index, events);
    if !std::env::args().any(|it| it == "fill") {
        ask(&index, events);
        small(index, events);
    }
    std::fs::remove_dir_all(&dir).expect("the directory");
}

fn fill(mut index: IndexWriter, events: u64) -> IndexWriter {
    let mut pending = PendingEntries::new();
    let (mut entries, mut absorbing, mut writing) = (0, Duration::ZERO, Duration::ZERO);
    let mut position = 1;
    while position <= events {
        for _ in 0..BATCH {
            event(position, BATCH, |family, entry| pending.push(family, entry));
            position += 1;
        }
        pending.set_upto(Position::new(position - 1));
        entries += pending.len();
        let start = now();
        index.absorb(&mut pending).expect("positions are right");
        let absorbed = now();
        index.maintain(20_000, Position::new(position - 1)).expect("the disk works");
        absorbing += absorbed - start;
        writing += now() - absorbed;
    }
    let start = now();
    while index.maintain(1 << 20, Position::new(events)).expect("works") == Progress::More {}
    index.write_out(Position::new(events)).expect("the disk works");
    writing += now() - start;
    let statistics = index.statistics();
    let each = |time: Duration| time.as_nanos() as f64 / entries as f64;
    println!("{events} events, {entries} entries, {} runs", statistics.runs);
    println!("absorb          {:8.1} ns an entry", each(absorbing));
    println!("write and merge {:8.1} ns an entry, syncs included", each(writing));
    println!("on disk         {:8.2} bytes an entry", statistics.run_bytes as f64 / entries as f64);
    println!("tables          {:8} bytes", statistics.table_bytes);
    index
}

fn ask(index: &IndexWriter, events: u64) {
    let snapshot = index.snapshot();
    let time = |name: &str, times: u64, ask: &mut dyn FnMut(u64)| {
        for i in 0..times / 4 {
            ask(i);
        }
        let start = now();
        for i in 0..times {
            ask(i);
        }
        println!("{name:30} {:8.1} ns", (now() - start).as_nanos() as f64 / times as f64);
    };
    time("last batch at or before an id", 200_000, &mut |i| {
        let at = hlc(mixed(i, 77) % events + 1);
        let (lo, hi) = (Entry::floor(REPLICA, 0), Entry::ceiling(REPLICA, at));
        black_box(snapshot.last(&Range::new(Family::Id, lo, hi)).expect("reads"));
    });
    time("absent term", 200_000, &mut |i| {
        let term = Range::term(Family::Posting, mixed(i, 12_345));
        black_box(snapshot.contains(&term).expect("reads"));
    });
    time("present term, of few", 200_000, &mut |i| {
        let term = mixed((3 << 32) + mixed(i % 500, 5) % events + 1, 1);
        black_box(snapshot.first(&Range::term(Family::Posting, term)).expect("reads"));
    });
    time("present term, of any", 200_000, &mut |i| {
        let term = mixed((3 << 32) + mixed(i, 5) % events + 1, 1);
        black_box(snapshot.first(&Range::term(Family::Posting, term)).expect("reads"));
    });
    time("count of a stream", 200_000, &mut |i| {
        let hash = mixed(mixed(i % 50, 6) % STREAMS, 1);
        let term = Range::term(Family::Posting, hash).with_extra((hash >> 7) as u16);
        black_box(snapshot.count(&term).expect("reads"));
    });
    time("count of a large term", 2_000, &mut |i| {
        let hash = mixed((1 << 32) + i % 1000, 1);
        let term = Range::term(Family::Posting, hash).with_extra((hash >> 7) as u16);
        black_box(snapshot.count(&term).expect("reads"));
    });
    let start = now();
    let (mut cursor, mut entries) = (snapshot.cursor(&Range::all(Family::Posting)), 0);
    while let Some(entry) = cursor.next().expect("reads") {
        black_box(entry);
        entries += 1;
    }
    let each = (now() - start).as_nanos() as f64 / f64::from(entries);
    println!("{:30} {each:8.1} ns an entry", "cursor over all postings");
}

fn small(mut index: IndexWriter, events: u64) {
    let mut pending = PendingEntries::new();
    let times = 20_000;
    let start = now();
    for position in events + 1..=events + times {
        event(position, 1, |family, entry| pending.push(family, entry));
        pending.set_upto(Position::new(position));
        index.absorb(&mut pending).expect("positions are right");
    }
    let each = (now() - start).as_nanos() as f64 / times as f64;
    println!("{:30} {each:8.1} ns", "absorb of one event");
    let snapshot = index.snapshot();
    println!("{:30} {:8}", "chunks then", snapshot.statistics().chunks);
    let start = now();
    for i in 0..200_000 {
        let term = Range::term(Family::Posting, mixed(i, 12_345));
        black_box(snapshot.contains(&term).expect("reads"));
    }
    let each = (now() - start).as_nanos() as f64 / 200_000.0;
    println!("{:30} {each:8.1} ns", "absent term, chunks included");
}
