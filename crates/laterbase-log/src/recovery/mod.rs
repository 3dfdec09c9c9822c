//! Opening a log: find its end, prove it durable, and go on.
//!
//! ```text
//!   list ─▶ segments (headers, trailers) ─▶ scan what has no footer ─▶ decide ─▶ act ─▶ Log
//! ```
//! What a scan of the last segment finds, and what follows (c is the commit that should come next):
//!
//! | behind the last intact frame | means | then |
//! |---|---|---|
//! | nothing | the log ends here | |
//! | frames or pieces of c's group | a torn tail, never acknowledged | cut, kept in `torn/` |
//! | a frame of a later group | c was durable and is damaged | reported, opened on request |
//!
//! A frame names the first commit of its group, and a group is written only after the one before it
//! is durable; so "later" is exact: the frame's group begins behind c. Damage to the very last
//! group, and a device that lies about syncing, cannot be told from a torn tail.
//!
//! Of the last group itself nobody knows whether it is durable: the system may hold in its cache
//! what it failed to write. So it is copied into a fresh segment and synced there before anything
//! is read, and the segment before it ends where it began. A close marker, or a footer, proves the
//! last group and spares the copy. A segment with a torn tail is never written again: remains of
//! the tail could fit behind new frames.
//!
//! Nothing is changed before everything is decided: a log that is refused stays as it was found.

mod apply;
mod find;
mod intact;
mod open;
mod scan;
mod torn;

pub(crate) use apply::replay;
pub(crate) use find::find_segments;
pub(crate) use intact::find_intact;
pub(crate) use open::{Opened, create, open, state_after};
pub use open::{Recovery, TornTail};
pub(crate) use scan::{HotScan, scan_hot};
