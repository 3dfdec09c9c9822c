//! Whatever happens on the way, copies end with the same batches under the same names.
//!
//! Each schedule is made from a seed: appends, sessions whose frames are lost, repeated and
//! reordered, connections that are cut, restarts that keep nothing but what is remembered of peers,
//! and copies that are restored from an old state and go on under their old id. Replay one with
//! `LATERBASE_SYNC_SEED=<seed> cargo test -p laterbase-sync --test convergence`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests, which print what they measured"
)]

mod world;

use laterbase_event::{ReplicaId, VersionVector};
use laterbase_sync::{MemoryReplica, Outcome, PeerMemory, Replica, Session, SessionConfig, Status};
use world::{Random, append, assert_same, exchange, obey, replica};

const ROOTS: [&str; 3] = ["_sys", "shipment", "truck"];

struct Link {
    ends: [usize; 2],
    sessions: [Session; 2],
    /// Frames on their way to either end.
    to: [Vec<Vec<u8>>; 2],
}

struct World {
    random: Random,
    now_ms: u64,
    copies: Vec<MemoryReplica>,
    old: Vec<MemoryReplica>,
    links: Vec<Link>,
    next_id: u64,
    config: SessionConfig,
    forks: usize,
    reincarnations: usize,
    cuts: usize,
    can_restore: bool,
}

impl World {
    fn new(seed: u64, count: usize, can_restore: bool) -> Self {
        let copies: Vec<_> = (1..=count as u64).map(replica).collect();
        Self {
            random: Random(seed),
            now_ms: 1_000,
            old: copies.clone(),
            copies,
            links: Vec::new(),
            next_id: 100,
            config: SessionConfig {
                window_bytes: 1500,
                want_bytes_max: 900,
                frame_bytes_target: 400,
                optimistic_bytes: 1000,
                retry_ms: 50,
                retries_max: 4,
                ..SessionConfig::default()
            },
            forks: 0,
            reincarnations: 0,
            cuts: 0,
            can_restore,
        }
    }

    fn step(&mut self) {
        self.now_ms += 1 + self.random.next() % 5;
        let at = self.random.below(self.copies.len());
        match self.random.below(100) {
            0..6 => {
                let name = ROOTS[self.random.below(ROOTS.len())];
                let count = 1 + self.random.below(3);
                append(&mut self.copies[at], name, self.now_ms, count);
            }
            6..9 => self.connect(at),
            9 => self.cut(),
            10 if self.can_restore && self.random.percent(50) => self.restore(at),
            10 => self.old[at] = self.copies[at].clone(),
            _ => self.carry(),
        }
    }

    fn connect(&mut self, at: usize) {
        let other = (at + 1 + self.random.below(self.copies.len() - 1)) % self.copies.len();
        if self.links.len() > 3 {
            return;
        }
        let config = SessionConfig { live: self.random.percent(30), ..self.config.clone() };
        let memory = self.copies[at].recall(self.copies[other].replica());
        let here = Session::initiator(config.clone(), memory);
        let there = Session::responder(config);
        let link =
            Link { ends: [at, other], sessions: [here, there], to: [Vec::new(), Vec::new()] };
        self.links.push(link);
    }

    /// Ends a link with whatever is on it.
    fn drop_link(&mut self, place: usize) {
        let link = self.links.swap_remove(place);
        for (side, session) in link.sessions.iter().enumerate() {
            if let Some(memory) = session.memory() {
                let kept = PeerMemory::decode(&memory.encode()).unwrap();
                assert_eq!(kept, memory);
                self.copies[link.ends[side]].remember(&kept);
            }
        }
    }

    fn cut(&mut self) {
        if !self.links.is_empty() {
            let place = self.random.below(self.links.len());
            self.drop_link(place);
            self.cuts += 1;
        }
    }

    /// The copy wakes up as it was long ago, under its old id.
    fn restore(&mut self, at: usize) {
        while let Some(place) = self.links.iter().position(|link| link.ends.contains(&at)) {
            self.links.swap_remove(place);
        }
        self.copies[at] = self.old[at].clone();
    }

    fn carry(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let place = self.random.below(self.links.len());
        let (side, now) = (self.random.below(2), self.now_ms);
        let link = &mut self.links[place];
        let copy = &mut self.copies[link.ends[side]];
        if let Some(frame) = link.sessions[side].poll_frame(now, copy) {
            if self.random.percent(10) {
                link.to[1 - side].push(frame.clone());
            }
            if !self.random.percent(10) {
                link.to[1 - side].push(frame);
            }
        }
        if !link.to[side].is_empty() {
            let last = link.to[side].len();
            let take = if self.random.percent(30) { self.random.below(last) } else { 0 };
            let frame = link.to[side].remove(take);
            let copy = &mut self.copies[link.ends[side]];
            let outcomes = link.sessions[side].handle_frame(&frame, now, copy);
            obey(copy, &outcomes, &mut self.next_id);
            self.note(&outcomes);
        }
        let link = &self.links[place];
        let is_over = |session: &Session| matches!(session.status(), Status::Closed(_));
        if link.sessions.iter().all(is_over) {
            self.drop_link(place);
        }
    }

    fn note(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome {
                Outcome::Forked { .. } => self.forks += 1,
                Outcome::Reincarnate { .. } => self.reincarnations += 1,
                Outcome::Malformed(error) => panic!("an honest peer sent no frame: {error}"),
                Outcome::Refused { bye, .. } => {
                    assert!(bye.fault.is_none(), "an honest batch was refused: {bye:?}");
                }
                Outcome::Stored { .. } | Outcome::Left { .. } => {}
            }
        }
    }

    /// The network is well again: all pairs, in order, a few times.
    fn heal(&mut self) -> usize {
        while !self.links.is_empty() {
            self.drop_link(0);
        }
        let count = self.copies.len();
        for round in 1..=6 {
            for left in 0..count {
                for right in 0..count {
                    if left != right {
                        let mut client = self.copies[left].clone();
                        let server = &mut self.copies[right];
                        exchange(&mut client, server, &self.config, &mut self.next_id);
                        self.copies[left] = client;
                    }
                }
            }
            let first = &self.copies[0];
            if self.copies.iter().all(|copy| copy.heads() == first.heads()) {
                return round;
            }
        }
        7
    }
}

fn vector(copy: &MemoryReplica) -> VersionVector {
    let mut vector = VersionVector::new();
    for (log, head) in copy.heads() {
        vector.set(log.root, ReplicaId::from_u64(log.replica.as_u64()), head.seq);
    }
    vector
}

/// Runs one schedule; what it saw.
fn check(seed: u64, count: usize, steps: usize, can_restore: bool) -> [usize; 4] {
    let replay = format!(
        "replay: LATERBASE_SYNC_SEED={seed} cargo test -p laterbase-sync --test convergence"
    );
    let mut world = World::new(seed, count, can_restore);
    for _ in 0..steps {
        world.step();
    }
    let rounds = world.heal();
    for copy in &world.copies[1..] {
        assert_same(&world.copies[0], copy, &replay);
        assert_eq!(vector(&world.copies[0]), vector(copy), "{replay}");
    }
    assert!(rounds <= 4, "{rounds} rounds; {replay}");
    [world.forks, world.reincarnations, world.cuts, world.copies[0].batches().len()]
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("LATERBASE_SYNC_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..count).collect(),
    }
}

fn campaign(seed_count: u64, copies: usize, steps: usize, can_restore: bool) -> [usize; 4] {
    let mut seen = [0; 4];
    for seed in seeds(seed_count) {
        for (sum, value) in seen.iter_mut().zip(check(seed, copies, steps, can_restore)) {
            *sum += value;
        }
    }
    println!("{copies} copies: forks, reincarnations, cuts, batches: {seen:?}");
    seen
}

#[test]
fn two_copies_converge_whatever_the_link_does() {
    let [forks, reincarnations, cuts, _] = campaign(300, 2, 600, false);
    assert_eq!([forks, reincarnations], [0, 0], "nothing was restored");
    assert!(cuts > 0 || seeds(0).len() == 1);
}

#[test]
fn three_copies_converge_whatever_the_link_does() {
    campaign(200, 3, 900, false);
}

#[test]
fn three_copies_converge_although_some_are_restored_from_old_states() {
    let [forks, reincarnations, ..] = campaign(300, 3, 1200, true);
    assert!(forks > 0 && reincarnations > 0 || seeds(0).len() == 1);
}

#[test]
fn the_same_seed_takes_the_same_way() {
    assert_eq!(check(7, 3, 800, true), check(7, 3, 800, true));
}
