//! Every frame is read back as it was written, has one encoding, and version 1 stays readable.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod world;

use laterbase_event::{BatchHeader, BatchView, DatabaseId, Hlc, ReplicaId, RootName};
use laterbase_sync::{
    Agreement, Branch, Digest, HashTag, Head, LogId, Replica,
    frame::{
        Ack, Acked, Announce, Batches, Bye, Capabilities, Codec, CodecError, Fault, Fork, Form,
        Frame, FrameError, FrameLimits, HeadsFrame, Hello, Place, Purpose, Reason, RootDigest,
        Scope, Section, Want, open, split,
    },
};
use proptest::prelude::*;

fn root() -> impl Strategy<Value = RootName> {
    "[a-z0-9_.-]{1,12}".prop_map(|name| RootName::try_from(name.as_str()).unwrap())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![1..300u64, Just(u64::MAX), Just(128), any::<u64>().prop_map(|n| n.max(1))]
}

fn id() -> impl Strategy<Value = ReplicaId> {
    any::<u64>().prop_map(ReplicaId::from_u64)
}

fn log() -> impl Strategy<Value = LogId> {
    (root(), id()).prop_map(|(root, replica)| LogId::new(root, replica))
}

fn tag() -> impl Strategy<Value = HashTag> {
    any::<[u8; 8]>().prop_map(HashTag)
}

fn head() -> impl Strategy<Value = Head> {
    (number(), tag(), prop::option::of((id(), number()))).prop_map(|(seq, tag, branch)| Head {
        seq,
        tag,
        branch: branch.map(|(writer, first)| Branch { writer, first_seq: first.min(seq) }),
    })
}

fn heads() -> impl Strategy<Value = Vec<(ReplicaId, Head)>> {
    prop::collection::btree_map(id(), head(), 0..6).prop_map(|map| map.into_iter().collect())
}

fn sections(delta_only: bool) -> impl Strategy<Value = HeadsFrame> {
    let gone = Head { seq: 0, tag: HashTag::default(), branch: None };
    prop::collection::btree_map(root(), (any::<bool>(), heads(), id()), 0..4).prop_map(move |map| {
        let section = |(root, (full, mut heads, lost)): (_, (bool, Vec<_>, ReplicaId))| {
            let form = if full && !delta_only { Form::Full } else { Form::Delta };
            if form == Form::Delta && heads.iter().all(|(id, _)| *id != lost) {
                heads.push((lost, gone));
                heads.sort_by_key(|(id, _)| *id);
            }
            Section { root, form, heads }
        };
        HeadsFrame { sections: map.into_iter().map(section).collect() }
    })
}

fn hello() -> impl Strategy<Value = Hello> {
    let roots = prop::collection::btree_map(root(), prop::option::of(any::<[u8; 16]>()), 0..4);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let numbers = (number(), number(), number(), any::<u64>(), number());
    let rest = (any::<[u8; 16]>(), id(), prop::option::of(any::<[u8; 8]>()), any::<[u8; 8]>());
    (roots, flags, numbers, rest).prop_map(|(roots, flags, numbers, rest)| Hello {
        database: DatabaseId::from_bytes(rest.0),
        replica: rest.1,
        purpose: if flags.0 { Purpose::Ask } else { Purpose::Answer },
        scope: if flags.1 { Scope::All } else { Scope::Listed },
        heads_follow: flags.2,
        capabilities: Capabilities(numbers.0),
        frame_bytes_max: numbers.1,
        window_bytes: numbers.2,
        wall_ms: numbers.4,
        hlc: Hlc::from_u64(numbers.3),
        validators: rest.2,
        agreement: Agreement(rest.3),
        roots: roots
            .into_iter()
            .map(|(root, digest)| RootDigest { root, digest: digest.map(Digest) })
            .collect(),
    })
}

/// Owns what a frame of batches borrows.
type Owned = (LogId, ReplicaId, bool, HashTag, Vec<Vec<u8>>);

fn batches() -> impl Strategy<Value = Owned> {
    let bytes = prop::collection::vec(any::<u8>(), 1..200);
    (log(), id(), any::<bool>(), tag(), prop::collection::vec(bytes, 1..5))
}

fn borrow((log, writer, ends, tag, batches): &Owned) -> Batches<'_> {
    Batches {
        log: *log,
        writer: *writer,
        ends: *ends,
        tag: *tag,
        batches: batches.iter().map(|batch| batch.as_slice().into()).collect(),
    }
}

fn want() -> impl Strategy<Value = Want> {
    let places = prop::collection::btree_map(number(), tag(), 0..20);
    (log(), any::<u64>(), any::<u64>(), any::<u8>(), places).prop_map(
        |(log, until, bytes_max, priority, places)| {
            let place = |(seq, tag)| Place { seq, tag };
            let places = places.into_iter().rev().map(place).collect();
            Want { log, until, bytes_max, priority, places }
        },
    )
}

fn bye() -> impl Strategy<Value = Bye> {
    let reason = prop::sample::select(vec![
        Reason::Done,
        Reason::Busy,
        Reason::BadBatch,
        Reason::Storage,
        Reason::Unknown(200),
    ]);
    let fault = prop::sample::select(vec![
        Fault::Encoding,
        Fault::Refused,
        Fault::Unknown(99),
        Fault::Hash,
    ]);
    let agreement = prop::option::of(any::<[u8; 8]>());
    (reason, any::<u64>(), agreement, prop::option::of((fault, log(), any::<u64>()))).prop_map(
        |(reason, retry_after_ms, agreement, fault)| Bye {
            reason,
            retry_after_ms,
            agreement: agreement.map(Agreement),
            fault,
        },
    )
}

/// Runs of a byte become three bytes: enough to see that bodies are packed.
struct Runs;

impl Codec for Runs {
    fn pack(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        for run in body.chunk_by(|a, b| a == b) {
            for part in run.chunks(255) {
                out.extend([u8::try_from(part.len()).unwrap(), part[0]]);
            }
        }
        Ok(())
    }

    fn unpack(&self, packed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
        for pair in packed.chunks(2) {
            let [count, byte] = pair else { return Err(CodecError::Damaged) };
            if out.len() + usize::from(*count) > max {
                return Err(CodecError::Length);
            }
            out.extend(std::iter::repeat_n(*byte, usize::from(*count)));
        }
        Ok(())
    }
}

fn check(frame: &Frame<'_>) {
    let limits = FrameLimits::default();
    for codec in [None, Some(&Runs as &dyn Codec)] {
        let bytes = frame.encode(codec);
        let (whole, rest) = split(&bytes, &limits).unwrap().unwrap();
        assert_eq!((whole, rest.len()), (&bytes[..], 0));
        let opened = open(&bytes, &limits, codec).unwrap();
        assert_eq!(Frame::decode(&opened, &limits), Ok(Some(frame.clone())));
        for end in 0..bytes.len().min(300) {
            assert_eq!(split(&bytes[..end], &limits), Ok(None), "a part is never a whole");
            assert!(open(&bytes[..end], &limits, codec).is_err());
        }
        // A body that is one byte short or long is refused, and what is taken encodes to itself.
        let mut opened = open(&bytes, &limits, codec).unwrap();
        opened.body.to_mut().push(0);
        assert_eq!(Frame::decode(&opened, &limits), Err(FrameError::Trailing));
    }
}

proptest! {
    #[test]
    fn hellos_come_back(hello in hello()) { check(&Frame::Hello(hello)); }

    #[test]
    fn heads_come_back(heads in sections(false)) { check(&Frame::Heads(heads)); }

    #[test]
    fn wants_come_back(want in want()) { check(&Frame::Want(want)); }

    #[test]
    fn batches_come_back(batches in batches()) { check(&Frame::Batches(borrow(&batches))); }

    #[test]
    fn acks_come_back(entries in prop::collection::btree_map(log(), (number(), tag()), 1..6)) {
        let entries =
            entries.into_iter().map(|(log, (seq, tag))| Acked { log, seq, tag }).collect();
        check(&Frame::Ack(Ack { entries }));
    }

    #[test]
    fn forks_come_back(
        one in prop::collection::vec(any::<u8>(), 1..50),
        other in prop::collection::vec(any::<u8>(), 51..60),
    ) {
        check(&Frame::Fork(Fork::of(&one, &other)));
    }

    #[test]
    fn announces_come_back(
        heads in sections(true),
        batches in prop::collection::vec(batches(), 0..3),
        hops in any::<u8>(),
    ) {
        check(&Frame::Announce(Announce {
            database: world::DATABASE,
            replica: ReplicaId::from_u64(7),
            hops,
            heads,
            batches: batches.iter().map(borrow).collect(),
        }));
    }

    #[test]
    fn byes_come_back(bye in bye()) { check(&Frame::Bye(bye)); }

    /// What a decoder takes of a frame's changed bytes has one encoding: the one it was given.
    #[test]
    fn what_is_taken_is_canonical(
        heads in sections(false),
        want in want(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for frame in [Frame::Heads(heads), Frame::Want(want)] {
            let mut bytes = frame.encode(None);
            let at = place.index(bytes.len());
            bytes[at] = byte;
            let limits = FrameLimits::default();
            if let Ok(opened) = open(&bytes, &limits, None)
                && let Ok(Some(taken)) = Frame::decode(&opened, &limits)
            {
                prop_assert_eq!(taken.encode(None), bytes);
            }
        }
    }
}

#[test]
fn a_frame_of_an_unknown_kind_is_skipped_unread() {
    let limits = FrameLimits::default();
    for kind in [0, 9, 100, 0x80 | 50] {
        let opened_bytes = [4, kind, 1, 2, 3];
        let opened = open(&opened_bytes, &limits, None).unwrap();
        assert_eq!(Frame::decode(&opened, &limits), Ok(None));
    }
}

#[test]
fn an_unknown_version_is_named_before_anything_else_is_read() {
    let limits = FrameLimits::default();
    let bytes = [4, 1, 2, 9, 0xFF];
    let opened = open(&bytes, &limits, None).unwrap();
    let expected = Err(FrameError::Version { min: 2, max: 9 });
    assert_eq!(Frame::decode(&opened, &limits), expected);
}

#[test]
fn lengths_and_counts_beyond_the_limits_are_refused_before_they_are_allocated() {
    let limits = FrameLimits { frame_bytes_max: 1000, heads_max: 10, roots_max: 2 };
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    let max = 1000;
    assert_eq!(split(&huge, &limits), Err(FrameError::TooLong { found: u64::MAX, max }));
    assert_eq!(open(&huge, &limits, None), Err(FrameError::TooLong { found: u64::MAX, max }));
    assert_eq!(split(&[0x80, 0x00], &limits), Err(FrameError::Varint), "not minimal");
    let check = |kind: u8, body: &[u8], expected| {
        let mut bytes = vec![u8::try_from(body.len() + 1).unwrap(), kind];
        bytes.extend(body);
        let opened = open(&bytes, &limits, None).unwrap();
        assert_eq!(Frame::decode(&opened, &limits), Err(expected));
    };
    // Heads: a million roots, one root with a million logs, ten logs that are not there.
    check(2, &[0xC0, 0x84, 0x3D], FrameError::Count { found: 1_000_000, max: 2 });
    let logs = [1, 1, b'a', 0, 0xC0, 0x84, 0x3D];
    check(2, &logs, FrameError::Count { found: 1_000_000, max: 10 });
    check(2, &[1, 1, b'a', 0, 10, 1, 2], FrameError::Truncated);
    check(2, &[1, 1, b'A', 0, 0], FrameError::Root);
    // Acks and batches.
    check(5, &huge, FrameError::Count { found: u64::MAX, max: 10 });
    check(5, &[0], FrameError::Empty);
    let mut batches = vec![1, b'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    batches.extend([1]);
    batches.extend(huge);
    check(4, &batches, FrameError::TooLong { found: u64::MAX >> 1, max: 32 << 20 });
}

#[test]
fn a_bomb_is_refused_by_its_own_word_or_when_it_breaks_it() {
    let limits = FrameLimits { frame_bytes_max: 1000, ..FrameLimits::default() };
    // Says that it unpacks to 2,097,151 bytes.
    let says_so = [6, 0x82, 0xFF, 0xFF, 0x7F, 255, 0];
    let expected = Err(FrameError::TooLong { found: 2_097_151, max: 1000 });
    assert_eq!(open(&says_so, &limits, Some(&Runs)), expected);
    // Says 3, would be 255.
    let lies = [4, 0x82, 3, 255, 0];
    let expected = Err(FrameError::Codec(CodecError::Length));
    assert_eq!(open(&lies, &limits, Some(&Runs)), expected);
    // Says 9, is 3.
    let expected = Err(FrameError::Codec(CodecError::Length));
    assert_eq!(open(&[4, 0x82, 9, 3, 0], &limits, Some(&Runs)), expected);
    let expected = Err(FrameError::Codec(CodecError::Unsupported));
    assert_eq!(open(&lies, &limits, None), expected);
}

/// One frame of each kind, with every optional field once.
fn all_frames() -> Vec<Frame<'static>> {
    let (sys, shipment) = (world::root("_sys"), world::root("shipment"));
    let (ann, bob) = (world::id(0x00C0_FFEE_0123_4567), world::id(7));
    let tag = HashTag([1, 2, 3, 4, 5, 6, 7, 8]);
    let log = LogId::new(shipment, ann);
    let branch = Some(Branch { writer: bob, first_seq: 5 });
    let gone = Head { seq: 0, tag: HashTag::default(), branch: None };
    let full =
        vec![(bob, Head { seq: 300, tag, branch: None }), (ann, Head { seq: 6, tag, branch })];
    let delta = Section { root: shipment, form: Form::Delta, heads: vec![(bob, gone)] };
    let heads =
        HeadsFrame { sections: vec![Section { root: sys, form: Form::Full, heads: full }, delta] };
    let changed = Section {
        root: sys,
        form: Form::Delta,
        heads: vec![(bob, Head { seq: 1, tag, branch: None })],
    };
    let plain = Batches {
        log,
        writer: ann,
        ends: true,
        tag,
        batches: vec![b"batch".as_slice().into(), b"next".as_slice().into()],
    };
    let of_branch = Batches {
        writer: bob,
        ends: false,
        batches: vec![b"batch".as_slice().into()],
        ..plain.clone()
    };
    vec![
        Frame::Hello(Hello {
            database: DatabaseId::from_bytes(*b"\xDAtabase-id-bytes"),
            replica: ann,
            purpose: Purpose::Ask,
            scope: Scope::Listed,
            heads_follow: true,
            capabilities: Capabilities::ZSTD,
            frame_bytes_max: 34 << 20,
            window_bytes: 8 << 20,
            wall_ms: 1_700_000_000_000,
            hlc: Hlc::new(1_700_000_000_000, 3),
            validators: Some(*b"validate"),
            agreement: Agreement(*b"agreed!!"),
            roots: vec![
                RootDigest { root: sys, digest: None },
                RootDigest { root: shipment, digest: Some(Digest([0xD1; 16])) },
            ],
        }),
        Frame::Heads(heads),
        Frame::Want(Want {
            log,
            until: 400,
            bytes_max: 4 << 20,
            priority: 100,
            places: vec![Place { seq: 300, tag }, Place { seq: 1, tag }],
        }),
        Frame::Batches(plain),
        Frame::Batches(of_branch.clone()),
        Frame::Ack(Ack { entries: vec![Acked { log, seq: 300, tag }] }),
        Frame::Fork(Fork { first: b"one", second: b"two", tags: [tag, HashTag([9; 8])] }),
        Frame::Announce(Announce {
            database: DatabaseId::from_bytes(*b"\xDAtabase-id-bytes"),
            replica: bob,
            hops: 2,
            heads: HeadsFrame { sections: vec![changed] },
            batches: vec![of_branch],
        }),
        Frame::Bye(Bye {
            reason: Reason::BadBatch,
            retry_after_ms: 1000,
            agreement: Some(Agreement([9; 8])),
            fault: Some((Fault::Chain, log, 301)),
        }),
        Frame::Bye(Bye::new(Reason::Done)),
    ]
}

#[test]
fn a_linked_batch_leaves_out_the_hash_of_the_one_before_it() {
    let mut copy = world::replica(7);
    for now_ms in 1..=3 {
        world::append(&mut copy, "shipment", now_ms, 2);
    }
    let log = LogId::new(world::root("shipment"), world::id(7));
    let mut batches = Vec::new();
    copy.read(&log, 0, u64::MAX, &mut batches).unwrap();
    let whole: usize = batches.iter().map(Vec::len).sum();
    let tag = HashTag::default();
    let owned = (log, world::id(7), false, tag, batches.clone());
    let frame = Frame::Batches(borrow(&owned));
    check(&frame);
    let linked = frame.encode(None).len();
    assert!(linked < whole - 2 * 32 + 50, "{linked} of {whole}");
    // The same batches out of order name nothing that is before them.
    batches.reverse();
    let owned = (log, world::id(7), false, tag, batches);
    let frame = Frame::Batches(borrow(&owned));
    check(&frame);
    assert!(frame.encode(None).len() > whole);
}

fn put(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A frame with these batches: whether each says that it leaves the hash out, how long it is with
/// it, and its bytes.
fn linked_by_hand(batches: &[(bool, usize, &[u8])]) -> Result<(), FrameError> {
    let mut body = vec![4, 1, b'a'];
    body.extend([0; 8 + 1 + 8]);
    body.push(u8::try_from(batches.len()).unwrap());
    for (is_linked, len, bytes) in batches {
        put(len << 1 | usize::from(*is_linked), &mut body);
        body.extend(*bytes);
    }
    let mut bytes = Vec::new();
    put(body.len(), &mut bytes);
    bytes.extend(body);
    let limits = FrameLimits::default();
    let opened = open(&bytes, &limits, None).unwrap();
    Frame::decode(&opened, &limits).map(drop)
}

#[test]
fn a_batch_leaves_out_the_hash_exactly_where_it_can() {
    let mut copy = world::replica(7);
    world::append(&mut copy, "shipment", 1, 2);
    world::append(&mut copy, "shipment", 2, 2);
    let mut batches = Vec::new();
    let log = LogId::new(world::root("shipment"), world::id(7));
    copy.read(&log, 0, u64::MAX, &mut batches).unwrap();
    let [first, second] = &batches[..] else { panic!("two batches") };
    let hash = BatchView::parse(first).unwrap().hash();
    assert_eq!(second[BatchHeader::PREVIOUS], *hash.as_bytes());
    let without = |batch: &[u8]| {
        [&batch[..BatchHeader::PREVIOUS.start], &batch[BatchHeader::PREVIOUS.end..]].concat()
    };
    let (whole, len) = ((false, first.len(), first.as_slice()), second.len());
    let short = without(second);
    assert_eq!(linked_by_hand(&[whole, (true, len, &short)]), Ok(()));
    let refused = Err(FrameError::Linked);
    assert_eq!(linked_by_hand(&[whole, (false, len, second)]), refused, "could leave it out");
    assert_eq!(linked_by_hand(&[(true, len, &short)]), refused, "nothing is before it");
    let junk = (false, 3, b"abc".as_slice());
    assert_eq!(linked_by_hand(&[junk, (true, len, &short)]), refused, "no batch is before it");
    let too_short = (true, BatchHeader::PREVIOUS.end - 1, &short[..34]);
    assert_eq!(linked_by_hand(&[whole, too_short]), refused, "has no room for it");
}

#[test]
fn the_frames_of_version_1() {
    let bytes = world::fixture(include_str!("fixtures/sync-v1-frames.hex"));
    let limits = FrameLimits::default();
    let mut rest = &bytes[..];
    for frame in all_frames() {
        let written: String = frame.encode(None).iter().map(|b| format!("{b:02x}")).collect();
        let (found, next) = split(rest, &limits).unwrap().unwrap();
        let found_text: String = found.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(found_text, written);
        let opened = open(found, &limits, None).unwrap();
        assert_eq!(Frame::decode(&opened, &limits), Ok(Some(frame)));
        rest = next;
    }
    assert!(rest.is_empty());
}
