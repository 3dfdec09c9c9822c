//! Runs the simulator from the terminal: see `cargo xtask sim`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal: printing is what it is for"
)]

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use laterbase_sim::{
    Command, DatabaseNode, GossipOrder, MemoryNode, Nodes, Order, Report, Stretch, TABLE_HEAD,
    USAGE, gossip, next_seed, run,
};

/// Lines of the trace that a failure shows.
const TAIL: usize = 40;

/// How long a campaign goes on before it is recorded.
const STRETCH: Duration = Duration::from_secs(10 * 60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let done = Command::parse(&arguments)
        .and_then(|command| if command.gossips { measure(&command) } else { simulate(&command) });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(command: &Command) -> Result<(), String> {
    println!("{TABLE_HEAD}");
    for (announces, loss_percent) in [(false, 0), (true, 0), (true, 30)] {
        let order = GossipOrder {
            copies: 50,
            seed: command.seed.unwrap_or(1),
            seeds: command.runs.unwrap_or(1000),
            loss_percent,
            announces,
        };
        let report = gossip(order).map_err(|violation| violation.0)?;
        println!("{report}");
    }
    Ok(())
}

/// Runs seeds until enough are done, or the time is over, or one fails.
fn simulate(command: &Command) -> Result<(), String> {
    let started = Instant::now();
    let until = command.minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let mut seed = first_seed(command)?;
    loop {
        let left = until.map(|until| until.saturating_sub(started.elapsed()));
        let time = left.map(|left| left.min(STRETCH));
        let (stretch, failure) = run_stretch(command, seed, time);
        println!("{stretch}");
        if let (Some(record), Some(_)) = (&command.record, command.minutes) {
            append(record, &stretch.row(command))?;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        seed = stretch.next;
        if until.is_none_or(|until| started.elapsed() >= until) {
            return Ok(());
        }
    }
}

fn first_seed(command: &Command) -> Result<u64, String> {
    match (command.seed, &command.record, command.minutes) {
        (Some(seed), _, _) => Ok(seed),
        (None, Some(record), Some(_)) => {
            let text = std::fs::read_to_string(record)
                .map_err(|error| format!("cannot read {record}: {error}"))?;
            Ok(next_seed(&text, command))
        }
        (None, _, _) => Ok(1),
    }
}

/// Runs seeds for some time, or as many as were asked for; and the first failure, in words.
fn run_stretch(command: &Command, first: u64, time: Option<Duration>) -> (Stretch, Option<String>) {
    let (started, cpu_before) = (Instant::now(), cpu_time(Duration::ZERO));
    let runs = time.map_or(command.runs.unwrap_or(1), |_| u64::MAX);
    let mut stretch = Stretch::from(first);
    let mut failure = None;
    while stretch.next - first < runs && time.is_none_or(|time| started.elapsed() < time) {
        let Command { replicas, events, .. } = *command;
        let report = one(command.nodes, Order { seed: stretch.next, replicas, events });
        if command.prints_trace {
            println!("{}", report.trace.join("\n"));
        }
        stretch.next += 1;
        if let Err(violation) = &report.outcome {
            let seed = report.order.seed;
            stretch.result = format!("FOUND: seed {seed}: {}", violation.0);
            failure = Some(format!(
                "{}\n\nseed {seed}: {}\nreplay: {}",
                report.tail(TAIL).join("\n"),
                violation.0,
                report.replay(command.nodes.name())
            ));
            break;
        }
        stretch.counted += u64::from(report.counts());
        stretch.events += report.events;
        stretch.coverage.merge(&report.coverage);
    }
    stretch.cpu_s = (cpu_time(started.elapsed()).saturating_sub(cpu_before)).as_secs();
    (stretch, failure)
}

fn append(path: &str, row: &str) -> Result<(), String> {
    let opened = OpenOptions::new().append(true).open(path);
    opened
        .and_then(|mut file| file.write_all(row.as_bytes()))
        .map_err(|error| format!("cannot record in {path}: {error}"))
}

/// The time that this process has had on processors, where the system tells.
fn cpu_time(otherwise: Duration) -> Duration {
    let told = std::fs::read_to_string("/proc/self/schedstat").ok();
    let first = told.as_deref().and_then(|told| told.split_whitespace().next());
    let nanos = first.and_then(|nanos| nanos.parse().ok());
    nanos.map_or(otherwise, Duration::from_nanos)
}

fn one(nodes: Nodes, order: Order) -> Report {
    match nodes {
        Nodes::Memory => run::<MemoryNode>(order),
        Nodes::Database => run::<DatabaseNode>(order),
    }
}
