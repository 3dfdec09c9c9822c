//! The schema as this copy knows it, folded again when `_sys` has grown.
//!
//! ```text
//!   staged, by whoever ─▶ system_upto: last position of `_sys`      one atomic load each
//!   asked for ─▶ folded.upto ≥ system_upto ? the same : read `_sys`/schema, fold
//! ```
//! Invariant: a schema that was folded up to a position holds every change of `_sys` up to there.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use laterbase_event::{EventId, Key, Position, RootName, Timestamp};
use laterbase_lang::schema::{Applied, Folded, Schema, canonical, fold};

use super::record::{SCHEMA, SchemaRecord, declared_by};
use super::{AppliedSchema, Conflict, Declared, SchemaHash};
use crate::inner::{Inner, lock};
use crate::query::Query;
use crate::read::ReadError;
use crate::sync::SYSTEM_ROOT;
use crate::walk::plan;

/// What is known of the database's schema.
#[derive(Debug, Default)]
pub(crate) struct SchemaState {
    /// The position of the last event of `_sys`, or one behind it; 0 if there is none.
    system_upto: AtomicU64,
    folded: Mutex<Option<Arc<Declared>>>,
    /// Held by whoever applies a schema.
    pub(super) applying: Mutex<()>,
}

impl SchemaState {
    /// What was found at opening: events of `_sys` up to a position, perhaps.
    pub(crate) fn starting_at(upto: Position) -> Self {
        Self { system_upto: AtomicU64::new(upto.as_u64()), ..Self::default() }
    }

    /// Up to where there may be events of `_sys` in logs with these heads.
    pub(crate) fn system_upto_of(heads: &laterbase_log::Heads, last: Position) -> Position {
        let has_any = heads.iter().any(|(root, ..)| root == SYSTEM_ROOT);
        if has_any { last } else { Position::NONE }
    }

    /// Notes that an event of a root was staged.
    pub(crate) fn note_staged(&self, root: &str, position: Position) {
        if root == SYSTEM_ROOT {
            self.note_system(position);
        }
    }

    /// Notes that there may be events of `_sys` up to a position.
    pub(crate) fn note_system(&self, upto: Position) {
        self.system_upto.fetch_max(upto.as_u64(), Ordering::AcqRel);
    }

    /// Up to where there are events of `_sys`.
    pub(crate) fn system_upto(&self) -> Position {
        Position::new(self.system_upto.load(Ordering::Acquire))
    }
}

impl Inner {
    /// The schema of the database as of now.
    pub(crate) fn declared(self: &Arc<Self>) -> Result<Arc<Declared>, ReadError> {
        let wanted = self.schema.system_upto();
        let before = lock(&self.schema.folded).clone();
        if let Some(known) = &before
            && known.upto >= wanted
        {
            return Ok(Arc::clone(known));
        }
        let declared = if wanted == Position::NONE {
            Declared::of(&[], Vec::new(), before.as_deref(), wanted)
        } else {
            self.folded(before.as_deref())?
        };
        let declared = Arc::new(declared);
        let mut folded = lock(&self.schema.folded);
        if folded.as_ref().is_none_or(|other| other.upto <= declared.upto) {
            *folded = Some(Arc::clone(&declared));
        }
        Ok(declared)
    }

    /// Reads all changes of the schema that can be seen, and folds them.
    fn folded(self: &Arc<Self>, before: Option<&Declared>) -> Result<Declared, ReadError> {
        let view = self.view()?;
        let (Ok(root), Ok(key)) = (RootName::try_from(SYSTEM_ROOT), Key::try_from(SCHEMA)) else {
            return Ok(Declared::of(&[], Vec::new(), before, view.bound));
        };
        let mut records = Vec::new();
        let mut unreadable = Vec::new();
        let mut walk = plan(&view, &Query::stream(root, key), Position::NONE)?;
        walk.run(|event, _, _| {
            if event.type_name() == SCHEMA {
                match SchemaRecord::of_payload(event.payload()) {
                    Some(record) => {
                        records.push((event.id(), Timestamp::from_hlc(event.id().hlc()), record))
                    }
                    None => unreadable.push(event.id()),
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(Declared::of(&records, unreadable, before, view.bound))
    }
}

impl Declared {
    /// What changes come to. Texts that were read before are not read again.
    fn of(
        records: &[(EventId, Timestamp, SchemaRecord)],
        mut unreadable: Vec<EventId>,
        before: Option<&Self>,
        upto: Position,
    ) -> Self {
        let mut known: BTreeMap<SchemaHash, Arc<Schema>> = BTreeMap::new();
        let mut read = |text: &str| {
            let hash = SchemaHash::of(text);
            if let Some(schema) = known.get(&hash) {
                return Some(Arc::clone(schema));
            }
            let schema = match before.and_then(|before| before.known.get(&hash)) {
                Some(schema) => Arc::clone(schema),
                None => Arc::new(declared_by(text)?),
            };
            known.insert(hash, Arc::clone(&schema));
            Some(schema)
        };
        let mut applied = Vec::new();
        let mut history = Vec::new();
        for (id, at, record) in records {
            match read(&record.base).zip(read(&record.text)) {
                Some((base, text)) => {
                    applied.push((*id, base, text, &record.settles));
                    history.push(AppliedSchema {
                        event: *id,
                        at: *at,
                        hash: SchemaHash::of(&record.text),
                        base: SchemaHash::of(&record.base),
                        text: Arc::clone(&record.text),
                    });
                }
                None => unreadable.push(*id),
            }
        }
        let Folded { schema, lineage, conflicts } =
            fold(applied.iter().map(|(id, base, text, settles)| Applied {
                id: *id,
                base,
                text,
                settles,
            }));
        let text: Arc<str> = canonical(&schema).into();
        let hash = SchemaHash::of(&text);
        let is_recorded = known.contains_key(&hash);
        known.entry(hash).or_insert_with(|| Arc::new(schema.clone()));
        let conflicts = conflicts
            .into_iter()
            .map(|(event, it)| Conflict { what: it.what, kept: it.kept, other: it.other, event })
            .collect();
        Self {
            schema,
            hash,
            text,
            lineage,
            conflicts,
            history,
            unreadable,
            known,
            is_recorded,
            upto,
        }
    }
}
