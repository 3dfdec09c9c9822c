//! Small worlds, searched to the end: every order of a few appends, exchanges, cut exchanges,
//! crashes and restores among a few copies.
//!
//! ```text
//!   path of acts ─▶ replayed from the beginning ─▶ state ─▶ seen before? ─▶ else: heal, check,
//!   ▲                                                                        and one act more
//!   └────────────────────────────── breadth first ◀──────────────────────────────────┘
//! ```
//! A state is what each copy holds, what of it is not durable yet, its backup, its id, and how much
//! of the budget is left. After each new one a copy of the world is healed, and everything checked
//! that a run by seed checks at its end. The search is breadth first, so that a violation comes
//! with the shortest path that leads to it.
//!
//! Left out: clocks, which all stand still, and what peers remember of each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::rc::Rc;

use laterbase_event::{DatabaseId, Hash, ReplicaId};
use laterbase_log::storage::{Random, Survival};
use laterbase_sync::{Replica, Session, SessionConfig};

use crate::carry::{news_in, taken_of};
use crate::check::check_copies;
use crate::held::{batches_of, hashes_of};
use crate::node::{Appended, Birth, Care, Ending, Node, Place, Violation, Wish, violation};

/// What may happen in a small world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A copy records an event.
    Append(usize),
    /// Two copies have a session, to its end.
    Exchange(usize, usize),
    /// They have one that is cut after so many frames.
    Cut(usize, usize, u32),
    /// They have one in which every frame arrives twice.
    Twice(usize, usize),
    /// The power of a copy is cut, and what was not synced is lost.
    Crash(usize),
    /// A copy is backed up.
    Backup(usize),
    /// A copy is what it was when it was backed up.
    Restore(usize),
}

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Copies.
    pub copies: usize,
    /// Events.
    pub appends: u32,
    /// Exchanges that are cut, or in which everything arrives twice.
    pub cuts: u32,
    /// Up to how many frames get through before a cut.
    pub frames: u32,
    /// Crashes.
    pub crashes: u32,
    /// Backups, and as many restores.
    pub backups: u32,
    /// Acts altogether.
    pub depth: usize,
}

/// What a search went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// Different states.
    pub states: usize,
    /// Steps from a state to a state.
    pub steps: usize,
    /// The longest path.
    pub depth: usize,
    /// Whether nothing was left to try, but for the bound on the length of a path.
    pub is_complete: bool,
    /// States with a fork.
    pub forks: usize,
    /// States in which a copy has another id than at the beginning.
    pub reincarnations: usize,
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, is_complete, forks, reincarnations } = self;
        let end = if *is_complete { "complete" } else { "complete up to this depth" };
        write!(
            f,
            "{states} states, {steps} steps, depth {depth}, {end}; {forks} states with forks, \
             {reincarnations} with new ids"
        )
    }
}

/// Searches a small world to its end.
///
/// # Errors
/// The [`Violation`] with the shortest path to it.
pub fn search<N: Node>(bounds: Bounds) -> Result<Searched, Violation> {
    let mut searched = Searched { is_complete: true, ..Searched::default() };
    let mut seen = BTreeSet::new();
    let mut waiting = VecDeque::from([(Vec::new(), None)]);
    while let Some((path, before)) = waiting.pop_front() {
        let told = |Violation(text): Violation| violation!("{path:?}: {text}");
        let mut world = Small::<N>::after(bounds, &path, before.as_ref()).map_err(told)?;
        searched.steps += 1;
        if !seen.insert(world.key().map_err(told)?) {
            continue;
        }
        searched.states += 1;
        searched.depth = searched.depth.max(path.len());
        let acts = world.acts();
        let has_new_id = world.copies.iter().any(|copy| copy.node.replica() != copy.first_id);
        searched.reincarnations += usize::from(has_new_id);
        searched.forks += usize::from(world.has_fork());
        // The next acts begin here, and healing goes on from here, too.
        let here = world.fork().map(Rc::new);
        world.heal().map_err(told)?;
        if path.len() == bounds.depth {
            searched.is_complete &= acts.is_empty();
            continue;
        }
        waiting.extend(acts.into_iter().map(|act| {
            let mut path = path.clone();
            path.push(act);
            (path, here.clone())
        }));
    }
    Ok(searched)
}

struct Copy<N: Node> {
    node: N,
    first_id: ReplicaId,
    /// Batches that came in and are not durable.
    staged: BTreeSet<Hash>,
    promised: BTreeSet<Hash>,
    backup: Option<(N::Backup, BTreeSet<Hash>)>,
}

struct Small<N: Node> {
    bounds: Bounds,
    copies: Vec<Copy<N>>,
    /// What is left of the budget: appends, cuts, crashes, backups, restores.
    left: [u32; 5],
}

/// What tells a state from others.
type Key = (Vec<(ReplicaId, BTreeSet<Hash>, BTreeSet<Hash>, Option<BTreeSet<Hash>>)>, [u32; 5]);

/// A source of random numbers by which a power cut loses all that it may.
fn unlucky() -> Random {
    let is_unlucky = |seed: &u64| {
        Survival::random(&mut Random::new(*seed)) == Survival::Lost
            && !Random::new(*seed).chance(1, 4)
    };
    Random::new((0..100).find(is_unlucky).unwrap_or(0))
}

impl<N: Node> Small<N> {
    /// The world after these acts, from the one before the last of them if there is one.
    fn after(bounds: Bounds, path: &[Act], before: Option<&Rc<Self>>) -> Result<Self, Violation> {
        if let (Some(mut world), Some(last)) = (before.and_then(|world| world.fork()), path.last())
        {
            world.act(*last)?;
            return Ok(world);
        }
        let mut world = Self::new(bounds)?;
        for act in path {
            world.act(*act)?;
        }
        Ok(world)
    }

    fn fork(&self) -> Option<Self> {
        let fork = |copy: &Copy<N>| {
            Some(Copy {
                node: copy.node.fork()?,
                first_id: copy.first_id,
                staged: copy.staged.clone(),
                promised: copy.promised.clone(),
                backup: copy.backup.clone(),
            })
        };
        let copies = self.copies.iter().map(fork).collect::<Option<_>>()?;
        Some(Self { bounds: self.bounds, copies, left: self.left })
    }

    fn new(bounds: Bounds) -> Result<Self, Violation> {
        let Bounds { appends, cuts, crashes, backups, .. } = bounds;
        let left = [appends, cuts, crashes, backups, backups];
        let mut copies = Vec::new();
        for number in 0..bounds.copies {
            let node = N::create(&Birth {
                database: DatabaseId::from_bytes(*b"a small world..."),
                number,
                seed: 1 + number as u64,
                wall_us: 1_800_000_000_000_000,
                is_strict: false,
            })?;
            let (staged, promised) = (BTreeSet::new(), BTreeSet::new());
            copies.push(Copy { first_id: node.replica(), node, staged, promised, backup: None });
        }
        Ok(Self { bounds, copies, left })
    }

    /// Everything that may happen next.
    fn acts(&self) -> Vec<Act> {
        let [appends, cuts, crashes, backups, restores] = self.left;
        let mut acts = Vec::new();
        for (at, copy) in self.copies.iter().enumerate() {
            for (budget, act) in [
                (appends, Act::Append(at)),
                (crashes, Act::Crash(at)),
                (if copy.backup.is_none() { backups } else { 0 }, Act::Backup(at)),
                (if copy.backup.is_some() { restores } else { 0 }, Act::Restore(at)),
            ] {
                if budget > 0 {
                    acts.push(act);
                }
            }
            for other in 0..self.copies.len() {
                if at < other {
                    acts.push(Act::Exchange(at, other));
                }
                if at != other && cuts > 0 {
                    acts.extend((1..=self.bounds.frames).map(|k| Act::Cut(at, other, k)));
                    acts.push(Act::Twice(at, other));
                }
            }
        }
        acts
    }

    fn act(&mut self, act: Act) -> Result<(), Violation> {
        let [appends, cuts, crashes, backups, restores] = &mut self.left;
        match act {
            Act::Append(at) => {
                *appends -= 1;
                let text = format!("{appends} left");
                self.append(at, text)
            }
            Act::Exchange(one, other) => self.exchange(one, other, u32::MAX, 1),
            Act::Cut(one, other, frames) => {
                *cuts -= 1;
                self.exchange(one, other, frames, 1)
            }
            Act::Twice(one, other) => {
                *cuts -= 1;
                self.exchange(one, other, u32::MAX, 2)
            }
            Act::Crash(at) => {
                *crashes -= 1;
                self.copies[at].node.stop(Ending::PowerCut, &mut unlucky());
                self.wake(at)
            }
            Act::Backup(at) => {
                *backups -= 1;
                let copy = &mut self.copies[at];
                copy.backup = Some((copy.node.backup(), copy.promised.clone()));
                Ok(())
            }
            Act::Restore(at) => {
                *restores -= 1;
                let copy = &mut self.copies[at];
                copy.node.stop(Ending::Killed, &mut unlucky());
                if let Some((backup, promised)) = copy.backup.take() {
                    copy.node.restore(&backup, Place::InPlace);
                    copy.promised = promised;
                }
                self.wake(at)
            }
        }
    }

    fn wake(&mut self, at: usize) -> Result<(), Violation> {
        let copy = &mut self.copies[at];
        copy.staged.clear();
        if copy.node.reopen(false)?.is_none() {
            return Err(violation!("copy {at} does not open"));
        }
        let Some(port) = copy.node.port() else { return Err(violation!("copy {at} is closed")) };
        if !hashes_of(&port)?.is_superset(&copy.promised) {
            return Err(violation!("copy {at} lost what it had acknowledged"));
        }
        Ok(())
    }

    fn append(&mut self, at: usize, text: String) -> Result<(), Violation> {
        let copy = &mut self.copies[at];
        let before = held_by(&copy.node)?;
        let wish = Wish {
            root: "truck",
            key: format!("copy-{at}"),
            type_name: "seen",
            valid_us: None,
            payload: text.into_bytes(),
        };
        match copy.node.append(&[wish], Care::Flushed) {
            Appended::Done { .. } => {
                let after = held_by(&copy.node)?;
                copy.promised.extend(after.difference(&before));
                Ok(())
            }
            Appended::Refused | Appended::Failed => Err(violation!("copy {at} cannot append")),
        }
    }

    /// One session, of which so many frames arrive, each so often.
    fn exchange(
        &mut self,
        client: usize,
        server: usize,
        frames_max: u32,
        times: usize,
    ) -> Result<(), Violation> {
        let ends = [client, server];
        let ports = ends.map(|at| self.copies[at].node.port());
        let [Some(here), Some(there)] = ports else { return Err(violation!("a copy is closed")) };
        let config = SessionConfig { frame_bytes_target: 200, ..SessionConfig::default() };
        let mut sessions = [Session::initiator(config.clone(), None), Session::responder(config)];
        let mut ports = [here, there];
        let (mut carried, mut silent, mut side) = (0, 0, 0);
        while silent < 2 {
            silent += 1;
            while let Some(frame) = sessions[side].poll_frame(0, &mut ports[side]) {
                let from = &mut self.copies[ends[side]];
                from.promised.append(&mut from.staged);
                silent = 0;
                if carried == frames_max {
                    return Ok(());
                }
                carried += 1;
                if carried > 500 {
                    return Err(violation!("a session of {client} and {server} does not end"));
                }
                let (to, port) = (1 - side, &mut ports[1 - side]);
                for _ in 0..times {
                    let news = news_in(&frame, port);
                    let outcomes = sessions[to].handle_frame(&frame, 0, port);
                    let copy = &mut self.copies[ends[to]];
                    copy.node.record(&outcomes);
                    copy.staged.extend(taken_of(news, port).iter().map(|batch| batch.hash));
                }
            }
            side = 1 - side;
        }
        Ok(())
    }

    fn key(&self) -> Result<Key, Violation> {
        let mut all = Vec::new();
        for copy in &self.copies {
            let backup = copy.backup.as_ref().map(|(_, promised)| promised.clone());
            all.push((copy.node.replica(), held_by(&copy.node)?, copy.staged.clone(), backup));
        }
        Ok((all, self.left))
    }

    fn has_fork(&self) -> bool {
        let ports = self.copies.iter().filter_map(|copy| copy.node.port());
        ports.into_iter().any(|port| port.heads().values().any(|head| head.branch.is_some()))
    }

    /// Everything gets through; all come to hold the same; everything is checked.
    fn heal(&mut self) -> Result<(), Violation> {
        self.converge()?;
        for at in 0..self.copies.len() {
            self.append(at, "the last word".to_owned())?;
        }
        self.converge()?;
        let nodes: Vec<_> = self.copies.iter().map(|copy| &copy.node).collect();
        let promised = self.copies.iter().map(|copy| copy.promised.iter().copied());
        check_copies(&nodes, promised.flatten())?;
        let mut ids = BTreeMap::new();
        for (at, copy) in self.copies.iter().enumerate() {
            if let Some(other) = ids.insert(copy.node.replica(), at) {
                return Err(violation!("copies {other} and {at} write under one id"));
            }
        }
        Ok(())
    }

    fn converge(&mut self) -> Result<(), Violation> {
        for _ in 0..crate::heal::ROUNDS_MAX {
            let last = self.copies.len() - 1;
            for at in 0..last {
                self.exchange(at, at + 1, u32::MAX, 1)?;
            }
            for at in (0..last).rev() {
                self.exchange(at + 1, at, u32::MAX, 1)?;
            }
            let mut all = Vec::new();
            for copy in &self.copies {
                all.push(copy.node.port().map(|port| port.heads()));
            }
            if all.iter().all(|heads| heads.is_some() && *heads == all[0]) {
                return Ok(());
            }
        }
        Err(violation!("the copies do not come to hold the same"))
    }
}

fn held_by<N: Node>(node: &N) -> Result<BTreeSet<Hash>, Violation> {
    let port = node.port().ok_or_else(|| violation!("a copy is closed"))?;
    Ok(batches_of(&port)?.into_keys().collect())
}
