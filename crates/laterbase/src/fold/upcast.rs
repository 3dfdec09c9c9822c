//! Upcasters: what makes old events meet today's code.
//!
//! Events never change; programs do. An upcaster takes the payload of one version of a type to the
//! next, whenever such an event is folded. Several make a chain: 1 → 2 → 3. What is stored, read
//! and synced stays as it was recorded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use laterbase_event::EventView;
use serde_json::Value;

use super::aggregate::ApplyError;

type Upcast = dyn Fn(&[u8]) -> Result<Vec<u8>, ApplyError> + Send + Sync;

/// The upcasters of one type, by the version that they take.
type Versions = HashMap<u32, Arc<Upcast>>;

/// The upcasters of a database, by root, type and version.
///
/// They must be pure: the same payload, the same answer, on every replica. Rows that are
/// [kept](crate::Projection::kept) are made anew when an upcaster is added or removed; when one
/// comes to mean something else, the fold's `VERSION` must count up.
///
/// ```
/// use laterbase::{Options, Upcasters};
///
/// let upcasters = Upcasters::default().with_json("shipment", "weighed", 1, |mut old| {
///     old["kg"] = (old["g"].as_f64().ok_or("no grams")? / 1000.0).into();
///     Ok(old)
/// });
/// let options = Options::default().upcasters(upcasters);
/// # let _ = options;
/// ```
#[derive(Clone, Default)]
pub struct Upcasters {
    by_type: Arc<HashMap<(String, String), Versions>>,
}

impl Upcasters {
    /// Takes payloads of version `from` to version `from + 1`. A later one for the same version
    /// replaces the former.
    #[must_use]
    pub fn with(
        mut self,
        root: impl Into<String>,
        type_name: impl Into<String>,
        from: u32,
        upcast: impl Fn(&[u8]) -> Result<Vec<u8>, ApplyError> + Send + Sync + 'static,
    ) -> Self {
        let by_type = Arc::make_mut(&mut self.by_type);
        by_type.entry((root.into(), type_name.into())).or_default().insert(from, Arc::new(upcast));
        self
    }

    /// As [`Upcasters::with`], for JSON.
    #[must_use]
    pub fn with_json(
        self,
        root: impl Into<String>,
        type_name: impl Into<String>,
        from: u32,
        upcast: impl Fn(Value) -> Result<Value, ApplyError> + Send + Sync + 'static,
    ) -> Self {
        self.with(root, type_name, from, move |payload| {
            Ok(serde_json::to_vec(&upcast(serde_json::from_slice(payload)?)?)?)
        })
    }

    /// What they take, of one root or of all, in order: other upcasters may make other states.
    pub(crate) fn names(&self, root: Option<&str>) -> Vec<String> {
        let of_root = self.by_type.iter().filter(|((of, _), _)| root.is_none_or(|root| root == of));
        let mut names: Vec<String> = of_root
            .flat_map(|((of, type_name), versions)| {
                versions.keys().map(move |from| format!("{of} {type_name} {from}"))
            })
            .collect();
        names.sort_unstable();
        names
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_type.is_empty()
    }

    /// The version and payload that an event has today.
    pub(crate) fn apply<'a>(
        &self,
        event: &'a EventView<'a>,
    ) -> Result<(u32, Cow<'a, [u8]>), ApplyError> {
        let (mut version, mut payload) = (event.version(), Cow::Borrowed(event.payload()));
        if self.is_empty() {
            return Ok((version, payload));
        }
        let name = (event.root().to_owned(), event.type_name().to_owned());
        let Some(versions) = self.by_type.get(&name) else { return Ok((version, payload)) };
        while let Some(upcast) = versions.get(&version) {
            payload = Cow::Owned(upcast(&payload)?);
            version = version.checked_add(1).ok_or("there is no version behind the last one")?;
        }
        Ok((version, payload))
    }
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_type.keys()).finish()
    }
}
