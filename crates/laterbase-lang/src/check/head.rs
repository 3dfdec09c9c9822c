//! Heads: the columns of rules and answers, aggregates among them, and trees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aggregate::{holds_aggregate, is_aggregate, variables};
use super::body::{BodyTimes, Scope};
use super::call::common;
use super::expression::Typing;
use super::instance::{Checker, PERIOD, Slot, Typed};
use super::strata::Strength;
use super::times::{TimeContext, ValidKey};
use crate::data_type::{Column, DataType};
use crate::diagnostic::Diagnostic;
use crate::function::Aggregate;
use crate::plan::{Answer, Expression, HeadTerm, Rule, Sort, Tree};
use crate::span::Span;
use crate::syntax::{
    ExpressionKind, ExpressionSyntax, Head, HeadField, HeadValue, LiteralSyntax, Name, RuleSyntax,
    Select, TimesSyntax, ValidSyntax,
};
use crate::value::Value;

/// The columns that a rule's head must have.
pub(super) struct Shape<'a> {
    /// The relation.
    pub(super) number: usize,
    pub(super) slots: &'a [Slot],
    /// The rule that says which columns there are.
    pub(super) first: Option<&'a Arc<RuleSyntax>>,
}

/// A column as it is checked.
struct Made {
    name: Arc<str>,
    term: HeadTerm,
    typed: Typed,
    aggregate: Option<Aggregate>,
    span: Span,
}

impl Made {
    /// The column in a head of aggregates alone, which has a row for no bindings too: of none there
    /// is no least one, and no mean.
    fn of_a_group(mut self, is_alone: bool) -> Self {
        self.typed.is_optional |= is_alone
            && match &self.aggregate {
                Some(
                    Aggregate::Average
                    | Aggregate::Min
                    | Aggregate::Max
                    | Aggregate::First
                    | Aggregate::Last
                    | Aggregate::ArgMin
                    | Aggregate::ArgMax,
                ) => true,
                Some(
                    Aggregate::Count
                    | Aggregate::CountDistinct
                    | Aggregate::Sum
                    | Aggregate::Collect
                    | Aggregate::Union
                    | Aggregate::Every
                    | Aggregate::Some,
                )
                | None => false,
            };
        self
    }
}

impl Checker<'_> {
    /// A rule of a relation; `None` after a mistake was told. The relation's columns take in what
    /// it says of their types.
    pub(super) fn rule(
        &mut self,
        syntax: &RuleSyntax,
        asked: &TimeContext,
        shape: &Shape<'_>,
    ) -> Option<Rule> {
        let bytes = syntax.head.span.to(syntax.body.span);
        if !self.may_check(bytes.end.saturating_sub(bytes.start) as usize) {
            return None;
        }
        let context = self.rule_times(&syntax.times, asked);
        let times = BodyTimes::new(&syntax.times, &context);
        let mut scope = Scope::default();
        let has_aggregates = holds_aggregates(&syntax.head);
        scope.tells_rows_apart = counts_rows(&syntax.head);
        let first_edge = self.edges.len();
        let body = self.body(&mut scope, &syntax.body, times);
        let mut made = Vec::new();
        let mut is_wrong = body.is_none();
        let is_alone = holds_aggregates_alone(&syntax.head);
        for field in &syntax.head.fields {
            match self.head_field(&mut scope, field, None) {
                Some(column) => made.push(column.of_a_group(is_alone)),
                None => is_wrong = true,
            }
        }
        if asked.is_range() {
            if has_aggregates {
                self.tell(
                    Diagnostic::error(syntax.head.span, "over a range of valid times rows change")
                        .help("aggregate in the query itself, or ask the rule at a time"),
                );
                is_wrong = true;
            }
            made.extend(self.period_column(&scope, &context, syntax.head.span));
        }
        let is_lattice =
            made.iter().all(|column| column.aggregate.as_ref().is_none_or(Aggregate::is_lattice));
        if has_aggregates && !is_lattice {
            let edges = self.edges.get_mut(first_edge..).unwrap_or_default();
            let rows = edges.iter_mut().filter(|edge| edge.strength == Strength::Rows);
            rows.for_each(|edge| edge.strength = Strength::Aggregated);
        }
        let head = self.fit(made, shape, &syntax.head)?;
        if is_wrong {
            return None;
        }
        let span = syntax.name.span.to(syntax.body.span);
        Some(Rule { variables: scope.variables(), head, body: body?, span })
    }

    /// A rule's own times, else those that it is asked at. A rule that says at which time it is to
    /// be read answers the same over a range.
    fn rule_times(&mut self, syntax: &TimesSyntax, asked: &TimeContext) -> TimeContext {
        let is_variable = match &syntax.valid {
            Some(ValidSyntax::At(at)) => !variables(at).is_empty(),
            Some(ValidSyntax::In { .. } | ValidSyntax::Any(_)) | None => false,
        };
        if is_variable {
            let cut = TimesSyntax { cut: syntax.cut.clone(), valid: None };
            return self.constant_times(&cut).or(asked);
        }
        self.constant_times(syntax).or(asked)
    }

    /// The column for the period, of a rule that is asked over a range.
    fn period_column(&mut self, scope: &Scope, context: &TimeContext, span: Span) -> Option<Made> {
        let expression = match scope.period {
            Some(variable) => Expression::Variable(variable),
            None => match &context.valid {
                Some(ValidKey::In(from, until)) => Expression::Value(Value::Period(*from, *until)),
                Some(ValidKey::Any | ValidKey::At(_)) | None => {
                    Expression::Value(Value::Period(None, None))
                }
            },
        };
        Some(Made {
            name: Arc::from(PERIOD),
            term: HeadTerm::Value(expression),
            typed: Typed { data_type: Some(DataType::Period), is_optional: false },
            aggregate: None,
            span,
        })
    }

    /// Columns in the relation's order; their types become the relation's.
    fn fit(&mut self, made: Vec<Made>, shape: &Shape<'_>, head: &Head) -> Option<Vec<HeadTerm>> {
        let mut is_wrong = false;
        let mut by_name: BTreeMap<Arc<str>, Made> = BTreeMap::new();
        for column in made {
            by_name.insert(Arc::clone(&column.name), column);
        }
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for field in &head.fields {
            if !named.insert(&field.name.text) {
                self.tell_of_twin(&field.name);
                is_wrong = true;
            }
        }
        let mut terms = Vec::new();
        for (at, slot) in shape.slots.iter().enumerate() {
            let Some(column) = by_name.remove(&slot.name) else {
                is_wrong = true;
                if !named.contains(slot.name.as_ref()) {
                    self.tell_of_shape(head, shape, &format!("lacks `{}`", slot.name));
                }
                continue;
            };
            match self.widen(shape.number, at, column) {
                Some(term) => terms.push(term),
                None => is_wrong = true,
            }
        }
        for extra in by_name.into_values() {
            is_wrong = true;
            self.tell_of_shape(head, shape, &format!("has `{}` besides", extra.name));
        }
        (!is_wrong).then_some(terms)
    }

    fn tell_of_shape(&mut self, head: &Head, shape: &Shape<'_>, how: &str) {
        let mut told =
            Diagnostic::error(head.span, format!("the head {how}: not what the first rule has"))
                .help("rules of one name have the same columns, in any order");
        if let Some(first) = shape.first {
            told = told.note(first.head.span, "the first rule");
        }
        self.tell(told);
    }

    /// A column of a rule as one of the relation, whose type widens to hold it.
    fn widen(&mut self, number: usize, at: usize, column: Made) -> Option<HeadTerm> {
        let slot = self.instances.get_mut(number)?.slots.get_mut(at)?;
        if slot.aggregate.is_none() {
            slot.aggregate = column.aggregate.clone();
        }
        slot.typed.is_optional |= column.typed.is_optional;
        let clash = match (&slot.aggregate, &column.aggregate) {
            (Some(a), Some(b)) if a != b => Some((a.name(), b.name())),
            _ => None,
        };
        let wanted = match (&slot.typed.data_type, &column.typed.data_type) {
            (None, found) => found.clone(),
            (known, None) => known.clone(),
            (Some(known), Some(found)) => match common(known, found) {
                Some(both) => Some(both),
                None => {
                    let message =
                        format!("`{}` is {found} here, and {known} in another rule", column.name);
                    self.tell(Diagnostic::error(column.span, message));
                    return None;
                }
            },
        };
        slot.typed.data_type.clone_from(&wanted);
        if let Some((a, b)) = clash {
            let message = format!("`{}` is a {b} here, and a {a} in another rule", column.name);
            self.tell(Diagnostic::error(column.span, message));
            return None;
        }
        match (column.term, wanted) {
            (HeadTerm::Value(expression), Some(wanted)) => {
                let typing = Typing { expression, typed: column.typed, span: column.span };
                self.as_type(typing, &wanted).map(|it| HeadTerm::Value(it.expression))
            }
            (HeadTerm::Aggregate { aggregate, mut arguments, span }, Some(wanted)) => {
                if let Some(first) = arguments.first_mut()
                    && aggregate.answers_its_argument()
                {
                    let expression = first.clone();
                    let typing = Typing { expression, typed: column.typed, span };
                    *first = self.as_type(typing, &wanted)?.expression;
                }
                Some(HeadTerm::Aggregate { aggregate, arguments, span })
            }
            (term, _) => Some(term),
        }
    }

    /// A column of a head.
    fn head_field(
        &mut self,
        scope: &mut Scope,
        field: &HeadField,
        trees_at: Option<&TimeContext>,
    ) -> Option<Made> {
        let name = Arc::clone(&field.name.text);
        let span = field.name.span;
        match &field.value {
            None => {
                let kind = ExpressionKind::Variable(Arc::clone(&name));
                self.value_column(scope, name, &ExpressionSyntax { kind, span })
            }
            Some(HeadValue::Expression(expression)) if is_aggregate(expression) => {
                self.aggregate_column(scope, name, expression)
            }
            Some(HeadValue::Expression(expression)) => self.value_column(scope, name, expression),
            Some(HeadValue::Tree { is_many, select }) => {
                let Some(asked) = trees_at else {
                    self.tell(
                        Diagnostic::error(select.span, "only the answer of a query has trees")
                            .help(
                                "let the rule have plain columns, and build the tree in the query",
                            ),
                    );
                    return None;
                };
                self.tree_column(scope, name, *is_many, select, asked)
            }
        }
    }

    fn value_column(
        &mut self,
        scope: &mut Scope,
        name: Arc<str>,
        expression: &ExpressionSyntax,
    ) -> Option<Made> {
        let typing = self.expression(scope, expression)?;
        let term = HeadTerm::Value(typing.expression);
        Some(Made { name, term, typed: typing.typed, aggregate: None, span: expression.span })
    }

    fn aggregate_column(
        &mut self,
        scope: &mut Scope,
        name: Arc<str>,
        syntax: &ExpressionSyntax,
    ) -> Option<Made> {
        let ExpressionKind::Call(called, arguments) = &syntax.kind else { return None };
        let aggregate = Aggregate::by_name(&called.text)?;
        let mut typings = Vec::new();
        for argument in arguments {
            typings.push(self.expression(scope, argument)?);
        }
        self.check_arguments(&aggregate, &mut typings, scope, syntax.span)?;
        let typed = self.aggregate_type(&aggregate, &mut typings, syntax.span)?;
        let arguments = typings.into_iter().map(|typing| typing.expression).collect();
        let span = syntax.span;
        let term = HeadTerm::Aggregate { aggregate: aggregate.clone(), arguments, span };
        Some(Made { name, term, typed, aggregate: Some(aggregate), span })
    }

    /// How many arguments there are; `first` and `last` get the id of the one event if there is
    /// one.
    fn check_arguments(
        &mut self,
        aggregate: &Aggregate,
        typings: &mut Vec<Typing>,
        scope: &Scope,
        span: Span,
    ) -> Option<()> {
        let (least, most) = match aggregate {
            Aggregate::Count => (0, 1),
            Aggregate::First | Aggregate::Last | Aggregate::Collect => (1, 2),
            Aggregate::ArgMin | Aggregate::ArgMax => (2, 2),
            Aggregate::CountDistinct
            | Aggregate::Sum
            | Aggregate::Min
            | Aggregate::Max
            | Aggregate::Average
            | Aggregate::Union
            | Aggregate::Every
            | Aggregate::Some => (1, 1),
        };
        if typings.len() < least || typings.len() > most {
            let message = format!(
                "`{}` takes {}, and here are {}",
                aggregate.name(),
                super::call::arguments_text(least, most),
                typings.len()
            );
            self.tell(Diagnostic::error(span, message));
            return None;
        }
        if matches!(aggregate, Aggregate::First | Aggregate::Last) && typings.len() == 1 {
            let [id] = scope.event_ids.as_slice() else {
                self.tell(
                    Diagnostic::error(span, format!("`{}` of what order?", aggregate.name())).help(
                        "where the body has not exactly one event, say by what: last(port, id)",
                    ),
                );
                return None;
            };
            let expression = Expression::Variable(*id);
            typings.push(Typing { expression, typed: scope.typed(*id), span });
        }
        Some(())
    }

    fn aggregate_type(
        &mut self,
        aggregate: &Aggregate,
        typings: &mut [Typing],
        span: Span,
    ) -> Option<Typed> {
        let some = |data_type| Typed { data_type: Some(data_type), is_optional: false };
        if *aggregate == Aggregate::Count || *aggregate == Aggregate::CountDistinct {
            return Some(some(DataType::Int));
        }
        let first = typings.first_mut()?;
        let is_sum = matches!(aggregate, Aggregate::Sum | Aggregate::Average);
        let wanted = match (first.base(), aggregate) {
            (Some(DataType::Json), _) if is_sum => Some(DataType::Decimal),
            (Some(DataType::Json), Aggregate::Every | Aggregate::Some) => Some(DataType::Bool),
            (Some(other), Aggregate::Every | Aggregate::Some) if *other != DataType::Bool => {
                Some(DataType::Bool)
            }
            _ => None,
        };
        if let Some(wanted) = wanted {
            let typing = self.as_type(first.clone(), &wanted)?;
            *first = typing;
        }
        let Some(found) = first.base().cloned() else {
            return Some(Typed { data_type: None, is_optional: false });
        };
        let is_optional = first.typed.is_optional;
        let made = match aggregate {
            Aggregate::Sum | Aggregate::Average => {
                if !found.is_number() && found != DataType::Duration {
                    let message = format!("`{}` takes numbers, not {found}", aggregate.name());
                    self.tell(Diagnostic::error(span, message));
                    return None;
                }
                let is_mean = *aggregate == Aggregate::Average;
                let data_type =
                    if is_mean && found == DataType::Int { DataType::Decimal } else { found };
                Typed { data_type: Some(data_type), is_optional: is_mean && is_optional }
            }
            Aggregate::Collect => some(DataType::List(Arc::new(found))),
            Aggregate::Union => {
                let Some(of) = found.element() else {
                    let message = format!("`union` takes sets, not {found}");
                    let told = Diagnostic::error(span, message);
                    self.tell(told.help("collect(x) makes a list of single values"));
                    return None;
                };
                some(DataType::Set(of))
            }
            Aggregate::Every | Aggregate::Some => some(DataType::Bool),
            Aggregate::Min
            | Aggregate::Max
            | Aggregate::First
            | Aggregate::Last
            | Aggregate::ArgMin
            | Aggregate::ArgMax => {
                // By nothing but absent values there is no first one.
                let data_type = first.typed.data_type.clone();
                let is_optional = typings.iter().any(|typing| typing.typed.is_optional);
                Typed { data_type, is_optional }
            }
            Aggregate::Count | Aggregate::CountDistinct => some(DataType::Int),
        };
        Some(made)
    }

    fn tree_column(
        &mut self,
        scope: &mut Scope,
        name: Arc<str>,
        is_many: bool,
        select: &Select,
        asked: &TimeContext,
    ) -> Option<Made> {
        if select.body.literals.is_empty() {
            self.tell(
                Diagnostic::error(select.span, "rows of what?").help(
                    "a tree has a body: many {order, total} :- sales.placed{key: order, total}",
                ),
            );
            return None;
        }
        let mut inner = scope.around(&names_in(select));
        let answer = self.select_in(select, asked, &mut inner)?;
        let outer = inner.captured;
        let columns: Arc<[Column]> = answer.columns.clone().into();
        let record = DataType::Record(columns);
        let data_type = if is_many { DataType::List(Arc::new(record)) } else { record };
        let typed = Typed { data_type: Some(data_type), is_optional: !is_many };
        let term = HeadTerm::Tree(Box::new(Tree { is_many, answer, outer }));
        Some(Made { name, term, typed, aggregate: None, span: select.span })
    }

    /// The answer of a query.
    pub(super) fn select(&mut self, select: &Select, asked: &TimeContext) -> Option<Answer> {
        self.select_in(select, asked, &mut Scope::default())
    }

    fn select_in(
        &mut self,
        select: &Select,
        asked: &TimeContext,
        scope: &mut Scope,
    ) -> Option<Answer> {
        let context = self.rule_times(&select.times, asked);
        let times = BodyTimes::new(&select.times, &context);
        scope.tells_rows_apart = counts_rows(&select.head);
        let body = self.body(scope, &select.body, times);
        let mut head = Vec::new();
        let mut columns: Vec<Column> = Vec::new();
        let mut is_wrong = body.is_none();
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for field in &select.head.fields {
            if !named.insert(&field.name.text) {
                self.tell_of_twin(&field.name);
                is_wrong = true;
            }
            let Some(made) = self.head_field(scope, field, Some(&context)) else {
                is_wrong = true;
                continue;
            };
            let made = made.of_a_group(holds_aggregates_alone(&select.head));
            if holds_aggregates(&select.head) && matches!(made.term, HeadTerm::Tree(_)) {
                self.tell(
                    Diagnostic::error(made.span, "a tree and an aggregate cannot share a head")
                        .help("aggregate in a rule of its own, and name that in the body"),
                );
                is_wrong = true;
            }
            columns.push(Column {
                name: made.name,
                data_type: made.typed.data_type.unwrap_or(DataType::Json),
                is_optional: made.typed.is_optional,
            });
            head.push(made.term);
        }
        let mut row = Scope::of_columns();
        for column in &columns {
            let name = Name { text: Arc::clone(&column.name), span: select.head.span };
            let data_type = Some(column.data_type.clone());
            row.bind(&name, Typed { data_type, is_optional: column.is_optional });
        }
        let having = match &select.having {
            Some(having) => {
                let typing = self.expression(&mut row, having);
                let condition = typing.and_then(|it| self.as_condition(it));
                is_wrong |= condition.is_none();
                condition
            }
            None => None,
        };
        let mut order = Vec::new();
        for sort in &select.order {
            match self.expression(&mut row, &sort.by) {
                Some(by) => {
                    order.push(Sort { by: by.expression, is_descending: sort.is_descending });
                }
                None => is_wrong = true,
            }
        }
        let limit = self.row_count(select.limit.as_ref(), &mut is_wrong);
        let offset = self.row_count(select.offset.as_ref(), &mut is_wrong).unwrap_or(0);
        if is_wrong {
            return None;
        }
        let rule = Rule { variables: scope.variables(), head, body: body?, span: select.span };
        Some(Answer { rule, columns, having, order, offset, limit })
    }

    fn tell_of_twin(&mut self, name: &Name) {
        self.tell(
            Diagnostic::error(name.span, format!("two columns are called `{}`", name.text))
                .help("rename one of them, as in other: …"),
        );
    }

    /// A number of rows.
    fn row_count(&mut self, syntax: Option<&ExpressionSyntax>, is_wrong: &mut bool) -> Option<u64> {
        let syntax = syntax?;
        let value = self.constant(syntax);
        let count = match &value {
            Some(Value::Int(int)) => u64::try_from(*int).ok(),
            _ => None,
        };
        if count.is_none() {
            *is_wrong = true;
            if let Some(value) = value {
                let message = format!("a number of rows is an int from 0 on, not {value}");
                self.tell(Diagnostic::error(syntax.span, message));
            }
        }
        count
    }
}

fn holds_aggregates_alone(head: &Head) -> bool {
    head.fields.iter().all(|field| match &field.value {
        Some(HeadValue::Expression(expression)) => is_aggregate(expression),
        Some(HeadValue::Tree { .. }) | None => false,
    })
}

fn holds_aggregates(head: &Head) -> bool {
    head.fields.iter().any(|field| match &field.value {
        Some(HeadValue::Expression(expression)) => holds_aggregate(expression),
        Some(HeadValue::Tree { .. }) | None => false,
    })
}

/// Whether it matters how many rows say the same: not for the least, or for all different values.
fn counts_rows(head: &Head) -> bool {
    head.fields.iter().any(|field| match &field.value {
        Some(HeadValue::Expression(expression)) => counts_bindings(expression),
        Some(HeadValue::Tree { .. }) | None => false,
    })
}

/// Whether an expression is an aggregate that tells two bindings of one value apart.
fn counts_bindings(expression: &ExpressionSyntax) -> bool {
    let Some((name, arguments)) = expression.as_call() else { return false };
    match Aggregate::by_name(&name.text) {
        Some(Aggregate::Count | Aggregate::Sum | Aggregate::Average) => true,
        Some(Aggregate::Collect) => arguments.len() > 1,
        // They are read in the order of the one event's id.
        Some(Aggregate::First | Aggregate::Last) => arguments.len() == 1,
        Some(
            Aggregate::CountDistinct
            | Aggregate::Min
            | Aggregate::Max
            | Aggregate::ArgMin
            | Aggregate::ArgMax
            | Aggregate::Union
            | Aggregate::Every
            | Aggregate::Some,
        )
        | None => false,
    }
}

/// The names that occur in a tree: those of the row around it join it with that row.
fn names_in(select: &Select) -> BTreeSet<Arc<str>> {
    let mut names = BTreeSet::new();
    let mut selects = vec![select];
    while let Some(select) = selects.pop() {
        for field in &select.head.fields {
            match &field.value {
                None => drop(names.insert(Arc::clone(&field.name.text))),
                Some(HeadValue::Expression(expression)) => take_names(expression, &mut names),
                Some(HeadValue::Tree { select, .. }) => selects.push(select),
            }
        }
        take_times(&select.times, &mut names);
        let mut bodies = vec![&select.body];
        while let Some(body) = bodies.pop() {
            for literal in &body.literals {
                match literal {
                    LiteralSyntax::Atom(atom) => {
                        take_times(&atom.times, &mut names);
                        for field in &atom.fields {
                            match &field.value {
                                None => drop(names.insert(Arc::clone(&field.name.text))),
                                Some(value) => take_names(value, &mut names),
                            }
                        }
                    }
                    LiteralSyntax::Not(body) => bodies.push(body),
                    LiteralSyntax::Condition(condition) => take_names(condition, &mut names),
                }
            }
        }
    }
    names
}

fn take_names(expression: &ExpressionSyntax, names: &mut BTreeSet<Arc<str>>) {
    names.extend(variables(expression).into_iter().map(|(name, _)| name));
}

fn take_times(times: &TimesSyntax, names: &mut BTreeSet<Arc<str>>) {
    match &times.valid {
        Some(ValidSyntax::At(at)) => take_names(at, names),
        Some(ValidSyntax::In { bind, .. }) => {
            names.extend(bind.iter().map(|name| Arc::clone(&name.text)));
        }
        Some(ValidSyntax::Any(_)) | None => {}
    }
}
