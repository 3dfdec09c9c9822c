//! JSON Pointers (RFC 6901) over JSON text.
//!
//! A pointer is resolved against the *text* of a JSON value, not against a parsed tree: what it
//! finds is the very slice of the input, so numbers keep their digits and nothing is allocated
//! for the parts that are not asked for. Where an object names a member twice, the last one
//! counts, as it does in most parsers.
//!
//! Left out: the URI fragment form (`#/a`) and the `-` that means "after the last element"; it
//! never names a value.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON Pointer: `""` names the whole value, `/a/0` the first element of member `a`.
///
/// Source: RFC 6901.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// Why a text is not a JSON Pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// A pointer that is not empty begins with a slash.
    #[error("a JSON Pointer begins with `/`, as in `/eventTime`; an empty one is the whole record")]
    NoSlash,
    /// `~` stands only in `~0` (a tilde) and `~1` (a slash).
    #[error("in a JSON Pointer write `~0` for a tilde and `~1` for a slash within a name")]
    BadEscape,
}

impl Pointer {
    /// The pointer as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The slice of `value` that this pointer names, if there is one.
    #[must_use]
    pub fn resolve<'a>(&self, value: &'a RawValue) -> Option<&'a RawValue> {
        self.tokens.iter().try_fold(value, |value, token| step(value, token))
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        let Some(rest) = text.strip_prefix('/') else {
            if text.is_empty() {
                return Ok(Self { text: String::new(), tokens: Vec::new() });
            }
            return Err(PointerError::NoSlash);
        };
        let tokens = rest.split('/').map(unescape).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), tokens })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// Takes the escapes out of one token, `~1` before `~0` as the RFC asks.
fn unescape(token: &str) -> Result<String, PointerError> {
    let mut plain = String::with_capacity(token.len());
    let mut letters = token.chars();
    while let Some(letter) = letters.next() {
        if letter != '~' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('0') => plain.push('~'),
            Some('1') => plain.push('/'),
            Some(_) | None => return Err(PointerError::BadEscape),
        }
    }
    Ok(plain)
}

/// One step down: into a member of an object or an element of an array.
fn step<'a>(value: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    let text = value.get();
    let mut parser = serde_json::Deserializer::from_str(text);
    match text.as_bytes().first() {
        Some(b'{') => parser.deserialize_map(Member { name: token }).ok()?,
        Some(b'[') => {
            let index = array_index(token)?;
            parser.deserialize_seq(Element { index }).ok()?
        }
        Some(_) | None => None,
    }
}

/// An array index: digits without a leading zero.
fn array_index(token: &str) -> Option<usize> {
    let leading_zero = token.len() > 1 && token.starts_with('0');
    let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    if digits && !leading_zero { token.parse().ok() } else { None }
}

/// Finds the last member of that name and skips the others.
struct Member<'t> {
    name: &'t str,
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(matches) = members.next_key_seed(NameIs { name: self.name })? {
            if matches {
                found = Some(members.next_value()?);
            } else {
                let _: IgnoredAny = members.next_value()?;
            }
        }
        Ok(found)
    }
}

/// Finds the element with that index and skips the others.
struct Element {
    index: usize,
}

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut index = 0_usize;
        while index < self.index && elements.next_element::<IgnoredAny>()?.is_some() {
            index = index.saturating_add(1);
        }
        if index == self.index {
            found = elements.next_element()?;
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// Compares a member's name without keeping it.
struct NameIs<'t> {
    name: &'t str,
}

impl<'de> DeserializeSeed<'de> for NameIs<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, parser: D) -> Result<bool, D::Error> {
        parser.deserialize_str(self)
    }
}

impl Visitor<'_> for NameIs<'_> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.name)
    }
}

/// What a pointer may find, by the first byte of its text.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// Nothing, `null` or an empty string: all three count as "not there".
    Nothing,
    /// A string, a number, `true` or `false`, as text.
    Scalar(Cow<'a, str>),
    /// An array, with its elements.
    Array(Vec<&'a RawValue>),
    /// An object: it has no text form.
    Object,
}

impl<'a> Found<'a> {
    /// Sorts what a pointer resolved to.
    #[must_use]
    pub fn new(value: Option<&'a RawValue>) -> Self {
        let Some(value) = value else { return Self::Nothing };
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'"') => match serde_json::from_str::<Text<'a>>(text) {
                Ok(Text(plain)) if plain.is_empty() => Self::Nothing,
                Ok(Text(plain)) => Self::Scalar(plain),
                // A string that holds half a surrogate pair has no text.
                Err(_) => Self::Nothing,
            },
            Some(b'[') => match serde_json::from_str(text) {
                Ok(elements) => Self::Array(elements),
                Err(_) => Self::Nothing,
            },
            Some(b'{') => Self::Object,
            Some(b'n') | None => Self::Nothing,
            Some(_) => Self::Scalar(Cow::Borrowed(text)),
        }
    }
}

/// A string that borrows from the input where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(pointer: &str, json: &str) -> Option<String> {
        let value: &RawValue = serde_json::from_str(json).unwrap();
        let pointer: Pointer = pointer.parse().unwrap();
        pointer.resolve(value).map(|found| found.get().to_owned())
    }

    /// The table in section 5 of RFC 6901.
    #[test]
    fn the_examples_of_the_rfc_resolve() {
        let json = concat!(
            r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"#,
            r#""i\\j":5,"k\"l":6," ":7,"m~n":8}"#
        );
        for (pointer, expected) in [
            ("", json),
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(resolve(pointer, json).as_deref(), Some(expected), "{pointer}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let json = r#"{"a":[10,20],"b":{"c":null},"d":"x"}"#;
        for pointer in ["/x", "/a/2", "/a/-", "/a/01", "/a/x", "/b/c/d", "/d/0", "/a/+1"] {
            assert_eq!(resolve(pointer, json), None, "{pointer}");
        }
        assert_eq!(resolve("/b/c", json).as_deref(), Some("null"));
    }

    #[test]
    fn the_last_of_two_members_counts() {
        assert_eq!(resolve("/a", r#"{"a":1,"a":2}"#).as_deref(), Some("2"));
    }

    #[test]
    fn digits_are_kept_as_they_were_written() {
        assert_eq!(resolve("/n", r#"{"n":1.10e3}"#).as_deref(), Some("1.10e3"));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        assert_eq!("eventTime".parse::<Pointer>(), Err(PointerError::NoSlash));
        assert_eq!("/a~2".parse::<Pointer>(), Err(PointerError::BadEscape));
        assert_eq!("/a~".parse::<Pointer>(), Err(PointerError::BadEscape));
    }

    #[test]
    fn null_and_the_empty_string_count_as_nothing() {
        for json in ["null", "\"\""] {
            let value: &RawValue = serde_json::from_str(json).unwrap();
            assert!(matches!(Found::new(Some(value)), Found::Nothing));
        }
        let value: &RawValue = serde_json::from_str(r#""a\nb""#).unwrap();
        assert!(matches!(Found::new(Some(value)), Found::Scalar(text) if text == "a\nb"));
    }
}
