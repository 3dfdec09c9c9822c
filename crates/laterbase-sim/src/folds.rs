//! Folds and views of one copy, which live through everything that happens to it while it is open,
//! and are kept on its disk in between, whatever becomes of that;
//! and what they must be: the same from scratch, and on every copy.
//!
//! A state is a hash over everything that was applied, in order, so that any other order or any
//! other event is another state.

use std::collections::BTreeMap;

use laterbase::{
    Aggregate, Aggregates, ApplyError, Database, Event, FoldEvent, FoldOrder, Keyed, Order,
    PageRequest, Projection, Query, RootName, Timestamp, View, ViewRows,
};
use laterbase_event::{EventId, Hash};
use serde::{Deserialize, Serialize};

use crate::node::{Violation, violation};

/// The roots that the world writes under, but for one: a view is enough for that.
const ROOTS: [&str; 2] = ["shipment", "truck"];

/// Everything that was applied, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    events: u64,
    hash: Vec<u8>,
}

impl Chain {
    fn take(&mut self, id: EventId, type_name: &str, valid_at: Timestamp, payload: &[u8]) {
        let mut bytes = self.hash.clone();
        bytes.extend_from_slice(&id.as_u128().to_be_bytes());
        bytes.extend_from_slice(&valid_at.as_micros().to_be_bytes());
        bytes.extend_from_slice(type_name.as_bytes());
        bytes.extend_from_slice(payload);
        self.events += 1;
        self.hash = Hash::of(&bytes).as_bytes().to_vec();
    }

    fn take_folded(&mut self, event: &FoldEvent<'_>) {
        self.take(event.id(), event.type_name(), event.valid_at(), event.payload());
    }

    fn take_read(&mut self, event: &Event) {
        self.take(event.id, &event.type_name, event.valid_at, &event.payload);
    }
}

/// A stream, in the order of its ids.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stream(Chain);

impl Aggregate for Stream {
    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0.take_folded(event);
        Ok(())
    }
}

/// Events by their type, in the order in which they happened.
#[derive(Clone, Copy, Debug)]
struct ByType;

impl View for ByType {
    type Row = Chain;

    const ORDER: FoldOrder = FoldOrder::Valid;

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        touch(event.type_name());
    }

    fn apply(&self, row: &mut Chain, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        row.take_folded(event);
        Ok(())
    }
}

/// The folds of a copy while it is open.
#[derive(Debug)]
pub(crate) struct Folds {
    streams: Vec<(RootName, Aggregates<Stream>)>,
    by_type: ViewRows<ByType>,
}

impl Folds {
    pub(crate) fn of(database: &Database) -> Self {
        let roots = ROOTS.iter().filter_map(|root| RootName::try_from(*root).ok());
        let streams = roots.map(|root| {
            let streams = || database.aggregates(root);
            (root, streams().kept(root.as_str()).unwrap_or_else(|_| streams()))
        });
        let by_type = || database.view(ByType);
        let kept = by_type().kept("by-type");
        Self { streams: streams.collect(), by_type: kept.unwrap_or_else(|_| by_type()) }
    }

    /// Has them look at what there is, so that they stand somewhere when more comes.
    pub(crate) fn ask(&self, key: &str) {
        for (_, streams) in &self.streams {
            let _ = streams.get(key);
        }
        let _ = self.by_type.catch_up();
    }

    /// All rows, by name, if they are what they are from scratch.
    pub(crate) fn rows(&self, database: &Database) -> Result<BTreeMap<String, String>, Violation> {
        let mut all = BTreeMap::new();
        for (root, streams) in &self.streams {
            let expected = scratch(database, *root, Order::Tx, |event| event.key.clone())?;
            let actual = paged(streams, |stream| stream.0.clone())?;
            compare(root.as_str(), &expected, &actual, &mut all)?;
        }
        let expected = scratch(database, None, Order::Valid, |event| event.type_name.clone())?;
        let actual = paged(&self.by_type, Chain::clone)?;
        compare("by type", &expected, &actual, &mut all)?;
        Ok(all)
    }
}

fn compare(
    name: &str,
    expected: &BTreeMap<String, Chain>,
    actual: &BTreeMap<String, Chain>,
    all: &mut BTreeMap<String, String>,
) -> Result<(), Violation> {
    if expected != actual {
        let differs = expected.iter().find(|(key, chain)| actual.get(*key) != Some(*chain));
        return Err(violation!(
            "folds {name} to {} rows, from scratch {}; the first that differs: {differs:?}",
            actual.len(),
            expected.len()
        ));
    }
    all.extend(actual.iter().map(|(key, chain)| (format!("{name} {key}"), format!("{chain:?}"))));
    Ok(())
}

fn scratch(
    database: &Database,
    root: impl Into<Option<RootName>>,
    order: Order,
    row_of: impl Fn(&Event) -> String,
) -> Result<BTreeMap<String, Chain>, Violation> {
    let query = Query { root: root.into(), ..Query::all().order(order) };
    let failed = |error| violation!("cannot be read: {error}");
    let mut rows: BTreeMap<String, Chain> = BTreeMap::new();
    for event in database.read(&query).map_err(failed)? {
        let event = event.map_err(failed)?.event;
        rows.entry(row_of(&event)).or_default().take_read(&event);
    }
    Ok(rows)
}

fn paged<F: laterbase::Fold>(
    projection: &Projection<F>,
    chain: impl Fn(&F::State) -> Chain,
) -> Result<BTreeMap<String, Chain>, Violation> {
    let mut request = PageRequest { limit: 50, ..PageRequest::default() };
    let mut rows = BTreeMap::new();
    loop {
        let page = projection.page(&request);
        let page = page.map_err(|error| violation!("cannot be folded: {error}"))?;
        for Keyed { key, row } in page.rows {
            let folded = row.map_err(|failure| violation!("cannot be folded: {failure}"))?;
            rows.insert(key.to_string(), chain(&folded.state));
        }
        let Some(next) = page.next else { return Ok(rows) };
        request.after = Some(next);
    }
}
