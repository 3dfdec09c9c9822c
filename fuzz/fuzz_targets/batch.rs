//! No bytes make a reader of batches panic, and accepted ones are canonical: encoding what was
//! read gives the same bytes.
#![no_main]

use laterbase_event::{BatchBuilder, BatchView, CauseDraft, Event, EventDraft, KeyDraft, Stamp};
use laterbase_fuzz::{Drafts, builder, exercise, read_all, stamp};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Arbitrary, Debug)]
enum Input {
    Raw(Vec<u8>),
    Edited { drafts: Drafts, edits: Vec<Edit> },
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Set(u16, u8),
    Remove(u16),
    Insert(u16, u8),
    Cut(u16),
}

fuzz_target!(|input: Input| {
    let bytes = match input {
        Input::Raw(bytes) => bytes,
        Input::Edited { drafts, edits } => match encode(&drafts) {
            Some(bytes) => edits.iter().fold(bytes, edit),
            None => return,
        },
    };
    if exercise(&bytes) {
        let Ok(view) = BatchView::parse(&bytes) else { unreachable!("it was accepted") };
        let again = encode_again(&view);
        assert_eq!(again.get(1..), bytes.get(1..again.len()));
    }
});

fn encode(drafts: &Drafts) -> Option<Vec<u8>> {
    let mut batch = builder();
    for draft in drafts {
        let _refused = draft.push_to(&mut batch);
    }
    let body = batch.finish();
    let header = body.stamp(&stamp()).ok()?;
    let mut bytes = Vec::new();
    body.write_batch(&header, &mut bytes);
    Some(bytes)
}

fn edit(mut bytes: Vec<u8>, edit: &Edit) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let len = bytes.len();
    match edit {
        Edit::Set(at, byte) => bytes[usize::from(*at) % len] = *byte,
        Edit::Remove(at) => {
            bytes.remove(usize::from(*at) % len);
        }
        Edit::Insert(at, byte) => bytes.insert(usize::from(*at) % len, *byte),
        Edit::Cut(at) => bytes.truncate(usize::from(*at) % len),
    }
    bytes
}

fn encode_again(view: &BatchView<'_>) -> Vec<u8> {
    let header = view.header();
    let mut batch = BatchBuilder::new(header.root);
    for event in read_all(view) {
        push(&mut batch, &event, header);
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
    let Ok(header) = body.stamp(&stamp) else { panic!("an accepted batch can be stamped") };
    let mut bytes = Vec::new();
    body.write_batch(&header, &mut bytes);
    bytes
}

fn push(batch: &mut BatchBuilder, event: &Event, header: &laterbase_event::BatchHeader) {
    fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
        pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
    }
    let cause = match event.cause {
        None => CauseDraft::None,
        Some(id) if id.replica() == header.replica && id.hlc() >= header.commit_hlc => {
            let distance = event.id.hlc().as_u64() - id.hlc().as_u64();
            let Ok(distance) = u32::try_from(distance) else { panic!("beyond any commit") };
            CauseDraft::Back { distance }
        }
        Some(id) => CauseDraft::Id(id),
    };
    let pushed = batch.push(&EventDraft {
        key: if event.key_is_own_id { KeyDraft::OwnId } else { (&event.key).into() },
        type_name: &event.type_name,
        version: event.version,
        valid_at: (!event.valid_is_default).then_some(event.valid_at.as_micros()),
        tags: &borrowed(&event.tags),
        cause,
        idempotency: event.idempotency.as_deref(),
        meta: &borrowed(&event.meta),
        content_type: &event.content_type,
        payload: &event.payload,
    });
    assert!(pushed.is_ok(), "{pushed:?}");
}
