//! Where a command writes: standard output, or a pager in front of it.
//!
//! The only place that knows whether a person is looking. On a terminal there are colours (never
//! with `NO_COLOR`), tables fit its width, and long output goes through `$PAGER`; otherwise the
//! bytes are plain and complete. A reader that goes away ends the command quietly.

use std::env;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;

const BUFFER_BYTES: usize = 64 << 10;

/// Standard output, buffered.
pub struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    pager: Option<Child>,
    style: Style,
}

/// What a person's terminal allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Somebody is looking.
    pub terminal: bool,
    /// Colours are wanted.
    pub colour: bool,
    /// Columns that a line may have; none where lines may be of any length.
    pub width: Option<usize>,
}

/// The looks of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As it comes.
    Plain,
    /// Headings, and what was asked for.
    Strong,
    /// What is there for completeness.
    Faint,
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// Names that can be used in the next command.
    Name,
}

impl Style {
    /// What standard output allows.
    #[must_use]
    pub fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let given = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = if terminal {
            given.or_else(|| {
                let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
                Some(usize::from(width.0))
            })
        } else {
            given
        };
        Self { terminal, colour: terminal && colour_is_wanted(), width }
    }

    /// `text` in that ink.
    #[must_use]
    pub fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Strong => "1",
            Ink::Faint => "2",
            Ink::Good => "32",
            Ink::Bad => "1;31",
            Ink::Name => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Whether the environment allows colours. <https://no-color.org>
#[must_use]
pub fn colour_is_wanted() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl Output {
    /// Standard output itself.
    #[must_use]
    pub fn stdout() -> Self {
        Self::to(Box::new(io::stdout()), Style::of_stdout())
    }

    /// Any other place, for tests and for programs that embed the commands.
    #[must_use]
    pub fn to(writer: Box<dyn Write + Send>, style: Style) -> Self {
        Self { writer: BufWriter::with_capacity(BUFFER_BYTES, writer), pager: None, style }
    }

    /// Puts a pager in front where a person is looking and has one.
    pub fn page(&mut self) {
        if !self.style.terminal || self.pager.is_some() {
            return;
        }
        let named = env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
        let pager = named.unwrap_or_else(|| "less".to_owned());
        let mut words = pager.split_whitespace();
        let Some(program) = words.next().filter(|program| *program != "cat") else { return };
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::piped());
        if env::var_os("LESS").is_none() {
            // Quit if it fits on one screen, keep colours, leave the text on the screen.
            command.env("LESS", "FRX");
        }
        let Ok(mut child) = command.spawn() else { return };
        if let Some(stdin) = child.stdin.take() {
            self.writer = BufWriter::with_capacity(BUFFER_BYTES, Box::new(stdin));
            self.pager = Some(child);
        }
    }

    /// What the terminal allows.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// Keeps tables to so many columns where lines could be of any length.
    pub fn narrow_to(&mut self, width: usize) {
        self.style.width = self.style.width.or(Some(width));
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// [`Failure::output`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(bytes).map_err(|error| Failure::output(&error))
    }

    /// Writes a line.
    ///
    /// # Errors
    /// [`Failure::output`].
    pub fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.writer, "{line}").map_err(|error| Failure::output(&error))
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// [`Failure::output`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| Failure::output(&error))
    }

    /// Hands on what is buffered and waits until the pager is left.
    ///
    /// # Errors
    /// [`Failure::output`].
    pub fn finish(&mut self) -> Result<(), Failure> {
        let flushed = self.flush();
        if let Some(mut pager) = self.pager.take() {
            // The pager sees the end of its input when the pipe is dropped.
            let _ = std::mem::replace(&mut self.writer, BufWriter::new(Box::new(io::sink())));
            let _ = pager.wait();
        }
        flushed
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Output").field("style", &self.style).finish_non_exhaustive()
    }
}

/// Writes to standard error and lets it go where nobody listens.
pub fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
