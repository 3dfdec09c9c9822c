//! `laterbase export` and `laterbase import-bundle`: sync by file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use laterbase::sync::{
    HashTag, Head, Heads, LogId, Replica as _, SessionConfig, StoreError, SyncPort,
};
use laterbase::{Database, ReplicaId, VersionVector};
#[cfg(feature = "remote")]
use laterbase_client::FRAMES_TYPE;
use laterbase_client::{BundleError, ContactFile, Exported, Imported, export, import};
#[cfg(feature = "server")]
use laterbase_server::BundleRefused;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::peer::{read, unknown};
use super::stats::{counted, size};
use super::sync::worth_telling;
use super::{Context, Place};
use crate::failure::{Exit, Failure};
use crate::output::Ink;
use crate::refusals;
use crate::values::version_vector;

/// Write what a peer lacks to a file, for import-bundle elsewhere
///
/// Without --for and --since: everything. The file is what a sync would send, and can be taken in
/// by every copy of this database, and as often as you like. It holds what was on the device when
/// it was begun; another process may serve the database or write to it meanwhile.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What this peer lacked at the last sync: its name, or its replica id
    #[arg(long = "for", value_name = "PEER")]
    peer: Option<String>,
    /// What a version vector lacks, as `laterbase stats` there prints it
    #[arg(long, value_name = "VV", value_parser = version_vector, conflicts_with = "peer")]
    since: Option<VersionVector>,
}

/// Take in a file that export wrote
#[derive(Debug, Args)]
pub(crate) struct ImportBundle {
    /// The file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
}

impl Export {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let database = context.open_read_only()?;
        let mut port = database.export_port().map_err(|error| refusals::appending(&error))?;
        let since = match (&self.peer, &self.since) {
            (Some(peer), _) => heads_of(peer, &port, context)?,
            (None, Some(vector)) => heads_at(vector, &port),
            (None, None) => Heads::new(),
        };
        let target = Target::of(&self.file)?;
        let exported = target
            .write(|out| export(&mut port, &since, out))
            .map_err(|error| bundling(&error, &self.file))?;
        if context.json() {
            return context.out.line(json!({
                "file": self.file.display().to_string(),
                "events": exported.events,
                "logs": exported.logs,
                "bytes": exported.bytes,
            }));
        }
        let file = context.out.style().paint(Ink::Name, &self.file.display().to_string());
        context.out.line(format_args!(
            "wrote {} of {} to {file}, {}",
            counted(exported.events, "event"),
            counted(exported.logs, "log"),
            size(exported.bytes)
        ))
    }
}

/// Where a bundle goes.
enum Target<'a> {
    /// What is no file, as a pipe or a device, is written into.
    InPlace(File),
    /// A file is replaced when the bundle is whole.
    Replaced { file: &'a Path, new: PathBuf, out: File },
}

impl<'a> Target<'a> {
    fn of(file: &'a Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| bundling(&error.into(), file);
        if std::fs::metadata(file).is_ok_and(|found| !found.is_file()) {
            let opened = File::options().write(true).open(file).map_err(failed)?;
            return Ok(Self::InPlace(opened));
        }
        let mut new = file.as_os_str().to_owned();
        new.push(".laterbase-new");
        let new = PathBuf::from(new);
        match File::create_new(&new) {
            Ok(out) => Ok(Self::Replaced { file, new, out }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let message = format!("{} is there already", new.display());
                Err(Failure::new(Exit::AlreadyExists, message)
                    .hint("another export writes it, or one was cut off: then remove it"))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn write(
        self,
        export: impl FnOnce(&mut dyn Write) -> Result<Exported, BundleError>,
    ) -> Result<Exported, BundleError> {
        match self {
            Self::InPlace(file) => {
                let mut out = BufWriter::new(file);
                let exported = export(&mut out)?;
                out.flush()?;
                Ok(exported)
            }
            Self::Replaced { file, new, out } => {
                let mut out = BufWriter::new(out);
                let exported = export(&mut out).and_then(|exported| {
                    out.flush()?;
                    out.get_ref().sync_all()?;
                    std::fs::rename(&new, file)?;
                    Ok(exported)
                });
                if exported.is_err() {
                    let _ = std::fs::remove_file(&new);
                }
                exported
            }
        }
    }
}

impl ImportBundle {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let taken = match context.open_or_forward()? {
            Place::Here(database) => {
                let input = open_file(&self.file)?;
                let taken = take_in(&database, &mut { input });
                database.close().map_err(|error| refusals::closing(&error))?;
                taken.map_err(|error| bundling(&error, &self.file))?
            }
            #[cfg(feature = "remote")]
            Place::There(there) => {
                let taken = there.send("/bundle", FRAMES_TYPE, open_file(&self.file)?)?;
                serde_json::from_value(taken).map_err(|error| there.foreign(error))?
            }
        };
        show(&taken, context)
    }
}

/// What came of a bundle, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    from: Option<String>,
    events: u64,
    bytes: u64,
    lacking: Vec<Lacking>,
    /// What a person should know.
    notes: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Lacking {
    root: String,
    log: String,
    lacking: u64,
}

/// Takes a bundle into a database.
pub(super) fn take_in(database: &Database, input: &mut dyn Read) -> Result<Taken, BundleError> {
    let mut port = database.sync_port().map_err(|_| BundleError::Store(StoreError::Failed))?;
    let Imported { from, events, bytes, lacking, outcomes } =
        import(&mut port, input, &SessionConfig::default())?;
    let lacks = |(log, count): (&LogId, &u64)| Lacking {
        root: log.root.as_str().to_owned(),
        log: log.replica.to_string(),
        lacking: *count,
    };
    Ok(Taken {
        from: from.map(|from| from.to_string()),
        events,
        bytes,
        lacking: lacking.iter().map(lacks).collect(),
        notes: outcomes.iter().filter_map(worth_telling).collect(),
    })
}

/// A bundle's file, to read.
pub(super) fn open_file(path: &Path) -> Result<BufReader<File>, Failure> {
    File::open(path).map(BufReader::new).map_err(|error| bundling(&error.into(), path))
}

/// Takes a bundle in for a server.
#[cfg(feature = "server")]
pub(super) fn take_for(
    database: &Database,
    input: &mut dyn Read,
) -> Result<serde_json::Value, BundleRefused> {
    take_in(database, input).map(|taken| json!(taken)).map_err(|error| match error {
        BundleError::Store(_) => BundleRefused::Failed(error.to_string()),
        BundleError::File(_)
        | BundleError::NoBundle
        | BundleError::Frame(_)
        | BundleError::CutOff
        | BundleError::OtherDatabase { .. }
        | BundleError::Refused { .. } => BundleRefused::Wrong(error.to_string()),
    })
}

fn show(taken: &Taken, context: &mut Context) -> Result<(), Failure> {
    if context.json() {
        return context.out.line(json!(taken));
    }
    let from = taken.from.as_ref().map_or_else(String::new, |from| format!(" from replica {from}"));
    let events = counted(taken.events, "new event");
    context.out.line(format_args!("took in {events}{from}, {}", size(taken.bytes)))?;
    for note in &taken.notes {
        context.out.line(format_args!("  {note}"))?;
    }
    let lacking: u64 = taken.lacking.iter().map(|log| log.lacking).sum();
    if lacking > 0 {
        context.out.line(format_args!(
            "{} of its writer are still lacking: the bundle begins later; export it there with \
             --since and the `vv` that `laterbase stats` prints here",
            counted(lacking, "event")
        ))?;
    }
    Ok(())
}

/// What a peer is likely to hold: by the last sync with it.
fn heads_of(peer: &str, port: &SyncPort, context: &Context) -> Result<Heads, Failure> {
    let peers = read(context)?;
    let replica: Option<ReplicaId> = match peers.find(peer) {
        Some(peer) => {
            let contact = ContactFile::new(context.directory()?, &peer.name).read();
            contact.replica.as_deref().and_then(|text| text.parse().ok())
        }
        None => Some(peer.parse().map_err(|_| unknown(peer, &peers))?),
    };
    let memory = replica.and_then(|replica| port.recall(replica));
    Ok(memory.map(|memory| memory.likely().clone()).unwrap_or_default())
}

/// The heads at a version vector, of logs that are held here so far.
fn heads_at(vector: &VersionVector, port: &SyncPort) -> Heads {
    let held = port.heads();
    let head = |(root, replica, seq): (&laterbase::RootName, ReplicaId, u64)| {
        let log = LogId::new(*root, replica);
        let branch = held.get(&log)?.branch;
        let end = port.end_before(&log, seq)?;
        Some((log, Head { seq: end.seq, tag: HashTag::of(&end.hash), branch }))
    };
    vector.iter().filter_map(head).collect()
}

/// A bundle was not written or read.
pub(super) fn bundling(error: &BundleError, path: &Path) -> Failure {
    let exit = match error {
        BundleError::File(error) if error.kind() == std::io::ErrorKind::NotFound => Exit::NotFound,
        BundleError::File(_) | BundleError::Store(_) => Exit::Storage,
        BundleError::NoBundle
        | BundleError::Frame(_)
        | BundleError::CutOff
        | BundleError::OtherDatabase { .. }
        | BundleError::Refused { .. } => Exit::Refused,
    };
    let failure = Failure::new(exit, format_args!("{}: {error}", path.display()));
    if exit == Exit::NotFound {
        return failure.hint("check the name; `laterbase export` writes a bundle");
    }
    failure
}

/// The database that a bundle is of.
pub(super) fn database_of(path: &Path) -> Result<laterbase::DatabaseId, Failure> {
    let mut input: Box<dyn Read> = Box::new(open_file(path)?);
    laterbase_client::database_of(&mut input).map_err(|error| bundling(&error, path))
}
