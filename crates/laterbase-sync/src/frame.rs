//! The frames of the protocol, version 1, as canonical bytes.
//!
//! ```text
//! +---------------+-----------+------------------------------------------------+
//! | varint length | u8 kind   | body                                           |
//! | of the rest   | bit 7:    | compressed: varint length, compressed bytes    |
//! +---------------+-----------+------------------------------------------------+
//! ```
//!
//! Frames stand one behind the other in an HTTP body, in a file, in a message of a WebSocket.
//!
//! Invariants:
//! - A frame has one encoding, but for its compression, which is the host's.
//! - A frame of an unknown kind is skipped unread. Nothing may follow in a known one.
//! - Nothing is allocated for a length or a count that the limits or the bytes at hand exceed; a
//!   compressed body says its length before it is unpacked, and must keep to it.
//!
//! Left out: what a frame means, which is [`crate::Session`]'s part.

mod announce;
mod batches;
mod bye;
mod codec;
mod frame_error;
mod heads;
mod hello;
mod want;

use alloc::{borrow::Cow, vec::Vec};

pub use announce::Announce;
pub use batches::{Ack, Acked, Batches, Fork};
pub use bye::{Bye, Fault, Reason};
pub use codec::{Codec, CodecError};
pub use frame_error::FrameError;
pub use heads::{Form, HeadsFrame, Section};
pub use hello::{Capabilities, Hello, Purpose, RootDigest, Scope};
pub use want::{Place, Want};

use crate::wire::{Reader, put};

/// The one version of the protocol so far.
pub const PROTOCOL: u64 = 1;

const COMPRESSED: u8 = 0x80;

/// What a decoder takes; what is beyond is refused before it is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of one frame behind its length, and of its body when it is unpacked.
    pub frame_bytes_max: u32,
    /// Heads in one frame.
    pub heads_max: u32,
    /// Roots in one frame.
    pub roots_max: u32,
}

impl FrameLimits {
    /// Batches in one frame.
    pub const BATCHES_MAX: u64 = 65_535;
    /// Places in one want.
    pub const PLACES_MAX: u64 = 72;
}

impl Default for FrameLimits {
    /// Frames of 34 MiB, so that the largest batch fits; 65,536 heads; 4,096 roots.
    fn default() -> Self {
        Self { frame_bytes_max: 34 << 20, heads_max: 65_536, roots_max: 4096 }
    }
}

/// One frame; batches are borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Who speaks, and a digest per root.
    Hello(Hello),
    /// How far logs are held.
    Heads(HeadsFrame),
    /// A request for batches.
    Want(Want),
    /// Batches of one log.
    Batches(Batches<'a>),
    /// What is durably stored.
    Ack(Ack),
    /// The proof of a fork.
    Fork(Fork<'a>),
    /// Gossip.
    Announce(Announce<'a>),
    /// The end of a session.
    Bye(Bye),
}

/// A frame whose length is proved and whose body is unpacked, but not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The kind, without the bit for compression.
    pub kind: u8,
    /// The body.
    pub body: Cow<'a, [u8]>,
}

/// The first frame of a stream, with its length, and the rest of the stream.
pub type Parted<'a> = (&'a [u8], &'a [u8]);

/// Splits the first frame, with its length, off a stream of frames. `None` while it is incomplete.
///
/// # Errors
/// [`FrameError::TooLong`] if the frame is longer than `limits` allow, [`FrameError::Varint`] if
/// its length is no canonical number, [`FrameError::Truncated`] if it has no kind.
pub fn split<'a>(stream: &'a [u8], limits: &FrameLimits) -> Result<Option<Parted<'a>>, FrameError> {
    let mut reader = Reader::new(stream);
    let len = match reader.varint() {
        Ok(len) => len,
        Err(FrameError::Truncated) => return Ok(None),
        Err(error) => return Err(error),
    };
    check_len(len, limits)?;
    if len == 0 {
        return Err(FrameError::Truncated);
    }
    let before = stream.len() - reader.rest().len();
    // `check_len` keeps it within 32 bits.
    Ok(stream.split_at_checked(before + len as usize))
}

/// Takes one whole frame apart and unpacks its body.
///
/// # Errors
/// [`FrameError`] for bytes that are not one frame, too long, or compressed in a way that `codec`
/// does not understand. An unknown kind is opened as it is, without being unpacked.
pub fn open<'a>(
    bytes: &'a [u8],
    limits: &FrameLimits,
    codec: Option<&dyn Codec>,
) -> Result<Opened<'a>, FrameError> {
    let mut reader = Reader::new(bytes);
    let len = reader.varint()?;
    check_len(len, limits)?;
    let mut inner = Reader::new(reader.bytes(len)?);
    reader.end()?;
    let first = inner.u8()?;
    let kind = first & !COMPRESSED;
    if first == kind || !Frame::is_known(kind) {
        return Ok(Opened { kind, body: Cow::Borrowed(inner.rest()) });
    }
    let raw_len = inner.varint()?;
    check_len(raw_len, limits)?;
    let codec = codec.ok_or(FrameError::Codec(CodecError::Unsupported))?;
    let mut raw = Vec::new();
    codec.unpack(inner.rest(), raw_len as usize, &mut raw).map_err(FrameError::Codec)?;
    if raw.len() as u64 != raw_len {
        return Err(FrameError::Codec(CodecError::Length));
    }
    Ok(Opened { kind, body: Cow::Owned(raw) })
}

fn check_len(found: u64, limits: &FrameLimits) -> Result<(), FrameError> {
    let max = u64::from(limits.frame_bytes_max);
    if found > max { Err(FrameError::TooLong { found, max }) } else { Ok(()) }
}

impl<'a> Frame<'a> {
    const HELLO: u8 = 1;
    const HEADS: u8 = 2;
    const WANT: u8 = 3;
    const BATCHES: u8 = 4;
    const ACK: u8 = 5;
    const FORK: u8 = 6;
    const ANNOUNCE: u8 = 7;
    const BYE: u8 = 8;

    fn is_known(kind: u8) -> bool {
        (Self::HELLO..=Self::BYE).contains(&kind)
    }

    /// The number of the frame's kind.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => Self::HELLO,
            Self::Heads(_) => Self::HEADS,
            Self::Want(_) => Self::WANT,
            Self::Batches(_) => Self::BATCHES,
            Self::Ack(_) => Self::ACK,
            Self::Fork(_) => Self::FORK,
            Self::Announce(_) => Self::ANNOUNCE,
            Self::Bye(_) => Self::BYE,
        }
    }

    /// Reads a body. `None` for a kind that this version does not know: skip it.
    ///
    /// # Errors
    /// [`FrameError`] for whatever [`Frame::encode`] would not have written, and for what exceeds
    /// `limits`.
    pub fn decode(
        opened: &'a Opened<'_>,
        limits: &FrameLimits,
    ) -> Result<Option<Self>, FrameError> {
        let mut reader = Reader::new(&opened.body);
        let frame = match opened.kind {
            Self::HELLO => Self::Hello(Hello::read(&mut reader, limits)?),
            Self::HEADS => Self::Heads(HeadsFrame::read(&mut reader, limits)?),
            Self::WANT => Self::Want(Want::read(&mut reader)?),
            Self::BATCHES => Self::Batches(Batches::read(&mut reader)?),
            Self::ACK => Self::Ack(Ack::read(&mut reader, limits)?),
            Self::FORK => Self::Fork(Fork::read(&mut reader)?),
            Self::ANNOUNCE => Self::Announce(Announce::read(&mut reader, limits)?),
            Self::BYE => Self::Bye(Bye::read(&mut reader)?),
            _ => return Ok(None),
        };
        reader.end()?;
        Ok(Some(frame))
    }

    /// The whole frame, with its length. `codec` packs the body, if that makes it shorter.
    #[must_use]
    pub fn encode(&self, codec: Option<&dyn Codec>) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Hello(hello) => hello.write(&mut body),
            Self::Heads(heads) => heads.write(&mut body),
            Self::Want(want) => want.write(&mut body),
            Self::Batches(batches) => batches.write(&mut body),
            Self::Ack(ack) => ack.write(&mut body),
            Self::Fork(fork) => fork.write(&mut body),
            Self::Announce(announce) => announce.write(&mut body),
            Self::Bye(bye) => bye.write(&mut body),
        }
        let mut packed = Vec::new();
        if let Some(codec) = codec {
            put(body.len() as u64, &mut packed);
            if codec.pack(&body, &mut packed).is_err() || packed.len() >= body.len() {
                packed.clear();
            }
        }
        let (kind, body) = match packed.is_empty() {
            true => (self.kind(), body),
            false => (self.kind() | COMPRESSED, packed),
        };
        let mut out = Vec::with_capacity(body.len() + 6);
        put(body.len() as u64 + 1, &mut out);
        out.push(kind);
        out.extend_from_slice(&body);
        out
    }
}
