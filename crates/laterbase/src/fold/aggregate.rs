//! What programs write: aggregates and views.
//!
//! Both are folds. An aggregate folds the stream of each key under one root; a view maps each event
//! to the keys of the rows that it touches, and each row folds its own events and reads no other
//! row. So what a late event changes is a matter of rows.

use std::error::Error;
use std::marker::PhantomData;

use laterbase_event::RootName;

use super::event::FoldEvent;
use crate::query::Query;

/// Why an event could not be applied, in the words of whoever wrote `apply`.
pub type ApplyError = Box<dyn Error + Send + Sync>;

/// In which order a fold sees its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FoldOrder {
    /// By id: the order in which they were recorded.
    #[default]
    Id,
    /// By valid time, then id: the order in which they happened.
    Valid,
}

/// The state of one thing, made of the events of its stream.
///
/// `apply` must be pure: a state depends on the events alone, so that every replica that holds the
/// same events has the same states. It sees them in [`Aggregate::ORDER`]; when an event comes late
/// or is back-dated, the state is made anew from just before it, without any doing of the program.
///
/// ```
/// use laterbase::{Aggregate, ApplyError, Database, FoldEvent, NewEvent, Options};
///
/// #[derive(Debug, Clone, Default, PartialEq)]
/// struct Shipment { stops: u32, place: Option<String> }
///
/// impl Aggregate for Shipment {
///     fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
///         match event.type_name() {
///             "arrived" => {
///                 self.stops += 1;
///                 self.place = Some(event.json()?);
///             }
///             "departed" => self.place = None,
///             _ => {}
///         }
///         Ok(())
///     }
/// }
///
/// # let dir = tempfile::tempdir()?;
/// let db = Database::create(dir.path(), Options::default())?;
/// let shipments = db.aggregates::<Shipment>("shipment".try_into()?);
///
/// let mut commit = db.commit();
/// commit.push(&NewEvent::new("shipment", "4711", "arrived").json(&"Rotterdam")?)?;
/// db.append(&mut commit)?.wait()?;
///
/// let found = shipments.get("4711")?.ok_or("no such shipment")?;
/// assert_eq!((found.state.stops, found.version), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Aggregate: Clone + Default + Send + Sync + 'static {
    /// The order in which events are applied.
    const ORDER: FoldOrder = FoldOrder::Id;

    /// Counts up whenever `apply`, an upcaster or the state comes to mean something else: states
    /// that are [kept](crate::Projection::kept) are of one version.
    const VERSION: u32 = 1;

    /// Takes an event in.
    ///
    /// # Errors
    /// Whatever keeps the event from being applied. The aggregate then answers with an error that
    /// names the event, until other code or an earlier event makes it fit. Other aggregates go on.
    ///
    /// # Panics
    /// A panic counts as an error, in a program that unwinds: one built with `panic = "abort"`
    /// ends.
    fn apply(&mut self, event: &FoldEvent<'_>) -> Result<(), ApplyError>;
}

/// Rows by key, each made of the events that touch it.
///
/// ```
/// use laterbase::{ApplyError, FoldEvent, Query, View};
///
/// /// Which shipments each truck carried.
/// #[derive(Debug)]
/// struct Loads;
///
/// impl View for Loads {
///     type Row = std::collections::BTreeSet<String>;
///
///     fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
///         if let Some(truck) = event.tagged("truck") {
///             touch(truck);
///         }
///     }
///
///     fn apply(
///         &self,
///         row: &mut Self::Row,
///         _truck: &str,
///         event: &FoldEvent<'_>,
///     ) -> Result<(), ApplyError> {
///         row.insert(event.key().to_owned());
///         Ok(())
///     }
/// }
/// ```
pub trait View: Send + Sync + 'static {
    /// A row's state.
    type Row: Clone + Default + Send + Sync + 'static;

    /// The order in which events are applied.
    const ORDER: FoldOrder = FoldOrder::Id;

    /// Counts up whenever `rows`, `apply`, an upcaster or the row comes to mean something else:
    /// rows that are [kept](crate::Projection::kept) are of one version.
    const VERSION: u32 = 1;

    /// Which events the view looks at: their roots, types and tags. All by default.
    fn events(&self) -> Query {
        Query::all()
    }

    /// Names the rows that an event touches, each once; the same rows whatever else is known.
    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str));

    /// Takes an event into a row.
    ///
    /// # Errors
    /// As [`Aggregate::apply`]: the row answers with the error, other rows go on.
    fn apply(
        &self,
        row: &mut Self::Row,
        key: &str,
        event: &FoldEvent<'_>,
    ) -> Result<(), ApplyError>;

    /// Whether a row is to be left out of reads as if it were not there.
    fn is_hidden(&self, row: &Self::Row) -> bool {
        let _ = row;
        false
    }
}

mod sealed {
    /// Aggregates and views; no others.
    pub trait Sealed {}
}

impl<A> sealed::Sealed for Streams<A> {}
impl<V> sealed::Sealed for Viewed<V> {}

/// What aggregates and views have in common. Programs write an [`Aggregate`] or a [`View`].
pub trait Fold: sealed::Sealed + Send + Sync + 'static {
    /// A row's state.
    type State: Clone + Default + Send + Sync + 'static;

    /// The order in which events are applied.
    fn order(&self) -> FoldOrder;

    /// The version of the code.
    fn version(&self) -> u32;

    /// Which events it looks at.
    fn events(&self) -> Query;

    /// The root whose streams are its rows, if that is what they are.
    fn root(&self) -> Option<&RootName>;

    /// Names the rows that an event touches.
    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str));

    /// Takes an event into a row.
    ///
    /// # Errors
    /// Whatever keeps the event from being applied.
    fn apply(
        &self,
        state: &mut Self::State,
        key: &str,
        event: &FoldEvent<'_>,
    ) -> Result<(), ApplyError>;

    /// Whether a row is left out of reads.
    fn is_hidden(&self, state: &Self::State) -> bool;
}

/// The streams of a root, folded.
#[derive(Debug)]
pub struct Streams<A> {
    root: RootName,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Streams<A> {
    /// The streams of this root.
    #[must_use]
    pub fn of(root: RootName) -> Self {
        Self { root, aggregate: PhantomData }
    }
}

impl<A: Aggregate> Fold for Streams<A> {
    type State = A;

    fn order(&self) -> FoldOrder {
        A::ORDER
    }

    fn version(&self) -> u32 {
        A::VERSION
    }

    fn events(&self) -> Query {
        Query::root(self.root)
    }

    fn root(&self) -> Option<&RootName> {
        Some(&self.root)
    }

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        touch(event.key());
    }

    fn apply(&self, state: &mut A, _: &str, event: &FoldEvent<'_>) -> Result<(), ApplyError> {
        state.apply(event)
    }

    fn is_hidden(&self, _: &A) -> bool {
        false
    }
}

/// A view, folded.
#[derive(Debug)]
pub struct Viewed<V>(pub(super) V);

impl<V: View> Fold for Viewed<V> {
    type State = V::Row;

    fn order(&self) -> FoldOrder {
        V::ORDER
    }

    fn version(&self) -> u32 {
        V::VERSION
    }

    fn events(&self) -> Query {
        self.0.events()
    }

    fn root(&self) -> Option<&RootName> {
        None
    }

    fn rows(&self, event: &FoldEvent<'_>, touch: &mut dyn FnMut(&str)) {
        self.0.rows(event, touch);
    }

    fn apply(
        &self,
        state: &mut V::Row,
        key: &str,
        event: &FoldEvent<'_>,
    ) -> Result<(), ApplyError> {
        self.0.apply(state, key, event)
    }

    fn is_hidden(&self, state: &V::Row) -> bool {
        self.0.is_hidden(state)
    }
}
