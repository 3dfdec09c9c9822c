//! An event as bytes, and its index keys, for the stores that hold keys and values.
//!
//! ```text
//! record   u8 length + type | u8 length + key | u8 explicit? | i64 valid time | u8 tags
//!          { u8 root | u8 length + key }… | payload, to the end
//! stream   key 0 id               tag    u8 root, key 0 id
//! type     type 0 id              valid  valid time, sign flipped, big endian, then id
//! ```
//!
//! Roots are one byte, as a careful program would number them; streams have one root here.
//! Ids are big endian, so that keys sort by term and then by id. Keys are sorted before they are
//! handed over: the makers of the B-tree stores name that as the way to insert many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::store::Id;
use crate::workload::{Event, ITEM};

/// The half of an id that names the replica; there is one here.
const REPLICA: u64 = 0x5eed_0001_c0de_0001;

/// Numbers events: ids are an HLC and the replica, as ours are.
#[derive(Debug)]
pub(crate) struct IdSource(AtomicU64);

impl IdSource {
    /// Begins at the wall clock, which is later than every id given out before.
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Self(AtomicU64::new((now as u64) << 16))
    }

    /// The first of `count` ids that follow one another. Called with the store's write lock held.
    pub(crate) fn take(&self, count: usize) -> u64 {
        self.0.fetch_add(count as u64, Ordering::Relaxed)
    }
}

/// The id of an HLC.
pub(crate) fn id_of(hlc: u64) -> Id {
    (Id::from(hlc) << 64) | Id::from(REPLICA)
}

/// The first id at or after a moment.
pub(crate) fn id_floor(us: i64) -> Id {
    let millis = u64::try_from(us.div_euclid(1_000)).unwrap_or(0);
    Id::from(millis << 16) << 64
}

/// Writes the record of an event over what `bytes` held.
pub(crate) fn encode(event: &Event, bytes: &mut Vec<u8>) {
    bytes.clear();
    short_text(bytes, event.type_name);
    short_text(bytes, &event.key);
    bytes.push(u8::from(event.valid_at_us.is_some()));
    bytes.extend_from_slice(&event.valid_at_us.unwrap_or(0).to_le_bytes());
    bytes.push(event.tags.len() as u8);
    for (root, key) in &event.tags {
        bytes.push(root_number(root));
        short_text(bytes, key);
    }
    bytes.extend_from_slice(&event.payload);
}

fn short_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(text.len() as u8);
    bytes.extend_from_slice(text.as_bytes());
}

/// What a reader needs of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) explicit_valid: bool,
    pub(crate) payload: &'a [u8],
}

/// Reads a record; `None` when it is cut short.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record<'_>> {
    let rest = skip_text(skip_text(bytes)?)?;
    let (explicit, rest) = rest.split_first()?;
    let rest = rest.get(8..)?;
    let (tags, mut rest) = rest.split_first()?;
    for _ in 0..*tags {
        rest = skip_text(rest.get(1..)?)?;
    }
    Some(Record { explicit_valid: *explicit == 1, payload: rest })
}

fn skip_text(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first()?;
    rest.get(usize::from(*length)..)
}

/// The index keys of a batch, each kind sorted; keeps its memory from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct IndexKeys {
    pub(crate) streams: SortedKeys,
    pub(crate) tags: SortedKeys,
    pub(crate) types: SortedKeys,
    pub(crate) valid: SortedKeys,
}

impl IndexKeys {
    /// The keys of a batch whose first event has the HLC `first`.
    pub(crate) fn fill(&mut self, batch: &[Event], first: u64) {
        self.streams.clear();
        self.tags.clear();
        self.types.clear();
        self.valid.clear();
        for (hlc, event) in (first..).zip(batch) {
            let id = id_of(hlc).to_be_bytes();
            self.streams.push(&[event.key.as_bytes(), &[0], &id]);
            for (root, key) in &event.tags {
                self.tags.push(&[&[root_number(root)], key.as_bytes(), &[0], &id]);
            }
            self.types.push(&[event.type_name.as_bytes(), &[0], &id]);
            if let Some(at) = event.valid_at_us {
                self.valid.push(&[&valid_key(at), &id]);
            }
        }
        self.streams.sort();
        self.tags.sort();
        self.types.sort();
        self.valid.sort();
    }
}

/// The number of a tag's root; the workload has two.
pub(crate) fn root_number(root: &str) -> u8 {
    u8::from(root == ITEM)
}

/// The part of a stream's keys before the id.
pub(crate) fn stream_prefix(key: &str) -> Vec<u8> {
    [key.as_bytes(), &[0]].concat()
}

/// The part of a tag's keys before the id.
pub(crate) fn tag_prefix(root: &str, key: &str) -> Vec<u8> {
    [&[root_number(root)], key.as_bytes(), &[0]].concat()
}

/// A valid time as bytes that sort like it.
pub(crate) fn valid_key(us: i64) -> [u8; 8] {
    (us as u64 ^ (1 << 63)).to_be_bytes()
}

/// The id at the end of an index key.
pub(crate) fn id_suffix(key: &[u8]) -> Id {
    key.last_chunk::<16>().map_or(0, |bytes| Id::from_be_bytes(*bytes))
}

/// Byte strings in one buffer, sorted on request.
#[derive(Debug, Default)]
pub(crate) struct SortedKeys {
    bytes: Vec<u8>,
    ends: Vec<(u32, u32)>,
}

impl SortedKeys {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, parts: &[&[u8]]) {
        let start = self.bytes.len() as u32;
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push((start, self.bytes.len() as u32));
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.ends.sort_unstable_by_key(|(start, end)| bytes.get(*start as usize..*end as usize));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ends.iter().filter_map(|(start, end)| self.bytes.get(*start as usize..*end as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    #[test]
    fn a_record_gives_back_its_payload() {
        let mut bytes = Vec::new();
        for event in Workload::new(1, 100).take(100) {
            encode(&event, &mut bytes);
            let expected =
                Record { explicit_valid: event.valid_at_us.is_some(), payload: &event.payload };
            assert_eq!(decode(&bytes).unwrap(), expected);
        }
    }

    #[test]
    fn index_keys_are_sorted_and_end_with_the_id() {
        let batch = Workload::new(1, 1_000).take(1_000);
        let mut keys = IndexKeys::default();
        keys.fill(&batch, 500);
        let tags: Vec<&[u8]> = keys.tags.iter().collect();
        assert_eq!(tags.len(), 2_000);
        assert!(tags.is_sorted());
        assert!(tags.iter().all(|key| (500..1_500).contains(&((id_suffix(key) >> 64) as u64))));
    }

    #[test]
    fn valid_times_before_1970_sort_before_later_ones() {
        assert!(valid_key(-1) < valid_key(0));
        assert!(valid_key(i64::MIN) < valid_key(-1));
    }
}
