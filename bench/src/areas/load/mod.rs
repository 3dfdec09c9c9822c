//! Servers under load from client processes: durable appends over each server's own protocol.
//!
//! ```text
//!   for each round, each cell (clients × events of a batch), each server in turn:
//!     an empty folder ─▶ start the server ─▶ run its client program ─▶ end the server
//!                          server.rs           bench/load-clients, client.rs
//! ```
//! Every server has its data on the same device and answers when what it was given is there: an
//! fdatasync or fsync comes before each answer. A server runs alone with its client, from an empty
//! folder, so that none is measured while another sorts or compacts. Servers and clients are
//! optimised builds and share the machine's processors.
//!
//! Left out: databases that have grown, which is the area `growth`.

mod client;
mod install;
mod server;

use self::client::Answers;
use self::install::Installed;
use self::server::{Kind, Running};
use super::{Context, Scratch};
use crate::error::BenchError;
use crate::measurement::{Better, Measurement, ratio};
use crate::report::{OURS, Report};

const AREA: &str = "load";

const CLIENTS: [usize; 3] = [1, 8, 64];
const BATCHES: [usize; 3] = [1, 64, 512];

/// So many clients with batches of so many events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    clients: usize,
    batch: usize,
}

impl Cell {
    fn all() -> impl Iterator<Item = Self> {
        BATCHES.iter().flat_map(|batch| {
            CLIENTS.iter().map(|clients| Self { clients: *clients, batch: *batch })
        })
    }

    fn name(self) -> String {
        format!("{} × {}", self.clients, self.batch)
    }
}

pub(super) fn run(context: &Context, report: &mut Report) -> Result<(), BenchError> {
    let installed = Installed::new(&context.folder.join("load-peers"))?;
    explain(&installed, report);
    let kinds: Vec<Kind> = installed.kinds().collect();
    for round in 0..context.rounds {
        for (index, cell) in Cell::all().enumerate() {
            let mut turn = kinds.clone();
            turn.rotate_left((round + index) % kinds.len().max(1));
            for kind in turn {
                match measure(context, &installed, kind, cell) {
                    Ok(answers) => add(report, &installed, kind, cell, &answers),
                    Err(error) if kind == Kind::Laterbase => return Err(error),
                    Err(error) => {
                        eprintln!("FAILED: {}: {error}", cell.name());
                        report.note(AREA, format!("FAILED: {}: {error}", cell.name()));
                    }
                }
            }
        }
        eprintln!("round {} of {}", round + 1, context.rounds);
    }
    say_ratios(report);
    Ok(())
}

fn measure(
    context: &Context,
    installed: &Installed,
    kind: Kind,
    cell: Cell,
) -> Result<Answers, BenchError> {
    let scratch: Scratch = context.scratch("load")?;
    let server = Running::start(installed, kind, scratch.path())?;
    let before = server.processor_us();
    let mut answers = client::run(context, installed, kind, cell, server.address())?;
    answers.server_us = (server.processor_us() - before) / answers.acknowledged.max(1) as f64;
    Ok(answers)
}

fn add(report: &mut Report, installed: &Installed, kind: Kind, cell: Cell, answers: &Answers) {
    let subject = installed.subject(kind);
    let mut add = |what: &str, unit, better, sample| {
        report.add(Measurement {
            area: AREA,
            case: format!("{}{what}", cell.name()),
            subject: subject.clone(),
            unit,
            better,
            samples: vec![sample],
        });
    };
    add("", "/s", Better::Higher, answers.events_per_s);
    if answers.p50_us > 0.0 {
        add(": answer at the median", "µs", Better::Lower, answers.p50_us);
        add(": answer at p99", "µs", Better::Lower, answers.p99_us);
    }
    if answers.acknowledged > 0 {
        add(": server, processor time an event", "µs", Better::Lower, answers.server_us);
        add(": client, processor time an event", "µs", Better::Lower, answers.client_us);
    }
}

/// What must be known to judge the table.
fn explain(installed: &Installed, report: &mut Report) {
    for (name, why) in installed.skipped() {
        eprintln!("SKIPPED: {name}: {why}");
        report.note(AREA, format!("SKIPPED: {name}: {why}"));
    }
    report.note(
        AREA,
        "A case is clients × events of a batch. Events have 256 bytes of JSON, a key and a tag \
         that no other has. Each client is one connection with one batch under way; all of a batch \
         is one commit, but for NATS, where it is as many messages that are published without \
         waiting and then waited for, each with an acknowledgement and a sync of its own.",
    );
    for kind in installed.kinds() {
        report.note(AREA, format!("{}: {}", installed.subject(kind), kind.told()));
    }
}

/// Says how many times as many events as each of the others.
fn say_ratios(report: &mut Report) {
    let mut notes = Vec::new();
    let rates = report.measurements.iter().filter(|row| row.area == AREA && row.unit == "/s");
    let rates: Vec<&Measurement> = rates.collect();
    for mine in rates.iter().filter(|row| row.subject == OURS) {
        let mut said = Vec::new();
        for other in rates.iter().filter(|row| row.subject != OURS && row.case == mine.case) {
            let times = ratio(mine.better, mine.median(), other.median());
            said.push(format!("{} {times:.2}", other.subject));
        }
        if !said.is_empty() {
            notes.push(format!("{}, ours to theirs: {}.", mine.case, said.join(", ")));
        }
    }
    for note in notes {
        report.note(AREA, note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_nine_cells_each_once() {
        let names: std::collections::BTreeSet<String> = Cell::all().map(Cell::name).collect();
        assert_eq!(names.len(), 9);
        assert!(names.contains("64 × 512"), "{names:?}");
    }
}
