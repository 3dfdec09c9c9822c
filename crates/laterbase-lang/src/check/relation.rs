//! What the name of a relation means, and which columns it has.

use std::sync::Arc;

use super::instance::{Checker, PERIOD, Typed};
use super::times::TimeContext;
use crate::data_type::{Column, DataType};
use crate::diagnostic::{Diagnostic, nearest};
use crate::plan::{Place, Source, Stored, StoredColumn};
use crate::schema::Fields;
use crate::syntax::{Name, Path};

/// What the name of a relation means.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// Events, or rows of a table.
    Stored(StoredTarget),
    /// What rules make: a number of an instance.
    Derived(usize),
}

/// Events, or rows of a table.
#[derive(Debug, Clone)]
pub(super) struct StoredTarget {
    pub(super) name: Arc<str>,
    pub(super) source: Source,
    /// What is declared of it.
    fields: Fields,
    /// Whether it may have others.
    is_lax: bool,
}

impl StoredTarget {
    pub(super) fn is_table(&self) -> bool {
        matches!(self.source, Source::Table { .. })
    }

    /// The column that tells its rows apart.
    pub(super) fn identity(&self) -> &'static str {
        if self.is_table() { "key" } else { "id" }
    }
}

/// The name of the relation of all events.
const EVENTS: &str = "event";

impl Checker<'_> {
    /// What a path means, asked at a time; `None` after a mistake was told.
    pub(super) fn target(&mut self, path: &Path, times: &TimeContext) -> Option<Target> {
        match path.parts.as_slice() {
            [name] => self.named(name, times),
            _ => self.event(path).map(Target::Stored),
        }
    }

    fn named(&mut self, name: &Name, times: &TimeContext) -> Option<Target> {
        let schema = self.context.schema;
        if self.rules.contains_key(&name.text) {
            let rules = |checker: &Self| {
                (checker.rules.get(&name.text).cloned().unwrap_or_default(), false)
            };
            return self.instance(&name.text, times, rules, name.span).map(Target::Derived);
        }
        if let Some((number, table)) = schema.table(&name.text) {
            return Some(Target::Stored(StoredTarget {
                name: Arc::clone(&table.name),
                source: Source::Table { number },
                fields: table.fields.clone(),
                is_lax: table.is_lax,
            }));
        }
        if let Some(view) = schema.view(&name.text) {
            let rules = |_: &Self| (vec![Arc::new(view.rule.clone())], true);
            return self.instance(&name.text, times, rules, name.span).map(Target::Derived);
        }
        if name.text.as_ref() == EVENTS {
            return Some(Target::Stored(StoredTarget {
                name: Arc::clone(&name.text),
                source: Source::Events,
                fields: Fields::default(),
                is_lax: false,
            }));
        }
        self.tell_of_unknown(name);
        None
    }

    fn tell_of_unknown(&mut self, name: &Name) {
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
        let known: Vec<&str> = rules.chain(tables).chain(views).chain([EVENTS]).collect();
        let label = nearest(&name.text, known).map(|near| format!("did you mean `{near}`?"));
        self.tell(mistake.label(label.unwrap_or_default()).help(
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
    fn event(&mut self, path: &Path) -> Option<StoredTarget> {
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
        for (root, name) in &splits {
            if let Some((root, types)) = self.context.stored.get_key_value(root.as_str()) {
                if !types.is_empty() && !types.contains(name.as_str()) {
                    self.tell_of_no_events(path, root, name);
                }
                return Some(undeclared(root, name));
            }
        }
        let (root, _) = splits.first()?;
        let declared = schema.roots.keys();
        let known = declared.chain(self.context.stored.keys()).map(AsRef::as_ref);
        let near = nearest(root, known).map(|near| format!("did you mean `{near}`?"));
        let span = path.parts.first().map_or(path.span, |part| part.span);
        self.tell(
            Diagnostic::error(span, format!("there is no root `{root}`"))
                .label(near.unwrap_or_default())
                .help("a root is there once the schema declares it, or events are stored under it"),
        );
        None
    }

    fn declared_event(
        &mut self,
        path: &Path,
        (root_name, root): (&Arc<str>, &crate::schema::Root),
        name: &str,
    ) -> Option<StoredTarget> {
        if let Some((number, event)) = root.event(name) {
            return Some(StoredTarget {
                name: Arc::from(format!("{root_name}.{name}")),
                source: Source::EventsOf {
                    root: Arc::clone(root_name),
                    type_names: event.stored_names.clone(),
                    type_number: Some(number),
                },
                fields: event.fields.clone(),
                is_lax: root.is_lax,
            });
        }
        let is_stored =
            self.context.stored.get(root_name).is_some_and(|types| types.contains(name));
        if root.is_lax || is_stored {
            return Some(undeclared(root_name, name));
        }
        let names = self.event_names(root_name);
        let near = nearest(name, names.iter().map(AsRef::as_ref));
        let span = path.parts.last().map_or(path.span, |part| part.span);
        self.tell(
            Diagnostic::error(span, format!("`{root_name}` has no event `{name}`"))
                .label(near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default())
                .help(format!("its events are {}", names.join(", "))),
        );
        None
    }

    fn tell_of_no_events(&mut self, path: &Path, root: &str, name: &str) {
        let names = self.event_names(root);
        let near = nearest(name, names.iter().map(AsRef::as_ref));
        let span = path.parts.last().map_or(path.span, |part| part.span);
        self.tell(
            Diagnostic::warning(span, format!("no event `{name}` is stored under `{root}`"))
                .label(near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default()),
        );
    }

    /// The number of a stored relation in the plan.
    pub(super) fn stored_number(&mut self, target: &StoredTarget) -> usize {
        let found = self.stored.iter().position(|stored| stored.source == target.source);
        found.unwrap_or_else(|| {
            self.stored.push(Stored {
                name: Arc::clone(&target.name),
                source: target.source.clone(),
                columns: Vec::new(),
            });
            self.stored.len() - 1
        })
    }

    /// The number of a column of a stored relation, and its type; `None` if it has none such.
    pub(super) fn stored_column(
        &mut self,
        number: usize,
        target: &StoredTarget,
        name: &str,
    ) -> Option<(usize, Typed)> {
        let (place, data_type, is_optional) = place_of(target, name)?;
        let typed = Typed { data_type: Some(data_type.clone()), is_optional };
        let columns = &mut self.stored.get_mut(number)?.columns;
        let at = columns.iter().position(|column| column.place == place).unwrap_or_else(|| {
            let column = Column { name: Arc::from(name), data_type, is_optional };
            columns.push(StoredColumn { column, place });
            columns.len() - 1
        });
        Some((at, typed))
    }

    pub(super) fn tell_of_no_field(&mut self, of: &str, known: &[&str], name: &Name) {
        let near = nearest(&name.text, known.iter().copied());
        self.tell(
            Diagnostic::error(name.span, format!("`{of}` has no field `{}`", name.text))
                .label(near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default())
                .help(format!("its fields are {}", known.join(", "))),
        );
    }
}

/// Events that no schema declares.
fn undeclared(root: &Arc<str>, name: &str) -> StoredTarget {
    StoredTarget {
        name: Arc::from(format!("{root}.{name}")),
        source: Source::EventsOf {
            root: Arc::clone(root),
            type_names: vec![Arc::from(name)],
            type_number: None,
        },
        fields: Fields::default(),
        is_lax: true,
    }
}

/// Names of the columns of a stored relation that are known.
pub(super) fn known_columns(target: &StoredTarget) -> Vec<&str> {
    let implicit: &[&str] = if target.is_table() { &["key"] } else { &IMPLICIT };
    target.fields.names().chain(implicit.iter().copied()).collect()
}

/// Fields that events have whatever they say.
const IMPLICIT: [&str; 14] = [
    "id", "key", "at", "tx", "origin", "seq", "cause", "root", "type", "version", "tags", "meta",
    "payload", "arrived",
];

/// Where a column of a stored relation stands, its type, and whether it may be absent.
fn place_of(target: &StoredTarget, name: &str) -> Option<(Place, DataType, bool)> {
    if let Some((number, field)) = target.fields.field(name) {
        let place = Place::Field { number, name: Arc::clone(&field.name) };
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
    let key = match &target.source {
        Source::EventsOf { root, .. } => DataType::Ref(Arc::clone(root)),
        Source::Events | Source::Table { .. } => DataType::Text,
    };
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
