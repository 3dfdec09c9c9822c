//! What a path in a storage is: components joined by `/`, relative to the root.
//!
//! The empty path is the root. A component is never empty, `.` or `..`, and holds no NUL, `/` or
//! `\`; so a path can never leave its root, on any operating system.

use super::error::{StorageError, StorageOp};
use std::io;

/// Refuses what is no path in a storage.
pub(super) fn check(op: StorageOp, path: &str) -> Result<(), StorageError> {
    let legal = path.is_empty() || path.split('/').all(is_component);
    if legal {
        return Ok(());
    }
    let reason = "not a path inside the storage's root";
    Err(StorageError::new(op, path, io::Error::new(io::ErrorKind::InvalidInput, reason)))
}

/// The directory that holds `path`, and its last component; nothing for the root.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() {
        return None;
    }
    Some(path.rsplit_once('/').unwrap_or(("", path)))
}

fn is_component(component: &str) -> bool {
    !matches!(component, "" | "." | "..") && !component.contains(['\0', '\\', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for path in ["", "a", "log/00000001.log", "a/b/c", ".hidden"] {
            assert!(check(StorageOp::Open, path).is_ok(), "{path:?}");
        }
        for path in ["/", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "c:", "a\0"] {
            assert!(check(StorageOp::Open, path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn path_splits_at_its_last_component() {
        assert_eq!(split(""), None);
        assert_eq!(split("a"), Some(("", "a")));
        assert_eq!(split("a/b/c"), Some(("a/b", "c")));
    }
}
