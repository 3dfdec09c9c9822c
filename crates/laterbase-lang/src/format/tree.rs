//! A text as tokens with their comments, and as a tree by brackets.

use std::collections::BTreeMap;

use super::marks::Marks;
use crate::token::{Sign, Token, TokenKind, Tokens};

/// A comment in front of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comment<'a> {
    pub(super) text: &'a str,
    /// Whether the token before it stands on its line.
    pub(super) is_trailing: bool,
    /// Whether an empty line stands before it.
    pub(super) is_spaced: bool,
}

/// A token with what stands before it.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    /// Its first byte.
    pub(super) start: u32,
    pub(super) comments: Vec<Comment<'a>>,
    /// Whether an empty line stands before it, behind its comments.
    pub(super) is_spaced: bool,
}

/// A text as tokens, the last of which is its end.
pub(super) struct Source<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    /// Openings of brackets by what closes them.
    openings: BTreeMap<usize, usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str, tokens: Tokens) -> Self {
        let mut comments = tokens.comments.into_iter().peekable();
        let mut pieces = Vec::with_capacity(tokens.tokens.len());
        let mut last_end = 0;
        for Token { kind, span, .. } in tokens.tokens {
            let ends_between = |from: u32, until: u32| {
                let between = text.get(from as usize..until as usize).unwrap_or_default();
                between.bytes().filter(|byte| *byte == b'\n').count()
            };
            let mut found = Vec::new();
            while let Some(comment) = comments.next_if(|comment| comment.start < span.start) {
                let ends = ends_between(last_end, comment.start);
                found.push(Comment {
                    text: comment.of(text).trim_end(),
                    is_trailing: ends == 0 && last_end > 0,
                    is_spaced: ends > 1,
                });
                last_end = comment.end;
            }
            // The end has the comments behind the last token.
            if kind == TokenKind::End {
                for comment in comments.by_ref() {
                    let ends = ends_between(last_end, comment.start);
                    let text = comment.of(text).trim_end();
                    let is_trailing = ends == 0 && last_end > 0;
                    found.push(Comment { text, is_trailing, is_spaced: ends > 1 });
                    last_end = comment.end;
                }
            }
            let is_spaced = ends_between(last_end, span.start) > 1;
            let (text, start) = (span.of(text), span.start);
            pieces.push(Piece { kind, text, start, comments: found, is_spaced });
            last_end = span.end;
        }
        let mut source = Self { pieces, openings: BTreeMap::new() };
        source.openings = source.pairs();
        source
    }

    fn pairs(&self) -> BTreeMap<usize, usize> {
        let mut open = Vec::new();
        let mut pairs = BTreeMap::new();
        for at in 0..self.pieces.len() {
            if self.opens(at) {
                open.push(at);
            } else if self.closes(at)
                && let Some(opening) = open.pop()
            {
                pairs.insert(at, opening);
            }
        }
        pairs
    }

    /// Whether a token opens a group.
    pub(super) fn opens(&self, at: usize) -> bool {
        [Sign::BraceOpen, Sign::ParenOpen, Sign::BracketOpen]
            .iter()
            .any(|sign| self.is_sign(at, *sign))
    }

    /// Whether a token closes a group.
    pub(super) fn closes(&self, at: usize) -> bool {
        [Sign::BraceClose, Sign::ParenClose, Sign::BracketClose]
            .iter()
            .any(|sign| self.is_sign(at, *sign))
    }

    /// What opens the group that a token closes.
    pub(super) fn opening_of(&self, close: usize) -> Option<usize> {
        self.openings.get(&close).copied()
    }

    pub(super) fn piece(&self, at: usize) -> Option<&Piece<'a>> {
        self.pieces.get(at)
    }

    pub(super) fn is_sign(&self, at: usize, sign: Sign) -> bool {
        self.piece(at).is_some_and(|piece| piece.kind == TokenKind::Sign(sign))
    }

    /// Whether tokens and comments are the same ones.
    pub(super) fn says_the_same(&self, other: &Source<'_>) -> bool {
        let texts = |comments: &[Comment<'_>]| -> Vec<String> {
            comments.iter().map(|comment| comment.text.to_owned()).collect()
        };
        self.pieces.len() == other.pieces.len()
            && self.pieces.iter().zip(&other.pieces).all(|(a, b)| {
                (&a.kind, a.text) == (&b.kind, b.text) && texts(&a.comments) == texts(&b.comments)
            })
    }
}

/// A token, or what stands between brackets.
#[derive(Debug)]
pub(super) enum Node {
    Token(usize),
    Group(Group),
}

/// What stands between brackets, and they.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) open: usize,
    pub(super) close: usize,
    pub(super) nodes: Vec<Node>,
    /// Whether it cannot stand on one line.
    pub(super) is_broken: bool,
}

impl Node {
    /// Its first token.
    pub(super) fn first(&self) -> usize {
        match self {
            Self::Token(at) => *at,
            Self::Group(group) => group.open,
        }
    }

    /// Its last token.
    pub(super) fn last(&self) -> usize {
        match self {
            Self::Token(at) => *at,
            Self::Group(group) => group.close,
        }
    }
}

/// The tokens of a text as a tree, without its end.
pub(super) fn tree(source: &Source<'_>, marks: &Marks) -> Vec<Node> {
    let mut open: Vec<(usize, Vec<Node>)> = Vec::new();
    let mut nodes: Vec<Node> = Vec::new();
    for at in 0..source.pieces.len().saturating_sub(1) {
        if source.opens(at) {
            open.push((at, std::mem::take(&mut nodes)));
        } else if source.closes(at)
            && let Some((opened, outer)) = open.pop()
        {
            let inner = std::mem::replace(&mut nodes, outer);
            nodes.push(Node::Group(group(source, marks, (opened, at), inner)));
        } else {
            nodes.push(Node::Token(at));
        }
    }
    nodes
}

fn group(
    source: &Source<'_>,
    marks: &Marks,
    (open, close): (usize, usize),
    nodes: Vec<Node>,
) -> Group {
    let has_comments = |at: usize| source.piece(at).is_some_and(|piece| !piece.comments.is_empty());
    let is_separator =
        |at: usize| source.is_sign(at, Sign::Comma) || source.is_sign(at, Sign::Semicolon);
    let ends_with_comma = nodes.len() > 1 && source.is_sign(close - 1, Sign::Comma);
    let is_broken = has_comments(close)
        || ends_with_comma
        || (marks.transactions.contains(&open) && !nodes.is_empty())
        || nodes.iter().enumerate().any(|(place, node)| {
            let first = node.first();
            let is_inner_broken = matches!(node, Node::Group(group) if group.is_broken);
            // Told apart by the end of a line alone.
            let is_on_its_line =
                place > 0 && marks.items.contains(&first) && !is_separator(first - 1);
            has_comments(first) || is_inner_broken || is_on_its_line
        });
    Group { open, close, nodes, is_broken }
}
