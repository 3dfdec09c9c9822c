//! Validators: functions of the embedding program that look at an event before it is recorded.
//!
//! A validator sees the event as it is pushed to a commit; its message refuses the event, and the
//! commit never comes to be. Validators must be pure: the same event, the same answer, on every
//! replica that registers them.

use std::fmt;
use std::sync::Arc;

use laterbase_event::{EventId, EventView, Hash, Timestamp};
use laterbase_sync::HashTag;

/// An event that wants to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The kind of thing it happened to.
    pub root: &'a str,
    /// Which one; `None`: the event's own id.
    pub key: Option<&'a str>,
    /// What kind of event it is.
    pub type_name: &'a str,
    /// The version of its type's schema.
    pub version: u32,
    /// When it happened; `None`: when it is recorded.
    pub valid_at: Option<Timestamp>,
    /// Other things that it concerns, as (root, key).
    pub tags: &'a [(&'a str, &'a str)],
    /// What it followed from, if that is an event of an earlier commit.
    pub cause: Option<EventId>,
    /// The media type of the payload.
    pub content_type: &'a str,
    /// What happened.
    pub payload: &'a [u8],
}

type Check = dyn Fn(&Candidate<'_>) -> Result<(), String> + Send + Sync;

/// The validators of a database: all must accept.
#[derive(Clone, Default)]
pub struct Validators {
    checks: Vec<Arc<Check>>,
    version: Option<String>,
}

impl Validators {
    /// Adds a validator; its message is what the writer is told.
    #[must_use]
    pub fn with(
        mut self,
        check: impl Fn(&Candidate<'_>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Arc::new(check));
        self
    }

    /// Names this set of validators, so that peers notice when theirs are others.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// What peers compare: equal for sets with the same number of validators and the same version;
    /// `None` if there are no validators.
    pub(crate) fn fingerprint(&self) -> Option<[u8; 8]> {
        if self.checks.is_empty() {
            return None;
        }
        let version = self.version.as_deref().unwrap_or_default();
        let text = format!("{} {version}", self.checks.len());
        let HashTag(tag) = HashTag::of(&Hash::of(text.as_bytes()));
        Some(tag)
    }

    /// These and others behind them; the version stays.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.checks.extend(others.checks.iter().cloned());
        self
    }

    /// The first objection, if there is one.
    pub(crate) fn check(&self, candidate: &Candidate<'_>) -> Result<(), String> {
        self.checks.iter().try_for_each(|check| check(candidate))
    }
}

/// The first objection to an event that was received; what a database records about itself is
/// nobody's to refuse.
pub(crate) fn refusal(validators: &Validators, event: &EventView<'_>) -> Option<String> {
    if validators.checks.is_empty() || event.root().starts_with('_') {
        return None;
    }
    let tags: Vec<(&str, &str)> = event.tags().collect();
    let candidate = Candidate {
        root: event.root(),
        key: Some(event.key()),
        type_name: event.type_name(),
        version: event.version(),
        valid_at: (!event.valid_is_default()).then(|| event.valid_at()),
        tags: &tags,
        cause: event.cause(),
        content_type: event.content_type(),
        payload: event.payload(),
    };
    validators.check(&candidate).err()
}

impl fmt::Debug for Validators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Validators({})", self.checks.len())
    }
}
