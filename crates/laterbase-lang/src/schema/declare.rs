//! From declarations to a schema.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{EVENT_FIELDS, EventType, Field, Fields, Index, Merge, Root, Schema, Table, View};
use crate::data_type::DataType;
use crate::diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Guesses, shown};
use crate::span::Span;
use crate::syntax::{
    Declaration, FieldSyntax, FieldsSyntax, IndexSyntax, Name, Number, RootSyntax, Statement,
    StatementKind, TableSyntax, TypeSyntax,
};
use crate::value::Value;

/// Bytes of the name of a root at the most, as the data model has it.
const ROOT_BYTES_MAX: usize = 64;

/// Names of types that may stand by themselves.
const TYPE_NAMES: [&str; 16] = [
    "bool", "int", "decimal", "float", "text", "bytes", "time", "date", "duration", "id", "json",
    "period", "ref", "list", "set", "counter",
];

/// What types are called in other languages, and here.
const NAMES_ELSEWHERE: [(&str, &str); 12] = [
    ("string", "text"),
    ("str", "text"),
    ("varchar", "text"),
    ("integer", "int"),
    ("bigint", "int"),
    ("number", "decimal"),
    ("numeric", "decimal"),
    ("double", "float"),
    ("boolean", "bool"),
    ("timestamp", "time"),
    ("datetime", "time"),
    ("interval", "duration"),
];

/// The schema that statements declare, and what is wrong with it. Statements of other kinds are
/// left out; whether views hold what they say is not looked at.
#[must_use]
pub fn declare(statements: &[Statement]) -> (Schema, Vec<Diagnostic>) {
    let mut declarer = Declarer::default();
    let declarations = || {
        statements.iter().filter_map(|statement| match &statement.kind {
            StatementKind::Declaration(declaration) => Some((declaration, statement.span)),
            StatementKind::Rule(_)
            | StatementKind::Query(_)
            | StatementKind::Mutation(_)
            | StatementKind::Transaction(_) => None,
        })
    };
    // References may name what is declared further below.
    for (declaration, _) in declarations() {
        match declaration {
            Declaration::Root(root) => declarer.targets.insert(Arc::clone(&root.name.text)),
            Declaration::Table(table) => declarer.targets.insert(Arc::clone(&table.name.text)),
            Declaration::Index(_) | Declaration::View(_) => false,
        };
    }
    for (declaration, span) in declarations() {
        match declaration {
            Declaration::Root(root) => declarer.root(root, span),
            Declaration::Table(table) => declarer.table(table, span),
            Declaration::View(view) => {
                let name = &view.rule.name;
                declarer.unused(&view.number, "view");
                declarer.new_relation(name);
                let view_number = view.number.value;
                let view = View {
                    name: Arc::clone(&name.text),
                    rule: view.rule.clone(),
                    says: Arc::clone(&view.says),
                };
                declarer.schema.views.insert(view_number, view);
            }
            Declaration::Index(_) => {}
        }
    }
    for (declaration, _) in declarations() {
        if let Declaration::Index(index) = declaration {
            declarer.index(index);
        }
    }
    (declarer.schema, declarer.diagnostics)
}

/// What an index is of: an event of a root, or a table, by number.
type Indexed = (Option<Arc<str>>, u32);

/// Whether a name may be that of a root which a schema declares.
pub(crate) fn is_root_name(name: &str) -> bool {
    has_root_letters(name) && !name.starts_with('_')
}

fn has_root_letters(name: &str) -> bool {
    let is_letter = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-')
    };
    !name.is_empty() && name.len() <= ROOT_BYTES_MAX && name.bytes().all(is_letter)
}

#[derive(Default)]
struct Declarer {
    schema: Schema,
    targets: BTreeSet<Arc<str>>,
    /// Names of roots, tables and views, and where they are declared.
    names: BTreeMap<Arc<str>, Span>,
    /// Numbers of tables and views.
    numbers: BTreeMap<(&'static str, u32), Span>,
    /// Tables by name.
    tables: BTreeMap<Arc<str>, u32>,
    /// Events by root and name.
    events: BTreeMap<(Arc<str>, Arc<str>), u32>,
    /// Fields by name, of what indexes are of.
    indexed: BTreeMap<Indexed, BTreeMap<Arc<str>, u32>>,
    guesses: Guesses,
    diagnostics: Vec<Diagnostic>,
}

impl Declarer {
    fn tell(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Of a table or a view: what every query can name by itself.
    fn new_relation(&mut self, name: &Name) {
        if name.text.as_ref() == crate::check::EVENTS {
            let told = Diagnostic::error(name.span, "all events are called `event` already")
                .help("call it something else");
            self.tell(told);
        }
        self.new_name(name);
    }

    fn new_name(&mut self, name: &Name) {
        if let Some(before) = self.names.insert(Arc::clone(&name.text), name.span) {
            let told = Diagnostic::error(name.span, format!("`{}` is declared twice", name.text))
                .note(before, "first here")
                .help("roots, tables and views have names of their own");
            self.tell(told);
        }
    }

    fn unused(&mut self, number: &Number, what: &'static str) {
        if let Some(before) = self.numbers.insert((what, number.value), number.span) {
            let message = format!("two {what}s have the number {}", number.value);
            let told = Diagnostic::error(number.span, message)
                .note(before, "first here")
                .help("give each a number of its own; numbers in use never change");
            self.tell(told);
        }
    }

    fn root(&mut self, syntax: &RootSyntax, span: Span) {
        self.new_name(&syntax.name);
        let name = &syntax.name.text;
        if !has_root_letters(name) {
            let told = Diagnostic::error(
                syntax.name.span,
                format!("`{}` is no name of a root", shown(name)),
            )
            .help("a root's name has up to 64 of a-z, 0-9, `_`, `.` and `-`");
            self.tell(told);
        } else if name.starts_with('_') {
            let told = Diagnostic::error(syntax.name.span, format!("`{name}` is reserved"))
                .help("names of roots that begin with `_` are the database's own");
            self.tell(told);
        }
        let removed = self.removed(&syntax.removed);
        let root_name = name;
        let mut events: BTreeMap<u32, EventType> = BTreeMap::new();
        let mut names: BTreeMap<Arc<str>, Span> = BTreeMap::new();
        for event in &syntax.events {
            let (number, name) = (event.number.value, &event.name);
            let twin = names.get(&name.text).copied();
            if let Some(before) = events.get(&number).map(|other| other.span).or(twin) {
                let message = format!("event {number} `{}` is declared twice", name.text);
                self.tell(
                    Diagnostic::error(event.number.span.to(name.span), message)
                        .note(before, "its number or name stands here")
                        .help("each event of a root has a number and a name of its own"),
                );
                continue;
            }
            self.not_removed(&event.number, &removed);
            let fields = self.fields(&event.fields, &EVENT_FIELDS, false);
            let span = event.number.span.to(name.span);
            let name = Arc::clone(&name.text);
            names.insert(Arc::clone(&name), span);
            self.events.entry((Arc::clone(root_name), Arc::clone(&name))).or_insert(number);
            let stored_names = vec![Arc::clone(&name)];
            events.insert(number, EventType { name, stored_names, fields, span });
        }
        let root = Root { is_lax: syntax.is_lax, events, removed, span };
        self.schema.roots.insert(Arc::clone(name), root);
    }

    fn table(&mut self, syntax: &TableSyntax, span: Span) {
        self.new_relation(&syntax.name);
        self.unused(&syntax.number, "table");
        let fields = self.fields(&syntax.fields, &["key"], true);
        let name = Arc::clone(&syntax.name.text);
        self.tables.entry(Arc::clone(&name)).or_insert(syntax.number.value);
        let table = Table { name, is_lax: syntax.is_lax, fields, span };
        self.schema.tables.insert(syntax.number.value, table);
    }

    fn removed(&mut self, numbers: &[Number]) -> BTreeSet<u32> {
        numbers.iter().map(|number| number.value).collect()
    }

    fn not_removed(&mut self, number: &Number, removed: &BTreeSet<u32>) {
        if removed.contains(&number.value) {
            let message = format!("the number {} was removed", number.value);
            let told = Diagnostic::error(number.span, message)
                .help("take a number that was never used: what is stored under this one stays");
            self.tell(told);
        }
    }

    fn fields(&mut self, syntax: &FieldsSyntax, reserved: &[&str], is_table: bool) -> Fields {
        let removed = self.removed(&syntax.removed);
        let mut fields = Fields { fields: BTreeMap::new(), removed };
        let mut names: BTreeMap<Arc<str>, Span> = BTreeMap::new();
        for field in &syntax.fields {
            let (number, name) = (field.number.value, &field.name);
            if reserved.contains(&name.text.as_ref()) {
                let message = format!("every row has a field `{}` already", name.text);
                let told = Diagnostic::error(name.span, message).help("call it something else");
                self.tell(told);
            }
            let twin = names.get(&name.text).copied();
            if let Some(before) = fields.fields.get(&number).map(|other| other.span).or(twin) {
                let message = format!("field {number} `{}` is declared twice", name.text);
                self.tell(
                    Diagnostic::error(field.number.span.to(name.span), message)
                        .note(before, "its number or name stands here")
                        .help("each field has a number and a name of its own"),
                );
                continue;
            }
            self.not_removed(&field.number, &fields.removed);
            if let Some(field) = self.field(field, is_table) {
                names.insert(Arc::clone(&field.name), field.span);
                fields.fields.insert(number, field);
            }
        }
        fields
    }

    fn field(&mut self, syntax: &FieldSyntax, is_table: bool) -> Option<Field> {
        let kind = &syntax.type_syntax;
        let merge = match kind.name.text.as_ref() {
            "counter" => Merge::Counter,
            "set" if is_table => Merge::ObservedRemove,
            _ => Merge::LastWriter,
        };
        if merge == Merge::Counter && !is_table {
            let told = Diagnostic::error(kind.span, "only columns of tables count")
                .help("write `int`: an event says a number once");
            self.tell(told);
        }
        if merge != Merge::LastWriter && kind.is_optional && is_table {
            let told = Diagnostic::error(kind.span, "a counter or a set is never absent")
                .help("leave out the `?`: it starts at 0, or empty");
            self.tell(told);
        }
        let data_type = self.data_type(kind)?;
        let default = syntax.default.as_ref().and_then(|default| {
            let value =
                default.as_value().and_then(|value| crate::check::fitting(value, &data_type));
            if value.is_none() {
                let message = format!("the default is no {data_type}");
                self.tell(
                    Diagnostic::error(default.span, message)
                        .help("a default is a literal of the field's type"),
                );
            }
            value
        });
        Some(Field {
            name: Arc::clone(&syntax.name.text),
            data_type,
            merge,
            is_optional: kind.is_optional,
            default: default.filter(|value| *value != Value::Null),
            span: syntax.number.span.to(kind.span),
        })
    }

    fn data_type(&mut self, syntax: &TypeSyntax) -> Option<DataType> {
        Some(match syntax.name.text.as_ref() {
            "bool" => DataType::Bool,
            "int" | "counter" => DataType::Int,
            "decimal" => DataType::Decimal,
            "float" => DataType::Float,
            "text" => DataType::Text,
            "bytes" => DataType::Bytes,
            "time" => DataType::Time,
            "date" => DataType::Date,
            "duration" => DataType::Duration,
            "id" => DataType::Id,
            "json" => DataType::Json,
            "period" => DataType::Period,
            "list" | "set" => {
                let of = syntax.of.as_deref()?;
                if of.name.text.as_ref() == "counter" {
                    let told = Diagnostic::error(of.span, "only a column as a whole counts")
                        .help("elements are values: write `int`");
                    self.tell(told);
                }
                let of = Arc::new(self.data_type(of)?);
                if syntax.name.text.as_ref() == "list" {
                    DataType::List(of)
                } else {
                    DataType::Set(of)
                }
            }
            "ref" => {
                let target = syntax.target.as_ref()?;
                if !self.targets.contains(&target.text) {
                    let known = self.targets.iter().map(AsRef::as_ref);
                    let label = self.guesses.label(&target.text, known);
                    let message = format!("no root and no table is called `{}`", target.text);
                    let told = Diagnostic::error(target.span, message).label(label);
                    self.tell(told.help("a reference is to the keys of what this schema declares"));
                }
                DataType::Ref(Arc::clone(&target.text))
            }
            name => {
                let elsewhere = NAMES_ELSEWHERE.iter().find(|(other, _)| *other == name);
                let label = match elsewhere {
                    Some((_, ours)) => format!("did you mean `{ours}`?"),
                    None => self.guesses.label(name, TYPE_NAMES),
                };
                let told = Diagnostic::error(syntax.name.span, format!("`{name}` is no type"))
                    .label(label)
                    .help(format!("types are {}", TYPE_NAMES.join(", ")));
                self.tell(told);
                return None;
            }
        })
    }

    fn index(&mut self, syntax: &IndexSyntax) {
        let found = match syntax.relation.parts.as_slice() {
            [table] => self.tables.get(&table.text).map(|number| (None, *number)),
            [root, event] => {
                let number = self.events.get(&(Arc::clone(&root.text), Arc::clone(&event.text)));
                number.map(|number| (Some(Arc::clone(&root.text)), *number))
            }
            _ => None,
        };
        let Some((root, number)) = found else {
            let message = format!("`{}` is not declared here", syntax.relation);
            let told = Diagnostic::error(syntax.relation.span, message)
                .help("an index is of a declared event, as in shipment.departed{port}, or a table");
            self.tell(told);
            return;
        };
        let Some(numbers) = self.numbers_of(&(root.clone(), number), syntax) else { return };
        self.schema.indexes.insert(Index { root, number, fields: numbers });
    }
    /// The numbers of an index's fields; `None` after a mistake was told.
    fn numbers_of(&mut self, of: &Indexed, syntax: &IndexSyntax) -> Option<Vec<u32>> {
        let schema = &self.schema;
        let by_name = self.indexed.entry(of.clone()).or_insert_with(|| {
            let fields = match of {
                (Some(root), number) => {
                    let events = schema.roots.get(root).map(|root| &root.events);
                    events.and_then(|events| events.get(number)).map(|event| &event.fields)
                }
                (None, number) => schema.tables.get(number).map(|table| &table.fields),
            };
            let fields = fields.into_iter().flat_map(|fields| &fields.fields);
            fields.map(|(number, field)| (Arc::clone(&field.name), *number)).collect()
        });
        let mut numbers = Vec::new();
        let mut told = Vec::new();
        for name in &syntax.fields {
            if let Some(number) = by_name.get(&name.text) {
                numbers.push(*number);
                continue;
            }
            let label = self.guesses.label(&name.text, by_name.keys().map(AsRef::as_ref));
            let message = format!("`{}` has no field `{}`", syntax.relation, name.text);
            told.push(
                Diagnostic::error(name.span, message)
                    .label(label)
                    .help("an index is by declared fields"),
            );
        }
        if syntax.fields.is_empty() {
            told.push(
                Diagnostic::error(syntax.relation.span, "an index of no fields")
                    .help("name those by which rows are looked for: index shipment.departed{port}"),
            );
        }
        let is_wrong = !told.is_empty();
        told.into_iter().for_each(|told| self.tell(told));
        (!is_wrong).then_some(numbers)
    }
}
