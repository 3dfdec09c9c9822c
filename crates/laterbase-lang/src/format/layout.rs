//! Lines, from a tree of tokens.

use super::COLUMNS_MAX;
use super::marks::Marks;
use super::tree::{Group, Node, Source, tree};
use crate::token::{Sign, TokenKind};

/// Columns by which a part of something stands further right.
const INDENT: usize = 4;

/// The lines of a text.
pub(super) fn lines(source: &Source<'_>, marks: &Marks) -> String {
    let nodes = tree(source, marks);
    let mut writer =
        Writer { source, marks, text: String::new(), column: 0, wanted: None, indent: 0 };
    let is_start = |node: &Node| marks.statements.contains(&node.first());
    for statement in split(&nodes, is_start) {
        writer.want_line(0, true);
        writer.item(statement, 0);
    }
    writer.want_line(0, true);
    writer.comments(source.pieces.len().saturating_sub(1));
    if !writer.text.is_empty() {
        writer.text.push('\n');
    }
    writer.text
}

/// Nodes in parts, a new one from each that starts one.
fn split(nodes: &[Node], starts: impl Fn(&Node) -> bool) -> Vec<&[Node]> {
    let mut parts = Vec::new();
    let mut rest = nodes;
    while !rest.is_empty() {
        let end = rest.iter().skip(1).position(&starts).map_or(rest.len(), |at| at + 1);
        let (part, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        parts.push(part);
        rest = behind;
    }
    parts
}

/// A new line that is to come.
#[derive(Clone, Copy)]
struct Line {
    indent: usize,
    /// Whether an empty line before it stays.
    may_be_spaced: bool,
}

struct Writer<'a> {
    source: &'a Source<'a>,
    marks: &'a Marks,
    text: String,
    /// Characters of the last line.
    column: usize,
    wanted: Option<Line>,
    /// Of what is being written.
    indent: usize,
}

impl Writer<'_> {
    fn want_line(&mut self, indent: usize, may_be_spaced: bool) {
        self.wanted = Some(Line { indent, may_be_spaced });
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    /// Begins the line that is wanted, if one is.
    fn begin_line(&mut self, is_spaced: bool) -> bool {
        let Some(line) = self.wanted.take() else { return false };
        if !self.text.is_empty() {
            self.text.push_str(if is_spaced && line.may_be_spaced { "\n\n" } else { "\n" });
        }
        self.column = 0;
        self.push(&" ".repeat(line.indent));
        true
    }

    /// The comments in front of a token.
    fn comments(&mut self, at: usize) {
        let Some(piece) = self.source.piece(at) else { return };
        for comment in &piece.comments {
            let indent = self.indent + INDENT;
            let line = self.wanted.unwrap_or(Line { indent, may_be_spaced: false });
            if comment.is_trailing && !self.text.is_empty() {
                self.push(" ");
            } else {
                self.wanted = Some(line);
                self.begin_line(comment.is_spaced);
            }
            self.push(comment.text);
            self.wanted = Some(line);
        }
    }

    /// A token, behind its comments.
    fn token(&mut self, at: usize) {
        self.comments(at);
        let Some(piece) = self.source.piece(at) else { return };
        if !self.begin_line(piece.is_spaced) && self.has_gap(at) {
            self.push(" ");
        }
        self.push(piece.text);
    }

    /// Whether a blank stands between a token and the one before it, on one line.
    fn has_gap(&self, at: usize) -> bool {
        let is = |sign: Sign| self.source.is_sign(at, sign);
        let Some(before) = at.checked_sub(1) else { return false };
        let is_mark = is(Sign::Question) && !self.source.is_sign(at + 1, Sign::BraceOpen);
        let is_query = self.source.is_sign(before, Sign::Question) && is(Sign::BraceOpen);
        let hangs = [Sign::Comma, Sign::Semicolon, Sign::Colon, Sign::Dot].into_iter().any(is);
        if hangs || is_mark || is_query || self.source.is_sign(before, Sign::Dot) {
            return false;
        }
        if self.source.opens(before) {
            return self.marks.schemas.contains(&before) && !self.source.closes(at);
        }
        if self.source.closes(at) {
            let open = self.source.opening_of(at);
            return open.is_some_and(|open| self.marks.schemas.contains(&open));
        }
        !self.is_unary(before) && !self.marks.tight.contains(&at)
    }

    /// Whether a token is a sign in front of a value.
    fn is_unary(&self, at: usize) -> bool {
        let is_sign =
            |at| self.source.is_sign(at, Sign::Minus) || self.source.is_sign(at, Sign::Plus);
        if !is_sign(at) {
            return false;
        }
        if self.marks.unary.contains(&at) {
            return true;
        }
        let Some(before) = at.checked_sub(1).and_then(|before| self.source.piece(before)) else {
            return true;
        };
        match &before.kind {
            TokenKind::Sign(sign) => !matches!(
                sign,
                Sign::BraceClose | Sign::ParenClose | Sign::BracketClose | Sign::Question
            ),
            TokenKind::Name
            | TokenKind::QuotedName(_)
            | TokenKind::Parameter
            | TokenKind::Literal(_)
            | TokenKind::End => false,
        }
    }

    /// The width of nodes on one line, or `None` if that is more than so many columns.
    fn width(&self, nodes: &[Node], most: usize) -> Option<usize> {
        let mut width = 0;
        for at in nodes.iter().flat_map(|node| node.first()..=node.last()) {
            let text = self.source.piece(at).map_or("", |piece| piece.text);
            width += usize::from(self.has_gap(at)) + text.chars().count();
            if width > most {
                return None;
            }
        }
        Some(width)
    }

    /// Whether nodes may stand on one line, and it has room.
    fn fits(&self, nodes: &[Node]) -> bool {
        let is_broken = nodes.iter().enumerate().any(|(place, node)| {
            let is_group_broken = matches!(node, Node::Group(group) if group.is_broken);
            is_group_broken || (place > 0 && self.has_comments(node))
        });
        let column = self.wanted.map_or(self.column, |line| line.indent);
        !is_broken && self.width(nodes, COLUMNS_MAX.saturating_sub(column)).is_some()
    }

    /// Whether comments stand in front of a node.
    fn has_comments(&self, node: &Node) -> bool {
        self.source.piece(node.first()).is_some_and(|piece| !piece.comments.is_empty())
    }

    fn flat(&mut self, nodes: &[Node]) {
        for at in nodes.iter().flat_map(|node| node.first()..=node.last()) {
            self.token(at);
        }
    }

    /// A statement, an item or a clause, with the sign behind it.
    fn item(&mut self, nodes: &[Node], indent: usize) {
        if self.fits(nodes) {
            return self.flat(nodes);
        }
        if nodes.iter().any(|node| self.marks.transactions.contains(&node.first())) {
            return self.sequence(nodes, indent);
        }
        let is_behind = |node: &Node, sign: Sign| {
            node.first().checked_sub(1).is_some_and(|before| self.source.is_sign(before, sign))
        };
        let is_clause = |node: &Node| {
            // On a line of its own it would be a relation of that name.
            let is_relation = [Sign::BraceOpen, Sign::Dot]
                .iter()
                .any(|sign| self.source.is_sign(node.first() + 1, *sign));
            self.marks.clauses.contains(&node.first()) && !is_relation
        };
        let starts_part = |node: &Node| is_behind(node, Sign::If) || is_clause(node);
        for (place, part) in split(nodes, starts_part).into_iter().enumerate() {
            if place == 0 {
                self.sequence(part, indent);
            } else if part.first().is_some_and(is_clause) {
                self.want_line(indent + INDENT, false);
                self.sequence(part, indent + INDENT);
            } else {
                for literal in split(part, |node| is_behind(node, Sign::Comma)) {
                    self.want_line(indent + INDENT, false);
                    self.item(literal, indent + INDENT);
                }
            }
        }
    }

    /// Tokens and groups in a row; groups that do not fit are broken.
    fn sequence(&mut self, nodes: &[Node], indent: usize) {
        let mut rest = nodes;
        while let Some((node, behind)) = rest.split_first() {
            self.indent = indent;
            match node {
                Node::Token(at) => {
                    self.token(*at);
                    if self.marks.joints.contains(at) {
                        self.break_behind_joint(behind, indent);
                    }
                }
                Node::Group(group) => {
                    let is_group = |node: &Node| matches!(node, Node::Group(_));
                    let is_joint = |node: &Node| self.marks.joints.contains(&node.first());
                    let ends = |it: &Node| is_group(it) || is_joint(it) || self.has_comments(it);
                    let end = behind.iter().position(ends).unwrap_or(behind.len());
                    let until = rest.get(..=end).unwrap_or(rest);
                    let is_flat = group.nodes.is_empty() || self.fits(until);
                    if is_flat && !group.is_broken {
                        self.flat(std::slice::from_ref(node));
                    } else {
                        self.broken(group, indent);
                    }
                }
            }
            rest = behind;
        }
    }

    /// A new line behind `and` or `or`, unless what comes until the next one fits.
    fn break_behind_joint(&mut self, behind: &[Node], indent: usize) {
        let is_joint = |node: &Node| self.marks.joints.contains(&node.first());
        let end = behind.iter().position(is_joint).map_or(behind.len(), |at| at + 1);
        if !behind.get(..end).is_some_and(|next| self.fits(next)) {
            self.want_line(indent + INDENT, false);
        }
    }

    /// A group with one item per line.
    fn broken(&mut self, group: &Group, indent: usize) {
        self.token(group.open);
        let is_block = self.marks.blocks.contains(&group.open);
        let keeps_spaces = self.marks.schemas.contains(&group.open)
            || self.marks.transactions.contains(&group.open);
        let starts_item = |node: &Node| {
            let first = node.first();
            if is_block {
                return self.marks.items.contains(&first);
            }
            first.checked_sub(1).is_some_and(|before| self.source.is_sign(before, Sign::Comma))
        };
        for (place, item) in split(&group.nodes, starts_item).into_iter().enumerate() {
            self.want_line(indent + INDENT, keeps_spaces && place > 0);
            self.item(item, indent + INDENT);
        }
        self.want_line(indent + INDENT, keeps_spaces);
        self.comments(group.close);
        self.want_line(indent, false);
        if let Some(piece) = self.source.piece(group.close) {
            self.begin_line(false);
            self.push(piece.text);
        }
    }
}
