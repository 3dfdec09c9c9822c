//! The repository's own checks and campaigns: `cargo xtask COMMAND`.
//!
//! ```text
//! ci      every stage, in order, timed; stops at the first failure
//! tidy    the rules of the house that a tool can check
//! readme  runs the README's commands as they stand there
//! bench   benchmarks against peers in one run
//! sim     the simulator of many copies that sync
//! soak    campaigns that go on by seed; writes what it found to a results file
//! ```
//!
//! It has no dependencies, so that it builds in seconds on a fresh machine and so that `tidy` can
//! judge everything else. Nothing shipped depends on it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal: printing is what it is for"
)]

mod bench;
mod ci;
mod device;
mod failure;
mod fuzz;
mod interface;
mod process;
mod readme;
mod repository;
mod sim;
mod soak;
mod stages;
mod test_targets;
mod tidy;

use std::process::ExitCode;

use failure::Failure;
use repository::Repository;

const USAGE: &str = "\
cargo xtask COMMAND

  ci [--list] [STAGE…]                 all stages, or only the named ones
  tidy                                 check the rules of the house
  readme                               run the README's commands as they stand there
  bench [AREA…] [--quick] [--json F]   benchmarks; `bench --help` lists the areas
  sim [--seed N] [--minutes N] [--gossip]
                                       simulate copies that sync; `sim --help` lists the rest
  soak [CAMPAIGN…] [--minutes N]       faulty-disk, power-cuts, fuzz; an hour each by default
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{USAGE}");
        return Ok(());
    };
    let repository = Repository::find()?;
    match command.as_str() {
        "ci" => ci::run(&repository, rest),
        "tidy" => tidy::run(&repository),
        "readme" => readme::run(&repository).map(|_| ()),
        "bench" => bench::run(&repository, rest),
        "sim" => sim::run(&repository, rest),
        "soak" => soak::run(&repository, rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => Err(Failure::Usage(format!("there is no command `{unknown}`\n\n{USAGE}"))),
    }
}
