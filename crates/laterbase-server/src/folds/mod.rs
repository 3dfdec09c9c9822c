//! Aggregates and views over HTTP: what a program has named, for each of its databases.
//!
//! ```text
//!   Server::aggregate, Server::view ─▶ Folds: makers by name
//!                                        └─▶ Shown: one projection of one database, in JSON
//!   a, v ─▶ answer: one row, a page       stream: rows, then each change
//!             └─▶ left: rows that another version of a view has left, while this one is made
//! ```
//! The projections of the databases that there are when the server begins are made then, and those
//! of others when they are first asked for. They are kept on disk, and brought up to what the log
//! holds in the background.

mod answer;
mod left;
mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use laterbase::{
    Aggregate, Changes, Cursor, Fold, FoldError, Folded, KeptNews, Moment, Page, PageRequest,
    Previous, Projection, RootName, View,
};
use laterbase_json::minify_into;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

pub(crate) use answer::{aggregate, aggregates, row, rows};

use crate::databases::Hosted;
use crate::notice::{Notice, Notices, What};
use crate::trace;

/// A state as JSON; the message if it has no such form.
pub(crate) type Shape = Result<Box<RawValue>, String>;

/// What a server shows of a projection.
pub(crate) trait Shown: Send + Sync {
    /// The version of the fold's code.
    fn version(&self) -> u32;

    /// How many positions it has not taken note of.
    fn lag(&self) -> u64;

    /// How many positions of what was there at the beginning it has not taken note of.
    fn lag_until_ready(&self) -> u64;

    /// The rows that answer meanwhile, if another version has left some.
    fn previous(&self) -> Option<Previous>;

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

    fn lag_until_ready(&self) -> u64 {
        Self::lag_until_ready(self)
    }

    fn previous(&self) -> Option<Previous> {
        // Where nothing works in the background, whoever asks makes the rows.
        let (database, is_made) = (self.database(), self.is_ready());
        if is_made || database.is_read_only() || !database.has_threads() {
            return None;
        }
        Self::previous(self)
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
type Maker = Arc<dyn Fn(&Hosted, &Notices) -> Arc<dyn Shown> + Send + Sync>;

/// A projection of a database, kept under a name, whose operator is told what becomes of it.
fn kept<F: Fold<State: Serialize + DeserializeOwned>>(
    hosted: &Hosted,
    notices: &Notices,
    name: &str,
    make: impl Fn() -> Projection<F>,
) -> Arc<dyn Shown> {
    let tell = {
        let (database, notices) = (hosted.name.clone(), Arc::clone(notices));
        move |fold: &str, reason: String| {
            let what = What::NotKept { fold: fold.to_owned(), reason };
            let notice = Notice { database: database.clone(), peer: None, what };
            trace::notice(&notice);
            notices(&notice);
        }
    };
    let projection = match make().kept(name) {
        Ok(projection) => projection,
        // Such as where one database is served under two names.
        Err(error) => {
            tell(name, error.to_string());
            return Arc::new(make());
        }
    };
    let (news, fold) = (Arc::clone(&hosted.news), name.to_owned());
    projection.tell_kept(move |told| match told {
        // Streams that wait for this version look again.
        KeptNews::Ready => news.send_modify(|_| ()),
        KeptNews::Unusable(error) => tell(&fold, error.to_string()),
        KeptNews::Failed(error) => tell(&fold, error.to_string()),
        _ => {}
    });
    Arc::new(projection)
}

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
    /// The version of its code.
    pub(crate) version: u32,
    /// The version whose rows answer meanwhile, if that is another.
    pub(crate) previous: Option<u32>,
    /// How far it is behind what was there when it was made; until then it is being made.
    pub(crate) lag_until_ready: u64,
    /// How far it is behind its database: it takes note of what is new when it is asked.
    pub(crate) lag_positions: u64,
    /// How often a row was folded again for events that came late.
    pub(crate) rebased: u64,
}

impl FoldNumbers {
    /// As a database's description has it.
    pub(crate) fn document(&self) -> Value {
        json!({
            "sort": self.sort,
            "name": self.name,
            "version": self.version,
            "answering": self.previous.unwrap_or(self.version),
            "lag_until_ready": self.lag_until_ready,
            "lag": self.lag_positions,
        })
    }
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
    pub(crate) fn name_aggregate<A>(&mut self, root: RootName)
    where
        A: Aggregate + Serialize + DeserializeOwned,
    {
        let name = format!("a-{root}");
        let maker: Maker = Arc::new(move |hosted, notices| {
            kept(hosted, notices, &name, || hosted.database.aggregates::<A>(root))
        });
        self.makers.insert((Sort::Aggregates, root.as_str().to_owned()), maker);
    }

    pub(crate) fn name_view<V>(&mut self, name: String, view: V)
    where
        V: View<Row: Serialize + DeserializeOwned> + Clone,
    {
        let file = format!("v-{name}");
        let maker: Maker = Arc::new(move |hosted, notices| {
            kept(hosted, notices, &file, || hosted.database.view(view.clone()))
        });
        self.makers.insert((Sort::View, name), maker);
    }

    /// Makes all projections of a database, so that their first readers need not wait for them.
    pub(crate) fn begin(&self, hosted: &Hosted, notices: &Notices) {
        for (sort, name) in self.makers.keys() {
            self.get(hosted, *sort, name, notices);
        }
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
                version: shown.version(),
                previous: shown.previous().map(|previous| previous.version()),
                lag_until_ready: shown.lag_until_ready(),
                lag_positions: shown.lag(),
                rebased: shown.rebased(),
            })
            .collect()
    }

    /// A projection by name; none if the program named none.
    pub(crate) fn get(
        &self,
        hosted: &Hosted,
        sort: Sort,
        name: &str,
        notices: &Notices,
    ) -> Option<Arc<dyn Shown>> {
        let name = (sort, name.to_owned());
        let maker = self.makers.get(&name)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let shown =
            made.entry((hosted.name.clone(), name)).or_insert_with(|| maker(hosted, notices));
        Some(Arc::clone(shown))
    }
}

impl fmt::Debug for Folds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.makers.keys()).finish()
    }
}
