//! What must hold for an append to happen: expected stream versions and append conditions.
//!
//! Both are decided on the replica that appends, against everything recorded there up to that
//! moment. After a merge two replicas may each have appended "version 8": that is reported, not
//! prevented.

use laterbase_event::{Key, RootName, Tag, TypeName, VersionVector};

use crate::cursor::Cursor;

/// The version that a stream must have: the number of its events on this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// Any version; nothing is checked.
    #[default]
    Any,
    /// The stream has no event yet.
    None,
    /// The stream has at least one event.
    Exists,
    /// The stream has exactly this many events.
    At(u64),
}

impl Expected {
    /// Whether a stream with `actual` events meets the expectation.
    #[must_use]
    pub fn is_met_by(self, actual: u64) -> bool {
        match self {
            Self::Any => true,
            Self::None => actual == 0,
            Self::Exists => actual > 0,
            Self::At(version) => actual == version,
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::None => f.write_str("no events"),
            Self::Exists => f.write_str("at least one event"),
            Self::At(version) => write!(f, "version {version}"),
        }
    }
}

/// One stream and the version that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The stream's root.
    pub root: RootName,
    /// The stream's key.
    pub key: Key,
    /// What is expected of it.
    pub expected: Expected,
}

/// Fails an append when an event that matches became visible after a given point.
///
/// The dynamic consistency boundary of <https://dcb.events>: instead of the version of one
/// stream, whatever a decision was based on is what must not have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendCondition {
    /// Which events would break the decision.
    pub matches: ConditionMatch,
    /// Only events that became visible after this point count; the point itself is excluded.
    pub after: After,
}

/// Which events an [`AppendCondition`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionMatch {
    /// Every event.
    All,
    /// Events that match at least one item. An empty list matches nothing.
    Items(Vec<ConditionItem>),
}

/// Events of one of these types that carry all of these tags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConditionItem {
    /// Any of these types; empty: any type.
    pub types: Vec<TypeName>,
    /// All of these tags, an event's own `root:key` being one of them; empty: any tags.
    pub tags: Vec<Tag>,
}

/// The point in what this replica holds after which an [`AppendCondition`] looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The beginning: no matching event may exist at all.
    Start,
    /// A cursor in arrival order of this replica.
    Cursor(Cursor),
    /// Everything that a version vector covers.
    Vector(VersionVector),
}
