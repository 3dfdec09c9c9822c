//! Verifying: everything that a log on disk claims, against what it holds.
//!
//! Checked are each segment's header and footer, each frame's checksum, that commits, positions and
//! arrivals continue, each batch's bytes and hash, each log's chain, the sparse table, heads and
//! quarantine in footers, and that segments continue each other. A problem does not end it: what
//! can be read behind damage is checked as well.
//!
//! It reads the files only, front to back, and changes nothing. What is written meanwhile is not
//! looked at.

use crate::error::{Damage, ReadError};
use crate::footer::{LogState, Noted, SegmentEnd, SegmentIndex};
use crate::frame::Frame;
use crate::frames::FrameWalk;
use crate::number::{CommitNumber, SegmentNumber};
use crate::reader::LogReader;
use crate::segment::Segment;
use crate::shared::Shared;
use crate::sparse::{Mark, SparseTable};
use crate::storage::StorageError;
use crate::stream::Stream;
use crate::{BatchRole, recovery};
use laterbase_event::{BatchView, Hash, Limits, ReplicaId, Verifier, VerifyError};
use std::ops::ControlFlow;
use std::sync::Arc;

const READ_AHEAD_BYTES: usize = 1 << 20;

/// How far a verification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    /// The segment that is being read.
    pub segment: SegmentNumber,
    /// How many events were checked.
    pub events: u64,
    /// How many bytes of frames were checked.
    pub bytes: u64,
    /// How many bytes of frames there are.
    pub bytes_total: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many segments were read.
    pub segments: u64,
    /// How many commits were checked.
    pub commits: u64,
    /// How many batches were checked, those in quarantine among them.
    pub batches: u64,
    /// How many events were checked, those in quarantine among them.
    pub events: u64,
    /// How many bytes of frames were checked.
    pub bytes: u64,
    /// The caller ended it early.
    pub interrupted: bool,
    /// Everything that is wrong, in the order of the files.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Frames are lost: repair fetches their events from a peer or a backup.
    #[error("{0}")]
    Damaged(Damage),
    /// A footer is unreadable, or contradicts the frames: it can be made again.
    #[error("the footer of {path:?} does not match its frames: repair makes it again")]
    Footer {
        /// The segment's file.
        path: String,
    },
    /// A segment does not go on where the one before it ended.
    #[error("{path:?} begins at commit {found}, and commit {expected} comes next")]
    Discontinuous {
        /// The segment's file.
        path: String,
        /// The commit that should come.
        expected: CommitNumber,
        /// The commit that it names.
        found: CommitNumber,
    },
    /// A batch is not what its format demands, or its hash is wrong.
    #[error("batch {index} of commit {commit} in {path:?} is invalid: {error}")]
    Batch {
        /// The segment's file.
        path: String,
        /// The commit.
        commit: CommitNumber,
        /// The batch's place in it, from 0.
        index: u16,
        /// What is wrong with it.
        error: VerifyError,
    },
    /// A batch does not follow the one before it in its log.
    #[error(
        "the batch of {replica} under {root:?} at {seq}, in commit {commit} in {path:?}, does not \
         follow the batch before it"
    )]
    Chain {
        /// The segment's file.
        path: String,
        /// The commit.
        commit: CommitNumber,
        /// The log's replica.
        replica: ReplicaId,
        /// The log's root.
        root: String,
        /// The sequence number of its first event.
        seq: u64,
    },
}

impl LogReader {
    /// Checks the whole log on disk. `progress` is called now and then, and may end it.
    ///
    /// # Errors
    /// The storage's reason, if it could not be read; what is wrong with what was read is in the
    /// report.
    pub fn verify(
        &self,
        limits: Limits,
        progress: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport, StorageError> {
        let table = self.shared.segments();
        let mut check = Check {
            shared: &self.shared,
            verifier: Verifier::new(limits),
            report: VerifyReport::default(),
            state: LogState::default(),
            next: None,
            skipped: false,
            bytes_total: table.segments.iter().map(|segment| segment.end().offset).sum(),
        };
        for (index, segment) in table.segments.iter().enumerate() {
            let until = table.segments.get(index + 1);
            if check.segment(segment, until, progress)?.is_break() {
                check.report.interrupted = true;
                break;
            }
        }
        Ok(check.report)
    }
}

struct Check<'a> {
    shared: &'a Shared,
    verifier: Verifier,
    report: VerifyReport,
    state: LogState,
    /// Where the segment before ended.
    next: Option<SegmentEnd>,
    /// Something was lost: chains may have holes from here on.
    skipped: bool,
    bytes_total: u64,
}

impl Check<'_> {
    fn segment(
        &mut self,
        segment: &Arc<Segment>,
        following: Option<&Arc<Segment>>,
        progress: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        self.report.segments += 1;
        let mut start = SegmentIndex::empty(&segment.header, 0).end;
        if let Some(before) = self.next
            && (before.next_commit, before.next_position)
                != (start.next_commit, start.next_position)
        {
            self.problem(Problem::Discontinuous {
                path: segment.path.clone(),
                expected: before.next_commit,
                found: start.next_commit,
            });
        }
        let index = match self.index_of(segment, following)? {
            Some(index) => index,
            None => {
                self.skip_segment(segment, following);
                return Ok(ControlFlow::Continue(()));
            }
        };
        let mut sparse = SparseTable::default();
        loop {
            match self.walk(segment, &index, start, &mut sparse, progress) {
                Ok(flow) => {
                    if flow.is_break() {
                        return Ok(flow);
                    }
                    break;
                }
                Err((_, ReadError::Storage(error))) => return Err(error),
                Err((at, _)) => match self.find_behind(segment, &index, at)? {
                    Some(behind) => start = behind,
                    None => break,
                },
            }
        }
        self.next = Some(index.end);
        if segment.is_complete() && !self.skipped {
            self.footer(segment, &index, &sparse)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The index of a segment: from its footer, or what is known of it; `None` if there is none.
    fn index_of(
        &mut self,
        segment: &Arc<Segment>,
        following: Option<&Arc<Segment>>,
    ) -> Result<Option<SegmentIndex>, StorageError> {
        if !segment.is_complete() {
            let index = segment.index_copy(&self.shared.cache);
            return Ok(index.ok());
        }
        match segment.load_index() {
            Ok(index) => return Ok(Some(index)),
            Err(ReadError::Storage(error)) => return Err(error),
            Err(_) => self.problem(Problem::Footer { path: segment.path.clone() }),
        }
        if segment.is_sealed() {
            return Ok(None);
        }
        let until = following.map(|next| SegmentIndex::empty(&next.header, 0).end);
        match recovery::scan_hot(segment, until) {
            Ok(scan) => Ok(Some(SegmentIndex {
                end: scan.end,
                gaps: scan.gaps,
                sparse: scan.sparse,
                blocks: None,
            })),
            Err(ReadError::Storage(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Nothing of a segment can be read.
    fn skip_segment(&mut self, segment: &Arc<Segment>, following: Option<&Arc<Segment>>) {
        let end = following.map_or(segment.end(), |next| SegmentIndex::empty(&next.header, 0).end);
        let start = SegmentIndex::empty(&segment.header, 0).end;
        self.lose(segment, &start, &SegmentEnd { offset: segment.end().offset, ..end });
        self.next = Some(end);
    }

    /// Checks frames until the end of the segment, or the first one that is not intact.
    fn walk(
        &mut self,
        segment: &Arc<Segment>,
        index: &SegmentIndex,
        start: SegmentEnd,
        sparse: &mut SparseTable,
        progress: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, (SegmentEnd, ReadError)> {
        let end = index.end.offset;
        let stream = Stream::new(segment, end, READ_AHEAD_BYTES, Vec::new());
        let stream = stream.map_err(|error| (start, error))?;
        let mut walk = FrameWalk::new(stream, index.gaps.clone(), start, &index.end);
        let mut told = self.report.bytes;
        loop {
            let before = *walk.at();
            match walk.next() {
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Ok(Some((offset, frame))) => {
                    sparse.note(Mark {
                        offset,
                        commit: frame.header.commit,
                        first_position: frame.header.first_position,
                        arrival: frame.header.arrival,
                    });
                    self.frame(segment, &frame);
                }
                Err(ReadError::Damaged(damage)) => {
                    self.skipped = true;
                    self.problem(Problem::Damaged(*damage));
                }
                Err(error) => return Err((before, error)),
            }
            if self.report.bytes - told >= READ_AHEAD_BYTES as u64 {
                told = self.report.bytes;
                let flow = progress(VerifyProgress {
                    segment: segment.number(),
                    events: self.report.events,
                    bytes: self.report.bytes,
                    bytes_total: self.bytes_total,
                });
                if flow.is_break() {
                    return Ok(flow);
                }
            }
        }
    }

    fn frame(&mut self, segment: &Segment, frame: &Frame<'_>) {
        self.report.commits += 1;
        self.report.bytes += frame.header.padded_len() as u64;
        for batch in frame.batches() {
            self.report.batches += 1;
            self.report.events += u64::from(batch.event_count);
            let commit = frame.header.commit;
            let checked = BatchView::parse(batch.bytes)
                .map_err(|source| VerifyError::Decode { index: 0, source })
                .and_then(|view| Ok((self.verifier.verify(&view)?, view)));
            let (hash, view) = match checked {
                Ok(checked) => checked,
                Err(error) => {
                    let (path, index) = (segment.path.clone(), batch.index);
                    self.problem(Problem::Batch { path, commit, index, error });
                    continue;
                }
            };
            let header = view.header();
            let root = header.root.as_str();
            let head = self.state.heads.get(&header.replica, root);
            let (seq, previous) = head.map_or((0, Hash::ZERO), |head| (head.seq, head.hash));
            let follows = match batch.role {
                BatchRole::Continues => header.first_seq == seq + 1 && header.previous == previous,
                // The host knows what they follow: by its chains of forked logs it verifies that.
                BatchRole::Branch | BatchRole::Release => true,
            };
            let fits = u32::from(batch.event_count) == header.count;
            if !fits || (!follows && !self.skipped) {
                self.problem(Problem::Chain {
                    path: segment.path.clone(),
                    commit,
                    replica: header.replica,
                    root: root.to_owned(),
                    seq: header.first_seq,
                });
            }
            self.state.note(&Noted::of(commit, &batch, header, hash));
        }
    }

    /// Finds the first intact frame behind damage at `at`, and reports what lies between.
    fn find_behind(
        &mut self,
        segment: &Arc<Segment>,
        index: &SegmentIndex,
        at: SegmentEnd,
    ) -> Result<Option<SegmentEnd>, StorageError> {
        let found = recovery::find_intact(segment, &at, &index.end);
        let behind = match found {
            Ok(behind) => behind,
            Err(ReadError::Storage(error)) => return Err(error),
            Err(_) => None,
        };
        self.lose(segment, &at, &behind.unwrap_or(index.end));
        Ok(behind)
    }

    fn lose(&mut self, segment: &Segment, from: &SegmentEnd, to: &SegmentEnd) {
        self.skipped = true;
        self.problem(Problem::Damaged(Damage {
            segment: segment.number(),
            path: segment.path.clone(),
            offset: from.offset,
            end: to.offset,
            first_commit: from.next_commit,
            next_commit: to.next_commit,
            first_position: from.next_position,
            next_position: to.next_position,
        }));
    }

    /// The footer must say what the frames say.
    fn footer(
        &mut self,
        segment: &Segment,
        index: &SegmentIndex,
        sparse: &SparseTable,
    ) -> Result<(), StorageError> {
        let state = match segment.load_state() {
            Ok(state) => Some(state),
            Err(ReadError::Storage(error)) => return Err(error),
            Err(_) => None,
        };
        let known =
            self.report.problems.iter().any(
                |problem| matches!(problem, Problem::Footer { path } if *path == segment.path),
            );
        if !known && (state.as_ref() != Some(&self.state) || index.sparse != *sparse) {
            self.problem(Problem::Footer { path: segment.path.clone() });
        }
        Ok(())
    }

    fn problem(&mut self, problem: Problem) {
        self.report.problems.push(problem);
    }
}
