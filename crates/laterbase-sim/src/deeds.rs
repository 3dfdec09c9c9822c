//! What happens to single copies: events, clocks, disks, power, backups, clones.

use std::collections::BTreeMap;

use laterbase_event::BatchView;
use laterbase_sync::Replica;

use crate::coverage::{Happening, Passage};
use crate::held::{batches_of, hashes_of, heads_of};
use crate::node::{
    Appended, Care, Ending, Node, Opened, Place, REFUSED_TYPE, Trouble, Violation, Wish, violation,
};
use crate::world::{DRIFT_MAX_MS, Seat, World, signed};

const ROOTS: [&str; 3] = ["shipment", "truck", "driver"];

/// No clock of this build gives out less, in milliseconds: see `laterbase::Database::open`.
const CLOCK_FLOOR_MS: u64 = 1_793_491_200_000;

const YEAR_US: i64 = 365 * 24 * 3600 * 1_000_000;
const DAY_US: u32 = 2_000_000_000;

/// 2090-01-01, in microseconds since 1970.
const FAR_FUTURE_US: i64 = 3_786_912_000_000_000;

/// Clones that a world takes in.
const CLONES_MAX: usize = 3;

/// Backups that are kept per copy.
const BACKUPS_MAX: usize = 3;

impl<N: Node> World<N> {
    /// A copy records a commit.
    pub(crate) fn append(&mut self, at: usize) -> Result<(), Violation> {
        let wishes = self.wishes();
        let care = if self.random.chance(3, 4) { Care::Flushed } else { Care::Relaxed };
        self.record(at, &wishes, care)
    }

    fn wishes(&mut self) -> Vec<Wish> {
        let count = 1 + self.random.below(4);
        let is_multi = self.random.chance(1, 5);
        let mut root = ROOTS[self.random.index(ROOTS.len())];
        let mut wishes = Vec::new();
        for _ in 0..count {
            if is_multi {
                root = ROOTS[self.random.index(ROOTS.len())];
            }
            let random = &mut self.random;
            let is_back_dated = random.chance(1, 5);
            let length = if random.chance(1, 10) { random.index(900) } else { random.index(60) };
            let payload: Vec<u8> =
                (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect();
            wishes.push(Wish {
                root,
                key: format!("k{}", random.below(20)),
                type_name: if random.chance(1, 12) { REFUSED_TYPE } else { "seen" },
                valid_us: is_back_dated.then(|| self.base_us - signed(random, DAY_US).abs()),
                payload,
            });
        }
        wishes
    }

    /// A copy records these events; what it acknowledges is a promise from now on.
    pub(crate) fn record(
        &mut self,
        at: usize,
        wishes: &[Wish],
        care: Care,
    ) -> Result<(), Violation> {
        if !self.seats[at].node.is_up() {
            return Ok(());
        }
        self.wind(at);
        let appended = self.seats[at].node.append(wishes, care);
        self.note(format!("{at}: appends {} events, {care:?}: {appended:?}", wishes.len()));
        let is_doubtful = wishes.iter().any(|wish| wish.type_name == REFUSED_TYPE);
        match appended {
            Appended::Done { millis } => {
                self.recorded(at, wishes, care)?;
                self.check_clock(at, millis)?;
            }
            Appended::Refused if self.seats[at].is_strict && is_doubtful => {}
            Appended::Refused => {
                return Err(violation!("copy {at} refuses an append for no reason"));
            }
            Appended::Failed => {
                if self.seats[at].trouble.is_none() {
                    return Err(violation!("copy {at} fails to append without any trouble"));
                }
            }
        }
        self.look_at(at)
    }

    fn recorded(&mut self, at: usize, wishes: &[Wish], care: Care) -> Result<(), Violation> {
        let roots: std::collections::BTreeSet<_> = wishes.iter().map(|wish| wish.root).collect();
        for _ in wishes {
            self.coverage.passage(Passage::Event);
        }
        for (what, happened) in [
            (Passage::Multi, roots.len() > 1),
            (Passage::BackDated, wishes.iter().any(|wish| wish.valid_us.is_some())),
            (Passage::Relaxed, care == Care::Relaxed),
        ] {
            if happened {
                self.coverage.passage(what);
            }
        }
        self.events += wishes.len() as u64;
        let id = self.seats[at].node.replica();
        if self.seats[at].promises.received.contains(&id) {
            return Err(violation!("copy {at} writes under {id}, as it knows another copy does"));
        }
        if care == Care::Flushed {
            let changed = self.promise_own(at)?;
            self.gossip(at, &changed);
        }
        Ok(())
    }

    /// What a copy wrote itself is durable. Answers its logs, and behind what they are new.
    fn promise_own(
        &mut self,
        at: usize,
    ) -> Result<BTreeMap<laterbase_sync::LogId, u64>, Violation> {
        let seat = &mut self.seats[at];
        let mut changed = BTreeMap::new();
        let Some(port) = seat.node.port() else { return Ok(changed) };
        let id = seat.node.replica();
        for (log, head) in port.heads() {
            let after = seat.own.get(&log).copied().unwrap_or(0);
            if head.writer(&log) != id || head.branch.is_some() || head.seq <= after {
                continue;
            }
            let mut batches = Vec::new();
            if port.read(&log, after, u64::MAX, &mut batches).is_err() {
                return Ok(changed);
            }
            for bytes in &batches {
                let view = BatchView::parse(bytes)
                    .map_err(|error| violation!("copy {at} holds no batch: {error}"))?;
                seat.promises.batches.insert(view.hash(), id);
            }
            seat.own.insert(log, head.seq);
            changed.insert(log, after);
        }
        Ok(changed)
    }

    /// A copy gives out no time that its own wall clock has not come near.
    fn check_clock(&mut self, at: usize, millis: u64) -> Result<(), Violation> {
        let seat = &self.seats[at];
        let latest = seat.wall_max_ms.max(CLOCK_FLOOR_MS) + DRIFT_MAX_MS + 1000;
        if N::KEEPS_CLOCK && millis > latest {
            return Err(violation!(
                "copy {at} records an event at {millis} ms; its clock never showed more than \
                 {} ms",
                seat.wall_max_ms
            ));
        }
        Ok(())
    }

    /// A copy does what it does in the background.
    pub(crate) fn work(&mut self, at: usize) -> Result<(), Violation> {
        self.wind(at);
        self.seats[at].node.step();
        self.look_at(at)?;
        if self.seats[at].trouble.is_none() && self.random.chance(1, 3) {
            self.check_names(at)?;
        }
        Ok(())
    }

    /// At any time the names of a copy's logs follow from its batches, and nothing promised is
    /// missing.
    fn check_names(&mut self, at: usize) -> Result<(), Violation> {
        let Some(port) = self.seats[at].node.port() else { return Ok(()) };
        let name = |Violation(text)| violation!("copy {at}, on the way: {text}");
        let batches = batches_of(&port).map_err(name)?;
        let (heads, _) = heads_of(&batches).map_err(name)?;
        if port.heads() != heads {
            return Err(violation!(
                "copy {at}, on the way, calls its logs by other names than its batches give"
            ));
        }
        self.check_promises(at)
    }

    /// A backup is taken of a copy.
    pub(crate) fn back_up(&mut self, at: usize) -> Result<(), Violation> {
        let now_ms = self.now_ms;
        let seat = &mut self.seats[at];
        if !seat.node.is_up() {
            return Ok(());
        }
        let backup = seat.node.backup();
        seat.backups.push_back((backup, seat.promises.clone(), seat.node.replica()));
        if seat.backups.len() > BACKUPS_MAX {
            seat.backups.pop_front();
        }
        self.trace.note(now_ms, format!("{at}: is backed up"));
        Ok(())
    }

    /// A copy stops, and its sessions with it.
    pub(crate) fn end(&mut self, at: usize, ending: Ending) -> Result<(), Violation> {
        if self.seats[at].down_until.is_some() {
            return Ok(());
        }
        let mut was_in_sync = false;
        for link in &mut self.links {
            for (end, side) in link.ends.into_iter().zip(&mut link.sides) {
                was_in_sync |= end == at && side.take().is_some();
            }
        }
        let seat = &mut self.seats[at];
        match (ending, seat.trouble.filter(|_| seat.node.is_struck().is_some())) {
            (Ending::Closed, _) => {}
            (Ending::Killed, None) => self.coverage.fault(Happening::Kill),
            (Ending::Killed, Some(Trouble::Full(_))) => self.coverage.fault(Happening::DiskFull),
            (Ending::Killed, Some(_)) => self.coverage.fault(Happening::DiskFailed),
            (Ending::PowerCut, _) => {
                self.coverage.fault(Happening::Crash);
                if was_in_sync {
                    self.coverage.fault(Happening::CrashInSync);
                }
            }
        }
        let for_ms = 5 + self.random.below(300);
        let seat = &mut self.seats[at];
        seat.staged.clear();
        seat.node.stop(ending, &mut self.random);
        seat.down_until = Some(self.now_ms + for_ms);
        if ending == Ending::PowerCut {
            seat.trouble = None;
        }
        self.note(format!("{at}: stops, {ending:?}, in sync {was_in_sync}"));
        Ok(())
    }

    /// A copy is opened again, if its disk lets it.
    pub(crate) fn wake(&mut self, at: usize) -> Result<(), Violation> {
        if self.seats[at].trouble.is_some() && self.random.chance(3, 4) {
            self.seats[at].trouble = None;
            self.seats[at].node.trouble(None);
        }
        self.wind(at);
        let seat = &mut self.seats[at];
        let Some(opened) = seat.node.reopen(seat.is_strict)? else {
            if seat.trouble.is_none() {
                return Err(violation!("copy {at} does not open, and has no trouble"));
            }
            let ending = seat.node.is_struck().unwrap_or(Ending::Killed);
            seat.trouble = None;
            seat.node.trouble(None);
            seat.node.stop(ending, &mut self.random);
            seat.is_unsure = true;
            seat.down_until = Some(self.now_ms + 20);
            self.note(format!("{at}: does not open"));
            return Ok(());
        };
        seat.down_until = None;
        seat.own.clear();
        self.coverage.passage(Passage::Reopened);
        self.note(format!("{at}: opens, {opened:?}"));
        if opened.torn_tail {
            self.coverage.fault(Happening::TornTail);
        }
        self.greet(at, opened)?;
        self.check_promises(at)?;
        self.look_at(at)
    }

    /// An opened copy's id: a new one has a reason.
    fn greet(&mut self, at: usize, opened: Opened) -> Result<(), Violation> {
        let wall_ms = self.wall_us(at).max(0).unsigned_abs() / 1000;
        let seat = &mut self.seats[at];
        let id = seat.node.replica();
        if std::mem::take(&mut seat.is_rolled_back) {
            self.shared_ids.insert(id);
            seat.id = id;
        }
        let was_moved = std::mem::take(&mut seat.is_moved);
        let is_unsure = std::mem::take(&mut seat.is_unsure);
        if is_unsure {
            seat.id = id;
        }
        let says_so = opened.was_copied || (was_moved && opened.clock_was_ahead);
        if says_so != was_moved && !is_unsure {
            return Err(violation!("copy {at} was moved: {was_moved}, and says {opened:?}"));
        }
        if opened.clock_was_ahead && !was_moved {
            if seat.wall_max_ms.max(CLOCK_FLOOR_MS) + DRIFT_MAX_MS + 1000 < wall_ms {
                return Err(violation!("copy {at} says that its clock was ahead, and was not"));
            }
            self.coverage.passage(Passage::ClockAhead);
        }
        if opened.was_copied || opened.clock_was_ahead {
            seat.wall_max_ms = wall_ms;
            self.coverage.passage(Passage::Reincarnation);
            self.seats[at].id = id;
        }
        Ok(())
    }

    /// What was promised is there.
    pub(crate) fn check_promises(&mut self, at: usize) -> Result<(), Violation> {
        let Some(port) = self.seats[at].node.port() else { return Ok(()) };
        let held = hashes_of(&port)?;
        let promised = &self.seats[at].promises.batches;
        let missing: Vec<_> = promised.iter().filter(|(hash, _)| !held.contains(hash)).collect();
        if let Some((hash, writer)) = missing.first() {
            return Err(violation!(
                "copy {at} lost {} batches that it had acknowledged, one of {writer}: {hash:?}",
                missing.len()
            ));
        }
        Ok(())
    }

    /// A disk gets into trouble.
    pub(crate) fn trouble(&mut self, at: usize) -> Result<(), Violation> {
        let nth = 1 + self.random.below(12);
        let trouble = match self.random.below(5) {
            0 | 1 => Trouble::PowerCutAt(nth),
            2 => Trouble::SyncFailsAt(1 + nth / 3),
            3 => Trouble::WriteFailsAt(nth),
            _ => Trouble::Full(self.random.below(20_000)),
        };
        let seat = &mut self.seats[at];
        if seat.down_until.is_none() && seat.trouble.is_none() {
            seat.trouble = Some(trouble);
            seat.node.trouble(Some(trouble));
            self.note(format!("{at}: trouble ahead, {trouble:?}"));
        }
        Ok(())
    }

    /// An old backup takes the place of a copy.
    pub(crate) fn restore(&mut self, at: usize) -> Result<(), Violation> {
        let count = self.seats[at].backups.len();
        if count == 0 {
            return Ok(());
        }
        let place = if self.random.chance(2, 3) { Place::InPlace } else { Place::Elsewhere };
        let nth = self.random.index(count);
        self.end(at, Ending::Killed)?;
        let seat = &mut self.seats[at];
        let Some((backup, promises, id)) = seat.backups.get(nth).cloned() else { return Ok(()) };
        seat.node.restore(&backup, place);
        seat.promises = promises;
        seat.trouble = None;
        seat.staged.clear();
        seat.is_rolled_back = place == Place::InPlace;
        seat.is_moved = place == Place::Elsewhere;
        // It was taken while the copy ran, and may hold what a power cut took from the copy.
        self.shared_ids.insert(id);
        let happening = match place {
            Place::InPlace => Happening::RestoreInPlace,
            Place::Elsewhere => Happening::RestoreElsewhere,
        };
        self.coverage.fault(happening);
        self.note(format!("{at}: is restored from backup {nth} of {count}, {place:?}"));
        Ok(())
    }

    /// A copy is copied, and both go on.
    pub(crate) fn clone_copy(&mut self, at: usize) -> Result<(), Violation> {
        if self.seats.len() >= self.order.replicas + CLONES_MAX {
            return Ok(());
        }
        let place = if self.random.chance(1, 2) { Place::InPlace } else { Place::Elsewhere };
        let number = self.seats.len();
        let birth = self.birth(number);
        let twin = self.seats[at].node.twin(&birth, place);
        let promises = self.seats[at].promises.clone();
        self.shared_ids.insert(self.seats[at].node.replica());
        let wall_max_ms = self.seats[at].wall_max_ms;
        self.seat(twin, &birth, promises);
        self.note(format!("{number}: is a clone of {at}, {place:?}"));
        let Seat { is_rolled_back: was_rolled_back, is_moved: was_moved, is_unsure, .. } =
            self.seats[at];
        let now_ms = self.now_ms;
        let twin = &mut self.seats[number];
        twin.wall_max_ms = twin.wall_max_ms.max(wall_max_ms);
        twin.is_rolled_back = place == Place::InPlace || was_rolled_back;
        twin.is_unsure = is_unsure;
        twin.is_moved = place == Place::Elsewhere || was_moved;
        twin.down_until = Some(now_ms + 1);
        self.coverage.fault(match place {
            Place::InPlace => Happening::CloneUnnoticed,
            Place::Elsewhere => Happening::CloneElsewhere,
        });
        Ok(())
    }

    /// A clock is set: wrong, or right again.
    pub(crate) fn set_clock(&mut self, at: usize) -> Result<(), Violation> {
        let (offset_us, happening) = match self.random.below(8) {
            0 => (-self.base_us, Some(Happening::Clock1970)),
            1 => (FAR_FUTURE_US - self.base_us, Some(Happening::Clock2090)),
            2..5 => {
                let jump = signed(&mut self.random, 86_400) * 1_000_000;
                (self.seats[at].offset_us + jump, Some(Happening::ClockJump))
            }
            _ => (signed(&mut self.random, 20_000_000), None),
        };
        self.seats[at].offset_us = offset_us;
        if let Some(happening) = happening {
            self.coverage.fault(happening);
        }
        self.note(format!("{at}: its clock is set, {happening:?}"));
        Ok(())
    }

    /// A copy is closed, and a year goes by.
    pub(crate) fn sleep(&mut self, at: usize) -> Result<(), Violation> {
        if self.seats[at].down_until.is_some() {
            return Ok(());
        }
        self.end(at, Ending::Closed)?;
        self.base_us += YEAR_US;
        self.seats[at].down_until = Some(self.now_ms + 300 + self.random.below(1500));
        self.coverage.fault(Happening::YearAsleep);
        self.note(format!("{at}: sleeps for a year"));
        Ok(())
    }

    /// A copy is opened with other validators.
    pub(crate) fn change_taste(&mut self, at: usize) -> Result<(), Violation> {
        if self.seats[at].down_until.is_none() {
            self.end(at, Ending::Closed)?;
            self.seats[at].is_strict = !self.seats[at].is_strict;
            self.seats[at].down_until = Some(self.now_ms + 1);
        }
        Ok(())
    }

    /// The network falls into two parts.
    pub(crate) fn divide(&mut self) -> Result<(), Violation> {
        let sides: Vec<bool> = self.seats.iter().map(|_| self.random.flip()).collect();
        for (from, one) in sides.iter().enumerate() {
            for (to, _) in sides.iter().enumerate().filter(|(_, other)| one != *other) {
                self.network.block(from, to);
            }
        }
        self.coverage.fault(Happening::Partition);
        self.note(format!("the network is divided, {sides:?}"));
        Ok(())
    }

    /// One link carries one way only.
    pub(crate) fn block_one_way(&mut self) -> Result<(), Violation> {
        let (from, to) = (self.random.index(self.seats.len()), self.random.index(self.seats.len()));
        if from != to {
            self.network.block(from, to);
            self.coverage.fault(Happening::OneWay);
            self.note(format!("nothing gets from {from} to {to}"));
        }
        Ok(())
    }

    /// The network is whole again.
    pub(crate) fn mend(&mut self) -> Result<(), Violation> {
        if self.network.mend() {
            self.note("the network is whole");
        }
        Ok(())
    }
}
