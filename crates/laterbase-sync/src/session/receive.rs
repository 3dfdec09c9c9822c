//! Batches and proofs that come in.

use alloc::vec::Vec;

use laterbase_event::BatchView;

use super::{Session, intent::Extent};
use crate::{
    check::{self, Claim, Looked},
    frame::{Acked, Announce, Batches, Bye, Fault, Fork, Form, Place, Reason},
    intake::{Taken, take},
    log_id::{Branch, HashTag, Head, LogId},
    outcome::Outcome,
    port::{Replica, Split},
};

impl Session {
    pub(super) fn on_batches<R: Replica>(
        &mut self,
        frame: &Batches<'_>,
        port: &mut R,
        outcomes: &mut Vec<Outcome>,
    ) {
        if !self.shares(&frame.log.root) {
            return self.refuse(Bye::new(Reason::Scope), outcomes);
        }
        if self.refuse_relayed(frame.writer, frame.log, outcomes) {
            return;
        }
        let claim = Claim { database: port.database(), root: frame.log.root, writer: frame.writer };
        let looked = match look_at_all(frame, &claim) {
            Ok(looked) => looked,
            Err((fault, seq)) => return self.refuse_batch(fault, frame.log, seq, outcomes),
        };
        self.believe(frame, &looked);
        let (mut acked, mut is_news) = (None, false);
        for batch in &looked {
            let header = batch.view.header();
            let via = self.peer();
            let taken = take(batch, &mut self.verifier, via, port, outcomes);
            if matches!(taken, Taken::Stored | Taken::Forked(_)) {
                self.progress.pull_events += u64::from(header.count);
                is_news = true;
            }
            match taken {
                Taken::Stored | Taken::Held => {}
                Taken::Forked(split) => self.on_split(&split, batch, port),
                Taken::Gap => {
                    self.intents.want(self.priority(&frame.log), frame.log, Extent::Way);
                    break;
                }
                Taken::Refused(fault) => {
                    return self.refuse_batch(fault, frame.log, header.first_seq, outcomes);
                }
                Taken::Failed(_) => return self.refuse(Bye::new(Reason::Storage), outcomes),
            }
            acked = Some((header.last_seq(), HashTag::of(&batch.hash)));
        }
        if let Some((seq, tag)) = acked {
            // What the peer calls a log is its free choice: only names that are bounded elsewhere
            // are kept for the session.
            if self.view.contains_key(&frame.log) || self.mine.contains_key(&frame.log) {
                self.met.insert(frame.log, Place { seq, tag });
            }
            self.intents.acks.insert(frame.log, Acked { log: frame.log, seq, tag });
            if let Some(pull) = self.pulls.get(&frame.log)
                && (frame.ends || seq >= pull.until)
                // Else the same question would get the same answer.
                && (is_news || seq > pull.behind)
            {
                self.pulls.remove(&frame.log);
            }
        }
        if self.intents.names().max(self.view.len()) > self.config.heads_max as usize {
            return self.refuse(Bye::new(Reason::TooMuch), outcomes);
        }
        self.must_plan = true;
    }

    /// Whoever sends a batch holds it.
    fn believe(&mut self, frame: &Batches<'_>, looked: &[Looked<'_>]) {
        let Some(last) = looked.last() else { return };
        let seq = last.view.header().last_seq();
        if self.view.get(&frame.log).is_none_or(|held| held.seq < seq) {
            let known = self.view.get(&frame.log).or_else(|| self.mine.get(&frame.log));
            let branch = known.and_then(|head| head.branch);
            if frame.writer == frame.log.replica || branch.is_some() {
                self.view.insert(frame.log, Head { seq, tag: frame.tag, branch });
            }
        }
    }

    /// The peer holds the new branch, and perhaps calls it by the plain log's name.
    fn on_split<R: Replica>(&mut self, split: &Split, batch: &Looked<'_>, port: &R) {
        let header = batch.view.header();
        let branch = Some(Branch { writer: header.replica, first_seq: header.first_seq });
        let first = Head { seq: header.last_seq(), tag: HashTag::of(&batch.hash), branch };
        match self.view.get(&split.log).copied().filter(|held| held.seq > split.after) {
            Some(held) => {
                self.view.insert(split.theirs, Head { branch, ..held });
                match port.end_before(&split.log, split.after) {
                    Some(end) => {
                        let tag = HashTag::of(&end.hash);
                        self.view.insert(split.log, Head { seq: end.seq, tag, branch: held.branch })
                    }
                    None => self.view.remove(&split.log),
                };
            }
            None => {
                self.view.entry(split.theirs).or_insert(first);
            }
        }
        self.intents.heads.insert(split.log.root, Form::Full);
        if self.intents.shown.insert(split.theirs) {
            self.intents.forks.insert(split.theirs);
        }
        self.in_flight_drop(&split.log);
        self.refresh(port);
    }

    pub(super) fn on_fork<R: Replica>(
        &mut self,
        fork: &Fork<'_>,
        port: &mut R,
        outcomes: &mut Vec<Outcome>,
    ) {
        let pair = look_at_proof(fork, port);
        let (first, second) = match pair {
            Ok(pair) => pair,
            Err((fault, Some((log, seq)))) => {
                return self.refuse_batch(fault, log, seq, outcomes);
            }
            Err((_, None)) => return self.refuse(Bye::new(Reason::BadBatch), outcomes),
        };
        let header = first.view.header();
        let log = LogId::new(header.root, header.replica);
        if !self.shares(&header.root) {
            return self.refuse(Bye::new(Reason::Scope), outcomes);
        }
        if self.refuse_relayed(header.replica, log, outcomes) {
            return;
        }
        for batch in [&first, &second] {
            let via = self.peer();
            let taken = take(batch, &mut self.verifier, via, port, outcomes);
            if matches!(taken, Taken::Stored | Taken::Forked(_)) {
                self.progress.pull_events += u64::from(batch.view.header().count);
            }
            match taken {
                // What is missing before it is asked for with the branch.
                Taken::Held | Taken::Gap => {}
                Taken::Stored | Taken::Forked(_) => {
                    self.intents.heads.insert(header.root, Form::Full);
                }
                Taken::Refused(fault) => {
                    return self.refuse_batch(fault, log, header.first_seq, outcomes);
                }
                Taken::Failed(_) => return self.refuse(Bye::new(Reason::Storage), outcomes),
            }
        }
        self.must_plan = true;
    }

    pub(super) fn on_announce<R: Replica>(
        &mut self,
        frame: &Announce<'_>,
        port: &mut R,
        outcomes: &mut Vec<Outcome>,
    ) {
        if frame.database != port.database() {
            return self.refuse(Bye::new(Reason::Database), outcomes);
        }
        for section in &frame.heads.sections {
            // The heads are the announcer's, which need not be the peer.
            for (replica, head) in section.heads.iter().filter(|(_, head)| head.seq > 0) {
                let log = LogId::new(section.root, *replica);
                let is_new = self.view.get(&log).is_none_or(|held| held.seq < head.seq);
                if self.is_known(&section.root) && is_new {
                    self.view.insert(log, *head);
                }
            }
        }
        if self.view.len() > self.config.heads_max as usize {
            return self.refuse(Bye::new(Reason::TooMuch), outcomes);
        }
        for batches in &frame.batches {
            self.on_batches(batches, port, outcomes);
        }
        self.must_plan = true;
    }
}

/// Hashes all batches of a frame before any is stored.
pub(crate) fn look_at_all<'a>(
    frame: &'a Batches<'_>,
    claim: &Claim,
) -> Result<Vec<Looked<'a>>, (Fault, u64)> {
    let mut all: Vec<Looked<'a>> = Vec::new();
    for bytes in &frame.batches {
        let before = all.last().map_or(0, |looked| looked.view.header().last_seq());
        let looked =
            check::look(bytes, claim).map_err(|fault| (fault, before.saturating_add(1)))?;
        if all.last().is_some_and(|last| !check::follows(last, &looked)) {
            return Err((Fault::Chain, looked.view.header().first_seq));
        }
        all.push(looked);
    }
    match all.last() {
        Some(last) if HashTag::of(&last.hash) != frame.tag => {
            Err((Fault::Hash, last.view.header().first_seq))
        }
        Some(_) | None => Ok(all),
    }
}

type Pair<'a> = (Looked<'a>, Looked<'a>);

/// Where a proof breaks; no log if its first batch does not even parse.
type Broken = (Fault, Option<(LogId, u64)>);

fn look_at_proof<'a, R: Replica>(fork: &Fork<'a>, port: &R) -> Result<Pair<'a>, Broken> {
    let parsed = BatchView::parse(fork.first).map_err(|_| (Fault::Encoding, None))?;
    let (root, writer) = (parsed.header().root, parsed.header().replica);
    let claim = Claim { database: port.database(), root, writer };
    let log = LogId::new(root, writer);
    let at = Some((log, parsed.header().first_seq));
    let refuse = |fault| (fault, at);
    let first = check::look(fork.first, &claim).map_err(refuse)?;
    let second = check::look(fork.second, &claim).map_err(refuse)?;
    if fork.tags != [HashTag::of(&first.hash), HashTag::of(&second.hash)] {
        return Err((Fault::Hash, at));
    }
    let (one, other) = (first.view.header(), second.view.header());
    let is_proof = one.first_seq == other.first_seq
        && one.previous == other.previous
        && first.hash != second.hash;
    if is_proof { Ok((first, second)) } else { Err((Fault::NoProof, at)) }
}
