//! Applying a schema, and what there is to say about the one that holds.

use std::sync::Arc;

use laterbase_event::{EventId, Timestamp};
use laterbase_lang::schema::{self, Schema, canonical, difference};
use laterbase_lang::{Diagnostic, render_all};

use super::record::{SCHEMA, SchemaRecord};
use super::{Conflict, Declared, SchemaHash};
use crate::append::AppendError;
use crate::ask::{AskError, schema_of, view_mistakes};
use crate::database::Database;
use crate::inner::{Inner, lock};
use crate::read::ReadError;

/// The schema of a database, as one copy knows it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DatabaseSchema {
    /// Its canonical text; empty if none was ever applied.
    pub text: Arc<str>,
    /// The hash of the text.
    pub hash: SchemaHash,
    /// What it declares.
    pub schema: Schema,
    /// On what changes that were made on different copies did not agree; applying a schema settles
    /// them.
    pub conflicts: Vec<Conflict>,
    /// What was applied, in the order of ids.
    pub history: Vec<AppliedSchema>,
    /// Events of schemas that this version cannot read: a newer one may have written them.
    pub unreadable: Vec<EventId>,
}

/// A schema that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedSchema {
    /// The event that says so; its id tells when, and on which copy.
    pub event: EventId,
    /// When.
    pub at: Timestamp,
    /// The hash of the text.
    pub hash: SchemaHash,
    /// The hash of the text that it was made of.
    pub base: SchemaHash,
    /// The canonical text that was applied.
    pub text: Arc<str>,
}

/// What a schema changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaDifference {
    /// What it changes, as `+ field shipment.departed.carrier`.
    pub changes: Vec<schema::Change>,
    /// What it may not change, and the way out, with the places in its text.
    pub refusals: Vec<Diagnostic>,
    /// The canonical text that it would come to.
    pub text: Arc<str>,
    /// The hash of that text.
    pub hash: SchemaHash,
    /// The hash of the schema that it was compared with.
    pub base: SchemaHash,
}

/// What came of applying a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaChange {
    /// What changed; nothing if the schema was so before.
    pub changes: Vec<schema::Change>,
    /// The hash of the schema that holds now.
    pub hash: SchemaHash,
    /// The event that says so; `None` if nothing was recorded, since all was so before.
    pub event: Option<EventId>,
    /// How many conflicts were settled.
    pub settled: usize,
}

/// A schema was not applied. Nothing was recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is wrong, or changes what may not change; each mistake with its line.
    #[error("{0}")]
    Mistakes(AskError),
    /// The schema is not the one that was expected.
    #[error("the schema is {actual} by now, not {expected}: look at it, and apply again")]
    Changed {
        /// The hash that was given.
        expected: SchemaHash,
        /// The hash that it has.
        actual: SchemaHash,
    },
    /// It could not be recorded.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What was applied before cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl SchemaError {
    /// What is wrong with the text, if that is the reason.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        if let Self::Mistakes(error) = self { error.diagnostics() } else { &[] }
    }

    /// The mistakes with their lines; `name` is what the text is called.
    #[must_use]
    pub fn render(&self, name: &str) -> String {
        match self {
            Self::Mistakes(error) => error.render(name),
            Self::Changed { .. } | Self::Append(_) | Self::Read(_) => format!("error: {self}"),
        }
    }
}

impl SchemaDifference {
    /// Whether it may be applied.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.refusals.is_empty()
    }

    /// What it may not change, with the lines of its text; `name` is what the text is called.
    #[must_use]
    pub fn render_refusals(&self, name: &str, text: &str) -> String {
        render_all(&self.refusals, name, text)
    }
}

impl Database {
    /// The schema of the database.
    ///
    /// ```
    /// # use laterbase::{Database, Options};
    /// # let dir = tempfile::tempdir()?;
    /// let db = Database::create(dir.path(), Options::default())?;
    /// db.apply_schema("root shipment { event 1 departed { 1 port: text } }")?;
    /// assert_eq!(db.schema()?.schema.roots.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] if what was applied cannot be read.
    pub fn schema(&self) -> Result<DatabaseSchema, ReadError> {
        let declared = self.inner().declared()?;
        Ok(DatabaseSchema {
            text: Arc::clone(&declared.text),
            hash: declared.hash,
            schema: declared.schema.clone(),
            conflicts: declared.conflicts.clone(),
            history: declared.history.clone(),
            unreadable: declared.unreadable.clone(),
        })
    }

    /// What a schema would change, and what of it may not be.
    ///
    /// # Errors
    /// [`SchemaError::Mistakes`] if the text declares no schema.
    pub fn schema_difference(&self, text: &str) -> Result<SchemaDifference, SchemaError> {
        let declared = self.inner().declared()?;
        compare(&declared, text).map(|(_, difference)| difference)
    }

    /// Makes a text the schema of the database: what it does not declare any more is said to be
    /// `removed`, and numbers keep their meaning.
    ///
    /// Applying the schema that holds records nothing, unless there are conflicts: then it settles
    /// them.
    ///
    /// # Errors
    /// [`SchemaError::Mistakes`] shows what is wrong, and what may not change, each where it stands
    /// in the text.
    ///
    /// # Durability
    /// It is on the device when this returns; commits that were made before are held against it.
    pub fn apply_schema(&self, text: &str) -> Result<SchemaChange, SchemaError> {
        self.inner().apply_schema(text, None)
    }

    /// As [`Database::apply_schema`], if the schema still is the one of a hash.
    ///
    /// # Errors
    /// [`SchemaError::Changed`] if it is not.
    pub fn apply_schema_to(
        &self,
        expected: SchemaHash,
        text: &str,
    ) -> Result<SchemaChange, SchemaError> {
        self.inner().apply_schema(text, Some(expected))
    }
}

impl Inner {
    fn apply_schema(
        self: &Arc<Self>,
        text: &str,
        expected: Option<SchemaHash>,
    ) -> Result<SchemaChange, SchemaError> {
        // One after the other: each is held against what the one before it came to.
        let _applying = lock(&self.schema.applying);
        let declared = self.declared()?;
        if let Some(expected) = expected.filter(|hash| *hash != declared.hash) {
            return Err(SchemaError::Changed { expected, actual: declared.hash });
        }
        let (_, difference) = compare(&declared, text)?;
        if !difference.is_allowed() {
            let error = AskError::mistakes(difference.refusals, text);
            return Err(SchemaError::Mistakes(error));
        }
        let is_same = difference.text == declared.text;
        if is_same && declared.conflicts.is_empty() {
            return Ok(SchemaChange {
                changes: Vec::new(),
                hash: declared.hash,
                event: None,
                settled: 0,
            });
        }
        let mut settles: Vec<EventId> = declared.conflicts.iter().map(|it| it.event).collect();
        settles.dedup();
        let settled = declared.conflicts.len();
        let base = Arc::clone(&declared.text);
        let record = SchemaRecord { text: Arc::clone(&difference.text), base, settles };
        let event = self.append_to_system(SCHEMA, SCHEMA, None, &record.to_json())?;
        let hash = self.declared()?.hash;
        Ok(SchemaChange { changes: difference.changes, hash, event, settled })
    }

    /// The schema, and makes sure that others will know its hash: where two changes came together
    /// here, what they came to is recorded.
    pub(crate) fn declared_to_write(self: &Arc<Self>) -> Result<Arc<Declared>, AppendError> {
        let declared = self.declared()?;
        if declared.is_recorded || declared.is_empty() {
            return Ok(declared);
        }
        let _applying = lock(&self.schema.applying);
        let declared = self.declared()?;
        if !declared.is_recorded {
            let text = Arc::clone(&declared.text);
            let record = SchemaRecord { base: Arc::clone(&text), text, settles: Vec::new() };
            let key = format!("schema/{}", declared.hash);
            self.append_to_system(SCHEMA, SCHEMA, Some(&key), &record.to_json())?;
        }
        Ok(self.declared()?)
    }
}

/// What a text declares, and what it changes.
fn compare(declared: &Declared, text: &str) -> Result<(Schema, SchemaDifference), SchemaError> {
    let new = schema_of(text).map_err(SchemaError::Mistakes)?;
    let mistakes = view_mistakes(&new);
    if !mistakes.is_empty() {
        return Err(SchemaError::Mistakes(AskError::mistakes(mistakes, text)));
    }
    let (changes, refusals) = difference(&declared.schema, &new);
    let refusals =
        refusals.into_iter().map(|it| Diagnostic::error(it.span, it.message).help(it.help));
    let text: Arc<str> = canonical(&new).into();
    let difference = SchemaDifference {
        changes,
        refusals: refusals.collect(),
        hash: SchemaHash::of(&text),
        text,
        base: declared.hash,
    };
    Ok((new, difference))
}
