//! Laterbase: a local-first, bitemporal event store to embed.
//!
//! Events are written once and never changed, on any device, with or without a network. You can ask
//! what happened, when it happened, and when you knew it.
//!
//! ```text
//!   Commit ─▶ Database::append ─▶ Ticket          what is recorded       commit, condition, append
//!   Query  ─▶ Database::read   ─▶ Events          what was recorded      query, walk, recorded
//!             Database::subscribe ─▶ Subscription what comes             subscription
//!             Database::{aggregates, view} ─▶ Projection   what it comes to     fold
//!             Database::consumer ─▶ Consumer            what others do with it  consumer
//!             Database::sync_port              other copies          sync
//!             Database::{verify, backup, …}    care                  verify, backup, statistics
//! ```
//!
//! Below this surface: `laterbase-event` (ids, clocks, bytes), `laterbase-log` (the only truth) and
//! `laterbase-index` (derived, may be deleted). Everything here is driven by whoever calls, with
//! three background threads for what nobody waits for, and a fourth for folds that are kept.
//!
//! ```
//! use laterbase::{Database, NewEvent, Options, Query};
//!
//! # let dir = tempfile::tempdir()?;
//! let db = Database::create(dir.path(), Options::default())?;
//! let mut commit = db.commit();
//! commit.push(&NewEvent::new("shipment", "4711", "booked"))?;
//! db.append(&mut commit)?.wait()?; // on the device
//!
//! let stream = Query::stream("shipment".try_into()?, "4711".try_into()?);
//! assert_eq!(db.read(&stream)?.count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod append;
#[cfg(feature = "query")]
pub mod ask;
mod backlog;
mod backup;
mod commit;
mod condition;
mod consumer;
mod content;
mod cursor;
mod database;
mod decide;
#[cfg(feature = "query")]
mod declared;
mod environment;
#[cfg(feature = "query")]
pub mod execute;
mod filter;
mod flush_times;
mod fold;
mod follow;
mod host;
mod identity;
mod inner;
mod lock;
mod new_event;
mod open;
mod options;
mod progress;
mod query;
mod read;
mod reclaim;
mod recorded;
mod replay;
mod statistics;
mod subscription;
pub mod sync;
#[cfg(feature = "query")]
mod table;
mod terms;
mod ticket;
#[cfg(feature = "query")]
pub mod typed;
mod validator;
mod verify;
mod walk;
mod watch;

pub use append::AppendError;
pub use backup::{BackupError, BackupReport, RestoreReport};
pub use commit::{Commit, PushError};
pub use condition::{After, AppendCondition, ConditionItem, ConditionMatch, Expectation, Expected};
pub use consumer::{
    Consumer, ConsumerConfig, ConsumerError, ConsumerFileError, ConsumerStatus, DeadLetter,
    Delivery, Rejection, Settled, Settlement,
};
pub use cursor::{Cursor, CursorError};
pub use database::{CloseError, Database, Found};
#[cfg(feature = "query")]
pub use declared::{
    AppliedSchema, Conflict, DatabaseSchema, SchemaChange, SchemaDifference, SchemaError,
    SchemaHash,
};
pub use environment::{EntropyError, Environment, SystemEnvironment};
pub use flush_times::FlushTimes;
pub use fold::{
    Aggregate, Aggregates, ApplyError, Changed, Changes, Failure, Fold, FoldConfig, FoldError,
    FoldEvent, FoldOrder, Folded, KeepError, KeptFileError, KeptNews, KeptPart, KeptStatus, Keyed,
    Moment, Page, PageCursor, PageRequest, Previous, PreviousError, PreviousPage, PreviousRow,
    Projection, Streams, Upcasters, View, ViewRows, Viewed,
};
pub use follow::FollowError;
pub use identity::IdentityError;
pub use new_event::{CONTENT_TYPE_CBOR, CONTENT_TYPE_JSON, Cause, NewEvent};
pub use open::{OpenError, OpenReport, Reincarnation};
pub use options::Options;
pub use progress::Durability;
pub use query::{Cut, Direction, Follow, Lineage, Order, Query, TimeRange};
pub use read::ReadError;
pub use recorded::{PayloadError, Recorded};
pub use statistics::{RootStatistics, Statistics};
pub use subscription::{Start, Subscription};
#[cfg(feature = "query")]
pub use table::{DeleteRow, PutRow, RowChange, Table, TableError, TableRead, TableRow};
pub use ticket::{Appended, AppendedPart, Outcome, Ticket};
pub use validator::{Candidate, Validators};
pub use verify::{Problem, VerifyProgress, VerifyReport, VerifyStage};
pub use walk::Events;
pub use watch::FlushedWatch;

pub use laterbase_event::{
    Causality, CauseDraft, DatabaseId, DraftError, Event, EventDraft, EventId, EventView, Hlc, Key,
    KeyDraft, Limits, NameError, ParseEventIdError, ParseTagError, Position, ReplicaId, RootName,
    StampError, Tag, Timestamp, TypeName, VersionVector, VersionVectorError,
};
pub use laterbase_index::IndexConfig;
pub use laterbase_index::IndexStatistics;
pub use laterbase_log::{Damage, LogConfig, Sealing, SegmentInfo, StageError, TornTail, storage};

/// The README's examples, tested with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
