//! `laterbase status`: how far this copy and its peers are apart.

use std::collections::BTreeMap;

use clap::Args;
use laterbase::sync::Heads;
use laterbase::{Database, Query, VersionVector};
#[cfg(feature = "server")]
use laterbase_client::Peers;
use laterbase_client::{Contact, ContactFile, Peer};
use serde_json::{Value, json};

use super::Context;
use super::peer::{micros, read};
use super::stats::{counted, grouped, size};
use crate::failure::Failure;
use crate::output::Ink;
use crate::refusals;
use crate::show::tx_micros;
use crate::table::{Column, Table};

/// Show how far this copy and its peers are apart
///
/// As of the last contact with each of them, and of what is recorded here by now.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Show each log that a peer lacks a part of
    #[arg(long)]
    logs: bool,
}

/// What is known of one peer now.
struct Standing {
    peer: Peer,
    contact: Contact,
    /// Events that it lacks, by root and log.
    lacks: BTreeMap<(String, String), u64>,
    /// When the first event that it lacks was recorded, in microseconds since 1970.
    behind_since: Option<i64>,
}

const COLUMNS: [Column; 9] = [
    Column::whole("peer", Ink::Name),
    Column::whole("synced", Ink::Plain),
    Column::whole("they lack", Ink::Plain),
    Column::whole("since", Ink::Plain),
    Column::whole("we lack", Ink::Plain),
    Column::whole("in", Ink::Plain),
    Column::whole("out", Ink::Plain),
    Column::whole("trips", Ink::Plain),
    Column::text("trouble", 12, Ink::Bad),
];

const LOG_COLUMNS: [Column; 4] = [
    Column::whole("peer", Ink::Name),
    Column::whole("root", Ink::Plain),
    Column::whole("log", Ink::Plain),
    Column::whole("they lack", Ink::Plain),
];

impl Status {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let database = context.open_read_only()?;
        let heads = database.log_heads().map_err(|error| refusals::reading(&error))?;
        let all = standings(&database, &heads, context)?;
        let (id, replica) = (database.id(), database.replica());
        let events = database.event_count().map_err(|error| refusals::reading(&error))?;
        #[cfg(feature = "query")]
        let (schema_line, schema) = super::schema::status_of(&database)?;
        if context.json() {
            let peers: Vec<Value> =
                all.iter().map(|standing| self.document(standing, context)).collect();
            #[cfg_attr(not(feature = "query"), expect(unused_mut, reason = "there is no schema"))]
            let mut document = json!({
                "database": id.to_string(),
                "replica": replica.to_string(),
                "events": events,
                "logs": heads.len(),
                "peers": peers,
            });
            #[cfg(feature = "query")]
            if let Some(members) = document.as_object_mut() {
                members.insert("schema".to_owned(), schema);
            }
            return context.out.line(document);
        }
        let style = context.out.style();
        for (name, value) in [
            ("database", id.to_string()),
            ("replica", replica.to_string()),
            ("events", format!("{} in {}", grouped(events), counted(heads.len() as u64, "log"))),
            #[cfg(feature = "query")]
            ("schema", schema_line),
        ] {
            let name = style.paint(Ink::Faint, &format!("{name:<9}"));
            context.out.line(format_args!("{name}  {value}"))?;
        }
        if all.is_empty() {
            return context.out.line("no peers; add one with `laterbase peer add NAME URL`");
        }
        context.out.line("")?;
        peers_table(&all, context)?;
        if self.logs { logs_table(&all, context) } else { Ok(()) }
    }

    fn document(&self, standing: &Standing, context: &Context) -> Value {
        let contact = &standing.contact;
        let clock = context.clock();
        let time = |at: Option<u64>| at.map(|at| clock.format(micros(at)));
        let mut document = json!({
            "peer": standing.peer.name,
            "address": standing.peer.address.to_string(),
            "replica": contact.replica,
            "synced": time(contact.synced_ms),
            "tried": time(contact.tried_ms),
            "error": contact.error,
            "they_lack": standing.lacks.values().sum::<u64>(),
            "they_lack_since": standing.behind_since.map(|at| clock.format(at)),
            "validators_differ": contact.validators_differ,
            "we_lack": contact.lacked_here,
            "syncs": contact.syncs,
            "round_trips": contact.round_trips,
            "events_in": contact.events_in,
            "events_out": contact.events_out,
            "bytes_in": contact.bytes_in,
            "bytes_out": contact.bytes_out,
        });
        if self.logs {
            let one = |((root, log), lacking): (&(String, String), &u64)| {
                let lacking = *lacking;
                json!({ "root": root, "log": log, "they_lack": lacking })
            };
            let logs: Vec<Value> = standing.lacks.iter().map(one).collect();
            if let Some(document) = document.as_object_mut() {
                document.insert("logs".to_owned(), Value::from(logs));
            }
        }
        document
    }
}

fn standings(
    database: &Database,
    heads: &Heads,
    context: &Context,
) -> Result<Vec<Standing>, Failure> {
    let peers = read(context)?;
    let standing = |peer: &Peer| -> Result<Standing, Failure> {
        let contact = ContactFile::new(context.directory()?, &peer.name).read();
        let lacks = contact.lacks(heads);
        let behind_since =
            if lacks.is_empty() { None } else { first_unknown(database, contact.vector())? };
        Ok(Standing { peer: peer.clone(), contact, lacks, behind_since })
    };
    peers.iter().map(standing).collect()
}

/// How far each listed peer and a database are apart, for the server's descriptions and metrics.
#[cfg(feature = "server")]
pub(super) fn peer_standings(
    database: &Database,
    directory: &std::path::Path,
) -> Vec<laterbase_server::PeerStanding> {
    let (Ok(heads), Ok(peers)) = (database.log_heads(), Peers::read(directory)) else {
        return Vec::new();
    };
    let standing = |peer: &Peer| {
        let contact = ContactFile::new(directory, &peer.name).read();
        laterbase_server::PeerStanding {
            name: peer.name.clone(),
            replica: contact.replica.clone(),
            they_lack: contact.lacks(&heads).values().sum(),
            we_lack: contact.lacked_here,
            trouble: contact.error.clone(),
        }
    };
    peers.iter().map(standing).collect()
}

/// When the first event outside a version vector was recorded.
fn first_unknown(database: &Database, vector: VersionVector) -> Result<Option<i64>, Failure> {
    let query = Query::all().unknown_to(vector).limit(1);
    let mut events = database.read(&query).map_err(|error| refusals::reading(&error))?;
    let first = events.next().transpose().map_err(|error| refusals::reading(&error))?;
    Ok(first.as_ref().map(tx_micros))
}

fn peers_table(all: &[Standing], context: &mut Context) -> Result<(), Failure> {
    let clock = context.clock();
    let mut table = Table::new(&COLUMNS);
    for Standing { peer, contact, lacks, behind_since } in all {
        let synced = contact.synced_ms.map(|at| clock.format_short(micros(at)));
        let row = vec![
            peer.name.clone(),
            synced.unwrap_or_else(|| "never".to_owned()),
            grouped(lacks.values().sum()),
            behind_since.map(|at| clock.format_short(at)).unwrap_or_default(),
            grouped(contact.lacked_here),
            size(contact.bytes_in),
            size(contact.bytes_out),
            grouped(contact.round_trips),
            trouble(contact),
        ];
        table.row(row, &mut context.out)?;
    }
    table.release(&mut context.out)
}

fn trouble(contact: &Contact) -> String {
    match &contact.error {
        Some(error) => error.clone(),
        None if contact.validators_differ => "its validators are others".to_owned(),
        None => String::new(),
    }
}

fn logs_table(all: &[Standing], context: &mut Context) -> Result<(), Failure> {
    let mut table = Table::new(&LOG_COLUMNS);
    let mut is_empty = true;
    for Standing { peer, lacks, .. } in all {
        for ((root, log), count) in lacks {
            let row = vec![peer.name.clone(), root.clone(), log.clone(), grouped(*count)];
            if std::mem::take(&mut is_empty) {
                context.out.line("")?;
            }
            table.row(row, &mut context.out)?;
        }
    }
    table.release(&mut context.out)
}
