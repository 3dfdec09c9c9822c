//! A server as a program puts it together: several databases, validators, and names that are none.

use std::path::Path;

use laterbase::{Aggregate, ApplyError, Database, FoldEvent, NewEvent, Options, Validators, View};
use laterbase_server::{Databases, ListenError, Listening, Server, ServerConfig, check_address};
use serde_json::{Value, json};

use crate::support::Running;

/// How many events there are.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
struct Shipment(u64);

impl Aggregate for Shipment {
    fn apply(&mut self, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0 += 1;
        Ok(())
    }
}

/// How many events there are by type.
#[derive(Clone, Default)]
struct Board;

impl View for Board {
    type Row = u64;

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        touch(event.type_name());
    }

    fn apply(&self, row: &mut u64, _: &str, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
        *row += 1;
        Ok(())
    }
}

const JSON: &str = "content-type: application/json";

fn database(directory: &Path) -> Database {
    Database::create(directory, Options::default()).unwrap()
}

fn post(server: &Running, path: &str, type_name: &str) -> u16 {
    let event = json!({ "type": type_name, "key": "1", "data": 1 }).to_string();
    server.ask("POST", path, &[JSON], event.as_bytes()).0
}

#[test]
fn a_server_is_put_together_of_databases_and_what_it_shows_of_them() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let yard = database(two.path());
    let server = Server::new(database(one.path()))
        .database("yard", yard.clone())
        .config(ServerConfig { databases_max: 2, ..ServerConfig::default() })
        .aggregate::<Shipment>("shipment")
        .view::<Board>("board")
        .validator(|event| match event.type_name {
            "lost" => Err("nothing is lost".to_owned()),
            _ => Ok(()),
        });
    let server = Running::listening(server, Databases::default());
    assert_eq!(post(&server, "/e/shipment", "sent"), 201);
    assert_eq!(post(&server, "/db/yard/e/shipment", "sent"), 201);
    assert_eq!(post(&server, "/e/shipment", "lost"), 422);
    assert_eq!(post(&server, "/db/yard/e/shipment", "lost"), 422);
    for path in ["/a/shipment/1", "/db/yard/a/shipment/1", "/default/board", "/yard/board"] {
        let (status, text) = server.ask("GET", path, &[], b"");
        assert_eq!(status, 200, "{path}: {text}");
    }
    let (_, text) = server.ask("GET", "/db", &[], b"");
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(listed["databases"][1]["name"], "yard");
    // Clients make none: there is no directory for them.
    assert_eq!(server.ask("PUT", "/db/more", &[], b"").0, 409);
    // The program's own appends are looked at, too.
    let mut commit = yard.commit();
    assert!(commit.push(&NewEvent::new("shipment", "1", "lost")).is_err());
}

#[test]
fn databases_that_clients_make_are_looked_at_by_the_same_validators() {
    let directory = tempfile::tempdir().unwrap();
    drop(database(directory.path()));
    let options = Options::default().validators(Validators::default().with(|event| {
        if event.type_name == "old" { Err("of the options".to_owned()) } else { Ok(()) }
    }));
    let server = Running::over(directory.path(), options, ServerConfig::default(), |server| {
        server.validator(|event| match event.type_name {
            "lost" => Err("nothing is lost".to_owned()),
            _ => Ok(()),
        })
    });
    assert_eq!(server.ask("PUT", "/db/yard", &[], b"").0, 201);
    for (type_name, status) in [("sent", 201), ("lost", 422), ("old", 422)] {
        for path in ["/e/truck", "/db/yard/e/truck"] {
            assert_eq!(post(&server, path, type_name), status, "{path} {type_name}");
        }
    }
}

#[test]
fn names_that_are_none_are_told_when_it_listens() {
    type Furnish = fn(Server) -> Server;
    let checks: [(Furnish, &str); 5] = [
        (|server| server.aggregate::<Shipment>("Ship ment"), "`Ship ment` cannot name aggregates"),
        (|server| server.view::<Board>(""), "`` cannot name aggregates or a view"),
        (|server| server.view_of("a/b", Board), "`a/b` cannot name aggregates or a view"),
        (
            |server| server.aggregate::<Shipment>("Ä").view::<Board>("board"),
            "`Ä` cannot name aggregates",
        ),
        (|server| server.view::<Board>("board").aggregate::<Shipment>("shipment"), ""),
    ];
    for (furnish, expected) in checks {
        let directory = tempfile::tempdir().unwrap();
        let said = listen(furnish(Server::new(database(directory.path()))));
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
    }
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (database(one.path()), database(two.path()));
    let twice = Server::new(one.clone()).database("default", two.clone());
    assert!(listen(twice).starts_with("there is a database `default` already"));
    let reserved = Server::new(one).database("sync", two);
    assert!(listen(reserved).starts_with("`sync` is no name of a database"));
}

/// Why it does not listen; nothing if it does.
fn listen(server: Server) -> String {
    let listening = Listening::new(server, check_address("127.0.0.1:0").unwrap());
    listening.err().map_or_else(String::new, |error| error.to_string())
}

#[test]
fn serving_tells_mistakes_of_the_address() {
    let directory = tempfile::tempdir().unwrap();
    let database = database(directory.path());
    let here = Server::new(database.clone()).serve("here");
    assert!(matches!(here, Err(ListenError::Address { text }) if text == "here"));
    let everywhere = Server::new(database).serve("0.0.0.0:0");
    assert!(matches!(everywhere, Err(ListenError::NotLoopback { .. })));
}
