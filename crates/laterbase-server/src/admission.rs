//! What keeps a server within its bounds: places for work, and room for bytes that wait.
//!
//! ```text
//!   body ─▶ room ─▶ place ─▶ work, on a thread that may block ─▶ answer ─▶ room ─▶ client
//! ```
//! A place belongs to the work, not to the request: work whose client has left goes on, and keeps
//! its place until it is done, so that there is never more of it than there are places. Room
//! belongs to the bytes: those of a body keep it until the work is done with them, those of an
//! answer until the client took them.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tracing::{Instrument as _, Span};

use crate::config::ServerConfig;
use crate::problem::Problem;

/// Bytes that one permit of the room stands for.
const UNIT_BYTES: usize = 1024;
/// Steps of streams, and questions of operators, at the same time.
const STEPS_MAX: usize = 16;

/// The places and the room of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    work: Arc<Semaphore>,
    work_max: usize,
    steps: Arc<Semaphore>,
    room: Arc<Semaphore>,
    room_max: usize,
}

/// Room for some bytes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    of: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

/// How far work has come without blocking.
pub(crate) enum Begun<W> {
    /// All that is left is to wait.
    Waits(W),
    /// The rest may block.
    Blocks(Box<dyn FnOnce() -> Result<W, Problem> + Send>),
}

impl Admission {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        // The largest body always fits, if it is alone.
        let bytes = config.waiting_bytes_max.max(config.body_bytes_max);
        let units = bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            work: Arc::new(Semaphore::new(config.requests_max)),
            work_max: config.requests_max,
            steps: Arc::new(Semaphore::new(STEPS_MAX)),
            room: Arc::new(Semaphore::new(units)),
            room_max: units,
        }
    }

    /// Requests at work.
    pub(crate) fn at_work(&self) -> usize {
        self.work_max.saturating_sub(self.work.available_permits())
    }

    /// Bytes of bodies that arrive and of answers on their way, rounded up for each.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.room_max.saturating_sub(self.room.available_permits()) * UNIT_BYTES
    }

    /// Room for nothing yet.
    pub(crate) fn room(&self) -> Room {
        Room { of: Arc::clone(&self.room), held: None }
    }

    /// Runs what blocks on a thread for that, if there is a place for it.
    ///
    /// # Errors
    /// What `work` says, that the server is busy, or that `work` panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        run_at(self.place()?, work).await
    }

    /// The same at a place of another kind, or a share of one: for what takes as long as its client
    /// likes, and must take no place from requests.
    ///
    /// # Errors
    /// What `work` says, or that `work` panicked.
    pub(crate) async fn run_beside<T: Send + 'static>(
        place: impl Send + 'static,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        run_at(place, work).await
    }

    /// The same for work that ends with a wait which needs no thread. What it begins with blocks
    /// nothing and runs where the request is; only the rest, if there is one, needs a thread that
    /// may block. The place is kept to the end of the wait, also if the client leaves.
    ///
    /// # Errors
    /// What the work or the wait says, that the server is busy, or that one of them panicked.
    pub(crate) async fn run_to_end<T, W>(
        &self,
        begin: impl FnOnce() -> Result<Begun<W>, Problem> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let (place, span) = (self.place()?, Span::current());
        let within = span.clone();
        let done = async move {
            let wait = match begin()? {
                Begun::Waits(wait) => wait,
                Begun::Blocks(rest) => {
                    let rest = move || within.in_scope(rest);
                    ended(tokio::task::spawn_blocking(rest).await)?
                }
            };
            let waited = wait.await;
            drop(place);
            waited
        };
        ended(tokio::spawn(done.instrument(span)).await)
    }

    /// The same for what is short and asked for again and again: it waits its turn, and takes no
    /// place from requests.
    pub(crate) async fn step<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        // Never closed.
        let place = Arc::clone(&self.steps).acquire_owned().await;
        run_at(place.map_err(|_| Problem::busy())?, work).await
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.work).try_acquire_owned().map_err(|_| Problem::busy())
    }

    /// An answer that keeps room for as long as it is on its way.
    ///
    /// # Errors
    /// That the server is busy.
    pub(crate) fn on_its_way(&self, answer: Response) -> Result<Response, Problem> {
        let Some(bytes) = answer.body().size_hint().exact().filter(|bytes| *bytes > 0) else {
            return Ok(answer);
        };
        let mut room = self.room();
        room.hold(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        Ok(answer.map(|body| Body::new(Roomy { body, _room: room })))
    }
}

impl Room {
    /// Makes it large enough for so many bytes.
    ///
    /// # Errors
    /// That the server is busy.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacks = bytes.div_ceil(UNIT_BYTES).saturating_sub(held);
        if lacks == 0 {
            return Ok(());
        }
        let lacks = u32::try_from(lacks).map_err(|_| Problem::busy())?;
        let more = Arc::clone(&self.of).try_acquire_many_owned(lacks);
        let more = more.map_err(|_| Problem::busy())?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

async fn run_at<T: Send + 'static>(
    place: impl Send + 'static,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let span = Span::current();
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        span.in_scope(work)
    });
    ended(done.await)
}

/// How work ended, panics told.
fn ended<T>(done: Result<Result<T, Problem>, JoinError>) -> Result<T, Problem> {
    done.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => Err(Problem::failed(format_args!("panicked: {}", message(panic.as_ref())))),
        Err(_) => Err(Problem::busy()),
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

/// A body that has its room.
struct Roomy {
    body: Body,
    _room: Room,
}

impl HttpBody for Roomy {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(requests_max: usize) -> Admission {
        let config = ServerConfig {
            requests_max,
            waiting_bytes_max: 8 * UNIT_BYTES,
            body_bytes_max: UNIT_BYTES,
            ..ServerConfig::default()
        };
        Admission::new(&config)
    }

    #[test]
    fn room_grows_to_what_is_needed_and_is_given_back() {
        let admission = admission(1);
        let (mut one, mut other) = (admission.room(), admission.room());
        for bytes in [0, 1, UNIT_BYTES, 5 * UNIT_BYTES, 100] {
            one.hold(bytes).unwrap();
        }
        assert!(other.hold(3 * UNIT_BYTES + 1).is_err());
        other.hold(3 * UNIT_BYTES).unwrap();
        drop(one);
        other.hold(8 * UNIT_BYTES).unwrap();
        assert!(other.hold(usize::MAX).is_err());
    }

    #[tokio::test]
    async fn work_whose_client_left_keeps_its_place_until_it_is_done() {
        let admission = admission(1);
        let (started, is_started) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let work = move || {
            started.send(()).map_err(Problem::failed)?;
            ended.recv().map_err(Problem::failed)
        };
        {
            let mut left = Box::pin(admission.run(work));
            std::future::poll_fn(|cx| {
                assert!(left.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        is_started.recv().unwrap();
        assert_eq!(admission.at_work(), 1);
        assert!(admission.run(|| Ok(())).await.is_err(), "there is one place");
        admission.step(|| Ok(())).await.unwrap();
        end.send(()).unwrap();
        // The thread lets go of its place behind its last word.
        let _place = admission.work.acquire().await.unwrap();
    }

    #[tokio::test]
    async fn work_that_ends_with_a_wait_keeps_its_place_to_the_end_of_it() {
        let admission = admission(1);
        let (end, ended) = tokio::sync::oneshot::channel();
        let mut left = Box::pin(
            admission
                .run_to_end(|| Ok(Begun::Waits(async { ended.await.map_err(Problem::failed) }))),
        );
        std::future::poll_fn(|cx| {
            assert!(left.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(left);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.at_work(), 1, "the client has left, the work has not");
        end.send(()).unwrap();
        let _place = admission.work.acquire().await.unwrap();
    }

    #[tokio::test]
    async fn what_panics_is_told_to_the_operator() {
        let panics = admission(1).run(|| -> Result<(), Problem> { panic!("no {}", "way") }).await;
        assert_eq!(panics.unwrap_err().reason(), Some("panicked: no way"));
    }
}
