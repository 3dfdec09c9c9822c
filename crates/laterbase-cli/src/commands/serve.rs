//! `laterbase serve`: databases over HTTP, in touch with their peers.

use std::collections::BTreeMap;
#[cfg(any(feature = "tls", feature = "tokens"))]
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use laterbase::sync::Heard;
use laterbase_client::{Background, BackgroundConfig, PeerNotice};
#[cfg(feature = "tokens")]
use laterbase_server::tokens::{Guard, PublicKey};
use laterbase_server::{
    Databases, DatabasesError, Hosted, ListenError, Listening, Notice, Server, ServerConfig,
    check_address,
};
use serde_json::json;
use tokio::sync::watch;

use super::Context;
use super::bundle;
use super::status;
use super::sync::{line, sync_listed};
use crate::failure::{Exit, Failure};
use crate::output::{self, Ink};
use crate::refusals;

/// Serve the database over HTTP and keep it in sync with its peers
///
/// The database in DIR is called `default`; folders in it that hold databases are served under
/// their own names. While it runs, other processes can read the databases, and write over HTTP.
/// It ends with Ctrl-C or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one. Other addresses than this machine's own need
    /// --tls-cert, --tls-key and --token-key
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7410")]
    listen: String,
    /// Encrypt all connections, with the certificates in this PEM file, the server's first
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, a PEM file
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let other machines in without encryption or tokens: whoever reaches the address may read,
    /// write and listen in
    #[arg(long)]
    insecure_network: bool,
    /// Sync with each peer at least about every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    sync_every: u64,
    /// After a failure, wait for so many seconds at the most before the next try
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    retry_within: u64,
    /// Ask every client for a token that is signed with one of these keys: their public halves
    #[cfg(feature = "tokens")]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    token_key: Vec<PathBuf>,
    /// Refuse the tokens on this list; it is read again when it changes
    #[cfg(feature = "tokens")]
    #[arg(long, value_name = "FILE", requires = "token_key")]
    revoked: Option<PathBuf>,
}

/// The threads that keep in touch with peers, by database.
type Backgrounds = BTreeMap<String, Background>;

impl Serve {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let address = check_address(&self.listen).map_err(|error| listening(&error))?;
        let directory = context.directory()?.to_owned();
        let config = Arc::new(self.config()?);
        let databases = Databases::open(&directory, &context.options(), &config)
            .map_err(|error| opening(&error))?;
        let json = context.json();
        let backgrounds: Arc<Mutex<Backgrounds>> = Arc::default();
        let (told, kept) = (Arc::clone(&backgrounds), Arc::clone(&backgrounds));
        let sync = self.background_config();
        let starts = sync.clone();
        let server = Server::new(
            databases.clone(),
            config,
            Arc::new(move |notice: &Notice| output::complain(&notice_line(notice, json))),
            Arc::new(move |database: &str, heard: &Heard| {
                if let Some(background) = lock(&told).get(database) {
                    background.hear(heard);
                }
            }),
        )
        .with_made(Arc::new(move |hosted| {
            let background = keep_in_touch(hosted, &sync, json);
            lock(&kept).insert(hosted.name.clone(), background);
        }))
        .with_bundles(Arc::new(|hosted, input| bundle::take_for(&hosted.database, input)))
        .with_sync_now(Arc::new(|hosted, peer| {
            sync_listed(&hosted.database, &hosted.directory, peer)
        }))
        .with_peers(Arc::new(|hosted| status::peer_standings(&hosted.database, &hosted.directory)));
        let server = context.furnished(server);
        let listening_on = Listening::new(server, address).map_err(|error| listening(&error))?;
        announce(&databases, &listening_on, context)?;
        if self.is_insecure() && !listening_on.address().ip().is_loopback() {
            output::complain(
                "warning: other machines can read, write and listen in: there are no tokens or no \
                 encryption (--insecure-network)\n",
            );
        }
        for hosted in databases.all() {
            let background = keep_in_touch(&hosted, &starts, json);
            lock(&backgrounds).insert(hosted.name.clone(), background);
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

    #[cfg_attr(
        not(any(feature = "tls", feature = "tokens")),
        expect(clippy::unnecessary_wraps, unused_mut, reason = "as with encryption and tokens")
    )]
    fn config(&self) -> Result<ServerConfig, Failure> {
        let mut config =
            ServerConfig { insecure_network: self.insecure_network, ..ServerConfig::default() };
        #[cfg(feature = "tls")]
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let tls = laterbase_server::Tls::from_files(cert, key);
            config.tls = Some(tls.map_err(|error| Failure::new(Exit::Refused, error))?);
        }
        #[cfg(feature = "tokens")]
        if !self.token_key.is_empty() {
            config.authorizer = Some(Arc::new(self.guard()?));
        }
        Ok(config)
    }

    /// Who checks tokens.
    #[cfg(feature = "tokens")]
    fn guard(&self) -> Result<Guard, Failure> {
        let mut keys: Vec<PublicKey> = Vec::new();
        for path in &self.token_key {
            let key = super::token::text_of(path)?.parse();
            keys.push(key.map_err(|error| {
                Failure::new(Exit::Refused, format_args!("{}: {error}", path.display()))
            })?);
        }
        Guard::new(keys, self.revoked.clone()).map_err(|error| Failure::new(Exit::Refused, error))
    }

    /// Whether others could read along, or need no token.
    fn is_insecure(&self) -> bool {
        #[cfg(all(feature = "tls", feature = "tokens"))]
        let is_secure = self.tls_cert.is_some() && !self.token_key.is_empty();
        #[cfg(not(all(feature = "tls", feature = "tokens")))]
        let is_secure = false;
        self.insecure_network && !is_secure
    }

    fn background_config(&self) -> BackgroundConfig {
        BackgroundConfig {
            interval: Duration::from_secs(self.sync_every.max(1)),
            backoff_most: Duration::from_secs(self.retry_within.max(1)),
            ..BackgroundConfig::default()
        }
    }
}

fn lock(backgrounds: &Mutex<Backgrounds>) -> MutexGuard<'_, Backgrounds> {
    // A map: whole between any two operations.
    backgrounds.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Syncs a database with its peers from now on.
fn keep_in_touch(hosted: &Hosted, config: &BackgroundConfig, json: bool) -> Background {
    Background::start(
        hosted.database.clone(),
        hosted.directory.clone(),
        config.clone(),
        Arc::new(move |notice: &PeerNotice| output::complain(&line(notice, json))),
    )
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

fn notice_line(notice: &Notice, json: bool) -> String {
    if json {
        let peer = notice.peer.map(|peer| peer.to_string());
        let (database, text) = (&notice.database, notice.to_string());
        return format!("{}\n", json!({ "database": database, "peer": peer, "notice": text }));
    }
    format!("{notice}\n")
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
        ListenError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            Failure::new(Exit::Locked, error)
                .hint("another program listens there; end it, or name another port with --listen")
        }
        ListenError::Bind { .. } | ListenError::Start(_) => Failure::new(Exit::Storage, error),
    }
}
