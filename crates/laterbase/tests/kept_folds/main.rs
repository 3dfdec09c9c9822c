//! Rows of folds that are kept on disk: from one start to the next, and on disks that fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod faults;
mod lives;
mod rows;
#[path = "../support/mod.rs"]
mod support;
