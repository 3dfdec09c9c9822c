//! What a statement has read, as a condition of its commit.
//!
//! The condition may name more than was read, never less: an event that it names and that was not
//! read makes the statement be decided once more, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use laterbase_event::{Tag, TypeName};
use laterbase_lang::Value;
use laterbase_lang::plan::{
    Atom, Cut, HeadTerm, Literal, Operand, Place, Plan, Relation, Rule, Source,
};

use crate::commit::Commit;
use crate::condition::{After, AppendCondition, ConditionItem, ConditionMatch};
use crate::cursor::Cursor;
use crate::table;

/// Rows of one table that are named one by one; of more, all operations of tables are meant.
const ROWS_MAX: usize = 64;

/// Which events would change what was read.
#[derive(Debug, Default)]
pub(super) struct Guard {
    has_read_all: bool,
    /// Types, and a tag if it is known which thing they concern.
    items: BTreeSet<(Vec<TypeName>, Option<Tag>)>,
    /// Rows, by their table.
    rows: BTreeMap<u32, BTreeSet<Tag>>,
}

impl Guard {
    /// Takes in what a plan reads; what was known at a time does not change.
    pub(super) fn watch(&mut self, plan: &Plan, now: i64) {
        let derived = plan.derived.iter().flat_map(|it| &it.rules);
        let mut rules: Vec<&Rule> = derived.chain([&plan.answer.rule]).collect();
        while let Some(rule) = rules.pop() {
            let trees = rule.head.iter().filter_map(|term| match term {
                HeadTerm::Tree(tree) => Some(&tree.answer.rule),
                HeadTerm::Value(_) | HeadTerm::Aggregate { .. } => None,
            });
            rules.extend(trees);
            let mut literals: Vec<&Literal> = rule.body.iter().collect();
            while let Some(literal) = literals.pop() {
                match literal {
                    Literal::Atom(atom) => self.atom(plan, atom, now),
                    Literal::Not(inner, _) => literals.extend(inner),
                    Literal::Filter(..) | Literal::Let(..) | Literal::Each(..) => {}
                }
            }
        }
    }

    /// Takes in the row of a table.
    pub(super) fn row(&mut self, table: u32, key: &str) {
        let root = table::root_of(table);
        match format!("{root}:{key}").parse() {
            Ok(tag) => drop(self.rows.entry(table).or_default().insert(tag)),
            Err(_) => self.has_read_all = true,
        }
    }

    fn atom(&mut self, plan: &Plan, atom: &Atom, now: i64) {
        let Relation::Stored(number) = atom.relation else { return };
        let Some(stored) = plan.stored.get(number) else { return };
        let is_fixed = match &atom.times.cut {
            Cut::Latest | Cut::RecordedBy(_) => false,
            Cut::KnownAt(at) => *at < now,
            Cut::Vector(_) => false,
        };
        if is_fixed {
            return;
        }
        let key = atom.terms.iter().find_map(|term| {
            let is_key = stored.columns.get(term.column).is_some_and(|it| it.place == Place::Key);
            match &term.operand {
                Operand::Value(Value::Text(key)) if is_key => Some(key),
                Operand::Value(_) | Operand::Variable(_) => None,
            }
        });
        let (root, types) = match &stored.source {
            Source::Events => {
                self.has_read_all = true;
                return;
            }
            Source::EventsOf { root, type_names, .. } => {
                let names = type_names.iter();
                let types = names.filter_map(|name| TypeName::try_from(name.as_ref()).ok());
                (root.to_string(), types.collect())
            }
            Source::Table { number } => (table::root_of(*number).to_string(), operations()),
        };
        // A key that is no tag is no key of anything.
        let tag = key.and_then(|key| format!("{root}:{key}").parse().ok());
        self.items.insert((types, tag));
    }

    /// Makes a commit depend on that nothing has changed since.
    pub(super) fn protect(mut self, commit: &mut Commit, since: Cursor) {
        for tags in std::mem::take(&mut self.rows).into_values() {
            if tags.len() > ROWS_MAX {
                self.items.insert((operations(), None));
            } else {
                self.items.extend(tags.into_iter().map(|tag| (Vec::new(), Some(tag))));
            }
        }
        let matches = if self.has_read_all {
            ConditionMatch::All
        } else if self.items.is_empty() {
            return;
        } else {
            let item = |(types, tag): (Vec<TypeName>, Option<Tag>)| ConditionItem {
                types,
                tags: tag.into_iter().collect(),
            };
            ConditionMatch::Items(self.items.into_iter().map(item).collect())
        };
        commit.fail_if(AppendCondition { matches, after: After::Cursor(since) });
    }
}

/// The types of what is done to rows.
fn operations() -> Vec<TypeName> {
    let names = [table::PUT, table::DELETE].into_iter();
    names.filter_map(|name| TypeName::try_from(name).ok()).collect()
}
