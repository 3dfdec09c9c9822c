//! A clock that jumps when told, and random numbers that repeat.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use laterbase::{EntropyError, Environment};

/// Where the clock starts: later than any build of this program, in milliseconds.
const START_MS: i64 = 1_800_000_000_000;

/// The wall clock and the randomness of one world.
#[derive(Debug)]
pub struct WorldEnvironment {
    now_us: AtomicI64,
    random: AtomicU64,
}

impl WorldEnvironment {
    pub fn new(seed: u64) -> Self {
        Self { now_us: AtomicI64::new(START_MS * 1000), random: AtomicU64::new(seed) }
    }

    /// The same moment and the same numbers to come, on a life of their own.
    pub fn fork(&self) -> Self {
        Self {
            now_us: AtomicI64::new(self.now_us()),
            random: AtomicU64::new(self.random.load(Ordering::SeqCst)),
        }
    }

    /// Moves the clock, to either side.
    pub fn jump_us(&self, by: i64) {
        self.now_us.fetch_add(by, Ordering::SeqCst);
    }
}

impl Environment for WorldEnvironment {
    fn now_us(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64.
            let step = 0x9e37_79b9_7f4a_7c15;
            let mut z = self.random.fetch_add(step, Ordering::SeqCst).wrapping_add(step);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
