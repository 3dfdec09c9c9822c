//! The schema that a number of changes come to.
//!
//! ```text
//!   applied, in the order of ids:  (base, text) (base, text) …
//!        S, lineage, conflicts ──▶ merge by number ──▶ S', names noted, disagreements kept
//! ```
//! The order of ids extends causality and is the same on every copy, so equal sets of changes come
//! to equal schemas, whatever the order in which they arrived. A change that was made with
//! conflicts in sight says which ones it settles.

use std::collections::BTreeSet;

use laterbase_event::EventId;

use super::Schema;
use super::lineage::Lineage;
use super::merge::{Disagreement, merge};

/// A schema that was applied.
#[derive(Debug, Clone, Copy)]
pub struct Applied<'a> {
    /// The event that says so.
    pub id: EventId,
    /// What there was where it was applied.
    pub base: &'a Schema,
    /// What was applied.
    pub text: &'a Schema,
    /// The changes whose conflicts were known, and are settled by this one.
    pub settles: &'a [EventId],
}

/// What a number of changes come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Folded {
    /// The schema, each type with its stored name.
    pub schema: Schema,
    /// Which names numbers ever had.
    pub lineage: Lineage,
    /// On what changes did not agree, and which change did not have its way.
    pub conflicts: Vec<(EventId, Disagreement)>,
}

/// Folds changes, in whatever order they come, the same change once or several times.
#[must_use]
pub fn fold<'a>(applied: impl IntoIterator<Item = Applied<'a>>) -> Folded {
    let mut all: Vec<Applied<'a>> = applied.into_iter().collect();
    all.sort_by_key(|one| one.id);
    all.dedup_by_key(|one| one.id);
    let mut folded = Folded::default();
    for one in all {
        let settled: BTreeSet<&EventId> = one.settles.iter().collect();
        folded.conflicts.retain(|(event, _)| !settled.contains(event));
        let (schema, disagreements) = merge(one.base, &folded.schema, one.text);
        // Names of what was there before a change come first: so did the things.
        folded.lineage.note(one.base, one.text);
        folded.lineage.note(&folded.schema, &schema);
        folded.lineage.note(one.text, &schema);
        folded.schema = schema;
        folded.conflicts.extend(disagreements.into_iter().map(|it| (one.id, it)));
    }
    folded.lineage.apply(&mut folded.schema);
    folded
}
