//! What is known of a peer since the last sync: for people, and for `laterbase status`.
//!
//! One JSON file for each peer, `contacts/NAME.json` in the directory of the database. It decides
//! nothing: losing it loses what `status` shows until the next sync.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use laterbase::sync::{Head, Heads};
use laterbase::{RootName, VersionVector};
use serde::{Deserialize, Serialize};

use crate::drive::Report;
use crate::peers::replace;

/// The folder in the directory of a database.
pub const CONTACTS_FOLDER: &str = "contacts";

const FORMAT: u32 = 1;

/// What is known of a peer. Times are milliseconds since 1970, counts go back to the first sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// The format of the file.
    pub format: u32,
    /// Its replica id, in hexadecimal digits, as soon as it said so.
    pub replica: Option<String>,
    /// When both held the same for the last time.
    pub synced_ms: Option<u64>,
    /// When it was tried for the last time.
    pub tried_ms: Option<u64>,
    /// What the last try failed with.
    pub error: Option<String>,
    /// Syncs that came to their end.
    pub syncs: u64,
    /// Requests that were answered.
    pub round_trips: u64,
    /// Bytes of bodies that came.
    pub bytes_in: u64,
    /// Bytes of bodies that were sent.
    pub bytes_out: u64,
    /// Events that came.
    pub events_in: u64,
    /// Events that it confirmed.
    pub events_out: u64,
    /// Events that it has and this copy lacked when they parted.
    pub lacked_here: u64,
    /// Whether its validators were others than those here: the two may admit different events.
    pub validators_differ: bool,
    /// What it is believed to hold: per root and log, the number of the last event.
    pub heads: BTreeMap<String, BTreeMap<String, u64>>,
}

/// The file of a contact.
#[derive(Clone, Debug)]
pub struct ContactFile {
    path: PathBuf,
}

impl ContactFile {
    /// That of the peer `name` of the copy in `directory`.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(CONTACTS_FOLDER).join(format!("{name}.json")) }
    }

    /// What it says; nothing if there is none, or none that can be read.
    #[must_use]
    pub fn read(&self) -> Contact {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let read = serde_json::from_slice::<Contact>(&bytes).ok();
        read.filter(|contact| contact.format == FORMAT).unwrap_or_default()
    }

    /// Replaces it.
    ///
    /// # Errors
    /// Whatever keeps the file from being written.
    pub fn write(&self, contact: &Contact) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let bytes = serde_json::to_vec(&Contact { format: FORMAT, ..contact.clone() })?;
        replace(&self.path, &bytes, false)
    }

    /// Whether it was not written for so long.
    pub(crate) fn is_old(&self, age: Duration) -> bool {
        let written = fs::metadata(&self.path).and_then(|found| found.modified());
        written.map_or(true, |at| at.elapsed().map_or(true, |since| since >= age))
    }

    /// Removes it.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Contact {
    /// Takes in how a sync went.
    pub fn take(&mut self, report: &Report, error: Option<String>) {
        let now = now_ms();
        self.tried_ms = Some(now);
        if error.is_none() {
            self.synced_ms = Some(now);
            self.syncs += 1;
        }
        self.error = error;
        self.count(report);
    }

    /// Takes in how a live connection went, whose end is no failure, nor is it a sync: that it is
    /// only if both held the same at some time.
    pub(crate) fn take_live(&mut self, report: &Report, settled_ms: Option<u64>) {
        self.tried_ms = Some(now_ms());
        if settled_ms.is_some() {
            (self.synced_ms, self.error) = (settled_ms, None);
            self.syncs += 1;
        }
        self.count(report);
    }

    fn count(&mut self, report: &Report) {
        self.round_trips += u64::from(report.round_trips);
        self.bytes_in += report.bytes_in;
        self.bytes_out += report.bytes_out;
        self.events_in += report.progress.pull_events;
        self.events_out += report.progress.push_events;
        if let Some(peer) = report.peer {
            self.replica = Some(peer.to_string());
            self.lacked_here = report.lacked_here;
            self.validators_differ = report.validators_differ;
            self.heads = numbers(&report.peer_heads);
        }
    }

    /// What it lacks of these heads, in events, by root and log.
    #[must_use]
    pub fn lacks(&self, ours: &Heads) -> BTreeMap<(String, String), u64> {
        let missing = |(log, head): (&laterbase::sync::LogId, &Head)| {
            let (root, replica) = (log.root.to_string(), log.replica.to_string());
            let base = head.branch.map_or(0, |branch| branch.first_seq.saturating_sub(1));
            let held = self.heads.get(&root).and_then(|logs| logs.get(&replica)).copied();
            let lacking = head.seq.saturating_sub(held.unwrap_or(0).max(base));
            (lacking > 0).then_some(((root, replica), lacking))
        };
        ours.iter().filter_map(missing).collect()
    }
}

impl Contact {
    /// What it is believed to hold.
    #[must_use]
    pub fn vector(&self) -> VersionVector {
        let mut vector = VersionVector::new();
        let logs = self
            .heads
            .iter()
            .flat_map(|(root, logs)| logs.iter().map(move |(replica, seq)| (root, replica, *seq)));
        for (root, replica, seq) in logs {
            if let (Ok(root), Ok(replica)) = (RootName::try_from(root.as_str()), replica.parse()) {
                vector.set(root, replica, seq);
            }
        }
        vector
    }
}

fn numbers(heads: &Heads) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut roots: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for (log, head) in heads {
        let logs = roots.entry(log.root.to_string()).or_default();
        logs.insert(log.replica.to_string(), head.seq);
    }
    roots
}

/// The wall clock, for people.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
