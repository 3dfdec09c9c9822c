//! Expressions, by precedence climbing.
//!
//! | binds | operators |
//! |---|---|
//! | least | `or` |
//! | | `and` |
//! | | `not` |
//! | | `=` `!=` `<` `<=` `>` `>=` `in` `is null` `is not null`: one of them, not a chain |
//! | | `??` |
//! | | `++` |
//! | | `+` `-` |
//! | | `*` `/` `%` |
//! | | `-` before a value |
//! | most | `.name` `[index]` |

use std::sync::Arc;

use super::{Parser, Read};
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::syntax::{ExpressionKind, ExpressionSyntax, Name};
use crate::token::{Sign, TokenKind};
use crate::value::Value;

/// How strongly comparisons bind.
const COMPARISON: u8 = 4;

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Read<ExpressionSyntax> {
        self.deeper(|parser| parser.binary(1))
    }

    /// An expression of operators that bind at least so strongly.
    pub(super) fn binary(&mut self, least: u8) -> Read<ExpressionSyntax> {
        let mut left = if least <= 3 && self.keyword() == "not" {
            let start = self.span();
            self.at += 1;
            let inner = self.deeper(|parser| parser.binary(3))?;
            self.grow()?;
            let span = start.to(inner.span);
            operator(Function::Not, vec![inner], span)
        } else {
            self.unary()?
        };
        while let Some((function, strength)) = self.operator(least) {
            if function == Function::IsNull {
                left = self.is_null(left)?;
            } else {
                self.at += 1;
                // `??` reads from the right, others from the left.
                let is_right = function == Function::Otherwise;
                let height = self.height;
                let right = self.deeper(|parser| {
                    parser.binary(if is_right { strength } else { strength + 1 })
                })?;
                self.height = self.height.max(height);
                self.grow()?;
                let span = left.span.to(right.span);
                left = operator(function, vec![left, right], span);
            }
            if strength == COMPARISON
                && let Some((_, COMPARISON)) = self.operator(COMPARISON)
            {
                return self.wrong(
                    "comparisons do not chain",
                    "write both with `and` or a comma between, as in 1 <= x, x < 5",
                );
            }
        }
        Ok(left)
    }

    /// The operator that stands here, if it binds at least so strongly.
    fn operator(&self, least: u8) -> Option<(Function, u8)> {
        if !self.goes_on() {
            return None;
        }
        let (function, strength) = match self.kind() {
            TokenKind::Sign(sign) => match sign {
                Sign::Equal => (Function::Equal, COMPARISON),
                Sign::NotEqual => (Function::NotEqual, COMPARISON),
                Sign::Less => (Function::Less, COMPARISON),
                Sign::LessOrEqual => (Function::LessOrEqual, COMPARISON),
                Sign::Greater => (Function::Greater, COMPARISON),
                Sign::GreaterOrEqual => (Function::GreaterOrEqual, COMPARISON),
                Sign::Otherwise => (Function::Otherwise, 5),
                Sign::PlusPlus => (Function::Concatenate, 6),
                Sign::Plus => (Function::Add, 7),
                Sign::Minus => (Function::Subtract, 7),
                Sign::Star => (Function::Multiply, 8),
                Sign::Slash => (Function::Divide, 8),
                Sign::Percent => (Function::Remainder, 8),
                Sign::BraceOpen
                | Sign::BraceClose
                | Sign::ParenOpen
                | Sign::ParenClose
                | Sign::BracketOpen
                | Sign::BracketClose
                | Sign::Comma
                | Sign::Colon
                | Sign::Semicolon
                | Sign::Dot
                | Sign::Question
                | Sign::If => return None,
            },
            TokenKind::Name => match self.keyword() {
                "or" => (Function::Or, 1),
                "and" => (Function::And, 2),
                "in" => (Function::In, COMPARISON),
                "is" => (Function::IsNull, COMPARISON),
                _ => return None,
            },
            TokenKind::QuotedName(_)
            | TokenKind::Parameter
            | TokenKind::Literal(_)
            | TokenKind::End => return None,
        };
        (strength >= least).then_some((function, strength))
    }

    /// Whether an operator stands here that could not start a value.
    pub(super) fn is_operator(&self) -> bool {
        match self.kind() {
            TokenKind::Sign(sign) => matches!(
                sign,
                Sign::Equal
                    | Sign::NotEqual
                    | Sign::Less
                    | Sign::LessOrEqual
                    | Sign::Greater
                    | Sign::GreaterOrEqual
                    | Sign::Otherwise
                    | Sign::PlusPlus
                    | Sign::Plus
                    | Sign::Minus
                    | Sign::Star
                    | Sign::Slash
                    | Sign::Percent
                    | Sign::Dot
            ),
            TokenKind::Name => matches!(self.keyword(), "or" | "and" | "in" | "is"),
            TokenKind::QuotedName(_)
            | TokenKind::Parameter
            | TokenKind::Literal(_)
            | TokenKind::End => false,
        }
    }

    /// `is null`, `is not null`.
    fn is_null(&mut self, left: ExpressionSyntax) -> Read<ExpressionSyntax> {
        self.at += 1;
        let is_not = self.take_keyword("not");
        self.expect_keyword("null")?;
        self.grow()?;
        let span = left.span.to(self.last_span());
        let is = operator(Function::IsNull, vec![left], span);
        Ok(if is_not { operator(Function::Not, vec![is], span) } else { is })
    }

    fn unary(&mut self) -> Read<ExpressionSyntax> {
        if !self.is_sign(Sign::Minus) {
            return self.postfix();
        }
        let start = self.span();
        self.at += 1;
        let inner = self.deeper(Self::unary)?;
        self.grow()?;
        let span = start.to(inner.span);
        Ok(match inner.as_value().and_then(negated) {
            Some(value) => ExpressionSyntax { kind: ExpressionKind::Value(value), span },
            None => operator(Function::Negate, vec![inner], span),
        })
    }

    fn postfix(&mut self) -> Read<ExpressionSyntax> {
        let mut inner = self.primary()?;
        loop {
            if self.is_sign(Sign::Dot) {
                self.at += 1;
                let name = self.name("a field")?;
                self.grow()?;
                let span = inner.span.to(name.span);
                let field = ExpressionKind::Value(Value::Text(name.text));
                let field = ExpressionSyntax { kind: field, span: name.span };
                inner = operator(Function::Field, vec![inner, field], span);
            } else if self.is_sign(Sign::BracketOpen) && self.goes_on() {
                let opened = self.span();
                self.at += 1;
                let height = self.height;
                let index = self.bracketed(Self::expression)?;
                self.close((opened, Sign::BracketOpen), Sign::BracketClose)?;
                self.height = self.height.max(height);
                self.grow()?;
                let span = inner.span.to(self.last_span());
                inner = operator(Function::Element, vec![inner, index], span);
            } else {
                return Ok(inner);
            }
        }
    }

    /// Items that an expression is made of: it is one higher than the highest.
    fn operands<T>(
        &mut self,
        brackets: (Sign, Sign),
        mut part: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let mut highest = 0;
        let parts = self.items(brackets, |parser| {
            let part = part(parser)?;
            highest = highest.max(parser.height);
            Ok(part)
        })?;
        self.height = highest;
        self.grow()?;
        Ok(parts)
    }

    fn primary(&mut self) -> Read<ExpressionSyntax> {
        let start = self.span();
        self.height = 0;
        let kind = match self.kind().clone() {
            TokenKind::Literal(value) => {
                self.at += 1;
                ExpressionKind::Value(value)
            }
            TokenKind::Parameter => {
                self.at += 1;
                ExpressionKind::Parameter(Arc::from(start.of(self.text).trim_start_matches('$')))
            }
            TokenKind::Name | TokenKind::QuotedName(_) => self.named()?,
            TokenKind::Sign(Sign::ParenOpen) => {
                self.at += 1;
                let inner = self.bracketed(Self::expression)?;
                self.close((start, Sign::ParenOpen), Sign::ParenClose)?;
                inner.kind
            }
            TokenKind::Sign(Sign::BracketOpen) => {
                let brackets = (Sign::BracketOpen, Sign::BracketClose);
                ExpressionKind::List(self.operands(brackets, Self::expression)?)
            }
            TokenKind::Sign(Sign::BraceOpen) => {
                let braces = (Sign::BraceOpen, Sign::BraceClose);
                ExpressionKind::Record(self.operands(braces, Self::record_field)?)
            }
            TokenKind::Sign(Sign::Equal) => {
                return self.wrong("expected a value", "a single `=` compares");
            }
            TokenKind::Sign(Sign::Plus) => {
                return self.wrong("a value cannot start with `+`", "write the number by itself");
            }
            TokenKind::Sign(_) | TokenKind::End => {
                return self.wrong(
                    "expected a value",
                    "a value is a name, a $parameter, a literal, a function of others, or \
                     something in parentheses",
                );
            }
        };
        Ok(ExpressionSyntax { kind, span: start.to(self.last_span()) })
    }

    /// What starts with a name: a variable, a call, a word with a meaning.
    fn named(&mut self) -> Read<ExpressionKind> {
        let word = self.keyword();
        if self.next_is_sign(Sign::ParenOpen) {
            let name = self.name("a function")?;
            let parentheses = (Sign::ParenOpen, Sign::ParenClose);
            let arguments = self.operands(parentheses, Self::expression)?;
            return Ok(ExpressionKind::Call(name, arguments));
        }
        let kind = match word {
            "true" => ExpressionKind::Value(Value::Bool(true)),
            "false" => ExpressionKind::Value(Value::Bool(false)),
            "null" => ExpressionKind::Value(Value::Null),
            "_" => ExpressionKind::Anything,
            "set" if self.next_is_sign(Sign::BracketOpen) => {
                self.at += 1;
                let brackets = (Sign::BracketOpen, Sign::BracketClose);
                return Ok(ExpressionKind::Set(self.operands(brackets, Self::expression)?));
            }
            _ if self.next_is_sign(Sign::BraceOpen) && !word.is_empty() => {
                let told =
                    Diagnostic::error(self.span(), "a row cannot stand within an expression")
                        .help("atoms stand by themselves in a body, with commas between");
                return self.tell(told);
            }
            _ => return Ok(ExpressionKind::Variable(self.name("a variable")?.text)),
        };
        self.at += 1;
        Ok(kind)
    }

    fn record_field(&mut self) -> Read<(Name, ExpressionSyntax)> {
        let span = self.span();
        let name = match self.kind().clone() {
            TokenKind::Literal(Value::Text(text)) => {
                self.at += 1;
                Name { text, span }
            }
            TokenKind::Literal(_)
            | TokenKind::Name
            | TokenKind::QuotedName(_)
            | TokenKind::Parameter
            | TokenKind::Sign(_)
            | TokenKind::End => self.name("a field")?,
        };
        if !self.take_sign(Sign::Colon) {
            self.height = 0;
            let kind = ExpressionKind::Variable(Arc::clone(&name.text));
            return Ok((name, ExpressionSyntax { kind, span }));
        }
        let value = self.expression()?;
        Ok((name, value))
    }
}

/// A number with the other sign; `None` for what is no number.
fn negated(value: &Value) -> Option<Value> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int),
        Value::Decimal(value) => Some(Value::decimal(-*value)),
        Value::Float(value) => Value::float(-value),
        Value::Duration(value) => value.checked_neg().map(Value::Duration),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::List(_)
        | Value::Set(_)
        | Value::Record(_) => None,
    }
}

fn operator(
    function: Function,
    operands: Vec<ExpressionSyntax>,
    span: crate::Span,
) -> ExpressionSyntax {
    ExpressionSyntax { kind: ExpressionKind::Operator(function, operands), span }
}
