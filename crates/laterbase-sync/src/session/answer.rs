//! Wants and acks: what the peer asks for, and what it confirms.

use alloc::vec::Vec;

use super::{
    Session,
    intent::{Extent, Send},
};
use crate::{
    frame::{Ack, Bye, Form, Reason, Want},
    log_id::{HashTag, Head, LogId},
    outcome::Outcome,
    port::Replica,
};

impl Session {
    pub(super) fn on_want<R: Replica>(
        &mut self,
        want: &Want,
        port: &R,
        outcomes: &mut Vec<Outcome>,
    ) {
        if !self.shares(&want.log.root) {
            return self.refuse(Bye::new(Reason::Scope), outcomes);
        }
        self.refresh(port);
        let Some(head) = self.mine.get(&want.log).copied() else {
            // A fork renamed the log, or there never was one: say what there is.
            self.intents.heads.insert(want.log.root, Form::Full);
            return;
        };
        let mut places = want.places.iter();
        let common = places.find(|place| is_on_way(port, &want.log, place.seq, &place.tag));
        let after = common.map_or(0, |place| place.seq);
        if let (Some(first), true) = (want.places.first(), want.places.first() != common) {
            let theirs = Head { seq: first.seq, tag: first.tag, branch: None };
            // It holds what is not held here: further, or another branch.
            if !self.is_held(&want.log, &theirs, port) {
                self.intents.want(self.priority(&want.log), want.log, Extent::Way);
            }
        }
        if head.branch.is_some_and(|branch| after < branch.first_seq) {
            self.intents.forks.insert(want.log);
        }
        self.in_flight_drop(&want.log);
        let send = Send { after, bytes_left: want.bytes_max, answers: true };
        self.intents.send(want.priority, want.log, send);
    }

    pub(super) fn on_ack<R: Replica>(&mut self, ack: &Ack, port: &R) {
        self.refresh(port);
        for entry in &ack.entries {
            let Some(mine) = self.mine.get(&entry.log).copied() else { continue };
            if !is_on_way(port, &entry.log, entry.seq, &entry.tag) {
                continue;
            }
            if let Some(flight) = self.in_flight.get_mut(&entry.log) {
                flight.frames.retain(|(seq, _, _)| *seq > entry.seq);
                if flight.frames.is_empty() {
                    self.in_flight.remove(&entry.log);
                }
                self.count_in_flight();
            }
            let held = self.view.get(&entry.log).copied();
            let before = held
                .filter(|held| {
                    held.seq > mine.seq || is_on_way(port, &entry.log, held.seq, &held.tag)
                })
                .map_or(0, |held| held.seq);
            if entry.seq > before {
                let base = mine.branch.map_or(0, |branch| branch.first_seq - 1);
                self.progress.push_events += entry.seq - before.max(base).min(entry.seq);
                let branch = mine.branch.filter(|branch| branch.first_seq <= entry.seq);
                if branch == mine.branch {
                    let head = Head { seq: entry.seq, tag: entry.tag, branch };
                    self.view.insert(entry.log, head);
                }
            }
        }
        self.must_plan = true;
    }

    pub(super) fn in_flight_drop(&mut self, log: &LogId) {
        self.in_flight.remove(log);
        self.count_in_flight();
    }

    pub(super) fn count_in_flight(&mut self) {
        let frames = self.in_flight.values().flat_map(|flight| &flight.frames);
        self.in_flight_bytes = frames.map(|(_, _, bytes)| *bytes).sum();
    }

    pub(super) fn priority(&self, log: &LogId) -> u8 {
        self.config.priority(&log.root)
    }
}

/// Whether a batch with this end and tag is held on the way to the end of `log`.
pub(super) fn is_on_way<R: Replica>(port: &R, log: &LogId, seq: u64, tag: &HashTag) -> bool {
    let end = port.end_before(log, seq);
    end.is_some_and(|end| end.seq == seq && HashTag::of(&end.hash) == *tag)
}
