//! Where an event stands in a fold.

use std::cmp::Ordering;

use laterbase_event::{EventId, EventView, Position, Timestamp};

use super::aggregate::FoldOrder;

/// What a fold keeps of an event: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: EventId,
    pub(crate) valid_at: Timestamp,
    pub(crate) position: Position,
}

impl Place {
    pub(crate) fn of(event: &EventView<'_>, position: Position) -> Self {
        Self { id: event.id(), valid_at: event.valid_at(), position }
    }
}

impl FoldOrder {
    /// Which of two events comes first. Equal for two events that share an id, as copies of a
    /// directory may write them.
    pub(crate) fn compare(self, a: &Place, b: &Place) -> Ordering {
        match self {
            Self::Id => a.id.cmp(&b.id),
            Self::Valid => (a.valid_at, a.id).cmp(&(b.valid_at, b.id)),
        }
    }
}

/// Which of two events of one id comes first: decided by what they say, so that every replica
/// decides alike.
pub(crate) fn compare_twins(a: &EventView<'_>, b: &EventView<'_>) -> Ordering {
    fn said<'a>(event: &EventView<'a>) -> impl Ord + 'a {
        (
            (event.root(), event.key(), event.type_name(), event.version()),
            (event.valid_at(), event.content_type(), event.payload()),
            (event.tags().collect::<Vec<_>>(), event.meta().collect::<Vec<_>>()),
        )
    }
    said(a).cmp(&said(b))
}
