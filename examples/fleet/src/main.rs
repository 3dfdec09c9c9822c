//! A fleet of trucks and depots, and a hub: a complete application on Laterbase.
//!
//! ```text
//!   truck's gateway ──┐
//!                     ├── sync when there is a network ──▶ hub
//!   depot's PC ───────┘
//! ```
//! All of them run this program; each holds everything, takes events with or without a network, and
//! answers the same questions. What the application is about stands in three files:
//! `shipment.rs`, `truck.rs`, `board.rs`. All else are the commands that every program on
//! Laterbase has: `fleet init`, `fleet serve`, `fleet status`, …
//!
//! ```text
//! fleet --db hub init
//! fleet --db hub serve --listen 127.0.0.1:7410
//! fleet --db truck init --join http://127.0.0.1:7410
//! fleet --db truck serve --listen 127.0.0.1:7411
//! curl -H 'content-type: application/json' localhost:7411/e/shipment \
//!     -d '{"key":"S1","type":"handed_over","data":{"to":"truck 7"}}'
//! curl localhost:7411/a/shipment/S1
//! curl localhost:7410/default/board
//! ```

mod board;
mod rules;
mod shipment;
mod truck;

use std::process::ExitCode;

use laterbase::{NameError, Options};
use laterbase_cli::Program;

use board::Board;
use shipment::Shipment;
use truck::Truck;

fn main() -> ExitCode {
    match program() {
        Ok(program) => program.run(),
        // The names below are names.
        Err(_) => ExitCode::FAILURE,
    }
}

fn program() -> Result<Program, NameError> {
    let board = Board::new()?;
    let options = Options::default().validators(rules::validators()).upcasters(rules::upcasters());
    Ok(Program::new().options(options).server(move |server| {
        server
            .aggregate::<Shipment>("shipment")
            .aggregate::<Truck>("truck")
            .view_of("board", board.clone())
    }))
}
