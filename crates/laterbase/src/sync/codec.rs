//! zstd for the bodies of frames.

use laterbase_sync::frame::{Codec, CodecError};

/// What changes from day to day: packing it well takes a millisecond or two.
const SMALL_BYTES: usize = 64 << 10;
const SMALL_LEVEL: i32 = 9;
/// For what is larger, level 9 makes 8 to 17 percent less of it and takes ten times as long, most
/// of the time of a whole sync: on any but a very slow link that is the later arrival.
const LARGE_LEVEL: i32 = 1;

/// zstd, as a session takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zstd;

impl Codec for Zstd {
    fn pack(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let level = if body.len() <= SMALL_BYTES { SMALL_LEVEL } else { LARGE_LEVEL };
        let packed = zstd::bulk::compress(body, level).map_err(|_| CodecError::Damaged)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The library tells of it in words alone, which a new version of it may change.
    #[test]
    fn a_body_that_is_longer_than_claimed_is_refused_for_its_length() {
        let body = vec![0; 1 << 20];
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        Zstd.pack(&body, &mut packed).unwrap();
        assert_eq!(Zstd.unpack(&packed, 10, &mut out), Err(CodecError::Length));
        assert_eq!(Zstd.unpack(b"nothing packed", 1 << 20, &mut out), Err(CodecError::Damaged));
        assert!(out.is_empty());
        Zstd.unpack(&packed, body.len(), &mut out).unwrap();
        assert_eq!(out, body);
    }
}
