//! Subscriptions: catch-up then live, never a gap and never a duplicate.
//!
//! The mutants that these catch: skipping one position at the hand-over from catch-up to live,
//! going back to a position that was handed out, handing out what is not flushed yet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use laterbase::{Durability, NewEvent, Position, Query, Start};
use support::{Fixture, event, tag};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_subscriber_sees_each_event_once_while_writers_write() {
    let fixture = Fixture::new();
    let (writers, per_writer) = (4, 200);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let db = fixture.db.clone();
            scope.spawn(move || {
                for index in 0..per_writer {
                    let mut commit = db.commit();
                    commit.push(&NewEvent::new("log", format!("{writer}-{index}"), "x")).unwrap();
                    if index % 3 == 0 {
                        commit.durability(Durability::Buffered);
                    }
                    db.append(&mut commit).unwrap().wait().unwrap();
                }
            });
        }
        let mut subscription = fixture.db.subscribe(&Query::all(), Start::Beginning).unwrap();
        for expected in 1..=writers * per_writer {
            let event = subscription.next(SOON).unwrap().expect("an event in time");
            assert_eq!(event.position.as_u64(), expected);
        }
        assert_eq!(subscription.lag(), 0);
    });
}

#[test]
fn a_cursor_goes_on_where_the_subscription_stood() {
    let mut fixture = Fixture::new();
    for index in 0..50 {
        let root = if index % 2 == 0 { "a" } else { "b" };
        fixture.append(&NewEvent::new(root, "1", "x"));
    }
    let filter = Query::root("a".try_into().unwrap());
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let start = cursor.map_or(Start::Beginning, Start::After);
        let mut subscription = fixture.db.subscribe(&filter, start).unwrap();
        let before = seen.len();
        for _ in 0..3 {
            seen.extend(subscription.try_next().unwrap().map(|event| event.position.as_u64()));
        }
        cursor = Some(subscription.cursor());
        if seen.len() == before {
            break;
        }
        drop(subscription);
        fixture.reopen();
    }
    assert_eq!(seen, (0..25).map(|index| index * 2 + 1).collect::<Vec<u64>>());
}

#[test]
fn from_now_on_leaves_out_what_was_there() {
    let fixture = Fixture::new();
    fixture.append(&event("before"));
    let mut subscription = fixture.db.subscribe(&Query::all(), Start::Now).unwrap();
    assert_eq!(subscription.try_next().unwrap(), None);
    fixture.append(&event("after").tag(tag("truck:7")));
    let next = subscription.next(SOON).unwrap().unwrap();
    assert_eq!(next.event.type_name, "after");
}

#[test]
fn what_is_not_flushed_is_not_handed_out() {
    let fixture = Fixture::new();
    let mut subscription = fixture.db.subscribe(&Query::all(), Start::Beginning).unwrap();
    fixture.append_with(&event("relaxed"), Durability::Relaxed);
    assert_eq!(fixture.ids(&Query::all()).len(), 1, "local reads see it");
    assert_eq!(subscription.try_next().unwrap(), None);
    fixture.db.flush().unwrap();
    assert!(subscription.try_next().unwrap().is_some());
}

#[test]
fn a_waiting_task_is_woken() {
    struct Flag(mpsc::Sender<()>);
    impl std::task::Wake for Flag {
        fn wake(self: std::sync::Arc<Self>) {
            let _ = self.0.send(());
        }
    }
    let fixture = Fixture::new();
    let (sender, woken) = mpsc::channel();
    let waker = Waker::from(std::sync::Arc::new(Flag(sender)));
    let mut cx = Context::from_waker(&waker);
    let mut subscription = fixture.db.subscribe(&Query::all(), Start::Beginning).unwrap();
    assert!(subscription.poll_next(&mut cx).is_pending());
    fixture.append(&event("x"));
    woken.recv_timeout(SOON).unwrap();
    let Poll::Ready(next) = subscription.poll_next(&mut cx) else { panic!("still pending") };
    assert_eq!(next.unwrap().event.type_name, "x");
}

#[test]
fn a_cursor_of_another_copy_is_refused() {
    let (one, other) =
        (Fixture::with_clock(1_800_000_000_000), Fixture::with_clock(1_900_000_000_000));
    one.append(&event("x"));
    // The same random numbers made both: tell them apart by a restore-like new copy.
    let ahead = one.db.cursor();
    let error = other.db.subscribe(&Query::all(), Start::After(ahead)).unwrap_err();
    assert!(error.to_string().contains("cursor"), "{error}");
}

#[test]
fn a_wait_without_end_ends_with_the_event() {
    let fixture = Fixture::new();
    let first = fixture.append(&event("one")).id(0).unwrap();
    let mut subscription = fixture.db.subscribe(&Query::all(), Start::Beginning).unwrap();
    let found = subscription.next(Duration::MAX).unwrap().unwrap();
    assert_eq!(found.event.id, first);
    let flushed = fixture.db.wait_for_flushed(Position::NONE, Duration::MAX);
    assert_eq!(flushed, Some(found.position));
}
