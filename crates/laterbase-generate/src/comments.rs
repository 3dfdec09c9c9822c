//! Comments that stand before what is declared: they are carried into what is made.

use laterbase_lang::Span;

/// The lines of the comment that ends right above the line on which a declaration begins. Where
/// something else stands before it on its line, there is none.
pub(crate) fn before(text: &str, span: Span) -> Vec<String> {
    let Some((before, _)) = text.split_at_checked(span.start as usize) else { return Vec::new() };
    let (above, beside) = before.rsplit_once('\n').unwrap_or(("", before));
    // Of a root and a table the span begins at the keyword, of a type of event behind it.
    if !beside.trim().is_empty() && beside.trim() != "event" {
        return Vec::new();
    }
    let comment = |line: &str| {
        let said = line.trim().strip_prefix("//")?;
        Some(said.strip_prefix(' ').unwrap_or(said).trim_end().to_owned())
    };
    let mut lines: Vec<String> = above.lines().rev().map_while(comment).collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, expected: &[&str]) {
        let at = u32::try_from(text.find(name).unwrap()).unwrap();
        assert_eq!(before(text, Span { start: at, end: at }), expected);
    }

    #[test]
    fn a_comment_is_of_what_stands_right_below_it() {
        let text =
            "// no\n\n// one\n//two\nroot r {\n  // three\n  event 1 a { 1 x: int,\n 2 y: int }\n}";
        check(text, "root", &["one", "two"]);
        check(text, "1 a", &["three"]);
        check(text, "1 x", &[]);
        check(text, "2 y", &[]);
    }
}
