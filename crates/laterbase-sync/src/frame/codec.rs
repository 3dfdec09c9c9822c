//! Compression, which the host brings: it needs tables and code that a small device may not have.

use alloc::vec::Vec;

/// Packs and unpacks the bodies of frames. Both peers must mean the same by it: the capability
/// [`crate::frame::Capabilities::ZSTD`] says that it is zstd.
pub trait Codec {
    /// Appends the packed form of `body` to `out`.
    ///
    /// # Errors
    /// [`CodecError`] if it cannot; the frame is then sent as it is.
    fn pack(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Appends what `packed` unpacks to. Must stop as soon as that is more than `bytes_max`.
    ///
    /// # Errors
    /// [`CodecError::Length`] for more than `bytes_max`, [`CodecError::Damaged`] for bytes that
    /// make no sense.
    fn unpack(&self, packed: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// Why a body was not packed or unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is no codec here.
    #[error("the frame is compressed, which was not announced here; send it as it is")]
    Unsupported,
    /// The body does not have the length that it claims.
    #[error("the body unpacks to another length than it says; refuse the peer")]
    Length,
    /// The packed bytes make no sense.
    #[error("the compressed bytes make no sense; refuse the peer")]
    Damaged,
}
