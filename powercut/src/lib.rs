//! A FUSE file system that loses power, and the tests that run Laterbase on it.
//!
//! ```text
//!   laterbase (a process)          driver (the test's process: campaign.rs)
//!        │ write, fsync, rename         │ cut, restart, fail, delay
//!        ▼                              │
//!      kernel ──FUSE──▶ CutFilesystem   │
//!                            │          ▼
//!                            └──▶ FaultyDisk of laterbase-log, in memory
//! ```
//!
//! What the file system loses, tears, reorders and fails is the simulated disk's business: see
//! [`laterbase_log::storage`]. A cut needs no remount: the driver kills the writer, swaps the disk
//! for what has survived, and starts the next writer on the same mount. The kernel caches nothing:
//! entries and attributes are valid for no time, and files are opened for direct I/O.
//!
//! Killing a process alone proves little, as the kernel keeps the pages it has written; here they
//! are lost with the power.
//!
//! Linux only; everywhere else this crate is empty.

#![cfg(target_os = "linux")]

mod campaign;
mod executable;
mod filesystem;
mod ledger;
mod mount;
mod program;
mod staged;

pub use campaign::{Campaign, CampaignError, Finding, Found, Mishap, Tally};
pub use executable::{BuildError, Flavour, build};
pub use ledger::{Durability, Ledger, Promise, Violation};
pub use mount::{CutMount, MountError, say, skip};
pub use program::{EXIT_CORRUPT, Failed, Program, ProgramError, record};
pub use staged::Stage;
