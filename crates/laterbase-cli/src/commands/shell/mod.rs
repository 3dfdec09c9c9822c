//! `laterbase shell`: questions, one after the other.
//!
//! ```text
//!   terminal ─▶ editor: colours, completion, history ─┐
//! a pipe ─▶ lines, until a statement is complete ─┴▶ session: dots, rules, questions ─▶ answer
//! ```
//! A rule that is typed without a query is kept for the questions behind it. Ctrl-C ends a
//! question, not the shell.

mod editor;
mod session;

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use laterbase::ask::is_incomplete;

use self::editor::{Editor, Typed};
use self::session::{Next, Session};
use super::Context;
use crate::failure::{Exit, Failure};
use crate::output::complain;
use crate::values::AnswerLayout;

/// Ask questions in Laterlog, one after the other
///
/// `.help` lists what a line that starts with a dot does.
#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// The schema that declares the types of fields is in this file
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// How to write the rows
    #[arg(long, value_enum, default_value_t = AnswerLayout::Table, conflicts_with = "json")]
    format: AnswerLayout,
}

impl Shell {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let layout = if context.json() { AnswerLayout::Json } else { self.format };
        let mut session = Session::open(context, self.schema.as_deref(), layout)?;
        if std::io::stdin().is_terminal() && context.out.style().terminal {
            on_terminal(&mut session, context)
        } else {
            from_pipe(&mut session, context)
        }
    }
}

fn on_terminal(session: &mut Session, context: &mut Context) -> Result<(), Failure> {
    let mut editor = Editor::new(session.schema(), session.roots(), context.out.style().colour);
    context.out.line("Laterlog; .help lists what else there is, Ctrl-D leaves")?;
    loop {
        context.out.flush()?;
        match editor.read()? {
            Typed::Text(text) => match session.take(&text, context) {
                Ok(Next::GoOn) => {}
                Ok(Next::Leave) => return Ok(()),
                Err(failure) => complain(&failure.to_text(context.out.style().colour)),
            },
            Typed::Nothing => {}
            Typed::End => return Ok(()),
        }
    }
}

/// Each statement is asked when it is complete: at a semicolon, an empty line, a line with a dot in
/// front, or the end. A mistake ends the whole, as it would end a script.
fn from_pipe(session: &mut Session, context: &mut Context) -> Result<(), Failure> {
    let mut text = String::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| {
            Failure::new(Exit::Usage, format_args!("cannot read standard input: {error}"))
        })?;
        let is_dot = line.starts_with('.') && text.trim().is_empty();
        text.push_str(&line);
        text.push('\n');
        let ends = is_dot || line.trim().is_empty() || line.trim_end().ends_with(';');
        if ends && !is_incomplete(&text) {
            if session.take(&std::mem::take(&mut text), context)? == Next::Leave {
                return Ok(());
            }
            context.out.flush()?;
        }
    }
    session.take(&text, context).map(|_| ())
}
