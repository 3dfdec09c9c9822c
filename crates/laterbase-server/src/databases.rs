//! The databases that a server has: one in its directory, and more in folders of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use laterbase::{Database, OpenError, Options, Position, ReplicaId};
use tokio::sync::watch;

use crate::config::ServerConfig;
use crate::desk::{Desk, Host};
use crate::names::{DEFAULT_DATABASE, is_database_name};

/// A database and what the server does with it.
#[derive(Debug)]
pub struct Hosted {
    /// Its name in paths.
    pub name: String,
    /// Where it is.
    pub directory: PathBuf,
    /// The database.
    pub database: Database,
    pub(crate) desk: Desk<Database>,
    /// Changes whenever something was flushed.
    pub(crate) news: Arc<watch::Sender<Position>>,
    /// Peers with live connections, and how many.
    pub(crate) live: Mutex<BTreeMap<ReplicaId, usize>>,
    ended: Arc<AtomicBool>,
}

/// How often the thread that waits for news looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(500);

/// All databases of a server, by name.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    by_name: BTreeMap<String, Arc<Hosted>>,
}

/// A server's databases cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabasesError {
    /// There is none.
    #[error("there is no database in {}: make one with `laterbase init`", directory.display())]
    Missing {
        /// Where.
        directory: PathBuf,
    },
    /// The directory cannot be listed.
    #[error("cannot list {}: {source}", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of them cannot be opened.
    #[error("cannot open {}: {source}", directory.display())]
    Open {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: OpenError,
    },
}

impl Host for Database {
    type Port = laterbase::sync::SyncPort;

    fn port(&self) -> Result<Self::Port, String> {
        self.sync_port().map_err(|error| error.to_string())
    }
}

impl Databases {
    /// Opens the database in `directory`, as `default`, and each one in a folder of it whose name
    /// is that of a database.
    ///
    /// # Errors
    /// [`DatabasesError`] if there is none, or one of them cannot be opened.
    pub fn open(
        directory: &Path,
        options: &Options,
        config: &Arc<ServerConfig>,
    ) -> Result<Self, DatabasesError> {
        let mut found = BTreeMap::new();
        if is_database(directory) {
            found.insert(DEFAULT_DATABASE.to_owned(), directory.to_owned());
        }
        let failed = |source| DatabasesError::Directory { directory: directory.to_owned(), source };
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_database_name(&name) && is_database(&entry.path()) {
                found.entry(name).or_insert_with(|| entry.path());
            }
        }
        let mut databases = Self::default();
        for (name, directory) in found {
            let database = Database::open(&directory, options.clone())
                .map_err(|source| DatabasesError::Open { directory: directory.clone(), source })?;
            databases.add(name, directory, database, config);
        }
        if databases.by_name.is_empty() {
            return Err(DatabasesError::Missing { directory: directory.to_owned() });
        }
        Ok(databases)
    }

    /// Adds a database that is open.
    pub fn add(
        &mut self,
        name: String,
        directory: PathBuf,
        database: Database,
        config: &Arc<ServerConfig>,
    ) {
        let desk = Desk::new(database.clone(), Arc::clone(config));
        let (news, ended) = (Arc::new(watch::Sender::new(Position::NONE)), Arc::default());
        watch_for_news(&database, &news, &ended);
        let hosted = Hosted {
            name: name.clone(),
            directory,
            database,
            desk,
            news,
            live: Mutex::default(),
            ended,
        };
        self.by_name.insert(name, Arc::new(hosted));
    }

    /// The database of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Hosted>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Hosted>> {
        self.by_name.values()
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Has live sessions told of what was flushed. Without a thread they learn of it a little later.
fn watch_for_news(
    database: &Database,
    news: &Arc<watch::Sender<Position>>,
    ended: &Arc<AtomicBool>,
) {
    let (database, news, ended) = (database.clone(), Arc::clone(news), Arc::clone(ended));
    let watching = std::thread::Builder::new().name("laterbase-news".to_owned()).spawn(move || {
        let mut before = Position::NONE;
        while !ended.load(Ordering::Relaxed) {
            let Some(flushed) = database.wait_for_flushed(before, LOOK) else { return };
            if flushed > before {
                before = flushed;
                news.send_replace(flushed);
            }
        }
    });
    drop(watching);
}

fn is_database(directory: &Path) -> bool {
    directory.join("identity").is_file()
}
