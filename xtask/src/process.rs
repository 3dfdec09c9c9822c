//! Runs other programs: shows what they print while they run and keeps it for whoever must read it.
//!
//! What a program printed is how this tool knows how many tests ran and which were skipped.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::failure::Failure;

/// A program with its arguments, not yet started.
#[derive(Debug)]
pub(crate) struct Invocation {
    command: Command,
    line: String,
}

impl Invocation {
    /// `program arguments…` in `folder`.
    pub(crate) fn new(folder: &Path, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder);
        let mut line = program.to_owned();
        for argument in arguments {
            line.push(' ');
            line.push_str(argument);
        }
        Self { command, line }
    }

    /// Sets a variable of the environment, and shows it in the printed line.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.line = format!("{name}='{value}' {}", self.line);
        self
    }

    /// Runs it to its end; the lines that it printed, those on standard error last.
    ///
    /// # Errors
    ///
    /// When it cannot be started or ends with another status than success.
    pub(crate) fn run(mut self) -> Result<Vec<String>, Failure> {
        println!("$ {}", self.line);
        let program = self.command.get_program().to_string_lossy().into_owned();
        let failed = |source| Failure::Start { program: program.clone(), source };
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let errors = child.stderr.take().map(|pipe| {
            thread::spawn(move || {
                echo(pipe, |line| {
                    eprintln!("{line}");
                })
            })
        });
        let output = child.stdout.take().map(|pipe| echo(pipe, |line| println!("{line}")));
        let mut lines = output.unwrap_or_default();
        if let Some(Ok(more)) = errors.map(thread::JoinHandle::join) {
            lines.extend(more);
        }
        let status = child.wait().map_err(failed)?;
        if status.success() {
            Ok(lines)
        } else {
            Err(Failure::Command { line: self.line, status: status.to_string() })
        }
    }
}

/// Hands on each line as it comes and keeps it; ends with the pipe.
fn echo(pipe: impl Read, mut show: impl FnMut(&str)) -> Vec<String> {
    let mut kept = Vec::new();
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        show(&line);
        kept.push(line);
    }
    kept
}

/// `cargo` with arguments, in the root of the repository; the cargo that runs this tool.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> Invocation {
    Invocation::new(folder, "cargo", arguments)
}

/// Whether a program answers to `arguments` with success; its output is thrown away.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether rustup has the standard library of a target.
pub(crate) fn has_target(target: &str) -> bool {
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    listed.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == target)
    })
}
