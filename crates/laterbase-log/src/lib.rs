//! The append-only log of Laterbase over a storage port.

pub mod storage;
