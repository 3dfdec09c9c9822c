//! Statements that write: what they write to, and the rows that say what.
//!
//! ```text
//!   add root.type{field: e, …} valid t :- body
//!       └─ target, fields ─▶ cells       the question ?{e, …, t} :- body ─▶ a plan
//! ```
//! A strict root takes what it declares and nothing else; everything that must be there is named.

use std::sync::Arc;

use super::Context;
use super::expression::{Typing, fitting};
use super::instance::{Checker, Typed};
use crate::data_type::{Column, DataType};
use crate::diagnostic::{Diagnostic, has_errors, listed};
use crate::function::Function;
use crate::plan::{Answer, Expression, HeadTerm, Plan};
use crate::schema::{Field, Fields, Merge, Root, is_root_name};
use crate::span::Span;
use crate::syntax::{
    Body, Change, Expect, ExpressionKind, ExpressionSyntax, Head, HeadField, HeadValue,
    LiteralSyntax, Mutation, MutationKind, Name, Path, PatternField, RuleSyntax, Select,
    TimesSyntax, ValidSyntax, VersionSyntax,
};
use crate::value::Value;
use crate::write::{Cell, CellChange, CellPlace, Demand, DemandedVersion, Write, WriteTarget};

/// Bytes of the name of a type at the most, as the data model has it.
const TYPE_BYTES_MAX: usize = 128;

/// Rows that a demand tells of at the most.
const FOUND_MAX: u64 = 3;

/// What a statement comes to, and what is wrong or odd.
#[derive(Debug)]
pub struct CheckedStep<T> {
    /// Absent if anything is wrong.
    pub step: Option<T>,
    /// Mistakes and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a mutation; its body is read at `times` where it says nothing else.
#[must_use]
pub fn check_mutation(
    context: &Context<'_>,
    rules: &[RuleSyntax],
    mutation: &Mutation,
    times: &TimesSyntax,
) -> CheckedStep<Write> {
    let mut checker = Checker::new(context, rules);
    let target = checker.write_target(mutation);
    let mut cells = Vec::new();
    let mut fields = Vec::new();
    if let Some(target) = &target {
        checker.cells(mutation, target, &mut cells, &mut fields);
        checker.valid_cells(mutation, &mut cells, &mut fields);
        checker.tell_of_missing(mutation, target, &cells);
    }
    let empty = Body { literals: Vec::new(), span: mutation.span };
    let select = Select {
        head: Head { fields, span: mutation.span },
        body: mutation.body.clone().unwrap_or(empty),
        having: None,
        order: Vec::new(),
        offset: None,
        limit: None,
        times: nearer(&mutation.times, times),
        span: mutation.span,
    };
    let plan = checker.plan_of(&select, cells);
    let cells = std::mem::take(&mut checker.cells);
    let diagnostics = checker.into_diagnostics();
    let is_right = !has_errors(&diagnostics);
    let write = |(target, rows): (Target<'_>, Plan)| Write {
        kind: mutation.kind,
        target: target.target,
        cells,
        rows,
        span: mutation.span,
    };
    CheckedStep { step: target.zip(plan).filter(|_| is_right).map(write), diagnostics }
}

/// Checks a demand; its body is read at `times` where it says nothing else.
#[must_use]
pub fn check_expect(
    context: &Context<'_>,
    rules: &[RuleSyntax],
    expect: &Expect,
    times: &TimesSyntax,
) -> CheckedStep<Demand> {
    let mut checker = Checker::new(context, rules);
    let demand = match expect {
        Expect::Version { root, key, version, span } => checker.version(root, key, version, *span),
        Expect::Query { is_some, body, times: own, span } => {
            let limit = ExpressionSyntax {
                kind: ExpressionKind::Value(Value::Int(FOUND_MAX as i64)),
                span: *span,
            };
            let select = Select {
                head: Head { fields: named_columns(body, *span), span: *span },
                body: body.clone(),
                having: None,
                order: Vec::new(),
                offset: None,
                limit: Some(limit),
                times: nearer(own, times),
                span: *span,
            };
            let rows = checker.plan_of(&select, Vec::new());
            rows.map(|rows| Demand::Rows { is_some: *is_some, rows: Box::new(rows), span: *span })
        }
    };
    let diagnostics = checker.into_diagnostics();
    CheckedStep { step: demand.filter(|_| !has_errors(&diagnostics)), diagnostics }
}

/// What is said nearer wins.
fn nearer(own: &TimesSyntax, outer: &TimesSyntax) -> TimesSyntax {
    TimesSyntax {
        cut: own.cut.clone().or_else(|| outer.cut.clone()),
        valid: own.valid.clone().or_else(|| outer.valid.clone()),
    }
}

/// The variables that the atoms of a body name, as columns that tell what was found.
fn named_columns(body: &Body, span: Span) -> Vec<HeadField> {
    let mut names: Vec<Name> = Vec::new();
    for literal in &body.literals {
        let LiteralSyntax::Atom(atom) = literal else { continue };
        for field in &atom.fields {
            let name = match &field.value {
                None => Some(field.name.clone()),
                Some(value) => value
                    .as_variable()
                    .map(|text| Name { text: Arc::clone(text), span: value.span }),
            };
            names.extend(name.filter(|name| names.iter().all(|it| it.text != name.text)));
        }
    }
    if names.is_empty() {
        let found = ExpressionSyntax { kind: ExpressionKind::Value(Value::Bool(true)), span };
        let name = Name { text: Arc::from("found"), span };
        return vec![HeadField { name, value: Some(HeadValue::Expression(found)) }];
    }
    names.into_iter().map(|name| HeadField { name, value: None }).collect()
}

/// What is written to, and what is declared of it.
struct Target<'a> {
    target: WriteTarget,
    fields: Option<&'a Fields>,
    is_lax: bool,
    name: String,
}

impl Target<'_> {
    fn is_table(&self) -> bool {
        matches!(self.target, WriteTarget::Table { .. })
    }
}

impl<'a> Checker<'a> {
    /// The plan of a question whose columns are for `cells`.
    fn plan_of(&mut self, select: &Select, cells: Vec<Cell>) -> Option<Plan> {
        self.cells = cells;
        self.add_answer(select);
        let strata = self.settle();
        self.emit(strata)
    }

    fn write_target(&mut self, mutation: &Mutation) -> Option<Target<'a>> {
        let path = &mutation.relation;
        match mutation.kind {
            MutationKind::Add => self.event_target(path),
            MutationKind::Put | MutationKind::Delete => self.table_target(path),
        }
    }

    fn table_target(&mut self, path: &Path) -> Option<Target<'a>> {
        let schema = self.context.schema;
        let name = path.to_string();
        if let Some((number, table)) = schema.table(&name) {
            let name = Arc::clone(&table.name);
            return Some(Target {
                name: name.to_string(),
                target: WriteTarget::Table { number, name },
                fields: Some(&table.fields),
                is_lax: table.is_lax,
            });
        }
        let mut told = Diagnostic::error(path.span, format!("there is no table `{name}`"));
        told = if path.parts.len() > 1 {
            told.help("rows of tables are put and deleted; events are added: add root.type{…}")
        } else if schema.tables.is_empty() {
            told.help("no table is declared: apply a schema with `table 1 name { … }` first")
        } else {
            let tables = schema.tables.values().map(|table| table.name.as_ref());
            let help = format!("tables are {}", listed(tables.clone()));
            told.label(self.guesses.label(&name, tables)).help(help)
        };
        self.tell(told);
        None
    }

    fn event_target(&mut self, path: &Path) -> Option<Target<'a>> {
        let schema = self.context.schema;
        let [first, _, ..] = path.parts.as_slice() else {
            let name = path.to_string();
            let is_table = schema.table(&name).is_some();
            let help = if is_table {
                format!("rows of a table are put: put {name}{{…}}")
            } else {
                format!("name the root and the type of the event: add {name}.happened{{…}}")
            };
            let told = Diagnostic::error(path.span, format!("`{name}` is no type of event"));
            self.tell(told.help(help));
            return None;
        };
        let joined = |parts: &[Name]| {
            let texts: Vec<&str> = parts.iter().map(|part| part.text.as_ref()).collect();
            texts.join(".")
        };
        let splits = (1..path.parts.len()).rev().filter_map(|at| path.parts.split_at_checked(at));
        let splits: Vec<(String, String)> =
            splits.map(|(root, name)| (joined(root), joined(name))).collect();
        for (root, name) in &splits {
            if let Some((root_name, root)) = schema.roots.get_key_value(root.as_str()) {
                return self.declared_target(path, (root_name, root), name);
            }
        }
        let stored =
            splits.iter().find(|(root, _)| self.context.stored.contains_key(root.as_str()));
        let (root, name) = stored.or(splits.first())?;
        if stored.is_none() && !schema.roots.is_empty() {
            let known = schema.roots.keys().chain(self.context.stored.keys()).map(AsRef::as_ref);
            let label = self.guesses.label(root, known);
            let told = Diagnostic::error(first.span, format!("there is no root `{root}`"));
            self.tell(told.label(label).help("declare it in the schema, and apply that"));
            return None;
        }
        self.free_target(path, &Arc::from(root.as_str()), name)
    }

    fn declared_target(
        &mut self,
        path: &Path,
        (root_name, root): (&Arc<str>, &'a Root),
        name: &str,
    ) -> Option<Target<'a>> {
        if let Some((number, event)) = root.event(name) {
            let stored = event.stored_names.first().unwrap_or(&event.name);
            return Some(Target {
                target: WriteTarget::Event {
                    root: Arc::clone(root_name),
                    type_name: Arc::clone(stored),
                    number: Some(number),
                },
                fields: Some(&event.fields),
                is_lax: root.is_lax,
                name: format!("{root_name}.{name}"),
            });
        }
        if root.is_lax {
            return self.free_target(path, root_name, name);
        }
        let known = root.events.values().map(|event| event.name.as_ref());
        let label = self.guesses.label(name, known.clone());
        let message = format!("`{root_name}` is strict, and declares no event `{name}`");
        let help = format!("its events are {}; others are declared first", listed(known));
        self.tell(Diagnostic::error(path.span, message).label(label).help(help));
        None
    }

    /// Events of a type that nobody declared.
    fn free_target(&mut self, path: &Path, root: &Arc<str>, name: &str) -> Option<Target<'a>> {
        if !is_root_name(root) || name.len() > TYPE_BYTES_MAX {
            let message = format!("events cannot be stored as `{root}.{name}`");
            self.tell(Diagnostic::error(path.span, message).help(
                "a root's name has up to 64 of a-z, 0-9, `_`, `.` and `-` and does not begin with \
                 `_`; a type's has up to 128 bytes",
            ));
            return None;
        }
        Some(Target {
            target: WriteTarget::Event {
                root: Arc::clone(root),
                type_name: Arc::from(name),
                number: None,
            },
            fields: None,
            is_lax: true,
            name: format!("{root}.{name}"),
        })
    }

    fn cells(
        &mut self,
        mutation: &Mutation,
        target: &Target<'_>,
        cells: &mut Vec<Cell>,
        columns: &mut Vec<HeadField>,
    ) {
        for field in &mutation.fields {
            if cells.iter().any(|cell| cell.name == field.name.text) {
                let message = format!("`{}` is written twice", field.name.text);
                let told = Diagnostic::error(field.name.span, message);
                self.tell(told.help("name each field once"));
                continue;
            }
            let is_key = field.name.text.as_ref() == "key";
            if mutation.kind == MutationKind::Delete && !is_key {
                let told = Diagnostic::error(field.name.span, "a row is deleted by its key");
                self.tell(told.help("choose rows with a body: delete t{key} :- t{key, …}"));
                continue;
            }
            let Some(cell) = self.cell(target, field) else { continue };
            let value = field.value.clone().map(HeadValue::Expression);
            columns.push(HeadField { name: field.name.clone(), value });
            cells.push(cell);
        }
    }

    /// What a field is for; `None` after a mistake was told.
    fn cell(&mut self, target: &Target<'_>, field: &PatternField) -> Option<Cell> {
        let name = &field.name;
        let span = field.value.as_ref().map_or(name.span, |value| value.span);
        let made = |place, data_type, is_optional| Cell {
            name: Arc::clone(&name.text),
            place,
            change: CellChange::Set,
            data_type,
            is_optional,
            span,
        };
        if let Some((number, declared)) = target.fields.and_then(|it| it.field(&name.text)) {
            let is_optional = declared.is_optional;
            let mut cell = made(CellPlace::Field(number), declared.data_type.clone(), is_optional);
            self.change(target, field, Some(declared), &mut cell)?;
            return Some(cell);
        }
        let texts = || DataType::Set(Arc::new(DataType::Text));
        let mut cell = match (name.text.as_ref(), target.is_table()) {
            ("key", _) => made(CellPlace::Key, DataType::Text, false),
            ("cause", false) => made(CellPlace::Cause, DataType::Id, true),
            ("tags", false) => made(CellPlace::Tags, texts(), true),
            ("id" | "tx" | "origin" | "seq" | "at", false) => {
                let message = format!("`{}` is given by the database", name.text);
                self.tell(
                    Diagnostic::error(name.span, message)
                        .help("when it happened is said behind it: add a.b{…} valid 2026-03-01"),
                );
                return None;
            }
            _ if target.is_lax => made(CellPlace::Member, DataType::Json, true),
            _ => {
                let known = target.fields.map(|it| it.names().collect::<Vec<_>>());
                let known: Vec<&str> =
                    known.unwrap_or_default().into_iter().chain(["key"]).collect();
                self.tell_of_no_field(&target.name, &known, name);
                return None;
            }
        };
        self.change(target, field, None, &mut cell)?;
        Some(cell)
    }

    /// Whether a value is set, added or taken away.
    fn change(
        &mut self,
        target: &Target<'_>,
        field: &PatternField,
        declared: Option<&Field>,
        cell: &mut Cell,
    ) -> Option<()> {
        let merge = declared.map_or(Merge::LastWriter, |it| it.merge);
        match (merge, field.change) {
            (Merge::LastWriter, None) => {}
            (Merge::ObservedRemove, None) => cell.change = CellChange::Replace,
            (Merge::Counter, Some(Change::Add)) => cell.change = CellChange::Count,
            (Merge::Counter, None) if is_negative(field.value.as_ref()) => {
                cell.change = CellChange::Count;
            }
            (Merge::Counter, None | Some(Change::Remove)) => {
                let message = format!("`{}` is a counter: it is added to", field.name.text);
                let told = Diagnostic::error(cell.span, message);
                self.tell(told.help("write what is added, with its sign: points: +5, points: -5"));
                return None;
            }
            (Merge::ObservedRemove, Some(change)) => {
                if let Some(DataType::Set(of)) = declared.map(|it| &it.data_type) {
                    cell.data_type = of.as_ref().clone();
                }
                // Whether these are many shows in the type of the column.
                cell.change = match change {
                    Change::Add => CellChange::Insert { are_many: false },
                    Change::Remove => CellChange::Remove { are_many: false },
                };
            }
            (Merge::LastWriter, Some(_)) => {
                let message = format!("`{}` is no counter and no set", field.name.text);
                let told = Diagnostic::error(cell.span, message);
                self.tell(told.help(if target.is_table() {
                    "write the value that it is to have, without a sign"
                } else {
                    "an event says a value once: write it without a sign"
                }));
                return None;
            }
        }
        Some(())
    }

    /// When it is so.
    fn valid_cells(
        &mut self,
        mutation: &Mutation,
        cells: &mut Vec<Cell>,
        columns: &mut Vec<HeadField>,
    ) {
        let mut add = |name: &str, place, at: &ExpressionSyntax| {
            let name = Name { text: Arc::from(name), span: at.span };
            cells.push(Cell {
                name: Arc::from("valid"),
                place,
                change: CellChange::Set,
                data_type: DataType::Time,
                is_optional: false,
                span: at.span,
            });
            let value = Some(HeadValue::Expression(at.clone()));
            columns.push(HeadField { name, value });
        };
        match &mutation.valid {
            None => {}
            Some(ValidSyntax::At(at)) => add("#from", CellPlace::From, at),
            Some(ValidSyntax::In { from, until, bind, span }) => {
                if mutation.kind == MutationKind::Add {
                    let told = Diagnostic::error(*span, "an event happens at one time");
                    self.tell(told.help("as in: add a.b{…} valid 2026-03-01T12:00Z"));
                } else if let Some(bind) = bind {
                    let told = Diagnostic::error(bind.span, "what is written binds nothing");
                    self.tell(told.help("leave `as` out"));
                } else {
                    let is_there = |end: &&ExpressionSyntax| end.as_value() != Some(&Value::Null);
                    match from.as_ref().filter(is_there) {
                        Some(from) => add("#from", CellPlace::From, from),
                        None => {
                            let told = Diagnostic::error(*span, "from when?");
                            self.tell(told.help("what is put is so from some time on: [from, )"));
                        }
                    }
                    if let Some(until) = until.as_ref().filter(is_there) {
                        add("#until", CellPlace::Until, until);
                    }
                }
            }
            Some(ValidSyntax::Any(span)) => {
                let told = Diagnostic::error(*span, "what is written is so from some time on");
                self.tell(told.help("leave it out for now on, or write valid 2026-03-01"));
            }
        }
    }

    fn tell_of_missing(&mut self, mutation: &Mutation, target: &Target<'_>, cells: &[Cell]) {
        let has = |place| cells.iter().any(|cell| cell.place == place);
        let named = |name: &str| mutation.fields.iter().any(|it| it.name.text.as_ref() == name);
        if !has(CellPlace::Key) && !named("key") {
            let told = Diagnostic::error(mutation.relation.span, "which one?");
            self.tell(told.help(format!("name its key: {}{{key: …}}", target.name)));
        }
        let fields = target.fields.filter(|_| mutation.kind == MutationKind::Add);
        let missing: Vec<&str> = fields
            .iter()
            .flat_map(|it| &it.fields)
            .filter(|(_, field)| !field.is_optional && field.default.is_none())
            .map(|(_, field)| field.name.as_ref())
            .filter(|name| !named(name))
            .collect();
        // A field of a wrong name may be what is missing.
        let is_each_known =
            mutation.fields.iter().all(|it| cells.iter().any(|cell| cell.name == it.name.text));
        if !missing.is_empty() && is_each_known {
            let message = format!("`{}` lacks {}", target.name, listed(missing.iter().copied()));
            let told = Diagnostic::error(mutation.relation.span, message);
            self.tell(told.help("only fields with `?` or a default may be left out"));
        }
    }

    /// The columns of an answer as what is written needs them.
    pub(super) fn for_cells(&mut self, mut answer: Answer) -> Option<Answer> {
        let mut is_wrong = false;
        let mut cells = std::mem::take(&mut self.cells);
        let columns = answer.columns.iter_mut().zip(&mut answer.rule.head);
        for (cell, (column, term)) in cells.iter_mut().zip(columns) {
            let is_collection = matches!(column.data_type, DataType::List(_) | DataType::Set(_));
            match &mut cell.change {
                CellChange::Insert { are_many } | CellChange::Remove { are_many } => {
                    *are_many = is_collection;
                }
                CellChange::Set | CellChange::Replace | CellChange::Count => {}
            }
            is_wrong |= self.for_cell(cell, column, term).is_none();
        }
        self.cells = cells;
        (!is_wrong).then_some(answer)
    }

    /// A column as a cell needs it; an aggregate is converted when it is written.
    fn for_cell(&mut self, cell: &Cell, column: &mut Column, term: &mut HeadTerm) -> Option<()> {
        let is_optional = column.is_optional;
        let typed = Typed { data_type: Some(column.data_type.clone()), is_optional };
        let (expression, is_value) = match term {
            HeadTerm::Value(expression) => (expression.clone(), true),
            HeadTerm::Aggregate { .. } | HeadTerm::Tree(_) => {
                (Expression::Call(Function::List, Vec::new(), cell.span), false)
            }
        };
        if matches!(expression, Expression::Value(Value::Null)) {
            if !cell.is_optional {
                let told = Diagnostic::error(cell.span, format!("`{}` is always there", cell.name));
                self.tell(told.help("write a value, or declare the field with `?`"));
            }
            return cell.is_optional.then_some(());
        }
        let wanted = cell.wanted();
        if let (DataType::List(found), DataType::Set(of)) = (&column.data_type, &wanted)
            && found.base() == of.base()
        {
            // A list becomes a set where it is written.
            return Some(());
        }
        let typing = self.as_type(Typing { expression, typed, span: cell.span }, &wanted)?;
        if is_value {
            column.is_optional = typing.typed.is_optional;
            column.data_type = wanted;
            *term = HeadTerm::Value(typing.expression);
        }
        Some(())
    }

    fn version(
        &mut self,
        root: &Name,
        key: &ExpressionSyntax,
        version: &VersionSyntax,
        span: Span,
    ) -> Option<Demand> {
        if !is_root_name(&root.text) {
            let message = format!("`{}` is no name of a root", root.text);
            let told = Diagnostic::error(root.span, message);
            self.tell(told.help("as in: expect shipment \"4711\" at 12"));
            return None;
        }
        let key_value = self.constant(key)?;
        let Some(key_text) = key_value.as_text() else {
            let message = format!("a key is text, found {} `{key_value}`", key_value.kind());
            self.tell(Diagnostic::error(key.span, message).help("convert it with text(…)"));
            return None;
        };
        let version = match version {
            VersionSyntax::None => DemandedVersion::None,
            VersionSyntax::Exists => DemandedVersion::Exists,
            VersionSyntax::At(at) => {
                let value = self.constant(at)?;
                let count = match fitting(&value, &DataType::Int) {
                    Some(Value::Int(count)) => u64::try_from(count).ok(),
                    _ => None,
                };
                let Some(count) = count else {
                    let message = format!("a version is a number of events, not {value}");
                    self.tell(Diagnostic::error(at.span, message).help("as in: at 12"));
                    return None;
                };
                DemandedVersion::At(count)
            }
        };
        let (root, key) = (Arc::clone(&root.text), Arc::from(key_text));
        Some(Demand::Version { root, key, version, span })
    }
}

/// Whether an expression takes something away from a counter: a number or an expression with a
/// minus in front.
fn is_negative(value: Option<&ExpressionSyntax>) -> bool {
    match value.map(|value| &value.kind) {
        Some(ExpressionKind::Operator(Function::Negate, _)) => true,
        Some(ExpressionKind::Value(Value::Int(int))) => *int < 0,
        _ => false,
    }
}
