//! Bringing indexes up to date from the log: after a crash, after a rebuild, and beside a writer.

use laterbase_event::{BatchView, DecodeScratch, Position};
use laterbase_index::{IndexWriter, PendingEntries, Progress};
use laterbase_log::LogReader;

use crate::open::OpenError;
use crate::read::ReadError;
use crate::terms::{BatchTerms, Place, TermHasher};

/// Entries that are collected before they go to the index.
const STEP_ENTRIES: usize = 32 * 1024;

/// Extracts the entries of stored batches.
#[derive(Default)]
pub(crate) struct Extractor {
    terms: BatchTerms,
    scratch: DecodeScratch,
}

impl Extractor {
    /// Adds the entries of one batch.
    pub(crate) fn extract(
        &mut self,
        hasher: &TermHasher,
        first_position: Position,
        bytes: &[u8],
        into: &mut PendingEntries,
    ) -> Result<(), ReadError> {
        let decode = |source| ReadError::Decode { position: first_position, source };
        let view = BatchView::parse(bytes).map_err(decode)?;
        self.terms.clear();
        let mut events = view.events(&mut self.scratch).map_err(decode)?;
        while let Some(event) = events.next().map_err(decode)? {
            self.terms.add_view(hasher, &event);
        }
        let header = view.header();
        let place = Place {
            replica: header.replica,
            root: header.root.as_str(),
            first_seq: header.first_seq,
            first_hlc: header.first_hlc,
            first_position,
        };
        self.terms.write_entries(hasher, &place, into);
        Ok(())
    }
}

/// Goes through the log and hands the entries to `absorb`, some thousands at a time.
pub(crate) fn feed<E: From<ReadError>>(
    hasher: &TermHasher,
    reader: &LogReader,
    after: Position,
    to: Position,
    mut absorb: impl FnMut(&mut PendingEntries) -> Result<(), E>,
) -> Result<(), E> {
    let mut extractor = Extractor::default();
    let mut pending = PendingEntries::new();
    let mut scan = reader.scan(after, to);
    loop {
        let batch = match scan.next() {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            // Lost, and accepted as lost when the log was opened: there is nothing to index.
            Err(laterbase_log::ReadError::Damaged(_)) => continue,
            Err(error) => return Err(ReadError::from(error).into()),
        };
        // Whole commits only: what one commit holds becomes visible at once.
        if batch.index_in_commit == 0 && pending.len() >= STEP_ENTRIES {
            pending.set_upto(Position::new(batch.first_position.as_u64() - 1));
            absorb(&mut pending)?;
        }
        extractor.extract(hasher, batch.first_position, batch.bytes, &mut pending)?;
    }
    pending.set_upto(to);
    absorb(&mut pending)
}

/// Brings an index up to `last`, writing runs on the way so that memory stays within its limits.
pub(crate) fn replay(
    hasher: &TermHasher,
    reader: &LogReader,
    index: &mut IndexWriter,
    last: Position,
) -> Result<(), OpenError> {
    let after = index.complete_to();
    if after >= last {
        return Ok(());
    }
    feed(hasher, reader, after, last, |pending| {
        index.absorb(pending).map_err(|error| OpenError::Read(error.into()))?;
        while index.is_full() {
            match index.maintain(STEP_ENTRIES, last)? {
                Progress::More => {}
                Progress::Idle => break,
            }
        }
        Ok(())
    })
}
