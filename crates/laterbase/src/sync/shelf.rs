//! Finding batches: by writer, root and number, whether they are visible or in quarantine.
//!
//! The address index knows the visible ones, the log's list those in quarantine. Where a log is
//! forked both name several batches for one number; then [`Chains`](super::chains::Chains) decides.

use laterbase_event::{BatchHeader, BatchView, Hash, Position, ReplicaId, RootName};
use laterbase_index::{Entry, Family, Range};
use laterbase_log::{Heads, Quarantined};

use super::chains::{Held, Place};
use crate::inner::{Inner, lock};
use crate::read::ReadError;

/// A batch that was found by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shelved {
    pub(crate) first_seq: u64,
    pub(crate) count: u64,
    pub(crate) place: Place,
}

impl Shelved {
    /// The number of its last event.
    pub(crate) fn last_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.count).saturating_sub(1)
    }
}

/// The ends of all logs at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogsAt {
    /// The number of the next commit: it rises whenever anything else here changes.
    pub(crate) commit: u64,
    pub(crate) heads: Heads,
}

impl Inner {
    /// The ends of all logs with everything that is staged; in a process that reads, with all it
    /// has taken up.
    pub(crate) fn logs_at(&self) -> Result<LogsAt, ReadError> {
        if let Some(writer) = self.writer()
            && let Some(log) = &lock(&writer.front).log
        {
            return Ok(LogsAt { commit: log.next_commit().as_u64(), heads: log.heads().clone() });
        }
        let commit = self.reader.written().0.as_u64() + 1;
        Ok(LogsAt { commit, heads: self.reader.heads()? })
    }

    /// The logs that are forked.
    pub(crate) fn forked_logs(&self) -> Result<Vec<(RootName, ReplicaId)>, ReadError> {
        let name = |(root, replica): (&str, ReplicaId)| {
            RootName::try_from(root).ok().map(|root| (root, replica))
        };
        if let Some(writer) = self.writer()
            && let Some(log) = &lock(&writer.front).log
        {
            return Ok(log.forked().filter_map(name).collect());
        }
        let forked = self.reader.forked()?;
        Ok(forked.iter().filter_map(|(root, of)| name((root, *of))).collect())
    }

    /// Whether a log that this replica writes is forked.
    pub(crate) fn is_forked(&self, replica: ReplicaId) -> Result<bool, ReadError> {
        Ok(self.forked_logs()?.iter().any(|(_, of)| *of == replica))
    }

    /// The number of the next commit.
    pub(crate) fn next_commit(&self) -> u64 {
        if let Some(writer) = self.writer()
            && let Some(log) = &lock(&writer.front).log
        {
            return log.next_commit().as_u64();
        }
        self.reader.written().0.as_u64() + 1
    }

    /// Every batch in quarantine, in the order of arrival.
    pub(crate) fn in_quarantine(&self) -> Result<Vec<Quarantined>, ReadError> {
        self.in_quarantine_where(|_| true)
    }

    /// Those in quarantine that are wanted, in the order of arrival.
    pub(crate) fn in_quarantine_where(
        &self,
        wanted: impl Fn(&Quarantined) -> bool,
    ) -> Result<Vec<Quarantined>, ReadError> {
        if let Some(writer) = self.writer()
            && let Some(log) = &lock(&writer.front).log
        {
            return Ok(log.quarantined().iter().filter(|batch| wanted(batch)).cloned().collect());
        }
        let mut all = self.reader.quarantined()?;
        all.retain(wanted);
        Ok(all)
    }

    /// Those in quarantine of one log, by number.
    fn shelved_in_quarantine(
        &self,
        root: &RootName,
        writer: ReplicaId,
        wanted: impl Fn(&Quarantined) -> bool,
    ) -> Result<Vec<Shelved>, ReadError> {
        let shelved = |batch: &Quarantined| {
            let is_it = batch.replica == writer && *batch.root == *root.as_str() && wanted(batch);
            is_it.then(|| Shelved {
                first_seq: batch.first_seq,
                count: u64::from(batch.event_count),
                place: Place::Quarantined(batch.commit, batch.index_in_commit),
            })
        };
        let mut found: Vec<Shelved> = match self.writer() {
            Some(parts) => match &lock(&parts.front).log {
                Some(log) => log.quarantined().iter().filter_map(shelved).collect(),
                None => Vec::new(),
            },
            None => self.reader.quarantined()?.iter().filter_map(shelved).collect(),
        };
        found.sort_by_key(|batch| batch.first_seq);
        Ok(found)
    }

    /// The last position that was given out here.
    fn last_staged(&self) -> Position {
        let staged = self.writer().and_then(|writer| {
            lock(&writer.front).log.as_ref().map(laterbase_log::LogFront::last_position)
        });
        staged.unwrap_or_else(|| self.progress.visible())
    }

    /// The batch of an unforked log that holds an event.
    pub(crate) fn shelved(
        &self,
        root: &RootName,
        writer: ReplicaId,
        seq: u64,
    ) -> Result<Option<Shelved>, ReadError> {
        if let Some(batch) = self.shelved_in_sight(root, writer, seq)? {
            return Ok(Some(batch));
        }
        let in_quarantine = self.shelved_in_quarantine(root, writer, |batch| {
            let last = batch.first_seq + u64::from(batch.event_count);
            batch.first_seq <= seq && seq < last
        })?;
        match in_quarantine.into_iter().next() {
            Some(batch) => Ok(Some(batch)),
            // It may have left quarantine since the first look.
            None => self.shelved_in_sight(root, writer, seq),
        }
    }

    fn shelved_in_sight(
        &self,
        root: &RootName,
        writer: ReplicaId,
        seq: u64,
    ) -> Result<Option<Shelved>, ReadError> {
        let snapshot = self.snapshot_to(self.last_staged())?;
        let log = self.hasher.log(writer, root.as_str());
        let range = Range::new(Family::Address, Entry::floor(log, 0), Entry::ceiling(log, seq));
        let visible = snapshot.last(&range)?.map(|entry| Shelved {
            first_seq: entry.b,
            count: u64::from(entry.extra()),
            place: Place::At(Position::new(entry.position())),
        });
        let holds = |batch: &Shelved| batch.first_seq <= seq && seq < batch.first_seq + batch.count;
        Ok(visible.filter(holds))
    }

    /// Goes through the batches of a log that begin behind event `after`, by number, until `take`
    /// answers `false`. Of a forked log, all branches. What is released meanwhile comes twice,
    /// unless the catalog is held.
    pub(crate) fn shelved_after(
        &self,
        root: &RootName,
        writer: ReplicaId,
        after: u64,
        mut take: impl FnMut(Shelved) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        // Before the snapshot, so that one that is released meanwhile is in one of the two.
        let quarantined =
            self.shelved_in_quarantine(root, writer, |batch| batch.first_seq > after)?;
        let mut quarantined = quarantined.into_iter().peekable();
        let snapshot = self.snapshot_to(self.last_staged())?;
        let log = self.hasher.log(writer, root.as_str());
        let from = Entry::floor(log, after.saturating_add(1));
        let range = Range::new(Family::Address, from, Entry::ceiling(log, u64::MAX));
        let mut cursor = snapshot.cursor(&range);
        while let Some(entry) = cursor.next()? {
            while let Some(batch) = quarantined.next_if(|batch| batch.first_seq < entry.b) {
                if !take(batch)? {
                    return Ok(());
                }
            }
            let place = Place::At(Position::new(entry.position()));
            let count = u64::from(entry.extra());
            if !take(Shelved { first_seq: entry.b, count, place })? {
                return Ok(());
            }
        }
        for batch in quarantined {
            if !take(batch)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads a batch's bytes. `frame` is room to read in.
    pub(crate) fn batch_bytes<'b>(
        &self,
        place: Place,
        frame: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], ReadError> {
        let stored = match place {
            Place::At(position) => {
                self.ensure_readable(position);
                self.reader.batch(position, frame)?
            }
            Place::Quarantined(commit, index) => {
                if let Some(writer) = self.writer()
                    && let Some(log) = lock(&writer.front).log.as_mut()
                {
                    log.freeze();
                }
                self.reader.batch_of_commit(commit, index, frame)?
            }
        };
        Ok(stored.bytes)
    }

    /// Reads what a batch says of itself, and its hash.
    pub(crate) fn batch_front(
        &self,
        place: Place,
        frame: &mut Vec<u8>,
    ) -> Result<(BatchHeader, Hash), ReadError> {
        let bytes = self.batch_bytes(place, frame)?;
        let position = match place {
            Place::At(position) => position,
            Place::Quarantined(_, _) => Position::NONE,
        };
        let view =
            BatchView::parse(bytes).map_err(|source| ReadError::Decode { position, source })?;
        Ok((view.header().clone(), view.hash()))
    }

    /// A batch as the chains of a forked log hold it.
    pub(crate) fn held(&self, place: Place, frame: &mut Vec<u8>) -> Result<Held, ReadError> {
        let (header, hash) = self.batch_front(place, frame)?;
        Ok(Held {
            first_seq: header.first_seq,
            last_seq: header.last_seq(),
            hash,
            previous: header.previous,
            last_hlc: header.last_hlc(),
            place,
        })
    }
}
