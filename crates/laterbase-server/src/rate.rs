//! How many requests one client may send: a token bucket for each address.
//!
//! A bucket that is full again says nothing, so it is forgotten; the table is looked through when
//! it has doubled, and holds no more than it did in a burst.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::Rate;

/// Buckets before the table is looked through for the first time.
const LOOK_THROUGH_AT: usize = 1024;

/// The buckets of all clients.
#[derive(Debug)]
pub(crate) struct Rates {
    rate: Rate,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    by_address: HashMap<IpAddr, Bucket>,
    look_through_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    pub(crate) fn new(rate: Rate) -> Self {
        let buckets = Buckets { by_address: HashMap::new(), look_through_at: LOOK_THROUGH_AT };
        Self { rate, buckets: Mutex::new(buckets) }
    }

    /// Takes a token for a request; otherwise the seconds until there is one.
    pub(crate) fn take(&self, client: IpAddr, now: Instant) -> Result<(), u32> {
        let Rate { per_second, burst } = self.rate;
        let full = f64::from(burst.max(1));
        let filled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.tokens + passed * per_second).min(full)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.by_address.len() >= buckets.look_through_at {
            buckets.by_address.retain(|_, bucket| filled(bucket) < full);
            buckets.look_through_at = (buckets.by_address.len() * 2).max(LOOK_THROUGH_AT);
        }
        let bucket = buckets.by_address.entry(client).or_insert(Bucket { tokens: full, at: now });
        let tokens = filled(bucket);
        *bucket = Bucket { tokens: if tokens >= 1.0 { tokens - 1.0 } else { tokens }, at: now };
        if tokens >= 1.0 {
            return Ok(());
        }
        let seconds = (1.0 - tokens) / per_second.max(1e-6);
        Err(seconds.ceil().clamp(1.0, 3600.0) as u32)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_the_rest_told_when_to_come_back() {
        let rates = Rates::new(Rate { per_second: 0.5, burst: 3 });
        let (here, now) = (IpAddr::from([127, 0, 0, 1]), Instant::now());
        for _ in 0..3 {
            assert_eq!(rates.take(here, now), Ok(()));
        }
        assert_eq!(rates.take(here, now), Err(2));
        assert_eq!(rates.take(IpAddr::from([127, 0, 0, 2]), now), Ok(()));
        assert_eq!(rates.take(here, now + Duration::from_secs(2)), Ok(()));
        assert_eq!(rates.take(here, now + Duration::from_secs(2)), Err(2));
    }

    #[test]
    fn clients_that_have_gone_are_forgotten() {
        let rates = Rates::new(Rate { per_second: 1000.0, burst: 1 });
        let now = Instant::now();
        for number in 0..5_000_u32 {
            let later = now + Duration::from_millis(u64::from(number) * 2);
            assert_eq!(rates.take(IpAddr::from(number.to_be_bytes()), later), Ok(()));
        }
        assert!(rates.buckets.lock().unwrap().by_address.len() <= LOOK_THROUGH_AT);
    }
}
