//! Version vectors obey the laws of a join semilattice, and have one encoding.
//!
//! Mutants that these tests caught when tried: `merge` keeping the left number; `compare` looking
//! at the left side's logs only; decoding without the order check, without the zero checks and
//! without the trailing bytes check.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use laterbase_event::{
    Causality, DecodeError, Field, Limits, ReplicaId, RootName, VersionVector, VersionVectorError,
};
use proptest::prelude::*;

type Model = BTreeMap<(RootName, ReplicaId), u64>;

fn root(name: &str) -> RootName {
    RootName::try_from(name).unwrap()
}

fn vector(entries: &[(&str, u64, u64)]) -> VersionVector {
    let mut vector = VersionVector::new();
    for (name, replica, seq) in entries {
        vector.set(root(name), ReplicaId::from_u64(*replica), *seq);
    }
    vector
}

fn model(vector: &VersionVector) -> Model {
    vector.iter().map(|(root, replica, seq)| ((*root, replica), seq)).collect()
}

fn any_vector() -> impl Strategy<Value = VersionVector> {
    let name = prop::sample::select(vec!["a", "b", "shipment", "_sys"]);
    let replica = prop_oneof![0..4u64, Just(u64::MAX)];
    let seq = prop_oneof![4 => 0..4u64, 1 => Just(u64::MAX), 1 => Just(300)];
    prop::collection::vec((name, replica, seq), 0..12).prop_map(|entries| vector(&entries))
}

fn reversed(causality: Causality) -> Causality {
    match causality {
        Causality::Before => Causality::After,
        Causality::After => Causality::Before,
        Causality::Equal => Causality::Equal,
        Causality::Concurrent => Causality::Concurrent,
    }
}

#[test]
fn the_four_relations() {
    let check = |left: &[_], right: &[_], expected| {
        assert_eq!(vector(left).compare(&vector(right)), expected);
        assert_eq!(vector(right).compare(&vector(left)), reversed(expected));
    };
    check(&[], &[], Causality::Equal);
    check(&[], &[("a", 1, 1)], Causality::Before);
    check(&[("a", 1, 1)], &[("a", 1, 2)], Causality::Before);
    check(&[("a", 1, 1)], &[("b", 1, 1)], Causality::Concurrent);
    check(&[("a", 1, 1)], &[("a", 2, 1)], Causality::Concurrent);
    check(&[("a", 1, 2), ("a", 2, 1)], &[("a", 1, 1), ("a", 2, 2)], Causality::Concurrent);
    check(&[("a", 1, 2), ("b", 2, 1)], &[("a", 1, 2), ("b", 2, 1)], Causality::Equal);
}

#[test]
fn a_log_set_to_zero_is_gone() {
    let mut one = vector(&[("a", 1, 3)]);
    one.set(root("a"), ReplicaId::from_u64(1), 0);
    one.set(root("b"), ReplicaId::from_u64(1), 0);
    assert_eq!(one, VersionVector::new());
    assert!(one.is_empty());
}

#[test]
fn event_zero_of_a_log_is_never_included() {
    let one = vector(&[("a", 1, 3)]);
    let includes = |seq| one.includes(&root("a"), ReplicaId::from_u64(1), seq);
    assert_eq!([0, 1, 3, 4].map(includes), [false, true, true, false]);
    assert!(!one.includes(&root("b"), ReplicaId::from_u64(1), 0));
}

#[test]
fn a_roots_vector_is_its_part() {
    let all = vector(&[("a", 1, 3), ("b", 1, 4), ("b", 2, 5)]);
    assert_eq!(all.for_root(&root("b")), vector(&[("b", 1, 4), ("b", 2, 5)]));
    assert!(all.for_root(&root("c")).is_empty());
}

#[test]
fn bytes_that_are_not_canonical_are_refused() {
    let check = |bytes: &[u8], expected: VersionVectorError| {
        assert_eq!(VersionVector::decode(bytes), Err(expected), "{bytes:02x?}");
    };
    let log = |replica: u8, seq: u8| [replica, 0, 0, 0, 0, 0, 0, 0, seq];
    let field = |error| VersionVectorError::Field(error);
    check(&[], field(DecodeError::Truncated { field: Field::Format }));
    check(&[2, 0], VersionVectorError::UnknownFormat { found: 2 });
    check(&[1], field(DecodeError::Truncated { field: Field::Count }));
    check(&[1, 0x80, 0], field(DecodeError::NotMinimal { field: Field::Count }));
    check(&[1, 1, 1, b'A', 1], field(DecodeError::OutOfRange { field: Field::Root }));
    check(&[1, 1, 1, 0xFF, 1], field(DecodeError::NotText { field: Field::Root }));
    check(&[1, 1, 1, b'a', 0], VersionVectorError::EmptyEntry);
    check(&[&[1, 1, 1, b'a', 1][..], &log(1, 0)].concat(), VersionVectorError::EmptyEntry);
    let twice = [&[1, 1, 1, b'a', 2][..], &log(1, 1), &log(1, 2)].concat();
    check(&twice, VersionVectorError::Order);
    let falling = [&[1, 2, 1, b'b', 1][..], &log(1, 1), &[1, b'a', 1], &log(1, 1)].concat();
    check(&falling, VersionVectorError::Order);
    let one_root_twice = [&[1, 2, 1, b'a', 1][..], &log(1, 1), &[1, b'a', 1], &log(2, 1)].concat();
    check(&one_root_twice, VersionVectorError::Order);
    check(&[1, 0, 9], VersionVectorError::TrailingBytes { bytes: 1 });
}

#[test]
fn claimed_counts_reserve_nothing() {
    // 2^63 roots, and 2^63 replicas: refused at once for what is missing.
    let count = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    let roots = [&[1][..], &count].concat();
    let truncated = |field| Err(VersionVectorError::Field(DecodeError::Truncated { field }));
    assert_eq!(VersionVector::decode(&roots), truncated(Field::Root));
    let replicas = [&[1, 1, 1, b'a'][..], &count].concat();
    assert_eq!(VersionVector::decode(&replicas), truncated(Field::Replica));
}

#[test]
fn more_bytes_than_the_limit_are_not_looked_at() {
    let bytes = vec![1; Limits::VERSION_VECTOR_BYTES_MAX + 1];
    let expected = VersionVectorError::TooLong { bytes: bytes.len() };
    assert_eq!(VersionVector::decode(&bytes), Err(expected));
}

proptest! {
    #[test]
    fn merge_takes_the_higher_number_of_each_log(left in any_vector(), right in any_vector()) {
        let mut expected = model(&left);
        for (log, seq) in model(&right) {
            let held = expected.entry(log).or_default();
            *held = (*held).max(seq);
        }
        let mut merged = left;
        merged.merge(&right);
        prop_assert_eq!(model(&merged), expected);
    }

    #[test]
    fn merge_is_commutative_associative_and_idempotent(
        a in any_vector(), b in any_vector(), c in any_vector(),
    ) {
        let merge = |left: &VersionVector, right: &VersionVector| {
            let mut out = left.clone();
            out.merge(right);
            out
        };
        prop_assert_eq!(merge(&a, &b), merge(&b, &a));
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
        prop_assert_eq!(merge(&a, &a), a);
    }

    #[test]
    fn comparison_is_that_of_the_numbers(left in any_vector(), right in any_vector()) {
        let exceeds = |one: &Model, other: &Model| {
            one.iter().any(|(log, seq)| seq > other.get(log).unwrap_or(&0))
        };
        let (a, b) = (model(&left), model(&right));
        let expected = match (exceeds(&a, &b), exceeds(&b, &a)) {
            (false, false) => Causality::Equal,
            (false, true) => Causality::Before,
            (true, false) => Causality::After,
            (true, true) => Causality::Concurrent,
        };
        prop_assert_eq!(left.compare(&right), expected);
    }

    #[test]
    fn a_merge_is_after_or_equal_to_both(left in any_vector(), right in any_vector()) {
        let mut merged = left.clone();
        merged.merge(&right);
        for side in [left, right] {
            prop_assert!(matches!(merged.compare(&side), Causality::After | Causality::Equal));
        }
    }

    #[test]
    fn decoding_is_the_inverse_of_encoding(vector in any_vector()) {
        let bytes = vector.encode();
        prop_assert_eq!(VersionVector::decode(&bytes), Ok(vector.clone()));
        prop_assert_eq!(vector.iter().count(), vector.len());
        for cut in 0..bytes.len() {
            prop_assert!(VersionVector::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn mutated_bytes_are_refused_or_another_canonical_vector(
        vector in any_vector(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = vector.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = VersionVector::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(vector) = VersionVector::decode(&bytes) {
            prop_assert_eq!(vector.encode(), bytes);
        }
    }
}
