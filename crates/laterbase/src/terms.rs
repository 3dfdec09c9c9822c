//! What an event is found by: its terms, and the index entries that a batch gives.
//!
//! A term is `(kind, text)`: the stream it is in, each tag, its cause, its idempotency key; and per
//! batch the root and each distinct type. Indexes hold 80 bits of a keyed hash of the term
//! (SipHash-1-3-128 under a secret of this copy, so that nobody can aim for a collision), and
//! whatever is found by a term is compared with the event itself wherever the answer shows it.
//!
//! Writer, replay and verification all extract through [`BatchTerms`], so that they cannot differ.

use std::hash::Hasher;

use laterbase_event::{CauseDraft, EventId, EventView, Hlc, Position, ReplicaId, Timestamp};
use laterbase_index::{Entry, Family, PendingEntries};
use siphasher::sip128::{Hasher128, SipHasher13};

/// The kinds of term. The numbers are part of what is hashed, hence of the index format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TermKind {
    Stream = 1,
    Tag = 2,
    Cause = 3,
    Idempotency = 4,
    Root = 5,
    Type = 6,
    Log = 7,
}

/// 80 bits of a term's keyed hash, as index entries hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TermHash {
    pub(crate) high: u64,
    pub(crate) extra: u16,
}

/// The secret that terms are hashed with.
#[derive(Clone, Copy)]
pub(crate) struct TermHasher {
    key: [u8; 16],
}

impl TermHasher {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    pub(crate) fn stream(&self, root: &str, key: &str) -> TermHash {
        self.hash(TermKind::Stream, root.as_bytes(), key.as_bytes())
    }

    pub(crate) fn tag(&self, root: &str, key: &str) -> TermHash {
        self.hash(TermKind::Tag, root.as_bytes(), key.as_bytes())
    }

    pub(crate) fn cause(&self, id: EventId) -> TermHash {
        self.hash(TermKind::Cause, &[], &id.as_u128().to_le_bytes())
    }

    pub(crate) fn idempotency(&self, root: &str, key: &[u8]) -> TermHash {
        self.hash(TermKind::Idempotency, root.as_bytes(), key)
    }

    pub(crate) fn root(&self, root: &str) -> TermHash {
        self.hash(TermKind::Root, root.as_bytes(), &[])
    }

    pub(crate) fn type_name(&self, type_name: &str) -> TermHash {
        self.hash(TermKind::Type, type_name.as_bytes(), &[])
    }

    /// The term of one log in the address index: 64 bits, as its entries have no room for more.
    pub(crate) fn log(&self, replica: ReplicaId, root: &str) -> u64 {
        self.hash(TermKind::Log, root.as_bytes(), &replica.as_u64().to_le_bytes()).high
    }

    /// A hasher under the same secret, for other things than terms.
    pub(crate) fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }

    fn hash(&self, kind: TermKind, first: &[u8], second: &[u8]) -> TermHash {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        // One write for the short terms that nearly all are: each write has a cost of its own.
        let mut text = [0_u8; 128];
        let length = 2 + first.len() + second.len();
        if let Some(buffer) = text.get_mut(..length) {
            let (head, tail) = buffer.split_at_mut(2 + first.len());
            let (prefix, root) = head.split_at_mut(2);
            prefix.copy_from_slice(&[kind as u8, first.len() as u8]);
            root.copy_from_slice(first);
            tail.copy_from_slice(second);
            hasher.write(buffer);
        } else {
            hasher.write(&[kind as u8, first.len() as u8]);
            hasher.write(first);
            hasher.write(second);
        }
        let hash = hasher.finish128();
        TermHash { high: hash.h1, extra: hash.h2 as u16 }
    }
}

impl std::fmt::Debug for TermHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TermHasher(secret)")
    }
}

/// One term of one event of a batch.
#[derive(Debug, Clone, Copy)]
struct EventTerm {
    hash: TermHash,
    index: u16,
}

/// What the terms of one event are extracted from, whether it is being written or was read.
pub(crate) struct TermSource<'a, T> {
    pub(crate) root: &'a str,
    /// `None`: the event's own id, known only once the clock has stamped it.
    pub(crate) key: Option<&'a str>,
    pub(crate) type_name: &'a str,
    /// `None`: the valid time is the transaction time.
    pub(crate) valid_at: Option<Timestamp>,
    pub(crate) tags: T,
    pub(crate) idempotency: Option<&'a [u8]>,
    pub(crate) cause: CauseDraft,
}

/// The terms of one batch before or after it has its place; cleared and used again.
#[derive(Debug, Default)]
pub(crate) struct BatchTerms {
    terms: Vec<EventTerm>,
    /// Root and types: one entry a batch, at the first event that has it.
    batch_terms: Vec<EventTerm>,
    valid: Vec<(Timestamp, u16)>,
    /// Events whose key is their own id.
    own_keys: Vec<u16>,
    /// Causes in the same commit, as (how many events back, effect).
    causes: Vec<(u32, u16)>,
    count: u16,
}

impl BatchTerms {
    pub(crate) fn clear(&mut self) {
        self.terms.clear();
        self.batch_terms.clear();
        self.valid.clear();
        self.own_keys.clear();
        self.causes.clear();
        self.count = 0;
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// Index entries that the batch will give, at the most.
    pub(crate) fn entries(&self) -> usize {
        let late = self.own_keys.len() + self.causes.len();
        self.terms.len() + self.batch_terms.len() + self.valid.len() + late + 3
    }

    /// Adds the next event of the batch.
    pub(crate) fn add<'t>(
        &mut self,
        hasher: &TermHasher,
        event: TermSource<'_, impl Iterator<Item = (&'t str, &'t str)>>,
    ) {
        let index = self.count;
        self.count += 1;
        if index == 0 {
            self.batch_terms.push(EventTerm { hash: hasher.root(event.root), index });
        }
        let type_hash = hasher.type_name(event.type_name);
        if !self.batch_terms.iter().any(|term| term.hash == type_hash) {
            self.batch_terms.push(EventTerm { hash: type_hash, index });
        }
        match event.key {
            Some(key) => {
                self.terms.push(EventTerm { hash: hasher.stream(event.root, key), index });
            }
            None => self.own_keys.push(index),
        }
        let tags_from = self.terms.len();
        for (root, key) in event.tags {
            if root != event.root || Some(key) != event.key {
                self.terms.push(EventTerm { hash: hasher.tag(root, key), index });
            }
        }
        self.drop_repeated(tags_from);
        match event.cause {
            CauseDraft::None => {}
            CauseDraft::Id(id) => self.terms.push(EventTerm { hash: hasher.cause(id), index }),
            CauseDraft::Earlier { index_in_batch } => {
                self.causes.push((u32::from(index - index_in_batch.min(index)), index));
            }
            CauseDraft::Back { distance } => self.causes.push((distance, index)),
        }
        if let Some(key) = event.idempotency {
            self.terms.push(EventTerm { hash: hasher.idempotency(event.root, key), index });
        }
        if let Some(valid_at) = event.valid_at {
            self.valid.push((valid_at, index));
        }
    }

    /// A tag that is given twice counts once, as in the event's bytes.
    fn drop_repeated(&mut self, from: usize) {
        let Some(tags) = self.terms.get_mut(from..) else { return };
        if tags.len() < 2 {
            return;
        }
        tags.sort_unstable_by_key(|term| term.hash);
        let mut kept = 0;
        let mut last = None;
        for at in 0..tags.len() {
            let Some(term) = tags.get(at).copied() else { break };
            if last != Some(term.hash) {
                last = Some(term.hash);
                if let Some(slot) = tags.get_mut(kept) {
                    *slot = term;
                }
                kept += 1;
            }
        }
        self.terms.truncate(from + kept);
    }

    /// Adds the next event of a batch that was read from the log.
    pub(crate) fn add_view(&mut self, hasher: &TermHasher, event: &EventView<'_>) {
        self.add(
            hasher,
            TermSource {
                root: event.root(),
                key: Some(event.key()),
                type_name: event.type_name(),
                valid_at: (!event.valid_is_default()).then(|| event.valid_at()),
                tags: event.tags(),
                idempotency: event.idempotency(),
                cause: event.cause().map_or(CauseDraft::None, CauseDraft::Id),
            },
        );
    }

    /// Writes the entries of the batch, now that its place is known.
    pub(crate) fn write_entries(
        &self,
        hasher: &TermHasher,
        place: &Place<'_>,
        into: &mut PendingEntries,
    ) {
        let count = self.count;
        let first = place.first_hlc.as_u64();
        let position = place.first_position.as_u64();
        for term in self.terms.iter().chain(&self.batch_terms) {
            let at = u64::from(term.index);
            let extra = term.hash.extra;
            into.push(
                Family::Posting,
                Entry::new(term.hash.high, first + at, extra, position + at),
            );
        }
        for (valid_at, index) in &self.valid {
            let at = u64::from(*index);
            into.push(
                Family::Valid,
                Entry::new(valid_order(*valid_at), first + at, 0, position + at),
            );
        }
        for index in &self.own_keys {
            let at = u64::from(*index);
            let id = EventId::new(Hlc::from_u64(first + at), place.replica);
            let hash = hasher.stream(place.root, &id.to_string());
            into.push(
                Family::Posting,
                Entry::new(hash.high, first + at, hash.extra, position + at),
            );
        }
        for (distance, effect) in &self.causes {
            let at = u64::from(*effect);
            let cause_hlc = (first + at).saturating_sub(u64::from(*distance));
            let cause = EventId::new(Hlc::from_u64(cause_hlc), place.replica);
            let hash = hasher.cause(cause);
            into.push(
                Family::Posting,
                Entry::new(hash.high, first + at, hash.extra, position + at),
            );
        }
        let replica = place.replica.as_u64();
        into.push(Family::Id, Entry::new(replica, first, count, position));
        into.push(Family::Hlc, Entry::new(first, replica, count, position));
        let log = hasher.log(place.replica, place.root);
        into.push(Family::Address, Entry::new(log, place.first_seq, count, position));
    }
}

/// Where a batch stands: what turns its terms into index entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) replica: ReplicaId,
    pub(crate) root: &'a str,
    pub(crate) first_seq: u64,
    pub(crate) first_hlc: Hlc,
    pub(crate) first_position: Position,
}

/// Valid times as unsigned numbers in the same order.
pub(crate) fn valid_order(at: Timestamp) -> u64 {
    (at.as_micros() as u64) ^ (1 << 63)
}
