//! Just enough of Rust's shape to judge a file by: which lines are tests, where functions end, what
//! of a line is code.
//!
//! Relies on rustfmt: an item ends at the first line that is its indentation and `}`.

/// The lines that are not inside a `#[cfg(test)] mod … { … }`, with their numbers from 1.
pub(super) fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = Vec::new();
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        match test_module_end(&lines, index) {
            Some(end) => index = end + 1,
            None => {
                kept.push((index + 1, *line));
                index += 1;
            }
        }
    }
    kept
}

/// The last line of the test module whose attribute stands at `start`.
fn test_module_end(lines: &[&str], start: usize) -> Option<usize> {
    let attribute = lines.get(start)?;
    if !attribute.trim_start().starts_with("#[cfg(") || !attribute.contains("test") {
        return None;
    }
    let mut index = start + 1;
    while lines.get(index)?.trim_start().starts_with("#[") {
        index += 1;
    }
    let head = lines.get(index)?;
    let is_module = head.trim_start().starts_with("mod ") && head.trim_end().ends_with('{');
    if is_module { item_end(lines, index) } else { None }
}

/// The line that closes the item that starts at `start`.
fn item_end(lines: &[&str], start: usize) -> Option<usize> {
    let head = lines.get(start)?;
    let indentation = head.len() - head.trim_start().len();
    let closing = format!("{}}}", " ".repeat(indentation));
    lines.iter().skip(start).position(|line| line.trim_end() == closing).map(|at| start + at)
}

/// Each function's name, first line (from 1) and length in lines.
pub(super) fn functions(lines: &[(usize, &str)]) -> Vec<(String, usize, usize)> {
    let texts: Vec<&str> = lines.iter().map(|(_, line)| *line).collect();
    let mut found = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let declared_only = texts.iter().skip(index).take(12).find_map(|line| {
            match line.trim_end().chars().last() {
                Some('{') => Some(false),
                Some(';' | '}') => Some(true),
                Some(_) | None => None,
            }
        });
        if declared_only == Some(true) {
            continue;
        }
        if let Some(end) = item_end(&texts, index) {
            found.push((name.to_owned(), *number, end - index + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        let (word, after) = rest.split_once(' ')?;
        match word {
            "fn" => return after.split(['(', '<']).next(),
            "pub" | "pub(crate)" | "pub(super)" | "const" | "async" | "default" | "unsafe" => {
                rest = after.trim_start();
            }
            _ => return None,
        }
    }
}

/// The code of a line: without its comment and without what is in quotes.
pub(super) fn code(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted => {
                characters.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && characters.peek() == Some(&'/') => break,
            _ if quoted => {}
            other => code.push(other),
        }
    }
    code
}

/// Whether `word` stands in `code` as a word of its own.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
//! Doc.
pub(crate) fn short() -> u8 {
    1
}

trait T {
    fn declared(&self);
}

#[cfg(test)]
mod tests {
    fn inside() {
    }
}
fn last<T>(
    value: T,
) -> T {
    value
}
";

    #[test]
    fn test_modules_do_not_count() {
        let kept = without_tests(FILE);
        assert!(kept.iter().all(|(_, line)| !line.contains("inside")));
        assert_eq!(kept.last().unwrap(), &(19, "}"));
    }

    #[test]
    fn functions_are_measured_from_their_name_to_their_brace() {
        let found = functions(&without_tests(FILE));
        let expected = [("short".to_owned(), 2, 3), ("last".to_owned(), 15, 5)];
        assert_eq!(found, expected);
    }

    #[test]
    fn comments_and_quotes_are_no_code() {
        assert!(!has_word(&code("let a = \"unsafe \\\" unsafe\"; // unsafe"), "unsafe"));
        assert!(has_word(&code("unsafe { call() }"), "unsafe"));
        assert!(!has_word(&code("#![forbid(unsafe_code)]"), "unsafe"));
    }
}
