//! Which form an answer takes: the header Accept, with its quality values (RFC 9110, 12.5.1).

use axum::http::{HeaderMap, header};

use crate::problem::Problem;

/// The form of an answer that lists events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Ndjson,
    Cbor,
    #[cfg_attr(not(feature = "query"), expect(dead_code, reason = "only questions have it"))]
    Csv,
    #[cfg_attr(not(feature = "query"), expect(dead_code, reason = "only schemas have it"))]
    Text,
    EventStream,
    CloudEvent,
    CloudEvents,
    /// One event, its attributes in headers. What it is called depends on what it carries.
    BinaryCloudEvent,
}

impl Form {
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Cbor => "application/cbor",
            Self::Csv => "text/csv",
            Self::Text => "text/plain",
            Self::EventStream => "text/event-stream",
            Self::CloudEvent => "application/cloudevents+json",
            Self::CloudEvents => "application/cloudevents-batch+json",
            Self::BinaryCloudEvent => "application/octet-stream",
        }
    }

    /// What it is called in entity tags.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Cbor => "cbor",
            Self::Csv => "csv",
            Self::Text => "text",
            Self::EventStream => "stream",
            Self::CloudEvent | Self::BinaryCloudEvent => "cloudevent",
            Self::CloudEvents => "cloudevents",
        }
    }
}

/// The form that the client likes best among those that there are; the first one if it likes
/// several equally.
pub(crate) fn choose(headers: &HeaderMap, forms: &[Form]) -> Result<Form, Problem> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let text = value.to_str().map_err(|_| Problem::bad_request("Accept is not ASCII text"))?;
        ranges.extend(text.split(',').filter_map(range));
    }
    let best = if ranges.is_empty() {
        forms.first().copied()
    } else {
        let mut best: Option<(Form, u16)> = None;
        for form in forms {
            let quality = quality(&ranges, form.media_type());
            if quality > best.map_or(0, |(_, quality)| quality) {
                best = Some((*form, quality));
            }
        }
        best.map(|(form, _)| form)
    };
    best.ok_or_else(|| {
        let names: Vec<&str> = forms.iter().map(|form| form.media_type()).collect();
        Problem::not_acceptable(&names.join(", "))
    })
}

/// A media range and its quality in thousandths. What makes no sense says nothing.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut quality = 1000;
    for part in parts {
        if let Some((name, value)) = part.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            let value: f32 = value.trim().parse().ok()?;
            quality = (value.clamp(0.0, 1.0) * 1000.0) as u16;
        }
    }
    Some((media_type, quality))
}

/// What the most specific range says of a media type.
fn quality(ranges: &[(String, u16)], media_type: &str) -> u16 {
    let group = media_type.split('/').next().unwrap_or_default();
    let exact = |name: &str| match name {
        name if name == media_type => 3,
        "*/*" => 1,
        name if name.strip_suffix("/*") == Some(group) => 2,
        _ => 0,
    };
    let mut found = (0, 0);
    for (name, quality) in ranges {
        let specific = exact(name);
        if specific > found.0 || (specific == found.0 && specific > 0 && *quality > found.1) {
            found = (specific, *quality);
        }
    }
    found.1
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [Form; 3] = [Form::Json, Form::Ndjson, Form::EventStream];

    fn check(accept: &str, expected: Option<Form>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(choose(&headers, &FORMS).ok(), expected, "{accept}");
    }

    #[test]
    fn the_most_specific_range_decides_and_quality_ranks() {
        check("*/*", Some(Form::Json));
        check("", Some(Form::Json));
        check("application/x-ndjson", Some(Form::Ndjson));
        check("APPLICATION/JSON; q=0.5, application/x-ndjson;q=0.9", Some(Form::Ndjson));
        check("application/*;q=0.2, text/*", Some(Form::EventStream));
        check("*/*, application/json;q=0", Some(Form::Ndjson));
        check("image/png", None);
        check("application/json;q=0", None);
    }
}
