//! Where the demo plays: a temporary directory, and commands that are shown and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser as _;
use laterbase::{Query, TypeName};

use crate::commands::{CommandLine, Context};
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::refusals;
use crate::time::Clockface;

const DATABASE: &str = "demo.db";

pub(super) struct Stage<'c> {
    context: &'c mut Context,
    directory: PathBuf,
    /// Where the program was before.
    outside: Option<PathBuf>,
    keep: bool,
    started: Instant,
}

impl<'c> Stage<'c> {
    pub(super) fn new(context: &'c mut Context, keep: Option<PathBuf>) -> Result<Self, Failure> {
        let kept = keep.is_some();
        let temporary =
            || std::env::temp_dir().join(format!("laterbase-demo-{}", std::process::id()));
        let directory = keep.unwrap_or_else(temporary);
        if directory.join(DATABASE).exists() {
            return Err(Failure::new(
                Exit::AlreadyExists,
                format_args!("there is a demo in {} already", directory.display()),
            )
            .hint("name another directory, or remove that one"));
        }
        fs::create_dir_all(&directory).map_err(|error| cannot_write(&directory, &error))?;
        // The commands are run as they are shown: with names in the demo's own directory.
        let outside = std::env::current_dir().ok();
        std::env::set_current_dir(&directory).map_err(|error| cannot_write(&directory, &error))?;
        context.everywhere.db = Some(PathBuf::from(DATABASE));
        context.everywhere.json = false;
        context.everywhere.no_pager = true;
        context.out.narrow_to(100);
        Ok(Self { context, directory, outside, keep: kept, started: Instant::now() })
    }

    /// Writes one of the files that the story is about, and shows it.
    pub(super) fn file(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        fs::write(name, text).map_err(|error| cannot_write(Path::new(name), &error))?;
        self.prompt(&format!("cat {name}"))?;
        self.context.out.bytes(text.as_bytes())
    }

    /// A sentence between two commands.
    pub(super) fn say(&mut self, sentence: &str) -> Result<(), Failure> {
        let style = self.context.out.style();
        self.context.out.line("")?;
        self.context.out.line(style.paint(Ink::Strong, &format!("# {sentence}")))
    }

    /// Shows a command and runs it.
    pub(super) fn run(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        self.prompt(&folded("laterbase", arguments))?;
        let line = CommandLine::try_parse_from(std::iter::once(&"laterbase").chain(arguments))
            .map_err(|error| Failure::new(Exit::Internal, error))?;
        line.command.run(self.context)?;
        self.context.out.flush()
    }

    /// Now, as the next command can be told.
    pub(super) fn moment(&self) -> String {
        // Arrival times are counted in milliseconds: it takes one that is this moment's alone.
        let millis = millisecond_after(millisecond_after(-1));
        millisecond_after(millis);
        Clockface::utc().format(millis.saturating_mul(1_000))
    }

    /// The id of the first event of a type.
    pub(super) fn first_of_type(&self, name: &str) -> Result<String, Failure> {
        let name = TypeName::try_from(name).map_err(|error| Failure::new(Exit::Internal, error))?;
        let query = Query::all().of_type(name).limit(1);
        let database = self.context.open_read_only()?;
        let mut events = database.read(&query).map_err(|error| refusals::reading(&error))?;
        let first = events.next().transpose().map_err(|error| refusals::reading(&error))?;
        Ok(first.map(|recorded| recorded.event.id.to_string()).unwrap_or_default())
    }

    pub(super) fn remove_index(&mut self) -> Result<(), Failure> {
        self.prompt(&format!("rm -r {DATABASE}/index"))?;
        let index = Path::new(DATABASE).join("index");
        fs::remove_dir_all(&index).map_err(|error| cannot_write(&index, &error))
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        let style = self.context.out.style();
        let took = self.started.elapsed().as_secs_f64();
        self.context.out.line("")?;
        let place = if self.keep {
            let database = self.directory.join(DATABASE);
            format!("The database is in {}.", database.display())
        } else {
            "Now with your own data: laterbase init --db DIR".to_owned()
        };
        let took = if style.terminal { format!("That took {took:.1} s. ") } else { String::new() };
        self.context.out.line(style.paint(Ink::Strong, &format!("# {took}{place}")))
    }

    fn prompt(&mut self, command: &str) -> Result<(), Failure> {
        let style = self.context.out.style();
        let prompt = style.paint(Ink::Faint, "$");
        self.context.out.line(format_args!("{prompt} {}", style.paint(Ink::Name, command)))
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(outside) = &self.outside {
            let _ = std::env::set_current_dir(outside);
        }
        if !self.keep {
            // What cannot be removed is left to the system's cleaning of temporary files.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Waits until the wall clock shows a later millisecond; answers which one it shows.
fn millisecond_after(before: i64) -> i64 {
    loop {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        // A clock before 1970 does not count.
        if now > before || now == 0 {
            return now;
        }
        std::thread::yield_now();
    }
}

/// A command on as many lines as it needs, each broken before an option.
fn folded(program: &str, arguments: &[&str]) -> String {
    const LETTERS_MAX: usize = 90;
    let mut text = program.to_owned();
    let mut used = text.len();
    for word in arguments {
        if word.starts_with("--") && used > LETTERS_MAX - 30 {
            text.push_str(" \\\n   ");
            used = 0;
        }
        text.push(' ');
        text.push_str(&quoted(word));
        used = used.saturating_add(word.len()).saturating_add(1);
    }
    text
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,@+".contains(letter);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{word}'") }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Storage, format_args!("cannot write {}: {error}", path.display()))
        .hint("the demo needs a directory for temporary files; TMPDIR names another one")
}
