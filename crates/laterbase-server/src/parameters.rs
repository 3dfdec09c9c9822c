//! The parameters of a request: what stands behind the `?`, by name.
//!
//! A parameter that the path does not have, or that stands there twice where once is meant, is
//! refused: it would be ignored otherwise, and the answer would not be what was asked for.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::problem::Problem;

/// Parameters, by name, in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    values: BTreeMap<String, Vec<String>>,
}

impl Parameters {
    /// Reads the part behind the `?`.
    pub(crate) fn read(
        query: Option<&str>,
        known: impl Fn(&str) -> bool,
        names: impl Fn() -> String,
    ) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        let query = query.unwrap_or_default();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            // One by one: what is no UTF-8 behind its escapes would be replaced in silence.
            for (name, value) in form_urlencoded::parse(piece.as_bytes()) {
                if value.contains('\u{FFFD}') && !piece.contains("%EF%BF%BD") {
                    let detail = format_args!("the parameter `{name}` is not UTF-8");
                    return Err(Problem::bad_request(detail));
                }
                if !known(&name) {
                    let there_are = names();
                    let detail = format_args!("there is no parameter `{name}`; use {there_are}");
                    return Err(Problem::bad_request(detail));
                }
                parameters.add(&name, value.into_owned());
            }
        }
        Ok(parameters)
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, name: &str, value: String) {
        self.values.entry(name.to_owned()).or_default().push(value);
    }

    /// Gives a parameter one value, whatever it had.
    pub(crate) fn replace(&mut self, name: &str, value: String) {
        self.values.insert(name.to_owned(), vec![value]);
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The one value of a parameter.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.all(name) {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            [_, _, ..] => {
                Err(Problem::bad_request(format_args!("give the parameter `{name}` once")))
            }
        }
    }

    /// The one value of a parameter, read.
    pub(crate) fn parsed<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr<Err: Display>,
    {
        let Some(text) = self.one(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error| wrong(name, error))
    }

    /// Whether a parameter was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// What was given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// A parameter's value cannot be read.
pub(crate) fn wrong(name: &str, error: impl Display) -> Problem {
    Problem::bad_request(format_args!("the parameter `{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, Problem> {
        Parameters::read(Some(query), |name| name == "tag" || name == "limit", || "tag".to_owned())
    }

    #[test]
    fn parameters_are_known_utf8_and_given_once_where_once_is_meant() {
        let parameters = read("tag=truck%3A7&tag=a+b&&limit=5").unwrap();
        assert_eq!(parameters.all("tag"), ["truck:7", "a b"]);
        assert_eq!(parameters.parsed::<u32>("limit").unwrap(), Some(5));
        assert!(parameters.one("tag").is_err());
        for query in ["colour=1", "tag=%FF", "=1"] {
            assert!(read(query).is_err(), "{query}");
        }
        assert!(read("limit=x").unwrap().parsed::<u32>("limit").is_err());
    }
}
