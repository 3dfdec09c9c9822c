//! The stores that can be measured, and how each is opened.

use std::fmt;
use std::path::Path;

use crate::error::{BenchError, StoreError};
use crate::store::EventStore;

/// One store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    Laterbase,
    #[cfg(feature = "peers")]
    Lmdb,
    #[cfg(feature = "peers")]
    Redb,
    #[cfg(feature = "peers")]
    Fjall,
    #[cfg(feature = "peers")]
    Sqlite,
    #[cfg(feature = "peers")]
    Tephra,
}

impl Engine {
    /// All that this build knows; without the feature `peers` that is our own alone.
    pub(crate) const ALL: &[Self] = &[
        Self::Laterbase,
        #[cfg(feature = "peers")]
        Self::Lmdb,
        #[cfg(feature = "peers")]
        Self::Redb,
        #[cfg(feature = "peers")]
        Self::Fjall,
        #[cfg(feature = "peers")]
        Self::Sqlite,
        #[cfg(feature = "peers")]
        Self::Tephra,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Laterbase => "laterbase",
            #[cfg(feature = "peers")]
            Self::Lmdb => "lmdb",
            #[cfg(feature = "peers")]
            Self::Redb => "redb",
            #[cfg(feature = "peers")]
            Self::Fjall => "fjall",
            #[cfg(feature = "peers")]
            Self::Sqlite => "sqlite",
            #[cfg(feature = "peers")]
            Self::Tephra => "tephra",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|engine| engine.name() == name)
    }

    /// Opens the store in `folder`, which exists; creates it when the folder is empty.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    pub(crate) fn open(self, folder: &Path) -> Result<Box<dyn EventStore>, BenchError> {
        self.open_raw(folder).map_err(|source| BenchError::Store { engine: self, source })
    }

    /// Opens the store as configured for small devices; only Laterbase has such a configuration.
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    pub(crate) fn open_small(self, folder: &Path) -> Result<Box<dyn EventStore>, BenchError> {
        if self != Self::Laterbase {
            return self.open(folder);
        }
        match crate::peers::laterbase::Store::open_small(folder) {
            Ok(store) => Ok(Box::new(store)),
            Err(source) => Err(BenchError::Store { engine: self, source }),
        }
    }

    fn open_raw(self, folder: &Path) -> Result<Box<dyn EventStore>, StoreError> {
        match self {
            Self::Laterbase => Ok(Box::new(crate::peers::laterbase::Store::open(folder)?)),
            #[cfg(feature = "peers")]
            Self::Lmdb => Ok(Box::new(crate::peers::lmdb::Store::open(folder)?)),
            #[cfg(feature = "peers")]
            Self::Redb => Ok(Box::new(crate::peers::redb::Store::open(folder)?)),
            #[cfg(feature = "peers")]
            Self::Fjall => Ok(Box::new(crate::peers::fjall::Store::open(folder)?)),
            #[cfg(feature = "peers")]
            Self::Sqlite => Ok(Box::new(crate::peers::sqlite::Store::open(folder)?)),
            #[cfg(feature = "peers")]
            Self::Tephra => Ok(Box::new(crate::peers::tephra::Store::open(folder)?)),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
