//! `laterbase man`: manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};

use super::{CommandLine, Context};
use crate::failure::{Exit, Failure};

/// Print a manual page, or write all of them into a directory
///
/// For example: laterbase man import | man -l -
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command whose page to print; without it, the page of laterbase itself
    command: Option<String>,
    /// Write all pages into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    into: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut top = CommandLine::command();
        top.build();
        if let Some(directory) = &self.into {
            std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(top, directory))
                .map_err(|error| {
                    Failure::new(
                        Exit::Storage,
                        format_args!("cannot write into {}: {error}", directory.display()),
                    )
                })?;
            return context.out.line(format_args!("pages are in {}", directory.display()));
        }
        let command = match &self.command {
            None => top,
            Some(name) => top.find_subcommand(name).cloned().ok_or_else(|| {
                Failure::new(Exit::NotFound, format_args!("there is no command `{name}`"))
                    .hint("`laterbase help` lists them")
            })?,
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::new(Exit::Internal, error))?;
        context.out.bytes(&page)
    }
}
