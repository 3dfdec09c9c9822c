//! Longest common prefixes: what delta coding of keys, tags and idempotency keys shares.

/// How many bytes both begin with.
pub(super) fn common_bytes(base: &[u8], bytes: &[u8]) -> usize {
    let (base_words, _) = base.as_chunks::<8>();
    let (words, _) = bytes.as_chunks::<8>();
    let mut common = 0;
    for (a, b) in base_words.iter().zip(words) {
        // In little endian the first byte that differs has the lowest bit that differs.
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return common + (difference.trailing_zeros() / 8) as usize;
        }
        common += 8;
    }
    // Less than 8 bytes are left of one of the two.
    let base = base.get(common..).unwrap_or_default();
    let bytes = bytes.get(common..).unwrap_or_default();
    common + base.iter().zip(bytes).take_while(|(a, b)| a == b).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_compared_across_words() {
        let base: alloc::vec::Vec<u8> = (0..40).collect();
        for len in 0..base.len() {
            for differs_at in 0..len {
                let mut other = base.clone();
                other[differs_at] ^= 0x80;
                assert_eq!(common_bytes(&base[..len], &other), differs_at);
                assert_eq!(common_bytes(&other, &base[..len]), differs_at);
            }
            assert_eq!(common_bytes(&base[..len], &base), len);
        }
    }

    #[test]
    fn characters_that_begin_alike_are_not_shared() {
        assert_eq!(common_text("aé".as_bytes(), "aè".as_bytes()), 1);
        assert_eq!(common_text("€".as_bytes(), "₭".as_bytes()), 0);
        assert_eq!(common_text("aé".as_bytes(), "aé".as_bytes()), 3);
        assert_eq!(common_text("aé".as_bytes(), "aéb".as_bytes()), 3);
        assert_eq!(common_text("aéb".as_bytes(), "aé".as_bytes()), 3);
        assert_eq!(common_text("a".as_bytes(), "aé".as_bytes()), 1);
    }
}
