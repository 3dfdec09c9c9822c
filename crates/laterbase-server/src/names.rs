//! The names of databases: what stands in a path.

/// The database in the directory itself.
pub const DEFAULT_DATABASE: &str = "default";

/// First parts of other paths.
const RESERVED: [&str; 10] =
    ["db", "e", "a", "v", "sync", "health", "metrics", "openapi.json", "console", "problems"];

/// Whether a text can be the name of a database: `[a-z0-9][a-z0-9_-]{0,62}`, and not the first
/// part of another path.
#[must_use]
pub fn is_database_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_first)
        && bytes.all(|byte| is_first(byte) || byte == b'_' || byte == b'-')
        && name.len() <= 63
        && !RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_lower_case_and_no_other_path() {
        for name in ["default", "a1", "0", "port-of_rotterdam", &"x".repeat(63)] {
            assert!(is_database_name(name), "{name}");
        }
        for name in ["", "db", "sync", "-a", "_a", "A", "a.b", "é", &"x".repeat(64)] {
            assert!(!is_database_name(name), "{name}");
        }
    }
}
