//! Aggregates and views over HTTP: what a program has named, for each of its databases.
//!
//! ```text
//!   Server::aggregate, Server::view ─▶ Folds: makers by name
//!                                        └─▶ Shown: one projection of one database, in JSON
//!   a, v ─▶ answer: one row, a page       stream: rows, then each change
//! ```
//! A projection is made when it is first asked for, and kept as long as the server.

mod answer;
mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use laterbase::{
    Aggregate, Changes, Cursor, Database, Fold, FoldError, Folded, Moment, Page, PageRequest,
    Projection, RootName, View,
};
use laterbase_json::minify_into;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

pub(crate) use answer::{aggregate, aggregates, row, rows};

use crate::databases::Hosted;

/// A state as JSON; the message if it has no such form.
pub(crate) type Shape = Result<Box<RawValue>, String>;

/// What a server shows of a projection.
pub(crate) trait Shown: Send + Sync {
    /// The version of the fold's code.
    fn version(&self) -> u32;

    /// How many positions it has not taken note of.
    fn lag(&self) -> u64;

    /// How often a row was folded again for events that came late.
    fn rebased(&self) -> u64;

    fn get(&self, key: &str, moment: &Moment) -> Result<Option<Folded<Shape>>, FoldError>;

    fn page(&self, request: &PageRequest) -> Result<Page<Shape>, FoldError>;

    fn changes(&self, after: &Cursor, limit: usize) -> Result<Changes<Shape>, FoldError>;
}

impl<F: Fold<State: Serialize>> Shown for Projection<F> {
    fn version(&self) -> u32 {
        self.fold().version()
    }

    fn lag(&self) -> u64 {
        Self::lag(self)
    }

    fn rebased(&self) -> u64 {
        Self::rebased(self)
    }

    fn get(&self, key: &str, moment: &Moment) -> Result<Option<Folded<Shape>>, FoldError> {
        Ok(self.get_at(key, moment)?.map(|folded| folded.map(shape)))
    }

    fn page(&self, request: &PageRequest) -> Result<Page<Shape>, FoldError> {
        Ok(Self::page(self, request)?.map(shape))
    }

    fn changes(&self, after: &Cursor, limit: usize) -> Result<Changes<Shape>, FoldError> {
        Ok(Self::changes(self, after, limit)?.map(shape))
    }
}

/// On one line: rows stand in lines, of NDJSON and of event streams.
fn shape(state: impl Serialize) -> Shape {
    let said = |error: serde_json::Error| error.to_string();
    let raw = to_raw_value(&state).map_err(said)?;
    if !raw.get().contains(['\n', '\r']) {
        return Ok(raw);
    }
    // A state may hold JSON that it keeps as it was written.
    let mut line = Vec::with_capacity(raw.get().len());
    minify_into(raw.get(), &mut line);
    serde_json::from_slice(&line).map_err(said)
}

/// Makes a projection of a database.
type Maker = Arc<dyn Fn(&Database) -> Arc<dyn Shown> + Send + Sync>;

/// Aggregates or views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    Aggregates,
    View,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Aggregates => "aggregates",
            Self::View => "view",
        }
    }
}

/// Numbers of a projection.
pub(crate) struct FoldNumbers {
    pub(crate) sort: &'static str,
    pub(crate) name: String,
    /// How far it is behind its database: it takes note of what is new when it is asked.
    pub(crate) lag_positions: u64,
    /// How often a row was folded again for events that came late.
    pub(crate) rebased: u64,
}

/// What a fold is called.
type Name = (Sort, String);

/// What a program has named.
#[derive(Default)]
pub(crate) struct Folds {
    makers: BTreeMap<Name, Maker>,
    /// Those that were made, by the database's name.
    made: Mutex<BTreeMap<(String, Name), Arc<dyn Shown>>>,
}

impl Folds {
    pub(crate) fn name_aggregate<A: Aggregate + Serialize>(&mut self, root: RootName) {
        let maker: Maker = Arc::new(move |database| Arc::new(database.aggregates::<A>(root)));
        self.makers.insert((Sort::Aggregates, root.as_str().to_owned()), maker);
    }

    pub(crate) fn name_view<V: View<Row: Serialize> + Clone>(&mut self, name: String, view: V) {
        let maker: Maker = Arc::new(move |database| Arc::new(database.view(view.clone())));
        self.makers.insert((Sort::View, name), maker);
    }

    /// The names of one sort, in order.
    pub(crate) fn names(&self, sort: Sort) -> impl Iterator<Item = &str> {
        let of_sort = self.makers.keys().filter(move |(of, _)| *of == sort);
        of_sort.map(|(_, name)| name.as_str())
    }

    /// Numbers of each projection that was made of a database, by name.
    pub(crate) fn numbers(&self, database: &str) -> Vec<FoldNumbers> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of_database = made.into_iter().filter(|((of, _), _)| of == database);
        of_database
            .map(|((_, (sort, name)), shown)| FoldNumbers {
                sort: sort.name(),
                name,
                lag_positions: shown.lag(),
                rebased: shown.rebased(),
            })
            .collect()
    }

    /// A projection by name; none if the program named none.
    pub(crate) fn get(&self, hosted: &Hosted, sort: Sort, name: &str) -> Option<Arc<dyn Shown>> {
        let name = (sort, name.to_owned());
        let maker = self.makers.get(&name)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let shown =
            made.entry((hosted.name.clone(), name)).or_insert_with(|| maker(&hosted.database));
        Some(Arc::clone(shown))
    }
}

impl fmt::Debug for Folds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.makers.keys()).finish()
    }
}
