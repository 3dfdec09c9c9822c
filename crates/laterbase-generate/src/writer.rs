//! Lines of a module under way, indented.

use std::fmt::Display;

/// Columns of a line of words, if it can be broken.
const COLUMNS_MAX: usize = 84;

#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
    depth: usize,
    indent: &'static str,
}

impl Writer {
    pub(crate) fn new(indent: &'static str) -> Self {
        Self { text: String::new(), depth: 0, indent }
    }

    /// A line; an empty one has no white space.
    pub(crate) fn line(&mut self, line: impl Display) {
        let line = line.to_string();
        if !line.is_empty() {
            self.text.push_str(&self.indent.repeat(self.depth));
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }

    /// A line that opens a block.
    pub(crate) fn open(&mut self, line: impl Display) {
        self.line(line);
        self.depth = self.depth.saturating_add(1);
    }

    /// A line that closes it.
    pub(crate) fn close(&mut self, line: impl Display) {
        self.depth = self.depth.saturating_sub(1);
        self.line(line);
    }

    /// A line that closes a block and opens the next one.
    pub(crate) fn reopen(&mut self, line: impl Display) {
        self.close(line);
        self.depth = self.depth.saturating_add(1);
    }

    /// The last line of a block.
    pub(crate) fn close_with(&mut self, line: impl Display) {
        self.line(line);
        self.depth = self.depth.saturating_sub(1);
    }

    /// Words as lines that fit, each behind `start`.
    pub(crate) fn words(&mut self, start: &str, words: &str) {
        let room = COLUMNS_MAX.saturating_sub(self.indent.len().saturating_mul(self.depth));
        let mut line = String::new();
        for word in words.split(' ') {
            let width = [start, &line, word].iter().map(|part| part.chars().count()).sum::<usize>();
            if !line.is_empty() && width.saturating_add(2) > room {
                self.line(format!("{start}{line}").trim_end());
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(format!("{start}{line}").trim_end());
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}
