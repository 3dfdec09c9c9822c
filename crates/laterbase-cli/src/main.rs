//! The `laterbase` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    laterbase_cli::Program::new().run()
}
