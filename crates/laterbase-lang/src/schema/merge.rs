//! Three schemas to one: what two changes of one schema, made without each other, come to.
//!
//! Item by item, and an item by its number:
//!
//! | `theirs` | `ours` | comes to |
//! |---|---|---|
//! | as `base` | | ours |
//! | as ours | | ours |
//! | changed | as `base` | theirs |
//! | changed | changed otherwise | ours, and a [`Disagreement`] |
//!
//! A type of event, a table, a view or a field that all three have is taken apart into name, type,
//! optional, default, lax, rule; one that is new in both, or removed in one, is taken as a whole.
//! Afterwards the result is made whole: names stand once, references have targets, defaults fit,
//! what may be absent says so. So it is a schema that can be written as a text, whatever the three
//! were.
//!
//! References are merged by the number of a table, so that its new name is no other type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::canonical::{default_text, event_text, field_text, rule_text, table_text, type_text};
use super::names::make_unique;
use super::{EventType, Field, Fields, Merge, Root, Schema, Table, View};
use crate::data_type::DataType;
use crate::value::Value;

/// Two changes that did not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// About what.
    pub what: String,
    /// What stays: the change that came first in the order of ids.
    pub kept: String,
    /// What the other one wanted.
    pub other: String,
}

/// What `theirs`, made of `base`, comes to where there is `ours` by now.
#[must_use]
pub fn merge(base: &Schema, ours: &Schema, theirs: &Schema) -> (Schema, Vec<Disagreement>) {
    let (base, ours, theirs) = (numbered(base), numbered(ours), numbered(theirs));
    let mut merger = Merger::default();
    let mut merged = Schema::default();
    for name in keys([&base.roots, &ours.roots, &theirs.roots]) {
        let three = [&base, &ours, &theirs].map(|schema| schema.roots.get(&name));
        if let Some(root) = merger.root(&name, three) {
            merged.roots.insert(name, root);
        }
    }
    for number in keys([&base.tables, &ours.tables, &theirs.tables]) {
        let three = [&base, &ours, &theirs].map(|schema| schema.tables.get(&number));
        if let Some(table) = merger.table(number, three) {
            merged.tables.insert(number, table);
        }
    }
    for number in keys([&base.views, &ours.views, &theirs.views]) {
        let three = [&base, &ours, &theirs].map(|schema| schema.views.get(&number));
        if let Some(view) = merger.view(number, three) {
            merged.views.insert(number, view);
        }
    }
    let mut indexes = ours.indexes.clone();
    indexes.extend(theirs.indexes.difference(&base.indexes).cloned());
    for gone in base.indexes.difference(&theirs.indexes) {
        indexes.remove(gone);
    }
    merged.indexes = indexes;
    make_unique(&ours, &mut merged, &mut merger.told);
    make_whole(&mut merged);
    (named(merged), merger.told)
}

/// The values of an item in base, ours and theirs.
type Three<'a, T> = [Option<&'a T>; 3];

fn keys<K: Ord + Clone, V>(three: [&BTreeMap<K, V>; 3]) -> BTreeSet<K> {
    three.into_iter().flat_map(BTreeMap::keys).cloned().collect()
}

#[derive(Default)]
struct Merger {
    told: Vec<Disagreement>,
}

impl Merger {
    /// Which of two stays.
    fn choose<'a, T: PartialEq + ?Sized>(
        &mut self,
        what: impl FnOnce() -> String,
        [base, ours, theirs]: Three<'a, T>,
        text: impl Fn(Option<&T>) -> String,
    ) -> Option<&'a T> {
        if theirs == base || theirs == ours {
            return ours;
        }
        if ours == base {
            return theirs;
        }
        self.told.push(Disagreement { what: what(), kept: text(ours), other: text(theirs) });
        ours
    }

    /// A part that all three have.
    fn part<T: PartialEq + Clone>(
        &mut self,
        what: impl FnOnce() -> String,
        [base, ours, theirs]: [&T; 3],
        text: impl Fn(&T) -> String,
    ) -> T {
        let three = [Some(base), Some(ours), Some(theirs)];
        let chosen = self.choose(what, three, |it| it.map(&text).unwrap_or_default());
        chosen.unwrap_or(ours).clone()
    }

    fn root(&mut self, name: &Arc<str>, three: Three<'_, Root>) -> Option<Root> {
        let [base, ours, theirs] = three;
        let what = || format!("root {name}");
        if let (None, Some(root), None) | (Some(_), Some(root), None) = (base, ours, theirs)
            && base.is_none_or(|base| base != root)
        {
            // New here, or gone there while something was added to it.
            return Some(root.clone());
        }
        if ours.is_none() || theirs.is_none() {
            let is_there = |root: Option<&Root>| root.map_or("missing", |_| "there").to_owned();
            return self.choose(what, three, is_there).cloned();
        }
        let is_lax = three.map(|root| root.map(|root| &root.is_lax));
        let words = |is_lax: Option<&bool>| if is_lax == Some(&true) { "lax" } else { "strict" };
        let is_lax = self.choose(what, is_lax, |it| words(it).to_owned()).copied();
        let mut merged = Root {
            is_lax: is_lax.unwrap_or(false),
            events: BTreeMap::new(),
            removed: BTreeSet::new(),
            span: crate::Span::default(),
        };
        let none = BTreeMap::new();
        let events = three.map(|root| root.map_or(&none, |root| &root.events));
        let removed = three.into_iter().flatten().flat_map(|root| &root.removed).copied();
        let numbers: BTreeSet<u32> = keys(events).into_iter().chain(removed).collect();
        for number in numbers {
            let slots = three.map(|root| Slot::of_event(root?, number));
            let what = || format!("event {number} of {name}");
            match self.slot(
                what,
                slots,
                |event| event_text(number, event),
                |merger, three| merger.event(name, number, three),
            ) {
                Some(Slot::InUse(event)) => {
                    merged.events.insert(number, event);
                }
                Some(Slot::Removed) => {
                    merged.removed.insert(number);
                }
                None => {}
            }
        }
        Some(merged)
    }

    /// What has a number that may be removed: as a whole, or `inside` where all three use it.
    fn slot<T: PartialEq + Clone>(
        &mut self,
        what: impl FnOnce() -> String,
        three: [Option<Slot<&T>>; 3],
        text: impl Fn(&T) -> String,
        inside: impl FnOnce(&mut Self, [&T; 3]) -> T,
    ) -> Option<Slot<T>> {
        if let [Some(Slot::InUse(base)), Some(Slot::InUse(ours)), Some(Slot::InUse(theirs))] = three
        {
            return Some(Slot::InUse(inside(self, [base, ours, theirs])));
        }
        let [base, ours, theirs] = &three;
        let three = [base.as_ref(), ours.as_ref(), theirs.as_ref()];
        let chosen = self.choose(what, three, |slot| match slot {
            Some(Slot::InUse(it)) => format!("`{}`", text(it)),
            Some(Slot::Removed) => "removed".to_owned(),
            None => "missing".to_owned(),
        });
        Some(match chosen? {
            Slot::InUse(it) => Slot::InUse((*it).clone()),
            Slot::Removed => Slot::Removed,
        })
    }

    fn event(&mut self, root: &str, number: u32, three: [&EventType; 3]) -> EventType {
        let [_, ours, _] = three;
        let what = format!("event {root}.{}", ours.name);
        let names = three.map(|event| &event.name);
        let name = self.part(|| format!("name of event {number} of {root}"), names, quoted);
        let fields = self.fields(&what, three.map(|event| &event.fields), true);
        EventType {
            stored_names: vec![Arc::clone(&name)],
            name,
            fields,
            span: crate::Span::default(),
        }
    }

    fn table(&mut self, number: u32, three: Three<'_, Table>) -> Option<Table> {
        let [Some(base), Some(ours), Some(theirs)] = three else {
            let text =
                |it: Option<&Table>| it.map_or("missing".to_owned(), |it| table_text(number, it));
            return self.choose(|| format!("table {number}"), three, text).cloned();
        };
        let all = [base, ours, theirs];
        let names = all.map(|table| &table.name);
        let name = self.part(|| format!("name of table {number}"), names, quoted);
        let words = |is_lax: &bool| if *is_lax { "lax" } else { "strict" }.to_owned();
        let is_lax = self.part(|| format!("table {name}"), all.map(|table| &table.is_lax), words);
        let fields = self.fields(&format!("table {name}"), all.map(|table| &table.fields), false);
        Some(Table { name, is_lax, fields, span: crate::Span::default() })
    }

    fn view(&mut self, number: u32, three: Three<'_, View>) -> Option<View> {
        let text = |view: Option<&View>| {
            view.map_or("missing".to_owned(), |view| format!("`{}`", rule_text(view)))
        };
        self.choose(|| format!("view {number}"), three, text).cloned()
    }

    fn fields(&mut self, of: &str, three: [&Fields; 3], is_event: bool) -> Fields {
        let mut merged = Fields::default();
        let removed = three.into_iter().flat_map(|fields| &fields.removed).copied();
        let numbers: BTreeSet<u32> =
            keys(three.map(|fields| &fields.fields)).into_iter().chain(removed).collect();
        for number in numbers {
            let slots = three.map(|fields| Slot::of_field(fields, number));
            let what = || format!("field {number} of {of}");
            match self.slot(
                what,
                slots,
                |field| field_text(number, field),
                |merger, three| merger.field(of, number, three),
            ) {
                Some(Slot::InUse(field)) => {
                    let field = whole_field(field, is_event);
                    merged.fields.insert(number, field);
                }
                Some(Slot::Removed) => {
                    merged.removed.insert(number);
                }
                None => {}
            }
        }
        merged
    }

    fn field(&mut self, of: &str, number: u32, three: [&Field; 3]) -> Field {
        let what = |part: &str| format!("{part} of field {number} of {of}");
        let [_, ours, theirs] = three;
        let kinds = three.map(|field| (field.data_type.clone(), field.merge));
        let [base_kind, our_kind, their_kind] = &kinds;
        let kind = self.part(|| what("type"), [base_kind, our_kind, their_kind], kind_text);
        let words = |it: &bool| if *it { "optional" } else { "always there" }.to_owned();
        let is_optional =
            self.part(|| what("absence"), three.map(|field| &field.is_optional), words);
        let default = self.part(
            || what("default"),
            three.map(|field| &field.default),
            |it| it.as_ref().map_or("none".to_owned(), default_text),
        );
        let name = self.part(|| what("name"), three.map(|field| &field.name), quoted);
        let (data_type, merge) = kind;
        let is_strict = |field: &Field| !field.is_optional && field.default.is_none();
        // Each of two changes alone left a way for it to be absent.
        let is_absent_somewhere = default.is_none()
            && !is_strict(ours)
            && !is_strict(theirs)
            && merge == Merge::LastWriter;
        let is_optional = is_optional || is_absent_somewhere;
        Field { name, data_type, merge, is_optional, default, span: crate::Span::default() }
    }
}

/// What a number is used for.
#[derive(Debug, Clone, PartialEq)]
enum Slot<T> {
    InUse(T),
    Removed,
}

impl<'a> Slot<&'a EventType> {
    fn of_event(root: &'a Root, number: u32) -> Option<Self> {
        match root.events.get(&number) {
            Some(event) => Some(Self::InUse(event)),
            None => root.removed.contains(&number).then_some(Self::Removed),
        }
    }
}

impl<'a> Slot<&'a Field> {
    fn of_field(fields: &'a Fields, number: u32) -> Option<Self> {
        match fields.fields.get(&number) {
            Some(field) => Some(Self::InUse(field)),
            None => fields.removed.contains(&number).then_some(Self::Removed),
        }
    }
}

fn quoted(name: &Arc<str>) -> String {
    format!("`{name}`")
}

fn kind_text((data_type, merge): &(DataType, Merge)) -> String {
    match merge {
        Merge::Counter => "`counter`".to_owned(),
        Merge::LastWriter | Merge::ObservedRemove => format!("`{}`", type_text(data_type)),
    }
}

/// A field whose default fits, and that says so if it may be absent.
fn whole_field(mut field: Field, is_event: bool) -> Field {
    if is_event && field.merge != Merge::LastWriter {
        field.merge = Merge::LastWriter;
    }
    if field.merge != Merge::LastWriter {
        field.is_optional = false;
    }
    if let Some(default) = field.default.take() {
        match crate::check::fitting(&default, &field.data_type) {
            Some(value) if value != Value::Null => field.default = Some(value),
            Some(_) | None => field.is_optional |= field.merge == Merge::LastWriter,
        }
    }
    field
}

/// Leaves out what names nothing.
fn make_whole(schema: &mut Schema) {
    let known: BTreeSet<Arc<str>> = schema
        .roots
        .keys()
        .cloned()
        .chain(schema.tables.keys().map(|number| table_target(*number)))
        .collect();
    for_each_type(schema, &|target| known.contains(target).then(|| Arc::clone(target)));
    let indexes = std::mem::take(&mut schema.indexes);
    schema.indexes = indexes
        .into_iter()
        .filter(|index| {
            let fields = match &index.root {
                Some(root) => {
                    let event = schema.roots.get(root).and_then(|it| it.events.get(&index.number));
                    event.map(|event| &event.fields)
                }
                None => schema.tables.get(&index.number).map(|table| &table.fields),
            };
            fields.is_some_and(|fields| {
                index.fields.iter().all(|number| fields.fields.contains_key(number))
            })
        })
        .collect();
}

/// How a reference names a table while schemas are merged: no root is called so.
fn table_target(number: u32) -> Arc<str> {
    format!("#{number}").into()
}

/// The schema with references to tables by number.
pub(super) fn numbered(schema: &Schema) -> Schema {
    let mut numbered = schema.clone().without_spans();
    let numbers: BTreeMap<Arc<str>, u32> =
        schema.tables.iter().map(|(number, table)| (Arc::clone(&table.name), *number)).collect();
    for_each_type(&mut numbered, &|target| {
        Some(numbers.get(target).map_or_else(|| Arc::clone(target), |it| table_target(*it)))
    });
    for root in numbered.roots.values_mut() {
        for event in root.events.values_mut() {
            event.stored_names = vec![Arc::clone(&event.name)];
        }
    }
    numbered
}

/// The schema with references to tables by name.
fn named(mut schema: Schema) -> Schema {
    let names: BTreeMap<Arc<str>, Arc<str>> = schema
        .tables
        .iter()
        .map(|(number, table)| (table_target(*number), Arc::clone(&table.name)))
        .collect();
    for_each_type(&mut schema, &|target| {
        Some(names.get(target).map_or_else(|| Arc::clone(target), Arc::clone))
    });
    schema
}

/// Gives references other targets; text in place of those without one.
fn for_each_type(schema: &mut Schema, target: &dyn Fn(&Arc<str>) -> Option<Arc<str>>) {
    let events = schema.roots.values_mut().flat_map(|root| root.events.values_mut());
    let of_events = events.map(|event| &mut event.fields);
    let of_tables = schema.tables.values_mut().map(|table| &mut table.fields);
    for fields in of_events.chain(of_tables) {
        for field in fields.fields.values_mut() {
            field.data_type = field.data_type.with_targets(target);
        }
    }
}
