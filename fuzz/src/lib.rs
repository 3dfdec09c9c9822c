//! What several fuzz targets share: events made from the fuzzer's bytes, and what a batch must
//! survive.

mod drafts;
mod exercise;

pub use drafts::{Drafts, OwnedDraft, builder, stamp};
pub use exercise::{exercise, read_all};
