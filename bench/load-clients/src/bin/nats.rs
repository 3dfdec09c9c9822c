//! NATS JetStream with its own client: a connection for each client; a batch is as many messages,
//! published without waiting, and then all their acknowledgements. The key is the subject's end.
//!
//! NATS has no tags and no batch that is all or nothing here; an event counts when its own
//! acknowledgement is there.

use std::process::ExitCode;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, StorageType};
use laterbase_load_clients::Error;
use laterbase_load_clients::event::Event;
use laterbase_load_clients::plan::Plan;
use laterbase_load_clients::tally::Tally;
use laterbase_load_clients::tasks::{self, Client};

const STREAM: &str = "shipment";
/// Longer than anything that is under way can take, with a sync for each event.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// One connection.
struct Connection(Context);

impl Client for Connection {
    async fn append(&mut self, batch: Vec<Event>, tally: &mut Tally) -> Result<(), Error> {
        let mut answers = Vec::with_capacity(batch.len());
        for event in batch {
            let subject = format!("{STREAM}.{}.{}", event.type_name, event.key);
            answers.push(self.0.publish(subject, event.payload.into()).await?);
        }
        for answer in answers {
            answer.await?;
            tally.acknowledge(1);
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    tasks::start("load-nats", run())
}

async fn run() -> Result<(), Error> {
    let plan = Plan::from_arguments()?;
    let connect = || async { async_nats::connect(&plan.address).await };
    let door = async_nats::jetstream::new(connect().await?);
    let config = Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{STREAM}.>")],
        storage: StorageType::File,
        ..Config::default()
    };
    door.create_stream(config).await?;
    let mut clients = Vec::new();
    for _ in 0..plan.clients {
        let context = ContextBuilder::new().timeout(ANSWER_TIMEOUT).ack_timeout(ANSWER_TIMEOUT);
        clients.push(Connection(context.build(connect().await?)));
    }
    let tally = tasks::run(&plan, clients).await?;
    let mut door = async_nats::jetstream::new(connect().await?);
    door.set_timeout(ANSWER_TIMEOUT);
    let held = door.get_stream(STREAM).await?.cached_info().state.messages;
    tally.print(&plan, held)
}
