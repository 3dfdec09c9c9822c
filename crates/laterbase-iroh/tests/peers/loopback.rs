//! Replicas that sync over iroh on this machine, without relay, DNS or discovery.

use crate::support::{World, append, append_sized, held, node, open_config};
use laterbase::sync::SessionConfig;
use laterbase::sync::frame::Reason;
use laterbase_iroh::{Node, NodeConfig, SyncError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_with_events_on_both_sides_end_equal() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append(&one, "shipment", 0..300);
    append(&two, "truck", 0..200);
    let (near, far) = (node(&one).await, node(&two).await);

    let report = near.sync(far.addr()).await.unwrap();

    assert_eq!((report.progress.push_events, report.progress.pull_events), (300, 200));
    assert_eq!((report.lacked_here, report.lacked_there), (0, 0));
    assert_eq!(report.peer, Some(two.replica()));
    assert_eq!(held(&one).len(), 500);
    assert_eq!(held(&one), held(&two));
    near.close().await;
    far.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_equal_costs_two_small_frames() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append(&one, "shipment", 0..100);
    let (near, far) = (node(&one).await, node(&two).await);
    near.sync(far.addr()).await.unwrap();

    let again = near.sync(far.addr()).await.unwrap();

    assert_eq!(again.progress.pull_events + again.progress.push_events, 0);
    assert!(again.progress.bytes_out < 256, "{} bytes out", again.progress.bytes_out);
    assert!(again.progress.bytes_in < 256, "{} bytes in", again.progress.bytes_in);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_between_two_others_relays() {
    let mut world = World::new();
    let (one, two, three) = (world.copy("one"), world.copy("two"), world.copy("three"));
    append(&one, "shipment", 0..50);
    append(&three, "truck", 0..50);
    let (first, between) = (node(&one).await, node(&two).await);
    first.sync(between.addr()).await.unwrap();
    first.close().await;

    let last = node(&three).await;
    last.sync(between.addr()).await.unwrap();

    assert_eq!(held(&three).len(), 100);
    assert_eq!(held(&three), held(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sides_that_both_have_much_to_send_do_not_wait_for_each_other() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append_sized(&one, "shipment", 0..160, 64 << 10);
    append_sized(&two, "truck", 0..160, 64 << 10);
    let (near, far) = (node(&one).await, node(&two).await);

    let report = near.sync(far.addr()).await.unwrap();

    assert_eq!((report.progress.push_events, report.progress.pull_events), (160, 160));
    assert!(report.progress.bytes_out > 10 << 20);
    assert_eq!(held(&one), held(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_peers_at_once_are_served() {
    let mut world = World::new();
    let hub = world.copy("hub");
    append(&hub, "shipment", 0..50);
    let listening = node(&hub).await;
    let copies: Vec<_> = (0..4).map(|at| world.copy(&format!("copy-{at}"))).collect();
    let mut syncs = tokio::task::JoinSet::new();
    for (copy, root) in copies.iter().zip(["a", "b", "c", "d"]) {
        append(copy, root, 0..20);
        let (there, dialling) = (listening.addr(), node(copy).await);
        syncs.spawn(async move { dialling.sync(there).await.unwrap() });
    }
    while let Some(done) = syncs.join_next().await {
        done.unwrap();
    }
    assert_eq!(held(&hub).len(), 130);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_admitted_is_told_and_gets_nothing() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append(&one, "shipment", 0..10);
    let closed = Node::bind(one.clone(), NodeConfig::default()).await.unwrap();
    let stranger = node(&two).await;

    let error = stranger.sync(closed.addr()).await.unwrap_err();
    assert!(matches!(error, SyncError::NotAdmitted), "{error}");
    assert!(!error.is_passing());
    assert_eq!(held(&two).len(), 0);

    // The one that admits nobody may dial whom it likes.
    closed.sync(stranger.addr()).await.unwrap();
    assert_eq!(held(&two).len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_database_is_refused() {
    let (mut world, mut other) = (World::new(), World::new());
    let (one, two) = (world.copy("one"), other.copy("two"));
    append(&one, "shipment", 0..10);
    append(&two, "shipment", 0..10);
    let (near, far) = (node(&one).await, node(&two).await);

    let error = near.sync(far.addr()).await.unwrap_err();

    let (SyncError::Left { bye } | SyncError::Refused { bye }) = error else { panic!("{error}") };
    assert_eq!(bye.reason, Reason::Database);
    assert_eq!(held(&one).len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_windows_and_frames_come_through() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append(&one, "shipment", 0..500);
    let session = SessionConfig {
        window_bytes: 4 << 10,
        optimistic_bytes: 0,
        want_bytes_max: 8 << 10,
        frame_bytes_target: 1 << 10,
        ..SessionConfig::default()
    };
    let config = NodeConfig { session, ..open_config() };
    let near = Node::bind(one.clone(), config.clone()).await.unwrap();
    let far = Node::bind(two.clone(), config).await.unwrap();
    near.sync(far.addr()).await.unwrap();
    assert_eq!(held(&one), held(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_node_leaves_the_database_alone() {
    let mut world = World::new();
    let (one, two) = (world.copy("one"), world.copy("two"));
    append(&one, "shipment", 0..10);
    let (near, far) = (node(&one).await, node(&two).await);
    near.sync(far.addr()).await.unwrap();
    near.close().await;
    far.close().await;
    two.close().unwrap();
    assert_eq!(held(&world.reopen("two")).len(), 10);
}
