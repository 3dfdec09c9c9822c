//! Conditions that bind: `x = …` and `x in …` where nothing else binds `x`.
//!
//! The outcome is that of rounds over the conditions in the order in which they are written, until
//! a round binds nothing: a condition binds when all but one of its variables are bound, and that
//! one stands alone on a side. Here a condition is looked at once, when that comes about, so that a
//! chain of conditions that each wait for the next takes no square of rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aggregate::{holds_aggregate, variables};
use super::body::{Parts, Scope};
use super::instance::{Checker, Typed};
use crate::data_type::DataType;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::plan::Literal;
use crate::syntax::{Body, ExpressionKind, ExpressionSyntax, LiteralSyntax, Name};

/// Conditions, as far as they wait for variables.
#[derive(Default)]
struct Waiting {
    /// How many different variables of a condition are not bound.
    open: BTreeMap<usize, usize>,
    /// Conditions by the variables that they wait for.
    by_name: BTreeMap<Arc<str>, Vec<usize>>,
    /// Conditions to be looked at: in which round, and which.
    ready: BTreeSet<(usize, usize)>,
}

impl Waiting {
    /// Takes a condition in with the variables that it waits for.
    fn add(&mut self, at: usize, names: BTreeSet<Arc<str>>) {
        if names.len() == 1 {
            self.ready.insert((0, at));
        }
        self.open.insert(at, names.len());
        for name in names {
            self.by_name.entry(name).or_default().push(at);
        }
    }

    /// A variable is bound by a condition: what waits for it is nearer to being ready.
    fn bound(&mut self, name: &Arc<str>, (round, by): (usize, usize)) {
        for at in self.by_name.remove(name).unwrap_or_default() {
            let Some(open) = self.open.get_mut(&at) else { continue };
            *open = open.saturating_sub(1);
            if *open == 1 {
                self.ready.insert((round + usize::from(at < by), at));
            }
        }
    }
}

/// What a condition does, if it binds.
struct Binding {
    name: Arc<str>,
    /// `None` after a mistake was told.
    literal: Option<Literal>,
}

impl Checker<'_> {
    /// Lets `x = …` and `x in …` bind what nothing else does; answers the conditions that are left.
    pub(super) fn bind_conditions<'s>(
        &mut self,
        scope: &mut Scope,
        body: &'s Body,
        parts: &mut Parts<'s>,
    ) -> Vec<&'s ExpressionSyntax> {
        let mut conditions: Vec<Option<&ExpressionSyntax>> = body
            .literals
            .iter()
            .filter_map(|literal| match literal {
                LiteralSyntax::Condition(condition) => Some(Some(condition)),
                LiteralSyntax::Atom(_) | LiteralSyntax::Not(_) => None,
            })
            .collect();
        let mut waiting = Waiting::default();
        for (at, condition) in conditions.iter().enumerate() {
            let Some(condition) = condition.filter(|condition| may_bind(condition)) else {
                continue;
            };
            let names = variables(condition);
            let open = names.into_iter().filter(|(name, span)| scope.find(name, *span).is_none());
            waiting.add(at, open.map(|(name, _)| name).collect());
        }
        while let Some((round, at)) = waiting.ready.pop_first() {
            let Some(slot) = conditions.get_mut(at) else { continue };
            let Some(condition) = *slot else { continue };
            let Some(binding) = self.bind_condition(scope, condition) else { continue };
            *slot = None;
            waiting.bound(&binding.name, (round, at));
            match binding.literal {
                Some(literal) => parts.literals.push(literal),
                None => parts.is_wrong = true,
            }
        }
        conditions.into_iter().flatten().collect()
    }

    /// What a condition binds; `None` if it binds nothing.
    fn bind_condition(
        &mut self,
        scope: &mut Scope,
        condition: &ExpressionSyntax,
    ) -> Option<Binding> {
        let (function, left, right) = sides(condition)?;
        let is_free = |scope: &mut Scope, side: &ExpressionSyntax| {
            side.as_variable().is_some_and(|name| scope.find(name, side.span).is_none())
        };
        let is_bound = |scope: &mut Scope, side: &ExpressionSyntax| {
            !holds_aggregate(side)
                && variables(side).iter().all(|(name, span)| scope.find(name, *span).is_some())
        };
        let (target, source) = if is_free(scope, left) && is_bound(scope, right) {
            (left, right)
        } else if function == Function::Equal && is_free(scope, right) && is_bound(scope, left) {
            (right, left)
        } else {
            return None;
        };
        let name = Name { text: Arc::clone(target.as_variable()?), span: target.span };
        let literal = self.bound_literal(scope, (function, condition), &name, source);
        if literal.is_none() {
            // It was meant to be bound, so nothing is told of where it is used.
            scope.is_incomplete = true;
        }
        Some(Binding { name: name.text, literal })
    }

    fn bound_literal(
        &mut self,
        scope: &mut Scope,
        (function, condition): (Function, &ExpressionSyntax),
        name: &Name,
        source: &ExpressionSyntax,
    ) -> Option<Literal> {
        let value = self.expression(scope, source)?;
        if function == Function::Equal {
            let variable = scope.bind(name, value.typed);
            return Some(Literal::Let(variable, value.expression, condition.span));
        }
        let element = match &value.typed.data_type {
            None => Typed::default(),
            Some(whole) => {
                let Some(of) = whole.element() else {
                    let message = format!("`{}` cannot be in {whole}", name.text);
                    self.tell(
                        Diagnostic::error(source.span, message)
                            .help("it takes each element of a list or a set"),
                    );
                    return None;
                };
                let is_optional = *whole == DataType::Json;
                Typed { data_type: Some(of.as_ref().clone()), is_optional }
            }
        };
        let variable = scope.bind(name, element);
        Some(Literal::Each(variable, value.expression, condition.span))
    }
}

/// The sides of `a = b` and `a in b`.
fn sides(condition: &ExpressionSyntax) -> Option<(Function, &ExpressionSyntax, &ExpressionSyntax)> {
    let ExpressionKind::Operator(function, sides) = &condition.kind else { return None };
    let [left, right] = sides.as_slice() else { return None };
    let may_bind = matches!(function, Function::Equal | Function::In);
    may_bind.then_some((*function, left, right))
}

/// Whether a condition has a side that can be bound.
fn may_bind(condition: &ExpressionSyntax) -> bool {
    sides(condition)
        .is_some_and(|(_, left, right)| left.as_variable().or(right.as_variable()).is_some())
}
