//! Runs the simulator from the terminal: see `cargo xtask sim`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal: printing is what it is for"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use laterbase_sim::{
    Command, Coverage, DatabaseNode, GossipOrder, MemoryNode, Nodes, Order, Report, TABLE_HEAD,
    USAGE, gossip, run,
};

/// Lines of the trace that a failure shows.
const TAIL: usize = 40;

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
    let first = command.seed.unwrap_or(1);
    let runs_max = match command.minutes {
        Some(_) => u64::MAX,
        None => command.runs.unwrap_or(1),
    };
    let until = command.minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let mut coverage = Coverage::default();
    let (mut runs, mut counted, mut events) = (0, 0, 0);
    while runs < runs_max && until.is_none_or(|until| started.elapsed() < until) {
        let order =
            Order { seed: first + runs, replicas: command.replicas, events: command.events };
        let report = one(command.nodes, order);
        if command.prints_trace {
            println!("{}", report.trace.join("\n"));
        }
        if let Err(violation) = &report.outcome {
            return Err(format!(
                "{}\n\nseed {}: {}\nreplay: {}",
                report.tail(TAIL).join("\n"),
                order.seed,
                violation.0,
                report.replay(command.nodes.name())
            ));
        }
        runs += 1;
        counted += u64::from(report.counts());
        events += report.events;
        coverage.merge(&report.coverage);
    }
    println!("{coverage}");
    println!(
        "seeds {first}..{}: {runs} runs of {} copies, {events} events, no violation; {counted} \
         count (at least 5 copies, 500 events, 3 kinds of fault that fired); {:.0?}",
        first + runs,
        command.replicas,
        started.elapsed()
    );
    Ok(())
}

fn one(nodes: Nodes, order: Order) -> Report {
    match nodes {
        Nodes::Memory => run::<MemoryNode>(order),
        Nodes::Database => run::<DatabaseNode>(order),
    }
}
