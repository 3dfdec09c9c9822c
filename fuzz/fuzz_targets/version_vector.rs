//! No bytes make the decoder of version vectors panic; accepted ones are canonical, and merging
//! what two inputs hold is the least vector after both.
#![no_main]

use laterbase_event::{Causality, VersionVector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|inputs: (&[u8], &[u8])| {
    let (left, right) = inputs;
    let Ok(left_vector) = VersionVector::decode(left) else { return };
    assert_eq!(left_vector.encode(), left);
    let Ok(right_vector) = VersionVector::decode(right) else { return };
    let mut merged = left_vector.clone();
    merged.merge(&right_vector);
    assert_eq!(VersionVector::decode(&merged.encode()).as_ref(), Ok(&merged));
    for side in [&left_vector, &right_vector] {
        assert!(matches!(merged.compare(side), Causality::After | Causality::Equal));
    }
    for (root, replica, seq) in merged.iter() {
        let known = left_vector.get(root, replica).max(right_vector.get(root, replica));
        assert_eq!(seq, known);
    }
});
