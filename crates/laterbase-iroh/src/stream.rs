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
//! - A session that waits looks at the clock and at the database now and then: other sessions may
//!   have brought what changes its mind, and neither side need say anything for that.
//! - Bytes that make no frame end the session with a Bye, like any that make no sense.

use std::time::{Duration, Instant};

use iroh::endpoint::{ReadError, RecvStream, SendStream, WriteError};
use laterbase::sync::Status;

use crate::report::{Report, SyncError};
use crate::work::{Input, Stepped, Work};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// How often a session that waits looks at the clock and at the database.
const TICK: Duration = Duration::from_millis(200);

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
        patience: Patience,
    ) -> (Report, Result<(), SyncError>) {
        let mut kept = Some(Box::new(work));
        let max = patience.session_max;
        let exchange = self.exchange(&mut kept, patience.idle);
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
        idle: Duration,
    ) -> Result<(), SyncError> {
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
                continue;
            }
            if outbox.is_empty() && (is_closed || is_last) {
                return if is_closed { Ok(()) } else { Err(SyncError::BrokenOff) };
            }
            tokio::select! {
                written = self.send.write(outbox.waiting()), if !outbox.is_empty() => {
                    match written {
                        Ok(len) => {
                            outbox.take(len);
                            heard = Instant::now();
                        }
                        // It may have said why.
                        Err(WriteError::Stopped(_)) => outbox.close(),
                        Err(WriteError::ConnectionLost(source)) => {
                            return Err(SyncError::lost(source));
                        }
                        Err(WriteError::ClosedStream | WriteError::ZeroRttRejected) => {
                            return Err(SyncError::BrokenOff);
                        }
                    }
                }
                read = self.recv.read_chunk(CHUNK_BYTES), if !is_last && !is_closed => {
                    match read {
                        Ok(Some(chunk)) => {
                            inbox.extend_from_slice(&chunk);
                            heard = Instant::now();
                        }
                        Ok(None) => is_last = true,
                        Err(ReadError::ConnectionLost(source)) => {
                            return Err(SyncError::lost(source));
                        }
                        Err(
                            ReadError::Reset(_)
                            | ReadError::ClosedStream
                            | ReadError::ZeroRttRejected,
                        ) => return Err(SyncError::BrokenOff),
                    }
                }
                () = tokio::time::sleep(TICK.min(idle)) => {
                    if heard.elapsed() >= idle {
                        return Err(SyncError::Silent { idle });
                    }
                    has_more = true;
                }
            }
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
