//! What the server counts, and `GET /metrics`: the Prometheus text format, version 0.0.4.
//!
//! Counters are bumped where things happen; what a database knows of itself is read when somebody
//! asks. A writer of some lines, since the format is lines of text and every crate for it brings a
//! registry that the numbers would be copied into.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::databases::Hosted;
use crate::peers::PeerStanding;

/// Upper bounds of the buckets for commits, in microseconds.
const BUCKETS_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000];

/// Counts of the whole server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Answers, by route and status.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    pub(crate) connections: AtomicU64,
    /// Connections that were closed as they came, for want of places.
    pub(crate) connections_refused: AtomicU64,
}

/// Counts of one database.
#[derive(Debug, Default)]
pub(crate) struct DatabaseMetrics {
    commits: AtomicU64,
    events: AtomicU64,
    commit_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS_US.len()],
}

/// How much is going on, now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) requests: usize,
    pub(crate) streams: usize,
    pub(crate) live: usize,
}

/// A database with what is known of its peers.
pub(crate) type Described = (Arc<Hosted>, Vec<PeerStanding>);

impl Metrics {
    pub(crate) fn count_answer(&self, route: &'static str, status: u16) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((route, status)).or_default() += 1;
    }
}

impl DatabaseMetrics {
    /// A commit of so many events took so long, from its hand-over to its answer.
    pub(crate) fn count_commit(&self, events: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.commit_us.fetch_add(micros, Ordering::Relaxed);
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            if micros <= *bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn write(&self, database: &str, page: &mut Page) {
        let name = "laterbase_commit_seconds";
        let commits = self.commits.load(Ordering::Relaxed);
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            let le = (*bound as f64 / 1e6).to_string();
            let labels = [("database", database), ("le", &le)];
            page.sample(name, "_bucket", &labels, bucket.load(Ordering::Relaxed) as f64);
        }
        let all = [("database", database), ("le", "+Inf")];
        page.sample(name, "_bucket", &all, commits as f64);
        let seconds = self.commit_us.load(Ordering::Relaxed) as f64 / 1e6;
        page.sample(name, "_sum", &[("database", database)], seconds);
        page.sample(name, "_count", &[("database", database)], commits as f64);
    }
}

/// The text of all metrics.
pub(crate) fn page(metrics: &Metrics, load: Load, databases: &[Described]) -> String {
    let mut page = Page::default();
    page.family("laterbase_requests_total", "counter", "Answers, by route and status.");
    let answers = metrics.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for ((route, status), count) in answers {
        let status = status.to_string();
        let labels = [("route", route), ("status", status.as_str())];
        page.sample("laterbase_requests_total", "", &labels, count as f64);
    }
    let refused = metrics.connections_refused.load(Ordering::Relaxed) as f64;
    let name = "laterbase_connections_refused_total";
    page.family(name, "counter", "Connections that were closed as they came: too many.");
    page.sample(name, "", &[], refused);
    let connections = metrics.connections.load(Ordering::Relaxed) as f64;
    for (name, about, value) in [
        ("laterbase_connections", "Connections that are open.", connections),
        ("laterbase_requests_at_work", "Requests that are worked on.", load.requests as f64),
        ("laterbase_streams", "Answers that stream.", load.streams as f64),
        ("laterbase_live_connections", "Peers over a WebSocket.", load.live as f64),
    ] {
        page.family(name, "gauge", about);
        page.sample(name, "", &[], value);
    }
    page.databases(databases);
    page.text
}

/// Text that grows.
#[derive(Default)]
struct Page {
    text: String,
}

/// Numbers of one database.
struct Numbers {
    events: f64,
    flushes: f64,
    log_bytes: f64,
    index_waiting: f64,
    quarantined: f64,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, about: &str) {
        let _ = writeln!(self.text, "# HELP {name} {about}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{name}{suffix}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{text}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn databases(&mut self, databases: &[Described]) {
        let name = "laterbase_commit_seconds";
        self.family(name, "histogram", "Appends over HTTP, from hand-over to the device.");
        for (hosted, _) in databases {
            hosted.metrics.write(&hosted.name, self);
        }
        let name = "laterbase_appended_events_total";
        self.family(name, "counter", "Events that were appended over HTTP.");
        for (hosted, _) in databases {
            let events = hosted.metrics.events.load(Ordering::Relaxed) as f64;
            self.sample(name, "", &[("database", &hosted.name)], events);
        }
        let numbers: Vec<(&str, Numbers)> = databases
            .iter()
            .filter_map(|(hosted, _)| Some((hosted.name.as_str(), numbers(hosted)?)))
            .collect();
        type Column = (&'static str, &'static str, &'static str, fn(&Numbers) -> f64);
        let columns: [Column; 5] = [
            ("laterbase_events", "gauge", "Events of all logs.", |n| n.events),
            ("laterbase_flushes_total", "counter", "Syncs of the device.", |n| n.flushes),
            ("laterbase_log_bytes", "gauge", "The log's files.", |n| n.log_bytes),
            ("laterbase_index_waiting_entries", "gauge", "Entries in no run yet.", |n| {
                n.index_waiting
            }),
            ("laterbase_quarantined_events", "gauge", "Events that validators refused.", |n| {
                n.quarantined
            }),
        ];
        for (name, kind, about, value) in columns {
            self.family(name, kind, about);
            for (database, numbers) in &numbers {
                self.sample(name, "", &[("database", database)], value(numbers));
            }
        }
        self.family("laterbase_peer_lag_events", "gauge", "Events that a peer lacks of here.");
        for (hosted, peers) in databases {
            for peer in peers {
                let labels = [("database", hosted.name.as_str()), ("peer", peer.name.as_str())];
                self.sample("laterbase_peer_lag_events", "", &labels, peer.they_lack as f64);
            }
        }
    }
}

/// What a database knows of itself; nothing if it cannot be looked at.
fn numbers(hosted: &Hosted) -> Option<Numbers> {
    let statistics = hosted.database.statistics().ok()?;
    let quarantined = hosted.database.quarantined().ok()?;
    Some(Numbers {
        events: statistics.events as f64,
        flushes: statistics.flushes as f64,
        log_bytes: statistics.segments.iter().map(|segment| segment.file_bytes).sum::<u64>() as f64,
        index_waiting: statistics.index.memtable_entries as f64,
        quarantined: quarantined.iter().map(|batch| batch.events.len()).sum::<usize>() as f64,
    })
}
