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
    Campaign, CampaignError, CutMount, Durability, Flavour, Program, build, skip,
};
use std::io::Write as _;
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
            writeln!(std::io::stderr(), "{name}: {tally}, seed {}", campaign.seed).unwrap();
        }
        Err(CampaignError::Found(found)) => {
            let replay = "cargo test -p laterbase-powercut --test cuts";
            panic!("{found}\nreplay: LATERBASE_SEED={} {replay} {name}", campaign.seed)
        }
        Err(error) => panic!("{error}"),
    }
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

/// A database is there whole or can be made anew, wherever its making was cut.
#[test]
fn database_whose_making_was_cut_can_be_made_again() {
    let work = tempfile::tempdir().unwrap();
    let mount = match CutMount::new(work.path(), seed()) {
        Ok(mount) => mount,
        Err(error) => return skip(&error.to_string()),
    };
    let mut random = Random::new(seed());
    let mut cuts = 0;
    for point in 1.. {
        let program = Program {
            executable: executable().to_owned(),
            database: work.path().join(format!("db-{point}")),
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
