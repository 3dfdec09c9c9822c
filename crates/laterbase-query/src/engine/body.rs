//! Makes programs of bodies: which literal comes when, and how it is looked up.
//!
//! Greedy, on what is known: tests as soon as their variables are bound; then the literal that is
//! expected to make the fewest rows of each row so far. A stored relation is read when its turn
//! comes, so that what is planned behind it knows its real size; where the rows so far are few and
//! the source can seek, it is asked key by key instead. Where several relations are about to bind
//! one and the same variable, they meet (generic join), so that a cyclic body never makes more rows
//! than its answer may have.

use laterbase_lang::Function;
use laterbase_lang::plan::{Expression, Literal, Operand, Term};

use super::Run;
use super::context::Request;
use super::goal::{Goal, Item, Target, items, rows_per_value};
use super::machine::{KEY_MAX, LISTS_MAX};
use super::program::{Action, Emit, ListWay, LookupKey, Program, Source, Step, Take, Way};
use super::relation::Part;
use crate::data::{Scan, ValidTime};
use crate::error::{PlanError, QueryError};
use crate::times;

/// What is thought of a source that does not tell.
const ROWS_UNKNOWN: u64 = 100_000;
/// Elements of a list, about.
const ELEMENTS: f64 = 4.0;
/// How much rather a literal is taken that shares a variable with those before.
const CONNECTED: f64 = 16.0;

/// Steps in the making.
struct Making<'p> {
    items: Vec<Item<'p>>,
    is_bound: Vec<bool>,
    is_bindable: Vec<bool>,
    steps: Vec<Step>,
    /// Rows that are expected so far.
    rows: f64,
}

impl<'p> Making<'p> {
    fn new(items: Vec<Item<'p>>, is_bound: &[bool]) -> Self {
        let mut is_bindable = is_bound.to_vec();
        for item in &items {
            item.bound_by(&mut |slot| mark(&mut is_bindable, slot));
        }
        Self { items, is_bound: is_bound.to_vec(), is_bindable, steps: Vec::new(), rows: 1.0 }
    }

    fn is_bound(&self, slot: usize) -> bool {
        self.is_bound.get(slot).copied().unwrap_or_default()
    }

    fn is_ready(&self, item: &Item<'_>) -> bool {
        let mut is_ready = true;
        item.needed_by(&mut |slot| {
            let is_bindable = self.is_bindable.get(slot).copied().unwrap_or_default();
            is_ready &= self.is_bound(slot) || !is_bindable;
        });
        is_ready
    }

    fn push(&mut self, action: Action, growth: f64, label: String) {
        self.rows *= growth;
        self.steps.push(Step { action, estimate: self.rows, label });
    }
}

pub(super) fn mark(slots: &mut [bool], slot: usize) {
    if let Some(place) = slots.get_mut(slot) {
        *place = true;
    }
}

impl<'d> Run<'d> {
    /// The program of a body. `needed` are the slots that are emitted, if each different binding of
    /// these is enough.
    pub(super) fn program(
        &mut self,
        items: Vec<Item<'d>>,
        slot_count: usize,
        emits: Vec<Emit>,
        needed: Option<&[bool]>,
    ) -> Result<Program, QueryError> {
        let steps = self.steps(items, &vec![false; slot_count], 1.0)?;
        let cut = match needed {
            None => steps.len(),
            Some(needed) => steps
                .iter()
                .rposition(|step| binds_any(&step.action, needed))
                .map_or(0, |last| last + 1),
        };
        Ok(Program { steps, emits, cut, slot_count })
    }

    /// Steps for some items; which slots are bound before is said.
    pub(super) fn steps(
        &mut self,
        items: Vec<Item<'d>>,
        bound: &[bool],
        rows: f64,
    ) -> Result<Vec<Step>, QueryError> {
        let mut making = Making::new(items, bound);
        making.rows = rows;
        while !making.items.is_empty() {
            if self.push_test(&mut making)? {
                continue;
            }
            let chosen = self.cheapest(&making)?.ok_or(PlanError::Unbound)?;
            self.push_chosen(&mut making, chosen)?;
        }
        Ok(making.steps)
    }

    /// Takes a test, or a value that is computed, if one is ready.
    fn push_test(&mut self, making: &mut Making<'d>) -> Result<bool, QueryError> {
        let rank = |item: &Item<'_>| match item {
            Item::Filter(_) => Some(0),
            Item::Let(..) => Some(1),
            Item::Not(..) => Some(2),
            Item::Goal(_) | Item::Each(..) => None,
        };
        let ready = making.items.iter().enumerate().filter(|(_, item)| making.is_ready(item));
        let best = ready.filter_map(|(at, item)| Some((rank(item)?, at))).min();
        let Some((_, at)) = best else { return Ok(false) };
        match making.items.remove(at) {
            Item::Filter(expression) => {
                let action = self.filter(expression);
                making.push(action, 0.5, "filter".to_owned());
            }
            Item::Let(slot, expression) => {
                let is_bound = making.is_bound(slot);
                mark(&mut making.is_bound, slot);
                let action = Action::Let { slot, is_bound, expression: expression.clone() };
                making.push(action, if is_bound { 0.1 } else { 1.0 }, "let".to_owned());
            }
            Item::Not(literals) => {
                let action = self.negation(literals, &making.is_bound, making.rows)?;
                making.push(action, 0.5, "not".to_owned());
            }
            Item::Goal(_) | Item::Each(..) => {}
        }
        Ok(true)
    }

    fn filter(&mut self, expression: &Expression) -> Action {
        if let Expression::Call(function, arguments, span) = expression
            && let (true, [a, b]) = (is_comparison(*function), arguments.as_slice())
            && let (Some(a), Some(b)) = (self.source(a), self.source(b))
        {
            return Action::Compare { function: *function, a, b, span: *span };
        }
        Action::Filter { expression: expression.clone() }
    }

    fn source(&mut self, expression: &Expression) -> Option<Source> {
        match expression {
            Expression::Value(value) => {
                Some(Source::Code(self.context.dictionary.encode_value(value)))
            }
            Expression::Variable(variable) => Some(Source::Slot(variable.0)),
            Expression::Call(..) => None,
        }
    }

    fn negation(
        &mut self,
        literals: &'d [Literal],
        bound: &[bool],
        rows: f64,
    ) -> Result<Action, QueryError> {
        let inner = items(literals, &mut |atom| self.goal(atom, Part::All));
        let steps = self.steps(inner, bound, rows)?;
        let cut = steps.len();
        let program = Program { steps, emits: Vec::new(), cut, slot_count: bound.len() };
        Ok(Action::Not(Box::new(program)))
    }

    /// The literal that is expected to make the fewest rows.
    fn cheapest(&mut self, making: &Making<'d>) -> Result<Option<usize>, QueryError> {
        let mut best: Option<(f64, usize)> = None;
        for (at, item) in making.items.iter().enumerate() {
            if !making.is_ready(item) {
                continue;
            }
            let cost = match item {
                Item::Goal(goal) => self.cost(goal, making)?,
                Item::Each(..) => ELEMENTS,
                Item::Not(..) | Item::Filter(_) | Item::Let(..) => continue,
            };
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, at));
            }
        }
        Ok(best.map(|(_, at)| at))
    }

    /// Rows that a goal makes of each row so far; more if it has nothing to do with them.
    fn cost(&mut self, goal: &Goal<'d>, making: &Making<'d>) -> Result<f64, QueryError> {
        let growth = self.growth(goal, making)?;
        let is_connected =
            making.steps.is_empty() || goal.variables().any(|slot| making.is_bound(slot));
        Ok(if is_connected || growth <= 1.0 { growth } else { growth * CONNECTED })
    }

    fn growth(&mut self, goal: &Goal<'d>, making: &Making<'d>) -> Result<f64, QueryError> {
        let columns = bound_columns(&goal.terms, making, goal.target);
        match goal.target {
            Target::Relation(number) => {
                let relation = self.relations.get(number).ok_or(PlanError::UnknownNumber)?;
                let rows = relation.count_of(goal.part);
                if columns.is_empty() {
                    return Ok(rows);
                }
                Ok(rows / relation.distinct(&columns).max(1.0))
            }
            Target::Stored(number) => {
                let rows = self.stored_rows(goal, &making.items)? as f64;
                let stored = self.plan.stored.get(number).ok_or(PlanError::UnknownNumber)?;
                let places = columns.iter().filter_map(|column| stored.columns.get(*column));
                let least = places.map(|column| rows_per_value(&column.place, rows));
                Ok(least.fold(rows, f64::min))
            }
        }
    }

    /// About how many rows the source has for a goal, whatever is bound.
    pub(super) fn stored_rows(
        &mut self,
        goal: &Goal<'d>,
        items: &[Item<'d>],
    ) -> Result<u64, QueryError> {
        let Target::Stored(number) = goal.target else { return Ok(0) };
        let relation = self.plan.stored.get(number).ok_or(PlanError::UnknownNumber)?;
        let constraints = goal.constraints(relation, items);
        let request = Scan {
            relation,
            columns: &[],
            cut: &goal.times.cut,
            valid: fixed_times(goal).unwrap_or_default(),
            constraints: &constraints,
            order: None,
            limit: None,
        };
        Ok(self.context.data.estimate(&request).unwrap_or(ROWS_UNKNOWN))
    }

    fn push_chosen(&mut self, making: &mut Making<'d>, at: usize) -> Result<(), QueryError> {
        let item = making.items.get(at).cloned().ok_or(PlanError::UnknownNumber)?;
        let goal = match item {
            Item::Goal(goal) => goal,
            Item::Each(slot, expression) => {
                making.items.remove(at);
                let is_bound = making.is_bound(slot);
                mark(&mut making.is_bound, slot);
                let action = Action::Each { slot, is_bound, expression: expression.clone() };
                making.push(action, if is_bound { 0.5 } else { ELEMENTS }, "each".to_owned());
                return Ok(());
            }
            Item::Not(..) | Item::Filter(_) | Item::Let(..) => return Ok(()),
        };
        match goal.target {
            Target::Relation(number) => {
                self.load_companions(making, &goal)?;
                if self.push_meeting(making, &goal)? {
                    return Ok(());
                }
                let growth = self.growth(&goal, making)?;
                making.items.remove(at);
                self.push_rows(making, &goal, number, growth)
            }
            Target::Stored(number) => {
                if let Some(key) = self.seek_columns(making, &goal, number)? {
                    let growth = self.growth(&goal, making)?;
                    making.items.remove(at);
                    return self.push_lookup(making, &goal, number, &key, growth);
                }
                let (relation, terms) = self.load(&goal, &making.items)?;
                if let Some(Item::Goal(goal)) = making.items.get_mut(at) {
                    goal.target = Target::Relation(relation);
                    goal.terms = terms;
                }
                Ok(())
            }
        }
    }

    fn push_rows(
        &mut self,
        making: &mut Making<'d>,
        goal: &Goal<'d>,
        number: usize,
        growth: f64,
    ) -> Result<(), QueryError> {
        let (mut key, take) = self.take(&goal.terms, making, KEY_MAX);
        key.sort_by_key(|(column, _)| *column);
        let columns: Vec<usize> = key.iter().map(|(column, _)| *column).collect();
        let relation = self.relations.get_mut(number).ok_or(PlanError::UnknownNumber)?;
        let action = if columns.is_empty() {
            Action::Scan { relation: number, part: goal.part, take }
        } else {
            let index = relation.index(&columns);
            let key = key.into_iter().map(|(_, source)| source).collect();
            Action::Probe { relation: number, part: goal.part, index, key, take }
        };
        let kind = if columns.is_empty() { "scan" } else { "probe" };
        let part = if goal.part == Part::Delta { " (delta)" } else { "" };
        making.push(action, growth, format!("{kind} {}{part}", goal.name));
        Ok(())
    }

    /// What is known of a row beforehand, as columns and what they equal, and what becomes of the
    /// others. Marks what is bound.
    fn take(
        &mut self,
        terms: &[Term],
        making: &mut Making<'_>,
        key_max: usize,
    ) -> (Vec<(usize, Source)>, Take) {
        let (mut key, mut take) = (Vec::new(), Take::default());
        let mut bound_here = Vec::new();
        for term in terms {
            let source = match &term.operand {
                Operand::Value(value) => Source::Code(self.context.dictionary.encode_value(value)),
                Operand::Variable(variable) => Source::Slot(variable.0),
            };
            let slot = if let Source::Slot(slot) = source { Some(slot) } else { None };
            let is_new = slot.filter(|slot| !making.is_bound(*slot));
            match is_new {
                Some(slot) if bound_here.contains(&slot) => take.checks.push((term.column, source)),
                Some(slot) => {
                    bound_here.push(slot);
                    take.binds.push((term.column, slot));
                }
                None => {
                    let is_twice = key.iter().any(|(column, _)| *column == term.column);
                    if is_twice || key.len() >= key_max {
                        take.checks.push((term.column, source));
                    } else {
                        key.push((term.column, source));
                    }
                }
            }
        }
        bound_here.into_iter().for_each(|slot| mark(&mut making.is_bound, slot));
        (key, take)
    }

    /// Reads stored rows that are to meet those of a goal, where they are to be read anyway.
    fn load_companions(
        &mut self,
        making: &mut Making<'d>,
        goal: &Goal<'d>,
    ) -> Result<(), QueryError> {
        let slot = self.last_variable(making, goal);
        let Some(slot) = slot else { return Ok(()) };
        for at in 0..making.items.len() {
            let Some(Item::Goal(other)) = making.items.get(at).cloned() else { continue };
            let Target::Stored(number) = other.target else { continue };
            let mut open = other.variables().filter(|slot| !making.is_bound(*slot));
            let is_companion = open.next() == Some(slot) && open.next().is_none();
            if !is_companion || self.seek_columns(making, &other, number)?.is_some() {
                continue;
            }
            let (relation, terms) = self.load(&other, &making.items)?;
            if let Some(Item::Goal(other)) = making.items.get_mut(at) {
                other.target = Target::Relation(relation);
                other.terms = terms;
            }
        }
        Ok(())
    }

    /// Lets several goals meet that bind one variable more, if there are any such.
    fn push_meeting(
        &mut self,
        making: &mut Making<'d>,
        goal: &Goal<'d>,
    ) -> Result<bool, QueryError> {
        let Some(slot) = self.last_variable(making, goal) else { return Ok(false) };
        let meeting: Vec<usize> = (0..making.items.len())
            .filter(|at| match making.items.get(*at) {
                Some(Item::Goal(other)) => self.last_variable(making, other) == Some(slot),
                _ => false,
            })
            .collect();
        if meeting.len() < 2 {
            return Ok(false);
        }
        let (mut goals, mut least) = (Vec::new(), f64::INFINITY);
        for at in meeting.iter().rev() {
            let Item::Goal(goal) = making.items.remove(*at) else { continue };
            least = least.min(self.growth(&goal, making)?);
            goals.push(goal);
        }
        let by_lists = (goals.len() <= LISTS_MAX)
            .then(|| goals.iter().map(|goal| self.list_way(goal, slot)).collect());
        let action = match by_lists.flatten() {
            Some(ways) => Action::MeetLists { slot, ways },
            None => {
                let ways = goals.iter().filter_map(|goal| self.way(making, goal, slot)).collect();
                Action::Meet { slot, ways }
            }
        };
        mark(&mut making.is_bound, slot);
        making.push(action, least * 0.5, format!("meet {}", goal.name));
        Ok(true)
    }

    /// The lists of a variable in a goal, if its relation is complete.
    fn list_way(&mut self, goal: &Goal<'d>, slot: usize) -> Option<ListWay> {
        let Target::Relation(number) = goal.target else { return None };
        let mut sources = self.sources(goal);
        let at = sources.iter().position(|(_, source)| *source == Source::Slot(slot))?;
        let (column, _) = sources.remove(at);
        // A variable that stands in two columns is no key of the other one: it is not known yet.
        if sources.iter().any(|(_, source)| *source == Source::Slot(slot)) {
            return None;
        }
        let columns: Vec<usize> = sources.iter().map(|(column, _)| *column).collect();
        let lists = self.relations.get_mut(number)?.lists_of(&columns, column)?;
        let key = sources.into_iter().map(|(_, source)| source).collect();
        Some(ListWay { relation: number, lists, key })
    }

    /// What stands in a goal's columns, in their order.
    fn sources(&mut self, goal: &Goal<'d>) -> Vec<(usize, Source)> {
        let dictionary = &mut self.context.dictionary;
        let terms = goal.terms.iter().map(|term| {
            let source = match &term.operand {
                Operand::Value(value) => Source::Code(dictionary.encode_value(value)),
                Operand::Variable(variable) => Source::Slot(variable.0),
            };
            (term.column, source)
        });
        let mut sources: Vec<(usize, Source)> = terms.collect();
        sources.sort_by_key(|(column, _)| *column);
        sources
    }

    /// The one variable of a goal that is not bound yet, where its rows can meet others.
    fn last_variable(&self, making: &Making<'d>, goal: &Goal<'d>) -> Option<usize> {
        let Target::Relation(number) = goal.target else { return None };
        let width = self.relations.get(number)?.width();
        let is_whole = goal.part == Part::All && goal.terms.len() == width && width <= KEY_MAX;
        let mut columns: Vec<usize> = goal.terms.iter().map(|term| term.column).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut open = goal.variables().filter(|slot| !making.is_bound(*slot));
        let slot = open.next()?;
        let is_last = open.next().is_none();
        (is_whole && columns.len() == width && width > 1 && is_last).then_some(slot)
    }

    fn way(&mut self, making: &Making<'d>, goal: &Goal<'d>, slot: usize) -> Option<Way> {
        let Target::Relation(number) = goal.target else { return None };
        let sources = self.sources(goal);
        debug_assert!(!making.is_bound(slot));
        let (column, _) = *sources.iter().find(|(_, source)| *source == Source::Slot(slot))?;
        let all: Vec<usize> = sources.iter().map(|(column, _)| *column).collect();
        let bound: Vec<usize> = all.iter().copied().filter(|other| *other != column).collect();
        let all_key: Vec<Source> = sources.iter().map(|(_, source)| *source).collect();
        let key = all_key.iter().copied().filter(|source| *source != Source::Slot(slot)).collect();
        let relation = self.relations.get_mut(number)?;
        let (by_bound, by_all) = (relation.index(&bound), relation.index(&all));
        Some(Way { relation: number, by_bound, key, column, by_all, all_key })
    }

    /// The columns by which the source is better asked key by key; `None` if it is better read.
    fn seek_columns(
        &mut self,
        making: &Making<'d>,
        goal: &Goal<'d>,
        number: usize,
    ) -> Result<Option<Vec<usize>>, QueryError> {
        let rows = self.stored_rows(goal, &making.items)?;
        let relation = self.plan.stored.get(number).ok_or(PlanError::UnknownNumber)?;
        let fixed = fixed_times(goal);
        let constraints = goal.constraints(relation, &making.items);
        let request = Scan {
            relation,
            columns: &[],
            cut: &goal.times.cut,
            valid: fixed.unwrap_or_default(),
            constraints: &constraints,
            order: None,
            limit: None,
        };
        let data = self.context.data;
        let is_bound = |term: &&Term| match &term.operand {
            Operand::Variable(variable) => making.is_bound(variable.0),
            Operand::Value(_) => false,
        };
        let bound = goal.terms.iter().filter(is_bound).map(|term| term.column);
        let seekable = bound.filter(|column| data.can_seek(&request, *column));
        let per_value = |column: &usize| {
            let place = relation.columns.get(*column).map(|column| &column.place);
            place.map_or(f64::MAX, |place| rows_per_value(place, rows as f64))
        };
        let best = seekable.min_by(|a, b| per_value(a).total_cmp(&per_value(b)));
        let is_worth_it = making.rows * 8.0 < rows as f64;
        Ok(match best {
            Some(column) if is_worth_it || fixed.is_none() => Some(vec![column]),
            Some(_) | None => fixed.is_none().then(Vec::new),
        })
    }

    fn push_lookup(
        &mut self,
        making: &mut Making<'d>,
        goal: &Goal<'d>,
        number: usize,
        key: &[usize],
        growth: f64,
    ) -> Result<(), QueryError> {
        let relation = self.plan.stored.get(number).ok_or(PlanError::UnknownNumber)?;
        let constraints = goal.constraints(relation, &making.items);
        let open = goal.terms.iter().filter(|term| matches!(term.operand, Operand::Variable(_)));
        let mut terms: Vec<Term> = open.cloned().collect();
        let mut columns: Vec<usize> = terms.iter().map(|term| term.column).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut sources = Vec::new();
        for column in key {
            let found = terms.iter().position(|term| {
                let Operand::Variable(variable) = &term.operand else { return false };
                term.column == *column && making.is_bound(variable.0)
            });
            let Some(found) = found else { continue };
            if let Operand::Variable(variable) = terms.remove(found).operand {
                sources.push(Source::Slot(variable.0));
            }
        }
        for term in &mut terms {
            // Column 0 of a lookup is not the source's.
            term.column = columns.binary_search(&term.column).unwrap_or_default() + 1;
        }
        let (_, mut take) = (0, Take::default());
        let (known, found) = self.take(&terms, making, usize::MAX);
        take.binds = found.binds;
        take.checks = found.checks;
        take.checks.extend(known);
        let key = LookupKey {
            stored: number,
            cut: goal.times.cut.clone(),
            constraints,
            key: key.to_vec(),
            columns,
        };
        let lookup = self.context.lookup_number(key);
        let valid = goal.times.valid.clone();
        let action = Action::Lookup { lookup, key: sources, valid, take };
        making.push(action, growth, format!("seek {}", goal.name));
        Ok(())
    }

    /// Reads what a goal needs of a stored relation; the relation, and the goal's terms in it.
    fn load(
        &mut self,
        goal: &Goal<'d>,
        items: &[Item<'d>],
    ) -> Result<(usize, Vec<Term>), QueryError> {
        let Target::Stored(number) = goal.target else {
            return Err(PlanError::UnknownNumber.into());
        };
        let stored = self.plan.stored.get(number).ok_or(PlanError::UnknownNumber)?;
        let constraints = goal.constraints(stored, items);
        let (columns, terms) = open_columns(goal);
        let before = self.context.meter.culprit().clone();
        self.context.meter.blame(goal.name, goal.span);
        let valid = fixed_times(goal);
        let request = valid.map(|valid| Request {
            stored,
            columns: &columns,
            cut: &goal.times.cut,
            valid,
            constraints: &constraints,
            order: None,
            limit: None,
        });
        let expected = self.stored_rows(goal, items)?;
        let relation = self.loaded(number, request, columns.len(), expected)?;
        self.context.meter.blame_again(before);
        Ok((relation, terms))
    }
}

/// The columns of a goal that variables stand in, and its terms by their places among these.
pub(super) fn open_columns(goal: &Goal<'_>) -> (Vec<usize>, Vec<Term>) {
    let open = goal.terms.iter().filter(|term| matches!(term.operand, Operand::Variable(_)));
    let mut terms: Vec<Term> = open.cloned().collect();
    let mut columns: Vec<usize> = terms.iter().map(|term| term.column).collect();
    columns.sort_unstable();
    columns.dedup();
    for term in &mut terms {
        term.column = columns.binary_search(&term.column).unwrap_or_default();
    }
    (columns, terms)
}

/// The times of a goal without variables in them; `None` also where nothing is so.
pub(super) fn fixed_times(goal: &Goal<'_>) -> Option<ValidTime> {
    if times::variables(&goal.times.valid).next().is_some() {
        return None;
    }
    times::resolve(&goal.times.valid, &mut |_| laterbase_lang::Value::Null)
}

/// Columns whose value is known before a row is looked for.
fn bound_columns(terms: &[Term], making: &Making<'_>, target: Target) -> Vec<usize> {
    let known = terms.iter().filter(|term| match &term.operand {
        Operand::Variable(variable) => making.is_bound(variable.0),
        // The source's estimate knows the values already.
        Operand::Value(_) => matches!(target, Target::Relation(_)),
    });
    let mut columns: Vec<usize> = known.map(|term| term.column).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn is_comparison(function: Function) -> bool {
    matches!(
        function,
        Function::Equal
            | Function::NotEqual
            | Function::Less
            | Function::LessOrEqual
            | Function::Greater
            | Function::GreaterOrEqual
    )
}

fn binds_any(action: &Action, needed: &[bool]) -> bool {
    let is_needed = |slot: &usize| needed.get(*slot).copied().unwrap_or_default();
    match action {
        Action::Scan { take, .. } | Action::Probe { take, .. } | Action::Lookup { take, .. } => {
            take.binds.iter().any(|(_, slot)| is_needed(slot))
        }
        Action::Meet { slot, .. } | Action::MeetLists { slot, .. } => is_needed(slot),
        Action::Let { slot, is_bound, .. } | Action::Each { slot, is_bound, .. } => {
            !is_bound && is_needed(slot)
        }
        Action::Compare { .. } | Action::Filter { .. } | Action::Not(_) => false,
    }
}
