//! `laterbase completions`: completion scripts for shells.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{CommandLine, Context};
use crate::failure::Failure;

/// Print a shell's completion script
///
/// For example: laterbase completions bash > ~/.local/share/bash-completion/completions/laterbase
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut CommandLine::command(), "laterbase", &mut script);
        context.out.bytes(&script)
    }
}
