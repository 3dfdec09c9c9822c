//! Who this copy is: the file `identity`.
//!
//! ```text
//! identity = slot 0 (4,096 bytes) ‖ slot 1 (4,096 bytes); the intact slot with the higher
//!            generation counts, the other one is written next, so that a torn write loses nothing
//! slot:    0  magic "LBIDENT\0"          48  copy                 u64 LE
//!          8  version 2       u32 LE     56  incarnation          u32 LE
//!         12  state           u32 LE     60  secret of terms      16 bytes
//!         16  generation      u64 LE     76  fingerprint length   u16 LE, then its text
//!         24  database        16 bytes   ..  former replica ids   u16 LE count, then for each
//!         40  replica         u64 LE         the id, u64 LE, and why it was left, u8
//!                                        ..  zeroes
//!                                      4092  CRC-32C of all before it, u32 LE
//! ```
//! Version 1 had the former ids without their reasons, and is read.
//!
//! The file is rewritten in place for ever: its inode and time of birth are what tells this copy
//! from a copy of it (see [`Fingerprint`](laterbase_log::storage::Fingerprint)). A fingerprint that
//! does not fit mints a new replica id, so that two copies never write under one name.
//!
//! Leaves out: roll-backs of a whole machine or a restore in place, which only peers can see.

use laterbase_event::{DatabaseId, ReplicaId};
use laterbase_log::storage::{Fingerprint, OpenMode, Storage, StorageError, StorageFile};

use crate::environment::{EntropyError, Environment};
use crate::open::Reincarnation;

/// The file's name.
pub(crate) const IDENTITY_FILE: &str = "identity";

const MAGIC: &[u8; 8] = b"LBIDENT\0";
const VERSION: u32 = 2;
const VERSION_WITHOUT_REASONS: u32 = 1;
const SLOT_BYTES: usize = 4096;
const SUM_AT: usize = SLOT_BYTES - 4;
/// Former replica ids kept; the oldest are forgotten first.
const FORMER_MAX: usize = 64;
const FINGERPRINT_BYTES_MAX: usize = 1024;

/// How far the making of the database had come when the identity was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The log does not exist yet, or not wholly: what is there holds nothing.
    Creating,
    /// The log exists; if it is missing, it was lost.
    Complete,
}

/// Who this copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) state: State,
    pub(crate) generation: u64,
    pub(crate) database: DatabaseId,
    pub(crate) replica: ReplicaId,
    /// Names this copy for cursors: minted anew by a clone or restore, not by a clock that ran
    /// ahead.
    pub(crate) copy: u64,
    /// How many replica ids this copy has had.
    pub(crate) incarnation: u32,
    /// The secret of [`TermHasher`](crate::terms::TermHasher).
    pub(crate) secret: [u8; 16],
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The ids this copy wrote under before, newest last.
    pub(crate) former: Vec<Former>,
}

/// An id that a copy wrote under before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Former {
    pub(crate) replica: ReplicaId,
    /// Why it took the next one; `None` if that was before reasons were kept.
    pub(crate) reason: Option<Reincarnation>,
}

/// The identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no file `identity`.
    #[error(
        "there is no database here (no file `identity`): create one with `laterbase init`, or \
         name another directory"
    )]
    Missing,
    /// The file is damaged, or no identity at all.
    #[error(
        "the file `identity` is damaged in both of its slots: restore the database from a backup"
    )]
    Damaged,
    /// Written by a newer build.
    #[error(
        "the database has format {version} and this build reads up to {VERSION}: upgrade, \
         nothing was touched"
    )]
    Newer {
        /// The format found.
        version: u32,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No randomness for new ids.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Identity {
    /// A new copy's identity; nothing is written yet.
    pub(crate) fn mint(
        environment: &dyn Environment,
        database: Option<DatabaseId>,
    ) -> Result<Self, IdentityError> {
        let mut database_bytes = [0; 16];
        environment.fill_random(&mut database_bytes)?;
        let mut secret = [0; 16];
        environment.fill_random(&mut secret)?;
        Ok(Self {
            state: State::Creating,
            generation: 0,
            database: database.unwrap_or(DatabaseId::from_bytes(database_bytes)),
            replica: mint_replica(environment)?,
            copy: environment.random_u64()?,
            incarnation: 1,
            secret,
            fingerprint: None,
            former: Vec::new(),
        })
    }

    /// Reads the identity of the database in `storage`.
    pub(crate) fn read(storage: &dyn Storage) -> Result<Self, IdentityError> {
        if !storage.exists(IDENTITY_FILE)? {
            return Err(IdentityError::Missing);
        }
        let file = storage.open(IDENTITY_FILE, OpenMode::READ)?;
        let mut bytes = vec![0; 2 * SLOT_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        let mut newest: Option<Self> = None;
        let mut newer = None;
        for slot in bytes.chunks(SLOT_BYTES) {
            match decode(slot) {
                Slot::Intact(identity) => {
                    let better = newest.as_ref().is_none_or(|n| n.generation < identity.generation);
                    if better {
                        newest = Some(*identity);
                    }
                }
                Slot::Newer(version) => newer = Some(version),
                Slot::Damaged => {}
            }
        }
        match (newer, newest) {
            (Some(version), _) => Err(IdentityError::Newer { version }),
            (None, Some(identity)) => Ok(identity),
            (None, None) => Err(IdentityError::Damaged),
        }
    }

    /// Takes a new replica id; the old one is remembered as a former one.
    pub(crate) fn reincarnate(
        &mut self,
        environment: &dyn Environment,
        reason: Reincarnation,
    ) -> Result<(), IdentityError> {
        self.former.push(Former { replica: self.replica, reason: Some(reason) });
        if self.former.len() > FORMER_MAX {
            self.former.remove(0);
        }
        self.replica = mint_replica(environment)?;
        self.incarnation = self.incarnation.saturating_add(1);
        Ok(())
    }

    /// Writes the identity in place and syncs it. Creates the file, and takes its fingerprint, if
    /// there is none.
    pub(crate) fn write(&mut self, storage: &dyn Storage) -> Result<(), IdentityError> {
        let file = if storage.exists(IDENTITY_FILE)? {
            storage.open(IDENTITY_FILE, OpenMode::READ_WRITE)?
        } else {
            let file = storage.open(IDENTITY_FILE, OpenMode::CREATE)?;
            file.set_len(2 * SLOT_BYTES as u64)?;
            file.sync()?;
            storage.sync_dir("")?;
            file
        };
        self.fingerprint = Some(storage.fingerprint(IDENTITY_FILE)?);
        self.generation += 1;
        let written = self.write_slot(file.as_ref());
        if written.is_err() {
            // Nobody knows what is in this slot now: the next attempt must not take the other one.
            self.generation -= 1;
        }
        Ok(written?)
    }

    /// Writes what was read into its own slot once more and syncs it: after a sync that failed,
    /// what is read need not be on the device, and a power cut would bring back the one before it.
    pub(crate) fn settle(&self, storage: &dyn Storage) -> Result<(), IdentityError> {
        let file = storage.open(IDENTITY_FILE, OpenMode::READ_WRITE)?;
        Ok(self.write_slot(file.as_ref())?)
    }

    fn write_slot(&self, file: &dyn StorageFile) -> Result<(), StorageError> {
        let slot = self.generation % 2;
        file.write_at(slot * SLOT_BYTES as u64, &self.encode())?;
        file.sync()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let state: u32 = match self.state {
            State::Creating => 0,
            State::Complete => 1,
        };
        bytes.extend_from_slice(&state.to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(self.database.as_bytes());
        bytes.extend_from_slice(&self.replica.as_u64().to_le_bytes());
        bytes.extend_from_slice(&self.copy.to_le_bytes());
        bytes.extend_from_slice(&self.incarnation.to_le_bytes());
        bytes.extend_from_slice(&self.secret);
        let text = self.fingerprint.as_ref().map_or("", Fingerprint::as_str).as_bytes();
        let text = text.get(..text.len().min(FINGERPRINT_BYTES_MAX)).unwrap_or(text);
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(text);
        bytes.extend_from_slice(&(self.former.len() as u16).to_le_bytes());
        for former in &self.former {
            bytes.extend_from_slice(&former.replica.as_u64().to_le_bytes());
            bytes.push(reason_code(former.reason));
        }
        bytes.resize(SUM_AT, 0);
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// Random bits for a replica; zero is left to mean none.
fn mint_replica(environment: &dyn Environment) -> Result<ReplicaId, IdentityError> {
    loop {
        let bits = environment.random_u64()?;
        if bits != 0 {
            return Ok(ReplicaId::from_u64(bits));
        }
    }
}

enum Slot {
    Intact(Box<Identity>),
    Newer(u32),
    Damaged,
}

fn decode(slot: &[u8]) -> Slot {
    let Some((body, sum)) = slot.split_last_chunk::<4>() else { return Slot::Damaged };
    if slot.len() != SLOT_BYTES || crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Slot::Damaged;
    }
    let mut fields = Fields { rest: body };
    if fields.array::<8>().as_ref() != Some(MAGIC) {
        return Slot::Damaged;
    }
    let has_reasons = match fields.u32() {
        Some(VERSION) => true,
        Some(VERSION_WITHOUT_REASONS) => false,
        Some(version) => return Slot::Newer(version),
        None => return Slot::Damaged,
    };
    let identity = fields.identity(has_reasons);
    identity.map_or(Slot::Damaged, |identity| Slot::Intact(Box::new(identity)))
}

fn reason_code(reason: Option<Reincarnation>) -> u8 {
    match reason {
        None => 0,
        Some(Reincarnation::Copied) => 1,
        Some(Reincarnation::ClockAhead) => 2,
        Some(Reincarnation::KnownToPeer) => 3,
    }
}

/// The reason of a code; `None` inside for an unknown one, outside for what is no code.
fn reason_of(code: u8) -> Option<Option<Reincarnation>> {
    match code {
        0 => Some(None),
        1 => Some(Some(Reincarnation::Copied)),
        2 => Some(Some(Reincarnation::ClockAhead)),
        3 => Some(Some(Reincarnation::KnownToPeer)),
        4.. => None,
    }
}

/// Reads fixed fields one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn former(&mut self, has_reason: bool) -> Option<Former> {
        let replica = ReplicaId::from_u64(self.u64()?);
        let [code] = if has_reason { self.array()? } else { [0] };
        Some(Former { replica, reason: reason_of(code)? })
    }

    fn identity(&mut self, has_reasons: bool) -> Option<Identity> {
        let state = match self.u32()? {
            0 => State::Creating,
            1 => State::Complete,
            2.. => return None,
        };
        let generation = self.u64()?;
        let database = DatabaseId::from_bytes(self.array()?);
        let replica = ReplicaId::from_u64(self.u64()?);
        let copy = self.u64()?;
        let incarnation = self.u32()?;
        let secret = self.array()?;
        let text_bytes = usize::from(self.u16()?);
        let (text, rest) = self.rest.split_at_checked(text_bytes)?;
        self.rest = rest;
        let text = std::str::from_utf8(text).ok()?;
        let fingerprint = (!text.is_empty()).then(|| Fingerprint::new(text));
        let former =
            (0..self.u16()?).map(|_| self.former(has_reasons)).collect::<Option<Vec<_>>>()?;
        Some(Identity {
            state,
            generation,
            database,
            replica,
            copy,
            incarnation,
            secret,
            fingerprint,
            former,
        })
    }
}

#[cfg(test)]
mod tests {
    use laterbase_log::storage::{
        Fault, FaultPlan, FaultyStorage, MemoryStorage, OpClass, Random, StorageOp, Survival,
    };

    use super::*;

    /// An identity of format version 1, as it was first written.
    const FIXTURE_1: &[u8] = include_bytes!("../tests/fixtures/v1/identity");
    /// The same of format version 2.
    const FIXTURE: &[u8] = include_bytes!("../tests/fixtures/v2/identity");

    fn identity() -> Identity {
        Identity {
            state: State::Complete,
            generation: 2,
            database: DatabaseId::from_bytes(*b"0123456789abcdef"),
            replica: ReplicaId::from_u64(0x1122_3344_5566_7788),
            copy: 77,
            incarnation: 3,
            secret: *b"fedcba9876543210",
            fingerprint: Some(Fingerprint::new("machine-1 inode-2 born-3")),
            former: vec![
                former(1, Some(Reincarnation::Copied)),
                former(2, Some(Reincarnation::KnownToPeer)),
            ],
        }
    }

    fn former(replica: u64, reason: Option<Reincarnation>) -> Former {
        Former { replica: ReplicaId::from_u64(replica), reason }
    }

    fn storage_with(bytes: &[u8]) -> MemoryStorage {
        let storage = MemoryStorage::new();
        let file = storage.open(IDENTITY_FILE, OpenMode::CREATE).unwrap();
        file.write_at(0, bytes).unwrap();
        storage
    }

    #[test]
    fn version_2_is_read_and_written_as_ever() {
        assert_eq!(Identity::read(&storage_with(FIXTURE)).unwrap(), identity());
        assert_eq!(identity().encode(), FIXTURE[..SLOT_BYTES]);
    }

    #[test]
    fn version_1_is_read_and_goes_on_as_version_2() {
        let storage = storage_with(FIXTURE_1);
        let mut found = Identity::read(&storage).unwrap();
        let expected = Identity { former: vec![former(1, None), former(2, None)], ..identity() };
        assert_eq!(found, expected);
        found.write(&storage).unwrap();
        assert_eq!(Identity::read(&storage).unwrap(), found);
    }

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        for code in 0..=u8::MAX {
            let reason = reason_of(code);
            assert_eq!(reason.is_some(), code < 4, "{code}");
            assert!(reason.is_none_or(|reason| reason_code(reason) == code), "{code}");
        }
    }

    #[test]
    fn damage_to_one_slot_leaves_the_other() {
        for at in (0..SLOT_BYTES).step_by(7) {
            let mut bytes = FIXTURE.to_vec();
            bytes[at] ^= 0x40;
            let older = Identity::read(&storage_with(&bytes)).unwrap();
            assert_eq!(older.generation, 1, "byte {at}");
        }
        let mut bytes = FIXTURE.to_vec();
        bytes[100] ^= 1;
        bytes[SLOT_BYTES + 100] ^= 1;
        let error = Identity::read(&storage_with(&bytes)).unwrap_err();
        assert!(matches!(error, IdentityError::Damaged), "{error}");
    }

    #[test]
    fn an_identity_whose_sync_failed_is_settled_or_gone() {
        for attempts in 1..4 {
            let disk = FaultyStorage::new(7);
            let mut first = identity();
            first.write(&disk).unwrap();
            let mut next = Identity { replica: ReplicaId::from_u64(5), ..first.clone() };
            for _ in 0..attempts {
                let fails =
                    FaultPlan::default().with_nth(OpClass::Only(StorageOp::Sync), 1, Fault::Fail);
                disk.set_plan(fails);
                assert!(next.write(&disk).is_err());
            }
            // The process ends, and what the next one reads may not be on the device.
            let found = Identity::read(&disk).unwrap();
            assert_eq!(found.replica, next.replica);
            let unsettled = disk.survivor(Survival::Lost, &mut Random::new(3));
            assert!(Identity::read(&unsettled).is_ok(), "{attempts} attempts took both slots");
            found.settle(&disk).unwrap();
            assert_eq!(Identity::read(&disk.crash(Survival::Lost)).unwrap(), found);
        }
    }

    #[test]
    fn a_newer_version_is_refused_and_any_length_is_survived() {
        let mut bytes = FIXTURE.to_vec();
        bytes[SLOT_BYTES + 8] = 3;
        let sum = crc32c::crc32c(&bytes[SLOT_BYTES..SLOT_BYTES + SUM_AT]);
        bytes[SLOT_BYTES + SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        let error = Identity::read(&storage_with(&bytes)).unwrap_err();
        assert!(matches!(error, IdentityError::Newer { version: 3 }), "{error}");
        for length in 0..2 * SLOT_BYTES {
            let read = Identity::read(&storage_with(&FIXTURE[..length]));
            assert_eq!(read.is_ok(), length >= SLOT_BYTES, "{length} bytes");
        }
    }
}
