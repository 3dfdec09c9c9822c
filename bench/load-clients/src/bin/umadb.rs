//! UmaDB over gRPC, with its own client: a connection for each client, a batch is one append. The
//! key is one more tag.

use std::process::ExitCode;

use laterbase_load_clients::Error;
use laterbase_load_clients::event::Event;
use laterbase_load_clients::plan::Plan;
use laterbase_load_clients::tally::Tally;
use laterbase_load_clients::tasks::{self, Client};
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbEvent, DcbEventStoreAsync};

/// One connection.
struct Connection(AsyncUmaDbClient);

impl Client for Connection {
    async fn append(&mut self, batch: Vec<Event>, tally: &mut Tally) -> Result<(), Error> {
        let count = batch.len();
        let events = batch.into_iter().map(|event| {
            DcbEvent::new()
                .event_type(event.type_name)
                .tags([format!("shipment:{}", event.key), event.tag])
                .data(event.payload.into_bytes())
        });
        self.0.append(events.collect(), None, None).await?;
        tally.acknowledge(count);
        Ok(())
    }
}

fn main() -> ExitCode {
    tasks::start("load-umadb", run())
}

async fn run() -> Result<(), Error> {
    let plan = Plan::from_arguments()?;
    let door = UmaDbClient::new(format!("http://{}", plan.address));
    let mut clients = Vec::new();
    for _ in 0..plan.clients {
        clients.push(Connection(door.connect_async().await?));
    }
    let tally = tasks::run(&plan, clients).await?;
    let held = door.connect_async().await?.head().await?.unwrap_or_default();
    tally.print(&plan, held)
}
