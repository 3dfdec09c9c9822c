//! Every limit holds on the writing side at its exact value, and again on the reading side for
//! bytes that a more permissive writer made.
//!
//! A refused draft must leave the batch as it was: each check here finishes the batch afterwards
//! and compares it with one that never saw the draft.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod sample;

use laterbase_event::{
    BatchBuilder, BatchLimit, BatchView, CauseDraft, DraftError, EventDraft, EventId, Limits,
    NameError, RootName, VerifyError,
};
use sample::{Draft, builder, encode, stamp};

/// Pushes a good event, the draft, and another good event.
fn check(draft: &Draft, expected: Result<u16, DraftError>) {
    let good = Draft { tags: vec![("truck".into(), "7".into())], ..Draft::new("k", "t") };
    let mut batch = builder();
    good.push_to(&mut batch);
    assert_eq!(draft.try_push_to(&mut batch), expected);
    good.push_to(&mut batch);
    let body = batch.finish();
    if expected.is_err() {
        let mut bytes = Vec::new();
        body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
        assert_eq!(bytes, encode(&[good.clone(), good], &stamp()).0);
    }
}

fn tags(count: usize, key_bytes: usize) -> Vec<(String, String)> {
    (0..count).map(|index| ("tag".into(), format!("{index:0key_bytes$}"))).collect()
}

#[test]
fn names_of_an_event_are_checked() {
    let empty = NameError::Empty;
    let mut batch = builder();
    let result = batch.push(&EventDraft::new("", "t"));
    assert_eq!((result, batch.len()), (Err(DraftError::Key(empty)), 0));
    check(&Draft::new("k", ""), Err(DraftError::TypeName(empty)));
    let content_type = Draft { content_type: "\n".into(), ..Draft::new("k", "t") };
    let byte = NameError::Byte { index: 0, byte: b'\n' };
    check(&content_type, Err(DraftError::ContentType(byte)));
}

#[test]
fn names_of_tags_are_checked() {
    let tagged = |root: &str, key: &str| Draft {
        tags: vec![("a".into(), "b".into()), (root.into(), key.into())],
        ..Draft::new("k", "t")
    };
    let root = DraftError::TagRoot { index: 1, source: NameError::Empty };
    check(&tagged("", "x"), Err(root));
    check(&tagged("x", ""), Err(DraftError::TagKey { index: 1, source: NameError::Empty }));
}

#[test]
fn tags_are_limited_in_number() {
    let with = |count| Draft { tags: tags(count, 4), ..Draft::new("k", "t") };
    check(&with(4096), Ok(1));
    check(&with(4097), Err(DraftError::TagCount { count: 4097 }));
    // Repeated tags count once.
    let mut twice = with(4096);
    twice.tags.extend(tags(4096, 4));
    check(&twice, Ok(1));
}

#[test]
fn tags_are_limited_in_bytes() {
    // 3 bytes of root and 125 of key, 512 times, are 64 KiB.
    let mut full = Draft { tags: tags(512, 125), ..Draft::new("k", "t") };
    check(&full, Ok(1));
    full.tags.push(("a".into(), "b".into()));
    check(&full, Err(DraftError::TagBytes { bytes: 64 * 1024 + 2 }));
}

#[test]
fn idempotency_keys_are_limited() {
    let with = |bytes| Draft { idempotency: Some(vec![7; bytes]), ..Draft::new("k", "t") };
    check(&with(0), Err(DraftError::Idempotency { bytes: 0 }));
    check(&with(1), Ok(1));
    check(&with(128), Ok(1));
    check(&with(129), Err(DraftError::Idempotency { bytes: 129 }));
}

#[test]
fn meta_is_limited() {
    let with = |entries: &[(&str, usize)]| Draft {
        meta: entries.iter().map(|(name, len)| ((*name).into(), "v".repeat(*len))).collect(),
        ..Draft::new("k", "t")
    };
    check(&with(&[("name", 4092)]), Ok(1));
    check(&with(&[("name", 4093)]), Err(DraftError::MetaBytes { bytes: 4097 }));
    let empty = DraftError::MetaName { index: 1, source: NameError::Empty };
    check(&with(&[("a", 0), ("", 0)]), Err(empty));
    check(&with(&[("a", 0), ("b", 1), ("a", 2)]), Err(DraftError::MetaRepeated { index: 2 }));
    let names: Vec<_> = (0..257).map(|index| index.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    check(&with(&entries[..256]), Ok(1));
    check(&with(&entries), Err(DraftError::MetaCount { count: 257 }));
}

#[test]
fn payloads_are_limited() {
    let with = |bytes| Draft { payload: vec![7; bytes], ..Draft::new("k", "t") };
    let bytes_max = Limits::PAYLOAD_BYTES_MAX;
    let bytes = bytes_max as usize;
    check(&with(bytes), Ok(1));
    let error = DraftError::PayloadBytes { bytes: bytes + 1, bytes_max };
    check(&with(bytes + 1), Err(error));
}

#[test]
fn a_lower_payload_limit_holds_on_both_sides() {
    let limits = Limits { payload_bytes_max: 10 };
    let root = RootName::try_from(sample::ROOT).unwrap();
    let mut batch = BatchBuilder::with_limits(root, limits);
    let eleven = Draft { payload: vec![7; 11], ..Draft::new("k", "t") };
    let error = DraftError::PayloadBytes { bytes: 11, bytes_max: 10 };
    assert_eq!(eleven.try_push_to(&mut batch), Err(error));
    let (bytes, _) = encode(&[Draft::new("k", "t"), eleven], &stamp());
    let expected = VerifyError::Draft { index: 1, source: error };
    assert_eq!(BatchView::parse(&bytes).unwrap().verify(limits), Err(expected));
}

#[test]
fn a_higher_payload_limit_counts_as_the_highest() {
    let limits = Limits { payload_bytes_max: u32::MAX };
    assert_eq!(limits.payload_bytes(), Limits::PAYLOAD_BYTES_MAX);
}

#[test]
fn causes_come_before_their_effects() {
    let with = |cause| Draft { cause, ..Draft::new("k", "t") };
    check(&with(CauseDraft::Earlier { index_in_batch: 0 }), Ok(1));
    let error = Err(DraftError::CauseNotEarlier);
    check(&with(CauseDraft::Earlier { index_in_batch: 1 }), error);
    check(&with(CauseDraft::Earlier { index_in_batch: 2 }), error);
    check(&with(CauseDraft::Back { distance: 0 }), error);
    check(&with(CauseDraft::Id(EventId::from_u128(1))), Ok(1));
}

#[test]
fn a_batch_is_limited_in_events() {
    let mut batch = builder();
    let draft = Draft::new("k", "t");
    for _ in 0..65_535 {
        draft.push_to(&mut batch);
    }
    let full = DraftError::BatchFull { limit: BatchLimit::Events };
    assert_eq!(draft.try_push_to(&mut batch), Err(full));
    let body = batch.finish();
    let mut bytes = Vec::new();
    let hash = body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
    assert_eq!(BatchView::parse(&bytes).unwrap().verify(Limits::default()), Ok(hash));
}

#[test]
fn a_batch_is_limited_in_bytes() {
    let mut batch = builder();
    let draft = Draft { payload: vec![7; 1 << 20], ..Draft::new("k", "t") };
    let mut pushed = 0;
    let error = loop {
        match draft.try_push_to(&mut batch) {
            Ok(_) => pushed += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((pushed, error), (31, DraftError::BatchFull { limit: BatchLimit::Bytes }));
    let body = batch.finish();
    let mut bytes = Vec::new();
    let hash = body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
    assert!(bytes.len() <= Limits::BATCH_BYTES_MAX);
    assert_eq!(BatchView::parse(&bytes).unwrap().verify(Limits::default()), Ok(hash));
}

#[test]
fn the_largest_event_fits_a_batch() {
    let draft = Draft {
        tags: tags(512, 125),
        idempotency: Some(vec![7; 128]),
        meta: vec![("name".into(), "v".repeat(4092))],
        content_type: "c".repeat(255),
        payload: vec![7; Limits::PAYLOAD_BYTES_MAX as usize],
        version: u32::MAX,
        valid_at: Some(i64::MIN),
        cause: CauseDraft::Id(EventId::from_u128(1)),
        ..Draft::new(&"k".repeat(255), &"t".repeat(128))
    };
    let (bytes, hash) = encode(&[draft], &stamp());
    assert_eq!(BatchView::parse(&bytes).unwrap().verify(Limits::default()), Ok(hash));
}

#[test]
fn a_batch_is_limited_in_tags() {
    // 256 events with 4,096 tags each; all but the first list them in one byte.
    let mut batch = builder();
    let draft = Draft { tags: tags(4096, 4), ..Draft::new("k", "t") };
    for _ in 0..256 {
        draft.push_to(&mut batch);
    }
    let full = DraftError::BatchFull { limit: BatchLimit::Tags };
    assert_eq!(draft.try_push_to(&mut batch), Err(full));
    Draft::new("k", "t").push_to(&mut batch);
    let body = batch.finish();
    let mut bytes = Vec::new();
    let hash = body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
    assert_eq!(BatchView::parse(&bytes).unwrap().verify(Limits::default()), Ok(hash));
}

#[test]
fn a_batch_is_limited_in_tag_roots() {
    let mut batch = builder();
    let tagged = |roots: std::ops::Range<usize>| Draft {
        tags: roots.map(|root| (format!("r{root:05}"), "k".into())).collect(),
        ..Draft::new("k", "t")
    };
    for event in 0..15 {
        tagged(event * 4096..(event + 1) * 4096).push_to(&mut batch);
    }
    let full = DraftError::BatchFull { limit: BatchLimit::TagRoots };
    assert_eq!(tagged(61_440..65_536).try_push_to(&mut batch), Err(full));
    // Known roots are no new ones, and the last new one fits.
    tagged(0..4096).push_to(&mut batch);
    tagged(61_440..65_535).push_to(&mut batch);
    assert_eq!(tagged(65_535..65_536).try_push_to(&mut batch), Err(full));
    let body = batch.finish();
    let mut bytes = Vec::new();
    let hash = body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
    assert_eq!(BatchView::parse(&bytes).unwrap().verify(Limits::default()), Ok(hash));
}
