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

use laterbase::FlushTimes;

use crate::databases::Hosted;
use crate::folds::FoldNumbers;
use crate::peers::PeerStanding;
use crate::problem::Problem;

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
    events: AtomicU64,
    /// By [`Ended::NAMES`].
    appends: [Times; Ended::NAMES.len()],
}

/// How long things took.
#[derive(Debug, Default)]
struct Times {
    count: AtomicU64,
    sum_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS_US.len()],
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// So many events are on the device.
    Recorded(usize),
    /// All of it was recorded before.
    AlreadyApplied,
    /// It stands against what is recorded, or against the rules.
    Refused,
    /// The storage or the database failed.
    Failed,
}

impl Ended {
    const NAMES: [&str; 4] = ["recorded", "already_applied", "refused", "failed"];

    /// That of an append which this is the answer to.
    pub(crate) fn of(problem: &Problem) -> Self {
        if problem.kind().status().is_server_error() { Self::Failed } else { Self::Refused }
    }

    fn index(self) -> usize {
        match self {
            Self::Recorded(_) => 0,
            Self::AlreadyApplied => 1,
            Self::Refused => 2,
            Self::Failed => 3,
        }
    }
}

/// How much is going on, now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) requests: usize,
    pub(crate) waiting_bytes: usize,
    pub(crate) streams: usize,
    pub(crate) live: usize,
}

/// A database with what is known beside it.
pub(crate) struct Described {
    pub(crate) hosted: Arc<Hosted>,
    pub(crate) peers: Vec<PeerStanding>,
    pub(crate) folds: Vec<FoldNumbers>,
}

impl Metrics {
    pub(crate) fn count_answer(&self, route: &'static str, status: u16) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((route, status)).or_default() += 1;
    }
}

impl DatabaseMetrics {
    /// An append took so long, from its hand-over to its answer.
    pub(crate) fn count_append(&self, ended: Ended, took: Duration) {
        if let Ended::Recorded(events) = ended {
            self.events.fetch_add(events as u64, Ordering::Relaxed);
        }
        if let Some(times) = self.appends.get(ended.index()) {
            times.count(took);
        }
    }

    fn write(&self, database: &str, page: &mut Page) {
        for (outcome, times) in Ended::NAMES.iter().zip(&self.appends) {
            times.write("laterbase_commit_seconds", database, outcome, page);
        }
    }
}

impl Times {
    fn count(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            if micros <= *bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn write(&self, name: &str, database: &str, outcome: &str, page: &mut Page) {
        let bounds = BUCKETS_US.iter().zip(&self.buckets);
        let histogram = Histogram {
            buckets: bounds
                .map(|(bound, count)| (*bound as f64 / 1e6, count.load(Ordering::Relaxed)))
                .collect(),
            sum: self.sum_us.load(Ordering::Relaxed) as f64 / 1e6,
            count: self.count.load(Ordering::Relaxed),
        };
        page.histogram(name, &[("database", database), ("outcome", outcome)], &histogram);
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
        (
            "laterbase_waiting_bytes",
            "Bytes of bodies that arrive and of answers on their way.",
            load.waiting_bytes as f64,
        ),
        ("laterbase_streams", "Answers that stream.", load.streams as f64),
        (
            "laterbase_live_connections",
            "Peers over a WebSocket, and bundles that arrive.",
            load.live as f64,
        ),
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

/// How long things took, in seconds.
struct Histogram {
    /// Upper bounds, and how many kept them.
    buckets: Vec<(f64, u64)>,
    sum: f64,
    count: u64,
}

/// Numbers of one database.
struct Numbers {
    events: f64,
    flushes: f64,
    flush_times: Histogram,
    log_bytes: f64,
    index_waiting: f64,
    index_lag: f64,
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

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        for (bound, count) in &histogram.buckets {
            let le = bound.to_string();
            self.sample(name, "_bucket", &[labels, &[("le", &le)]].concat(), *count as f64);
        }
        let count = histogram.count as f64;
        self.sample(name, "_bucket", &[labels, &[("le", "+Inf")]].concat(), count);
        self.sample(name, "_sum", labels, histogram.sum);
        self.sample(name, "_count", labels, count);
    }

    fn databases(&mut self, databases: &[Described]) {
        let name = "laterbase_commit_seconds";
        self.family(name, "histogram", "Appends over HTTP, from hand-over to their answer.");
        for Described { hosted, .. } in databases {
            hosted.metrics.write(&hosted.name, self);
        }
        let name = "laterbase_appended_events_total";
        self.family(name, "counter", "Events that were appended over HTTP.");
        for Described { hosted, .. } in databases {
            let events = hosted.metrics.events.load(Ordering::Relaxed) as f64;
            self.sample(name, "", &[("database", &hosted.name)], events);
        }
        let numbers: Vec<(&str, Numbers)> = databases
            .iter()
            .filter_map(|Described { hosted, .. }| Some((hosted.name.as_str(), numbers(hosted)?)))
            .collect();
        type Column = (&'static str, &'static str, &'static str, fn(&Numbers) -> f64);
        let columns: [Column; 6] = [
            ("laterbase_events", "gauge", "Events of all logs.", |n| n.events),
            ("laterbase_flushes_total", "counter", "Syncs of the device.", |n| n.flushes),
            ("laterbase_log_bytes", "gauge", "The log's files.", |n| n.log_bytes),
            ("laterbase_index_waiting_entries", "gauge", "Entries in no run yet.", |n| {
                n.index_waiting
            }),
            ("laterbase_index_lag_positions", "gauge", "Positions in no run yet.", |n| n.index_lag),
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
        let name = "laterbase_flush_seconds";
        self.family(name, "histogram", "Syncs of the device by the log.");
        for (database, numbers) in &numbers {
            self.histogram(name, &[("database", database)], &numbers.flush_times);
        }
        self.family("laterbase_peer_lag_events", "gauge", "Events that a peer lacks of here.");
        for Described { hosted, peers, .. } in databases {
            for peer in peers {
                let labels = [("database", hosted.name.as_str()), ("peer", peer.name.as_str())];
                self.sample("laterbase_peer_lag_events", "", &labels, peer.they_lack as f64);
            }
        }
        self.folds(databases);
    }

    fn folds(&mut self, databases: &[Described]) {
        type Column = (&'static str, &'static str, &'static str, fn(&FoldNumbers) -> u64);
        let columns: [Column; 3] = [
            (
                "laterbase_fold_rebuild_lag_positions",
                "gauge",
                "Positions that a fold has yet to take note of before its version answers.",
                |fold| fold.lag_until_ready,
            ),
            (
                "laterbase_fold_lag_positions",
                "gauge",
                "Positions that a fold has yet to take note of when asked.",
                |fold| fold.lag_positions,
            ),
            (
                "laterbase_fold_rebases_total",
                "counter",
                "Rows that were folded again, since events came late.",
                |fold| fold.rebased,
            ),
        ];
        for (name, kind, about, value) in columns {
            self.family(name, kind, about);
            for Described { hosted, folds, .. } in databases {
                for fold in folds {
                    let labels = [
                        ("database", hosted.name.as_str()),
                        ("sort", fold.sort),
                        ("fold", fold.name.as_str()),
                    ];
                    self.sample(name, "", &labels, value(fold) as f64);
                }
            }
        }
    }
}

/// What a database knows of itself; nothing if it cannot be looked at.
fn numbers(hosted: &Hosted) -> Option<Numbers> {
    let statistics = hosted.database.statistics().ok()?;
    let quarantined = hosted.database.quarantined().ok()?;
    let times = &statistics.flush_times;
    let bounds = FlushTimes::BOUNDS.iter().zip(times.buckets);
    let flush_times = Histogram {
        buckets: bounds.map(|(bound, count)| (bound.as_secs_f64(), count)).collect(),
        sum: times.sum.as_secs_f64(),
        count: times.count,
    };
    let behind = statistics.events.saturating_sub(statistics.indexed.as_u64());
    Some(Numbers {
        events: hosted.database.event_count().ok()? as f64,
        index_lag: behind as f64,
        flushes: statistics.flushes as f64,
        flush_times,
        log_bytes: statistics.segments.iter().map(|segment| segment.file_bytes).sum::<u64>() as f64,
        index_waiting: statistics.index.memtable_entries as f64,
        quarantined: quarantined.iter().map(|batch| batch.events.len()).sum::<usize>() as f64,
    })
}
