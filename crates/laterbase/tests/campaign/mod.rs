//! The whole database on a disk that fails on purpose, against a model of it.
//!
//! ```text
//!   seed ─▶ World ── random operations ─▶ Database (log + indexes, no threads)
//!             │                                │
//!           Model  ◀── what was promised ──  ProcessStorage ─▶ FaultyStorage (faults by plan)
//!             └──────────── check ─────────────┘
//! ```
//! A world lives through cycles: some operations under a planned fault, an end (power cut, killed
//! process, clean close), and an opening after which everything is compared with the model: what
//! was acknowledged is there, byte for byte and in its place; what else is there is a prefix of
//! what was staged, in whole commits; and each access path says the same as the log.
//!
//! Everything is decided by the seed: no threads, a clock and random numbers of the world's own. A
//! finding is a [`Violation`], not a panic, so that the tests of built-in faults can ask for one.
//!
//! Left out: several processes at once, and what the log and the indexes test alone.

pub mod check;
pub mod damage;
pub mod drafts;
#[path = "../support/environment.rs"]
pub mod environment;
pub mod exhaustive;
pub mod model;
pub mod operations;
pub mod paths;
pub mod storm;
pub mod tally;
pub mod world;

pub use tally::Tally;
pub use world::World;

use laterbase::storage::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The database did what it must not do.
#[derive(Debug, Clone)]
pub struct Violation(pub String);

/// Why a run did not go on.
#[derive(Debug)]
pub enum Stop {
    /// A planned fault showed itself as an error, as it should.
    Struck,
    /// The database did what it must not do.
    Violation(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Answers with a violation, as `format!` would put it.
macro_rules! violation {
    ($($text:tt)*) => { $crate::campaign::Violation(format!($($text)*)) };
}
pub(crate) use violation;

/// A number of the environment, or what continuous integration uses.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The first seed.
pub fn first_seed() -> u64 {
    setting("LATERBASE_SEED").unwrap_or(1)
}

/// How many crash points to look at: `usual`, times what a soak asks for.
pub fn crash_points(usual: u64) -> u64 {
    let scaled = usual * setting("LATERBASE_SCALE").unwrap_or(1).max(1);
    setting("LATERBASE_CRASH_POINTS").unwrap_or(scaled)
}

/// Runs something that may panic; a panic is a violation.
pub fn guarded(run: impl FnOnce() -> Result<(), Violation>) -> Result<(), Violation> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
        Err(violation!("panicked: {}", text.unwrap_or("without a message")))
    })
}

/// Fails with the command that replays the run.
pub fn report(test: &str, seed: u64, outcome: Result<(), Violation>) {
    if let Err(Violation(text)) = outcome {
        panic!(
            "seed {seed}: {text}\nreplay: LATERBASE_SEED={seed} LATERBASE_CRASH_POINTS=1 \
             cargo test -p laterbase --test campaign -- {test} --nocapture"
        );
    }
}

/// Says what happens, when a failure is being looked into (`LATERBASE_TELL=1`).
pub fn tell(what: impl FnOnce() -> String) {
    if setting("LATERBASE_TELL").is_some() {
        println!("{}", what());
    }
}

/// The random numbers of one purpose of one seed.
pub fn random_for(seed: u64, purpose: u64) -> Random {
    Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
}
