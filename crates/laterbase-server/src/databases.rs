//! The databases that a server has: one in its directory, and more in folders of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use laterbase::{Database, DatabaseId, OpenError, Options, Position, ReplicaId, Validators};
use tokio::sync::watch;

use crate::config::ServerConfig;
use crate::desk::{Desk, Host};
use crate::metrics::DatabaseMetrics;
use crate::names::{DEFAULT_DATABASE, is_database_name};
use crate::news::Newsroom;

/// A database and what the server does with it.
#[derive(Debug)]
pub struct Hosted {
    /// Its name in paths.
    pub name: String,
    /// Where it is, if the server was told.
    pub directory: Option<PathBuf>,
    /// The database.
    pub database: Database,
    pub(crate) desk: Desk<Database>,
    /// Changes whenever something was flushed.
    pub(crate) news: Arc<watch::Sender<Position>>,
    /// Peers with live connections, and how many.
    pub(crate) live: Mutex<BTreeMap<ReplicaId, usize>>,
    pub(crate) metrics: DatabaseMetrics,
    _newsroom: Newsroom,
}

/// All databases of a server, by name: a handle to clone. Databases are added while it serves.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    by_name: Arc<RwLock<BTreeMap<String, Arc<Hosted>>>>,
    config: Arc<ServerConfig>,
    /// Who looks at the events of all of them.
    validators: Arc<RwLock<Validators>>,
    /// Where new ones are made, and how; none if the server was given open databases only.
    nursery: Option<Arc<Nursery>>,
}

/// Where databases are made, and how. One at a time.
#[derive(Debug)]
struct Nursery {
    directory: PathBuf,
    options: Options,
    making: Mutex<()>,
}

/// A database was not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The server has no directory.
    #[error("this server has no directory to make databases in")]
    NoDirectory,
    /// The name is taken by a database with another id.
    #[error("`{name}` has the id {id}")]
    OtherId {
        /// The name.
        name: String,
        /// The id that it has.
        id: DatabaseId,
    },
    /// There are as many as there may be.
    #[error("there are {max} databases, and no more may be made here")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// It cannot be opened or made.
    #[error("cannot make {}: {source}", directory.display())]
    Open {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: OpenError,
    },
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
        let nursery = Nursery {
            directory: directory.to_owned(),
            options: options.clone(),
            making: Mutex::default(),
        };
        let databases = Self {
            nursery: Some(Arc::new(nursery)),
            config: Arc::clone(config),
            ..Self::default()
        };
        for (name, directory) in found {
            let database = Database::open(&directory, options.clone())
                .map_err(|source| DatabasesError::Open { directory: directory.clone(), source })?;
            databases.add(name, directory, database);
        }
        if databases.all().is_empty() {
            return Err(DatabasesError::Missing { directory: directory.to_owned() });
        }
        Ok(databases)
    }

    /// Adds a database that is open, and says where it is.
    pub fn add(&self, name: String, directory: PathBuf, database: Database) -> Arc<Hosted> {
        self.add_with(name, Some(directory), database, &self.config)
    }

    /// The configuration that they were opened with.
    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Has these look at the events of all databases, those that are still to come, too.
    pub(crate) fn demand(&self, validators: &Validators) {
        let mut known = self.validators.write().unwrap_or_else(PoisonError::into_inner);
        *known = std::mem::take(&mut *known).and(validators);
        for hosted in self.all() {
            hosted.database.add_validators(validators);
        }
    }

    pub(crate) fn add_with(
        &self,
        name: String,
        directory: Option<PathBuf>,
        database: Database,
        config: &Arc<ServerConfig>,
    ) -> Arc<Hosted> {
        // Held until it is among them: one that comes with others' demands misses none.
        let validators = self.validators.read().unwrap_or_else(PoisonError::into_inner);
        database.add_validators(&validators);
        let desk = Desk::new(database.clone(), Arc::clone(config));
        let news = Arc::new(watch::Sender::new(Position::NONE));
        let newsroom = Newsroom::open(&database, &news);
        let hosted = Arc::new(Hosted {
            name: name.clone(),
            directory,
            database,
            desk,
            news,
            live: Mutex::default(),
            metrics: DatabaseMetrics::default(),
            _newsroom: newsroom,
        });
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name, Arc::clone(&hosted));
        hosted
    }

    /// The database of this name, made if there is none; `true` if it was. With an id it becomes
    /// an empty copy of the database of that id.
    ///
    /// # Errors
    /// [`MakeError`].
    pub fn make(
        &self,
        name: &str,
        id: Option<DatabaseId>,
    ) -> Result<(Arc<Hosted>, bool), MakeError> {
        if let Some(hosted) = self.get(name) {
            return same(hosted, id).map(|hosted| (hosted, false));
        }
        let nursery = self.nursery.as_ref().ok_or(MakeError::NoDirectory)?;
        let _alone = nursery.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hosted) = self.get(name) {
            return same(hosted, id).map(|hosted| (hosted, false));
        }
        let (count, max) = (self.all().len(), self.config.databases_max);
        if count >= max {
            return Err(MakeError::TooMany { max });
        }
        let directory = match name {
            DEFAULT_DATABASE => nursery.directory.clone(),
            _ => nursery.directory.join(name),
        };
        let options = nursery.options.clone();
        let made = match id {
            Some(id) => Database::create_joined(&directory, options, id),
            None => Database::create(&directory, options),
        };
        let database =
            made.map_err(|source| MakeError::Open { directory: directory.clone(), source })?;
        Ok((self.add(name.to_owned(), directory, database), true))
    }

    /// The database of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Hosted>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Hosted>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.values().cloned().collect()
    }
}

fn same(hosted: Arc<Hosted>, id: Option<DatabaseId>) -> Result<Arc<Hosted>, MakeError> {
    let actual = hosted.database.id();
    if id.is_some_and(|id| id != actual) {
        return Err(MakeError::OtherId { name: hosted.name.clone(), id: actual });
    }
    Ok(hosted)
}

fn is_database(directory: &Path) -> bool {
    directory.join("identity").is_file()
}
