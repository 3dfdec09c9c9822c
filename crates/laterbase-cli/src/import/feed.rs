//! The reading half of an import: a thread that turns files into chunks of drafts.
//!
//! It runs ahead of the writer by a few chunks and no further, so memory stays bounded whatever
//! the files' sizes. What is refused travels in the chunks too, in the order of the files.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use super::draft::Draft;
use super::format::{Format, read_records};
use super::mapping::Mapping;
use super::preserve::preserve;
use super::record::{Reason, Record, Refused};
use super::source::{Source, SourceError};
use crate::pointer::Pointer;

/// Chunks that may wait for the writer.
const CHUNKS_AHEAD: usize = 3;
/// A chunk holds no more than this, however many events a batch may have.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// How files become events.
#[derive(Clone, Debug)]
pub(crate) enum Recipe {
    /// By pointers into each record.
    Map(Box<Mapping>),
    /// Records are events as `read --format ndjson` wrote them.
    Preserve {
        /// The root of those that name none.
        default_root: Option<String>,
    },
}

impl Recipe {
    /// Whether records are asked for keys of their own.
    fn is_keyed(&self) -> bool {
        match self {
            Self::Map(mapping) => mapping.idempotency.is_some(),
            Self::Preserve { .. } => true,
        }
    }
}

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file's name.
    pub(crate) file: Arc<str>,
    /// The line, from 1.
    pub(crate) line: u64,
}

/// An event that waits to be written.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) place: Place,
    pub(crate) draft: Draft,
}

/// What became of one record.
#[derive(Debug)]
pub(crate) enum Item {
    Pending(Box<Pending>),
    Refused { place: Place, reason: Reason },
}

/// Records that are written together, as far as that is possible.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) items: Vec<Item>,
}

/// A reading thread under way.
#[derive(Debug)]
pub(crate) struct Feed<'scope> {
    pub(crate) chunks: Receiver<Chunk>,
    reader: ScopedJoinHandle<'scope, Result<u64, SourceError>>,
    bytes: Arc<AtomicU64>,
}

impl<'scope> Feed<'scope> {
    /// Begins to read `files`, in chunks of `batch` events.
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        files: &'env [PathBuf],
        format: Option<Format>,
        each: Option<&'env Pointer>,
        recipe: &'env Recipe,
        batch: usize,
    ) -> Self {
        let (sender, chunks) = sync_channel(CHUNKS_AHEAD);
        let bytes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&bytes);
        let reader = scope.spawn(move || {
            let mut filler = Filler { sender, batch, chunk: Chunk::default(), bytes: 0 };
            let mut done = 0_u64;
            for path in files {
                let keyed = recipe.is_keyed();
                let mut source = Source::open(path, format, each, keyed, &count)?;
                if read_source(&mut source, each, recipe, &mut filler)?.is_break() {
                    break;
                }
                done = done.saturating_add(1);
            }
            let _ = filler.send();
            Ok(done)
        });
        Self { chunks, reader, bytes }
    }

    /// How many bytes have been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Ends the reading; answers how many files were read to their end.
    pub(crate) fn finish(self) -> Result<u64, SourceError> {
        drop(self.chunks);
        match self.reader.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn read_source(
    source: &mut Source,
    each: Option<&Pointer>,
    recipe: &Recipe,
    filler: &mut Filler,
) -> Result<ControlFlow<()>, SourceError> {
    let file: Arc<str> = source.name().into();
    let (format, mut keys) = (source.format(), source.keys());
    let mut flow = ControlFlow::Continue(());
    let read = read_records(source.reader(), format, each, &mut |record| {
        let item = match record {
            Err(Refused { line, reason }) => {
                Item::Refused { place: Place { file: Arc::clone(&file), line }, reason }
            }
            Ok(record) => {
                let place = Place { file: Arc::clone(&file), line: record.line };
                let fallback_key = keys.of_record(record.number, record.json.get());
                match draft(&record, recipe, &fallback_key) {
                    Ok(draft) => Item::Pending(Box::new(Pending { place, draft })),
                    Err(reason) => Item::Refused { place, reason },
                }
            }
        };
        flow = filler.push(item);
        flow
    });
    read.map_err(|source| SourceError::Read { name: file.to_string(), source })?;
    Ok(flow)
}

fn draft(record: &Record<'_>, recipe: &Recipe, fallback_key: &str) -> Result<Draft, Reason> {
    match recipe {
        Recipe::Map(mapping) => mapping.draft(record, fallback_key),
        Recipe::Preserve { default_root } => {
            preserve(record, default_root.as_deref(), fallback_key)
        }
    }
}

/// Fills one chunk after the other.
struct Filler {
    sender: SyncSender<Chunk>,
    batch: usize,
    chunk: Chunk,
    bytes: usize,
}

impl Filler {
    fn push(&mut self, item: Item) -> ControlFlow<()> {
        if let Item::Pending(pending) = &item {
            self.bytes = self.bytes.saturating_add(pending.draft.payload.len());
        }
        self.chunk.items.push(item);
        if self.chunk.items.len() >= self.batch || self.bytes >= CHUNK_BYTES_MAX {
            self.send()
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Hands the chunk on; the reading ends when nobody takes it.
    fn send(&mut self) -> ControlFlow<()> {
        self.bytes = 0;
        match self.sender.send(std::mem::take(&mut self.chunk)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
