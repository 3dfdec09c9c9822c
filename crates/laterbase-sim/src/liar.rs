//! A stranger that greets a copy, says that the copy's own log goes on, brings a batch of it that
//! fits nothing, repeats what it overheard, and damages some of it. Nobody may come to harm by it.
//!
//! Left out: a batch that does fit. Without signatures it is as good as a copy's own, makes the
//! copy take a new id, and names whoever brought it.

use laterbase_event::{
    BatchBuilder, BatchHeader, DatabaseId, EventDraft, Hash, Hlc, ReplicaId, RootName, Stamp,
};
use laterbase_sync::frame::{
    Batches, Form, Frame, HeadsFrame, Hello, Purpose, RootDigest, Scope, Section,
};
use laterbase_sync::{Agreement, Digest, HashTag, Head, LogId, Replica, Session, SessionConfig};

use crate::carry::{Via, news_in, taken_of};
use crate::coverage::Happening;
use crate::node::{Node, Violation, violation};
use crate::world::World;

/// A batch that nobody wrote, and the frame that it comes in.
struct Forged {
    frame: Vec<u8>,
    header: BatchHeader,
    hash: Hash,
}

impl<N: Node> World<N> {
    /// A stranger has a session with a copy.
    pub(crate) fn lie(&mut self, at: usize) -> Result<(), Violation> {
        self.wind(at);
        let Some(mut port) = self.seats[at].node.port() else { return Ok(()) };
        let mut session = Session::responder(SessionConfig::default());
        let mut frames = vec![self.false_hello(&port), self.false_heads(&port)];
        let forged = self.forged(&port)?;
        frames.push(forged.frame.clone());
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
            let news = news_in(&frame, &port);
            let outcomes = session.handle_frame(&frame, self.now_ms, &mut port);
            let stored = taken_of(news, &port);
            self.take_in(at, stored);
            self.judge(at, &outcomes, Via::Stranger)?;
            for _ in 0..8 {
                if session.poll_frame(self.now_ms, &mut port).is_none() {
                    break;
                }
                self.promise_by(at, session.status());
            }
        }
        let header = &forged.header;
        if port.find(header.replica, &header.root, header.last_seq(), &forged.hash).is_some() {
            return Err(violation!("copy {at} stored a batch that extends nothing it holds"));
        }
        self.look_at(at)
    }

    /// A batch of one of the copy's own logs, behind its end and behind nothing that is held.
    fn forged(&mut self, port: &N::Port) -> Result<Forged, Violation> {
        let wrong = |error: &dyn std::fmt::Display| violation!("no forged batch: {error}");
        let own = port.heads().into_iter().find(|(log, _)| log.replica == port.replica());
        let root = RootName::try_from("truck").map_err(|error| wrong(&error))?;
        let (log, seq) =
            own.map_or((LogId::new(root, port.replica()), 0), |(log, head)| (log, head.seq));
        let mut builder = BatchBuilder::new(log.root);
        builder.push(&EventDraft::new("k1", "seen")).map_err(|error| wrong(&error))?;
        let body = builder.finish();
        let hlc = Hlc::new(self.base_us.unsigned_abs() / 1000, 0);
        let stamp = Stamp {
            database: port.database(),
            replica: log.replica,
            first_seq: seq + 1 + self.random.below(2),
            first_hlc: hlc,
            commit_hlc: hlc,
            part: 0,
            parts: 1,
            previous: Hash::of(&self.random.next_u64().to_le_bytes()),
        };
        // The first batch of a log follows nothing, by its own word.
        let stamp = Stamp { first_seq: stamp.first_seq.max(2), ..stamp };
        let header = body.stamp(&stamp).map_err(|error| wrong(&error))?;
        let mut bytes = Vec::new();
        let hash = body.write_batch(&header, &mut bytes);
        let (tag, batches) = (HashTag::of(&hash), vec![bytes.as_slice().into()]);
        let frame = Batches { log, writer: log.replica, ends: false, tag, batches };
        Ok(Forged { frame: Frame::Batches(frame).encode(None), header, hash })
    }

    fn false_hello(&mut self, port: &N::Port) -> Vec<u8> {
        let roots: std::collections::BTreeSet<_> =
            port.heads().keys().map(|log| log.root).collect();
        let digest = |root| RootDigest { root, digest: Some(Digest([7; 16])) };
        let is_foreign = self.random.chance(1, 6);
        let foreign = DatabaseId::from_bytes(*b"another database");
        let hello = Hello {
            database: if is_foreign { foreign } else { port.database() },
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
                let further = head.seq + 1 + self.random.below(1000);
                let seq = if self.random.chance(1, 4) { u64::MAX } else { further };
                let heads = vec![(id, Head { seq, tag, branch: None })];
                sections.push(Section { root: log.root, form: Form::Full, heads });
            }
        }
        Frame::Heads(HeadsFrame { sections }).encode(None)
    }
}
