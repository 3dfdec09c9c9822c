//! Schemas that are changed in several places, and what they come to, with random changes.
//!
//! Breaks that these tests catch: a result that depends on the order in which changes arrive, a
//! result that cannot be written as a text, a change that is lost though nobody else touched it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use laterbase_event::EventId;
use laterbase_lang::schema::{Applied, Folded, Schema, canonical, declare, fold, merge};
use laterbase_lang::{has_errors, parse};
use proptest::prelude::*;

/// The schema of a text; `None` if it is none.
fn declared(text: &str) -> Option<Schema> {
    let parsed = parse(text);
    let (schema, wrong) = declare(&parsed.statements);
    let is_good = !has_errors(&parsed.diagnostics) && !has_errors(&wrong);
    is_good.then(|| schema.without_spans())
}

/// One change: what, and some numbers to choose by.
type Edit = (u8, u8, u8);

const NAMES: [&str; 4] = ["a", "b", "c", "d e"];
const TYPES: [&str; 8] =
    ["int", "decimal = 1.5", "text?", "json", "list int", "ref a", "set text", "time?"];

/// A schema with one more change; as it was if that would not be a schema.
fn edited(schema: &Schema, (what, which, how): Edit) -> Schema {
    let (which, how) = (usize::from(which), usize::from(how));
    let name: Arc<str> = Arc::from(NAMES[how % NAMES.len()]);
    let number = (how % 3) as u32 + 1;
    let mut next = schema.clone();
    let extra = match what % 12 {
        0 => format!("root {} {{ event {number} `{name}` }}", ["a", "b", "r"][which % 3]),
        1 => format!("table {number} `{name}` {{ 1 x: text, 2 n: counter }}"),
        2 => format!("view {number} `{name}`{{key}} :- event{{key}}, key != \"{which}\""),
        3 => "index a.a{a}".to_owned(),
        _ => String::new(),
    };
    if !extra.is_empty() {
        return declared(&format!("{}{extra}\n", canonical(schema))).unwrap_or(next);
    }
    let roots = next.roots.len().max(1);
    if let Some(root) = next.roots.values_mut().nth(which % roots) {
        if what % 12 == 4 {
            root.is_lax = !root.is_lax;
        }
        let events = root.events.len().max(1);
        let at = root.events.keys().nth(how % events).copied();
        if let (Some(at), 5) = (at, what % 12) {
            root.events.remove(&at);
            root.removed.insert(at);
        }
        if let Some(event) = at.and_then(|at| root.events.get_mut(&at)) {
            let fields = &mut event.fields;
            match what % 12 {
                6 => event.name = Arc::clone(&name),
                7 => {
                    let kind = TYPES[which % TYPES.len()];
                    let text = format!("root a {{ event 1 e {{ 1 `{name}`: {kind} }} }}");
                    let field =
                        declared(&text).unwrap().roots["a"].events[&1].fields.fields[&1].clone();
                    fields.fields.insert(number, field);
                    fields.removed.remove(&number);
                }
                8 if fields.fields.remove(&number).is_some() => {
                    fields.removed.insert(number);
                }
                9 => {
                    if let Some(field) = fields.fields.get_mut(&number) {
                        field.is_optional = !field.is_optional;
                    }
                }
                _ => {}
            }
        }
    }
    if what % 12 == 10
        && let Some(table) = next.tables.get_mut(&number)
    {
        table.name = Arc::from(NAMES[which % NAMES.len()]);
    }
    if what % 12 == 11 {
        next.views.remove(&number);
    }
    for root in next.roots.values_mut() {
        for event in root.events.values_mut() {
            event.stored_names = vec![Arc::clone(&event.name)];
        }
    }
    // What is no schema any more, such as one with a name twice, is no change.
    declared(&canonical(&next)).unwrap_or_else(|| schema.clone())
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(any::<Edit>(), 0..12)
}

fn all_of(schema: &Schema, edits: &[Edit]) -> Schema {
    edits.iter().fold(schema.clone(), |schema, edit| edited(&schema, *edit))
}

/// What was applied: base, text, and which changes were known.
struct Change {
    id: EventId,
    base: Schema,
    text: Schema,
    settles: Vec<EventId>,
}

fn folded<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Folded {
    fold(changes.into_iter().map(|it| Applied {
        id: it.id,
        base: &it.base,
        text: &it.text,
        settles: &it.settles,
    }))
}

/// Changes that were each made knowing some of those before.
fn history(plan: &[(Vec<Edit>, u16)]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for (at, (edits, known)) in plan.iter().enumerate() {
        let known = changes.iter().enumerate().filter(|(n, _)| known >> n & 1 == 1);
        let before = folded(known.map(|(_, change)| change));
        let text = all_of(&before.schema, edits);
        let base = before.schema;
        let settles = before.conflicts.into_iter().map(|(event, _)| event).collect();
        changes.push(Change { id: EventId::from_u128(at as u128 + 1), base, text, settles });
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn equal_changes_come_to_equal_schemas_in_any_order_and_can_be_written(
        plan in prop::collection::vec((edits(), any::<u16>()), 0..8),
        order in any::<u64>(),
    ) {
        let changes = history(&plan);
        let whole = folded(&changes);
        let mut shuffled: Vec<&Change> = changes.iter().chain(&changes).collect();
        shuffled.sort_by_key(|it| it.id.as_u128().wrapping_mul(u128::from(order | 1)));
        prop_assert_eq!(&folded(shuffled), &whole);
        let text = canonical(&whole.schema);
        let again = declared(&text);
        prop_assert!(again.is_some(), "{}", text);
        prop_assert_eq!(canonical(&again.unwrap()), text);
    }

    #[test]
    fn what_one_side_alone_changed_is_taken(base in edits(), ours in edits(), theirs in edits()) {
        let base = all_of(&Schema::default(), &base);
        let (ours, theirs) = (all_of(&base, &ours), all_of(&base, &theirs));
        for (ours, theirs, expected) in
            [(&base, &theirs, &theirs), (&ours, &base, &ours), (&ours, &ours, &ours)]
        {
            let (merged, disagreements) = merge(&base, ours, theirs);
            prop_assert_eq!(canonical(&merged), canonical(expected));
            prop_assert!(disagreements.is_empty(), "{:?}", disagreements);
        }
    }

    #[test]
    fn the_one_who_knows_all_has_its_way(
        plan in prop::collection::vec((edits(), any::<u16>()), 1..6),
    ) {
        let mut plan = plan;
        plan.last_mut().unwrap().1 = u16::MAX;
        let changes = history(&plan);
        let whole = folded(&changes);
        prop_assert_eq!(canonical(&whole.schema), canonical(&changes.last().unwrap().text));
        prop_assert!(whole.conflicts.is_empty(), "{:?}", whole.conflicts);
    }
}
