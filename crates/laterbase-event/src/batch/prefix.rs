//! Longest common prefixes: what delta coding of keys, tags and idempotency keys shares.

/// How many bytes both begin with.
pub(super) fn common_bytes(base: &[u8], bytes: &[u8]) -> usize {
    base.iter().zip(bytes).take_while(|(a, b)| a == b).count()
}

/// How many bytes both begin with, in whole characters. Both must be UTF-8.
pub(super) fn common_text(base: &[u8], text: &[u8]) -> usize {
    let mut common = common_bytes(base, text);
    // A character that only begins alike is not shared. Up to the cut both are the same and valid,
    // so a cut between characters of one is a cut between characters of the other.
    while text.get(common).is_some_and(|byte| byte & 0xC0 == 0x80) {
        common -= 1;
    }
    common
}
