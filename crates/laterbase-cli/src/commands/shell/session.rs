//! What the shell remembers, and what its lines do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use laterbase::ask::{Answer, Schema, rule_names, schema_of, value_of_json};
use serde_json::Value;

use super::super::query::{parameter, read_schema, refused};
use super::super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::output::{Ink, Output, complain};
use crate::show::{Answered, write_answer};
use crate::values::Layout;

/// A question that takes longer says so on a terminal.
const SAY_AFTER: Duration = Duration::from_secs(2);

const HELP: &str = "\
A statement is asked once it is complete; an empty line behind it ends it, too.

  ?{key, port} :- shipment.departed{key, port} limit 10    asks
  late{key} :- shipment.departed{key, at}, at > $t         a rule, kept for what follows

  .help               this
  .schema             roots, events, tables and views that there are
  .rules              the rules that are kept
  .forget [NAME]      forgets the rules of a name, or all
  .set NAME JSON      gives the parameter $NAME a value; without JSON, takes it away
  .format FORMAT      table, json, ndjson or csv
  .last [FORMAT]      shows the last answer again
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
            None => self.ask(text, context).map(|()| Next::GoOn),
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
        let began = Instant::now();
        self.interrupted.store(false, Ordering::Relaxed);
        match &self.place {
            Place::Here(database) => {
                // What another process has recorded since.
                let refreshed = database.refresh();
                refreshed.map_err(|error| crate::refusals::reading(&error))?;
                let is_terminal = context.out.style().terminal;
                let waiting = Waiting::new(began, is_terminal);
                let is_over = || {
                    waiting.tell();
                    self.interrupted.load(Ordering::Relaxed)
                };
                let mut ask = database.query(whole).cancel(&is_over);
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
                self.show(self.layout, context)?;
            }
            #[cfg(feature = "remote")]
            Place::There(there) => {
                let parameters: Vec<(String, Value)> =
                    self.parameters.clone().into_iter().collect();
                let answered = crate::remote::ask(there, &whole, &parameters)?;
                shown(answered, self.layout, context)?;
            }
        }
        self.time(began, context)
    }

    fn show(&self, layout: Layout, context: &mut Context) -> Result<(), Failure> {
        match &self.last {
            Some(answer) => shown(Answered::from(answer), layout, context),
            None => Err(Failure::new(Exit::Usage, "nothing was asked yet")),
        }
    }

    fn time(&self, began: Instant, context: &mut Context) -> Result<(), Failure> {
        if !self.is_timing {
            return Ok(());
        }
        let took = began.elapsed().as_secs_f64() * 1000.0;
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
    if context.out.style().terminal {
        let style = context.out.style();
        context.out.finish()?;
        context.out = Output::to(Box::new(std::io::stdout()), style);
    }
    written
}

fn layout(name: &str) -> Result<Layout, Failure> {
    <Layout as clap::ValueEnum>::from_str(name, false).map_err(|_| {
        Failure::new(Exit::Usage, format_args!("`{name}` is no format"))
            .hint("formats are table, json, ndjson and csv")
    })
}

/// Says on a terminal that a question takes its time.
struct Waiting {
    began: Instant,
    is_terminal: bool,
    told: std::cell::Cell<u64>,
}

impl Waiting {
    fn new(began: Instant, is_terminal: bool) -> Self {
        Self { began, is_terminal, told: std::cell::Cell::new(0) }
    }

    fn tell(&self) {
        let took = self.began.elapsed();
        if self.is_terminal && took >= SAY_AFTER && took.as_secs() > self.told.get() {
            self.told.set(took.as_secs());
            complain(&format!("\r{} s; Ctrl-C stops it", took.as_secs()));
        }
    }

    /// Takes the line away again.
    fn done(&self) {
        if self.told.get() > 0 {
            complain("\r\x1b[K");
        }
    }
}
