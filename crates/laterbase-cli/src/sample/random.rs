//! A small, fast generator of numbers that are the same on every machine.
//!
//! Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014
//! (SplitMix64). Good enough for a workload, and no more than that.

#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which must not be zero. The bias of 2^-32 is no matter here.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        let product = (self.next() >> 32).wrapping_mul(u64::from(limit));
        u32::try_from(product >> 32).unwrap_or(0)
    }

    /// One of them.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T], otherwise: T) -> T {
        let count = u32::try_from(from.len()).unwrap_or(u32::MAX).max(1);
        from.get(self.below(count) as usize).copied().unwrap_or(otherwise)
    }
}
