//! Stands in for parts of the log that are being written. Goes away with them.
#![allow(missing_docs, dead_code)]

use laterbase_event::{DatabaseId, EventView, Hlc, Position, VersionVector};
use laterbase_log::storage::Storage;
use laterbase_log::{
    EventBuffer, Log, LogConfig, LogReader, MaintenanceError, OpenError, ReadError,
};
use std::ops::ControlFlow;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct LogStatistics;
#[derive(Debug)]
pub struct Maintenance;
#[derive(Debug, Clone)]
pub struct LogProblem;
impl std::fmt::Display for LogProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("problem")
    }
}
pub struct Retired {
    pub path: String,
}
pub struct VerifyReport {
    pub problems: Vec<LogProblem>,
}
pub struct VerifyAt {
    pub position: Position,
}
pub struct SnapshotFile {
    pub path: String,
    pub bytes: u64,
    pub immutable: bool,
}
impl Maintenance {
    pub fn step(
        &mut self,
        _: usize,
        _: &mut dyn FnMut(&Retired) -> bool,
    ) -> Result<bool, MaintenanceError> {
        Ok(false)
    }
}
pub trait ReaderInterim {
    fn snapshot_files(&self) -> Vec<SnapshotFile> {
        vec![]
    }
    fn get_with_arrival<'b>(
        &self,
        p: Position,
        b: &'b mut EventBuffer,
    ) -> Result<(EventView<'b>, Hlc), ReadError>;
    fn version_vector(&self) -> VersionVector {
        VersionVector::new()
    }
    fn readable(&self) -> Position {
        Position::NONE
    }
    fn refresh(&self, _: Position) -> Result<(), OpenError> {
        Ok(())
    }
    fn statistics(&self) -> LogStatistics {
        LogStatistics
    }
    fn verify(
        &self,
        _: &mut dyn FnMut(VerifyAt) -> ControlFlow<()>,
    ) -> Result<VerifyReport, ReadError> {
        Ok(VerifyReport { problems: vec![] })
    }
}
impl ReaderInterim for LogReader {
    fn get_with_arrival<'b>(
        &self,
        p: Position,
        b: &'b mut EventBuffer,
    ) -> Result<(EventView<'b>, Hlc), ReadError> {
        let arrival = self.arrival(p)?;
        Ok((self.get(p, b)?, arrival))
    }
}
pub trait LogInterim {
    fn open_read_only(
        _: Arc<dyn Storage>,
        _: &str,
        _: DatabaseId,
        _: LogConfig,
        _: Position,
    ) -> Result<LogReader, OpenError> {
        Err(OpenError::BadConfig { what: "not yet" })
    }
}
impl LogInterim for Log {}
