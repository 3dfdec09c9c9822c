//! No bytes make a reader of sync frames panic or allocate beyond its limits, and what is accepted
//! is canonical: encoding what was read gives the same bytes.
#![no_main]

use laterbase_sync::PeerMemory;
use laterbase_sync::frame::{Frame, FrameLimits, open, split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = FrameLimits { frame_bytes_max: 1 << 20, heads_max: 1000, roots_max: 100 };
    let mut rest = bytes;
    while let Ok(Some((frame, behind))) = split(rest, &limits) {
        if let Ok(opened) = open(frame, &limits, None)
            && let Ok(Some(decoded)) = Frame::decode(&opened, &limits)
        {
            let again = decoded.encode(None);
            // A Hello may offer later versions, of which this one keeps nothing.
            if !matches!(decoded, Frame::Hello(_)) {
                assert_eq!(again, frame);
            }
            let Ok(opened) = open(&again, &limits, None) else { unreachable!("just written") };
            assert_eq!(Frame::decode(&opened, &limits), Ok(Some(decoded)));
        }
        rest = behind;
    }
    if let Ok(memory) = PeerMemory::decode(bytes) {
        assert_eq!(memory.encode(), bytes);
    }
});
