//! Rows of a rule: its ways through, as heads say, grouped and aggregated where they do.
//!
//! A rule inside a tree is answered for all rows around it at once: what it knows of them is a
//! relation that its body joins, and its rows begin with the row of that relation that they are of.
//!
//! Where the language leaves it open: a head of aggregates alone has one row, even of no bindings
//! (inside a tree, one for each row around it); what a tree is told of a group is grouped by too.

use hashbrown::HashMap;
use laterbase_lang::plan::{Expression, HeadTerm, Operand, Rule, Term, Times, Tree, VariableId};
use laterbase_lang::{Column, Function, Span, Value};
use rustc_hash::FxBuildHasher;

use super::Run;
use super::context::Context;
use super::goal::{Goal, Item, Target, items};
use super::machine::{Machine, World};
use super::program::{Emit, Program};
use super::relation::{Part, Relation};
use crate::aggregate::Fold;
use crate::code::{Code, NULL};
use crate::error::{Mistake, PlanError, QueryError};
use crate::variables;

/// Rows that are made before they are added to a relation.
const BATCH: usize = 1_024;

/// Aggregates on their way, by what they are grouped by.
pub(super) type Groups = HashMap<Vec<Code>, Vec<Fold>, FxBuildHasher>;

/// What folding uses again for each binding, and the bytes that the groups hold.
#[derive(Debug, Default)]
pub(super) struct Folding {
    row: Vec<Code>,
    values: Vec<Value>,
    held: u64,
}

/// Rows around a tree: a relation, and the variables inside that its columns are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer<'o> {
    pub(super) relation: usize,
    pub(super) variables: &'o [VariableId],
}

/// What is emitted of a head, by the columns that are made of it.
pub(super) struct Layout<'p> {
    pub(super) emits: Vec<Emit>,
    /// Columns of the key: those around a tree, then values, then what trees are told.
    pub(super) key_width: usize,
    pub(super) aggregates: Vec<Call<'p>>,
}

/// An aggregate of a head: where its arguments are emitted.
pub(super) struct Call<'p> {
    aggregate: &'p laterbase_lang::Aggregate,
    column: Option<&'p Column>,
    first: usize,
    count: usize,
    span: Span,
}

static NO_TIMES: Times =
    Times { cut: laterbase_lang::plan::Cut::Latest, valid: laterbase_lang::plan::Valid::Any };

impl<'d> Run<'d> {
    /// Adds the rows of a rule to a relation: outer columns, values of the head in their order,
    /// what trees are told, aggregates.
    pub(super) fn rule(
        &mut self,
        rule: &'d Rule,
        columns: &'d [Column],
        outer: Option<Outer<'_>>,
        into: usize,
    ) -> Result<(), QueryError> {
        let layout = layout(rule, columns, outer);
        let slot_count = rule.variables.len();
        let mut goals = items(&rule.body, &mut |atom| self.goal(atom, Part::All));
        if let Some(first) = self.first.as_ref().filter(|_| outer.is_none()) {
            let mut atoms = goals.iter_mut().filter_map(|item| match item {
                Item::Goal(goal) => Some(goal),
                Item::Not(_) | Item::Filter(_) | Item::Let(..) | Item::Each(..) => None,
            });
            if let Some(goal) = atoms.nth(first.atom) {
                goal.target = Target::Relation(first.relation);
                goal.terms.clone_from(&first.terms);
            }
        }
        if let Some(outer) = outer {
            goals.push(Item::Goal(outer_goal(outer)));
        }
        if layout.aggregates.is_empty() {
            let needed = slots_of(&layout.emits, slot_count);
            let program = self.program(goals, slot_count, layout.emits, Some(&needed))?;
            return self.collect(&program, into);
        }
        let is_free = outer.is_none() && !self.is_dry;
        let stream = is_free.then(|| self.stream(&goals, &layout.emits, slot_count)).flatten();
        if let Some(stream) = stream {
            let mut groups = self.groups(&layout, None);
            self.fold_stream(stream, &layout, &mut groups)?;
            return self.finish(groups, &layout, into);
        }
        let goals = self.whole(goals)?;
        let emits = layout.emits.clone();
        let program = self.program(goals, slot_count, emits, None)?;
        if self.is_dry {
            return self.assume(&program, into);
        }
        let mut groups = self.groups(&layout, outer);
        let mut machine = Machine::new(&program);
        let done = self.fold(&mut machine, &program, &layout, &mut groups);
        self.explain_program(&program, Some(&machine.passed));
        done?;
        self.finish(groups, &layout, into)
    }

    /// Adds every row that a program emits to a relation.
    pub(super) fn collect(&mut self, program: &Program, into: usize) -> Result<(), QueryError> {
        if self.is_dry {
            return self.assume(program, into);
        }
        let mut machine = Machine::new(program);
        let done = self.pour(&mut machine, program, into);
        self.explain_program(program, Some(&machine.passed));
        done
    }

    fn pour(
        &mut self,
        machine: &mut Machine<'_>,
        program: &Program,
        into: usize,
    ) -> Result<(), QueryError> {
        let mut slots = vec![NULL; program.slot_count];
        let mut batch: Vec<Code> = Vec::with_capacity(BATCH * program.emits.len());
        let mut is_done = false;
        while !is_done {
            let mut count = 0;
            batch.clear();
            while count < BATCH {
                let mut world = World {
                    context: &mut self.context,
                    relations: &self.relations,
                    slots: &mut slots,
                };
                if !machine.next(&mut world)? {
                    is_done = true;
                    break;
                }
                self.emit(&program.emits, &slots, &mut batch)?;
                count += 1;
            }
            self.insert(&batch, count, program.emits.len(), into)?;
        }
        Ok(())
    }

    /// Assumes what is expected of a program.
    fn assume(&mut self, program: &Program, into: usize) -> Result<(), QueryError> {
        self.explain_program(program, None);
        let rows = program.steps.last().map_or(1.0, |step| step.estimate);
        let relation = self.relations.get_mut(into).ok_or(PlanError::UnknownNumber)?;
        relation.assume(rows.max(1.0));
        Ok(())
    }

    fn insert(
        &mut self,
        batch: &[Code],
        count: usize,
        width: usize,
        into: usize,
    ) -> Result<(), QueryError> {
        let relation = self.relations.get_mut(into).ok_or(PlanError::UnknownNumber)?;
        let mut added = 0;
        for row in 0..count {
            let row = batch.get(row * width..(row + 1) * width).unwrap_or_default();
            added += u64::from(relation.insert(row, &mut self.context.dictionary));
        }
        self.context.meter.rows(added)?;
        self.check_bytes()
    }

    fn emit(
        &mut self,
        emits: &[Emit],
        slots: &[Code],
        batch: &mut Vec<Code>,
    ) -> Result<(), QueryError> {
        for emit in emits {
            batch.push(match emit {
                Emit::Slot(slot) => slots.get(*slot).copied().unwrap_or(NULL),
                Emit::Expression(expression) => self.context.evaluate(expression, slots)?,
            });
        }
        Ok(())
    }

    /// The groups that there are even of no bindings.
    fn groups(&self, layout: &Layout<'_>, outer: Option<Outer<'_>>) -> Groups {
        let mut groups = Groups::default();
        if layout.key_width != outer.map_or(0, |outer| outer.variables.len()) {
            return groups;
        }
        // A head of aggregates alone has one row for each row around it, even of no bindings.
        match outer.and_then(|outer| self.relations.get(outer.relation)) {
            Some(rows) => (0..rows.seen()).for_each(|row| {
                groups.insert(rows.row(row).to_vec(), layout.folds());
            }),
            None => {
                groups.insert(Vec::new(), layout.folds());
            }
        }
        groups
    }

    /// Folds every binding into its group.
    fn fold(
        &mut self,
        machine: &mut Machine<'_>,
        program: &Program,
        layout: &Layout<'_>,
        groups: &mut Groups,
    ) -> Result<(), QueryError> {
        let mut slots = vec![NULL; program.slot_count];
        let mut folding = Folding::default();
        loop {
            let (context, relations) = (&mut self.context, self.relations.as_slice());
            if !machine.next(&mut World { context, relations, slots: &mut slots })? {
                return Ok(());
            }
            self.fold_binding(&program.emits, &slots, layout, groups, &mut folding)?;
        }
    }

    /// Folds one binding into its group.
    pub(super) fn fold_binding(
        &mut self,
        emits: &[Emit],
        slots: &[Code],
        layout: &Layout<'_>,
        groups: &mut Groups,
        folding: &mut Folding,
    ) -> Result<(), QueryError> {
        let Folding { row, values, held } = folding;
        row.clear();
        self.emit(emits, slots, row)?;
        let Context { dictionary, meter, .. } = &mut self.context;
        let before = *held;
        let key = row.get(..layout.key_width).unwrap_or_default();
        let folds = match groups.get_mut(key) {
            Some(folds) => folds,
            None => {
                *held += 64 + 8 * key.len() as u64 + 96 * layout.aggregates.len() as u64;
                meter.rows(1)?;
                groups.entry(key.to_vec()).or_insert_with(|| layout.folds())
            }
        };
        for (call, fold) in layout.aggregates.iter().zip(folds) {
            let codes = row.get(call.first..call.first + call.count).unwrap_or_default();
            values.clear();
            values.extend(codes.iter().map(|code| dictionary.value(*code)));
            *held -= fold.bytes();
            fold.add(values);
            *held += fold.bytes();
        }
        if *held > before { meter.bytes(*held) } else { Ok(()) }
    }

    fn finish(
        &mut self,
        groups: Groups,
        layout: &Layout<'_>,
        into: usize,
    ) -> Result<(), QueryError> {
        let relation = self.relations.get_mut(into).ok_or(PlanError::UnknownNumber)?;
        let dictionary = &mut self.context.dictionary;
        for (mut row, folds) in groups {
            for (call, fold) in layout.aggregates.iter().zip(folds) {
                let value: Value = fold.finish().map_err(|kind| {
                    let function = Function::Add;
                    QueryError::Mistake(Mistake { kind, function, span: call.span })
                })?;
                row.push(dictionary.encode_value(&value));
            }
            relation.insert(&row, dictionary);
        }
        self.check_bytes()
    }

    /// Goals whose every column is named, so that each row is one binding: relations without the
    /// columns that nobody named, each row once.
    fn whole(&mut self, mut goals: Vec<Item<'d>>) -> Result<Vec<Item<'d>>, QueryError> {
        for item in &mut goals {
            let Item::Goal(goal) = item else { continue };
            let Target::Relation(number) = goal.target else { continue };
            let relation = self.relations.get(number).ok_or(PlanError::UnknownNumber)?;
            let mut columns: Vec<usize> = goal.terms.iter().map(|term| term.column).collect();
            columns.sort_unstable();
            columns.dedup();
            if columns.len() == relation.width() {
                continue;
            }
            let has_note = relation.has_note() && columns.last() == Some(&(relation.width() - 1));
            let mut narrow = Relation::with_note(columns.len(), has_note);
            let mut row = Vec::new();
            let mut cursor = relation.scan(Part::All);
            let mut added = 0;
            while let Some(found) = relation.next(&mut cursor) {
                self.context.meter.step()?;
                row.clear();
                row.extend(columns.iter().map(|column| relation.cell(found, *column)));
                added += u64::from(narrow.insert(&row, &mut self.context.dictionary));
            }
            narrow.settle();
            self.context.meter.rows(added)?;
            for term in &mut goal.terms {
                term.column = columns.binary_search(&term.column).unwrap_or_default();
            }
            goal.target = Target::Relation(self.add_relation(narrow));
        }
        Ok(goals)
    }
}

impl Layout<'_> {
    fn folds(&self) -> Vec<Fold> {
        self.aggregates.iter().map(Call::fold).collect()
    }
}

impl Call<'_> {
    fn fold(&self) -> Fold {
        let data_type =
            self.column.map_or(&laterbase_lang::DataType::Int, |column| &column.data_type);
        Fold::new(self.aggregate, data_type, self.count)
    }
}

fn outer_goal<'d>(outer: Outer<'_>) -> Goal<'d> {
    let term = |(column, variable): (usize, &VariableId)| Term {
        column,
        operand: Operand::Variable(*variable),
    };
    Goal {
        target: Target::Relation(outer.relation),
        part: Part::All,
        terms: outer.variables.iter().enumerate().map(term).collect(),
        times: &NO_TIMES,
        name: "rows around",
        span: Span::default(),
    }
}

/// What a head emits. Aggregates stand behind all that they are grouped by.
fn layout<'p>(rule: &'p Rule, columns: &'p [Column], outer: Option<Outer<'_>>) -> Layout<'p> {
    let outer = outer.map_or(&[] as &[VariableId], |outer| outer.variables);
    let mut emits: Vec<Emit> = outer.iter().map(|variable| Emit::Slot(variable.0)).collect();
    for term in &rule.head {
        if let HeadTerm::Value(expression) = term {
            emits.push(emit(expression));
        }
    }
    for tree in trees(rule) {
        emits.extend(tree.outer.iter().map(|(variable, _)| Emit::Slot(variable.0)));
    }
    let key_width = emits.len();
    let mut aggregates = Vec::new();
    for (at, term) in rule.head.iter().enumerate() {
        if let HeadTerm::Aggregate { aggregate, arguments, span } = term {
            let (first, count) = (emits.len(), arguments.len());
            emits.extend(arguments.iter().map(emit));
            aggregates.push(Call { aggregate, column: columns.get(at), first, count, span: *span });
        }
    }
    Layout { emits, key_width, aggregates }
}

pub(super) fn trees(rule: &Rule) -> impl Iterator<Item = &Tree> {
    rule.head.iter().filter_map(|term| match term {
        HeadTerm::Tree(tree) => Some(tree.as_ref()),
        HeadTerm::Value(_) | HeadTerm::Aggregate { .. } => None,
    })
}

pub(super) fn emit(expression: &Expression) -> Emit {
    match expression {
        Expression::Variable(variable) => Emit::Slot(variable.0),
        Expression::Value(_) | Expression::Call(..) => Emit::Expression(expression.clone()),
    }
}

/// The slots that are read to emit.
pub(super) fn slots_of(emits: &[Emit], slot_count: usize) -> Vec<bool> {
    let mut slots = vec![false; slot_count];
    let mut mark = |slot: usize| {
        if let Some(place) = slots.get_mut(slot) {
            *place = true;
        }
    };
    for emit in emits {
        match emit {
            Emit::Slot(slot) => mark(*slot),
            Emit::Expression(expression) => {
                variables::of_expression(expression, &mut |variable| mark(variable.0));
            }
        }
    }
    slots
}
