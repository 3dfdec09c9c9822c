//! SQLite through rusqlite.
//!
//! Tuned: WAL with `synchronous = FULL`, built with fdatasync; the event's id is the rowid, so that
//! events lie in id order and need no index of their own; indexes that SQLite keeps itself for
//! stream, type and (partial) valid time; tags in a table without rowid, inserted in sorted order;
//! a checkpoint every 64 MiB instead of every 4; memory-mapped reads; prepared statements. Readers
//! have a connection of their own, so they never wait for the writer.

use std::path::Path;
use std::sync::Mutex;

use rusqlite::{CachedStatement, Connection, Row, params};

use crate::error::StoreError;
use crate::peers::CACHE_BYTES;
use crate::record::{IdSource, id_floor, id_of, root_number};
use crate::store::{EventStore, Id, Visit};
use crate::workload::Event;

/// Pages of 4 KiB in the WAL before it is moved into the database.
const CHECKPOINT_PAGES: u32 = 16_384;
const MAP_BYTES: u64 = 64 << 30;

/// Everything but the pragmas.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    valid_at INTEGER,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS streams ON events (key);
CREATE INDEX IF NOT EXISTS types ON events (type);
CREATE INDEX IF NOT EXISTS valid ON events (valid_at) WHERE valid_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS tags (
    root INTEGER NOT NULL,
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (root, key, id)
) STRICT, WITHOUT ROWID;
";

pub(crate) struct Store {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    ids: IdSource,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("events.sqlite");
        let writer = connect(&path)?;
        writer.execute_batch(SCHEMA)?;
        let reader = connect(&path)?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader), ids: IdSource::new() })
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -((CACHE_BYTES >> 10) as i64))?;
    connection.pragma_update(None, "mmap_size", MAP_BYTES as i64)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// An id as SQLite holds it: the HLC half, since there is one replica here.
fn row_id(id: Id) -> i64 {
    (id >> 64) as i64
}

/// Visits the payload in the first column of every row.
fn visit_rows(
    mut statement: CachedStatement<'_>,
    parameters: impl rusqlite::Params,
    visit: Visit<'_>,
) -> Result<u64, StoreError> {
    let mut rows = statement.query(parameters)?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        visit_row(row, visit)?;
        count += 1;
    }
    Ok(count)
}

fn visit_row(row: &Row<'_>, visit: Visit<'_>) -> Result<(), StoreError> {
    visit(row.get_ref(0)?.as_blob()?);
    Ok(())
}

impl EventStore for Store {
    fn append(&self, batch: &[Event], ids: &mut Vec<Id>) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().map_err(|_| "a writer panicked")?;
        let transaction = writer.transaction()?;
        let first = self.ids.take(batch.len());
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO events (id, key, type, valid_at, payload) VALUES (?, ?, ?, ?, ?)",
            )?;
            let mut tags: Vec<(u8, &str, i64)> = Vec::with_capacity(batch.len() * 2);
            for (hlc, event) in (first as i64..).zip(batch) {
                let Event { key, type_name, valid_at_us, payload, .. } = event;
                insert.execute(params![hlc, key, type_name, valid_at_us, payload])?;
                tags.extend(
                    event.tags.iter().map(|(root, key)| (root_number(root), key.as_str(), hlc)),
                );
            }
            tags.sort_unstable();
            let mut insert =
                transaction.prepare_cached("INSERT INTO tags (root, key, id) VALUES (?, ?, ?)")?;
            for (root, key, id) in tags {
                insert.execute(params![root, key, id])?;
            }
        }
        transaction.commit()?;
        ids.extend((first..).map(id_of).take(batch.len()));
        Ok(())
    }

    fn get(&self, id: Id, visit: Visit<'_>) -> Result<bool, StoreError> {
        let reader = self.reader.lock().map_err(|_| "a reader panicked")?;
        let statement = reader.prepare_cached("SELECT payload FROM events WHERE id = ?")?;
        Ok(visit_rows(statement, [row_id(id)], visit)? == 1)
    }

    fn stream(&self, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        let reader = self.reader.lock().map_err(|_| "a reader panicked")?;
        let sql = "SELECT payload FROM events WHERE key = ? ORDER BY id";
        visit_rows(reader.prepare_cached(sql)?, [key], visit)
    }

    fn tag(&self, root: &str, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        let reader = self.reader.lock().map_err(|_| "a reader panicked")?;
        let sql = "SELECT payload FROM tags JOIN events USING (id) \
                   WHERE tags.root = ? AND tags.key = ? ORDER BY tags.id";
        visit_rows(reader.prepare_cached(sql)?, params![root_number(root), key], visit)
    }

    fn valid_range(
        &self,
        from_us: i64,
        to_us: i64,
        visit: Visit<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let reader = self.reader.lock().map_err(|_| "a reader panicked")?;
        let sql = "SELECT payload FROM events \
                   WHERE valid_at IS NOT NULL AND valid_at >= ? AND valid_at < ?";
        let explicit = visit_rows(reader.prepare_cached(sql)?, [from_us, to_us], visit)?;
        let sql = "SELECT payload FROM events \
                   WHERE id >= ? AND id < ? AND valid_at IS NULL";
        let range = [row_id(id_floor(from_us)), row_id(id_floor(to_us))];
        let recorded = visit_rows(reader.prepare_cached(sql)?, range, visit)?;
        Ok(Some(explicit + recorded))
    }

    fn scan(&self, visit: Visit<'_>) -> Result<u64, StoreError> {
        let reader = self.reader.lock().map_err(|_| "a reader panicked")?;
        visit_rows(reader.prepare_cached("SELECT payload FROM events ORDER BY id")?, [], visit)
    }
}
