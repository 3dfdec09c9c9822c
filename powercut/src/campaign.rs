//! Rounds of writing, cutting the power, starting again and comparing, from one seed.
//!
//! A round: send records (those that may have been lost, and new ones) to a running import; let
//! something happen to it (a [`Mishap`]); cut the power; let the disk lose, tear or reorder what
//! was not synced; read everything back; judge. The next round goes on with the same database, so
//! that recovery meets what earlier recoveries left; now and then a new disk begins.
//!
//! The seed fixes every choice of the driver and of the disk. It cannot fix how the threads of the
//! program under test run, so a finding may take a few runs of its seed to come back.

use crate::ledger::{Durability, Ending, Ledger, Violation};
use crate::mount::{CutMount, MountError};
use crate::program::{Ended, Failed, Import, Program, ProgramError, record};
use laterbase_log::storage::{Fault, FaultPlan, OpClass, Random, StorageOp, Survival};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After this long without an end, a program hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long before a cut a buffered batch may have been acknowledged and yet be lost: the flush
/// interval is 50 ms; the rest is for a machine that is busy.
const GRACE: Duration = Duration::from_millis(1_500);
/// How many records go into one batch.
const BATCH: usize = 16;
/// After so many rounds a new disk begins.
const ROUNDS_PER_DISK: u64 = 25;

/// What a campaign is to do.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The program under test.
    pub executable: PathBuf,
    /// Where disks may be mounted and input be written: an empty directory.
    pub work: PathBuf,
    /// What everything left to chance follows from.
    pub seed: u64,
    /// How many cuts there are to be.
    pub cuts: u64,
    /// The durability that is asked for.
    pub durability: Durability,
    /// A fault to switch on in the program, by name.
    pub mutant: Option<&'static str>,
}

/// What a campaign without a finding came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Power cuts.
    pub cuts: u64,
    /// Disks that were begun.
    pub disks: u64,
    /// Imports that were started.
    pub imports: u64,
    /// Events that had been acknowledged, or read before, and were all there after a cut.
    pub kept: u64,
}

/// What happens to one import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The power is cut in the middle of the n-th call that changes something.
    CutAtChange(u64),
    /// The power is cut once so many batches were acknowledged.
    CutAfterBatches(usize),
    /// The import ends, and then the power is cut.
    CutAfterEnd,
    /// Every write takes a hundredth of this time, and the power is cut after all of it.
    CutWhileSlow(Duration),
    /// The n-th sync hangs, the process is killed, and the power stays on.
    KilledAtSync(u64),
    /// The n-th call of this kind fails; the import goes on as it can, and then the power is cut.
    Failing(StorageOp, u64, Fault),
}

/// What a campaign found, and when.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, disk {disk}, round {round}, {mishap:?}, {durability:?}: {finding}")]
pub struct Found {
    /// The campaign's seed.
    pub seed: u64,
    /// Which of its disks, from 1.
    pub disk: u64,
    /// Which round on that disk, from 1.
    pub round: u64,
    /// What had happened to the import.
    pub mishap: Mishap,
    /// What the import had asked for.
    pub durability: Durability,
    /// What is wrong.
    #[source]
    pub finding: Finding,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// A promise was not kept.
    #[error(transparent)]
    Broken(#[from] Violation),
    /// The program failed where nothing kept it from working, or said something strange.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// An accident could not be staged.
    #[error("the log has no {0} to stage this with")]
    NotStaged(&'static str),
    /// The program neither ended nor met what was to happen to it.
    #[error("the program hangs")]
    Hangs,
}

/// Why a campaign ended early.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// It found something.
    #[error(transparent)]
    Found(Box<Found>),
    /// Nothing can be mounted here.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The driver itself failed.
    #[error("the driver failed: {0}")]
    Driver(#[from] std::io::Error),
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cuts, disks, imports, kept } = self;
        write!(f, "{cuts} cuts on {disks} disks, {imports} imports, {kept} events kept")
    }
}

impl Campaign {
    /// Runs it.
    ///
    /// # Errors
    /// What it found, or why it could not go on.
    pub fn run(&self) -> Result<Tally, CampaignError> {
        let mut random = Random::new(self.seed);
        let mut tally = Tally::default();
        while tally.cuts < self.cuts {
            tally.disks += 1;
            self.run_disk(&mut random, &mut tally)?;
        }
        Ok(tally)
    }

    fn run_disk(&self, random: &mut Random, tally: &mut Tally) -> Result<(), CampaignError> {
        let dir = self.work.join(format!("disk-{}", tally.disks));
        std::fs::create_dir_all(&dir)?;
        let mount = CutMount::new(&dir, random.next_u64())?;
        let program = Program {
            executable: self.executable.clone(),
            database: dir.join("db"),
            mutant: self.mutant,
            small_device: random.chance(9, 10),
        };
        let mut trial = Trial {
            mount: &mount,
            program,
            durability: self.durability,
            ledger: Ledger::new(BATCH),
            input: self.work.join("input.ndjson"),
        };
        for round in 1..=ROUNDS_PER_DISK {
            let mishap = match round {
                1 => Mishap::CutAfterEnd,
                _ => Mishap::random(self.durability, random),
            };
            let outcome = trial.round(mishap, random, tally);
            outcome.map_err(|finding| {
                CampaignError::Found(Box::new(Found {
                    seed: self.seed,
                    disk: tally.disks,
                    round,
                    mishap,
                    durability: self.durability,
                    finding,
                }))
            })?;
            if tally.cuts >= self.cuts {
                break;
            }
        }
        Ok(())
    }
}

impl Mishap {
    fn random(durability: Durability, random: &mut Random) -> Self {
        match random.below(24) {
            // Opening a database takes a handful of changes: these cut recovery itself.
            0..=4 => Self::CutAtChange(1 + random.below(12)),
            5..=12 => Self::CutAtChange(1 + random.below(150)),
            13..=14 => Self::CutAfterBatches(1 + random.index(12)),
            15 => Self::CutAfterEnd,
            16..=18 => Self::KilledAtSync(1 + random.below(12)),
            19..=22 => Self::failing(random),
            // Long enough for what is buffered to be owed before the cut.
            _ if durability == Durability::Buffered => Self::CutWhileSlow(2 * GRACE),
            _ => Self::CutWhileSlow(Duration::from_millis(20 + random.below(400))),
        }
    }

    fn failing(random: &mut Random) -> Self {
        let ops = [StorageOp::Sync, StorageOp::Sync, StorageOp::SyncDir, StorageOp::Write];
        let op = ops.get(random.index(ops.len())).copied().unwrap_or(StorageOp::Sync);
        let fault = if random.chance(1, 4) { Fault::Full } else { Fault::Fail };
        Self::Failing(op, 1 + random.below(20), fault)
    }

    fn plan(self) -> FaultPlan {
        let plan = FaultPlan::default();
        match self {
            Self::CutAtChange(nth) => plan.with_nth(OpClass::Mutation, nth, Fault::PowerCut),
            Self::CutAfterBatches(_) | Self::CutAfterEnd => plan,
            Self::CutWhileSlow(time) => {
                let class = OpClass::Only(StorageOp::Write);
                plan.with_rate(class, Fault::Delay(time / 100), 1_000_000)
            }
            Self::KilledAtSync(nth) => {
                plan.with_nth(OpClass::Only(StorageOp::Sync), nth, Fault::Hang)
            }
            Self::Failing(op, nth, fault) => plan.with_nth(OpClass::Only(op), nth, fault),
        }
    }
}

/// One database on one disk.
struct Trial<'m> {
    mount: &'m CutMount,
    program: Program,
    durability: Durability,
    ledger: Ledger,
    input: PathBuf,
}

impl Trial<'_> {
    fn round(
        &mut self,
        mishap: Mishap,
        random: &mut Random,
        tally: &mut Tally,
    ) -> Result<(), Finding> {
        if !self.program.database.exists() {
            self.program.init()?;
        }
        let is_slow = matches!(mishap, Mishap::CutWhileSlow(_));
        let fresh = if is_slow { 150 } else { 8 + random.index(32) };
        let padding_bytes = if random.chance(1, 4) { 6_000 } else { random.index(200) };
        let numbers = self.ledger.begin(fresh);
        write_records(&self.input, &numbers, padding_bytes).map_err(ProgramError::from)?;
        self.mount.disk().set_plan(mishap.plan());
        tally.imports += 1;
        let import = self.program.import(&self.input, BATCH, self.durability)?;
        let (ended, ending) = self.let_happen(mishap, import)?;
        if ended.status.success() {
            self.ledger.settle();
        } else if matches!(ending, Ending::ProcessOnly) && !mishap.excuses_failure() {
            let Ended { status, errors, .. } = ended;
            let failed = Failed { command: "import", status, errors };
            return Err(ProgramError::from(failed).into());
        }
        self.ledger.acknowledge(ended.acknowledged);
        if ending == Ending::ProcessOnly && random.flip() {
            // What a process shows that starts after a killed one has to stay, too.
            self.judge(ending, tally)?;
        }
        let survival = Survival::random(random);
        let ending = match ending {
            Ending::ProcessOnly => Ending::PowerCut(Instant::now()),
            Ending::PowerCut(at) => Ending::PowerCut(at),
        };
        self.mount.disk().restart(survival);
        tally.cuts += 1;
        self.judge(ending, tally)?;
        if random.chance(1, 10) {
            self.program.verify()?;
        }
        Ok(())
    }

    fn judge(&mut self, ending: Ending, tally: &mut Tally) -> Result<(), Finding> {
        let owed = self.ledger.owed();
        let found = self.program.read()?;
        self.ledger.judge(&found, self.durability, ending, GRACE)?;
        tally.kept += owed as u64;
        Ok(())
    }

    /// Waits until the mishap has happened or the import has ended, and ends the import.
    fn let_happen(&self, mishap: Mishap, mut import: Import) -> Result<(Ended, Ending), Finding> {
        let disk = self.mount.disk();
        let begun = Instant::now();
        let moment = Duration::from_millis(2);
        loop {
            let has_happened = match mishap {
                Mishap::CutAtChange(_) => disk.wait_for_power_cut(moment),
                Mishap::CutAfterBatches(count) => {
                    !disk.wait_for_power_cut(moment) && import.acknowledged() >= count
                }
                Mishap::CutWhileSlow(time) => {
                    !disk.wait_for_power_cut(moment) && begun.elapsed() >= time
                }
                Mishap::KilledAtSync(_) => disk.wait_for_hang(moment),
                Mishap::CutAfterEnd | Mishap::Failing(..) => disk.wait_for_power_cut(moment),
            };
            let has_ended = import.has_ended()?;
            if has_happened || has_ended {
                break;
            }
            if begun.elapsed() > PATIENCE {
                disk.power_off();
                import.end()?;
                return Err(Finding::Hangs);
            }
        }
        let keeps_power = import.has_ended()? || matches!(mishap, Mishap::KilledAtSync(_));
        let ending = if keeps_power && !disk.is_off() {
            Ending::ProcessOnly
        } else {
            let at = Instant::now();
            disk.power_off();
            Ending::PowerCut(at)
        };
        // A killed process ends once its last call does.
        import.kill();
        disk.end_hangs();
        let ended = import.end()?;
        disk.set_plan(FaultPlan::default());
        Ok((ended, ending))
    }
}

impl Mishap {
    /// May an import fail although the power is on?
    fn excuses_failure(self) -> bool {
        match self {
            Self::KilledAtSync(_) | Self::Failing(..) => true,
            Self::CutAtChange(_)
            | Self::CutAfterBatches(_)
            | Self::CutAfterEnd
            | Self::CutWhileSlow(_) => false,
        }
    }
}

/// Writes the records of these numbers to a file, to be imported.
pub(crate) fn write_records(
    path: &Path,
    numbers: &[usize],
    padding_bytes: usize,
) -> std::io::Result<()> {
    let records = numbers.iter().map(|number| record(*number, padding_bytes));
    std::fs::write(path, records.collect::<String>())
}
