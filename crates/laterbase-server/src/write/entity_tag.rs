//! A stream's version as an entity tag.
//!
//! ```text
//!   "REPLICA-VERSION"                 of an answer to a write: the version alone
//!   "REPLICA-VERSION-FORM"            what was read, in one form; of a fold with its version
//!   "REPLICA-VERSION-FORM-gzip"       the same, compressed on its way
//! ```
//! A tag names one representation, byte for byte, so each form has one of its own; a condition on
//! a write is about the stream, and looks at the version alone.
//!
//! The version is the number of the stream's visible events on one replica, so the tag names the
//! replica that it counts on: on another one it means nothing, and matches nothing.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use laterbase::{Database, Expected, Key, ReplicaId, RootName};
use serde_json::json;

use super::if_none_match;
use crate::call::header as one;
use crate::problem::{Kind, Problem};
use crate::read::settle;

/// How the tag of what was compressed ends.
const GZIP: &str = "-gzip\"";

/// What a header demands of the one stream of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderCondition {
    /// `If-None-Match: *`.
    None,
    /// `If-Match: *`.
    Exists,
    /// `If-Match: "REPLICA-VERSION"`, of whatever form.
    At(ReplicaId, u64),
    /// `If-Match` with what is no tag of ours, which no stream matches.
    Never,
}

impl HeaderCondition {
    /// What the headers demand, if anything.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        match (one(headers, &header::IF_MATCH)?, if_none_match(headers)?) {
            (None, None) => Ok(None),
            (None, Some("*")) => Ok(Some(Self::None)),
            (None, Some(_)) => {
                Err(Problem::bad_request("If-None-Match takes `*` alone: the stream must be new"))
            }
            (Some("*"), None) => Ok(Some(Self::Exists)),
            (Some(text), None) if text.contains(',') => {
                Err(Problem::bad_request("give If-Match one entity tag: a stream has one version"))
            }
            (Some(text), None) => {
                let read = read(text);
                Ok(Some(read.map_or(Self::Never, |(replica, at)| Self::At(replica, at))))
            }
            (Some(_), Some(_)) => {
                Err(Problem::bad_request("give If-Match or If-None-Match, not both"))
            }
        }
    }

    /// The same as an expectation of this copy; 412 if no version of it can be meant.
    pub(crate) fn expected(
        self,
        database: &Database,
        root: &RootName,
        key: &Key,
    ) -> Result<Expected, Problem> {
        match self {
            Self::None => Ok(Expected::None),
            Self::Exists => Ok(Expected::Exists),
            Self::At(replica, version) if replica == database.replica() => {
                Ok(Expected::At(version))
            }
            Self::At(..) | Self::Never => {
                let (root, key) = (root.as_str(), key.as_str());
                let actual = database.stream_version(root, key).map_err(Problem::failed)?;
                settle(database)?;
                let detail = "the entity tag in If-Match is not one of this copy: read it again";
                Err(Problem::new(Kind::Precondition)
                    .detail(detail)
                    .field("stream", json!(format!("{root}:{key}")))
                    .field("actual", json!(actual)))
            }
        }
    }
}

/// The tag of a version.
pub(crate) fn entity_tag(replica: ReplicaId, version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{replica}-{version}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// The tag of what is read of a version in one form.
pub(crate) fn tag_of_form(replica: ReplicaId, version: u64, form: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{replica}-{version}-{form}\""))
        .unwrap_or_else(|_| entity_tag(replica, version))
}

/// What a tag says of the stream; nothing if it is weak, or not one of ours.
fn read(text: &str) -> Option<(ReplicaId, u64)> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    let (replica, version) = inside.split_once('-')?;
    let version = version.split_once('-').map_or(version, |(version, _form)| version);
    Some((replica.parse().ok()?, version.parse().ok()?))
}

/// The one of the tags in `If-None-Match` that is `tag`, by the weak comparison, compressed or
/// not: what the client has.
pub(crate) fn among(tags: &str, tag: &HeaderValue) -> Option<HeaderValue> {
    if tags.trim() == "*" {
        return Some(tag.clone());
    }
    let open = tag.to_str().ok()?.strip_suffix('"')?;
    let mut tags = tags.split(',').map(str::trim);
    let had = tags.find_map(|text| {
        let strong = text.strip_prefix("W/").unwrap_or(text);
        let coding = strong.strip_prefix(open)?;
        (coding == "\"" || coding == GZIP).then_some(strong)
    });
    HeaderValue::from_str(had?).ok()
}

/// 304: the client has it.
pub(crate) fn not_modified(tag: HeaderValue) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// The tag of what was compressed on its way.
pub(crate) fn compressed(tag: &HeaderValue) -> Option<HeaderValue> {
    let open = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::from_str(&format!("{open}{GZIP}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_is_written() {
        let replica = ReplicaId::from_u64(0xAB);
        let tag = entity_tag(replica, 12);
        assert_eq!(read(tag.to_str().unwrap()), Some((replica, 12)));
        for text in ["", "*", "\"12\"", "W/\"00000000000000ab-12\"", "\"00000000000000ab-x\""] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_condition_on_a_write_takes_the_tag_of_any_form() {
        let replica = ReplicaId::from_u64(0xAB);
        let tag = tag_of_form(replica, 12, "cbor");
        for tag in [&tag, &compressed(&tag).unwrap()] {
            assert_eq!(read(tag.to_str().unwrap()), Some((replica, 12)));
        }
    }

    #[test]
    fn what_a_client_has_is_found_in_its_form_alone_compressed_or_not() {
        let tag = tag_of_form(ReplicaId::from_u64(0xAB), 12, "json");
        for had in ["\"00000000000000ab-12-json\"", "\"00000000000000ab-12-json-gzip\""] {
            assert_eq!(among(&format!("\"x\", W/{had}"), &tag).unwrap(), had);
        }
        assert_eq!(among("*", &tag).unwrap(), tag);
        for other in ["\"00000000000000ab-1-json\"", "\"00000000000000ab-12-cbor\""] {
            assert_eq!(among(other, &tag), None, "{other}");
        }
        assert_eq!(among("\"00000000000000ab-12\"", &tag), None);
    }
}
