//! What is asked for: the parameters of a listing as a query.

use laterbase::{
    Cut, Direction, Follow, Key, Lineage, Order, Query, RootName, Tag, TimeRange, Timestamp,
    TypeName, VersionVector,
};
use laterbase_json::time;

use super::place::Place;
use crate::parameters::{Parameters, wrong};
use crate::problem::{Kind, Problem};
use crate::write::vector;

/// The parameters that a body may have, too.
pub(crate) const NAMES: [&str; 19] = [
    "vv",
    "lc",
    "after",
    "keys",
    "root",
    "key",
    "tag",
    "type",
    "caused_by",
    "causes_of",
    "effects_of",
    "tx_from",
    "tx_until",
    "valid_from",
    "valid_until",
    "as_of",
    "order",
    "reverse",
    "limit",
];

/// Events of a page that are not asked for by number.
const PAGE_EVENTS: usize = 1_000;
/// Events of a page at the most.
const PAGE_EVENTS_MAX: usize = 10_000;

/// What to read, and where to go on.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// Without limit and cursor.
    pub(crate) query: Query,
    pub(crate) place: Option<Place>,
    pub(crate) limit: Option<usize>,
}

impl Selection {
    /// Reads parameters; `root` is the path's. A feed comes to go on in arrival order, whatever
    /// order it began in, so `follows` takes arrival places in the order `tx` too.
    pub(crate) fn read(
        parameters: &Parameters,
        root: Option<RootName>,
        follows: bool,
    ) -> Result<Self, Problem> {
        let root = match (root, parameters.one("root")?) {
            (Some(root), _) => Some(root),
            (None, Some(text)) => {
                Some(RootName::try_from(text).map_err(|error| wrong("root", error))?)
            }
            (None, None) => None,
        };
        let key = parameters.one("key")?.map(Key::try_from).transpose();
        let tags = parameters.all("tag").iter().map(|text| text.parse());
        let types = parameters.all("type").iter().map(|text| TypeName::try_from(text.as_str()));
        let query = Query {
            root,
            key: key.map_err(|error| wrong("key", error))?,
            tags: tags.collect::<Result<Vec<Tag>, _>>().map_err(|error| wrong("tag", error))?,
            types: types.collect::<Result<_, _>>().map_err(|error| wrong("type", error))?,
            tx: range(parameters, "tx_from", "tx_until")?,
            valid: range(parameters, "valid_from", "valid_until")?,
            unknown_to: unknown_to(parameters)?,
            cut: cut(parameters)?,
            caused_by: parameters.parsed("caused_by")?,
            lineage: lineage(parameters)?,
            direction: direction(parameters)?,
            ..Query::default()
        };
        let place = parameters.one("after")?.map(Place::read).transpose()?;
        let order = order(parameters, place)?;
        let selection =
            Self { query: query.order(order), place, limit: parameters.parsed("limit")? };
        if selection.limit == Some(0) {
            return Err(wrong("limit", "ask for at least one event"));
        }
        selection.check_place(follows)?;
        Ok(selection)
    }

    /// How many events a page has.
    pub(crate) fn page_events(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(PAGE_EVENTS),
            Some(limit) if limit <= PAGE_EVENTS_MAX => Ok(limit),
            Some(_) => Err(wrong(
                "limit",
                format_args!(
                    "a page has {PAGE_EVENTS_MAX} events at the most; \
                     `Accept: application/x-ndjson` streams any number"
                ),
            )),
        }
    }

    /// The one stream that is read whole, if it is one.
    pub(crate) fn stream(&self) -> Option<(RootName, Key)> {
        let query = &self.query;
        let (root, key) = (query.root?, query.key.clone()?);
        let whole = Query::stream(root, key.clone()).order(query.order);
        (whole == *query && self.place.is_none()).then_some((root, key))
    }

    /// Whether everything is read as of now in HLC order, so that a reader can catch up.
    pub(crate) fn catches_up(&self) -> bool {
        let query = &self.query;
        let forward = query.direction == Direction::Forward;
        forward && query.order == Order::Tx && query.cut == Cut::Latest
    }

    /// Whether it follows causes, wherever they are: whoever asks must be allowed to read all.
    pub(crate) fn reaches_beyond_roots(&self) -> bool {
        self.query.caused_by.is_some() || self.query.lineage.is_some()
    }

    fn check_place(&self, follows: bool) -> Result<(), Problem> {
        let refused = |detail: &str| Err(Problem::new(Kind::Cursor).detail(detail));
        match self.place {
            None => Ok(()),
            Some(Place::Plain(cursor)) if cursor.order() == self.query.order => Ok(()),
            Some(Place::Plain(cursor))
                if follows && self.catches_up() && cursor.order() == Order::Arrival =>
            {
                Ok(())
            }
            Some(Place::Plain(_)) => refused("the cursor is in another order than `order` says"),
            Some(Place::CatchUp { .. }) if !self.catches_up() => {
                refused("the cursor is of a read in the order `tx` and without `as_of`")
            }
            Some(Place::CatchUp { vector, .. })
                if vector != super::place::sum_of(self.query.unknown_to.as_ref()) =>
            {
                refused("the cursor is of a read with another `vv`: give the same one again")
            }
            Some(Place::CatchUp { .. }) => Ok(()),
        }
    }
}

fn unknown_to(parameters: &Parameters) -> Result<Option<VersionVector>, Problem> {
    let (name, text) = match (parameters.one("vv")?, parameters.one("lc")?) {
        (Some(_), Some(_)) => return Err(wrong("lc", "it is another name of `vv`: give one")),
        (Some(text), None) => ("vv", text),
        (None, Some(text)) => ("lc", text),
        (None, None) => return Ok(None),
    };
    vector(text).map(Some).map_err(|error| wrong(name, error))
}

fn lineage(parameters: &Parameters) -> Result<Option<Lineage>, Problem> {
    match (parameters.parsed("causes_of")?, parameters.parsed("effects_of")?) {
        (None, None) => Ok(None),
        (Some(of), None) => Ok(Some(Lineage { of, follow: Follow::Causes })),
        (None, Some(of)) => Ok(Some(Lineage { of, follow: Follow::Effects })),
        (Some(_), Some(_)) => Err(wrong("effects_of", "give it or `causes_of`, not both")),
    }
}

fn direction(parameters: &Parameters) -> Result<Direction, Problem> {
    match parameters.one("reverse")? {
        None | Some("false") => Ok(Direction::Forward),
        Some("true") => Ok(Direction::Backward),
        Some(_) => Err(wrong("reverse", "write true or false")),
    }
}

/// The order that is asked for; a cursor's own if none is.
fn order(parameters: &Parameters, place: Option<Place>) -> Result<Order, Problem> {
    match (parameters.one("order")?, place) {
        (Some("tx"), _) => Ok(Order::Tx),
        (Some("valid"), _) => Ok(Order::Valid),
        (Some("arrival"), _) => Ok(Order::Arrival),
        (Some(_), _) => Err(wrong("order", "write tx, valid or arrival")),
        (None, Some(Place::Plain(cursor))) => Ok(cursor.order()),
        (None, Some(Place::CatchUp { .. }) | None) => Ok(Order::Tx),
    }
}

fn range(parameters: &Parameters, from: &str, until: &str) -> Result<TimeRange, Problem> {
    let moment = |name: &str| {
        let Some(text) = parameters.one(name)? else { return Ok(None) };
        let micros = time::parse(text).map_err(|error| wrong(name, error))?;
        Ok::<_, Problem>(Some(Timestamp::from_micros(micros)))
    };
    Ok(TimeRange { from: moment(from)?, until: moment(until)? })
}

/// A time, `recorded:` and a time, or a version vector.
pub(crate) fn cut(parameters: &Parameters) -> Result<Cut, Problem> {
    let Some(text) = parameters.one("as_of")? else { return Ok(Cut::Latest) };
    let moment = |text: &str| time::parse(text).map(Timestamp::from_micros);
    if let Some(text) = text.strip_prefix("recorded:") {
        return moment(text).map(Cut::RecordedBy).map_err(|error| wrong("as_of", error));
    }
    if let Ok(at) = moment(text) {
        return Ok(Cut::KnownAt(at));
    }
    vector(text).map(Cut::Vector).map_err(|_| {
        wrong("as_of", "write a time (RFC 3339), `recorded:` and a time, or a version vector")
    })
}
