//! The HTTP server of Laterbase: databases, events, sync.
//!
//! ```text
//!   listen ──▶ observe: id, bounds, counts ──▶ routes ──▶ access ──▶ request: a place, time, body
//!                                                │
//!       table: what there is ──▶ openapi         ├─▶ describe, admin   databases, health, metrics
//!                                                ├─▶ write             events in
//!                                                ├─▶ read              events out; read::feed
//!                                                ├─▶ folds             aggregates and views
//!                                                ├─▶ consumers         what others deal with
//!                                                ├─▶ sync_post ──▶ desk: sessions over requests
//!                                                └─▶ live              sync over a WebSocket
//! ```
//! Whatever touches a database blocks, and runs on threads for that. A peer at fault ends its own
//! session and is named in a [`Notice`]; notices and requests go to `tracing`, too, for which a
//! program may install a subscriber. What the endpoints take and answer is described in
//! `docs/reference/http.md`; how one is put together, at [`Server`].
//!
//! With the feature `tokens` a `tokens::Guard` decides who may do what; any other [`Authorizer`]
//! can.
#![forbid(unsafe_code)]

mod accept;
mod access;
mod admin;
mod admission;
#[cfg(feature = "query")]
mod ask;
mod bundles;
mod call;
mod cloud_events;
mod config;
mod consumers;
mod databases;
mod describe;
mod desk;
mod event_stream;
mod folds;
mod kind;
mod listen;
mod live;
mod metrics;
mod names;
mod news;
mod notice;
mod observe;
mod openapi;
mod parameters;
mod patient;
mod peers;
mod problem;
mod quarantine;
mod rate;
mod read;
mod representation;
mod request;
mod routes;
#[cfg(feature = "query")]
mod schema;
mod server;
mod sync_grant;
mod sync_post;
mod table;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tokens")]
pub mod tokens;
mod trace;
mod write;

pub use access::{Asked, Authorizer, Denied, Roots, Verb, VerbError};
pub use bundles::{BundleRefused, TakeBundle};
pub use config::{Rate, ServerConfig};
pub use databases::{Databases, DatabasesError, Hosted, MakeError};
pub use desk::{Answer, Desk, Host, Turned};
pub use listen::{ListenError, Listening, check_address, check_reach};
pub use names::{DEFAULT_DATABASE, is_database_name};
pub use notice::{Notice, Notices, What};
pub use peers::{PeerStanding, Peers, SyncNow};
pub use routes::{Gossip, Made};
pub use server::Server;
pub use sync_grant::SyncGrant;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
