//! The whole application: a hub, a truck and a depot as processes of their own, of which two are
//! cut off from the hub for a while, and scans that come late.
//!
//! Caught here: a late event that does not re-base a shipment or the board, an old answer that
//! changes when more is learnt, a change that a live client is told twice or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod fleet;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet::{Follower, Node, Proxy, until};
use serde_json::{Value, json};

/// Rows by key, through all pages.
fn rows(node: &Node, path: &str, more: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = node.get(&format!("{path}?limit=7{more}{after}"));
        for row in page["rows"].as_array().unwrap() {
            let key = row["key"].as_str().unwrap().to_owned();
            assert!(row.get("problem").is_none(), "{row}");
            all.insert(key, row["state"].clone());
        }
        let Some(next) = page["next"].as_str() else { return all };
        after = format!("&after={next}");
    }
}

fn shipments(node: &Node, more: &str) -> BTreeMap<String, Value> {
    rows(node, "/a/shipment", more)
}

fn board(node: &Node, more: &str) -> BTreeMap<String, Value> {
    rows(node, "/default/board", more)
}

/// What a shipment and the board come to, from all events in the order in which they happened:
/// written down once more, in the plainest way.
fn from_scratch(node: &Node) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let mut shipments: BTreeMap<String, Value> = BTreeMap::new();
    let mut holders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in node.lines("/e/shipment?order=valid") {
        let key = event["key"].as_str().unwrap().to_owned();
        let data = &event["data"];
        let shipment = shipments.entry(key.clone()).or_insert_with(|| {
            json!({ "route": null, "custody": null, "chain": [], "place": null, "scans": 0,
                "delivered": false })
        });
        match event["type"].as_str().unwrap() {
            "booked" => shipment["route"] = data.clone(),
            "handed_over" => {
                let to = data["to"].as_str().unwrap();
                shipment["custody"] = json!(to);
                shipment["chain"].as_array_mut().unwrap().push(json!(to));
                if let Some(from) = data["from"].as_str() {
                    holders.entry(from.to_owned()).or_default().remove(&key);
                }
                holders.entry(to.to_owned()).or_default().insert(key);
            }
            "scanned" => {
                shipment["place"] = data["place"].clone();
                shipment["scans"] = json!(shipment["scans"].as_u64().unwrap() + 1);
            }
            "delivered" => {
                shipment["delivered"] = json!(true);
                shipment["custody"] = json!(null);
            }
            other => panic!("{other} is no event of this test"),
        }
    }
    holders.retain(|_, shipments| !shipments.is_empty());
    let holders = holders.into_iter().map(|(holder, has)| (holder, json!(has)));
    (shipments, holders.collect())
}

/// Books shipments at the hub, and hands them to the depot.
fn book(hub: &Node, count: usize) {
    let mut events = Vec::new();
    for number in 0..count {
        let key = format!("S{number:02}");
        events.push(json!({ "key": key, "type": "booked", "valid_at": at(8, 0),
            "data": { "from": "Rotterdam", "to": "Dresden" } }));
        events.push(json!({ "key": key, "type": "handed_over", "valid_at": at(9, 0),
            "data": { "to": "depot rtm" } }));
    }
    hub.post("/e/shipment", &json!(events));
}

/// A time of the day in question.
fn at(hour: u32, minute: u32) -> String {
    format!("2026-03-02T{hour:02}:{minute:02}:00Z")
}

fn event_count(node: &Node) -> u64 {
    node.get("/db/default")["events"].as_u64().unwrap()
}

/// What is recorded while truck and depot have no network.
fn record_apart(hub: &Node, truck: &Node, depot: &Node) {
    for number in 0..8 {
        let taken = json!({ "key": format!("S{number:02}"), "type": "handed_over",
            "valid_at": at(10, number), "data": { "from": "depot rtm", "to": "truck 7" } });
        truck.post("/e/shipment", &taken);
        let reading = match number % 2 {
            0 => json!({ "key": "7", "type": "read", "version": 1, "valid_at": at(11, number),
                "data": { "celsius": 4.5 + f64::from(number), "door_open": false } }),
            _ => json!({ "key": "7", "type": "read", "version": 2, "valid_at": at(11, number),
                "data": { "millicelsius": 1000 * number, "door_open": number % 4 == 1 } }),
        };
        truck.post("/e/truck", &reading);
    }
    // Scans of the morning, which the depot's scanner hands over in the evening.
    let scans: Vec<Value> = (0..20)
        .map(|number| {
            json!({ "key": format!("S{number:02}"), "type": "scanned",
                "valid_at": at(9, 10 + number % 30),
                "data": { "place": format!("gate {number}") } })
        })
        .collect();
    depot.post("/e/shipment", &json!(scans));
    // The hub thinks that the depot has them all, and has one delivered.
    hub.post(
        "/e/shipment",
        &json!([
            { "key": "S19", "type": "handed_over", "valid_at": at(12, 0),
              "data": { "from": "depot rtm", "to": "truck 9" } },
            { "key": "S19", "type": "scanned", "valid_at": at(13, 0),
              "data": { "place": "Dresden" } },
            { "key": "S19", "type": "delivered", "valid_at": at(13, 5), "data": {} },
        ]),
    );
}

/// What the clock must have moved on by for two moments to be told apart.
const APART: Duration = Duration::from_millis(20);

/// The time by the clock that all copies of this test share, with a pause before and behind it.
fn moment_apart() -> String {
    std::thread::sleep(APART);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    std::thread::sleep(APART);
    laterbase_cli::time::Clockface::utc().format(i64::try_from(now.as_micros()).unwrap())
}

#[test]
fn three_copies_agree_on_every_state_now_and_then() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Node::create(folder.path(), "hub", None);
    let (to_truck, to_depot) = (Proxy::new(hub.address), Proxy::new(hub.address));
    let truck = Node::create(folder.path(), "truck", Some(to_truck.address));
    let depot = Node::create(folder.path(), "depot", Some(to_depot.address));
    book(&hub, 20);
    for node in [&truck, &depot] {
        until("the copies have what was booked", || event_count(node) >= 40);
    }

    to_truck.cut();
    to_depot.cut();
    let mut of_shipments = Follower::new(&hub, "/a/shipment");
    let mut of_board = Follower::new(&hub, "/db/default/v/board");
    of_shipments.until_ready();
    of_board.until_ready();
    record_apart(&hub, &truck, &depot);

    // Before the reconnect: what the hub knows then, by the clock and as a version vector.
    let moment = moment_apart();
    let vector = hub.get("/db/default")["vv"].as_str().unwrap().to_owned();
    let known = (shipments(&hub, ""), board(&hub, ""));
    assert_eq!(known.0["S03"]["custody"], "depot rtm");
    assert_eq!(known.1["depot rtm"].as_array().unwrap().len(), 19);

    to_truck.heal();
    to_depot.heal();
    let all = 40 + 16 + 20 + 3;
    for node in [&hub, &truck, &depot] {
        until("all copies hold everything", || event_count(node) >= all);
    }

    // Now: every copy has what a fold from scratch has.
    let expected = from_scratch(&hub);
    assert_eq!(expected.0["S03"]["custody"], "truck 7");
    for node in [&hub, &truck, &depot] {
        assert_eq!((shipments(node, ""), board(node, "")), expected);
    }
    let seven = hub.get("/a/truck/7");
    assert_eq!(seven["state"]["readings"], 8);
    assert_eq!(seven["state"]["millicelsius_max"], 10_500);
    assert_eq!(seven["state"]["door_opened"], 2);

    // Then: the hub as of a moment before the reconnect, and the same cut on another copy.
    let then = format!("&as_of={moment}");
    assert_eq!((shipments(&hub, &then), board(&hub, &then)), known);
    let cut = format!("&as_of={vector}");
    for node in [&hub, &truck, &depot] {
        assert_eq!((shipments(node, &cut), board(node, &cut)), known);
    }
    // Both axes: what had happened by 9:15, as the hub knew it, and as is known now.
    let early = format!("&valid_at={}", at(9, 15));
    assert_eq!(shipments(&hub, &format!("{then}{early}"))["S03"]["scans"], 0);
    assert_eq!(shipments(&hub, &early)["S03"]["scans"], 1);
    assert_eq!(shipments(&hub, &early)["S19"]["scans"], 0);

    // Live: each change once, and the last word is the state of now.
    hub.post(
        "/e/shipment",
        &json!({ "key": "LAST", "type": "handed_over", "data": { "to": "nobody else" } }),
    );
    of_shipments.assert_told_once(&expected.0, "LAST");
    of_board.assert_told_once(&expected.1, "nobody else");
}

#[test]
fn the_programs_rules_hold_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Node::create(folder.path(), "hub", None);
    let (status, told) = hub.try_post(
        "/e/shipment",
        &json!([
            { "key": "S1", "type": "handed_over", "data": { "to": "truck 7" } },
            { "key": "S2", "type": "handed_over", "data": {} },
        ]),
    );
    assert_eq!(status, 422);
    assert!(told.to_string().contains("who has it now"), "{told}");
    assert_eq!(event_count(&hub), 0);
    // A version that nobody can bring up to date hurts this truck alone.
    hub.post("/e/truck", &json!({ "key": "1", "type": "read", "version": 1, "data": {} }));
    let fine = json!({ "key": "2", "type": "read", "version": 2, "data": { "millicelsius": 1 } });
    hub.post("/e/truck", &fine);
    let (status, problem) = hub.try_get("/a/truck/1");
    assert_eq!((status, &problem["type"]), (500, &json!("/problems/not-folded")));
    assert!(problem["detail"].as_str().unwrap().contains("no `celsius`"), "{problem}");
    assert_eq!(hub.get("/a/truck/2")["state"]["readings"], 1);
    let both = hub.get("/a/truck");
    assert_eq!(both["rows"].as_array().unwrap().len(), 2);
    assert_eq!(both["rows"][0]["problem"]["type"], "/problems/not-folded");
}
