//! `laterbase serve`: databases over HTTP, in touch with their peers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Args;
use laterbase::sync::Heard;
use laterbase_client::{Background, BackgroundConfig, PeerNotice};
#[cfg(feature = "tokens")]
use laterbase_server::tokens::{Guard, PublicKey};
use laterbase_server::{
    Databases, DatabasesError, Hosted, ListenError, Listening, Server, ServerConfig, check_address,
    check_reach,
};
use serde_json::json;
use tokio::sync::watch;

use super::Context;
use super::bundle;
use super::status;
use super::sync::{line, sync_listed};
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::output::Ink;
use crate::refusals;
use crate::settings::{Given, Plan, Settings};

/// Serve the database over HTTP and keep it in sync with its peers
///
/// The database in DIR is called `default`; folders in it that hold databases are served under
/// their own names. While it runs, other processes can read the databases, and write over HTTP.
/// It ends with Ctrl-C or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    given: Given,
    /// Show what each setting is and where it came from, and serve nothing
    #[arg(long)]
    print_config: bool,
}

/// The threads that keep in touch with peers, by database.
type Backgrounds = BTreeMap<String, Background>;

impl Serve {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let environment = |name: &str| std::env::var_os(name);
        let settings = Settings::gather(&self.given, &environment, context.json())?;
        if self.print_config {
            return print(&settings, context);
        }
        context.everywhere.db.clone_from(&settings.plan.db);
        let address = address(&settings)?;
        let directory = context.directory()?.to_owned();
        let config = Arc::new(server_config(&settings)?);
        check_reach(address, &config).map_err(|error| wrong_address(&settings, &error))?;
        let databases = Databases::open(&directory, &context.options(), &config)
            .map_err(|error| opening(&error))?;
        logging::install(&settings.plan);
        let backgrounds: Arc<Mutex<Backgrounds>> = Arc::default();
        let (told, kept) = (Arc::clone(&backgrounds), Arc::clone(&backgrounds));
        let sync = settings.plan.background.clone();
        let starts = sync.clone();
        let server = Server::of(databases.clone())
            .gossip(Arc::new(move |database: &str, heard: &Heard| {
                if let Some(background) = lock(&told).get(database) {
                    background.hear(heard);
                }
            }))
            .made(Arc::new(move |hosted| keep_in_touch(hosted, &sync, &kept)))
            .peers(Arc::new(|hosted| match &hosted.directory {
                Some(directory) => status::peer_standings(&hosted.database, directory),
                None => Vec::new(),
            }))
            .bundles(Arc::new(|hosted, input| bundle::take_for(&hosted.database, input)))
            .sync_now(Arc::new(|hosted, peer| match &hosted.directory {
                Some(directory) => sync_listed(&hosted.database, directory, peer),
                None => None,
            }));
        let server = context.furnished(server);
        let listening_on = Listening::new(server, address).map_err(|error| listening(&error))?;
        announce(&databases, &listening_on, context)?;
        if is_insecure(&settings.plan) && !listening_on.address().ip().is_loopback() {
            logging::warn_of_the_network();
        }
        for hosted in databases.all() {
            keep_in_touch(&hosted, &starts, &backgrounds);
        }
        let (_stop, told) = watch::channel(false);
        listening_on.run(told);
        let ending = std::mem::take(&mut *lock(&backgrounds));
        ending.values().for_each(Background::end);
        for hosted in databases.all() {
            hosted.database.clone().close().map_err(|error| refusals::closing(&error))?;
        }
        Ok(())
    }
}

/// Shows what each setting is and where it came from.
fn print(settings: &Settings, context: &mut Context) -> Result<(), Failure> {
    if context.json() {
        return context.out.line(settings.to_json());
    }
    context.out.line(settings.to_text().trim_end())
}

/// Where to listen.
fn address(settings: &Settings) -> Result<SocketAddr, Failure> {
    check_address(&settings.plan.listen).map_err(|error| wrong_address(settings, &error))
}

fn wrong_address(settings: &Settings, error: &ListenError) -> Failure {
    Failure::new(Exit::Usage, format_args!("{}: {error}", settings.called("listen")))
}

/// The server's configuration, with what its files hold.
#[cfg_attr(
    not(any(feature = "tls", feature = "tokens")),
    expect(clippy::unnecessary_wraps, reason = "as with encryption and tokens")
)]
fn server_config(settings: &Settings) -> Result<ServerConfig, Failure> {
    let plan = &settings.plan;
    let mut config = plan.server.clone();
    config.rate = plan.rate.to_rate();
    #[cfg(feature = "tls")]
    if let (Some(cert), Some(key)) = (&plan.tls_cert, &plan.tls_key) {
        let tls = laterbase_server::Tls::from_files(cert, key);
        config.tls = Some(tls.map_err(|error| settings.refused("tls_cert", error))?);
    }
    #[cfg(feature = "tokens")]
    if !plan.token_key.is_empty() {
        config.authorizer = Some(Arc::new(guard(settings)?));
    }
    Ok(config)
}

/// Who checks tokens.
#[cfg(feature = "tokens")]
fn guard(settings: &Settings) -> Result<Guard, Failure> {
    let mut keys: Vec<PublicKey> = Vec::new();
    for path in &settings.plan.token_key {
        let key = super::token::text_of(path)?.parse();
        keys.push(key.map_err(|error| {
            settings.refused("token_key", format_args!("{}: {error}", path.display()))
        })?);
    }
    let revoked = settings.plan.revoked.clone();
    Guard::new(keys, revoked).map_err(|error| settings.refused("revoked", error))
}

/// Whether others could read along, or need no token.
fn is_insecure(plan: &Plan) -> bool {
    #[cfg(all(feature = "tls", feature = "tokens"))]
    let is_secure = plan.tls_cert.is_some() && !plan.token_key.is_empty();
    #[cfg(not(all(feature = "tls", feature = "tokens")))]
    let is_secure = false;
    plan.server.insecure_network && !is_secure
}

fn lock(backgrounds: &Mutex<Backgrounds>) -> MutexGuard<'_, Backgrounds> {
    // A map: whole between any two operations.
    backgrounds.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Syncs a database with its peers from now on. One that an embedding program opened itself has no
/// list of them.
fn keep_in_touch(hosted: &Hosted, config: &BackgroundConfig, all: &Mutex<Backgrounds>) {
    let Some(directory) = hosted.directory.clone() else { return };
    let database = hosted.name.clone();
    let background = Background::start(
        hosted.database.clone(),
        directory,
        config.clone(),
        Arc::new(move |notice: &PeerNotice| {
            logging::peer(&database, notice, line(notice, false).trim_end());
        }),
    );
    lock(all).insert(hosted.name.clone(), background);
}

/// Says where the server is, at once: whoever started it waits for that.
fn announce(
    databases: &Databases,
    listening: &Listening,
    context: &mut Context,
) -> Result<(), Failure> {
    let url = listening.url();
    if context.json() {
        let one = |hosted: &Arc<Hosted>| {
            let id = hosted.database.id().to_string();
            json!({ "name": hosted.name, "database": id })
        };
        let databases: Vec<_> = databases.all().iter().map(one).collect();
        context.out.line(json!({ "listening": url, "databases": databases }))?;
    } else {
        let style = context.out.style();
        let url = style.paint(Ink::Name, &url);
        context.out.line(format_args!("listening on {url}"))?;
        for hosted in databases.all() {
            let (name, id) = (style.paint(Ink::Name, &hosted.name), hosted.database.id());
            context.out.line(format_args!("serving {name}, database {id}"))?;
        }
    }
    context.out.flush()
}

fn opening(error: &DatabasesError) -> Failure {
    match error {
        DatabasesError::Missing { .. } => Failure::new(Exit::NotADatabase, error),
        DatabasesError::Directory { source, .. } => {
            use std::io::ErrorKind::{NotADirectory, NotFound};
            let is_missing = matches!(source.kind(), NotFound | NotADirectory);
            let exit = if is_missing { Exit::NotADatabase } else { Exit::Storage };
            Failure::new(exit, error).hint("check the name, or make one with `laterbase init`")
        }
        DatabasesError::Open { directory, source } => refusals::opening(source, directory),
    }
}

fn listening(error: &ListenError) -> Failure {
    match error {
        ListenError::Address { .. } | ListenError::NotLoopback { .. } => {
            Failure::new(Exit::Usage, error)
        }
        // What the program names, and not whoever runs it.
        ListenError::Name { .. } | ListenError::DatabaseName { .. } | ListenError::Twice { .. } => {
            Failure::new(Exit::Internal, error)
        }
        ListenError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            Failure::new(Exit::Locked, error)
                .hint("another program listens there; end it, or name another port with --listen")
        }
        ListenError::Bind { .. } | ListenError::Start(_) => Failure::new(Exit::Storage, error),
    }
}
