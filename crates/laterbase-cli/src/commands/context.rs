//! What a command needs: the database, the output, and how times are shown.

use std::path::Path;

use laterbase::{Database, Options};

use super::Everywhere;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::refusals;
use crate::time::Clockface;

/// What every command is run with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) everywhere: Everywhere,
    pub(crate) out: Output,
    options: Options,
}

impl Context {
    pub(crate) fn new(everywhere: Everywhere, options: Options, out: Output) -> Self {
        let validators = options.validators.clone();
        let options = if everywhere.small_device {
            Options::small_device().validators(validators)
        } else {
            options
        };
        Self { everywhere, out, options }
    }

    /// The directory that was named.
    pub(crate) fn directory(&self) -> Result<&Path, Failure> {
        self.everywhere.db.as_deref().ok_or_else(|| {
            Failure::new(Exit::Usage, "no database is named")
                .hint("pass --db DIR, or set LATERBASE_DB to it")
        })
    }

    /// That the directory holds a database, without opening it.
    #[cfg(feature = "sync")]
    pub(crate) fn check_directory(&self) -> Result<(), Failure> {
        let directory = self.directory()?;
        if directory.join("identity").is_file() {
            return Ok(());
        }
        let shown = directory.display();
        Err(Failure::new(Exit::NotADatabase, format_args!("there is no database in {shown}"))
            .hint("check the name, or make one with `laterbase init`"))
    }

    pub(crate) fn options(&self) -> Options {
        self.options.clone()
    }

    /// The database, for writing.
    pub(crate) fn open(&self) -> Result<Database, Failure> {
        let directory = self.directory()?;
        Database::open(directory, self.options())
            .map_err(|error| refusals::opening(&error, directory))
    }

    /// The database, for reading: beside another process that writes, too.
    pub(crate) fn open_read_only(&self) -> Result<Database, Failure> {
        let directory = self.directory()?;
        Database::open_read_only(directory, self.options())
            .map_err(|error| refusals::opening(&error, directory))
    }

    pub(crate) fn json(&self) -> bool {
        self.everywhere.json
    }

    /// How times are shown.
    pub(crate) fn clock(&self) -> Clockface {
        if self.everywhere.local { Clockface::local() } else { Clockface::utc() }
    }

    /// Puts a pager in front unless that was turned off.
    pub(crate) fn page(&mut self) {
        if !self.everywhere.no_pager {
            self.out.page();
        }
    }
}
