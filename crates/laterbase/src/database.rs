//! The handle that programs hold.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use laterbase_event::{
    DatabaseId, EventId, EventView, Hlc, Limits, Position, ReplicaId, VersionVector,
};
use laterbase_log::CommitError;
use laterbase_log::storage::{Storage, StorageError};

use crate::append::AppendError;
use crate::commit::Commit;
use crate::cursor::{Cursor, CursorError, CursorPlace};
use crate::decide::{find_keyed_with, stream_version};
use crate::environment::Environment;
use crate::host::Threads;
use crate::inner::{Inner, Role, Writer, lock};
use crate::lock::URL_BYTES_MAX;
use crate::open::{OpenError, OpenReport, Opening};
use crate::options::Options;
use crate::progress::Durability;
use crate::query::{Cut, Order, Query};
use crate::read::ReadError;
use crate::reclaim::Reclaimer;
use crate::recorded::Recorded;
use crate::subscription::{Start, Subscription};
use crate::ticket::Ticket;
use crate::validator::Validators;
use crate::walk::{Events, plan};

/// An open database: a cheap handle to clone and to share between threads.
///
/// The database closes when its last handle is dropped; [`Database::close`] does so and tells.
///
/// ```
/// use laterbase::{Database, NewEvent, Options, Query};
///
/// # let dir = tempfile::tempdir()?;
/// let db = Database::create(dir.path(), Options::default())?;
/// let mut commit = db.commit();
/// commit.push(&NewEvent::new("shipment", "4711", "departed").tag("truck:7".parse()?))?;
/// let appended = db.append(&mut commit)?.wait()?;
///
/// let tagged: Vec<_> = db.read(&Query::tag("truck:7".parse()?))?.collect::<Result<_, _>>()?;
/// assert_eq!(tagged[0].event.id, appended.id(0).unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Database {
    handle: Arc<Handle>,
}

/// Shared by the clones; dropping it closes.
#[derive(Debug)]
struct Handle {
    inner: Arc<Inner>,
    threads: Mutex<Threads>,
    report: OpenReport,
    reclaimer: Mutex<Reclaimer>,
}

/// A database could not be closed properly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// What was staged could not be flushed.
    #[error("what was staged last could not be flushed: {0}")]
    Log(#[from] CommitError),
    /// The log had failed before.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Events found by id, and the ids that were not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The events, in the order in which they were asked for.
    pub events: Vec<Recorded>,
    /// The ids of no visible event.
    pub missing: Vec<EventId>,
}

impl Database {
    pub(crate) fn new(inner: Arc<Inner>, threads: Threads, report: OpenReport) -> Self {
        let threads = Mutex::new(threads);
        let reclaimer = Mutex::default();
        Self { handle: Arc::new(Handle { inner, threads, report, reclaimer }) }
    }

    /// Creates a database in a directory, which is made if it does not exist.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is one, and whatever keeps it from being written.
    pub fn create(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Opening::of_path(path.as_ref(), options, true)?.create(None)
    }

    /// Creates an empty copy of a database that is elsewhere: what it lacks comes by sync.
    ///
    /// # Errors
    /// As [`Database::create`].
    pub fn create_joined(
        path: impl AsRef<Path>,
        options: Options,
        database: DatabaseId,
    ) -> Result<Self, OpenError> {
        Opening::of_path(path.as_ref(), options, true)?.create(Some(database))
    }

    /// As [`Database::create_joined`], on any storage, in any environment.
    ///
    /// # Errors
    /// As [`Database::create`].
    pub fn create_joined_on(
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        options: Options,
        database: DatabaseId,
    ) -> Result<Self, OpenError> {
        Opening { storage, environment, options }.create(Some(database))
    }

    /// Opens a database to read and write. One process at a time may.
    ///
    /// Recovers from a crash, brings the indexes up to date, and takes a new replica id if the
    /// directory turns out to be a copy; [`Database::opened`] tells.
    ///
    /// # Errors
    /// [`OpenError`]; nothing that was acknowledged is given up to make it open.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Opening::of_path(path.as_ref(), options, false)?.open()
    }

    /// Opens a database to read, beside the process that writes or alone.
    ///
    /// Sees what had been flushed when it was opened; [`Database::refresh`] sees more.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_read_only(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Opening::of_path(path.as_ref(), options, false)?.open_read_only()
    }

    /// Creates a database on any storage, in any environment.
    ///
    /// # Errors
    /// As [`Database::create`].
    pub fn create_on(
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        options: Options,
    ) -> Result<Self, OpenError> {
        Opening { storage, environment, options }.create(None)
    }

    /// Opens a database on any storage, in any environment.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_on(
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        options: Options,
    ) -> Result<Self, OpenError> {
        Opening { storage, environment, options }.open()
    }

    /// Opens a database on any storage, in any environment, to read.
    ///
    /// # Errors
    /// As [`Database::open_read_only`].
    pub fn open_read_only_on(
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        options: Options,
    ) -> Result<Self, OpenError> {
        Opening { storage, environment, options }.open_read_only()
    }

    /// Tells other processes of this machine where they can have this one write for them:
    /// [`OpenError::Locked`] shows it to whoever cannot open the database. It is forgotten when
    /// the database is closed, or this process ends. `url` is of 400 bytes at the most, on one
    /// line; a longer one is not published.
    ///
    /// # Errors
    /// [`StorageError`] if it cannot be written. A database that is read only, or closed,
    /// publishes nothing.
    ///
    /// [`OpenError::Locked`]: crate::OpenError::Locked
    pub fn publish_address(&self, url: &str) -> Result<(), StorageError> {
        if url.len() > URL_BYTES_MAX || url.contains('\n') {
            return Ok(());
        }
        let Some(writer) = self.handle.inner.writer() else { return Ok(()) };
        match &*lock(&writer.lock) {
            Some(held) => held.publish_address(url),
            None => Ok(()),
        }
    }

    /// Flushes everything and closes, so that the next opening has nothing to recover.
    ///
    /// Other handles stay valid for reading; their appends are refused, and consumers do no more.
    ///
    /// # Errors
    /// [`CloseError`] if what was staged could not be flushed.
    pub fn close(self) -> Result<(), CloseError> {
        self.handle.shut_down()
    }

    /// The database's id, the same on every replica.
    #[must_use]
    pub fn id(&self) -> DatabaseId {
        self.handle.inner.database
    }

    /// The id under which this copy writes. It changes while the database is open if a peer turns
    /// out to know this copy's log further than the copy itself.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.handle.inner.replica()
    }

    /// Whether this handle only reads.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.handle.inner.writer().is_none()
    }

    /// What happened while the database was opened.
    #[must_use]
    pub fn opened(&self) -> &OpenReport {
        &self.handle.report
    }

    /// Adds validators to those of the options. Commits that were made before keep to what there
    /// was then, and nothing that is recorded is looked at again. Every copy of the database
    /// should have the same ones.
    pub fn add_validators(&self, validators: &Validators) {
        let mut known = lock(&self.handle.inner.validators);
        *known = std::mem::take(&mut *known).and(validators);
    }

    /// A commit to push events to. Keep it and [`Commit::clear`] it: a warm one allocates nothing.
    #[must_use]
    pub fn commit(&self) -> Commit {
        let inner = &self.handle.inner;
        let options = &inner.options;
        let payload_bytes_max = u32::try_from(options.payload_bytes_max).unwrap_or(u32::MAX);
        let limits = Limits { payload_bytes_max: payload_bytes_max.min(Limits::PAYLOAD_BYTES_MAX) };
        let commit = Commit::new(inner.hasher, limits, inner.validators(), options.durability);
        #[cfg(feature = "query")]
        let commit = commit.held_against(crate::declared::SchemaGate::new(inner));
        commit
    }

    /// Records a commit: all of it or nothing.
    ///
    /// The commit is left as it is; clear it to use it again.
    ///
    /// # Errors
    /// [`AppendError`]. Unless it is [`AppendError::Failed`], nothing was written.
    ///
    /// # Ordering
    /// Appends take effect in the order in which they return from here. What their tickets promise
    /// comes later: see [`Ticket::wait`].
    pub fn append(&self, commit: &mut Commit) -> Result<Ticket, AppendError> {
        self.handle.inner.append(commit)
    }

    /// Whether commits are validated by somebody's code, which may take its time.
    #[must_use]
    pub fn has_validators(&self) -> bool {
        !self.handle.inner.validators().is_empty()
    }

    /// Whether threads of its own do what nobody waits for ([`Options::threads`]); only then does a
    /// ticket that is awaited come to its end.
    #[must_use]
    pub fn has_threads(&self) -> bool {
        self.handle.inner.options.threads
    }

    /// Records a commit if nothing must be read or waited for: for a thread that may not block.
    ///
    /// `None`: nothing was done, and [`Database::append`] takes the commit. That is so for commits
    /// with expected versions, conditions or idempotency keys, and while buffers or indexes have no
    /// room. The ticket is to be awaited, not waited for, by such a thread.
    ///
    /// # Errors
    /// [`AppendError`]. Unless it is [`AppendError::Failed`], nothing was written.
    pub fn append_now(&self, commit: &mut Commit) -> Result<Option<Ticket>, AppendError> {
        self.handle.inner.append_now(commit)
    }

    /// Waits until everything that was appended so far is flushed.
    ///
    /// # Errors
    /// [`AppendError::Failed`] if the log has failed.
    pub fn flush(&self) -> Result<(), AppendError> {
        let inner = &self.handle.inner;
        let writer = inner.writer().ok_or(AppendError::ReadOnly)?;
        inner.settle(writer, Durability::Flushed)
    }

    /// The event with an id.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read; an unknown id is no error.
    pub fn get(&self, id: EventId) -> Result<Option<Recorded>, ReadError> {
        let view = self.handle.inner.view()?;
        let Some(position) = view.access.find(&view.snapshot, id, view.bound)? else {
            return Ok(None);
        };
        self.handle.inner.recorded(position).map(Some)
    }

    /// Hands the event with an id to `read`, without copying anything out of it.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read; an unknown id is no error.
    pub fn get_view<R>(
        &self,
        id: EventId,
        read: impl FnOnce(&EventView<'_>) -> R,
    ) -> Result<Option<R>, ReadError> {
        let view = self.handle.inner.view()?;
        let Some(position) = view.access.find(&view.snapshot, id, view.bound)? else {
            return Ok(None);
        };
        view.access.with_event(position, |event, _| read(event)).map(Some)
    }

    /// The events with some ids.
    ///
    /// # Errors
    /// [`ReadError`] if one of them cannot be read.
    pub fn get_many(&self, ids: &[EventId]) -> Result<Found, ReadError> {
        let view = self.handle.inner.view()?;
        let mut found = Found::default();
        for &id in ids {
            match view.access.find(&view.snapshot, id, view.bound)? {
                Some(position) => found.events.push(self.handle.inner.recorded(position)?),
                None => found.missing.push(id),
            }
        }
        Ok(found)
    }

    /// An event for people: a payload that was written by a schema as JSON, its fields by the names
    /// that its writer gave them. Every other payload stays as it is.
    ///
    /// # Errors
    /// [`ReadError`] if the schema cannot be read.
    #[cfg_attr(not(feature = "query"), expect(unused_mut, reason = "there is no schema"))]
    pub fn with_names(&self, mut recorded: Recorded) -> Result<Recorded, ReadError> {
        #[cfg(feature = "query")]
        if recorded.event.content_type.starts_with(crate::declared::DECLARED_EVENT) {
            let declared = self.handle.inner.declared()?;
            let event = &recorded.event;
            let names = (event.root.as_str(), event.type_name.as_str());
            if let Some(json) = declared.payload_json(names, &event.content_type, &event.payload) {
                recorded.event.payload = json.into_bytes();
                recorded.event.content_type = crate::CONTENT_TYPE_JSON.to_owned();
            }
        }
        Ok(recorded)
    }

    /// The events that a query asks for.
    ///
    /// Sees everything acknowledged before the call; what comes later is not in the answer.
    ///
    /// # Errors
    /// [`ReadError`] if the cursor does not fit or the indexes cannot be read.
    pub fn read(&self, query: &Query) -> Result<Events, ReadError> {
        let inner = &self.handle.inner;
        let mut view = inner.view()?;
        if let Some(cursor) = query.after {
            check_cursor(inner, &cursor, query.order)?;
        }
        if let Cut::KnownAt(at) = query.cut {
            view.bound = inner.known_at(at, view.bound)?;
        }
        let walk = plan(&view, query, Position::NONE)?;
        Ok(Events::new(walk, query, inner.copy))
    }

    /// Hands the events that a query asks for to `take`, with position and arrival, until it
    /// breaks. Answers the cursor behind the last one.
    ///
    /// Nothing is allocated per event: the fastest way to read many.
    ///
    /// # Errors
    /// [`ReadError`] when an event cannot be read; those before it have been handed out.
    pub fn visit(
        &self,
        query: &Query,
        take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<Option<Cursor>, ReadError> {
        self.read(query)?.visit(take)
    }

    /// How many events a stream has here: what [`Expected::At`](crate::Expected::At) is held
    /// against.
    ///
    /// # Errors
    /// [`ReadError`] if the indexes cannot be read.
    pub fn stream_version(&self, root: &str, key: &str) -> Result<u64, ReadError> {
        stream_version(&self.handle.inner.view()?, root, key)
    }

    /// The event under a root with an idempotency key; the first of them, if replicas used it twice
    /// while apart.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read.
    pub fn find_by_idempotency_key(
        &self,
        root: &str,
        key: &[u8],
    ) -> Result<Option<Recorded>, ReadError> {
        let inner = &self.handle.inner;
        let view = inner.view()?;
        let term = inner.hasher.idempotency(root, key);
        let position = find_keyed_with(&view, term, (root, key), |_, position| position)?;
        position.map(|position| inner.recorded(position)).transpose()
    }

    /// How far each log is held here.
    ///
    /// In a process that only reads: by what was taken up when it was opened or refreshed last. In
    /// one that writes nothing is read, unless it [has forks](Database::has_forks).
    ///
    /// # Errors
    /// [`ReadError`] if the logs cannot be read.
    pub fn version_vector(&self) -> Result<VersionVector, ReadError> {
        self.handle.inner.version_vector()
    }

    /// Whether a log is forked. The process that writes knows it without reading.
    ///
    /// # Errors
    /// [`ReadError`] if the logs cannot be read.
    pub fn has_forks(&self) -> Result<bool, ReadError> {
        Ok(!self.handle.inner.forked_logs()?.is_empty())
    }

    /// A cursor behind everything that is flushed now, in arrival order.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let inner = &self.handle.inner;
        Cursor { copy: inner.copy, place: CursorPlace::Arrival(inner.progress.flushed()) }
    }

    /// A cursor behind an event, in an order of reading: everything up to it was seen.
    #[must_use]
    pub fn cursor_behind(&self, recorded: &Recorded, order: Order) -> Cursor {
        self.cursor().behind(recorded, order)
    }

    /// Events from a point on, and then each new one, in arrival order.
    ///
    /// The query's filters apply; its order, direction, limit, cursor and cut do not.
    ///
    /// # Errors
    /// [`ReadError::Cursor`] if the cursor is not one in arrival order of this copy.
    pub fn subscribe(&self, filter: &Query, start: Start) -> Result<Subscription, ReadError> {
        Subscription::open(Arc::clone(&self.handle.inner), filter, start)
    }

    /// Sees what the writing process has flushed since. Does nothing in the writing process itself.
    ///
    /// # Errors
    /// [`ReadError::Refresh`] if the files cannot be followed.
    pub fn refresh(&self) -> Result<(), ReadError> {
        self.handle.inner.refresh()
    }

    /// Does a piece of the background's work: what the threads do when there are any.
    /// `true` while there is more to do.
    ///
    /// # Errors
    /// [`AppendError`] if the log has failed.
    pub fn step(&self) -> Result<bool, AppendError> {
        let inner = &self.handle.inner;
        let Some(writer) = inner.writer() else { return Ok(false) };
        inner.lead_blocking(writer, Durability::Flushed)?;
        // A failure that nobody was told of counts, too.
        inner.check_failure()?;
        let indexes = inner.step_indexes(writer).map_err(AppendError::Read)?;
        let folds = inner.step_folds();
        let mut reclaimer = lock(&self.handle.reclaimer);
        // What housekeeping cannot do now it tries again; appends and reads go on.
        let log = inner.step_maintenance(writer, &mut reclaimer).unwrap_or(false);
        Ok(indexes || folds || log)
    }

    /// Has a thread work on the folds that are kept, where there are threads.
    pub(crate) fn start_folds(&self) {
        let inner = &self.handle.inner;
        if inner.options.threads && inner.writer().is_some() {
            lock(&self.handle.threads).start_folds(inner);
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.handle.inner
    }
}

impl Handle {
    fn shut_down(&self) -> Result<(), CloseError> {
        let inner = &self.inner;
        if inner.closing.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        lock(&self.threads).stop(inner);
        crate::consumer::close(&inner.consumers);
        let writer = match &inner.role {
            Role::Writer(writer) => writer,
            Role::Follower(follower) => {
                lock(&follower.lease).take();
                return Ok(());
            }
        };
        let closed = self.close_writer(writer);
        inner.progress.wake();
        if let Some(lock) = lock(&writer.lock).take()
            && closed.is_ok()
        {
            // If this cannot be written, the next reader makes sure for itself.
            let _ = lock.publish_closed();
        }
        closed
    }

    fn close_writer(&self, writer: &Writer) -> Result<(), CloseError> {
        let inner = &self.inner;
        inner.settle(writer, Durability::Flushed)?;
        {
            let mut indexer = lock(&writer.indexer);
            if inner.absorb(writer, &mut indexer).is_ok() {
                // Whatever does not get written now is replayed from the log next time.
                let _ = indexer.index.write_out(inner.progress.flushed());
            }
        }
        inner.close_folds();
        let log = lock(&writer.writer).take();
        let front = lock(&writer.front).log.take();
        match (log, front) {
            (Some(log), Some(front)) => Ok(log.close(front)?),
            (None, _) | (_, None) => Ok(()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody is left to be told; what was acknowledged as flushed is.
        let _ = self.shut_down();
    }
}

impl Inner {
    /// The event at a position, owned.
    pub(crate) fn recorded(&self, position: Position) -> Result<Recorded, ReadError> {
        self.with_event_at(position, |event, arrival| Recorded {
            event: event.into(),
            position,
            arrival,
        })
    }
}

fn check_cursor(inner: &Inner, cursor: &Cursor, order: Order) -> Result<(), CursorError> {
    if cursor.order() != order {
        return Err(CursorError::OtherOrder { expected: order, actual: cursor.order() });
    }
    if order == Order::Arrival {
        inner.arrival_of(cursor, inner.progress.visible())?;
    }
    Ok(())
}
