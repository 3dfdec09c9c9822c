//! Goes all ways through a program.
//!
//! The state is one frame for each step, beside one array of slots, so that a machine can stop
//! after any row and go on later, while relations have grown. It needs no stack of its own: calls
//! are as deep as negations stand within each other.

use std::cmp::Ordering;

use laterbase_lang::{Function, Span, Value};

use super::context::Context;
use super::lists::{Span as ListSpan, next_common};
use super::program::{Action, ListWay, Program, Source, Take, Way};
use super::relation::{Cursor, Part, Relation};
use crate::code::{self, Code, NULL};
use crate::error::QueryError;

/// Where a step stands.
#[derive(Debug)]
enum Frame {
    /// Among rows; for a meeting, of the way of that number.
    Rows(Cursor, usize),
    /// Among lists that meet, one for each way.
    Lists([ListSpan; LISTS_MAX]),
    Elements(std::vec::IntoIter<Code>),
    Done,
}

#[derive(Debug)]
pub(crate) struct Machine<'p> {
    program: &'p Program,
    frames: Vec<Frame>,
    depth: usize,
    is_entering: bool,
    is_done: bool,
    /// Rows that each step let through.
    pub(crate) passed: Vec<u64>,
}

/// What a machine reads and writes.
pub(crate) struct World<'w, 'd> {
    pub(crate) context: &'w mut Context<'d>,
    pub(crate) relations: &'w [Relation],
    pub(crate) slots: &'w mut [Code],
}

impl<'p> Machine<'p> {
    pub(crate) fn new(program: &'p Program) -> Self {
        let frames = program.steps.iter().map(|_| Frame::Done).collect();
        let passed = vec![0; program.steps.len()];
        Self { program, frames, depth: 0, is_entering: true, is_done: false, passed }
    }

    /// Begins anew, with other values in the slots.
    pub(crate) fn start_again(&mut self) {
        (self.depth, self.is_entering, self.is_done) = (0, true, false);
    }

    /// Goes on to the next way through; whether there is one. Its values are in the slots.
    pub(crate) fn next(&mut self, world: &mut World<'_, '_>) -> Result<bool, QueryError> {
        let program = self.program;
        while !self.is_done {
            let Some(step) = program.steps.get(self.depth) else {
                // All steps are passed. Those behind the cut would bind nothing new.
                self.go_back_from(program.cut);
                return Ok(true);
            };
            world.context.meter.step()?;
            let is_entering = std::mem::replace(&mut self.is_entering, true);
            if is_entering && let Action::Lookup { .. } = step.action {
                self.look_ahead(world)?;
            }
            let Some(frame) = self.frames.get_mut(self.depth) else { break };
            let is_passed = if is_entering {
                enter(&step.action, frame, world)?
            } else {
                advance(&step.action, frame, world)
            };
            if is_passed {
                if let Some(passed) = self.passed.get_mut(self.depth) {
                    *passed += 1;
                }
                self.depth += 1;
            } else {
                self.go_back_from(self.depth);
            }
        }
        Ok(false)
    }

    /// Has the source asked for the keys of the rows to come together with the one at hand, where
    /// they come from a step before and nothing between rules rows out.
    fn look_ahead(&self, world: &mut World<'_, '_>) -> Result<(), QueryError> {
        let steps = &self.program.steps;
        let Some(Action::Lookup { lookup, key, valid, .. }) =
            steps.get(self.depth).map(|step| &step.action)
        else {
            return Ok(());
        };
        let [Source::Slot(slot)] = key.as_slice() else { return Ok(()) };
        let Some(keys_max) = world.context.keys_ahead(*lookup, *slot, valid, world.slots) else {
            return Ok(());
        };
        for (step, frame) in steps.iter().zip(&self.frames).take(self.depth).rev() {
            let (rows, take) = match &step.action {
                Action::Scan { relation, take, .. } | Action::Probe { relation, take, .. } => {
                    (world.relations.get(*relation), take)
                }
                Action::Lookup { lookup, take, .. } => (world.context.lookup_rows(*lookup), take),
                Action::Let { is_bound: false, .. } => continue,
                Action::Let { .. }
                | Action::Meet { .. }
                | Action::MeetLists { .. }
                | Action::Compare { .. }
                | Action::Filter { .. }
                | Action::Each { .. }
                | Action::Not(_) => return Ok(()),
            };
            let is_bound = take.binds.iter().any(|(_, bound)| bound == slot);
            let Some(rows) = rows.filter(|_| is_bound) else { return Ok(()) };
            let keys = keys_of(rows, frame, take, *slot, world.slots, keys_max);
            return world.context.ask_ahead(*lookup, keys, valid, world.slots);
        }
        Ok(())
    }

    fn go_back_from(&mut self, depth: usize) {
        self.is_entering = false;
        match depth.checked_sub(1) {
            Some(before) => self.depth = before,
            None => self.is_done = true,
        }
    }
}

/// The codes of a slot in the row at hand and in those to come, `keys_max` at the most.
fn keys_of(
    rows: &Relation,
    frame: &Frame,
    take: &Take,
    slot: usize,
    slots: &[Code],
    keys_max: usize,
) -> Vec<Code> {
    let mut keys = vec![read(Source::Slot(slot), slots)];
    let Frame::Rows(cursor, _) = frame else { return keys };
    let (mut cursor, mut slots) = (*cursor, slots.to_vec());
    while keys.len() < keys_max && next_row(rows, &mut cursor, take, &mut slots) {
        keys.push(read(Source::Slot(slot), &slots));
    }
    keys
}

#[inline]
fn read(source: Source, slots: &[Code]) -> Code {
    match source {
        Source::Slot(slot) => slots.get(slot).copied().unwrap_or(NULL),
        Source::Code(code) => code,
    }
}

#[inline]
pub(super) fn write(slots: &mut [Code], slot: usize, code: Code) {
    if let Some(place) = slots.get_mut(slot) {
        *place = code;
    }
}

/// How many lists may meet.
pub(crate) const LISTS_MAX: usize = 4;

/// Keys of more columns than this are looked up by their first ones alone, and checked.
pub(crate) const KEY_MAX: usize = 8;

/// Calls `use_key` with the codes of a key; nothing if one is absent, which equals nothing.
#[inline]
fn with_key<T>(key: &[Source], slots: &[Code], use_key: impl FnOnce(&[Code]) -> T) -> Option<T> {
    let mut codes = [NULL; KEY_MAX];
    for (place, source) in codes.iter_mut().zip(key) {
        *place = read(*source, slots);
        if *place == NULL {
            return None;
        }
    }
    codes.get(..key.len()).map(use_key)
}

fn enter(
    action: &Action,
    frame: &mut Frame,
    world: &mut World<'_, '_>,
) -> Result<bool, QueryError> {
    match action {
        Action::Scan { relation, part, .. } => {
            let found = world.relations.get(*relation).map(|relation| relation.scan(*part));
            *frame = Frame::Rows(found.unwrap_or(Cursor::EMPTY), 0);
            Ok(advance(action, frame, world))
        }
        Action::Probe { relation, part, index, key, .. } => {
            let Some(relation) = world.relations.get(*relation) else { return Ok(false) };
            let cursor = with_key(key, world.slots, |key| relation.probe(*index, key, *part));
            *frame = Frame::Rows(cursor.unwrap_or(Cursor::EMPTY), 0);
            Ok(advance(action, frame, world))
        }
        Action::Lookup { lookup, key, valid, .. } => {
            let key = with_key(key, world.slots, <[Code]>::to_vec);
            let cursor = match key {
                Some(key) => world.context.lookup(*lookup, &key, valid, world.slots)?,
                None => Cursor::EMPTY,
            };
            *frame = Frame::Rows(cursor, 0);
            Ok(advance(action, frame, world))
        }
        Action::Meet { ways, .. } => {
            *frame = meet(ways, world);
            Ok(advance(action, frame, world))
        }
        Action::MeetLists { ways, .. } => {
            *frame = meet_lists(ways, world);
            Ok(advance(action, frame, world))
        }
        Action::Compare { function, a, b, span } => {
            let (a, b) = (read(*a, world.slots), read(*b, world.slots));
            compare(*function, a, b, *span, world)
        }
        Action::Filter { expression } => {
            let context = &world.context;
            Ok(context.scalars.holds(expression, &context.binding(world.slots))?)
        }
        Action::Let { slot, is_bound, expression } => {
            let code = world.context.evaluate(expression, world.slots)?;
            Ok(bind(*slot, *is_bound, code, world.slots))
        }
        Action::Each { expression, .. } => {
            let elements = world.context.elements(expression, world.slots)?;
            *frame = Frame::Elements(elements.into_iter());
            Ok(advance(action, frame, world))
        }
        Action::Not(program) => Ok(!Machine::new(program).next(world)?),
    }
}

/// Binds a slot, or compares it if it is bound.
fn bind(slot: usize, is_bound: bool, code: Code, slots: &mut [Code]) -> bool {
    if is_bound {
        return code != NULL && slots.get(slot) == Some(&code);
    }
    write(slots, slot, code);
    true
}

#[inline]
fn advance(action: &Action, frame: &mut Frame, world: &mut World<'_, '_>) -> bool {
    match (action, frame) {
        (
            Action::Scan { relation, take, .. } | Action::Probe { relation, take, .. },
            Frame::Rows(cursor, _),
        ) => {
            let Some(relation) = world.relations.get(*relation) else { return false };
            next_row(relation, cursor, take, world.slots)
        }
        (Action::Lookup { lookup, take, .. }, Frame::Rows(cursor, _)) => {
            let Some(rows) = world.context.lookup_rows(*lookup) else { return false };
            next_row(rows, cursor, take, world.slots)
        }
        (Action::Meet { slot, ways }, Frame::Rows(cursor, way)) => {
            next_meeting(*slot, ways, *way, cursor, world)
        }
        (Action::MeetLists { slot, ways }, Frame::Lists(spans)) => {
            next_in_lists(*slot, ways, spans, world)
        }
        (Action::Each { slot, is_bound, .. }, Frame::Elements(elements)) => {
            elements.any(|code| bind(*slot, *is_bound, code, world.slots))
        }
        _ => false,
    }
}

#[inline]
fn next_row(relation: &Relation, cursor: &mut Cursor, take: &Take, slots: &mut [Code]) -> bool {
    while let Some(row) = relation.next(cursor) {
        for (column, slot) in &take.binds {
            write(slots, *slot, relation.cell(row, *column));
        }
        let agrees = take.checks.iter().all(|(column, source)| {
            let cell = relation.cell(row, *column);
            cell != NULL && cell == read(*source, slots)
        });
        if agrees {
            return true;
        }
    }
    false
}

/// Chooses the way with the fewest rows.
fn meet(ways: &[Way], world: &World<'_, '_>) -> Frame {
    let mut best = (usize::MAX, Frame::Rows(Cursor::EMPTY, 0));
    for (number, way) in ways.iter().enumerate() {
        let Some(relation) = world.relations.get(way.relation) else { continue };
        let found = with_key(&way.key, world.slots, |key| {
            let cursor = relation.probe(way.by_bound, key, Part::All);
            (relation.length(&cursor), cursor)
        });
        let (length, cursor) = found.unwrap_or((0, Cursor::EMPTY));
        if length < best.0 {
            best = (length, Frame::Rows(cursor, number));
        }
    }
    best.1
}

/// The lists of the ways' keys.
fn meet_lists(ways: &[ListWay], world: &World<'_, '_>) -> Frame {
    let mut spans = [ListSpan::default(); LISTS_MAX];
    for (way, span) in ways.iter().zip(&mut spans) {
        let Some(relation) = world.relations.get(way.relation) else { return Frame::Done };
        let Some(lists) = relation.lists(way.lists) else { return Frame::Done };
        let found = with_key(&way.key, world.slots, |key| lists.find(relation, key));
        match found {
            Some(found) if found.from < found.until => *span = found,
            Some(_) | None => return Frame::Done,
        }
    }
    Frame::Lists(spans)
}

fn next_in_lists(
    slot: usize,
    ways: &[ListWay],
    spans: &mut [ListSpan; LISTS_MAX],
    world: &mut World<'_, '_>,
) -> bool {
    let Some(spans) = spans.get_mut(..ways.len()) else { return false };
    let lists = |number: usize| {
        let way = ways.get(number)?;
        world.relations.get(way.relation)?.lists(way.lists)
    };
    match next_common(spans, lists) {
        Some(code) => {
            write(world.slots, slot, code);
            true
        }
        None => false,
    }
}

fn next_meeting(
    slot: usize,
    ways: &[Way],
    chosen: usize,
    cursor: &mut Cursor,
    world: &mut World<'_, '_>,
) -> bool {
    let Some(way) = ways.get(chosen) else { return false };
    let Some(relation) = world.relations.get(way.relation) else { return false };
    while let Some(row) = relation.next(cursor) {
        write(world.slots, slot, relation.cell(row, way.column));
        let stands_in_all = ways.iter().enumerate().all(|(number, way)| {
            let Some(relation) = world.relations.get(way.relation) else { return false };
            let holds = |key: &[Code]| {
                let mut cursor = relation.probe(way.by_all, key, Part::All);
                relation.next(&mut cursor).is_some()
            };
            number == chosen || with_key(&way.all_key, world.slots, holds).unwrap_or_default()
        });
        if stands_in_all && world.slots.get(slot) != Some(&NULL) {
            return true;
        }
    }
    false
}

/// Compares codes of one kind as they are, others by their values.
#[inline]
fn compare(
    function: Function,
    a: Code,
    b: Code,
    span: Span,
    world: &World<'_, '_>,
) -> Result<bool, QueryError> {
    let kind = code::kind_of(a);
    if kind == code::kind_of(b) && code::is_ordered_kind(kind) {
        return Ok(matches!(
            (function, a.cmp(&b)),
            (Function::Equal | Function::LessOrEqual | Function::GreaterOrEqual, Ordering::Equal)
                | (Function::NotEqual | Function::Less | Function::LessOrEqual, Ordering::Less)
                | (
                    Function::NotEqual | Function::Greater | Function::GreaterOrEqual,
                    Ordering::Greater
                )
        ));
    }
    let dictionary = &world.context.dictionary;
    let values = [dictionary.value(a), dictionary.value(b)];
    let result = world.context.scalars.call(function, &values, span)?;
    Ok(result == Value::Bool(true))
}
