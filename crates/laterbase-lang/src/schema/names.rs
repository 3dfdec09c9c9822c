//! Names that two changes gave to two things meanwhile.
//!
//! Numbers tell things apart, but a text names them, and a name stands once. The one that had the
//! name before keeps it; the other one gets its number behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::merge::Disagreement;
use super::{Fields, Root, Schema};

/// Gives everything a name of its own; what was called so in `ours` keeps its name.
pub(super) fn make_unique(ours: &Schema, merged: &mut Schema, told: &mut Vec<Disagreement>) {
    relations(ours, merged, told);
    for (name, root) in &mut merged.roots {
        let before = ours.roots.get(name);
        events(name, before, root, told);
        for (number, event) in &mut root.events {
            let before = before.and_then(|root| root.events.get(number));
            let of = format!("{name}.{}", event.name);
            fields(&of, before.map(|event| &event.fields), &mut event.fields, told);
        }
    }
    for (number, table) in &mut merged.tables {
        let before = ours.tables.get(number);
        let of = table.name.to_string();
        fields(&of, before.map(|table| &table.fields), &mut table.fields, told);
    }
}

/// Roots, tables and views have names of one kind, and a root's stays.
fn relations(ours: &Schema, merged: &mut Schema, told: &mut Vec<Disagreement>) {
    let mut taken: BTreeSet<Arc<str>> = merged.roots.keys().cloned().collect();
    let tables: BTreeMap<u32, Arc<str>> =
        merged.tables.iter().map(|(number, it)| (*number, Arc::clone(&it.name))).collect();
    let before = |number| ours.tables.get(&number).map(|it| Arc::clone(&it.name));
    // What keeps a name comes before what takes another one, tables before views.
    let views: BTreeMap<u32, Arc<str>> =
        merged.views.iter().map(|(number, it)| (*number, Arc::clone(&it.name))).collect();
    let view_before = |number| ours.views.get(&number).map(|it| Arc::clone(&it.name));
    let mut kept_views = BTreeSet::new();
    for (number, name) in &views {
        let is_of_table =
            tables.iter().any(|(table, it)| it == name && before(*table).as_ref() == Some(name));
        if view_before(*number).as_ref() == Some(name) && !is_of_table && taken.insert(name.clone())
        {
            kept_views.insert(*number);
        }
    }
    for (number, name) in unique(&tables, before, &mut taken, "table ", told) {
        if let Some(table) = merged.tables.get_mut(&number) {
            table.name = name;
        }
    }
    let rest = views.into_iter().filter(|(number, _)| !kept_views.contains(number)).collect();
    for (number, name) in unique(&rest, |_| None, &mut taken, "view ", told) {
        if let Some(view) = merged.views.get_mut(&number) {
            view.rule.name.text = Arc::clone(&name);
            view.name = name;
        }
    }
}

fn events(of: &str, ours: Option<&Root>, root: &mut Root, told: &mut Vec<Disagreement>) {
    let names = root.events.iter().map(|(number, it)| (*number, Arc::clone(&it.name))).collect();
    let before = |number| ours.and_then(|it| it.events.get(&number)).map(|it| Arc::clone(&it.name));
    let what = format!("event {of}.");
    for (number, name) in unique(&names, before, &mut BTreeSet::new(), &what, told) {
        if let Some(event) = root.events.get_mut(&number) {
            event.name = name;
        }
    }
}

fn fields(of: &str, ours: Option<&Fields>, fields: &mut Fields, told: &mut Vec<Disagreement>) {
    let names = fields.fields.iter().map(|(number, it)| (*number, Arc::clone(&it.name))).collect();
    let before = |number| ours.and_then(|it| it.fields.get(&number)).map(|it| Arc::clone(&it.name));
    let what = format!("field {of}.");
    for (number, name) in unique(&names, before, &mut BTreeSet::new(), &what, told) {
        if let Some(field) = fields.fields.get_mut(&number) {
            field.name = name;
        }
    }
}

/// New names for those that are called as another one is.
fn unique(
    names: &BTreeMap<u32, Arc<str>>,
    before: impl Fn(u32) -> Option<Arc<str>>,
    taken: &mut BTreeSet<Arc<str>>,
    what: &str,
    told: &mut Vec<Disagreement>,
) -> Vec<(u32, Arc<str>)> {
    let (keeping, coming): (Vec<_>, Vec<_>) =
        names.iter().partition(|(number, name)| before(**number).as_ref() == Some(*name));
    // A name that nobody asked for must not be one that somebody has.
    let wanted: BTreeSet<&Arc<str>> = names.values().collect();
    let mut renamed = Vec::new();
    for (number, name) in keeping.into_iter().chain(coming) {
        if taken.insert(Arc::clone(name)) {
            continue;
        }
        let mut other: Arc<str> = format!("{name}_{number}").into();
        while taken.contains(&other) || wanted.contains(&other) {
            other = format!("{other}_").into();
        }
        taken.insert(Arc::clone(&other));
        told.push(Disagreement {
            what: format!("{what}{name}, number {number}"),
            kept: format!("the name `{other}`"),
            other: format!("the name `{name}`, which another one has"),
        });
        renamed.push((*number, other));
    }
    renamed
}
