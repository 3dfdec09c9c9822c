//! Tables that fit the terminal.
//!
//! The widths are decided by the first rows, which are held back until there are enough of them;
//! then rows flow through. Columns that do not fit give up space, the widest first, each down to
//! its floor; what is cut off ends in `…`. If that is not enough, the last column is left out, then
//! the others are cut further, then left out from the last one on. Where lines may be of any
//! length nothing is cut. Control characters are shown, never sent: what is in an event cannot
//! drive the terminal.

use std::borrow::Cow;

use crate::failure::Failure;
use crate::output::{Ink, Output};

/// Rows that are looked at before the widths are decided.
const ROWS_AHEAD: usize = 200;
/// What stands between two columns.
const GAP: &str = "  ";
/// A column never gets narrower than this.
const WIDTH_MIN: usize = 6;

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Its heading.
    pub(crate) title: Cow<'static, str>,
    /// Down to how many letters it is cut before others are; none: it is shown whole.
    pub(crate) floor: Option<usize>,
    /// How it looks.
    pub(crate) ink: Ink,
}

impl Column {
    /// A column that is shown whole.
    #[must_use]
    pub(crate) const fn whole(title: &'static str, ink: Ink) -> Self {
        Self { title: Cow::Borrowed(title), floor: None, ink }
    }

    /// A column of a name that is known only now, which may be cut.
    #[cfg(feature = "query")]
    #[must_use]
    pub(crate) fn named(title: &str, floor: usize) -> Self {
        Self { title: Cow::Owned(title.to_owned()), floor: Some(floor), ink: Ink::Plain }
    }

    /// A column that may be cut, but to no less than `floor` while another can give more.
    #[must_use]
    pub(crate) const fn text(title: &'static str, floor: usize, ink: Ink) -> Self {
        Self { title: Cow::Borrowed(title), floor: Some(floor), ink }
    }
}

/// A table under way.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    held: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl Table {
    /// A table with these columns and no rows yet.
    #[must_use]
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), held: Vec::new(), widths: None }
    }

    /// Adds a row; it may be held back for a while.
    ///
    /// # Errors
    /// What writing fails with.
    pub(crate) fn row(&mut self, cells: Vec<String>, out: &mut Output) -> Result<(), Failure> {
        let cells: Vec<String> = cells.into_iter().map(|cell| visible(&cell)).collect();
        if let Some(widths) = &self.widths {
            return out.line(self.format(&cells, widths, out));
        }
        self.held.push(cells);
        if self.held.len() >= ROWS_AHEAD { self.release(out) } else { Ok(()) }
    }

    /// Writes what is still held back. Needed once at the end, and where rows should appear now.
    ///
    /// # Errors
    /// What writing fails with.
    pub(crate) fn release(&mut self, out: &mut Output) -> Result<(), Failure> {
        if self.widths.is_some() || self.held.is_empty() {
            return Ok(());
        }
        let widths = fit(&self.columns, &self.held, out.style().width);
        let titles: Vec<String> =
            self.columns.iter().map(|column| column.title.to_string()).collect();
        let heading = self.cells(&titles, &widths).join(GAP);
        out.line(out.style().paint(Ink::Strong, heading.trim_end()))?;
        for row in std::mem::take(&mut self.held) {
            out.line(self.format(&row, &widths, out))?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn format(&self, row: &[String], widths: &[usize], out: &Output) -> String {
        let cells = self.cells(row, widths);
        let painted: Vec<String> = cells
            .iter()
            .zip(&self.columns)
            .map(|(cell, column)| out.style().paint(column.ink, cell))
            .collect();
        painted.join(GAP).trim_end().to_owned()
    }

    fn cells(&self, row: &[String], widths: &[usize]) -> Vec<String> {
        let last = widths.len().saturating_sub(1);
        row.iter()
            .zip(widths)
            .enumerate()
            .map(|(index, (cell, width))| {
                let cut = truncate(cell, *width);
                let space = " ".repeat(width.saturating_sub(display_width(&cut)));
                if index == last { cut } else { format!("{cut}{space}") }
            })
            .collect()
    }
}

/// Decides the widths: what the rows want, less what the widest columns must give up.
fn fit(columns: &[Column], rows: &[Vec<String>], limit: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> =
        columns.iter().map(|column| display_width(&column.title)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(display_width(cell));
        }
    }
    let Some(limit) = limit else { return widths };
    let floor = |column: &Column| column.floor;
    let least = |column: &Column| column.floor.map(|_| WIDTH_MIN);
    let mut fitted = widths.clone();
    shrink(&mut fitted, columns, limit, floor);
    if taken(&fitted) > limit && widths.len() > 1 {
        widths.pop();
        fitted = widths;
        shrink(&mut fitted, columns, limit, floor);
    }
    shrink(&mut fitted, columns, limit, least);
    while taken(&fitted) > limit && fitted.len() > 1 {
        fitted.pop();
    }
    fitted
}

/// Takes from the widest column, one after the other, until all fit or none gives any more.
fn shrink(
    widths: &mut [usize],
    columns: &[Column],
    limit: usize,
    floor: impl Fn(&Column) -> Option<usize>,
) {
    while taken(widths) > limit {
        let widest = widths
            .iter_mut()
            .zip(columns)
            .filter(|(width, column)| floor(column).is_some_and(|floor| **width > floor))
            .max_by_key(|(width, _)| **width);
        let Some((width, _)) = widest else { return };
        *width = width.saturating_sub(1);
    }
}

/// The columns' widths and what stands between them.
fn taken(widths: &[usize]) -> usize {
    let gaps = GAP.len().saturating_mul(widths.len().saturating_sub(1));
    widths.iter().sum::<usize>().saturating_add(gaps)
}

/// Cuts `text` to `width` columns, with `…` at the end of what was cut.
#[must_use]
pub(crate) fn truncate(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1_usize;
    for letter in text.chars() {
        used = used.saturating_add(letter_width(letter));
        if used > width {
            break;
        }
        cut.push(letter);
    }
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// The text with control characters made visible.
#[must_use]
pub(crate) fn visible(text: &str) -> String {
    if !text.chars().any(is_control) {
        return text.to_owned();
    }
    text.chars().map(|letter| if is_control(letter) { '\u{fffd}' } else { letter }).collect()
}

/// Control characters, and those that turn the direction of writing around.
fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

pub(crate) fn display_width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// East Asian wide letters and emoji take two columns, combining marks none.
fn letter_width(letter: char) -> usize {
    match letter {
        '\u{0300}'..='\u{036f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Style;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn check(width: Option<usize>, rows: &[[&str; 3]], expected: &str) {
        let shared = Shared::default();
        let style = Style { terminal: false, colour: false, width };
        let mut out = Output::to(Box::new(shared.clone()), style);
        let mut table = Table::new(&[
            Column::whole("id", Ink::Faint),
            Column::whole("n", Ink::Plain),
            Column::text("data", 8, Ink::Plain),
        ]);
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()).collect(), &mut out).unwrap();
        }
        table.release(&mut out).unwrap();
        out.finish().unwrap();
        assert_eq!(String::from_utf8(shared.0.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn columns_are_as_wide_as_they_need() {
        check(
            None,
            &[["a", "1", "short"], ["bcd", "100", "a longer text than fits anywhere"]],
            "id   n    data\na    1    short\nbcd  100  a longer text than fits anywhere\n",
        );
    }

    #[test]
    fn the_widest_column_is_cut_to_fit() {
        check(
            Some(20),
            &[["a", "1", "short"], ["bcd", "100", "a longer text than fits"]],
            "id   n    data\na    1    short\nbcd  100  a longer…\n",
        );
    }

    #[test]
    fn columns_without_room_are_left_out() {
        check(Some(9), &[["abcdef", "1", "text"]], "id      n\nabcdef  1\n");
        check(Some(3), &[["abcdef", "1", "text"]], "id\nabcdef\n");
    }

    #[test]
    fn wide_letters_count_twice_and_control_characters_are_shown() {
        check(
            Some(19),
            &[["a", "1", "漢字漢字漢字"], ["b", "2", "\x1b[31mred"]],
            "id  n  data\na   1  漢字漢字漢字\nb   2  \u{fffd}[31mred\n",
        );
        assert_eq!(truncate("漢字漢字", 6), "漢字…");
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abcd", 3), "ab…");
    }

    #[test]
    fn an_empty_table_says_nothing() {
        check(Some(80), &[], "");
    }
}
