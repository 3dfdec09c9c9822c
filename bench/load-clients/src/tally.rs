//! What was acknowledged, and when.
//!
//! The rate is what was acknowledged in the window. Where that is less than a few batches of each
//! client, answers come too seldom for a window, and all of the time counts, to the last answer.

use std::fs;
use std::time::{Duration, Instant};

use crate::Error;
use crate::plan::Plan;

/// Batches of each client that must be in the window for it to count.
const BATCHES_MIN: usize = 4;

/// When counting begins and ends, the same for all clients.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    start: Instant,
    begin: Instant,
    /// When clients begin no more batches.
    pub end: Instant,
}

impl Window {
    /// The warm-up begins now.
    pub fn from_now(plan: &Plan) -> Self {
        let start = Instant::now();
        let begin = start + plan.warm_up;
        Self { start, begin, end: begin + plan.window }
    }
}

/// What one client was told, and then all of them.
#[derive(Debug)]
pub struct Tally {
    window: Window,
    /// Events that were acknowledged in the window.
    counted: u64,
    /// Events that were acknowledged, in the warm-up too.
    acknowledged: u64,
    /// When the last of them were.
    last: Instant,
    latencies: Vec<Duration>,
}

impl Tally {
    /// Nothing so far.
    pub fn new(window: Window) -> Self {
        Self { window, counted: 0, acknowledged: 0, last: window.start, latencies: Vec::new() }
    }

    /// Whether another batch may begin.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.window.end
    }

    /// So many events are on the server's device now.
    pub fn acknowledge(&mut self, events: usize) {
        self.last = Instant::now();
        self.acknowledged += events as u64;
        if self.is_counted(self.last) {
            self.counted += events as u64;
        }
    }

    /// The whole batch that began then has been answered.
    pub fn answered(&mut self, begun: Instant) {
        let now = Instant::now();
        // The warm-up is over, or nothing shorter is to be had.
        if now >= self.window.begin {
            self.latencies.push(now - begun);
        }
    }

    /// Adds what another client was told.
    pub fn add(&mut self, other: Self) {
        self.counted += other.counted;
        self.acknowledged += other.acknowledged;
        self.last = self.last.max(other.last);
        self.latencies.extend(other.latencies);
    }

    /// Events a second.
    fn rate(&self, plan: &Plan) -> f64 {
        if self.counted >= (BATCHES_MIN * plan.clients * plan.batch) as u64 {
            return self.counted as f64 / plan.window.as_secs_f64();
        }
        let time = self.last - self.window.start;
        self.acknowledged as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Prints what a run found as one line of JSON. `held` is how many events the server says that
    /// it has.
    ///
    /// # Errors
    ///
    /// When the server has less than it acknowledged.
    pub fn print(mut self, plan: &Plan, held: u64) -> Result<(), Error> {
        if held < self.acknowledged {
            let acknowledged = self.acknowledged;
            return Err(format!("{acknowledged} events acknowledged, but {held} there").into());
        }
        self.latencies.sort_unstable();
        let percentile = |percent: usize| {
            let index = self.latencies.len() * percent / 100;
            let latency = self.latencies.get(index).or(self.latencies.last());
            latency.copied().unwrap_or_default().as_secs_f64() * 1e6
        };
        let (rate, acknowledged, ticks) = (self.rate(plan), self.acknowledged, own_ticks());
        let (p50_us, p99_us) = (percentile(50), percentile(99));
        println!(
            concat!(
                r#"{{"events_per_s":{:.1},"acknowledged":{},"#,
                r#""p50_us":{:.1},"p99_us":{:.1},"ticks":{}}}"#,
            ),
            rate, acknowledged, p50_us, p99_us, ticks,
        );
        Ok(())
    }

    fn is_counted(&self, now: Instant) -> bool {
        (self.window.begin..self.window.end).contains(&now)
    }
}

/// Processor time of this process, in the kernel's ticks (proc(5), `utime` and `stime`).
fn own_ticks() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = text.rsplit(')').next().unwrap_or_default();
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(warm_up_ms: u64) -> Plan {
        Plan {
            address: String::new(),
            clients: 1,
            batch: 1,
            warm_up: Duration::from_millis(warm_up_ms),
            window: Duration::from_secs(60),
        }
    }

    #[test]
    fn what_comes_in_the_warm_up_is_acknowledged_but_not_counted() {
        let mut early = Tally::new(Window::from_now(&plan(60_000)));
        early.acknowledge(3);
        early.answered(Instant::now());
        assert_eq!((early.acknowledged, early.counted, early.latencies.len()), (3, 0, 0));
        let mut counted = Tally::new(Window::from_now(&plan(0)));
        counted.acknowledge(2);
        counted.answered(Instant::now());
        counted.add(early);
        assert_eq!((counted.acknowledged, counted.counted, counted.latencies.len()), (5, 2, 1));
    }

    #[test]
    fn answers_that_come_too_seldom_are_held_against_all_of_the_time() {
        let mut tally = Tally::new(Window::from_now(&plan(0)));
        tally.acknowledge(3);
        tally.last = tally.window.start + Duration::from_secs(2);
        assert_eq!(tally.rate(&plan(0)), 1.5);
        tally.acknowledge(57);
        assert_eq!(tally.rate(&plan(0)), 1.0);
    }

    #[test]
    fn a_server_that_holds_less_than_it_acknowledged_is_an_error() {
        let mut tally = Tally::new(Window::from_now(&plan(0)));
        tally.acknowledge(2);
        assert!(tally.print(&plan(0), 1).is_err());
    }
}
