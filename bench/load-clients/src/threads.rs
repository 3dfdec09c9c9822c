//! Clients that are threads, each with a blocking connection.

use std::thread;
use std::time::Instant;

use crate::Error;
use crate::event::{Event, Source};
use crate::plan::Plan;
use crate::tally::{Tally, Window};

/// A connection that waits for its answers.
pub trait Client: Send {
    /// Records a batch, all or nothing; on the server's device when it returns.
    ///
    /// # Errors
    ///
    /// Whatever the server says, or the connection.
    fn append(&mut self, batch: Vec<Event>) -> Result<(), Error>;
}

/// Runs the plan; `connect` makes one client.
///
/// # Errors
///
/// The first error of any client.
pub fn run<C: Client>(plan: &Plan, connect: impl Fn() -> Result<C, Error>) -> Result<Tally, Error> {
    let clients = (0..plan.clients).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
    let window = Window::from_now(plan);
    let mut sum = Tally::new(window);
    thread::scope(|scope| {
        let start = |(number, mut client): (usize, C)| {
            scope.spawn(move || one(&mut client, plan.batch, Source::new(number), window))
        };
        let threads: Vec<_> = clients.into_iter().enumerate().map(start).collect();
        for thread in threads {
            sum.add(thread.join().map_err(|_| "a client panicked")??);
        }
        Ok(sum)
    })
}

fn one(
    client: &mut impl Client,
    batch: usize,
    mut source: Source,
    window: Window,
) -> Result<Tally, Error> {
    let mut tally = Tally::new(window);
    while tally.goes_on() {
        let events = source.take(batch);
        let begun = Instant::now();
        client.append(events)?;
        tally.acknowledge(batch);
        tally.answered(begun);
    }
    Ok(tally)
}
