//! The commands, one in each file.

mod append;
mod backup;
#[cfg(feature = "sync")]
mod bundle;
#[cfg(feature = "completions")]
mod completions;
mod context;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "sync")]
mod ending;
mod filters;
#[cfg(feature = "query")]
mod fmt;
mod forks;
#[cfg(feature = "generate")]
mod generate;
mod get;
mod import;
mod init;
mod listing;
#[cfg(feature = "man")]
mod man;
#[cfg(feature = "sync")]
mod peer;
mod quarantine;
#[cfg(feature = "query")]
mod query;
mod read;
mod repair;
mod restore;
mod sample;
#[cfg(feature = "query")]
mod schema;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "shell")]
mod shell;
mod stats;
#[cfg(feature = "sync")]
mod status;
#[cfg(feature = "sync")]
mod sync;
mod tail;
#[cfg(feature = "tokens")]
mod token;
mod verify;
#[cfg(feature = "query")]
mod waiting;
#[cfg(feature = "sync")]
mod why;
#[cfg(feature = "query")]
mod writing;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, Parser, Subcommand};

pub(crate) use context::{Context, Place};

use crate::failure::Failure;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Yellow.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Green.on_default());

/// An event store with two times: when something happened, and when it was recorded.
///
/// Events are written once and never changed. Each is recorded under a root (`shipment`) and a key
/// (`4711`), has a type (`departed`), a valid time, and tags that name the other things it
/// concerns (`truck:7`). Reading goes by any of these, now or as it was known at an earlier time.
#[derive(Debug, Parser)]
#[command(
    name = "laterbase",
    version,
    styles = STYLES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false,
    max_term_width = 100,
    after_help = "Start with `laterbase demo`, or `laterbase init --db DIR`."
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) everywhere: Everywhere,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Everywhere {
    /// The database's directory
    #[arg(long, global = true, value_name = "DIR", env = "LATERBASE_DB", hide_env_values = true)]
    pub(crate) db: Option<PathBuf>,
    /// Work on the database of this server, and not on a directory
    #[cfg(feature = "remote")]
    #[arg(id = "server_url", long = "url", global = true, value_name = "URL")]
    #[arg(env = "LATERBASE_URL", hide_env_values = true)]
    pub(crate) url: Option<laterbase_client::PeerAddress>,
    /// Show the token in this file to the server
    #[cfg(feature = "remote")]
    #[arg(long, global = true, value_name = "FILE", env = "LATERBASE_ACCESS_TOKEN")]
    #[arg(hide_env_values = true)]
    pub(crate) access_token: Option<PathBuf>,
    /// Answer in JSON, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show times in this machine's time zone
    #[arg(long, global = true, conflicts_with = "utc")]
    pub(crate) local: bool,
    /// Show times in UTC, as is the default
    #[arg(long, global = true)]
    pub(crate) utc: bool,
    /// Never put a pager in front of the output
    #[arg(long, global = true)]
    pub(crate) no_pager: bool,
    /// Keep to 16 MiB of memory, for small devices
    #[arg(long, global = true)]
    pub(crate) small_device: bool,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Append(append::Append),
    Import(import::Import),
    Sample(sample::Sample),
    Read(Box<read::Read>),
    Get(get::Get),
    #[cfg(feature = "query")]
    Query(query::QueryCommand),
    #[cfg(feature = "query")]
    Schema(schema::SchemaCommand),
    #[cfg(feature = "shell")]
    Shell(shell::Shell),
    #[cfg(feature = "query")]
    Fmt(fmt::Fmt),
    #[cfg(feature = "generate")]
    Generate(generate::Generate),
    Tail(Box<tail::Tail>),
    Stats(stats::Stats),
    Verify(verify::Verify),
    Repair(repair::Repair),
    Backup(backup::Backup),
    Restore(restore::Restore),
    #[cfg(feature = "server")]
    Serve(serve::Serve),
    #[cfg(feature = "tokens")]
    Token(token::TokenCommand),
    #[cfg(feature = "sync")]
    Peer(peer::PeerCommand),
    #[cfg(feature = "sync")]
    Sync(sync::Sync),
    #[cfg(feature = "sync")]
    Status(status::Status),
    #[cfg(feature = "sync")]
    WhyNotSynced(why::WhyNotSynced),
    #[cfg(feature = "sync")]
    Export(bundle::Export),
    #[cfg(feature = "sync")]
    ImportBundle(bundle::ImportBundle),
    Forks(forks::Forks),
    Quarantine(quarantine::Quarantine),
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    #[cfg(feature = "completions")]
    Completions(completions::Completions),
    #[cfg(feature = "man")]
    Man(man::Man),
}

impl Command {
    pub(crate) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Init(command) => command.run(context),
            Self::Append(command) => command.run(context),
            Self::Import(command) => command.run(context),
            Self::Sample(command) => command.run(context),
            Self::Read(command) => command.run(context),
            Self::Get(command) => command.run(context),
            #[cfg(feature = "query")]
            Self::Query(command) => command.run(context),
            #[cfg(feature = "query")]
            Self::Schema(command) => command.run(context),
            #[cfg(feature = "shell")]
            Self::Shell(command) => command.run(context),
            #[cfg(feature = "query")]
            Self::Fmt(command) => command.run(context),
            #[cfg(feature = "generate")]
            Self::Generate(command) => command.run(context),
            Self::Tail(command) => command.run(context),
            Self::Stats(command) => command.run(context),
            Self::Verify(command) => command.run(context),
            Self::Repair(command) => command.run(context),
            Self::Backup(command) => command.run(context),
            Self::Restore(command) => command.run(context),
            #[cfg(feature = "server")]
            Self::Serve(command) => command.run(context),
            #[cfg(feature = "tokens")]
            Self::Token(command) => command.run(context),
            #[cfg(feature = "sync")]
            Self::Peer(command) => command.run(context),
            #[cfg(feature = "sync")]
            Self::Sync(command) => command.run(context),
            #[cfg(feature = "sync")]
            Self::Status(command) => command.run(context),
            #[cfg(feature = "sync")]
            Self::WhyNotSynced(command) => command.run(context),
            #[cfg(feature = "sync")]
            Self::Export(command) => command.run(context),
            #[cfg(feature = "sync")]
            Self::ImportBundle(command) => command.run(context),
            Self::Forks(command) => command.run(context),
            Self::Quarantine(command) => command.run(context),
            #[cfg(feature = "demo")]
            Self::Demo(command) => command.run(context),
            #[cfg(feature = "completions")]
            Self::Completions(command) => command.run(context),
            #[cfg(feature = "man")]
            Self::Man(command) => command.run(context),
        }
    }
}
