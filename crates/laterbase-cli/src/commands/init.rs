//! `laterbase init`: a new, empty database, or a copy of one that is elsewhere.

use std::path::{Path, PathBuf};

use clap::Args;
use laterbase::Database;
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::output::Ink;
use crate::refusals;

/// Make a new, empty database, or join one that is elsewhere
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Its directory, if not given with --db
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Make a copy of the database at this URL, or in this bundle, and fetch its events
    #[cfg(feature = "sync")]
    #[arg(long, value_name = "URL|BUNDLE")]
    join: Option<String>,
    /// Show the token in this file there, and keep it for the syncs to come
    #[cfg(feature = "sync")]
    #[arg(long, value_name = "FILE", requires = "join")]
    token: Option<PathBuf>,
}

impl Init {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        if self.directory.is_some() {
            context.everywhere.db = self.directory;
            #[cfg(feature = "remote")]
            {
                context.everywhere.url = None;
            }
        }
        let directory = context.directory()?.to_owned();
        #[cfg(feature = "sync")]
        if let Some(from) = &self.join {
            return join::run(from, self.token.as_deref(), &directory, context);
        }
        let database = Database::create(&directory, context.options())
            .map_err(|error| refusals::opening(&error, &directory))?;
        let (id, replica) = (database.id(), database.replica());
        database.close().map_err(|error| refusals::closing(&error))?;
        if context.json() {
            return context.out.line(json!({
                "db": directory.display().to_string(),
                "database": id.to_string(),
                "replica": replica.to_string(),
            }));
        }
        said("made an empty database", &directory, context)?;
        context.out.line(format_args!("database {id}, replica {replica}"))
    }
}

fn said(what: &str, directory: &Path, context: &mut Context) -> Result<(), Failure> {
    let style = context.out.style();
    let path = style.paint(Ink::Name, &directory.display().to_string());
    context.out.line(format_args!("{what} in {path}"))
}

/// Joining a database: its id first, then its events.
#[cfg(feature = "sync")]
mod join {
    use std::path::Path;
    use std::time::Duration;

    use laterbase::{Database, DatabaseId};
    use laterbase_client::{HttpWire, Peer, PeerAddress, Peers, TokenFile, WireError};

    use super::super::{Context, bundle, sync};
    use super::said;
    use crate::failure::{Exit, Failure};
    use crate::refusals;

    /// What a copy calls the peer that it was joined from.
    const PEER_NAME: &str = "origin";
    const TIMEOUT: Duration = Duration::from_secs(30);

    pub(super) fn run(
        from: &str,
        token: Option<&Path>,
        directory: &Path,
        context: &mut Context,
    ) -> Result<(), Failure> {
        let token = token.map(sync::token_in).transpose()?;
        if !from.contains("://") && Path::new(from).is_file() {
            let id = bundle::database_of(Path::new(from))?;
            create(directory, id, context)?;
            let done = bundle::ImportBundle { file: from.into() }.run(context);
            let next = format!("import-bundle {from}");
            return done.map_err(|failure| made(failure, &next, directory));
        }
        let address: PeerAddress =
            from.parse().map_err(|error: laterbase_client::AddressError| {
                Failure::new(Exit::Usage, error).hint("--join takes a URL, or a bundle's file")
            })?;
        let wire = HttpWire::new(address.clone(), TIMEOUT).with_token(token.clone());
        let described = wire.describe().map_err(|error| {
            let is_denied = matches!(error, WireError::Refused { status: 401 | 403, .. });
            let hint = if is_denied {
                "pass a token that may read and relay all roots with --token FILE"
            } else {
                "is `laterbase serve` running there?"
            };
            Failure::new(Exit::Peer, format_args!("{address}: {error}")).hint(hint)
        })?;
        let id = described.database.parse().map_err(|_| {
            Failure::new(Exit::Peer, format_args!("{address} does not say which database it is"))
        })?;
        create(directory, id, context)?;
        let added = Peers::read(directory).and_then(|mut peers| {
            peers.add(Peer { name: PEER_NAME.to_owned(), address: address.clone() })
        });
        added.map_err(|error| Failure::new(Exit::Storage, error))?;
        if let Some(token) = &token {
            let kept = TokenFile::new(directory, PEER_NAME).write(token);
            kept.map_err(|error| Failure::new(Exit::Storage, error))?;
        }
        let done = sync::Sync::with(PEER_NAME).run(context);
        done.map_err(|failure| made(failure, "sync", directory))
    }

    /// The copy is there, and a second `init` would be refused: what to go on with instead.
    fn made(failure: Failure, next: &str, directory: &Path) -> Failure {
        let directory = directory.display();
        failure.hint(format_args!(
            "the copy is made, what came is kept; go on with `laterbase {next} --db {directory}`"
        ))
    }

    fn create(directory: &Path, id: DatabaseId, context: &mut Context) -> Result<(), Failure> {
        let database = Database::create_joined(directory, context.options(), id)
            .map_err(|error| refusals::opening(&error, directory))?;
        let replica = database.replica();
        database.close().map_err(|error| refusals::closing(&error))?;
        if context.json() {
            return Ok(());
        }
        said("made a copy", directory, context)?;
        context.out.line(format_args!("database {id}, replica {replica}"))
    }
}
