//! Durable named consumers: projections outside, which are given each event at least once.
//!
//! ```text
//!   log ─fetch─▶ open ─acknowledge─▶ done
//!                │  ▲ reject, or no word in time: once more
//!                ▼  │ retry
//!                dead ─discard─▶ done
//! ```
//! A consumer is a cursor that the database keeps, and what was given and not acknowledged. It
//! goes through events in arrival order, so that what comes late is given as well; an event that
//! is not acknowledged in time is given again, and after so many attempts put on a list of its
//! own, where it waits for a person. Acknowledgements are on the device when they return.
//!
//! Left out: sharing one consumer between copies. Each copy gives what arrives at it.

mod config;
mod error;
mod fetch;
mod file;
mod handle;
mod registry;
mod settlement;
mod state;

pub use config::ConsumerConfig;
pub use error::ConsumerError;
pub use fetch::Delivery;
pub use file::ConsumerFileError;
pub use handle::{Consumer, ConsumerStatus, DeadLetter};
pub(crate) use registry::{Consumers, close};
pub use settlement::{Rejection, Settled, Settlement};
