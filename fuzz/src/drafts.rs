//! Events out of the fuzzer's bytes, valid or not, with texts that share prefixes often.

use laterbase_event::{
    BatchBuilder, CauseDraft, DatabaseId, DraftError, EventDraft, EventId, Hash, Hlc, KeyDraft,
    ReplicaId, RootName, Stamp,
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// A draft that owns what it holds. Texts are indexes into a few words and some free text.
#[derive(Arbitrary, Clone, Debug)]
pub struct OwnedDraft {
    key: Option<Text>,
    type_name: Text,
    version: u32,
    valid_at: Option<i64>,
    tags: Vec<(Text, Text)>,
    cause: Cause,
    idempotency: Option<Vec<u8>>,
    meta: Vec<(Text, Text)>,
    content_type: Text,
    payload: Vec<u8>,
}

/// The events of one batch.
pub type Drafts = Vec<OwnedDraft>;

#[derive(Arbitrary, Clone, Debug)]
enum Text {
    Word(u8),
    Numbered(u8, u8),
    Free(String),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Cause {
    None,
    Earlier(u8),
    Back(u8),
    Id(u8, u8),
}

impl Text {
    fn text(&self) -> String {
        const WORDS: [&str; 8] =
            ["shipment", "truck", "a", "application/json", "é", "è", "€uro", "key-"];
        let word = |index: &u8| WORDS[usize::from(*index) % WORDS.len()];
        match self {
            Self::Word(index) => word(index).to_owned(),
            Self::Numbered(index, number) => format!("{}{number}", word(index)),
            Self::Free(text) => text.clone(),
        }
    }
}

impl OwnedDraft {
    /// Pushes the event.
    ///
    /// # Errors
    /// [`DraftError`] as the builder has it.
    pub fn push_to(&self, batch: &mut BatchBuilder) -> Result<u16, DraftError> {
        let pairs = |pairs: &[(Text, Text)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| (a.text(), b.text())).collect()
        };
        let (tags, meta) = (pairs(&self.tags), pairs(&self.meta));
        let tags: Vec<_> = tags.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let meta: Vec<_> = meta.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let key = self.key.as_ref().map(Text::text);
        batch.push(&EventDraft {
            key: key.as_deref().map_or(KeyDraft::OwnId, KeyDraft::Text),
            type_name: &self.type_name.text(),
            version: self.version,
            valid_at: self.valid_at,
            tags: &tags,
            cause: match self.cause {
                Cause::None => CauseDraft::None,
                Cause::Earlier(index) => CauseDraft::Earlier { index_in_batch: index.into() },
                Cause::Back(distance) => CauseDraft::Back { distance: distance.into() },
                Cause::Id(hlc, replica) => CauseDraft::Id(EventId::new(
                    Hlc::from_u64(hlc.into()),
                    ReplicaId::from_u64(replica.into()),
                )),
            },
            idempotency: self.idempotency.as_deref(),
            meta: &meta,
            content_type: &self.content_type.text(),
            payload: &self.payload,
        })
    }

    /// Whether a read event is this one, as far as the draft says it.
    #[must_use]
    pub fn is(&self, event: &laterbase_event::Event) -> bool {
        let mut tags: Vec<_> = self.tags.iter().map(|(a, b)| (a.text(), b.text())).collect();
        let key = self.key.as_ref().map_or_else(|| event.id.to_string(), Text::text);
        tags.retain(|(root, tag)| self.key.is_none() || (root, tag) != (&event.root, &key));
        tags.sort();
        tags.dedup();
        let mut meta: Vec<_> = self.meta.iter().map(|(a, b)| (a.text(), b.text())).collect();
        meta.sort();
        event.key == key
            && event.key_is_own_id == self.key.is_none()
            && event.type_name == self.type_name.text()
            && event.version == self.version
            && (!event.valid_is_default).then_some(event.valid_at.as_micros()) == self.valid_at
            && event.tags == tags
            && event.idempotency == self.idempotency
            && event.meta == meta
            && event.content_type == self.content_type.text()
            && event.payload == self.payload
    }
}

/// The second part of a commit, so that causes can reach before the batch.
#[must_use]
pub fn stamp() -> Stamp {
    Stamp {
        database: DatabaseId::default(),
        replica: ReplicaId::from_u64(7),
        first_seq: 1,
        first_hlc: Hlc::new(1_700_000_000_000, 300),
        commit_hlc: Hlc::new(1_700_000_000_000, 0),
        part: 1,
        parts: 2,
        previous: Hash::ZERO,
    }
}

/// A builder for the root of all drafts here.
#[must_use]
pub fn builder() -> BatchBuilder {
    let Ok(root) = RootName::try_from("shipment") else { unreachable!("a valid name") };
    BatchBuilder::new(root)
}
