//! A second answer to every plan, as plain as the language's meaning: for tests.
//!
//! Bodies are nested loops over whole relations, literals taken in the order in which they are
//! written as soon as what they need is bound; relations are sets of rows, made anew until nothing
//! changes. It shares with the engine the functions, the aggregates and the reading of times, and
//! nothing else. Left out: budgets, indexes, speed; recursion is as deep as bodies are long.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use laterbase_lang::plan::{
    Answer, Atom, Derived, Expression, HeadTerm, Literal, Operand, Plan, Relation, Rule, VariableId,
};
use laterbase_lang::{Column, Value};

use crate::aggregate::{self, Fold};
use crate::data::{Data, Scan, ValueRef};
use crate::error::{Mistake, PlanError, QueryError};
use crate::rows::record;
use crate::scalar::Scalars;
use crate::{times, variables};

/// A row of values.
pub type OracleRow = Vec<Value>;
/// What variables are bound to.
type Bound = Vec<Option<Value>>;

/// The rows of an answer, in their order.
///
/// # Errors
///
/// Those of the engine, but for budgets.
pub fn answer(plan: &Plan, data: &dyn Data) -> Result<Vec<OracleRow>, QueryError> {
    let mut oracle = Oracle {
        plan,
        data,
        scalars: Scalars::default(),
        made: vec![BTreeSet::new(); plan.derived.len()],
    };
    for stratum in &plan.strata {
        while oracle.grow(&stratum.relations)? {}
    }
    oracle.answer(&plan.answer, &[])
}

struct Oracle<'a> {
    plan: &'a Plan,
    data: &'a dyn Data,
    scalars: Scalars,
    made: Vec<BTreeSet<OracleRow>>,
}

impl Oracle<'_> {
    /// Applies every rule of some relations once; whether anything changed.
    fn grow(&mut self, relations: &[usize]) -> Result<bool, QueryError> {
        let mut has_changed = false;
        for &number in relations {
            let derived = self.plan.derived.get(number).ok_or(PlanError::UnknownNumber)?;
            let mut rows = self.made.get(number).cloned().unwrap_or_default();
            for rule in &derived.rules {
                rows.extend(self.head_rows(derived, rule)?);
            }
            let rows = merged(derived, rows);
            let Some(held) = self.made.get_mut(number) else { continue };
            if *held != rows {
                *held = rows;
                has_changed = true;
            }
        }
        Ok(has_changed)
    }

    fn head_rows(&self, derived: &Derived, rule: &Rule) -> Result<Vec<OracleRow>, QueryError> {
        if derived.lattice.iter().all(Option::is_none) {
            return self.rule_rows(rule, &derived.columns, &[]);
        }
        // Each binding is a row of its own; they are merged with all others later.
        let mut rows = Vec::new();
        for bound in self.bindings(rule, &[])? {
            let mut row = Vec::new();
            for (term, lattice) in rule.head.iter().zip(&derived.lattice) {
                let value = match term {
                    HeadTerm::Value(expression) => self.evaluate(expression, &bound)?,
                    HeadTerm::Aggregate { arguments, .. } => match arguments.first() {
                        Some(argument) => self.evaluate(argument, &bound)?,
                        None => Value::Null,
                    },
                    HeadTerm::Tree(_) => return Err(PlanError::NoLattice.into()),
                };
                row.push(match lattice {
                    Some(aggregate) => aggregate::contribution(aggregate, &value),
                    None => value,
                });
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// The rows of a rule with some variables bound beforehand.
    fn rule_rows(
        &self,
        rule: &Rule,
        columns: &[Column],
        outer: &[(VariableId, Value)],
    ) -> Result<Vec<OracleRow>, QueryError> {
        let bindings = self.bindings(rule, outer)?;
        let is_aggregate = |term: &HeadTerm| matches!(term, HeadTerm::Aggregate { .. });
        if !rule.head.iter().any(is_aggregate) {
            let rows: Result<BTreeSet<OracleRow>, QueryError> =
                bindings.iter().map(|bound| self.head_values(rule, bound, true)).collect();
            return Ok(rows?.into_iter().collect());
        }
        // Groups by the values of the head, and by what trees in it are told.
        let mut groups: BTreeMap<OracleRow, Vec<Bound>> = BTreeMap::new();
        if !rule.head.iter().any(|term| matches!(term, HeadTerm::Value(_))) && !is_told(rule) {
            groups.insert(Vec::new(), Vec::new());
        }
        for bound in bindings {
            let mut key = self.head_values(rule, &bound, false)?;
            for term in &rule.head {
                if let HeadTerm::Tree(tree) = term {
                    let outer = tree.outer.iter().map(|(outer, _)| read(&bound, *outer));
                    key.extend(outer);
                }
            }
            groups.entry(key).or_default().push(bound);
        }
        let mut rows = BTreeSet::new();
        for bindings in groups.values() {
            rows.insert(self.group_row(rule, columns, bindings)?);
        }
        Ok(rows.into_iter().collect())
    }

    /// The values and trees of a head, or the values alone; aggregates are left out.
    fn head_values(
        &self,
        rule: &Rule,
        bound: &Bound,
        with_trees: bool,
    ) -> Result<OracleRow, QueryError> {
        let mut row = Vec::new();
        for term in &rule.head {
            match term {
                HeadTerm::Value(expression) => row.push(self.evaluate(expression, bound)?),
                HeadTerm::Tree(tree) if with_trees => {
                    let outer: Vec<(VariableId, Value)> = tree
                        .outer
                        .iter()
                        .map(|(outer, inner)| (*inner, read(bound, *outer)))
                        .collect();
                    let rows = self.answer(&tree.answer, &outer)?;
                    let mut records = rows.into_iter().map(|row| record(&tree.answer, row));
                    row.push(if tree.is_many {
                        Value::List(records.collect())
                    } else {
                        records.next().unwrap_or_default()
                    });
                }
                HeadTerm::Tree(_) | HeadTerm::Aggregate { .. } => {}
            }
        }
        Ok(row)
    }

    fn group_row(
        &self,
        rule: &Rule,
        columns: &[Column],
        bindings: &[Bound],
    ) -> Result<OracleRow, QueryError> {
        let nothing = Bound::new();
        let first = bindings.first().unwrap_or(&nothing);
        let mut plain = self.head_values(rule, first, true)?.into_iter();
        let mut row = Vec::new();
        for (term, column) in rule.head.iter().zip(columns) {
            let HeadTerm::Aggregate { aggregate, arguments, span } = term else {
                row.push(plain.next().unwrap_or_default());
                continue;
            };
            let mut fold = Fold::new(aggregate, &column.data_type, arguments.len());
            for bound in bindings {
                let values: Result<Vec<Value>, QueryError> =
                    arguments.iter().map(|argument| self.evaluate(argument, bound)).collect();
                fold.add(&values?);
            }
            let function = laterbase_lang::Function::Add;
            row.push(fold.finish().map_err(|kind| Mistake { kind, function, span: *span })?);
        }
        Ok(row)
    }

    fn answer(
        &self,
        answer: &Answer,
        outer: &[(VariableId, Value)],
    ) -> Result<Vec<OracleRow>, QueryError> {
        let mut rows = Vec::new();
        for row in self.rule_rows(&answer.rule, &answer.columns, outer)? {
            let bound: Bound = row.iter().cloned().map(Some).collect();
            let stays = match &answer.having {
                Some(having) => self.evaluate(having, &bound)? == Value::Bool(true),
                None => true,
            };
            if stays {
                let keys: Result<Vec<Value>, QueryError> =
                    answer.order.iter().map(|sort| self.evaluate(&sort.by, &bound)).collect();
                rows.push((keys?, row));
            }
        }
        rows.sort_by(|a, b| {
            let keys =
                a.0.iter()
                    .zip(&b.0)
                    .zip(&answer.order)
                    .map(|((a, b), sort)| if sort.is_descending { b.cmp(a) } else { a.cmp(b) });
            keys.reduce(std::cmp::Ordering::then)
                .unwrap_or(std::cmp::Ordering::Equal)
                .then_with(|| a.1.cmp(&b.1))
        });
        let offset = usize::try_from(answer.offset).unwrap_or(usize::MAX);
        let limit =
            answer.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(rows.into_iter().map(|(_, row)| row).skip(offset).take(limit).collect())
    }

    /// The different bindings of a rule's variables.
    fn bindings(
        &self,
        rule: &Rule,
        outer: &[(VariableId, Value)],
    ) -> Result<BTreeSet<Bound>, QueryError> {
        let mut bound: Bound = vec![None; rule.variables.len()];
        for (variable, value) in outer {
            if let Some(place) = bound.get_mut(variable.0) {
                *place = Some(value.clone());
            }
        }
        let mut found = BTreeSet::new();
        let literals: Vec<&Literal> = rule.body.iter().collect();
        let _ = self.solve(&literals, &mut bound, &mut |bound| {
            found.insert(bound.clone());
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Calls `take` for each way to make all literals hold.
    fn solve(
        &self,
        literals: &[&Literal],
        bound: &mut Bound,
        take: &mut dyn FnMut(&Bound) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, QueryError> {
        if literals.is_empty() {
            return Ok(take(bound));
        }
        let mut bindable: Vec<VariableId> = Vec::new();
        literals.iter().for_each(|one| variables::bound_by(one, &mut |v| bindable.push(v)));
        let is_ready = |literal: &&&Literal| {
            let mut is_ready = true;
            variables::needed_by(literal, &mut |needed| {
                let is_bound = bound.get(needed.0).is_some_and(Option::is_some);
                is_ready &= is_bound || !bindable.contains(&needed);
            });
            is_ready
        };
        let chosen = literals.iter().position(|literal| is_ready(&literal));
        let chosen = chosen.ok_or(PlanError::Unbound)?;
        let mut rest = literals.to_vec();
        let literal = rest.remove(chosen);
        match literal {
            Literal::Atom(atom) => self.solve_atom(atom, &rest, bound, take),
            Literal::Not(inner, _) => {
                let inner: Vec<&Literal> = inner.iter().collect();
                let mut inside = bound.clone();
                let found = self.solve(&inner, &mut inside, &mut |_| ControlFlow::Break(()))?;
                if found.is_break() {
                    return Ok(ControlFlow::Continue(()));
                }
                self.solve(&rest, bound, take)
            }
            Literal::Filter(expression, _) => {
                if self.evaluate(expression, bound)? != Value::Bool(true) {
                    return Ok(ControlFlow::Continue(()));
                }
                self.solve(&rest, bound, take)
            }
            Literal::Let(variable, expression, _) => {
                let value = self.evaluate(expression, bound)?;
                self.solve_with(&[(*variable, value)], &rest, bound, take)
            }
            Literal::Each(variable, expression, _) => {
                let value = self.evaluate(expression, bound)?;
                let (Value::List(elements) | Value::Set(elements)) = value else {
                    return Ok(ControlFlow::Continue(()));
                };
                for element in elements.iter() {
                    let one = [(*variable, element.clone())];
                    if self.solve_with(&one, &rest, bound, take)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn solve_atom(
        &self,
        atom: &Atom,
        rest: &[&Literal],
        bound: &mut Bound,
        take: &mut dyn FnMut(&Bound) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, QueryError> {
        'rows: for row in self.rows_of(atom, bound)? {
            let mut pairs = Vec::new();
            for term in &atom.terms {
                let value = row.get(term.column).ok_or(PlanError::UnknownNumber)?;
                match &term.operand {
                    Operand::Variable(variable) => pairs.push((*variable, value.clone())),
                    Operand::Value(wanted) if wanted == value && !value.is_null() => {}
                    Operand::Value(_) => continue 'rows,
                }
            }
            if self.solve_with(&pairs, rest, bound, take)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Binds variables, unless they are bound to something else, and goes on.
    fn solve_with(
        &self,
        pairs: &[(VariableId, Value)],
        rest: &[&Literal],
        bound: &mut Bound,
        take: &mut dyn FnMut(&Bound) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, QueryError> {
        let before = bound.clone();
        let mut agrees = true;
        for (variable, value) in pairs {
            let place = bound.get_mut(variable.0).ok_or(PlanError::UnknownNumber)?;
            match place {
                Some(held) => agrees &= held == value && !value.is_null(),
                None => *place = Some(value.clone()),
            }
        }
        let flow = if agrees { self.solve(rest, bound, take)? } else { ControlFlow::Continue(()) };
        *bound = before;
        Ok(flow)
    }

    fn rows_of(&self, atom: &Atom, bound: &Bound) -> Result<Vec<OracleRow>, QueryError> {
        let number = match atom.relation {
            Relation::Derived(number) => {
                let made = self.made.get(number).ok_or(PlanError::UnknownNumber)?;
                return Ok(made.iter().cloned().collect());
            }
            Relation::Stored(number) => number,
        };
        let relation = self.plan.stored.get(number).ok_or(PlanError::UnknownNumber)?;
        let resolved = times::resolve(&atom.times.valid, &mut |variable| read(bound, variable));
        let Some(valid) = resolved else { return Ok(Vec::new()) };
        let columns: Vec<usize> = (0..relation.columns.len()).collect();
        let request = Scan {
            relation,
            columns: &columns,
            cut: &atom.times.cut,
            valid,
            constraints: &[],
            order: None,
            limit: None,
        };
        let mut rows = Vec::new();
        self.data.scan(&request, &mut |cells: &[ValueRef<'_>]| {
            rows.push(cells.iter().map(|cell| cell.to_value()).collect());
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    fn evaluate(&self, expression: &Expression, bound: &Bound) -> Result<Value, QueryError> {
        Ok(self.scalars.evaluate(expression, &|variable| read(bound, variable))?)
    }
}

/// Whether trees of a head are told anything of its rows.
fn is_told(rule: &Rule) -> bool {
    rule.head.iter().any(|term| matches!(term, HeadTerm::Tree(tree) if !tree.outer.is_empty()))
}

fn read(bound: &Bound, variable: VariableId) -> Value {
    bound.get(variable.0).cloned().flatten().unwrap_or_default()
}

/// Rows of a relation with lattice columns, one for each value of the other columns.
fn merged(derived: &Derived, rows: BTreeSet<OracleRow>) -> BTreeSet<OracleRow> {
    if derived.lattice.iter().all(Option::is_none) {
        return rows;
    }
    let mut groups: BTreeMap<OracleRow, OracleRow> = BTreeMap::new();
    for row in rows {
        let lattice = || derived.lattice.iter();
        let plain = row.iter().zip(lattice()).filter(|(_, aggregate)| aggregate.is_none());
        let key: OracleRow = plain.map(|(value, _)| value.clone()).collect();
        let held = groups.entry(key).or_insert_with(|| row.clone());
        for ((held, value), aggregate) in held.iter_mut().zip(&row).zip(lattice()) {
            let merged =
                aggregate.as_ref().and_then(|aggregate| aggregate::merge(aggregate, held, value));
            if let Some(merged) = merged {
                *held = merged;
            }
        }
    }
    groups.into_values().collect()
}
