//! Frames, segment headers and footers from any bytes: nothing panics, and what decodes is the only
//! encoding of itself.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| laterbase_log::fuzzing::frame(data));
