//! Bundles: a session's frames in a file, for copies that no wire connects.
//!
//! ```text
//! bundle = Hello · Heads · (Fork · Batches | Batches)* · Bye
//! ```
//! Written by one copy without hearing the other, so it is told what to presume: nothing, or heads
//! of the reader. Read by any copy of the same database, as often as one likes; a bundle that
//! begins behind what the reader holds brings nothing of those logs, and says so.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use laterbase::sync::{
    Agreement, Digest, HashTag, Head, Heads, LogId, Outcome, Replica, Session, SessionConfig,
    StoreError,
    frame::{
        self, Batches, Bye, Capabilities, Fork, Form, Frame, FrameError, HeadsFrame, Hello,
        Purpose, Reason, RootDigest, Scope, Section,
    },
};
use laterbase_event::{BatchHeader, DatabaseId, ReplicaId};

use crate::drive::worth_keeping;

/// Bytes of batches in one frame; one batch may exceed it.
const FRAME_BYTES_TARGET: u64 = 1 << 20;
/// Heads in one frame.
const HEADS_PER_FRAME: usize = 4096;
const READ_BYTES: usize = 256 << 10;

/// A bundle was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The copy cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is no bundle.
    #[error("this is no bundle: {0}")]
    Frame(#[from] FrameError),
    /// The file is something else.
    #[error("this is no bundle; `laterbase export` writes one")]
    NoBundle,
    /// The file ends too early.
    #[error("the bundle is cut off; what came before the end was taken in; copy it again")]
    CutOff,
    /// It is of another database.
    #[error(
        "the bundle is of database {found}, and this is {expected}; use a copy of the same one"
    )]
    OtherDatabase {
        /// Whose it is.
        found: DatabaseId,
        /// Which one this is.
        expected: DatabaseId,
    },
    /// What is in it was refused.
    #[error("the bundle was refused: {}", bye.reason)]
    Refused {
        /// Why.
        bye: Bye,
    },
}

/// What a bundle holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Events.
    pub events: u64,
    /// Logs of which it has events.
    pub logs: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What came of a bundle.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Who wrote it.
    pub from: Option<ReplicaId>,
    /// Events that were new.
    pub events: u64,
    /// Bytes of the bundle.
    pub bytes: u64,
    /// Logs that its writer holds further, and how many events are lacking here.
    pub lacking: BTreeMap<LogId, u64>,
    /// What the host must know. What was stored is counted, and not listed here.
    pub outcomes: Vec<Outcome>,
}

/// Writes what this copy holds beyond `since`.
///
/// # Errors
/// [`BundleError`]; the file is of no use then.
pub fn export<R: Replica>(
    port: &mut R,
    since: &Heads,
    out: &mut dyn Write,
) -> Result<Exported, BundleError> {
    port.flush()?;
    let heads = port.heads();
    let mut sink = Sink { out, exported: Exported::default() };
    sink.frame(port, &Frame::Hello(hello(port, &heads)))?;
    for frame in heads_frames(&heads) {
        sink.frame(port, &Frame::Heads(frame))?;
    }
    for (log, head) in in_order(&heads) {
        export_log(port, &log, &head, since.get(&log), &mut sink)?;
    }
    sink.frame(port, &Frame::Bye(Bye::new(Reason::Done)))?;
    sink.out.flush()?;
    Ok(sink.exported)
}

/// Which database a bundle is of.
///
/// # Errors
/// [`BundleError`] if it is no bundle.
pub fn database_of(input: &mut dyn Read) -> Result<DatabaseId, BundleError> {
    let config = SessionConfig::default();
    let mut frames = Frames::new(input);
    let first = frames.next(&config).ok().flatten().ok_or(BundleError::NoBundle)?;
    let opened = frame::open(&first, &config.frames, None)?;
    match Frame::decode(&opened, &config.frames)? {
        Some(Frame::Hello(hello)) => Ok(hello.database),
        Some(_) | None => Err(BundleError::NoBundle),
    }
}

/// Takes a bundle in.
///
/// # Errors
/// [`BundleError`]; what came before the mistake is stored.
pub fn import<R: Replica>(
    port: &mut R,
    input: &mut dyn Read,
    config: &SessionConfig,
) -> Result<Imported, BundleError> {
    // What is held already is no sign of a peer that goes nowhere: the file is at an end some day.
    let config = SessionConfig { idle_frames_max: u32::MAX, live: false, ..config.clone() };
    let mut session = Session::responder(config.clone());
    let mut frames = Frames::new(input);
    let mut imported = Imported::default();
    let mut theirs = Heads::new();
    let mut has_ended = false;
    loop {
        let bytes = match frames.next(&config) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(BundleError::CutOff) if imported.bytes == 0 => return Err(BundleError::NoBundle),
            Err(error) => {
                port.flush()?;
                return Err(error);
            }
        };
        has_ended = match look(&bytes, &config, port, &mut theirs) {
            Ok(has_ended) => has_ended,
            Err(error) => {
                port.flush()?;
                return Err(error);
            }
        };
        imported.bytes += bytes.len() as u64;
        let outcomes = session.handle_frame(&bytes, 0, port);
        let refused = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Refused { bye, .. } => Some(*bye),
            Outcome::Stored { .. }
            | Outcome::Reincarnate { .. }
            | Outcome::Forked { .. }
            | Outcome::Malformed(_)
            | Outcome::Left { .. } => None,
        });
        imported.outcomes.extend(worth_keeping(outcomes));
        imported.events = session.progress().pull_events;
        imported.from = session.peer();
        if let Some(bye) = refused {
            port.flush()?;
            return Err(BundleError::Refused { bye });
        }
    }
    port.flush()?;
    if imported.bytes == 0 {
        return Err(BundleError::NoBundle);
    }
    imported.lacking = lacking(&theirs, &port.heads());
    if has_ended { Ok(imported) } else { Err(BundleError::CutOff) }
}

/// Notes the heads in a frame; whether it is the Bye.
fn look<R: Replica>(
    bytes: &[u8],
    config: &SessionConfig,
    port: &R,
    theirs: &mut Heads,
) -> Result<bool, BundleError> {
    let opened = frame::open(bytes, &config.frames, port.codec())?;
    match Frame::decode(&opened, &config.frames)? {
        Some(Frame::Hello(hello)) if hello.database != port.database() => {
            Err(BundleError::OtherDatabase { found: hello.database, expected: port.database() })
        }
        Some(Frame::Heads(frame)) => {
            for section in frame.sections {
                let name = |(replica, head)| (LogId::new(section.root, replica), head);
                theirs.extend(section.heads.into_iter().map(name));
            }
            Ok(false)
        }
        Some(Frame::Bye(_)) => Ok(true),
        Some(_) | None => Ok(false),
    }
}

fn lacking(theirs: &Heads, ours: &Heads) -> BTreeMap<LogId, u64> {
    let further = |(log, head): (&LogId, &Head)| {
        let base = head.branch.map_or(0, |branch| branch.first_seq.saturating_sub(1));
        let held = ours.get(log).map_or(0, |head| head.seq).max(base);
        let count = head.seq.saturating_sub(held);
        (count > 0).then_some((*log, count))
    };
    theirs.iter().filter_map(further).collect()
}

/// Plain logs, then branches by where they begin: each after the log that it comes from.
fn in_order(heads: &Heads) -> Vec<(LogId, Head)> {
    let mut all: Vec<(LogId, Head)> = heads.iter().map(|(log, head)| (*log, *head)).collect();
    all.sort_by_key(|(log, head)| (head.branch.map_or(0, |branch| branch.first_seq), *log));
    all
}

fn export_log<R: Replica>(
    port: &R,
    log: &LogId,
    head: &Head,
    since: Option<&Head>,
    sink: &mut Sink<'_>,
) -> Result<(), BundleError> {
    let is_held = |at: &&Head| {
        port.end_before(log, at.seq)
            .is_some_and(|end| end.seq == at.seq && HashTag::of(&end.hash) == at.tag)
    };
    let base = head.branch.map_or(0, |branch| branch.first_seq.saturating_sub(1));
    let mut after = since.filter(is_held).map_or(0, |at| at.seq).max(base);
    if after >= head.seq {
        return Ok(());
    }
    sink.exported.logs += 1;
    sink.exported.events += head.seq - after;
    if head.branch.is_some()
        && after == base
        && let Some((one, other)) = port.proof(log)
    {
        sink.frame(port, &Frame::Fork(Fork::of(&one, &other)))?;
    }
    while after < head.seq {
        let mut batches = Vec::new();
        port.read(log, after, FRAME_BYTES_TARGET, &mut batches)?;
        let Some(last) = batches.last().and_then(|bytes| last_seq(bytes)) else {
            return Err(StoreError::Failed.into());
        };
        let end = port.end_before(log, last).ok_or(StoreError::Failed)?;
        let frame = Batches {
            log: *log,
            writer: head.writer(log),
            ends: false,
            tag: HashTag::of(&end.hash),
            batches: batches.iter().map(Cow::from).collect(),
        };
        sink.frame(port, &Frame::Batches(frame))?;
        after = last;
    }
    Ok(())
}

fn last_seq(batch: &[u8]) -> Option<u64> {
    let (header, _) = BatchHeader::decode(batch.get(1..)?).ok()?;
    Some(header.last_seq())
}

fn hello<R: Replica>(port: &R, heads: &Heads) -> Hello {
    let mut roots: Vec<RootDigest> = Vec::new();
    for log in heads.keys() {
        if roots.last().is_none_or(|entry| entry.root != log.root) {
            roots.push(RootDigest { root: log.root, digest: Digest::of(heads, &log.root) });
        }
    }
    let config = SessionConfig::default();
    Hello {
        database: port.database(),
        replica: port.replica(),
        purpose: Purpose::Answer,
        scope: Scope::All,
        heads_follow: true,
        capabilities: Capabilities(0),
        frame_bytes_max: u64::from(config.frames.frame_bytes_max),
        window_bytes: config.window_bytes,
        wall_ms: port.wall_ms(),
        hlc: port.clock(),
        validators: port.validators(),
        agreement: Agreement::NONE,
        roots,
    }
}

/// All heads, in frames of a bounded size. A root that takes more than one frame is told as
/// changes after the first.
fn heads_frames(heads: &Heads) -> Vec<HeadsFrame> {
    let mut frames: Vec<HeadsFrame> = Vec::new();
    let mut count = HEADS_PER_FRAME;
    let mut last_root = None;
    for (log, head) in heads {
        let is_new_root = last_root.replace(log.root) != Some(log.root);
        let is_full = count >= HEADS_PER_FRAME;
        if is_full {
            frames.push(HeadsFrame { sections: Vec::new() });
            count = 0;
        }
        let Some(frame) = frames.last_mut() else { continue };
        if is_new_root || is_full {
            let form = if is_new_root { Form::Full } else { Form::Delta };
            frame.sections.push(Section { root: log.root, form, heads: Vec::new() });
        }
        if let Some(section) = frame.sections.last_mut() {
            section.heads.push((log.replica, *head));
        }
        count += 1;
    }
    frames
}

/// Where frames go, and how much went there.
struct Sink<'a> {
    out: &'a mut dyn Write,
    exported: Exported,
}

impl Sink<'_> {
    fn frame<R: Replica>(&mut self, port: &R, frame: &Frame<'_>) -> Result<(), BundleError> {
        let codec = match frame {
            Frame::Heads(_) | Frame::Batches(_) | Frame::Fork(_) => port.codec(),
            Frame::Hello(_)
            | Frame::Want(_)
            | Frame::Ack(_)
            | Frame::Announce(_)
            | Frame::Bye(_) => None,
        };
        let bytes = frame.encode(codec);
        self.exported.bytes += bytes.len() as u64;
        Ok(self.out.write_all(&bytes)?)
    }
}

/// Whole frames from a file, one at a time.
struct Frames<'a> {
    input: &'a mut dyn Read,
    held: Vec<u8>,
    at: usize,
}

impl<'a> Frames<'a> {
    fn new(input: &'a mut dyn Read) -> Self {
        Self { input, held: Vec::new(), at: 0 }
    }

    /// The next frame; `None` at the end of the file.
    fn next(&mut self, config: &SessionConfig) -> Result<Option<Vec<u8>>, BundleError> {
        loop {
            let rest = self.held.get(self.at..).unwrap_or_default();
            if let Some((frame, _)) = frame::split(rest, &config.frames)? {
                self.at += frame.len();
                return Ok(Some(frame.to_vec()));
            }
            let is_between = rest.is_empty();
            self.held.drain(..self.at);
            self.at = 0;
            let before = self.held.len();
            self.held.resize(before + READ_BYTES, 0);
            let read = self.input.read(self.held.get_mut(before..).unwrap_or_default())?;
            self.held.truncate(before + read);
            match (read, is_between) {
                (0, true) => return Ok(None),
                (0, false) => return Err(BundleError::CutOff),
                (1.., _) => {}
            }
        }
    }
}
