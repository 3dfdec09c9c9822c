//! A truck: what its sensors read.

use laterbase::{Aggregate, ApplyError, FoldEvent, FoldOrder};
use serde::{Deserialize, Serialize};

/// What is known of one truck. Temperatures are in thousandths of a degree Celsius, so that sums
/// are the same everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Truck {
    readings: u64,
    millicelsius_last: Option<i64>,
    millicelsius_max: Option<i64>,
    /// How often the door came open.
    door_opened: u32,
    door_is_open: bool,
}

/// `read`, version 2. Version 1 had degrees: see `rules.rs`.
#[derive(Debug, Clone, Deserialize)]
struct Reading {
    millicelsius: i64,
    #[serde(default)]
    door_open: bool,
}

impl Aggregate for Truck {
    const ORDER: FoldOrder = FoldOrder::Valid;

    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        if event.type_name() == "read" {
            let Reading { millicelsius, door_open } = event.json()?;
            self.readings += 1;
            self.millicelsius_last = Some(millicelsius);
            self.millicelsius_max = self.millicelsius_max.max(Some(millicelsius));
            self.door_opened += u32::from(door_open && !self.door_is_open);
            self.door_is_open = door_open;
        }
        Ok(())
    }
}
