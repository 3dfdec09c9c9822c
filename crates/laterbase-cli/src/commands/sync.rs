//! `laterbase sync`: bring this copy and its peers to the same events.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use laterbase::Database;
use laterbase::sync::{Outcome, SessionConfig};
use laterbase_client::{
    Background, BackgroundConfig, Backoff, Contact, ContactFile, HttpWire, Peer, PeerNotice,
    Report, SyncError, Token, TokenFile, sync_once,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ending::Ending;
use super::peer::{read, unknown};
use super::stats::{counted, grouped, size};
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::output::{self, Ink};
use crate::progress::Progress;
use crate::refusals;
#[cfg(feature = "remote")]
use crate::remote::There;

/// How often a peer is tried before it is given up.
const ATTEMPTS: u32 = 5;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Bring this copy and its peers to the same events
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// A peer's name or URL; all peers, if not given
    #[arg(value_name = "PEER")]
    peer: Option<String>,
    /// Go on syncing, as events come, until interrupted
    #[arg(long, conflicts_with = "peer")]
    watch: bool,
    /// Show the token in this file, and not the one that `peer add` kept
    #[arg(long, value_name = "FILE", requires = "peer")]
    token: Option<PathBuf>,
}

impl Sync {
    /// Syncs with one peer.
    pub(super) fn with(peer: &str) -> Self {
        Self { peer: Some(peer.to_owned()), watch: false, token: None }
    }

    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match context.open_or_forward()? {
            Place::Here(database) => self.here(database, context),
            #[cfg(feature = "remote")]
            Place::There(there) => self.there(&there, context),
        }
    }

    fn here(&self, database: Database, context: &mut Context) -> Result<(), Failure> {
        let peers = self.peers(context)?;
        let token = self.token.as_deref().map(token_in).transpose()?;
        if self.watch {
            return watch(database, context);
        }
        let directory = context.directory()?.to_owned();
        let mut failed = None;
        for (peer, is_listed) in &peers {
            let mut bar = Progress::of_events(context.json());
            let one = OnePeer { peer, is_listed: *is_listed, token: token.as_ref() };
            let synced = one.sync(&database, &directory, &mut |done, total| bar.step(done, total));
            bar.finish();
            show(&synced, context)?;
            context.out.flush()?;
            failed = failed.or_else(|| synced.failure());
        }
        database.close().map_err(|error| refusals::closing(&error))?;
        failed.map_or(Ok(()), Err)
    }

    /// Has the process that serves the database do it.
    #[cfg(feature = "remote")]
    fn there(&self, there: &There, context: &mut Context) -> Result<(), Failure> {
        if self.watch {
            return Err(Failure::new(
                Exit::Locked,
                "the database is served, and kept in sync there",
            )
            .hint("`laterbase status` shows with whom"));
        }
        if self.token.is_some() || self.peer.as_deref().is_some_and(|peer| peer.contains(':')) {
            return Err(Failure::new(
                Exit::Locked,
                "a server syncs with the peers of its list alone",
            )
            .hint("add the peer with `laterbase peer add NAME URL`, and sync with NAME"));
        }
        let answer = there.post("/peers/sync", Some(&json!({ "peer": self.peer })))?;
        let mut failed = None;
        let documents = answer.get("peers").and_then(serde_json::Value::as_array);
        for document in documents.into_iter().flatten() {
            let synced = serde_json::from_value(document.clone());
            let synced: Synced = synced.map_err(|error| there.foreign(error))?;
            show(&synced, context)?;
            failed = failed.or_else(|| synced.failure());
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whom to sync with, and whether they are on the list.
    fn peers(&self, context: &Context) -> Result<Vec<(Peer, bool)>, Failure> {
        context.check_directory()?;
        let listed = read(context)?;
        let Some(named) = &self.peer else {
            let all: Vec<_> = listed.iter().map(|peer| (peer.clone(), true)).collect();
            if all.is_empty() && !self.watch {
                return Err(Failure::new(Exit::Usage, "there are no peers to sync with")
                    .hint("add one with `laterbase peer add NAME URL`, or name a URL here"));
            }
            return Ok(all);
        };
        if let Some(peer) = listed.find(named) {
            return Ok(vec![(peer.clone(), true)]);
        }
        match named.parse() {
            Ok(address) => {
                let same = listed.iter().find(|peer| peer.address == address).cloned();
                let peer = same.clone().unwrap_or(Peer { name: named.clone(), address });
                Ok(vec![(peer, same.is_some())])
            }
            Err(error) if named.contains(':') => Err(Failure::new(Exit::Usage, error)),
            Err(_) => Err(unknown(named, &listed)),
        }
    }
}

/// The token in a file.
pub(super) fn token_in(path: &Path) -> Result<Token, Failure> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Exit::NotFound, said(&error)).hint("check the name"))?;
    Token::new(&text).map_err(|error| Failure::new(Exit::Refused, said(&error)))
}

/// What came of syncing with a peer, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Synced {
    peer: String,
    replica: Option<String>,
    synced: bool,
    events_in: u64,
    events_out: u64,
    lacked_here: u64,
    lacked_there: u64,
    round_trips: u32,
    bytes_in: u64,
    bytes_out: u64,
    error: Option<String>,
    /// Whether it may help to try again.
    may_retry: bool,
    /// What a person should know.
    notes: Vec<String>,
}

/// A peer to sync with.
struct OnePeer<'a> {
    peer: &'a Peer,
    is_listed: bool,
    /// In place of the one that is kept for it.
    token: Option<&'a Token>,
}

impl OnePeer<'_> {
    /// Syncs, and tries again where that may help.
    fn sync(
        &self,
        database: &Database,
        directory: &Path,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Synced {
        let Self { peer, is_listed, token } = *self;
        let file = ContactFile::new(directory, &peer.name);
        let mut contact = if is_listed { file.read() } else { Contact::default() };
        let kept = || TokenFile::new(directory, &peer.name).read().filter(|_| is_listed);
        let wire = HttpWire::new(peer.address.clone(), REQUEST_TIMEOUT);
        let mut wire = wire.with_token(token.cloned().or_else(kept));
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut all = Report::default();
        loop {
            let config = SessionConfig::default();
            let (done, report) = sync_once(database, &mut wire, &contact, &config, &mut |report| {
                let progress = report.progress;
                let done = progress.pull_events.saturating_add(progress.push_events);
                let total = progress.pull_events_total.saturating_add(progress.push_events_total);
                tell(done, total);
            });
            contact.take(&report, done.as_ref().err().map(ToString::to_string));
            all.add(&report);
            let is_over = match &done {
                Ok(()) => true,
                Err(error) => !error.is_passing() || backoff.failures() + 1 >= ATTEMPTS,
            };
            if is_over {
                if is_listed {
                    // It is for people to look at, and no sync fails for it.
                    let _ = file.write(&contact);
                }
                return Synced::new(peer, &done, &all);
            }
            let asked = done.as_ref().err().map_or(Duration::ZERO, SyncError::retry_after);
            std::thread::sleep(backoff.after_failure().max(asked));
        }
    }
}

/// Syncs with a peer of the list, or with all of them, for a server; none if there is no such
/// peer.
#[cfg(feature = "server")]
pub(super) fn sync_listed(
    database: &Database,
    directory: &Path,
    named: Option<&str>,
) -> Option<Vec<serde_json::Value>> {
    let listed = laterbase_client::Peers::read(directory).ok()?;
    let peers: Vec<Peer> = match named {
        Some(name) => vec![listed.find(name)?.clone()],
        None => listed.iter().cloned().collect(),
    };
    let one = |peer: &Peer| {
        let one = OnePeer { peer, is_listed: true, token: None };
        json!(one.sync(database, directory, &mut |_, _| {}))
    };
    Some(peers.iter().map(one).collect())
}

impl Synced {
    fn new(peer: &Peer, done: &Result<(), SyncError>, report: &Report) -> Self {
        let progress = report.progress;
        Self {
            peer: peer.name.clone(),
            replica: report.peer.map(|peer| peer.to_string()),
            synced: done.is_ok(),
            events_in: progress.pull_events,
            events_out: progress.push_events,
            lacked_here: report.lacked_here,
            lacked_there: report.lacked_there,
            round_trips: report.round_trips,
            bytes_in: report.bytes_in,
            bytes_out: report.bytes_out,
            error: done.as_ref().err().map(ToString::to_string),
            may_retry: done.as_ref().is_err_and(SyncError::is_passing),
            notes: report.outcomes.iter().filter_map(worth_telling).collect(),
        }
    }

    fn failure(&self) -> Option<Failure> {
        let error = self.error.as_ref()?;
        let hint = if self.may_retry {
            "what came is kept; try again, it goes on where it was cut"
        } else {
            "what came is kept; `laterbase status` shows what is lacking"
        };
        Some(Failure::new(Exit::Peer, format_args!("{}: {error}", self.peer)).hint(hint))
    }
}

fn show(synced: &Synced, context: &mut Context) -> Result<(), Failure> {
    if context.json() {
        return context.out.line(json!(synced));
    }
    let style = context.out.style();
    let name = style.paint(Ink::Name, &synced.peer);
    let events = match (synced.events_in, synced.events_out, synced.synced) {
        (0, 0, true) => "nothing to do".to_owned(),
        (pulled, pushed, _) => format!("{} in, {} out", counted(pulled, "event"), grouped(pushed)),
    };
    let ended = if synced.synced { String::new() } else { style.paint(Ink::Bad, "not finished: ") };
    let trips = counted(u64::from(synced.round_trips), "round trip");
    context.out.line(format_args!(
        "{name}: {ended}{events}; {trips}, {} in, {} out",
        size(synced.bytes_in),
        size(synced.bytes_out)
    ))?;
    for note in &synced.notes {
        context.out.line(format_args!("  {note}"))?;
    }
    Ok(())
}

/// What a person should know of what a session reported.
pub(super) fn worth_telling(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Stored { .. } | Outcome::Left { .. } => None,
        Outcome::Reincarnate { root, seq, .. } => Some(format!(
            "this copy was restored or copied: the peer has its event {seq} of {root}; it goes on \
             under a new replica id"
        )),
        Outcome::Forked { log, writer, seq, .. } => Some(format!(
            "a fork: replica {writer} wrote event {seq} of {} twice; both are kept, see \
             `laterbase forks`",
            log.root
        )),
        Outcome::Malformed(error) => Some(format!("the peer sent what is no frame: {error}")),
        Outcome::Refused { bye, .. } => Some(format!("the peer was refused: {}", bye.reason)),
    }
}

/// Syncs with all peers until the process is told to end.
fn watch(database: Database, context: &mut Context) -> Result<(), Failure> {
    let directory = context.directory()?.to_owned();
    let json = context.json();
    let ending = Ending::new()
        .map_err(|error| Failure::new(Exit::Storage, format_args!("cannot wait: {error}")))?;
    context.out.line("syncing; end with Ctrl-C")?;
    context.out.flush()?;
    let notices = Arc::new(move |notice: &PeerNotice| output::complain(&line(notice, json)));
    let background =
        Background::start(database.clone(), directory, BackgroundConfig::default(), notices);
    ending.wait();
    background.end();
    database.close().map_err(|error| refusals::closing(&error))
}

/// A notice as a line for standard error; empty if it says nothing.
pub(super) fn line(notice: &PeerNotice, json: bool) -> String {
    let (peer, text) = match notice {
        PeerNotice::Reached { peer } => (Some(peer), "in touch".to_owned()),
        PeerNotice::Failed { peer, error } => {
            (Some(peer), format!("out of touch: {error}; it is tried again"))
        }
        PeerNotice::Told { peer, replica, outcome } => {
            let Some(text) = worth_telling(outcome) else { return String::new() };
            let replica = replica.map_or_else(String::new, |id| format!(" (replica {id})"));
            (Some(peer), format!("{text}{replica}"))
        }
        PeerNotice::Peers { reason } => (None, reason.clone()),
    };
    if json {
        return format!("{}\n", json!({ "peer": peer, "notice": text }));
    }
    let name = peer.map_or("peers", String::as_str);
    format!("{name}: {text}\n")
}
