//! A shipment: where it is, and who has it.
//!
//! Folded by valid time. A scan that comes in hours late, from a scanner that had no network, takes
//! its place between those before and after it, and the state is what it would have been.

use laterbase::{Aggregate, ApplyError, FoldEvent, FoldOrder};
use serde::{Deserialize, Serialize};

/// What is known of one shipment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shipment {
    /// From where to where.
    route: Option<Booked>,
    /// Who has it: a truck or a depot.
    custody: Option<String>,
    /// Everybody who had it, in the order in which they had it.
    chain: Vec<String>,
    /// Where it was scanned last.
    place: Option<String>,
    scans: u32,
    delivered: bool,
}

/// `booked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Booked {
    from: String,
    to: String,
}

/// `handed_over`: to a truck or a depot, from whoever had it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HandedOver {
    pub(crate) to: String,
    pub(crate) from: Option<String>,
}

/// `scanned`.
#[derive(Debug, Clone, Deserialize)]
struct Scanned {
    place: String,
}

impl Aggregate for Shipment {
    const ORDER: FoldOrder = FoldOrder::Valid;

    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        match event.type_name() {
            "booked" => self.route = Some(event.json()?),
            "handed_over" => {
                let HandedOver { to, .. } = event.json()?;
                self.chain.push(to.clone());
                self.custody = Some(to);
            }
            "scanned" => {
                let Scanned { place } = event.json()?;
                self.place = Some(place);
                self.scans += 1;
            }
            "delivered" => {
                self.delivered = true;
                self.custody = None;
            }
            // What later versions of this program record is nothing to this one.
            _ => {}
        }
        Ok(())
    }
}
