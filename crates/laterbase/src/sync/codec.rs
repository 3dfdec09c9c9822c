//! zstd for the bodies of frames.

use laterbase_sync::frame::{Codec, CodecError};

/// The level: much faster than those above it, and a few percent larger.
const LEVEL: i32 = 9;

/// zstd, as a session takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zstd;

impl Codec for Zstd {
    fn pack(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let packed = zstd::bulk::compress(body, LEVEL).map_err(|_| CodecError::Damaged)?;
        out.extend_from_slice(&packed);
        Ok(())
    }

    fn unpack(&self, packed: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
        // The decompressor is given no more room than the frame claims.
        match zstd::bulk::decompress(packed, bytes_max) {
            Ok(body) => {
                out.extend_from_slice(&body);
                Ok(())
            }
            Err(error) if error.to_string().contains("too small") => Err(CodecError::Length),
            Err(_) => Err(CodecError::Damaged),
        }
    }
}
