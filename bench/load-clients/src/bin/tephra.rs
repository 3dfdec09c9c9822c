//! Tephra over its own protocol on TCP, with its blocking client: one request at a time on each
//! connection, a batch is one append. The key is one more tag.

use std::process::ExitCode;

use laterbase_load_clients::Error;
use laterbase_load_clients::event::Event;
use laterbase_load_clients::plan::Plan;
use laterbase_load_clients::threads::{self, Client};

/// One connection.
struct Connection(tephra_client::Client);

impl Client for Connection {
    fn append(&mut self, batch: Vec<Event>) -> Result<(), Error> {
        let mut events = Vec::with_capacity(batch.len());
        for event in batch {
            let tags = [format!("shipment:{}", event.key), event.tag];
            events.push(tephra_client::Event::new(event.type_name, tags, event.payload)?);
        }
        self.0.append(events, None)?;
        Ok(())
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load-tephra: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let plan = Plan::from_arguments()?;
    let connect = || Ok(tephra_client::Client::connect(plan.address.as_str())?);
    let tally = threads::run(&plan, || connect().map(Connection))?;
    let held = connect()?.stats()?.event_count;
    tally.print(&plan, held)
}
