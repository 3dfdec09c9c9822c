//! Whatever is written comes back, by every way of reading; whatever is accepted encodes to the
//! same bytes again; nothing panics.
//!
//! Mutants that these tests caught when tried: not resetting the encoder or the decoder at a
//! group's start; cutting a shared prefix within a character; leaving out the group end check.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod sample;

use laterbase_event::{
    BatchBuilder, BatchDirectory, BatchView, DecodeError, DecodeScratch, Event, Field, Limits,
    PrefixError, Stamp, Verifier,
};
use proptest::prelude::*;
use sample::{Draft, drafts, encode, stamp};

/// Reads all events in order.
fn read_all(bytes: &[u8]) -> Vec<Event> {
    let view = BatchView::parse(bytes).unwrap();
    let mut scratch = DecodeScratch::default();
    let mut events = view.events(&mut scratch).unwrap();
    let mut out = Vec::new();
    while let Some(event) = events.next().unwrap() {
        out.push(Event::from(&event));
    }
    out
}

/// Reads one event as the log does: a directory from a prefix, then two small reads.
fn read_one(bytes: &[u8], directory: &BatchDirectory, index: u32) -> Event {
    let mut scratch = DecodeScratch::default();
    let group = directory.group_ranges(index).unwrap().envelopes;
    let envelope = directory.decode_event(index, &bytes[group], &mut scratch).unwrap();
    let payload = envelope.payload_range();
    let offset = directory.payloads_offset();
    let payload = &bytes[offset + payload.start..offset + payload.end];
    Event::from(&envelope.with_payload(payload).unwrap())
}

/// Parses the directory with ever longer prefixes, as asked for.
fn directory(bytes: &[u8]) -> BatchDirectory {
    let mut len = 0;
    loop {
        match BatchDirectory::parse_prefix(&bytes[..len]) {
            Ok(directory) => return directory,
            Err(PrefixError::NeedMore { bytes: more }) => {
                assert!(more > len, "asked for {more} after {len}");
                len = more.min(bytes.len());
            }
            Err(error @ PrefixError::Decode(_)) => panic!("{error}"),
        }
    }
}

fn expected(drafts: &[Draft], bytes: &[u8]) -> Vec<Event> {
    let view = BatchView::parse(bytes).unwrap();
    let numbered = drafts.iter().zip(0..);
    numbered.map(|(draft, index)| draft.expected(view.header(), index)).collect()
}

/// Uses `bytes` in every way; returns whether a verifier accepts them.
fn exercise(bytes: &[u8]) -> bool {
    let mut scratch = DecodeScratch::default();
    if let Ok(directory) = BatchDirectory::parse_prefix(bytes) {
        for index in (0..directory.header().count).take(40) {
            let Ok(ranges) = directory.group_ranges(index) else { continue };
            let Some(group) = bytes.get(ranges.envelopes) else { continue };
            let Ok(event) = directory.decode_event(index, group, &mut scratch) else { continue };
            let _ = (event.tags().count(), event.meta().count(), event.cause(), event.id());
        }
    }
    let Ok(view) = BatchView::parse(bytes) else { return false };
    let _ = view.event(view.header().count - 1, &mut scratch).map(|event| Event::from(&event));
    if let Ok(mut events) = view.events(&mut scratch) {
        while let Ok(Some(event)) = events.next() {
            let _ = Event::from(&event);
        }
    }
    let wants = |name: &str| name.len().is_multiple_of(2);
    if let Ok(mut events) = view.events_of_types(&mut scratch, 0, wants) {
        while let Ok(Some(event)) = events.next() {
            assert!(wants(event.type_name()));
            let _ = Event::from(&event);
        }
    }
    view.verify(Limits::default()).is_ok()
}

/// The bytes that a new builder makes of a batch's events.
fn encode_again(bytes: &[u8]) -> Vec<u8> {
    let view = BatchView::parse(bytes).unwrap();
    let header = view.header();
    let mut batch = BatchBuilder::new(header.root);
    for event in read_all(bytes) {
        Draft::from_event(&event, header).push_to(&mut batch);
    }
    let body = batch.finish();
    let stamp = Stamp {
        database: header.database,
        replica: header.replica,
        first_seq: header.first_seq,
        first_hlc: header.first_hlc,
        commit_hlc: header.commit_hlc,
        part: header.part,
        parts: header.parts,
        previous: header.previous,
    };
    let mut out = Vec::new();
    body.write_batch(&body.stamp(&stamp).unwrap(), &mut out);
    if let Some(signature) = view.signature() {
        out[0] = 1;
        out.extend_from_slice(&signature.key_id);
        out.extend_from_slice(&signature.signature);
    }
    out
}

#[test]
fn a_cursor_from_the_middle_goes_on_to_the_end() {
    let drafts: Vec<_> = (0..40).map(|index| Draft::new(&format!("k{index}"), "t")).collect();
    let (bytes, _) = encode(&drafts, &stamp());
    let view = BatchView::parse(&bytes).unwrap();
    let mut scratch = DecodeScratch::default();
    for first in 0..=40 {
        let mut events = view.events_from(&mut scratch, first).unwrap();
        let mut index = first;
        while let Some(event) = events.next().unwrap() {
            assert_eq!((event.index(), event.key()), (index, format!("k{index}").as_str()));
            index += 1;
        }
        assert_eq!(index, 40);
    }
    let error = view.events_from(&mut scratch, 41).unwrap_err();
    assert_eq!(error, DecodeError::OutOfRange { field: Field::Index });
    for wanted in ["t", "none"] {
        let wants = |name: &str| name == wanted;
        let error = view.events_of_types(&mut scratch, 41, wants).unwrap_err();
        assert_eq!(error, DecodeError::OutOfRange { field: Field::Index });
    }
}

#[test]
fn a_key_that_is_no_text_is_refused_by_who_gets_a_part_of_it() {
    // The first two keys share a prefix, which is made something else than text.
    let key = |text: &str, type_name: &str| Draft::new(text, type_name);
    let (bytes, _) = encode(&[key("zebra", "a"), key("zebu", "b"), key("", "b")], &stamp());
    let at = bytes.windows(5).position(|window| window == b"zebra").unwrap();
    let mut broken = bytes.clone();
    broken[at] = 0xff;
    let view = BatchView::parse(&broken).unwrap();
    let mut scratch = DecodeScratch::default();
    let no_text = DecodeError::NotText { field: Field::Key };
    for wanted in ["a", "b"] {
        let mut events = view.events_of_types(&mut scratch, 0, |name| name == wanted).unwrap();
        assert_eq!(events.next().unwrap_err(), no_text);
    }
    // Nobody has a part of the last letter.
    let mut broken = bytes;
    broken[at + 4] = 0xff;
    let view = BatchView::parse(&broken).unwrap();
    let mut events = view.events_of_types(&mut scratch, 0, |name| name == "b").unwrap();
    assert_eq!(events.next().unwrap().unwrap().key(), "zebu");
    let own = events.next().unwrap().unwrap();
    assert_eq!(own.key(), own.id().to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_in_order(drafts in drafts(40)) {
        let (bytes, _) = encode(&drafts, &stamp());
        prop_assert_eq!(read_all(&bytes), expected(&drafts, &bytes));
    }

    #[test]
    fn what_is_written_is_read_one_by_one(drafts in drafts(40)) {
        let (bytes, _) = encode(&drafts, &stamp());
        let view = BatchView::parse(&bytes).unwrap();
        let directory = directory(&bytes);
        let mut scratch = DecodeScratch::default();
        for (expected, index) in expected(&drafts, &bytes).iter().zip(0..) {
            prop_assert_eq!(&read_one(&bytes, &directory, index), expected);
            prop_assert_eq!(&Event::from(&view.event(index, &mut scratch).unwrap()), expected);
            let mut from = view.events_from(&mut scratch, index).unwrap();
            prop_assert_eq!(&Event::from(&from.next().unwrap().unwrap()), expected);
        }
    }

    #[test]
    fn events_of_some_types_are_those_among_all(drafts in drafts(60), bits in any::<u64>()) {
        let (bytes, _) = encode(&drafts, &stamp());
        let view = BatchView::parse(&bytes).unwrap();
        let sum = |name: &str| name.bytes().map(u32::from).sum::<u32>();
        let wants = |name: &str| bits >> (sum(name) % 64) & 1 == 1;
        let all = expected(&drafts, &bytes);
        let mut scratch = DecodeScratch::default();
        for from in [0, 1, 17, drafts.len()].into_iter().filter(|from| *from <= drafts.len()) {
            let mut events = view.events_of_types(&mut scratch, from as u32, wants).unwrap();
            for (index, event) in all.iter().enumerate().skip(from) {
                if wants(event.type_name.as_str()) {
                    let read = events.next().unwrap().unwrap();
                    prop_assert_eq!(read.index() as usize, index);
                    prop_assert_eq!(&Event::from(&read), event);
                }
            }
            prop_assert!(events.next().unwrap().is_none());
        }
        // What was wanted of one batch is forgotten with the next.
        let count = view.events(&mut scratch).map(|mut events| {
            std::iter::from_fn(|| events.next().unwrap().map(|_| ())).count()
        });
        prop_assert_eq!(count.unwrap(), drafts.len());
    }

    #[test]
    fn what_is_written_verifies(drafts in drafts(40)) {
        let (bytes, hash) = encode(&drafts, &stamp());
        let view = BatchView::parse(&bytes).unwrap();
        prop_assert_eq!(view.verify(Limits::default()), Ok(hash));
        prop_assert_eq!(view.hash(), hash);
    }

    #[test]
    fn a_used_builder_writes_what_a_new_one_does(first in drafts(40), second in drafts(40)) {
        let mut batch = sample::builder();
        first.iter().for_each(|draft| draft.push_to(&mut batch));
        batch.finish();
        batch.clear();
        second.iter().for_each(|draft| draft.push_to(&mut batch));
        let body = batch.finish();
        let mut bytes = Vec::new();
        let hash = body.write_batch(&body.stamp(&stamp()).unwrap(), &mut bytes);
        prop_assert_eq!((bytes, hash), encode(&second, &stamp()));
    }

    #[test]
    fn used_scratch_reads_what_new_scratch_does(first in drafts(40), second in drafts(40)) {
        let mut verifier = Verifier::new(Limits::default());
        for drafts in [first, second] {
            let (bytes, hash) = encode(&drafts, &stamp());
            prop_assert_eq!(verifier.verify(&BatchView::parse(&bytes).unwrap()), Ok(hash));
        }
    }

    #[test]
    fn the_order_of_tags_and_meta_in_a_draft_does_not_matter(drafts in drafts(20)) {
        let mut turned = drafts.clone();
        for draft in &mut turned {
            draft.tags.reverse();
            draft.tags.extend(draft.tags.first().cloned());
            if !draft.key.is_empty() {
                draft.tags.push((sample::ROOT.into(), draft.key.clone()));
            }
            draft.meta.reverse();
        }
        prop_assert_eq!(encode(&drafts, &stamp()), encode(&turned, &stamp()));
    }

    #[test]
    fn no_prefix_of_a_batch_is_a_batch(drafts in drafts(20), cut in any::<prop::sample::Index>()) {
        let (bytes, _) = encode(&drafts, &stamp());
        prop_assert!(!exercise(&bytes[..cut.index(bytes.len())]));
    }

    #[test]
    fn mutated_bytes_are_refused_or_another_canonical_batch(
        drafts in drafts(40),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut bytes, _) = encode(&drafts, &stamp());
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if exercise(&bytes) {
            prop_assert_eq!(encode_again(&bytes), bytes);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if exercise(&bytes) {
            prop_assert_eq!(encode_again(&bytes), bytes);
        }
    }
}
