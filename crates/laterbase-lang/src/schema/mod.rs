//! Schemas: what events, tables and views there are, by number.
//!
//! ```text
//!   text ─▶ syntax ─▶ declare ─▶ Schema ─▶ difference to the one before ─▶ changes, or refusals
//!     ▲                            │ ▲
//!     └──────── canonical ─────────┘ └──── fold of all that were applied: merge by number, lineage
//! ```
//! Numbers identify event types, tables, views and their fields; names are labels. The one
//! exception is a root: its name is in every event, so it stays.

mod canonical;
mod declare;
mod difference;
mod fold;
mod lineage;
mod merge;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use canonical::canonical;
pub use declare::declare;
pub(crate) use declare::is_root_name;
pub use difference::{Change, ChangeKind, Refusal, difference};
pub use fold::{Applied, Folded, fold};
pub use lineage::{Lineage, Owner};
pub use merge::{Disagreement, merge};

use crate::data_type::DataType;
use crate::span::Span;
use crate::syntax::RuleSyntax;
use crate::value::Value;

/// Fields that every event has, and that no declared one may be called.
pub const EVENT_FIELDS: [&str; 7] = ["id", "key", "at", "tx", "origin", "seq", "cause"];

/// What a database may hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    /// Roots by name.
    pub roots: BTreeMap<Arc<str>, Root>,
    /// Tables by number.
    pub tables: BTreeMap<u32, Table>,
    /// Indexes.
    pub indexes: BTreeSet<Index>,
    /// Views by number.
    pub views: BTreeMap<u32, View>,
}

/// A root.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// Whether undeclared types and fields may be appended.
    pub is_lax: bool,
    /// Its events, by number.
    pub events: BTreeMap<u32, EventType>,
    /// Numbers that stay unused.
    pub removed: BTreeSet<u32>,
    /// Where it is declared.
    pub span: Span,
}

/// A type of event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventType {
    /// Its name.
    pub name: Arc<str>,
    /// The names under which its events are stored: the first name that its number ever had, once
    /// the schema was folded; its name as long as only a text was read.
    pub stored_names: Vec<Arc<str>>,
    /// What it says.
    pub fields: Fields,
    /// Where it is declared.
    pub span: Span,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: Arc<str>,
    /// Whether undeclared columns may be put.
    pub is_lax: bool,
    /// Its columns, without the key.
    pub fields: Fields,
    /// Where it is declared.
    pub span: Span,
}

/// Fields by number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields {
    /// Those in use.
    pub fields: BTreeMap<u32, Field>,
    /// Numbers that stay unused.
    pub removed: BTreeSet<u32>,
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// What stands in it.
    pub data_type: DataType,
    /// How what several replicas put is merged.
    pub merge: Merge,
    /// Whether nothing may stand in it.
    pub is_optional: bool,
    /// What stands in it where nothing was said.
    pub default: Option<Value>,
    /// Where it is declared.
    pub span: Span,
}

/// How a column is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Merge {
    /// The last one stays, by commit.
    LastWriter,
    /// What is added is summed.
    Counter,
    /// What was added and not seen removed.
    ObservedRemove,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index {
    /// The root of an event, or nothing for a table.
    pub root: Option<Arc<str>>,
    /// The number of the type of event, or of the table.
    pub number: u32,
    /// Numbers of fields.
    pub fields: Vec<u32>,
}

/// A view.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub name: Arc<str>,
    /// What its rows are.
    pub rule: RuleSyntax,
    /// What stands behind its name, without comments and layout. It tells views apart.
    pub says: Arc<str>,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        // The rule says the same with other places in the text.
        (&self.name, &self.says) == (&other.name, &other.says)
    }
}

impl Schema {
    /// Whether it declares nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The schema without the places in a text where things are declared: so two that say the same
    /// are equal.
    #[must_use]
    pub fn without_spans(mut self) -> Self {
        for root in self.roots.values_mut() {
            root.span = Span::default();
            for event in root.events.values_mut() {
                event.span = Span::default();
                event.fields.forget_spans();
            }
        }
        for table in self.tables.values_mut() {
            table.span = Span::default();
            table.fields.forget_spans();
        }
        self
    }

    /// The table of a name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<(u32, &Table)> {
        let mut tables = self.tables.iter();
        tables.find(|(_, table)| table.name.as_ref() == name).map(|(number, it)| (*number, it))
    }

    /// The view of a name.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<&View> {
        self.views.values().find(|view| view.name.as_ref() == name)
    }
}

impl Root {
    /// The type of a name.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<(u32, &EventType)> {
        let mut events = self.events.iter();
        events.find(|(_, event)| event.name.as_ref() == name).map(|(number, it)| (*number, it))
    }
}

impl Field {
    /// Its type as it is declared.
    #[must_use]
    pub fn type_text(&self) -> String {
        match self.merge {
            Merge::Counter => "counter".to_owned(),
            Merge::LastWriter | Merge::ObservedRemove => self.data_type.to_string(),
        }
    }
}

impl Fields {
    fn forget_spans(&mut self) {
        self.fields.values_mut().for_each(|field| field.span = Span::default());
    }

    /// The field of a name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<(u32, &Field)> {
        let mut fields = self.fields.iter();
        fields.find(|(_, field)| field.name.as_ref() == name).map(|(number, it)| (*number, it))
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.values().map(|field| field.name.as_ref())
    }
}
