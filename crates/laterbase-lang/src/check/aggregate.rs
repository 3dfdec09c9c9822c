//! Heads that compute with aggregates, taken apart.
//!
//! ```text
//!   ?{region, mean: sum(total) / count()} :- B
//!   ⇒  #0{region, #1: sum(total), #2: count()} :- B
//!      ?{region, mean: #1 / #2} :- #0{region, #1, #2}
//! ```
//! Variables that such a head uses outside of aggregates group, as columns do that are none.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::function::Aggregate;
use crate::span::Span;
use crate::syntax::{
    AtomSyntax, Body, ExpressionKind, ExpressionSyntax, Head, HeadField, HeadValue, LiteralSyntax,
    Name, Path, PatternField, RuleSyntax, TimesSyntax,
};

/// The rule for the aggregates, if the head computes with any; head, body and times then are what
/// is left to do.
pub(super) fn without_compounds(
    name: &Arc<str>,
    head: &mut Head,
    body: &mut Body,
    times: &mut TimesSyntax,
) -> Option<RuleSyntax> {
    let is_compound = head.fields.iter().any(|field| match &field.value {
        Some(HeadValue::Expression(expression)) => {
            !is_aggregate(expression) && holds_aggregate(expression)
        }
        Some(HeadValue::Tree { .. }) | None => false,
    });
    if !is_compound {
        return None;
    }
    let mut inner = Inner { fields: Vec::new(), groups: BTreeSet::new(), made: 0 };
    for field in &mut head.fields {
        let Some(HeadValue::Expression(expression)) = &mut field.value else {
            inner.group(&field.name.text, field.name.span);
            continue;
        };
        inner.take(expression);
    }
    let relation = Name { text: Arc::clone(name), span: head.span };
    let fields = inner
        .fields
        .iter()
        .map(|field| PatternField { name: field.name.clone(), value: None, change: None })
        .collect();
    let atom = AtomSyntax {
        relation: Path { parts: vec![relation.clone()], span: head.span },
        fields,
        times: TimesSyntax::default(),
        span: body.span,
    };
    let outer = Body { literals: vec![LiteralSyntax::Atom(Box::new(atom))], span: body.span };
    Some(RuleSyntax {
        name: relation,
        head: Head { fields: inner.fields, span: head.span },
        body: std::mem::replace(body, outer),
        times: std::mem::take(times),
    })
}

struct Inner {
    fields: Vec<HeadField>,
    groups: BTreeSet<Arc<str>>,
    made: usize,
}

impl Inner {
    fn group(&mut self, variable: &Arc<str>, span: Span) {
        if self.groups.insert(Arc::clone(variable)) {
            let name = Name { text: Arc::clone(variable), span };
            self.fields.push(HeadField { name, value: None });
        }
    }

    /// Replaces aggregates by variables.
    fn take(&mut self, expression: &mut ExpressionSyntax) {
        if is_aggregate(expression) {
            let name: Arc<str> = Arc::from(format!("#{}", self.made));
            self.made += 1;
            let span = expression.span;
            let variable = ExpressionKind::Variable(Arc::clone(&name));
            let variable = ExpressionSyntax { kind: variable, span };
            let aggregate = std::mem::replace(expression, variable);
            self.fields.push(HeadField {
                name: Name { text: name, span },
                value: Some(HeadValue::Expression(aggregate)),
            });
            return;
        }
        if let Some(name) = expression.as_variable().cloned() {
            self.group(&name, expression.span);
        }
        for part in parts_mut(expression) {
            self.take(part);
        }
    }
}

/// Whether an expression is the call of an aggregate.
pub(super) fn is_aggregate(expression: &ExpressionSyntax) -> bool {
    expression.as_call().is_some_and(|(name, _)| Aggregate::by_name(&name.text).is_some())
}

/// Whether an aggregate is called anywhere in it.
pub(super) fn holds_aggregate(expression: &ExpressionSyntax) -> bool {
    is_aggregate(expression) || parts(expression).into_iter().any(holds_aggregate)
}

/// The expressions that it is made of.
pub(super) fn parts(expression: &ExpressionSyntax) -> Vec<&ExpressionSyntax> {
    match &expression.kind {
        ExpressionKind::Call(_, parts)
        | ExpressionKind::Operator(_, parts)
        | ExpressionKind::List(parts)
        | ExpressionKind::Set(parts) => parts.iter().collect(),
        ExpressionKind::Record(fields) => fields.iter().map(|(_, part)| part).collect(),
        ExpressionKind::Value(_)
        | ExpressionKind::Variable(_)
        | ExpressionKind::Anything
        | ExpressionKind::Parameter(_) => Vec::new(),
    }
}

fn parts_mut(expression: &mut ExpressionSyntax) -> Vec<&mut ExpressionSyntax> {
    match &mut expression.kind {
        ExpressionKind::Call(_, parts)
        | ExpressionKind::Operator(_, parts)
        | ExpressionKind::List(parts)
        | ExpressionKind::Set(parts) => parts.iter_mut().collect(),
        ExpressionKind::Record(fields) => fields.iter_mut().map(|(_, part)| part).collect(),
        ExpressionKind::Value(_)
        | ExpressionKind::Variable(_)
        | ExpressionKind::Anything
        | ExpressionKind::Parameter(_) => Vec::new(),
    }
}

/// The variables that occur in it, and where.
pub(super) fn variables(expression: &ExpressionSyntax) -> Vec<(Arc<str>, Span)> {
    let mut found = Vec::new();
    let mut open = vec![expression];
    while let Some(expression) = open.pop() {
        if let Some(name) = expression.as_variable() {
            found.push((Arc::clone(name), expression.span));
        }
        open.extend(parts(expression));
    }
    found
}
