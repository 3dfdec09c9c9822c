//! The authoriser of a server: public keys, a list of revoked tokens, the clock.
//!
//! The list is looked at with every request and read again when its file has changed. While it
//! cannot be read nothing is allowed: a token that was revoked must not come back with a typo.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::authorize::{Refused, authorize, sync_grant};
use super::key::PublicKey;
use super::revoked::{Revoked, RevokedError};
use crate::access::{Asked, Authorizer, Denied};
use crate::sync_grant::SyncGrant;

/// Checks the tokens of requests.
#[derive(Debug)]
pub struct Guard {
    keys: Vec<PublicKey>,
    revoked: Option<RevokedFile>,
}

/// A server cannot check tokens.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// No token could be checked.
    #[error("name at least one public key: without one no token is good")]
    NoKey,
    /// The list of revoked tokens cannot be read.
    #[error("the list of revoked tokens: {0}")]
    Revoked(#[from] RevokedError),
}

impl Guard {
    /// Takes tokens that were signed with one of `keys`, and of which no block is on the list in
    /// the file `revoked`.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn new(keys: Vec<PublicKey>, revoked: Option<PathBuf>) -> Result<Self, GuardError> {
        if keys.is_empty() {
            return Err(GuardError::NoKey);
        }
        let revoked = revoked.map(RevokedFile::open).transpose()?;
        Ok(Self { keys, revoked })
    }
}

impl Guard {
    /// Checks a token, if there is one.
    fn check<T>(
        &self,
        token: Option<&str>,
        check: impl Fn(&str, &Revoked) -> Result<T, Refused>,
    ) -> Result<T, Denied> {
        let revoked = match &self.revoked {
            Some(file) => file.list().map_err(|error| {
                let reason = format!("nothing is allowed: the list of revoked tokens: {error}");
                Denied::Failed { reason }
            })?,
            None => Arc::default(),
        };
        let checked = match token {
            Some(token) => check(token, &revoked),
            None => Err(Refused::Missing),
        };
        checked.map_err(|refused| {
            let reason = refused.to_string();
            if refused.is_of_rights() {
                Denied::Forbidden { reason }
            } else {
                Denied::Unknown { reason }
            }
        })
    }
}

impl Authorizer for Guard {
    fn authorize(&self, token: Option<&str>, asked: &Asked<'_>) -> Result<(), Denied> {
        self.check(token, |token, revoked| {
            authorize(token, &self.keys, revoked, SystemTime::now(), asked).map(drop)
        })
    }

    fn sync_grant(&self, token: Option<&str>, database: &str) -> Result<SyncGrant, Denied> {
        self.check(token, |token, revoked| {
            sync_grant(token, &self.keys, revoked, SystemTime::now(), database)
        })
    }
}

/// By what a change of a file is noticed.
type Stamp = (Option<SystemTime>, u64);

/// The list in a file, read again when that changes.
#[derive(Debug)]
struct RevokedFile {
    path: PathBuf,
    last: Mutex<(Stamp, Arc<Revoked>)>,
}

impl RevokedFile {
    fn open(path: PathBuf) -> Result<Self, RevokedError> {
        // The stamp first: what is written in between is read again.
        let stamp = stamp(&path)?;
        let list = Arc::new(Revoked::read(&path)?);
        Ok(Self { path, last: Mutex::new((stamp, list)) })
    }

    fn list(&self) -> Result<Arc<Revoked>, RevokedError> {
        let stamp = stamp(&self.path)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != stamp {
            *last = (stamp, Arc::new(Revoked::read(&self.path)?));
        }
        Ok(Arc::clone(&last.1))
    }
}

fn stamp(path: &PathBuf) -> Result<Stamp, RevokedError> {
    let failed = |source| RevokedError::File { path: path.clone(), source };
    let found = fs::metadata(path).map_err(failed)?;
    Ok((found.modified().ok(), found.len()))
}
