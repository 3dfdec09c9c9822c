//! What was staged, in order, and how much of it was promised.
//!
//! Invariants: positions count up from 1 over all commits; `flushed <= commits`, and so on. The
//! model knows nothing of groups, segments or runs; `last_group` is where the last acknowledged
//! flush began, which is all that a disk that lies may take without a word.

use std::collections::BTreeMap;

use laterbase::{
    Appended, Cause, Event, EventId, Hlc, NewEvent, Position, Recorded, ReplicaId, Timestamp,
    VersionVector,
};

use super::{Violation, violation};

/// A commit as it must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCommit {
    pub events: Vec<Recorded>,
}

/// Everything that was staged and may be there.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub commits: Vec<ModelCommit>,
    /// So many commits were acknowledged as flushed.
    pub flushed: usize,
    /// So many commits were acknowledged as written, at least.
    pub written: usize,
    /// So many commits were flushed before the last flush that was acknowledged.
    pub last_group: usize,
}

impl Model {
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Recorded> {
        self.commits.iter().flat_map(|commit| &commit.events)
    }

    /// The last position of the first `commits` commits.
    pub fn position_after(&self, commits: usize) -> u64 {
        let last = self.commits[..commits].last();
        last.and_then(|commit| commit.events.last()).map_or(0, |event| event.position.as_u64())
    }

    /// How many commits end at or before a position; `None` if it splits one.
    pub fn commits_to(&self, position: u64) -> Option<usize> {
        (0..=self.commits.len()).find(|commits| self.position_after(*commits) == position)
    }

    /// How far it has come, for people.
    pub fn state(&self) -> String {
        let staged = self.commits.len();
        format!("{staged} commits staged, {} written, {} flushed", self.written, self.flushed)
    }

    pub fn acknowledge_flushed(&mut self, commits: usize) {
        if commits > self.flushed {
            self.last_group = self.flushed;
            self.flushed = commits;
        }
        self.written = self.written.max(commits);
    }

    pub fn acknowledge_written(&mut self, commits: usize) {
        self.written = self.written.max(commits);
    }

    /// Only the first commits are left, and an opening has made them durable.
    pub fn settle_at(&mut self, commits: usize) {
        self.commits.truncate(commits);
        (self.flushed, self.written, self.last_group) = (commits, commits, commits);
    }

    pub fn keyed(&self, root: &str, key: &[u8]) -> Option<&Recorded> {
        let is_it = |event: &&Recorded| {
            event.event.root == root && event.event.idempotency.as_deref() == Some(key)
        };
        self.events().find(is_it)
    }

    pub fn stream_version(&self, root: &str, key: &str) -> u64 {
        let is_in = |event: &&Recorded| event.event.root == root && event.event.key == key;
        self.events().filter(is_in).count() as u64
    }

    pub fn version_vector(&self) -> VersionVector {
        let mut vector = VersionVector::new();
        for event in self.events() {
            let root = event.event.root.as_str().try_into().expect("a root");
            vector.set(root, event.event.id.replica(), event.event.seq);
        }
        vector
    }

    fn last_seqs(&self) -> BTreeMap<(String, ReplicaId), u64> {
        let heads = self
            .events()
            .map(|event| ((event.event.root.clone(), event.event.id.replica()), event.event.seq));
        heads.collect()
    }

    /// Takes in what was just staged, after a look at the numbers it was given.
    pub fn stage(
        &mut self,
        replica: ReplicaId,
        drafts: &[NewEvent],
        appended: &Appended,
    ) -> Result<(), Violation> {
        let ids: Vec<EventId> = appended.ids().collect();
        if ids.len() != drafts.len() {
            return Err(violation!("{} ids for {} events", ids.len(), drafts.len()));
        }
        let last_own = self.events().map(|e| e.event.id).filter(|id| id.replica() == replica).max();
        let mut events = Vec::new();
        for (index, (draft, id)) in drafts.iter().zip(&ids).enumerate() {
            if id.replica() != replica || last_own.is_some_and(|last| *id <= last) {
                return Err(violation!("id {id} does not rise: {last_own:?} came before"));
            }
            let seq = appended.seq(index).ok_or_else(|| violation!("{id} has no number"))?;
            events.push(expected_event(draft, *id, seq, &ids));
        }
        // Parts stand in the order of their roots, and so do their ids.
        events.sort_by_key(|event| event.id);
        let mut seqs = self.last_seqs();
        for event in &events {
            let seq = seqs.entry((event.root.clone(), replica)).or_default();
            *seq += 1;
            if event.seq != *seq {
                return Err(violation!("{} has number {}, not {seq}", event.id, event.seq));
            }
        }
        let before = self.events().last();
        let first = before.map_or(1, |event| event.position.as_u64() + 1);
        let last = first + events.len() as u64 - 1;
        if appended.position.as_u64() != last {
            return Err(violation!("position {} instead of {last}", appended.position));
        }
        let arrived = before.map_or(Hlc::ZERO, |event| event.arrival);
        let arrival =
            events.iter().map(|event| event.id.hlc()).max().map_or(arrived, |hlc| hlc.max(arrived));
        let events = events.into_iter().zip(first..).map(|(event, position)| Recorded {
            event,
            position: Position::new(position),
            arrival,
        });
        self.commits.push(ModelCommit { events: events.collect() });
        Ok(())
    }
}

/// What must be read of an event that was given an id and a number.
fn expected_event(draft: &NewEvent, id: EventId, seq: u64, ids: &[EventId]) -> Event {
    let own_id = id.to_string();
    let key = draft.key.clone().unwrap_or_else(|| own_id.clone());
    let mut tags: Vec<(String, String)> = draft
        .tags
        .iter()
        .map(|tag| (tag.root.as_str().to_owned(), tag.key.as_str().to_owned()))
        .filter(|tag| !(tag.0 == draft.root && Some(&tag.1) == draft.key.as_ref()))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    let recorded_at = i64::try_from(id.hlc().millis() * 1000).expect("a time");
    Event {
        id,
        root: draft.root.clone(),
        seq,
        key,
        key_is_own_id: draft.key.is_none(),
        type_name: draft.type_name.clone(),
        version: draft.version,
        valid_at: draft.valid_at.unwrap_or(Timestamp::from_micros(recorded_at)),
        valid_is_default: draft.valid_at.is_none(),
        tags,
        cause: match draft.cause {
            Cause::None => None,
            Cause::Id(cause) => Some(cause),
            Cause::Earlier(index) => Some(ids[index]),
        },
        idempotency: draft.idempotency_key.clone(),
        meta: draft.meta.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        content_type: draft.content_type.clone(),
        payload: draft.payload.clone(),
    }
}
