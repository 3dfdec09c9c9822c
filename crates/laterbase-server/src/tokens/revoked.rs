//! Revoked tokens: a file of ids, one to a line.
//!
//! ```text
//! laterbase-revoked 1            the format
//! # the tablet of truck 7        a comment, or an empty line
//! 3f09…                          the id of a token's block, in hexadecimal digits
//! ```
//! Who revokes a block revokes every token that holds it: all that were narrowed from there. A list
//! with a line that is no id is refused whole, since what was meant by it would go on working.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const HEADER: &str = "laterbase-revoked 1";
/// More than anybody writes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of an id: those of a signature.
const ID_BYTES: usize = 64;

/// Ids that no token may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked(BTreeSet<Vec<u8>>);

/// A list of revoked tokens cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RevokedError {
    /// The file cannot be read.
    #[error("{}: {source}: make it with `laterbase token revoke`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else, or a newer format.
    #[error("a list of revoked tokens begins with `{HEADER}`: mend it, or upgrade")]
    Header,
    /// A line is no id.
    #[error("line {line} is no id of a token: `token inspect` shows them, 128 digits long")]
    Line {
        /// Which, from 1.
        line: usize,
    },
}

impl Revoked {
    /// Reads a list.
    ///
    /// # Errors
    /// [`RevokedError`] for what is none.
    pub fn parse(text: &str) -> Result<Self, RevokedError> {
        let mut lines = text.lines().enumerate();
        if lines.next().map(|(_, line)| line.trim()) != Some(HEADER) {
            return Err(RevokedError::Header);
        }
        let mut ids = BTreeSet::new();
        for (index, line) in lines {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            ids.insert(id(line).ok_or(RevokedError::Line { line: index + 1 })?);
        }
        Ok(Self(ids))
    }

    /// Reads the list in a file.
    ///
    /// # Errors
    /// [`RevokedError`].
    pub fn read(path: &Path) -> Result<Self, RevokedError> {
        let failed = |source| RevokedError::File { path: path.to_owned(), source };
        if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(RevokedError::Header);
        }
        Self::parse(&fs::read_to_string(path).map_err(failed)?)
    }

    /// The text of a list with one more id, which says why if that is known; `None` if `id` is
    /// none. Nothing of `text` changes; an empty one becomes a list.
    #[must_use]
    pub fn with_one_more(text: &str, id_text: &str, why: Option<&str>) -> Option<String> {
        id(id_text)?;
        let mut more = if text.is_empty() { format!("{HEADER}\n") } else { text.to_owned() };
        if !more.ends_with('\n') {
            more.push('\n');
        }
        if let Some(why) = why {
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            more.push_str(&format!("# {}\n", why.chars().map(plain).collect::<String>()));
        }
        more.push_str(&format!("{id_text}\n"));
        Some(more)
    }

    /// Whether an id is on it.
    #[must_use]
    pub fn contains(&self, id: &[u8]) -> bool {
        self.0.contains(id)
    }

    /// How many ids are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An id from its digits.
fn id(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * ID_BYTES || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_line_by_line_and_what_is_none_is_refused_whole() {
        let (a, b) = ("ab".repeat(64), "0F".repeat(64));
        let list = Revoked::parse(&format!("{HEADER}\n\n# of truck 7\n{a}\n  {b}\n")).unwrap();
        assert_eq!(list.len(), 2);
        assert!(list.contains(&[0xab; 64]) && list.contains(&[0x0f; 64]));
        assert!(Revoked::parse(HEADER).unwrap().is_empty());
        for text in ["", "laterbase-revoked 2\n", "abab"] {
            assert!(matches!(Revoked::parse(text), Err(RevokedError::Header)), "{text}");
        }
        for line in ["ab", "+f", &"zz".repeat(64), &"+f".repeat(64), &format!("{a} {b}")] {
            let text = format!("{HEADER}\n{a}\n{line}\n");
            assert!(matches!(Revoked::parse(&text), Err(RevokedError::Line { line: 3 })), "{line}");
        }
    }

    #[test]
    fn one_more_id_leaves_the_rest_as_it_was() {
        let (a, b) = ("ab".repeat(64), "cd".repeat(64));
        let first = Revoked::with_one_more("", &a, None).unwrap();
        let second = Revoked::with_one_more(&first, &b, Some("lost\nin the harbour")).unwrap();
        assert_eq!(second, format!("{HEADER}\n{a}\n# lost in the harbour\n{b}\n"));
        assert_eq!(Revoked::parse(&second).unwrap().len(), 2);
        assert_eq!(Revoked::with_one_more(&first, "abc", None), None);
    }
}
