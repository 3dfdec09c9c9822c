//! The faults of the sync protocol and its host that can be built in on purpose.

pub use laterbase_sync::mutant::{Mutant, is_active};

#[cfg(feature = "mutants")]
pub use laterbase_sync::mutant::with;
