//! The append-only log of Laterbase over a storage port.

mod activate;
mod backup;
mod blocks;
mod cache;
mod chunk;
mod clock_cache;
mod config;
mod error;
mod footer;
mod frame;
mod frames;
mod front;
mod heads;
mod log;
mod maintenance;
pub mod mutant;
mod names;
mod number;
mod quarantine;
mod reader;
mod recovery;
mod ring;
mod seal;
mod sealed;
mod segment;
mod segment_header;
mod shared;
mod spare;
mod sparse;
pub mod storage;
mod stream;
mod verify;
mod wire;
mod writer;

pub use backup::{Snapshot, SnapshotFile};
pub use config::{LogConfig, Sealing};
pub use error::{
    CommitError, Damage, MaintenanceError, OpenError, Poisoned, ReadError, StageError,
};
pub use frame::BatchStatus;
pub use front::{Group, IdleMark, LogFront, Staged, StagedBatch, Sync};
pub use heads::{Head, Heads};
pub use log::Log;
pub use maintenance::{Maintenance, Retired};
pub use number::{CommitNumber, SegmentNumber};
pub use quarantine::Quarantined;
pub use reader::{EventBuffer, LogReader, Scan, ScanBack, SegmentInfo, StoredBatch};
pub use recovery::{Recovery, TornTail};
pub use verify::{Problem, VerifyProgress, VerifyReport};
pub use writer::{LogWriter, Written};
