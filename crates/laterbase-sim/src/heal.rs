//! The end of a run: the network is well again, everything wakes up, and all must come to hold the
//! same, within a bounded number of rounds.
//!
//! One round is a session between each copy and the next, there and back, so that what one copy
//! holds can reach every other one. A second may be needed for what the first made known (forks
//! that rename logs, new ids); more than [`ROUNDS_MAX`] is a violation.

use laterbase_sync::{Replica, Session, SessionConfig, Status};

use crate::carry::{Via, describe, news_in, taken_of};
use crate::coverage::Passage;
use crate::node::{Care, Ending, Node, Trouble, Violation, Wish, violation};
use crate::world::World;

/// Rounds within which all copies hold the same.
pub const ROUNDS_MAX: u64 = 3;

/// Flights of one session.
const FLIGHTS_MAX: usize = 2000;

impl<N: Node> World<N> {
    /// Everything is well again; all copies come to hold the same.
    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        self.note("everything is well again");
        self.network.clear();
        self.weather.corruption = 0;
        self.weather.gossips = false;
        while !self.links.is_empty() {
            self.drop_link(0);
        }
        for at in 0..self.seats.len() {
            self.look_at(at)?;
            self.seats[at].trouble = None;
            self.seats[at].node.trouble(None::<Trouble>);
            if self.seats[at].is_strict && self.seats[at].down_until.is_none() {
                self.note_quarantine(at)?;
                self.end(at, Ending::Closed)?;
            }
            self.seats[at].is_strict = false;
            if self.seats[at].down_until.is_some() {
                self.wake(at)?;
            }
            self.seats[at].node.retry_quarantine()?;
            self.look_at(at)?;
        }
        self.converge()?;
        // Copies that share an id and nothing else to tell them apart learn of it when they write.
        for at in 0..self.seats.len() {
            let wish = Wish {
                root: "final",
                key: format!("copy-{at}"),
                type_name: "seen",
                valid_us: None,
                payload: at.to_le_bytes().to_vec(),
            };
            self.record(at, &[wish], Care::Flushed)?;
        }
        self.converge()
    }

    fn note_quarantine(&mut self, at: usize) -> Result<(), Violation> {
        for _ in 0..self.seats[at].node.quarantined()? {
            self.coverage.passage(Passage::Quarantined);
        }
        Ok(())
    }

    fn converge(&mut self) -> Result<(), Violation> {
        for round in 1..=ROUNDS_MAX {
            self.coverage.passage(Passage::Round);
            let last = self.seats.len() - 1;
            let there = (0..last).map(|at| (at, at + 1));
            let back = (0..last).rev().map(|at| (at + 1, at));
            let pairs: Vec<_> = there.chain(back).collect();
            for (client, server) in pairs {
                self.exchange(client, server)?;
            }
            if self.all_hold_the_same() {
                self.note(format!("all hold the same after round {round}"));
                return Ok(());
            }
        }
        Err(violation!("the copies do not hold the same after {ROUNDS_MAX} rounds"))
    }

    fn all_hold_the_same(&self) -> bool {
        let mut heads = self.seats.iter().map(|seat| seat.node.port().map(|port| port.heads()));
        let Some(Some(first)) = heads.next() else { return false };
        heads.all(|heads| heads.as_ref() == Some(&first))
    }

    /// One session over a good network, until both sides have nothing to say.
    fn exchange(&mut self, client: usize, server: usize) -> Result<(), Violation> {
        self.pass_a_moment(client, server);
        let ends = [client, server];
        let config = SessionConfig { live: false, ..self.session_config() };
        let ports = ends.map(|at| self.seats[at].node.port());
        let [Some(port), Some(their_port)] = ports else {
            return Err(violation!("copy {client} or {server} is not open"));
        };
        let memory = port.recall(self.seats[server].node.replica());
        let mut sessions = [Session::initiator(config.clone(), memory), Session::responder(config)];
        let mut ports = [port, their_port];
        let mut flights = 0;
        let mut silent = 0;
        let mut side = 0;
        while silent < 2 {
            flights += 1;
            silent += 1;
            let (session, port) = (&mut sessions[side], &mut ports[side]);
            let frames: Vec<Vec<u8>> =
                std::iter::from_fn(|| session.poll_frame(self.now_ms, port)).collect();
            let status = session.status();
            self.promise_by(ends[side], status);
            side = 1 - side;
            for frame in frames {
                silent = 0;
                let (from, to) = (ends[1 - side], ends[side]);
                self.note(format!("{from}>{to}: {}", describe(&frame)));
                let (session, port) = (&mut sessions[side], &mut ports[side]);
                let news = news_in(&frame, port);
                let outcomes = session.handle_frame(&frame, self.now_ms, port);
                let stored = taken_of(news, port);
                self.take_in(ends[side], stored);
                self.judge(ends[side], &outcomes, Via::Session)?;
            }
            if flights > FLIGHTS_MAX {
                return Err(violation!("a session of {client} and {server} does not end"));
            }
        }
        let is_done = sessions.iter().all(|session| session.status() != Status::Running);
        self.note(format!("{client}-{server}: {flights} flights, done {is_done}"));
        for (at, session) in ends.into_iter().zip(&sessions) {
            if let Some(memory) = session.memory() {
                self.seats[at].node.remember(&memory);
            }
            self.look_at(at)?;
        }
        Ok(())
    }

    fn pass_a_moment(&mut self, client: usize, server: usize) {
        self.now_ms += 1;
        self.base_us += 1000;
        self.wind(client);
        self.wind(server);
    }
}
