//! CloudEvents in: structured mode, a member of a batch, and binary mode.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use laterbase::{CONTENT_TYPE_JSON, Cause, NewEvent, Timestamp};
use laterbase_json::{is_json, time};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{META, is_name};

/// Bytes that an idempotency key may have.
const KEY_BYTES_MAX: usize = 128;

/// The attributes of a CloudEvent, in whatever mode it came, and its data.
struct CloudEvent {
    attributes: BTreeMap<String, String>,
    /// What it is, and its bytes.
    data: Option<Vec<u8>>,
}

/// Whether headers are those of binary mode: they name attributes.
pub(crate) fn is_binary(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("ce-"))
}

/// Reads a CloudEvent in the JSON format.
pub(crate) fn read(json: &str, root: Option<&str>) -> Result<NewEvent, String> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(json)
        .map_err(|error| format!("it is not a CloudEvent in the JSON format: {error}"))?;
    let (data, base64) = (members.remove("data"), members.remove("data_base64"));
    let mut attributes = BTreeMap::new();
    for (name, value) in members {
        if let Some(text) = text_of(&name, value)? {
            attributes.insert(name, text);
        }
    }
    let base64 = base64.filter(|value| value.get() != "null");
    // In JSON `null` is a value; of any other type there are no data then.
    let null_is_data = base64.is_none() && is_json_type(attributes.get("datacontenttype"));
    let data = data.filter(|value| null_is_data || value.get() != "null");
    let data = match (data, base64) {
        (Some(_), Some(_)) => return Err("give `data` or `data_base64`, not both".to_owned()),
        (None, None) => None,
        (Some(data), None) => Some(bytes_of(data, attributes.get("datacontenttype"))),
        (None, Some(text)) => {
            let text: String = serde_json::from_str(text.get())
                .map_err(|_| "`data_base64` is not a string".to_owned())?;
            let bytes = STANDARD.decode(text);
            Some(bytes.map_err(|error| format!("`data_base64` is not base64: {error}"))?)
        }
    };
    CloudEvent { attributes, data }.into_event(root)
}

/// Whether every percent sign begins the encoding of a byte.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        matches!(behind.as_bytes(), [high, low, ..]
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// A header's value without the quotes and backslashes of a quoted string: to be taken off before
/// percent signs are looked at (HTTP binding 1.0.2, 3.1.3.2). Anything else stays as it is.
fn unquoted(text: &str) -> Cow<'_, str> {
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(inside) = inside else { return text.into() };
    let (mut out, mut is_escaped) = (String::with_capacity(inside.len()), false);
    for char in inside.chars() {
        match char {
            '\\' if !is_escaped => is_escaped = true,
            // This quote is the string's end, and more stands behind it.
            '"' if !is_escaped => return text.into(),
            char => {
                out.push(char);
                is_escaped = false;
            }
        }
    }
    if is_escaped { text.into() } else { out.into() }
}

/// The attributes that headers name.
fn attributes_of(headers: &HeaderMap) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let text = value.to_str().map_err(|_| format!("the header ce-{name} is not ASCII"))?;
        let text = unquoted(text);
        if !is_percent_encoded(&text) {
            return Err(format!("the header ce-{name} has a % without two hex digits behind it"));
        }
        let text = percent_decode_str(&text).decode_utf8();
        let text = text.map_err(|_| format!("the header ce-{name} is not UTF-8"))?;
        if attributes.insert(name.to_owned(), text.into_owned()).is_some() {
            return Err(format!("send the header ce-{name} once"));
        }
    }
    Ok(attributes)
}

/// Refuses headers that cannot be attributes, where the body has the attributes: a sender that
/// meant something by them is told.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<(), String> {
    for (name, text) in attributes_of(headers)? {
        check_version(&name, &text)?;
        if text.is_empty() && matches!(name.as_str(), "id" | "source" | "type" | "subject") {
            return Err(format!("the header ce-{name} is empty: leave it out"));
        }
        if name == "time" {
            time::parse(&text).map_err(|error| format!("the header ce-time: {error}"))?;
        }
    }
    Ok(())
}

fn check_version(name: &str, text: &str) -> Result<(), String> {
    if name == "specversion" && text != "1.0" {
        return Err(format!("specversion {text} is not known here: send 1.0"));
    }
    Ok(())
}

/// Reads a CloudEvent in binary mode: attributes in headers, the body its data.
pub(crate) fn read_binary(
    headers: &HeaderMap,
    root: Option<&str>,
    body: &[u8],
) -> Result<NewEvent, String> {
    let mut attributes = attributes_of(headers)?;
    if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
        let text = content_type.to_str().map_err(|_| "Content-Type is not ASCII".to_owned())?;
        attributes.insert("datacontenttype".to_owned(), text.to_owned());
    }
    let data = (!body.is_empty()).then(|| body.to_vec());
    if is_json_type(attributes.get("datacontenttype"))
        && let Some(data) = &data
    {
        serde_json::from_slice::<&RawValue>(data)
            .map_err(|error| format!("the body is not JSON, as Content-Type says: {error}"))?;
    }
    CloudEvent { attributes, data }.into_event(root)
}

impl CloudEvent {
    fn into_event(mut self, root: Option<&str>) -> Result<NewEvent, String> {
        let version = self.attributes.remove("specversion");
        let version = version.ok_or_else(|| "`specversion` is missing: send 1.0".to_owned())?;
        check_version("specversion", &version)?;
        let type_name = self.required("type")?;
        let (id, source) = (self.required("id")?, self.required("source")?);
        let own = self.attributes.remove("root");
        let root = match (root, own) {
            (Some(path), Some(own)) if own != path => {
                return Err(format!("its `root` is `{own}`, but the path says `{path}`"));
            }
            (Some(path), Some(_) | None) => path.to_owned(),
            (None, Some(own)) => own,
            (None, None) => return Err("the extension `root` is missing".to_owned()),
        };
        let valid_at = match self.attributes.remove("time") {
            None => None,
            Some(text) => {
                let micros = time::parse(&text).map_err(|error| format!("`time`: {error}"))?;
                Some(Timestamp::from_micros(micros))
            }
        };
        let key = self.attributes.remove("subject");
        let content_type = self.attributes.remove("datacontenttype");
        // Without data: JSON has a value for that, of any other type it is nothing at all.
        let nothing: &[u8] = if is_json_type(content_type.as_ref()) { b"null" } else { b"" };
        let idempotency_key = Some(idempotency_key(&source, &id));
        let mut meta =
            BTreeMap::from([(format!("{META}id"), id), (format!("{META}source"), source)]);
        for (name, value) in self.attributes {
            if !is_name(&name) {
                return Err(format!("`{name}` is no attribute: names are a-z and 0-9"));
            }
            meta.insert(format!("{META}{name}"), value);
        }
        Ok(NewEvent {
            root,
            key,
            type_name,
            version: 1,
            valid_at,
            tags: Vec::new(),
            cause: Cause::None,
            idempotency_key,
            meta,
            content_type: content_type.unwrap_or_else(|| CONTENT_TYPE_JSON.to_owned()),
            payload: self.data.unwrap_or_else(|| nothing.to_vec()),
        })
    }

    fn required(&mut self, name: &str) -> Result<String, String> {
        let value = self.attributes.remove(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("the attribute `{name}` is missing"))
    }
}

/// The key that an event's source and id make: themselves, or their hash where they are long.
fn idempotency_key(source: &str, id: &str) -> Vec<u8> {
    // A source is a URI reference and has no space.
    let key = format!("ce:{source} {id}");
    if key.len() <= KEY_BYTES_MAX {
        return key.into_bytes();
    }
    let hash = blake3::hash(key.as_bytes());
    format!("ce-hash:{}", URL_SAFE_NO_PAD.encode(hash.as_bytes())).into_bytes()
}

/// An attribute's text; nothing for `null`.
fn text_of(name: &str, value: &RawValue) -> Result<Option<String>, String> {
    let value: Value = serde_json::from_str(value.get())
        .map_err(|error| format!("the attribute `{name}`: {error}"))?;
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(value) if value.is_i64() => Ok(Some(value.to_string())),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("the attribute `{name}` is no string, boolean or whole number"))
        }
    }
}

/// The bytes of `data`: JSON as it stands there; of any other type, the string's text.
fn bytes_of(data: &RawValue, content_type: Option<&String>) -> Vec<u8> {
    if !is_json_type(content_type)
        && let Ok(text) = serde_json::from_str::<String>(data.get())
    {
        return text.into_bytes();
    }
    data.get().as_bytes().to_vec()
}

/// Whether data of this type are JSON; they are if nothing is said.
fn is_json_type(content_type: Option<&String>) -> bool {
    content_type.is_none_or(|text| is_json(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structured_event_is_taken_apart() {
        let event = read(
            r#"{"specversion":"1.0","id":"A","source":"/yard","type":"seen","subject":"7",
               "time":"2026-03-01T12:00:00Z","comexample":5,"data":{"a":1.50}}"#,
            Some("truck"),
        )
        .unwrap();
        assert_eq!((event.root.as_str(), event.key.as_deref()), ("truck", Some("7")));
        assert_eq!(event.payload, b"{\"a\":1.50}");
        assert_eq!(event.idempotency_key.as_deref(), Some(&b"ce:/yard A"[..]));
        assert_eq!(event.meta["ce-comexample"], "5");
        assert_eq!(event.valid_at, Some(Timestamp::from_micros(1_772_366_400_000_000)));
    }

    #[test]
    fn what_is_no_cloud_event_is_refused_with_what_to_send() {
        for (json, words) in [
            ("[]", "JSON format"),
            (r#"{"id":"A","source":"/","type":"t"}"#, "`specversion` is missing"),
            (r#"{"specversion":"0.3","id":"A","source":"/","type":"t"}"#, "specversion 0.3"),
            (r#"{"specversion":"1.0","id":"","source":"/","type":"t"}"#, "`id` is missing"),
            (r#"{"specversion":"1.0","id":"A","source":"/","type":"t","x":[]}"#, "`x`"),
            (r#"{"specversion":"1.0","id":"A","source":"/","type":"t","B":"1"}"#, "`B`"),
        ] {
            let error = read(json, Some("truck")).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn quoted_values_of_headers_are_unescaped_and_then_decoded_once() {
        for (header, expected) in [
            (r#""two words""#, "two words"),
            (r#""say \"hi\" to \\me""#, r#"say "hi" to \me"#),
            (r#""caf%C3%A9""#, "caf%C3%A9"),
            ("bare", "bare"),
            (r#"""#, r#"""#),
            (r#""""#, ""),
            (r#""open"#, r#""open"#),
            (r#""a" and "b""#, r#""a" and "b""#),
            (r#""open\""#, r#""open\""#),
        ] {
            assert_eq!(unquoted(header), expected, "{header}");
        }
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", "A"),
            ("ce-source", "/s"),
            ("ce-type", "t"),
            ("ce-subject", r#""caf%C3%A9 \"7\"""#),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let event = read_binary(&headers, Some("truck"), b"").unwrap();
        assert_eq!(event.key.as_deref(), Some("café \"7\""));
    }

    #[test]
    fn data_that_are_not_there_are_null_in_json_and_nothing_in_any_other_type() {
        for (members, expected) in [
            ("", &b"null"[..]),
            (r#","datacontenttype":"application/json","data":null"#, b"null"),
            (r#","datacontenttype":"text/json","data":{"a":1}"#, br#"{"a":1}"#),
            (r#","datacontenttype":"image/json","data":"a""#, br#""a""#),
            (r#","datacontenttype":"text/plain""#, b""),
            (r#","datacontenttype":"text/plain","data":null"#, b""),
            (r#","datacontenttype":"text/plain","data":"null""#, b"null"),
            (r#","data":null,"data_base64":"MQ==""#, b"1"),
        ] {
            let front = r#"{"specversion":"1.0","id":"A","source":"/","type":"t""#;
            let event = read(&format!("{front}{members}}}"), Some("truck")).unwrap();
            assert_eq!(event.payload, expected, "{members}");
        }
    }

    #[test]
    fn long_sources_are_hashed_into_the_key() {
        let key = idempotency_key(&"s".repeat(200), "A");
        assert!(key.len() <= KEY_BYTES_MAX && key.starts_with(b"ce-hash:"));
    }
}
