//! The peers from npm: installed beside the databases, run with node, one JSON line for each form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::error::BenchError;

/// What is installed and run; the lock file names exact versions of everything.
const FILES: [(&str, &str); 7] = [
    ("package.json", include_str!("../../../sync-peers/package.json")),
    ("package-lock.json", include_str!("../../../sync-peers/package-lock.json")),
    ("measure.mjs", include_str!("../../../sync-peers/measure.mjs")),
    ("automerge.mjs", include_str!("../../../sync-peers/automerge.mjs")),
    ("loro.mjs", include_str!("../../../sync-peers/loro.mjs")),
    ("yjs.mjs", include_str!("../../../sync-peers/yjs.mjs")),
    ("pouchdb.mjs", include_str!("../../../sync-peers/pouchdb.mjs")),
];

/// The lock file that the installed packages were installed from.
const INSTALLED: &str = "installed-lock.json";

/// One of the peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Automerge,
    Loro,
    Yjs,
    PouchDb,
}

impl Other {
    pub(super) const ALL: [Self; 4] = [Self::Automerge, Self::Loro, Self::Yjs, Self::PouchDb];

    fn script(self) -> &'static str {
        match self {
            Self::Automerge => "automerge.mjs",
            Self::Loro => "loro.mjs",
            Self::Yjs => "yjs.mjs",
            Self::PouchDb => "pouchdb.mjs",
        }
    }
}

/// What a script prints.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    pub(super) name: String,
    /// How it holds events: as opaque strings, or as objects or documents of its own.
    pub(super) form: String,
    pub(super) version: String,
    pub(super) events: usize,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) round_trips: u64,
    /// The median of the runs.
    pub(super) milliseconds: f64,
}

/// The peers, ready to run.
#[derive(Debug)]
pub(super) struct Installed {
    folder: PathBuf,
    /// What runs them.
    pub(super) node: String,
}

impl Installed {
    /// Installs them in `folder` unless they are there; or why they cannot be run here.
    pub(super) fn new(folder: PathBuf) -> Result<Self, String> {
        let node = version("node")?;
        version("npm")?;
        write(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let lock = fs::read(folder.join("package-lock.json")).unwrap_or_default();
        if fs::read(folder.join(INSTALLED)).is_ok_and(|installed| installed == lock) {
            return Ok(Self { folder, node });
        }
        eprintln!("installing the peers of the area `sync` with npm …");
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
        let output = npm.output().map_err(|error| format!("npm: {error}"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("npm cannot install them: {}", text.trim()));
        }
        let kept = fs::write(folder.join(INSTALLED), lock);
        kept.map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { folder, node })
    }

    /// Runs one of them over the payloads in `events`, `runs` times in a row.
    ///
    /// # Errors
    ///
    /// When it fails or prints something else.
    pub(super) fn run(
        &self,
        other: Other,
        events: &Path,
        runs: usize,
    ) -> Result<Vec<Said>, BenchError> {
        let script = other.script();
        let failed = |text: &str| BenchError::Child(format!("{script}: {text}"));
        let output = Command::new("node")
            .args(["--expose-gc", script])
            .arg(events)
            .arg(runs.to_string())
            .current_dir(&self.folder)
            .output()
            .map_err(|error| failed(&error.to_string()))?;
        if !output.status.success() {
            return Err(failed(&String::from_utf8_lossy(&output.stderr)));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(|error| failed(&error.to_string())))
            .collect()
    }
}

fn version(program: &str) -> Result<String, String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|_| format!("there is no {program} here"))?;
    Ok(format!("{program} {}", String::from_utf8_lossy(&output.stdout).trim()))
}

fn write(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
