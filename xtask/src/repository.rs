//! Where the repository is and which files belong to it.
//!
//! A file belongs to it when git tracks it or would track it (new files count, ignored ones do
//! not), so that a rule cannot be passed by not having added a file yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The root folder of the work tree.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The repository that this tool was built from.
    ///
    /// # Errors
    ///
    /// When the folder that cargo named is gone.
    pub(crate) fn find() -> Result<Self, Failure> {
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().map(Path::to_path_buf).unwrap_or(manifest);
        let root = fs::canonicalize(&root)
            .map_err(|source| Failure::File { path: root.clone(), source })?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The absolute path of a file of the repository.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The text of a file, with the path in the error.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not UTF-8.
    pub(crate) fn read(&self, relative: &str) -> Result<String, Failure> {
        let path = self.path(relative);
        fs::read_to_string(&path).map_err(|source| Failure::File { path, source })
    }

    /// All files, as paths relative to the root with `/` between the parts, sorted.
    ///
    /// # Errors
    ///
    /// When git cannot be run.
    pub(crate) fn files(&self) -> Result<Vec<String>, Failure> {
        let output = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output()
            .map_err(|source| Failure::Start { program: "git".to_owned(), source })?;
        let listed = String::from_utf8_lossy(&output.stdout);
        let mut files: Vec<String> =
            listed.lines().filter(|file| self.path(file).is_file()).map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The folder that cargo builds into.
    pub(crate) fn target(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("target"),
        }
    }
}
