//! `laterbase verify`: is everything as it was written?

use clap::Args;
use laterbase::{Problem, VerifyStage};
use serde_json::{Value, json};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::progress::Progress;
use crate::refusals;

/// Check every byte: checksums, hash chains, and the indexes against the log
#[derive(Debug, Args)]
pub(crate) struct Verify {}

impl Verify {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let database = context.open_read_only()?;
        let mut bar = Progress::new(context.json(), Some(0));
        let report = database
            .verify(&mut |progress| {
                // Both stages go through all positions.
                let before = match progress.stage {
                    VerifyStage::Log => 0,
                    VerifyStage::Indexes => progress.total,
                };
                bar.step(before.saturating_add(progress.done), progress.total.saturating_mul(2));
            })
            .map_err(|error| refusals::reading(&error))?;
        bar.finish();
        let sound = report.is_sound();
        if context.json() {
            let problems: Vec<Value> = report
                .problems
                .iter()
                .map(|problem| json!({ "in": place(problem), "problem": problem.to_string() }))
                .collect();
            context.out.line(json!({
                "sound": sound,
                "events": report.events,
                "index_entries": report.index_entries,
                "problems": problems,
            }))?;
            return if sound { Ok(()) } else { Err(Failure::said(Exit::Corrupt)) };
        }
        let style = context.out.style();
        for problem in &report.problems {
            let mark = style.paint(Ink::Bad, "damaged");
            context.out.line(format_args!("{mark}  {problem}"))?;
        }
        let seen = format!("{} events and {} index entries", report.events, report.index_entries);
        if sound {
            return context.out.line(format_args!("{}  {seen}", style.paint(Ink::Good, "sound")));
        }
        let count = report.problems.len();
        let problems =
            if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
        let in_log = report.problems.iter().any(|problem| place(problem) == "log");
        let hint = if in_log {
            "the log is the only truth: `laterbase restore` a backup, or fetch what is lost from \
             another replica; what is intact stays readable"
        } else {
            "only what is derived is damaged: `laterbase repair` builds it anew from the log"
        };
        Err(Failure::new(Exit::Corrupt, format_args!("{problems} in {seen}")).hint(hint))
    }
}

fn place(problem: &Problem) -> &'static str {
    match problem {
        Problem::IndexFiles { .. } | Problem::IndexContent { .. } => "index",
        // The library may come to find more, and what is not derived is the log.
        Problem::Log(_) | _ => "log",
    }
}
