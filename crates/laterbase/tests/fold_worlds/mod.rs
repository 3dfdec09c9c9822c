//! Small worlds of two copies that write, back-date, forward-date and sync, with folds that are
//! asked in between, kept on disk and taken up again; and the oracle: the same fold, from scratch,
//! over what a plain read answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use laterbase::storage::{MemoryStorage, OpenMode, Storage};
use laterbase::sync::{Replica as _, Session, SessionConfig};
use laterbase::{
    Aggregate, Aggregates, ApplyError, Cut, Database, FoldEvent, FoldOrder, Moment, NewEvent,
    Options, Order, PageRequest, Query, RootName, Timestamp, VersionVector, View, ViewRows,
};

use serde::{Deserialize, Serialize};

use crate::support::TestEnvironment;

/// Everything that was applied, in order: any other order is another state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told(pub(crate) Vec<(u128, u32)>);

impl Told {
    fn take(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0.push((event.id().as_u128(), event.json()?));
        Ok(())
    }
}

/// By id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded(pub(crate) Told);

impl Aggregate for Recorded {
    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0.take(event)
    }
}

/// By valid time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happened(pub(crate) Told);

impl Aggregate for Happened {
    const ORDER: FoldOrder = FoldOrder::Valid;

    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        self.0.take(event)
    }
}

/// A row for each truck that an event is tagged with, and one for each remainder by three.
#[derive(Debug)]
pub(crate) struct Board;

impl View for Board {
    type Row = Told;

    const ORDER: FoldOrder = FoldOrder::Valid;

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        for (root, key) in event.tags() {
            touch(&format!("{root} {key}"));
        }
        if let Ok(number) = event.json::<u32>() {
            touch(&format!("third {}", number % 3));
        }
    }

    fn apply(&self, row: &mut Told, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        row.take(event)
    }
}

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What was known at a moment.
struct Known {
    now: Timestamp,
    /// Whether nothing more can come to be known at this moment.
    is_settled: bool,
    vector: VersionVector,
    /// The numbers of the events that a plain read answered with.
    numbers: BTreeSet<u32>,
}

/// One copy with its folds.
pub(crate) struct Copy {
    pub(crate) db: Database,
    storage: Arc<MemoryStorage>,
    clock: Arc<TestEnvironment>,
    shape: Shape,
    folds: Folds,
    known: Vec<Known>,
}

/// What is folded of a copy while it is open, and kept in between.
struct Folds {
    recorded: Aggregates<Recorded>,
    happened: Aggregates<Happened>,
    board: ViewRows<Board>,
}

impl Folds {
    fn of(db: &Database) -> Self {
        Self {
            recorded: db.aggregates(root()).kept("recorded").unwrap(),
            happened: db.aggregates(root()).kept("happened").unwrap(),
            board: db.view(Board).kept("board").unwrap(),
        }
    }
}

/// What a world is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) acts: u64,
    pub(crate) keys: u64,
    /// Events of one act.
    pub(crate) burst: u64,
    /// Places of a stream that are kept.
    pub(crate) places_max: usize,
}

/// A dozen acts on two streams, long enough for states along the way, of which few events are kept
/// in place.
pub(crate) const SMALL: Shape = Shape { acts: 12, keys: 2, burst: 12, places_max: 6 };

const ROOT: &str = "shipment";

fn options(shape: Shape) -> Options {
    let mut options = Options::small_device();
    options.threads = false;
    options.folds.places_max = shape.places_max;
    options.folds.streams_max = 2;
    options
}

/// What is kept of all folds, by the names of the files.
fn kept_files(storage: &MemoryStorage) -> BTreeMap<String, Vec<u8>> {
    if !storage.exists("folds").unwrap() {
        return BTreeMap::new();
    }
    let names = storage.list("folds").unwrap().into_iter();
    names
        .map(|name| {
            let file = storage.open(&format!("folds/{name}"), OpenMode::READ).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_at(0, &mut bytes).unwrap();
            (name, bytes)
        })
        .collect()
}

fn root() -> RootName {
    ROOT.try_into().unwrap()
}

impl Copy {
    fn new(at_ms: i64, joined: Option<&Database>, shape: Shape) -> Self {
        let options = options(shape);
        let clock = TestEnvironment::seeded(at_ms, u64::from(joined.is_some()) + 1);
        let storage = Arc::new(MemoryStorage::new());
        let (of, at) = (storage.clone(), clock.clone());
        let db = match joined {
            None => Database::create_on(of, at, options),
            Some(first) => Database::create_joined_on(of, at, options, first.id()),
        }
        .unwrap();
        let folds = Folds::of(&db);
        Self { db, storage, clock, shape, folds, known: Vec::new() }
    }

    /// Ends and begins again: with all that was kept, or with what was kept some time before, as
    /// after a crash.
    fn restart(self, random: &mut Random) -> Self {
        let Self { db, storage, clock, shape, folds, known } = self;
        match random.below(3) {
            0 => folds.board.keep_now().unwrap(),
            1 => folds.recorded.keep_now().unwrap(),
            _ => {}
        }
        let before = kept_files(&storage);
        drop(folds);
        db.close().unwrap();
        if random.below(2) == 0 {
            for name in kept_files(&storage).keys() {
                storage.remove(&format!("folds/{name}")).unwrap();
            }
            for (name, bytes) in before {
                let file = storage.open(&format!("folds/{name}"), OpenMode::CREATE).unwrap();
                file.write_at(0, &bytes).unwrap();
            }
        }
        let db = Database::open_on(storage.clone(), clock.clone(), options(shape)).unwrap();
        let folds = Folds::of(&db);
        for status in [folds.board.kept_status(), folds.recorded.kept_status()] {
            let unusable = status.unwrap().unusable;
            assert!(unusable.is_empty(), "{unusable:?}");
        }
        Self { db, storage, clock, shape, folds, known }
    }

    fn append(&mut self, random: &mut Random, number: &mut u32, shape: Shape) {
        let mut commit = self.db.commit();
        for _ in 0..=random.below(shape.burst) {
            let now = self.clock.advance_ms(random.below(3) as i64);
            *number += 1;
            let key = format!("k{}", random.below(shape.keys));
            let mut event = NewEvent::new(ROOT, key, "seen").json(number).unwrap();
            if random.below(2) == 0 {
                // Up to 100 ms early or late, often the same moment as another event.
                let shift = (random.below(21) as i64 - 10) * 10_000;
                let at = now.as_micros() / 10_000 * 10_000 + shift;
                event = event.valid_at(Timestamp::from_micros(at));
            }
            if random.below(3) == 0 {
                event = event.tag(format!("truck:{}", random.below(3)).parse().unwrap());
            }
            commit.push(&event).unwrap();
        }
        self.db.append(&mut commit).unwrap().wait().unwrap();
    }

    fn note(&mut self) {
        let read = self.db.read(&Query::root(root())).unwrap();
        let read: Vec<_> = read.map(Result::unwrap).collect();
        let numbers = read.iter().map(|event| event.json().unwrap()).collect();
        let now = self.clock.advance_ms(0);
        // Once something came from a clock that is ahead, time here stands still until its own
        // clock is there: what is known at such a moment is not settled yet.
        let arrived = read.iter().map(|event| event.arrival.millis()).max().unwrap_or(0);
        let is_settled = arrived as i64 * 1000 <= now.as_micros();
        let vector = self.db.version_vector().unwrap();
        self.known.push(Known { now, is_settled, vector, numbers });
        self.clock.advance_ms(5);
    }

    /// Asks for something, so that folds stand somewhere.
    fn ask(&self, random: &mut Random, shape: Shape) {
        let key = format!("k{}", random.below(shape.keys));
        match random.below(4) {
            0 => drop(self.folds.recorded.get(&key).unwrap()),
            1 => drop(self.folds.happened.get(&key).unwrap()),
            2 => self.folds.board.catch_up().unwrap(),
            _ => drop(self.folds.board.page(&PageRequest::default()).unwrap()),
        }
    }
}

/// The fold from scratch: rows by key, of what a plain read answers.
fn oracle(
    db: &Database,
    moment: &Moment,
    order: Order,
    rows_of: impl Fn(&laterbase::Event) -> Vec<String>,
) -> BTreeMap<String, Told> {
    let mut query = Query::root(root()).as_of(moment.cut.clone()).order(order);
    if let Some(at) = moment.valid_at {
        query.valid.until = Some(Timestamp::from_micros(at.as_micros() + 1));
    }
    let mut rows: BTreeMap<String, Told> = BTreeMap::new();
    for recorded in db.read(&query).unwrap() {
        let recorded = recorded.unwrap();
        let number = recorded.json::<u32>().unwrap();
        for row in rows_of(&recorded.event) {
            rows.entry(row).or_default().0.push((recorded.id().as_u128(), number));
        }
    }
    rows
}

/// The numbers of all events that were applied, as of a moment.
fn told_of(copy: &Copy, moment: &Moment) -> BTreeSet<u32> {
    let rows = paged(&copy.folds.recorded, moment, 100);
    rows.into_values().flat_map(|row| row.0.0).map(|(_, number)| number).collect()
}

fn board_rows(event: &laterbase::Event) -> Vec<String> {
    let number: u32 = serde_json::from_slice(&event.payload).unwrap();
    let tags = event.tags.iter().map(|(root, key)| format!("{root} {key}"));
    tags.chain([format!("third {}", number % 3)]).collect()
}

/// All rows, through pages of a random size.
fn paged<F: laterbase::Fold<State = S>, S: Clone>(
    rows: &laterbase::Projection<F>,
    moment: &Moment,
    limit: usize,
) -> BTreeMap<String, S> {
    let mut request = PageRequest { moment: moment.clone(), limit, ..PageRequest::default() };
    let mut all = BTreeMap::new();
    loop {
        let page = rows.page(&request).unwrap();
        assert!(page.rows.len() <= limit);
        for row in page.rows {
            let before = all.insert(row.key.to_string(), row.row.unwrap().state);
            assert!(before.is_none(), "a key comes once");
        }
        let Some(next) = page.next else { return all };
        request.after = Some(next);
    }
}

/// Compares every fold with the oracle, as of one moment.
fn compare(copy: &Copy, moment: &Moment, random: &mut Random) -> Result<(), String> {
    let limit = 1 + random.below(4) as usize;
    let by_key = |event: &laterbase::Event| vec![event.key.clone()];
    let expected = oracle(&copy.db, moment, Order::Tx, by_key);
    let actual: BTreeMap<_, _> = paged(&copy.folds.recorded, moment, limit)
        .into_iter()
        .map(|(key, row)| (key, row.0))
        .collect();
    same("by id", moment, &expected, &actual)?;
    let expected = oracle(&copy.db, moment, Order::Valid, by_key);
    let actual: BTreeMap<_, _> = paged(&copy.folds.happened, moment, limit)
        .into_iter()
        .map(|(key, row)| (key, row.0))
        .collect();
    same("by valid time", moment, &expected, &actual)?;
    for (key, told) in &expected {
        let row = copy.folds.happened.get_at(key, moment).unwrap().ok_or("a row is not there")?;
        if row.state.0 != *told || row.version != told.0.len() as u64 {
            return Err(format!("{key} by itself differs at {moment:?}"));
        }
    }
    let expected = oracle(&copy.db, moment, Order::Valid, board_rows);
    same("view", moment, &expected, &paged(&copy.folds.board, moment, limit))
}

fn same(
    what: &str,
    moment: &Moment,
    expected: &BTreeMap<String, Told>,
    actual: &BTreeMap<String, Told>,
) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    Err(format!("{what} at {moment:?}: expected {expected:?}\nnot      {actual:?}"))
}

/// Everything that the first copy holds goes to the second, and the other way round.
fn exchange(here: &Database, there: &Database) {
    let (mut client, mut server) = (here.sync_port().unwrap(), there.sync_port().unwrap());
    let config = SessionConfig::default();
    let mut asks = Session::initiator(config.clone(), client.recall(there.replica()));
    let mut answers = Session::responder(config);
    loop {
        let mut carried = 0;
        while let Some(frame) = asks.poll_frame(0, &mut client) {
            carried += 1;
            drop(answers.handle_frame(&frame, 0, &mut server));
        }
        while let Some(frame) = answers.poll_frame(0, &mut server) {
            carried += 1;
            drop(asks.handle_frame(&frame, 0, &mut client));
        }
        if carried == 0 {
            return;
        }
    }
}

/// Lives one world; an error says which fold differs, and where.
pub(crate) fn live(seed: u64, shape: Shape) -> Result<(), String> {
    let mut random = Random(seed);
    let mut here = Copy::new(1_800_000_000_000, None, shape);
    // Another clock: up to a tenth of a second off.
    let shift = random.below(200) as i64 - 100;
    let mut there = Copy::new(1_800_000_000_000 + shift, Some(&here.db), shape);
    let mut number = 0;
    for _ in 0..shape.acts {
        match random.below(9) {
            0..=2 => here.append(&mut random, &mut number, shape),
            3 | 4 => there.append(&mut random, &mut number, shape),
            5 => {
                exchange(&here.db, &there.db);
                there.note();
            }
            6 => here.ask(&mut random, shape),
            7 => there.ask(&mut random, shape),
            _ if random.below(2) == 0 => here = here.restart(&mut random),
            _ => there = there.restart(&mut random),
        }
        here.note();
    }
    exchange(&here.db, &there.db);
    here.note();
    there.note();
    let failed = |error: String| format!("seed {seed}, {shape:?}: {error}");
    for copy in [&here, &there] {
        compare(copy, &Moment::default(), &mut random).map_err(failed)?;
        for at in 0..copy.known.len() {
            let known = &copy.known[at];
            let (cut, is_of_then) = match random.below(3) {
                0 => (Cut::KnownAt(known.now), known.is_settled),
                1 => (Cut::Vector(known.vector.clone()), true),
                // Whoever recorded it: more than was known here.
                _ => (Cut::RecordedBy(known.now), false),
            };
            let mut moment = Moment::known(cut);
            if is_of_then && told_of(copy, &moment) != known.numbers {
                return Err(failed(format!("another answer than then at {moment:?}")));
            }
            if random.below(2) == 0 {
                let other = &copy.known[random.below(copy.known.len() as u64) as usize];
                let late = (random.below(5) as i64 - 2) * 10_000;
                moment = moment.valid_at(Timestamp::from_micros(other.now.as_micros() + late));
            }
            compare(copy, &moment, &mut random).map_err(failed)?;
        }
    }
    agree(&here, &there).map_err(failed)
}

/// Copies that hold the same have the same rows.
fn agree(here: &Copy, there: &Copy) -> Result<(), String> {
    assert_eq!(here.db.version_vector().unwrap(), there.db.version_vector().unwrap());
    let now = Moment::default();
    let mine = paged(&here.folds.board, &now, 100);
    same("the other copy's view", &now, &mine, &paged(&there.folds.board, &now, 100))
}
