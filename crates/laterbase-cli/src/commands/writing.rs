//! Statements that write, from `query` and `shell`: here, or at the process that serves the
//! database.

use laterbase::ask::value_of_json;
use laterbase::execute::{Done, ExecuteError, ExecuteFault, Written};
use serde_json::{Value, json};

use super::query::of_asking;
use super::waiting::Waiting;
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::refusals;
use crate::show::{Answered, write_answer};
use crate::values::AnswerLayout as Layout;

/// Statements, and what they are given.
pub(super) struct Statements<'a> {
    pub(super) text: &'a str,
    /// What the text is called.
    pub(super) name: &'a str,
    pub(super) parameters: &'a [(String, Value)],
}

/// Carries statements out, and tells what each of them wrote or answers.
pub(super) fn carry_out(
    statements: &Statements<'_>,
    layout: Layout,
    waiting: &Waiting<'_>,
    context: &mut Context,
) -> Result<(), Failure> {
    match context.open_or_forward()? {
        Place::Here(database) => {
            let mut execute = database.execute(statements.text).cancel(waiting);
            for (name, value) in statements.parameters {
                execute = execute.bind(name, value_of_json(value));
            }
            let mut told = Ok(());
            let carried_out = execute.each(|done| {
                waiting.done();
                // What cannot be shown any more is carried out all the same.
                if told.is_ok() {
                    told = tell(&done, layout, context);
                }
                Ok(())
            });
            waiting.done();
            carried_out.map_err(|error| not_carried_out(&error, statements.name))?;
            database.close().map_err(|error| refusals::closing(&error))?;
            told
        }
        #[cfg(feature = "remote")]
        Place::There(there) => {
            let asked = crate::remote::execute(&there, statements.text, statements.parameters);
            waiting.done();
            let (written, answered) = asked?;
            for (events, commit) in written {
                wrote(events, commit.as_deref(), layout, context)?;
            }
            match answered {
                Some(answered) => write_answer(answered, layout, context),
                None => Ok(()),
            }
        }
    }
}

fn tell(done: &Done, layout: Layout, context: &mut Context) -> Result<(), Failure> {
    match done {
        Done::Rows(answer) => write_answer(Answered::from(answer), layout, context),
        Done::Written(Written { events, appended }) => {
            let commit = appended.as_ref().map(|appended| appended.commit.to_string());
            wrote(*events, commit.as_deref(), layout, context)
        }
    }
}

/// What a statement wrote.
fn wrote(
    events: u64,
    commit: Option<&str>,
    layout: Layout,
    context: &mut Context,
) -> Result<(), Failure> {
    match layout {
        Layout::Table | Layout::Tree => match (events, commit) {
            (1, Some(commit)) => context.out.line(format_args!("1 event recorded: {commit}")),
            (_, Some(commit)) => {
                context.out.line(format_args!("{events} events recorded, the first: {commit}"))
            }
            (_, None) => context.out.line("nothing to record"),
        },
        Layout::Json | Layout::Ndjson => {
            context.out.line(json!({ "events": events, "commit": commit }))
        }
        Layout::Csv => Ok(()),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail"
)]
fn not_carried_out(error: &ExecuteError, name: &str) -> Failure {
    let rendered = error.render(name);
    let message = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    match &error.fault {
        ExecuteFault::Ask(fault) => of_asking(fault, message),
        ExecuteFault::Expectation(_) | ExecuteFault::Busy => Failure::new(Exit::Conflict, message),
        ExecuteFault::Append(error) => refusals::appending(error),
        _ => Failure::new(Exit::Refused, message),
    }
}
