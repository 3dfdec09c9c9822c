//! The forms of values: how each is read, held against its bounds, put in its place and shown.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

use super::error::ValueError;
use super::plan::{LogFormat, Plan};
use super::units;

/// Tokio's semaphores take no more by far; no machine has so much of anything that is counted here.
const COUNT_MAX: usize = 10_000_000;

/// Where in the plan a value goes.
type Place<T> = fn(&mut Plan) -> &mut T;

/// The form of a setting's value, and its place.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// `HOST:PORT`.
    Address(Place<String>),
    /// Origins of web pages.
    Origins(Place<Vec<String>>),
    /// A file or directory.
    Path(Place<Option<PathBuf>>),
    /// Files.
    #[cfg(feature = "tokens")]
    Paths(Place<Vec<PathBuf>>),
    /// On or off.
    Switch(Place<bool>),
    /// A number from 1 on.
    Count(Place<usize>),
    /// Bytes, within bounds.
    Bytes { place: Place<usize>, least: usize, most: usize },
    /// A duration, within bounds.
    Time { place: Place<Duration>, least: Duration, most: Duration },
    /// So many in a second, or `off`.
    PerSecond(Place<Option<f64>>),
    /// So many at once, or `off`.
    AtOnce(Place<Option<u32>>),
    /// What lines of the log look like.
    LogFormat(Place<LogFormat>),
    /// What is logged: a level, or one for each of several targets.
    LogLevel(Place<String>),
}

/// A value as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// From a flag or the environment, where everything is text.
    Word(OsString),
    /// A string in the file.
    Text(String),
    /// A number in the file.
    Number(String),
    /// `true` or `false` in the file.
    Switch(bool),
    /// Several, each a word or a text.
    List(Vec<Found>),
    /// Something that no setting takes: its type in the file.
    Other(&'static str),
}

impl Form {
    /// Puts a value into its place. Paths are counted from `base`.
    pub(super) fn set(
        self,
        plan: &mut Plan,
        found: &Found,
        base: Option<&Path>,
    ) -> Result<(), ValueError> {
        match self {
            Self::Address(place) => *place(plan) = address(text(found)?)?,
            Self::Origins(place) => {
                *place(plan) = each(found, |one| origin(text(one)?))?;
            }
            Self::Path(place) => *place(plan) = Some(path(found, base)?),
            #[cfg(feature = "tokens")]
            Self::Paths(place) => *place(plan) = each(found, |one| path(one, base))?,
            Self::Switch(place) => *place(plan) = switch(found)?,
            Self::Count(place) => {
                let read = |text: &str| text.parse().ok();
                let number = count(found, &read)?;
                let shown = |number: usize| number.to_string();
                *place(plan) = within(number, (1, COUNT_MAX), shown)?;
            }
            Self::Bytes { place, least, most } => {
                let read = |text: &str| usize::try_from(units::bytes(text)?).ok();
                let expected = "a whole number of B, KiB, MiB or GiB, such as 8MiB";
                let size = measured(found, "size", expected, &read)?;
                let shown = |bytes: usize| units::bytes_text(bytes as u64);
                *place(plan) = within(size, (least, most), shown)?;
            }
            Self::Time { place, least, most } => {
                let expected = "a whole number of ms, s, m, h or d, such as 60s";
                let time = measured(found, "duration", expected, &units::duration)?;
                *place(plan) = within(time, (least, most), units::duration_text)?;
            }
            Self::PerSecond(place) => *place(plan) = per_second(found)?,
            Self::AtOnce(place) => *place(plan) = at_once(found)?,
            Self::LogFormat(place) => *place(plan) = log_format(text(found)?)?,
            Self::LogLevel(place) => *place(plan) = log_level(text(found)?)?,
        }
        Ok(())
    }

    /// The value that stands in the plan, as it would be written into the file; none if there is
    /// none.
    pub(super) fn show(self, plan: &mut Plan) -> Option<String> {
        let quoted = |text: &str| format!("\"{}\"", escaped(text));
        let list = |all: Vec<String>| format!("[{}]", all.join(", "));
        match self {
            Self::Address(place) | Self::LogLevel(place) => Some(quoted(place(plan))),
            Self::Origins(place) => {
                let all: Vec<String> = place(plan).iter().map(|one| quoted(one)).collect();
                (!all.is_empty()).then(|| list(all))
            }
            Self::Path(place) => {
                let path = place(plan).as_ref()?;
                Some(quoted(&path.display().to_string()))
            }
            #[cfg(feature = "tokens")]
            Self::Paths(place) => {
                let shown = |path: &PathBuf| quoted(&path.display().to_string());
                let all: Vec<String> = place(plan).iter().map(shown).collect();
                (!all.is_empty()).then(|| list(all))
            }
            Self::Switch(place) => Some(place(plan).to_string()),
            Self::Count(place) => Some(place(plan).to_string()),
            Self::Bytes { place, .. } => Some(quoted(&units::bytes_text(*place(plan) as u64))),
            Self::Time { place, .. } => Some(quoted(&units::duration_text(*place(plan)))),
            Self::PerSecond(place) => place(plan).map(|number| number.to_string()),
            Self::AtOnce(place) => place(plan).map(|number| number.to_string()),
            Self::LogFormat(place) => Some(quoted(place(plan).name())),
        }
    }

    /// Whether it may be given several times.
    pub(super) fn is_list(self) -> bool {
        match self {
            Self::Origins(_) => true,
            #[cfg(feature = "tokens")]
            Self::Paths(_) => true,
            Self::Address(_)
            | Self::Path(_)
            | Self::Switch(_)
            | Self::Count(_)
            | Self::Bytes { .. }
            | Self::Time { .. }
            | Self::PerSecond(_)
            | Self::AtOnce(_)
            | Self::LogFormat(_)
            | Self::LogLevel(_) => false,
        }
    }

    /// What stands for the value in the help.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Address(_) => "ADDR",
            Self::Origins(_) => "ORIGIN",
            Self::Path(_) => "FILE",
            #[cfg(feature = "tokens")]
            Self::Paths(_) => "FILE",
            Self::Switch(_) => "BOOL",
            Self::Count(_) | Self::PerSecond(_) | Self::AtOnce(_) => "NUMBER",
            Self::Bytes { .. } => "SIZE",
            Self::Time { .. } => "DURATION",
            Self::LogFormat(_) => "FORMAT",
            Self::LogLevel(_) => "LEVEL",
        }
    }

    pub(super) fn is_switch(self) -> bool {
        self.placeholder() == "BOOL"
    }
}

impl Found {
    /// What it is, for whoever wrote something else.
    fn noun(&self) -> &'static str {
        match self {
            Self::Word(_) | Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Switch(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(noun) => noun,
        }
    }

    fn is_no(&self, expected: &'static str) -> ValueError {
        ValueError::Type { found: self.noun(), expected }
    }
}

/// A text of at least one letter.
fn text(found: &Found) -> Result<&str, ValueError> {
    let text = match found {
        Found::Word(word) => word.to_str().ok_or(ValueError::NotText)?,
        Found::Text(text) => text,
        Found::Number(_) | Found::Switch(_) | Found::List(_) | Found::Other(_) => {
            return Err(found.is_no("a text in quotation marks"));
        }
    };
    if text.is_empty() { Err(ValueError::Empty) } else { Ok(text) }
}

/// A text, or a number of the file.
fn number_text<'a>(found: &'a Found, expected: &'static str) -> Result<&'a str, ValueError> {
    match found {
        Found::Number(number) => Ok(number),
        Found::Word(_) | Found::Text(_) => text(found),
        Found::Switch(_) | Found::List(_) | Found::Other(_) => Err(found.is_no(expected)),
    }
}

fn path(found: &Found, base: Option<&Path>) -> Result<PathBuf, ValueError> {
    let path: &OsStr = match found {
        Found::Word(word) => word,
        Found::Text(text) => text.as_ref(),
        Found::Number(_) | Found::Switch(_) | Found::List(_) | Found::Other(_) => {
            return Err(found.is_no("a path in quotation marks"));
        }
    };
    if path.is_empty() {
        return Err(ValueError::Empty);
    }
    Ok(base.map_or_else(|| PathBuf::from(path), |base| base.join(path)))
}

/// Each value of a list; what is none is a list of one.
fn each<T>(
    found: &Found,
    read: impl Fn(&Found) -> Result<T, ValueError>,
) -> Result<Vec<T>, ValueError> {
    match found {
        Found::List(all) if all.is_empty() => Err(ValueError::Empty),
        Found::List(all) => all.iter().map(read).collect(),
        Found::Word(_) | Found::Text(_) | Found::Number(_) | Found::Switch(_) | Found::Other(_) => {
            read(found).map(|one| vec![one])
        }
    }
}

fn switch(found: &Found) -> Result<bool, ValueError> {
    match found {
        Found::Switch(on) => Ok(*on),
        Found::Word(_) => match text(found)? {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(form(other, "switch", "true or false")),
        },
        Found::Text(_) | Found::Number(_) | Found::List(_) | Found::Other(_) => {
            Err(found.is_no("true or false, without quotation marks"))
        }
    }
}

fn count<T>(found: &Found, read: &dyn Fn(&str) -> Option<T>) -> Result<T, ValueError> {
    measured(found, "count", "a whole number", read)
}

fn measured<T>(
    found: &Found,
    noun: &'static str,
    expected: &'static str,
    read: &dyn Fn(&str) -> Option<T>,
) -> Result<T, ValueError> {
    let text = number_text(found, expected)?;
    read(text).ok_or_else(|| form(text, noun, expected))
}

fn within<T: PartialOrd + Copy>(
    value: T,
    (least, most): (T, T),
    shown: impl Fn(T) -> String,
) -> Result<T, ValueError> {
    if value < least || value > most {
        let (least, most) = (shown(least), shown(most));
        return Err(ValueError::Range { text: shown(value), least, most });
    }
    Ok(value)
}

fn per_second(found: &Found) -> Result<Option<f64>, ValueError> {
    let expected = "how many in a second, such as 50 or 0.5, or off";
    let number = number_text(found, expected)?;
    if number == "off" {
        return Ok(None);
    }
    let rate = number.parse().ok().filter(|rate: &f64| rate.is_finite());
    let rate = rate.ok_or_else(|| form(number, "rate", expected))?;
    within(rate, (0.001, 1e6), |rate| rate.to_string()).map(Some)
}

fn at_once(found: &Found) -> Result<Option<u32>, ValueError> {
    if matches!(found, Found::Word(_) | Found::Text(_)) && text(found)? == "off" {
        return Ok(None);
    }
    let number = count(found, &|text| text.parse().ok())?;
    within(number, (1, 1_000_000), |number: u32| number.to_string()).map(Some)
}

fn address(text: &str) -> Result<String, ValueError> {
    // Names are looked up when it is listened there.
    let is_address = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_address {
        return Ok(text.to_owned());
    }
    Err(form(text, "address", "HOST:PORT, such as 127.0.0.1:7410"))
}

/// `SCHEME://HOST` or `SCHEME://HOST:PORT`, as browsers send it.
fn origin(text: &str) -> Result<String, ValueError> {
    let is_site = |site: &str| {
        !site.is_empty() && site.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
    };
    match text.split_once("://") {
        Some(("http" | "https", site)) if is_site(site) && !site.contains('*') => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err(form(
            text,
            "origin",
            "the scheme and the host, and no path, such as https://fleet.example",
        )),
    }
}

fn log_format(text: &str) -> Result<LogFormat, ValueError> {
    let named = LogFormat::ALL.into_iter().find(|format| format.name() == text);
    named.ok_or_else(|| form(text, "format", "text or json"))
}

fn log_level(text: &str) -> Result<String, ValueError> {
    let expected = "off, error, warn, info, debug or trace, or one for each target, such as \
                    info,laterbase_server=debug";
    // A word that is no level would be taken for a target.
    let is_level = |part: &str| {
        part.contains('=') || tracing_subscriber::filter::LevelFilter::from_str(part).is_ok()
    };
    if text.split(',').all(is_level) && Targets::from_str(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(form(text, "level", expected))
}

fn form(text: &str, noun: &'static str, expected: &str) -> ValueError {
    ValueError::Form { text: text.to_owned(), noun, expected: expected.to_owned() }
}

/// A text within quotation marks of TOML.
fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => all.push_str("\\\""),
            '\\' => all.push_str("\\\\"),
            letter if letter.is_control() => {
                all.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => all.push(letter),
        }
    }
    all
}
