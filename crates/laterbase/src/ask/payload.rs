//! Payloads as values: JSON and CBOR, whole or a few fields of them.
//!
//! A question names a few fields of many events, so the others are skipped while the payload is
//! read, and a text without escapes is handed on as it stands in the payload.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use laterbase_lang::{DataType, Value, fitting, literal};
use memchr::memmem::Finder;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::flat;
use crate::declared::{json_of_cbor, json_of_float};

/// What a field of a payload is.
#[derive(Debug, Clone, Default)]
pub(super) enum Cell<'a> {
    /// Nothing, or not read.
    #[default]
    Absent,
    /// A text of the payload.
    Text(&'a str),
    /// Anything else.
    Value(Value),
}

impl Cell<'_> {
    #[cfg(test)]
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Text(text) => Value::text(text),
            Self::Value(value) => value.clone(),
        }
    }

    /// Whether [`Self::read_as`] would leave it as it is, if that shows at once.
    pub(super) fn is_of(&self, data_type: &DataType) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(_) => {
                matches!(data_type, DataType::Text | DataType::Ref(_) | DataType::Json)
            }
            Self::Value(Value::Decimal(_)) => {
                matches!(data_type, DataType::Decimal | DataType::Json)
            }
            Self::Value(_) => *data_type == DataType::Json,
        }
    }

    /// The cell read as a declared type; absent if it is none.
    pub(super) fn read_as(self, data_type: &DataType) -> Self {
        match (self, data_type) {
            (Self::Absent, _) => Self::Absent,
            (cell, DataType::Json) => cell,
            (Self::Text(text), DataType::Text | DataType::Ref(_)) => Self::Text(text),
            (Self::Text(text), _) => read_text(text, data_type).map_or(Self::Absent, Self::Value),
            (Self::Value(value), _) => read_as(&value, data_type).map_or(Self::Absent, Self::Value),
        }
    }
}

/// A value read as a declared type; `None` if it is none.
pub(crate) fn read_as(value: &Value, data_type: &DataType) -> Option<Value> {
    if let (Value::Record(_), DataType::Period) = (value, data_type) {
        return read_period(value);
    }
    let (Value::List(values) | Value::Set(values)) = value else {
        return match value.as_text() {
            Some(text) => read_text(text, data_type),
            None => fitting(value, data_type).filter(|value| !value.is_null()),
        };
    };
    if *data_type == DataType::Json {
        return Some(value.clone());
    }
    let (DataType::List(of) | DataType::Set(of)) = data_type else { return None };
    let read: Option<Vec<Value>> = values.iter().map(|value| read_as(value, of)).collect();
    let is_set = matches!(data_type, DataType::Set(_));
    read.map(|read| if is_set { Value::set(read) } else { Value::List(read.into()) })
}

/// `{"from": …, "until": …}`, as a period is answered; open ends are null or left out.
fn read_period(value: &Value) -> Option<Value> {
    let end = |name: &str| match read_as(value.field(name), &DataType::Time) {
        Some(Value::Time(micros)) => Some(Some(micros)),
        Some(_) => None,
        None => value.field(name).is_null().then_some(None),
    };
    let (from, until) = (end("from")?, end("until")?);
    let is_some_time = from.zip(until).is_none_or(|(from, until)| from < until);
    is_some_time.then_some(Value::Period(from, until))
}

/// The members of an object of JSON, with those that are said twice; `None` if it is none.
pub(crate) fn json_members(payload: &[u8]) -> Option<Vec<(Arc<str>, Value)>> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let members = reader.deserialize_map(MembersVisitor).ok()?;
    reader.end().ok()?;
    Some(members)
}

/// Reads the members of an object as they are written.
struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Arc<str>, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            members.push((Arc::from(name.as_ref()), map.next_value_seed(ValueSeed)?));
        }
        Ok(members)
    }
}

fn read_text(text: &str, data_type: &DataType) -> Option<Value> {
    use base64::Engine as _;
    if *data_type == DataType::Duration {
        return literal::duration_of(text).map(Value::Duration);
    }
    if *data_type == DataType::Decimal {
        return literal::decimal_of(text).map(Value::decimal);
    }
    if *data_type == DataType::Bytes {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        return Some(Value::Bytes(bytes.into()));
    }
    fitting(&Value::text(text), data_type)
}

/// Whether a content type says JSON, or CBOR.
pub(crate) fn form(content_type: &str) -> Form {
    // What nearly all events say.
    if content_type == "application/json" {
        return Form::Json;
    }
    let media = content_type.split(';').next().unwrap_or(content_type).trim();
    if media.eq_ignore_ascii_case("application/json") || media.ends_with("+json") {
        Form::Json
    } else if media.eq_ignore_ascii_case("application/cbor") || media.ends_with("+cbor") {
        Form::Cbor
    } else {
        Form::Bytes
    }
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Cbor,
    Bytes,
}

/// A whole payload; nothing if it is not what its content type says.
pub(super) fn whole(content_type: &str, payload: &[u8]) -> Value {
    match form(content_type) {
        Form::Json => {
            let mut reader = serde_json::Deserializer::from_slice(payload);
            ValueSeed.deserialize(&mut reader).unwrap_or_default()
        }
        Form::Cbor => ciborium::from_reader::<ciborium::Value, _>(payload)
            .map(|value| json_of_cbor(&value))
            .unwrap_or_default(),
        Form::Bytes if payload.is_empty() => Value::Null,
        Form::Bytes => Value::Bytes(payload.into()),
    }
}

/// A field of a payload by name, and which cell it is for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: Arc<str>,
    pub(super) cell: usize,
    /// It was called so before: what has today's name comes first.
    pub(super) is_former: bool,
    /// Looks for the name between quotes. Without it, payloads are read to their end.
    finder: Option<Finder<'static>>,
}

impl Wanted {
    /// A name that is wanted of few payloads.
    pub(super) fn new(name: Arc<str>, cell: usize, is_former: bool) -> Self {
        Self { name, cell, is_former, finder: None }
    }

    /// A name that is wanted of many payloads.
    pub(super) fn of_many(name: Arc<str>, cell: usize, is_former: bool) -> Self {
        let quoted = format!("\"{name}\"");
        let finder = Some(Finder::new(quoted.as_bytes()).into_owned());
        Self { name, cell, is_former, finder }
    }

    /// Whether nothing of these bytes, in which there are no escapes, can be the name of a member.
    pub(super) fn is_missing_in(&self, bytes: &[u8]) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.find(bytes).is_none())
    }
}

/// A field read as a declared type; nothing if it is none.
pub(crate) fn field(
    content_type: &str,
    payload: &[u8],
    name: &Arc<str>,
    data_type: &DataType,
) -> Value {
    let mut cells = [Cell::default()];
    let wanted = Wanted::new(Arc::clone(name), 0, false);
    fields(content_type, payload, &[wanted], &mut cells);
    let [cell] = cells;
    match cell.read_as(data_type) {
        Cell::Absent => Value::Null,
        Cell::Text(text) => Value::text(text),
        Cell::Value(value) => value,
    }
}

/// The fields of some names, each in its place of `cells`.
pub(super) fn fields<'a>(
    content_type: &str,
    payload: &'a [u8],
    names: &[Wanted],
    cells: &mut [Cell<'a>],
) {
    match form(content_type) {
        Form::Json => {
            if !flat::read(payload, names, cells) {
                cells.fill(Cell::Absent);
                json_fields(payload, names, cells);
            }
        }
        Form::Cbor => {
            let Ok(ciborium::Value::Map(members)) = ciborium::from_reader(payload) else { return };
            for (name, value) in &members {
                let wanted = name.as_text().and_then(|name| find(names, name.as_bytes()));
                if let Some(cell) = wanted.and_then(|wanted| cell_for(wanted, cells)) {
                    *cell = Cell::Value(json_of_cbor(value));
                }
            }
        }
        Form::Bytes => {}
    }
}

/// The fields of an object of JSON, whatever it is; what is no object, or ends early, has the
/// fields that were read.
pub(super) fn json_fields<'a>(payload: &'a [u8], names: &[Wanted], cells: &mut [Cell<'a>]) {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let _ = reader.deserialize_any(FieldsVisitor { names, cells });
}

pub(super) fn find<'n>(names: &'n [Wanted], name: &[u8]) -> Option<&'n Wanted> {
    names.iter().find(|other| other.name.as_bytes() == name)
}

/// The cell of a field, unless one with today's name is there already.
pub(super) fn cell_for<'c, 'a>(
    wanted: &Wanted,
    cells: &'c mut [Cell<'a>],
) -> Option<&'c mut Cell<'a>> {
    let cell = cells.get_mut(wanted.cell)?;
    (!wanted.is_former || matches!(cell, Cell::Absent)).then_some(cell)
}

/// Reads any value.
struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::decimal(value.into()), Value::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(json_of_float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(ValueSeed)? {
            values.push(value);
        }
        Ok(Value::List(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields: Vec<(Arc<str>, Value)> = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            fields.push((Arc::from(name.as_ref()), map.next_value_seed(ValueSeed)?));
        }
        Ok(Value::record(fields))
    }
}

/// Reads a value, a text where it stands.
struct CellSeed;

impl<'de> DeserializeSeed<'de> for CellSeed {
    type Value = Cell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Cell<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Cell<'de>, E> {
        Ok(Cell::Value(Value::text(value)))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Cell<'de>, E> {
        Ok(Cell::Value(Value::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Cell<'de>, E> {
        Ok(Cell::Value(Value::Int(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Cell<'de>, E> {
        ValueSeed.visit_u64(value).map(Cell::Value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Cell<'de>, E> {
        Ok(Cell::Value(json_of_float(value)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Cell<'de>, E> {
        Ok(Cell::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Cell<'de>, A::Error> {
        ValueSeed.visit_seq(seq).map(Cell::Value)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cell<'de>, A::Error> {
        ValueSeed.visit_map(map).map(Cell::Value)
    }
}

/// Reads the fields of some names, and skips the others.
struct FieldsVisitor<'c, 'a> {
    names: &'c [Wanted],
    cells: &'c mut [Cell<'a>],
}

impl<'de> Visitor<'de> for FieldsVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(wanted) = map.next_key_seed(NameSeed(self.names))? {
            match wanted.and_then(|wanted| cell_for(wanted, self.cells)) {
                Some(cell) => *cell = map.next_value_seed(CellSeed)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a name as the one of those that are wanted.
struct NameSeed<'c>(&'c [Wanted]);

impl<'de, 'c> DeserializeSeed<'de> for NameSeed<'c> {
    type Value = Option<&'c Wanted>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'c> Visitor<'_> for NameSeed<'c> {
    type Value = Option<&'c Wanted>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(find(self.0, name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &str, names: &[&str]) -> Vec<String> {
        let wanted = |(cell, name): (usize, &&str)| Wanted::new(Arc::from(*name), cell, false);
        let names: Vec<Wanted> = names.iter().enumerate().map(wanted).collect();
        let mut cells = vec![Cell::default(); names.len()];
        fields("application/json", payload.as_bytes(), &names, &mut cells);
        cells.iter().map(|cell| cell.to_value().to_string()).collect()
    }

    #[test]
    fn wanted_fields_are_read_and_others_skipped() {
        let payload =
            r#"{"a": 1, "skip": {"a": [2, {"a": 3}]}, "b": "x\ny", "c": [1.50, 2e2], "d": null}"#;
        let read = read(payload, &["d", "c", "b", "a", "missing"]);
        assert_eq!(read, ["null", "[1.5, 200]", "\"x\\ny\"", "1", "null"]);
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for payload in ["[1]", "12", "{\"a\"", "", "nonsense"] {
            assert_eq!(read(payload, &["a"]), ["null"], "{payload}");
        }
    }

    #[test]
    fn texts_are_read_as_the_type_that_is_declared() {
        let cases = [
            ("2026-03-01T12:00:00Z", DataType::Time, "2026-03-01T12:00:00Z"),
            ("2026-03-01", DataType::Date, "2026-03-01"),
            ("12.50", DataType::Decimal, "12.5"),
            ("90m", DataType::Duration, "1h30m"),
            ("AP8=", DataType::Bytes, "x\"00ff\""),
            ("soon", DataType::Time, "null"),
        ];
        for (text, data_type, expected) in cases {
            let cell = Cell::Text(text).read_as(&data_type);
            assert_eq!(cell.to_value().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_need_not_be_read_as_a_type_stays_as_it_is() {
        let int = Arc::new(DataType::Int);
        let types = [
            DataType::Json,
            DataType::Bool,
            DataType::Int,
            DataType::Decimal,
            DataType::Float,
            DataType::Text,
            DataType::Bytes,
            DataType::Time,
            DataType::Date,
            DataType::Duration,
            DataType::Id,
            DataType::Ref(Arc::from("box")),
            DataType::Period,
            DataType::List(Arc::clone(&int)),
            DataType::Set(int),
        ];
        let cells = [
            Cell::Absent,
            Cell::Text("2026-03-01"),
            Cell::Value(Value::text("12.50")),
            Cell::Value(Value::Int(1)),
            Cell::Value(Value::decimal("1.5".parse().unwrap())),
            Cell::Value(Value::Bool(true)),
            Cell::Value(Value::List([Value::Int(1)].into())),
        ];
        for (cell, data_type) in
            cells.iter().flat_map(|cell| types.iter().map(move |it| (cell, it)))
        {
            if cell.is_of(data_type) {
                let read = cell.clone().read_as(data_type);
                assert_eq!(format!("{read:?}"), format!("{cell:?}"), "{data_type}");
            }
        }
    }

    #[test]
    fn cbor_is_read_like_json() {
        let mut payload = Vec::new();
        ciborium::into_writer(&serde_json::json!({"a": 1, "b": {"c": [true, 1.5]}}), &mut payload)
            .unwrap();
        let value = whole("application/cbor", &payload);
        assert_eq!(value, whole("application/json", br#"{"a": 1, "b": {"c": [true, 1.5]}}"#));
    }
}
