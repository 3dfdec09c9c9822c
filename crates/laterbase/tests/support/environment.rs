//! A clock that stands still unless told, and random numbers that repeat.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use laterbase::{EntropyError, Environment};

/// The wall clock and the randomness of one test.
#[derive(Debug)]
pub struct TestEnvironment {
    now_us: AtomicI64,
    random: AtomicU64,
}

impl TestEnvironment {
    pub fn new(now_ms: i64, seed: u64) -> Self {
        Self { now_us: AtomicI64::new(now_ms * 1000), random: AtomicU64::new(seed) }
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

impl Environment for TestEnvironment {
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
