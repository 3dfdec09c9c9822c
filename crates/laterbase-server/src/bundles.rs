//! `POST …/bundle`: a file that `laterbase export` wrote, taken in as it arrives.
//!
//! ```text
//!   body ─▶ pieces, a few at a time ─▶ whoever takes bundles in, on a thread that may block
//! ```
//! Frames are taken in one by one, each whole or not at all, so a body of any length needs room for
//! a few pieces and one frame.

use std::io::{self, Read};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::admission::Admission;
use crate::call::Call;
use crate::databases::Hosted;
use crate::problem::{Kind, Problem};
use crate::request::{json, media_type};
use crate::routes::Shared;
use crate::sync_post::FRAMES_TYPE;

/// Pieces of a body that may wait for whoever takes them in.
const PIECES_AHEAD: usize = 4;

/// Takes a bundle into a database, and answers with a document of what came of it. Blocks.
pub type TakeBundle =
    Arc<dyn Fn(&Hosted, &mut dyn Read) -> Result<Value, BundleRefused> + Send + Sync>;

/// A bundle was not taken in, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleRefused {
    /// It is no bundle, a damaged one, or one of another database.
    Wrong(String),
    /// It could not be stored.
    Failed(String),
}

/// Takes a bundle in.
pub(crate) async fn take(call: Call) -> Result<Response, Problem> {
    let hosted = call.hosted()?;
    call.parameters()?;
    if media_type(call.headers()).as_deref() != Some(FRAMES_TYPE) {
        return Err(Problem::media_type(FRAMES_TYPE));
    }
    let Call { shared, body, .. } = call;
    // It lasts as long as its client sends: a live connection, and no request at work.
    let place = Arc::clone(&shared.live).try_acquire_owned().map_err(|_| Problem::busy())?;
    let (sender, receiver) = channel(PIECES_AHEAD);
    let server = Arc::clone(&shared);
    let work = move || {
        let mut pieces = Pieces { receiver, piece: Bytes::new() };
        let taken = (server.take_bundle)(&hosted, &mut pieces);
        taken.map(|document| json(&document)).map_err(|refused| match refused {
            BundleRefused::Wrong(detail) => Problem::new(Kind::Bundle).detail(detail),
            BundleRefused::Failed(reason) => Problem::failed(reason).of_kind(Kind::Storage),
        })
    };
    let (taken, ()) =
        tokio::join!(Admission::run_beside(place, work), hand_over(&shared, body, sender));
    taken
}

/// Hands a body over, until it is at its end or nobody takes it any more.
async fn hand_over(shared: &Shared, body: Body, to: Sender<io::Result<Bytes>>) {
    let mut pieces = body.into_data_stream();
    loop {
        let next = tokio::time::timeout(shared.config.request_timeout, pieces.next()).await;
        let piece = match next {
            Ok(None) => return,
            Ok(Some(piece)) => piece.map_err(io::Error::other),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let is_over = piece.is_err();
        if to.send(piece).await.is_err() || is_over {
            return;
        }
    }
}

/// A body as it arrives.
struct Pieces {
    receiver: Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let read = out.len().min(self.piece.len());
        let piece = self.piece.split_to(read);
        out.iter_mut().zip(piece).for_each(|(out, byte)| *out = byte);
        Ok(read)
    }
}
