//! What a campaign really did: faults that happened, ends, and what the database went through.
//!
//! A campaign that exercises nothing is a defect, so each test asserts that what it is about
//! happened.

use std::collections::BTreeMap;
use std::fmt;

use laterbase::storage::{Fault, FaultyStorage, StorageOp};

/// Counts by name.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    counts: BTreeMap<String, u64>,
}

impl Tally {
    pub fn add(&mut self, what: &str, count: u64) {
        if count > 0 {
            *self.counts.entry(what.to_owned()).or_default() += count;
        }
    }

    pub fn one(&mut self, what: &str) {
        self.add(what, 1);
    }

    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            self.add(what, *count);
        }
    }

    /// Fails unless each of these happened.
    pub fn assert_happened(&self, all: &[&str]) {
        let missing: Vec<_> = all.iter().filter(|what| self.of(what) == 0).collect();
        assert!(missing.is_empty(), "never happened: {missing:?}\n{self}");
    }

    /// Counts what the disk recorded of its life: faults by kind, and files used again.
    pub fn take_trace(&mut self, disk: &FaultyStorage) {
        for entry in disk.trace() {
            if entry.op == StorageOp::Rename && entry.path.contains("spare-") {
                self.one("segments made of spare files");
            }
            let Some(fault) = entry.fault else { continue };
            let fault = match fault {
                Fault::Fail => "failed",
                Fault::Full => "full",
                Fault::Lie => "lying",
                Fault::PowerCut => "power cut at",
                Fault::Delay(_) => "delayed",
                Fault::Hang => "hanging",
            };
            self.one(&format!("fault: {fault} {}", entry.op));
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "{count:>9}  {what}")?;
        }
        Ok(())
    }
}
