//! The stages of continuous integration: what each is called, what it proves and how it runs.
//!
//! The order is cheapest first, so that a mistake is told early. Stages share their builds: every
//! cargo command here selects the same packages with the same features ([`SELECTION`]), so that no
//! crate is built twice.

use crate::device;
use crate::failure::Failure;
use crate::fuzz;
use crate::interface;
use crate::process::{Invocation, answers, cargo, has_target};
use crate::readme;
use crate::repository::Repository;
use crate::test_targets::{self, TestStage};
use crate::tidy;

/// What a stage that did not fail has to say for the summary.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran; how much, in a few words.
    Passed(String),
    /// A tool is missing here; which, and what to do.
    Skipped(String),
}

/// One stage.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) proves: &'static str,
    pub(crate) run: fn(&Repository) -> Result<Outcome, Failure>,
}

/// All stages, in the order in which they run.
pub(crate) const STAGES: &[Stage] = &[
    Stage { name: "setup", proves: "installs what the tests use", run: setup },
    Stage { name: "fmt", proves: "the code is formatted", run: fmt },
    Stage { name: "tidy", proves: "the rules of the house hold", run: tidy },
    Stage { name: "clippy", proves: "no lint warns, in any target", run: clippy },
    Stage { name: "docs", proves: "the documentation builds without a warning", run: docs },
    Stage { name: "tests", proves: "unit, golden, property and documentation tests", run: tests },
    Stage { name: "campaigns", proves: "faulty disk, models, kill -9", run: campaigns },
    Stage { name: "mutants", proves: "each fault built in on purpose is caught", run: mutants },
    Stage { name: "end-to-end", proves: "the program as people run it", run: end_to_end },
    Stage {
        name: "interface",
        proves: "the HTTP interface is as it is described",
        run: interface::run,
    },
    Stage { name: "power-cuts", proves: "the program on a disk that loses power", run: power_cuts },
    Stage { name: "iroh", proves: "sync from machine to machine, lints and tests", run: iroh },
    Stage { name: "readme", proves: "the README's and the guides' commands", run: readme },
    Stage { name: "bare-metal", proves: "laterbase-event without an OS and as wasm", run: bare },
    Stage { name: "arm", proves: "the program builds for 64-bit and 32-bit ARM Linux", run: arm },
    Stage { name: "device-size", proves: "the device build is at most 5 MiB", run: device::size },
    Stage {
        name: "memory",
        proves: "resident memory stays within its bounds",
        run: device::memory,
    },
    Stage { name: "fuzz", proves: "20 s a target without a finding", run: fuzz_briefly },
];

/// The packages and features of every build that tests or checks: peers of the benchmarks
/// included, so that those are known to answer alike; iroh and its two hundred crates left to a
/// stage of their own, so that their features change nothing in what is shipped.
pub(crate) const SELECTION: [&str; 5] =
    ["--workspace", "--exclude", "laterbase-iroh", "--features", "laterbase-bench/peers"];

/// The clients of the benchmark `load`, a workspace of their own.
const LOAD_CLIENTS: &str = "bench/load-clients/Cargo.toml";

/// Seconds that each fuzz target runs for in continuous integration.
const FUZZ_SECONDS: u64 = 20;

fn setup(repository: &Repository) -> Result<Outcome, Failure> {
    let lines = Invocation::new(repository.root(), "scripts/setup", &[]).run()?;
    let missing: Vec<&str> =
        lines.iter().filter_map(|line| line.strip_prefix("MISSING ")).collect();
    if missing.is_empty() {
        Ok(Outcome::Passed("everything is there".to_owned()))
    } else {
        Ok(Outcome::Passed(format!("not installed: {}", missing.join(", "))))
    }
}

fn fmt(repository: &Repository) -> Result<Outcome, Failure> {
    cargo(repository.root(), &["fmt", "--all", "--check"]).run()?;
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    cargo(repository.root(), &fuzz).run()?;
    let clients = ["fmt", "--manifest-path", LOAD_CLIENTS, "--check"];
    cargo(repository.root(), &clients).run()?;
    Ok(Outcome::Passed(String::new()))
}

fn tidy(repository: &Repository) -> Result<Outcome, Failure> {
    tidy::run(repository)?;
    Ok(Outcome::Passed(String::new()))
}

fn clippy(repository: &Repository) -> Result<Outcome, Failure> {
    let mut arguments = vec!["clippy", "--all-targets"];
    arguments.extend(SELECTION);
    arguments.extend(["--", "-D", "warnings"]);
    cargo(repository.root(), &arguments).run()?;
    // Those of the peers need their crates, which are for benchmarks alone.
    let clients = ["clippy", "--all-targets", "--locked", "--manifest-path", LOAD_CLIENTS];
    let target = repository.target().join("load-clients").to_string_lossy().into_owned();
    let mut arguments = clients.to_vec();
    arguments.extend(["--target-dir", &target, "--", "-D", "warnings"]);
    cargo(repository.root(), &arguments).run()?;
    Ok(Outcome::Passed(String::new()))
}

fn docs(repository: &Repository) -> Result<Outcome, Failure> {
    let mut arguments = vec!["doc", "--no-deps"];
    arguments.extend(SELECTION);
    cargo(repository.root(), &arguments).env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Outcome::Passed(String::new()))
}

fn tests(repository: &Repository) -> Result<Outcome, Failure> {
    let names = test_targets::names(&repository.files()?, TestStage::Unit);
    let mut arguments = vec!["test", "--lib", "--bins"];
    arguments.extend(SELECTION);
    for name in &names {
        arguments.extend(["--test", name]);
    }
    let mut lines = cargo(repository.root(), &arguments).run()?;
    let mut arguments = vec!["test", "--doc"];
    arguments.extend(SELECTION);
    lines.extend(cargo(repository.root(), &arguments).run()?);
    counted(&lines)
}

fn campaigns(repository: &Repository) -> Result<Outcome, Failure> {
    run_targets(repository, TestStage::Campaign, &SELECTION)
}

/// Built with the faults, which are all off until a test names one.
fn mutants(repository: &Repository) -> Result<Outcome, Failure> {
    let selection = [
        "-p",
        "laterbase-log",
        "-p",
        "laterbase",
        "-p",
        "laterbase-sim",
        "--features",
        "laterbase/mutants,laterbase-sim/mutants",
    ];
    run_targets(repository, TestStage::Mutant, &selection)
}

fn end_to_end(repository: &Repository) -> Result<Outcome, Failure> {
    run_targets(repository, TestStage::EndToEnd, &SELECTION)
}

fn power_cuts(repository: &Repository) -> Result<Outcome, Failure> {
    if !std::path::Path::new("/dev/fuse").exists() || !answers("fusermount3", &["--version"]) {
        let why = "no FUSE here: needs /dev/fuse and fusermount3 (scripts/setup installs fuse3)";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    run_targets(repository, TestStage::PowerCut, &["-p", "laterbase-powercut"])
}

/// Lints and tests of the one crate that [`SELECTION`] leaves out.
fn iroh(repository: &Repository) -> Result<Outcome, Failure> {
    let package = ["-p", "laterbase-iroh"];
    let mut arguments = vec!["clippy", "--all-targets"];
    arguments.extend(package);
    arguments.extend(["--", "-D", "warnings"]);
    cargo(repository.root(), &arguments).run()?;
    run_targets(repository, TestStage::Iroh, &package)
}

fn readme(repository: &Repository) -> Result<Outcome, Failure> {
    let count = readme::run(repository)?;
    Ok(Outcome::Passed(format!("{count} commands")))
}

fn bare(repository: &Repository) -> Result<Outcome, Failure> {
    let targets = ["thumbv7em-none-eabihf", "wasm32-unknown-unknown"];
    let packages = ["-p", "laterbase-event", "-p", "laterbase-sync", "--no-default-features"];
    build_for(repository, &targets, &packages)
}

fn arm(repository: &Repository) -> Result<Outcome, Failure> {
    let mut built = Vec::new();
    let mut missing = Vec::new();
    for (target, compiler) in [
        ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc"),
        ("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf-gcc"),
    ] {
        if !has_target(target) || !answers(compiler, &["--version"]) {
            missing.push(format!("{target} (needs `rustup target add` and {compiler})"));
            continue;
        }
        let upper = target.replace('-', "_");
        let arguments = ["build", "-p", "laterbase-cli", "--bin", "laterbase", "--target", target];
        cargo(repository.root(), &arguments)
            .env(&format!("CARGO_TARGET_{}_LINKER", upper.to_uppercase()), compiler)
            .env(&format!("CC_{upper}"), compiler)
            .run()?;
        built.push(target.to_owned());
    }
    Ok(partly(&built, &missing))
}

fn fuzz_briefly(repository: &Repository) -> Result<Outcome, Failure> {
    fuzz::run(repository, FUZZ_SECONDS)
}

/// Builds the named package for each target that is installed.
fn build_for(
    repository: &Repository,
    targets: &[&str],
    package: &[&str],
) -> Result<Outcome, Failure> {
    let mut built = Vec::new();
    let mut missing = Vec::new();
    for target in targets {
        if !has_target(target) {
            missing.push(format!("{target} (needs `rustup target add {target}`)"));
            continue;
        }
        let mut arguments = vec!["build", "--target", target];
        arguments.extend(package);
        cargo(repository.root(), &arguments).run()?;
        built.push((*target).to_owned());
    }
    Ok(partly(&built, &missing))
}

/// Passed if anything was built; what is missing is said either way.
fn partly(built: &[String], missing: &[String]) -> Outcome {
    let missing = missing.join(", ");
    match (built.is_empty(), missing.is_empty()) {
        (true, _) => Outcome::Skipped(missing),
        (false, true) => Outcome::Passed(built.join(", ")),
        (false, false) => Outcome::Passed(format!("{}; SKIPPED {missing}", built.join(", "))),
    }
}

/// Runs the integration tests of one stage; `--nocapture`, so that a test that skips is seen.
fn run_targets(
    repository: &Repository,
    stage: TestStage,
    selection: &[&str],
) -> Result<Outcome, Failure> {
    let names = test_targets::names(&repository.files()?, stage);
    if names.is_empty() {
        return Err(Failure::Check(format!(
            "the stage {stage:?} has no test: see test_targets.rs"
        )));
    }
    let mut arguments = vec!["test"];
    arguments.extend(selection);
    for name in &names {
        arguments.extend(["--test", name]);
    }
    arguments.extend(["--", "--nocapture"]);
    counted(&cargo(repository.root(), &arguments).run()?)
}

/// Adds up the closing lines of the test harness; no test at all is a failure, not a success.
fn counted(lines: &[String]) -> Result<Outcome, Failure> {
    let mut passed = 0;
    let mut ignored = 0;
    for line in lines {
        let Some(result) = line.trim().strip_prefix("test result: ok. ") else { continue };
        for part in result.split(';') {
            let mut words = part.split_whitespace();
            let count: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => passed += count,
                Some("ignored") => ignored += count,
                Some(_) | None => {}
            }
        }
    }
    if passed == 0 {
        return Err(Failure::Check("not one test ran in this stage".to_owned()));
    }
    let mut said = format!("{passed} tests");
    if ignored > 0 {
        said = format!("{said}, {ignored} ignored");
    }
    let skips: Vec<&str> = lines.iter().filter_map(|line| skip_reason(line)).collect();
    if !skips.is_empty() {
        said = format!("{said}; SKIPPED {}", skips.join(", "));
    }
    Ok(Outcome::Passed(said))
}

/// What a test said when it skipped itself: the rest of a line with `SKIPPED` in it.
fn skip_reason(line: &str) -> Option<&str> {
    let (_, reason) = line.split_once("SKIPPED")?;
    Some(reason.trim_start_matches([':', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_binaries_are_added_up() {
        let lines = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ]
        .map(str::to_owned);
        let outcome = counted(&lines).unwrap();
        assert_eq!(outcome, Outcome::Passed("7 tests, 1 ignored".to_owned()));
    }

    #[test]
    fn a_stage_without_a_single_test_fails() {
        let lines = ["test result: ok. 0 passed; 0 failed; 0 ignored".to_owned()];
        assert!(counted(&lines).is_err());
    }

    #[test]
    fn a_test_that_skips_itself_is_named_in_the_summary() {
        let lines = ["SKIPPED: no FUSE here".to_owned(), "test result: ok. 1 passed".to_owned()];
        let outcome = counted(&lines).unwrap();
        assert_eq!(outcome, Outcome::Passed("1 tests; SKIPPED no FUSE here".to_owned()));
    }

    #[test]
    fn stage_names_are_distinct() {
        for (index, stage) in STAGES.iter().enumerate() {
            assert!(STAGES[index + 1..].iter().all(|other| other.name != stage.name));
        }
    }
}
