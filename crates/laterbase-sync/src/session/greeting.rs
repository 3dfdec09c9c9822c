//! Hello, Heads and Bye: how the view of the peer comes about.

use alloc::vec::Vec;

use laterbase_event::{ReplicaId, RootName};

use super::Session;
use crate::{
    digest::{Agreement, Digest},
    frame::{Bye, Form, HeadsFrame, Hello, Purpose, Reason, Section},
    log_id::{Head, Heads, LogId, of_root},
    outcome::Outcome,
    port::Replica,
};

impl Session {
    pub(super) fn on_hello<R: Replica>(
        &mut self,
        hello: Hello,
        port: &mut R,
        outcomes: &mut Vec<Outcome>,
    ) {
        if hello.database != port.database() {
            return self.refuse(Bye::new(Reason::Database), outcomes);
        }
        if self.peer.as_ref().is_some_and(|peer| peer.replica != hello.replica) {
            return self.refuse(Bye::new(Reason::Malformed), outcomes);
        }
        if !self.config.may_be(hello.replica) {
            return self.refuse(Bye::new(Reason::Scope), outcomes);
        }
        let is_first = self.peer.is_none();
        if is_first {
            // What was going to be sent on a guess is decided anew: the peer may hold it by now.
            self.intents.sends.clear();
        }
        if is_first && self.memory.as_ref().is_none_or(|memory| memory.peer != hello.replica) {
            self.memory = port.recall(hello.replica).filter(|memory| memory.peer == hello.replica);
            // What was common to both may be more than such a peer is told of.
            self.memory = self.memory.take().filter(|_| self.config.may_relay);
            self.view.clear();
            self.known.clear();
        }
        let is_matched = self.match_baseline(&hello);
        self.peer = Some(hello.clone());
        if is_first {
            // Who it is decides what it is told of.
            self.changes_seen = None;
        }
        self.refresh(port);
        if hello.purpose == Purpose::Ask || (is_first && !is_matched) {
            self.known.clear();
        }
        for root in self.shared_roots() {
            self.judged.insert(root);
            let entry = hello.roots.iter().find(|entry| entry.root == root);
            let theirs = entry.and_then(|entry| entry.digest);
            self.judge(&root, theirs, is_matched, &hello);
        }
        if hello.purpose == Purpose::Ask {
            self.intents.hello.get_or_insert(Purpose::Answer);
        }
        self.must_plan = true;
    }

    /// Finds the heads that the peer names. Whether both know them.
    fn match_baseline(&mut self, hello: &Hello) -> bool {
        let is_matched = match hello.purpose {
            Purpose::Ask => {
                let found =
                    self.memory.as_ref().and_then(|memory| memory.named(hello.agreement)).cloned();
                let is_found = found.is_some();
                self.baseline = found.unwrap_or_default();
                is_found
            }
            Purpose::Answer => {
                let is_same = hello.agreement == self.agreement;
                if !is_same {
                    self.baseline.clear();
                }
                is_same && hello.agreement != Agreement::NONE
            }
        };
        self.agreement = if is_matched { hello.agreement } else { Agreement::NONE };
        is_matched
    }

    /// What the digests say of one root.
    fn judge(&mut self, root: &RootName, theirs: Option<Digest>, matched: bool, hello: &Hello) {
        let ours = Digest::of(&self.mine, root);
        if theirs == ours {
            let heads: Heads = of_root(&self.mine, root).map(|(log, head)| (*log, *head)).collect();
            return self.know(root, heads);
        }
        if theirs.is_none() {
            self.know(root, Heads::new());
        } else if matched {
            let believed = of_root(&self.baseline, root);
            let heads: Heads = believed.map(|(log, head)| (*log, *head)).collect();
            let fits = Digest::of(&heads, root) == theirs;
            self.know(root, heads);
            if !fits {
                self.known.remove(root);
            }
        }
        if hello.purpose == Purpose::Ask && ours.is_some() {
            let waits = matched && (self.known.contains(root) || hello.heads_follow);
            self.intents.heads.insert(*root, if waits { Form::Delta } else { Form::Full });
        }
    }

    /// Takes these heads for all that the peer holds of a root.
    fn know(&mut self, root: &RootName, heads: Heads) {
        self.view.retain(|log, _| log.root != *root);
        self.view.extend(heads);
        self.known.insert(*root);
    }

    pub(super) fn on_heads(&mut self, frame: &HeadsFrame, outcomes: &mut Vec<Outcome>) {
        if self.is_partial() {
            // Who tells what it may not send waits for a word.
            self.has_confirmed = false;
        }
        for section in &frame.sections {
            if !self.shares(&section.root) {
                continue;
            }
            match section.form {
                Form::Full => {
                    let name = |(replica, head): &(ReplicaId, Head)| {
                        (LogId::new(section.root, *replica), *head)
                    };
                    self.know(&section.root, section.heads.iter().map(name).collect());
                }
                Form::Delta => self.overlay(section),
            }
        }
        if self.view.len() > self.config.heads_max as usize {
            return self.refuse(Bye::new(Reason::TooMuch), outcomes);
        }
        self.must_plan = true;
    }

    /// Lays the heads that changed over those that are believed, and checks the result.
    fn overlay(&mut self, section: &Section) {
        for (replica, head) in &section.heads {
            let log = LogId::new(section.root, *replica);
            match head.seq {
                0 => self.view.remove(&log),
                _ => self.view.insert(log, *head),
            };
        }
        if self.known.contains(&section.root) {
            return;
        }
        let entries = self.peer.iter().flat_map(|hello| &hello.roots);
        let theirs = entries.filter(|entry| entry.root == section.root).find_map(|e| e.digest);
        if theirs.is_some() && Digest::of(&self.view, &section.root) == theirs {
            self.known.insert(section.root);
        } else {
            // The peer is told everything, so that it can do the work.
            self.intents.heads.insert(section.root, Form::Full);
        }
    }

    pub(super) fn on_bye<R: Replica>(&mut self, bye: Bye, port: &R, outcomes: &mut Vec<Outcome>) {
        // Counts what was confirmed last.
        self.plan(port);
        self.learn_of(&bye);
        let ours = self.shared(&self.mine);
        if !self.is_partial()
            && bye.agreement.is_some_and(|agreement| agreement == Agreement::of(&ours))
        {
            self.agreed = Some(ours);
            self.offered = None;
        }
        self.closed = Some(bye.reason);
        outcomes.push(Outcome::Left { peer: self.peer(), bye });
    }
}
