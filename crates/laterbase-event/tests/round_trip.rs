//! Smoke.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

use laterbase_event::*;

#[test]
fn forty_events_round_trip() {
    let mut batch = BatchBuilder::new(RootName::try_from("shipment").unwrap());
    for i in 0..40u32 {
        let key = format!("key-{}", i / 3);
        let tagkey = format!("HH-{i}");
        batch
            .push(&EventDraft {
                valid_at: (i % 3 == 0).then_some(1_700_000_000_000_000 + i64::from(i)),
                tags: &[("truck", &tagkey), ("dock", "é7")],
                cause: if i == 0 {
                    CauseDraft::None
                } else {
                    CauseDraft::Earlier { index_in_batch: (i - 1) as u16 }
                },
                idempotency: Some(key.as_bytes()),
                meta: &[("z", "1"), ("a", "2")],
                payload: &vec![7; i as usize],
                ..EventDraft::new(&key, if i % 2 == 0 { "booked" } else { "left" })
            })
            .unwrap();
    }
    let body = batch.finish();
    let hlc = Hlc::new(1_700_000_000_000, 0);
    let stamp = Stamp {
        database: DatabaseId::default(),
        replica: ReplicaId::from_u64(1),
        first_seq: 1,
        first_hlc: hlc,
        commit_hlc: hlc,
        part: 0,
        parts: 1,
        previous: Hash::ZERO,
    };
    let mut bytes = Vec::new();
    let hash = body.write_batch(&body.stamp(&stamp).unwrap(), &mut bytes);
    println!("{} bytes, envelopes {}", bytes.len(), body.envelopes.len());
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!(view.verify(Limits::default()), Ok(hash));
    let mut scratch = DecodeScratch::default();
    let mut other = DecodeScratch::default();
    let dir = loop_prefix(&bytes);
    let mut events = view.events(&mut scratch).unwrap();
    let mut i = 0;
    while let Some(event) = events.next().unwrap() {
        let owned = Event::from(&event);
        assert_eq!(owned, Event::from(&view.event(i, &mut other).unwrap()));
        let ranges = dir.group_ranges(i).unwrap();
        let env = dir.decode_event(i, &bytes[ranges.envelopes], &mut other).unwrap();
        let r = env.payload_range();
        let off = dir.payloads_offset();
        let ev = env.with_payload(&bytes[off + r.start..off + r.end]).unwrap();
        assert_eq!(owned, Event::from(&ev));
        i += 1;
    }
    assert_eq!(i, 40);
}

fn loop_prefix(bytes: &[u8]) -> BatchDirectory {
    let mut n = 1;
    loop {
        match BatchDirectory::parse_prefix(&bytes[..n]) {
            Ok(d) => return d,
            Err(PrefixError::NeedMore { bytes: more }) => {
                assert!(more > n);
                n = more.min(bytes.len());
            }
            Err(e) => panic!("{e}"),
        }
    }
}
