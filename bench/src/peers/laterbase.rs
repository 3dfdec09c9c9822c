//! Laterbase through its public API, with its default configuration.
//!
//! A batch is one commit under one root. Builders are used again, as its documentation advises.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use laterbase::{
    Commit, Database, EventDraft, EventId, KeyDraft, Options, Order, Query, Tag, TimeRange,
    Timestamp,
};

use crate::error::StoreError;
use crate::store::{EventStore, Id, Visit};
use crate::workload::{Event, ROOT};

pub(crate) struct Store {
    database: Database,
    /// Builders that no thread is using.
    idle: Mutex<Vec<Commit>>,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, Options::default())
    }

    pub(crate) fn open_small(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, Options::small_device())
    }

    fn open_with(folder: &Path, options: Options) -> Result<Self, StoreError> {
        let database = if folder.join("identity").exists() {
            Database::open(folder, options)?
        } else {
            Database::create(folder, options)?
        };
        Ok(Self { database, idle: Mutex::default() })
    }

    fn builder(&self) -> Result<Commit, StoreError> {
        let mut idle = self.idle.lock().map_err(|_| "a writer panicked")?;
        Ok(idle.pop().unwrap_or_else(|| self.database.commit()))
    }

    fn give_back(&self, mut builder: Commit) -> Result<(), StoreError> {
        builder.clear();
        self.idle.lock().map_err(|_| "a writer panicked")?.push(builder);
        Ok(())
    }

    fn visit(&self, query: &Query, visit: Visit<'_>) -> Result<u64, StoreError> {
        let mut count = 0;
        self.database.visit(query, |event, _, _| {
            visit(event.payload());
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }
}

fn push(builder: &mut Commit, event: &Event) -> Result<(), StoreError> {
    let [(first_root, first), (second_root, second)] = &event.tags;
    let tags = [(*first_root, first.as_str()), (*second_root, second.as_str())];
    let draft = EventDraft {
        valid_at: event.valid_at_us,
        tags: &tags,
        content_type: "application/json",
        payload: &event.payload,
        ..EventDraft::new(KeyDraft::Text(&event.key), event.type_name)
    };
    builder.push_draft(ROOT, &draft)?;
    Ok(())
}

impl EventStore for Store {
    fn append(&self, batch: &[Event], ids: &mut Vec<Id>) -> Result<(), StoreError> {
        let mut builder = self.builder()?;
        for event in batch {
            push(&mut builder, event)?;
        }
        let appended = self.database.append(&mut builder)?.wait()?;
        ids.extend(appended.ids().map(EventId::as_u128));
        self.give_back(builder)
    }

    fn get(&self, id: Id, visit: Visit<'_>) -> Result<bool, StoreError> {
        let found =
            self.database.get_view(EventId::from_u128(id), |event| visit(event.payload()))?;
        Ok(found.is_some())
    }

    fn stream(&self, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit(&Query::stream(ROOT.try_into()?, key.try_into()?), visit)
    }

    fn tag(&self, root: &str, key: &str, visit: Visit<'_>) -> Result<u64, StoreError> {
        let tag = Tag { root: root.try_into()?, key: key.try_into()? };
        self.visit(&Query::tag(tag), visit)
    }

    fn valid_range(
        &self,
        from_us: i64,
        to_us: i64,
        visit: Visit<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let (from, to) = (Timestamp::from_micros(from_us), Timestamp::from_micros(to_us));
        let query = Query::all().valid_in(TimeRange::between(from, to)).order(Order::Valid);
        Ok(Some(self.visit(&query, visit)?))
    }

    fn scan(&self, visit: Visit<'_>) -> Result<u64, StoreError> {
        self.visit(&Query::all().order(Order::Arrival), visit)
    }
}
