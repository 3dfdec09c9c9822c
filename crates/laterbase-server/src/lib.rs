//! The HTTP server of Laterbase: databases, events, sync.
//!
//! ```text
//!   listen ──▶ routes ──▶ request: limits, time, body
//!                │
//!                ├─▶ describe   GET /health, /db, /db/{db}
//!                ├─▶ append     POST …/e/{root}
//!                ├─▶ sync_post  POST …/sync ──▶ desk: sessions over several requests
//!                └─▶ live       GET …/sync, WebSocket: one session for as long as it lasts
//! ```
//! Whatever touches a database blocks, and runs on threads for that. A peer at fault ends its own
//! session and is named in a [`Notice`]. What the endpoints take and answer is described in
//! `docs/reference/http.md`.
//!
//! Left out: TLS and tokens, hence every address but those of this machine.
#![forbid(unsafe_code)]

mod append;
mod config;
mod databases;
mod describe;
mod desk;
mod listen;
mod live;
mod names;
mod notice;
mod problem;
mod request;
mod routes;
mod sync_post;

pub use config::ServerConfig;
pub use databases::{Databases, DatabasesError, Hosted};
pub use desk::{Answer, Desk, Host, Turned};
pub use listen::{ListenError, Listening, check_address};
pub use names::{DEFAULT_DATABASE, is_database_name};
pub use notice::{Notice, Notices, What};
pub use routes::{Gossip, Server};
