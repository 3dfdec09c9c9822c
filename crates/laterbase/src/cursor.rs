//! Cursors: where a reader stopped, to go on from there.
//!
//! ```text
//! byte 0        version, 1
//!      1        order: 0 tx, 1 valid, 2 arrival
//!      2..10    the copy of the database that it counts on, little endian
//!     10..      tx: id (16)   valid: valid time (8), id (16)   arrival: position (8)
//!    last 4     check sum
//! ```
//! As text: base64url without padding. Opaque to users: it may change with any version.
//! A cursor in arrival order counts on one copy of the database and is refused by every other.

use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use laterbase_event::{EventId, Position, Timestamp};
use siphasher::sip::SipHasher13;

use crate::query::Order;
use crate::recorded::Recorded;

const VERSION: u8 = 1;

/// Where a reader stopped in one order.
///
/// ```
/// # fn example(cursor: laterbase::Cursor) -> Result<(), laterbase::CursorError> {
/// let text = cursor.to_string();
/// assert_eq!(text.parse::<laterbase::Cursor>()?, cursor);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub(crate) copy: u64,
    pub(crate) place: CursorPlace,
}

/// The last thing that the reader saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CursorPlace {
    Tx(EventId),
    Valid(Timestamp, EventId),
    Arrival(Position),
}

/// A text is no cursor, or one that does not fit here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// Not the text of a cursor.
    #[error("`{text}` is not a cursor: pass one exactly as an earlier answer printed it")]
    Malformed {
        /// The text.
        text: String,
    },
    /// A cursor of a newer version.
    #[error(
        "this cursor has version {version}, which this build cannot read: upgrade, or read from \
         the beginning"
    )]
    Version {
        /// Its version.
        version: u8,
    },
    /// A cursor in arrival order that another copy of the database gave.
    #[error(
        "this cursor counts arrivals on another copy of the database: take one that this copy \
         gave, or use a version vector"
    )]
    OtherCopy,
    /// A cursor in another order than the query's.
    #[error(
        "this cursor is in {actual:?} order but the query reads in {expected:?} order: read in \
         the cursor's order"
    )]
    OtherOrder {
        /// What the query reads in.
        expected: Order,
        /// What the cursor is in.
        actual: Order,
    },
    /// A position that this copy has not reached.
    #[error(
        "this cursor lies after everything that this copy holds (position {position}, last \
         {last}): the copy was restored from before it"
    )]
    Ahead {
        /// The cursor's position.
        position: Position,
        /// The last position here.
        last: Position,
    },
}

impl Cursor {
    /// The order that the cursor is in.
    #[must_use]
    pub fn order(&self) -> Order {
        match self.place {
            CursorPlace::Tx(_) => Order::Tx,
            CursorPlace::Valid(..) => Order::Valid,
            CursorPlace::Arrival(_) => Order::Arrival,
        }
    }

    /// The position that a cursor in arrival order stands behind; `None` in the other orders.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self.place {
            CursorPlace::Arrival(position) => Some(position),
            CursorPlace::Tx(_) | CursorPlace::Valid(..) => None,
        }
    }

    /// The cursor of the same copy behind an event that was read there, in an order.
    #[must_use]
    pub fn behind(&self, recorded: &Recorded, order: Order) -> Self {
        let place = match order {
            Order::Tx => CursorPlace::Tx(recorded.event.id),
            Order::Valid => CursorPlace::Valid(recorded.event.valid_at, recorded.event.id),
            Order::Arrival => CursorPlace::Arrival(recorded.position),
        };
        Self { copy: self.copy, place }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let order = match self.place {
            CursorPlace::Tx(_) => 0,
            CursorPlace::Valid(..) => 1,
            CursorPlace::Arrival(_) => 2,
        };
        bytes.push(order);
        bytes.extend_from_slice(&self.copy.to_le_bytes());
        match self.place {
            CursorPlace::Tx(id) => bytes.extend_from_slice(&id.as_u128().to_be_bytes()),
            CursorPlace::Valid(at, id) => {
                bytes.extend_from_slice(&at.as_micros().to_be_bytes());
                bytes.extend_from_slice(&id.as_u128().to_be_bytes());
            }
            CursorPlace::Arrival(position) => {
                bytes.extend_from_slice(&position.as_u64().to_be_bytes());
            }
        }
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Result<Self, CursorError>> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if checksum(body) != *sum {
            return None;
        }
        let (&version, body) = body.split_first()?;
        if version != VERSION {
            return Some(Err(CursorError::Version { version }));
        }
        let (&order, body) = body.split_first()?;
        let (copy, key) = body.split_first_chunk::<8>()?;
        let place = match order {
            0 => CursorPlace::Tx(id_of(key)?),
            1 => {
                let (at, id) = key.split_first_chunk::<8>()?;
                let at = Timestamp::from_micros(i64::from_be_bytes(*at));
                CursorPlace::Valid(at, id_of(id)?)
            }
            2 => CursorPlace::Arrival(Position::new(u64::from_be_bytes(key.try_into().ok()?))),
            3.. => return None,
        };
        Some(Ok(Self { copy: u64::from_le_bytes(*copy), place }))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| Self::decode(&bytes))
            .unwrap_or_else(|| Err(CursorError::Malformed { text: text.to_owned() }))
    }
}

fn id_of(bytes: &[u8]) -> Option<EventId> {
    Some(EventId::from_u128(u128::from_be_bytes(bytes.try_into().ok()?)))
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(bytes);
    (hasher.finish() as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_round_trip(place: CursorPlace) {
        let cursor = Cursor { copy: 77, place };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn every_kind_of_cursor_survives_its_text() {
        let id = EventId::from_u128(u128::MAX / 3);
        check_round_trip(CursorPlace::Tx(id));
        check_round_trip(CursorPlace::Valid(Timestamp::from_micros(-5), id));
        check_round_trip(CursorPlace::Arrival(Position::new(9)));
    }

    #[test]
    fn a_changed_character_is_refused() {
        let text = Cursor { copy: 1, place: CursorPlace::Arrival(Position::new(5)) }.to_string();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(bytes).unwrap();
            assert!(other.parse::<Cursor>().is_err(), "{other}");
        }
    }
}
