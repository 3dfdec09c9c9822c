//! The token that a copy shows to a peer: `peer-tokens/NAME` in the directory of the database.
//!
//! Beside the list of peers and not in it: people read that list to others. The file can be read by
//! its owner alone. A token is sent as it is, and is looked at by the peer alone.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The folder in the directory of a database.
pub const TOKENS_FOLDER: &str = "peer-tokens";

/// Bytes of a token: more than any server takes.
const BYTES_MAX: usize = 16 << 10;

/// What is sent in `Authorization: Bearer`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// The file of a peer's token.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

/// A text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no token: give the one line that `laterbase token create` wrote")]
pub struct TokenTextError;

impl Token {
    /// A token, if the text can be one: it may stand in a header.
    ///
    /// # Errors
    /// [`TokenTextError`].
    pub fn new(text: &str) -> Result<Self, TokenTextError> {
        let text = text.trim();
        let is_whole = (1..=BYTES_MAX).contains(&text.len());
        let is_token = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        if is_whole && is_token { Ok(Self(text.to_owned())) } else { Err(TokenTextError) }
    }

    /// The header's value.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(…)")
    }
}

impl TokenFile {
    /// That of a peer of the copy in `directory`.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(TOKENS_FOLDER).join(name) }
    }

    /// The token; nothing if there is none, or none that can be read.
    #[must_use]
    pub fn read(&self) -> Option<Token> {
        let mut text = String::new();
        let file = fs::File::open(&self.path).ok()?;
        file.take(BYTES_MAX as u64 * 2).read_to_string(&mut text).ok()?;
        Token::new(&text).ok()
    }

    /// Replaces it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write(&self, token: &Token) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.path.with_extension("new");
        self.remove_at(&new)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&new)?;
        file.write_all(format!("{}\n", token.0).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }

    /// Removes it, if there is one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self) -> io::Result<()> {
        self.remove_at(&self.path)
    }

    fn remove_at(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_for_its_owner_alone_and_does_not_show() {
        let directory = tempfile::tempdir().unwrap();
        let file = TokenFile::new(directory.path(), "hub");
        assert_eq!(file.read(), None);
        let token = Token::new("abc-_=\n").unwrap();
        file.write(&token).unwrap();
        file.write(&token).unwrap();
        assert_eq!(file.read(), Some(token.clone()));
        assert!(!format!("{token:?}").contains("abc"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let path = directory.path().join(TOKENS_FOLDER).join("hub");
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(file.read(), None);
        for text in ["", "a b", "a\r\nx: y", "é", &"a".repeat(BYTES_MAX + 1)] {
            assert_eq!(Token::new(text), Err(TokenTextError));
        }
    }
}
