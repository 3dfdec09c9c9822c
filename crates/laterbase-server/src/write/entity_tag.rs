//! A stream's version as an entity tag: `"REPLICA-VERSION"`.
//!
//! The version is the number of the stream's visible events on one replica, so the tag names the
//! replica that it counts on: on another one it means nothing, and matches nothing.

use axum::http::{HeaderMap, HeaderValue, header};
use laterbase::{Database, Expected, Key, ReplicaId, RootName};
use serde_json::json;

use super::if_none_match;
use crate::call::header as one;
use crate::problem::{Kind, Problem};

/// What a header demands of the one stream of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderCondition {
    /// `If-None-Match: *`.
    None,
    /// `If-Match: *`.
    Exists,
    /// `If-Match: "REPLICA-VERSION"`.
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

/// What a tag says; nothing if it is weak, or not one of ours.
fn read(text: &str) -> Option<(ReplicaId, u64)> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    let (replica, version) = inside.split_once('-')?;
    Some((replica.parse().ok()?, version.parse().ok()?))
}

/// Whether one of the tags in `If-None-Match` is `tag`, by the weak comparison.
pub(crate) fn is_among(tags: &str, tag: &HeaderValue) -> bool {
    let strong = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    tags.trim() == "*" || tags.split(',').any(|text| strong(text).as_bytes() == tag.as_bytes())
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
        assert!(is_among("\"x\", W/\"00000000000000ab-12\"", &tag));
        assert!(!is_among("\"00000000000000ab-11\"", &tag));
    }
}
