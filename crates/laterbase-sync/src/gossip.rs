//! Gossip: telling of new events without a session, fire and forget.
//!
//! An Announce carries heads that changed and, for the few peers that get them whole, the batches.
//! Whoever hears it stores what extends its logs, forwards it once while it is news and hops are
//! left, and pulls the rest in a session. Nothing depends on an Announce arriving.

use alloc::{borrow::Cow, collections::BTreeMap, vec::Vec};

use laterbase_event::{ReplicaId, RootName, Verifier};

use crate::{
    check::Claim,
    config::SessionConfig,
    frame::{self, Announce, Batches, Fault, Form, Frame, FrameError, HeadsFrame, Section},
    intake::{Taken, take},
    log_id::{HashTag, Head, LogId},
    outcome::Outcome,
    port::Replica,
    session::look_at_all,
};

/// What came of an Announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who sent it.
    pub from: ReplicaId,
    /// What was stored, and what the host must know.
    pub outcomes: Vec<Outcome>,
    /// Whether it tells of events that are still not held: pull from `from`.
    pub lacks: bool,
    /// What to send to other peers, if it was news and may go on.
    pub forward: Option<Vec<u8>>,
    /// A batch that was refused, and its first event.
    pub fault: Option<(Fault, LogId, u64)>,
}

/// An Announce of these logs, behind the given events, as a frame.
///
/// `inline_bytes_max` bounds the batches that go along; 0 sends heads alone.
#[must_use]
pub fn announce<R: Replica>(
    port: &R,
    changed: &BTreeMap<LogId, u64>,
    hops: u8,
    inline_bytes_max: u64,
) -> Vec<u8> {
    let heads = port.heads();
    let changed = changed.iter().filter_map(|(log, after)| Some((*log, *heads.get(log)?, *after)));
    let mut sections: BTreeMap<RootName, Vec<(ReplicaId, Head)>> = BTreeMap::new();
    let mut bodies: Vec<(LogId, Head, Vec<Vec<u8>>)> = Vec::new();
    let mut left = inline_bytes_max;
    for (log, head, after) in changed {
        sections.entry(log.root).or_default().push((log.replica, head));
        let mut batches = Vec::new();
        let is_read = port.read(&log, after, left, &mut batches).is_ok();
        let bytes: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
        let end = port.end_before(&log, head.seq).map(|end| HashTag::of(&end.hash));
        let is_whole = batches.last().is_some_and(|last| ends_at(last, head.seq));
        if is_read && bytes <= left && is_whole && end == Some(head.tag) {
            left -= bytes;
            bodies.push((log, head, batches));
        }
    }
    let section = |(root, heads)| Section { root, form: Form::Delta, heads };
    let frame = Announce {
        database: port.database(),
        replica: port.replica(),
        hops,
        heads: HeadsFrame { sections: sections.into_iter().map(section).collect() },
        batches: bodies
            .iter()
            .map(|(log, head, batches)| Batches {
                log: *log,
                writer: head.writer(log),
                ends: false,
                tag: head.tag,
                batches: batches.iter().map(|batch| Cow::Borrowed(batch.as_slice())).collect(),
            })
            .collect(),
    };
    Frame::Announce(frame).encode(None)
}

fn ends_at(batch: &[u8], seq: u64) -> bool {
    let header = batch.get(1..).map(laterbase_event::BatchHeader::decode);
    header.is_some_and(|decoded| decoded.is_ok_and(|(header, _)| header.last_seq() == seq))
}

/// Takes an Announce in. `None` if the frame is something else, or of another database.
///
/// # Errors
/// [`FrameError`] for bytes that are no frame.
pub fn hear<R: Replica>(
    bytes: &[u8],
    config: &SessionConfig,
    port: &mut R,
) -> Result<Option<Heard>, FrameError> {
    let opened = frame::open(bytes, &config.frames, port.codec())?;
    let Some(Frame::Announce(frame)) = Frame::decode(&opened, &config.frames)? else {
        return Ok(None);
    };
    if frame.database != port.database() || !config.may_be(frame.replica) {
        return Ok(None);
    }
    let frame = within(frame, config, port);
    let mut heard = Heard {
        from: frame.replica,
        outcomes: Vec::new(),
        lacks: false,
        forward: None,
        fault: None,
    };
    let is_ours = |root: &RootName| config.scope.includes(root) && config.granted.includes(root);
    let mut verifier = Verifier::new(config.events);
    let lacked = lacks(&frame, &is_ours, port);
    for batches in frame.batches.iter().filter(|batches| is_ours(&batches.log.root)) {
        store(batches, &mut verifier, &mut heard, port);
    }
    heard.lacks = lacks(&frame, &is_ours, port);
    let is_news = lacked && heard.fault.is_none();
    if let Some(hops) = frame.hops.checked_sub(1).filter(|_| is_news) {
        let next = Announce { hops, replica: port.replica(), ..frame };
        heard.forward = Some(Frame::Announce(next).encode(None));
    }
    Ok(Some(heard))
}

/// What is left of it without what its sender may not bring: nothing of that is taken, asked for,
/// told of or handed on.
fn within<'a, R: Replica>(
    mut frame: Announce<'a>,
    config: &SessionConfig,
    port: &R,
) -> Announce<'a> {
    if config.may_relay {
        return frame;
    }
    let (peer, held) = (Some(frame.replica), port.heads());
    let may_bring = |writer| config.may_bring(writer, peer);
    for section in &mut frame.heads.sections {
        let root = section.root;
        section.heads.retain(|(replica, head)| {
            // Who wrote it is known of what is held; of the rest there is the sender's word.
            let log = LogId::new(root, *replica);
            may_bring(head.writer(&log)) && held.get(&log).is_none_or(|h| may_bring(h.writer(&log)))
        });
    }
    frame.batches.retain(|batches| may_bring(batches.writer));
    frame
}

/// Whether a head in it is not held.
fn lacks<R: Replica>(frame: &Announce<'_>, is_ours: &impl Fn(&RootName) -> bool, port: &R) -> bool {
    let sections = frame.heads.sections.iter().filter(|section| is_ours(&section.root));
    let mut heads = sections.flat_map(|section| {
        section.heads.iter().map(|(replica, head)| (LogId::new(section.root, *replica), *head))
    });
    heads.any(|(log, head)| {
        let end = port.end_before(&log, head.seq);
        end.is_none_or(|end| end.seq != head.seq || HashTag::of(&end.hash) != head.tag)
    })
}

fn store<R: Replica>(
    batches: &Batches<'_>,
    verifier: &mut Verifier,
    heard: &mut Heard,
    port: &mut R,
) {
    let claim = Claim { database: port.database(), root: batches.log.root, writer: batches.writer };
    let looked = match look_at_all(batches, &claim) {
        Ok(looked) => looked,
        Err((fault, seq)) => {
            heard.fault = Some((fault, batches.log, seq));
            return;
        }
    };
    for batch in &looked {
        match take(batch, verifier, Some(heard.from), port, &mut heard.outcomes) {
            Taken::Stored | Taken::Held | Taken::Forked(_) => {}
            Taken::Gap | Taken::Failed(_) => return,
            Taken::Refused(fault) => {
                heard.fault = Some((fault, batches.log, batch.view.header().first_seq));
                return;
            }
        }
    }
}
