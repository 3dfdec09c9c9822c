//! Whether one event belongs to an answer: the part of a query that is decided event by event.
//!
//! Every access path ends here: indexes may offer too much (a hash that two terms share, a batch of
//! which only some events have the type), never too little.

use laterbase_event::{EnvelopeView, EventView, Position, Timestamp, VersionVector};

use crate::query::{Cut, Query, TimeRange};
use crate::read::ReadError;
use crate::sync::Chains;

/// The bounds and filters of a query, resolved against one moment of this copy.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    query: Query,
    /// The last position that belongs to the answer.
    pub(crate) bound: Position,
    /// Only positions after this one.
    pub(crate) after: Position,
    vector: Option<VersionVector>,
    /// The forked logs, if a vector decides: it names branches, and events name their writer.
    forked: Vec<Chains>,
    recorded_by: Option<Timestamp>,
    /// Reserved roots are shown only when asked for by name, and to conditions.
    hide_reserved: bool,
    /// Whether root and type decide alone.
    is_by_kind: bool,
}

impl Filter {
    pub(crate) fn new(query: &Query, bound: Position, after: Position) -> Self {
        let (vector, recorded_by) = match &query.cut {
            Cut::Latest | Cut::KnownAt(_) => (None, None),
            Cut::Vector(vector) => (Some(vector.clone()), None),
            Cut::RecordedBy(at) => (None, Some(*at)),
        };
        let hide_reserved = query.root.is_none() && query.unknown_to.is_none();
        let is_by_kind = query.key.is_none()
            && query.caused_by.is_none()
            && query.tags.is_empty()
            && query.valid.is_open()
            && query.tx.is_open()
            && query.unknown_to.is_none()
            && vector.is_none()
            && recorded_by.is_none();
        let query = query.clone();
        let forked = Vec::new();
        Self { query, bound, after, vector, forked, recorded_by, hide_reserved, is_by_kind }
    }

    /// Shows reserved roots as well: rows of tables are made of events under them.
    pub(crate) fn show_reserved(&mut self) {
        self.hide_reserved = false;
    }

    /// Takes over which logs are forked, if that matters to the answer.
    pub(crate) fn tell_branches(
        &mut self,
        forked: impl FnOnce() -> Result<Vec<Chains>, ReadError>,
    ) -> Result<(), ReadError> {
        if self.vector.is_some() || self.query.unknown_to.is_some() {
            self.forked = forked()?;
        }
        Ok(())
    }

    /// Whether the position may belong to the answer at all.
    pub(crate) fn admits_position(&self, position: Position) -> bool {
        self.after < position && position <= self.bound
    }

    /// Whether an event may belong to the answer, as far as its root and type tell.
    pub(crate) fn may_admit(&self, event: &EnvelopeView<'_>) -> bool {
        self.admits_root(event.root()) && self.admits_type(event.type_name())
    }

    /// Whether events of a root may belong to the answer.
    pub(crate) fn admits_root(&self, root: &str) -> bool {
        self.query.root.as_ref().map_or_else(
            || !(self.hide_reserved && root.starts_with('_')),
            |wanted| wanted.as_str() == root,
        )
    }

    /// Whether events of a type may belong to the answer.
    pub(crate) fn admits_type(&self, type_name: &str) -> bool {
        let types = &self.query.types;
        types.is_empty() || types.iter().any(|wanted| wanted.as_str() == type_name)
    }

    /// Whether an event of an admitted position belongs to the answer.
    pub(crate) fn admits(&self, event: &EventView<'_>, position: Position) -> bool {
        self.admits_root(event.root())
            && self.admits_type(event.type_name())
            && self.admits_rest(event, position)
    }

    /// Whether an event of an admitted position, root and type belongs to the answer.
    pub(crate) fn admits_rest(&self, event: &EventView<'_>, position: Position) -> bool {
        let query = &self.query;
        self.is_by_kind
            || query.key.as_ref().is_none_or(|key| key.as_str() == event.key())
                && query.caused_by.is_none_or(|cause| event.cause() == Some(cause))
                && query.tags.iter().all(|tag| has_tag(event, tag.root.as_str(), tag.key.as_str()))
                && query.valid.contains(event.valid_at())
                && self.admits_cut(event, position)
    }

    /// Whether an event of an admitted position is within the cut and the transaction time.
    pub(crate) fn admits_cut(&self, event: &EventView<'_>, position: Position) -> bool {
        let recorded = Timestamp::from_hlc(event.id().hlc());
        let covers = |vector: &VersionVector| {
            let header = event.header();
            let branch = self
                .forked
                .iter()
                .find_map(|chains| chains.log_of(header, position_of_batch(event, position)));
            let log = branch.map_or(header.replica, |log| log.replica);
            vector.includes(&header.root, log, event.seq())
        };
        self.query.tx.contains(recorded)
            && self.recorded_by.is_none_or(|at| recorded <= at)
            && self.vector.as_ref().is_none_or(covers)
            && !self.query.unknown_to.as_ref().is_some_and(covers)
    }

    /// The transaction times that can belong to the answer.
    pub(crate) fn tx(&self) -> TimeRange {
        let mut range = self.query.tx;
        if let Some(at) = self.recorded_by {
            let until = Timestamp::from_micros(at.as_micros().saturating_add(1));
            range.until = Some(range.until.map_or(until, |bound| bound.min(until)));
        }
        range
    }
}

/// Whether an event carries a tag; its own `root:key` is one.
pub(crate) fn has_tag(event: &EventView<'_>, root: &str, key: &str) -> bool {
    (event.root() == root && event.key() == key)
        || event.tags().any(|(tag_root, tag_key)| tag_root == root && tag_key == key)
}

/// Where the first event of an event's batch stands.
fn position_of_batch(event: &EventView<'_>, position: Position) -> Position {
    let before = event.seq().saturating_sub(event.header().first_seq);
    Position::new(position.as_u64().saturating_sub(before))
}
