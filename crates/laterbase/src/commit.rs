//! A commit: one or more events of one or more roots, recorded together or not at all.
//!
//! ```text
//!   push ──▶ validators ──▶ part of its root: canonical envelopes and payloads (BatchBuilder)
//!                                           + terms for the indexes (BatchTerms)
//! ```
//! Events are encoded as they are pushed, on the caller's thread; an append adds only the header.
//! A commit is used again after [`Commit::clear`]: once it has grown, it allocates nothing.
//! Events of one root keep their order; the parts stand in the order in which their roots came.

use std::ops::Range;

use laterbase_event::{
    BatchBuilder, CauseDraft, DraftError, EventDraft, EventId, Key, KeyDraft, Limits, NameError,
    RootName, Timestamp,
};

use crate::condition::{AppendCondition, Expectation, Expected};
use crate::content::ContentHash;
use crate::new_event::{Cause, NewEvent};
use crate::progress::Durability;
use crate::terms::{BatchTerms, TermHash, TermHasher, TermSource};
use crate::validator::{Candidate, Validators};

/// Events that are recorded together or not at all. Made by
/// [`Database::commit`](crate::Database::commit).
#[derive(Debug)]
pub struct Commit {
    hasher: TermHasher,
    limits: Limits,
    validators: Validators,
    /// What events are held against; nothing holds what the database records about itself.
    #[cfg(feature = "query")]
    pub(crate) gate: Option<crate::declared::SchemaGate>,
    default_durability: Durability,
    pub(crate) durability: Durability,
    /// One per root, `parts_used` of them in use; `terms` goes along.
    pub(crate) builders: Vec<BatchBuilder>,
    pub(crate) terms: Vec<BatchTerms>,
    pub(crate) parts_used: usize,
    /// Where each event went, in the order of pushing.
    pub(crate) order: Vec<Slot>,
    pub(crate) demands: Demands,
}

/// What must hold for a commit to be appended.
#[derive(Debug, Default)]
pub(crate) struct Demands {
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) conditions: Vec<AppendCondition>,
    pub(crate) keyed: Vec<KeyedEvent>,
    /// The keys of `keyed`, one behind the other: root, then key.
    key_bytes: Vec<u8>,
    /// How many events the commit has.
    pub(crate) events: usize,
}

impl Demands {
    /// The root and the idempotency key of an event.
    pub(crate) fn key_of(&self, event: &KeyedEvent) -> (&str, &[u8]) {
        let bytes = self.key_bytes.get(event.key.clone()).unwrap_or_default();
        let (root, key) = bytes.split_at_checked(event.root_bytes).unwrap_or_default();
        (std::str::from_utf8(root).unwrap_or_default(), key)
    }

    fn clear(&mut self) {
        self.expectations.clear();
        self.conditions.clear();
        self.keyed.clear();
        self.key_bytes.clear();
        self.events = 0;
    }

    /// Whether nothing is demanded.
    pub(crate) fn is_empty(&self) -> bool {
        self.expectations.is_empty() && self.conditions.is_empty() && self.keyed.is_empty()
    }
}

/// Where an event of a commit stands: its part, and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) part: u16,
    pub(crate) index: u16,
}

/// An event that has an idempotency key.
#[derive(Debug)]
pub(crate) struct KeyedEvent {
    pub(crate) term: TermHash,
    /// Where its root and key stand in the commit's key bytes.
    key: Range<usize>,
    root_bytes: usize,
    /// Its index in the commit.
    pub(crate) index: usize,
    /// Everything that a repetition must repeat, its cause apart.
    pub(crate) content: ContentHash,
    /// The cause, which a repetition must repeat, too.
    pub(crate) cause: KeyedCause,
}

/// What an event with an idempotency key followed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyedCause {
    None,
    /// The event of the same commit with this index.
    Earlier(usize),
    /// Some event of the same commit.
    SameCommit,
    Id(EventId),
}

/// An event cannot be part of a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The event breaks a limit or is malformed.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The root's name is malformed.
    #[error("the root's name is refused: {0}")]
    Root(NameError),
    /// The root is the database's own.
    #[error(
        "`{root}` begins with `_`, and such roots are the database's own: record under another \
         one; rows of tables are written by `put` and `delete`"
    )]
    Reserved {
        /// The root.
        root: String,
    },
    /// A validator objects.
    #[error("refused by a validator: {message}")]
    Refused {
        /// Its message.
        message: String,
    },
    /// The schema of the database does not allow it.
    #[error("refused by the schema: {message}")]
    Schema {
        /// Why, and what to do.
        message: String,
    },
    /// The schema of the database cannot be read.
    #[error("the schema of the database cannot be read: {message}")]
    SchemaUnreadable {
        /// Why.
        message: String,
    },
    /// The cause is an event of this commit that comes later, or none.
    #[error(
        "the cause is event {cause} of this commit, which has {events} events so far: a cause \
         comes before its effects"
    )]
    CauseNotEarlier {
        /// The index that was given.
        cause: usize,
        /// How many events the commit has.
        events: usize,
    },
    /// The cause is an event of this commit under another root, whose id is not known yet.
    #[error(
        "the cause is event {cause} of this commit, under another root: append that one first \
         and name it by its id"
    )]
    CauseUnderOtherRoot {
        /// The index that was given.
        cause: usize,
    },
    /// More roots than one commit can hold.
    #[error(
        "a commit holds events of at most {} roots: use several commits",
        Limits::COMMIT_PARTS_MAX
    )]
    TooManyRoots,
}

impl Commit {
    pub(crate) fn new(
        hasher: TermHasher,
        limits: Limits,
        validators: Validators,
        durability: Durability,
    ) -> Self {
        Self {
            hasher,
            limits,
            validators,
            #[cfg(feature = "query")]
            gate: None,
            default_durability: durability,
            durability,
            builders: Vec::new(),
            terms: Vec::new(),
            parts_used: 0,
            order: Vec::new(),
            demands: Demands::default(),
        }
    }

    /// The same, its events held against the schema of the database.
    #[cfg(feature = "query")]
    pub(crate) fn held_against(mut self, gate: crate::declared::SchemaGate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Forgets everything pushed, expected and set, and keeps the memory.
    pub fn clear(&mut self) {
        self.builders.iter_mut().take(self.parts_used).for_each(BatchBuilder::clear);
        self.terms.iter_mut().take(self.parts_used).for_each(BatchTerms::clear);
        self.parts_used = 0;
        self.order.clear();
        self.demands.clear();
        #[cfg(feature = "query")]
        if let Some(gate) = &mut self.gate {
            gate.clear();
        }
        self.durability = self.default_durability;
    }

    /// How many events have been pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing has been pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds an event; answers its index in the commit, from 0.
    ///
    /// # Errors
    /// [`PushError`] when the event is malformed, over a limit or refused by a validator; the
    /// commit is as it was.
    pub fn push(&mut self, event: &NewEvent) -> Result<usize, PushError> {
        not_reserved(&event.root)?;
        self.push_own(event)
    }

    /// Adds an event, also one of the database's own.
    pub(crate) fn push_own(&mut self, event: &NewEvent) -> Result<usize, PushError> {
        let tags: Vec<(&str, &str)> =
            event.tags.iter().map(|tag| (tag.root.as_str(), tag.key.as_str())).collect();
        let meta: Vec<(&str, &str)> =
            event.meta.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let cause = match event.cause {
            Cause::None => CauseDraft::None,
            Cause::Id(id) => CauseDraft::Id(id),
            Cause::Earlier(index) => self.cause_in_commit(&event.root, index)?,
        };
        let draft = EventDraft {
            key: event.key.as_deref().map_or(KeyDraft::OwnId, KeyDraft::Text),
            type_name: &event.type_name,
            version: event.version,
            valid_at: event.valid_at.map(Timestamp::as_micros),
            tags: &tags,
            cause,
            idempotency: event.idempotency_key.as_deref(),
            meta: &meta,
            content_type: &event.content_type,
            payload: &event.payload,
        };
        self.push_any(&event.root, &draft)
    }

    /// Adds an event without owning or allocating anything; answers its index in the commit.
    ///
    /// The draft's [`CauseDraft::Earlier`] counts the events of `root` alone.
    ///
    /// # Errors
    /// As [`Commit::push`].
    pub fn push_draft(&mut self, root: &str, draft: &EventDraft<'_>) -> Result<usize, PushError> {
        not_reserved(root)?;
        self.push_any(root, draft)
    }

    fn push_any(&mut self, root: &str, draft: &EventDraft<'_>) -> Result<usize, PushError> {
        let key = match draft.key {
            KeyDraft::Text(key) => Some(key),
            KeyDraft::OwnId => None,
        };
        let valid_at = draft.valid_at.map(Timestamp::from_micros);
        let cause = match draft.cause {
            CauseDraft::Id(id) => Some(id),
            CauseDraft::None | CauseDraft::Earlier { .. } | CauseDraft::Back { .. } => None,
        };
        #[cfg(feature = "query")]
        if let Some(gate) = &mut self.gate {
            gate.check(root, draft)?;
        }
        self.validators
            .check(&Candidate {
                root,
                key,
                type_name: draft.type_name,
                version: draft.version,
                valid_at,
                tags: draft.tags,
                cause,
                content_type: draft.content_type,
                payload: draft.payload,
            })
            .map_err(|message| PushError::Refused { message })?;
        let part = self.part_of(root)?;
        let (Some(builder), Some(terms)) = (self.builders.get_mut(part), self.terms.get_mut(part))
        else {
            return Err(PushError::TooManyRoots);
        };
        let index = builder.push(draft)?;
        self.parts_used = self.parts_used.max(part + 1);
        let source = TermSource {
            root,
            key,
            type_name: draft.type_name,
            valid_at,
            tags: draft.tags.iter().copied(),
            idempotency: draft.idempotency,
            cause: draft.cause,
        };
        terms.add(&self.hasher, source);
        let in_commit = self.order.len();
        if let Some(key) = draft.idempotency {
            let term = self.hasher.idempotency(root, key);
            let content = ContentHash::of_draft(&self.hasher, root, draft);
            let bytes = &mut self.demands.key_bytes;
            let from = bytes.len();
            bytes.extend_from_slice(root.as_bytes());
            bytes.extend_from_slice(key);
            let key = from..bytes.len();
            let root_bytes = root.len();
            let cause = self.keyed_cause(part as u16, draft.cause);
            let keyed = KeyedEvent { term, key, root_bytes, index: in_commit, content, cause };
            self.demands.keyed.push(keyed);
        }
        self.order.push(Slot { part: part as u16, index });
        self.demands.events += 1;
        Ok(in_commit)
    }

    fn keyed_cause(&self, part: u16, cause: CauseDraft) -> KeyedCause {
        match cause {
            CauseDraft::None => KeyedCause::None,
            CauseDraft::Id(id) => KeyedCause::Id(id),
            CauseDraft::Back { .. } => KeyedCause::SameCommit,
            CauseDraft::Earlier { index_in_batch } => {
                // A cause is near, as a rule.
                let slot = Slot { part, index: index_in_batch };
                let found = self.order.iter().rposition(|of| *of == slot);
                found.map_or(KeyedCause::SameCommit, KeyedCause::Earlier)
            }
        }
    }

    /// Sets what the append promises.
    pub fn durability(&mut self, durability: Durability) -> &mut Self {
        self.durability = durability;
        self
    }

    /// Demands that a stream has a version.
    pub fn expect(&mut self, root: RootName, key: Key, expected: Expected) -> &mut Self {
        self.demands.expectations.push(Expectation { root, key, expected });
        self
    }

    /// Demands that nothing which matches has become visible since a point.
    pub fn fail_if(&mut self, condition: AppendCondition) -> &mut Self {
        self.demands.conditions.push(condition);
        self
    }

    fn cause_in_commit(&self, root: &str, cause: usize) -> Result<CauseDraft, PushError> {
        let events = self.order.len();
        let slot = self.order.get(cause).ok_or(PushError::CauseNotEarlier { cause, events })?;
        let builder = self.builders.get(usize::from(slot.part));
        if builder.is_none_or(|builder| builder.root().as_str() != root) {
            return Err(PushError::CauseUnderOtherRoot { cause });
        }
        Ok(CauseDraft::Earlier { index_in_batch: slot.index })
    }

    /// The index of the part for a root: the one it has, or the next one, made ready.
    fn part_of(&mut self, root: &str) -> Result<usize, PushError> {
        let mut used = self.builders.iter().take(self.parts_used);
        if let Some(at) = used.position(|builder| builder.root().as_str() == root) {
            return Ok(at);
        }
        if self.parts_used >= Limits::COMMIT_PARTS_MAX as usize {
            return Err(PushError::TooManyRoots);
        }
        let at = self.parts_used;
        match self.builders.get_mut(at) {
            Some(builder) if builder.root().as_str() == root => {}
            Some(builder) => builder.reset(RootName::try_from(root).map_err(PushError::Root)?),
            None => {
                let name = RootName::try_from(root).map_err(PushError::Root)?;
                self.builders.push(BatchBuilder::with_limits(name, self.limits));
                self.terms.push(BatchTerms::default());
            }
        }
        Ok(at)
    }
}

fn not_reserved(root: &str) -> Result<(), PushError> {
    if root.starts_with('_') {
        return Err(PushError::Reserved { root: root.to_owned() });
    }
    Ok(())
}
