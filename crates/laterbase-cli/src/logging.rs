//! The log of `serve`: lines on standard error, for people or for programs.
//!
//! It installs a subscriber of `tracing` for the process. A program that embeds the commands and
//! has one of its own keeps that, and the settings `log` and `log_level` change nothing.

use std::io;

use laterbase_client::PeerNotice;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use crate::settings::{LogFormat, Plan};

/// What events of the program itself are filtered by.
const TARGET: &str = "laterbase_cli";

/// Logs from now on in the form and from the level that were chosen.
pub(crate) fn install(plan: &Plan) {
    // It was read once already, when the settings were.
    let targets: Targets = plan.log_level.parse().unwrap_or_default();
    let lines = fmt::layer().with_writer(io::stderr);
    let installed = match plan.log {
        LogFormat::Text => {
            let lines = lines.with_filter(targets);
            tracing::subscriber::set_global_default(Registry::default().with(lines))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false);
            let lines = lines.with_filter(targets);
            tracing::subscriber::set_global_default(Registry::default().with(lines))
        }
    };
    // An embedding program has one.
    let _ = installed;
}

/// Logs what happened with a peer; `text` is that in words, empty if it is not worth telling.
pub(crate) fn peer(database: &str, notice: &PeerNotice, text: &str) {
    match notice {
        PeerNotice::Reached { peer } => {
            tracing::info!(target: TARGET, database, peer = peer.as_str(), "{text}");
        }
        PeerNotice::Failed { peer, .. } => {
            tracing::warn!(target: TARGET, database, peer = peer.as_str(), "{text}");
        }
        PeerNotice::Told { peer, .. } if !text.is_empty() => {
            tracing::warn!(target: TARGET, database, peer = peer.as_str(), "{text}");
        }
        PeerNotice::Told { .. } => {}
        PeerNotice::Peers { .. } => tracing::error!(target: TARGET, database, "{text}"),
    }
}

/// Logs that others can reach the server without a token or without encryption.
pub(crate) fn warn_of_the_network() {
    tracing::warn!(
        target: TARGET,
        "other machines can read, write and listen in: there are no tokens or no encryption \
         (insecure_network)"
    );
}
