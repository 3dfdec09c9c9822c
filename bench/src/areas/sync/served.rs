//! A server in this process, and replicas that sync with it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use laterbase::sync::{PeerMemory, Replica, SessionConfig};
use laterbase::{Database, Options};
use laterbase_client::{HttpWire, PeerAddress, Report, drive};
use laterbase_server::{DEFAULT_DATABASE, Listening, Notice, Server, check_address};
use laterbase_sync::MemoryReplica;
use tokio::sync::watch;

use crate::error::StoreError;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A database behind HTTP, until it is dropped.
pub(super) struct Served {
    pub(super) database: Database,
    address: PeerAddress,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves an open database on a free port.
    pub(super) fn new(database: Database) -> Result<Self, StoreError> {
        let say = |notice: &Notice| eprintln!("server: {notice}");
        let server = Server::new(database.clone()).notices(Arc::new(say));
        let listening = Listening::new(server, check_address("127.0.0.1:0")?)?;
        let address = PeerAddress::new(listening.address(), DEFAULT_DATABASE);
        let (stop, told) = watch::channel(false);
        let thread = std::thread::spawn(move || listening.run(told));
        Ok(Self { database, address, stop, thread: Some(thread) })
    }

    /// An empty replica in `folder`.
    pub(super) fn join(&self, folder: &Path, options: Options) -> Result<Database, StoreError> {
        Ok(Database::create_joined(folder, options, self.database.id())?)
    }

    /// Syncs a replica until both hold the same, over a connection of its own.
    pub(super) fn sync(&self, replica: &Database, meeting: Meeting) -> Result<Report, StoreError> {
        self.sync_as(replica, meeting, &SessionConfig::default())
    }

    /// The same with a configuration.
    pub(super) fn sync_as(
        &self,
        replica: &Database,
        meeting: Meeting,
        config: &SessionConfig,
    ) -> Result<Report, StoreError> {
        let mut port = replica.sync_port()?;
        let memory = match meeting {
            Meeting::Again => port.recall(self.database.replica()),
            Meeting::Strangers => None,
        };
        self.drive(&mut port, memory, config)
    }

    /// Pushes what a replica in memory holds.
    pub(super) fn fill(&self, replica: &mut MemoryReplica) -> Result<(), StoreError> {
        self.drive(replica, None, &SessionConfig::default()).map(|_| ())
    }

    fn drive<R: Replica>(
        &self,
        port: &mut R,
        memory: Option<PeerMemory>,
        config: &SessionConfig,
    ) -> Result<Report, StoreError> {
        let mut wire = HttpWire::new(self.address.clone(), TIMEOUT);
        let mut report = Report::default();
        drive(port, &mut wire, config, memory, &mut report, &mut |_| {})?;
        if report.lacked_here + report.lacked_there > 0 {
            let (here, there) = (report.lacked_here, report.lacked_there);
            return Err(format!("after a sync {here} events lack here and {there} there").into());
        }
        Ok(report)
    }
}

/// What a replica remembers of the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meeting {
    /// What it learned in its last session.
    Again,
    /// Nothing.
    Strangers,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
