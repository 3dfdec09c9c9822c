//! Relations that rules make: each once for each time that it is asked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Context;
use super::aggregate::without_compounds;
use super::head::Shape;
use super::relation::{EVENTS, Known};
use super::strata::{Edge, components};
use super::times::TimeContext;
use crate::data_type::{Column, DataType};
use crate::diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Guesses, Severity, has_errors};
use crate::function::Aggregate;
use crate::plan::{Derived, Plan, Rule, Stored, Stratum};
use crate::span::Span;
use crate::syntax::{Body, RuleSyntax, Select, TimesSyntax};
use crate::write::Cell;

/// Relations of one question at the most: rules, times the times that they are asked at.
const INSTANCES_MAX: usize = 10_000;

/// Bytes of rules that are checked for one question at the most: a rule is checked once for each
/// time that it is asked at, and again whenever a type that it needs becomes known.
const CHECKED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A type as far as it is known, and whether a value may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) data_type: Option<DataType>,
    pub(super) is_optional: bool,
}

/// A column of a relation that rules make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) name: Arc<str>,
    pub(super) typed: Typed,
    /// The aggregate that stands there, if any rule has one.
    pub(super) aggregate: Option<Aggregate>,
}

/// A relation that rules make, at one time.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) name: Arc<str>,
    pub(super) times: TimeContext,
    pub(super) rules: Vec<Arc<RuleSyntax>>,
    pub(super) slots: Vec<Slot>,
    /// Places in `slots` by name.
    pub(super) slot_numbers: Arc<BTreeMap<Arc<str>, usize>>,
    /// What it needs.
    pub(super) edges: Vec<Edge>,
    /// Where it was first asked for.
    pub(super) used: Span,
    /// Whether its rules stand in the schema, and not in the text.
    pub(super) is_view: bool,
    /// Whether it needs itself.
    pub(super) is_recursive: bool,
}

pub(super) struct Checker<'a> {
    pub(super) context: &'a Context<'a>,
    /// Rules of the text, by name.
    pub(super) rules: BTreeMap<Arc<str>, Vec<Arc<RuleSyntax>>>,
    pub(super) stored: Vec<Stored>,
    pub(super) instances: Vec<Instance>,
    by_key: BTreeMap<(Arc<str>, TimeContext), usize>,
    /// What is declared and stored, by name.
    pub(super) known: Known<'a>,
    pub(super) guesses: Guesses,
    /// Bytes of rules that may still be checked.
    checked_bytes_left: usize,
    /// What the rules that are being checked need.
    pub(super) edges: Vec<Edge>,
    /// Whether mistakes are told.
    is_telling: bool,
    /// While rules of a view are checked: where it was asked for, and its name.
    in_view: Option<(Span, Arc<str>)>,
    diagnostics: Vec<Diagnostic>,
    answer: Option<Select>,
    /// What the columns of the answer are written to, if they are.
    pub(super) cells: Vec<Cell>,
    /// Rules made of parts of others.
    made: usize,
}

impl<'a> Checker<'a> {
    pub(super) fn new(context: &'a Context<'a>, rules: &[RuleSyntax]) -> Self {
        let mut by_name: BTreeMap<Arc<str>, Vec<Arc<RuleSyntax>>> = BTreeMap::new();
        let mut checker = Self {
            context,
            rules: BTreeMap::new(),
            stored: Vec::new(),
            instances: Vec::new(),
            by_key: BTreeMap::new(),
            known: Known::new(context.schema),
            guesses: Guesses::default(),
            checked_bytes_left: CHECKED_BYTES_MAX,
            edges: Vec::new(),
            is_telling: true,
            in_view: None,
            diagnostics: Vec::new(),
            answer: None,
            cells: Vec::new(),
            made: 0,
        };
        for rule in rules {
            let name = &rule.name.text;
            if name.as_ref() == EVENTS || checker.known.is_declared(name) {
                checker.tell(
                    Diagnostic::error(
                        rule.name.span,
                        format!("there is a relation `{name}` already"),
                    )
                    .help("give the rule a name of its own"),
                );
            }
            let rule = checker.simple(rule.clone());
            by_name.entry(Arc::clone(name)).or_default().push(Arc::new(rule));
        }
        by_name.append(&mut checker.rules);
        checker.rules = by_name;
        checker
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut told = self.diagnostics;
        if self.checked_bytes_left == 0 {
            let message = "these rules take too long to check";
            told.push(
                Diagnostic::error(Span::default(), message)
                    .help("ask for fewer rules at once, at fewer times"),
            );
        }
        told.sort_by_key(|one| (one.severity == Severity::Warning, one.span.start));
        told.dedup();
        told.truncate(DIAGNOSTICS_MAX);
        told
    }

    /// Whether there is any use in finding out more about a mistake.
    pub(super) fn is_listening(&self) -> bool {
        self.is_telling && self.diagnostics.len() < DIAGNOSTICS_MAX
    }

    /// Whether a rule of so many bytes may be checked.
    pub(super) fn may_check(&mut self, bytes: usize) -> bool {
        self.checked_bytes_left = self.checked_bytes_left.saturating_sub(bytes);
        self.checked_bytes_left > 0
    }

    /// Tells of a mistake; of one in a view, where the view is asked for.
    pub(super) fn tell(&mut self, diagnostic: Diagnostic) {
        if !self.is_listening() {
            return;
        }
        let diagnostic = match &self.in_view {
            None => diagnostic,
            Some((used, view)) => {
                let message = format!("the view `{view}` does not hold: {}", diagnostic.message);
                Diagnostic::error(*used, message)
                    .help(diagnostic.help.unwrap_or_else(|| "mend it in the schema".to_owned()))
            }
        };
        // A rule is asked at several times, and says the same at each.
        if self.diagnostics.last() != Some(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Takes a rule whose head computes with aggregates apart: one rule for the aggregates, one
    /// that computes.
    fn simple(&mut self, rule: RuleSyntax) -> RuleSyntax {
        let RuleSyntax { name, mut head, mut body, mut times } = rule;
        self.take_compounds(&mut head, &mut body, &mut times);
        RuleSyntax { name, head, body, times }
    }

    fn take_compounds(
        &mut self,
        head: &mut crate::syntax::Head,
        body: &mut Body,
        times: &mut TimesSyntax,
    ) {
        let name: Arc<str> = Arc::from(format!("#{}", self.made));
        if let Some(inner) = without_compounds(&name, head, body, times) {
            self.made += 1;
            self.rules.insert(name, vec![Arc::new(inner)]);
        }
    }

    /// Takes the question in.
    pub(super) fn add_answer(&mut self, select: &Select) {
        let mut select = select.clone();
        let Select { head, body, times, .. } = &mut select;
        self.take_compounds(head, body, times);
        self.answer = Some(select);
    }

    /// The relation of a rule's name at a time; made if it is new.
    pub(super) fn instance(
        &mut self,
        name: &Arc<str>,
        times: &TimeContext,
        rules: impl FnOnce(&Self) -> (Vec<Arc<RuleSyntax>>, bool),
        used: Span,
    ) -> Option<usize> {
        let key = (Arc::clone(name), times.clone());
        if let Some(found) = self.by_key.get(&key) {
            return Some(*found);
        }
        if self.instances.len() >= INSTANCES_MAX {
            let message = format!("the question needs more than {INSTANCES_MAX} relations");
            self.tell(Diagnostic::error(used, message).help("ask at fewer times, or of less"));
            return None;
        }
        let (rules, is_view) = rules(self);
        let first = rules.first()?;
        let slot = |name: &Arc<str>| Slot {
            name: Arc::clone(name),
            typed: Typed::default(),
            aggregate: None,
        };
        let mut slots: Vec<Slot> = first.head.fields.iter().map(|it| slot(&it.name.text)).collect();
        if times.is_range() {
            let typed = Typed { data_type: Some(DataType::Period), is_optional: false };
            slots.push(Slot { name: Arc::from(PERIOD), typed, aggregate: None });
        }
        let numbers = slots.iter().enumerate().rev();
        let numbers = numbers.map(|(at, slot)| (Arc::clone(&slot.name), at)).collect();
        let is_view = is_view || self.in_view.is_some();
        let used = self.in_view.as_ref().map_or(used, |(used, _)| *used);
        self.instances.push(Instance {
            name: Arc::clone(name),
            times: times.clone(),
            rules,
            slots,
            slot_numbers: Arc::new(numbers),
            edges: Vec::new(),
            used,
            is_view,
            is_recursive: false,
        });
        let number = self.instances.len() - 1;
        self.by_key.insert(key, number);
        Some(number)
    }

    /// Finds every relation that is needed, their order, and the types of their columns.
    pub(super) fn settle(&mut self) -> Vec<Stratum> {
        self.is_telling = false;
        self.check_answer();
        let mut next = 0;
        while next < self.instances.len() {
            self.check_instance(next);
            next += 1;
        }
        let edges: Vec<&[Edge]> = self.instances.iter().map(|it| it.edges.as_slice()).collect();
        let strata = components(&edges);
        for stratum in &strata {
            for number in &stratum.relations {
                if let Some(instance) = self.instances.get_mut(*number) {
                    instance.is_recursive = stratum.is_recursive;
                }
            }
            self.infer(stratum);
        }
        self.is_telling = true;
        for stratum in &strata {
            self.tell_of_unstratified(stratum);
        }
        strata
    }

    /// Finds the types of a stratum's columns: checks each relation, and those that need it again
    /// whenever its types change. Types only widen, each column a few times.
    fn infer(&mut self, stratum: &Stratum) {
        let mut needed_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for number in &stratum.relations {
            let edges = self.instances.get(*number).into_iter().flat_map(|it| &it.edges);
            let needed: BTreeSet<usize> = edges.map(|edge| edge.to).collect();
            for to in needed {
                needed_by.entry(to).or_default().push(*number);
            }
        }
        let mut waiting: VecDeque<usize> = stratum.relations.iter().copied().collect();
        let mut is_waiting: BTreeSet<usize> = waiting.iter().copied().collect();
        while let Some(number) = waiting.pop_front() {
            is_waiting.remove(&number);
            let slots = |checker: &Self| checker.instances.get(number).map(|it| it.slots.clone());
            let before = slots(self);
            self.check_instance(number);
            if !stratum.is_recursive || before == slots(self) {
                continue;
            }
            for next in needed_by.get(&number).into_iter().flatten() {
                if is_waiting.insert(*next) {
                    waiting.push_back(*next);
                }
            }
        }
    }

    /// A negation or a sum that needs itself.
    fn tell_of_unstratified(&mut self, stratum: &Stratum) {
        if !stratum.is_recursive {
            return;
        }
        let inside: BTreeSet<usize> = stratum.relations.iter().copied().collect();
        let mut found = Vec::new();
        for number in &stratum.relations {
            let Some(instance) = self.instances.get(*number) else { continue };
            for edge in instance.edges.iter().filter(|edge| inside.contains(&edge.to)) {
                let Some(why) = edge.strength.why() else { continue };
                let to = self.instances.get(edge.to).map(|to| Arc::clone(&to.name));
                let to = to.unwrap_or_default();
                found.push((
                    instance.is_view.then(|| (instance.used, Arc::clone(&instance.name))),
                    Diagnostic::error(
                        edge.span,
                        format!(
                            "`{}` needs {why} `{to}`, which needs `{}`",
                            instance.name, instance.name
                        ),
                    )
                    .help(
                        "break the circle: what is negated or summed must be complete before; \
                         min, max, union, every and some may be recursive",
                    ),
                ));
            }
        }
        for (view, diagnostic) in found {
            self.in_view = view;
            self.tell(diagnostic);
            self.in_view = None;
        }
    }

    /// Checks the rules of a relation; what they are if they hold.
    fn check_instance(&mut self, number: usize) -> Vec<Rule> {
        let Some(instance) = self.instances.get(number).cloned() else { return Vec::new() };
        let outer = self.in_view.take();
        self.in_view = instance.is_view.then(|| (instance.used, Arc::clone(&instance.name)));
        self.edges.clear();
        let mut rules = Vec::new();
        for rule in &instance.rules {
            let shape = Shape { number, slots: &instance.slots, first: instance.rules.first() };
            rules.extend(self.rule(rule, &instance.times, &shape));
        }
        self.in_view = outer;
        let edges = std::mem::take(&mut self.edges);
        if let Some(instance) = self.instances.get_mut(number) {
            instance.edges = edges;
        }
        rules
    }

    /// The plan, if the answer holds; every mistake is told.
    pub(super) fn emit(&mut self, strata: Vec<Stratum>) -> Option<Plan> {
        let numbers = 0..self.instances.len();
        let rules: Vec<Vec<Rule>> = numbers.map(|number| self.check_instance(number)).collect();
        let answer = self.check_answer();
        let mut derived = Vec::new();
        for (number, rules) in rules.into_iter().enumerate() {
            let instance = self.instances.get(number)?.clone();
            let mut columns = Vec::new();
            for slot in &instance.slots {
                columns.push(Column {
                    name: Arc::clone(&slot.name),
                    data_type: self.known(&instance, slot),
                    is_optional: slot.typed.is_optional,
                });
            }
            let is_lattice =
                instance.is_recursive && instance.slots.iter().any(|slot| slot.aggregate.is_some());
            let lattice = instance
                .slots
                .iter()
                .map(|slot| slot.aggregate.clone().filter(|_| is_lattice))
                .collect();
            derived.push(Derived { name: instance.name, columns, lattice, rules });
        }
        Some(Plan { stored: self.stored.clone(), derived, strata, answer: answer? })
    }

    /// The type of a column, which must be known by now.
    fn known(&mut self, instance: &Instance, slot: &Slot) -> DataType {
        if let Some(data_type) = &slot.typed.data_type {
            return data_type.clone();
        }
        if has_errors(&self.diagnostics) {
            return DataType::Json;
        }
        let message = format!("the type of `{}` in `{}` cannot be told", slot.name, instance.name);
        let span = instance.rules.first().map_or(instance.used, |rule| rule.head.span);
        self.in_view = instance.is_view.then(|| (instance.used, Arc::clone(&instance.name)));
        self.tell(Diagnostic::error(span, message).help(
            "a rule that needs only itself has no rows: add one that starts from events or a table",
        ));
        self.in_view = None;
        DataType::Json
    }

    fn check_answer(&mut self) -> Option<crate::plan::Answer> {
        let select = self.answer.take()?;
        self.edges.clear();
        let answer = self.select(&select, &TimeContext::default());
        self.answer = Some(select);
        if self.cells.is_empty() { answer } else { self.for_cells(answer?) }
    }
}

/// The name of the column for the period of a row; no name that anybody can write.
pub(super) const PERIOD: &str = "#period";
