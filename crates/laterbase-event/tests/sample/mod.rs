//! Events for tests: an owned draft, how it becomes bytes, what must come back, and strategies
//! that make them up.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use laterbase_event::{
    BatchBuilder, BatchHeader, CauseDraft, DatabaseId, Event, EventDraft, EventId, Hash, Hlc,
    KeyDraft, ReplicaId, RootName, Stamp, Timestamp,
};
use proptest::prelude::*;

pub const ROOT: &str = "shipment";

/// A draft that owns what it holds.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Empty: the event's own id.
    pub key: String,
    pub type_name: String,
    pub version: u32,
    pub valid_at: Option<i64>,
    pub tags: Vec<(String, String)>,
    pub cause: CauseDraft,
    pub idempotency: Option<Vec<u8>>,
    pub meta: Vec<(String, String)>,
    pub content_type: String,
    pub payload: Vec<u8>,
}

impl Draft {
    pub fn new(key: &str, type_name: &str) -> Self {
        Self {
            key: key.into(),
            type_name: type_name.into(),
            version: 1,
            valid_at: None,
            tags: Vec::new(),
            cause: CauseDraft::None,
            idempotency: None,
            meta: Vec::new(),
            content_type: String::new(),
            payload: Vec::new(),
        }
    }

    /// The draft that a read event came from.
    pub fn from_event(event: &Event, header: &BatchHeader) -> Self {
        let cause = match event.cause {
            None => CauseDraft::None,
            Some(id) if id.replica() == header.replica && id.hlc() >= header.commit_hlc => {
                let distance = event.id.hlc().as_u64() - id.hlc().as_u64();
                CauseDraft::Back { distance: u32::try_from(distance).unwrap() }
            }
            Some(id) => CauseDraft::Id(id),
        };
        Self {
            key: if event.key_is_own_id { String::new() } else { event.key.clone() },
            type_name: event.type_name.clone(),
            version: event.version,
            valid_at: (!event.valid_is_default).then_some(event.valid_at.as_micros()),
            tags: event.tags.clone(),
            cause,
            idempotency: event.idempotency.clone(),
            meta: event.meta.clone(),
            content_type: event.content_type.clone(),
            payload: event.payload.clone(),
        }
    }

    pub fn push_to(&self, batch: &mut BatchBuilder) {
        self.try_push_to(batch).unwrap();
    }

    pub fn try_push_to(
        &self,
        batch: &mut BatchBuilder,
    ) -> Result<u16, laterbase_event::DraftError> {
        let tags: Vec<_> = self.tags.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let meta: Vec<_> = self.meta.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        batch.push(&EventDraft {
            key: match self.key.as_str() {
                "" => KeyDraft::OwnId,
                key => KeyDraft::Text(key),
            },
            type_name: &self.type_name,
            version: self.version,
            valid_at: self.valid_at,
            tags: &tags,
            cause: self.cause,
            idempotency: self.idempotency.as_deref(),
            meta: &meta,
            content_type: &self.content_type,
            payload: &self.payload,
        })
    }

    /// What a reader must get for this draft as event `index` of the batch: the model that the
    /// codec is held against.
    pub fn expected(&self, header: &BatchHeader, index: u32) -> Event {
        let id = header.event_id(index);
        let back =
            |distance: u64| EventId::new(id.hlc().checked_sub(distance).unwrap(), header.replica);
        let mut tags = self.tags.clone();
        tags.retain(|(root, key)| (root.as_str(), key) != (header.root.as_str(), &self.key));
        tags.sort();
        tags.dedup();
        let mut meta = self.meta.clone();
        meta.sort();
        Event {
            id,
            root: header.root.as_str().into(),
            seq: header.first_seq + u64::from(index),
            key: if self.key.is_empty() { id.to_string() } else { self.key.clone() },
            key_is_own_id: self.key.is_empty(),
            type_name: self.type_name.clone(),
            version: self.version,
            valid_at: self.valid_at.map_or(
                Timestamp::from_micros(i64::try_from(id.hlc().millis()).unwrap() * 1000),
                Timestamp::from_micros,
            ),
            valid_is_default: self.valid_at.is_none(),
            tags,
            cause: match self.cause {
                CauseDraft::None => None,
                CauseDraft::Earlier { index_in_batch } => {
                    Some(header.event_id(u32::from(index_in_batch)))
                }
                CauseDraft::Back { distance } => Some(back(u64::from(distance))),
                CauseDraft::Id(id) => Some(id),
            },
            idempotency: self.idempotency.clone(),
            meta,
            content_type: self.content_type.clone(),
            payload: self.payload.clone(),
        }
    }
}

pub fn builder() -> BatchBuilder {
    BatchBuilder::new(RootName::try_from(ROOT).unwrap())
}

/// The first batch of a log, alone in its commit.
pub fn stamp() -> Stamp {
    let hlc = Hlc::new(1_700_000_000_000, 0xFFF8);
    Stamp {
        database: DatabaseId::from_bytes(*b"\xDAtabase-id-bytes"),
        replica: ReplicaId::from_u64(0x00C0_FFEE_0123_4567),
        first_seq: 1,
        first_hlc: hlc,
        commit_hlc: hlc,
        part: 0,
        parts: 1,
        previous: Hash::ZERO,
    }
}

/// The bytes of a batch of these drafts, and its hash.
pub fn encode(drafts: &[Draft], stamp: &Stamp) -> (Vec<u8>, Hash) {
    let mut batch = builder();
    drafts.iter().for_each(|draft| draft.push_to(&mut batch));
    let body = batch.finish();
    let mut bytes = Vec::new();
    let hash = body.write_batch(&body.stamp(stamp).unwrap(), &mut bytes);
    (bytes, hash)
}

fn text(max: usize) -> impl Strategy<Value = String> {
    // Few letters, so that prefixes are shared; one, two, three and four bytes long, so that some
    // share the first bytes of a character only.
    let letters = prop::sample::select(vec!['a', 'b', ':', 'é', 'è', '€', '𝄞', '𝄟']);
    prop::collection::vec(letters, 1..=max).prop_map(|letters| letters.into_iter().collect())
}

fn root() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["shipment", "truck", "dock", "a", "z.z_z-9"]).prop_map(String::from)
}

fn cause(index: usize) -> BoxedStrategy<CauseDraft> {
    let id = prop::sample::select(vec![1u128, 2, 1 << 64, (77 << 64) | 5, u128::MAX])
        .prop_map(|id| CauseDraft::Id(EventId::from_u128(id)));
    let index = u16::try_from(index).unwrap();
    let earlier = (0..index.max(1)).prop_map(move |at| match index {
        0 => CauseDraft::None,
        _ => CauseDraft::Earlier { index_in_batch: at },
    });
    prop_oneof![2 => Just(CauseDraft::None), 1 => id, 1 => earlier].boxed()
}

fn meta() -> impl Strategy<Value = Vec<(String, String)>> {
    let entries = prop::collection::btree_map(text(3), text(20), 0..3);
    entries.prop_map(|entries| entries.into_iter().rev().collect())
}

fn draft(index: usize) -> impl Strategy<Value = Draft> {
    let shape = (
        prop::sample::select(vec!["booked", "left", "ü"]),
        prop::sample::select(vec![0u32, 1, 127, 128, u32::MAX]),
        prop::sample::select(vec!["", "application/json"]),
    );
    let times = prop_oneof![
        3 => Just(None),
        1 => any::<i64>().prop_map(Some),
        3 => (0..100i64).prop_map(|at| Some(1_700_000_000_000_000 + at)),
    ];
    let idempotency = prop::option::of(prop::collection::vec(0..3u8, 1..6));
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    let tags = prop::collection::vec((root(), text(4)), 0..5);
    let key = prop_oneof![4 => text(4), 1 => Just(String::new())];
    (key, shape, times, tags, cause(index), idempotency, meta(), payload).prop_map(
        |(key, (type_name, version, content_type), valid_at, tags, cause, idem, meta, payload)| {
            Draft {
                key,
                type_name: type_name.into(),
                version,
                valid_at,
                tags,
                cause,
                idempotency: idem,
                meta,
                content_type: content_type.into(),
                payload,
            }
        },
    )
}

/// One to `max` drafts; about a third of them repeat tags, meta or shape of the one before.
pub fn drafts(max: usize) -> impl Strategy<Value = Vec<Draft>> {
    (1..=max)
        .prop_flat_map(|count| {
            let all: Vec<_> = (0..count).map(draft).collect();
            (all, prop::collection::vec(0..6u8, count))
        })
        .prop_map(|(mut all, repeats)| {
            for index in 1..all.len() {
                let before = all[index - 1].clone();
                match repeats[index] {
                    0 => all[index].tags = before.tags,
                    1 => all[index].meta = before.meta,
                    2 => {
                        all[index].tags = before.tags;
                        all[index].meta = before.meta;
                        all[index].key = before.key;
                    }
                    _ => {}
                }
            }
            all
        })
}
