//! The clock only ever rises, and stays near the wall.
//!
//! Mutants that these tests caught when tried: `tick` taking the wall without the maximum; `tick`
//! remembering its first value instead of its last; `observe` without the drift bound, and with
//! the bound taken from the wall clock instead of the later of it and the build date.

#![allow(clippy::unwrap_used, reason = "tests")]

use laterbase_event::{Clock, ClockError, Hlc, Observed, ReplicaId};
use proptest::prelude::*;

const NOW_MS: u64 = 1_700_000_000_000;
const DRIFT_MS: u64 = 300_000;

fn clock(recovered: Hlc, build_floor: Hlc) -> Clock {
    Clock::new(ReplicaId::from_u64(7), recovered, build_floor, DRIFT_MS)
}

fn new_clock() -> Clock {
    clock(Hlc::ZERO, Hlc::ZERO)
}

#[test]
fn a_new_clock_starts_at_the_wall() {
    assert_eq!(new_clock().tick(NOW_MS, 1), Ok(Hlc::new(NOW_MS, 0)));
}

#[test]
fn ids_of_one_tick_are_consecutive() {
    let mut clock = new_clock();
    assert_eq!(clock.tick(NOW_MS, 10), Ok(Hlc::new(NOW_MS, 0)));
    assert_eq!(clock.last(), Hlc::new(NOW_MS, 9));
    assert_eq!(clock.tick(NOW_MS, 1), Ok(Hlc::new(NOW_MS, 10)));
}

#[test]
fn a_backward_wall_clock_does_not_turn_the_clock_back() {
    let mut clock = new_clock();
    let first = clock.tick(NOW_MS, 1).unwrap();
    assert_eq!(clock.tick(NOW_MS - 3_600_000, 1), Ok(first.checked_add(1).unwrap()));
    assert_eq!(clock.tick(0, 1), Ok(first.checked_add(2).unwrap()));
}

#[test]
fn a_full_counter_moves_to_the_next_millisecond() {
    let mut clock = clock(Hlc::new(NOW_MS, u16::MAX), Hlc::ZERO);
    assert_eq!(clock.tick(NOW_MS, 1), Ok(Hlc::new(NOW_MS + 1, 0)));
}

#[test]
fn a_tick_may_cross_milliseconds() {
    let mut clock = clock(Hlc::new(NOW_MS, u16::MAX - 2), Hlc::ZERO);
    assert_eq!(clock.tick(NOW_MS, 65_535), Ok(Hlc::new(NOW_MS, u16::MAX - 1)));
    assert_eq!(clock.last(), Hlc::new(NOW_MS + 1, 65_532));
    // The wall has moved on by less than the clock: the clock stays ahead.
    assert_eq!(clock.tick(NOW_MS + 1, 1), Ok(Hlc::new(NOW_MS + 1, 65_533)));
    assert_eq!(clock.tick(NOW_MS + 2, 1), Ok(Hlc::new(NOW_MS + 2, 0)));
}

#[test]
fn a_recovered_clock_continues_after_its_log() {
    let recovered = Hlc::new(NOW_MS + 1000, 41);
    assert_eq!(clock(recovered, Hlc::ZERO).tick(NOW_MS, 1), Ok(Hlc::new(NOW_MS + 1000, 42)));
}

#[test]
fn a_clock_starts_no_earlier_than_the_build_date() {
    let floor = Hlc::new(NOW_MS, 0);
    let mut clock = clock(Hlc::ZERO, floor);
    assert_eq!(clock.read(0), floor);
    assert_eq!(clock.tick(1, 1), Ok(Hlc::new(NOW_MS, 1)));
}

#[test]
fn a_wall_before_the_build_date_does_not_make_the_clock_run_ahead() {
    let mut clock = clock(Hlc::ZERO, Hlc::new(NOW_MS, 0));
    clock.tick(0, 1).unwrap();
    assert!(!clock.runs_ahead(0));
    assert_eq!(clock.observe(Hlc::new(NOW_MS + DRIFT_MS, 0), 0), Observed::Taken);
}

#[test]
fn a_remote_value_at_the_drift_bound_is_taken() {
    let mut clock = new_clock();
    let remote = Hlc::new(NOW_MS + DRIFT_MS, u16::MAX);
    assert_eq!(clock.observe(remote, NOW_MS), Observed::Taken);
    assert_eq!(clock.tick(NOW_MS, 1), Ok(Hlc::new(NOW_MS + DRIFT_MS + 1, 0)));
}

#[test]
fn a_remote_value_beyond_the_drift_bound_does_not_move_the_clock() {
    let mut clock = new_clock();
    clock.tick(NOW_MS, 1).unwrap();
    let before = clock.last();
    let remote = Hlc::new(NOW_MS + DRIFT_MS + 1, 0);
    assert_eq!(clock.observe(remote, NOW_MS), Observed::ClockSuspect);
    assert_eq!(clock.last(), before);
}

#[test]
fn an_old_remote_value_does_not_turn_the_clock_back() {
    let mut clock = new_clock();
    clock.tick(NOW_MS, 1).unwrap();
    assert_eq!(clock.observe(Hlc::new(1, 0), NOW_MS), Observed::Taken);
    assert_eq!(clock.tick(NOW_MS, 1), Ok(Hlc::new(NOW_MS, 1)));
}

#[test]
fn a_clock_beyond_the_drift_bound_runs_ahead() {
    let at = |ms| clock(Hlc::new(ms, 0), Hlc::ZERO).runs_ahead(NOW_MS);
    assert!(!at(NOW_MS + DRIFT_MS));
    assert!(at(NOW_MS + DRIFT_MS + 1));
    // A device that once ran in 2090.
    assert!(at(3_800_000_000_000));
}

#[test]
fn the_end_of_time_is_an_error_and_changes_nothing() {
    let mut clock = clock(Hlc::from_u64(u64::MAX - 1), Hlc::ZERO);
    assert_eq!(clock.tick(NOW_MS, 2), Err(ClockError::Exhausted));
    assert_eq!(clock.tick(NOW_MS, 1), Ok(Hlc::MAX));
    assert_eq!(clock.tick(NOW_MS, 1), Err(ClockError::Exhausted));
    assert_eq!(clock.last(), Hlc::MAX);
}

#[test]
fn no_ids_are_no_tick() {
    assert_eq!(new_clock().tick(NOW_MS, 0), Err(ClockError::NoIds));
}

#[test]
fn milliseconds_that_do_not_fit_are_taken_as_the_greatest() {
    assert_eq!(Hlc::new(u64::MAX, 3), Hlc::new(Hlc::MILLIS_MAX, 3));
    assert_eq!(Hlc::new(u64::MAX, u16::MAX), Hlc::MAX);
}

#[derive(Clone, Debug)]
enum Step {
    Tick(u64, u32),
    Read(u64),
    Observe(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let wall = || prop_oneof![NOW_MS - 1000..NOW_MS + 1000, Just(0), 0..2 * NOW_MS];
    prop_oneof![
        (wall(), 1..200_000u32).prop_map(|(now, count)| Step::Tick(now, count)),
        wall().prop_map(Step::Read),
        (wall(), wall()).prop_map(|(remote, now)| Step::Observe(remote, now)),
    ]
}

proptest! {
    #[test]
    fn ids_are_above_everything_before_them(
        steps in prop::collection::vec(step(), 1..40),
        floor in prop_oneof![Just(0), Just(NOW_MS)],
    ) {
        let floor = Hlc::new(floor, 0);
        let mut clock = clock(Hlc::ZERO, floor);
        let mut highest = Hlc::ZERO;
        for step in steps {
            match step {
                Step::Tick(now, count) => {
                    let first = clock.tick(now, count).unwrap();
                    prop_assert!(first > highest && first >= Hlc::new(now, 0).max(floor));
                    highest = first.checked_add(u64::from(count) - 1).unwrap();
                }
                Step::Read(now) => {
                    let read = clock.read(now);
                    prop_assert!(read >= highest && read >= Hlc::new(now, 0));
                    highest = read;
                }
                Step::Observe(remote, now) => {
                    let near = remote <= now.max(floor.millis()) + DRIFT_MS;
                    let remote = Hlc::new(remote, 0);
                    let before = clock.last();
                    match clock.observe(remote, now) {
                        Observed::Taken => {
                            prop_assert!(near);
                            highest = highest.max(remote);
                        }
                        Observed::ClockSuspect => {
                            prop_assert!(!near);
                            prop_assert_eq!(clock.last(), before);
                        }
                    }
                }
            }
            prop_assert!(clock.last() >= highest);
        }
    }
}
