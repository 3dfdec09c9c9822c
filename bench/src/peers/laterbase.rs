//! Laterbase, once its library exists; until then every call says so.

use crate::error::StoreError;
use crate::store::{EventStore, Id, Visit};
use crate::workload::Event;
use std::path::Path;

pub(crate) struct Store;

impl Store {
    pub(crate) fn open(_: &Path) -> Result<Self, StoreError> {
        Err("the library is not there yet".into())
    }
    pub(crate) fn open_small(_: &Path) -> Result<Self, StoreError> {
        Err("the library is not there yet".into())
    }
}

impl EventStore for Store {
    fn append(&self, _: &[Event], _: &mut Vec<Id>) -> Result<(), StoreError> {
        Err("the library is not there yet".into())
    }
    fn get(&self, _: Id, _: Visit<'_>) -> Result<bool, StoreError> {
        Err("the library is not there yet".into())
    }
    fn stream(&self, _: &str, _: Visit<'_>) -> Result<u64, StoreError> {
        Err("the library is not there yet".into())
    }
    fn tag(&self, _: &str, _: &str, _: Visit<'_>) -> Result<u64, StoreError> {
        Err("the library is not there yet".into())
    }
    fn valid_range(&self, _: i64, _: i64, _: Visit<'_>) -> Result<Option<u64>, StoreError> {
        Err("the library is not there yet".into())
    }
    fn scan(&self, _: Visit<'_>) -> Result<u64, StoreError> {
        Err("the library is not there yet".into())
    }
}
