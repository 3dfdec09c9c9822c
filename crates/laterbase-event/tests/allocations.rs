//! A warm builder, a warm cursor and a warm random access allocate nothing.
//!
//! Counts what the global allocator is asked for on this thread. Mutants caught when tried: making
//! the order of tags a new vector for each event; making the text of a group a new string.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod sample;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use laterbase_event::{
    BatchBuilder, BatchDirectory, BatchView, CauseDraft, DecodeScratch, EventDraft, Limits,
    Verifier,
};
use sample::stamp;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    COUNT.with(|count| count.set(count.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator cannot be written without it; tests only")]
// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` or `realloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the pointer came from `alloc` or `realloc` above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the allocator is asked while `run` runs for the third time.
fn warm_allocations(mut run: impl FnMut()) -> u64 {
    run();
    run();
    let before = COUNT.with(Cell::get);
    run();
    COUNT.with(Cell::get) - before
}

/// Fills a batch with events that differ in everything; tags and meta are not in order.
fn fill(batch: &mut BatchBuilder, keys: &[String]) {
    batch.clear();
    for (index, key) in keys.iter().enumerate() {
        let draft = EventDraft {
            version: u32::try_from(index % 7).unwrap(),
            valid_at: index.is_multiple_of(3).then_some(i64::try_from(index).unwrap()),
            tags: &[("truck", key), ("dock", "1"), ("truck", "0")],
            cause: match index {
                0 => CauseDraft::None,
                _ => CauseDraft::Back { distance: 1 },
            },
            idempotency: Some(key.as_bytes()),
            meta: &[("trace", key), ("actor", "ann")],
            content_type: "text/plain",
            payload: key.as_bytes(),
            ..EventDraft::new(key, "seen")
        };
        batch.push(&draft).unwrap();
    }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("key-{index}")).collect()
}

#[test]
fn the_counter_counts() {
    assert_eq!(warm_allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_warm_builder_allocates_nothing() {
    for count in [1, 100] {
        let keys = keys(count);
        let mut batch = sample::builder();
        let mut front = Vec::new();
        let allocations = warm_allocations(|| {
            fill(&mut batch, &keys);
            let body = batch.finish();
            front.clear();
            body.write_front(&body.stamp(&stamp()).unwrap(), &mut front);
        });
        assert_eq!(allocations, 0);
    }
}

#[test]
fn a_warm_cursor_allocates_nothing() {
    let mut batch = sample::builder();
    fill(&mut batch, &keys(100));
    let body = batch.finish();
    let mut bytes = Vec::new();
    body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
    let mut scratch = DecodeScratch::default();
    let allocations = warm_allocations(|| {
        let view = BatchView::parse(&bytes).unwrap();
        let mut events = view.events(&mut scratch).unwrap();
        while let Some(event) = events.next().unwrap() {
            assert_eq!((event.tags().count(), event.meta().count()), (3, 2));
        }
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_warm_verifier_allocates_nothing() {
    let mut batch = sample::builder();
    fill(&mut batch, &keys(100));
    let body = batch.finish();
    let mut bytes = Vec::new();
    body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
    let mut verifier = Verifier::new(Limits::default());
    let allocations = warm_allocations(|| {
        verifier.verify(&BatchView::parse(&bytes).unwrap()).unwrap();
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_warm_random_access_allocates_nothing() {
    let mut batch = sample::builder();
    fill(&mut batch, &keys(100));
    let body = batch.finish();
    let mut bytes = Vec::new();
    body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
    let directory = BatchDirectory::parse_prefix(&bytes).unwrap();
    let mut scratch = DecodeScratch::default();
    let allocations = warm_allocations(|| {
        for index in 0..100 {
            let group = directory.group_ranges(index).unwrap().envelopes;
            let event = directory.decode_event(index, &bytes[group], &mut scratch).unwrap();
            assert_eq!(event.index(), index);
        }
    });
    assert_eq!(allocations, 0);
}
