//! Cycles: some operations under a planned fault, an end, and an opening that is checked.
//!
//! Every fault here is honest: what a sync says is true. So nothing that was acknowledged may be
//! lost, and nothing may be there that was not staged.

use laterbase::storage::{Fault, FaultPlan, OpClass, Storage as _, StorageOp, Survival};
use laterbase::{AppendError, NewEvent};

use super::{Stop, Tally, Violation, World, violation};

/// What is planned for a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storm {
    /// Nothing fails by itself.
    Calm,
    /// The power is cut at the n-th change.
    PowerCut,
    /// One sync of a file fails.
    Sync,
    /// One sync of a directory fails.
    SyncDir,
    /// One write is cut short.
    Write,
    /// One read fails.
    Read,
    /// One change of any kind fails.
    Change,
    /// The disk fills up.
    Full,
}

/// How large a world may grow, in events.
const EVENTS_MAX: u64 = 320;
const CYCLES_MAX: usize = 40;

/// Lives through cycles until the world is old, or so many power cuts have come.
pub fn live(seed: u64, power_cuts: u64) -> (Result<(), Violation>, Tally) {
    let mut world = World::new(seed);
    let outcome = super::guarded(|| world.live(power_cuts));
    world.tally.take_trace(&world.disk);
    (outcome, std::mem::take(&mut world.tally))
}

impl World {
    /// Lives through cycles until the world is old, or so many power cuts have come.
    pub fn live(&mut self, power_cuts: u64) -> Result<(), Violation> {
        self.open_surely(0)?;
        for _ in 0..CYCLES_MAX {
            self.cycle()?;
            let old = self.model.position_after(self.model.commits.len()) > EVENTS_MAX;
            if old || self.tally.of("crash points") >= power_cuts {
                break;
            }
        }
        self.stormy = false;
        calm(self.check_all_paths())
    }

    /// One cycle.
    pub fn cycle(&mut self) -> Result<(), Violation> {
        let storm = self.plan_storm();
        let count = 2 + self.random.index(22);
        let struck = match self.operate(count) {
            Ok(()) => false,
            Err(Stop::Struck) => true,
            Err(Stop::Violation(violation)) => return Err(violation),
        };
        if struck && !self.disk.is_off() {
            self.tally.one(&format!("errors seen: {storm:?}"));
            self.check_refusal(storm)?;
        }
        super::tell(|| format!("{storm:?} struck={struck}, {}", self.model.state()));
        let promised = self.end(storm)?;
        self.open_surely(promised)
    }

    fn plan_storm(&mut self) -> Storm {
        let storm = match self.random.below(100) {
            0..12 => Storm::Calm,
            12..70 => Storm::PowerCut,
            70..78 => Storm::Sync,
            78..81 => Storm::SyncDir,
            81..86 => Storm::Write,
            86..89 => Storm::Read,
            89..94 => Storm::Change,
            _ => Storm::Full,
        };
        self.stormy = storm != Storm::Calm;
        let random = &mut self.random;
        let mut nth = |class, fault, among| {
            FaultPlan::default().with_nth(class, 1 + random.below(among), fault)
        };
        let plan = match storm {
            Storm::Calm => FaultPlan::default(),
            Storm::PowerCut => nth(OpClass::Mutation, Fault::PowerCut, 90),
            Storm::Sync => nth(OpClass::Only(StorageOp::Sync), Fault::Fail, 9),
            Storm::SyncDir => nth(OpClass::Only(StorageOp::SyncDir), Fault::Fail, 3),
            Storm::Write => nth(OpClass::Only(StorageOp::Write), Fault::Fail, 30),
            Storm::Read => nth(OpClass::Only(StorageOp::Read), Fault::Fail, 30),
            Storm::Change => nth(OpClass::Mutation, Fault::Fail, 60),
            Storm::Full => {
                let room = random.below(90 << 10);
                self.disk.set_capacity(Some(self.disk.used_bytes() + room));
                FaultPlan::default()
            }
        };
        self.disk.set_plan(plan);
        storm
    }

    /// Once the log has stopped, it refuses everything, and asks nothing of the disk.
    fn check_refusal(&mut self, storm: Storm) -> Result<(), Violation> {
        let Some(cause) = self.poisoned.clone() else { return Ok(()) };
        self.tally.one("logs that stopped");
        if storm == Storm::Full && !cause.is_full() {
            return Err(violation!("a full disk is reported as {cause}"));
        }
        let before = self.disk.counts();
        for _ in 0..3 {
            let mut commit = self.db().commit();
            commit.push(&NewEvent::new("truck", "refused", "lost")).expect("a good event");
            match self.db().append(&mut commit) {
                Err(AppendError::Failed { .. }) => {}
                Err(error) => return Err(violation!("a stopped log says {error}")),
                Ok(ticket) => {
                    drop(ticket);
                    return Err(violation!("a stopped log takes an append"));
                }
            }
            if self.db().flush().is_ok() {
                return Err(violation!("a stopped log claims to flush"));
            }
        }
        let after = self.disk.counts();
        if (before.syncs, before.writes) != (after.syncs, after.writes) {
            return Err(violation!("a stopped log goes on writing or syncing"));
        }
        Ok(())
    }

    /// Ends the process or the power; answers how many commits must be found.
    fn end(&mut self, storm: Storm) -> Result<usize, Violation> {
        if self.disk.is_off() {
            return Ok(self.cut());
        }
        let by_power_cut = match storm {
            Storm::Calm if self.random.chance(1, 2) => {
                calm(self.close())?;
                if self.random.chance(1, 2) {
                    self.lose_indexes();
                }
                return Ok(self.model.commits.len());
            }
            // After a directory could not be synced nobody but the disk knows its entries.
            Storm::SyncDir | Storm::Change => true,
            Storm::Calm | Storm::PowerCut | Storm::Sync | Storm::Write | Storm::Read => {
                self.random.chance(1, 2)
            }
            Storm::Full => self.random.chance(1, 4),
        };
        if by_power_cut {
            let promised = self.cut();
            self.disk.set_capacity(None);
            return Ok(promised);
        }
        let promised = self.model.written;
        self.kill();
        if storm == Storm::Full && self.random.flip() {
            // Opened while it is still full: refused as such, or opened.
            self.stormy = true;
            match self.open(promised) {
                Ok(()) => self.kill(),
                Err(Stop::Struck) => self.tally.one("openings on a full disk"),
                Err(Stop::Violation(violation)) => return Err(violation),
            }
        }
        self.disk.set_capacity(None);
        Ok(self.model.written)
    }

    fn cut(&mut self) -> usize {
        let survival = Survival::random(&mut self.random);
        self.crash(survival);
        self.tally.one("crash points");
        self.model.flushed
    }

    /// Removes the indexes, or as far as somebody got with it.
    fn lose_indexes(&mut self) {
        self.tally.one("indexes removed");
        let part = self.random.flip();
        for name in self.disk.list("index").unwrap_or_default() {
            if !part || self.random.flip() {
                self.disk.remove(&format!("index/{name}")).expect("removes");
            }
        }
    }

    /// Opens, whatever power cuts come in between.
    pub fn open_surely(&mut self, mut promised: usize) -> Result<(), Violation> {
        for _ in 0..3 {
            if !self.random.chance(1, 3) {
                break;
            }
            let nth = 1 + self.random.below(14);
            let plan = FaultPlan::default();
            self.disk.set_plan(plan.with_nth(OpClass::Mutation, nth, Fault::PowerCut));
            self.stormy = true;
            match self.open(promised) {
                Ok(()) if !self.disk.is_off() => return Ok(()),
                Ok(()) => {}
                Err(Stop::Struck) => self.tally.one("openings that were cut"),
                Err(Stop::Violation(violation)) => return Err(violation),
            }
            // The power takes what was only written.
            promised = self.model.flushed;
            let survival = Survival::random(&mut self.random);
            self.crash(survival);
            self.tally.one("crash points");
        }
        self.disk.set_plan(FaultPlan::default());
        self.stormy = false;
        calm(self.open(promised))
    }
}

/// Without a planned fault nothing is struck.
pub fn calm(outcome: Result<(), Stop>) -> Result<(), Violation> {
    match outcome {
        Ok(()) => Ok(()),
        Err(Stop::Struck) => Err(violation!("a fault that nobody planned")),
        Err(Stop::Violation(violation)) => Err(violation),
    }
}
