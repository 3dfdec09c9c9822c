//! `cargo xtask tidy`: the rules of the house that a tool can check.
//!
//! ```text
//! levels     which crate may depend on what, and what the lower crates must be given
//! source     module docs, lengths, widths, file names, `unsafe`
//! words      paths of one machine, hosts of registries, words of a workplace
//! documents  the files that must exist, decision records, format pages, links
//! ```
//!
//! Each rule is a pure function from texts to findings, so that a test can show it failing. All
//! findings are printed at once.

mod documents;
mod levels;
mod rust_text;
mod source;
mod words;

use std::fmt;

use crate::failure::Failure;
use crate::repository::Repository;

/// One place where a rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Counted from 1; 0 when the finding is about the file as a whole.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// A text file of the repository.
#[derive(Debug)]
struct TextFile {
    path: String,
    text: String,
}

impl TextFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Checks the whole repository.
///
/// # Errors
///
/// When a rule does not hold; every finding has been printed by then.
pub(crate) fn run(repository: &Repository) -> Result<(), Failure> {
    let paths = repository.files()?;
    let files: Vec<TextFile> = paths
        .iter()
        .filter_map(|path| {
            // Binary fixtures are not UTF-8; nothing here is said about them but their presence.
            let text = repository.read(path).ok()?;
            Some(TextFile { path: path.clone(), text })
        })
        .collect();
    let mut findings = Vec::new();
    findings.extend(levels::check(&files));
    findings.extend(files.iter().filter(|file| file.is_rust()).flat_map(source::check));
    findings.extend(files.iter().flat_map(words::check));
    findings.extend(documents::check(&files, &paths));
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files", files.len());
            Ok(())
        }
        1 => Err(Failure::Check("tidy: one finding".to_owned())),
        count => Err(Failure::Check(format!("tidy: {count} findings"))),
    }
}
