//! Runs other programs: shows what they print while they run and keeps it for whoever must read it.
//!
//! Standard output is read line by line; standard error goes straight to the terminal. What a
//! program printed is how this tool knows how many tests ran and which were skipped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

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

    /// Runs it to its end and returns what it printed on standard output.
    ///
    /// # Errors
    ///
    /// When it cannot be started or ends with another status than success.
    pub(crate) fn run(mut self) -> Result<Vec<String>, Failure> {
        println!("$ {}", self.line);
        let program = self.command.get_program().to_string_lossy().into_owned();
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Failure::Start { program: program.clone(), source })?;
        let mut lines = Vec::new();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line =
                    line.map_err(|source| Failure::Start { program: program.clone(), source })?;
                let line = String::from_utf8_lossy(&line).into_owned();
                println!("{line}");
                lines.push(line);
            }
        }
        let status = child.wait().map_err(|source| Failure::Start { program, source })?;
        if status.success() {
            Ok(lines)
        } else {
            Err(Failure::Command { line: self.line, status: status.to_string() })
        }
    }
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
