//! What to read: filters, the three cuts of "as of", order, limit and cursor.
//!
//! A [`Query`] is plain data. `plan` picks the access path, `execute` walks it.

use laterbase_event::{EventId, Key, RootName, Tag, Timestamp, TypeName, VersionVector};

use crate::cursor::Cursor;

/// Which events to read, as of when, in which order.
///
/// All filters hold together; several types are alternatives, several tags are all required.
///
/// ```
/// use laterbase::{Order, Query};
///
/// let query = Query::tag("truck:7".parse()?).of_type("scanned".try_into()?).limit(10);
/// assert_eq!(query.order, Order::Tx);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Events of this root only.
    pub root: Option<RootName>,
    /// Events of this key only; with a root: one stream.
    pub key: Option<Key>,
    /// Events that carry all of these tags, their own `root:key` being one.
    pub tags: Vec<Tag>,
    /// Events of any of these types; empty: of any type.
    pub types: Vec<TypeName>,
    /// Events whose cause is this event: its direct effects.
    pub caused_by: Option<EventId>,
    /// All causes or all effects of an event, transitively.
    pub lineage: Option<Lineage>,
    /// Transaction time, half-open.
    pub tx: TimeRange,
    /// Valid time, half-open.
    pub valid: TimeRange,
    /// Only events that this version vector does not cover.
    pub unknown_to: Option<VersionVector>,
    /// As of when.
    pub cut: Cut,
    /// In which order.
    pub order: Order,
    /// In which direction along that order.
    pub direction: Direction,
    /// How many events at the most.
    pub limit: Option<u64>,
    /// Go on after this cursor, in the same order and direction.
    pub after: Option<Cursor>,
}

impl Query {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The stream of one key under a root.
    #[must_use]
    pub fn stream(root: RootName, key: Key) -> Self {
        Self { root: Some(root), key: Some(key), ..Self::default() }
    }

    /// The events of one root.
    #[must_use]
    pub fn root(root: RootName) -> Self {
        Self { root: Some(root), ..Self::default() }
    }

    /// The events that carry a tag, those of the stream of that name among them.
    #[must_use]
    pub fn tag(tag: Tag) -> Self {
        Self { tags: vec![tag], ..Self::default() }
    }

    /// The direct effects of an event.
    #[must_use]
    pub fn caused_by(id: EventId) -> Self {
        Self { caused_by: Some(id), ..Self::default() }
    }

    /// Adds a tag that every event must carry.
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds a type to the alternatives.
    #[must_use]
    pub fn of_type(mut self, type_name: TypeName) -> Self {
        self.types.push(type_name);
        self
    }

    /// Restricts the transaction time.
    #[must_use]
    pub fn recorded_in(mut self, range: TimeRange) -> Self {
        self.tx = range;
        self
    }

    /// Restricts the valid time.
    #[must_use]
    pub fn valid_in(mut self, range: TimeRange) -> Self {
        self.valid = range;
        self
    }

    /// Only what a version vector does not cover.
    #[must_use]
    pub fn unknown_to(mut self, vector: VersionVector) -> Self {
        self.unknown_to = Some(vector);
        self
    }

    /// As of a cut.
    #[must_use]
    pub fn as_of(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// In this order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// From the end of the order to its beginning.
    #[must_use]
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// At most this many events.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// After a cursor of the same order and direction.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }
}

/// Half-open range of time, `[from, until)`; an absent bound is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment within.
    pub from: Option<Timestamp>,
    /// The first moment after.
    pub until: Option<Timestamp>,
}

impl TimeRange {
    /// From one moment up to, not including, another.
    #[must_use]
    pub fn between(from: Timestamp, until: Timestamp) -> Self {
        Self { from: Some(from), until: Some(until) }
    }

    /// Whether the range holds a moment.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// Whether nothing restricts the range.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }
}

/// Three ways to say "as of".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cut {
    /// Everything visible now.
    #[default]
    Latest,
    /// What had arrived at this replica by a moment: as we knew it then. Stable.
    KnownAt(Timestamp),
    /// Exactly the events that a version vector covers. Stable, and the same on every replica.
    Vector(VersionVector),
    /// Every event recorded by a moment, whenever it arrived. Not stable until all logs have
    /// passed the moment.
    RecordedBy(Timestamp),
}

/// The order of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// By event id: transaction time, the same on every replica.
    #[default]
    Tx,
    /// By valid time, then id.
    Valid,
    /// By arrival at this replica.
    Arrival,
}

/// The direction of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// The events that an event followed from, or that followed from it, over any number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// The event in question; itself not part of the answer.
    pub of: EventId,
    /// Which way to follow.
    pub follow: Follow,
}

/// Which way a [`Lineage`] is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Towards what it followed from.
    Causes,
    /// Towards what followed from it.
    Effects,
}
