//! Stored rows for the engine: events of one moment of this copy.
//!
//! A scan is a read of the store: constants on the key, the id, the cause, a tag, and ranges of
//! transaction and valid time become the read's own, so that it goes through an index. Everything
//! else is left to the engine, which checks all constraints again.

mod operations;
mod tables;

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use laterbase_event::{
    EventId, EventView, Hlc, Key, Position, RootName, Tag, Timestamp, TypeName, VersionVector,
};
use laterbase_index::{Family, Range};
use laterbase_lang::plan::{self, Place, Source, Stored, StoredColumn};
use laterbase_lang::schema::{Fields, Lineage, Owner, Schema};
use laterbase_lang::{DataType, Value};
use laterbase_query::{Data, DataError, Restriction, Scan, Scanned, ValidTime, ValueRef};

use super::payload::{self, Cell, Wanted};
use crate::cursor::{Cursor, CursorPlace};
use crate::decide::stream_version;
use crate::declared::{Declared, Written};
use crate::inner::Inner;
use crate::query::{Cut, Direction, Order, Query, TimeRange};
use crate::read::ReadError;
use crate::table::table_of;
use crate::terms::{TermHash, TermHasher};
use crate::walk::{View, Walk, plan, plan_any_of, plan_scan};

/// Values of a column that are looked up in an index, however few events there are.
const SEEKS_MIN: usize = 64;

/// One in so many events may be looked up by a value each; for more, all are read.
const SEEK_SHARE: u64 = 16;

/// Values that are looked up at the most.
const SEEKS_MAX: u64 = 4_096;

/// Values that are counted to tell how many events those of a list have.
const COUNTED_MAX: usize = 16;

/// What is stored, at one moment.
pub(crate) struct StoredData<'a> {
    inner: &'a Arc<Inner>,
    view: View,
    vector: VersionVector,
    reader: Reader<'a>,
}

/// By what declared events are read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// The schema of the question.
    pub(crate) schema: &'a Schema,
    /// What the database knows of schemas.
    pub(crate) declared: &'a Declared,
    /// Which names numbers had, in either.
    pub(crate) lineages: [&'a Lineage; 2],
}

impl<'a> Reader<'a> {
    /// By the schema of the database.
    pub(crate) fn of(declared: &'a Declared) -> Self {
        let lineages = [&declared.lineage, &declared.lineage];
        Self { schema: &declared.schema, declared, lineages }
    }
}

/// Several reads that together answer a scan.
struct Reads {
    queries: Vec<Query>,
    /// What the events of the only one have one of, if that is several values.
    any_of: Option<AnyOf>,
    /// Whether the rows of the only one stand in the order that was asked for.
    is_ordered: bool,
    /// Whether an index leads to them.
    is_selective: bool,
}

/// Several values of a column that an index leads to.
#[derive(Debug, Clone)]
enum AnyOf {
    Keys(Vec<Key>),
    Causes(Vec<EventId>),
}

impl AnyOf {
    fn len(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Causes(causes) => causes.len(),
        }
    }

    /// A query for one of them.
    fn query(&self, query: &Query, at: usize) -> Option<Query> {
        let mut query = query.clone();
        match self {
            Self::Keys(keys) => query.key = Some(keys.get(at)?.clone()),
            Self::Causes(causes) => query.caused_by = Some(*causes.get(at)?),
        }
        Some(query)
    }

    fn terms(&self, hasher: &TermHasher, query: &Query) -> Vec<TermHash> {
        match (self, &query.root) {
            (Self::Keys(keys), Some(root)) => {
                keys.iter().map(|key| hasher.stream(root.as_str(), key.as_str())).collect()
            }
            (Self::Keys(_), None) => Vec::new(),
            (Self::Causes(causes), _) => causes.iter().map(|id| hasher.cause(*id)).collect(),
        }
    }
}

impl<'a> StoredData<'a> {
    pub(crate) fn new(
        inner: &'a Arc<Inner>,
        vector: VersionVector,
        reader: Reader<'a>,
    ) -> Result<Self, ReadError> {
        Ok(Self { inner, view: inner.view()?, vector, reader })
    }

    /// A cursor behind everything that is seen.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { copy: self.inner.copy, place: CursorPlace::Arrival(self.view.bound) }
    }

    /// How many events a stream has.
    pub(crate) fn stream_version(&self, root: &str, key: &str) -> Result<u64, ReadError> {
        stream_version(&self.view, root, key)
    }

    fn reads(&self, request: &Scan<'_>) -> Result<Reads, ReadError> {
        let mut base = Query::all();
        match &request.relation.source {
            Source::Events => {}
            Source::EventsOf { root, type_names, .. } => {
                let Ok(root) = RootName::try_from(root.as_ref()) else { return Ok(Reads::none()) };
                base.root = Some(root);
                base.types = type_names
                    .iter()
                    .filter_map(|it| TypeName::try_from(it.as_ref()).ok())
                    .collect();
            }
            // Rows of tables are made of events: see `tables`.
            Source::Table { .. } => return Ok(Reads::none()),
        }
        base.cut = cut_of(request.cut)?;
        narrow_valid(&mut base.valid, request.valid);
        let is_selective = !base.valid.is_open();
        let mut reads =
            Reads { queries: vec![base], any_of: None, is_ordered: false, is_selective };
        // The root first: a key is looked up under it.
        for constraint in request.constraints {
            if let Some(column) = request.relation.columns.get(constraint.column) {
                if column.place == Place::Root {
                    reads.narrow_root(&constraint.is);
                } else if column.place == Place::Type {
                    reads.narrow_type(&constraint.is);
                }
            }
        }
        let root = reads.queries.first().and_then(|query| query.root.as_ref());
        let events = root.map_or(self.view.bound.as_u64(), |root| self.events_of(root.as_str()));
        let seeks_max = seeks_max(events);
        for constraint in request.constraints {
            if let Some(column) = request.relation.columns.get(constraint.column) {
                reads.narrow(&column.place, &constraint.is, seeks_max);
            }
        }
        reads.order(request);
        Ok(reads)
    }

    /// Goes through what the reads answer until `take` breaks.
    fn run(
        &self,
        reads: &Reads,
        needs_payloads: bool,
        mut take: impl FnMut(&EventView<'_>, Position, Hlc) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        for query in &reads.queries {
            let mut walk = match &reads.any_of {
                Some(any_of) => {
                    let terms = any_of.terms(&self.view.hasher, query);
                    plan_any_of(&self.view_of(query)?, query, &terms)?
                }
                None => self.walk(query, reads.is_selective)?,
            };
            if !needs_payloads {
                walk = walk.without_payloads();
            }
            if walk.run(&mut take)? {
                break;
            }
        }
        Ok(())
    }

    /// What a query can see at the most.
    fn view_of(&self, query: &Query) -> Result<View, ReadError> {
        let bound = match query.cut {
            Cut::KnownAt(at) => self.inner.known_at(at, self.view.bound)?,
            Cut::Latest | Cut::RecordedBy(_) | Cut::Vector(_) => self.view.bound,
        };
        Ok(View { bound, ..self.view.clone() })
    }

    fn walk(&self, query: &Query, is_selective: bool) -> Result<Walk, ReadError> {
        let view = self.view_of(query)?;
        if !is_selective && query.order == Order::Arrival {
            return plan_scan(self.inner, query, Position::NONE, view.bound);
        }
        plan(&view, query, Position::NONE)
    }

    /// About how many events the reads answer.
    fn estimate_reads(&self, reads: &Reads) -> Result<u64, ReadError> {
        let mut events = 0_u64;
        for query in &reads.queries {
            events = events.saturating_add(match &reads.any_of {
                Some(any_of) => self.estimate_any_of(any_of, query)?,
                None => self.estimate_one(query)?,
            });
        }
        Ok(events)
    }

    /// By some of the values.
    fn estimate_any_of(&self, any_of: &AnyOf, query: &Query) -> Result<u64, ReadError> {
        let counted = any_of.len().min(COUNTED_MAX);
        let mut events = 0_u64;
        for query in (0..counted).filter_map(|at| any_of.query(query, at)) {
            events = events.saturating_add(self.estimate_one(&query)?);
        }
        Ok(events.saturating_mul(any_of.len() as u64) / counted.max(1) as u64)
    }

    fn estimate_one(&self, query: &Query) -> Result<u64, ReadError> {
        let hasher = &self.view.hasher;
        let mut least = match &query.root {
            Some(root) => self.events_of(root.as_str()),
            None => self.view.bound.as_u64(),
        };
        let mut terms = Vec::new();
        if let (Some(root), Some(key)) = (&query.root, &query.key) {
            terms.push(hasher.stream(root.as_str(), key.as_str()));
        }
        terms.extend(query.caused_by.map(|cause| hasher.cause(cause)));
        for tag in &query.tags {
            terms.push(hasher.tag(tag.root.as_str(), tag.key.as_str()));
        }
        for term in terms {
            let range = Range::term(Family::Posting, term.high).with_extra(term.extra);
            least = least.min(self.view.snapshot.count(&range)?);
        }
        Ok(least)
    }

    fn events_of(&self, root: &str) -> u64 {
        let logs = self.vector.iter().filter(|(other, ..)| other.as_str() == root);
        logs.map(|(.., seq)| seq).sum()
    }
}

impl Reads {
    fn none() -> Self {
        Self { queries: Vec::new(), any_of: None, is_ordered: false, is_selective: true }
    }

    fn each(&mut self, change: impl Fn(&mut Query)) {
        self.queries.iter_mut().for_each(change);
    }

    fn narrow_root(&mut self, is: &Restriction) {
        let Restriction::OneOf(values) = is else { return };
        let [Value::Text(root)] = values.as_slice() else { return };
        match RootName::try_from(root.as_ref()) {
            Ok(root) => self.each(|query| query.root = Some(root)),
            Err(_) => self.queries.clear(),
        }
    }

    fn narrow_type(&mut self, is: &Restriction) {
        let Restriction::OneOf(values) = is else { return };
        let names: Option<Vec<TypeName>> =
            values.iter().map(|value| TypeName::try_from(value.as_text()?).ok()).collect();
        if let Some(names) = names {
            self.each(|query| query.types.clone_from(&names));
        }
    }

    /// At most `seeks_max` values are looked up.
    fn narrow(&mut self, place: &Place, is: &Restriction, seeks_max: usize) {
        match (place, is) {
            (Place::Key, Restriction::OneOf(values)) => {
                let has_root = self.queries.iter().all(|query| query.root.is_some());
                if has_root {
                    let key = |value: &Value| Key::try_from(value.as_text()?).ok();
                    self.seek(values.iter().filter_map(key).collect(), AnyOf::Keys, seeks_max);
                }
            }
            (Place::Cause, Restriction::OneOf(values)) => {
                self.seek(values.iter().filter_map(id_of).collect(), AnyOf::Causes, seeks_max);
            }
            (Place::Id, Restriction::OneOf(values)) => {
                // An id is one moment of transaction time; the engine tells ties apart. Two ids of
                // one moment are one read: no event is answered twice.
                let mut moments = BTreeSet::new();
                let is_new = |value: &&Value| {
                    id_of(value).is_none_or(|id| moments.insert(Timestamp::from_hlc(id.hlc())))
                };
                let values: Vec<Value> = values.iter().filter(is_new).cloned().collect();
                self.split(&values, |query, value| {
                    let Some(id) = id_of(value) else { return false };
                    let at = Timestamp::from_hlc(id.hlc());
                    let next = Timestamp::from_micros(at.as_micros().saturating_add(1_000));
                    query.tx = TimeRange::between(at, next);
                    true
                });
            }
            (Place::Tags, Restriction::Holds(Value::Text(text))) => match text.parse::<Tag>() {
                Ok(tag) => {
                    self.is_selective = true;
                    self.each(|query| query.tags.push(tag.clone()));
                }
                Err(_) => self.queries.clear(),
            },
            (Place::At, Restriction::Range(from, until)) => {
                self.is_selective = true;
                self.each(|query| narrow_range(&mut query.valid, from, until, 1));
            }
            (Place::Tx, Restriction::Range(from, until)) => {
                self.is_selective = true;
                self.each(|query| narrow_range(&mut query.tx, from, until, 1));
            }
            (Place::At, Restriction::OneOf(values)) => {
                if let [Value::Time(at)] = values.as_slice() {
                    self.is_selective = true;
                    let next = Bound::Included(Value::Time(*at));
                    self.each(|query| narrow_range(&mut query.valid, &next, &next, 1));
                }
            }
            _ => {}
        }
    }

    /// One read for all of some values, if these are few.
    fn seek<T>(&mut self, values: Vec<T>, any_of: impl Fn(Vec<T>) -> AnyOf, seeks_max: usize) {
        if values.is_empty() {
            self.queries.clear();
        }
        if values.len() > seeks_max {
            return;
        }
        let any_of = any_of(values);
        if any_of.len() == 1 {
            let one = |query: &Query| any_of.query(query, 0);
            self.queries = self.queries.iter().filter_map(one).collect();
        } else {
            // Of several the first; the engine checks the others.
            self.any_of.get_or_insert(any_of);
        }
        self.is_selective = true;
    }

    /// One read for each value, if these are few.
    fn split(&mut self, values: &[Value], change: impl Fn(&mut Query, &Value) -> bool) {
        if values.len().saturating_mul(self.queries.len()) > SEEKS_MIN {
            return;
        }
        self.is_selective = true;
        let mut queries = Vec::new();
        for query in &self.queries {
            for value in values {
                let mut query = query.clone();
                if change(&mut query, value) {
                    queries.push(query);
                }
            }
        }
        self.queries = queries;
    }

    fn order(&mut self, request: &Scan<'_>) {
        let ordered = request.order.and_then(|order| {
            let place = &request.relation.columns.get(order.column)?.place;
            let by = if matches!(place, Place::Id | Place::Tx) {
                Order::Tx
            } else {
                matches!(place, Place::At).then_some(Order::Valid)?
            };
            Some((by, order.is_descending))
        });
        let is_one = self.queries.len() <= 1 && self.any_of.is_none();
        match ordered.filter(|_| is_one) {
            Some((order, is_descending)) => {
                let direction =
                    if is_descending { Direction::Backward } else { Direction::Forward };
                self.is_ordered = true;
                self.is_selective = true;
                self.each(|query| {
                    query.order = order;
                    query.direction = direction;
                });
            }
            // By arrival, a range of transaction time would be found by reading all the log.
            None => self.each(|query| {
                query.order = if query.tx.is_open() { Order::Arrival } else { Order::Tx };
            }),
        }
    }
}

/// How many values are looked up where there are so many events.
fn seeks_max(events: u64) -> usize {
    SEEKS_MIN.max((events / SEEK_SHARE).min(SEEKS_MAX) as usize)
}

/// A cut as queries have it.
fn cut_of(cut: &plan::Cut) -> Result<Cut, ReadError> {
    Ok(match cut {
        plan::Cut::Latest => Cut::Latest,
        plan::Cut::KnownAt(at) => Cut::KnownAt(Timestamp::from_micros(*at)),
        plan::Cut::RecordedBy(at) => Cut::RecordedBy(Timestamp::from_micros(*at)),
        plan::Cut::Vector(bytes) => {
            let vector = VersionVector::decode(bytes);
            Cut::Vector(vector.map_err(|error| ReadError::Refresh(error.to_string()))?)
        }
    })
}

fn id_of(value: &Value) -> Option<EventId> {
    if let Value::Id(id) = value { Some(*id) } else { None }
}

fn narrow_valid(range: &mut TimeRange, valid: ValidTime) {
    let time = Timestamp::from_micros;
    match valid {
        ValidTime::Any => {}
        ValidTime::At(at) => range.until = at.checked_add(1).map(time),
        ValidTime::In(from, until) => {
            range.from = from.map(time);
            range.until = until.map(time);
        }
    }
}

/// Cuts a range of times to the bounds of a constraint, `step` microseconds fine.
fn narrow_range(range: &mut TimeRange, from: &Bound<Value>, until: &Bound<Value>, step: i64) {
    let first = match from {
        Bound::Included(Value::Time(at)) => Some(*at),
        Bound::Excluded(Value::Time(at)) => at.checked_add(step),
        Bound::Included(_) | Bound::Excluded(_) | Bound::Unbounded => None,
    };
    let end = match until {
        Bound::Included(Value::Time(at)) => at.checked_add(step),
        Bound::Excluded(Value::Time(at)) => Some(*at),
        Bound::Included(_) | Bound::Excluded(_) | Bound::Unbounded => None,
    };
    let (first, end) = (first.map(Timestamp::from_micros), end.map(Timestamp::from_micros));
    range.from = range.from.max(first);
    range.until = match (range.until, end) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

impl Data for StoredData<'_> {
    fn scan(
        &self,
        request: &Scan<'_>,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, DataError> {
        if let Source::Table { number } = request.relation.source {
            return self.scan_table(number, request, take);
        }
        if let Source::EventsOf { root, .. } = &request.relation.source
            && let Some(number) = table_of(root)
        {
            return self.scan_operations(number, request, take);
        }
        let failed = |error: ReadError| DataError(Box::new(error));
        let reads = self.reads(request).map_err(failed)?;
        let columns = Columns::new(request.relation, request.columns, self.reader);
        let mut rows_read = 0;
        let ran = self.run(&reads, columns.reads_payloads(), |event, _, arrival| {
            rows_read += 1;
            self.row(&columns, event, arrival, take)
        });
        ran.map_err(failed)?;
        Ok(Scanned { rows_read })
    }

    fn estimate(&self, request: &Scan<'_>) -> Option<u64> {
        if let Source::Table { number } = request.relation.source {
            return self.estimate_table(number, request);
        }
        self.estimate_reads(&self.reads(request).ok()?).ok()
    }

    fn can_order(&self, request: &Scan<'_>) -> bool {
        if let Source::Table { .. } = request.relation.source {
            return false;
        }
        self.reads(request).is_ok_and(|reads| reads.is_ordered)
    }

    fn can_seek(&self, request: &Scan<'_>, column: usize) -> bool {
        let has_root =
            matches!(request.relation.source, Source::EventsOf { .. } | Source::Table { .. });
        match request.relation.columns.get(column).map(|column| &column.place) {
            Some(Place::Key) => has_root,
            Some(Place::Id | Place::Cause) => true,
            _ => false,
        }
    }
}

impl StoredData<'_> {
    /// What a writer's schema says of a payload, if it was written by one.
    fn written(&self, event: &EventView<'_>, payload: &[u8]) -> Option<Written<'_>> {
        let names = (event.root(), event.type_name());
        self.reader.declared.written(names, event.content_type(), payload)
    }

    /// Hands on what a scan wants of an event.
    fn row(
        &self,
        columns: &Columns,
        event: &EventView<'_>,
        arrival: Hlc,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let needs_payload = columns.reads_payloads();
        let mut few_fields = [const { Cell::Absent }; FEW];
        let mut many_fields = Vec::new();
        let fields = of_size(&mut few_fields, &mut many_fields, columns.kinds.len());
        let upcasters = &self.inner.options.upcasters;
        // Most databases have none, and most questions need no more than the payload as it is.
        let upcast = (needs_payload && !upcasters.is_empty()).then(|| upcasters.apply(event));
        let (version, payload) = match &upcast {
            Some(Ok((version, payload))) => (*version, payload.as_ref()),
            Some(Err(_)) | None => (event.version(), event.payload()),
        };
        let written = if needs_payload { self.written(event, payload) } else { None };
        if let Some(written) = &written {
            columns.read_written(written, self.reader, fields);
        } else if needs_payload && !matches!(upcast, Some(Err(_))) {
            payload::fields(event.content_type(), payload, &columns.names, fields);
        }
        for (cell, kind) in fields.iter_mut().zip(&columns.kinds) {
            // Most are what they should be, and need not be moved to see it.
            if !cell.is_of(&kind.data_type) {
                *cell = std::mem::take(cell).read_as(&kind.data_type);
            }
            if let (Cell::Absent, Some(default)) = (&*cell, &kind.default) {
                *cell = Cell::Value(default.clone());
            }
        }
        let whole = (columns.needs_payload).then(|| match &written {
            Some(written) => written.whole(),
            None => payload::whole(event.content_type(), payload),
        });
        let made = columns.cells.iter().filter_map(|cell| match cell {
            CellKind::Made(place) => Some(made(place, event, whole.as_ref())),
            CellKind::Plain(_) | CellKind::Field(_) => None,
        });
        let made: Vec<Value> = made.collect();
        let mut made = made.iter();
        let (mut few, mut many) = ([ValueRef::Null; FEW], Vec::new());
        let cells = of_size(&mut few, &mut many, columns.cells.len());
        for (place, cell) in cells.iter_mut().zip(&columns.cells) {
            match cell {
                CellKind::Plain(from) => *place = plain(from, event, arrival, version),
                CellKind::Field(at) => match fields.get(*at) {
                    Some(Cell::Text(text)) => *place = ValueRef::Text(text),
                    Some(Cell::Value(value)) => *place = ValueRef::from(value),
                    Some(Cell::Absent) | None => {}
                },
                CellKind::Made(_) => *place = made.next().map_or(ValueRef::Null, ValueRef::from),
            }
        }
        take(cells)
    }
}

/// So many columns of a row, and no more, are held without allocating.
const FEW: usize = 8;

/// As many places as are wanted, of a few or of many.
fn of_size<'v, T: Clone>(few: &'v mut [T; FEW], many: &'v mut Vec<T>, size: usize) -> &'v mut [T] {
    if size > FEW {
        many.extend(few.iter().cycle().take(size).cloned());
        return many;
    }
    few.get_mut(..size).unwrap_or_default()
}

/// The columns that a scan wants, sorted by where their values come from.
struct Columns {
    cells: Vec<CellKind>,
    /// Names of fields in payloads by name.
    names: Vec<Wanted>,
    /// The fields of the payload.
    kinds: Vec<FieldKind>,
    needs_payload: bool,
}

/// What a field is declared as.
struct FieldKind {
    /// What its number is a number of, and its number; nothing of an undeclared one.
    number: Option<(Owner, u32)>,
    name: Arc<str>,
    data_type: DataType,
    default: Option<Value>,
}

/// Where the value of a wanted column comes from.
enum CellKind {
    /// As it stands in the event.
    Plain(Place),
    /// A field of the payload, by its place among the names.
    Field(usize),
    /// A value that is made of the event.
    Made(Place),
}

impl Columns {
    fn new(relation: &Stored, wanted: &[usize], reader: Reader<'_>) -> Self {
        let mut columns =
            Self { cells: Vec::new(), names: Vec::new(), kinds: Vec::new(), needs_payload: false };
        for at in wanted {
            let Some(column) = relation.columns.get(*at) else {
                columns.cells.push(CellKind::Plain(Place::Validity));
                continue;
            };
            columns.add(relation, column, reader);
        }
        columns
    }

    /// Whether payloads are looked at at all.
    fn reads_payloads(&self) -> bool {
        !self.kinds.is_empty() || self.needs_payload
    }

    fn add(&mut self, relation: &Stored, column: &StoredColumn, reader: Reader<'_>) {
        let kind = match &column.place {
            Place::Field { number, name } => {
                let owner = owner_of(&relation.source);
                self.add_former_names(relation, *number, reader);
                self.field(FieldKind {
                    number: owner.map(|owner| (owner, *number)),
                    name: Arc::clone(name),
                    data_type: column.column.data_type.clone(),
                    default: default_of(relation, *number, reader.schema),
                })
            }
            Place::Member(name) => self.field(FieldKind {
                number: None,
                name: Arc::clone(name),
                data_type: DataType::Json,
                default: None,
            }),
            Place::Payload => {
                self.needs_payload = true;
                CellKind::Made(Place::Payload)
            }
            place @ (Place::Origin | Place::Tags | Place::Meta) => CellKind::Made(place.clone()),
            place @ (Place::Id
            | Place::Key
            | Place::At
            | Place::Tx
            | Place::Arrived
            | Place::Seq
            | Place::Cause
            | Place::Root
            | Place::Type
            | Place::Version
            | Place::Validity
            | Place::Until
            | Place::Life
            | Place::Changed) => CellKind::Plain(place.clone()),
        };
        self.cells.push(kind);
    }

    fn field(&mut self, kind: FieldKind) -> CellKind {
        let cell = self.kinds.len();
        self.names.push(Wanted::of_many(Arc::clone(&kind.name), cell, false));
        self.kinds.push(kind);
        CellKind::Field(cell)
    }

    /// The names that the next field had before, unless another field of the type has them now.
    fn add_former_names(&mut self, relation: &Stored, number: u32, reader: Reader<'_>) {
        let Some(owner) = owner_of(&relation.source) else { return };
        let fields = fields_of(relation, reader.schema);
        let is_taken = |name: &str| fields.is_some_and(|fields| fields.field(name).is_some());
        let cell = self.kinds.len();
        for lineage in reader.lineages {
            for name in lineage.names(&owner, number).filter(|name| !is_taken(name)) {
                self.names.push(Wanted::new(Arc::clone(name), cell, true));
            }
        }
    }

    /// Reads fields of a payload that was written by a schema.
    fn read_written(&self, written: &Written<'_>, reader: Reader<'_>, cells: &mut [Cell<'_>]) {
        for (cell, kind) in cells.iter_mut().zip(&self.kinds) {
            let value = match &kind.number {
                Some((owner, number)) => written.field(&reader.lineages, owner, *number),
                None => written.member_named(&kind.name),
            };
            *cell = if value.is_null() { Cell::Absent } else { Cell::Value(value) };
        }
    }
}

fn owner_of(source: &Source) -> Option<Owner> {
    match source {
        Source::EventsOf { root, type_number: Some(number), .. } => {
            Some(Owner::Event(Arc::clone(root), *number))
        }
        Source::EventsOf { .. } | Source::Events | Source::Table { .. } => None,
    }
}

fn fields_of<'s>(relation: &Stored, schema: &'s Schema) -> Option<&'s Fields> {
    let Source::EventsOf { root, type_number, .. } = &relation.source else { return None };
    let event = schema.roots.get(root)?.events.get(&(*type_number)?)?;
    Some(&event.fields)
}

fn default_of(relation: &Stored, number: u32, schema: &Schema) -> Option<Value> {
    fields_of(relation, schema)?.fields.get(&number)?.default.clone()
}

fn plain<'a>(place: &Place, event: &EventView<'a>, arrival: Hlc, version: u32) -> ValueRef<'a> {
    match place {
        Place::Id => ValueRef::Id(event.id()),
        Place::Key => ValueRef::Text(event.key()),
        Place::At => ValueRef::Time(event.valid_at().as_micros()),
        Place::Tx => ValueRef::Time(Timestamp::from_hlc(event.id().hlc()).as_micros()),
        Place::Arrived => ValueRef::Time(Timestamp::from_hlc(arrival).as_micros()),
        Place::Seq => ValueRef::Int(i64::try_from(event.seq()).unwrap_or(i64::MAX)),
        Place::Cause => event.cause().map_or(ValueRef::Null, ValueRef::Id),
        Place::Root => ValueRef::Text(event.root()),
        Place::Type => ValueRef::Text(event.type_name()),
        Place::Version => ValueRef::Int(i64::from(version)),
        Place::Origin
        | Place::Tags
        | Place::Meta
        | Place::Payload
        | Place::Field { .. }
        | Place::Member(_)
        | Place::Validity
        | Place::Until
        | Place::Life
        | Place::Changed => ValueRef::Null,
    }
}

fn made(place: &Place, event: &EventView<'_>, payload: Option<&Value>) -> Value {
    match place {
        Place::Origin => Value::text(&event.id().replica().to_string()),
        Place::Tags => Value::set(
            event.tags().map(|(root, key)| Value::text(&format!("{root}:{key}"))).collect(),
        ),
        Place::Meta => Value::record(
            event.meta().map(|(name, text)| (Arc::from(name), Value::text(text))).collect(),
        ),
        Place::Payload => payload.cloned().unwrap_or_default(),
        Place::Id
        | Place::Key
        | Place::At
        | Place::Tx
        | Place::Arrived
        | Place::Seq
        | Place::Cause
        | Place::Root
        | Place::Type
        | Place::Version
        | Place::Field { .. }
        | Place::Member(_)
        | Place::Validity
        | Place::Until
        | Place::Life
        | Place::Changed => Value::Null,
    }
}
