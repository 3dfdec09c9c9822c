//! Campaigns that go on for as long as they are given, each from a seed of its own, and a record of
//! what was run: the campaign, the commit, the date, the first seed, how many, and what was found.
//!
//! ```text
//! faulty-disk  the campaigns of test_targets.rs, again and again, each time from a new seed
//! power-cuts   the tests of the power-cut package, likewise
//! programs     random questions: engine, oracle and SQLite answer alike
//! fuzz         every fuzz target, each for that long
//! ```
//!
//! A campaign test reads its seed from `LATERBASE_SEED` and multiplies its counts by
//! `LATERBASE_SCALE`; without them it uses what continuous integration uses. A failure ends the
//! campaign, prints the command that replays it and is recorded.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::failure::Failure;
use crate::fuzz;
use crate::process::cargo;
use crate::repository::Repository;
use crate::stages::{Outcome, SELECTION};
use crate::test_targets::{self, TestStage};

const USAGE: &str = "\
cargo xtask soak [CAMPAIGN…] [--minutes N] [--seed S] [--scale K]

  CAMPAIGN     faulty-disk, power-cuts, programs, fuzz; all of them when none is named
  --minutes N  for each campaign, and for each fuzz target; 60 by default
  --seed S     the first seed; the clock chooses one by default
  --scale K    how many times continuous integration's counts in one run; 4 by default

Results are appended to docs/reference/soak-results.md.
";

const RESULTS: &str = "docs/reference/soak-results.md";

/// The tests that ask random questions, and print how many.
const QUESTIONS: [&str; 9] = [
    "test",
    "-p",
    "laterbase-query",
    "--test",
    "model_programs",
    "--test",
    "model_sqlite",
    "--",
    "--nocapture",
];

/// More than a round asks, so that no seed comes twice.
const SEEDS_PER_ROUND: u64 = 10_000_000;

/// A campaign that this command knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Campaign {
    FaultyDisk,
    PowerCuts,
    Programs,
    Fuzz,
}

impl Campaign {
    const ALL: [Self; 4] = [Self::FaultyDisk, Self::PowerCuts, Self::Programs, Self::Fuzz];

    fn name(self) -> &'static str {
        match self {
            Self::FaultyDisk => "faulty-disk",
            Self::PowerCuts => "power-cuts",
            Self::Programs => "programs",
            Self::Fuzz => "fuzz",
        }
    }
}

/// What to run.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    campaigns: Vec<Campaign>,
    minutes: u64,
    seed: Option<u64>,
    scale: u64,
}

/// What a campaign came to.
struct Report {
    rounds: u64,
    result: Result<String, Failure>,
}

/// Runs the campaigns one after another and records each.
///
/// # Errors
///
/// A wrong command line; the first campaign with a finding, after it was recorded.
pub(crate) fn run(repository: &Repository, arguments: &[String]) -> Result<(), Failure> {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let order = parse(arguments)?;
    let first_seed = order.seed.unwrap_or_else(seconds_since_1970);
    for campaign in &order.campaigns {
        let time = Duration::from_secs(order.minutes * 60);
        println!("\n==> {} for {} minutes from seed {first_seed}", campaign.name(), order.minutes);
        let report = match campaign {
            Campaign::FaultyDisk => {
                repeat(repository, TestStage::Campaign, time, first_seed, order.scale)
            }
            Campaign::PowerCuts => {
                repeat(repository, TestStage::PowerCut, time, first_seed, order.scale)
            }
            Campaign::Programs => ask_all(repository, time, first_seed, order.scale),
            Campaign::Fuzz => fuzz_all(repository, time),
        };
        record(repository, *campaign, &order, first_seed, &report)?;
        report.result?;
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Order, Failure> {
    let mut order = Order { campaigns: Vec::new(), minutes: 60, seed: None, scale: 4 };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || {
            let value = rest.next().and_then(|value| value.parse().ok());
            value.ok_or_else(|| Failure::Usage(format!("{argument} needs a number\n\n{USAGE}")))
        };
        match argument.as_str() {
            "--minutes" => order.minutes = number()?,
            "--seed" => order.seed = Some(number()?),
            "--scale" => order.scale = number()?,
            name => match Campaign::ALL.iter().find(|campaign| campaign.name() == name) {
                Some(campaign) => order.campaigns.push(*campaign),
                None => {
                    let message = format!("there is no campaign `{name}`\n\n{USAGE}");
                    return Err(Failure::Usage(message));
                }
            },
        }
    }
    if order.campaigns.is_empty() {
        order.campaigns = Campaign::ALL.to_vec();
    }
    Ok(order)
}

/// Runs the tests of a stage from one seed after the other until the time is over.
fn repeat(
    repository: &Repository,
    stage: TestStage,
    time: Duration,
    first_seed: u64,
    scale: u64,
) -> Report {
    let started = Instant::now();
    let mut rounds = 0;
    let result = loop {
        let seed = first_seed.wrapping_add(rounds).to_string();
        if let Err(failure) = one_round(repository, stage, &seed, scale) {
            break Err(failure);
        }
        rounds += 1;
        if started.elapsed() >= time {
            break Ok("no finding".to_owned());
        }
    };
    Report { rounds, result }
}

fn one_round(
    repository: &Repository,
    stage: TestStage,
    seed: &str,
    scale: u64,
) -> Result<(), Failure> {
    let names = test_targets::names(&repository.files()?, stage);
    if names.is_empty() {
        return Err(Failure::Check(format!("there is no test of stage {stage:?}")));
    }
    let mut arguments = vec!["test"];
    match stage {
        TestStage::PowerCut => arguments.extend(["-p", "laterbase-powercut"]),
        TestStage::Iroh => arguments.extend(["-p", "laterbase-iroh"]),
        TestStage::Unit | TestStage::Campaign | TestStage::Mutant | TestStage::EndToEnd => {
            arguments.extend(SELECTION);
        }
    }
    for name in &names {
        arguments.extend(["--test", name]);
    }
    cargo(repository.root(), &arguments)
        .env("LATERBASE_SEED", seed)
        .env("LATERBASE_SCALE", &scale.to_string())
        .run()
        .map(|_| ())
}

/// Answers random questions until the time is over. A round takes one seed for each.
fn ask_all(repository: &Repository, time: Duration, first_seed: u64, scale: u64) -> Report {
    let started = Instant::now();
    let (mut rounds, mut asked) = (0, 0);
    let result = loop {
        let seed = first_seed.wrapping_add(rounds * SEEDS_PER_ROUND).to_string();
        let ran = cargo(repository.root(), &QUESTIONS)
            .env("LATERBASE_SEED", &seed)
            .env("LATERBASE_SCALE", &scale.to_string())
            .run();
        match ran {
            Ok(lines) => asked += lines.iter().filter_map(|line| asked_in(line)).sum::<u64>(),
            Err(failure) => break Err(failure),
        }
        rounds += 1;
        if started.elapsed() >= time {
            break Ok(format!("no finding in {asked} questions"));
        }
    };
    Report { rounds, result }
}

/// How many questions a test says that it asked: `311 of 4000 texts had rows`.
fn asked_in(line: &str) -> Option<u64> {
    let rest = line.strip_suffix(" had rows")?;
    let (_, asked) = rest.split_once(" of ")?;
    asked.split_once(' ')?.0.parse().ok()
}

fn fuzz_all(repository: &Repository, time: Duration) -> Report {
    let result = fuzz::run(repository, time.as_secs()).map(|outcome| match outcome {
        Outcome::Passed(said) => format!("no finding in {said}"),
        Outcome::Skipped(why) => format!("SKIPPED: {why}"),
    });
    Report { rounds: 1, result }
}

/// Appends one row to the results.
fn record(
    repository: &Repository,
    campaign: Campaign,
    order: &Order,
    first_seed: u64,
    report: &Report,
) -> Result<(), Failure> {
    let said = match &report.result {
        Ok(said) => said.clone(),
        Err(failure) => format!("FOUND: {}", failure.to_string().lines().next().unwrap_or("")),
    };
    let row = format!(
        "| {} | {} | {} | {} min | {first_seed} | {} × {} | {} |\n",
        output("date", &["-u", "+%Y-%m-%d"]),
        output("git", &["rev-parse", "--short", "HEAD"]),
        campaign.name(),
        order.minutes,
        report.rounds,
        order.scale,
        said.replace('|', "/"),
    );
    let path = repository.path(RESULTS);
    let wrap = |source| Failure::File { path: path.clone(), source };
    let mut file = OpenOptions::new().append(true).open(&path).map_err(wrap)?;
    file.write_all(row.as_bytes()).map_err(wrap)?;
    println!("recorded in {RESULTS}: {}", row.trim_end());
    Ok(())
}

/// The one line that a small program prints; empty when it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output();
    ran.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned()).unwrap_or_default()
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_named_means_an_hour_of_everything() {
        let order = parse(&[]).unwrap();
        assert_eq!(order.campaigns, Campaign::ALL);
        assert_eq!(order.minutes, 60);
    }

    #[test]
    fn seed_time_and_scale_are_taken() {
        let order = parse(&words("power-cuts --minutes 5 --seed 7 --scale 2")).unwrap();
        let expected =
            Order { campaigns: vec![Campaign::PowerCuts], minutes: 5, seed: Some(7), scale: 2 };
        assert_eq!(order, expected);
    }

    #[test]
    fn questions_are_counted_by_what_tests_print() {
        assert_eq!(asked_in("1375 of 4000 texts had rows"), Some(4000));
        assert_eq!(asked_in("test a_test ... ok"), None);
    }

    #[test]
    fn an_unknown_campaign_or_a_missing_number_is_refused() {
        assert!(parse(&words("lightning")).is_err());
        assert!(parse(&words("--minutes soon")).is_err());
    }
}
