//! LMDB through heed.
//!
//! Tuned: events are appended (`MDB_APPEND`), index keys are inserted in sorted order, the record
//! is written in place (`put_reserved`), read transactions are not bound to threads, the map is
//! large enough never to grow. Durability is LMDB's default: data pages are synced, then the meta
//! page is written through. `WRITEMAP` is left off: it needs the file at its full size and loses on
//! commits of few pages.

use std::ops::Bound;
use std::path::Path;
use std::sync::Mutex;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, PutFlags, RoTxn, WithoutTls};

use crate::error::StoreError;
use crate::record::{
    IdSource, IndexKeys, decode, encode, id_floor, id_of, id_suffix, stream_prefix, tag_prefix,
    valid_key,
};
use crate::store::{EventStore, Id, Visit};
use crate::workload::Event;

const MAP_BYTES: usize = 256 << 30;

type Table = Database<'static, Bytes, Bytes>;

pub(crate) struct Store {
    env: Env<WithoutTls>,
    events: Table,
    streams: Table,
    tags: Table,
    types: Table,
    valid: Table,
    ids: IdSource,
    scratch: Mutex<(IndexKeys, Vec<u8>)>,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_dbs(8).max_readers(128);
        #[expect(unsafe_code, reason = "heed has no other way to open an environment")]
        // SAFETY: the file is ours alone, in a folder made for this run; nobody changes it outside
        // of LMDB and it is opened once at a time.
        let env = unsafe { options.open(folder)? };
        let transaction = env.write_txn()?;
        let names = ["events", "streams", "tags", "types", "valid"];
        let tables = env
            .create_databases_and_commit(transaction, |opener, transaction| {
                let mut made = Vec::new();
                for name in names {
                    made.push(opener.create_database::<Bytes, Bytes>(transaction, Some(name))?);
                }
                let made: Result<[_; 5], _> = made.try_into();
                match made {
                    Ok(tables) => Ok(CommitOrAbort::<_, ()>::Commit(tables)),
                    Err(_) => Ok::<_, heed::Error>(CommitOrAbort::Abort(())),
                }
            })?
            .commit();
        let Some([events, streams, tags, types, valid]) = tables else {
            return Err("LMDB did not make its tables".into());
        };
        let scratch = Mutex::default();
        Ok(Self { env, events, streams, tags, types, valid, ids: IdSource::new(), scratch })
    }

    fn visit_term(&self, table: Table, prefix: &[u8], visit: Visit<'_>) -> Result<u64, StoreError> {
        let transaction = self.env.read_txn()?;
        let mut count = 0;
        for entry in table.prefix_iter(&transaction, prefix)? {
            let (key, _) = entry?;
            count += self.visit_id(&transaction, id_suffix(key), visit)?;
        }
        Ok(count)
    }

    fn visit_id(
        &self,
        transaction: &RoTxn<'_, WithoutTls>,
        id: Id,
        visit: Visit<'_>,
    ) -> Result<u64, StoreError> {
        let record = self.events.get(transaction, &id.to_be_bytes())?;
        let Some(record) = record.and_then(decode) else { return Ok(0) };
        visit(record.payload);
        Ok(1)
    }
}

fn half_open<'a>(from: &'a [u8], to: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(from), Bound::Excluded(to))
}

impl EventStore for Store {
    fn append(&self, batch: &[Event], ids: &mut Vec<Id>) -> Result<(), StoreError> {
        let mut scratch = self.scratch.lock().map_err(|_| "a writer panicked")?;
        let (keys, bytes) = &mut *scratch;
        let mut transaction = self.env.write_txn()?;
        let first = self.ids.take(batch.len());
        keys.fill(batch, first);
        for (hlc, event) in (first..).zip(batch) {
            encode(event, bytes);
            let id = id_of(hlc).to_be_bytes();
            self.events.put_with_flags(&mut transaction, PutFlags::APPEND, &id, bytes)?;
        }
        for (table, keys) in [
            (self.streams, &keys.streams),
            (self.tags, &keys.tags),
            (self.types, &keys.types),
            (self.valid, &keys.valid),
        ] {
            for key in keys.iter() {
                table.put(&mut transaction, key, &[])?;
            }
        }
        transaction.commit()?;
        ids.extend((first..).map(id_of).take(batch.len()));
        Ok(())
    }

    fn get(&self, id: Id, visit: Visit<'_>) -> Result<bool, StoreError> {
        let transaction = self.env.read_txn()?;
        Ok(self.visit_id(&transaction, id, visit)? == 1)
    }

    fn stream(&self, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit_term(self.streams, &stream_prefix(key), visit)
    }

    fn tag(&self, root: &str, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit_term(self.tags, &tag_prefix(root, key), visit)
    }

    fn valid_range(
        &self,
        from_us: i64,
        to_us: i64,
        visit: Visit<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let transaction = self.env.read_txn()?;
        let mut count = 0;
        let (from, to) = (valid_key(from_us), valid_key(to_us));
        for entry in self.valid.range(&transaction, &half_open(&from, &to))? {
            let (key, _) = entry?;
            count += self.visit_id(&transaction, id_suffix(key), visit)?;
        }
        let (from, to) = (id_floor(from_us).to_be_bytes(), id_floor(to_us).to_be_bytes());
        for entry in self.events.range(&transaction, &half_open(&from, &to))? {
            if let Some(record) = decode(entry?.1).filter(|record| !record.explicit_valid) {
                visit(record.payload);
                count += 1;
            }
        }
        Ok(Some(count))
    }

    fn scan(&self, visit: Visit<'_>) -> Result<u64, StoreError> {
        let transaction = self.env.read_txn()?;
        let mut count = 0;
        for entry in self.events.iter(&transaction)? {
            if let Some(record) = decode(entry?.1) {
                visit(record.payload);
                count += 1;
            }
        }
        Ok(count)
    }
}
