//! A projection: the rows of one fold over one database, as programs hold it.
//!
//! What reads do is in `engine`; what is kept on disk, if anything is, in `keep`.

use std::fmt;
use std::sync::Arc;

use laterbase_event::RootName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::aggregate::{Aggregate, Fold, Streams, View, Viewed};
use super::apply::Failure;
use super::engine::Engine;
use super::keep::{KeepError, KeptNews, KeptStatus, Previous};
use super::moment::Moment;
use super::page::{Changes, Folded, Page, PageRequest};
use crate::cursor::{Cursor, CursorError};
use crate::database::Database;
use crate::read::ReadError;

/// The states of the streams of one root.
pub type Aggregates<A> = Projection<Streams<A>>;

/// The rows of a view.
pub type ViewRows<V> = Projection<Viewed<V>>;

/// A fold could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Its events cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// One of them cannot be folded.
    #[error(transparent)]
    Apply(#[from] Failure),
}

impl From<CursorError> for FoldError {
    fn from(error: CursorError) -> Self {
        Self::Read(ReadError::Cursor(error))
    }
}

/// The rows of one fold over one database. Made by [`Database::aggregates`] and
/// [`Database::view`]; keep it, since it remembers states.
///
/// What it remembers ends with it, unless it is [kept](Projection::kept).
pub struct Projection<F: Fold> {
    pub(super) engine: Arc<Engine<F>>,
    database: Database,
}

impl<F: Fold> Projection<F> {
    pub(crate) fn new(database: Database, fold: F) -> Self {
        let engine = Arc::new(Engine::new(Arc::clone(database.inner()), fold));
        Self { engine, database }
    }

    /// Keeps the rows on disk, in the file `folds/NAME.vVERSION` of the database, so that the next
    /// start goes on from there: `name` is 1 to 80 bytes of `a-z 0-9 _ . -`, and one projection of
    /// a database has it at a time.
    ///
    /// The file is derived from the log. One that is damaged, or of another copy or another log,
    /// is left aside, and the rows are made anew; [`Projection::kept_status`] says why. It is
    /// written in the background whenever [`FoldConfig::keep_every`](crate::FoldConfig) events
    /// came and an eighth more than it held, when the projection is dropped, and when the database
    /// is closed; [`Projection::keep_now`] does it at once. A process that only reads never writes
    /// it.
    ///
    /// A thread of the database brings the rows up to what the log held when this was called;
    /// without threads, [`Database::step`] and whoever reads do. If the file is of another
    /// [`VERSION`](crate::View::VERSION) of a view, or the database has other upcasters, the rows
    /// are made anew meanwhile, and [`Projection::previous`] are those of the file until
    /// [`Projection::is_ready`].
    ///
    /// States are kept as JSON. What `Serialize` leaves out of a state is not kept, and a state
    /// that is read back must be equal to the one that was written.
    ///
    /// ```
    /// # use laterbase::{Aggregate, ApplyError, Database, FoldEvent, NewEvent, Options};
    /// #[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
    /// struct Shipment { events: u64 }
    /// # impl Aggregate for Shipment {
    /// #     fn apply(&mut self, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
    /// #         self.events += 1;
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Database::create(dir.path(), Options::default())?;
    /// let shipments = db.aggregates::<Shipment>("shipment".try_into()?).kept("shipment")?;
    /// # let _ = shipments;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`KeepError::Name`] for a name that is none, [`KeepError::Taken`] if another projection of
    /// this database has it.
    pub fn kept(self, name: &str) -> Result<Self, KeepError>
    where
        F::State: Serialize + DeserializeOwned,
    {
        Engine::begin_to_keep(&self.engine, name)?;
        self.database.start_folds();
        Ok(self)
    }

    /// Writes what is kept, as of now. What was appended so far is flushed first: nothing else is
    /// written.
    ///
    /// # Errors
    /// [`KeepError`]; the file is then as it was before, unless it is [`KeepError::State`].
    pub fn keep_now(&self) -> Result<(), Arc<KeepError>> {
        self.engine.keep(&|| false)
    }

    /// Whether it has taken note of all that was there when it was made to be kept; `true` if it is
    /// not kept. Waits for nobody.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.engine.is_ready()
    }

    /// The rows that another version of a view has left, while this one is not ready: as they were
    /// when they were written. `None` if there are none, and once this version is ready.
    ///
    /// An aggregate has none: its rows are its streams in every version, and each is folded by
    /// itself when it is asked for.
    #[must_use]
    pub fn previous(&self) -> Option<Previous> {
        self.engine.previous()
    }

    /// What is kept, and what went wrong with it; `None` if it is not kept.
    #[must_use]
    pub fn kept_status(&self) -> Option<KeptStatus> {
        self.engine.kept_status()
    }

    /// Has somebody told of what becomes of the rows that are kept, what is known already first.
    /// It is called by whoever reads, or by a thread of the database; a later one replaces it.
    pub fn tell_kept(&self, tell: impl Fn(&KeptNews) + Send + Sync + 'static) {
        self.engine.tell_kept(Arc::new(tell));
    }

    /// The row of a key as of now; `None` if no event touches it.
    ///
    /// Waits until this version is [ready](Projection::is_ready).
    ///
    /// # Errors
    /// [`FoldError::Apply`] names the event that cannot be folded; [`FoldError::Read`] if events
    /// cannot be read.
    ///
    /// # Ordering
    /// Sees everything acknowledged before the call.
    pub fn get(&self, key: &str) -> Result<Option<Folded<F::State>>, FoldError> {
        self.get_at(key, &Moment::default())
    }

    /// The row of a key as of a moment.
    ///
    /// # Errors
    /// As [`Projection::get`], and if the moment's cursor is not of this copy.
    pub fn get_at(
        &self,
        key: &str,
        moment: &Moment,
    ) -> Result<Option<Folded<F::State>>, FoldError> {
        self.engine.get_at(key, moment)
    }

    /// Rows in key order. All pages of one walk show the same moment.
    ///
    /// # Errors
    /// As [`Projection::get_at`], but rows whose events cannot be folded are in the page with
    /// their failures.
    pub fn page(&self, request: &PageRequest) -> Result<Page<F::State>, FoldError> {
        self.engine.page(request)
    }

    /// The rows that flushed events behind a cursor touched, with their states after them; about
    /// `limit` of them. Begin with the cursor of a [`Page`], or with [`Database::cursor`]; wait
    /// for more with [`Database::wait_for_flushed`].
    ///
    /// # Errors
    /// As [`Projection::page`]; also if the cursor is not in arrival order, or of another copy.
    pub fn changes(&self, after: &Cursor, limit: usize) -> Result<Changes<F::State>, FoldError> {
        self.engine.changes(after, limit)
    }

    /// Takes note of everything that has arrived. Reads do so by themselves; a program that does
    /// it before spares its first reader the time.
    ///
    /// # Errors
    /// [`FoldError::Read`] if events cannot be read.
    pub fn catch_up(&self) -> Result<(), FoldError> {
        self.engine.catch_up()
    }

    /// How many events have not been taken note of. Waits for nobody, also while rows are folded.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.engine.lag()
    }

    /// How many events are still to be taken note of until it is [ready](Projection::is_ready).
    /// Waits for nobody.
    #[must_use]
    pub fn lag_until_ready(&self) -> u64 {
        self.engine.lag_until_ready()
    }

    /// How often a row was re-based: folded again from a state before its end, since an event came
    /// late. Once for all events that came late between two reads of it.
    #[must_use]
    pub fn rebased(&self) -> u64 {
        self.engine.rebased()
    }

    /// How many rows there are, the hidden ones among them, of those events that were taken note
    /// of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first events for which the fold could not say which rows they touch.
    #[must_use]
    pub fn unplaced(&self) -> Vec<Failure> {
        self.engine.unplaced()
    }

    /// What is folded.
    pub fn fold(&self) -> &F {
        &self.engine.fold
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

impl<F: Fold> Drop for Projection<F> {
    fn drop(&mut self) {
        self.engine.let_go();
    }
}

impl<F: Fold> fmt::Debug for Projection<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projection")
            .field("rows", &self.len())
            .field("done", &self.engine.noted())
            .finish_non_exhaustive()
    }
}

impl Database {
    /// The aggregates of a root: the state of each of its streams.
    ///
    /// Keep what is answered: it remembers the states of the streams that were asked for last.
    #[must_use]
    pub fn aggregates<A: Aggregate>(&self, root: RootName) -> Aggregates<A> {
        Projection::new(self.clone(), Streams::of(root))
    }

    /// The rows of a view.
    ///
    /// Keep what is answered: it holds the rows. They are made when they are first asked for, or
    /// by [`Projection::catch_up`].
    #[must_use]
    pub fn view<V: View>(&self, view: V) -> ViewRows<V> {
        Projection::new(self.clone(), Viewed(view))
    }
}
