//! Queries and rules.

use super::{Parser, Read};
use crate::diagnostic::Diagnostic;
use crate::syntax::{
    Body, Head, HeadField, HeadValue, OrderSyntax, QueryMode, QuerySyntax, RuleSyntax, Select,
    TimesSyntax,
};
use crate::token::Sign;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Read<QuerySyntax> {
        let mode = match self.keyword() {
            "explain" => QueryMode::Explain,
            "why" => QueryMode::Why,
            "live" => QueryMode::Live,
            _ => QueryMode::Rows,
        };
        self.at += usize::from(mode != QueryMode::Rows);
        self.expect_sign(Sign::Question)?;
        Ok(QuerySyntax { mode, select: self.select()? })
    }

    pub(super) fn rule(&mut self) -> Read<RuleSyntax> {
        let name = self.name("a rule")?;
        if self.is_sign(Sign::Dot) {
            return self.wrong(
                "the name of a rule has no dot",
                "events are recorded with `add root.type{…}`; a rule makes rows of a name of its \
                 own",
            );
        }
        let head = self.head()?;
        if !self.take_sign(Sign::If) {
            return self.wrong(
                "expected `:-` and a body",
                "a rule says what its rows are: name{…} :- …; a query starts with `?{`, and what \
                 is written names where: put customer{…}",
            );
        }
        let body = self.body()?;
        let times = self.times()?;
        Ok(RuleSyntax { name, head, body, times })
    }

    /// `{…} :- … having … order by … limit … as of … valid …`.
    fn select(&mut self) -> Read<Select> {
        let start = self.span();
        let head = self.head()?;
        let body = if self.take_sign(Sign::If) {
            self.body()?
        } else {
            Body { literals: Vec::new(), span: self.last_span() }
        };
        let mut select = Select {
            head,
            body,
            having: None,
            order: Vec::new(),
            offset: None,
            limit: None,
            times: TimesSyntax::default(),
            span: start,
        };
        while self.clause(&mut select)? {}
        select.span = start.to(self.last_span());
        Ok(select)
    }

    /// A clause behind the body; `false` if there is none.
    fn clause(&mut self, select: &mut Select) -> Read<bool> {
        let start = self.span();
        if self.times_follow() {
            self.time_clause(&mut select.times)?;
            return Ok(true);
        }
        if self.starts_relation() {
            return Ok(false);
        }
        let was_there = match self.keyword() {
            "having" => {
                self.at += 1;
                let having = self.expression()?;
                select.having.replace(having).is_some()
            }
            "order" => {
                self.at += 1;
                self.expect_keyword("by")?;
                let order = self.order()?;
                !std::mem::replace(&mut select.order, order).is_empty()
            }
            "limit" => {
                self.at += 1;
                let limit = self.expression()?;
                select.limit.replace(limit).is_some()
            }
            "offset" => {
                self.at += 1;
                let offset = self.expression()?;
                select.offset.replace(offset).is_some()
            }
            _ => return Ok(false),
        };
        if was_there {
            let told = Diagnostic::error(start.to(self.last_span()), "this clause is said twice")
                .help("keep one of them");
            return self.tell(told);
        }
        Ok(true)
    }

    fn order(&mut self) -> Read<Vec<OrderSyntax>> {
        let mut order = Vec::new();
        loop {
            let by = self.expression()?;
            let is_descending = self.take_keyword("desc");
            if !is_descending {
                self.take_keyword("asc");
            }
            order.push(OrderSyntax { by, is_descending });
            if !self.take_sign(Sign::Comma) {
                return Ok(order);
            }
        }
    }

    pub(super) fn head(&mut self) -> Read<Head> {
        let start = self.span();
        let fields = self.items((Sign::BraceOpen, Sign::BraceClose), Self::head_field)?;
        Ok(Head { fields, span: start.to(self.last_span()) })
    }

    fn head_field(&mut self) -> Read<HeadField> {
        let name = self.name("a column")?;
        if !self.take_sign(Sign::Colon) {
            return Ok(HeadField { name, value: None });
        }
        let is_tree =
            matches!(self.keyword(), "many" | "one") && self.next_is_sign(Sign::BraceOpen);
        let value = if is_tree {
            let is_many = self.keyword() == "many";
            self.at += 1;
            let select = Box::new(self.deeper(Self::select)?);
            HeadValue::Tree { is_many, select }
        } else {
            HeadValue::Expression(self.expression()?)
        };
        Ok(HeadField { name, value: Some(value) })
    }
}
