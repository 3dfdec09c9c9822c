//! `laterbase schema`: what the database may hold, and changes of that.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use laterbase::SchemaError;
use serde_json::{Value, json};

use super::query::{read_text, refused};
use super::stats::counted;
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::refusals;
use crate::table::{Column, Table};

/// Apply, show and compare the schema
///
/// A schema says what may be recorded: events and tables with the types of their fields. Without
/// one anything may.
#[derive(Debug, Args)]
pub(crate) struct SchemaCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a file the schema of the database
    ///
    /// What it does not declare any more must be `removed` in it; numbers keep their meaning. The
    /// same schema again changes nothing, and settles conflicts if there are any.
    Apply {
        /// The schema's text is in this file; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the schema
    Show {
        /// On what changes on different copies did not agree
        #[arg(long)]
        conflicts: bool,
        /// Who applied what when
        #[arg(long, conflicts_with = "conflicts")]
        history: bool,
    },
    /// Show what a file would change, and what it may not
    Diff {
        /// The schema's text is in this file; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

const CONFLICTS: [Column; 4] = [
    Column::text("about", 20, Ink::Name),
    Column::text("kept", 20, Ink::Plain),
    Column::text("not kept", 20, Ink::Plain),
    Column::whole("by event", Ink::Faint),
];

const HISTORY: [Column; 5] = [
    Column::whole("at", Ink::Plain),
    Column::whole("replica", Ink::Name),
    Column::whole("schema", Ink::Plain),
    Column::whole("made of", Ink::Plain),
    Column::whole("event", Ink::Faint),
];

impl SchemaCommand {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self.action {
            Action::Apply { file, dry_run: false } => apply(&file, context),
            Action::Apply { file, dry_run: true } | Action::Diff { file } => diff(&file, context),
            Action::Show { conflicts, history } => {
                let schema = shown(context)?;
                if context.json() {
                    return context.out.line(schema);
                }
                if conflicts {
                    show_conflicts(&schema, context)
                } else if history {
                    show_history(&schema, context)
                } else {
                    show_text(&schema, context)
                }
            }
        }
    }
}

fn shown(context: &Context) -> Result<Value, Failure> {
    match context.open_to_read()? {
        Place::Here(database) => {
            let schema = database.schema().map_err(|error| refusals::reading(&error))?;
            Ok(laterbase_json::schema(&schema))
        }
        #[cfg(feature = "remote")]
        Place::There(there) => there.document("/schema"),
    }
}

fn apply(file: &Path, context: &mut Context) -> Result<(), Failure> {
    let (name, read) = (file.display().to_string(), read_text(file)?);
    let change = match context.open_or_forward()? {
        Place::Here(database) => {
            let change = database.apply_schema(&read);
            let change = change.map_err(|error| not_applied(&error, &name))?;
            database.close().map_err(|error| refusals::closing(&error))?;
            laterbase_json::schema_change(&change)
        }
        #[cfg(feature = "remote")]
        Place::There(there) => there.put("/schema", "text/plain", &read)?,
    };
    if context.json() {
        return context.out.line(change);
    }
    show_changes(&change, context)?;
    let hash = text(&change, "hash").to_owned();
    if text(&change, "event").is_empty() {
        return context.out.line(format_args!("the schema is {hash} already"));
    }
    let settled = change.get("settled").and_then(Value::as_u64).unwrap_or_default();
    let settled = match settled {
        0 => String::new(),
        settled => format!(", {} settled", counted(settled, "conflict")),
    };
    context.out.line(format_args!("the schema is {hash} now{settled}"))
}

fn diff(file: &Path, context: &mut Context) -> Result<(), Failure> {
    let (name, read) = (file.display().to_string(), read_text(file)?);
    let difference = match context.open_to_read()? {
        Place::Here(database) => {
            let difference = database.schema_difference(&read);
            let difference = difference.map_err(|error| not_applied(&error, &name))?;
            if !difference.is_allowed() {
                let rendered = difference.render_refusals(&name, &read);
                let message = rendered.strip_prefix("error: ").unwrap_or(&rendered);
                return Err(Failure::new(Exit::Refused, message.trim_end()));
            }
            laterbase_json::schema_difference(&difference)
        }
        #[cfg(feature = "remote")]
        Place::There(there) => there.put("/schema?dry_run=true", "text/plain", &read)?,
    };
    if context.json() {
        return context.out.line(difference);
    }
    show_changes(&difference, context)?;
    let (base, hash) = (text(&difference, "base"), text(&difference, "hash"));
    if hash == base {
        return context.out.line("nothing changes");
    }
    context.out.line(format_args!("the schema {base} would become {hash}"))
}

fn show_changes(document: &Value, context: &mut Context) -> Result<(), Failure> {
    for change in texts(document, "changes") {
        context.out.line(change)?;
    }
    Ok(())
}

fn show_text(schema: &Value, context: &mut Context) -> Result<(), Failure> {
    let shown = text(schema, "text");
    if shown.is_empty() {
        return context.out.line("no schema: anything may be recorded");
    }
    context.page();
    context.out.bytes(shown.as_bytes())?;
    let conflicts = rows(schema, "conflicts").len();
    if conflicts > 0 {
        let told = format!(
            "// {}: see `laterbase schema show --conflicts`",
            counted(conflicts as u64, "conflict")
        );
        let told = context.out.style().paint(Ink::Bad, &told);
        context.out.line(told)?;
    }
    Ok(())
}

fn show_conflicts(schema: &Value, context: &mut Context) -> Result<(), Failure> {
    let all = rows(schema, "conflicts");
    if all.is_empty() {
        return context.out.line("no conflicts");
    }
    let mut table = Table::new(&CONFLICTS);
    for conflict in all {
        let row = ["what", "kept", "other", "event"];
        let row = row.map(|name| text(conflict, name).to_owned());
        table.row(row.to_vec(), &mut context.out)?;
    }
    table.release(&mut context.out)?;
    context.out.line("apply a schema that says what shall be, and they are settled")
}

fn show_history(schema: &Value, context: &mut Context) -> Result<(), Failure> {
    let all = rows(schema, "history");
    if all.is_empty() {
        return context.out.line("no schema was ever applied");
    }
    let clock = context.clock();
    let mut table = Table::new(&HISTORY);
    for applied in all {
        let at = text(applied, "at");
        let at = laterbase_json::time::parse(at).map_or(at.to_owned(), |at| clock.format(at));
        let rest = ["replica", "hash", "base", "event"].map(|name| text(applied, name).to_owned());
        let row = std::iter::once(at).chain(rest).collect();
        table.row(row, &mut context.out)?;
    }
    table.release(&mut context.out)?;
    for event in texts(schema, "unreadable") {
        let told = format!("event {event} holds a schema that this version cannot read");
        context.out.line(told)?;
    }
    Ok(())
}

fn text<'v>(document: &'v Value, name: &str) -> &'v str {
    document.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'v>(document: &'v Value, name: &str) -> impl Iterator<Item = &'v str> {
    rows(document, name).iter().filter_map(Value::as_str)
}

fn rows<'v>(document: &'v Value, name: &str) -> &'v [Value] {
    document.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn not_applied(error: &SchemaError, name: &str) -> Failure {
    match error {
        SchemaError::Mistakes(error) => refused(error, name).with_exit(Exit::Refused),
        SchemaError::Append(error) => refusals::appending(error),
        SchemaError::Read(error) => refusals::reading(error),
        other @ (SchemaError::Changed { .. } | _) => Failure::new(Exit::Conflict, other),
    }
}

/// What `status` says of the schema.
pub(super) fn status_of(database: &laterbase::Database) -> Result<(String, Value), Failure> {
    let schema = database.schema().map_err(|error| refusals::reading(&error))?;
    let conflicts = schema.conflicts.len();
    let line = match (schema.history.is_empty(), conflicts) {
        (true, _) => "none".to_owned(),
        (false, 0) => schema.hash.to_string(),
        (false, _) => format!(
            "{}, {}: see `laterbase schema show --conflicts`",
            schema.hash,
            counted(conflicts as u64, "conflict")
        ),
    };
    let hash = (!schema.history.is_empty()).then(|| schema.hash.to_string());
    Ok((line, json!({ "hash": hash, "conflicts": conflicts })))
}
