//! The side that is dialled: who is let in, and what becomes of a session that fails.
//!
//! Invariants:
//! - At most so many connections, and so many of one peer; each runs one session at a time.
//!   Handshakes have a bound of their own.
//! - Nothing of a stranger is read but the handshake.
//! - Whatever a peer sends ends its own connection at the most.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iroh::endpoint::{Connection, Incoming, VarInt};
use iroh::{Endpoint, EndpointId};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::close_code;
use crate::node::Shared;
use crate::report::SyncError;
use crate::stream::Stream;
use crate::work::Work;

/// How many connections each peer has.
#[derive(Debug, Default)]
struct Seats(Mutex<BTreeMap<EndpointId, usize>>);

/// One connection of a peer, until it is dropped.
#[derive(Debug)]
struct Seat<'a> {
    seats: &'a Seats,
    peer: EndpointId,
}

/// Handshakes that are under way at the same time; more are refused. Whoever holds one up takes no
/// place from those who are served.
const HANDSHAKES_MAX: usize = 64;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves connections until the endpoint is closed, and then waits for the last of them.
pub(crate) async fn accept(endpoint: Endpoint, shared: Arc<Shared>) {
    let seats = Arc::new(Seats::default());
    let mut greeted = JoinSet::new();
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                if greeted.len() >= HANDSHAKES_MAX {
                    incoming.refuse();
                } else {
                    greeted.spawn(greet(incoming));
                }
            }
            Some(connection) = greeted.join_next() => {
                let Ok(Some(connection)) = connection else { continue };
                if served.len() >= shared.config.connections_max {
                    connection.close(close_code::BUSY, b"too many connections");
                } else {
                    served.spawn(serve(connection, Arc::clone(&shared), Arc::clone(&seats)));
                }
            }
            Some(_) = served.join_next() => {}
        }
    }
    greeted.shutdown().await;
    while served.join_next().await.is_some() {}
}

/// Waits for the handshake; `None` if none comes about.
async fn greet(incoming: Incoming) -> Option<Connection> {
    timeout(HANDSHAKE_TIMEOUT, incoming.accept().ok()?).await.ok()?.ok()
}

async fn serve(connection: Connection, shared: Arc<Shared>, seats: Arc<Seats>) {
    let peer = connection.remote_id();
    if !shared.config.admitted.includes(&peer) {
        return connection.close(close_code::NOT_ADMITTED, b"not admitted");
    }
    let Some(_seat) = seats.take(peer, shared.config.connections_per_peer_max) else {
        return connection.close(close_code::BUSY, b"too many connections");
    };
    let code = sessions(&connection, &shared).await;
    connection.close(code, b"");
}

/// Runs one session after the other until the peer closes, is silent or fails.
async fn sessions(connection: &Connection, shared: &Arc<Shared>) -> VarInt {
    let patience = shared.patience();
    loop {
        let (send, recv) = match timeout(patience.idle, connection.accept_bi()).await {
            Ok(Ok(halves)) => halves,
            Ok(Err(_)) => return close_code::DONE,
            Err(_) => return close_code::TIMEOUT,
        };
        let mut stream = Stream { send, recv };
        let made =
            shared.work(|shared| Work::responder(&shared.database, &shared.config.session)).await;
        let Ok(work) = made else { return close_code::FAILED };
        let news = shared.database.watch_flushed();
        let (_, done) = stream.run(work, news, patience).await;
        stream.finish(patience).await;
        if let Err(error) = done {
            return code_of(&error);
        }
    }
}

fn code_of(error: &SyncError) -> VarInt {
    match error {
        SyncError::Refused { .. } => close_code::REFUSED,
        SyncError::Silent { .. } | SyncError::TooSlow { .. } => close_code::TIMEOUT,
        SyncError::Storage | SyncError::Database(_) | SyncError::Worker => close_code::FAILED,
        SyncError::Left { .. }
        | SyncError::Lost { .. }
        | SyncError::BrokenOff
        | SyncError::Unreachable { .. }
        | SyncError::NotAdmitted
        | SyncError::Busy => close_code::DONE,
    }
}

impl Seats {
    fn take(&self, peer: EndpointId, max: usize) -> Option<Seat<'_>> {
        let mut taken = self.taken();
        let count = taken.entry(peer).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self, peer })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<EndpointId, usize>> {
        // A map is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(count) = taken.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}
