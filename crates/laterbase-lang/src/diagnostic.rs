//! Mistakes, shown where they stand.
//!
//! ```text
//! error: `shipment.departed` has no field `prot`
//!   --> departures.later:3:30
//!    |
//!  3 | ?{port} :- shipment.departed{prot: port}
//!    |                              ^^^^ did you mean `port`?
//! ```
//! Columns count characters, from 1. A line that is long is cut around the mistake.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::span::Span;

/// Characters of a source line that are shown at the most.
const LINE_MAX: usize = 120;

/// Characters of a message, a label or a help that are shown at the most.
const MESSAGE_MAX: usize = 1_000;

/// Letters of something that a message quotes.
const QUOTE_MAX: usize = 60;

/// Names that a message lists at the most.
const NAMES_MAX: usize = 20;

/// Names that are compared with mistaken ones while a text is checked.
const COMPARISONS_MAX: usize = 20_000;

/// Bytes of a name that is compared with others: of two long names it would take their product.
const COMPARED_BYTES_MAX: usize = 64;

/// Mistakes that are collected before the rest is left unsaid.
pub(crate) const DIAGNOSTICS_MAX: usize = 50;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing is run.
    Error,
    /// It runs, but probably says something else than was meant.
    Warning,
}

/// What is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What stands behind the carets: what was meant, or what it is. May be empty.
    pub label: String,
    /// What else has to do with it, and where that stands.
    pub notes: Vec<(Span, String)>,
    /// What to do, if the message does not say it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake.
    #[must_use]
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Something odd.
    #[must_use]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// With words behind the carets.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With another place.
    #[must_use]
    pub fn note(mut self, span: Span, note: impl Into<String>) -> Self {
        self.notes.push((span, note.into()));
        self
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As text of several lines, without an end of line behind the last one. `name` is what the
    /// text is called: a file, or `query`.
    #[must_use]
    pub fn render(&self, name: &str, source: &str) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let spans = std::iter::once(self.span).chain(self.notes.iter().map(|(span, _)| *span));
        let last_line = spans.map(|span| Place::of(source, span).line).max().unwrap_or(1);
        let margin = last_line.to_string().len();
        let mut text = format!("{severity}: {}", first_letters(&self.message, MESSAGE_MAX));
        let place = Place::of(source, self.span);
        let _ = write!(text, "\n{:margin$}--> {name}:{}:{}", "", place.line, place.column);
        let _ = write!(text, "\n{:margin$} |", "");
        text.push_str(&place.excerpt(margin, '^', &self.label));
        for (span, note) in &self.notes {
            text.push_str(&Place::of(source, *span).excerpt(margin, '-', note));
        }
        if let Some(help) = &self.help {
            let _ = write!(text, "\n{:margin$} = help: {}", "", first_letters(help, MESSAGE_MAX));
        }
        text
    }
}

/// All of them as text, with empty lines between.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], name: &str, source: &str) -> String {
    let texts: Vec<String> = diagnostics.iter().map(|one| one.render(name, source)).collect();
    texts.join("\n\n")
}

/// Whether any of them keeps the text from being run.
#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|one| one.severity == Severity::Error)
}

/// A span in lines and columns.
struct Place<'a> {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// The line.
    text: &'a str,
    /// Characters of it that are meant, at least one.
    width: usize,
}

impl<'a> Place<'a> {
    fn of(source: &'a str, span: Span) -> Self {
        let mut start = (span.start as usize).min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        let (before, behind) = source.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = behind.find('\n').map_or(source.len(), |at| start + at);
        let text = source.get(line_start..line_end).unwrap_or_default();
        let end = (span.end as usize).clamp(start, line_end);
        let meant = source.get(start..end).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: source.get(line_start..start).unwrap_or_default().chars().count() + 1,
            text: text.strip_suffix('\r').unwrap_or(text),
            width: meant.trim_end().chars().count().max(1),
        }
    }

    /// The line, and carets below it.
    fn excerpt(&self, margin: usize, mark: char, label: &str) -> String {
        let from = (self.column - 1).saturating_sub(LINE_MAX / 2);
        let from = if self.text.chars().count() <= LINE_MAX { 0 } else { from };
        let shown: String = self.text.chars().skip(from).take(LINE_MAX).collect();
        let cut = if from > 0 { "…" } else { "" };
        let indent: String = std::iter::once(cut)
            .flat_map(str::chars)
            .map(|_| ' ')
            .chain(shown.chars().take(self.column - 1 - from).map(|letter| {
                // A tab is as wide above as below.
                if letter == '\t' { '\t' } else { ' ' }
            }))
            .collect();
        let label = first_letters(label, MESSAGE_MAX);
        let width = self.width.min(LINE_MAX);
        let marks: String = std::iter::repeat_n(mark, width).collect();
        let space = if label.is_empty() { "" } else { " " };
        format!(
            "\n{:>margin$} | {cut}{shown}\n{:margin$} | {indent}{marks}{space}{label}",
            self.line, ""
        )
    }
}

/// A text without what stands behind so many characters.
fn first_letters(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// A text as a message quotes it: all of it, or its beginning.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    first_letters(text, QUOTE_MAX)
}

/// Names with commas between; how many more there are, if they are many.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<&str> = names.by_ref().take(NAMES_MAX).collect();
    let more = names.count();
    let behind = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &behind
}

/// Guesses at what was meant. They cost a comparison with every name there is, so in a text of many
/// mistakes the later ones get none.
#[derive(Debug)]
pub(crate) struct Guesses {
    left: usize,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { left: COMPARISONS_MAX }
    }
}

impl Guesses {
    /// The name among `known` that was probably meant by `name`, as a label.
    pub(crate) fn label<'a>(
        &mut self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let known = known.into_iter().take(self.left).inspect(|_| self.left -= 1);
        let near = nearest(name, known);
        near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default()
    }
}

/// The name among `known` that was probably meant by `name`.
#[must_use]
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A letter in three may be wrong; comparing long names with all others would take long.
    let letters = name.chars().count();
    let wrong_max = (letters / 3).clamp(1, 4).min(letters.saturating_sub(1));
    known
        .into_iter()
        .filter(|other| name.len().max(other.len()) <= COMPARED_BYTES_MAX)
        .filter(|other| other.len().abs_diff(name.len()) <= 16)
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(wrong, _)| *wrong <= wrong_max)
        .min()
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_with_its_line_and_carets() {
        let source = "// departures\n?{port} :- shipment.departed{prot: port}\n";
        let start = source.find("prot").unwrap() as u32;
        let shown = Diagnostic::error(Span::new(start, start + 4), "no field `prot`")
            .label("did you mean `port`?")
            .note(Span::new(16, 20), "needed here")
            .help("write `.schema`")
            .render("query", source);
        assert_eq!(
            shown,
            "error: no field `prot`\n --> query:2:30\n  |\n\
             2 | ?{port} :- shipment.departed{prot: port}\n  \
             |                              ^^^^ did you mean `port`?\n\
             2 | ?{port} :- shipment.departed{prot: port}\n  \
             |   ---- needed here\n  = help: write `.schema`"
        );
    }

    #[test]
    fn no_span_and_no_text_keeps_a_mistake_from_being_shown() {
        let sources = ["", "é", "a\nb", "\r\n\r\n", "é\té\n"];
        for source in sources {
            for start in 0..6 {
                for end in 0..6 {
                    let shown = Diagnostic::error(Span::new(start, end), "x").render("q", source);
                    assert!(shown.contains('^'), "{source:?} {start} {end}");
                }
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_mistake() {
        let source = format!("{}wrong{}", "a".repeat(1000), "b".repeat(1000));
        let shown = Diagnostic::error(Span::new(1000, 1005), "x").render("q", &source);
        assert!(shown.lines().all(|line| line.chars().count() < LINE_MAX + 20), "{shown}");
        let (text, carets) = (shown.lines().nth(3).unwrap(), shown.lines().nth(4).unwrap());
        let at = carets.chars().position(|letter| letter == '^').unwrap();
        assert_eq!(text.chars().skip(at).take(5).collect::<String>(), "wrong");
    }

    #[test]
    fn the_nearest_name_is_found_if_it_is_near() {
        let known = ["port", "carrier", "weight_kg"];
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("weigth_kg", known), Some("weight_kg"));
        assert_eq!(nearest("colour", known), None);
    }
    #[test]
    fn what_is_quoted_and_listed_has_an_end() {
        assert_eq!(shown("port"), "port");
        assert_eq!(shown(&"é".repeat(100)), format!("{}…", "é".repeat(60)));
        let names: Vec<String> = (0..30).map(|at| format!("f{at}")).collect();
        let listed = listed(names.iter().map(AsRef::as_ref));
        assert!(listed.starts_with("f0, f1") && listed.ends_with("f19 and 10 more"), "{listed}");
        let message = "x".repeat(10_000);
        let shown = Diagnostic::error(Span::default(), message.as_str()).label(message.as_str());
        assert!(shown.help(message).render("q", "").len() < 4_000);
    }

    #[test]
    fn guesses_end_with_their_comparisons() {
        let known: Vec<String> = (0..COMPARISONS_MAX).map(|at| format!("name_{at}")).collect();
        let mut guesses = Guesses::default();
        let known = || known.iter().map(AsRef::as_ref);
        assert_eq!(guesses.label("nam_1", known()), "did you mean `name_1`?");
        assert_eq!(guesses.label("nam_1", known()), "", "nothing is compared any more");
        let long = "a".repeat(1 << 20);
        assert_eq!(Guesses::default().label(&long, [long.as_str()]), "", "it would take too long");
    }
}
