//! What became of events that a consumer was given.

use laterbase_event::Position;

/// What became of events: all of it is kept, or nothing. Done in the order of the members.
///
/// ```
/// use laterbase::{Position, Rejection, Settlement};
///
/// let settlement = Settlement {
///     acknowledge: vec![Position::new(1), Position::new(2)],
///     reject: vec![Rejection { position: Position::new(3), reason: "no customer".to_owned() }],
///     ..Settlement::default()
/// };
/// # drop(settlement);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Events that were dealt with.
    pub acknowledge: Vec<Position>,
    /// Events that could not be dealt with.
    pub reject: Vec<Rejection>,
    /// Dead events to be given again, with all their attempts.
    pub retry: Vec<Position>,
    /// Dead events to be dropped from the list for good. The events themselves stay.
    pub discard: Vec<Position>,
}

/// An event that could not be dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Where it stands.
    pub position: Position,
    /// Why. Kept up to 1,024 bytes of UTF-8, the rest is cut off; control characters become spaces,
    /// but for line ends and tabs.
    pub reason: String,
}

/// How many events were settled. What was not given, or not dead, is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Events that had been given, and are done now.
    pub acknowledged: usize,
    /// Events that had been given, and are given again or dead now.
    pub rejected: usize,
    /// Events that were dead, and are given again.
    pub retried: usize,
    /// Events that were dead, and are on no list any more.
    pub discarded: usize,
}
