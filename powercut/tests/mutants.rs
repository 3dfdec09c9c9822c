//! The power cuts find what they are there to find: each fault built into the program on purpose
//! is caught, and the program without it is not accused.
//!
//! The program is built with the cargo feature `mutants` of laterbase-log; `LATERBASE_MUTANT` names
//! the fault. The names are those of `laterbase_log::mutant::Mutant`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what helpers of tests cannot do is a failed test")]
#![expect(clippy::panic, reason = "a finding is a failed test")]

use laterbase_powercut::{
    Campaign, CampaignError, CutMount, Durability, Finding, Flavour, Program, Stage, build, say,
    skip,
};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// By this many cuts a fault must have been found.
const CUTS_MAX: u64 = 250;

/// The program with its faults, built once for all tests.
fn executable() -> &'static Path {
    static BUILT: OnceLock<(PathBuf, TempDir)> = OnceLock::new();
    let (executable, _) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        (build(Flavour::WithMutants, dir.path()).unwrap(), dir)
    });
    executable
}

/// An empty directory on which something can be mounted.
fn work() -> Option<TempDir> {
    let work = tempfile::tempdir().unwrap();
    match CutMount::new(work.path(), 0) {
        Ok(_) => Some(work),
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

fn campaign_finds(mutant: &'static str) {
    let Some(work) = work() else { return };
    let campaign = Campaign {
        executable: executable().to_owned(),
        work: work.path().to_owned(),
        seed: 1,
        cuts: CUTS_MAX,
        durability: Durability::Flushed,
        mutant: Some(mutant),
    };
    match campaign.run() {
        Ok(tally) => panic!("{mutant} was not found: {tally}"),
        Err(CampaignError::Found(found)) => {
            say(format_args!("{mutant}: {found}"));
        }
        Err(error) => panic!("{error}"),
    }
}

fn staging_finds(mutant: &'static str, stage: impl FnOnce(Stage<'_>) -> Result<(), Finding>) {
    let Some(work) = work() else { return };
    let dir = work.path().join("disk");
    std::fs::create_dir(&dir).unwrap();
    let mount = CutMount::new(&dir, 1).unwrap();
    let program = Program {
        executable: executable().to_owned(),
        database: dir.join("db"),
        mutant: Some(mutant),
        small_device: true,
    };
    let staged = Stage::new(&mount, program, work.path().join("input.ndjson")).unwrap();
    match stage(staged) {
        Ok(()) => panic!("{mutant} was not found"),
        Err(finding @ (Finding::Hangs | Finding::NotStaged(_))) => panic!("{finding}"),
        Err(finding @ (Finding::Broken(_) | Finding::Program(_))) => {
            say(format_args!("{mutant}: {finding}"));
        }
    }
}

#[test]
fn leaving_the_epoch_out_of_the_checksum_is_found() {
    staging_finds("no_epoch", |stage| stage.leave_frames_of_a_lost_time_line());
}

#[test]
fn taking_damage_before_a_later_group_for_a_torn_tail_is_found() {
    staging_finds("later_group_is_torn", |stage| stage.flip_a_bit_before_later_frames());
}

#[test]
fn leaving_out_the_sync_is_found() {
    campaign_finds("skip_sync");
}

#[test]
fn acknowledging_before_the_sync_is_found() {
    campaign_finds("early_ack");
}

#[test]
fn retrying_a_failed_sync_is_found() {
    campaign_finds("retry_sync");
}

#[test]
fn leaving_out_the_directory_sync_is_found() {
    campaign_finds("skip_dir_sync");
}

#[test]
fn acknowledging_what_recovery_has_not_synced_is_found() {
    campaign_finds("no_resync");
}
