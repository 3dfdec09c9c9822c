//! `laterbase token`: keys, and what they sign.
//!
//! A secret key goes into a file that its owner alone can read, and nowhere else. A token is
//! printed: it is made to be handed on.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args, Subcommand};
use laterbase::ReplicaId;
use laterbase_server::Verb;
use laterbase_server::tokens::{
    ALL, Limits, Mint, PublicKey, Revoked, Right, SecretKey, TokenError, inspect, narrow,
};
use serde_json::json;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::values::{self, Moment};

/// More than any token or key has.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Make, narrow, look at and revoke tokens
///
/// A token says what its holder may do on a server that knows the public key. Whoever holds one can
/// narrow it, without the key and without asking anyone.
#[derive(Debug, Args)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key pair: the secret key in FILE, the public one in FILE.pub
    Keygen {
        /// Where the secret key goes
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Sign a token and print it
    Create(Create),
    /// Print a token that allows less
    Narrow(Narrow),
    /// Show what a token says; its signature is not checked
    Inspect {
        /// The token's file; - for standard input
        #[arg(value_name = "FILE")]
        token: PathBuf,
    },
    /// Put a token, and with it all that are narrowed from it, on a list of revoked ones
    Revoke {
        /// The token's file; - for standard input
        #[arg(value_name = "FILE")]
        token: PathBuf,
        /// The list, which `serve --revoked` reads; made if it is not there
        #[arg(long, value_name = "FILE")]
        list: PathBuf,
        /// A remark for the list
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("until").required(true).args(["expires", "never_expires"])))]
struct Create {
    /// The secret key, as `token keygen` made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// In which databases; * for all
    #[arg(long, value_name = "NAME", required = true)]
    database: Vec<String>,
    /// Under which roots; * for all, which reads across roots and sync need
    #[arg(long, value_name = "ROOT", required = true)]
    root: Vec<String>,
    /// What: read, write, sync-own, relay, admin
    #[arg(long, value_name = "VERB", required = true)]
    verb: Vec<Verb>,
    /// Which replicas may sync with it, as `laterbase stats` shows them; sync-own needs one
    #[arg(long, value_name = "ID")]
    replica: Vec<ReplicaId>,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    expires: Option<Moment>,
    /// For ever, or until it is revoked
    #[arg(long)]
    never_expires: bool,
}

#[derive(Debug, Args)]
struct Narrow {
    /// The token's file; - for standard input
    #[arg(value_name = "FILE")]
    token: PathBuf,
    /// To these databases
    #[arg(long, value_name = "NAME")]
    database: Vec<String>,
    /// To these roots
    #[arg(long, value_name = "ROOT")]
    root: Vec<String>,
    /// To these verbs
    #[arg(long, value_name = "VERB")]
    verb: Vec<Verb>,
    /// To these replicas, where it is shown to sync
    #[arg(long, value_name = "ID")]
    replica: Vec<ReplicaId>,
    /// To the time until then
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    expires: Option<Moment>,
}

impl TokenCommand {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self.action {
            Action::Keygen { file } => keygen(&file, context),
            Action::Create(create) => create.run(context),
            Action::Narrow(narrow) => narrow.run(context),
            Action::Inspect { token } => show(&token, context),
            Action::Revoke { token, list, why } => revoke(&token, &list, why.as_deref(), context),
        }
    }
}

impl Create {
    fn run(self, context: &mut Context) -> Result<(), Failure> {
        let key: SecretKey = text_of(&self.key)?.parse().map_err(|error| {
            Failure::new(Exit::Refused, format_args!("{}: {error}", self.key.display()))
        })?;
        let mut rights = BTreeSet::new();
        for database in &self.database {
            for root in &self.root {
                let (database, root) = (database.clone(), root.clone());
                let right = |verb: &Verb| Right {
                    database: database.clone(),
                    root: root.clone(),
                    verb: *verb,
                };
                rights.extend(self.verb.iter().map(right));
            }
        }
        let expires = self.expires.map(time).transpose()?;
        let mint =
            Mint { rights: rights.into_iter().collect(), replicas: some(self.replica), expires };
        print(&mint.sign(&key).map_err(|error| refused(&error))?, context)
    }
}

impl Narrow {
    fn run(self, context: &mut Context) -> Result<(), Failure> {
        if self.database.iter().chain(&self.root).any(|name| name == ALL) {
            let text = "a token cannot be narrowed to `*`";
            return Err(Failure::new(Exit::Usage, text).hint("leave out what is to stay as it is"));
        }
        let limits = Limits {
            databases: some(self.database),
            roots: some(self.root),
            verbs: some(self.verb),
            replicas: some(self.replica),
            expires: self.expires.map(time).transpose()?,
        };
        if limits == Limits::default() {
            return Err(Failure::new(Exit::Usage, "nothing is said to narrow the token to")
                .hint("name databases, roots, verbs, replicas or a time"));
        }
        let token = narrow(&text_of(&self.token)?, &limits).map_err(|error| refused(&error))?;
        print(&token, context)
    }
}

/// What was named, if anything was.
fn some<T: Ord>(named: Vec<T>) -> Option<BTreeSet<T>> {
    Some(BTreeSet::from_iter(named)).filter(|named| !named.is_empty())
}

fn keygen(file: &Path, context: &mut Context) -> Result<(), Failure> {
    let key = SecretKey::generate();
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    let public = PathBuf::from(name);
    write_new(file, &format!("{}\n", key.to_secret_text()), true)?;
    write_new(&public, &format!("{}\n", key.public()), false)?;
    let id = PublicKey::to_string(&key.public());
    if context.json() {
        let (secret, file) = (file.display().to_string(), public.display().to_string());
        return context.out.line(json!({ "secret": secret, "public": file, "key": id }));
    }
    context.out.line(format_args!("the secret key is in {}: keep it there", file.display()))?;
    context.out.line(format_args!("the public key is in {}", public.display()))
}

fn show(token: &Path, context: &mut Context) -> Result<(), Failure> {
    let blocks = inspect(&text_of(token)?).map_err(|error| refused(&error))?;
    if context.json() {
        let one = |block: &laterbase_server::tokens::Block| {
            let says: Vec<&str> = block.source.lines().collect();
            json!({ "revocation_id": block.revocation_id, "says": says })
        };
        return context.out.line(json!({ "blocks": blocks.iter().map(one).collect::<Vec<_>>() }));
    }
    for (index, block) in blocks.iter().enumerate() {
        let what = if index == 0 { "allows" } else { "narrowed to" };
        context.out.line(what)?;
        for line in block.source.lines() {
            let plain: String =
                line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            context.out.line(format_args!("  {plain}"))?;
        }
        context.out.line(format_args!("  revoked by {}", block.revocation_id))?;
    }
    Ok(())
}

fn revoke(
    token: &Path,
    list: &Path,
    why: Option<&str>,
    context: &mut Context,
) -> Result<(), Failure> {
    let blocks = inspect(&text_of(token)?).map_err(|error| refused(&error))?;
    let id = blocks.last().map(|block| block.revocation_id.clone()).unwrap_or_default();
    let failed =
        |error: io::Error| Failure::new(Exit::Storage, format_args!("{}: {error}", list.display()));
    let text = match fs::read_to_string(list) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let more =
        Revoked::with_one_more(&text, &id, why).ok_or_else(|| refused(&TokenError::Malformed))?;
    // A list that a server would refuse is not made longer.
    Revoked::parse(&more).map_err(|error| {
        Failure::new(Exit::Refused, format_args!("{}: {error}", list.display()))
    })?;
    let mut name = list.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, more).and_then(|()| fs::rename(&new, list)).map_err(failed)?;
    if context.json() {
        return context.out.line(json!({ "revoked": id }));
    }
    context.out.line(format_args!("revoked: servers that read {} refuse it now", list.display()))
}

fn print(token: &str, context: &mut Context) -> Result<(), Failure> {
    if context.json() {
        return context.out.line(json!({ "token": token }));
    }
    context.out.line(token)
}

/// What a small file holds, or standard input.
pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::NotFound, format_args!("{}: {error}", path.display()))
            .hint("check the name; `laterbase help token` shows what makes it")
    };
    let mut text = String::new();
    if path.as_os_str() == "-" {
        io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    } else {
        let file = fs::File::open(path).map_err(failed)?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text.trim().to_owned())
}

/// A file that was not there; one that is private can be read by its owner alone.
fn write_new(path: &Path, text: &str, is_private: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if is_private { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = is_private;
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let is_there = error.kind() == io::ErrorKind::AlreadyExists;
        let exit = if is_there { Exit::AlreadyExists } else { Exit::Storage };
        Failure::new(exit, format_args!("{}: {error}", path.display()))
            .hint("name a file that is not there yet, in a folder that you can write to")
    })
}

fn time(moment: Moment) -> Result<SystemTime, Failure> {
    let micros = u64::try_from(moment.0.as_micros()).ok();
    let time =
        micros.and_then(|micros| SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros)));
    time.ok_or_else(|| Failure::new(Exit::Usage, "a token expires after 1970: name a later time"))
}

fn refused(error: &TokenError) -> Failure {
    Failure::new(Exit::Refused, error)
}
