//! The writing half of an import: drafts become commits, and each commit is waited for.
//!
//! A commit is all or nothing. What stands against one event does not stand against its
//! neighbours: an event that is there already, or must be refused, is taken out and the rest is
//! appended. Since every event has an idempotency key, an import that was interrupted is simply
//! run again.
//!
//! With `--preserve`, an id that is named as a cause becomes the id that the event got here. For
//! that, the writer keeps 32 bytes for each event that had an id.

use std::collections::{HashMap, HashSet};

use laterbase::{CauseDraft, EventId, RootName, VersionVector};

use super::draft::Draft;
use super::feed::{Pending, Place};
use super::record::Reason;
use super::sink::{Pushed, Settled, Sink};
use crate::failure::{Exit, Failure};

/// What an import writes with.
pub(crate) struct Writer<'s> {
    sink: &'s mut dyn Sink,
    /// What was held when the import began.
    held: VersionVector,
    /// What became of ids that had been given elsewhere.
    new_ids: HashMap<EventId, EventId>,
    /// The events in the commit, in the order of pushing.
    batch: Vec<Pending>,
    /// Idempotency keys in the commit.
    keys: HashSet<(String, Vec<u8>)>,
    /// Original ids in the commit: root, and index among the root's events.
    local: HashMap<EventId, (String, u16)>,
    /// Events of each root in the commit.
    counts: HashMap<String, u16>,
    pub(crate) imported: u64,
    pub(crate) already_there: u64,
}

/// A commit that has the durability that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// Its lowest id.
    pub(crate) first: EventId,
    /// Its highest id. All ids between the two are this commit's.
    pub(crate) last: EventId,
    /// How many events it has.
    pub(crate) count: u64,
}

/// What the writer has to tell.
#[derive(Debug)]
pub(crate) enum WriterEvent {
    Acknowledged(Acknowledged),
    Refused { place: Place, reason: Reason },
}

type Tell<'t> = dyn FnMut(WriterEvent) -> Result<(), Failure> + 't;

impl<'s> Writer<'s> {
    pub(crate) fn new(sink: &'s mut dyn Sink) -> Result<Self, Failure> {
        let held = sink.held()?;
        Ok(Self {
            sink,
            held,
            new_ids: HashMap::new(),
            batch: Vec::new(),
            keys: HashSet::new(),
            local: HashMap::new(),
            counts: HashMap::new(),
            imported: 0,
            already_there: 0,
        })
    }

    /// Takes an event into the commit, which is appended first where the two cannot go together.
    pub(crate) fn push(&mut self, pending: Pending, tell: &mut Tell<'_>) -> Result<(), Failure> {
        if let Some(here) = self.held_as(&pending.draft) {
            self.already_there = self.already_there.saturating_add(1);
            self.note(&pending.draft, here);
            return Ok(());
        }
        if self.must_wait(&pending.draft) {
            self.settle(tell)?;
        }
        match self.push_draft(&pending.draft) {
            Pushed::Taken => self.batch.push(pending),
            Pushed::Full(_) if !self.batch.is_empty() => {
                self.settle(tell)?;
                match self.push_draft(&pending.draft) {
                    Pushed::Taken => self.batch.push(pending),
                    Pushed::Full(message) | Pushed::Refused(message) => {
                        tell(refused(pending, message))?;
                    }
                }
            }
            Pushed::Full(message) | Pushed::Refused(message) => tell(refused(pending, message))?,
        }
        Ok(())
    }

    /// Appends what is in the commit and waits for it.
    pub(crate) fn settle(&mut self, tell: &mut Tell<'_>) -> Result<(), Failure> {
        while !self.batch.is_empty() {
            match self.sink.append()? {
                Settled::Done { recorded, ids } => return self.acknowledge(recorded, &ids, tell),
                Settled::PartlyApplied(applied) => self.take_out_applied(&applied)?,
                Settled::Conflict { index, existing } => {
                    self.take_out_conflicting(index, existing, tell)?;
                }
                Settled::Refused(refusals) => self.take_out_refused(refusals, tell)?,
            }
        }
        self.clear();
        Ok(())
    }

    fn acknowledge(
        &mut self,
        recorded: bool,
        ids: &[EventId],
        tell: &mut Tell<'_>,
    ) -> Result<(), Failure> {
        let count = self.batch.len() as u64;
        for (pending, id) in std::mem::take(&mut self.batch).iter().zip(ids) {
            self.note(&pending.draft, *id);
        }
        self.clear();
        let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else {
            return Ok(());
        };
        if recorded {
            self.imported = self.imported.saturating_add(count);
            let (first, last) = (*first, *last);
            tell(WriterEvent::Acknowledged(Acknowledged { first, last, count }))
        } else {
            self.already_there = self.already_there.saturating_add(count);
            Ok(())
        }
    }

    /// Leaves out the events that were recorded before, and makes the commit anew.
    fn take_out_applied(&mut self, applied: &[(usize, EventId)]) -> Result<(), Failure> {
        let applied: HashMap<usize, EventId> = applied.iter().copied().collect();
        let mut rest = Vec::new();
        for (index, pending) in std::mem::take(&mut self.batch).into_iter().enumerate() {
            match applied.get(&index) {
                Some(id) => {
                    self.already_there = self.already_there.saturating_add(1);
                    self.note(&pending.draft, *id);
                }
                None => rest.push(pending),
            }
        }
        self.push_again(rest)
    }

    /// Refuses the event whose key stands for another one, and makes the commit anew.
    fn take_out_conflicting(
        &mut self,
        index: usize,
        existing: String,
        tell: &mut Tell<'_>,
    ) -> Result<(), Failure> {
        let mut rest = std::mem::take(&mut self.batch);
        if index < rest.len() {
            let pending = rest.remove(index);
            let key = pending.draft.idempotency.as_deref().unwrap_or_default();
            let reason =
                Reason::Conflict { key: String::from_utf8_lossy(key).into_owned(), existing };
            tell(WriterEvent::Refused { place: pending.place, reason })?;
        }
        self.push_again(rest)
    }

    /// Refuses the events that cannot be recorded, and makes the commit anew.
    fn take_out_refused(
        &mut self,
        refusals: Vec<(usize, String)>,
        tell: &mut Tell<'_>,
    ) -> Result<(), Failure> {
        let mut refusals: HashMap<usize, String> = refusals.into_iter().collect();
        let mut rest = Vec::new();
        for (index, pending) in std::mem::take(&mut self.batch).into_iter().enumerate() {
            match refusals.remove(&index) {
                Some(message) => tell(refused(pending, message))?,
                None => rest.push(pending),
            }
        }
        self.push_again(rest)
    }

    fn push_again(&mut self, rest: Vec<Pending>) -> Result<(), Failure> {
        self.clear();
        for pending in rest {
            // It went in before, when there was less room.
            match self.push_draft(&pending.draft) {
                Pushed::Taken => self.batch.push(pending),
                Pushed::Full(_) | Pushed::Refused(_) => {
                    let message = "an event that was taken before is not taken again";
                    return Err(Failure::new(Exit::Internal, message));
                }
            }
        }
        Ok(())
    }

    fn push_draft(&mut self, draft: &Draft) -> Pushed {
        let pushed = self.sink.push(draft, self.cause(draft));
        if pushed != Pushed::Taken {
            return pushed;
        }
        let index = self.counts.entry(draft.root.clone()).or_default();
        if let Some(original) = draft.original {
            self.local.insert(original.id, (draft.root.clone(), *index));
        }
        *index = index.saturating_add(1);
        if let Some(key) = &draft.idempotency {
            self.keys.insert((draft.root.clone(), key.clone()));
        }
        Pushed::Taken
    }

    fn cause(&self, draft: &Draft) -> CauseDraft {
        let Some(original) = draft.original_cause else { return CauseDraft::None };
        match (self.new_ids.get(&original), self.local.get(&original)) {
            (Some(id), _) => CauseDraft::Id(*id),
            (None, Some((root, index))) if *root == draft.root => {
                CauseDraft::Earlier { index_in_batch: *index }
            }
            // Not in this import, or not yet: the id stays as it was.
            (None, Some(_) | None) => CauseDraft::Id(original),
        }
    }

    /// Whether the event can only be pushed when the commit before it has been appended: its key
    /// is in it, or its cause is, under another root.
    fn must_wait(&self, draft: &Draft) -> bool {
        let key = draft.idempotency.as_ref();
        let same_key =
            key.is_some_and(|key| self.keys.contains(&(draft.root.clone(), key.clone())));
        let cause = draft.original_cause.and_then(|cause| self.local.get(&cause));
        let is_far = |(root, _): &(String, u16)| !self.sink.knows_earlier() || *root != draft.root;
        same_key || cause.is_some_and(is_far)
    }

    /// The id under which this copy holds the very event, or the one that it was a copy of.
    fn held_as(&self, draft: &Draft) -> Option<EventId> {
        let original = draft.original?;
        let root = RootName::try_from(draft.root.as_str()).ok()?;
        let holds = |id: EventId, seq: u64| {
            (seq > 0 && self.held.includes(&root, id.replica(), seq)).then_some(id)
        };
        let itself = original.seq.and_then(|seq| holds(original.id, seq));
        itself.or_else(|| original.first.and_then(|(id, seq)| holds(id, seq)))
    }

    /// Remembers which id an event got here.
    fn note(&mut self, draft: &Draft, id: EventId) {
        if let Some(original) = draft.original {
            self.new_ids.insert(original.id, id);
        }
    }

    fn clear(&mut self) {
        self.sink.clear();
        self.batch.clear();
        self.keys.clear();
        self.local.clear();
        self.counts.clear();
    }
}

fn refused(pending: Pending, message: String) -> WriterEvent {
    WriterEvent::Refused { place: pending.place, reason: Reason::NotAllowed { message } }
}
