//! Where an import's commits go: into a database here, or to a server.

use laterbase::{
    AppendError, CauseDraft, Commit, Database, Durability, EventDraft, EventId, KeyDraft, Outcome,
    PushError, VersionVector,
};

use super::draft::Draft;
use crate::failure::Failure;
use crate::refusals;

/// One commit after the other: events are pushed, then appended together.
pub(crate) trait Sink {
    /// What was held when the import began.
    fn held(&self) -> Result<VersionVector, Failure>;

    /// Takes an event into the commit.
    fn push(&mut self, draft: &Draft, cause: CauseDraft) -> Pushed;

    /// Appends the commit, and waits until it is as durable as was asked for. The commit stays as
    /// it is.
    fn append(&mut self) -> Result<Settled, Failure>;

    /// Empties the commit.
    fn clear(&mut self);

    /// Whether an event's cause may be an earlier one of the same commit.
    fn knows_earlier(&self) -> bool;

    /// Has the device keep what was appended, however little was promised.
    fn flush(&mut self) -> Result<(), Failure>;
}

/// What became of an event on its way into a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is in.
    Taken,
    /// There is no room for it beside the others; why, as if it were alone.
    Full(String),
    /// It cannot be recorded.
    Refused(String),
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is recorded, or was before; the ids of its events.
    Done { recorded: bool, ids: Vec<EventId> },
    /// These of its events, by index, are recorded already.
    PartlyApplied(Vec<(usize, EventId)>),
    /// The key of the event with this index stands for another one.
    Conflict { index: usize, existing: String },
    /// These of its events, by index, cannot be recorded.
    #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "servers alone say so"))]
    Refused(Vec<(usize, String)>),
}

/// A database in this process.
#[derive(Debug)]
pub(crate) struct DatabaseSink<'d> {
    database: &'d Database,
    commit: Commit,
    durability: Durability,
}

impl<'d> DatabaseSink<'d> {
    pub(crate) fn new(database: &'d Database, durability: Durability) -> Self {
        Self { database, commit: database.commit(), durability }
    }
}

impl Sink for DatabaseSink<'_> {
    fn held(&self) -> Result<VersionVector, Failure> {
        self.database.version_vector().map_err(|error| refusals::reading(&error))
    }

    fn push(&mut self, draft: &Draft, cause: CauseDraft) -> Pushed {
        if draft.root.starts_with('_') {
            return Pushed::Refused(refusals::RESERVED.to_owned());
        }
        let tags: Vec<(&str, &str)> =
            draft.tags.iter().map(|(root, key)| (root.as_str(), key.as_str())).collect();
        let meta: Vec<(&str, &str)> =
            draft.meta.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let pushed = self.commit.push_draft(
            &draft.root,
            &EventDraft {
                key: draft.key.as_deref().map_or(KeyDraft::OwnId, KeyDraft::Text),
                type_name: &draft.type_name,
                version: draft.version,
                valid_at: draft.valid_at_micros,
                tags: &tags,
                cause,
                idempotency: draft.idempotency.as_deref(),
                meta: &meta,
                content_type: &draft.content_type,
                payload: &draft.payload,
            },
        );
        match pushed {
            Ok(_) => Pushed::Taken,
            Err(error) if is_full(&error) => Pushed::Full(error.to_string()),
            Err(error) => Pushed::Refused(error.to_string()),
        }
    }

    fn append(&mut self) -> Result<Settled, Failure> {
        self.commit.durability(self.durability);
        let appended = self.database.append(&mut self.commit).and_then(laterbase::Ticket::wait);
        match appended {
            Ok(appended) => {
                let recorded = appended.outcome == Outcome::Recorded;
                Ok(Settled::Done { recorded, ids: appended.ids().collect() })
            }
            Err(AppendError::PartlyApplied { applied, .. }) => Ok(Settled::PartlyApplied(applied)),
            Err(AppendError::IdempotencyConflict { index, existing }) => {
                Ok(Settled::Conflict { index, existing: existing.to_string() })
            }
            Err(error) => Err(refusals::appending(&error)),
        }
    }

    fn clear(&mut self) {
        self.commit.clear();
    }

    fn knows_earlier(&self) -> bool {
        true
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.database.flush().map_err(|error| refusals::appending(&error))
    }
}

/// Whether an event was refused only because the commit is full.
fn is_full(error: &PushError) -> bool {
    matches!(
        error,
        PushError::Draft(laterbase::DraftError::BatchFull { .. }) | PushError::TooManyRoots
    )
}
