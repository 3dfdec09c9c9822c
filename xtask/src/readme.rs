//! Runs the commands of the README and of the guides as they stand there, and compares what they
//! print with what the page says they print.
//!
//! A block marked `console` holds commands after `$ ` and, below each, what it prints; a block
//! marked `text` behind it holds what the last command prints, where that has lines with `$ `
//! itself. All blocks of a page run in one shell, from the root of the repository, in order, with
//! the built program on the path. The test command itself is left out, since it is what is running.
//!
//! Ids, times, durations, sizes, rates and paths differ from run to run: in both texts every ULID
//! becomes `<id>`, every number with a decimal point `<n>`, and so on, before they are compared
//! (see [`normal`]). A line `…` in the README stands for any number of lines.

use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::process::cargo;
use crate::repository::Repository;

/// The README's second command, which ends in this stage and so cannot be run by it.
const TEST_COMMAND: &str = "cargo xtask ci";
const README: &str = "README.md";
const GUIDES: &str = "docs/guides/";

/// A command and the lines that the README promises.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    command: String,
    output: Vec<String>,
}

/// Runs every example of every page; returns how many there were.
///
/// # Errors
///
/// When the README has no command, or a command fails or prints something else.
pub(crate) fn run(repository: &Repository) -> Result<usize, Failure> {
    cargo(repository.root(), &["build", "--bin", "laterbase"]).run()?;
    let mut count = page(repository, README)?;
    if count == 0 {
        return Err(Failure::Check(format!("{README} has no `console` block with a command")));
    }
    for guide in repository.files()?.iter().filter(|file| file.starts_with(GUIDES)) {
        count += page(repository, guide)?;
    }
    Ok(count)
}

/// Runs the examples of one page.
fn page(repository: &Repository, path: &str) -> Result<usize, Failure> {
    let examples = examples(&repository.read(path)?);
    let output = shell(repository, &script(&examples))?;
    for (index, example) in examples.iter().enumerate() {
        let printed = section(&output, index).ok_or_else(|| {
            let command = &example.command;
            Failure::Check(format!("{path}: this command failed: {command}\n{output}"))
        })?;
        if !agrees(&example.output, &printed) {
            return Err(Failure::Check(format!(
                "{path}: `{}` no longer prints what stands there.\n--- {path}\n{}\n--- now\n{}",
                example.command,
                example.output.join("\n"),
                printed.join("\n"),
            )));
        }
        println!("ok  {path}: {}", example.command.lines().next().unwrap_or_default());
    }
    Ok(examples.len())
}

/// What the lines of a block are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Console,
    /// The output of the last command.
    Text,
}

/// The examples of all blocks, in order, without the test command.
fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let (mut block, mut last) = (Block::None, Block::None);
    let mut inside = false;
    let mut continued = false;
    for line in page.lines() {
        if line.starts_with("```") {
            continued = false;
            inside = !inside;
            (block, last) = match line.trim() {
                _ if !inside => (Block::None, block),
                "```console" => (Block::Console, last),
                "```text" if last == Block::Console => (Block::Text, last),
                _ => (Block::None, last),
            };
            continue;
        }
        if !inside && line.starts_with('#') {
            last = Block::None;
        }
        let command = line.strip_prefix("$ ").filter(|_| block == Block::Console);
        match (block, command, found.last_mut()) {
            (Block::None, ..) | (Block::Console | Block::Text, None, None) => {}
            (Block::Console | Block::Text, Some(command), _) => {
                continued = command.ends_with('\\');
                found.push(Example { command: command.to_owned(), output: Vec::new() });
            }
            (Block::Console, None, Some(example)) if continued => {
                example.command.push('\n');
                example.command.push_str(line);
                continued = line.ends_with('\\');
            }
            (Block::Console | Block::Text, None, Some(example)) => {
                example.output.push(line.to_owned());
            }
        }
    }
    found.retain(|example| example.command.trim() != TEST_COMMAND);
    found
}

/// One shell script with a mark after each command that succeeded.
fn script(examples: &[Example]) -> String {
    let mut script = String::from("set -e -o pipefail\n");
    for (index, example) in examples.iter().enumerate() {
        script.push_str(&format!("{}\necho\necho '{}'\n", example.command, mark(index)));
    }
    script
}

fn mark(index: usize) -> String {
    format!("---- end of command {index}")
}

/// Runs the script in a fresh folder for its data; whatever it printed, also when it failed.
fn shell(repository: &Repository, script: &str) -> Result<String, Failure> {
    let data = repository.target().join("readme");
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data)
        .map_err(|source| Failure::File { path: data.clone(), source })?;
    let programs = repository.target().join("debug");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(repository.root())
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("TMPDIR", &data)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env_remove("LATERBASE_DB")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { program: "bash".to_owned(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the command with this index printed, or nothing if it did not succeed.
fn section(output: &str, index: usize) -> Option<Vec<String>> {
    let (before, _) = output.split_once(&format!("\n{}", mark(index)))?;
    let own = match index.checked_sub(1) {
        None => before,
        Some(previous) => before.split_once(&format!("\n{}\n", mark(previous)))?.1,
    };
    Some(own.trim_end().lines().map(str::to_owned).collect())
}

/// Whether the README's lines describe the printed ones. No line in the README: nothing is claimed.
fn agrees(written: &[String], printed: &[String]) -> bool {
    let written: Vec<String> =
        written.iter().map(|line| normal(line)).filter(|line| !line.is_empty()).collect();
    let printed: Vec<String> =
        printed.iter().map(|line| normal(line)).filter(|line| !line.is_empty()).collect();
    written.is_empty() || lines_agree(&written, &printed)
}

fn lines_agree(written: &[String], printed: &[String]) -> bool {
    match written.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "…" => (0..=printed.len())
            .any(|skipped| lines_agree(rest, printed.get(skipped..).unwrap_or(&[]))),
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| first == line && lines_agree(rest, others)),
    }
}

/// A line without what differs from run to run: words that are ids, times or measured numbers are
/// replaced by marks, and runs of spaces and of rules count as one.
fn normal(line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(normal_word).collect();
    words.join(" ")
}

fn normal_word(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let hex = bare.chars().all(|c| c.is_ascii_hexdigit());
    let measured = bare.starts_with(|c: char| c.is_ascii_digit())
        && bare.contains(['.', 's'])
        && bare.len() < 14;
    if bare.is_empty() && !word.is_empty() && word.chars().all(|c| "─━-=│┌┐└┘".contains(c))
    {
        "<rule>".to_owned()
    } else if bare.len() == 26 && bare.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
    {
        word.replace(bare, "<id>")
    } else if word.starts_with('/') {
        "<path>".to_owned()
    } else if hex && matches!(bare.len(), 16 | 32 | 64) {
        word.replace(bare, "<hex>")
    } else if is_time(bare) {
        word.replace(bare, "<time>")
    } else if measured {
        word.replace(bare, "<n>")
    } else {
        word.to_owned()
    }
}

/// `2026-01-31…`: a date or a date with a time, of this century.
fn is_time(word: &str) -> bool {
    let mut parts = word.splitn(3, '-');
    let year = parts.next().is_some_and(|year| year.len() == 4 && year.starts_with("20"));
    let month = parts.next().is_some_and(|month| month.len() == 2);
    let day = parts.next().is_some_and(|day| day.starts_with(|c: char| c.is_ascii_digit()));
    year && month && day
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "\
# Title
```console
$ echo one
one
$ cargo xtask ci
```
```console
$ printf 'a\\n%s\\n' \\
    b
a
b
```
";

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn examples_are_the_commands_of_console_blocks_without_the_test_command() {
        let found = examples(README);
        let commands: Vec<&str> = found.iter().map(|example| example.command.as_str()).collect();
        assert_eq!(commands, ["echo one", "printf 'a\\n%s\\n' \\\n    b"]);
        assert_eq!(found[1].output, ["a", "b"]);
    }

    #[test]
    fn a_text_block_is_what_the_last_command_prints() {
        let page = "```console\n$ demo\n```\nIt prints:\n```text\n$ inside\nout\n```\n\
                    ```text\na drawing\n```\n";
        let found = examples(page);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].output, ["$ inside", "out"]);
    }

    #[test]
    fn a_text_block_behind_a_heading_is_a_drawing() {
        let page = "```console\n$ demo\n```\n\n## One picture\n\n```text\na drawing\n```\n";
        assert!(examples(page)[0].output.is_empty());
    }

    #[test]
    fn each_command_is_compared_with_its_own_output() {
        let output = format!("one\n\n{}\na\nb\n\n{}\n", mark(0), mark(1));
        assert_eq!(section(&output, 0).unwrap(), ["one"]);
        assert_eq!(section(&output, 1).unwrap(), ["a", "b"]);
        assert_eq!(section(&output, 2), None);
    }

    #[test]
    fn ids_times_and_measurements_may_differ() {
        let written = lines("01JCZ6V9QYKX3M8T2B4N5P7R6S  2026-01-02T03:04:05Z  took 1.25 s");
        let printed = lines("01KABCDEFGHJKMNPQRSTVWXYZ0  2027-11-20T00:00:00Z  took 0.7 s");
        assert!(agrees(&written, &printed));
    }

    #[test]
    fn another_word_or_count_does_not_agree() {
        assert!(!agrees(&lines("imported 68 events"), &lines("imported 67 events")));
        assert!(!agrees(&lines("a\nb"), &lines("a")));
        assert!(agrees(&lines("a\n…\nd"), &lines("a\nb\nc\nd")));
    }
}
