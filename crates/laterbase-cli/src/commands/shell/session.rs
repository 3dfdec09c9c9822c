//! What the shell remembers, and what its lines do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use laterbase::ask::{Answer, Schema, explained, rule_names, schema_of, value_of_json, writes};
use serde_json::Value;

use super::super::query::{parameter, read_schema, refused};
use super::super::waiting::Waiting;
use super::super::writing::{Statements, carry_out};
use super::super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::output::{Ink, Output, complain};
use crate::show::{Answered, write_answer};
use crate::values::AnswerLayout as Layout;

/// What a process that a hang-up ends answers, as shells tell it.
const HUNG_UP: i32 = 129;

const HELP: &str = "\
A statement is asked once it is complete; an empty line behind it ends it, too.

  ?{key, port} :- shipment.departed{key, port} limit 10    asks
  late{key} :- shipment.departed{key, at}, at > $t         a rule, kept for what follows

  .help               this
  .schema             roots, events, tables and views that there are
  .rules              the rules that are kept
  .forget [NAME]      forgets the rules of a name, or all
  .set NAME JSON      gives the parameter $NAME a value; without JSON, takes it away
  .format FORMAT      table, tree, json, ndjson or csv
  .last [FORMAT]      shows the last answer again
  .explain [QUESTION] shows how it is answered; without one, how the last one was
  .timing on|off      says how long an answer took, and how much it read
  .quit               leaves; so does Ctrl-D
";

/// What comes after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Leave,
}

/// What the shell remembers.
pub(super) struct Session {
    place: Place,
    /// In place of that of the database.
    schema: Option<Schema>,
    layout: Layout,
    /// Rules by name, as they were typed.
    rules: Vec<(Arc<str>, String)>,
    parameters: BTreeMap<String, Value>,
    is_timing: bool,
    last: Option<Answer>,
    /// What was asked last.
    question: Option<String>,
    /// Somebody pressed Ctrl-C.
    interrupted: Arc<AtomicBool>,
}

impl Session {
    pub(super) fn open(
        context: &Context,
        schema: Option<&Path>,
        layout: Layout,
    ) -> Result<Self, Failure> {
        let schema = schema.map(read_schema).transpose()?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let heard =
            signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted));
        // A terminal that is gone ends the shell, also where whoever started it ignores that: the
        // editor would go on to look for keys.
        let ends = Arc::new(AtomicBool::new(true));
        let hung_up = signal_hook::flag::register_conditional_shutdown(
            signal_hook::consts::SIGHUP,
            HUNG_UP,
            ends,
        );
        let heard = heard.and(hung_up);
        heard.map_err(|error| {
            Failure::new(Exit::Internal, format_args!("cannot listen for Ctrl-C: {error}"))
        })?;
        Ok(Self {
            place: context.open_to_read()?,
            schema,
            layout,
            rules: Vec::new(),
            parameters: BTreeMap::new(),
            is_timing: false,
            last: None,
            question: None,
            interrupted,
        })
    }

    pub(super) fn schema(&self) -> Schema {
        match (&self.schema, &self.place) {
            (Some(schema), _) => schema.clone(),
            (None, Place::Here(database)) => {
                database.schema().map(|schema| schema.schema).unwrap_or_default()
            }
            #[cfg(feature = "remote")]
            (None, Place::There(there)) => {
                let document = there.document("/schema").unwrap_or_default();
                let text = document.get("text").and_then(Value::as_str).unwrap_or_default();
                schema_of(text).unwrap_or_default()
            }
        }
    }

    /// The roots that hold events.
    pub(super) fn roots(&self) -> Vec<String> {
        match &self.place {
            Place::Here(database) => {
                let vector = database.version_vector().unwrap_or_default();
                vector.roots().map(|root| root.as_str().to_owned()).collect()
            }
            #[cfg(feature = "remote")]
            Place::There(_) => Vec::new(),
        }
    }

    /// Does what was typed.
    pub(super) fn take(&mut self, text: &str, context: &mut Context) -> Result<Next, Failure> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Next::GoOn);
        }
        if let Some(line) = trimmed.strip_prefix('.') {
            return self.dot(line, context);
        }
        let names = rule_names(text).map_err(|error| refused(&error, "shell"))?;
        match names {
            Some(names) => {
                let typed = text.trim_end().to_owned();
                for name in names {
                    context.out.line(format_args!("{name} is kept"))?;
                    self.rules.push((name, typed.clone()));
                }
                Ok(Next::GoOn)
            }
            None => {
                self.question = (!writes(text)).then(|| text.trim_end().to_owned());
                self.ask(text, context).map(|()| Next::GoOn)
            }
        }
    }

    fn ask(&mut self, text: &str, context: &mut Context) -> Result<(), Failure> {
        // Behind the text, so that mistakes keep their lines.
        let mut whole = text.trim_end().to_owned();
        let mut kept: Vec<&str> = self.rules.iter().map(|(_, text)| text.as_str()).collect();
        kept.dedup();
        for rule in kept {
            whole.push_str(";\n");
            whole.push_str(rule);
        }
        self.interrupted.store(false, Ordering::Relaxed);
        let interrupted = Arc::clone(&self.interrupted);
        let waiting = Waiting::new(Some(&interrupted));
        if writes(text) {
            let parameters: Vec<(String, Value)> = self.parameters.clone().into_iter().collect();
            let statements = Statements { text: &whole, name: "shell", parameters: &parameters };
            let done = carry_out(&statements, self.layout, &waiting, context);
            leave_pager(context)?;
            done?;
            return self.time(waiting.took(), context);
        }
        match &self.place {
            Place::Here(database) => {
                // What another process has recorded since.
                let refreshed = database.refresh();
                refreshed.map_err(|error| crate::refusals::reading(&error))?;
                let mut ask = database.query(whole).cancel(&waiting);
                if let Some(schema) = &self.schema {
                    ask = ask.schema(schema);
                }
                for (name, value) in &self.parameters {
                    ask = ask.bind(name, value_of_json(value));
                }
                let answer = ask.run();
                waiting.done();
                let answer = answer.map_err(|error| refused(&error, "shell"))?;
                for warning in answer.warnings("shell") {
                    complain(&format!("{warning}\n"));
                }
                self.last = Some(answer);
                let took = waiting.took();
                self.show(self.layout, context)?;
                self.time(took, context)
            }
            #[cfg(feature = "remote")]
            Place::There(there) => {
                let parameters: Vec<(String, Value)> =
                    self.parameters.clone().into_iter().collect();
                let answered = crate::remote::ask(there, &whole, &parameters)?;
                let took = waiting.took();
                shown(answered, self.layout, context)?;
                self.time(took, context)
            }
        }
    }

    /// Asks how a question is answered.
    fn explain(&mut self, question: &str, context: &mut Context) -> Result<(), Failure> {
        let asked = if question.is_empty() { self.question.clone() } else { None };
        let Some(text) = asked.or((!question.is_empty()).then(|| question.to_owned())) else {
            return Err(Failure::new(Exit::Usage, "nothing was asked yet")
                .hint("ask a question, or write one behind it: .explain ?{…} :- …"));
        };
        if writes(&text) {
            return Err(Failure::new(Exit::Usage, "only questions are explained")
                .hint("ask for what the statement reads: .explain ?{…} :- …"));
        }
        // What cannot be read is asked as it is, which tells why.
        let text = explained(&text).unwrap_or(text);
        self.ask(&text, context)
    }

    fn show(&self, layout: Layout, context: &mut Context) -> Result<(), Failure> {
        match &self.last {
            Some(answer) => shown(Answered::from(answer), layout, context),
            None => Err(Failure::new(Exit::Usage, "nothing was asked yet")),
        }
    }

    fn time(&self, took: Duration, context: &mut Context) -> Result<(), Failure> {
        if !self.is_timing {
            return Ok(());
        }
        let took = took.as_secs_f64() * 1000.0;
        let read = self.last.as_ref().map_or(0, |answer| answer.rows.usage().rows_read);
        let text = format!("{took:.1} ms, {read} rows read");
        let line = context.out.style().paint(Ink::Faint, &text);
        context.out.line(line)
    }

    fn dot(&mut self, line: &str, context: &mut Context) -> Result<Next, Failure> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "help" => context.out.bytes(HELP.as_bytes())?,
            "quit" | "exit" => return Ok(Next::Leave),
            "schema" => self.describe(context)?,
            "rules" => {
                for (_, text) in &self.rules {
                    context.out.line(text.trim())?;
                }
            }
            "forget" => self.rules.retain(|(name, _)| !rest.is_empty() && name.as_ref() != rest),
            "set" => self.set(rest)?,
            "format" => self.layout = layout(rest)?,
            "last" if rest.is_empty() => self.show(self.layout, context)?,
            "last" => self.show(layout(rest)?, context)?,
            "explain" => self.explain(rest, context)?,
            "timing" => match rest {
                "on" => self.is_timing = true,
                "off" => self.is_timing = false,
                _ => return Err(Failure::new(Exit::Usage, "write `.timing on` or `.timing off`")),
            },
            other => {
                let message = format!("there is no `.{other}`");
                return Err(Failure::new(Exit::Usage, message).hint("`.help` lists what there is"));
            }
        }
        Ok(Next::GoOn)
    }

    fn set(&mut self, text: &str) -> Result<(), Failure> {
        let Some((name, json)) = text.split_once(char::is_whitespace) else {
            self.parameters.remove(text.trim_start_matches('$'));
            return Ok(());
        };
        let (name, value) = parameter(&format!("{name}={}", json.trim()))
            .map_err(|reason| Failure::new(Exit::Usage, reason))?;
        self.parameters.insert(name, value);
        Ok(())
    }

    fn describe(&self, context: &mut Context) -> Result<(), Failure> {
        let schema = self.schema();
        for (name, root) in &schema.roots {
            let events: Vec<&str> = root.events.values().map(|event| event.name.as_ref()).collect();
            context.out.line(format_args!("root {name}: {}", events.join(", ")))?;
        }
        for table in schema.tables.values() {
            let columns: Vec<&str> = table.fields.names().collect();
            context.out.line(format_args!("table {}: {}", table.name, columns.join(", ")))?;
        }
        for view in schema.views.values() {
            context.out.line(format_args!("view {}", view.name))?;
        }
        let is_declared = |root: &String| schema.roots.contains_key(root.as_str());
        for root in self.roots().iter().filter(|root| !is_declared(root)) {
            context.out.line(format_args!("root {root}, not declared"))?;
        }
        Ok(())
    }
}

/// Shows an answer, through a pager of its own on a terminal.
fn shown(answered: Answered<'_>, layout: Layout, context: &mut Context) -> Result<(), Failure> {
    let written = write_answer(answered, layout, context);
    leave_pager(context)?;
    written
}

/// Waits until the pager is left, if there is one, and goes on without.
fn leave_pager(context: &mut Context) -> Result<(), Failure> {
    let style = context.out.style();
    if style.terminal {
        context.out.finish()?;
        context.out = Output::to(Box::new(std::io::stdout()), style);
    }
    Ok(())
}

fn layout(name: &str) -> Result<Layout, Failure> {
    <Layout as clap::ValueEnum>::from_str(name, false).map_err(|_| {
        Failure::new(Exit::Usage, format_args!("`{name}` is no format"))
            .hint("formats are table, tree, json, ndjson and csv")
    })
}
