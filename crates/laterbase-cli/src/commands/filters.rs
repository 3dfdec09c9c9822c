//! Which events to read: the arguments that `read` and `tail` share.

use clap::Args;
use laterbase::{EventId, Follow, Key, Lineage, Query, RootName, Tag, TimeRange, TypeName};

use crate::failure::{Exit, Failure};
use crate::values::{Moment, StreamName, key_name, moment, root_name, stream_name, tag};

/// Filters; all that are given must hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which events")]
pub(crate) struct Filters {
    /// Of this stream, or of this root
    #[arg(value_name = "ROOT[/KEY]", value_parser = stream_name)]
    #[arg(conflicts_with_all = ["root", "key"])]
    pub(crate) stream: Option<StreamName>,
    /// Of this root
    #[arg(long, value_name = "ROOT", value_parser = root_name)]
    pub(crate) root: Option<RootName>,
    /// Of this key
    #[arg(long, value_name = "KEY", value_parser = key_name)]
    pub(crate) key: Option<Key>,
    /// With this tag; several must all be there
    #[arg(long = "tag", value_name = "ROOT:KEY", value_parser = tag)]
    pub(crate) tags: Vec<Tag>,
    /// Of this type; several are alternatives
    #[arg(long = "type", value_name = "TYPE", value_parser = type_name)]
    pub(crate) types: Vec<TypeName>,
    /// That followed directly from this event
    #[arg(long, value_name = "ID")]
    pub(crate) caused_by: Option<EventId>,
    /// From which this event followed, over any number of steps
    #[arg(long, value_name = "ID", conflicts_with = "effects_of")]
    pub(crate) causes_of: Option<EventId>,
    /// That followed from this event, over any number of steps
    #[arg(long, value_name = "ID")]
    pub(crate) effects_of: Option<EventId>,
    /// Recorded at this time or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) tx_from: Option<Moment>,
    /// Recorded before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) tx_until: Option<Moment>,
    /// Happened at this time or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) valid_from: Option<Moment>,
    /// Happened before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) valid_until: Option<Moment>,
}

fn type_name(text: &str) -> Result<TypeName, String> {
    TypeName::try_from(text).map_err(|error| format!("the type: {error}"))
}

impl Filters {
    /// The query that they make.
    pub(crate) fn query(&self) -> Result<Query, Failure> {
        let mut query = Query::all();
        query.root = self.root;
        query.key = self.key.clone();
        if let Some(stream) = &self.stream {
            query.root = Some(stream.root);
            query.key = stream.key.clone();
        }
        query.tags = self.tags.clone();
        query.types = self.types.clone();
        query.caused_by = self.caused_by;
        query.lineage = match (self.causes_of, self.effects_of) {
            (Some(of), _) => Some(Lineage { of, follow: Follow::Causes }),
            (None, Some(of)) => Some(Lineage { of, follow: Follow::Effects }),
            (None, None) => None,
        };
        query.tx = range("tx", self.tx_from, self.tx_until)?;
        query.valid = range("valid", self.valid_from, self.valid_until)?;
        Ok(query)
    }
}

/// A range that holds at least one moment.
fn range(name: &str, from: Option<Moment>, until: Option<Moment>) -> Result<TimeRange, Failure> {
    let range = TimeRange { from: from.map(|m| m.0), until: until.map(|m| m.0) };
    match (range.from, range.until) {
        (Some(from), Some(until)) if from >= until => Err(Failure::new(
            Exit::Usage,
            format_args!("--{name}-from is not before --{name}-until, so nothing can match"),
        )
        .hint("the range is half-open: from is in it, until is not")),
        _ => Ok(range),
    }
}
