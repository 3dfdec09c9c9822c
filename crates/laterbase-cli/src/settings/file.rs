//! The file of settings: TOML, one `name = value` for each, no tables.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::SettingError;
use super::form::Found;
use super::source::{Called, Source};
use super::table;

/// A file of settings is shorter by far.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A value in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its setting's place in the table.
    pub(super) index: usize,
    pub(super) found: Found,
    /// From 1.
    pub(super) line: usize,
}

/// What the file says; `source` is who named it.
pub(super) fn read(path: &Path, source: Source) -> Result<Vec<Entry>, SettingError> {
    let text = contents(path).map_err(|error| SettingError::Unreadable {
        by: Called { name: "config", source },
        path: path.to_owned(),
        source: error,
    })?;
    entries(&text, path)
}

fn contents(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
    }
    Ok(text)
}

/// What a text says, in the order of its lines.
fn entries(text: &str, path: &Path) -> Result<Vec<Entry>, SettingError> {
    let document = DeTable::parse(text).map_err(|error| SettingError::Syntax {
        path: path.to_owned(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut members: Vec<_> = document.get_ref().iter().collect();
    members.sort_by_key(|(name, _)| name.span().start);
    let entry = |(name, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let line = line_of(text, name.span().start);
        let name: &str = AsRef::<str>::as_ref(name.get_ref());
        let index = table::index_of(name).ok_or_else(|| SettingError::Unknown {
            path: path.to_owned(),
            line,
            name: name.to_owned(),
            near: table::nearest(name),
        })?;
        Ok(Entry { index, found: found(value.get_ref()), line })
    };
    members.into_iter().map(entry).collect()
}

fn found(value: &DeValue<'_>) -> Found {
    match value {
        DeValue::String(text) => Found::Text(text.to_string()),
        // What does not fit is out of every setting's bounds, and refused there.
        DeValue::Integer(number) => Found::Number(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
        ),
        DeValue::Float(number) => Found::Number(number.as_str().to_owned()),
        DeValue::Boolean(on) => Found::Switch(*on),
        DeValue::Array(all) => Found::List(all.iter().map(|one| found(one.get_ref())).collect()),
        DeValue::Datetime(_) => Found::Other("a time"),
        DeValue::Table(_) => Found::Other("a table"),
    }
}

/// The line in which a byte stands, from 1.
fn line_of(text: &str, byte: usize) -> usize {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let said = match entries(text, Path::new("etc/serve.toml")) {
            Ok(entries) => {
                let shown = |entry: &Entry| {
                    let name = table::SETTINGS[entry.index].name;
                    format!("{}: {name} {:?}", entry.line, entry.found)
                };
                entries.iter().map(shown).collect::<Vec<_>>().join("; ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn values_have_the_line_of_their_name() {
        check("", "");
        check(
            "# Of the hub.\n\nlisten = \"h:1\"\nrequests_max = 1_0\n\nlog_requests = true\n\
             cors_origin = [\n  \"https://a\",\n]\nrate_per_second = 0.5\nlive_max = 0x10\n",
            "3: listen Text(\"h:1\"); 4: requests_max Number(\"10\"); \
             6: log_requests Switch(true); 7: cors_origin List([Text(\"https://a\")]); \
             10: rate_per_second Number(\"0.5\"); 11: live_max Number(\"16\")",
        );
    }

    #[test]
    fn what_is_no_setting_is_named_with_its_line() {
        check(
            "listen = \"h:1\"\nbody_byte_max = 1\n",
            "etc/serve.toml:2: there is no setting `body_byte_max`; did you mean \
             `body_bytes_max`?",
        );
        check("\n[limits]\nlisten = 1", "etc/serve.toml:2: there is no setting `limits`");
        check("listen = 1\nlisten = 2\n", "etc/serve.toml:2: duplicate key");
    }

    #[test]
    fn what_is_no_toml_is_named_with_its_line() {
        let error = entries("listen = \"h:1\"\n\nlog = \n", Path::new("serve.toml"));
        let said = error.unwrap_err().to_string();
        assert!(said.starts_with("serve.toml:3: "), "{said}");
    }
}
