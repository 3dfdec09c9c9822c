//! Tokens: who may do what, signed by whoever holds the secret key and checked with the public one.
//!
//! ```text
//!   SecretKey ─▶ Mint ─▶ token ─▶ narrow ─▶ narrower token     no server is asked
//!   token, public keys, revoked ids, now ─▶ authorize ─▶ Grant or Refused
//! ```
//! A token is a Biscuit. Its first block holds rights: `right(database, root, verb)`, where `"*"`
//! stands for all. Each further block holds checks, which can only take away. Whoever has some
//! roots does not have all: what spans them needs `"*"`.
//!
//! Invariants: nothing is looked at before its signature was checked; nothing of a token is run,
//! and its length bounds what it may cost; a block never adds a right. Left out: who somebody is.
//! A token says what its holder may do, and nothing else.

mod authorize;
mod guard;
mod key;
mod mint;
mod revoked;
mod said;

pub use authorize::{Grant, Refused, TOKEN_BYTES_MAX, authorize, sync_grant};
pub use guard::{Guard, GuardError};
pub use key::{KeyError, PublicKey, SecretKey};
pub use mint::{Block, Limits, Mint, Right, TokenError, inspect, narrow};
pub use revoked::{Revoked, RevokedError};

/// What stands for all databases or all roots.
pub const ALL: &str = "*";
