//! Sessions in which one side may not bring all, or is not told all.
//!
//! ```text
//!   who grants                              who is granted
//!   asks only for what may come             sends unasked only what it writes itself
//!   tells of what is told, and of the       tells what else it holds that the other lacks,
//!   peer's own logs                         and sends what it is asked for
//! ```
//! Both never come to hold the same, so it is not equality that ends such a session, but that
//! nothing is left that may go either way; and nothing of it is remembered as common ground.

use laterbase_event::ReplicaId;

use super::Session;
use crate::{
    frame::{Bye, Capabilities, Fault, Form, Reason},
    log_id::{Head, LogId},
    outcome::Outcome,
    port::Replica,
};

impl Session {
    /// Whether either side holds anything back.
    pub(super) fn is_partial(&self) -> bool {
        !self.config.may_relay || self.takes_own_only()
    }

    /// Whether the peer takes only what is written here, or what it asks for.
    pub(super) fn takes_own_only(&self) -> bool {
        let peer = self.peer.as_ref().map(|hello| hello.capabilities);
        let known = peer.or(self.memory.as_ref().map(|memory| memory.capabilities));
        known.is_some_and(|capabilities| capabilities.includes(Capabilities::OWN))
    }

    /// Whether nothing is left that may go either way. As of the last plan.
    pub(super) fn is_done_in_part(&self) -> bool {
        let intents = &self.intents;
        !self.must_plan
            && !self.awaits_answer
            && self.open.is_empty()
            && intents.heads.is_empty()
            && intents.sends.is_empty()
            && intents.wants.is_empty()
            && self.shared_roots().iter().all(|root| self.is_known(root))
    }

    /// Whether the peer may be told of a log that is held here.
    pub(super) fn may_tell(&self, log: &LogId, head: &Head) -> bool {
        let config = &self.config;
        config.scope.includes(&log.root)
            && config.granted.includes(&log.root)
            && (config.told.names(&log.root) || config.is_own(head.writer(log), self.peer()))
    }

    /// Whether the peer may be asked for a log.
    pub(super) fn may_come(&self, log: &LogId, head: &Head) -> bool {
        self.config.may_bring(head.writer(log), self.peer())
    }

    /// Whether a log may go to the peer unasked. Otherwise it is told once that it is here.
    pub(super) fn may_go<R: Replica>(&mut self, log: &LogId, head: &Head, port: &R) -> bool {
        if !self.takes_own_only() || head.writer(log) == port.replica() {
            return true;
        }
        if self.told.insert(log.root) {
            self.intents.heads.insert(log.root, Form::Full);
            self.awaits_answer = true;
        }
        false
    }

    /// Ends the session: the peer may not bring what this writer wrote.
    pub(super) fn refuse_relayed(
        &mut self,
        writer: ReplicaId,
        log: LogId,
        outcomes: &mut alloc::vec::Vec<Outcome>,
    ) -> bool {
        if self.config.may_bring(writer, self.peer()) {
            return false;
        }
        let fault = Some((Fault::Relayed, log, 0));
        self.refuse(Bye { fault, ..Bye::new(Reason::Scope) }, outcomes);
        true
    }

    /// Takes the peer's word that it does not take what others wrote.
    pub(super) fn learn_of(&mut self, bye: &Bye) {
        if let (Some((Fault::Relayed, ..)), Some(memory)) = (bye.fault, &mut self.memory) {
            memory.capabilities = memory.capabilities.with(Capabilities::OWN);
        }
    }
}
