//! One session on one bidirectional stream, whichever side dialled.
//!
//! ```text
//!   stream ──▶ inbox ──▶ step ──▶ outbox ──▶ stream
//!              whole     (may     (gone before more is polled)
//!              frames     block)
//! ```
//! Invariants:
//! - Reading never waits for writing, so that two sides that both have much to send do not wait for
//!   each other.
//! - The inbox holds at most one incomplete frame and one chunk; a frame that says that it is
//!   longer than the limit is refused before it is read. The outbox holds at most one flight.
//! - A session that waits is woken when something was flushed and when it wants to ask again: other
//!   sessions may have brought what changes its mind, and neither side need say anything for that.
//! - Bytes that make no frame end the session with a Bye, like any that make no sense.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use iroh::endpoint::{ReadError, RecvStream, SendStream, WriteError};
use laterbase::sync::Status;
use laterbase::{FlushedWatch, Position};

use crate::report::{Report, SyncError};
use crate::work::{Input, Stepped, Work};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// How often a session that waits is looked at whatever happens: a batch that is kept in quarantine
/// moves no position, and nobody is woken for it.
const TICK: Duration = Duration::from_secs(2);

/// How long a session may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) idle: Duration,
    pub(crate) session_max: Duration,
}

/// The two halves of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

impl Stream {
    /// Runs a session to its end, and says how it went whatever the end was.
    pub(crate) async fn run(
        &mut self,
        work: Work,
        news: FlushedWatch,
        patience: Patience,
    ) -> (Report, Result<(), SyncError>) {
        let mut kept = Some(Box::new(work));
        let max = patience.session_max;
        let exchange = self.exchange(&mut kept, news, patience.idle);
        let done = tokio::time::timeout(max, exchange).await;
        let done = done.unwrap_or(Err(SyncError::TooSlow { max }));
        let Some(work) = kept else { return (Report::default(), done) };
        let status = work.status();
        let ended = tokio::task::spawn_blocking(move || work.end()).await;
        let Ok((report, flushed)) = ended else {
            return (Report::default(), Err(SyncError::Worker));
        };
        let done = match status {
            Status::Closed(_) | Status::Settled | Status::Running if flushed.is_err() => {
                Err(SyncError::Storage)
            }
            // The last word counts, however the connection ended.
            Status::Closed(reason) => report.verdict(reason),
            Status::Settled => Ok(()),
            Status::Running => done,
        };
        (report, done)
    }

    /// Tells the peer that nothing follows, and waits until it has everything or is gone.
    pub(crate) async fn finish(&mut self, patience: Patience) {
        if self.send.finish().is_ok() {
            let _ = tokio::time::timeout(patience.idle, self.send.stopped()).await;
        }
    }

    async fn exchange(
        &mut self,
        kept: &mut Option<Box<Work>>,
        mut news: FlushedWatch,
        idle: Duration,
    ) -> Result<(), SyncError> {
        let mut seen = Position::NONE;
        let mut has_news = true;
        let mut inbox = Vec::new();
        let mut outbox = Outbox::default();
        let mut has_more = true;
        let mut is_last = false;
        let mut heard = Instant::now();
        loop {
            let work = kept.as_ref().ok_or(SyncError::Worker)?;
            let is_closed = matches!(work.status(), Status::Closed(_));
            let is_ready = work.has_frame(&inbox, is_last) || (has_more && outbox.is_empty());
            if is_ready && !is_closed {
                let bytes = std::mem::take(&mut inbox);
                let input = Input { bytes, is_last, polls: outbox.is_empty() };
                let stepped = step(kept, input).await?;
                inbox = stepped.rest;
                // What was not polled for want of room is polled when there is some.
                has_more = stepped.has_more;
                outbox.put(stepped.flight);
                // Time that was spent here is no silence of the peer's.
                heard = Instant::now();
                continue;
            }
            if outbox.is_empty() && (is_closed || is_last) {
                return if is_closed { Ok(()) } else { Err(SyncError::BrokenOff) };
            }
            let asks_in = work.timeout().filter(|_| outbox.is_empty() && !is_closed);
            let patience = idle.saturating_sub(heard.elapsed());
            let pause = TICK.min(patience).min(asks_in.unwrap_or(TICK));
            tokio::select! {
                written = self.send.write(outbox.waiting()), if !outbox.is_empty() => {
                    match written.map_err(unwritten) {
                        Ok(len) => {
                            outbox.take(len);
                            heard = Instant::now();
                        }
                        // It may have said why.
                        Err(None) => outbox.close(),
                        Err(Some(error)) => return Err(error),
                    }
                }
                read = self.recv.read_chunk(CHUNK_BYTES), if !is_last && !is_closed => {
                    match read.map_err(unread)? {
                        Some(chunk) => {
                            inbox.extend_from_slice(&chunk);
                            heard = Instant::now();
                        }
                        None => is_last = true,
                    }
                }
                flushed = poll_fn(|cx| news.poll_flushed(seen, cx)), if has_news => {
                    // Of a database that is being closed nothing more is heard.
                    has_news = flushed.is_some();
                    seen = flushed.unwrap_or(seen);
                    has_more = true;
                }
                () = tokio::time::sleep(pause) => has_more = true,
            }
            if heard.elapsed() >= idle {
                return Err(SyncError::Silent { idle });
            }
        }
    }
}

/// What became of writing; none if the peer takes no more.
fn unwritten(error: WriteError) -> Option<SyncError> {
    match error {
        WriteError::Stopped(_) => None,
        WriteError::ConnectionLost(source) => Some(SyncError::lost(source)),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => Some(SyncError::BrokenOff),
    }
}

/// What became of reading.
fn unread(error: ReadError) -> SyncError {
    match error {
        ReadError::ConnectionLost(source) => SyncError::lost(source),
        ReadError::Reset(_) | ReadError::ClosedStream | ReadError::ZeroRttRejected => {
            SyncError::BrokenOff
        }
    }
}

/// Takes the work, steps it elsewhere and puts it back.
async fn step(kept: &mut Option<Box<Work>>, input: Input) -> Result<Stepped, SyncError> {
    let mut work = kept.take().ok_or(SyncError::Worker)?;
    let stepping = tokio::task::spawn_blocking(move || {
        let stepped = work.step(input);
        (work, stepped)
    });
    let (work, stepped) = stepping.await.map_err(|_| SyncError::Worker)?;
    *kept = Some(work);
    Ok(stepped)
}

/// Bytes that wait to be written.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// The peer takes no more: what is put in is dropped.
    is_closed: bool,
}

impl Outbox {
    fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    fn put(&mut self, flight: Vec<u8>) {
        if !flight.is_empty() && !self.is_closed {
            (self.bytes, self.written) = (flight, 0);
        }
    }

    fn take(&mut self, len: usize) {
        self.written += len;
    }

    fn close(&mut self) {
        *self = Self { is_closed: true, ..Self::default() };
    }
}
