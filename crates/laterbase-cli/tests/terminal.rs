//! The shell as a person sees it: on a pseudo-terminal, which `script` of util-linux makes.
//!
//! What is typed waits for what was expected to show before it; nothing waits for a time to pass.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on says where"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use support::Sandbox;

/// A test whose output does not come is over after this.
const PATIENCE: Duration = Duration::from_secs(120);
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_R: &str = "\x12";
const ENTER: &str = "\r";
const TAB: &str = "\t";
/// What the line editor asks of a terminal: where its cursor is.
const WHERE: &str = "\x1b[6n";
const PROMPT: &str = "laterbase> ";

/// A shell on a terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Receiver<Vec<u8>>,
    /// Everything that was shown.
    raw: String,
    /// The same without what drives a terminal.
    text: String,
    /// How far that has been looked at.
    seen: usize,
    /// How often the terminal has told where its cursor is.
    told: usize,
}

impl Terminal {
    fn new(sandbox: &Sandbox, arguments: &str, environment: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_laterbase");
        let line = format!("stty rows 30 cols 90; exec '{program}' {arguments}");
        // The program that is run is `script`, in the sandbox's directory and environment.
        let mut command = std::process::Command::new("script");
        command
            .args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"])
            .current_dir(sandbox.path(""))
            .env("LATERBASE_DB", "db")
            .env("LATERBASE_HISTORY", sandbox.path("history"))
            .env("TERM", "xterm-256color")
            .env("PAGER", "cat")
            .env("SHELL", "/bin/sh")
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let keys = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keys, shown, raw: String::new(), text: String::new(), seen: 0, told: 0 }
    }

    fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until the text shows, behind what was waited for before.
    #[track_caller]
    fn wait(&mut self, expected: &str) {
        loop {
            if let Some(at) = self.text[self.seen..].find(expected) {
                self.seen += at + expected.len();
                return;
            }
            match self.shown.recv_timeout(PATIENCE) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("`{expected}` does not show behind {}:\n{:?}", self.seen, self.raw)
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.raw.push_str(&String::from_utf8_lossy(bytes));
        self.text = plain(&self.raw);
        // As a terminal does.
        while self.raw.matches(WHERE).count() > self.told {
            self.told += 1;
            self.keys("\x1b[5;1R");
        }
    }

    /// Leaves the shell; what was shown in all.
    #[track_caller]
    fn leave(mut self) -> String {
        self.keys(CTRL_D);
        while let Ok(bytes) = self.shown.recv_timeout(PATIENCE) {
            self.take(&bytes);
        }
        assert!(self.child.wait().unwrap().success(), "{:?}", self.raw);
        self.raw
    }
}

/// What is shown, without the sequences that colour it and move the cursor. One that is not whole
/// yet stays.
fn plain(raw: &str) -> String {
    let mut text = String::new();
    let mut rest = raw;
    while let Some((before, sequence)) = rest.split_once('\x1b') {
        text.push_str(before);
        // `ESC [ … letter`, or one letter.
        let end = match sequence.strip_prefix('[') {
            Some(behind) => behind.find(|it: char| it.is_ascii_alphabetic()).map(|at| at + 2),
            None => sequence.chars().next().map(char::len_utf8),
        };
        let Some(end) = end else { break };
        rest = &sequence[end..];
    }
    text.push_str(rest);
    text
}

/// A database with a few events.
fn fleet() -> Sandbox {
    let sandbox = Sandbox::with_database();
    for (key, port) in [("4711", "NLRTM"), ("4712", "USNYC")] {
        let data = format!(r#"{{"port":"{port}"}}"#);
        sandbox.run(["append", &format!("shipment/{key}"), "departed", "--data", &data]).success();
    }
    sandbox
}

/// More matches than anybody waits for.
const ENDLESS: &str = "\
    n{x} :- x in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]; \
    ?{n: count()} :- n{x: a}, n{x: b}, n{x: c}, n{x: d}, n{x: e}, n{x: f}, n{x: g}, n{x: h}, \
    a + b + c + d + e + f + g + h < 0";

#[test]
fn a_question_is_coloured_answered_and_found_again() {
    let sandbox = fleet();
    let mut terminal = Terminal::new(&sandbox, "shell", &[]);
    terminal.wait(PROMPT);
    terminal.keys("?{key} :- shipment.departed{key, port: \"NLRTM\"}");
    terminal.wait("port: \"NLRTM\"}");
    terminal.keys(ENTER);
    terminal.wait("4711");
    terminal.wait("1 row");
    // Several lines: one that is not complete goes on.
    terminal.wait(PROMPT);
    terminal.keys(&format!("?{{port}} :-{ENTER}"));
    terminal.wait("... ");
    terminal.keys(&format!("shipment.departed{{port}}{ENTER}"));
    terminal.wait("NLRTM");
    terminal.wait("USNYC");
    terminal.wait("2 rows");
    // What was asked before is found by a part of it.
    terminal.wait(PROMPT);
    terminal.keys(CTRL_R);
    terminal.wait("search:");
    terminal.keys("port: \"NL");
    terminal.wait("?{key}");
    // It is taken first, so that it can be changed.
    terminal.keys(ENTER);
    terminal.wait("laterbase> ?{key}");
    terminal.keys(ENTER);
    terminal.wait("1 row");
    terminal.wait(PROMPT);
    let raw = terminal.leave();
    // The relation in cyan, the text in green.
    for coloured in ["\x1b[1;36mdeparted", "\x1b[32m\"NLRTM\""] {
        assert!(raw.contains(coloured), "{coloured:?} in {raw:?}");
    }
    // And in the next shell.
    let mut terminal = Terminal::new(&sandbox, "shell", &[]);
    terminal.wait(PROMPT);
    terminal.keys("\x1b[A");
    terminal.wait("NLRTM");
    terminal.keys(ENTER);
    terminal.wait("1 row");
    terminal.wait(PROMPT);
    terminal.leave();
}

#[test]
fn ctrl_c_ends_a_question_that_takes_long_and_the_shell_stays() {
    let sandbox = fleet();
    let mut terminal = Terminal::new(&sandbox, "shell", &[]);
    terminal.wait(PROMPT);
    terminal.keys(&format!("{ENDLESS}{ENTER}"));
    terminal.wait(" rows so far; Ctrl-C stops it");
    terminal.keys(CTRL_C);
    terminal.wait("error:");
    terminal.wait(PROMPT);
    terminal.keys(&format!("?{{n: count()}} :- shipment.departed{{key}}{ENTER}"));
    terminal.wait("1 row");
    // What is being typed is thrown away.
    terminal.wait(PROMPT);
    terminal.keys("?{never");
    terminal.wait("never");
    terminal.keys(CTRL_C);
    terminal.wait(PROMPT);
    terminal.keys(&format!(".format tree{ENTER}"));
    terminal.wait(PROMPT);
    terminal.keys(&format!(".last{ENTER}"));
    terminal.wait("n: 2");
    terminal.wait(PROMPT);
    let raw = terminal.leave();
    // The line is taken away before the message.
    let (_, behind) = raw.rsplit_once("Ctrl-C stops it").unwrap();
    assert!(behind.contains("\r\x1b[K"), "{behind:?}");
}

#[test]
fn names_come_by_tab() {
    let sandbox = fleet();
    let mut terminal = Terminal::new(&sandbox, "shell", &[]);
    terminal.wait(PROMPT);
    terminal.keys(&format!("?{{key}} :- ship{TAB}"));
    terminal.wait("shipment");
    terminal.keys(&format!("{ENTER}.departed{{key}}{ENTER}"));
    terminal.wait("2 rows");
    terminal.wait(PROMPT);
    terminal.leave();
}

#[test]
fn a_long_answer_goes_through_the_pager_unless_that_is_turned_off() {
    let sandbox = fleet();
    let question = "query -e '?{x} :- x in [1, 2, 3]'";
    let pager = [("PAGER", "sed s/^/paged:/")];
    let text = Terminal::new(&sandbox, question, &pager).leave();
    assert!(text.contains("paged:"), "{text:?}");
    let plain = format!("--no-pager {question}");
    let text = Terminal::new(&sandbox, &plain, &pager).leave();
    assert!(!text.contains("paged:") && text.contains("3 rows"), "{text:?}");
}
