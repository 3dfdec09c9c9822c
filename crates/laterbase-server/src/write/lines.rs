//! The lines of a body, a batch at a time.
//!
//! ```text
//!   pieces ─▶ │ line │ line │ … │ line │ part of a line
//!             └────── batch ───────────┘ └─ begins the next
//! ```
//! Where a batch ends follows from the body alone: behind so many lines, or in front of the line
//! that would make it too long. However the body arrives, its batches are the same, so that a body
//! that is sent again is recorded in the commits of the first time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::admission::Room;
use crate::problem::Problem;
use crate::request::Whole;
use crate::routes::Shared;

/// Bytes of a batch, if it has more than one line.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// How large batches are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Lines of a batch that are not blank.
    pub(super) lines: usize,
    /// Bytes of a batch of several lines.
    bytes: usize,
    /// Bytes of a line.
    line_bytes: usize,
}

impl Bounds {
    /// So many lines, and what a server takes at once: no line may be longer than a whole body.
    pub(super) fn new(lines: usize, body_bytes_max: usize) -> Self {
        Self { lines, bytes: BATCH_BYTES_MAX.min(body_bytes_max), line_bytes: body_bytes_max }
    }
}

/// A body that is cut into batches as it arrives.
pub(super) struct Lines {
    pieces: BodyDataStream,
    cut: Cut,
    room: Room,
    /// Of the piece that was looked at last.
    rest: Bytes,
    is_over: bool,
    patience: Duration,
    ending: watch::Receiver<bool>,
}

impl Lines {
    pub(super) fn new(shared: &Shared, body: Body, bounds: Bounds) -> Self {
        Self {
            pieces: body.into_data_stream(),
            cut: Cut::new(bounds),
            room: shared.admission.room(),
            rest: Bytes::new(),
            is_over: false,
            patience: shared.config.request_timeout,
            ending: shared.ending.subscribe(),
        }
    }

    /// The next batch; none behind the last.
    ///
    /// # Errors
    /// What keeps the body from going on. What came of the batch until then is not a batch.
    pub(super) async fn next(&mut self, shared: &Shared) -> Result<Option<Whole>, Problem> {
        loop {
            while !self.rest.is_empty() {
                let taken = self.cut.take(&self.rest)?;
                let _ = self.rest.split_to(taken.bytes);
                if let Some(batch) = taken.batch {
                    return self.whole(shared, batch).map(Some);
                }
                self.room.hold(self.cut.text.capacity())?;
            }
            if self.is_over {
                return self.cut.end().map(|text| self.whole(shared, text)).transpose();
            }
            match self.piece().await? {
                Some(piece) => self.rest = piece,
                None => self.is_over = true,
            }
        }
    }

    /// The next piece, if there is one; it must come in time, and before the server ends.
    async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
        let next = tokio::select! {
            next = timeout(self.patience, self.pieces.next()) => next,
            _ = self.ending.wait_for(|ends| *ends) => {
                return Err(Problem::busy().detail("the server ends: come back when it is there"));
            }
        };
        let piece = next.map_err(|_| Problem::timeout().detail("the body does not go on"))?;
        piece.transpose().map_err(|_| Problem::bad_request("the body did not arrive whole"))
    }

    /// Reads the rest without looking at it, for a while: whoever sends all before it looks at the
    /// answer would never see it otherwise.
    pub(super) async fn drain(mut self) {
        let patience = self.patience;
        let all = async { while let Ok(Some(_)) = self.piece().await {} };
        let _ = timeout(patience, all).await;
    }

    /// A batch with its room; what begins the next one gets room of its own.
    fn whole(&mut self, shared: &Shared, text: Vec<u8>) -> Result<Whole, Problem> {
        let mut room = std::mem::replace(&mut self.room, shared.admission.room());
        room.hold(text.capacity())?;
        self.room.hold(self.cut.text.capacity())?;
        Ok(Whole::new(text, room))
    }
}

/// Where batches end.
#[derive(Debug)]
struct Cut {
    bounds: Bounds,
    text: Vec<u8>,
    /// Lines in `text` that are whole and not blank.
    lines: usize,
    /// Where the line begins that is not whole yet.
    line: usize,
}

/// What was taken of a piece.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    bytes: usize,
    batch: Option<Vec<u8>>,
}

impl Cut {
    fn new(bounds: Bounds) -> Self {
        Self { bounds, text: Vec::new(), lines: 0, line: 0 }
    }

    /// Takes of a piece up to the end of its first line.
    fn take(&mut self, piece: &[u8]) -> Result<Taken, Problem> {
        let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let bytes = end.unwrap_or(piece.len());
        let part = piece.get(..bytes).unwrap_or_default();
        if self.text.len() - self.line + bytes > self.bounds.line_bytes {
            // The lines in front of it are a batch still; it is refused when it is at the front.
            return match self.without_line() {
                Some(batch) => Ok(Taken { bytes: 0, batch: Some(batch) }),
                None => Err(Problem::too_large(self.bounds.line_bytes)),
            };
        }
        if self.text.len() + bytes > self.bounds.bytes
            && let Some(batch) = self.without_line()
        {
            return Ok(Taken { bytes: 0, batch: Some(batch) });
        }
        self.text.extend_from_slice(part);
        let mut batch = None;
        if end.is_some() {
            let line = self.text.get(self.line..).unwrap_or_default();
            self.lines += usize::from(!line.trim_ascii().is_empty());
            self.line = self.text.len();
            if self.lines == self.bounds.lines {
                batch = self.without_line();
            }
        }
        Ok(Taken { bytes, batch })
    }

    /// The whole lines; what is not one stays.
    fn without_line(&mut self) -> Option<Vec<u8>> {
        let rest = self.text.split_off(self.line);
        (self.lines, self.line) = (0, 0);
        let batch = std::mem::replace(&mut self.text, rest);
        (!batch.is_empty()).then_some(batch)
    }

    /// What is left at the end of the body: its last line may have no line end.
    fn end(&mut self) -> Option<Vec<u8>> {
        self.line = self.text.len();
        self.without_line()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The batches of a body that arrives in pieces.
    fn batches(bounds: Bounds, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Problem> {
        let (mut cut, mut batches) = (Cut::new(bounds), Vec::new());
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let taken = cut.take(piece)?;
                piece = &piece[taken.bytes..];
                batches.extend(taken.batch);
                assert!(cut.text.len() <= bounds.bytes.max(bounds.line_bytes));
            }
        }
        batches.extend(cut.end());
        Ok(batches)
    }

    fn bounds(lines: usize, bytes: usize, line_bytes: usize) -> Bounds {
        Bounds { lines, bytes, line_bytes }
    }

    #[test]
    fn batches_end_behind_so_many_lines_or_before_they_are_too_long() {
        let of = |bounds, body: &[u8]| {
            let batches = batches(bounds, &[body]).unwrap();
            batches
                .iter()
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(bounds(2, 99, 99), b"a\n\r\nb\nc\nd"), ["a\n\r\nb\n", "c\nd"]);
        assert_eq!(
            of(bounds(9, 4, 9), b"a\nb\nc\nlonger\nd\n"),
            ["a\nb\n", "c\n", "longer\n", "d\n"]
        );
        assert_eq!(of(bounds(1, 9, 9), b""), Vec::<String>::new());
        assert!(batches(bounds(9, 4, 9), &[b"a\nmuch longer\n"]).is_err());
    }

    proptest! {
        /// Nothing is lost, and the same body has the same batches however it arrives.
        #[test]
        fn how_a_body_arrives_does_not_change_its_batches(
            body in proptest::collection::vec(prop::sample::select(b"\na ".as_slice()), 0..200),
            size in 1_usize..50,
            lines in 1_usize..5,
            bytes in 1_usize..40,
        ) {
            let bounds = bounds(lines, bytes, 200);
            let whole = batches(bounds, &[&body]).unwrap();
            let pieces: Vec<&[u8]> = body.chunks(size).collect();
            prop_assert_eq!(&batches(bounds, &pieces).unwrap(), &whole);
            prop_assert_eq!(whole.concat(), body);
        }
    }
}
