//! A server as a program puts it together, before it listens.

use std::fmt;
use std::sync::Arc;

use laterbase::{Aggregate, Candidate, Database, NameError, RootName, Validators, View};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::bundles::{BundleRefused, TakeBundle};
use crate::config::ServerConfig;
use crate::databases::Databases;
use crate::folds::Folds;
use crate::listen::{ListenError, Listening, check_address};
use crate::names::{DEFAULT_DATABASE, is_database_name};
use crate::notice::Notices;
use crate::peers::{Peers, SyncNow};
use crate::routes::{Gossip, Made, Shared};

/// A server that does not listen yet.
///
/// Names that are given here are looked at when it listens: [`ListenError::Name`],
/// [`ListenError::DatabaseName`], [`ListenError::Twice`].
///
/// ```no_run
/// use laterbase::{Aggregate, ApplyError, Database, FoldEvent, Options, Query, View};
/// use laterbase_server::Server;
///
/// #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// struct Shipment { events: u64 }
///
/// impl Aggregate for Shipment {
///     fn apply(&mut self, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
///         self.events += 1;
///         Ok(())
///     }
/// }
///
/// /// What is on which truck.
/// #[derive(Clone, Default)]
/// struct Board;
///
/// impl View for Board {
///     type Row = Vec<String>;
///
///     fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
///         event.tags().filter(|(root, _)| *root == "truck").for_each(|(_, key)| touch(key));
///     }
///
///     fn apply(
///         &self,
///         row: &mut Vec<String>,
///         _: &str,
///         event: &FoldEvent<'_>,
///     ) -> Result<(), ApplyError> {
///         row.push(event.key().to_owned());
///         Ok(())
///     }
/// }
///
/// let database = Database::open("shipments", Options::default())?;
/// Server::new(database)
///     .aggregate::<Shipment>("shipment")
///     .view::<Board>("board")
///     .validator(|event| match event.key {
///         None if event.root == "shipment" => Err("a shipment has a number".to_owned()),
///         Some(_) | None => Ok(()),
///     })
///     .serve("127.0.0.1:7410")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    databases: Databases,
    /// Those that the program opened, by the names that it gave them.
    opened: Vec<(String, Database)>,
    validators: Validators,
    parts: Parts,
    /// The first name that is none.
    mistake: Option<ListenError>,
}

/// What a server is made of beside its databases.
pub(crate) struct Parts {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) notices: Notices,
    pub(crate) gossip: Gossip,
    pub(crate) peers: Peers,
    pub(crate) sync_now: SyncNow,
    pub(crate) take_bundle: TakeBundle,
    pub(crate) made: Made,
    pub(crate) folds: Folds,
}

impl Server {
    /// A server of one database, which is called `default`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self::of(Databases::default()).database(DEFAULT_DATABASE, database)
    }

    /// A server of the databases in a directory, in which clients may make more. It goes by the
    /// configuration that they were opened with.
    #[must_use]
    pub fn of(databases: Databases) -> Self {
        let parts = Parts {
            config: Arc::clone(databases.config()),
            notices: Arc::new(|_| {}),
            gossip: Arc::new(|_, _| {}),
            peers: Arc::new(|_| Vec::new()),
            sync_now: Arc::new(|_, peer| peer.is_none().then(Vec::new)),
            take_bundle: Arc::new(|_, _| {
                Err(BundleRefused::Wrong("this server takes no bundles in".to_owned()))
            }),
            made: Arc::new(|_| {}),
            folds: Folds::default(),
        };
        let validators = Validators::default();
        Self { databases, opened: Vec::new(), validators, parts, mistake: None }
    }

    /// Serves another database, too, under a name of its own.
    #[must_use]
    pub fn database(mut self, name: &str, database: Database) -> Self {
        let is_taken = self.opened.iter().any(|(taken, _)| taken == name)
            || self.databases.get(name).is_some();
        let name = name.to_owned();
        if !is_database_name(&name) {
            self.mistake.get_or_insert(ListenError::DatabaseName { name });
        } else if is_taken {
            self.mistake.get_or_insert(ListenError::Twice { name });
        } else {
            self.opened.push((name, database));
        }
        self
    }

    /// How it behaves; the default if not given. Sync sessions of databases in a directory keep to
    /// the configuration that these were opened with.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<ServerConfig>>) -> Self {
        self.parts.config = config.into();
        self
    }

    /// Shows the aggregates of a root: `GET /db/{db}/a/{root}` and `…/{root}/{key}`, for every
    /// database. Their states are kept on disk ([`Projection::kept`], as `a-ROOT`), and brought up
    /// to what the log holds in the background when the server begins.
    ///
    /// [`Projection::kept`]: laterbase::Projection::kept
    #[must_use]
    pub fn aggregate<A: Aggregate + Serialize + DeserializeOwned>(mut self, root: &str) -> Self {
        if let Some(root) = self.checked(root) {
            self.parts.folds.name_aggregate::<A>(root);
        }
        self
    }

    /// Shows a view: `GET /db/{db}/v/{name}`, for every database. Its rows are kept on disk
    /// ([`Projection::kept`], as `v-NAME`), and brought up to what the log holds in the background
    /// when the server begins; meanwhile those of another version answer, if there are any.
    ///
    /// [`Projection::kept`]: laterbase::Projection::kept
    #[must_use]
    pub fn view<V>(self, name: &str) -> Self
    where
        V: View<Row: Serialize + DeserializeOwned> + Clone + Default,
    {
        self.view_of(name, V::default())
    }

    /// Shows a view that is made with something.
    #[must_use]
    pub fn view_of<V>(mut self, name: &str, view: V) -> Self
    where
        V: View<Row: Serialize + DeserializeOwned> + Clone,
    {
        if self.checked(name).is_some() {
            self.parts.folds.name_view(name.to_owned(), view);
        }
        self
    }

    /// Looks at every event of every database before it is recorded, whether a client writes it
    /// or a peer brings it: as [`Database::add_validators`], from when it listens.
    #[must_use]
    pub fn validator(
        mut self,
        check: impl Fn(&Candidate<'_>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.validators = self.validators.with(check);
        self
    }

    /// Tells notices to somebody; `tracing` is told of them in any case.
    #[must_use]
    pub fn notices(mut self, notices: Notices) -> Self {
        self.parts.notices = notices;
        self
    }

    /// With somebody who takes what peers announced.
    #[must_use]
    pub fn gossip(mut self, gossip: Gossip) -> Self {
        self.parts.gossip = gossip;
        self
    }

    /// With somebody who knows of peers, for descriptions and metrics.
    #[must_use]
    pub fn peers(mut self, peers: Peers) -> Self {
        self.parts.peers = peers;
        self
    }

    /// With somebody who syncs with peers when a client asks for it.
    #[must_use]
    pub fn sync_now(mut self, sync_now: SyncNow) -> Self {
        self.parts.sync_now = sync_now;
        self
    }

    /// With somebody who takes bundles in.
    #[must_use]
    pub fn bundles(mut self, take: TakeBundle) -> Self {
        self.parts.take_bundle = take;
        self
    }

    /// With somebody who takes care of databases that clients make, such as by syncing them.
    #[must_use]
    pub fn made(mut self, made: Made) -> Self {
        self.parts.made = made;
        self
    }

    /// Listens on an address, `HOST:PORT`, and answers until the process is told to end (SIGINT,
    /// SIGTERM). [`Listening`] lets a program do so step by step.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn serve(self, address: &str) -> Result<(), ListenError> {
        let listening = Listening::new(self, check_address(address)?)?;
        let (_stop, told) = watch::channel(false);
        listening.run(told);
        Ok(())
    }

    /// The name of a root or view, or nothing: the mistake is told later.
    fn checked(&mut self, name: &str) -> Option<RootName> {
        let wrong = |why: NameError| ListenError::Name { name: name.to_owned(), why };
        match RootName::try_from(name).map_err(wrong) {
            Ok(name) => Some(name),
            Err(mistake) => {
                self.mistake.get_or_insert(mistake);
                None
            }
        }
    }

    pub(crate) fn server_config(&self) -> &ServerConfig {
        &self.parts.config
    }

    /// What all requests share from now on.
    pub(crate) fn into_shared(self) -> Result<Arc<Shared>, ListenError> {
        let Self { databases, opened, validators, parts, mistake } = self;
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        databases.demand(&validators);
        for (name, database) in opened {
            databases.add_with(name, None, database, &parts.config);
        }
        let shared = Arc::new(Shared::new(databases, parts));
        for hosted in shared.databases.all() {
            shared.folds.begin(&hosted, &shared.notices);
        }
        Ok(shared)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server").field("databases", &self.databases).finish_non_exhaustive()
    }
}
