//! Answers: rows of a rule with their trees, which of them stay, in which order.
//!
//! A tree is answered once for all rows around it: the different things that it is told of them are
//! a relation, which its rule joins; its rows are then cut into groups by that relation's rows, and
//! having, order, offset and limit are each group's own.

use std::cmp::Ordering;

use hashbrown::HashMap;
use laterbase_lang::plan::{
    Answer, Expression, HeadTerm, Literal, Operand, Rule, Term, Tree, VariableId,
};
use laterbase_lang::{Column, Value};
use rustc_hash::FxBuildHasher;

use super::Run;
use super::goal::derived_number;
use super::matrix::Matrix;
use super::relation::{Part, Relation};
use super::rule::{Outer, trees};
use crate::code::{Code, Dictionary, NULL, Order};
use crate::error::{PlanError, QueryError};
use crate::rows::{Rows, record};
use crate::why::is_why;

/// Rows of one width, in their order.
pub(super) struct Sheet {
    width: usize,
    cells: Vec<Code>,
    count: usize,
}

/// The answer of a plan.
pub(super) enum Answered {
    Sheet(Sheet),
    Matrix(Matrix),
}

impl Sheet {
    fn row(&self, row: usize) -> &[Code] {
        self.cells.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }
}

type Values = HashMap<Vec<Code>, Code, FxBuildHasher>;

impl<'d> Run<'d> {
    /// What the plan asks for.
    pub(super) fn answered(&mut self) -> Result<Answered, QueryError> {
        let answer = &self.plan.answer;
        self.context.meter.blame("the answer", answer.rule.span);
        if let Some((number, is_turned)) = self.copied(answer) {
            let closure = self.relations.get_mut(number).map(std::mem::take).unwrap_or_default();
            if let Some(mut matrix) = closure.into_matrix() {
                if is_turned {
                    matrix.bits = matrix.bits.transposed();
                }
                return Ok(Answered::Matrix(matrix));
            }
        }
        Ok(Answered::Sheet(self.answer(answer, None)?))
    }

    /// The answer as rows that can be read.
    pub(super) fn rows(self, answered: Answered) -> Rows {
        let columns = self.plan.answer.columns.clone();
        let (dictionary, usage) = (self.context.dictionary, self.context.meter.usage());
        match answered {
            Answered::Sheet(sheet) => {
                Rows::new(columns, dictionary, sheet.cells, sheet.count, usage)
            }
            Answered::Matrix(matrix) => Rows::of_matrix(columns, dictionary, matrix, usage),
        }
    }

    /// The closure that an answer is a copy of, whole and in the order of its columns; and whether
    /// these change places.
    fn copied(&self, answer: &Answer) -> Option<(usize, bool)> {
        let is_whole = answer.having.is_none()
            && answer.order.is_empty()
            && answer.offset == 0
            && answer.limit.is_none();
        let [Literal::Atom(atom)] = answer.rule.body.as_slice() else { return None };
        let number = derived_number(atom.relation)?;
        let is_matrix = self.relations.get(number).is_some_and(Relation::is_matrix);
        let [a, b] = atom.terms.as_slice() else { return None };
        let [c, d] = answer.rule.head.as_slice() else { return None };
        let of = |term: &Term| match &term.operand {
            Operand::Variable(variable) => Some((*variable, term.column)),
            Operand::Value(_) => None,
        };
        let (a, b) = (of(a)?, of(b)?);
        let column = |term: &HeadTerm| {
            let HeadTerm::Value(Expression::Variable(variable)) = term else { return None };
            [a, b].into_iter().find(|(other, _)| other == variable).map(|(_, column)| column)
        };
        let is_pair = is_whole && is_matrix && a.0 != b.0;
        match (column(c)?, column(d)?) {
            (0, 1) if is_pair => Some((number, false)),
            (1, 0) if is_pair => Some((number, true)),
            _ => None,
        }
    }

    /// The rows of an answer, behind those that they are of; sorted, and cut to offset and limit.
    fn answer(
        &mut self,
        answer: &'d Answer,
        outer: Option<Outer<'_>>,
    ) -> Result<Sheet, QueryError> {
        let first = if outer.is_none() { self.first_rows(answer)? } else { None };
        let made = match first {
            Some(made) => made,
            None => self.rows_with_trees(&answer.rule, &answer.columns, outer)?,
        };
        let outer_width = outer.map_or(0, |outer| outer.variables.len());
        let mut kept = Vec::new();
        let mut cursor = made.scan(Part::All);
        while let Some(row) = made.next(&mut cursor) {
            self.context.meter.step()?;
            let head = made.row(row).get(outer_width..).unwrap_or_default();
            let stays = match &answer.having {
                Some(having) => {
                    let binding = self.context.binding(head);
                    self.context.scalars.holds(having, &binding)?
                }
                None => true,
            };
            if stays {
                kept.push(row);
            }
        }
        let keys = self.sort_keys(answer, &made, &kept, outer_width)?;
        sort(&mut kept, &made, &keys, answer, outer_width, &self.context.dictionary);
        Ok(cut(&kept, &made, answer, outer_width))
    }

    /// What each row is sorted by, in the order of the rows; nothing if that is columns alone.
    fn sort_keys(
        &mut self,
        answer: &Answer,
        made: &Relation,
        kept: &[usize],
        outer_width: usize,
    ) -> Result<HashMap<usize, Vec<Code>, FxBuildHasher>, QueryError> {
        let mut keys = HashMap::default();
        if answer.order.is_empty() {
            return Ok(keys);
        }
        for row in kept {
            let head = made.row(*row).get(outer_width..).unwrap_or_default();
            let mut key = Vec::with_capacity(answer.order.len());
            for sort in &answer.order {
                key.push(self.context.evaluate(&sort.by, head)?);
            }
            keys.insert(*row, key);
        }
        Ok(keys)
    }

    /// The rows of a rule: what they are of, then the columns of the head.
    pub(super) fn rows_with_trees(
        &mut self,
        rule: &'d Rule,
        columns: &'d [Column],
        outer: Option<Outer<'_>>,
    ) -> Result<Relation, QueryError> {
        let outer_width = outer.map_or(0, |outer| outer.variables.len());
        let told: usize = trees(rule).map(|tree| tree.outer.len()).sum();
        let width = outer_width + told + rule.head.len() - trees(rule).count();
        let has_note = outer.is_none() && columns.last().is_some_and(is_why);
        // Aggregates stand behind what they are grouped by, so rows differ in other columns.
        let is_plain = rule.head.iter().all(|term| matches!(term, HeadTerm::Value(_)));
        let raw = self.add_relation(Relation::with_note(width, has_note && is_plain));
        self.rule(rule, columns, outer, raw)?;
        let made = self.relations.get_mut(raw).map(std::mem::take).unwrap_or_default();
        self.assemble(rule, made, outer_width, has_note)
    }

    /// Puts the columns of a rule's rows into the order of its head, trees among them.
    fn assemble(
        &mut self,
        rule: &'d Rule,
        mut raw: Relation,
        outer_width: usize,
        has_note: bool,
    ) -> Result<Relation, QueryError> {
        raw.settle();
        let is_plain = rule.head.iter().all(|term| matches!(term, HeadTerm::Value(_)));
        if is_plain {
            return Ok(raw);
        }
        let value_count =
            rule.head.iter().filter(|term| matches!(term, HeadTerm::Value(_))).count();
        let mut told_at = outer_width + value_count;
        let mut grown = Vec::new();
        for tree in trees(rule) {
            let told: Vec<usize> = (told_at..told_at + tree.outer.len()).collect();
            told_at += tree.outer.len();
            grown.push((self.tree(tree, &raw, &told)?, told));
        }
        let mut made = Relation::with_note(outer_width + rule.head.len(), has_note);
        let mut row = Vec::new();
        for at in 0..raw.seen() {
            self.context.meter.step()?;
            let cells = raw.row(at);
            let cell = |column: usize| cells.get(column).copied().unwrap_or(NULL);
            row.clear();
            row.extend(cells.get(..outer_width).unwrap_or_default());
            let (mut value, mut aggregate, mut tree) = (outer_width, told_at, grown.iter());
            for term in &rule.head {
                match term {
                    HeadTerm::Value(_) => {
                        row.push(cell(value));
                        value += 1;
                    }
                    HeadTerm::Aggregate { .. } => {
                        row.push(cell(aggregate));
                        aggregate += 1;
                    }
                    HeadTerm::Tree(_) => {
                        let Some((values, told)) = tree.next() else { continue };
                        let key: Vec<Code> = told.iter().map(|column| cell(*column)).collect();
                        row.push(values.get(&key).copied().unwrap_or(NULL));
                    }
                }
            }
            made.insert(&row, &mut self.context.dictionary);
        }
        made.settle();
        self.check_bytes()?;
        Ok(made)
    }

    /// The value of a tree for each thing that it is told of the rows around it.
    fn tree(
        &mut self,
        tree: &'d Tree,
        raw: &Relation,
        told: &[usize],
    ) -> Result<Values, QueryError> {
        let mut around = Relation::new(told.len());
        for row in 0..raw.seen() {
            let key: Vec<Code> = told.iter().map(|column| raw.cell(row, *column)).collect();
            around.insert(&key, &mut self.context.dictionary);
        }
        around.settle();
        let keys: Vec<Vec<Code>> = (0..around.seen()).map(|row| around.row(row).to_vec()).collect();
        let variables: Vec<VariableId> = tree.outer.iter().map(|(_, inner)| *inner).collect();
        let relation = self.add_relation(around);
        let outer = Outer { relation, variables: &variables };
        let sheet = self.answer(&tree.answer, Some(outer))?;
        let mut lists: HashMap<Vec<Code>, Vec<Value>, FxBuildHasher> = HashMap::default();
        for row in 0..sheet.count {
            let (key, head) = sheet.row(row).split_at_checked(told.len()).unwrap_or_default();
            let dictionary = &self.context.dictionary;
            let values = head.iter().map(|code| dictionary.value(*code)).collect();
            lists.entry_ref(key).or_default().push(record(&tree.answer, values));
        }
        let mut values = Values::default();
        for key in keys {
            let list = lists.remove(&key).unwrap_or_default();
            let value = if tree.is_many {
                Value::List(list.into())
            } else {
                list.into_iter().next().unwrap_or_default()
            };
            let code = self.context.dictionary.encode_value(&value);
            values.insert(key, code);
        }
        self.check_bytes()?;
        Ok(values)
    }

    /// Adds the rows of a rule to a derived relation.
    pub(super) fn derived_rule(
        &mut self,
        rule: &'d Rule,
        columns: &'d [Column],
        into: usize,
    ) -> Result<(), QueryError> {
        if rule.head.iter().all(|term| matches!(term, HeadTerm::Value(_))) {
            return self.rule(rule, columns, None, into);
        }
        let made = self.rows_with_trees(rule, columns, None)?;
        let relation = self.relations.get_mut(into).ok_or(PlanError::UnknownNumber)?;
        for row in 0..made.seen() {
            relation.insert(made.row(row), &mut self.context.dictionary);
        }
        Ok(())
    }
}

/// Sorts rows by what they are of, then by the keys, then by their columns.
fn sort(
    kept: &mut [usize],
    made: &Relation,
    keys: &HashMap<usize, Vec<Code>, FxBuildHasher>,
    answer: &Answer,
    outer_width: usize,
    dictionary: &Dictionary,
) {
    let order = Order::new(dictionary, kept.len());
    let all = |a: &[Code], b: &[Code]| {
        let mut pairs = a.iter().zip(b).map(|(a, b)| order.compare(*a, *b));
        pairs.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    };
    let by_key = |a: &usize, b: &usize| {
        let (Some(a), Some(b)) = (keys.get(a), keys.get(b)) else { return Ordering::Equal };
        let mut pairs = a.iter().zip(b).zip(&answer.order).map(|((a, b), sort)| {
            let ordering = order.compare(*a, *b);
            if sort.is_descending { ordering.reverse() } else { ordering }
        });
        pairs.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    };
    kept.sort_unstable_by(|a, b| {
        let (x, y) = (made.row(*a), made.row(*b));
        let (x_of, x) = x.split_at_checked(outer_width).unwrap_or_default();
        let (y_of, y) = y.split_at_checked(outer_width).unwrap_or_default();
        // Which group comes first matters to nobody; that each stands together does.
        x_of.cmp(y_of).then_with(|| by_key(a, b)).then_with(|| all(x, y))
    });
}

/// Takes the rows of each group from its offset up to its limit.
fn cut(kept: &[usize], made: &Relation, answer: &Answer, outer_width: usize) -> Sheet {
    let mut sheet = Sheet { width: made.width(), cells: Vec::new(), count: 0 };
    let mut group: &[Code] = &[];
    let mut place: u64 = 0;
    let until = answer.limit.map_or(u64::MAX, |limit| answer.offset.saturating_add(limit));
    for (number, row) in kept.iter().enumerate() {
        let cells = made.row(*row);
        let of = cells.get(..outer_width).unwrap_or_default();
        if number == 0 || of != group {
            (group, place) = (of, 0);
        }
        if (answer.offset..until).contains(&place) {
            sheet.cells.extend_from_slice(cells);
            sheet.count += 1;
        }
        place += 1;
    }
    sheet
}
