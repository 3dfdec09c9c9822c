//! Tokens: the words, numbers and signs of a text.
//!
//! Comments are kept apart, for the formatter. A token knows whether it is the first of its line,
//! since the end of a line ends a statement that is complete.

use std::sync::Arc;

use crate::diagnostic::{DIAGNOSTICS_MAX, Diagnostic, shown};
use crate::literal;
use crate::span::Span;
use crate::value::Value;

/// Bytes of a text at the most.
pub const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or a keyword: which of them shows where it stands.
    Name,
    /// A name between backticks.
    QuotedName(Arc<str>),
    /// `$name`.
    Parameter,
    /// A number, a text, a time: anything that is a value by itself.
    Literal(Value),
    /// A sign.
    Sign(Sign),
    /// The end of the text.
    End,
}

/// Signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sign {
    BraceOpen,
    BraceClose,
    ParenOpen,
    ParenClose,
    BracketOpen,
    BracketClose,
    Comma,
    Colon,
    Semicolon,
    Dot,
    Question,
    If,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    PlusPlus,
    Minus,
    Star,
    Slash,
    Percent,
    Otherwise,
}

/// Signs as they are written, longer ones before those that they start with.
const SIGNS: [(&str, Sign); 25] = [
    (":-", Sign::If),
    ("!=", Sign::NotEqual),
    ("<=", Sign::LessOrEqual),
    (">=", Sign::GreaterOrEqual),
    ("++", Sign::PlusPlus),
    ("??", Sign::Otherwise),
    ("{", Sign::BraceOpen),
    ("}", Sign::BraceClose),
    ("(", Sign::ParenOpen),
    (")", Sign::ParenClose),
    ("[", Sign::BracketOpen),
    ("]", Sign::BracketClose),
    (",", Sign::Comma),
    (":", Sign::Colon),
    (";", Sign::Semicolon),
    (".", Sign::Dot),
    ("?", Sign::Question),
    ("=", Sign::Equal),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("+", Sign::Plus),
    ("-", Sign::Minus),
    ("*", Sign::Star),
    ("/", Sign::Slash),
    ("%", Sign::Percent),
];

impl Sign {
    pub(crate) fn text(self) -> &'static str {
        SIGNS.iter().find(|(_, sign)| *sign == self).map_or("", |(text, _)| text)
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
    /// Whether nothing but white space and comments stands before it on its line.
    pub(crate) is_first_of_line: bool,
}

/// A text as tokens, the last of which is the end.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: Vec<Span>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Takes a text apart.
pub(crate) fn tokens(text: &str) -> Tokens {
    let mut lexer = Lexer {
        text,
        at: 0,
        is_first: true,
        found: Tokens { tokens: Vec::new(), comments: Vec::new(), diagnostics: Vec::new() },
    };
    if text.len() > TEXT_BYTES_MAX {
        let message =
            format!("the text has {} bytes; at most {TEXT_BYTES_MAX} are read at once", text.len());
        lexer.found.diagnostics.push(
            Diagnostic::error(Span::default(), message)
                .help("pass data as parameters, or split the text at ends of statements"),
        );
    } else {
        while lexer.found.diagnostics.len() < DIAGNOSTICS_MAX && lexer.token() {}
    }
    // Behind the last token, so that what is missing there is shown where it is missing.
    let end = lexer.found.tokens.last().map_or(0, |last| last.span.end);
    let end = Span::new(end, end);
    let last = Token { kind: TokenKind::End, span: end, is_first_of_line: true };
    lexer.found.tokens.push(last);
    lexer.found
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    is_first: bool,
    found: Tokens,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(start as u32, self.at as u32)
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let span = self.span_from(start);
        let is_first_of_line = std::mem::take(&mut self.is_first);
        self.found.tokens.push(Token { kind, span, is_first_of_line });
    }

    fn mistake(&mut self, start: usize, message: String, help: &str) {
        let span = self.span_from(start);
        if self.found.diagnostics.len() < DIAGNOSTICS_MAX {
            self.found.diagnostics.push(Diagnostic::error(span, message).help(help));
        }
    }

    /// Takes as many bytes of letters as hold a property.
    fn take_while(&mut self, holds: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !holds(letter)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// The next token; `false` at the end.
    fn token(&mut self) -> bool {
        if self.take_while(char::is_whitespace).contains('\n') {
            self.is_first = true;
        }
        let start = self.at;
        let rest = self.rest();
        let Some(letter) = rest.chars().next() else { return false };
        match letter {
            '/' if rest.starts_with("//") => {
                self.take_while(|letter| letter != '\n');
                self.found.comments.push(self.span_from(start));
            }
            '"' => self.text(start),
            'x' if rest.starts_with("x\"") => self.bytes(start),
            '`' => self.quoted_name(start),
            '$' => {
                self.at += 1;
                if self.take_while(is_of_name).is_empty() {
                    self.mistake(start, "`$` without a name".to_owned(), "write as in `$since`");
                }
                self.push(TokenKind::Parameter, start);
            }
            '#' => self.id(start),
            '0'..='9' => self.number(start),
            _ if is_of_name(letter) => {
                self.take_while(is_of_name);
                self.push(TokenKind::Name, start);
            }
            _ => self.sign(start, letter),
        }
        true
    }

    fn sign(&mut self, start: usize, letter: char) {
        let rest = self.rest();
        if let Some((text, sign)) = SIGNS.iter().find(|(text, _)| rest.starts_with(text)) {
            self.at += text.len();
            self.push(TokenKind::Sign(*sign), start);
            return;
        }
        self.at += letter.len_utf8();
        if matches!(letter, '&' | '|') {
            self.take_while(|next| next == letter);
        }
        let help = match letter {
            '\'' => "text stands between double quotes",
            '&' => "write `and`, or a comma between the conditions of a body",
            '|' => "write `or`, or a rule of the same name for each case",
            '!' => "write `not` before an atom, `!=` between values",
            '@' => {
                "a body's valid time is the field `at`; as of when is said by `as of` and `valid`"
            }
            _ => "remove it",
        };
        let written = self.span_from(start).of(self.text);
        let message = if letter.is_ascii_graphic() {
            format!("`{written}` means nothing here")
        } else {
            format!("`{}` means nothing here", written.escape_default())
        };
        self.mistake(start, message, help);
    }

    fn quoted_name(&mut self, start: usize) {
        self.at += 1;
        let name = self.take_while(|letter| letter != '`' && letter != '\n');
        if self.rest().starts_with('`') {
            self.at += 1;
        } else {
            self.mistake(start, "a name without its second backtick".to_owned(), "add a backtick");
        }
        self.push(TokenKind::QuotedName(Arc::from(name)), start);
    }

    fn text(&mut self, start: usize) {
        self.at += 1;
        let mut value = String::new();
        loop {
            value.push_str(self.take_while(|letter| !matches!(letter, '"' | '\\' | '\n')));
            let rest = self.rest();
            let escape_start = self.at;
            if rest.starts_with('"') {
                self.at += 1;
                break;
            }
            if !rest.starts_with('\\') {
                let message = "a text without its closing quote".to_owned();
                self.mistake(start, message, "end it with a quote; an end of line is `\\n`");
                break;
            }
            match self.escape() {
                Some(letter) => value.push(letter),
                None => self.mistake(
                    escape_start,
                    "this is no escape".to_owned(),
                    "escapes are \\\" \\\\ \\n \\r \\t and \\u{…} with a hexadecimal number",
                ),
            }
        }
        self.push(TokenKind::Literal(Value::text(&value)), start);
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Option<char> {
        self.at += 1;
        let letter = self.rest().chars().next()?;
        if letter == '\n' {
            return None;
        }
        self.at += letter.len_utf8();
        match letter {
            '"' | '\\' => Some(letter),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => {
                let digits = self.rest().strip_prefix('{')?;
                let end = digits.find('}').filter(|end| *end <= 6)?;
                let code = u32::from_str_radix(digits.get(..end)?, 16).ok()?;
                self.at += end + 2;
                char::from_u32(code)
            }
            _ => None,
        }
    }

    fn bytes(&mut self, start: usize) {
        self.at += 2;
        let digits = self.take_while(|letter| letter != '"' && letter != '\n');
        let pairs: Option<Vec<u8>> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| {
                let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
                pair.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
                u8::from_str_radix(pair, 16).ok()
            })
            .collect();
        let is_closed = self.rest().starts_with('"');
        self.at += usize::from(is_closed);
        if !is_closed || pairs.is_none() {
            let help = "bytes are pairs of hexadecimal digits between quotes, as in x\"00ff\"";
            self.mistake(start, "these are no bytes".to_owned(), help);
        }
        let value = Value::Bytes(pairs.unwrap_or_default().into());
        self.push(TokenKind::Literal(value), start);
    }

    fn id(&mut self, start: usize) {
        self.at += 1;
        let digits = self.take_while(|letter| letter.is_ascii_alphanumeric());
        let value = match digits.parse() {
            Ok(id) => Value::Id(id),
            Err(_) => {
                let message = format!("`#{}` is no id of an event", shown(digits));
                self.mistake(start, message, "an id has 26 letters and digits behind the `#`");
                Value::Null
            }
        };
        self.push(TokenKind::Literal(value), start);
    }

    fn number(&mut self, start: usize) {
        if let Some(value) = self.time(start) {
            self.push(TokenKind::Literal(value), start);
            return;
        }
        let mut digits = self.take_while(is_of_number).to_owned();
        let mut is_whole = true;
        let mut behind = self.rest().chars();
        if behind.next() == Some('.') && behind.next().is_some_and(|one| one.is_ascii_digit()) {
            self.at += 1;
            digits.push('.');
            digits.push_str(self.take_while(is_of_number));
            is_whole = false;
        }
        digits.retain(|digit| digit != '_');
        let letters = self.take_while(is_of_name);
        let written = self.span_from(start).of(self.text);
        let value = match letters {
            "" if is_whole => digits.parse().ok().map(Value::Int),
            "" => literal::decimal_of(&digits).map(Value::decimal),
            _ if letters.starts_with(['e', 'E']) => self.float(start),
            _ if is_whole => literal::duration_of(written).map(Value::Duration),
            _ => None,
        };
        let help = match letters {
            "" if is_whole => "an int lies between -2^63 and 2^63 - 1; write a decimal, as in 1.0",
            "" => "a decimal has up to 28 digits; write a float, as in 1.5e3",
            _ => "durations are written as in 1d12h or 90m, floats as in 1.5e3",
        };
        if value.is_none() {
            let what = if letters.is_empty() { "no number" } else { "no number and no duration" };
            let message = format!("`{}` is {what}", shown(self.span_from(start).of(self.text)));
            self.mistake(start, message, help);
        }
        self.push(TokenKind::Literal(value.unwrap_or(Value::Int(0))), start);
    }

    /// A float, from its start on, once its `e` was found.
    fn float(&mut self, start: usize) -> Option<Value> {
        if self.rest().starts_with(['+', '-']) && self.text.get(..self.at)?.ends_with(['e', 'E']) {
            self.at += 1;
            self.take_while(|letter| letter.is_ascii_digit());
        }
        let written = self.span_from(start).of(self.text).replace('_', "");
        Value::float(written.parse().ok()?)
    }

    /// A time or a date, if there is one.
    fn time(&mut self, start: usize) -> Option<Value> {
        let rest = self.rest();
        let is_date = |text: &str| {
            text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
        };
        let date = rest.get(..10).filter(|text| is_date(text))?;
        let behind = rest.get(10..)?;
        if !behind.starts_with('T') {
            self.at += 10;
            let value = literal::date_of(date).map(Value::Date);
            if value.is_none() {
                let message = format!("there is no day {date}");
                self.mistake(start, message, "for a difference, put spaces around the minus");
            }
            return Some(value.unwrap_or(Value::Date(0)));
        }
        let is_clock = |letter: char| letter.is_ascii_digit() || matches!(letter, ':' | '.');
        let clock = behind.get(1..)?;
        let length = clock.find(|letter| !is_clock(letter)).unwrap_or(clock.len());
        let zone = clock.get(length..)?;
        let zone_length = if zone.starts_with(['+', '-']) {
            1 + zone.get(1..)?.find(|letter| !is_clock(letter)).unwrap_or(zone.len() - 1)
        } else {
            usize::from(zone.starts_with(['Z', 'z']))
        };
        self.at += 11 + length + zone_length;
        let written = self.span_from(start).of(self.text);
        let value = literal::time_of(written).map(Value::Time);
        if value.is_none() {
            let help = "times have an offset, as in 2026-03-01T12:00Z or 2026-03-01T13:00+01:00";
            self.mistake(start, format!("`{}` is no time", shown(written)), help);
        }
        Some(value.unwrap_or(Value::Time(0)))
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn is_of_number(letter: char) -> bool {
    letter.is_ascii_digit() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<String> {
        let found = tokens(text);
        assert!(found.diagnostics.is_empty(), "{text}: {:?}", found.diagnostics);
        found
            .tokens
            .iter()
            .filter_map(|token| {
                let TokenKind::Literal(value) = &token.kind else { return None };
                Some(format!("{} {value}", value.kind()))
            })
            .collect()
    }

    #[test]
    fn values_are_read() {
        let cases = [
            ("12 1_000", vec!["int 12", "int 1000"]),
            ("12.50 1_0.5", vec!["decimal 12.5", "decimal 10.5"]),
            ("1.5e3 2e-1", vec!["float 1.5e3", "float 2e-1"]),
            ("2026-03-01 2026-03-01T12:00Z", vec!["date 2026-03-01", "time 2026-03-01T12:00:00Z"]),
            ("2026-03-01T13:00:00.5+01:00", vec!["time 2026-03-01T12:00:00.500Z"]),
            ("90m 1d12h", vec!["duration 1h30m", "duration 1d12h"]),
            (r#""a\"\\\n\u{e9}" x"00fF""#, vec![r#"text "a\"\\\né""#, "bytes x\"00ff\""]),
            ("#01JCZ6V9QYKX3M8T2B4N5P7R6S", vec!["id #01JCZ6V9QYKX3M8T2B4N5P7R6S"]),
            ("[2026-03-01, 2026-04-01)", vec!["date 2026-03-01", "date 2026-04-01"]),
        ];
        for (text, expected) in cases {
            assert_eq!(literals(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_and_the_rest_is_read() {
        let cases = [
            ("\"open", "a text without its closing quote"),
            ("\"\\q\"", "this is no escape"),
            ("\"\\", "this is no escape"),
            ("x\"0\"", "these are no bytes"),
            ("x\"éé", "these are no bytes"),
            ("#01J", "`#01J` is no id of an event"),
            ("99999999999999999999", "`99999999999999999999` is no number"),
            ("12q", "`12q` is no number and no duration"),
            ("1.5h", "`1.5h` is no number and no duration"),
            ("2026-02-30", "there is no day 2026-02-30"),
            ("2026-03-01T12:00", "`2026-03-01T12:00` is no time"),
            ("a && b", "`&&` means nothing here"),
            ("'a'", "`'` means nothing here"),
            ("é", "`\\u{e9}` means nothing here"),
            ("`a", "a name without its second backtick"),
            ("$", "`$` without a name"),
        ];
        for (text, message) in cases {
            let found = tokens(text);
            let first = found.diagnostics.first().map(|one| one.message.as_str());
            assert_eq!(first, Some(message), "{text}");
            assert_eq!(found.tokens.last().map(|token| &token.kind), Some(&TokenKind::End));
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_whole() {
        let found = tokens(&"a ".repeat(TEXT_BYTES_MAX));
        assert_eq!((found.tokens.len(), found.diagnostics.len()), (1, 1));
    }

    #[test]
    fn tokens_know_whether_they_begin_a_line() {
        let found = tokens("a b // c\n  d");
        let firsts: Vec<bool> = found.tokens.iter().map(|token| token.is_first_of_line).collect();
        assert_eq!(firsts, [true, false, true, true]);
        assert_eq!(found.comments.len(), 1);
    }
}
