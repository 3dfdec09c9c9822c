//! Declarations of a schema.

use std::sync::Arc;

use super::{Parser, Read};
use crate::diagnostic::Diagnostic;
use crate::syntax::{
    Declaration, EventSyntax, FieldSyntax, FieldsSyntax, IndexSyntax, Number, RootSyntax,
    TableSyntax, TypeSyntax, ViewSyntax,
};
use crate::token::{Sign, Token, TokenKind};

/// A part of a root or of a table's braces.
enum Part<T> {
    Item(T),
    Removed(Vec<Number>),
}

impl Parser<'_> {
    pub(super) fn declaration(&mut self) -> Read<Declaration> {
        let word = self.keyword();
        self.at += 1;
        match word {
            "root" => self.root().map(Declaration::Root),
            "table" => self.table().map(Declaration::Table),
            "index" => self.index().map(Declaration::Index),
            _ => {
                let number = self.number("a view")?;
                let start = self.at;
                let rule = self.rule()?;
                let says = self.text_without_layout(start + 1);
                Ok(Declaration::View(Box::new(ViewSyntax { number, rule, says })))
            }
        }
    }

    /// The tokens from one on up to here, with blanks between them, without commas that end lists.
    fn text_without_layout(&self, start: usize) -> Arc<str> {
        let mut says = String::new();
        let tokens = self.tokens.get(start..self.at).unwrap_or_default();
        let is_close = |token: &Token| {
            let closing = [Sign::BraceClose, Sign::BracketClose, Sign::ParenClose];
            closing.iter().any(|sign| token.kind == TokenKind::Sign(*sign))
        };
        for (at, token) in tokens.iter().enumerate() {
            let is_last = tokens.get(at + 1).is_some_and(is_close);
            if token.kind == TokenKind::Sign(Sign::Comma) && is_last {
                continue;
            }
            if !says.is_empty() {
                says.push(' ');
            }
            says.push_str(token.span.of(self.text));
        }
        says.into()
    }

    fn root(&mut self) -> Read<RootSyntax> {
        let name = self.name("a root")?;
        let is_lax = self.lax();
        let mut root = RootSyntax { name, is_lax, events: Vec::new(), removed: Vec::new() };
        for part in self.parts(Self::event)? {
            match part {
                Part::Item(event) => root.events.push(event),
                Part::Removed(numbers) => root.removed.extend(numbers),
            }
        }
        Ok(root)
    }

    fn lax(&mut self) -> bool {
        let is_lax = self.take_keyword("lax");
        if !is_lax {
            self.take_keyword("strict");
        }
        is_lax
    }

    /// What stands between the braces of a root or of fields: items and `removed 3, 4`, each on a
    /// line of its own or with a comma between.
    fn parts<T>(&mut self, mut item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<Part<T>>> {
        self.expect_sign(Sign::BraceOpen)?;
        let opened = self.last_span();
        self.bracketed(|parser| {
            let mut parts = Vec::new();
            loop {
                while parser.take_sign(Sign::Comma) || parser.take_sign(Sign::Semicolon) {}
                if parser.take_sign(Sign::BraceClose) {
                    return Ok(parts);
                }
                if parser.is_at_end() {
                    let told = Diagnostic::error(parser.span(), "the text ends within braces")
                        .note(opened, "`{` is open since here")
                        .help("close them with `}`");
                    return parser.tell(told);
                }
                if parser.take_keyword("removed") {
                    parts.push(Part::Removed(parser.removed()?));
                } else {
                    parts.push(Part::Item(item(parser)?));
                }
                let ends = [Sign::Comma, Sign::Semicolon, Sign::BraceClose];
                let is_end = ends.iter().any(|sign| parser.is_sign(*sign));
                if !is_end && !parser.is_first_of_line() {
                    return parser.wrong(
                        "expected a comma, a new line or `}`",
                        "declare each on a line of its own, or with commas between",
                    );
                }
            }
        })
    }

    /// The numbers behind `removed`.
    fn removed(&mut self) -> Read<Vec<Number>> {
        let mut numbers = vec![self.number("what was removed")?];
        // A comma may also end the list: then a name or `event` follows behind the next number.
        while self.is_sign(Sign::Comma) {
            let before = self.at;
            self.at += 1;
            let is_number = matches!(self.kind(), TokenKind::Literal(crate::Value::Int(_)));
            let ends_behind = self.next_is_sign(Sign::Comma)
                || self.next_is_sign(Sign::BraceClose)
                || self.tokens.get(self.at + 1).is_none_or(|token| token.is_first_of_line);
            if !is_number || !ends_behind {
                self.at = before;
                break;
            }
            numbers.push(self.number("what was removed")?);
        }
        Ok(numbers)
    }

    fn event(&mut self) -> Read<EventSyntax> {
        self.expect_keyword("event")?;
        let number = self.number("an event")?;
        let name = self.name("an event")?;
        let fields =
            if self.is_sign(Sign::BraceOpen) { self.fields()? } else { FieldsSyntax::default() };
        Ok(EventSyntax { number, name, fields })
    }

    fn table(&mut self) -> Read<TableSyntax> {
        let number = self.number("a table")?;
        let name = self.name("a table")?;
        let is_lax = self.lax();
        Ok(TableSyntax { number, name, is_lax, fields: self.fields()? })
    }

    fn fields(&mut self) -> Read<FieldsSyntax> {
        let mut fields = FieldsSyntax::default();
        for part in self.parts(Self::field)? {
            match part {
                Part::Item(field) => fields.fields.push(field),
                Part::Removed(numbers) => fields.removed.extend(numbers),
            }
        }
        Ok(fields)
    }

    fn field(&mut self) -> Read<FieldSyntax> {
        let number = self.number("a field")?;
        let name = self.name("a field")?;
        self.expect_sign(Sign::Colon)?;
        let type_syntax = self.type_syntax()?;
        let default = if self.take_sign(Sign::Equal) { Some(self.expression()?) } else { None };
        Ok(FieldSyntax { number, name, type_syntax, default })
    }

    /// A type. A `?` is about all of it: elements are always there.
    fn type_syntax(&mut self) -> Read<TypeSyntax> {
        let mut found = self.plain_type()?;
        found.is_optional = self.take_sign(Sign::Question);
        found.span = found.span.to(self.last_span());
        Ok(found)
    }

    fn plain_type(&mut self) -> Read<TypeSyntax> {
        self.deeper(|parser| {
            if !parser.is_name() {
                return parser
                    .wrong("expected a type", "as in int, text?, list text, ref customer");
            }
            let name = parser.name("a type")?;
            let start = name.span;
            let (mut of, mut target) = (None, None);
            match name.text.as_ref() {
                "list" | "set" => of = Some(Box::new(parser.plain_type()?)),
                "ref" => target = Some(parser.name("a root or a table")?),
                _ => {}
            }
            let span = start.to(parser.last_span());
            Ok(TypeSyntax { name, of, target, is_optional: false, span })
        })
    }

    fn index(&mut self) -> Read<IndexSyntax> {
        let relation = self.path("an event or a table")?;
        let braces = (Sign::BraceOpen, Sign::BraceClose);
        let fields = self.items(braces, |parser| parser.name("a field"))?;
        Ok(IndexSyntax { relation, fields })
    }
}
