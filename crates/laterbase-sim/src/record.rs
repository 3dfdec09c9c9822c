//! The record of campaigns: a Markdown table, one row for each stretch of seeds.
//!
//! ```text
//! | date | commit | nodes | copies × events | seeds | runs | CPU time | result | covered |
//! ```
//! The next stretch begins where the last one of the same kind ended, so that a campaign is taken
//! up again by starting it again.

use std::fmt;

use crate::command::Command;
use crate::coverage::Coverage;

/// A stretch of seeds that were run.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// The first seed.
    pub first: u64,
    /// The seed behind the last one.
    pub next: u64,
    /// Runs that count.
    pub counted: u64,
    /// Events that were acknowledged.
    pub events: u64,
    /// Time on the processor, in seconds.
    pub cpu_s: u64,
    /// What was found.
    pub result: String,
    /// What was covered.
    pub coverage: Coverage,
}

impl Stretch {
    /// Nothing yet, from this seed on.
    #[must_use]
    pub fn from(first: u64) -> Self {
        Self {
            first,
            next: first,
            counted: 0,
            events: 0,
            cpu_s: 0,
            result: "no violation".to_owned(),
            coverage: Coverage::default(),
        }
    }

    /// Its row.
    #[must_use]
    pub fn row(&self, command: &Command) -> String {
        format!(
            "| {} | {} | {}..{} | {} | {} s | {} | {} |\n",
            command.stamp,
            kind(command),
            self.first,
            self.next,
            self.counted,
            self.cpu_s,
            self.result.replace('|', "/"),
            self.coverage.line()
        )
    }
}

/// For people at a terminal.
impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, next, counted, events, cpu_s, result, coverage } = self;
        writeln!(f, "{coverage}")?;
        write!(
            f,
            "seeds {first}..{next}: {} runs, {counted} of which count (at least 5 copies, 500 \
             events and 3 kinds of fault that fired), {events} events, {cpu_s} s of CPU time: \
             {result}",
            next - first
        )
    }
}

/// The seed behind the last one of this kind in the record; 1 if there is none.
#[must_use]
pub fn next_seed(record: &str, command: &Command) -> u64 {
    let kind = kind(command);
    let rows = record.lines().filter(|line| line.contains(&format!("| {kind} |")));
    let seeds = rows.filter_map(|row| {
        let seeds = row.split('|').map(str::trim).find(|cell| cell.contains(".."))?;
        seeds.split_once("..")?.1.parse::<u64>().ok()
    });
    seeds.max().unwrap_or(1)
}

fn kind(command: &Command) -> String {
    format!("{} | {} × {}", command.nodes.name(), command.replicas, command.events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_goes_on_where_its_record_ends() {
        let command = Command::parse(&[]).unwrap();
        let mut stretch = Stretch::from(next_seed("", &command));
        stretch.next = 41;
        let record = stretch.row(&command);
        assert_eq!(next_seed(&record, &command), 41);
        let other = Command { replicas: 9, ..command };
        assert_eq!(next_seed(&record, &other), 1);
    }
}
