//! The program: a set of commands around a database with the embedder's own options.
//!
//! The `laterbase` binary is `Program::new().run()`. A program that has validators gives them
//! here and gets the same commands, which then check what it checks; one that has aggregates and
//! views gets a `serve` that shows them.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use laterbase::Options;
#[cfg(feature = "server")]
use laterbase_server::Server;

use crate::commands::{CommandLine, Context};
use crate::failure::{Exit, Failure};
use crate::output::{self, Output};

/// The commands, and how they open a database.
///
/// ```no_run
/// use laterbase::{Options, Validators};
/// use laterbase_cli::Program;
///
/// let validators = Validators::default().with(|event| {
///     if event.root == "shipment" && event.key.is_none() {
///         return Err("a shipment has a number".to_owned());
///     }
///     Ok(())
/// });
/// Program::new().options(Options::default().validators(validators)).run();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Program {
    options: Options,
    #[cfg(feature = "server")]
    furnish: Furnish,
}

impl Program {
    /// The commands with the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How databases are opened: validators, limits, memory.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// What `serve` shows beside events: aggregates and views.
    ///
    /// ```no_run
    /// use laterbase::{Aggregate, ApplyError, FoldEvent};
    /// use laterbase_cli::Program;
    ///
    /// #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    /// struct Shipment { events: u64 }
    ///
    /// impl Aggregate for Shipment {
    ///     fn apply(&mut self, _: &FoldEvent<'_>) -> Result<(), ApplyError> {
    ///         self.events += 1;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// Program::new().server(|server| server.aggregate::<Shipment>("shipment")).run();
    /// ```
    #[cfg(feature = "server")]
    #[must_use]
    pub fn server(mut self, furnish: impl Fn(Server) -> Server + Send + Sync + 'static) -> Self {
        self.furnish = Furnish(Some(std::sync::Arc::new(furnish)));
        self
    }

    /// Runs the command that the process was started with, and writes what it has to say.
    #[must_use]
    pub fn run(self) -> ExitCode {
        self.run_with(std::env::args_os(), Output::stdout())
    }

    /// Runs the command in `arguments`, the first of which is the program's name.
    #[must_use]
    pub fn run_with(
        self,
        arguments: impl IntoIterator<Item = OsString>,
        output: Output,
    ) -> ExitCode {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let matches = match CommandLine::command().try_get_matches_from(&arguments) {
            Ok(matches) => matches,
            Err(error) => return usage(&error, &arguments),
        };
        #[cfg_attr(not(feature = "remote"), expect(unused_mut, reason = "as with servers"))]
        let mut line = match CommandLine::from_arg_matches(&matches) {
            Ok(line) => line,
            Err(error) => return usage(&error, &arguments),
        };
        #[cfg(feature = "remote")]
        if let Err(error) = choose_place(&mut line.everywhere, &matches) {
            return usage(&error, &arguments);
        }
        let json = line.everywhere.json;
        let mut context = Context::new(line.everywhere, self.options, output);
        #[cfg(feature = "server")]
        context.furnish_with(self.furnish);
        let done = line.command.run(&mut context).and_then(|()| context.out.finish());
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                // What was written before the failure stands before its message.
                let _ = context.out.finish();
                complain(&failure, json);
                ExitCode::from(failure.exit().code())
            }
        }
    }
}

/// Decides between a directory and a server: what the command line says goes before the
/// environment.
#[cfg(feature = "remote")]
fn choose_place(
    everywhere: &mut crate::commands::Everywhere,
    matches: &clap::ArgMatches,
) -> Result<(), clap::Error> {
    use clap::error::ErrorKind;
    use clap::parser::ValueSource;
    if everywhere.url.is_none() || everywhere.db.is_none() {
        return Ok(());
    }
    let is_said = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    match (is_said("db"), is_said("server_url")) {
        (true, false) => everywhere.url = None,
        (false, true) => everywhere.db = None,
        (true, true) => {
            let message = "give --db or --url, not both";
            return Err(CommandLine::command().error(ErrorKind::ArgumentConflict, message));
        }
        // Whoever works on a database is asked which one.
        (false, false) => {}
    }
    Ok(())
}

/// What an embedding program does with the server before it listens.
#[cfg(feature = "server")]
#[derive(Clone, Default)]
pub(crate) struct Furnish(Option<std::sync::Arc<Furnishing>>);

#[cfg(feature = "server")]
type Furnishing = dyn Fn(Server) -> Server + Send + Sync;

#[cfg(feature = "server")]
impl Furnish {
    pub(crate) fn apply(&self, server: Server) -> Server {
        match &self.0 {
            None => server,
            Some(furnish) => furnish(server),
        }
    }
}

#[cfg(feature = "server")]
impl std::fmt::Debug for Furnish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Furnish({})", self.0.is_some())
    }
}

fn complain(failure: &Failure, json: bool) {
    use std::io::IsTerminal as _;
    let colour = std::io::stderr().is_terminal() && output::colour_is_wanted();
    output::complain(&if json { failure.to_json() } else { failure.to_text(colour) });
}

/// Help and version go to standard output, mistakes to standard error; both in clap's words.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has gone is no mistake here either.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--json") {
        let text = error.to_string();
        let message = text.trim_start_matches("error: ").lines().next().unwrap_or_default();
        complain(&Failure::new(Exit::Usage, message).hint("laterbase help"), true);
    } else {
        let _ = error.print();
    }
    ExitCode::from(Exit::Usage.code())
}
