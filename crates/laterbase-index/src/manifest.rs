//! The manifest: which runs make up the index, and up to which position they are complete.
//!
//! ```text
//! magic 8 | version u32 | runs u32 | generation u64 | watermark u64 | next run u64 | owner 16
//! per run: number, lowest, highest, bytes, entries: 5 × u64 | foot's crc u32 | 0 u32
//! crc u32
//! ```
//! It is replaced as a whole: a new one is written beside it, synced, and renamed over it. By then
//! the runs it names have been synced, and so have their entries in the directory; so whichever
//! manifest is found after a crash, its runs are there.

use crate::error::{Damage, DamageKind, OpenError};
use crate::fields::{Fields, put_u32, put_u64};
use crate::run::Run;
use crate::run_file::{FORMAT_VERSION, RunSpan};
use laterbase_log::storage::{OpenMode, Storage, StorageError};

/// The manifest's name in the directory of the index.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// The name of one that is being written.
pub(crate) const MANIFEST_NEW: &str = "MANIFEST.new";

const MAGIC: [u8; 8] = *b"LBINDEX\n";
/// No index has more runs, nor a manifest more bytes than this gives.
const RUNS_MAX: u32 = 1 << 16;
const HEAD_BYTES: usize = 56;
const RUN_BYTES: usize = 48;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// One more than that of the manifest before it.
    pub(crate) generation: u64,
    /// The runs are complete up to this position.
    pub(crate) watermark: u64,
    /// No run of this number or a higher one has been part of the index.
    pub(crate) next_run: u64,
    pub(crate) owner: [u8; 16],
    /// Oldest first; each begins at the position after the one before it.
    pub(crate) runs: Vec<ManifestRun>,
}

/// A run, as the manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ManifestRun {
    pub(crate) span: RunSpan,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    pub(crate) foot_crc: u32,
}

impl ManifestRun {
    pub(crate) fn of(run: &Run) -> Self {
        Self {
            span: run.span(),
            bytes: run.file_bytes(),
            entries: run.entries(),
            foot_crc: run.foot_crc(),
        }
    }
}

impl Manifest {
    /// The manifest of an empty index.
    pub(crate) const fn empty(owner: [u8; 16], next_run: u64) -> Self {
        Self { generation: 1, watermark: 0, next_run, owner, runs: Vec::new() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.runs.len() * RUN_BYTES + 4);
        out.extend_from_slice(&MAGIC);
        put_u32(&mut out, FORMAT_VERSION);
        put_u32(&mut out, u32::try_from(self.runs.len()).unwrap_or(u32::MAX));
        put_u64(&mut out, self.generation);
        put_u64(&mut out, self.watermark);
        put_u64(&mut out, self.next_run);
        out.extend_from_slice(&self.owner);
        for run in &self.runs {
            put_u64(&mut out, run.span.number);
            put_u64(&mut out, run.span.lowest);
            put_u64(&mut out, run.span.highest);
            put_u64(&mut out, run.bytes);
            put_u64(&mut out, run.entries);
            put_u32(&mut out, run.foot_crc);
            put_u32(&mut out, 0);
        }
        let crc = crc32c::crc32c(&out);
        put_u32(&mut out, crc);
        out
    }

    /// The manifest that these bytes are, or where and how they are none.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadManifest> {
        let damaged = |offset, kind| Err(BadManifest::Damaged { offset, kind });
        if bytes.len() < HEAD_BYTES + 4 {
            return damaged(0, DamageKind::Length);
        }
        if !bytes.starts_with(&MAGIC) {
            return damaged(0, DamageKind::Magic);
        }
        let (body, crc) = bytes.split_at(bytes.len() - 4);
        if Fields::new(crc).u32() != Some(crc32c::crc32c(body)) {
            return damaged(0, DamageKind::Checksum);
        }
        let mut fields = Fields::new(body.get(MAGIC.len()..).unwrap_or_default());
        if let Some(found) = fields.u32().filter(|&version| version > FORMAT_VERSION) {
            return Err(BadManifest::Newer(found));
        }
        match Self::read(&mut fields) {
            Some(manifest) if fields.is_empty() && manifest.is_gapless() => Ok(manifest),
            Some(_) | None => damaged(MAGIC.len() as u64, DamageKind::Content),
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let count = fields.u32().filter(|&count| count <= RUNS_MAX)?;
        let mut manifest = Self {
            generation: fields.u64()?,
            watermark: fields.u64()?,
            next_run: fields.u64()?,
            owner: fields.bytes()?,
            runs: Vec::new(),
        };
        for _ in 0..count {
            let span =
                RunSpan { number: fields.u64()?, lowest: fields.u64()?, highest: fields.u64()? };
            let (bytes, entries) = (fields.u64()?, fields.u64()?);
            let run = ManifestRun { span, bytes, entries, foot_crc: fields.u32()? };
            fields.u32()?;
            manifest.runs.push(run);
        }
        Some(manifest)
    }

    /// Do the runs cover each position up to the watermark once?
    fn is_gapless(&self) -> bool {
        let mut covered = 0_u64;
        for run in &self.runs {
            let span = run.span;
            if Some(span.lowest) != covered.checked_add(1)
                || span.highest < span.lowest
                || span.number >= self.next_run
            {
                return false;
            }
            covered = span.highest;
        }
        covered == self.watermark
    }

    /// Reads the manifest in `dir`; `None` if there is none.
    pub(crate) fn load(storage: &dyn Storage, dir: &str) -> Result<Option<Self>, OpenError> {
        let path = format!("{dir}/{MANIFEST}");
        let file = match storage.open(&path, OpenMode::READ) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = file.len()?;
        let most = (HEAD_BYTES + RUN_BYTES * RUNS_MAX as usize + 4) as u64;
        if length > most {
            return Err(Damage { file: path, offset: most, kind: DamageKind::Length }.into());
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        match Self::decode(&bytes) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(BadManifest::Damaged { offset, kind }) => {
                Err(Damage { file: path, offset, kind }.into())
            }
            Err(BadManifest::Newer(found)) => {
                Err(OpenError::NewerFormat { file: path, found, supported: FORMAT_VERSION })
            }
        }
    }

    /// Writes and syncs the new manifest beside the old one, and makes the directory durable: after
    /// this, everything but the switch itself is on the device.
    pub(crate) fn prepare(&self, storage: &dyn Storage, dir: &str) -> Result<(), StorageError> {
        let path = format!("{dir}/{MANIFEST_NEW}");
        if storage.exists(&path)? {
            storage.remove(&path)?;
        }
        let file = storage.open(&path, OpenMode::CREATE)?;
        file.write_at(0, &self.encode())?;
        file.sync()?;
        storage.sync_dir(dir)
    }

    /// Puts the prepared manifest in the place of the old one, durably.
    pub(crate) fn switch(storage: &dyn Storage, dir: &str) -> Result<(), StorageError> {
        storage.rename(&format!("{dir}/{MANIFEST_NEW}"), &format!("{dir}/{MANIFEST}"))?;
        storage.sync_dir(dir)
    }
}

/// Why bytes are no manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadManifest {
    Damaged { offset: u64, kind: DamageKind },
    Newer(u32),
}
