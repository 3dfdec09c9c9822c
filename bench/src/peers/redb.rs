//! redb.
//!
//! Tuned: one transaction a batch, keys inserted in sorted order, a large cache; `Immediate`
//! durability with one-phase commits, its defaults. Quick repair is left off, since it makes each
//! commit slower; the area that opens after a kill therefore sees redb repair itself.

use std::path::Path;
use std::sync::Mutex;

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use crate::error::StoreError;
use crate::peers::CACHE_BYTES;
use crate::record::{
    IdSource, IndexKeys, decode, encode, id_floor, id_of, id_suffix, stream_prefix, tag_prefix,
    valid_key,
};
use crate::store::{EventStore, Id, Visit};
use crate::workload::Event;

const EVENTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("events");
const STREAMS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("streams");
const TAGS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("tags");
const TYPES: TableDefinition<'_, &[u8], ()> = TableDefinition::new("types");
const VALID: TableDefinition<'_, &[u8], ()> = TableDefinition::new("valid");

type EventTable = ReadOnlyTable<u128, &'static [u8]>;

pub(crate) struct Store {
    database: Database,
    ids: IdSource,
    scratch: Mutex<(IndexKeys, Vec<u8>)>,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let database =
            Database::builder().set_cache_size(CACHE_BYTES).create(folder.join("events.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(EVENTS)?;
        for table in [STREAMS, TAGS, TYPES, VALID] {
            transaction.open_table(table)?;
        }
        transaction.commit()?;
        Ok(Self { database, ids: IdSource::new(), scratch: Mutex::default() })
    }

    fn visit_keys(
        &self,
        table: TableDefinition<'_, &'static [u8], ()>,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<u64, StoreError> {
        let transaction = self.database.begin_read()?;
        let events = transaction.open_table(EVENTS)?;
        let mut count = 0;
        for entry in transaction.open_table(table)?.range(from..to)? {
            let (key, _) = entry?;
            count += visit_id(&events, id_suffix(key.value()), visit)?;
        }
        Ok(count)
    }

    fn visit_term(
        &self,
        table: TableDefinition<'_, &'static [u8], ()>,
        from: &[u8],
        visit: Visit<'_>,
    ) -> Result<u64, StoreError> {
        let mut to = from.to_vec();
        // The prefix ends with a zero, so this is the first key behind it.
        if let Some(last) = to.last_mut() {
            *last = 1;
        }
        self.visit_keys(table, from, &to, visit)
    }
}

fn visit_id(events: &EventTable, id: Id, visit: Visit<'_>) -> Result<u64, StoreError> {
    let Some(record) = events.get(id)? else { return Ok(0) };
    let Some(record) = decode(record.value()) else { return Ok(0) };
    visit(record.payload);
    Ok(1)
}

impl EventStore for Store {
    fn append(&self, batch: &[Event], ids: &mut Vec<Id>) -> Result<(), StoreError> {
        let mut scratch = self.scratch.lock().map_err(|_| "a writer panicked")?;
        let (keys, bytes) = &mut *scratch;
        let transaction = self.database.begin_write()?;
        let first = self.ids.take(batch.len());
        keys.fill(batch, first);
        {
            let mut events = transaction.open_table(EVENTS)?;
            for (hlc, event) in (first..).zip(batch) {
                encode(event, bytes);
                events.insert(id_of(hlc), bytes.as_slice())?;
            }
        }
        for (table, keys) in [
            (STREAMS, &keys.streams),
            (TAGS, &keys.tags),
            (TYPES, &keys.types),
            (VALID, &keys.valid),
        ] {
            let mut table = transaction.open_table(table)?;
            for key in keys.iter() {
                table.insert(key, ())?;
            }
        }
        transaction.commit()?;
        ids.extend((first..).map(id_of).take(batch.len()));
        Ok(())
    }

    fn get(&self, id: Id, visit: Visit<'_>) -> Result<bool, StoreError> {
        let events = self.database.begin_read()?.open_table(EVENTS)?;
        Ok(visit_id(&events, id, visit)? == 1)
    }

    fn stream(&self, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit_term(STREAMS, &stream_prefix(key), visit)
    }

    fn tag(&self, root: &str, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit_term(TAGS, &tag_prefix(root, key), visit)
    }

    fn valid_range(
        &self,
        from_us: i64,
        to_us: i64,
        visit: Visit<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let mut count = self.visit_keys(VALID, &valid_key(from_us), &valid_key(to_us), visit)?;
        let events = self.database.begin_read()?.open_table(EVENTS)?;
        for entry in events.range(id_floor(from_us)..id_floor(to_us))? {
            let (_, record) = entry?;
            if let Some(record) = decode(record.value()).filter(|record| !record.explicit_valid) {
                visit(record.payload);
                count += 1;
            }
        }
        Ok(Some(count))
    }

    fn scan(&self, visit: Visit<'_>) -> Result<u64, StoreError> {
        let events = self.database.begin_read()?.open_table(EVENTS)?;
        let mut count = 0;
        for entry in events.iter()? {
            let (_, record) = entry?;
            if let Some(record) = decode(record.value()) {
                visit(record.payload);
                count += 1;
            }
        }
        Ok(count)
    }
}
