//! What a command needs: the database, the output, and how times are shown.

use std::path::Path;

#[cfg(feature = "remote")]
use laterbase::OpenError;
use laterbase::{Database, Options};
#[cfg(feature = "remote")]
use laterbase_client::PeerAddress;

use super::Everywhere;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::refusals;
#[cfg(feature = "remote")]
use crate::remote::There;
use crate::time::Clockface;

/// Where a command's database is.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a directory, open in this process.
    Here(Database),
    /// At a server, or at the process of this machine that has it open.
    #[cfg(feature = "remote")]
    There(There),
}

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
        #[cfg(feature = "remote")]
        if self.url()?.is_some() {
            return Err(Failure::new(Exit::Usage, "this command works on a database's directory")
                .hint("leave --url and LATERBASE_URL out, and pass --db DIR"));
        }
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

    /// The database, for reading: beside another process that writes, too.
    pub(crate) fn open_read_only(&self) -> Result<Database, Failure> {
        let directory = self.directory()?;
        Database::open_read_only(directory, self.options())
            .map_err(|error| refusals::opening(&error, directory))
    }

    /// The database, for writing: here, or at the process that serves it.
    pub(crate) fn open_or_forward(&self) -> Result<Place, Failure> {
        #[cfg(feature = "remote")]
        if let Some(url) = self.url()? {
            return Ok(Place::There(self.at(url.clone())?));
        }
        let directory = self.directory()?;
        match Database::open(directory, self.options()) {
            Ok(database) => Ok(Place::Here(database)),
            #[cfg(feature = "remote")]
            Err(OpenError::Locked { url: Some(url), holder }) => match url.parse() {
                Ok(address) => Ok(Place::There(self.at(address)?)),
                Err(_) => {
                    Err(refusals::opening(&OpenError::Locked { url: Some(url), holder }, directory))
                }
            },
            Err(error) => Err(refusals::opening(&error, directory)),
        }
    }

    /// The database, for reading: here, beside another process that writes, too; or at the server
    /// that was named.
    pub(crate) fn open_to_read(&self) -> Result<Place, Failure> {
        #[cfg(feature = "remote")]
        if let Some(url) = self.url()? {
            return Ok(Place::There(self.at(url.clone())?));
        }
        self.open_read_only().map(Place::Here)
    }

    /// The server that was named.
    #[cfg(feature = "remote")]
    fn url(&self) -> Result<Option<&PeerAddress>, Failure> {
        if self.everywhere.url.is_some() && self.everywhere.db.is_some() {
            let message = "LATERBASE_DB and LATERBASE_URL are both set";
            return Err(Failure::new(Exit::Usage, message).hint("pass --db DIR or --url URL"));
        }
        Ok(self.everywhere.url.as_ref())
    }

    #[cfg(feature = "remote")]
    fn at(&self, address: PeerAddress) -> Result<There, Failure> {
        let token = self.everywhere.access_token.as_deref();
        let token = token.map(super::sync::token_in).transpose()?;
        Ok(There::new(address, token))
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
