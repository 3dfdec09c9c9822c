//! What a text is read against: this copy at one moment, and what is declared.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use laterbase_lang::plan::{Plan, Source};
use laterbase_lang::{Context, Function, Span, Value, operations_root};
use laterbase_query::scalar::Scalars;

use super::source::{Reader, StoredData};
use super::{Allow, Ask, Schema, undeclared};
use crate::inner::Inner;
use crate::read::ReadError;

/// This copy at one moment.
pub(crate) struct Moment<'a> {
    /// Its events and rows.
    pub(crate) data: StoredData<'a>,
    /// What is declared.
    pub(crate) schema: &'a Schema,
    /// What `now()` is, in microseconds since 1970.
    pub(crate) now: i64,
    /// Roots that hold events, as far as they may be read.
    stored: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    parameters: &'a BTreeMap<Arc<str>, Value>,
    allow: Option<&'a Allow<'a>>,
}

impl<'a> Moment<'a> {
    pub(crate) fn new(
        inner: &'a Arc<Inner>,
        reader: Reader<'a>,
        ask: &'a Ask<'_>,
    ) -> Result<Self, ReadError> {
        let (schema, allow) = (reader.schema, ask.allow);
        let vector = inner.version_vector()?;
        let mut stored = vector
            .roots()
            .filter(|root| allow.is_none_or(|allow| allow(Some(root.as_str()))))
            .map(|root| (Arc::from(root.as_str()), BTreeSet::new()))
            .collect();
        undeclared::add_stored(inner, schema, &ask.text, &mut stored)?;
        let data = StoredData::new(inner, vector, reader)?;
        let now = inner.environment.now_us();
        Ok(Self { data, schema, now, stored, parameters: &ask.parameters, allow })
    }

    /// What a text may name.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            schema: self.schema,
            stored: &self.stored,
            parameters: self.parameters,
            now: self.now,
            evaluate,
        }
    }

    /// Takes a root for one that holds events, since it is about to.
    pub(crate) fn expect_root(&mut self, root: &Arc<str>) {
        self.stored.entry(Arc::clone(root)).or_default();
    }

    /// Whether something may be told of a root.
    pub(crate) fn may_read_root(&self, root: &str) -> bool {
        self.allow.is_none_or(|allow| allow(Some(root)))
    }

    /// Whether a plan reads only what may be read.
    pub(crate) fn may_read(&self, plan: &Plan) -> bool {
        let Some(allow) = self.allow else { return true };
        plan.stored.iter().all(|it| allow(root_of(&it.source).as_deref()))
    }
}

/// The root of stored rows, a table's being that of its operations; none where they are of all.
fn root_of(source: &Source) -> Option<Cow<'_, str>> {
    match source {
        Source::EventsOf { root, .. } => Some(Cow::Borrowed(root)),
        Source::Table { number } => Some(Cow::Owned(operations_root(*number))),
        Source::Events => None,
    }
}

pub(super) fn evaluate(function: Function, values: &[Value]) -> Result<Value, String> {
    Scalars::default().call(function, values, Span::default()).map_err(|error| error.to_string())
}
