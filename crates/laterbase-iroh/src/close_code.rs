//! What a closed connection says of its end: the error codes of the protocol.

use iroh::endpoint::VarInt;

/// Both sides are through.
pub(crate) const DONE: VarInt = VarInt::from_u32(0);
/// The peer's key is not on the list.
pub(crate) const NOT_ADMITTED: VarInt = VarInt::from_u32(1);
/// The peer has as many connections as it may have.
pub(crate) const BUSY: VarInt = VarInt::from_u32(2);
/// The peer did what it must not; the Bye before it says what.
pub(crate) const REFUSED: VarInt = VarInt::from_u32(3);
/// Nothing came for too long, or it took too long altogether.
pub(crate) const TIMEOUT: VarInt = VarInt::from_u32(4);
/// This side failed.
pub(crate) const FAILED: VarInt = VarInt::from_u32(5);
