//! Disks that lie: syncs that make nothing durable, and bits that flip.
//!
//! What is lost then cannot be got back; what must hold is that it is said. A database that opens
//! without a word has everything but, at most, the last commit group (or what was acknowledged
//! after the first lie); damage names the positions that are lost, and no others; no read that
//! succeeds answers anything but what was recorded.

use laterbase::storage::{Fault, FaultPlan, OpClass, OpenMode, Storage as _, StorageOp, Survival};
use laterbase::{EventId, OpenError, Query, ReadError, Recorded};
use laterbase_log::{Damage, OpenError as LogOpenError, ReadError as LogReadError};

use super::check::{compare_one, is_within};
use super::paths::Path;
use super::storm::calm;
use super::{Stop, Tally, Violation, World, violation};

/// Some honest life, then syncs that lie, then a power cut.
pub fn believe_lies(seed: u64) -> (Result<(), Violation>, Tally) {
    let mut world = World::new(seed);
    let outcome = super::guarded(|| {
        world.open_surely(0)?;
        let held = world.operate_among_lies()?;
        let survival = Survival::random(&mut world.random);
        world.crash(survival);
        world.judge(held, None)
    });
    (outcome, std::mem::take(&mut world.tally))
}

/// Some honest life, an end, then one bit that flips.
pub fn flip_bits(seed: u64) -> (Result<(), Violation>, Tally) {
    let mut world = World::new(seed);
    let outcome = super::guarded(|| {
        world.open_surely(0)?;
        for _ in 0..world.random.below(8) {
            world.cycle()?;
        }
        world.stormy = false;
        world.disk.set_plan(FaultPlan::default());
        let count = 10 + world.random.index(30);
        calm(world.operate(count))?;
        let held = if world.random.chance(1, 3) {
            calm(world.close())?;
            world.model.commits.len()
        } else {
            world.kill();
            world.model.last_group
        };
        let Some(path) = world.flip_somewhere()? else { return Ok(()) };
        world
            .judge(held, Some(&path))
            .map_err(|Violation(text)| violation!("after a bit of {path} flipped: {text}"))
    });
    (outcome, std::mem::take(&mut world.tally))
}

impl World {
    /// Operates until some syncs have lied; answers how many commits were acknowledged before.
    fn operate_among_lies(&mut self) -> Result<usize, Violation> {
        let count = self.random.index(25);
        calm(self.operate(count))?;
        let plan = FaultPlan::default();
        let plan = plan.with_rate(OpClass::Only(StorageOp::Sync), Fault::Lie, 300_000);
        self.disk.set_plan(plan.with_rate(OpClass::Only(StorageOp::SyncDir), Fault::Lie, 150_000));
        let mut held = None;
        for _ in 0..=self.random.below(30) {
            let before = self.model.flushed;
            calm(self.operation())?;
            if held.is_none() && self.disk.trace().iter().any(|one| one.fault == Some(Fault::Lie)) {
                held = Some(before);
            }
        }
        Ok(held.unwrap_or(self.model.flushed))
    }

    /// Flips one bit of a file of the log or of the indexes; answers which file.
    fn flip_somewhere(&mut self) -> Result<Option<String>, Violation> {
        let failed = |error| violation!("the disk cannot be looked at: {error}");
        let dir = if self.random.chance(1, 4) { "index" } else { "log" };
        let names = self.disk.list(dir).map_err(failed)?;
        let names: Vec<&String> = names.iter().filter(|name| name.contains('.')).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let path = format!("{dir}/{}", names[self.random.index(names.len())]);
        let file = self.disk.open(&path, OpenMode::READ).map_err(failed)?;
        let mut bytes = vec![0; usize::try_from(file.len().map_err(failed)?).unwrap_or(0)];
        file.read_at(0, &mut bytes).map_err(failed)?;
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        if used.is_empty() {
            return Ok(None);
        }
        let offset = if self.random.chance(4, 5) {
            used[self.random.index(used.len())]
        } else {
            self.random.index(bytes.len())
        };
        let bit = self.random.below(8) as u32;
        self.disk.flip_bit(&path, offset as u64, bit).map_err(failed)?;
        let kind = match path.as_str() {
            path if path.contains("spare") => "flipped: spare",
            path if path.starts_with("index/") => "flipped: index",
            path if path.contains(".seg") => "flipped: sealed segment",
            _ => "flipped: hot segment",
        };
        self.tally.one(kind);
        Ok(Some(path))
    }

    /// Opens, with damage if need be, and compares; `held` commits may only be lost by name.
    fn judge(&mut self, held: usize, culprit: Option<&str>) -> Result<(), Violation> {
        self.stormy = false;
        let error = match self.try_open() {
            Ok(()) => return self.check_what_is_left(held, &[], culprit),
            Err(error) => error,
        };
        self.tally.one("damage named when opening");
        let damages = self.named(&error, held, culprit)?;
        if damages.is_empty() {
            return Ok(());
        }
        self.options.log.accept_damage = true;
        match self.try_open() {
            Ok(()) => {}
            // Opening looks for damage in segments that are not sealed. What is damaged in others
            // is told by name, and cannot be left out where it must be indexed again.
            Err(OpenError::Read(error)) if names_sealed(&error) => {
                self.tally.one("damage of sealed segments told, not accepted");
                return is_damage(&error, culprit);
            }
            Err(error) => return Err(violation!("damage is not accepted: {error} ({error:?})")),
        }
        self.tally.one("damage accepted");
        self.check_what_is_left(held, &damages, culprit)
    }

    /// What an opening that was refused says is lost; empty if it names a file as a whole.
    fn named(
        &self,
        error: &OpenError,
        held: usize,
        culprit: Option<&str>,
    ) -> Result<Vec<Damage>, Violation> {
        let is_culprit = |path: &str| culprit.is_none_or(|culprit| culprit == path);
        let end = self.model.position_after(self.model.commits.len());
        match error {
            OpenError::Log(LogOpenError::Damaged { damages }) if !damages.is_empty() => {
                let is_exact = |damage: &Damage| {
                    is_culprit(&damage.path)
                        && damage.first_position < damage.next_position
                        && damage.next_position.as_u64() <= end + 1
                };
                if damages.iter().all(is_exact) {
                    return Ok(damages.clone());
                }
            }
            // A version is read before the checksum, which another version may keep elsewhere.
            OpenError::Log(
                LogOpenError::HeaderDamaged { path }
                | LogOpenError::FooterDamaged { path }
                | LogOpenError::NewerFormat { path, .. },
            ) if is_culprit(path) => return Ok(Vec::new()),
            // The indexes could not be brought up to date from what is damaged.
            OpenError::Read(error) => return is_damage(error, culprit).map(|()| Vec::new()),
            OpenError::Log(LogOpenError::SegmentMissing { .. }) | OpenError::LogCutShort { .. }
                if culprit.is_none() =>
            {
                return Ok(Vec::new());
            }
            // The last group is damaged, and the indexes know that it was there.
            OpenError::LogCutShort { log, .. }
                if log.as_u64() >= self.model.position_after(held) =>
            {
                return Ok(Vec::new());
            }
            _ => {}
        }
        Err(violation!("refused with {error} ({error:?})"))
    }

    /// Every event is there, or named as lost, or among the last that may go without a word.
    fn check_what_is_left(
        &mut self,
        held: usize,
        damages: &[Damage],
        culprit: Option<&str>,
    ) -> Result<(), Violation> {
        let failed = |error: ReadError| violation!("no statistics: {error}");
        let end = self.db().statistics().map_err(failed)?.events;
        if self.model.commits_to(end).is_none() {
            return Err(violation!("the log ends inside a commit: at {end}"));
        }
        let is_named = |event: &Recorded| damages.iter().any(|one| is_within(event.position, one));
        let (mut unreadable, mut silent) = (0_u64, 0_u64);
        let mut there: Vec<&Recorded> = Vec::new();
        for (number, commit) in self.model.commits.iter().enumerate() {
            for event in &commit.events {
                match self.get(event.event.id, culprit)? {
                    Got::Found(found) if is_named(event) => {
                        return Err(violation!("{} is named as lost", found.event.id));
                    }
                    Got::Found(found) => {
                        compare_one("what is left", event, &found)?;
                        there.push(event);
                    }
                    Got::Nothing if is_named(event) => {}
                    Got::Nothing if event.position.as_u64() > end && number >= held => silent += 1,
                    Got::Nothing => {
                        let (id, position) = (event.event.id, event.position);
                        return Err(violation!(
                            "{id} at {position} in commit {number} is lost without a word; \
                             {held} commits were held, the log ends at {end}"
                        ));
                    }
                    // What damage names may also be told by the read.
                    Got::Damaged if is_named(event) => {}
                    Got::Damaged => {
                        unreadable += 1;
                        there.push(event);
                    }
                }
            }
        }
        self.check_scan(culprit)?;
        let named = !damages.is_empty();
        let report = self.db().verify(&mut |_| {});
        let report = report.map_err(|error| violation!("verify gives up: {error} ({error:?})"))?;
        if report.is_sound() && unreadable > 0 {
            return Err(violation!("verify finds nothing, {unreadable} events are unreadable"));
        }
        let mut random = self.random.clone();
        for _ in 0..4 {
            let path = Path::random(&mut random, &there);
            match path.check(self.db(), &there) {
                Ok(right) => right?,
                Err(error) => is_damage(&error, culprit)?,
            }
        }
        self.tally.add("damage named by verify", u64::from(!report.is_sound()));
        self.tally.add("lies that lost something", u64::from(culprit.is_none() && silent > 0));
        let nothing = report.is_sound() && !named && silent == 0;
        self.tally.add("flips that changed nothing", u64::from(culprit.is_some() && nothing));
        Ok(())
    }

    /// Whatever the log itself hands out is what was recorded.
    fn check_scan(&self, culprit: Option<&str>) -> Result<(), Violation> {
        let query = Query::all().order(laterbase::Order::Arrival);
        let events = match self.db().read(&query) {
            Ok(events) => events,
            Err(error) => return is_damage(&error, culprit),
        };
        for found in events {
            let found = match found {
                Ok(found) => found,
                Err(error) => return is_damage(&error, culprit),
            };
            let expected = self.model.events().find(|event| event.position == found.position);
            let Some(expected) = expected else {
                return Err(violation!("position {} was invented", found.position));
            };
            compare_one("the scan", expected, &found)?;
        }
        Ok(())
    }

    fn get(&self, id: EventId, culprit: Option<&str>) -> Result<Got, Violation> {
        match self.db().get(id) {
            Ok(Some(found)) => Ok(Got::Found(Box::new(found))),
            Ok(None) => Ok(Got::Nothing),
            Err(error) => is_damage(&error, culprit).map(|()| Got::Damaged),
        }
    }
}

/// What came of asking for an event.
enum Got {
    Found(Box<Recorded>),
    Nothing,
    Damaged,
}

/// Whether an error names a sealed segment.
fn names_sealed(error: &ReadError) -> bool {
    match error {
        ReadError::Log(LogReadError::Corrupt { path, .. } | LogReadError::Footer { path }) => {
            path.ends_with(".seg")
        }
        _ => false,
    }
}

/// Whether an error says that something is damaged, and says where.
fn is_damage(error: &ReadError, culprit: Option<&str>) -> Result<(), Violation> {
    let is_culprit = |path: &str| culprit.is_none_or(|culprit| culprit == path);
    let is_told = match error {
        ReadError::Log(LogReadError::Damaged(damage)) => is_culprit(&damage.path),
        ReadError::Log(
            LogReadError::Corrupt { path, .. }
            | LogReadError::Footer { path }
            | LogReadError::Dictionary { path },
        ) => is_culprit(path),
        // A position that the index knows is said to be missing: told, though not why.
        ReadError::Log(LogReadError::NotFound { position, last }) => position <= last,
        ReadError::Index(laterbase_index::ReadError::Damaged(_)) => true,
        _ => false,
    };
    if is_told { Ok(()) } else { Err(violation!("a read says: {error} ({error:?})")) }
}

/// A stop among lies is a violation like any other.
impl From<Stop> for Violation {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Struck => violation!("a fault that nobody planned"),
            Stop::Violation(violation) => violation,
        }
    }
}
