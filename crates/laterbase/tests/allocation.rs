//! Appends allocate nothing once they are warm: not on the caller's thread, not on the commit
//! thread.
//!
//! A counting allocator counts per thread. The caller that waits commits by itself, so its thread
//! is the commit thread too. The index and maintenance threads may allocate: they run behind. Left
//! out: the change to the next segment, every 64 MiB, which opens a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use laterbase::{Commit, Database, EventDraft, Options};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "a global allocator is unsafe to implement; this one only counts")]
// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

fn push(commit: &mut Commit, from: u64, count: u64) {
    use std::io::Write;
    for index in from..from + count {
        let (mut key, mut tag) = ([b'0'; 12], [b'0'; 9]);
        write!(key.as_mut_slice(), "{index:012}").unwrap();
        write!(tag.as_mut_slice(), "{:09}", index % 977).unwrap();
        let key = std::str::from_utf8(&key).unwrap();
        let tags = [("truck", std::str::from_utf8(&tag).unwrap())];
        let draft = EventDraft {
            tags: &tags,
            valid_at: Some(i64::try_from(index).unwrap()),
            content_type: "application/json",
            payload: &[b'x'; 160],
            ..EventDraft::new(key, "scanned")
        };
        commit.push_draft("shipment", &draft).unwrap();
    }
}

/// Appends so many events; answers the allocations of this thread meanwhile.
fn run(db: &Database, commit: &mut Commit, batch: u64, events: u64, at: &mut u64) -> u64 {
    let before = allocations();
    let end = *at + events;
    while *at < end {
        commit.clear();
        push(commit, *at, batch);
        db.append(commit).unwrap().wait().unwrap();
        *at += batch;
    }
    allocations() - before
}

/// Small, so that ten rotations are soon done; in entries of 24 bytes.
const MEMTABLE_ENTRIES: u64 = 4 * 1024;

/// Entries that were moved from memtables into runs.
fn rotated(db: &Database) -> u64 {
    db.statistics().unwrap().index.run_entries
}

#[test]
fn warm_appends_allocate_nothing() {
    let mut options = Options::default();
    options.index.memtable_bytes = usize::try_from(MEMTABLE_ENTRIES).unwrap() * 24;
    // So that all of its chunks are made during the warm-up.
    options.log.chunk_bytes = 64 << 10;
    options.log.ring_bytes = 512 << 10;
    let fixture = support::Fixture::with_options(1_800_000_000_000, options);
    let mut commit = fixture.db.commit();
    let mut at = 0;
    for (batch, events) in [(1, 8_000), (100, 50_000)] {
        // Until the ring of written chunks is full, too.
        run(&fixture.db, &mut commit, batch, events / 2, &mut at);
        let before = rotated(&fixture.db);
        let allocated = run(&fixture.db, &mut commit, batch, events, &mut at);
        assert_eq!(allocated, 0, "in {} appends of {batch}", events / batch);
        let rotations = (rotated(&fixture.db) - before) / MEMTABLE_ENTRIES;
        assert!(rotations >= 10, "the memtable was rotated {rotations} times only");
    }
}
