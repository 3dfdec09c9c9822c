//! Where the events of a row are read from: by their positions, and the first ones of a long stream
//! from the index.

use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_event::{EnvelopeView, EventView, Key, Position, RootName};
use laterbase_log::Want;

use super::aggregate::FoldOrder;
use super::place::Place;
use super::timeline::RowEvents;
use crate::cursor::{Cursor, CursorPlace};
use crate::inner::Inner;
use crate::query::{Order, Query};
use crate::read::{Access, EventReader, ReadError};
use crate::walk::plan;

/// Reads the events of one row.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) order: FoldOrder,
    /// The row's stream, if it is one.
    pub(crate) stream: Option<(RootName, Key)>,
    /// What the row has taken note of.
    pub(crate) bound: Position,
}

impl Source<'_> {
    /// Hands out the events of the stream after one of them, in fold order.
    pub(crate) fn walk_stream(
        &self,
        after: Option<Place>,
        mut take: impl FnMut(&EventView<'_>, Place) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let Some((root, key)) = self.stream.clone() else { return Ok(()) };
        let mut query = Query::stream(root, key).order(read_order(self.order));
        if let Some(after) = after {
            let place = match self.order {
                FoldOrder::Id => CursorPlace::Tx(after.id),
                FoldOrder::Valid => CursorPlace::Valid(after.valid_at, after.id),
            };
            query = query.after(Cursor { copy: self.inner.copy, place });
        }
        let view = self.inner.view_to(self.bound)?;
        let mut walk = plan(&view, &query, Position::NONE)?;
        walk.run(|event, position, _| take(event, Place::of(event, position)))?;
        Ok(())
    }

    /// Hands out the events at some places, in their order. Answers whether `take` broke.
    fn walk_places(
        &self,
        places: &[Place],
        mut take: impl FnMut(&EventView<'_>, Place) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let mut reader = EventReader::new(Arc::new(Access::new(Arc::clone(self.inner))));
        let mut rest = places;
        while let Some(first) = rest.first() {
            let run = neighbours(rest);
            let all = |_: &EnvelopeView<'_>| Want::Event;
            let (done, flow) = reader.run(first.position, run, all, |event, position, _| {
                take(event, Place::of(event, position))
            })?;
            if flow.is_break() {
                return Ok(());
            }
            rest = rest.get(done.max(1) as usize..).unwrap_or_default();
        }
        Ok(())
    }
}

impl RowEvents for Source<'_> {
    type Error = ReadError;

    fn walk(
        &mut self,
        after: Option<Place>,
        floor: Option<Place>,
        places: &[Place],
        mut take: impl FnMut(&EventView<'_>, Place) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let order = self.order;
        let mut broke = false;
        if let Some(floor) = floor
            && after.is_none_or(|after| order.compare(&after, &floor).is_lt())
        {
            self.walk_stream(after, |event, place| {
                if order.compare(&place, &floor).is_gt() {
                    return ControlFlow::Break(());
                }
                let flow = take(event, place);
                broke = flow.is_break();
                flow
            })?;
        }
        if broke {
            return Ok(());
        }
        let from = after.map_or(0, |after| {
            // Points never stand between two events of one id, so the first beyond is the next.
            places.partition_point(|place| order.compare(place, &after).is_le())
        });
        self.walk_places(places.get(from..).unwrap_or_default(), take)
    }
}

/// How many places from the first on follow one another in arrival too.
fn neighbours(places: &[Place]) -> u64 {
    let pairs = places.windows(2);
    let follows = |pair: &&[Place]| match pair {
        [a, b] => a.position.as_u64() + 1 == b.position.as_u64(),
        _ => false,
    };
    1 + pairs.take_while(follows).count() as u64
}

/// The order of reading that is a fold's order.
fn read_order(order: FoldOrder) -> Order {
    match order {
        FoldOrder::Id => Order::Tx,
        FoldOrder::Valid => Order::Valid,
    }
}
