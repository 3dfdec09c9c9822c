//! One run of a client program, and what it says.

use std::process::{Command, Stdio};

use serde::Deserialize;

use super::Cell;
use super::install::Installed;
use super::server::{Kind, tick_us};
use crate::areas::Context;
use crate::error::BenchError;

/// Before anything counts.
const WARM_UP_MS: usize = 500;
const WINDOW_MS: usize = 2_500;
const WINDOW_QUICK_MS: usize = 1_000;

/// What a client program prints.
#[derive(Deserialize)]
struct Said {
    events_per_s: f64,
    acknowledged: u64,
    p50_us: f64,
    p99_us: f64,
    ticks: u64,
}

/// What one run found.
pub(super) struct Answers {
    pub(super) events_per_s: f64,
    /// In the warm-up too.
    pub(super) acknowledged: u64,
    /// From sending a batch to its answer; 0 if no batch was answered in the window.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Processor time of the client's process for each event.
    pub(super) client_us: f64,
    /// The same of the server.
    pub(super) server_us: f64,
}

/// Runs the client program of a kind against the server at `address`.
///
/// # Errors
///
/// When the program fails, as it does when the server holds less than it acknowledged.
pub(super) fn run(
    context: &Context,
    installed: &Installed,
    kind: Kind,
    cell: Cell,
    address: &str,
) -> Result<Answers, BenchError> {
    let window_ms = context.scaled(WINDOW_QUICK_MS, WINDOW_MS);
    let failed = |why: &str| BenchError::Child(format!("{}: {why}", kind.name()));
    let output = Command::new(installed.client(kind))
        .arg(address)
        .args([cell.clients, cell.batch, WARM_UP_MS, window_ms].map(|number| number.to_string()))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let said: Said =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
    Ok(Answers {
        events_per_s: said.events_per_s,
        acknowledged: said.acknowledged,
        p50_us: said.p50_us,
        p99_us: said.p99_us,
        client_us: said.ticks as f64 * tick_us() / said.acknowledged.max(1) as f64,
        server_us: 0.0,
    })
}
