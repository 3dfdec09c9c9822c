//! Why bytes are not a frame.

use super::CodecError;

/// Why bytes are not a frame. Each is the sender's fault or damage under way: the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end too early, or a count exceeds what follows.
    #[error("the frame ends too early; refuse the peer")]
    Truncated,
    /// Bytes follow the frame or its body.
    #[error("bytes follow the frame; refuse the peer")]
    Trailing,
    /// The frame is longer than allowed.
    #[error("the frame has {found} bytes, at most {max} are taken; send smaller frames")]
    TooLong {
        /// Its length.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// There are more things in it than allowed.
    #[error("the frame claims {found} entries, at most {max} are taken; send smaller frames")]
    Count {
        /// How many it claims.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// A number is not in its shortest form, or has more than 64 bits.
    #[error("a number in the frame is not canonical; refuse the peer")]
    Varint,
    /// A bit is set that means nothing, or bits contradict each other.
    #[error("flags 0x{found:02x} are not all known; refuse the peer")]
    Flags {
        /// The byte.
        found: u8,
    },
    /// A batch leaves out the hash of the one before it and there is none to take it from, or names
    /// it where it can be left out.
    #[error(
        "a batch leaves out what it must name, or names what it must leave out; refuse the peer"
    )]
    Linked,
    /// A root's name is none.
    #[error("a root's name is not allowed; refuse the peer")]
    Root,
    /// Entries are not in ascending order.
    #[error("the frame's entries are not in ascending order; refuse the peer")]
    Order,
    /// A head contradicts itself: a branch that begins behind its end, a tag of nothing.
    #[error("a head contradicts itself; refuse the peer")]
    Branch,
    /// There is nothing in a frame that must hold something.
    #[error("the frame is empty; refuse the peer")]
    Empty,
    /// The peer speaks versions of the protocol that are not known here.
    #[error("the peer speaks protocol {min} to {max}, this one speaks 1; upgrade the older one")]
    Version {
        /// The lowest that it speaks.
        min: u64,
        /// The highest.
        max: u64,
    },
    /// The body does not unpack.
    #[error(transparent)]
    Codec(CodecError),
}
