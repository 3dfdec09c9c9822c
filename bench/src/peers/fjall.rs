//! fjall.
//!
//! Tuned: one write batch a batch of events, persisted with `SyncData` (fdatasync); a large block
//! cache; 64 MiB memtables, its recommended upper end; the events keyspace expects its point reads
//! to hit, so that its last level carries no filters, and uses larger blocks for its larger values.

use std::path::Path;
use std::sync::Mutex;

use fjall::config::BlockSizePolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::error::StoreError;
use crate::peers::CACHE_BYTES;
use crate::record::{
    IdSource, IndexKeys, decode, encode, id_floor, id_of, id_suffix, stream_prefix, tag_prefix,
    valid_key,
};
use crate::store::{EventStore, Id, Visit};
use crate::workload::Event;

/// Items of a write batch for each event: itself, stream, type, two tags, sometimes valid time.
const ITEMS_PER_EVENT: usize = 6;

pub(crate) struct Store {
    database: Database,
    events: Keyspace,
    streams: Keyspace,
    tags: Keyspace,
    types: Keyspace,
    valid: Keyspace,
    ids: IdSource,
    scratch: Mutex<(IndexKeys, Vec<u8>)>,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let database = Database::builder(folder).cache_size(CACHE_BYTES as u64).open()?;
        let options = KeyspaceCreateOptions::default;
        let events = || {
            let blocks = BlockSizePolicy::all(8 << 10);
            options().expect_point_read_hits(true).data_block_size_policy(blocks)
        };
        Ok(Self {
            events: database.keyspace("events", events)?,
            streams: database.keyspace("streams", options)?,
            tags: database.keyspace("tags", options)?,
            types: database.keyspace("types", options)?,
            valid: database.keyspace("valid", options)?,
            database,
            ids: IdSource::new(),
            scratch: Mutex::default(),
        })
    }

    fn visit_id(&self, id: Id, visit: Visit<'_>) -> Result<u64, StoreError> {
        let Some(record) = self.events.get(id.to_be_bytes())? else { return Ok(0) };
        let Some(record) = decode(&record) else { return Ok(0) };
        visit(record.payload);
        Ok(1)
    }

    fn visit_term(
        &self,
        keyspace: &Keyspace,
        prefix: &[u8],
        visit: Visit<'_>,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for entry in keyspace.prefix(prefix) {
            count += self.visit_id(id_suffix(&entry.key()?), visit)?;
        }
        Ok(count)
    }
}

impl EventStore for Store {
    fn append(&self, batch: &[Event], ids: &mut Vec<Id>) -> Result<(), StoreError> {
        let mut scratch = self.scratch.lock().map_err(|_| "a writer panicked")?;
        let (keys, bytes) = &mut *scratch;
        let first = self.ids.take(batch.len());
        keys.fill(batch, first);
        let items = batch.len() * ITEMS_PER_EVENT;
        let mut write = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), items)
            .durability(Some(PersistMode::SyncData));
        for (hlc, event) in (first..).zip(batch) {
            encode(event, bytes);
            write.insert(&self.events, id_of(hlc).to_be_bytes(), bytes.as_slice());
        }
        for (keyspace, keys) in [
            (&self.streams, &keys.streams),
            (&self.tags, &keys.tags),
            (&self.types, &keys.types),
            (&self.valid, &keys.valid),
        ] {
            for key in keys.iter() {
                write.insert(keyspace, key, []);
            }
        }
        write.commit()?;
        ids.extend((first..).map(id_of).take(batch.len()));
        Ok(())
    }

    fn get(&self, id: Id, visit: Visit<'_>) -> Result<bool, StoreError> {
        Ok(self.visit_id(id, visit)? == 1)
    }

    fn stream(&self, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit_term(&self.streams, &stream_prefix(key), visit)
    }

    fn tag(&self, root: &str, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit_term(&self.tags, &tag_prefix(root, key), visit)
    }

    fn valid_range(
        &self,
        from_us: i64,
        to_us: i64,
        visit: Visit<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let mut count = 0;
        for entry in self.valid.range(valid_key(from_us)..valid_key(to_us)) {
            count += self.visit_id(id_suffix(&entry.key()?), visit)?;
        }
        let (from, to) = (id_floor(from_us).to_be_bytes(), id_floor(to_us).to_be_bytes());
        for entry in self.events.range(from..to) {
            let value = entry.value()?;
            if let Some(record) = decode(&value).filter(|record| !record.explicit_valid) {
                visit(record.payload);
                count += 1;
            }
        }
        Ok(Some(count))
    }

    fn scan(&self, visit: Visit<'_>) -> Result<u64, StoreError> {
        let mut count = 0;
        for entry in self.events.iter() {
            if let Some(record) = decode(&entry.value()?) {
                visit(record.payload);
                count += 1;
            }
        }
        Ok(count)
    }
}
