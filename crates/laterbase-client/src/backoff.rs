//! When to try again: exponential, with jitter, so that peers that failed together do not come
//! back together.
//!
//! The n-th wait is drawn evenly from `[d/2, d]` with `d = min(first · 2ⁿ, most)`
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>, "equal jitter").

use std::time::Duration;

/// A sequence of waits.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `first` up to `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// Something worked: the next wait is the first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often in a row it has failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1_u32 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        with_jitter(doubled.min(self.most))
    }
}

/// Half of `whole`, and of the other half a part drawn evenly.
pub(crate) fn with_jitter(whole: Duration) -> Duration {
    let half = whole / 2;
    half.saturating_add(half.mul_f64(fraction()))
}

/// An even number from 0 up to 1; a half where there is no randomness, which harms nobody.
fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

/// One of `count`, drawn evenly enough.
pub(crate) fn choose(count: usize) -> usize {
    let drawn = getrandom::u32().unwrap_or_default() as usize;
    drawn.checked_rem(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        for whole in [100, 200, 400, 800, 1600, 2000, 2000] {
            let wait = backoff.after_failure();
            let whole = Duration::from_millis(whole);
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.after_failure() <= Duration::from_millis(100));
    }
}
