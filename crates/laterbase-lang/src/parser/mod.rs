//! From tokens to syntax, by recursive descent.
//!
//! After a mistake the parser goes on with the next statement, or with the next field within
//! braces, so that one run tells of several mistakes. Depth is bounded: a text that nests deeper
//! than [`DEPTH_MAX`] is refused, whatever stack there is.
//!
//! A statement ends at a `;`, or at the end of a line on which it is complete: an operator does not
//! go on at the start of a line, unless within parentheses, brackets or braces; the clauses of a
//! query (`:-`, `having`, `order by`, `limit`, `offset`, `as of`, `valid`) do.

mod atom;
mod expression;
mod mutation;
mod query;
mod schema;

use std::sync::Arc;

use crate::diagnostic::{DIAGNOSTICS_MAX, Diagnostic};
use crate::span::Span;
use crate::syntax::{Name, Number, Path, Statement, StatementKind};
use crate::token::{Sign, Token, TokenKind, Tokens, tokens};

/// How deep expressions, bodies and trees may nest.
pub const DEPTH_MAX: usize = 128;

/// How many operators may stand above each other in an expression: a chain of them is as high as it
/// is long.
const HEIGHT_MAX: usize = 256;

/// Bytes of a name at the most.
pub const NAME_BYTES_MAX: usize = 256;

/// Names with dots between at the most: a root's name has 64 bytes.
const PATH_PARTS_MAX: usize = 64;

/// A text as statements.
#[derive(Debug)]
pub struct Parsed {
    /// Those that could be read.
    pub statements: Vec<Statement>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a text.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    let mut parser = Parser::new(text);
    let mut statements = Vec::new();
    while parser.diagnostics.len() < DIAGNOSTICS_MAX {
        while parser.take_sign(Sign::Semicolon) {}
        if parser.is_at_end() {
            break;
        }
        let start = parser.at;
        match parser.statement() {
            Ok(statement) => {
                statements.push(statement);
                if parser.end_of_statement().is_err() {
                    parser.skip_statement();
                }
            }
            Err(Wrong) => parser.skip_statement(),
        }
        if parser.at == start {
            parser.at += 1;
        }
    }
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|one| one.span.start);
    Parsed { statements, diagnostics }
}

/// A mistake, which was told.
#[derive(Debug, Clone, Copy)]
struct Wrong;

/// What was read, or a mistake that was told.
type Read<T> = Result<T, Wrong>;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Within how many brackets: there an end of line means nothing.
    brackets: usize,
    /// How high the expression is that was read last.
    height: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let Tokens { tokens, diagnostics, .. } = tokens(text);
        Self { text, tokens, at: 0, depth: 0, brackets: 0, height: 0, diagnostics }
    }

    fn statement(&mut self) -> Read<Statement> {
        let start = self.span();
        (self.depth, self.brackets) = (0, 0);
        let kind = match self.keyword() {
            "root" | "table" | "index" | "view" if !self.next_is_sign(Sign::BraceOpen) => {
                StatementKind::Declaration(self.declaration()?)
            }
            "add" | "put" | "delete" if !self.next_is_sign(Sign::BraceOpen) => {
                StatementKind::Mutation(self.mutation()?)
            }
            "transaction" if !self.next_is_rule() => {
                StatementKind::Transaction(self.transaction()?)
            }
            "explain" | "why" | "live" if self.next_is_sign(Sign::Question) => {
                StatementKind::Query(self.query()?)
            }
            "" if self.is_sign(Sign::Question) => StatementKind::Query(self.query()?),
            _ if self.is_operator() && !self.next_is_sign(Sign::BraceOpen) => {
                return self.wrong(
                    "a line that starts with an operator goes on with nothing",
                    "write it at the end of the line before, or put both within parentheses",
                );
            }
            _ if self.is_name() => StatementKind::Rule(self.rule()?),
            _ => {
                return self.wrong(
                    "a statement starts here",
                    "a query starts with `?{`, a rule with its name; others with root, table, \
                     index, view, add, put, delete or transaction",
                );
            }
        };
        Ok(Statement { kind, span: start.to(self.last_span()) })
    }

    /// A transaction is followed by a brace like a rule of that name would be; what follows a
    /// rule's brace is a name and a comma, a colon or the other brace.
    fn next_is_rule(&self) -> bool {
        let is = |at: usize, sign: Sign| self.kind_at(at) == Some(&TokenKind::Sign(sign));
        let is_name = matches!(self.kind_at(self.at + 2), Some(TokenKind::Name));
        is(self.at + 1, Sign::BraceOpen)
            && is_name
            && (is(self.at + 3, Sign::Comma)
                || is(self.at + 3, Sign::Colon)
                || (is(self.at + 3, Sign::BraceClose) && is(self.at + 4, Sign::If)))
    }

    fn end_of_statement(&mut self) -> Read<()> {
        if self.take_sign(Sign::Semicolon) || self.is_at_end() || self.is_first_of_line() {
            return Ok(());
        }
        let help = if self.is_sign(Sign::Comma) {
            "the conditions of a body stand before its clauses: `having`, `order by`, `limit`, \
             `as of`, `valid`; statements have a new line or a `;` between"
        } else {
            "start a new line or write `;` before the next statement; a body goes on behind a comma"
        };
        self.wrong("the statement is complete before this", help)
    }

    /// Goes on with the next statement: behind a semicolon, or on a line that starts like one.
    fn skip_statement(&mut self) {
        while !self.is_at_end() {
            if self.take_sign(Sign::Semicolon) {
                return;
            }
            let starts = self.is_sign(Sign::Question)
                || matches!(
                    self.keyword(),
                    "root"
                        | "table"
                        | "index"
                        | "view"
                        | "add"
                        | "put"
                        | "delete"
                        | "transaction"
                        | "explain"
                        | "why"
                        | "live"
                )
                || (self.is_name() && self.starts_line_unindented());
            if self.is_first_of_line() && starts {
                return;
            }
            self.at += 1;
        }
    }

    fn starts_line_unindented(&self) -> bool {
        let start = self.span().start as usize;
        start == 0 || self.text.as_bytes().get(start - 1) == Some(&b'\n')
    }

    /// Reads something that nests.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= DEPTH_MAX {
            return self.wrong(
                &format!("this nests deeper than {DEPTH_MAX} levels"),
                "name parts of it by rules of their own",
            );
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    /// Puts an operator above the expression that was read last.
    fn grow(&mut self) -> Read<()> {
        self.height += 1;
        if self.height > HEIGHT_MAX {
            return self.wrong(
                &format!("this is a chain of more than {HEIGHT_MAX} operators"),
                "name parts of it, as in part = a + b; one of many values is x in [a, b]",
            );
        }
        Ok(())
    }

    /// Reads what stands between brackets, where an end of line means nothing.
    fn bracketed<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.brackets += 1;
        let found = self.deeper(read);
        self.brackets -= 1;
        found
    }

    /// Items between two signs with commas between and, if wanted, one behind the last. After a
    /// mistake it goes on behind the next comma, or with the end.
    fn items<T>(
        &mut self,
        (open, close): (Sign, Sign),
        mut item: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        self.expect_sign(open)?;
        let opened = self.last_span();
        self.bracketed(|parser| {
            let mut items = Vec::new();
            let mut was_wrong = false;
            loop {
                if parser.take_sign(close) {
                    break;
                }
                match item(parser) {
                    Ok(item) => items.push(item),
                    Err(Wrong) => {
                        was_wrong = true;
                        parser.skip_item(open, close)?;
                    }
                }
                if parser.take_sign(Sign::Comma) {
                    continue;
                }
                if parser.take_sign(close) {
                    break;
                }
                let found = parser.found();
                let message = format!("expected `,` or `{}`, found {found}", close.text());
                let mut told = Diagnostic::error(parser.span(), message)
                    .note(opened, format!("`{}` is open since here", open.text()));
                told.help = parser.help_within(open);
                parser.diagnostics.push(told);
                was_wrong = true;
                parser.skip_item(open, close)?;
                if !parser.take_sign(Sign::Comma) && parser.is_at_end() {
                    break;
                }
            }
            if was_wrong { Err(Wrong) } else { Ok(items) }
        })
    }

    /// What was probably meant where an item should end.
    fn help_within(&self, open: Sign) -> Option<String> {
        if open != Sign::BraceOpen {
            return None;
        }
        let before = self.at.checked_sub(1).map_or("", |at| self.keyword_at(at));
        let is_value = |at: usize| {
            matches!(self.kind_at(at), Some(TokenKind::Literal(_) | TokenKind::Parameter))
        };
        let help = if self.is_sign(Sign::If) && is_value(self.at + 1) {
            "in front of a negative value, write a blank: {points: -5}"
        } else if self.is_sign(Sign::BraceOpen) && matches!(before, "many" | "one") {
            "rows of a tree are a column with a name: orders: many {…} :- …"
        } else if self.is_sign(Sign::Equal) || is_value(self.at) {
            "a value stands behind a colon: {port: \"NLRTM\"}"
        } else {
            return None;
        };
        Some(help.to_owned())
    }

    /// Goes to the next comma or the end of the items that were begun.
    fn skip_item(&mut self, open: Sign, close: Sign) -> Read<()> {
        let mut open_ones = 0_usize;
        while !self.is_at_end() && self.diagnostics.len() < DIAGNOSTICS_MAX {
            if self.is_sign(open) {
                open_ones += 1;
            } else if self.is_sign(close) {
                if open_ones == 0 {
                    return Ok(());
                }
                open_ones -= 1;
            } else if (self.is_sign(Sign::Comma) && open_ones == 0) || self.is_sign(Sign::Semicolon)
            {
                return if self.is_sign(Sign::Comma) { Ok(()) } else { Err(Wrong) };
            }
            self.at += 1;
        }
        Err(Wrong)
    }

    fn wrong<T>(&mut self, message: &str, help: &str) -> Read<T> {
        let found = self.found();
        let told = Diagnostic::error(self.span(), message.to_owned())
            .label(format!("found {found}"))
            .help(help);
        self.tell(told)
    }

    fn tell<T>(&mut self, diagnostic: Diagnostic) -> Read<T> {
        self.diagnostics.push(diagnostic);
        Err(Wrong)
    }

    /// What stands here, in words.
    fn found(&self) -> String {
        match self.kind() {
            TokenKind::End => "the end of the text".to_owned(),
            TokenKind::Name
            | TokenKind::QuotedName(_)
            | TokenKind::Parameter
            | TokenKind::Literal(_)
            | TokenKind::Sign(_) => {
                let text: String = self.span().of(self.text).chars().take(40).collect();
                format!("`{}`", text.replace('`', ""))
            }
        }
    }

    // Tokens.

    fn kind_at(&self, at: usize) -> Option<&TokenKind> {
        self.tokens.get(at).map(|token| &token.kind)
    }

    fn kind(&self) -> &TokenKind {
        self.kind_at(self.at).unwrap_or(&TokenKind::End)
    }

    fn span(&self) -> Span {
        let last = self.tokens.last().map(|token| token.span).unwrap_or_default();
        self.tokens.get(self.at).map_or(last, |token| token.span)
    }

    /// Of the token before.
    fn last_span(&self) -> Span {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.map(|token| token.span).unwrap_or_default()
    }

    fn is_at_end(&self) -> bool {
        *self.kind() == TokenKind::End
    }

    fn is_first_of_line(&self) -> bool {
        self.tokens.get(self.at).is_none_or(|token| token.is_first_of_line)
    }

    /// Whether the statement may go on here with an operator.
    fn goes_on(&self) -> bool {
        self.brackets > 0 || !self.is_first_of_line()
    }

    fn is_sign(&self, sign: Sign) -> bool {
        *self.kind() == TokenKind::Sign(sign)
    }

    fn next_is_sign(&self, sign: Sign) -> bool {
        self.kind_at(self.at + 1) == Some(&TokenKind::Sign(sign))
    }

    fn take_sign(&mut self, sign: Sign) -> bool {
        let is = self.is_sign(sign);
        self.at += usize::from(is);
        is
    }

    fn expect_sign(&mut self, sign: Sign) -> Read<()> {
        if self.take_sign(sign) {
            return Ok(());
        }
        let (message, found) = (format!("expected `{}`", sign.text()), self.found());
        self.tell(Diagnostic::error(self.span(), message).label(format!("found {found}")))
    }

    /// The sign that closes what was opened.
    fn close(&mut self, (opened, open): (Span, Sign), close: Sign) -> Read<()> {
        if self.take_sign(close) {
            return Ok(());
        }
        let (message, found) = (format!("expected `{}`", close.text()), self.found());
        let told = Diagnostic::error(self.span(), message).label(format!("found {found}"));
        self.tell(told.note(opened, format!("`{}` is open since here", open.text())))
    }

    fn is_name(&self) -> bool {
        matches!(self.kind(), TokenKind::Name | TokenKind::QuotedName(_))
    }

    /// The word that stands here, if it may be a keyword.
    fn keyword(&self) -> &'a str {
        self.keyword_at(self.at)
    }

    fn keyword_at(&self, at: usize) -> &'a str {
        let token = self.tokens.get(at).filter(|token| token.kind == TokenKind::Name);
        token.map_or("", |token| token.span.of(self.text))
    }

    fn take_keyword(&mut self, word: &str) -> bool {
        let is = self.keyword() == word;
        self.at += usize::from(is);
        is
    }

    fn expect_keyword(&mut self, word: &str) -> Read<()> {
        if self.take_keyword(word) {
            return Ok(());
        }
        let found = self.found();
        let message = format!("expected `{word}`");
        self.tell(Diagnostic::error(self.span(), message).label(format!("found {found}")))
    }

    fn name(&mut self, of_what: &str) -> Read<Name> {
        let span = self.span();
        let text = match self.kind() {
            TokenKind::Name => Arc::from(span.of(self.text)),
            TokenKind::QuotedName(text) => Arc::clone(text),
            TokenKind::Parameter | TokenKind::Literal(_) | TokenKind::Sign(_) | TokenKind::End => {
                return self.wrong(
                    &format!("expected the name of {of_what}"),
                    "a name has letters, digits and `_`; any other stands between backticks",
                );
            }
        };
        if text.len() > NAME_BYTES_MAX {
            let message = format!("a name of {} bytes; {NAME_BYTES_MAX} is the end", text.len());
            return self.tell(Diagnostic::error(span, message).help("shorten it"));
        }
        self.at += 1;
        Ok(Name { text, span })
    }

    fn path(&mut self, of_what: &str) -> Read<Path> {
        let first = self.name(of_what)?;
        let mut path = Path { span: first.span, parts: vec![first] };
        while self.is_sign(Sign::Dot) {
            self.at += 1;
            path.parts.push(self.name(of_what)?);
            path.span = path.span.to(self.last_span());
            if path.parts.len() > PATH_PARTS_MAX {
                let message = format!("more than {PATH_PARTS_MAX} names with dots between");
                let told = Diagnostic::error(path.span, message)
                    .help("a relation is a name, or a root and a type of event: root.type");
                return self.tell(told);
            }
        }
        Ok(path)
    }

    fn number(&mut self, of_what: &str) -> Read<Number> {
        let span = self.span();
        let value = match self.kind() {
            TokenKind::Literal(crate::Value::Int(int)) => {
                u32::try_from(*int).ok().filter(|number| *number > 0)
            }
            TokenKind::Literal(_)
            | TokenKind::Name
            | TokenKind::QuotedName(_)
            | TokenKind::Parameter
            | TokenKind::Sign(_)
            | TokenKind::End => None,
        };
        let Some(value) = value else {
            return self.wrong(
                &format!("expected the number of {of_what}"),
                "it stands before the name, as in event 1 booked { 1 weight_kg: decimal }; numbers \
                 are from 1 and stay, names may change",
            );
        };
        self.at += 1;
        Ok(Number { value, span })
    }
}
