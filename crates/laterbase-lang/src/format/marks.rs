//! What layout must know of the syntax: which tokens begin clauses and items, which brackets belong
//! to the name before them. All by the places of tokens, so that two texts can be compared.

use std::collections::BTreeSet;

use super::tree::Source;
use crate::function::Function;
use crate::span::Span;
use crate::syntax::{
    Body, CutSyntax, Declaration, Expect, ExpressionKind, ExpressionSyntax, FieldsSyntax, Head,
    HeadValue, LiteralSyntax, Mutation, Number, PatternField, RuleSyntax, Select, Statement,
    StatementKind, Step, TimesSyntax, ValidSyntax, VersionSyntax,
};
use crate::token::Sign;

/// Tokens that mean something to the layout.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// First tokens of statements.
    pub(super) statements: BTreeSet<usize>,
    /// First tokens of clauses: `having`, `order`, `as`, …
    pub(super) clauses: BTreeSet<usize>,
    /// First tokens of events, fields, removed numbers, steps and columns of heads.
    pub(super) items: BTreeSet<usize>,
    /// Openings of heads, and of braces in schemas: their items are marked.
    pub(super) blocks: BTreeSet<usize>,
    /// Openings of braces in schemas.
    pub(super) schemas: BTreeSet<usize>,
    /// Openings of transactions.
    pub(super) transactions: BTreeSet<usize>,
    /// Openings that stand directly behind the token before them.
    pub(super) tight: BTreeSet<usize>,
    /// Signs in front of a value.
    pub(super) unary: BTreeSet<usize>,
    /// `and` and `or`.
    pub(super) joints: BTreeSet<usize>,
}

impl Marks {
    pub(super) fn of(source: &Source<'_>, statements: &[Statement]) -> Self {
        let mut marker = Marker { source, marks: Self::default() };
        for statement in statements {
            marker.statement(statement);
        }
        marker.marks
    }
}

struct Marker<'a> {
    source: &'a Source<'a>,
    marks: Marks,
}

impl Marker<'_> {
    /// The token that starts at a span's start.
    fn at(&self, span: Span) -> usize {
        self.source.pieces.partition_point(|piece| piece.start < span.start)
    }

    /// The token behind a span.
    fn behind(&self, span: Span) -> usize {
        self.source.pieces.partition_point(|piece| piece.start < span.end)
    }

    fn statement(&mut self, statement: &Statement) {
        let at = self.at(statement.span);
        self.marks.statements.insert(at);
        match &statement.kind {
            StatementKind::Declaration(declaration) => self.declaration(declaration),
            StatementKind::Rule(rule) => self.rule(rule),
            StatementKind::Query(query) => self.select(&query.select),
            StatementKind::Mutation(mutation) => self.mutation(mutation),
            StatementKind::Transaction(transaction) => {
                self.times(&transaction.times);
                self.transaction(&transaction.steps, at);
            }
        }
    }

    fn transaction(&mut self, steps: &[Step], at: usize) {
        for step in steps {
            let span = match step {
                Step::Expect(Expect::Version { span, .. } | Expect::Query { span, .. }) => *span,
                Step::Mutation(mutation) => mutation.span,
                Step::Rule(rule) => rule.name.span,
            };
            let first = self.at(span);
            self.marks.items.insert(first);
            match step {
                Step::Expect(expect) => self.expect(expect),
                Step::Mutation(mutation) => self.mutation(mutation),
                Step::Rule(rule) => self.rule(rule),
            }
        }
        // Its brace is the last one before the first step.
        let Some(first) = self.marks.items.range(at..).next().copied() else { return };
        let open = (at..first).rev().find(|at| self.source.is_sign(*at, Sign::BraceOpen));
        if let Some(open) = open {
            self.marks.transactions.insert(open);
            self.marks.blocks.insert(open);
        }
    }

    fn expect(&mut self, expect: &Expect) {
        match expect {
            Expect::Version { key, version, .. } => {
                self.expression(key);
                if let VersionSyntax::At(at) = version {
                    self.expression(at);
                }
            }
            Expect::Query { body, times, .. } => {
                self.body(body);
                self.times(times);
            }
        }
    }

    fn mutation(&mut self, mutation: &Mutation) {
        self.tight(mutation.relation.span);
        self.pattern(&mutation.fields);
        let valid = TimesSyntax { cut: None, valid: mutation.valid.clone() };
        self.times(&valid);
        mutation.body.iter().for_each(|body| self.body(body));
        self.times(&mutation.times);
    }

    fn declaration(&mut self, declaration: &Declaration) {
        match declaration {
            Declaration::Root(root) => {
                let open = self.behind(root.name.span);
                self.schema_block(open);
                for event in &root.events {
                    let first = self.at(event.number.span).saturating_sub(1);
                    self.marks.items.insert(first);
                    let open = self.behind(event.name.span);
                    let has_fields = self.source.is_sign(open, Sign::BraceOpen);
                    if has_fields {
                        self.schema_block(open);
                    }
                    self.fields(&event.fields);
                }
                self.removed(&root.removed);
            }
            Declaration::Table(table) => {
                let open = self.behind(table.name.span);
                self.schema_block(open);
                self.fields(&table.fields);
            }
            Declaration::Index(index) => self.tight(index.relation.span),
            Declaration::View(view) => self.rule(&view.rule),
        }
    }

    /// A brace of a schema, maybe behind `lax` or `strict`.
    fn schema_block(&mut self, at: usize) {
        let is_open = self.source.is_sign(at, Sign::BraceOpen);
        let open = if is_open { at } else { at + 1 };
        self.marks.schemas.insert(open);
        self.marks.blocks.insert(open);
    }

    fn fields(&mut self, fields: &FieldsSyntax) {
        for field in &fields.fields {
            let first = self.at(field.number.span);
            self.marks.items.insert(first);
            field.default.iter().for_each(|default| self.expression(default));
        }
        self.removed(&fields.removed);
    }

    fn removed(&mut self, numbers: &[Number]) {
        for number in numbers {
            let before = self.at(number.span).saturating_sub(1);
            if self.source.piece(before).is_some_and(|piece| piece.text == "removed") {
                self.marks.items.insert(before);
            }
        }
    }

    fn rule(&mut self, rule: &RuleSyntax) {
        self.tight(rule.name.span);
        self.head(&rule.head);
        self.body(&rule.body);
        self.times(&rule.times);
    }

    fn select(&mut self, select: &Select) {
        self.head(&select.head);
        self.body(&select.body);
        self.times(&select.times);
        let mut word_before = |expression: &ExpressionSyntax, words: usize| {
            let at = self.at(expression.span).saturating_sub(words);
            self.marks.clauses.insert(at);
            self.expression(expression);
        };
        select.having.iter().for_each(|it| word_before(it, 1));
        select.limit.iter().for_each(|it| word_before(it, 1));
        select.offset.iter().for_each(|it| word_before(it, 1));
        select.order.iter().take(1).for_each(|it| word_before(&it.by, 2));
        select.order.iter().skip(1).for_each(|it| self.expression(&it.by));
    }

    fn head(&mut self, head: &Head) {
        let open = self.at(head.span);
        self.marks.blocks.insert(open);
        for field in &head.fields {
            let first = self.at(field.name.span);
            self.marks.items.insert(first);
            match &field.value {
                None => {}
                Some(HeadValue::Expression(expression)) => self.expression(expression),
                Some(HeadValue::Tree { select, .. }) => self.select(select),
            }
        }
    }

    fn body(&mut self, body: &Body) {
        for literal in &body.literals {
            match literal {
                LiteralSyntax::Atom(atom) => {
                    self.tight(atom.relation.span);
                    self.pattern(&atom.fields);
                    self.times(&atom.times);
                }
                LiteralSyntax::Not(body) => self.body(body),
                LiteralSyntax::Condition(condition) => self.expression(condition),
            }
        }
    }

    fn pattern(&mut self, fields: &[PatternField]) {
        for value in fields.iter().filter_map(|field| field.value.as_ref()) {
            self.expression(value);
        }
    }

    fn times(&mut self, times: &TimesSyntax) {
        if let Some(CutSyntax { at, span, .. }) = &times.cut {
            let first = self.at(*span);
            self.marks.clauses.insert(first);
            at.iter().for_each(|at| self.expression(at));
        }
        let first = match &times.valid {
            None => return,
            Some(ValidSyntax::Any(span)) => self.at(*span),
            Some(ValidSyntax::At(at)) => {
                self.expression(at);
                self.at(at.span).saturating_sub(1)
            }
            Some(ValidSyntax::In { from, until, span, .. }) => {
                from.iter().chain(until).for_each(|end| self.expression(end));
                self.at(*span)
            }
        };
        self.marks.clauses.insert(first);
    }

    /// The bracket behind a name stands directly behind it.
    fn tight(&mut self, span: Span) {
        let open = self.behind(span);
        self.marks.tight.insert(open);
    }

    fn expression(&mut self, expression: &ExpressionSyntax) {
        match &expression.kind {
            ExpressionKind::Value(_) => {
                // A number with its sign is one value.
                let first = self.at(expression.span);
                if self.source.is_sign(first, Sign::Minus) {
                    self.marks.unary.insert(first);
                }
            }
            ExpressionKind::Variable(_)
            | ExpressionKind::Anything
            | ExpressionKind::Parameter(_) => {}
            ExpressionKind::Call(name, parts) => {
                self.tight(name.span);
                parts.iter().for_each(|part| self.expression(part));
            }
            ExpressionKind::Operator(function, parts) => {
                self.operator(*function, parts, expression.span);
                parts.iter().for_each(|part| self.expression(part));
            }
            ExpressionKind::List(parts) | ExpressionKind::Set(parts) => {
                parts.iter().for_each(|part| self.expression(part));
            }
            ExpressionKind::Record(fields) => {
                fields.iter().for_each(|(_, part)| self.expression(part));
            }
        }
    }

    fn operator(&mut self, function: Function, parts: &[ExpressionSyntax], span: Span) {
        if function == Function::Negate {
            let first = self.at(span);
            self.marks.unary.insert(first);
        }
        let [left, right] = parts else { return };
        if function == Function::Element {
            self.tight(left.span);
        }
        if matches!(function, Function::And | Function::Or) {
            let before = self.at(right.span).saturating_sub(1);
            self.marks.joints.insert(before);
        }
    }
}
