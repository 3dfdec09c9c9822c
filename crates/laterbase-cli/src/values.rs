//! The values that arguments take, and how they are read.
//!
//! Each parser answers with a message that says what to write instead; clap puts the argument's
//! name before it and ends with the usage exit code.

use clap::ValueEnum;
use laterbase::{Durability, Expected, Key, RootName, Tag, Timestamp, VersionVector};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::time;

/// `ROOT/KEY`, or `ROOT` alone for an event whose key is its own id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamName {
    pub(crate) root: RootName,
    pub(crate) key: Option<Key>,
}

/// A time on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// What an append promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityName {
    /// On the device before the answer
    Flushed,
    /// With the operating system; flushed within an interval
    Buffered,
    /// In memory; flushed with the next stronger append
    Relaxed,
}

/// How a listing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// Columns that fit the terminal
    Table,
    /// One JSON document
    Json,
    /// One JSON event on each line
    Ndjson,
    /// A header and rows
    Csv,
}

/// How an answer is written.
#[cfg(feature = "query")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerLayout {
    /// Columns that fit the terminal
    Table,
    /// One JSON document
    Json,
    /// One JSON row on each line
    Ndjson,
    /// A header and rows
    Csv,
    /// Each row with the rows in it below it
    Tree,
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderName {
    /// By id: when it was recorded
    Tx,
    /// By when it happened
    Valid,
    /// By when it came to this replica
    Arrival,
}

/// What a number counts since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeUnitName {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
}

impl DurabilityName {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flushed => "flushed",
            Self::Buffered => "buffered",
            Self::Relaxed => "relaxed",
        }
    }
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Self {
        match name {
            DurabilityName::Flushed => Self::Flushed,
            DurabilityName::Buffered => Self::Buffered,
            DurabilityName::Relaxed => Self::Relaxed,
        }
    }
}

impl From<OrderName> for laterbase::Order {
    fn from(name: OrderName) -> Self {
        match name {
            OrderName::Tx => Self::Tx,
            OrderName::Valid => Self::Valid,
            OrderName::Arrival => Self::Arrival,
        }
    }
}

impl From<TimeUnitName> for time::TimeUnit {
    fn from(name: TimeUnitName) -> Self {
        match name {
            TimeUnitName::S => Self::Seconds,
            TimeUnitName::Ms => Self::Milliseconds,
            TimeUnitName::Us => Self::Microseconds,
        }
    }
}

pub(crate) fn stream_name(text: &str) -> Result<StreamName, String> {
    let (root, key) = match text.split_once('/') {
        Some((root, key)) => (root, Some(key)),
        None => (text, None),
    };
    let root = root_name(root)?;
    let key = key.map(key_name).transpose()?;
    Ok(StreamName { root, key })
}

pub(crate) fn root_name(text: &str) -> Result<RootName, String> {
    RootName::try_from(text).map_err(|error| format!("the root: {error}"))
}

pub(crate) fn key_name(text: &str) -> Result<Key, String> {
    Key::try_from(text).map_err(|error| format!("the key: {error}"))
}

pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    time::parse(text)
        .map(|micros| Moment(Timestamp::from_micros(micros)))
        .map_err(|error| error.to_string())
}

pub(crate) fn tag(text: &str) -> Result<Tag, String> {
    text.parse().map_err(|error: laterbase::ParseTagError| format!("{error}, as in truck:7"))
}

/// `ROOT=POINTER`, for the tags of an import.
pub(crate) fn tag_pointer(text: &str) -> Result<(String, crate::pointer::Pointer), String> {
    let (root, pointer) = text
        .split_once('=')
        .ok_or("write ROOT=POINTER, as in --tag truck=/vehicle/id".to_owned())?;
    let root = root_name(root)?.as_str().to_owned();
    Ok((root, pointer.parse().map_err(|error: crate::pointer::PointerError| error.to_string())?))
}

/// `NAME=VALUE`, for meta.
pub(crate) fn name_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(crate) fn expected(text: &str) -> Result<Expected, String> {
    match text {
        "any" => Ok(Expected::Any),
        "none" => Ok(Expected::None),
        "exists" => Ok(Expected::Exists),
        number => number.parse().map(Expected::At).map_err(|_| {
            "write any, none, exists or the number of events in the stream".to_owned()
        }),
    }
}

/// A version vector as `laterbase stats` prints it: base64url of its canonical bytes.
pub(crate) fn version_vector(text: &str) -> Result<VersionVector, String> {
    let hint = "take it from `laterbase stats`, where it is called `vv`";
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| format!("not a version vector ({error}); {hint}"))?;
    VersionVector::decode(&bytes).map_err(|error| format!("{error}; {hint}"))
}

/// The text form of a version vector.
pub(crate) fn version_vector_text(vector: &VersionVector) -> String {
    URL_SAFE_NO_PAD.encode(vector.encode())
}

pub(crate) fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        Ok(_) | Err(_) => Err("write a number from 0 to 100".to_owned()),
    }
}
