//! `laterbase peer`: whom this copy keeps in touch with.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use laterbase_client::{ContactFile, Peer, PeerError, Peers, PeersError, TokenFile};
use serde_json::json;

use super::Context;
use super::sync::token_in;
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::table::{Column, Table};

/// Add, remove and list the copies to sync with
///
/// The list is the file `peers` in the database's directory. A running `laterbase serve` follows
/// it within a second.
#[derive(Debug, Args)]
pub(crate) struct PeerCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a peer
    Add {
        /// What to call it: a-z, 0-9, - and _
        #[arg(value_name = "NAME")]
        name: String,
        /// Where it is: http://HOST:PORT, or http://HOST:PORT/db/NAME
        #[arg(value_name = "URL")]
        url: String,
        /// Keep the token in this file, and show it to the peer
        #[arg(long, value_name = "FILE")]
        token: Option<PathBuf>,
    },
    /// Remove a peer; what came from it stays
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List the peers
    List,
}

const COLUMNS: [Column; 3] = [
    Column::whole("peer", Ink::Name),
    Column::text("address", 20, Ink::Plain),
    Column::whole("synced", Ink::Plain),
];

impl PeerCommand {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        context.check_directory()?;
        match &self.action {
            Action::Add { name, url, token } => add(name, url, token.as_deref(), context),
            Action::Remove { name } => remove(name, context),
            Action::List => list(context),
        }
    }
}

fn add(name: &str, url: &str, token: Option<&Path>, context: &mut Context) -> Result<(), Failure> {
    let token = token.map(token_in).transpose()?;
    let peer = Peer::new(name, url).map_err(|error| refused(&error))?;
    let address = peer.address.to_string();
    let mut peers = read(context)?;
    if let Some(token) = token.filter(|_| peers.find(name).is_none()) {
        // First, so that a running `serve` finds it when it finds the peer.
        let file = TokenFile::new(context.directory()?, name);
        file.write(&token).map_err(|error| Failure::new(Exit::Storage, error))?;
    }
    peers.add(peer).map_err(|error| failed(&error))?;
    if context.json() {
        return context.out.line(json!({ "added": name, "address": address }));
    }
    let name = context.out.style().paint(Ink::Name, name);
    context.out.line(format_args!("added {name} at {address}"))
}

fn remove(name: &str, context: &mut Context) -> Result<(), Failure> {
    let mut peers = read(context)?;
    if !peers.remove(name).map_err(|error| failed(&error))? {
        return Err(unknown(name, &peers));
    }
    ContactFile::new(context.directory()?, name).remove();
    let token = TokenFile::new(context.directory()?, name);
    token.remove().map_err(|error| Failure::new(Exit::Storage, error))?;
    if context.json() {
        return context.out.line(json!({ "removed": name }));
    }
    let name = context.out.style().paint(Ink::Name, name);
    context.out.line(format_args!("removed {name}"))
}

fn list(context: &mut Context) -> Result<(), Failure> {
    let peers = read(context)?;
    let clock = context.clock();
    let contact = |peer: &Peer| -> Result<_, Failure> {
        Ok(ContactFile::new(context.directory()?, &peer.name).read())
    };
    let all: Vec<_> =
        peers.iter().map(|peer| Ok((peer, contact(peer)?))).collect::<Result<_, Failure>>()?;
    if context.json() {
        let one = |(peer, contact): &(&Peer, laterbase_client::Contact)| {
            json!({
                "peer": peer.name,
                "address": peer.address.to_string(),
                "replica": contact.replica,
                "synced": contact.synced_ms.map(|at| clock.format(micros(at))),
            })
        };
        let document = json!({ "peers": all.iter().map(one).collect::<Vec<_>>() });
        return context.out.line(document);
    }
    if all.is_empty() {
        return context.out.line("no peers; add one with `laterbase peer add NAME URL`");
    }
    let mut table = Table::new(&COLUMNS);
    for (peer, contact) in all {
        let synced = contact.synced_ms.map(|at| clock.format_short(micros(at)));
        let synced = synced.unwrap_or_else(|| "never".to_owned());
        let row = vec![peer.name.clone(), peer.address.to_string(), synced];
        table.row(row, &mut context.out)?;
    }
    table.release(&mut context.out)
}

/// The peers of the database that was named.
pub(super) fn read(context: &Context) -> Result<Peers, Failure> {
    Peers::read(context.directory()?).map_err(|error| failed(&error))
}

/// There is no peer of this name.
pub(super) fn unknown(name: &str, peers: &Peers) -> Failure {
    let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
    let hint = match names.as_slice() {
        [] => "there are none; add one with `laterbase peer add NAME URL`".to_owned(),
        names => format!("the peers are {}", names.join(", ")),
    };
    Failure::new(Exit::NotFound, format_args!("no peer `{name}`")).hint(hint)
}

/// Milliseconds as microseconds.
pub(super) fn micros(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1_000)
}

fn refused(error: &PeerError) -> Failure {
    let exit = match error {
        PeerError::Taken { .. } | PeerError::SameAddress { .. } => Exit::AlreadyExists,
        PeerError::Name { .. } | PeerError::Address(_) | PeerError::Words => Exit::Usage,
    };
    Failure::new(exit, error)
}

fn failed(error: &PeersError) -> Failure {
    match error {
        PeersError::Peer(error) => refused(error),
        PeersError::File { .. } => Failure::new(Exit::Storage, error),
        PeersError::Newer { .. } => Failure::new(Exit::NewerFormat, error),
        PeersError::Header { .. } | PeersError::Line { .. } => Failure::new(Exit::Refused, error),
    }
}
