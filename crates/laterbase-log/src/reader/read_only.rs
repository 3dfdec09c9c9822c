//! Reading a log that another process writes.
//!
//! ```text
//!   open ─▶ every complete segment, and the frames of the last one up to `flushed`
//!   refresh(flushed) ─▶ the frames since, over rolled segments if need be, and newly sealed files
//! ```
//! The writer says elsewhere how far everything is durable; this process takes no frame behind
//! that, so that it never shows what a power cut could take back. It changes nothing.
//!
//! A segment that was sealed keeps its hot file until no lease of this process is older than that;
//! the sealed one is taken up at the next refresh.

use super::LogReader;
use crate::config::LogConfig;
use crate::error::{OpenError, ReadError};
use crate::footer::{SegmentEnd, SegmentIndex};
use crate::frame::FrameKind;
use crate::frames::FrameWalk;
use crate::recovery::{find_segments, scan_hot};
use crate::segment::{Segment, SegmentTable};
use crate::shared::Shared;
use crate::sparse::Mark;
use crate::storage::Storage;
use crate::stream::Stream;
use laterbase_event::{DatabaseId, Position};
use std::sync::Arc;

/// How often the directory is listed again because the writer changed it meanwhile.
const LISTINGS_MAX: u32 = 4;

impl LogReader {
    /// Opens the log in the directory `dir` for reading beside the process that writes it, up to
    /// the position `flushed`, which must be durable.
    ///
    /// # Errors
    /// As [`Log::open`](crate::Log::open). [`OpenError::Behind`] if the files do not hold so much,
    /// [`OpenError::Damaged`] if that is because something is lost.
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &str,
        database: DatabaseId,
        config: LogConfig,
        flushed: Position,
    ) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::read_only(storage, dir, database, config));
        let reader = Self::new(shared);
        reader.refresh(flushed)?;
        Ok(reader)
    }

    /// Takes up what became durable since, up to the position `flushed`. For readers that were made
    /// by [`open`](Self::open); readers beside the writer in one process see everything as it is.
    ///
    /// # Errors
    /// As [`open`](Self::open). What could be read before still can.
    pub fn refresh(&self, flushed: Position) -> Result<(), OpenError> {
        if !self.shared.is_read_only {
            return Ok(());
        }
        let found = self.find_segments_beside_the_writer()?;
        let table = self.shared.segments();
        let mut segments = Vec::with_capacity(found.len());
        for (index, new) in found.iter().enumerate() {
            let known = table.of_number(new.number()).filter(|known| {
                known.header == new.header && (known.is_complete() || !new.is_complete())
            });
            let segment = known.map_or_else(|| Arc::clone(new), Arc::clone);
            if !segment.is_complete() {
                let until = found.get(index + 1).map(|next| next.header.first_position);
                follow(&self.shared, &segment, flushed, until)?;
            }
            segments.push(segment);
        }
        let last = segments.last().map(|segment| segment.end());
        let Some(end) = last else { return Ok(()) };
        let position = Position::new(end.next_position.as_u64().saturating_sub(1));
        if position < flushed {
            return Err(why_behind(&self.shared, &segments, flushed, position));
        }
        let commit = crate::CommitNumber::new(end.next_commit.as_u64().saturating_sub(1));
        self.shared.change_segments(|_| SegmentTable { segments });
        self.shared.progress.set_written(commit, position);
        self.shared.progress.set_flushed(commit, position);
        Ok(())
    }
}

impl LogReader {
    /// Lists the segments; again if one got another name between being listed and being opened.
    fn find_segments_beside_the_writer(&self) -> Result<Vec<Arc<Segment>>, OpenError> {
        for _ in 0..LISTINGS_MAX {
            match find_segments(&self.shared) {
                Ok(found) => return Ok(found.segments),
                Err(OpenError::Storage(error)) if error.is_not_found() => {}
                Err(OpenError::SegmentMissing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(find_segments(&self.shared)?.segments)
    }
}

/// Why there is less than there should be: damage if frames of a later group follow, or simply
/// that.
fn why_behind(
    shared: &Shared,
    segments: &[Arc<Segment>],
    flushed: Position,
    found: Position,
) -> OpenError {
    let mut damages = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        if segment.is_complete() {
            continue;
        }
        let until = segments.get(index + 1).map(|next| SegmentIndex::empty(&next.header, 0).end);
        match scan_hot(segment, until) {
            Ok(scan) => {
                let gaps = scan.gaps.iter();
                damages.extend(gaps.map(|gap| gap.damage(segment.number(), &segment.path)));
            }
            Err(error) => return open_error(error),
        }
    }
    if damages.is_empty() || shared.config.accept_damage {
        return OpenError::Behind { flushed, found };
    }
    OpenError::Damaged { damages }
}

/// Takes the frames of a segment without a footer, up to the position `flushed`; all of them if
/// another segment follows.
fn follow(
    shared: &Shared,
    segment: &Arc<Segment>,
    flushed: Position,
    until: Option<Position>,
) -> Result<(), OpenError> {
    let bound = until.map_or(flushed, |next| Position::new(next.as_u64().saturating_sub(1)));
    let start = segment.end();
    if start.next_position > bound {
        return Ok(());
    }
    let file_len = segment.file.len()?;
    let stream = Stream::new(segment, file_len, shared.config.read_ahead_bytes, Vec::new());
    let mut walk = FrameWalk::open_ended(stream.map_err(open_error)?, start, file_len);
    let mut marks = Vec::new();
    let mut end: SegmentEnd = start;
    while end.next_position <= bound {
        match walk.next() {
            // The writer's next frame stands where its close mark does now.
            Ok(Some((_, frame))) if frame.header.kind == FrameKind::Close => break,
            Ok(Some((offset, frame))) => {
                let header = frame.header;
                marks.push(Mark {
                    offset,
                    commit: header.commit,
                    first_position: header.first_position,
                    arrival: header.arrival,
                });
            }
            // Here the segment ends for now; whether that is too early is seen by the caller.
            Ok(None) | Err(ReadError::Corrupt { .. }) => break,
            Err(error) => return Err(open_error(error)),
        }
        end = *walk.at();
    }
    segment.extend(end, marks.into_iter());
    Ok(())
}

fn open_error(error: ReadError) -> OpenError {
    match error {
        ReadError::Storage(error) => OpenError::Storage(error),
        ReadError::Damaged(damage) => OpenError::Damaged { damages: vec![*damage] },
        ReadError::Corrupt { path, .. }
        | ReadError::Footer { path }
        | ReadError::Dictionary { path }
        | ReadError::Retired { path } => OpenError::FooterDamaged { path },
        ReadError::NotFound { last, position } => {
            OpenError::Behind { flushed: position, found: last }
        }
    }
}
