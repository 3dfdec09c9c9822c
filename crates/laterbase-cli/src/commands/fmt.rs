//! `laterbase fmt`: texts in Laterlog in their one layout.
//!
//! A file is replaced as a whole or not at all. One that cannot be read as Laterlog stays as it is;
//! the others are laid out all the same.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use laterbase::ask::{format_text, render_all};
use serde_json::json;

use super::Context;
use crate::failure::{Exit, Failure};

/// Lay texts in Laterlog out
///
/// White space changes and nothing else; comments stay. As in: laterbase fmt *.later
#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// Files that are replaced by their layout; `-` lays standard input out to standard output
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Change nothing; list the files that would change, and end with exit code 5 if there are any
    #[arg(long)]
    check: bool,
}

/// What became of the files.
#[derive(Default)]
struct Report {
    changed: Vec<String>,
    unchanged: u64,
    failures: Vec<String>,
    /// The exit code of the first failure.
    exit: Option<Exit>,
}

impl Report {
    fn fail(&mut self, exit: Exit, message: String) {
        self.exit.get_or_insert(exit);
        self.failures.push(message);
    }
}

impl Fmt {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let is_input = |file: &PathBuf| file == Path::new("-");
        if self.files.iter().any(is_input) {
            if self.files.len() > 1 {
                return Err(Failure::new(Exit::Usage, "`-` and files do not go together")
                    .hint("lay standard input out by itself: laterbase fmt -"));
            }
            return self.input(context);
        }
        let mut report = Report::default();
        for file in &self.files {
            let name = file.display().to_string();
            let text = match fs::read_to_string(file) {
                Ok(text) => text,
                Err(error) => {
                    report.fail(exit_of(&error), format!("cannot read {name}: {error}"));
                    continue;
                }
            };
            match format_text(&text) {
                Err(mistakes) => report.fail(Exit::Usage, mistake(&mistakes, &name, &text)),
                Ok(layout) if layout == text => {
                    report.unchanged = report.unchanged.saturating_add(1)
                }
                Ok(_) if self.check => report.changed.push(name),
                Ok(layout) => match replace(file, &layout) {
                    Ok(()) => report.changed.push(name),
                    Err(error) => {
                        report.fail(exit_of(&error), format!("cannot write {name}: {error}"));
                    }
                },
            }
        }
        self.tell(&report, context)
    }

    fn input(&self, context: &mut Context) -> Result<(), Failure> {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|error| {
            Failure::new(Exit::Usage, format_args!("cannot read standard input: {error}"))
        })?;
        let layout = format_text(&text)
            .map_err(|mistakes| Failure::new(Exit::Usage, mistake(&mistakes, "-", &text)))?;
        if !self.check {
            return context.out.bytes(layout.as_bytes());
        }
        if layout == text { Ok(()) } else { Err(not_laid_out("standard input is")) }
    }

    fn tell(&self, report: &Report, context: &mut Context) -> Result<(), Failure> {
        if context.json() {
            let member = if self.check { "would_change" } else { "changed" };
            let document = json!({ member: report.changed, "unchanged": report.unchanged });
            context.out.line(document)?;
        } else {
            for name in &report.changed {
                context.out.line(name)?;
            }
        }
        if let Some(exit) = report.exit {
            return Err(Failure::new(exit, report.failures.join("\n\nerror: ")));
        }
        match report.changed.len() {
            1.. if !self.check => Ok(()),
            0 => Ok(()),
            1 => Err(not_laid_out("1 file is")),
            count => Err(not_laid_out(&format!("{count} files are"))),
        }
    }
}

fn not_laid_out(what: &str) -> Failure {
    Failure::new(Exit::Refused, format_args!("{what} not laid out"))
        .hint("`laterbase fmt` without --check does it")
}

fn mistake(mistakes: &[laterbase::ask::Diagnostic], name: &str, text: &str) -> String {
    let rendered = render_all(mistakes, name, text);
    rendered.strip_prefix("error: ").unwrap_or(&rendered).to_owned()
}

fn exit_of(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::NotFound {
        Exit::NotFound
    } else if error.kind() == io::ErrorKind::InvalidData {
        Exit::Refused
    } else {
        Exit::Storage
    }
}

/// Puts `text` in the place of what `file` holds: it has the one or the other, whenever power
/// fails. A link stays one, and permissions stay.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let new = file.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = write_new(&new, &file, text).and_then(|()| fs::rename(&new, &file));
    if written.is_err() {
        // What cannot be removed either is told by the first error.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(new: &Path, old: &Path, text: &str) -> io::Result<()> {
    let mut written = File::create_new(new)?;
    written.write_all(text.as_bytes())?;
    if let Ok(metadata) = old.metadata() {
        written.set_permissions(metadata.permissions())?;
    }
    written.sync_all()
}
