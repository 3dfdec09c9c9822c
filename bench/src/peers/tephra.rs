//! Tephra, the event store of its own kind on crates.io, in process.
//!
//! It keeps positions, tags and types, and neither ids nor valid time; the stream is one more tag.
//! Tuned: its defaults with segments of 256 MiB, as its documentation shows; a batch budget that
//! lets the largest batch of this run be one commit.

use std::path::Path;

use tephra::{
    EventType, Position, Query, QueryItem, SegmentConfig, SegmentSet, Tag, Tags, WriteCoordinator,
    WriterConfig,
};

use crate::error::StoreError;
use crate::store::{EventStore, Id, Visit};
use crate::workload::{Event, ROOT};

const SEGMENT_BYTES: usize = 256 << 20;
const BATCH_BYTES_MAX: usize = 32 << 20;

pub(crate) struct Store {
    // Declared before the coordinator, so that it is dropped first.
    handle: tephra::WriteHandle,
    _coordinator: WriteCoordinator,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let segments = SegmentSet::open(folder, SegmentConfig::new(SEGMENT_BYTES))?;
        let config = WriterConfig {
            max_batch_bytes: BATCH_BYTES_MAX,
            max_batch_records: 16_384,
            ..WriterConfig::default()
        };
        let (coordinator, handle) = WriteCoordinator::start(segments, config)?;
        Ok(Self { handle, _coordinator: coordinator })
    }

    fn visit(
        &self,
        query: &Query,
        after: Position,
        limit: Option<u64>,
        visit: Visit<'_>,
    ) -> Result<u64, StoreError> {
        let mut reads = self.handle.read(query, after, limit);
        let mut count = 0;
        while let Some(entry) = reads.next() {
            visit(entry?.event.data());
            count += 1;
        }
        Ok(count)
    }
}

fn term(root: &str, key: &str) -> Result<Tag, StoreError> {
    Ok(Tag::new(format!("{root}:{key}"))?)
}

fn encode(event: &Event) -> Result<tephra::Event, StoreError> {
    let mut tags = vec![term(ROOT, &event.key)?];
    for (root, key) in &event.tags {
        tags.push(term(root, key)?);
    }
    Ok(tephra::Event::new(&EventType::new(event.type_name)?, &Tags::new(tags)?, &event.payload)?)
}

fn tagged(root: &str, key: &str) -> Result<Query, StoreError> {
    Ok(Query::item(QueryItem::with_tags(Tags::new([term(root, key)?])?)))
}

impl EventStore for Store {
    fn append(&self, batch: &[Event], ids: &mut Vec<Id>) -> Result<(), StoreError> {
        let events: Result<Vec<_>, _> = batch.iter().map(encode).collect();
        let range = self.handle.append(events?, None)?;
        ids.extend((range.first.get()..=range.last.get()).map(Id::from));
        Ok(())
    }

    fn get(&self, id: Id, visit: Visit<'_>) -> Result<bool, StoreError> {
        let before = Position::new((id as u64).saturating_sub(1));
        Ok(self.visit(&Query::all(), before, Some(1), visit)? == 1)
    }

    fn stream(&self, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit(&tagged(ROOT, key)?, Position::ZERO, None, visit)
    }

    fn tag(&self, root: &str, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit(&tagged(root, key)?, Position::ZERO, None, visit)
    }

    fn valid_range(&self, _: i64, _: i64, _: Visit<'_>) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    fn scan(&self, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit(&Query::all(), Position::ZERO, None, visit)
    }
}
