//! Every way to ask for events, each with what it must answer.

use laterbase::storage::Random;
use laterbase::{
    Cut, Database, Direction, Follow, Lineage, Order, Query, ReadError, Recorded, TimeRange,
    Timestamp, VersionVector,
};

use super::drafts::{KEYS, ROOTS, TAG_ROOTS, TYPES, VALID_SECONDS, pick};
use super::{Violation, violation};

/// A query, and which events belong to its answer.
pub struct Path {
    pub query: Query,
    admits: Box<dyn Fn(&Recorded) -> bool>,
}

/// How many kinds of paths there are.
pub const KINDS: u64 = 14;

impl Path {
    fn new(query: Query, admits: impl Fn(&Recorded) -> bool + 'static) -> Self {
        Self { query, admits: Box::new(admits) }
    }

    /// A path of any kind, in any order and direction.
    pub fn random(random: &mut Random, visible: &[&Recorded]) -> Self {
        let kind = random.below(KINDS);
        let mut path = Self::of_kind(kind, random, visible);
        let orders = [Order::Tx, Order::Valid, Order::Arrival];
        path.query.order = orders[random.index(orders.len())];
        if random.flip() {
            path.query.direction = Direction::Backward;
        }
        if random.chance(1, 3) {
            path.query.limit = Some(1 + random.below(6));
        }
        path
    }

    /// A path of one kind, in transaction order.
    pub fn of_kind(kind: u64, random: &mut Random, visible: &[&Recorded]) -> Self {
        let root = pick(random, &ROOTS).to_owned();
        let key = random.below(KEYS).to_string();
        let some = (!visible.is_empty()).then(|| visible[random.index(visible.len())]);
        match kind {
            0 => Self::stream(root, key),
            1 | 2 => {
                let tag = (pick(random, &TAG_ROOTS).to_owned(), key);
                let query = Query::tag(format!("{}:{}", tag.0, tag.1).parse().expect("a tag"));
                Self::new(query, move |event| carries(event, &tag))
            }
            3 => {
                let name = pick(random, &TYPES).to_owned();
                let query = Query::all().of_type(name.as_str().try_into().expect("a type"));
                Self::new(query, move |event| event.event.type_name == name)
            }
            4 => Self::new(Query::root(root.as_str().try_into().expect("a root")), move |event| {
                event.event.root == root
            }),
            5 => match some {
                Some(cause) => {
                    let id = cause.event.cause.unwrap_or(cause.event.id);
                    Self::new(Query::caused_by(id), move |event| event.event.cause == Some(id))
                }
                None => Self::all(),
            },
            6 | 7 => {
                let from = Timestamp::from_micros(random.below(VALID_SECONDS) as i64 * 1_000_000);
                let long = 1 + random.below(20) as i64 * 1_000_000;
                let range =
                    TimeRange::between(from, Timestamp::from_micros(from.as_micros() + long));
                Self::new(Query::all().valid_in(range), move |e| range.contains(e.event.valid_at))
            }
            8 => Self::unknown_to(random, visible),
            9..=11 => match some {
                Some(event) => Self::as_of(kind, event, visible),
                None => Self::all(),
            },
            12 => match some {
                Some(event) => Self::effects(event, visible),
                None => Self::all(),
            },
            _ => Self::all(),
        }
    }

    fn all() -> Self {
        Self::new(Query::all(), |_| true)
    }

    fn stream(root: String, key: String) -> Self {
        let names = (root.as_str().try_into(), key.as_str().try_into());
        let query = Query::stream(names.0.expect("a root"), names.1.expect("a key"));
        Self::new(query, move |event| event.event.root == root && event.event.key == key)
    }

    fn unknown_to(random: &mut Random, visible: &[&Recorded]) -> Self {
        let mut vector = VersionVector::new();
        for event in visible.iter().filter(|_| random.chance(1, 4)) {
            let root = event.event.root.as_str().try_into().expect("a root");
            vector.set(root, event.event.id.replica(), event.event.seq);
        }
        let known = vector.clone();
        Self::new(Query::all().unknown_to(vector), move |event| !covers(&known, event))
    }

    fn as_of(kind: u64, at: &Recorded, visible: &[&Recorded]) -> Self {
        let millis = if kind == 9 { at.arrival.millis() } else { at.event.id.hlc().millis() };
        let moment = Timestamp::from_micros(i64::try_from(millis * 1000).expect("a time"));
        let cut = |cut| Query::all().as_of(cut);
        match kind {
            9 => Self::new(cut(Cut::KnownAt(moment)), move |e| e.arrival.millis() <= millis),
            10 => Self::new(cut(Cut::RecordedBy(moment)), move |event| {
                event.event.id.hlc().millis() <= millis
            }),
            _ => {
                let mut vector = VersionVector::new();
                for event in visible.iter().filter(|event| event.position <= at.position) {
                    let root = event.event.root.as_str().try_into().expect("a root");
                    vector.set(root, event.event.id.replica(), event.event.seq);
                }
                let known = vector.clone();
                Self::new(cut(Cut::Vector(vector)), move |event| covers(&known, event))
            }
        }
    }

    fn effects(of: &Recorded, visible: &[&Recorded]) -> Self {
        // A cause is recorded before its effects.
        let mut found = vec![of.event.id];
        for event in visible {
            if event.event.cause.is_some_and(|cause| found.contains(&cause)) {
                found.push(event.event.id);
            }
        }
        found.remove(0);
        let lineage = Some(Lineage { of: of.event.id, follow: Follow::Effects });
        let query = Query { lineage, ..Query::all() };
        Self::new(query, move |event| found.contains(&event.event.id))
    }

    /// What the query must answer.
    pub fn expected(&self, visible: &[&Recorded]) -> Vec<Recorded> {
        let mut found: Vec<Recorded> =
            visible.iter().filter(|event| (self.admits)(event)).map(|e| (*e).clone()).collect();
        match self.query.order {
            Order::Tx => found.sort_by_key(|event| event.event.id),
            Order::Valid => found.sort_by_key(|event| (event.event.valid_at, event.event.id)),
            Order::Arrival => found.sort_by_key(|event| event.position),
        }
        if self.query.direction == Direction::Backward {
            found.reverse();
        }
        let limit = self.query.limit.unwrap_or(u64::MAX);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        found
    }

    /// Asks, and compares.
    ///
    /// # Errors
    /// The read's error; inside, whether the answer was right.
    pub fn check(
        &self,
        db: &Database,
        visible: &[&Recorded],
    ) -> Result<Result<(), Violation>, ReadError> {
        let found: Vec<Recorded> = db.read(&self.query)?.collect::<Result<_, _>>()?;
        Ok(compare(&format!("{:?}", self.query), &self.expected(visible), &found))
    }
}

fn carries(event: &Recorded, tag: &(String, String)) -> bool {
    event.event.tags.contains(tag) || (event.event.root == tag.0 && event.event.key == tag.1)
}

fn covers(vector: &VersionVector, event: &Recorded) -> bool {
    let root = event.event.root.as_str().try_into().expect("a root");
    vector.includes(&root, event.event.id.replica(), event.event.seq)
}

/// Whether an answer is what it must be; says where it is not.
pub fn compare(what: &str, expected: &[Recorded], found: &[Recorded]) -> Result<(), Violation> {
    if expected == found {
        return Ok(());
    }
    let at = expected.iter().zip(found).position(|(expected, found)| expected != found);
    let at = at.unwrap_or(expected.len().min(found.len()));
    Err(violation!(
        "{what}: {} events expected, {} found; number {at} is {:?} and not {:?}",
        expected.len(),
        found.len(),
        found.get(at).map(brief),
        expected.get(at).map(brief),
    ))
}

fn brief(event: &Recorded) -> String {
    let Recorded { event, position, arrival } = event;
    format!("{} #{} at {position}, {arrival:?}, {}/{}", event.id, event.seq, event.root, event.key)
}
