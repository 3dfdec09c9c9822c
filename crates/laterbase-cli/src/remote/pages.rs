//! Reads at a server, a page at a time.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laterbase::{
    Cursor, Cut, Direction, EventId, Follow, Order, Query, Recorded, TimeRange, Timestamp,
};
use laterbase_json::RecordedIn;
use laterbase_json::time::Clockface;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::There;
use crate::failure::Failure;

/// Events of a page.
const PAGE_EVENTS: u64 = 1_000;
/// Ids of one request: they stand in its address.
const IDS_MAX: usize = 500;

/// Parameters of a request.
pub(super) type Parameters = Vec<(&'static str, String)>;

/// A listing, page after page.
#[derive(Debug)]
pub(crate) struct Pages {
    there: There,
    order: Order,
    parameters: Parameters,
    left: Option<u64>,
    /// Behind the page, as the server says it.
    next: Option<String>,
    is_over: bool,
    page: VecDeque<Recorded>,
    /// Some cursor of the copy there.
    of_copy: Option<Cursor>,
    /// Behind the last event that was given.
    cursor: Option<Cursor>,
}

#[derive(Deserialize)]
struct PageIn<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    missing: Vec<String>,
}

impl Pages {
    /// What `query` asks for.
    pub(crate) fn new(there: There, query: &Query) -> Self {
        Self {
            there,
            order: query.order,
            parameters: parameters(query),
            left: query.limit,
            next: query.after.map(|after| after.to_string()),
            is_over: false,
            page: VecDeque::new(),
            of_copy: query.after,
            cursor: query.after,
        }
    }

    /// Where to go on behind the last event that was given.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Where to go on behind an event of this listing.
    pub(crate) fn cursor_behind(&self, recorded: &Recorded) -> Option<Cursor> {
        self.of_copy.map(|cursor| cursor.behind(recorded, self.order))
    }

    fn fetch(&mut self) -> Result<(), Failure> {
        let mut parameters = self.parameters.clone();
        let limit = self.left.map_or(PAGE_EVENTS, |left| left.min(PAGE_EVENTS));
        parameters.push(("limit", limit.to_string()));
        parameters.extend(self.next.take().map(|after| ("after", after)));
        let text = self.there.text("/e", &parameters)?;
        let page: PageIn<'_> =
            serde_json::from_str(&text).map_err(|error| self.there.foreign(error))?;
        self.page = events(&self.there, &page.events)?.into();
        self.left = self.left.map(|left| left.saturating_sub(self.page.len() as u64));
        // A place while catching up begins with a cursor.
        let place = page.next.as_deref().or(page.cursor.as_deref());
        let cursor = place.and_then(|place| place.split('~').next()?.parse().ok());
        self.of_copy = cursor.or(self.of_copy);
        self.is_over = page.next.is_none();
        self.next = page.next;
        Ok(())
    }
}

impl Iterator for Pages {
    type Item = Result<Recorded, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(recorded) = self.page.pop_front() {
                self.cursor = self.cursor_behind(&recorded);
                return Some(Ok(recorded));
            }
            if self.is_over || self.left == Some(0) {
                return None;
            }
            if let Err(failure) = self.fetch() {
                self.is_over = true;
                return Some(Err(failure));
            }
        }
    }
}

/// Events by their ids, and the ids of those that are not there.
pub(crate) fn found(
    there: &There,
    ids: &[EventId],
) -> Result<(Vec<Recorded>, Vec<EventId>), Failure> {
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for ids in ids.chunks(IDS_MAX) {
        let keys: Vec<String> = ids.iter().map(EventId::to_string).collect();
        let text = there.text("/e", &[("keys", keys.join(","))])?;
        let page: PageIn<'_> = serde_json::from_str(&text).map_err(|error| there.foreign(error))?;
        all.append(&mut events(there, &page.events)?);
        for id in &page.missing {
            missing.push(id.parse().map_err(|error| there.foreign(error))?);
        }
    }
    Ok((all, missing))
}

fn events(there: &There, lines: &[&RawValue]) -> Result<Vec<Recorded>, Failure> {
    let one = |line: &&RawValue| RecordedIn::read(line.get()).and_then(RecordedIn::into_recorded);
    lines.iter().map(one).collect::<Result<_, _>>().map_err(|error| there.foreign(error))
}

impl There {
    fn text(&self, rest: &str, parameters: &[(&str, String)]) -> Result<String, Failure> {
        let mut text = String::new();
        let answer = self.remote.stream(rest, parameters, "application/json");
        let mut answer = answer.map_err(|error| self.failed(&error))?;
        match std::io::Read::read_to_string(&mut answer, &mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(self.foreign(format_args!("the answer broke off: {error}"))),
        }
    }
}

/// A query as the server reads it, its limit and its place apart.
pub(super) fn parameters(query: &Query) -> Parameters {
    let mut all = Parameters::new();
    let mut add = |name, value: Option<String>| all.extend(value.map(|value| (name, value)));
    add("root", query.root.map(|root| root.as_str().to_owned()));
    add("key", query.key.as_ref().map(|key| key.as_str().to_owned()));
    for tag in &query.tags {
        add("tag", Some(tag.to_string()));
    }
    for name in &query.types {
        add("type", Some(name.as_str().to_owned()));
    }
    add("caused_by", query.caused_by.map(|id| id.to_string()));
    if let Some(lineage) = query.lineage {
        let name = match lineage.follow {
            Follow::Causes => "causes_of",
            Follow::Effects => "effects_of",
        };
        add(name, Some(lineage.of.to_string()));
    }
    let TimeRange { from, until } = query.tx;
    add("tx_from", from.map(time));
    add("tx_until", until.map(time));
    let TimeRange { from, until } = query.valid;
    add("valid_from", from.map(time));
    add("valid_until", until.map(time));
    let vector = |vector: &laterbase::VersionVector| URL_SAFE_NO_PAD.encode(vector.encode());
    add("vv", query.unknown_to.as_ref().map(vector));
    add(
        "as_of",
        match &query.cut {
            Cut::Latest => None,
            Cut::KnownAt(at) => Some(time(*at)),
            Cut::RecordedBy(at) => Some(format!("recorded:{}", time(*at))),
            Cut::Vector(cut) => Some(vector(cut)),
        },
    );
    let order = match query.order {
        Order::Tx => "tx",
        Order::Valid => "valid",
        Order::Arrival => "arrival",
    };
    add("order", Some(order.to_owned()));
    add("reverse", (query.direction == Direction::Backward).then(|| "true".to_owned()));
    all
}

fn time(at: Timestamp) -> String {
    Clockface::utc().format(at.as_micros())
}
