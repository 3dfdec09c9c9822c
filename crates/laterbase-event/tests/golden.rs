//! The bytes of each format version, kept for ever: later versions must read them, and as long as
//! a version is the one that is written, must write them.
//!
//! A fixture is hexadecimal text; `#` begins a comment. A change that makes one of these tests
//! fail is a new format version with fixtures of its own, never an edit of these.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod sample;

use laterbase_event::{
    BatchView, CauseDraft, DecodeScratch, Event, EventId, Hash, Hlc, Limits, ReplicaId, RootName,
    Signature, Stamp, VersionVector,
};
use sample::{Draft, encode, stamp};

const SMALLEST_HASH: &str = "835e82a9552d8c300465d3d8de3d716e476ad0b27c916a7646ffd0088e117a04";
const FULL_HASH: &str = "206b4096b186aa58273adf2874905b547518f7e6d1b824f7e1c28e56f0a6c284";
const GROUPS_HASH: &str = "994dcccbcc4a4d079ed09eff8fc391753c96f89160d67bebb7482037a41e9438";
const SIGNATURE: Signature = Signature { key_id: *b"key-id-8", signature: [0x5A; 64] };

fn fixture(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().bytes())
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
}

/// Four events that use every field and every way to code it, as the second part of a commit.
fn full() -> (Vec<Draft>, Stamp) {
    let cause =
        CauseDraft::Id(EventId::new(Hlc::new(1_600_000_000_000, 1), ReplicaId::from_u64(5)));
    let first = Draft {
        valid_at: Some(1_700_000_000_000_000),
        tags: pairs(&[("truck", "HH-2"), ("truck", "HH-1")]),
        cause,
        idempotency: Some(b"import-1".to_vec()),
        meta: pairs(&[("trace", "7f"), ("actor", "ann")]),
        content_type: "application/json".into(),
        payload: br#"{"kg":12}"#.to_vec(),
        ..Draft::new("4711", "booked")
    };
    let second = Draft {
        version: 300,
        tags: first.tags.clone(),
        cause: CauseDraft::Earlier { index_in_batch: 0 },
        idempotency: Some(b"import-2".to_vec()),
        meta: first.meta.clone(),
        ..Draft::new("4712", "departed")
    };
    let third = Draft {
        valid_at: Some(1_699_999_999_999_999),
        tags: pairs(&[("truck", "HH-3"), ("dock", "é")]),
        cause,
        meta: pairs(&[("actor", "bob")]),
        payload: "ü".into(),
        content_type: "application/json".into(),
        ..Draft::new("", "booked")
    };
    let fourth = Draft { cause: CauseDraft::Back { distance: 5 }, ..Draft::new("4712", "seen") };
    let first_hlc = stamp().first_hlc;
    let stamp = Stamp {
        first_seq: 300,
        commit_hlc: first_hlc.checked_sub(2).unwrap(),
        part: 1,
        parts: 2,
        previous: Hash::of(b"the batch before"),
        ..stamp()
    };
    (vec![first, second, third, fourth], stamp)
}

/// Forty events: three groups, the last one short.
fn forty() -> Vec<Draft> {
    let draft = |index: u32| Draft {
        valid_at: index.is_multiple_of(3).then(|| 1_700_000_000_000_000 + i64::from(index)),
        tags: vec![("truck".into(), format!("HH-{}", index * 7 % 40))],
        cause: match index {
            0 => CauseDraft::None,
            _ => CauseDraft::Earlier { index_in_batch: u16::try_from(index / 2).unwrap() },
        },
        payload: vec![u8::try_from(index).unwrap(); (index % 5) as usize],
        ..Draft::new(&format!("key-{}", index / 3), ["booked", "seen"][(index % 2) as usize])
    };
    (0..40).map(draft).collect()
}

/// What is written is the fixture; what is read from it are the drafts.
fn check(text: &str, drafts: &[Draft], stamp: &Stamp, signature: Option<Signature>, hash: &str) {
    let (mut bytes, written_hash) = encode(drafts, stamp);
    if let Some(Signature { key_id, signature }) = signature {
        bytes[0] = 1;
        bytes.extend_from_slice(&key_id);
        bytes.extend_from_slice(&signature);
    }
    let fixture = fixture(text);
    assert_eq!(hex(&bytes), hex(&fixture));
    assert_eq!(written_hash.to_string(), hash);
    let view = BatchView::parse(&fixture).unwrap();
    assert_eq!(view.verify(Limits::default()), Ok(written_hash));
    assert_eq!(view.signature().copied(), signature);
    let mut scratch = DecodeScratch::default();
    for (draft, index) in drafts.iter().zip(0..) {
        let event = Event::from(&view.event(index, &mut scratch).unwrap());
        assert_eq!(event, draft.expected(view.header(), index));
    }
}

#[test]
fn the_smallest_batch_of_version_1() {
    check(
        include_str!("fixtures/batch-v1-smallest.hex"),
        &[Draft::new("k", "t")],
        &stamp(),
        None,
        SMALLEST_HASH,
    );
}

#[test]
fn a_batch_of_version_1_with_every_field() {
    let (drafts, stamp) = full();
    check(include_str!("fixtures/batch-v1-full.hex"), &drafts, &stamp, None, FULL_HASH);
}

#[test]
fn a_signed_batch_of_version_1() {
    let text = include_str!("fixtures/batch-v1-signed.hex");
    check(text, &[Draft::new("k", "t")], &stamp(), Some(SIGNATURE), SMALLEST_HASH);
}

#[test]
fn a_batch_of_version_1_with_three_groups() {
    check(include_str!("fixtures/batch-v1-groups.hex"), &forty(), &stamp(), None, GROUPS_HASH);
}

#[test]
fn a_version_vector_of_version_1() {
    let mut vector = VersionVector::new();
    for (root, replica, seq) in
        [("truck", 7, 300), ("_sys", 0x00C0_FFEE_0123_4567, 1), ("truck", u64::MAX, u64::MAX)]
    {
        vector.set(RootName::try_from(root).unwrap(), ReplicaId::from_u64(replica), seq);
    }
    let fixture = fixture(include_str!("fixtures/version-vector-v1.hex"));
    assert_eq!(hex(&vector.encode()), hex(&fixture));
    assert_eq!(VersionVector::decode(&fixture), Ok(vector));
}
