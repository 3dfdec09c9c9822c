//! `laterbase query`: statements in Laterlog, questions and such that write.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use laterbase::ask::{Answer, AskError, AskFault, Schema, schema_of, value_of_json, writes};

use super::waiting::Waiting;
use super::writing::{Statements, carry_out};
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::refusals;
use crate::show::{Answered, write_answer};
use crate::values::AnswerLayout;

/// Ask and write in Laterlog
///
/// As in: laterbase query -e '?{key, port} :- shipment.departed{key, port} limit 10', or
/// laterbase query -e 'add shipment.departed{key: "4711", port: "NLRTM"}'
#[derive(Debug, Args)]
pub(crate) struct QueryCommand {
    /// The text is in this file; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "text")]
    file: Option<PathBuf>,
    /// The text
    #[arg(short = 'e', long = "text", value_name = "TEXT", conflicts_with = "file")]
    text: Option<String>,
    /// A parameter: $NAME in the text is this value of JSON
    #[arg(short, long = "param", value_name = "NAME=JSON", value_parser = parameter)]
    parameters: Vec<(String, serde_json::Value)>,
    /// The schema that declares the types of fields is in this file
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// How to write the rows
    #[arg(long, value_enum, default_value_t = AnswerLayout::Table, conflicts_with = "json")]
    format: AnswerLayout,
}

impl QueryCommand {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let layout = if context.json() { AnswerLayout::Json } else { self.format };
        let (name, text) = self.text()?;
        let schema = self.schema.as_deref().map(read_schema).transpose()?;
        if writes(&text) {
            if schema.is_some() {
                return Err(Failure::new(
                    Exit::Usage,
                    "what is written is as the database declares",
                )
                .hint("leave --schema out, and apply the file: laterbase schema apply FILE"));
            }
            let statements = Statements { text: &text, name: &name, parameters: &self.parameters };
            return carry_out(&statements, layout, &Waiting::new(None), context);
        }
        match context.open_to_read()? {
            Place::Here(database) => {
                let mut ask = database.query(text);
                for (name, value) in &self.parameters {
                    ask = ask.bind(name, value_of_json(value));
                }
                if let Some(schema) = &schema {
                    ask = ask.schema(schema);
                }
                let waiting = Waiting::new(None);
                let answer = ask.cancel(&waiting).run();
                waiting.done();
                let answer = answer.map_err(|error| refused(&error, &name))?;
                warn(&answer, &name);
                write_answer(Answered::from(&answer), layout, context)
            }
            #[cfg(feature = "remote")]
            Place::There(there) => {
                if schema.is_some() {
                    return Err(Failure::new(Exit::Usage, "a server has its own schema")
                        .hint("leave --schema out, or ask a database's directory"));
                }
                let answered = crate::remote::ask(&there, &text, &self.parameters)?;
                write_answer(answered, layout, context)
            }
        }
    }

    /// The question, and what it is called.
    fn text(&self) -> Result<(String, String), Failure> {
        if let Some(text) = &self.text {
            return Ok(("query".to_owned(), text.clone()));
        }
        let file = self.file.as_deref().unwrap_or(Path::new("-"));
        Ok((file.display().to_string(), read_text(file)?))
    }
}

pub(super) fn read_text(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|error| {
        Failure::new(Exit::Usage, format_args!("cannot read {}: {error}", file.display()))
            .hint("name a file of text, or pass the question with -e TEXT")
    })?;
    Ok(text)
}

pub(super) fn read_schema(file: &Path) -> Result<Schema, Failure> {
    let text = read_text(file)?;
    schema_of(&text).map_err(|error| refused(&error, &file.display().to_string()))
}

/// What is odd about a question is told beside its answer.
#[expect(clippy::print_stderr, reason = "warnings are no part of the answer")]
fn warn(answer: &Answer, name: &str) {
    for warning in answer.warnings(name) {
        eprintln!("{warning}");
    }
}

pub(super) fn refused(error: &AskError, name: &str) -> Failure {
    let rendered = error.render(name);
    of_asking(&error.fault, rendered.strip_prefix("error: ").unwrap_or(&rendered))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more ways to fail"
)]
pub(super) fn of_asking(fault: &AskFault, message: &str) -> Failure {
    match fault {
        AskFault::Read(error) => refusals::reading(error),
        AskFault::Mistakes(_) => Failure::new(Exit::Usage, message),
        AskFault::NoQuery | AskFault::NoStatement => Failure::new(Exit::Usage, message)
            .hint("as in ?{key, port} :- shipment.departed{key, port}"),
        _ => Failure::new(Exit::Refused, message),
    }
}

/// `NAME=JSON`.
pub(super) fn parameter(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, json) =
        text.split_once('=').ok_or("write NAME=JSON, as in port='\"NLRTM\"' or days=3")?;
    let name = name.strip_prefix('$').unwrap_or(name);
    let value = serde_json::from_str(json).map_err(|error| {
        format!("`{json}` is no JSON ({error}); text stands between quotes: {name}='\"…\"'")
    })?;
    Ok((name.to_owned(), value))
}
