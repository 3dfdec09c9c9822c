//! Which names a number ever had.
//!
//! A type's *stored name*, the one in its events, is the first name that its number ever had;
//! later names are labels. A field's names tell what was written as it from what another replica
//! wrote as a field that took the same number meanwhile: the number must be equal and the writer's
//! name one of these.
//!
//! A rename adds a name. A declaration of a number that another change took first adds none: it is
//! another thing under the same number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{EventType, Fields, Schema};

/// What has fields: a type of event, or a table, by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A type of event of a root.
    Event(Arc<str>, u32),
    /// A table.
    Table(u32),
}

/// Which names numbers ever had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Of types of events and tables.
    owners: BTreeMap<Owner, Names>,
    /// Of their fields.
    fields: BTreeMap<Owner, BTreeMap<u32, BTreeSet<Arc<str>>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    /// The name in events.
    stored: Arc<str>,
    all: BTreeSet<Arc<str>>,
}

impl Lineage {
    /// Notes the names of a schema that was made from another one. What is in `theirs` and not in
    /// `base` is new, and is a different thing where its number was taken before.
    pub(super) fn note(&mut self, base: &Schema, theirs: &Schema) {
        for (root, declared) in &theirs.roots {
            let before = base.roots.get(root).map(|root| &root.events);
            for (number, event) in &declared.events {
                let owner = Owner::Event(Arc::clone(root), *number);
                let before = before.and_then(|events| events.get(number));
                let renamed = before.map(|event| &event.name);
                if self.note_owner(&owner, renamed, &event.name) {
                    self.note_fields(&owner, before.map(|event| &event.fields), &event.fields);
                }
            }
        }
        for (number, table) in &theirs.tables {
            let owner = Owner::Table(*number);
            let before = base.tables.get(number);
            if self.note_owner(&owner, before.map(|table| &table.name), &table.name) {
                self.note_fields(&owner, before.map(|table| &table.fields), &table.fields);
            }
        }
    }

    /// Notes a name; `false` if what is called so is another thing.
    fn note_owner(&mut self, owner: &Owner, before: Option<&Arc<str>>, name: &Arc<str>) -> bool {
        let Some(known) = self.owners.get_mut(owner) else {
            let stored = self.stored_for(owner, name);
            let all = BTreeSet::from([Arc::clone(name)]);
            self.owners.insert(owner.clone(), Names { stored, all });
            return true;
        };
        let is_it = known.all.contains(before.unwrap_or(name));
        if is_it {
            known.all.insert(Arc::clone(name));
        }
        is_it
    }

    /// The stored name of a new type: its label, unless another number of the root has it.
    fn stored_for(&self, owner: &Owner, name: &Arc<str>) -> Arc<str> {
        let Owner::Event(root, number) = owner else { return Arc::clone(name) };
        let is_taken = |candidate: &str| {
            let first = Owner::Event(Arc::clone(root), 0);
            let last = Owner::Event(Arc::clone(root), u32::MAX);
            let mut of_root = self.owners.range(first..=last);
            of_root.any(|(_, names)| names.stored.as_ref() == candidate)
        };
        if !is_taken(name) {
            return Arc::clone(name);
        }
        let mut candidate = format!("{name}.{number}");
        while is_taken(&candidate) {
            candidate.push('_');
        }
        candidate.into()
    }

    fn note_fields(&mut self, owner: &Owner, before: Option<&Fields>, fields: &Fields) {
        let known = self.fields.entry(owner.clone()).or_default();
        for (number, field) in &fields.fields {
            let before = before.and_then(|fields| fields.fields.get(number));
            match known.get_mut(number) {
                None => {
                    known.insert(*number, BTreeSet::from([Arc::clone(&field.name)]));
                }
                Some(names) => {
                    if before.is_some_and(|before| names.contains(&before.name)) {
                        names.insert(Arc::clone(&field.name));
                    }
                }
            }
        }
    }

    /// Gives the types of a schema their stored names.
    pub(super) fn apply(&self, schema: &mut Schema) {
        for (root, declared) in &mut schema.roots {
            for (number, event) in &mut declared.events {
                let owner = Owner::Event(Arc::clone(root), *number);
                if let Some(names) = self.owners.get(&owner) {
                    event.stored_names = vec![Arc::clone(&names.stored)];
                }
            }
        }
    }

    /// Whether a type or a table of a number was ever called so.
    #[must_use]
    pub fn has_owner_name(&self, owner: &Owner, name: &str) -> bool {
        self.owners.get(owner).is_some_and(|names| names.all.contains(name))
    }

    /// Whether a field of a number was ever called so. A field that was never declared has no
    /// names.
    #[must_use]
    pub fn has_name(&self, owner: &Owner, number: u32, name: &str) -> bool {
        let names = self.fields.get(owner).and_then(|fields| fields.get(&number));
        names.is_some_and(|names| names.contains(name))
    }

    /// All names that a field ever had, the one of a number, sorted.
    pub fn names(&self, owner: &Owner, number: u32) -> impl Iterator<Item = &Arc<str>> {
        let names = self.fields.get(owner).and_then(|fields| fields.get(&number));
        names.into_iter().flatten()
    }

    /// The number of the type whose events are stored under a name.
    #[must_use]
    pub fn number_of_stored(&self, root: &str, stored: &str) -> Option<u32> {
        let root: Arc<str> = Arc::from(root);
        let first = Owner::Event(Arc::clone(&root), 0);
        let mut of_root = self.owners.range(first..=Owner::Event(root, u32::MAX));
        of_root.find_map(|(owner, names)| match owner {
            Owner::Event(_, number) if names.stored.as_ref() == stored => Some(*number),
            Owner::Event(..) | Owner::Table(_) => None,
        })
    }

    /// The type as a writer's schema declares it, of an event that is stored under a name.
    #[must_use]
    pub fn event_of_writer<'s>(
        &self,
        writer: &'s Schema,
        root: &str,
        stored: &str,
    ) -> Option<(u32, &'s EventType)> {
        let declared = writer.roots.get(root)?;
        let by_number = self.number_of_stored(root, stored).and_then(|number| {
            let event = declared.events.get(&number)?;
            let owner = Owner::Event(Arc::from(root), number);
            let names = self.owners.get(&owner)?;
            names.all.contains(&event.name).then_some((number, event))
        });
        // A type that lost its number to another one was called at its writer's as it is stored.
        by_number.or_else(|| declared.event(stored))
    }
}
