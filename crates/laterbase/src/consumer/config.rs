//! What a consumer is given, and how it deals with what is not acknowledged.

use laterbase_event::{NameError, ParseTagError, TypeName};
use serde::{Deserialize, Serialize};

use super::error::ConsumerError;
use super::state::OPEN_MAX;
use crate::query::{Order, Query};

/// How many types, and how many tags, a consumer may name.
const NAMES_MAX: usize = 1000;

/// What a consumer is given, and how it deals with what is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerConfig {
    /// Events of this root only.
    pub root: Option<String>,
    /// Events of any of these types, at most 1,000; empty: of any type.
    pub types: Vec<String>,
    /// Events that carry all of these tags, `root:key` each, at most 1,000.
    pub tags: Vec<String>,
    /// How many events may be given and not acknowledged; then nothing new is given. At least 1, at
    /// most 100,000.
    pub open_max: usize,
    /// After how long an event that was given is given again, in milliseconds.
    pub redeliver_ms: u64,
    /// How often an event is given before it is dead. At least 1.
    pub attempts_max: u32,
}

impl ConsumerConfig {
    /// Whether a consumer may be created with it.
    ///
    /// # Errors
    /// [`ConsumerError::Config`] for a member beyond its bound, [`ConsumerError::Filter`] for a
    /// root, type or tag that is none.
    pub fn check(&self) -> Result<(), ConsumerError> {
        let bounds = [
            ("types", self.types.len(), NAMES_MAX),
            ("tags", self.tags.len(), NAMES_MAX),
            ("open_max", self.open_max, OPEN_MAX),
        ];
        match bounds.into_iter().find(|(_, count, max)| count > max) {
            Some((member, count, max)) => Err(ConsumerError::Config { member, count, max }),
            None => self.filter().map(drop),
        }
    }

    /// The events that a consumer is given.
    pub(super) fn filter(&self) -> Result<Query, ConsumerError> {
        let refused = |text: &str, error: &dyn ToString| ConsumerError::Filter {
            text: text.to_owned(),
            reason: error.to_string(),
        };
        let mut filter = Query::all().order(Order::Arrival);
        if let Some(root) = &self.root {
            filter.root = Some(root.parse().map_err(|error: NameError| refused(root, &error))?);
        }
        for name in &self.types {
            let type_name =
                TypeName::try_from(name.as_str()).map_err(|error| refused(name, &error))?;
            filter = filter.of_type(type_name);
        }
        for tag in &self.tags {
            let parsed = tag.parse().map_err(|error: ParseTagError| refused(tag, &error))?;
            filter = filter.with_tag(parsed);
        }
        Ok(filter)
    }
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            root: None,
            types: Vec::new(),
            tags: Vec::new(),
            open_max: 1000,
            redeliver_ms: 30_000,
            attempts_max: 5,
        }
    }
}
