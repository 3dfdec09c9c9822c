//! Sync over HTTP between two databases: what goes over the wire, and what becomes of it.

use crate::support::{Running, append, held, sync};
use laterbase::{Database, Options};
use laterbase_server::ServerConfig;

struct Pair {
    directory: tempfile::TempDir,
}

impl Pair {
    /// An empty database to serve, and the copy that joins it.
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn serve(&self, fill: impl FnOnce(&Database)) -> Running {
        let path = self.directory.path().join("server");
        let database = Database::create(&path, Options::default()).unwrap();
        fill(&database);
        database.close().unwrap();
        Running::of(&path, ServerConfig::default())
    }

    fn join(&self, server: &Running, name: &str) -> Database {
        let id = server.wire().describe().unwrap().database.parse().unwrap();
        let path = self.directory.path().join(name);
        Database::create_joined(path, Options::default(), id).unwrap()
    }
}

#[test]
fn an_empty_copy_gets_everything_and_then_there_is_nothing_to_do() {
    let pair = Pair::new();
    let server = pair.serve(|database| append(database, "shipment", 0..500, false));
    let copy = pair.join(&server, "copy");
    let (done, report) = sync(&copy, &server);
    done.unwrap();
    assert_eq!(report.progress.pull_events, 500);
    assert_eq!(report.round_trips, 1);
    assert_eq!(held(&copy).len(), 500);
    let (done, report) = sync(&copy, &server);
    done.unwrap();
    assert_eq!((report.round_trips, report.progress.pull_events), (1, 0));
    assert!(report.bytes_in < 128 && report.bytes_out < 128, "{report:?}");
}

#[test]
fn what_both_wrote_is_on_both_sides_after_two_round_trips() {
    let pair = Pair::new();
    let server = pair.serve(|database| append(database, "shipment", 0..10, false));
    let copy = pair.join(&server, "copy");
    sync(&copy, &server).0.unwrap();
    append(&copy, "shipment", 100..120, true);
    append(&copy, "truck", 0..5, false);
    let json = b"{\"key\":\"4711\",\"type\":\"departed\",\"data\":{\"port\":\"NLRTM\"}}";
    let (status, body) = server.ask("POST", "/e/shipment", &[], json);
    assert_eq!(status, 201, "{body}");
    let (done, report) = sync(&copy, &server);
    done.unwrap();
    assert!(report.round_trips <= 2, "{report:?}");
    assert_eq!(report.progress.push_events, 25);
    assert_eq!(report.progress.pull_events, 1);
    let other = pair.join(&server, "other");
    sync(&other, &server).0.unwrap();
    assert_eq!(held(&other), held(&copy));
    assert_eq!(held(&copy).len(), 36);
}
