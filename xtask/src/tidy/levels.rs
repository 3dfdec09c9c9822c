//! Which crate may depend on what: the one table, and the rules that follow from it.
//!
//! A crate depends on crates of lower levels only, and on the outside crates named beside it.
//! Dev-dependencies are free: they ship with nothing. Levels 0 to 2 take clock, randomness and
//! storage as arguments, so the words that would fetch them otherwise are findings there.

use super::rust_text::{code, without_tests};
use super::source::is_test_file;
use super::{Finding, TextFile};

/// One package of the repository.
struct Package {
    name: &'static str,
    folder: &'static str,
    /// Packages that nothing may depend on have no level.
    level: Option<u8>,
    /// Crates from outside that it may depend on.
    outside: &'static [&'static str],
}

/// The table. A new dependency is added here, and its reason goes into the commit.
const PACKAGES: &[Package] = &[
    Package {
        name: "laterbase-event",
        folder: "crates/laterbase-event",
        level: Some(0),
        outside: &["blake3", "thiserror"],
    },
    Package {
        name: "laterbase-lang",
        folder: "crates/laterbase-lang",
        level: Some(1),
        outside: &["jiff", "rust_decimal", "strsim", "thiserror"],
    },
    Package {
        name: "laterbase-query",
        folder: "crates/laterbase-query",
        level: Some(2),
        outside: &["hashbrown", "jiff", "regex", "rust_decimal", "rustc-hash", "thiserror"],
    },
    Package {
        name: "laterbase-generate",
        folder: "crates/laterbase-generate",
        level: Some(2),
        outside: &["thiserror"],
    },
    Package {
        name: "laterbase-sync",
        folder: "crates/laterbase-sync",
        level: Some(1),
        outside: &["thiserror"],
    },
    Package {
        name: "laterbase-log",
        folder: "crates/laterbase-log",
        level: Some(1),
        outside: &["blake3", "crc32c", "rustix", "ruzstd", "thiserror", "zstd"],
    },
    Package {
        name: "laterbase-index",
        folder: "crates/laterbase-index",
        level: Some(2),
        outside: &["crc32c", "siphasher", "thiserror"],
    },
    Package {
        name: "laterbase",
        folder: "crates/laterbase",
        level: Some(3),
        outside: &[
            "base64",
            "blake3",
            "ciborium",
            "crc32c",
            "getrandom",
            "memchr",
            "rustix",
            "serde",
            "serde_json",
            "siphasher",
            "thiserror",
            "zstd",
        ],
    },
    Package {
        name: "laterbase-client",
        folder: "crates/laterbase-client",
        level: Some(4),
        outside: &[
            "getrandom",
            "rustls",
            "rustls-native-certs",
            "serde",
            "serde_json",
            "thiserror",
            "tungstenite",
            "ureq",
        ],
    },
    Package {
        name: "laterbase-json",
        folder: "crates/laterbase-json",
        level: Some(4),
        outside: &["base64", "jiff", "serde", "serde_json", "thiserror"],
    },
    Package {
        name: "laterbase-server",
        folder: "crates/laterbase-server",
        level: Some(5),
        outside: &[
            "axum",
            "base64",
            "biscuit-auth",
            "blake3",
            "ciborium",
            "form_urlencoded",
            "futures-util",
            "getrandom",
            "hyper",
            "hyper-util",
            "percent-encoding",
            "rustix",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tower-http",
            "tracing",
        ],
    },
    Package {
        name: "laterbase-cli",
        folder: "crates/laterbase-cli",
        level: Some(6),
        outside: &[
            "base64",
            "blake3",
            "ciborium",
            "clap",
            "clap_complete",
            "clap_mangen",
            "csv",
            "getrandom",
            "indicatif",
            "jiff",
            "minus",
            "rustix",
            "reedline",
            "serde",
            "serde_json",
            "signal-hook",
            "strsim",
            "terminal_size",
            "thiserror",
            "tokio",
            "toml",
            "tracing",
            "tracing-subscriber",
        ],
    },
    Package {
        name: "laterbase-iroh",
        folder: "crates/laterbase-iroh",
        level: Some(4),
        outside: &["iroh", "thiserror", "tokio"],
    },
    Package {
        name: "laterbase-sim",
        folder: "crates/laterbase-sim",
        level: None,
        outside: &["ciborium", "serde"],
    },
    Package { name: "xtask", folder: "xtask", level: None, outside: &[] },
    Package {
        name: "laterbase-example-fleet",
        folder: "examples/fleet",
        level: None,
        outside: &["serde", "serde_json"],
    },
    Package {
        name: "laterbase-example-typed",
        folder: "examples/typed",
        level: None,
        outside: &["serde"],
    },
    Package {
        name: "laterbase-bench",
        folder: "bench",
        level: None,
        outside: &[
            "ascent",
            "datafrog",
            "fjall",
            "hdrhistogram",
            "heed",
            "redb",
            "rusqlite",
            "rustix",
            "serde",
            "serde_json",
            "tephra",
            "thiserror",
            "tokio",
            "zstd",
        ],
    },
    Package {
        name: "laterbase-load-clients",
        folder: "bench/load-clients",
        level: None,
        outside: &["async-nats", "tephra-client", "tokio", "umadb-client", "umadb-dcb"],
    },
    Package {
        name: "laterbase-powercut",
        folder: "powercut",
        level: None,
        outside: &["fuser", "libc", "rustix", "serde_json", "tempfile", "thiserror"],
    },
    Package {
        name: "laterbase-fuzz",
        folder: "fuzz",
        level: None,
        outside: &["arbitrary", "libfuzzer-sys", "serde", "serde_json"],
    },
];

/// The highest level whose crates are given clock, randomness and storage as arguments.
const PURE_LEVEL_MAX: u8 = 2;

/// What a pure crate does not fetch for itself.
const AMBIENT: &[&str] =
    &["SystemTime::now", "Instant::now", "thread::spawn", "getrandom", "std::net", "std::env"];

/// Reads the environment to choose a fault that a test must catch; empty without its feature.
const MUTANTS: &str = "crates/laterbase-log/src/mutant.rs";

/// The folder that implements the storage port and so may open files.
const STORAGE_PORT: &str = "crates/laterbase-log/src/storage/";

/// All rules that follow from the table.
pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| is_manifest(&file.path)) {
        findings.extend(manifest(file));
    }
    for file in files.iter().filter(|file| file.is_rust()) {
        findings.extend(ambient(file));
    }
    findings
}

/// A manifest of a package; the root's own lists shared versions and is no package.
fn is_manifest(path: &str) -> bool {
    path.ends_with("/Cargo.toml")
}

fn manifest(file: &TextFile) -> Vec<Finding> {
    let folder = file.path.trim_end_matches("/Cargo.toml");
    let Some(package) = PACKAGES.iter().find(|package| package.folder == folder) else {
        let message = "this package is not in the table of xtask/src/tidy/levels.rs";
        return vec![Finding::new(&file.path, 0, message)];
    };
    let mut findings = Vec::new();
    if !file.text.lines().any(|line| line.trim() == format!("name = \"{}\"", package.name)) {
        findings.push(Finding::new(&file.path, 0, format!("is named `{}`", package.name)));
    }
    for (line, dependency) in dependencies(&file.text) {
        if let Some(message) = judge(package, &dependency) {
            findings.push(Finding::new(&file.path, line, message));
        }
    }
    findings
}

/// Why `package` may not depend on `dependency`, if it may not.
fn judge(package: &Package, dependency: &str) -> Option<String> {
    let inside = PACKAGES.iter().find(|other| other.name == dependency);
    match (inside, package.level) {
        (None, _) if package.outside.contains(&dependency) => None,
        (None, _) => Some(format!(
            "`{}` may not depend on `{dependency}`: not in the table of xtask/src/tidy/levels.rs",
            package.name
        )),
        (Some(other), _) if other.level.is_none() => {
            Some(format!("nothing may depend on `{dependency}`"))
        }
        (Some(_), None) => None,
        (Some(other), Some(level)) if other.level < Some(level) => None,
        (Some(_), Some(level)) => Some(format!(
            "`{}` has level {level} and may depend on lower levels only, not on `{dependency}`",
            package.name
        )),
    }
}

/// The names under `[dependencies]`, `[build-dependencies]` and their forms per target, with lines.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let (section, name) = match header.rsplit_once("dependencies.") {
                Some((before, name)) => (format!("{before}dependencies"), Some(name)),
                None => (header.to_owned(), None),
            };
            let counts =
                section.ends_with("dependencies") && !section.ends_with("dev-dependencies");
            inside = counts && name.is_none();
            if let Some(name) = name.filter(|_| counts) {
                found.push((index + 1, name.to_owned()));
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            // Lines that continue a multi-line table begin with none of these.
            let name: String =
                line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            let rest = line.get(name.len()..).unwrap_or_default().trim_start();
            if !name.is_empty() && (rest.starts_with('=') || rest.starts_with('.')) {
                found.push((index + 1, name));
            }
        }
    }
    found
}

fn ambient(file: &TextFile) -> Vec<Finding> {
    let pure = PACKAGES.iter().any(|package| {
        package.level.is_some_and(|level| level <= PURE_LEVEL_MAX)
            && file.path.starts_with(&format!("{}/src/", package.folder))
    });
    if !pure || is_test_file(&file.path) || file.path == MUTANTS {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in without_tests(&file.text) {
        let code = code(line);
        for word in AMBIENT.iter().filter(|word| code.contains(*word)) {
            let message = format!(
                "`{word}`: this crate takes clock, randomness and storage as \
                                   arguments"
            );
            findings.push(Finding::new(&file.path, number, message));
        }
        if code.contains("std::fs") && !file.path.starts_with(STORAGE_PORT) {
            findings.push(Finding::new(&file.path, number, "files are opened by the storage port"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        check(&[file]).iter().map(ToString::to_string).collect()
    }

    const LOG: &str = "crates/laterbase-log/Cargo.toml";

    #[test]
    fn lower_levels_and_named_crates_are_allowed() {
        let text = "[package]\nname = \"laterbase-log\"\n[dependencies]\nlaterbase-event.workspace \
                    = true\nthiserror = { workspace = true, features = [\n  \"std\",\n] }\n\
                    [dev-dependencies]\nlaterbase-index = \"1\"\nproptest = \"1\"\n";
        assert_eq!(found(LOG, text), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_upwards_is_found() {
        let text = "name = \"laterbase-log\"\n[dependencies]\nlaterbase-index.workspace = true\n";
        assert!(found(LOG, text)[0].starts_with(&format!("{LOG}:3: `laterbase-log` has level 1")));
    }

    #[test]
    fn a_dependency_sideways_or_on_a_tool_is_found() {
        let text = "name = \"laterbase-log\"\n[dependencies.laterbase-log]\n\
                    [target.'cfg(unix)'.dependencies]\nlaterbase-bench.workspace = true\n";
        assert_eq!(found(LOG, text).len(), 2);
    }

    #[test]
    fn an_outside_crate_that_is_not_in_the_table_is_found() {
        let text = "name = \"laterbase-log\"\n[dependencies]\ntokio = \"1\"\n";
        assert!(found(LOG, text)[0].contains("may not depend on `tokio`"));
    }

    #[test]
    fn a_package_that_is_not_in_the_table_is_found() {
        assert!(found("crates/new/Cargo.toml", "")[0].contains("not in the table"));
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found_but_not_in_its_tests() {
        let path = "crates/laterbase-index/src/run.rs";
        let text = "//! Runs.\nlet now = Instant::now();\n";
        assert_eq!(found(path, text).len(), 1);
        assert_eq!(found("crates/laterbase/src/host.rs", text).len(), 0);
        let text = "//! Runs.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(found(path, text).len(), 0);
    }

    #[test]
    fn files_are_opened_by_the_storage_port_alone() {
        let text = "use std::fs::File;\n";
        assert_eq!(found("crates/laterbase-log/src/reader.rs", text).len(), 1);
        assert_eq!(found("crates/laterbase-log/src/storage/file.rs", text).len(), 0);
    }
}
