//! `cargo xtask ci`: runs the stages in order, times each, stops at the first failure and ends with
//! a table of what passed, what was skipped and how long it took.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::repository::Repository;
use crate::stages::{Outcome, STAGES, Stage};

/// How a stage ended.
enum End {
    Passed(String),
    Skipped(String),
    Failed(Failure),
}

/// Runs all stages, or those named in `arguments`; `--list` only names them.
///
/// # Errors
///
/// The first stage that fails; an unknown stage.
pub(crate) fn run(repository: &Repository, arguments: &[String]) -> Result<(), Failure> {
    if arguments.iter().any(|argument| argument == "--list") {
        for stage in STAGES {
            println!("{:<12} {}", stage.name, stage.proves);
        }
        return Ok(());
    }
    let chosen = choose(arguments)?;
    let started = Instant::now();
    let mut rows = Vec::new();
    for stage in &chosen {
        println!("\n==> {}: {}", stage.name, stage.proves);
        let begun = Instant::now();
        let end = match (stage.run)(repository) {
            Ok(Outcome::Passed(said)) => End::Passed(said),
            Ok(Outcome::Skipped(why)) => End::Skipped(why),
            Err(failure) => End::Failed(failure),
        };
        let failed = matches!(end, End::Failed(_));
        rows.push((*stage, end, begun.elapsed()));
        if failed {
            break;
        }
    }
    conclude(rows, chosen.len(), started.elapsed())
}

/// The stages that were asked for, in the order of the table.
fn choose(arguments: &[String]) -> Result<Vec<&'static Stage>, Failure> {
    if let Some(unknown) =
        arguments.iter().find(|name| STAGES.iter().all(|stage| stage.name != name.as_str()))
    {
        let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        let message = format!("there is no stage `{unknown}`; there are: {}", names.join(", "));
        return Err(Failure::Usage(message));
    }
    let all = arguments.is_empty();
    Ok(STAGES
        .iter()
        .filter(|stage| all || arguments.iter().any(|name| name == stage.name))
        .collect())
}

/// Prints the table and turns the first failure into the result.
fn conclude(
    rows: Vec<(&Stage, End, Duration)>,
    chosen: usize,
    total: Duration,
) -> Result<(), Failure> {
    println!("\n{:<12} {:>8}  result", "stage", "time");
    let mut failure = None;
    let ran = rows.len();
    for (stage, end, time) in rows {
        let (result, said) = match end {
            End::Passed(said) => ("ok", said),
            End::Skipped(why) => ("SKIPPED", why),
            End::Failed(cause) => {
                let said = cause.to_string();
                failure = Some((stage, cause));
                ("FAILED", said.lines().next().unwrap_or_default().to_owned())
            }
        };
        println!("{:<12} {:>7.1}s  {result:<8} {said}", stage.name, time.as_secs_f64());
    }
    println!("{:<12} {:>7.1}s", "total", total.as_secs_f64());
    match failure {
        None => {
            println!("\nAll {ran} stages passed.");
            Ok(())
        }
        Some((stage, cause)) => {
            let (name, left) = (stage.name, chosen - ran);
            Err(Failure::Check(format!(
                "the stage `{name}` failed, {left} not run. \
                 Run it alone: cargo xtask ci {name}\n{cause}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_stages_run_in_the_order_of_the_table() {
        let names = ["clippy", "fmt"].map(str::to_owned);
        let chosen: Vec<&str> = choose(&names).unwrap().iter().map(|stage| stage.name).collect();
        assert_eq!(chosen, ["fmt", "clippy"]);
    }

    #[test]
    fn an_unknown_stage_is_refused_with_the_names_that_exist() {
        let refused = choose(&["speed".to_owned()]).err().unwrap().to_string();
        assert!(refused.contains("`speed`") && refused.contains("power-cuts"), "{refused}");
    }
}
