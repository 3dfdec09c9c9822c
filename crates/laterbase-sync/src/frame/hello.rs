//! Hello: who speaks, within which limits, and one digest of heads per root.
//!
//! ```text
//! varint  lowest protocol, varint highest
//! [16]    database
//! u64     replica
//! u8      flags: 1 asks for an answer, 2 all roots are in scope, 4 validators follow,
//!                8 heads follow in this flight
//! varint  capabilities
//! varint  bytes of a frame that are taken, varint bytes that may be under way without an ack
//! varint  wall clock, milliseconds since 1970
//! u64     HLC
//! [8]     fingerprint of the validators, if flag 4
//! [8]     the heads that were agreed on; zeros for none
//! varint  roots, ascending: text8 name, u8 1 and [16] digest, or u8 0 if nothing is held
//! ```
//! With all roots in scope, a root that is not listed is one of which nothing is held.

use alloc::vec::Vec;

use laterbase_event::{DatabaseId, Hlc, ReplicaId, RootName};

use super::{FrameError, FrameLimits, PROTOCOL};
use crate::{
    digest::{Agreement, Digest},
    wire::{Reader, put, put_replica, put_root},
};

const ASKS: u8 = 1;
const ALL_ROOTS: u8 = 2;
const VALIDATORS: u8 = 4;
const HEADS_FOLLOW: u8 = 8;

/// What a peer can do beyond the protocol's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

/// Whether a Hello wants one back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It opens a session or a round.
    Ask,
    /// It answers one.
    Answer,
}

/// Which roots a peer takes part in. `_sys` always is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All, those that will come into being too.
    All,
    /// Those that are listed.
    Listed,
}

/// What is held of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootDigest {
    /// The root.
    pub root: RootName,
    /// The digest of its heads; `None` if nothing is held.
    pub digest: Option<Digest>,
}

/// The first frame of each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The database.
    pub database: DatabaseId,
    /// Who speaks.
    pub replica: ReplicaId,
    /// Whether an answer is wanted.
    pub purpose: Purpose,
    /// Which roots the speaker takes part in.
    pub scope: Scope,
    /// Whether the heads that changed follow in this flight.
    pub heads_follow: bool,
    /// What the speaker can do.
    pub capabilities: Capabilities,
    /// The longest frame that the speaker takes, in bytes.
    pub frame_bytes_max: u64,
    /// How many bytes of batches may be under way to it without an ack.
    pub window_bytes: u64,
    /// Its wall clock, milliseconds since 1970.
    pub wall_ms: u64,
    /// Its hybrid logical clock.
    pub hlc: Hlc,
    /// A fingerprint of its validators, if it has any.
    pub validators: Option<[u8; 8]>,
    /// The heads that both agreed on last.
    pub agreement: Agreement,
    /// What it holds, ascending by root.
    pub roots: Vec<RootDigest>,
}

impl Capabilities {
    /// Takes bodies that are compressed with zstd.
    pub const ZSTD: Self = Self(1);
    /// Takes, unasked, only what the other one wrote under its present id; asks for what else it
    /// takes.
    pub const OWN: Self = Self(2);

    /// These, and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Hello {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put(PROTOCOL, out);
        put(PROTOCOL, out);
        out.extend_from_slice(self.database.as_bytes());
        put_replica(self.replica, out);
        let flags = [
            (self.purpose == Purpose::Ask, ASKS),
            (self.scope == Scope::All, ALL_ROOTS),
            (self.validators.is_some(), VALIDATORS),
            (self.heads_follow, HEADS_FOLLOW),
        ];
        out.push(flags.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum());
        put(self.capabilities.0, out);
        put(self.frame_bytes_max, out);
        put(self.window_bytes, out);
        put(self.wall_ms, out);
        out.extend_from_slice(&self.hlc.as_u64().to_le_bytes());
        out.extend_from_slice(self.validators.as_ref().map_or(&[], |bytes| bytes.as_slice()));
        out.extend_from_slice(&self.agreement.0);
        put(self.roots.len() as u64, out);
        for entry in &self.roots {
            put_root(&entry.root, out);
            out.push(u8::from(entry.digest.is_some()));
            out.extend_from_slice(entry.digest.as_ref().map_or(&[], |digest| digest.0.as_slice()));
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, limits: &FrameLimits) -> Result<Self, FrameError> {
        let (min, max) = (reader.varint()?, reader.varint()?);
        if min > PROTOCOL || max < PROTOCOL {
            return Err(FrameError::Version { min, max });
        }
        let database = DatabaseId::from_bytes(reader.array()?);
        let replica = reader.replica()?;
        let flags = reader.flags(ASKS | ALL_ROOTS | VALIDATORS | HEADS_FOLLOW)?;
        let has = |bit: u8| flags & bit != 0;
        let capabilities = Capabilities(reader.varint()?);
        let (frame_bytes_max, window_bytes) = (reader.varint()?, reader.varint()?);
        let (wall_ms, hlc) = (reader.varint()?, Hlc::from_u64(reader.u64()?));
        let validators = if has(VALIDATORS) { Some(reader.array()?) } else { None };
        let agreement = Agreement(reader.array()?);
        let count = reader.count(u64::from(limits.roots_max), 3)?;
        let mut roots: Vec<RootDigest> = Vec::new();
        for _ in 0..count {
            let root = reader.root()?;
            if roots.last().is_some_and(|last| last.root >= root) {
                return Err(FrameError::Order);
            }
            let digest = if reader.flags(1)? == 1 { Some(Digest(reader.array()?)) } else { None };
            roots.push(RootDigest { root, digest });
        }
        Ok(Self {
            database,
            replica,
            purpose: if has(ASKS) { Purpose::Ask } else { Purpose::Answer },
            scope: if has(ALL_ROOTS) { Scope::All } else { Scope::Listed },
            heads_follow: has(HEADS_FOLLOW),
            capabilities,
            frame_bytes_max,
            window_bytes,
            wall_ms,
            hlc,
            validators,
            agreement,
            roots,
        })
    }
}
