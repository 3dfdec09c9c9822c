//! `laterbase get`: events by their ids.

use clap::Args;
use laterbase::EventId;

use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::refusals;
use crate::show::{card, write_json};

/// Show events by their ids, in full
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The ids
    #[arg(value_name = "ID", required = true)]
    ids: Vec<EventId>,
}

impl Get {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let (events, missing) = match context.open_to_read()? {
            Place::Here(database) => {
                let found = database.get_many(&self.ids);
                let found = found.map_err(|error| refusals::reading(&error))?;
                let named = found.events.into_iter().map(|event| database.with_names(event));
                let named: Result<Vec<_>, _> = named.collect();
                (named.map_err(|error| refusals::reading(&error))?, found.missing)
            }
            #[cfg(feature = "remote")]
            Place::There(there) => crate::remote::found(&there, &self.ids)?,
        };
        let clock = context.clock();
        if context.json() {
            let mut text = b"{\"events\":[".to_vec();
            for (index, recorded) in events.iter().enumerate() {
                text.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
                write_json(recorded, &clock, None, &mut text);
            }
            let ids: Vec<String> = missing.iter().map(EventId::to_string).collect();
            let missing = serde_json::Value::from(ids);
            let break_line = if events.is_empty() { "" } else { "\n" };
            text.extend_from_slice(format!("{break_line}],\"missing\":{missing}}}\n").as_bytes());
            context.out.bytes(&text)?;
        } else {
            context.page();
            let style = context.out.style();
            let cards: Vec<String> =
                events.iter().map(|recorded| card(recorded, &clock, style)).collect();
            context.out.bytes(cards.join("\n").as_bytes())?;
        }
        match missing.as_slice() {
            [] => Ok(()),
            _ if context.json() => Err(Failure::said(Exit::NotFound)),
            missing => {
                let ids: Vec<String> = missing.iter().map(EventId::to_string).collect();
                Err(Failure::new(Exit::NotFound, format_args!("no event {}", ids.join(", ")))
                    .hint("`laterbase read` lists events with their ids"))
            }
        }
    }
}
