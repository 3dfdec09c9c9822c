//! Keys of tokens, and their texts: `ed25519-private/HEX` and `ed25519/HEX`.
//!
//! Only Ed25519. The text of a secret key is given out for a file, and shown nowhere else.

use std::fmt;
use std::str::FromStr;

use biscuit_auth::builder::Algorithm;
use biscuit_auth::{KeyPair, PrivateKey};

/// What signs tokens.
pub struct SecretKey(KeyPair);

/// What checks tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(biscuit_auth::PublicKey);

/// A text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no public key.
    #[error("this is no public key: it is `ed25519/` and 64 hexadecimal digits")]
    Public,
    /// It is the secret key.
    #[error("this is the secret key: give the public one, which `token keygen` put beside it")]
    SecretInstead,
    /// It is no secret key.
    #[error("this is no secret key: `token keygen` makes one")]
    Secret,
}

const PUBLIC: &str = "ed25519/";
const SECRET: &str = "ed25519-private/";

impl SecretKey {
    /// A new one, from the randomness of the system.
    #[must_use]
    pub fn generate() -> Self {
        Self(KeyPair::new_with_algorithm(Algorithm::Ed25519))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public())
    }

    /// Its text, for a file that nobody else reads.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        self.0.private().to_prefixed_string()
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl PublicKey {
    /// By which a token says that it was signed with this key.
    #[must_use]
    pub fn id(&self) -> u32 {
        let [a, b, c, d, ..] = *blake3::hash(&self.0.to_bytes()).as_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    pub(super) fn inner(&self) -> biscuit_auth::PublicKey {
        self.0
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.trim().strip_prefix(SECRET).ok_or(KeyError::Secret)?;
        let key = PrivateKey::from_bytes_hex(hex, Algorithm::Ed25519);
        key.map(|key| Self(KeyPair::from(&key))).map_err(|_| KeyError::Secret)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.starts_with(SECRET) {
            return Err(KeyError::SecretInstead);
        }
        let hex = text.strip_prefix(PUBLIC).ok_or(KeyError::Public)?;
        let key = biscuit_auth::PublicKey::from_bytes_hex(hex, Algorithm::Ed25519);
        key.map(Self).map_err(|_| KeyError::Public)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PUBLIC}{}", self.0.to_bytes_hex())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SecretKey(of {})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_texts_and_the_secret_one_does_not_show() {
        let secret = SecretKey::generate();
        let again: SecretKey = secret.to_secret_text().parse().unwrap();
        assert_eq!(again.public(), secret.public());
        let public: PublicKey = format!("{}\n", secret.public()).parse().unwrap();
        assert_eq!(public, secret.public());
        let hex = secret.to_secret_text().replace(SECRET, "");
        assert!(!format!("{secret:?}").contains(&hex));
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let secret = SecretKey::generate();
        let public = |text: &str| text.parse::<PublicKey>().unwrap_err();
        assert_eq!(public(&secret.to_secret_text()), KeyError::SecretInstead);
        for text in ["", "ed25519/", "ed25519/00", "ed25519/zz", "secp256r1/00", "\u{fffd}"] {
            assert_eq!(public(text), KeyError::Public, "{text}");
            assert_eq!(text.parse::<SecretKey>().unwrap_err(), KeyError::Secret, "{text}");
        }
    }
}
