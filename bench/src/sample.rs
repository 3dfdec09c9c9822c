//! The events of `laterbase sample --seed 1`, as the program prints them and as they are recorded.

use laterbase::{Commit, EventDraft};
use laterbase_cli::sample::{Plan, Sample};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::StoreError;

/// What a line of the sample says.
#[derive(Deserialize)]
pub(crate) struct Line<'a> {
    root: &'a str,
    key: &'a str,
    #[serde(rename = "type")]
    type_name: &'a str,
    valid_at: &'a str,
    tags: Vec<&'a str>,
    idempotency_key: &'a str,
    #[serde(borrow)]
    pub(crate) data: &'a RawValue,
}

impl Line<'_> {
    /// Adds the event to a commit, with everything that the line says.
    pub(crate) fn push(&self, commit: &mut Commit) -> Result<(), StoreError> {
        let tags: Vec<(&str, &str)> =
            self.tags.iter().filter_map(|tag| tag.split_once(':')).collect();
        let draft = EventDraft {
            valid_at: Some(laterbase_cli::time::parse(self.valid_at)?),
            tags: &tags,
            idempotency: Some(self.idempotency_key.as_bytes()),
            content_type: "application/json",
            payload: self.data.get().as_bytes(),
            ..EventDraft::new(self.key, self.type_name)
        };
        commit.push_draft(self.root, &draft)?;
        Ok(())
    }
}

/// What the program prints.
pub(crate) fn text(events: u64) -> String {
    let plan = Plan { events, seed: 1, back_dated_percent: 5.0 };
    let mut sample = Sample::new(plan);
    let mut bytes = Vec::new();
    while sample.next_into(&mut bytes) {}
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Its lines.
pub(crate) fn lines(text: &str) -> Result<Vec<Line<'_>>, StoreError> {
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
