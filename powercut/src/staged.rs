//! Two accidents that chance would take long to bring about, staged on purpose: a segment's file
//! that holds frames of a lost time line, and a bit that flips in what was acknowledged.
//!
//! Both know a little of the log's directory (see the reference of the segment format): hot
//! segments are `NNNNNNNN.log`, files waiting to become one are `spare-*.log`, and frames begin
//! behind a header of 4 KiB.

use crate::campaign::{Finding, write_records};
use crate::ledger::{Durability, Ending, Ledger};
use crate::mount::CutMount;
use crate::program::{EXIT_CORRUPT, Ended, Failed, Program, ProgramError};
use laterbase_log::storage::{Disk, Fault, FaultPlan, InodeNumber, OpClass, Survival};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const BATCH: usize = 16;
const FRAMES_BEGIN: u64 = 4096;
/// The first group of the lost time line: its records are never sent on the other.
const LOST_GROUP: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// A database on a mounted disk, and where its input is written.
#[derive(Debug)]
pub struct Stage<'m> {
    mount: &'m CutMount,
    program: Program,
    input: PathBuf,
    ledger: Ledger,
}

impl<'m> Stage<'m> {
    /// Makes a database for `program` on the mounted disk.
    ///
    /// # Errors
    /// The program fails.
    pub fn new(mount: &'m CutMount, program: Program, input: PathBuf) -> Result<Self, Finding> {
        program.init()?;
        Ok(Self { mount, program, input, ledger: Ledger::new(BATCH) })
    }

    /// A bit flips in the first frame of the newest segment, with acknowledged frames behind it:
    /// the program has to say so, or to have all events all the same. Taken for a torn tail, the
    /// frame and all behind it would be gone without a word.
    ///
    /// # Errors
    /// The program shows less than it acknowledged, as if nothing were wrong.
    pub fn flip_a_bit_before_later_frames(mut self) -> Result<(), Finding> {
        self.import(Order { groups: 20, until_batches: 12, ..Order::default() })?;
        let disk = self.mount.disk();
        disk.restart(Survival::Lost);
        let flipped = disk.inspect(|disk, _| {
            let (_, hot) = newest_segment(disk)?;
            disk.flip_bit(hot, FRAMES_BEGIN + 100, 3)
        });
        flipped.map_err(|_| Finding::NotStaged("segment"))?;
        match self.judge() {
            Err(Finding::Program(ProgramError::Failed(failed)))
                if failed.status.code() == Some(EXIT_CORRUPT) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The files that wait to become segments hold frames that would follow on the log's last one,
    /// from a time line that was lost: the disk is set back, and the program started again and cut
    /// while it takes such a file into use. Those frames must never show.
    ///
    /// # Errors
    /// Something shows that was never sent, or something acknowledged is gone.
    pub fn leave_frames_of_a_lost_time_line(mut self) -> Result<(), Finding> {
        let disk = self.mount.disk();
        self.fill_until_there_is_a_spare()?;
        let before = disk.inspect(|disk, _| disk.settled());

        let ledger = std::mem::replace(&mut self.ledger, Ledger::from_group(BATCH, LOST_GROUP));
        self.import(Order { groups: 8, until_batches: 4, ..Order::default() })?;
        let stale = disk.inspect(|disk, _| {
            let (_, hot) = newest_segment(disk)?;
            content(disk, hot)
        });
        let stale = stale.map_err(|_| Finding::NotStaged("segment"))?;
        let mut planted = before;
        plant(&mut planted, &stale).map_err(|_| Finding::NotStaged("spare file"))?;
        for change in (1..=40).step_by(3) {
            let planted = planted.clone();
            self.ledger = ledger.clone();
            disk.restart(Survival::Lost);
            disk.inspect(|disk, _| *disk = planted);
            self.import(Order { cut_at_change: Some(change), ..Order::default() })?;
            disk.restart(Survival::Kept);
            self.judge()?;
        }
        Ok(())
    }

    /// Imports large records until a file waits to become a segment.
    fn fill_until_there_is_a_spare(&mut self) -> Result<(), Finding> {
        let disk = self.mount.disk();
        for _ in 0..20 {
            self.import(Order { groups: 48, padding_bytes: 7_000, ..Order::default() })?;
            disk.restart(Survival::Lost);
            // Not after the next start, which may take the file into use.
            if disk.inspect(|disk, _| spares(disk)).is_ok_and(|spares| !spares.is_empty()) {
                return Ok(());
            }
            self.judge()?;
        }
        Err(Finding::NotStaged("spare file"))
    }

    /// Imports new groups until so many batches are acknowledged, or until the power is cut at a
    /// change, and cuts the power.
    fn import(&mut self, order: Order) -> Result<(), Finding> {
        let Order { groups, padding_bytes, cut_at_change, until_batches } = order;
        let disk = self.mount.disk();
        let numbers = self.ledger.begin(groups);
        write_records(&self.input, &numbers, padding_bytes).map_err(ProgramError::from)?;
        if let Some(nth) = cut_at_change {
            disk.set_plan(FaultPlan::default().with_nth(OpClass::Mutation, nth, Fault::PowerCut));
        }
        let mut import = self.program.import(&self.input, BATCH, Durability::Flushed)?;
        let begun = Instant::now();
        while !disk.wait_for_power_cut(Duration::from_millis(1))
            && import.acknowledged() < until_batches
            && !import.has_ended()?
        {
            if begun.elapsed() > PATIENCE {
                disk.power_off();
                import.end()?;
                return Err(Finding::Hangs);
            }
        }
        let was_on = !disk.is_off();
        let ended_itself = import.has_ended()?;
        disk.power_off();
        let Ended { status, acknowledged, errors } = import.end()?;
        if status.success() {
            self.ledger.settle();
        } else if was_on && ended_itself {
            let failed = Failed { command: "import", status, errors };
            return Err(ProgramError::from(failed).into());
        }
        self.ledger.acknowledge(acknowledged);
        Ok(())
    }

    fn judge(&mut self) -> Result<(), Finding> {
        let found = self.program.read()?;
        let ending = Ending::PowerCut(Instant::now());
        Ok(self.ledger.judge(&found, Durability::Flushed, ending, Duration::ZERO)?)
    }
}

/// What is imported, and until when.
#[derive(Clone, Copy, Debug)]
struct Order {
    groups: usize,
    padding_bytes: usize,
    cut_at_change: Option<u64>,
    until_batches: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self { groups: 1, padding_bytes: 0, cut_at_change: None, until_batches: usize::MAX }
    }
}

/// The hot segment of the highest number, of the database in `db`.
fn newest_segment(disk: &Disk) -> Result<(String, InodeNumber), ErrorKind> {
    let log = log_dir(disk)?;
    let is_hot = |name: &str| {
        name.strip_suffix(".log").is_some_and(|stem| stem.bytes().all(|b| b.is_ascii_digit()))
    };
    let hot = disk.list(log)?.filter(|(name, _)| is_hot(name)).last();
    hot.map(|(name, inode)| (name.to_owned(), inode)).ok_or(ErrorKind::NotFound)
}

fn log_dir(disk: &Disk) -> Result<InodeNumber, ErrorKind> {
    disk.lookup(disk.lookup(InodeNumber::ROOT, "db")?, "log")
}

fn content(disk: &Disk, inode: InodeNumber) -> Result<Vec<u8>, ErrorKind> {
    let len = disk.attributes(inode)?.len;
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?];
    disk.read(inode, 0, &mut bytes)?;
    Ok(bytes)
}

/// The files that wait to become segments.
fn spares(disk: &Disk) -> Result<Vec<InodeNumber>, ErrorKind> {
    let entries = disk.list(log_dir(disk)?)?;
    let is_spare = |name: &str| name.starts_with("spare-") && name.ends_with(".log");
    Ok(entries.filter(|(name, _)| is_spare(name)).map(|(_, inode)| inode).collect())
}

/// Fills every file that waits to become a segment with `stale`, durably.
fn plant(disk: &mut Disk, stale: &[u8]) -> Result<(), ErrorKind> {
    for spare in spares(disk)? {
        disk.write(spare, 0, stale)?;
        disk.sync_file(spare)?;
    }
    Ok(())
}
