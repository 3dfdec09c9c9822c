//! What mine and the view differ in, and what follows from it: what to ask for, what to send.
//!
//! ```text
//! theirs, not held here       ask: behind my last place, if their log is longer than mine;
//!                             else the logs are different, and the whole way is told.
//!                             What brought nothing new is not asked for again
//! mine, not held there        send: behind the last place that both hold
//! ```
//! A peer that does not know of a fork calls one branch by the plain log's name. So a head is
//! looked for on the ways to all branches of its writer; that is done for forked writers alone,
//! and all others cost one look-up per log.

use alloc::{collections::BTreeSet, vec::Vec};

use laterbase_event::{ReplicaId, RootName};

use super::{
    Pull, Session,
    answer::is_on_way,
    intent::{Extent, Send},
};
use crate::{
    frame::{Place, Want},
    log_id::{HashTag, Head, LogId, of_root},
    port::Replica,
};

impl Session {
    /// Brings the intents up to date, if anything changed.
    pub(super) fn plan<R: Replica>(&mut self, port: &R) {
        self.refresh(port);
        if !core::mem::take(&mut self.must_plan) {
            return;
        }
        if self.peer.is_none() {
            // What the peer was left with is presumed to be what it has.
            self.known = self.shared_roots();
            if self.baseline.is_empty() {
                self.known.clear();
            }
        }
        let forked = self.forked_writers();
        let (mut pull, mut push) = (0_u64, 0_u64);
        self.open.clear();
        for root in self.shared_roots() {
            if self.is_known(&root) {
                let pulls = self.plan_pulls(&root, port);
                let sends = self.plan_sends(&root, &forked, port);
                (pull, push) = (pull.saturating_add(pulls), push.saturating_add(sends));
                if pulls.saturating_add(sends) > 0 {
                    self.open.insert(root);
                }
            }
        }
        let progress = &mut self.progress;
        let total = progress.pull_events.saturating_add(pull);
        progress.pull_events_total = progress.pull_events_total.max(total);
        let total = progress.push_events.saturating_add(push);
        progress.push_events_total = progress.push_events_total.max(total);
        if self.peer.is_some() {
            // What it no longer lacks it has, whether an Ack, a digest or its heads said so.
            let confirmed = progress.push_events_total.saturating_sub(push);
            progress.push_events = progress.push_events.max(confirmed);
        }
    }

    fn forked_writers(&self) -> BTreeSet<(RootName, ReplicaId)> {
        let heads = self.mine.iter().chain(&self.view);
        heads.filter_map(|(log, head)| Some((log.root, head.branch?.writer))).collect()
    }

    /// Asks for what is not held, and counts its events.
    fn plan_pulls<R: Replica>(&mut self, root: &RootName, port: &R) -> u64 {
        let theirs: Vec<(LogId, Head)> = of_root(&self.view, root)
            .filter(|(log, head)| self.mine.get(log) != Some(head) && self.may_come(log, head))
            .map(|(log, head)| (*log, *head))
            .collect();
        let mut events = 0_u64;
        for (log, head) in theirs {
            if self.is_held(&log, &head, port) {
                self.pulls.remove(&log);
                continue;
            }
            let mine = self.mine.get(&log).map_or(0, |mine| mine.seq);
            let base = head.branch.map_or(0, |branch| branch.first_seq - 1);
            events = events.saturating_add(head.seq.saturating_sub(mine.max(base)).max(1));
            match self.pulls.get_mut(&log) {
                Some(pull) => pull.until = pull.until.max(head.seq),
                None => {
                    self.pulls.insert(log, Pull { until: head.seq, behind: 0 });
                    // What came of it ends before mine does: its answer began before that.
                    let is_behind = self.met.get(&log).is_some_and(|met| met.seq < mine);
                    let differs = mine >= head.seq || mine == 0 || is_behind;
                    let extent = if differs { Extent::Way } else { Extent::Last };
                    self.intents.want(self.priority(&log), log, extent);
                }
            }
        }
        events
    }

    /// Sends what the peer lacks, and counts its events.
    fn plan_sends<R: Replica>(
        &mut self,
        root: &RootName,
        forked: &BTreeSet<(RootName, ReplicaId)>,
        port: &R,
    ) -> u64 {
        let mine: Vec<(LogId, Head)> = of_root(&self.mine, root)
            .filter(|(log, head)| self.view.get(log) != Some(head))
            .map(|(log, head)| (*log, *head))
            .collect();
        let mut events = 0_u64;
        for (log, head) in mine {
            let theirs = self.view.get(&log);
            if theirs.is_some_and(|theirs| theirs.seq >= head.seq) {
                continue;
            }
            let is_forked = forked.contains(&(*root, head.writer(&log)));
            if theirs.is_some_and(|at| !is_forked && !is_on_way(port, &log, at.seq, &at.tag)) {
                continue;
            }
            if !self.may_go(&log, &head, port) {
                continue;
            }
            let common = self.common(&log, &head, is_forked, port);
            let flight = self.in_flight.get(&log).and_then(|flight| flight.frames.last());
            let after = common.max(flight.map_or(0, |(seq, _, _)| *seq));
            events = events.saturating_add(head.seq.saturating_sub(common));
            if after >= head.seq || self.too_large.contains_key(&log) {
                continue;
            }
            let starts = head.branch.is_some_and(|branch| after < branch.first_seq);
            if starts && self.intents.shown.insert(log) {
                self.intents.forks.insert(log);
            }
            if !self.intents.is_sending(&log) {
                let send = Send { after, bytes_left: u64::MAX, answers: false };
                self.intents.send(self.config.priority(root), log, send);
            }
        }
        events
    }

    /// The last event on the way to the end of `log` that the peer is believed to hold.
    fn common<R: Replica>(&self, log: &LogId, head: &Head, is_forked: bool, port: &R) -> u64 {
        let direct = self.view.get(log).filter(|at| is_on_way(port, log, at.seq, &at.tag));
        let mut best = direct.map_or(0, |at| at.seq);
        if !is_forked {
            return best;
        }
        let writer = head.writer(log);
        let base = head.branch.and_then(|b| port.end_before(log, b.first_seq.saturating_sub(1)));
        let theirs = of_root(&self.view, &log.root).filter(|(id, at)| at.writer(id) == writer);
        for (_, at) in theirs {
            if at.seq > best && is_on_way(port, log, at.seq, &at.tag) {
                best = at.seq;
            }
            let Some(base) = base.filter(|base| base.seq > best && base.seq <= at.seq) else {
                continue;
            };
            // It holds another branch, and so what is before the fork.
            let mut branches = self.branches(log, writer);
            let holds = |other: &LogId| {
                is_on_way(port, other, at.seq, &at.tag)
                    && is_on_way(port, other, base.seq, &HashTag::of(&base.hash))
            };
            if branches.any(holds) {
                best = base.seq;
            }
        }
        best
    }

    fn branches<'a>(
        &'a self,
        log: &LogId,
        writer: ReplicaId,
    ) -> impl Iterator<Item = &'a LogId> + use<'a> {
        let all = of_root(&self.mine, &log.root);
        all.filter(move |(id, head)| head.writer(id) == writer).map(|(id, _)| id)
    }

    /// Whether what a head ends with is held here, under whatever name.
    pub(super) fn is_held<R: Replica>(&self, log: &LogId, head: &Head, port: &R) -> bool {
        if self.mine.contains_key(log) && is_on_way(port, log, head.seq, &head.tag) {
            return true;
        }
        let named = self.mine.get(log).map_or(head.writer(log), |mine| mine.writer(log));
        self.branches(log, named).any(|id| is_on_way(port, id, head.seq, &head.tag))
    }

    /// The request for a log.
    pub(super) fn want<R: Replica>(&mut self, log: &LogId, extent: Extent, port: &R) -> Want {
        let priority = self.priority(log);
        let met = self.met.get(log).map_or(0, |met| met.seq);
        let until = self.pulls.get_mut(log).map_or(u64::MAX, |pull| {
            pull.behind = met;
            pull.until
        });
        let places = self.places(log, extent, port);
        Want { log: *log, until, bytes_max: self.config.want_bytes_max, priority, places }
    }

    /// Ends of batches on the way to the log's end: the last one, or ever sparser ones.
    fn places<R: Replica>(&self, log: &LogId, extent: Extent, port: &R) -> Vec<Place> {
        const CLOSE: usize = 4;
        const PLACES: usize = 40;
        let mut places: Vec<Place> = Vec::new();
        let met = self.met.get(log);
        let Some(nearest) = self.nearest(log, met, port) else { return places };
        let (mut seq, mut step) = (u64::MAX, 1_u64);
        while let Some(end) = port.end_before(&nearest, seq) {
            places.push(Place { seq: end.seq, tag: HashTag::of(&end.hash) });
            if extent == Extent::Last || places.len() >= PLACES {
                break;
            }
            if places.len() > CLOSE {
                step = step.saturating_mul(2);
            }
            match end.seq.checked_sub(step).filter(|seq| *seq > 0) {
                Some(before) => seq = before,
                None => break,
            }
        }
        // Else a fork that is further behind the last place than one answer holds would be asked
        // for from the same place for ever.
        let met = met.filter(|met| is_on_way(port, &nearest, met.seq, &met.tag));
        if let (Some(met), Extent::Way) = (met, extent) {
            let before = places.partition_point(|place| place.seq > met.seq);
            if places.get(before).is_none_or(|place| place.seq < met.seq) {
                places.insert(before, *met);
            }
        }
        places
    }

    /// The log here whose way has the most in common with that of the peer's `log`, which may have
    /// another name here, or none: one that holds what the peer last sent of it; else itself; else
    /// the one that it branches from, by what the peer holds; else the plain log.
    fn nearest<R: Replica>(&self, log: &LogId, met: Option<&Place>, port: &R) -> Option<LogId> {
        let theirs = self.view.get(log);
        let named = self.mine.get(log).or(theirs);
        let writer = named.map_or(log.replica, |head| head.writer(log));
        let holds = |id: &LogId, met: &Place| is_on_way(port, id, met.seq, &met.tag);
        let is_mine = |id: &LogId| self.mine.contains_key(id);
        let itself = Some(*log).filter(is_mine);
        if let Some(met) = met
            && !itself.is_some_and(|id| holds(&id, met))
            && let Some(id) = self.branches(log, writer).find(|id| holds(id, met))
        {
            return Some(*id);
        }
        let branch = theirs.and_then(|head| head.branch);
        let end = branch.and_then(|branch| branch.first_seq.checked_sub(1));
        let base = || {
            let mut logs = of_root(&self.view, &log.root).filter(|(id, _)| is_mine(id));
            let base = logs.find(|(id, at)| at.writer(id) == writer && Some(at.seq) == end);
            base.map(|(id, _)| *id)
        };
        let plain = LogId::new(log.root, writer);
        itself.or_else(base).or(Some(plain).filter(is_mine))
    }
}
