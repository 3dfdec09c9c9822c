//! What a commit is held against while events are pushed, and when it is appended.
//!
//! A commit remembers by which schema its events were checked. If `_sys` has grown since, the
//! append looks whether the schema is another one by now; then the commit is refused, since its
//! events may not be appended any more. The last look is under the front's lock, so nothing slips
//! in between.

use std::sync::Arc;

use laterbase_event::{EventDraft, Position};

use super::strict::Candidate;
use super::{Declared, SchemaHash};
use crate::append::AppendError;
use crate::commit::PushError;
use crate::inner::{Inner, Writer};
use crate::progress::Durability;

/// The schema that a commit is held against.
#[derive(Debug)]
pub(crate) struct SchemaGate {
    inner: Arc<Inner>,
    /// Absent while nothing was ever applied.
    declared: Option<Arc<Declared>>,
    /// Up to where events of `_sys` were looked at.
    upto: Position,
    checked: Checked,
}

/// By which schema events of a commit were checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Checked {
    /// There are none.
    #[default]
    Nothing,
    /// By one; none if nothing was ever applied.
    By(Option<SchemaHash>),
    /// Some by one, some by another.
    Mixed,
}

impl SchemaGate {
    pub(crate) fn new(inner: &Arc<Inner>) -> Self {
        let (inner, upto) = (Arc::clone(inner), Position::NONE);
        Self { inner, declared: None, upto, checked: Checked::Nothing }
    }

    /// Forgets the events that were checked.
    pub(crate) fn clear(&mut self) {
        self.checked = Checked::Nothing;
    }

    /// Up to where events of `_sys` were looked at, and by what events were checked.
    pub(crate) fn passed(&self) -> (Position, Checked) {
        (self.upto, self.checked)
    }

    /// Whether an event may be pushed.
    pub(crate) fn check(&mut self, root: &str, draft: &EventDraft<'_>) -> Result<(), PushError> {
        if self.inner.schema.system_upto() > self.upto {
            let declared = self
                .inner
                .declared()
                .map_err(|error| PushError::SchemaUnreadable { message: error.to_string() })?;
            self.upto = declared.upto;
            self.declared = (!declared.is_empty()).then_some(declared);
        }
        if let Some(declared) = &self.declared {
            let candidate = Candidate {
                root,
                type_name: draft.type_name,
                content_type: draft.content_type,
                payload: draft.payload,
            };
            declared.check(&candidate).map_err(|message| PushError::Schema { message })?;
        }
        let by = Checked::By(self.declared.as_ref().map(|declared| declared.hash));
        if self.checked == Checked::Nothing {
            self.checked = by;
        } else if self.checked != by {
            self.checked = Checked::Mixed;
        }
        Ok(())
    }
}

impl Inner {
    /// Looks at the schema again for a commit that was checked before `_sys` grew; answers up to
    /// where.
    pub(crate) fn check_schema_again(
        self: &Arc<Self>,
        writer: &Writer,
        checked: Checked,
    ) -> Result<Position, AppendError> {
        // What was staged of `_sys` shows once it is written.
        self.settle(writer, Durability::Flushed)?;
        let declared = self.declared()?;
        let by = (!declared.is_empty()).then_some(declared.hash);
        match checked {
            Checked::Nothing => Ok(declared.upto),
            Checked::By(hash) if hash == by => Ok(declared.upto),
            Checked::By(_) | Checked::Mixed => Err(AppendError::SchemaChanged),
        }
    }
}
