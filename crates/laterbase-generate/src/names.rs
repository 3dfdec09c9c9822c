//! Names as a language has them: its case, its reserved words, and no two alike.

use std::collections::BTreeMap;

/// Two things that would have one name in the language that is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} would both be called `{name}`: rename one of them in the schema")]
pub struct Clash {
    /// What was named first.
    pub first: String,
    /// What comes to the same name.
    pub second: String,
    /// The name.
    pub name: String,
}

/// Names that are taken within one scope.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    taken: BTreeMap<String, String>,
}

impl Scope {
    /// Takes a name for `what`.
    pub(crate) fn take(&mut self, name: &str, what: String) -> Result<(), Clash> {
        match self.taken.get(name) {
            Some(first) => Err(Clash { first: first.clone(), second: what, name: name.to_owned() }),
            None => {
                self.taken.insert(name.to_owned(), what);
                Ok(())
            }
        }
    }
}

/// The words of a name: at underscores and other signs, and where a lower case letter is followed
/// by an upper case one.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() {
            words.push(String::new());
            was_lower = false;
            continue;
        }
        if letter.is_ascii_uppercase() && was_lower {
            words.push(String::new());
        }
        was_lower = !letter.is_ascii_uppercase();
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `departed_late` for `departed_late`, `departedLate` and `departed-late`. What has no letters of
/// ASCII is called by its kind and number.
pub(crate) fn snake(name: &str, or: &str) -> String {
    let words = words(name);
    let joined = if words.is_empty() { or.to_owned() } else { words.join("_") };
    if joined.starts_with(|first: char| first.is_ascii_digit()) {
        format!("_{joined}")
    } else {
        joined
    }
}

/// `DepartedLate`.
pub(crate) fn pascal(name: &str, or: &str) -> String {
    let words = words(name);
    let words = if words.is_empty() { self::words(or) } else { words };
    let joined: String = words.iter().map(|word| capital(word)).collect();
    if joined.starts_with(|first: char| first.is_ascii_digit()) {
        format!("N{joined}")
    } else {
        joined
    }
}

/// `departedLate`.
pub(crate) fn camel(name: &str, or: &str) -> String {
    let pascal = pascal(name, or);
    let mut letters = pascal.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A name in Laterlog: between backticks if it needs them.
pub(crate) fn laterlog(name: &str) -> String {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if starts && name.bytes().all(is_letter) { name.to_owned() } else { format!("`{name}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_the_case_of_a_language() {
        for (name, snaked, pascaled, cameled) in [
            ("weight_kg", "weight_kg", "WeightKg", "weightKg"),
            ("weightKg", "weight_kg", "WeightKg", "weightKg"),
            ("old.root-1", "old_root_1", "OldRoot1", "oldRoot1"),
            ("3d", "_3d", "N3d", "n3d"),
            ("名前", "field_4", "Field4", "field4"),
            ("URL", "url", "Url", "url"),
            ("_", "field_4", "Field4", "field4"),
        ] {
            assert_eq!(snake(name, "field_4"), snaked);
            assert_eq!(pascal(name, "field_4"), pascaled);
            assert_eq!(camel(name, "field_4"), cameled);
        }
        assert_eq!(laterlog("a_1"), "a_1");
        assert_eq!(laterlog("1 a"), "`1 a`");
    }

    #[test]
    fn two_things_never_get_one_name() {
        let mut scope = Scope::default();
        scope.take("a_b", "the field `a_b`".to_owned()).unwrap();
        let clash = scope.take("a_b", "the field `aB`".to_owned()).unwrap_err();
        assert_eq!(
            clash.to_string(),
            "the field `a_b` and the field `aB` would both be called `a_b`: rename one of them in \
             the schema"
        );
    }
}
