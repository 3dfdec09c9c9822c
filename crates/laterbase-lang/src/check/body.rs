//! Bodies: what their atoms bind, what conditions bind then, and that everything is bound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aggregate::variables;
use super::expression::Typing;
use super::instance::{Checker, PERIOD, Typed};
use super::relation::{StoredTarget, Target, known_columns};
use super::strata::{Edge, Strength};
use super::times::{TimeContext, ValidKey};
use crate::data_type::{Column, DataType};
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::plan::{
    Atom, Expression, Literal, Operand, Relation, Term, Times, Valid, Variable, VariableId,
};
use crate::span::Span;
use crate::syntax::{
    AtomSyntax, Body, ExpressionKind, ExpressionSyntax, LiteralSyntax, Name, PatternField,
    TimesSyntax, ValidSyntax,
};
use crate::value::Value;

/// A variable, as far as it is known.
#[derive(Debug, Clone)]
struct Draft {
    name: Arc<str>,
    typed: Typed,
    span: Span,
}

/// The variables of a rule, and which of them can be named and are bound here.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    drafts: Vec<Draft>,
    names: BTreeMap<Arc<str>, VariableId>,
    /// The names in the order in which they were bound.
    named: Vec<Arc<str>>,
    /// Of the rule around a tree: what can be named there.
    outer: BTreeMap<Arc<str>, (VariableId, Typed)>,
    /// What is used of it.
    pub(super) captured: Vec<(VariableId, VariableId)>,
    /// The identities of stored rows, where they matter.
    pub(super) tells_rows_apart: bool,
    /// The variable that holds for which period a binding is so.
    pub(super) period: Option<VariableId>,
    /// Whether an atom could not be read, so that what it binds is not known.
    pub(super) is_incomplete: bool,
    /// Ids of events that atoms bound.
    pub(super) event_ids: Vec<VariableId>,
    /// Names that nothing binds, of which was told.
    pub(super) unbound: BTreeSet<Arc<str>>,
    /// Whether it is of a tree, whose body may go on where the head was meant to.
    is_of_tree: bool,
    /// Whether its names are those of an answer's columns.
    pub(super) is_of_columns: bool,
}

impl Scope {
    /// A scope of an answer's columns.
    pub(super) fn of_columns() -> Self {
        Self { is_of_columns: true, ..Self::default() }
    }

    /// A scope within a row of this one, in which some names occur. What this one has from a row
    /// around it is taken in, so that it reaches the inner one.
    pub(super) fn around(&mut self, names: &BTreeSet<Arc<str>>) -> Self {
        let mut outer = BTreeMap::new();
        for name in names {
            if let Some(id) = self.find(name, Span::default()) {
                outer.insert(Arc::clone(name), (id, self.typed(id)));
            }
        }
        Self { outer, is_of_tree: true, ..Self::default() }
    }

    fn add(&mut self, name: &str, typed: Typed, span: Span) -> VariableId {
        self.drafts.push(Draft { name: Arc::from(name), typed, span });
        VariableId(self.drafts.len() - 1)
    }

    /// A variable that nobody named.
    pub(super) fn fresh(&mut self, typed: Typed, span: Span) -> VariableId {
        let name = format!("_{}", self.drafts.len());
        self.add(&name, typed, span)
    }

    /// A variable that can be named from now on.
    pub(super) fn bind(&mut self, name: &Name, typed: Typed) -> VariableId {
        let id = self.add(&name.text, typed, name.span);
        self.name(&name.text, id);
        id
    }

    fn name(&mut self, name: &Arc<str>, id: VariableId) {
        self.names.insert(Arc::clone(name), id);
        self.named.push(Arc::clone(name));
    }

    /// Takes back what was bound behind the first so many names.
    fn forget(&mut self, first: usize) {
        for name in self.named.split_off(first.min(self.named.len())) {
            self.names.remove(&name);
        }
    }

    /// The variable of a name, if it is bound; one of the row around is taken in.
    pub(super) fn find(&mut self, name: &Arc<str>, span: Span) -> Option<VariableId> {
        if let Some(found) = self.names.get(name) {
            return Some(*found);
        }
        let (outside, typed) = self.outer.get(name)?.clone();
        let inside = self.add(name, typed, span);
        self.name(name, inside);
        self.captured.push((outside, inside));
        Some(inside)
    }

    pub(super) fn known_names(&self) -> Vec<Arc<str>> {
        self.names.keys().chain(self.outer.keys()).cloned().collect()
    }

    pub(super) fn typed(&self, id: VariableId) -> Typed {
        self.drafts.get(id.0).map(|draft| draft.typed.clone()).unwrap_or_default()
    }

    pub(super) fn variables(&self) -> Vec<Variable> {
        let variable = |draft: &Draft| Variable {
            column: Column {
                name: Arc::clone(&draft.name),
                data_type: draft.typed.data_type.clone().unwrap_or(DataType::Json),
                is_optional: draft.typed.is_optional,
            },
            span: draft.span,
        };
        self.drafts.iter().map(variable).collect()
    }
}

/// The times of a rule, for its atoms.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyTimes<'a> {
    pub(super) context: &'a TimeContext,
    /// `valid` with a variable.
    pub(super) valid: Option<&'a ExpressionSyntax>,
    /// The name of the period for which a binding is so.
    pub(super) bind: Option<&'a Name>,
}

impl<'a> BodyTimes<'a> {
    pub(super) fn new(syntax: &'a TimesSyntax, context: &'a TimeContext) -> Self {
        let (mut valid, mut bind) = (None, None);
        match &syntax.valid {
            Some(ValidSyntax::At(at)) if !variables(at).is_empty() => valid = Some(at),
            Some(ValidSyntax::In { bind: name, .. }) => bind = name.as_ref(),
            Some(ValidSyntax::At(_) | ValidSyntax::Any(_)) | None => {}
        }
        Self { context, valid, bind }
    }
}

/// What a body comes to while it is read.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) literals: Vec<Literal>,
    /// Variables of columns that must equal an expression.
    equal: Vec<(VariableId, &'a ExpressionSyntax)>,
    /// Variables that are the value of an expression, once that is bound.
    lets: Vec<(VariableId, &'a ExpressionSyntax)>,
    /// For which periods atoms are so.
    periods: Vec<VariableId>,
    /// Whether it is negated: then it says nothing of what is bound outside.
    is_negated: bool,
    pub(super) is_wrong: bool,
}

impl<'a> Checker<'a> {
    /// What a body says; `None` after a mistake was told.
    pub(super) fn body(
        &mut self,
        scope: &mut Scope,
        body: &Body,
        times: BodyTimes<'_>,
    ) -> Option<Vec<Literal>> {
        self.literals(scope, body, times, false)
    }

    fn literals(
        &mut self,
        scope: &mut Scope,
        body: &Body,
        times: BodyTimes<'_>,
        is_negated: bool,
    ) -> Option<Vec<Literal>> {
        let mut parts = Parts { is_negated, ..Parts::default() };
        for literal in &body.literals {
            if let LiteralSyntax::Atom(atom) = literal
                && self.atom(scope, atom, times, &mut parts, is_negated).is_none()
            {
                parts.is_wrong = true;
                scope.is_incomplete = true;
            }
        }
        if !is_negated {
            self.bind_period(scope, times, &mut parts);
        }
        let filters = self.bind_conditions(scope, body, &mut parts);
        self.compute(scope, &mut parts);
        for filter in filters {
            self.filter(scope, filter, &mut parts);
        }
        for literal in &body.literals {
            if let LiteralSyntax::Not(inner) = literal {
                let named_before = scope.named.len();
                let first_edge = self.edges.len();
                let negated = self.literals(scope, inner, times, true);
                let edges = self.edges.get_mut(first_edge..).unwrap_or_default();
                edges.iter_mut().for_each(|edge| edge.strength = Strength::Negated);
                scope.forget(named_before);
                match negated {
                    Some(negated) => parts.literals.push(Literal::Not(negated, inner.span)),
                    None => parts.is_wrong = true,
                }
            }
        }
        (!parts.is_wrong).then_some(parts.literals)
    }

    /// Computes times of atoms and what columns must equal, now that all is bound.
    fn compute(&mut self, scope: &mut Scope, parts: &mut Parts<'_>) {
        for (variable, expression) in std::mem::take(&mut parts.lets) {
            match self.expression(scope, expression) {
                Some(typing) => {
                    let time = self.as_type(typing, &DataType::Time);
                    let value = time.map(|it| it.expression);
                    let value = value.unwrap_or(Expression::Value(Value::Null));
                    parts.literals.push(Literal::Let(variable, value, expression.span));
                }
                None => parts.is_wrong = true,
            }
        }
        for (variable, expression) in std::mem::take(&mut parts.equal) {
            let left = Typing {
                expression: Expression::Variable(variable),
                typed: scope.typed(variable),
                span: expression.span,
            };
            let equal = self.expression(scope, expression).and_then(|right| {
                self.typed_call(Function::Equal, vec![left, right], expression.span)
            });
            match equal {
                Some(equal) => {
                    parts.literals.push(Literal::Filter(equal.expression, expression.span));
                }
                None => parts.is_wrong = true,
            }
        }
    }

    /// A condition that binds nothing.
    fn filter(&mut self, scope: &mut Scope, filter: &ExpressionSyntax, parts: &mut Parts<'_>) {
        let typing = self
            .expression(scope, filter)
            .filter(|typing| !(scope.is_of_tree && self.is_no_condition(filter, typing)));
        match typing.and_then(|it| self.as_condition(it)) {
            Some(condition) => parts.literals.push(Literal::Filter(condition, filter.span)),
            None => parts.is_wrong = true,
        }
    }

    /// Tells of a name by itself that is neither true nor false: probably a column of the head.
    fn is_no_condition(&mut self, filter: &ExpressionSyntax, typing: &Typing) -> bool {
        let is_known = !matches!(typing.base(), None | Some(DataType::Bool | DataType::Json));
        let Some(name) = filter.as_variable().filter(|_| is_known) else { return false };
        let message = format!("`{name}` is neither true nor false, and stands in a tree's body");
        self.tell(Diagnostic::error(filter.span, message).help(
            "a tree's body goes on to the brace of the head, or to `limit`: write other columns \
             before the tree",
        ));
        true
    }

    fn atom<'s>(
        &mut self,
        scope: &mut Scope,
        atom: &'s AtomSyntax,
        times: BodyTimes<'s>,
        parts: &mut Parts<'s>,
        is_negated: bool,
    ) -> Option<()> {
        let has_own_valid = atom.times.valid.is_some();
        let own = BodyTimes::new(&atom.times, times.context);
        let valid = if has_own_valid { own.valid } else { times.valid };
        let constant = if own.valid.is_some() {
            let TimesSyntax { cut, .. } = &atom.times;
            TimesSyntax { cut: cut.clone(), valid: None }
        } else {
            atom.times.clone()
        };
        let context = self.constant_times(&constant).or(times.context);
        let target = self.target(&atom.relation, &context)?;
        if let Target::Derived(number) = &target {
            self.edges.push(Edge { to: *number, strength: Strength::Rows, span: atom.span });
            if let Some(valid) = valid {
                self.tell(
                    Diagnostic::error(valid.span, "a rule is asked at times that are known before")
                        .help("use a variable with `valid` at tables and events only"),
                );
                return None;
            }
        }
        let mut terms = Vec::new();
        let mut is_wrong = false;
        for field in &atom.fields {
            match self.term(scope, &target, field, parts) {
                Some(term) => terms.extend(term),
                None => is_wrong = true,
            }
        }
        let valid_at = valid.map(|valid| self.moment(scope, valid, parts));
        let plan_times = self.plan_times(&target, &context, valid_at);
        let holds_period = self.holds_period(&target, &context);
        if holds_period && is_negated && !has_own_valid {
            self.tell(
                Diagnostic::error(atom.span, "over a range of valid times nothing can be negated")
                    .help("say when it is not so: not (a{…} valid 2026-03-01)"),
            );
            return None;
        }
        if holds_period && (own.bind.is_some() || !has_own_valid) {
            let variable = self.period_of(scope, atom, own.bind, parts)?;
            terms.extend(self.hidden_term(&target, PERIOD, variable));
        } else if let Some(name) = own.bind {
            self.tell_of_no_period(name);
            return None;
        }
        if let Target::Stored(stored) = &target
            && !is_negated
        {
            self.tell_apart(scope, stored, &mut terms, atom.span);
        }
        let relation = match &target {
            Target::Stored(stored) => Relation::Stored(self.stored_number(stored)),
            Target::Derived(number) => Relation::Derived(*number),
        };
        let atom = Atom { relation, terms, times: plan_times, span: atom.span };
        parts.literals.push(Literal::Atom(atom));
        (!is_wrong).then_some(())
    }

    /// The variable for the period of an atom's rows: one with a name, or one that the period of
    /// the body is made of.
    fn period_of(
        &mut self,
        scope: &mut Scope,
        atom: &AtomSyntax,
        bind: Option<&Name>,
        parts: &mut Parts<'_>,
    ) -> Option<VariableId> {
        let typed = Typed { data_type: Some(DataType::Period), is_optional: false };
        let Some(name) = bind else {
            let variable = scope.fresh(typed, atom.span);
            parts.periods.push(variable);
            return Some(variable);
        };
        self.bind_new(scope, name, typed)
    }

    /// Binds a name to a period; a mistake if it is bound already.
    fn bind_new(&mut self, scope: &mut Scope, name: &Name, typed: Typed) -> Option<VariableId> {
        if scope.find(&name.text, name.span).is_some() {
            self.tell(
                Diagnostic::error(name.span, format!("`{}` is bound already", name.text))
                    .help("give each period a name of its own; overlaps(p, q) compares two"),
            );
            return None;
        }
        Some(scope.bind(name, typed))
    }

    /// What a field of an atom is bound to; several terms never, none for `_`.
    fn term<'s>(
        &mut self,
        scope: &mut Scope,
        target: &Target<'a>,
        field: &'s PatternField,
        parts: &mut Parts<'s>,
    ) -> Option<Option<Term>> {
        if field.change.is_some() {
            self.tell(
                Diagnostic::error(field.name.span, "only `put` adds to a column")
                    .help("write the value by itself"),
            );
            return None;
        }
        let (column, typed) = self.column(target, &field.name)?;
        let term = |variable| Term { column, operand: Operand::Variable(variable) };
        let named = |text: &Arc<str>, span| Name { text: Arc::clone(text), span };
        let name = match &field.value {
            None => Some(named(&field.name.text, field.name.span)),
            Some(value) if value.kind == ExpressionKind::Anything => return Some(None),
            Some(value) => value.as_variable().map(|text| named(text, value.span)),
        };
        if let Some(name) = name {
            return Some(Some(term(self.bound(scope, &name, typed, parts))));
        }
        let value = field.value.as_ref()?;
        if variables(value).is_empty() {
            let constant = self.constant(value)?;
            let is_json = typed.data_type == Some(DataType::Json);
            let fits = match &typed.data_type {
                None => Some(constant.clone()),
                Some(DataType::Json) => is_plain(&constant).then(|| constant.clone()),
                Some(data_type) => super::fitting(&constant, data_type),
            };
            if let Some(fits) = fits.filter(|value| !value.is_null()) {
                return Some(Some(Term { column, operand: Operand::Value(fits) }));
            }
            if constant.is_null() {
                self.tell(Diagnostic::error(value.span, "nothing equals `null`").help(format!(
                    "name the field and say `{} is null` behind a comma",
                    field.name.text
                )));
                return None;
            }
            if !is_json {
                self.tell_of_mismatch(&field.name, &typed, &constant, value.span);
                return None;
            }
        }
        let variable = scope.fresh(typed, value.span);
        parts.equal.push((variable, value));
        Some(Some(term(variable)))
    }

    fn tell_of_mismatch(&mut self, name: &Name, typed: &Typed, value: &Value, span: Span) {
        let wanted = typed.data_type.as_ref().map(ToString::to_string).unwrap_or_default();
        let message = format!("`{}` is {wanted}, and this is {}", name.text, value.kind());
        self.tell(Diagnostic::error(span, message).label(format!("expected {wanted}")));
    }

    /// The variable of a name at a column: the one that is bound already if types agree, else one
    /// that must equal it.
    fn bound<'s>(
        &mut self,
        scope: &mut Scope,
        name: &Name,
        typed: Typed,
        parts: &mut Parts<'s>,
    ) -> VariableId {
        let Some(found) = scope.find(&name.text, name.span) else {
            return scope.bind(name, typed);
        };
        let before = scope.typed(found);
        let base = |typed: &Typed| typed.data_type.as_ref().map(|it| it.base().clone());
        match (base(&before), base(&typed)) {
            (Some(a), Some(b)) if a != b && !equals_by_value(&a, &b) => {
                let other = scope.fresh(typed.clone(), name.span);
                let side = |id, typed| Typing {
                    expression: Expression::Variable(id),
                    typed,
                    span: name.span,
                };
                let sides = vec![side(found, before), side(other, typed)];
                if let Some(equal) = self.typed_call(Function::Equal, sides, name.span) {
                    parts.literals.push(Literal::Filter(equal.expression, name.span));
                } else {
                    parts.is_wrong = true;
                }
                other
            }
            (None, Some(_)) => {
                // Its type is not known yet; this one is.
                if let Some(draft) = scope.drafts.get_mut(found.0) {
                    draft.typed.data_type = typed.data_type;
                }
                found
            }
            _ => {
                // What is bound twice is there: an absent value equals nothing.
                if let Some(draft) = scope.drafts.get_mut(found.0)
                    && !parts.is_negated
                {
                    draft.typed.is_optional = false;
                }
                found
            }
        }
    }

    /// The column of a field, and its type.
    fn column(&mut self, target: &Target<'a>, name: &Name) -> Option<(usize, Typed)> {
        match target {
            Target::Stored(stored) => {
                let number = self.stored_number(stored);
                let found = self.stored_column(number, stored, &name.text);
                if found.is_none() && self.is_listening() {
                    self.tell_of_no_field(&stored.name, &known_columns(stored), name);
                }
                found
            }
            Target::Derived(number) => {
                let instance = self.instances.get(*number)?;
                let at = instance.slot_numbers.get(&name.text).copied();
                let found =
                    at.and_then(|at| instance.slots.get(at).map(|slot| (at, slot.typed.clone())));
                if found.is_none() && self.is_listening() {
                    let of = Arc::clone(&instance.name);
                    let known: Vec<Arc<str>> =
                        instance.slots.iter().map(|slot| Arc::clone(&slot.name)).collect();
                    let known: Vec<&str> =
                        known.iter().map(AsRef::as_ref).filter(|name| *name != PERIOD).collect();
                    self.tell_of_no_field(&of, &known, name);
                }
                found
            }
        }
    }

    /// A term for a column that nobody named.
    fn hidden_term(
        &mut self,
        target: &Target<'a>,
        name: &str,
        variable: VariableId,
    ) -> Option<Term> {
        let column = match target {
            Target::Stored(stored) => {
                let number = self.stored_number(stored);
                self.stored_column(number, stored, name)?.0
            }
            Target::Derived(number) => {
                self.instances.get(*number)?.slot_numbers.get(name).copied()?
            }
        };
        Some(Term { column, operand: Operand::Variable(variable) })
    }

    /// Binds what tells stored rows apart, where aggregates count them.
    fn tell_apart(
        &mut self,
        scope: &mut Scope,
        target: &StoredTarget<'a>,
        terms: &mut Vec<Term>,
        span: Span,
    ) {
        let number = self.stored_number(target);
        let Some((column, typed)) = self.stored_column(number, target, target.identity()) else {
            return;
        };
        let there = terms.iter().find_map(|term| match &term.operand {
            Operand::Variable(variable) if term.column == column => Some(*variable),
            Operand::Variable(_) | Operand::Value(_) => None,
        });
        let has_column = terms.iter().any(|term| term.column == column);
        let variable = match there {
            Some(variable) => variable,
            None if has_column || !scope.tells_rows_apart => return,
            None => {
                let variable = scope.fresh(typed, span);
                terms.push(Term { column, operand: Operand::Variable(variable) });
                variable
            }
        };
        if !target.is_table() {
            scope.event_ids.push(variable);
        }
    }

    /// A time that may depend on what is bound.
    fn moment<'s>(
        &mut self,
        scope: &mut Scope,
        syntax: &'s ExpressionSyntax,
        parts: &mut Parts<'s>,
    ) -> Operand {
        let typed = Typed { data_type: Some(DataType::Time), is_optional: false };
        let variable = scope.fresh(typed, syntax.span);
        parts.lets.push((variable, syntax));
        Operand::Variable(variable)
    }

    fn plan_times(
        &self,
        target: &Target<'a>,
        context: &TimeContext,
        valid_at: Option<Operand>,
    ) -> Times {
        let Target::Stored(stored) = target else { return Times::default() };
        let time = |micros: i64| Operand::Value(Value::Time(micros));
        let valid = match (valid_at, &context.valid) {
            (Some(at), _) => Valid::At(at),
            (None, Some(ValidKey::Any)) => Valid::Any,
            (None, Some(ValidKey::At(at))) => Valid::At(time(*at)),
            (None, Some(ValidKey::In(from, until))) => {
                Valid::In { from: from.map(time), until: until.map(time) }
            }
            (None, None) if stored.is_table() => Valid::At(time(self.context.now)),
            (None, None) => Valid::Any,
        };
        Times { cut: context.cut(), valid }
    }

    /// Whether rows are so for a period that has a column.
    fn holds_period(&self, target: &Target<'a>, context: &TimeContext) -> bool {
        match target {
            Target::Stored(stored) => stored.is_table() && context.is_range(),
            Target::Derived(_) => context.is_range(),
        }
    }

    fn tell_of_no_period(&mut self, name: &Name) {
        self.tell(Diagnostic::error(name.span, "nothing here is so for a period").help(
            "rows of tables are, and rules over tables, with `valid in [from, until) as p`; events \
             happen at a moment: bind their `at`",
        ));
    }

    /// Binds for which period a binding is so: what the periods of its atoms share.
    fn bind_period(&mut self, scope: &mut Scope, times: BodyTimes<'_>, parts: &mut Parts<'_>) {
        let Some(ValidKey::In(from, until)) = times.context.valid else {
            if let Some(name) = times.bind {
                self.tell_of_no_period(name);
            }
            return;
        };
        let span = times.bind.map(|name| name.span).unwrap_or_default();
        if let (Some(name), []) = (times.bind, parts.periods.as_slice()) {
            self.tell_of_no_period(name);
            parts.is_wrong = true;
        }
        let shared = parts
            .periods
            .iter()
            .map(|id| Expression::Variable(*id))
            .reduce(|a, b| Expression::Call(Function::Intersect, vec![a, b], span));
        let is_several = parts.periods.len() > 1;
        let typed = Typed { data_type: Some(DataType::Period), is_optional: false };
        let variable = match times.bind {
            Some(name) => self.bind_new(scope, name, typed),
            None => Some(scope.fresh(typed, span)),
        };
        let Some(variable) = variable else {
            parts.is_wrong = true;
            return;
        };
        let whole = || Expression::Value(Value::Period(from, until));
        parts.literals.push(Literal::Let(variable, shared.unwrap_or_else(whole), span));
        if is_several {
            let is_null = vec![Expression::Variable(variable)];
            let is_null = Expression::Call(Function::IsNull, is_null, span);
            let is_there = Expression::Call(Function::Not, vec![is_null], span);
            parts.literals.push(Literal::Filter(is_there, span));
        }
        scope.period = Some(variable);
    }
}

/// Whether a value may stand in JSON as it is.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Decimal(_) | Value::Text(_) => true,
        Value::List(values) => values.iter().all(is_plain),
        Value::Record(fields) => fields.iter().all(|(_, value)| is_plain(value)),
        Value::Null
        | Value::Float(_)
        | Value::Bytes(_)
        | Value::Time(_)
        | Value::Date(_)
        | Value::Duration(_)
        | Value::Id(_)
        | Value::Period(..)
        | Value::Set(_) => false,
    }
}

/// Whether values of two types are equal exactly when they are one value. Numbers are equal by what
/// they say, and JSON holds any of them; a text in it equals a text that is declared.
fn equals_by_value(a: &DataType, b: &DataType) -> bool {
    let is_one = |it: &DataType| matches!(it, DataType::Text | DataType::Bool | DataType::Id);
    matches!((a, b), (DataType::Json, other) | (other, DataType::Json) if is_one(other))
}
