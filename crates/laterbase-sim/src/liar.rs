//! A stranger that greets a copy, says that the copy's own log goes on, repeats what it overheard,
//! and damages some of it. Nobody may come to harm by it.

use laterbase_event::ReplicaId;
use laterbase_sync::frame::{Form, Frame, HeadsFrame, Hello, Purpose, RootDigest, Scope, Section};
use laterbase_sync::{Agreement, Digest, HashTag, Head, Replica, Session, SessionConfig};

use crate::carry::{Via, batches_of};
use crate::coverage::Happening;
use crate::node::{Node, Violation};
use crate::world::World;

impl<N: Node> World<N> {
    /// A stranger has a session with a copy.
    pub(crate) fn lie(&mut self, at: usize) -> Result<(), Violation> {
        self.wind(at);
        let Some(mut port) = self.seats[at].node.port() else { return Ok(()) };
        let mut session = Session::responder(SessionConfig::default());
        let mut frames = vec![self.false_hello(&port), self.false_heads(&port)];
        for _ in 0..self.random.below(4) {
            let count = self.overheard.len();
            let Some(bytes) = self.overheard.get(self.random.index(count)) else { break };
            let mut bytes = bytes.clone();
            if self.random.flip() {
                let place = self.random.index(bytes.len());
                bytes[place] ^= 1 << self.random.below(8);
            }
            frames.push(bytes);
        }
        self.coverage.fault(Happening::Liar);
        self.note(format!("{at}: a stranger speaks, {} frames", frames.len()));
        for frame in frames {
            let outcomes = session.handle_frame(&frame, self.now_ms, &mut port);
            let stored = batches_of(&outcomes, &port);
            self.take_in(at, stored);
            self.judge(at, &outcomes, Via::Stranger)?;
            for _ in 0..8 {
                if session.poll_frame(self.now_ms, &mut port).is_none() {
                    break;
                }
                self.promise_by(at, session.status());
            }
        }
        self.look_at(at)
    }

    fn false_hello(&mut self, port: &N::Port) -> Vec<u8> {
        let roots: std::collections::BTreeSet<_> =
            port.heads().keys().map(|log| log.root).collect();
        let digest = |root| RootDigest { root, digest: Some(Digest([7; 16])) };
        let hello = Hello {
            database: port.database(),
            replica: ReplicaId::from_u64(self.random.next_u64()),
            purpose: Purpose::Ask,
            scope: Scope::All,
            heads_follow: true,
            capabilities: laterbase_sync::frame::Capabilities(0),
            frame_bytes_max: 1 << 20,
            window_bytes: 1 << 20,
            wall_ms: self.random.next_u64(),
            hlc: laterbase_event::Hlc::MAX,
            validators: None,
            agreement: Agreement::NONE,
            roots: roots.into_iter().map(digest).collect(),
        };
        Frame::Hello(hello).encode(None)
    }

    /// Each of the copy's own logs goes on, it says.
    fn false_heads(&mut self, port: &N::Port) -> Vec<u8> {
        let id = port.replica();
        let mut sections = Vec::new();
        for (log, head) in port.heads() {
            if log.replica == id && head.branch.is_none() {
                let tag = HashTag(self.random.next_u64().to_le_bytes());
                let seq = head.seq + 1 + self.random.below(1000);
                let heads = vec![(id, Head { seq, tag, branch: None })];
                sections.push(Section { root: log.root, form: Form::Full, heads });
            }
        }
        Frame::Heads(HeadsFrame { sections }).encode(None)
    }
}
