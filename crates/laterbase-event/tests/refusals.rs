//! Every way in which a batch can be wrong is refused, with the exact reason.
//!
//! Batches are put together by hand here, from a header and raw envelopes, so that they can be
//! what a builder never writes. Each test has first shown that the right bytes are accepted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod sample;

use laterbase_event::{
    BatchHeader, BatchView, CauseDraft, DecodeError, DraftError, EventId, Field, Hash, Hlc, Limits,
    Stamp, StampError, VerifyError,
};
use sample::{Draft, builder, encode, stamp};

fn header(count: u32, envelopes: &[u8], payloads: &[u8]) -> BatchHeader {
    let stamp = stamp();
    BatchHeader {
        database: stamp.database,
        replica: stamp.replica,
        root: sample::ROOT.parse().unwrap(),
        first_seq: stamp.first_seq,
        count,
        first_hlc: stamp.first_hlc,
        commit_hlc: stamp.commit_hlc,
        part: stamp.part,
        parts: stamp.parts,
        previous: stamp.previous,
        has_default_valid: true,
        envelopes_len: u32::try_from(envelopes.len()).unwrap(),
        payloads_len: u32::try_from(payloads.len()).unwrap(),
    }
}

fn assemble(header: &BatchHeader, envelopes: &[u8], payloads: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    header.encode_into(&mut bytes);
    bytes.extend_from_slice(envelopes);
    bytes.extend_from_slice(payloads);
    bytes
}

/// Verifies a batch of `count` events with these envelopes and no payloads.
fn verify(count: u32, envelopes: &[u8]) -> Result<(), VerifyError> {
    let bytes = assemble(&header(count, envelopes, &[]), envelopes, &[]);
    BatchView::parse(&bytes).unwrap().verify(Limits::default()).map(|_| ())
}

/// The dictionaries of a batch whose events are all of type "t", version 1, with these tag roots.
fn dictionaries(roots: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 1, b't', 1, 0, u8::try_from(roots.len()).unwrap()];
    roots.iter().for_each(|root| bytes.extend_from_slice(&[1, *root]));
    bytes
}

/// Verifies a batch of these envelopes.
fn verify_events(roots: &[u8], events: &[&[u8]]) -> Result<(), VerifyError> {
    let envelopes = [&dictionaries(roots)[..], &events.concat()].concat();
    verify(u32::try_from(events.len()).unwrap(), &envelopes)
}

fn decode(index: u32, source: DecodeError) -> Result<(), VerifyError> {
    Err(VerifyError::Decode { index, source })
}

fn out_of_range(index: u32, field: Field) -> Result<(), VerifyError> {
    decode(index, DecodeError::OutOfRange { field })
}

fn not_canonical(offset: usize) -> Result<(), VerifyError> {
    Err(VerifyError::NotCanonical { offset })
}

const TAGS_LISTED: u8 = 2 << 1;
const TAGS_AGAIN: u8 = 1 << 1;
const CAUSE_BACK: u8 = 1 << 3;
const CAUSE_ID: u8 = 2 << 3;
const CAUSE_AGAIN: u8 = 3 << 3;
const IDEMPOTENCY: u8 = 1 << 5;
const META_AGAIN: u8 = 1 << 6;
const META_LISTED: u8 = 2 << 6;

/// The envelope of key "k" and nothing else.
const PLAIN: &[u8] = &[0, 0, 0, 1, b'k', 0];
/// The same after an event with the same key.
const PLAIN_AGAIN: &[u8] = &[0, 0, 1, 0, 0];

#[test]
fn plain_envelopes_are_accepted() {
    assert_eq!(verify_events(&[], &[PLAIN, PLAIN_AGAIN]), Ok(()));
}

#[test]
fn dictionaries_hold_what_is_used_in_order_of_use_and_once() {
    let two = |first: &[u8], second: &[u8], events: &[&[u8]]| {
        let shapes = [&[2, 1][..], first, &[1, 0, 1], second, &[1, 0, 0]].concat();
        verify(u32::try_from(events.len()).unwrap(), &[&shapes[..], &events.concat()].concat())
    };
    let other: &[u8] = &[0, 1, 1, 0, 0];
    let other_first: &[u8] = &[0, 1, 0, 1, b'k', 0];
    assert_eq!(two(b"t", b"u", &[PLAIN, other]), Ok(()));
    assert_eq!(two(b"t", b"u", &[PLAIN, PLAIN_AGAIN]), not_canonical(0));
    assert_eq!(two(b"t", b"u", &[other_first, PLAIN_AGAIN]), not_canonical(2));
    assert_eq!(two(b"t", b"t", &[PLAIN, other]), not_canonical(0));
    assert_eq!(verify_events(b"a", &[PLAIN]), not_canonical(5));
    assert_eq!(verify(1, &[2]), out_of_range(0, Field::Shapes));
    assert_eq!(verify_events(&[], &[&[0, 1, 0, 1, b'k', 0]]), out_of_range(0, Field::Shape));
}

#[test]
fn shared_prefixes_are_longest_and_end_between_characters() {
    let key = |bytes: &[u8]| [&[0, 0][..], bytes, &[0]].concat();
    let euro = key(&[0, 3, 0xE2, 0x82, 0xAC]);
    let check = |second: &[u8]| verify_events(&[], &[&euro, &key(second)]);
    assert_eq!(check(&[3, 1, b'x']), Ok(()));
    assert_eq!(check(&[0, 4, 0xE2, 0x82, 0xAC, b'x']), not_canonical(6 + 8 + 2));
    assert_eq!(check(&[2, 1, 0xAC]), decode(1, DecodeError::NotText { field: Field::Key }));
    assert_eq!(check(&[2, 1, b'x']), decode(1, DecodeError::NotText { field: Field::Key }));
    assert_eq!(check(&[4, 1, b'x']), out_of_range(1, Field::Key));
    let long = [&[0, 255][..], &[b'k'; 255]].concat();
    let longer = verify_events(&[], &[&key(&long), &key(&[255, 1, b'x'])]);
    assert_eq!(longer, out_of_range(1, Field::Key));
}

#[test]
fn a_key_that_is_the_own_id_shares_nothing_with_the_next() {
    let own_id: &[u8] = &[0, 0, 0, 0, 0];
    assert_eq!(verify_events(&[], &[own_id, own_id, PLAIN, own_id]), Ok(()));
    assert_eq!(verify_events(&[], &[own_id, &[0, 0, 1, 1, b'k', 0]]), out_of_range(1, Field::Key));
}

#[test]
fn tags_ascend_and_leave_out_the_event_itself() {
    let tagged = |roots: &[u8], tags: &[u8]| {
        let event = [&[TAGS_LISTED, 0, 0, 1, b'k'][..], tags, &[0]].concat();
        verify_events(roots, &[&event])
    };
    let tags_at = 6 + 2 + 5;
    assert_eq!(tagged(b"a", &[2, 0, 0, 1, b'x', 0, 0, 1, b'y']), Ok(()));
    assert_eq!(tagged(b"a", &[2, 0, 0, 1, b'y', 0, 0, 1, b'x']), not_canonical(tags_at + 4));
    assert_eq!(tagged(b"a", &[2, 0, 0, 1, b'x', 0, 1, 0]), not_canonical(tags_at));
    assert_eq!(tagged(b"a", &[0]), out_of_range(0, Field::Tags));
    assert_eq!(tagged(b"a", &[1, 1, 0, 1, b'x']), out_of_range(0, Field::Tags));
    // The root "shipment" with the event's own key.
    let envelopes = [
        &[1, 1, b't', 1, 0, 1, 8][..],
        b"shipment",
        &[TAGS_LISTED, 0, 0, 1, b'k', 1, 0, 0, 1, b'k', 0],
    ];
    assert_eq!(verify(1, &envelopes.concat()), not_canonical(5));
}

#[test]
fn tags_are_listed_again_only_when_they_differ() {
    let first: &[u8] = &[TAGS_LISTED, 0, 0, 1, b'k', 1, 0, 0, 1, b'x', 0];
    let again: &[u8] = &[TAGS_AGAIN, 0, 1, 0, 0];
    let listed: &[u8] = &[TAGS_LISTED, 0, 1, 0, 1, 0, 1, 0, 0];
    assert_eq!(verify_events(b"a", &[first, again]), Ok(()));
    assert_eq!(verify_events(b"a", &[first, listed]), not_canonical(8 + 11));
    assert_eq!(verify_events(b"a", &[again]), out_of_range(0, Field::Key));
    let again_first: &[u8] = &[TAGS_AGAIN, 0, 0, 1, b'k', 0];
    assert_eq!(verify_events(b"a", &[again_first]), out_of_range(0, Field::Tags));
    let both: &[u8] = &[TAGS_AGAIN | TAGS_LISTED, 0, 0, 1, b'k', 0];
    assert_eq!(verify_events(b"a", &[both]), out_of_range(0, Field::Tags));
}

/// Verifies 17 events: a group of `first` and 15 times `again`, and `last` in the second group.
fn verify_second_group(first: &[u8], again: &[u8], last: &[u8]) -> Result<(), VerifyError> {
    let mut group = first.to_vec();
    (0..15).for_each(|_| group.extend_from_slice(again));
    let end = u32::try_from(group.len()).unwrap().to_le_bytes();
    verify(17, &[&dictionaries(b"a")[..], &end, &[0; 4], &group, last].concat())
}

#[test]
fn what_came_before_a_group_does_not_count_in_it() {
    let check = |first: &[u8], again: &[u8], wrong: &[u8], field| {
        // Every one of these needs the one tag root of the dictionary.
        assert_eq!(verify_second_group(first, again, first), Ok(()));
        assert_eq!(verify_second_group(first, again, wrong), out_of_range(16, field));
    };
    let tags: &[u8] = &[TAGS_LISTED, 0, 0, 1, b'k', 1, 0, 0, 1, b'x', 0];
    check(tags, &[TAGS_AGAIN, 0, 1, 0, 0], &[TAGS_AGAIN, 0, 0, 1, b'k', 0], Field::Tags);
    check(tags, &[TAGS_AGAIN, 0, 1, 0, 0], &[0, 0, 1, 0, 0], Field::Key);
    let shared_tag: &[u8] = &[TAGS_LISTED, 0, 0, 1, b'k', 1, 0, 1, 1, b'y', 0];
    check(tags, &[TAGS_AGAIN, 0, 1, 0, 0], shared_tag, Field::Tags);
    let tagged = |flags: u8, rest: &[u8]| {
        [&[flags | TAGS_LISTED, 0, 0, 1, b'k', 1, 0, 0, 1, b'x'][..], rest, &[0]].concat()
    };
    let cause = tagged(CAUSE_ID, &[7; 16]);
    check(
        &cause,
        &[TAGS_AGAIN | CAUSE_AGAIN, 0, 1, 0, 0],
        &[CAUSE_AGAIN, 0, 0, 1, b'k', 0],
        Field::Cause,
    );
    let meta = tagged(META_LISTED, &[1, 1, b'a', 0]);
    check(
        &meta,
        &[TAGS_AGAIN | META_AGAIN, 0, 1, 0, 0],
        &[META_AGAIN, 0, 0, 1, b'k', 0],
        Field::Meta,
    );
    let idempotency = tagged(IDEMPOTENCY, &[0, 1, b'i']);
    check(
        &idempotency,
        &[TAGS_AGAIN | IDEMPOTENCY, 0, 1, 0, 1, 0, 0],
        &[IDEMPOTENCY, 0, 0, 1, b'k', 1, 0, 0],
        Field::Idempotency,
    );
}

#[test]
fn meta_ascends_and_is_listed_again_only_when_it_differs() {
    let with = |meta: &[u8]| {
        let event = [&[META_LISTED, 0, 0, 1, b'k'][..], meta, &[0]].concat();
        verify_events(&[], &[&event])
    };
    assert_eq!(with(&[2, 1, b'a', 0, 1, b'b', 0]), Ok(()));
    assert_eq!(with(&[2, 1, b'b', 0, 1, b'a', 0]), not_canonical(6 + 5 + 2));
    let repeated = DraftError::MetaRepeated { index: 1 };
    assert_eq!(
        with(&[2, 1, b'a', 0, 1, b'a', 0]),
        Err(VerifyError::Draft { index: 0, source: repeated })
    );
    assert_eq!(with(&[0]), out_of_range(0, Field::Meta));
    assert_eq!(with(&[1, 1, 0xFF, 0]), decode(0, DecodeError::NotText { field: Field::Meta }));
    let first: &[u8] = &[META_LISTED, 0, 0, 1, b'k', 1, 1, b'a', 0, 0];
    let again: &[u8] = &[META_AGAIN, 0, 1, 0, 0];
    let listed: &[u8] = &[META_LISTED, 0, 1, 0, 1, 1, b'a', 0, 0];
    assert_eq!(verify_events(&[], &[first, again]), Ok(()));
    assert_eq!(verify_events(&[], &[first, listed]), not_canonical(6 + 10));
    let both: &[u8] = &[META_AGAIN | META_LISTED, 0, 0, 1, b'k', 0];
    assert_eq!(verify_events(&[], &[both]), out_of_range(0, Field::Meta));
    let again_first: &[u8] = &[META_AGAIN, 0, 0, 1, b'k', 0];
    assert_eq!(verify_events(&[], &[again_first]), out_of_range(0, Field::Meta));
}

#[test]
fn causes_are_earlier_events() {
    let own = |hlc: Hlc| EventId::new(hlc, stamp().replica).as_u128().to_le_bytes();
    let by_id = |id: [u8; 16]| {
        let event = [&[CAUSE_ID, 0, 0, 1, b'k'][..], &id, &[0]].concat();
        verify_events(&[], &[&event])
    };
    let before = stamp().first_hlc.checked_sub(1).unwrap();
    assert_eq!(by_id(own(before)), Ok(()));
    assert_eq!(by_id([7; 16]), Ok(()));
    assert_eq!(by_id(own(stamp().first_hlc)), Err(VerifyError::CauseNotEarlier));
    assert_eq!(by_id(own(Hlc::MAX)), Err(VerifyError::CauseNotEarlier));
    let back = |distance: u8| verify_events(&[], &[PLAIN, &[CAUSE_BACK, 0, 1, 0, distance, 0]]);
    assert_eq!(back(1), Ok(()));
    assert_eq!(back(2), Err(VerifyError::CauseNotEarlier));
    assert_eq!(back(0), out_of_range(1, Field::Cause));
}

#[test]
fn a_cause_is_given_again_only_when_it_differs() {
    let first = [&[CAUSE_ID, 0, 0, 1, b'k'][..], &[7; 16], &[0]].concat();
    let again: &[u8] = &[CAUSE_AGAIN, 0, 1, 0, 0];
    let given = [&[CAUSE_ID, 0, 1, 0][..], &[7; 16], &[0]].concat();
    assert_eq!(verify_events(&[], &[&first, again]), Ok(()));
    assert_eq!(verify_events(&[], &[&first, &given]), not_canonical(6 + first.len()));
    let again_first: &[u8] = &[CAUSE_AGAIN, 0, 0, 1, b'k', 0];
    assert_eq!(verify_events(&[], &[again_first]), out_of_range(0, Field::Cause));
}

#[test]
fn idempotency_keys_are_not_empty_nor_too_long() {
    let with = |bytes: &[u8]| {
        let event = [&[IDEMPOTENCY, 0, 0, 1, b'k'][..], bytes, &[0]].concat();
        verify_events(&[], &[&event])
    };
    assert_eq!(with(&[0, 1, 0xFF]), Ok(()));
    assert_eq!(with(&[0, 0]), out_of_range(0, Field::Idempotency));
    assert_eq!(with(&[1, 1, 0xFF]), out_of_range(0, Field::Idempotency));
    let long = [&[0, 129][..], &[1; 129]].concat();
    assert_eq!(with(&long), out_of_range(0, Field::Idempotency));
}

#[test]
fn numbers_are_in_their_shortest_form() {
    let shape: &[u8] = &[0, 0x80, 0, 0, 1, b'k', 0];
    let error = DecodeError::NotMinimal { field: Field::Shape };
    assert_eq!(verify_events(&[], &[shape]), decode(0, error));
    // 2^64 needs an eleventh bit in the tenth byte.
    let valid_at = [&[1, 0, 0, 1, b'k'][..], &[0xFF; 9], &[2, 0]].concat();
    assert_eq!(verify_events(&[], &[&valid_at]), out_of_range(0, Field::ValidAt));
}

#[test]
fn a_group_ends_with_its_last_event() {
    let trailing = decode(0, DecodeError::Trailing { field: Field::GroupEnd });
    assert_eq!(verify_events(&[], &[&[PLAIN, &[0]].concat()]), trailing);
    let short = decode(0, DecodeError::Truncated { field: Field::PayloadLen });
    assert_eq!(verify_events(&[], &[&PLAIN[..PLAIN.len() - 1]]), short);
}

#[test]
fn payload_lengths_add_up() {
    let envelopes = [&dictionaries(&[])[..], &[0, 0, 0, 1, b'k', 2]].concat();
    let with = |payloads: &[u8]| {
        let bytes = assemble(&header(1, &envelopes, payloads), &envelopes, payloads);
        BatchView::parse(&bytes).unwrap().verify(Limits::default()).map(|_| ())
    };
    assert_eq!(with(&[1, 2]), Ok(()));
    assert_eq!(with(&[1]), out_of_range(0, Field::PayloadLen));
    assert_eq!(with(&[1, 2, 3]), decode(0, DecodeError::Trailing { field: Field::GroupEnd }));
}

#[test]
fn the_group_table_stays_within_the_batch() {
    let drafts: Vec<_> = (0..17).map(|_| Draft::new("k", "t")).collect();
    let (bytes, _) = encode(&drafts, &stamp());
    let view = BatchView::parse(&bytes).unwrap();
    let table_at = bytes.len() - view.envelopes().len() + 6;
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[table_at + at] = byte;
        BatchView::parse(&bytes).unwrap().verify(Limits::default()).map(|_| ())
    };
    assert_eq!(with(0, bytes[table_at]), Ok(()));
    assert_eq!(with(3, 1), out_of_range(0, Field::GroupTable));
    assert_eq!(with(4, 1), out_of_range(0, Field::GroupTable));
}

#[test]
fn the_group_table_does_not_fall() {
    let event = |key: u8| [&[0, 0][..], &[0, 1, key, 1]].concat();
    let again: &[u8] = &[0, 0, 1, 0, 1];
    let mut group = event(b'k');
    (0..15).for_each(|_| group.extend_from_slice(again));
    let verify = |ends: [usize; 4]| {
        let table: Vec<u8> =
            ends.iter().flat_map(|end| u32::try_from(*end).unwrap().to_le_bytes()).collect();
        let parts = [&dictionaries(&[])[..], &table, &group, &group, &event(b'k')].concat();
        let payloads = [7; 33];
        let bytes = assemble(&header(33, &parts, &payloads), &parts, &payloads);
        BatchView::parse(&bytes).unwrap().verify(Limits::default()).map(|_| ())
    };
    let len = group.len();
    assert_eq!(verify([len, 16, 2 * len, 32]), Ok(()));
    assert_eq!(verify([len, 16, len - 1, 32]), out_of_range(16, Field::GroupTable));
    assert_eq!(verify([len, 16, 2 * len, 15]), out_of_range(16, Field::GroupTable));
}

#[test]
fn the_flag_for_default_valid_times_is_right() {
    let explicit: &[u8] = &[1, 0, 0, 1, b'k', 0, 0];
    assert_eq!(verify_events(&[], &[explicit]), Err(VerifyError::Flags));
    let envelopes = [&dictionaries(&[])[..], PLAIN].concat();
    let header = BatchHeader { has_default_valid: false, ..header(1, &envelopes, &[]) };
    let bytes = assemble(&header, &envelopes, &[]);
    let result = BatchView::parse(&bytes).unwrap().verify(Limits::default());
    assert_eq!(result, Err(VerifyError::Flags));
}

#[test]
fn header_fields_do_not_contradict_each_other() {
    let envelopes = [&dictionaries(&[])[..], PLAIN].concat();
    let check = |change: &dyn Fn(&mut BatchHeader), field: Option<Field>| {
        let mut header = header(1, &envelopes, &[]);
        change(&mut header);
        let bytes = assemble(&header, &envelopes, &[]);
        let expected = field.map(|field| DecodeError::OutOfRange { field });
        assert_eq!(BatchView::parse(&bytes).err(), expected, "{header:?}");
    };
    let earlier = |count| stamp().first_hlc.checked_sub(count).unwrap();
    check(&|_| {}, None);
    check(&|header| header.count = 0, Some(Field::Count));
    check(&|header| header.count = 65_536, Some(Field::Count));
    check(&|header| header.first_seq = 0, Some(Field::FirstSeq));
    check(&|header| header.first_seq = 2, Some(Field::Previous));
    check(&|header| header.previous = Hash::of(b""), Some(Field::Previous));
    check(&|header| header.parts = 0, Some(Field::Parts));
    check(&|header| header.part = 1, Some(Field::Part));
    check(&|header| header.commit_hlc = earlier(1), Some(Field::CommitDistance));
    let part = |part: u32, distance: u64| {
        move |header: &mut BatchHeader| {
            header.part = part;
            header.parts = 9;
            header.commit_hlc = earlier(distance);
        }
    };
    check(&part(2, 2), None);
    check(&part(2, 1), Some(Field::CommitDistance));
    check(&part(2, 2 * 65_535), None);
    check(&part(2, 2 * 65_535 + 1), Some(Field::CommitDistance));
    let at = |hlc: u64, count: u32| {
        move |header: &mut BatchHeader| {
            header.first_hlc = Hlc::from_u64(hlc);
            header.commit_hlc = Hlc::from_u64(hlc);
            header.count = count;
        }
    };
    check(&at(0, 1), Some(Field::CommitDistance));
    check(&at(u64::MAX, 1), None);
    check(&at(u64::MAX, 2), Some(Field::FirstHlc));
}

#[test]
fn unknown_versions_forms_and_flags_are_named() {
    let (bytes, _) = encode(&[Draft::new("k", "t")], &stamp());
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        BatchView::parse(&bytes).err()
    };
    assert_eq!(with(0, 0), None);
    assert_eq!(with(0, 2), Some(DecodeError::UnknownForm { found: 2 }));
    assert_eq!(with(0, 1), Some(DecodeError::Truncated { field: Field::Signature }));
    assert_eq!(with(1, 2), Some(DecodeError::UnknownFormat { found: 2 }));
    assert_eq!(with(2, 3), Some(DecodeError::OutOfRange { field: Field::HeaderFlags }));
    let longer = [&bytes[..], &[0]].concat();
    let trailing = DecodeError::Trailing { field: Field::PayloadsLen };
    assert_eq!(BatchView::parse(&longer).err(), Some(trailing));
}

#[test]
fn a_stamp_that_does_not_fit_is_refused_before_anything_is_written() {
    let check = |draft: &Draft, stamp: &Stamp, expected: Result<(), StampError>| {
        let mut batch = builder();
        draft.push_to(&mut batch);
        assert_eq!(batch.finish().stamp(stamp).map(|_| ()), expected);
    };
    let plain = Draft::new("k", "t");
    assert_eq!(builder().finish().stamp(&stamp()), Err(StampError::Empty));
    check(&plain, &stamp(), Ok(()));
    let field = Field::Previous;
    let second = Stamp { first_seq: 2, ..stamp() };
    check(&plain, &second, Err(StampError::Inconsistent { field }));
    let back = Draft { cause: CauseDraft::Back { distance: 3 }, ..plain.clone() };
    let at = |distance| Stamp {
        commit_hlc: stamp().first_hlc.checked_sub(distance).unwrap(),
        part: 1,
        parts: 2,
        ..stamp()
    };
    check(&back, &at(3), Ok(()));
    check(&back, &at(2), Err(StampError::CauseBeforeCommit { reach: 3, distance: 2 }));
    let id = EventId::new(at(2).commit_hlc, stamp().replica);
    let by_id = Draft { cause: CauseDraft::Id(id), ..plain };
    check(&by_id, &at(1), Ok(()));
    check(&by_id, &at(2), Err(StampError::CauseNotEarlier { cause: id }));
}

#[test]
fn a_stamp_finds_the_one_cause_that_is_not_earlier() {
    let id = |hlc: Hlc, replica| EventId::new(hlc, replica);
    let (own, other) = (stamp().replica, laterbase_event::ReplicaId::from_u64(1));
    let earlier = id(Hlc::from_u64(1), own);
    let later = id(stamp().first_hlc, own);
    let foreign = id(Hlc::MAX, other);
    for causes in [
        [later, earlier, foreign],
        [earlier, later, foreign],
        [foreign, later, earlier],
        [earlier, foreign, later],
    ] {
        let mut batch = builder();
        for cause in causes {
            let draft = Draft { cause: CauseDraft::Id(cause), ..Draft::new("k", "t") };
            draft.push_to(&mut batch);
        }
        let expected = Err(StampError::CauseNotEarlier { cause: later });
        assert_eq!(batch.finish().stamp(&stamp()), expected);
    }
}

#[test]
fn causes_across_the_batches_of_a_commit_resolve() {
    let stamp = Stamp {
        commit_hlc: stamp().first_hlc.checked_sub(3).unwrap(),
        part: 2,
        parts: 3,
        ..stamp()
    };
    let draft = Draft { cause: CauseDraft::Back { distance: 3 }, ..Draft::new("k", "t") };
    let (bytes, hash) = encode(&[draft], &stamp);
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!(view.verify(Limits::default()), Ok(hash));
    let mut scratch = laterbase_event::DecodeScratch::default();
    let cause = view.event(0, &mut scratch).unwrap().cause();
    assert_eq!(cause, Some(view.header().commit()));
}
