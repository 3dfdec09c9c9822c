//! What fuzz targets look at inside the crate; only with the cargo feature `fuzzing`.
//!
//! Each function takes any bytes and panics if a promise of the format is broken.

use crate::footer::TRAILER_BYTES;
use crate::footer::Trailer;
use crate::frame::{Epoch, FRAME_HEADER_BYTES, Frame, FrameHeader, set_checksum};
use crate::number::SegmentNumber;
use crate::segment_header::SegmentHeader;

/// Frames, headers and footers: what decodes encodes to the same bytes, and nothing panics.
pub fn frame(data: &[u8]) {
    let (seed, bytes) = data.split_at_checked(8).unwrap_or((data, &[]));
    let seed = seed.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let epoch = Epoch::new(seed);
    check_frame(bytes, epoch);
    // With a right checksum, so that more than checksums is looked at.
    let mut sealed = bytes.to_vec();
    if let Some(header) = FrameHeader::decode(&sealed)
        && let Some(frame) = sealed.get_mut(..header.padded_len())
    {
        set_checksum(frame, epoch);
        check_frame(&sealed, epoch);
        let other = Epoch::new(seed.wrapping_add(1));
        assert!(Frame::decode(&sealed, other).is_err(), "a frame of another epoch passes");
    }
    if let Ok(header) = SegmentHeader::decode(bytes) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
    if let Some(trailer) = bytes.last_chunk::<TRAILER_BYTES>()
        && let Some(trailer) = Trailer::decode(trailer, SegmentNumber::FIRST, epoch)
    {
        assert_eq!(
            Trailer::decode(&trailer.encode(epoch), SegmentNumber::FIRST, epoch),
            Some(trailer)
        );
    }
    crate::footer::check_parts(bytes);
}

fn check_frame(bytes: &[u8], epoch: Epoch) {
    let Ok(frame) = Frame::decode(bytes, epoch) else { return };
    let header = frame.header;
    let encoded = header.encode();
    let checked = |bytes: &[u8]| -> Vec<u8> {
        // All but the checksum, which stands in bytes 4 to 8.
        bytes.iter().take(4).chain(bytes.iter().skip(8).take(40)).copied().collect()
    };
    assert_eq!(checked(&encoded), checked(bytes), "one encoding per header");
    assert_eq!(encoded.len(), FRAME_HEADER_BYTES);
    let mut end = FRAME_HEADER_BYTES;
    let mut count = 0;
    for batch in frame.batches() {
        assert_eq!(batch.index, count);
        assert_eq!(batch.offset, end + 8);
        end = batch.offset + batch.bytes.len();
        count += 1;
    }
    assert_eq!(count, header.batch_count);
    assert_eq!(end, header.frame_len as usize);
}
