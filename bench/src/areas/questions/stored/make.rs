//! The stored events: shipments that come through ports, and what is packed into what.
//!
//! ```text
//!   four in five   shipment  S-0000123   departed, arrived, scanned   about twenty of each one
//!   one in five    box       truck ▶ 10 pallets ▶ 100 crates ▶ 1,000 shipments       packed
//! ```
//! Things happen about a quarter of a second apart; one in twenty is recorded up to three days
//! late. The others are given the same rows as lists of comma-separated values, with the times of
//! recording that ours gave.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use laterbase::{Commit, Database, EventDraft, KeyDraft, Options, Timestamp};

use crate::areas::SEED;
use crate::engine::Engine;
use crate::error::{BenchError, StoreError};
use crate::random::Random;

/// Events of a commit.
const BATCH: u64 = 1_000;
/// Where time begins: 2026-01-01, in microseconds.
const BEGIN_US: i64 = 1_767_225_600_000_000;
/// How far apart events are.
const APART_US: i64 = 259_000;
const LATE_US: u64 = 3 * 86_400_000_000;
/// How many events a shipment has, about.
const OF_SHIPMENT: u64 = 20;
/// Things in a thing.
const IN_ONE: u64 = 10;

const PORTS: [&str; 12] = [
    "DEHAM", "NLRTM", "BEANR", "FRLEH", "GBFXT", "ESVLC", "ITGOA", "PLGDN", "SEGOT", "ATVIE",
    "CZPRG", "CHBSL",
];
const CARRIERS: [&str; 6] =
    ["Nordfracht", "Van Dijk", "Alpine Logistik", "Iberia Cargo", "Hansa Hub", "Baltic Lines"];
const TYPES: [&str; 3] = ["departed", "arrived", "scanned"];

/// An event that is remembered, to be asked for.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) key: String,
    pub(super) at_us: i64,
    pub(super) tx_us: i64,
    pub(super) seal: String,
}

/// What is known of the events beyond their number.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Some of shipments, spread over all.
    pub(super) known: Vec<Known>,
    /// The times of recording, one of each commit.
    pub(super) commits_us: Vec<i64>,
    pub(super) trucks: u64,
}

/// One event.
struct Event {
    root: &'static str,
    key: String,
    type_name: &'static str,
    at_us: i64,
    payload: String,
    /// What stands in the lists, but for the time of recording.
    row: String,
    seal: String,
}

struct Maker {
    random: Random,
    shipments: u64,
    number: u64,
    packed: u64,
}

impl Maker {
    fn event(&mut self) -> Event {
        self.number += 1;
        let late = if self.random.below(20) == 0 { self.random.below(LATE_US) } else { 0 };
        let at_us = BEGIN_US + self.number as i64 * APART_US - late as i64;
        if self.number.is_multiple_of(5) { self.packed(at_us) } else { self.moved(at_us) }
    }

    fn moved(&mut self, at_us: i64) -> Event {
        let random = &mut self.random;
        let mut one_of = |names: &[&'static str]| {
            names.get(random.below(names.len() as u64) as usize).copied().unwrap_or_default()
        };
        let (type_name, port, carrier) = (one_of(&TYPES), one_of(&PORTS), one_of(&CARRIERS));
        let key = shipment(random.below(self.shipments));
        let weight = format!("{}.{}", 1 + random.below(24_000), random.below(10));
        let (gate, driver) = (1 + random.below(12), random.below(9_000));
        let seal = format!("SL-{:08}", random.below(100_000_000));
        let payload = format!(
            "{{\"port\":\"{port}\",\"carrier\":\"{carrier}\",\"weight_kg\":{weight},\
             \"gate\":{gate},\"seal\":\"{seal}\",\"driver\":\"d-{driver:04}\"}}"
        );
        let row = format!(
            "{type_name},{key},{at_us},{port},{carrier},{weight},{gate},{seal},d-{driver:04}"
        );
        Event { root: "shipment", key, type_name, at_us, payload, row, seal }
    }

    /// The next thing that is packed: of each truck all pallets, then all crates, then the rest.
    fn packed(&mut self, at_us: i64) -> Event {
        let of_truck = IN_ONE + IN_ONE * IN_ONE + IN_ONE * IN_ONE * IN_ONE;
        let (truck, place) = (self.packed / of_truck, self.packed % of_truck);
        self.packed += 1;
        let (key, item) = if place < IN_ONE {
            (self::truck(truck), pallet(truck, place))
        } else if place < IN_ONE + IN_ONE * IN_ONE {
            let crate_number = place - IN_ONE;
            (pallet(truck, crate_number / IN_ONE), format!("C-{truck:05}-{crate_number:02}"))
        } else {
            let crate_number = (place - IN_ONE - IN_ONE * IN_ONE) / IN_ONE;
            let inside = shipment(self.random.below(self.shipments));
            (format!("C-{truck:05}-{crate_number:02}"), inside)
        };
        let payload = format!("{{\"item\":\"{item}\"}}");
        let row = format!("{key},{item},{at_us}");
        let (root, type_name) = ("box", "packed");
        Event { root, key, type_name, at_us, payload, row, seal: String::new() }
    }
}

fn shipment(number: u64) -> String {
    format!("S-{number:07}")
}

pub(super) fn truck(number: u64) -> String {
    format!("T-{number:05}")
}

pub(super) fn pallet(truck: u64, number: u64) -> String {
    format!("P-{truck:05}-{number}")
}

fn push(commit: &mut Commit, event: &Event) -> Result<(), StoreError> {
    let draft = EventDraft {
        valid_at: Some(event.at_us),
        content_type: "application/json",
        payload: event.payload.as_bytes(),
        ..EventDraft::new(KeyDraft::Text(&event.key), event.type_name)
    };
    commit.push_draft(event.root, &draft)?;
    Ok(())
}

/// Records `total` events in a new database under `folder`, and lists them beside it.
pub(super) fn make(folder: &Path, total: u64, known_count: u64) -> Result<Made, BenchError> {
    let wrap = |source| BenchError::Store { engine: Engine::Laterbase, source };
    record(folder, total, known_count).map_err(wrap)
}

fn record(folder: &Path, total: u64, known_count: u64) -> Result<Made, StoreError> {
    let database = Database::create(folder.join("laterbase"), Options::default())?;
    let list = |name| File::create(folder.join(name)).map(BufWriter::new);
    let (mut shipments, mut boxes) = (list("shipment.csv")?, list("box.csv")?);
    let mut maker = Maker {
        random: Random::new(SEED),
        shipments: (total * 4 / 5 / OF_SHIPMENT).max(1),
        number: 0,
        packed: 0,
    };
    let mut made = Made::default();
    let mut commit = database.commit();
    while maker.number < total {
        let events: Vec<Event> = (0..BATCH).map(|_| maker.event()).collect();
        commit.clear();
        for event in &events {
            push(&mut commit, event)?;
        }
        let appended = database.append(&mut commit)?.wait()?;
        let mut last = 0;
        for (event, id) in events.into_iter().zip(appended.ids()) {
            let tx_us = Timestamp::from_hlc(id.hlc()).as_micros();
            last = tx_us;
            let list = if event.root == "box" { &mut boxes } else { &mut shipments };
            writeln!(list, "{},{tx_us}", event.row)?;
            let is_known = event.type_name == "departed"
                && made.known.len() as u64 * total < known_count * maker.number;
            if is_known {
                let Event { key, at_us, seal, .. } = event;
                made.known.push(Known { key, at_us, tx_us, seal });
            }
        }
        if made.commits_us.last() != Some(&last) {
            made.commits_us.push(last);
        }
    }
    made.trucks = maker.packed / (IN_ONE + IN_ONE * IN_ONE + IN_ONE * IN_ONE * IN_ONE);
    shipments.flush()?;
    boxes.flush()?;
    Ok(made)
}
