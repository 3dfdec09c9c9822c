//! Peers that send garbage, claim too much, break off: each hurts its own session at the most.

use std::time::Duration;

use crate::support::{
    World, address_of, append, append_sized, bare_endpoint, dial, held, node, open_config, told,
};
use iroh::Endpoint;
use iroh::endpoint::{Connection, ConnectionError};
use laterbase::Database;
use laterbase::sync::frame::{self, FrameLimits, Reason};
use laterbase::sync::{Session, SessionConfig};
use laterbase_iroh::{Node, NodeConfig, SyncError};

/// A good peer is served as ever.
async fn check_others(world: &mut World, name: &str, hub: &Node, events: usize) {
    let copy = world.copy(name);
    node(&copy).await.sync(hub.addr()).await.unwrap();
    assert_eq!(held(&copy).len(), events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_told_so_and_others_are_served() {
    let mut world = World::new();
    let one = world.copy("one");
    append(&one, "shipment", 0..20);
    let (hub, bad) = (node(&one).await, bare_endpoint().await);

    // A frame of a known kind with a body that makes no sense.
    let reasons = told(&bad, &hub, &[4, 1, 0xff, 0xff, 0xff], false).await;
    assert_eq!(reasons, [Reason::Malformed]);
    check_others(&mut world, "after-garbage", &hub, 20).await;

    // A frame that says that it is longer than any that is taken; the rest is not waited for.
    let reasons = told(&bad, &hub, &[0xff, 0xff, 0xff, 0xff, 0x0f], false).await;
    assert_eq!(reasons, [Reason::TooMuch]);
    check_others(&mut world, "after-length", &hub, 20).await;

    // Half a frame, and then the end.
    let reasons = told(&bad, &hub, &[100, 1, 2, 3], true).await;
    assert_eq!(reasons, [Reason::Malformed]);
    check_others(&mut world, "after-half", &hub, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_vanish_or_reset_leave_the_node_serving_others() {
    let mut world = World::new();
    let one = world.copy("one");
    append(&one, "shipment", 0..20);
    let (hub, bad) = (node(&one).await, bare_endpoint().await);

    let (connection, mut send, _recv) = dial(&bad, &hub).await;
    send.write_all(&[100, 1, 2]).await.unwrap();
    connection.close(77_u32.into(), b"gone");

    let (_connection, mut send, mut recv) = dial(&bad, &hub).await;
    send.write_all(&[100, 1, 2]).await.unwrap();
    send.reset(7_u32.into()).unwrap();
    recv.stop(7_u32.into()).unwrap();

    // A stream on which nothing ever comes, while others are served.
    let (_silent, mut send, _recv) = dial(&bad, &hub).await;
    send.write_all(&[100]).await.unwrap();

    check_others(&mut world, "good", &hub, 20).await;
}

/// Answers one session until some events are confirmed, and then cuts the connection.
async fn serve_and_cut(endpoint: &Endpoint, database: &Database, frames_max: u32) {
    let limits = FrameLimits::default();
    let config = SessionConfig { frame_bytes_target: 8 << 10, ..SessionConfig::default() };
    let connection = endpoint.accept().await.unwrap().await.unwrap();
    let (mut send, mut recv) = connection.accept_bi().await.unwrap();
    let mut port = database.sync_port().unwrap();
    let mut session = Session::responder(config);
    let mut inbox = Vec::new();
    let mut sent = 0;
    while session.progress().push_events == 0 {
        while let Some((first, rest)) = frame::split(&inbox, &limits).unwrap() {
            session.handle_frame(first, 0, &mut port);
            inbox = rest.to_vec();
        }
        while sent < frames_max
            && let Some(frame) = session.poll_frame(0, &mut port)
        {
            sent += 1;
            send.write_all(&frame).await.unwrap();
        }
        if session.progress().push_events == 0 {
            inbox.extend_from_slice(&recv.read_chunk(1 << 16).await.unwrap().unwrap());
        }
    }
    connection.close(77_u32.into(), b"cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_resumes_without_sending_everything_again() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append_sized(&one, "shipment", 0..200, 4 << 10);
    let (hub, cutting, here) = (node(&one).await, bare_endpoint().await, node(&two).await);

    let (error, ()) =
        tokio::join!(here.sync(address_of(&cutting)), serve_and_cut(&cutting, &one, 20));
    let error = error.unwrap_err();
    assert!(matches!(error, SyncError::Lost { .. }), "{error}");
    assert!(error.is_passing());
    let kept = held(&two).len();
    assert!(kept > 0 && kept < 200, "{kept} events before the cut");

    let report = here.sync(hub.addr()).await.unwrap();
    assert_eq!(report.progress.pull_events, 200 - kept as u64);
    assert!(report.progress.bytes_in < (200 - kept as u64) * (5 << 10));
    assert_eq!(held(&two), held(&one));
}

/// A node that serves one connection, and not for long.
async fn narrow(database: &Database, idle: Duration, session_max: Duration) -> Node {
    let config = NodeConfig {
        connections_max: 1,
        connections_per_peer_max: 1,
        idle,
        session_max,
        ..open_config()
    };
    Node::bind(database.clone(), config).await.unwrap()
}

const LONG: Duration = Duration::from_secs(60);
/// Between two tries with a peer that is busy.
const AGAIN: Duration = Duration::from_millis(50);
/// Between two bytes of a peer that takes for ever.
const DRIP: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_finds_all_places_taken_is_told_to_come_back() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append(&one, "shipment", 0..20);
    let (hub, bad) = (narrow(&one, LONG, LONG).await, bare_endpoint().await);

    // Half a frame keeps the only place.
    let (connection, mut send, _recv) = dial(&bad, &hub).await;
    send.write_all(&[100]).await.unwrap();
    let here = node(&two).await;
    let error = here.sync(hub.addr()).await.unwrap_err();
    assert!(matches!(error, SyncError::Busy), "{error}");
    assert!(error.is_passing());

    connection.close(77_u32.into(), b"gone");
    // The place is free as soon as the node has noticed, of which nobody is told.
    let mut tries = 0..100;
    while let Err(error) = here.sync(hub.addr()).await {
        assert!(matches!(error, SyncError::Busy), "{error}");
        assert!(tries.next().is_some(), "the place is not given back");
        tokio::time::sleep(AGAIN).await;
    }
    assert_eq!(held(&two).len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_says_nothing_more_is_given_up() {
    let mut world = World::new();
    let one = world.copy("one");
    let idle = Duration::from_millis(300);
    let (hub, bad) = (narrow(&one, idle, LONG).await, bare_endpoint().await);
    let (connection, mut send, _recv) = dial(&bad, &hub).await;
    send.write_all(&[100]).await.unwrap();
    assert_eq!(closed_with(&connection).await, TIMEOUT);

    // The side that dials gives up, too.
    let here = narrow(&one, idle, LONG).await;
    let there = address_of(&bad);
    let silent = async {
        let _connection = bad.accept().await.unwrap().await.unwrap();
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        done = here.sync(there) => done.unwrap_err(),
        () = silent => unreachable!(),
    };
    assert!(matches!(error, SyncError::Silent { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_for_ever_is_given_up() {
    let mut world = World::new();
    let one = world.copy("one");
    let max = Duration::from_millis(500);
    let (hub, bad) = (narrow(&one, LONG, max).await, bare_endpoint().await);
    let (connection, mut send, _recv) = dial(&bad, &hub).await;
    // A byte now and then of a frame that is long enough.
    let dripping = tokio::spawn(async move {
        while send.write_all(&[100]).await.is_ok() {
            tokio::time::sleep(DRIP).await;
        }
    });
    assert_eq!(closed_with(&connection).await, TIMEOUT);
    dripping.await.unwrap();
}

/// The code that a connection is closed with for want of patience.
const TIMEOUT: u64 = 4;

async fn closed_with(connection: &Connection) -> u64 {
    let closed = connection.closed().await;
    let ConnectionError::ApplicationClosed(close) = &closed else { panic!("{closed}") };
    close.error_code.into_inner()
}
