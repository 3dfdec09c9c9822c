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
    #[cfg(feature = "server")]
    furnish: crate::program::Furnish,
}

impl Context {
    pub(crate) fn new(everywhere: Everywhere, options: Options, out: Output) -> Self {
        let (validators, upcasters) = (options.validators.clone(), options.upcasters.clone());
        let options = if everywhere.small_device {
            Options::small_device().validators(validators).upcasters(upcasters)
        } else {
            options
        };
        Self {
            everywhere,
            out,
            options,
            #[cfg(feature = "server")]
            furnish: crate::program::Furnish::default(),
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn furnish_with(&mut self, furnish: crate::program::Furnish) {
        self.furnish = furnish;
    }

    /// The server as the embedding program wants it.
    #[cfg(feature = "server")]
    pub(crate) fn furnished(&self, server: laterbase_server::Server) -> laterbase_server::Server {
        self.furnish.apply(server)
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
