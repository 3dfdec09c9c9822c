//! How long syncs of the device took: a histogram, counted where the log is written.
//!
//! A few counters and two looks at the clock for each sync, which takes a thousand times as long;
//! and nothing at all without the feature `flush-times`, for the sake of small devices.

use std::time::Duration;

use laterbase_log::LogWriter;

pub(crate) use counts::FlushCounts;

/// How long syncs of the device took since the database was opened. All zero without the feature
/// `flush-times`, which `laterbase-server` brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlushTimes {
    /// How many there were: at most one for each group of commits.
    pub count: u64,
    /// All of them together.
    pub sum: Duration,
    /// How many took at most as long as the bound of the same index in [`FlushTimes::BOUNDS`];
    /// those that took longer are in none.
    pub buckets: [u64; FlushTimes::BOUNDS.len()],
}

impl FlushTimes {
    /// The upper bounds of the buckets, ascending.
    pub const BOUNDS: [Duration; 10] = [
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(50),
        Duration::from_millis(250),
    ];
}

/// The writer, its syncs timed.
#[cfg(feature = "flush-times")]
pub(crate) fn timed(mut writer: LogWriter) -> LogWriter {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    writer.time_syncs(|| START.elapsed());
    writer
}

/// The writer as it is.
#[cfg(not(feature = "flush-times"))]
pub(crate) fn timed(writer: LogWriter) -> LogWriter {
    writer
}

#[cfg(feature = "flush-times")]
mod counts {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::FlushTimes;

    /// The counters behind [`FlushTimes`]. Each sync is counted in one bucket, the last one for
    /// those beyond all bounds.
    #[derive(Debug, Default)]
    pub(crate) struct FlushCounts {
        sum_us: AtomicU64,
        buckets: [AtomicU64; FlushTimes::BOUNDS.len() + 1],
    }

    impl FlushCounts {
        pub(crate) fn count(&self, took: Duration) {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.sum_us.fetch_add(micros, Ordering::Relaxed);
            let index = FlushTimes::BOUNDS.partition_point(|bound| *bound < took);
            if let Some(bucket) = self.buckets.get(index) {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }

        pub(crate) fn times(&self) -> FlushTimes {
            let mut times = FlushTimes {
                sum: Duration::from_micros(self.sum_us.load(Ordering::Relaxed)),
                ..FlushTimes::default()
            };
            let mut kept = times.buckets.iter_mut();
            for bucket in &self.buckets {
                times.count += bucket.load(Ordering::Relaxed);
                if let Some(kept) = kept.next() {
                    *kept = times.count;
                }
            }
            times
        }
    }
}

#[cfg(not(feature = "flush-times"))]
mod counts {
    use std::time::Duration;

    use super::FlushTimes;

    /// Nothing.
    #[derive(Debug, Default)]
    pub(crate) struct FlushCounts;

    impl FlushCounts {
        pub(crate) fn count(&self, _: Duration) {}

        pub(crate) fn times(&self) -> FlushTimes {
            FlushTimes::default()
        }
    }
}

#[cfg(feature = "flush-times")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_in_every_bucket_whose_bound_it_keeps() {
        let counts = FlushCounts::default();
        for micros in [50, 51, 9_000, 250_000, 9_000_000] {
            counts.count(Duration::from_micros(micros));
        }
        let times = counts.times();
        assert_eq!((times.count, times.sum), (5, Duration::from_micros(9_259_101)));
        assert_eq!(times.buckets, [1, 2, 2, 2, 2, 2, 2, 3, 3, 4]);
    }
}
