//! Clients that are tasks of one runtime, each with a connection of its own.
//!
//! A batch that is under way when the window ends is left, but for the first of each client.

use std::future::Future;
use std::process::ExitCode;
use std::time::Instant;

use crate::Error;
use crate::event::{Event, Source};
use crate::plan::Plan;
use crate::tally::{Tally, Window};

/// A connection.
pub trait Client: Send + 'static {
    /// Records a batch, and tells the tally of each event that is on the server's device.
    fn append(
        &mut self,
        batch: Vec<Event>,
        tally: &mut Tally,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Runs a program's one task, and says what became of it.
pub fn start(program: &str, task: impl Future<Output = Result<(), Error>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the plan with clients that are connected already.
///
/// # Errors
///
/// The first error of any client.
pub async fn run<C: Client>(plan: &Plan, clients: Vec<C>) -> Result<Tally, Error> {
    let window = Window::from_now(plan);
    let mut sum = Tally::new(window);
    let batch = plan.batch;
    let start = |(number, client): (usize, C)| {
        tokio::spawn(one(client, batch, Source::new(number), window))
    };
    let tasks: Vec<_> = clients.into_iter().enumerate().map(start).collect();
    for task in tasks {
        sum.add(task.await??);
    }
    Ok(sum)
}

async fn one<C: Client>(
    mut client: C,
    batch: usize,
    mut source: Source,
    window: Window,
) -> Result<Tally, Error> {
    let mut tally = Tally::new(window);
    let mut is_first = true;
    while is_first || tally.goes_on() {
        let events = source.take(batch);
        let begun = Instant::now();
        let append = client.append(events, &mut tally);
        if is_first {
            append.await?;
        } else {
            let Ok(appended) = tokio::time::timeout_at(window.end.into(), append).await else {
                break;
            };
            appended?;
        }
        tally.answered(begun);
        is_first = false;
    }
    Ok(tally)
}
