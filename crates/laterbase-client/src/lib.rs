//! The client side of sync: transports, peers, and keeping in touch with them.
//!
//! ```text
//!   peers ──▶ background ──▶ contact ──▶ drive ──▶ wire: http, live
//!   (file)    (when)         (retries)   (one session)     (frames as bytes)
//!                                  bundle: the same frames in a file
//!   remote: a server's database, read and written there
//! ```
//! Everything here blocks and runs on threads of its own; what is synced is any
//! [`laterbase::sync::Replica`], in practice a database's sync port.
#![forbid(unsafe_code)]

mod address;
mod background;
mod backoff;
mod bundle;
mod contact;
mod drive;
mod http;
mod live;
mod peers;
mod remote;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod wire;

pub use address::{AddressError, DEFAULT_DATABASE, PeerAddress};
pub use background::{Background, BackgroundConfig, PeerNotice, PeerNotices, sync_once};
pub use backoff::Backoff;
pub use bundle::{BundleError, Exported, Imported, database_of, export, import};
pub use contact::{CONTACTS_FOLDER, Contact, ContactFile};
pub use drive::{Report, SyncError, drive};
pub use http::{Described, HttpWire};
pub use peers::{PEERS_FILE, Peer, PeerError, Peers, PeersError};
pub use remote::{Problem, Remote, RemoteError};
pub use token::{TOKENS_FOLDER, Token, TokenFile, TokenTextError};
pub use wire::{FRAMES_TYPE, Reply, SESSION_HEADER, Wire, WireError};
