//! The world of one run: copies, clocks, a network, and one sequence of random numbers for all.
//!
//! ```text
//!   seed ─▶ weather ─▶ deeds, one at a time ─▶ seats (copy + disk + clock)
//!                          │                     │ sessions
//!                          └──▶ network: packets with a due time, lost, doubled, late
//!   until so many events ─▶ heal ─▶ rounds until all hold the same ─▶ check
//! ```
//! Nothing here runs at the same time as anything else, and nothing asks the machine for a time or
//! a random number; collections have an order. So a seed is a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use laterbase_event::{DatabaseId, Hash, ReplicaId};
use laterbase_log::storage::Random;

use crate::coverage::{Coverage, Passage};
use crate::network::{Link, Network};
use crate::node::Ending;
use crate::node::{Birth, Node, Trouble, Violation, violation};
use crate::trace::Trace;
use crate::weather::{Deed, Weather};

/// When the world begins: later than any build of this program, in microseconds.
const START_US: i64 = 1_800_000_000_000_000;

/// How far ahead of its wall clock a copy believes others, in milliseconds.
pub(crate) const DRIFT_MAX_MS: u64 = 5 * 60 * 1000;

/// What the runs of a seed are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The seed.
    pub seed: u64,
    /// Copies at the beginning; clones come on top.
    pub replicas: usize,
    /// Events that are acknowledged before the network heals.
    pub events: u64,
}

/// What a copy has promised by a frame or an acknowledgement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    /// Batches that are durable here, with their writers.
    pub(crate) batches: BTreeMap<Hash, ReplicaId>,
    /// Whose batches came from others.
    pub(crate) received: BTreeSet<ReplicaId>,
}

/// A copy and what the world knows of it.
pub(crate) struct Seat<N: Node> {
    pub(crate) node: N,
    pub(crate) promises: Promises,
    /// Batches that came in and are not promised yet.
    pub(crate) staged: Vec<(Hash, ReplicaId)>,
    /// With the promises and the id of their time.
    pub(crate) backups: VecDeque<(N::Backup, Promises, ReplicaId)>,
    /// How its clock differs from the world's.
    pub(crate) offset_us: i64,
    pub(crate) drift_ppm: i64,
    /// The highest wall clock that it has seen.
    pub(crate) wall_max_ms: u64,
    /// Until when it stays down.
    pub(crate) down_until: Option<u64>,
    /// Its id at the last look.
    pub(crate) id: ReplicaId,
    pub(crate) is_strict: bool,
    pub(crate) trouble: Option<Trouble>,
    /// It wakes up as it was, or another one was, and does not know.
    pub(crate) is_rolled_back: bool,
    /// It may have taken a new id when it failed to open.
    pub(crate) is_unsure: bool,
    /// It wakes up in another place.
    pub(crate) is_moved: bool,
    /// Its own logs, promised up to where.
    pub(crate) own: BTreeMap<laterbase_sync::LogId, u64>,
}

/// Everything there is.
pub struct World<N: Node> {
    pub(crate) order: Order,
    pub(crate) random: Random,
    pub(crate) now_ms: u64,
    pub(crate) base_us: i64,
    pub(crate) weather: Weather,
    pub(crate) seats: Vec<Seat<N>>,
    pub(crate) links: Vec<Link<N>>,
    pub(crate) network: Network,
    /// Frames that were seen, for a liar to repeat.
    pub(crate) overheard: VecDeque<Vec<u8>>,
    /// Ids that more than one copy may write under.
    pub(crate) shared_ids: BTreeSet<ReplicaId>,
    pub(crate) coverage: Coverage,
    pub(crate) trace: Trace,
    pub(crate) events: u64,
    pub(crate) next_link: u64,
}

impl<N: Node> World<N> {
    /// The world of a seed, before anything has happened.
    ///
    /// # Errors
    /// [`Violation`] if a copy cannot be made.
    pub fn new(order: Order) -> Result<Self, Violation> {
        let mut random = Random::new(order.seed ^ 0x1a7e_7ba5_e51e);
        let weather = Weather::of(&mut random);
        let mut world = Self {
            order,
            now_ms: 0,
            base_us: START_US,
            weather,
            seats: Vec::new(),
            links: Vec::new(),
            network: Network::default(),
            overheard: VecDeque::new(),
            shared_ids: BTreeSet::new(),
            coverage: Coverage::default(),
            trace: Trace::default(),
            events: 0,
            next_link: 0,
            random,
        };
        for number in 0..order.replicas {
            let birth = world.birth(number);
            let node = N::create(&birth)?;
            world.seat(node, &birth, Promises::default());
        }
        let weather = format!("{:?}", world.weather);
        world.note(weather);
        Ok(world)
    }

    /// Lives until so many events are acknowledged, heals, and checks.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn live(&mut self) -> Result<(), Violation> {
        let steps_max = self.order.events * 400 + 20_000;
        for _ in 0..steps_max {
            if self.events >= self.order.events {
                break;
            }
            self.step()?;
        }
        if self.events < self.order.events {
            return Err(violation!("{} events after {steps_max} steps", self.events));
        }
        self.heal()?;
        self.check()
    }

    /// What happened so far.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was covered so far.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Events that were acknowledged so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn note(&mut self, line: impl std::fmt::Display) {
        self.trace.note(self.now_ms, line);
    }

    /// How a copy with this number comes to be.
    pub(crate) fn birth(&mut self, number: usize) -> Birth {
        Birth {
            database: DatabaseId::from_bytes(*b"a simulated one."),
            number,
            seed: self.random.next_u64(),
            wall_us: self.base_us,
            is_strict: self.random.chance(1, 4),
        }
    }

    /// Gives a copy its place.
    pub(crate) fn seat(&mut self, node: N, birth: &Birth, promises: Promises) {
        let id = node.replica();
        self.seats.push(Seat {
            node,
            promises,
            staged: Vec::new(),
            backups: VecDeque::new(),
            offset_us: signed(&mut self.random, 20_000_000),
            drift_ppm: signed(&mut self.random, 200),
            wall_max_ms: birth.wall_us.max(0).unsigned_abs() / 1000,
            down_until: None,
            id,
            is_strict: birth.is_strict,
            trouble: None,
            is_rolled_back: false,
            is_unsure: false,
            is_moved: false,
            own: BTreeMap::new(),
        });
        self.note(format!("{}: is born, strict {}", birth.number, birth.is_strict));
    }

    /// One thing happens.
    fn step(&mut self) -> Result<(), Violation> {
        let by_ms = 1 + self.random.below(5);
        self.pass_time(by_ms)?;
        let at = self.random.index(self.seats.len());
        match self.weather.draw(&mut self.random) {
            Deed::Append => self.append(at),
            Deed::Connect => self.connect(at),
            Deed::Carry => self.carry(),
            Deed::Step => self.work(at),
            Deed::Backup => self.back_up(at),
            Deed::Cut => self.cut(),
            Deed::Partition => self.divide(),
            Deed::OneWay => self.block_one_way(),
            Deed::Mend => self.mend(),
            Deed::Crash => self.end(at, Ending::PowerCut),
            Deed::Kill => self.end(at, Ending::Killed),
            Deed::Trouble => self.trouble(at),
            Deed::Restore => self.restore(at),
            Deed::Clone => self.clone_copy(at),
            Deed::Clock => self.set_clock(at),
            Deed::Sleep => self.sleep(at),
            Deed::Liar => self.lie(at),
            Deed::Taste => self.change_taste(at),
        }
    }

    /// Time passes: clocks move, messages arrive, copies wake up.
    fn pass_time(&mut self, by_ms: u64) -> Result<(), Violation> {
        self.now_ms += by_ms;
        self.base_us += i64::try_from(by_ms).unwrap_or(0) * 1000;
        self.deliver_due()?;
        for at in 0..self.seats.len() {
            if self.seats[at].down_until.is_some_and(|until| until <= self.now_ms) {
                self.wake(at)?;
            }
        }
        Ok(())
    }

    /// What the clock of a copy shows.
    pub(crate) fn wall_us(&self, at: usize) -> i64 {
        let seat = &self.seats[at];
        let elapsed = i64::try_from(self.now_ms).unwrap_or(0) * 1000;
        self.base_us + seat.offset_us + elapsed / 1_000_000 * seat.drift_ppm
    }

    /// Sets a copy's clock to what it shows now.
    pub(crate) fn wind(&mut self, at: usize) {
        let wall_us = self.wall_us(at);
        let seat = &mut self.seats[at];
        seat.node.set_wall_us(wall_us);
        seat.wall_max_ms = seat.wall_max_ms.max(wall_us.max(0).unsigned_abs() / 1000);
    }

    /// Looks at a copy after it has done something: a new id, or a disk that has failed.
    pub(crate) fn look_at(&mut self, at: usize) -> Result<(), Violation> {
        let id = self.seats[at].node.replica();
        let before = std::mem::replace(&mut self.seats[at].id, id);
        if id != before {
            self.coverage.passage(Passage::Reincarnation);
            self.note(format!("{at}: takes a new id, {id} for {before}"));
            if !self.shared_ids.contains(&before) {
                return Err(violation!(
                    "copy {at} gave up its id {before}, under which nobody else ever wrote"
                ));
            }
        }
        if let Some(ending) = self.seats[at].node.is_struck() {
            if self.seats[at].trouble.is_none() {
                return Err(violation!("copy {at} fails, {ending:?}, without any trouble"));
            }
            self.end(at, ending)?;
        }
        Ok(())
    }
}

/// A number between `-most` and `most`.
pub(crate) fn signed(random: &mut Random, most: u32) -> i64 {
    let number = random.below(2 * u64::from(most) + 1);
    i64::try_from(number).unwrap_or(0) - i64::from(most)
}
