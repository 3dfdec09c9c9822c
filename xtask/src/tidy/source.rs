//! Rules for one Rust file: how it begins, how long and wide it is, what it is called, and that it
//! holds no `unsafe`.

use super::rust_text::{code, functions, has_word, without_tests};
use super::{Finding, TextFile};

const LINES_MAX: usize = 800;
const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["common.rs", "helper.rs", "helpers.rs", "misc.rs", "types.rs", "util.rs", "utils.rs"];

/// The files that may hold `unsafe`, each with its reason. In the shipped crates this is the file
/// port alone.
const UNSAFE_ALLOWED: &[(&str, &str)] = &[
    ("crates/laterbase-log/src/storage/file.rs", "the file port: talks to the operating system"),
    ("bench/src/peers/lmdb.rs", "opening an LMDB environment is an unsafe function of its crate"),
];

/// Tests may count allocations, which needs an allocator of their own.
const UNSAFE_TEST_PREFIX: &str = "allocation";

/// All rules for one file.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(module_documentation(file));
    findings.extend(file_name(file));
    findings.extend(widths(file));
    findings.extend(unsafe_code(file));
    if !is_test_file(&file.path) {
        findings.extend(lengths(file));
    }
    findings
}

/// Whether the whole file is test code.
pub(super) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

fn module_documentation(file: &TextFile) -> Option<Finding> {
    let first = file.text.lines().next().unwrap_or_default();
    // A fuzz target begins with the attribute that takes `main` away.
    let opens = first.starts_with("//!")
        || (first.starts_with("#!") && file.text.lines().take(4).any(|l| l.starts_with("//!")));
    (!opens).then(|| {
        let message =
            "open the file with `//!`: what it is, what it keeps true, what it leaves out";
        Finding::new(&file.path, 1, message)
    })
}

fn file_name(file: &TextFile) -> Option<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    EMPTY_NAMES
        .contains(&name)
        .then(|| Finding::new(&file.path, 0, "name the file after its algorithm or its thing"))
}

fn widths(file: &TextFile) -> Vec<Finding> {
    let wide = |line: &str| line.chars().count() > COLUMNS_MAX;
    let lines = file.text.lines().enumerate().filter(|(_, line)| wide(line));
    lines
        .map(|(index, _)| {
            Finding::new(&file.path, index + 1, format!("wider than {COLUMNS_MAX} columns"))
        })
        .collect()
}

fn lengths(file: &TextFile) -> Vec<Finding> {
    let lines = without_tests(&file.text);
    let mut findings = Vec::new();
    if lines.len() > LINES_MAX {
        let message = format!("{} lines without tests; {LINES_MAX} is the end", lines.len());
        findings.push(Finding::new(&file.path, 0, message));
    }
    for (name, line, length) in functions(&lines) {
        if length > FUNCTION_LINES_MAX {
            let message = format!("`{name}` has {length} lines; {FUNCTION_LINES_MAX} is the end");
            findings.push(Finding::new(&file.path, line, message));
        }
    }
    findings
}

fn unsafe_code(file: &TextFile) -> Vec<Finding> {
    let allowed = UNSAFE_ALLOWED.iter().any(|(path, _)| *path == file.path);
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let counts_allocations = is_test_file(&file.path) && name.starts_with(UNSAFE_TEST_PREFIX);
    if allowed || counts_allocations {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| has_word(&code(line), "unsafe"))
        .map(|(index, _)| {
            let message = "`unsafe` is for the file port alone (UNSAFE_ALLOWED in source.rs)";
            Finding::new(&file.path, index + 1, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&file(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_that_keeps_the_rules_has_no_finding() {
        assert!(messages("crates/a/src/frame.rs", "//! Frames.\n\nfn a() {}\n").is_empty());
    }

    #[test]
    fn a_file_without_module_docs_is_found() {
        let found = messages("crates/a/src/frame.rs", "use std::fmt;\n");
        assert!(found[0].starts_with("crates/a/src/frame.rs:1: open the file"), "{found:?}");
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        assert_eq!(messages("crates/a/src/utils.rs", "//! Things.\n").len(), 1);
    }

    #[test]
    fn a_wide_line_is_found_and_columns_are_characters() {
        let wide = format!("//! Doc.\n// {}\n", "é".repeat(98));
        assert_eq!(messages("a/src/b.rs", &wide), ["a/src/b.rs:2: wider than 100 columns"]);
        let full = format!("//! Doc.\n// {}\n", "é".repeat(97));
        assert!(messages("a/src/b.rs", &full).is_empty());
    }

    #[test]
    fn a_long_file_is_found_but_its_tests_do_not_count() {
        let long = format!("//! Doc.\n{}", "const A: u8 = 1;\n".repeat(800));
        assert!(messages("a/src/b.rs", &long)[0].contains("801 lines"));
        let tests = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(900));
        assert!(messages("a/src/b.rs", &tests).is_empty());
    }

    #[test]
    fn a_long_function_is_found() {
        let long = format!("//! Doc.\nfn long() {{\n{}}}\n", "    call();\n".repeat(69));
        assert!(messages("a/src/b.rs", &long)[0].contains("`long` has 71 lines"));
    }

    #[test]
    fn unsafe_is_found_outside_the_file_port() {
        let text = "//! Doc.\nunsafe fn f() {}\n";
        assert!(messages("crates/laterbase/src/a.rs", text)[0].contains("`unsafe`"));
        assert!(messages("crates/laterbase-log/src/storage/file.rs", text).is_empty());
        assert!(messages("crates/laterbase/tests/allocations.rs", text).is_empty());
    }
}
