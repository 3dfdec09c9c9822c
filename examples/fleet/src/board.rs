//! The board: for each truck and depot, which shipments it has.
//!
//! A row is made of the hand-overs to and from its holder, in the order in which they happened; it
//! reads no other row.

use std::collections::BTreeSet;

use laterbase::{ApplyError, FoldEvent, FoldOrder, NameError, Query, View};

use crate::shipment::HandedOver;

/// Shipments by who has them.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    hand_overs: Query,
}

impl Board {
    pub(crate) fn new() -> Result<Self, NameError> {
        let hand_overs = Query::root("shipment".try_into()?).of_type("handed_over".try_into()?);
        Ok(Self { hand_overs })
    }
}

impl View for Board {
    type Row = BTreeSet<String>;

    const ORDER: FoldOrder = FoldOrder::Valid;

    fn events(&self) -> Query {
        self.hand_overs.clone()
    }

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        if let Ok(HandedOver { to, from }) = event.json() {
            touch(&to);
            from.iter().for_each(|from| touch(from));
        }
    }

    fn apply(
        &self,
        row: &mut BTreeSet<String>,
        holder: &str,
        event: &FoldEvent<'_>,
    ) -> Result<(), ApplyError> {
        let HandedOver { to, .. } = event.json()?;
        if to == holder {
            row.insert(event.key().to_owned());
        } else {
            row.remove(event.key());
        }
        Ok(())
    }

    fn is_hidden(&self, row: &BTreeSet<String>) -> bool {
        row.is_empty()
    }
}
