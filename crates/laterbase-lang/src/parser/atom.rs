//! Bodies: atoms, negations, conditions, and as of when they are read.

use super::{Parser, Read};
use crate::diagnostic::Diagnostic;
use crate::syntax::{
    AtomSyntax, Body, Change, CutSyntax, LiteralSyntax, PatternField, TimesSyntax, ValidSyntax,
};
use crate::token::{Sign, TokenKind};

impl Parser<'_> {
    pub(super) fn body(&mut self) -> Read<Body> {
        let start = self.span();
        let mut literals = vec![self.literal()?];
        while self.take_sign(Sign::Comma) {
            literals.push(self.literal()?);
        }
        Ok(Body { literals, span: start.to(self.last_span()) })
    }

    fn literal(&mut self) -> Read<LiteralSyntax> {
        self.deeper(|parser| {
            if parser.keyword() == "not" && parser.atom_follows(parser.at + 1) {
                parser.at += 1;
                return Ok(LiteralSyntax::Not(parser.negated()?));
            }
            if parser.atom_follows(parser.at) {
                return parser.atom().map(|atom| LiteralSyntax::Atom(Box::new(atom)));
            }
            parser.expression().map(LiteralSyntax::Condition)
        })
    }

    /// Whether an atom starts at a token: `a{`, `a.b{`, also behind parentheses.
    fn atom_follows(&self, mut at: usize) -> bool {
        while self.kind_at(at) == Some(&TokenKind::Sign(Sign::ParenOpen)) {
            at += 1;
            if self.keyword_at(at) == "not" {
                at += 1;
            }
        }
        let is_name = |at: usize| {
            matches!(self.kind_at(at), Some(TokenKind::Name | TokenKind::QuotedName(_)))
        };
        while is_name(at) && self.kind_at(at + 1) == Some(&TokenKind::Sign(Sign::Dot)) {
            at += 2;
        }
        is_name(at) && self.kind_at(at + 1) == Some(&TokenKind::Sign(Sign::BraceOpen))
    }

    /// What stands behind `not`: an atom, or a body in parentheses.
    fn negated(&mut self) -> Read<Body> {
        let start = self.span();
        if !self.is_sign(Sign::ParenOpen) {
            let atom = self.atom()?;
            return Ok(Body {
                span: atom.span,
                literals: vec![LiteralSyntax::Atom(Box::new(atom))],
            });
        }
        let before = self.at;
        self.at += 1;
        let mut body = self.bracketed(Self::body)?;
        if !self.is_sign(Sign::ParenClose) && body.literals.len() == 1 {
            // `not (a{…} as of …)`: an atom with its times.
            self.at = before;
            let atom = self.atom()?;
            return Ok(Body {
                span: atom.span,
                literals: vec![LiteralSyntax::Atom(Box::new(atom))],
            });
        }
        self.close((start, Sign::ParenOpen), Sign::ParenClose)?;
        body.span = start.to(self.last_span());
        Ok(body)
    }

    /// An atom, in parentheses if it has times of its own.
    fn atom(&mut self) -> Read<AtomSyntax> {
        let start = self.span();
        if self.take_sign(Sign::ParenOpen) {
            let mut atom = self.bracketed(Self::atom)?;
            let times = self.times()?;
            self.close((start, Sign::ParenOpen), Sign::ParenClose)?;
            atom.times = TimesSyntax {
                cut: times.cut.or(atom.times.cut),
                valid: times.valid.or(atom.times.valid),
            };
            atom.span = start.to(self.last_span());
            return Ok(atom);
        }
        let relation = self.path("a relation")?;
        let fields = self.pattern()?;
        let span = start.to(self.last_span());
        Ok(AtomSyntax { relation, fields, times: TimesSyntax::default(), span })
    }

    /// `{a, b: 1}`.
    pub(super) fn pattern(&mut self) -> Read<Vec<PatternField>> {
        self.items((Sign::BraceOpen, Sign::BraceClose), |parser| {
            let name = parser.name("a field")?;
            if !parser.take_sign(Sign::Colon) {
                return Ok(PatternField { name, value: None, change: None });
            }
            let change = if parser.take_sign(Sign::Plus) {
                Some(Change::Add)
            } else if parser.is_sign(Sign::Minus) && parser.is_removal() {
                parser.at += 1;
                Some(Change::Remove)
            } else {
                None
            };
            let value = Some(parser.expression()?);
            Ok(PatternField { name, value, change })
        })
    }

    /// Whether what stands behind a minus is no number: `-"cold"` takes something out of a set.
    fn is_removal(&self) -> bool {
        match self.kind_at(self.at + 1) {
            Some(TokenKind::Literal(value)) => matches!(
                value,
                crate::Value::Text(_)
                    | crate::Value::Bytes(_)
                    | crate::Value::Time(_)
                    | crate::Value::Date(_)
                    | crate::Value::Id(_)
            ),
            Some(TokenKind::Name) => {
                self.keyword_at(self.at + 1) == "set"
                    && self.kind_at(self.at + 2) == Some(&TokenKind::Sign(Sign::BracketOpen))
            }
            Some(TokenKind::Sign(sign)) => *sign == Sign::BracketOpen,
            _ => false,
        }
    }

    /// `as of …` and `valid …`, in any order.
    pub(super) fn times(&mut self) -> Read<TimesSyntax> {
        let mut times = TimesSyntax::default();
        while self.times_follow() {
            self.time_clause(&mut times)?;
        }
        Ok(times)
    }

    /// Whether `as of` or `valid` stands here as a clause.
    pub(super) fn times_follow(&self) -> bool {
        (self.keyword() == "as" && self.keyword_at(self.at + 1) == "of")
            || (self.keyword() == "valid" && !self.starts_relation())
    }

    /// Whether the word that stands here is the name of a relation after all, on a line of its own.
    pub(super) fn starts_relation(&self) -> bool {
        let next_is = |sign: Sign| self.next_is_sign(sign);
        self.is_first_of_line() && (next_is(Sign::BraceOpen) || next_is(Sign::Dot))
    }

    /// One of them.
    pub(super) fn time_clause(&mut self, times: &mut TimesSyntax) -> Read<()> {
        let start = self.span();
        if self.take_keyword("valid") {
            let valid = self.valid(start)?;
            if times.valid.replace(valid).is_some() {
                let told = Diagnostic::error(start.to(self.last_span()), "`valid` is said twice")
                    .help("keep one of them");
                return self.tell(told);
            }
            return Ok(());
        }
        self.expect_keyword("as")?;
        self.expect_keyword("of")?;
        let is_recorded = self.take_keyword("recorded");
        let is_latest = !is_recorded && self.take_keyword("latest");
        let at = if is_latest { None } else { Some(self.deeper(|it| it.binary(5))?) };
        let span = start.to(self.last_span());
        if times.cut.replace(CutSyntax { is_recorded, at, span }).is_some() {
            let told = Diagnostic::error(span, "`as of` is said twice").help("keep one of them");
            return self.tell(told);
        }
        Ok(())
    }

    pub(super) fn valid(&mut self, start: crate::Span) -> Read<ValidSyntax> {
        if self.take_keyword("any") {
            return Ok(ValidSyntax::Any(start.to(self.last_span())));
        }
        if self.keyword() != "in" {
            return Ok(ValidSyntax::At(self.deeper(|parser| parser.binary(5))?));
        }
        self.at += 1;
        self.expect_sign(Sign::BracketOpen)?;
        let (from, until) = self.bracketed(|parser| {
            let end = |parser: &mut Self, last: Sign| {
                if parser.is_sign(last) { Ok(None) } else { parser.expression().map(Some) }
            };
            let from = end(parser, Sign::Comma)?;
            if !parser.take_sign(Sign::Comma) {
                return parser.wrong(
                    "expected `,` and the end of the range",
                    "valid in [from, until); what is left out is open, as in [from, )",
                );
            }
            let until = end(parser, Sign::ParenClose)?;
            if parser.is_sign(Sign::BracketClose) {
                return parser.wrong(
                    "a range ends before its second time",
                    "close it with `)`: valid in [from, until)",
                );
            }
            parser.expect_sign(Sign::ParenClose)?;
            Ok((from, until))
        })?;
        let is_bound = self.keyword() == "as" && self.keyword_at(self.at + 1) != "of";
        let bind = if is_bound {
            self.at += 1;
            Some(self.name("a variable")?)
        } else {
            None
        };
        Ok(ValidSyntax::In { from, until, bind, span: start.to(self.last_span()) })
    }
}
