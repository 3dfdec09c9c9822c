//! `laterbase sample`: a believable workload.

use clap::Args;

use super::Context;
use crate::failure::Failure;
use crate::sample::{Plan, Sample as Generator};
use crate::values::percent;

const EXAMPLE: &str = "\
Import the events with:
  laterbase sample --events 1000000 --seed 1 | laterbase import --preserve -";

const CHUNK_BYTES: usize = 64 << 10;

/// Print a believable logistics workload as NDJSON
///
/// Bookings, departures, scans, sensor readings, arrivals, changes of custody: the same ones for
/// the same seed. Some are recorded late, and so lie earlier in valid time than their neighbours.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Sample {
    /// How many events
    #[arg(long, value_name = "N")]
    events: u64,
    /// The same seed gives the same events
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many in a hundred are recorded late
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    back_dated: f64,
}

impl Sample {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let plan =
            Plan { events: self.events, seed: self.seed, back_dated_percent: self.back_dated };
        let mut generator = Generator::new(plan);
        let mut lines = Vec::with_capacity(CHUNK_BYTES * 2);
        while generator.next_into(&mut lines) {
            if lines.len() >= CHUNK_BYTES {
                context.out.bytes(&lines)?;
                lines.clear();
            }
        }
        context.out.bytes(&lines)
    }
}
