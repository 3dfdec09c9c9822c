//! Many threads on one database: group commit, exact conditions, tickets as futures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use laterbase::{AppendError, Durability, Expected, NewEvent, Order, Query};
use support::{Fixture, event};

#[test]
fn every_acknowledged_event_of_many_threads_is_there_once() {
    let fixture = Fixture::new();
    let (threads, per_thread) = (16, 50);
    let ids = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let db = fixture.db.clone();
                scope.spawn(move || {
                    let mut commit = db.commit();
                    (0..per_thread)
                        .map(|index| {
                            commit.clear();
                            let key = format!("{thread}-{index}");
                            commit.push(&NewEvent::new("log", key, "x")).unwrap();
                            db.append(&mut commit).unwrap().wait().unwrap().id(0).unwrap()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(ids.len(), threads * per_thread);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "no id twice");
    assert!(fixture.db.get_many(&ids).unwrap().missing.is_empty());
    let arrival = fixture.ids(&Query::all().order(Order::Arrival));
    assert_eq!(arrival, fixture.ids(&Query::all()), "one replica: arrival order is id order");
    assert_eq!(arrival.len(), ids.len());
}

/// Catches deciding on a snapshot without looking at what was staged since.
#[test]
fn of_all_who_expect_a_version_one_wins_each_time() {
    let fixture = Fixture::new();
    let (threads, rounds) = (8_u64, 25_u64);
    let wins: u64 = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                let db = fixture.db.clone();
                scope.spawn(move || {
                    let mut wins = 0;
                    loop {
                        let version = db.stream_version("shipment", "1").unwrap();
                        if version >= rounds {
                            return wins;
                        }
                        let mut commit = db.commit();
                        commit.push(&event("claimed")).unwrap();
                        let (root, key) = ("shipment".try_into().unwrap(), "1".try_into().unwrap());
                        commit.expect(root, key, Expected::At(version));
                        match db.append(&mut commit) {
                            Ok(ticket) => {
                                ticket.wait().unwrap();
                                wins += 1;
                            }
                            Err(AppendError::VersionMismatch { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    });
    assert_eq!(wins, rounds);
    assert_eq!(fixture.db.stream_version("shipment", "1").unwrap(), rounds);
}

#[test]
fn one_idempotency_key_on_many_threads_records_once() {
    let fixture = Fixture::new();
    let ids: HashSet<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..8)
            .map(|_| {
                let db = fixture.db.clone();
                scope.spawn(move || {
                    let mut commit = db.commit();
                    commit.push(&event("paid").idempotency_key("k")).unwrap();
                    db.append(&mut commit).unwrap().wait().unwrap().id(0).unwrap()
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
    assert_eq!(fixture.ids(&Query::all()).len(), 1);
}

struct Signal(mpsc::Sender<()>);

impl Wake for Signal {
    fn wake(self: std::sync::Arc<Self>) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_ticket_is_a_future() {
    let fixture = Fixture::new();
    let (sender, woken) = mpsc::channel();
    let waker = Waker::from(std::sync::Arc::new(Signal(sender)));
    let mut cx = Context::from_waker(&waker);
    let mut commit = fixture.db.commit();
    commit.push(&event("x")).unwrap();
    let mut ticket = pin!(fixture.db.append(&mut commit).unwrap());
    let appended = loop {
        match ticket.as_mut().poll(&mut cx) {
            Poll::Ready(done) => break done.unwrap(),
            Poll::Pending => woken.recv_timeout(Duration::from_secs(20)).unwrap(),
        }
    };
    assert_eq!(fixture.ids(&Query::all()), [appended.id(0).unwrap()]);
}

#[test]
fn a_dropped_ticket_is_written_all_the_same() {
    let mut fixture = Fixture::new();
    let mut subscription =
        fixture.db.subscribe(&Query::all(), laterbase::Start::Beginning).unwrap();
    let mut commit = fixture.db.commit();
    commit.push(&event("x")).unwrap();
    drop(fixture.db.append(&mut commit).unwrap());
    assert!(subscription.next(Duration::from_secs(20)).unwrap().is_some(), "flushed by the thread");
    drop(subscription);
    fixture.reopen();
    assert_eq!(fixture.ids(&Query::all()).len(), 1);
}

#[test]
fn buffered_appends_are_flushed_within_their_interval() {
    let fixture = Fixture::new();
    let mut subscription =
        fixture.db.subscribe(&Query::all(), laterbase::Start::Beginning).unwrap();
    fixture.append_with(&event("x"), Durability::Buffered);
    assert!(subscription.next(Duration::from_secs(20)).unwrap().is_some());
}
