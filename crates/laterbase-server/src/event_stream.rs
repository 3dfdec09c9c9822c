//! Server-sent events: a stream that tells what there is, then what comes, and never ends by
//! itself.
//!
//! A stream is a place and a task that sleeps: it makes a chunk when its client took the one before
//! and there is news, and keeps nothing in between. So thousands of them wait for a few kilobytes
//! each, and a slow client is just further behind. What is told is up to [`Chunks`].

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use laterbase::Position;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::accept::Form;
use crate::access::Standing;
use crate::databases::Hosted;
use crate::describe::text;
use crate::problem::Problem;
use crate::routes::Shared;

/// What a stream tells.
pub(crate) trait Chunks: Send + 'static {
    /// The next chunk, which may be empty; `true` if there may be more at once. `flushed` is what
    /// is on the device.
    fn next(
        &mut self,
        flushed: Position,
    ) -> impl Future<Output = Result<(Bytes, bool), Problem>> + Send;

    /// A comment, for when there was nothing to tell in a while; with it the place, so that a
    /// client that comes back need not go through all that did not concern it again.
    fn sign_of_life(&self) -> Bytes;
}

/// A place among the streams.
pub(crate) fn place(shared: &Shared) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| Problem::busy())
}

struct Stream<C> {
    shared: Arc<Shared>,
    chunks: C,
    news: watch::Receiver<Position>,
    ending: watch::Receiver<bool>,
    /// When to say that it is still there.
    say_so: Instant,
    greeted: bool,
    standing: Standing,
    _place: OwnedSemaphorePermit,
}

/// Answers with a stream, for as long as `standing` holds.
pub(crate) fn answer<C: Chunks>(
    shared: &Arc<Shared>,
    hosted: &Hosted,
    place: OwnedSemaphorePermit,
    standing: Standing,
    chunks: C,
) -> Response {
    let stream = Stream {
        news: hosted.news.subscribe(),
        ending: shared.ending.subscribe(),
        say_so: Instant::now() + shared.config.keep_alive,
        shared: Arc::clone(shared),
        chunks,
        greeted: false,
        standing,
        _place: place,
    };
    let chunks = stream::unfold(stream, |stream| stream.next());
    let mut response = text(Body::from_stream(chunks.fuse()), Form::EventStream.media_type());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<C: Chunks> Stream<C> {
    /// The next piece of the stream; none when it ends.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if !self.greeted {
            // The client learns at once that the stream is open.
            self.greeted = true;
            return Some((Ok(Bytes::from_static(b": open\nretry: 1000\n\n")), self));
        }
        loop {
            if *self.ending.borrow() || !self.standing.holds() {
                return None;
            }
            let flushed = *self.news.borrow_and_update();
            let (bytes, more) = match self.chunks.next(flushed).await {
                Ok(told) => told,
                // A client whose stream ends comes back with its last id, and is told then.
                Err(problem) => {
                    self.standing.tell(&problem);
                    return None;
                }
            };
            if !bytes.is_empty() {
                self.say_so = Instant::now() + self.shared.config.keep_alive;
                return Some((Ok(bytes), self));
            }
            if more {
                continue;
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                ended = self.ending.changed() => ended.ok()?,
                () = sleep_until(self.say_so) => {
                    self.say_so = Instant::now() + self.shared.config.keep_alive;
                    return Some((Ok(self.chunks.sign_of_life()), self));
                }
            }
        }
    }
}
