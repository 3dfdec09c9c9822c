//! What a consumer is given next: first what is given again, then what is new.
//!
//! ```text
//!   bury what is spent ─▶ read what is due ─▶ count it ─▶ read a window of the log ─▶ give it
//!                                                          ▲   nothing matches    │
//!                                                          └──────────────────────┘
//! ```
//! Invariants: the state says that an event was given only once it has been read, in one step with
//! how far was looked; after that nothing fails any more. The state is locked for those steps, and
//! never while events are read, so that acknowledging waits for no reading. One fetch of a consumer
//! goes on at a time.

use std::ops::ControlFlow;

use laterbase_event::{Event, EventView, Position};
use laterbase_sync::mutant::{self, Mutant};

use super::error::ConsumerError;
use super::handle::Consumer;
use super::state::DEAD_MAX;
use crate::inner::lock;
use crate::read::ReadError;
use crate::recorded::Recorded;
use crate::walk::plan_scan;

/// How many positions are read at a time: a fetch ends with the first window that gives something.
const WINDOW_POSITIONS: u64 = 64 * 1024;

/// What events of one fetch take at the most, in bytes; a larger one comes alone.
const FETCH_BYTES_MAX: usize = 32 << 20;

/// An event that a consumer is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event; its position is what is acknowledged.
    pub recorded: Recorded,
    /// How often it was given, this time included.
    pub attempt: u32,
}

/// What one fetch gives.
struct Basket {
    deliveries: Vec<Delivery>,
    /// What there may be more: events, and bytes.
    events_left: usize,
    bytes_left: usize,
}

/// What was found in a piece of the log.
struct Window {
    found: Vec<Recorded>,
    /// Nothing else up to here matches.
    looked_to: Position,
    /// It ended because no more was wanted, or could be read.
    is_cut: bool,
}

impl Basket {
    /// Whether one more event is wanted, which has these bytes.
    fn takes(&self, bytes: usize) -> bool {
        self.events_left > 0 && (self.deliveries.is_empty() || bytes <= self.bytes_left)
    }

    fn push(&mut self, recorded: Recorded, attempt: u32) {
        self.events_left = self.events_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(bytes_of(&recorded.event));
        self.deliveries.push(Delivery { recorded, attempt });
    }
}

impl Consumer {
    /// The next events, at most `max` and 32 MiB, but one at least: first those whose time to be
    /// given again has come, then new ones, as they were flushed. Empty when there is nothing to
    /// give now.
    ///
    /// Goes through the log until something matches, and holds up no acknowledgement meanwhile; a
    /// second fetch of the same consumer waits for the first. What cannot be read holds up nothing
    /// else that was given before.
    ///
    /// # Errors
    /// [`ConsumerError::Read`] and [`ConsumerError::Unreadable`] if events cannot be read and there
    /// is nothing else to give: nothing is counted as given, a later fetch tries again.
    /// [`ConsumerError::TooManyDead`] while the list of the dead holds 10,000 events and one more
    /// has been given too often. [`ConsumerError::File`] if what was given up cannot be written
    /// down. [`ConsumerError::Unknown`] if the consumer was removed, [`ConsumerError::Closed`] if
    /// the database was closed.
    pub fn fetch(&self, max: usize) -> Result<Vec<Delivery>, ConsumerError> {
        let _turn = lock(&self.shared.turn);
        self.bury()?;
        let mut basket =
            Basket { deliveries: Vec::new(), events_left: max, bytes_left: FETCH_BYTES_MAX };
        let given_again = self.give_again(&mut basket);
        let given_new = self.give_new(&mut basket);
        if basket.deliveries.is_empty() {
            given_again.and(given_new)?;
        }
        Ok(basket.deliveries)
    }

    /// Puts on the list of the dead what was given too often.
    fn bury(&self) -> Result<(), ConsumerError> {
        let now_us = self.inner.environment.now_us();
        if !self.with_state(|state| state.has_spent(now_us))? {
            return Ok(());
        }
        let is_full = self.change(|state| {
            state.bury_spent(now_us);
            state.has_spent(now_us)
        })?;
        match is_full {
            true => Err(ConsumerError::TooManyDead { name: self.name.clone(), max: DEAD_MAX }),
            false => Ok(()),
        }
    }

    /// Gives once more what is due. An event that cannot be read is left out, and told if it is the
    /// first one.
    fn give_again(&self, basket: &mut Basket) -> Result<(), ConsumerError> {
        let now_us = self.inner.environment.now_us();
        let mut outcome = Ok(());
        for position in self.with_state(|state| state.due(now_us))? {
            if basket.events_left == 0 {
                break;
            }
            if mutant::is_active(Mutant::CountBeforeRead) {
                self.with_state(|state| state.give_again(position, now_us))?;
            }
            let recorded = match self.read(position) {
                Ok(recorded) => recorded,
                Err(source) => {
                    let unreadable = ConsumerError::Unreadable { position, source };
                    outcome = outcome.and(Err(unreadable));
                    continue;
                }
            };
            if !basket.takes(bytes_of(&recorded.event)) {
                break;
            }
            // It may have been acknowledged while it was read.
            if let Some(attempt) = self.with_state(|state| state.give_again(position, now_us))? {
                basket.push(recorded, attempt);
            }
        }
        outcome
    }

    /// Gives what is new, from the first window that has any.
    fn give_new(&self, basket: &mut Basket) -> Result<(), ConsumerError> {
        loop {
            let (looked_to, room) = self.with_state(|state| (state.looked_to, state.room()))?;
            let flushed = self.inner.progress.flushed();
            let after = Position::new(looked_to);
            if after >= flushed || room == 0 || basket.events_left == 0 {
                return Ok(());
            }
            let upto = flushed.min(Position::new(looked_to.saturating_add(WINDOW_POSITIONS)));
            if mutant::is_active(Mutant::LookBeforeGive) {
                self.with_state(|state| state.give([], upto, 0))?;
            }
            let window = self.window(after, upto, room, basket)?;
            let now_us = self.inner.environment.now_us();
            let positions = window.found.iter().map(|recorded| recorded.position);
            self.with_state(|state| state.give(positions, window.looked_to, now_us))?;
            window.found.into_iter().for_each(|recorded| basket.push(recorded, 1));
            if window.is_cut || !basket.deliveries.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads a piece of the log, up to what the basket and `room` take. What was found before
    /// something that cannot be read is an answer.
    fn window(
        &self,
        after: Position,
        upto: Position,
        room: usize,
        basket: &Basket,
    ) -> Result<Window, ReadError> {
        let mut walk = plan_scan(&self.inner, &self.filter, after, upto)?;
        let wanted = room.min(basket.events_left);
        let mut found: Vec<Recorded> = Vec::new();
        let mut bytes: usize = 0;
        let walked = walk.run(|event, position, arrival| {
            let event = Event::from(event);
            bytes = bytes.saturating_add(bytes_of(&event));
            let is_first = found.is_empty() && basket.deliveries.is_empty();
            if !is_first && bytes > basket.bytes_left {
                return ControlFlow::Break(());
            }
            found.push(Recorded { event, position, arrival });
            if found.len() < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let is_cut = match walked {
            Ok(is_cut) => is_cut,
            Err(error) if found.is_empty() => return Err(error),
            Err(_) => true,
        };
        let looked_to = match found.last() {
            _ if !is_cut => upto,
            Some(last) => last.position,
            None => after,
        };
        Ok(Window { found, looked_to, is_cut })
    }

    fn read(&self, position: Position) -> Result<Recorded, ReadError> {
        self.inner.with_event_at(position, |event: &EventView<'_>, arrival| Recorded {
            event: Event::from(event),
            position,
            arrival,
        })
    }
}

/// About what an event takes in memory, in bytes.
fn bytes_of(event: &Event) -> usize {
    let pair = |(name, text): &(String, String)| name.len() + text.len();
    let pairs: usize = event.tags.iter().chain(&event.meta).map(pair).sum();
    size_of::<Event>() + event.payload.len() + event.key.len() + pairs
}
