//! Words that must not leave a workplace: paths of one machine, hosts of package registries,
//! numbers of issues, talk about how the work was done.
//!
//! This file holds those words and is the one file that is not searched.

use super::{Finding, TextFile};

const THIS_FILE: &str = "xtask/src/tidy/words.rs";

/// What may stand nowhere, and why. Compared without regard to case.
const FORBIDDEN: &[(&str, &str)] = &[
    ("/home/", "a path of one machine"),
    ("/root/", "a path of one machine"),
    ("/users/", "a path of one machine"),
    ("/work/", "a path of one machine"),
    ("c:\\users", "a path of one machine"),
    ("index.crates.io", "the host of a registry"),
    ("static.crates.io", "the host of a registry"),
    ("static.rust-lang.org", "the host of a registry"),
    ("deb.debian.org", "the host of a registry"),
    ("archive.ubuntu.com", "the host of a registry"),
    ("pypi.org", "the host of a registry"),
    ("registry.npmjs.org", "the host of a registry"),
    ("proxy.golang.org", "the host of a registry"),
    ("issue #", "the number of an issue: say what it is about"),
    ("subagent", "a word of the workplace"),
    ("language model", "a word of the workplace"),
    ("the plan says", "a word of the workplace"),
    ("plan.md", "a word of the workplace"),
    ("do not merge", "a word of the workplace"),
];

/// The one registry that Cargo.lock may name.
const STANDARD_SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// All findings in one file.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    if file.path == THIS_FILE {
        return Vec::new();
    }
    if file.path.ends_with("Cargo.lock") {
        return lock_file(file);
    }
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let lower = line.to_lowercase();
        for (word, why) in FORBIDDEN.iter().filter(|(word, _)| lower.contains(word)) {
            let message = format!("`{word}`: {why}");
            findings.push(Finding::new(&file.path, index + 1, message));
        }
        if names_an_issue(&lower) {
            let message = "the number of an issue: say what it is about";
            findings.push(Finding::new(&file.path, index + 1, message));
        }
    }
    findings
}

/// `issue 12`, as a word followed by a number.
fn names_an_issue(lower: &str) -> bool {
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut previous = "";
    words.any(|word| {
        let found = previous == "issue" && word.chars().all(|c| c.is_ascii_digit());
        previous = word;
        found
    })
}

fn lock_file(file: &TextFile) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| line.starts_with("source = ") && *line != STANDARD_SOURCE)
        .map(|(index, _)| {
            Finding::new(&file.path, index + 1, "a crate from elsewhere than the standard registry")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&TextFile { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        assert_eq!(found("README.md", "cd /home/jane/laterbase\n"), 1);
        assert_eq!(found("a.rs", "// see /work/main\n"), 1);
        assert_eq!(found("README.md", "cd laterbase\n"), 0);
    }

    #[test]
    fn hosts_of_registries_are_found() {
        assert_eq!(found("scripts/setup", "curl https://deb.debian.org\n"), 1);
    }

    #[test]
    fn numbers_of_issues_are_found() {
        assert_eq!(found("CHANGELOG.md", "closes issue 12\n"), 1);
        assert_eq!(found("CHANGELOG.md", "closes Issue #12\n"), 2);
        assert_eq!(found("CHANGELOG.md", "to issue a certificate; issue tracker\n"), 0);
    }

    #[test]
    fn a_lock_file_names_the_standard_registry_alone() {
        assert_eq!(found("Cargo.lock", &format!("{STANDARD_SOURCE}\n")), 0);
        assert_eq!(found("Cargo.lock", "source = \"registry+https://mirror.example/index\"\n"), 1);
    }
}
