//! What the name of a relation means, and which columns it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::instance::{Checker, PERIOD, Typed};
use super::times::TimeContext;
use crate::data_type::{Column, DataType};
use crate::diagnostic::{Diagnostic, listed};
use crate::plan::{Place, Source, Stored, StoredColumn};
use crate::schema::{Field, Fields, Merge, Root, Schema, Table, View};
use crate::syntax::{Name, Path};

/// What the name of a relation means.
#[derive(Debug, Clone)]
pub(super) enum Target<'a> {
    /// Events, or rows of a table.
    Stored(StoredTarget<'a>),
    /// What rules make: a number of an instance.
    Derived(usize),
}

/// Events, or rows of a table.
#[derive(Debug, Clone)]
pub(super) struct StoredTarget<'a> {
    pub(super) name: Arc<str>,
    pub(super) source: Source,
    /// What is declared of it.
    fields: &'a Fields,
    /// Whether it may have others.
    is_lax: bool,
    /// The table on which its events are operations.
    operations_on: Option<Arc<str>>,
}

impl StoredTarget<'_> {
    pub(super) fn is_table(&self) -> bool {
        matches!(self.source, Source::Table { .. })
    }

    /// The column that tells its rows apart.
    pub(super) fn identity(&self) -> &'static str {
        if self.is_table() { "key" } else { "id" }
    }
}

/// Fields of what nothing is declared of.
static NO_FIELDS: Fields = Fields { fields: BTreeMap::new(), removed: BTreeSet::new() };

/// What is declared by name, and which columns of it were named so far.
pub(super) struct Known<'a> {
    tables: BTreeMap<&'a str, (u32, &'a Table)>,
    views: BTreeMap<&'a str, &'a View>,
    /// Stored relations of the plan, by whether they are tables and their name.
    stored: BTreeMap<(bool, Arc<str>), usize>,
    /// Declared fields of stored relations of the plan.
    fields: BTreeMap<usize, BTreeMap<&'a str, (u32, &'a Field)>>,
    /// Columns of stored relations of the plan; nothing for one that is not there.
    columns: BTreeMap<(usize, Arc<str>), Option<ColumnType>>,
}

/// The number of a column, and its type.
type ColumnType = (usize, Typed);

impl<'a> Known<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let tables = schema.tables.iter().rev();
        let views = schema.views.values().rev();
        Self {
            tables: tables.map(|(number, it)| (it.name.as_ref(), (*number, it))).collect(),
            views: views.map(|view| (view.name.as_ref(), view)).collect(),
            stored: BTreeMap::new(),
            fields: BTreeMap::new(),
            columns: BTreeMap::new(),
        }
    }

    /// Whether a table or a view has a name.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.views.contains_key(name)
    }
}

/// The name of the relation of all events.
pub(crate) const EVENTS: &str = "event";

impl<'a> Checker<'a> {
    /// What a path means, asked at a time; `None` after a mistake was told.
    pub(super) fn target(&mut self, path: &Path, times: &TimeContext) -> Option<Target<'a>> {
        match path.parts.as_slice() {
            [name] => self.named(name, times),
            _ => self.event(path).map(Target::Stored),
        }
    }

    fn named(&mut self, name: &Name, times: &TimeContext) -> Option<Target<'a>> {
        if self.rules.contains_key(&name.text) {
            let rules = |checker: &Self| {
                (checker.rules.get(&name.text).cloned().unwrap_or_default(), false)
            };
            return self.instance(&name.text, times, rules, name.span).map(Target::Derived);
        }
        if let Some((number, table)) = self.known.tables.get(name.text.as_ref()).copied() {
            return Some(Target::Stored(StoredTarget {
                name: Arc::clone(&table.name),
                source: Source::Table { number },
                fields: &table.fields,
                is_lax: table.is_lax,
                operations_on: None,
            }));
        }
        if let Some(view) = self.known.views.get(name.text.as_ref()).copied() {
            let rules = |_: &Self| (vec![Arc::new(view.rule.clone())], true);
            return self.instance(&name.text, times, rules, name.span).map(Target::Derived);
        }
        if name.text.as_ref() == EVENTS {
            return Some(Target::Stored(StoredTarget {
                name: Arc::clone(&name.text),
                source: Source::Events,
                fields: &NO_FIELDS,
                is_lax: false,
                operations_on: None,
            }));
        }
        self.tell_of_unknown(name);
        None
    }

    fn tell_of_unknown(&mut self, name: &Name) {
        if !self.is_listening() {
            return;
        }
        let schema = self.context.schema;
        let mistake = Diagnostic::error(name.span, format!("there is no relation `{}`", name.text));
        let is_root =
            schema.roots.contains_key(&name.text) || self.context.stored.contains_key(&name.text);
        if is_root {
            let types = self.event_names(&name.text);
            let example = types.first().map_or("departed", |name| name.as_ref());
            let help = format!(
                "it is a root: name one of its events, as in {}.{example}{{…}}, or all of them \
                 with event{{root: \"{}\"}}",
                name.text, name.text
            );
            self.tell(mistake.help(help));
            return;
        }
        let rules = self.rules.keys().map(AsRef::as_ref);
        let tables = schema.tables.values().map(|table| table.name.as_ref());
        let views = schema.views.values().map(|view| view.name.as_ref());
        let known = rules.chain(tables).chain(views).chain([EVENTS]);
        let label = self.guesses.label(&name.text, known);
        self.tell(mistake.label(label).help(
            "a relation is a rule of this text, a table, a view, root.type for events of a type, \
             or `event` for all",
        ));
    }

    /// Names of the events of a root, declared and stored.
    fn event_names(&self, root: &str) -> Vec<Arc<str>> {
        let declared = self.context.schema.roots.get(root).into_iter();
        let declared =
            declared.flat_map(|root| root.events.values().map(|it| Arc::clone(&it.name)));
        let stored = self.context.stored.get(root).into_iter().flatten().cloned();
        let mut names: Vec<Arc<str>> = declared.chain(stored).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Events of a root and type. Names of either may hold dots, so every way to split is tried.
    fn event(&mut self, path: &Path) -> Option<StoredTarget<'a>> {
        let joined = |parts: &[Name]| {
            let texts: Vec<&str> = parts.iter().map(|part| part.text.as_ref()).collect();
            texts.join(".")
        };
        let splits = (1..path.parts.len()).rev().filter_map(|at| path.parts.split_at_checked(at));
        let splits: Vec<(String, String)> =
            splits.map(|(root, name)| (joined(root), joined(name))).collect();
        let schema = self.context.schema;
        for (root, name) in &splits {
            if let Some(found) = schema.roots.get_key_value(root.as_str()) {
                return self.declared_event(path, found, name);
            }
        }
        if let Some(found) = self.operations(path) {
            return Some(found);
        }
        for (root, name) in &splits {
            if let Some((root, types)) = self.context.stored.get_key_value(root.as_str()) {
                if !types.is_empty() && !types.contains(name.as_str()) {
                    self.tell_of_no_events(path, root, name);
                }
                return Some(undeclared(root, name));
            }
        }
        if self.tell_of_no_operation(path) {
            return None;
        }
        let (root, _) = splits.first().filter(|_| self.is_listening())?;
        let declared = schema.roots.keys();
        let known = declared.chain(self.context.stored.keys()).map(AsRef::as_ref);
        let label = self.guesses.label(root, known);
        let span = path.parts.first().map_or(path.span, |part| part.span);
        self.tell(
            Diagnostic::error(span, format!("there is no root `{root}`"))
                .label(label)
                .help("a root is there once the schema declares it, or events are stored under it"),
        );
        None
    }

    /// The operations on a table that a path names.
    fn operations(&self, path: &Path) -> Option<StoredTarget<'a>> {
        let [table, name] = path.parts.as_slice() else { return None };
        let (number, table) = self.known.tables.get(table.text.as_ref()).copied()?;
        let is_put = name.text.as_ref() == "put";
        OPERATIONS.contains(&name.text.as_ref()).then(|| StoredTarget {
            name: Arc::from(format!("{}.{}", table.name, name.text)),
            source: Source::EventsOf {
                root: Arc::from(operations_root(number)),
                type_names: vec![Arc::clone(&name.text)],
                type_number: None,
            },
            fields: if is_put { &table.fields } else { &NO_FIELDS },
            is_lax: table.is_lax && is_put,
            operations_on: Some(Arc::clone(&table.name)),
        })
    }

    /// Whether a path names a table, and nothing that is done to one.
    fn tell_of_no_operation(&mut self, path: &Path) -> bool {
        let [table, name] = path.parts.as_slice() else { return false };
        if !self.known.tables.contains_key(table.text.as_ref()) || !self.is_listening() {
            return false;
        }
        let label = self.guesses.label(&name.text, OPERATIONS);
        let message = format!("`{}` is a table and has no `{}`", table.text, name.text);
        let help = format!(
            "its rows are {0}{{…}}; what was done to them is {0}.put{{…}} and {0}.delete{{…}}",
            table.text
        );
        self.tell(Diagnostic::error(name.span, message).label(label).help(help));
        true
    }

    fn declared_event(
        &mut self,
        path: &Path,
        (root_name, root): (&Arc<str>, &'a Root),
        name: &str,
    ) -> Option<StoredTarget<'a>> {
        if let Some((number, event)) = root.event(name) {
            return Some(StoredTarget {
                name: Arc::from(format!("{root_name}.{name}")),
                source: Source::EventsOf {
                    root: Arc::clone(root_name),
                    type_names: event.stored_names.clone(),
                    type_number: Some(number),
                },
                fields: &event.fields,
                is_lax: root.is_lax,
                operations_on: None,
            });
        }
        let is_stored =
            self.context.stored.get(root_name).is_some_and(|types| types.contains(name));
        if root.is_lax || is_stored {
            return Some(undeclared(root_name, name));
        }
        if !self.is_listening() {
            return None;
        }
        let names = self.event_names(root_name);
        let label = self.guesses.label(name, names.iter().map(AsRef::as_ref));
        let span = path.parts.last().map_or(path.span, |part| part.span);
        let mistake = Diagnostic::error(span, format!("`{root_name}` has no event `{name}`"));
        let help = if names.is_empty() {
            "it has none yet".to_owned()
        } else {
            format!("its events are {}", listed(names.iter().map(AsRef::as_ref)))
        };
        self.tell(mistake.label(label).help(help));
        None
    }

    fn tell_of_no_events(&mut self, path: &Path, root: &str, name: &str) {
        if !self.is_listening() {
            return;
        }
        let names = self.event_names(root);
        let label = self.guesses.label(name, names.iter().map(AsRef::as_ref));
        let span = path.parts.last().map_or(path.span, |part| part.span);
        self.tell(
            Diagnostic::warning(span, format!("no event `{name}` is stored under `{root}`"))
                .label(label)
                .help("no rows will be found until one is"),
        );
    }

    /// The number of a stored relation in the plan.
    pub(super) fn stored_number(&mut self, target: &StoredTarget<'a>) -> usize {
        let key = (target.is_table(), Arc::clone(&target.name));
        if let Some(found) = self.known.stored.get(&key) {
            return *found;
        }
        let number = self.stored.len();
        self.known.stored.insert(key, number);
        let fields = target.fields.fields.iter().rev();
        let by_name = fields.map(|(number, field)| (field.name.as_ref(), (*number, field)));
        self.known.fields.insert(number, by_name.collect());
        self.stored.push(Stored {
            name: Arc::clone(&target.name),
            source: target.source.clone(),
            columns: Vec::new(),
        });
        number
    }

    /// The number of a column of a stored relation, and its type; `None` if it has none such.
    pub(super) fn stored_column(
        &mut self,
        number: usize,
        target: &StoredTarget<'a>,
        name: &str,
    ) -> Option<(usize, Typed)> {
        let key = (number, Arc::from(name));
        if let Some(found) = self.known.columns.get(&key) {
            return found.clone();
        }
        let declared = self.known.fields.get(&number).and_then(|fields| fields.get(name));
        let place = place_of(target, declared.copied(), name);
        let found = place.and_then(|(place, data_type, is_optional)| {
            let typed = Typed { data_type: Some(data_type.clone()), is_optional };
            let columns = &mut self.stored.get_mut(number)?.columns;
            let column = Column { name: Arc::from(name), data_type, is_optional };
            columns.push(StoredColumn { column, place });
            Some((columns.len() - 1, typed))
        });
        self.known.columns.insert(key, found.clone());
        found
    }

    pub(super) fn tell_of_no_field(&mut self, of: &str, known: &[&str], name: &Name) {
        let label = self.guesses.label(&name.text, known.iter().copied());
        let help = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("its fields are {}", listed(known.iter().copied()))
        };
        self.tell(
            Diagnostic::error(name.span, format!("`{of}` has no field `{}`", name.text))
                .label(label)
                .help(help),
        );
    }
}

/// Events that no schema declares.
fn undeclared(root: &Arc<str>, name: &str) -> StoredTarget<'static> {
    StoredTarget {
        name: Arc::from(format!("{root}.{name}")),
        source: Source::EventsOf {
            root: Arc::clone(root),
            type_names: vec![Arc::from(name)],
            type_number: None,
        },
        fields: &NO_FIELDS,
        is_lax: true,
        operations_on: None,
    }
}

/// The root of a table's operations, by the table's number.
#[must_use]
pub fn operations_root(table: u32) -> String {
    format!("_table.{table}")
}

/// The types of operations on tables, as the relations `table.put` and `table.delete`.
const OPERATIONS: [&str; 2] = ["put", "delete"];

/// Names of the columns of a stored relation that are known.
pub(super) fn known_columns<'t>(target: &'t StoredTarget<'_>) -> Vec<&'t str> {
    let implicit: &[&str] = match target {
        _ if target.is_table() => &["key"],
        _ if target.operations_on.is_some() => &IMPLICIT_OF_OPERATIONS,
        _ => &IMPLICIT,
    };
    target.fields.names().chain(implicit.iter().copied()).collect()
}

/// Fields that events have whatever they say.
const IMPLICIT: [&str; 14] = [
    "id", "key", "at", "tx", "origin", "seq", "cause", "root", "type", "version", "tags", "meta",
    "payload", "arrived",
];

/// Fields that operations on tables have.
const IMPLICIT_OF_OPERATIONS: [&str; 13] = [
    "id", "key", "at", "tx", "origin", "seq", "cause", "tags", "meta", "arrived", "until", "life",
    "changed",
];

/// Where a column of a stored relation stands, its type, and whether it may be absent.
fn place_of(
    target: &StoredTarget<'_>,
    declared: Option<(u32, &Field)>,
    name: &str,
) -> Option<(Place, DataType, bool)> {
    if let Some((number, field)) = declared {
        let place = Place::Field { number, name: Arc::clone(&field.name) };
        if target.operations_on.is_some() {
            // What was done to it, or nothing: other than what it is.
            let data_type = match field.merge {
                Merge::LastWriter | Merge::Counter => field.data_type.clone(),
                Merge::ObservedRemove => DataType::Json,
            };
            return Some((place, data_type, true));
        }
        let is_optional = field.is_optional && field.default.is_none();
        return Some((place, field.data_type.clone(), is_optional));
    }
    if target.is_table() {
        return match name {
            "key" => Some((Place::Key, DataType::Ref(Arc::clone(&target.name)), false)),
            PERIOD => Some((Place::Validity, DataType::Period, false)),
            _ if target.is_lax => Some((Place::Member(Arc::from(name)), DataType::Json, true)),
            _ => None,
        };
    }
    let key = match (&target.operations_on, &target.source) {
        (Some(table), _) => DataType::Ref(Arc::clone(table)),
        (None, Source::EventsOf { root, .. }) => DataType::Ref(Arc::clone(root)),
        (None, Source::Events | Source::Table { .. }) => DataType::Text,
    };
    if target.operations_on.is_some() {
        let texts = || DataType::Set(Arc::new(DataType::Text));
        match name {
            "until" => return Some((Place::Until, DataType::Time, true)),
            "life" => return Some((Place::Life, DataType::Int, false)),
            "changed" => return Some((Place::Changed, texts(), false)),
            "root" | "type" | "version" | "payload" => return None,
            _ => {}
        }
    }
    Some(match name {
        "id" => (Place::Id, DataType::Id, false),
        "key" => (Place::Key, key, false),
        "at" => (Place::At, DataType::Time, false),
        "tx" => (Place::Tx, DataType::Time, false),
        "origin" => (Place::Origin, DataType::Text, false),
        "seq" => (Place::Seq, DataType::Int, false),
        "cause" => (Place::Cause, DataType::Id, true),
        "root" => (Place::Root, DataType::Text, false),
        "type" => (Place::Type, DataType::Text, false),
        "version" => (Place::Version, DataType::Int, false),
        "tags" => (Place::Tags, DataType::Set(Arc::new(DataType::Text)), false),
        "meta" => (Place::Meta, DataType::Json, false),
        "payload" => (Place::Payload, DataType::Json, true),
        "arrived" => (Place::Arrived, DataType::Time, false),
        PERIOD => return None,
        _ if target.is_lax => (Place::Member(Arc::from(name)), DataType::Json, true),
        _ => return None,
    })
}
