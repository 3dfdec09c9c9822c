//! What every measured store can do, and which access paths each of them keeps.
//!
//! ```text
//!              id  stream  tag  type  valid time         idempotency  sync before the answer
//! laterbase    x   x       x    x     explicit ones      none used    fdatasync, direct I/O
//! lmdb         x   x       x    x     explicit ones      none used    fdatasync + O_DSYNC page
//! redb         x   x       x    x     explicit ones      none used    fdatasync
//! fjall        x   x       x    x     explicit ones      none used    fdatasync
//! sqlite       x   x       x    x     explicit ones      none used    fdatasync of the WAL
//! tephra       –   x       x    x     –                  –            fdatasync
//! ```
//!
//! An event whose valid time is its transaction time is found through its id in every store, so
//! only explicit valid times are indexed. Laterbase keeps more than the table says (address in its
//! log, cause, hash chain); the others are not asked for that. Tephra has no ids but positions and
//! no valid time; its stream is one more tag.
//!
//! Streams and tags are answered in id order. Readers hand each payload to a visitor, so that a
//! store that can lend its bytes need not copy them.

use crate::error::StoreError;
use crate::workload::Event;

/// Called with each payload.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8]);

/// The id of an event as its store numbers it.
pub(crate) type Id = u128;

/// An event store under measurement.
pub(crate) trait EventStore: Send + Sync {
    /// Records a batch, all or nothing, on the device before it returns; adds the ids to `ids`.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    fn append(&self, batch: &[Event], ids: &mut Vec<Id>) -> Result<(), StoreError>;

    /// Visits the event with this id; whether there is one.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    fn get(&self, id: Id, visit: Visit<'_>) -> Result<bool, StoreError>;

    /// Visits the events of one stream in id order; how many.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    fn stream(&self, key: &str, visit: Visit<'_>) -> Result<u64, StoreError>;

    /// Visits the events with a tag in id order; how many.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    fn tag(&self, root: &str, key: &str, visit: Visit<'_>) -> Result<u64, StoreError>;

    /// Visits the events whose valid time lies in `from_us..to_us`; how many. `None`: the store has
    /// no valid time.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    fn valid_range(
        &self,
        from_us: i64,
        to_us: i64,
        visit: Visit<'_>,
    ) -> Result<Option<u64>, StoreError>;

    /// Visits every event; how many.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    fn scan(&self, visit: Visit<'_>) -> Result<u64, StoreError>;
}
