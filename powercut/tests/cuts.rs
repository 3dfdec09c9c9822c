//! The real program on a file system that loses power: what it acknowledged is there afterwards, in
//! each durability exactly what that promises.
//!
//! Together at least 500 cuts. `LATERBASE_SEED` chooses another campaign, `LATERBASE_SCALE`
//! multiplies the cuts. That these tests can fail is shown in `mutants.rs`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what helpers of tests cannot do is a failed test")]
#![expect(clippy::panic, reason = "a finding is a failed test")]

use laterbase_log::storage::{Fault, FaultPlan, OpClass, Random, Survival};
use laterbase_powercut::{
    Campaign, CampaignError, CutMount, Durability, Flavour, Program, Stage, build, say, skip,
};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

const SEED: u64 = 1;

/// The program, built once for all tests.
fn executable() -> &'static Path {
    static BUILT: OnceLock<(PathBuf, TempDir)> = OnceLock::new();
    let (executable, _) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        (build(Flavour::Plain, dir.path()).unwrap(), dir)
    });
    executable
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    number("LATERBASE_SEED", SEED)
}

fn check(name: &str, durability: Durability, cuts: u64) {
    let work = tempfile::tempdir().unwrap();
    if let Err(error) = CutMount::new(work.path(), 0) {
        return skip(&error.to_string());
    }
    let campaign = Campaign {
        executable: executable().to_owned(),
        work: work.path().to_owned(),
        seed: seed(),
        cuts: cuts * number("LATERBASE_SCALE", 1),
        durability,
        mutant: None,
    };
    match campaign.run() {
        Ok(tally) => {
            say(format_args!("{name}: {tally}, seed {}", campaign.seed));
        }
        Err(CampaignError::Found(found)) => {
            let replay = "cargo test -p laterbase-powercut --test cuts";
            panic!("{found}\nreplay: LATERBASE_SEED={} {replay} {name}", campaign.seed)
        }
        Err(error) => panic!("{error}"),
    }
}

/// A disk, mounted in a directory that also has room for input.
fn mounted() -> Option<(TempDir, CutMount)> {
    let work = tempfile::tempdir().unwrap();
    let dir = work.path().join("disk");
    std::fs::create_dir(&dir).unwrap();
    match CutMount::new(&dir, seed()) {
        Ok(mount) => Some((work, mount)),
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

fn staged<'m>(work: &TempDir, mount: &'m CutMount) -> Stage<'m> {
    let program = Program {
        executable: executable().to_owned(),
        database: mount.dir().join("db"),
        mutant: None,
        small_device: true,
    };
    Stage::new(mount, program, work.path().join("input.ndjson")).unwrap()
}

#[test]
fn flushed_events_survive_every_cut() {
    check("flushed_events_survive_every_cut", Durability::Flushed, 380);
}

#[test]
fn buffered_events_survive_all_but_the_last_moment() {
    check("buffered_events_survive_all_but_the_last_moment", Durability::Buffered, 70);
}

#[test]
fn relaxed_events_leave_a_prefix() {
    check("relaxed_events_leave_a_prefix", Durability::Relaxed, 50);
}

#[test]
fn bit_flipped_before_later_frames_is_reported() {
    let Some((work, mount)) = mounted() else { return };
    let outcome = staged(&work, &mount).flip_a_bit_before_later_frames();
    outcome.unwrap_or_else(|finding| panic!("seed {}: {finding}", seed()));
}

#[test]
fn frames_of_a_lost_time_line_never_show() {
    let Some((work, mount)) = mounted() else { return };
    let outcome = staged(&work, &mount).leave_frames_of_a_lost_time_line();
    outcome.unwrap_or_else(|finding| panic!("seed {}: {finding}", seed()));
}

/// A database is there whole or can be made anew, wherever its making was cut.
#[test]
fn database_whose_making_was_cut_can_be_made_again() {
    let Some((_work, mount)) = mounted() else { return };
    let mut random = Random::new(seed());
    let mut cuts = 0;
    for point in 1.. {
        let program = Program {
            executable: executable().to_owned(),
            database: mount.dir().join(format!("db-{point}")),
            mutant: None,
            small_device: true,
        };
        let plan = FaultPlan::default().with_nth(OpClass::Mutation, point, Fault::PowerCut);
        mount.disk().set_plan(plan);
        let made = program.init();
        let was_cut = mount.disk().is_off();
        mount.disk().restart(Survival::random(&mut random));
        match made {
            Ok(()) => assert!(program.read().unwrap().is_empty(), "made, and then lost"),
            Err(error) if !was_cut => panic!("seed {}, point {point}: {error}", seed()),
            Err(_) => {
                // Either it was made all the same, or it can be made now.
                if let Err(reading) = program.read() {
                    program.init().unwrap_or_else(|making| {
                        panic!("seed {}, point {point}: {reading}; {making}", seed())
                    });
                    assert!(program.read().unwrap().is_empty());
                }
            }
        }
        cuts += u64::from(was_cut);
        if !was_cut {
            break;
        }
    }
    assert!(cuts >= 10, "making a database takes more than {cuts} changes");
}
