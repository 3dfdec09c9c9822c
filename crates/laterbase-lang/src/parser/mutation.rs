//! Mutations and transactions.

use super::{Parser, Read};
use crate::diagnostic::Diagnostic;
use crate::syntax::{
    Expect, Mutation, MutationKind, Step, TimesSyntax, Transaction, VersionSyntax,
};
use crate::token::Sign;

impl Parser<'_> {
    /// `add root.type{…} valid … :- …`, and `put`, `delete`.
    pub(super) fn mutation(&mut self) -> Read<Mutation> {
        let start = self.span();
        let kind = match self.keyword() {
            "add" => MutationKind::Add,
            "put" => MutationKind::Put,
            _ => MutationKind::Delete,
        };
        self.at += 1;
        let relation = self.path("an event or a table")?;
        let fields = self.pattern()?;
        let mut written = TimesSyntax::default();
        while self.times_follow() {
            self.time_clause(&mut written)?;
        }
        let (mut body, mut times) = (None, TimesSyntax::default());
        if self.take_sign(Sign::If) {
            body = Some(self.body()?);
            times = self.times()?;
        }
        if let Some(cut) = written.cut {
            let told = Diagnostic::error(cut.span, "what is written now is known from now on")
                .help("say with `valid` when it was so; `as of` stands behind the body");
            return self.tell(told);
        }
        let span = start.to(self.last_span());
        Ok(Mutation { kind, relation, fields, valid: written.valid, body, times, span })
    }

    pub(super) fn transaction(&mut self) -> Read<Transaction> {
        self.at += 1;
        let times = self.times()?;
        self.expect_sign(Sign::BraceOpen)?;
        let opened = self.last_span();
        let mut transaction = Transaction { times, steps: Vec::new() };
        loop {
            while self.take_sign(Sign::Semicolon) {}
            if self.take_sign(Sign::BraceClose) {
                return Ok(transaction);
            }
            if self.is_at_end() {
                let told = Diagnostic::error(self.span(), "the text ends within a transaction")
                    .note(opened, "`{` is open since here")
                    .help("close it with `}`");
                return self.tell(told);
            }
            transaction.steps.push(self.deeper(Self::step)?);
            if !self.is_sign(Sign::BraceClose) {
                self.end_of_statement()?;
            }
        }
    }

    fn step(&mut self) -> Read<Step> {
        let is_rule = self.next_is_sign(Sign::BraceOpen);
        match self.keyword() {
            "expect" if !is_rule => self.expect().map(Step::Expect),
            "add" | "put" | "delete" if !is_rule => self.mutation().map(Step::Mutation),
            _ if self.is_name() => self.rule().map(Step::Rule),
            _ => self.wrong(
                "a step of a transaction starts here",
                "steps start with expect, add, put or delete, or are rules for their bodies",
            ),
        }
    }

    fn expect(&mut self) -> Read<Expect> {
        let start = self.span();
        self.at += 1;
        if matches!(self.keyword(), "none" | "some") && self.next_is_sign(Sign::If) {
            let is_some = self.keyword() == "some";
            self.at += 2;
            let body = self.body()?;
            let times = self.times()?;
            return Ok(Expect::Query { is_some, body, times, span: start.to(self.last_span()) });
        }
        if !self.is_name() {
            return self.wrong(
                "expected the name of a root, `none` or `some`",
                "as in: expect shipment \"4711\" at 12; expect none :- shipment.arrived{key: \
                 \"4711\"}",
            );
        }
        let root = self.name("a root")?;
        let key = self.deeper(|parser| parser.binary(5))?;
        let version = match self.keyword() {
            "none" => VersionSyntax::None,
            "exists" => VersionSyntax::Exists,
            "at" => {
                self.at += 1;
                VersionSyntax::At(self.expression()?)
            }
            _ => {
                return self.wrong(
                    "expected `at` and a number of events, `none` or `exists`",
                    "as in: expect shipment \"4711\" at 12",
                );
            }
        };
        if matches!(version, VersionSyntax::None | VersionSyntax::Exists) {
            self.at += 1;
        }
        Ok(Expect::Version { root, key, version, span: start.to(self.last_span()) })
    }
}
