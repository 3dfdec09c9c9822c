//! A copy in memory with two states: what is seen, and what a power cut leaves.
//!
//! It does what a host must: it takes a new id by itself before it stores what another copy wrote
//! under its own, and nothing it stores is durable before [`Replica::flush`]. Left out: files, so
//! that a torn tail, a full disk and damage cannot happen; clocks that do not spread; validators.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use laterbase_event::{BatchView, Event, EventDraft, Hash, Hlc, ReplicaId, RootName};
use laterbase_log::storage::Random;
use laterbase_sync::{
    BatchEnd, Checked, Found, Heads, LogId, MemoryReplica, Offer, Outcome, PeerMemory, Replica,
    Split, StoreError,
};

use crate::mutant::{self, Mutant};
use crate::node::{
    Appended, Birth, Care, Ending, ForkSeen, Node, Opened, Place, Seen, Trouble, Violation, Wish,
    violation,
};

/// A copy in memory.
#[derive(Debug)]
pub struct MemoryNode {
    copy: MemoryPort,
    durable: MemoryReplica,
    wall_us: i64,
    must_mint: bool,
}

/// The copy that sessions see; clones share it.
#[derive(Clone, Debug)]
pub struct MemoryPort {
    state: Rc<RefCell<State>>,
}

#[derive(Clone, Debug)]
struct State {
    live: MemoryReplica,
    durable: MemoryReplica,
    is_up: bool,
    random: Random,
}

impl State {
    fn flush(&mut self) {
        if self.durable.change_count() != self.live.change_count()
            || self.durable.replica() != self.live.replica()
        {
            self.durable = self.live.clone();
        }
    }

    /// Takes a new id, durably before anything else.
    fn mint(&mut self) {
        let id = ReplicaId::from_u64(self.random.next_u64() | 1);
        self.live.reincarnate(id);
        self.durable.reincarnate(id);
    }

    /// With a batch that is stored: another copy writes under this id, if it is this one's.
    fn notice(&mut self, batch: &Checked<'_>) {
        if batch.header.replica == self.live.replica() && !mutant::is_active(Mutant::NoNewId) {
            self.mint();
        }
    }
}

impl MemoryPort {
    fn new(copy: MemoryReplica, seed: u64) -> Self {
        let state =
            State { durable: copy.clone(), live: copy, is_up: true, random: Random::new(seed) };
        Self { state: Rc::new(RefCell::new(state)) }
    }

    fn get(&self) -> Ref<'_, MemoryReplica> {
        Ref::map(self.state.borrow(), |state| &state.live)
    }

    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }
}

impl Replica for MemoryPort {
    fn database(&self) -> laterbase_event::DatabaseId {
        self.get().database()
    }

    fn replica(&self) -> ReplicaId {
        self.get().replica()
    }

    fn clock(&self) -> Hlc {
        self.get().clock()
    }

    fn change_count(&self) -> u64 {
        self.get().change_count()
    }

    fn heads(&self) -> Heads {
        self.get().heads()
    }

    fn end_before(&self, log: &LogId, seq: u64) -> Option<BatchEnd> {
        let end = self.get().end_before(log, seq);
        if mutant::is_active(Mutant::BelieveHeads)
            && log.replica == self.replica()
            && seq != u64::MAX
            && end.is_some_and(|end| end.seq < seq)
        {
            self.state().mint();
        }
        end
    }

    fn find(
        &self,
        writer: ReplicaId,
        root: &RootName,
        last_seq: u64,
        hash: &Hash,
    ) -> Option<Found> {
        self.get().find(writer, root, last_seq, hash)
    }

    fn read(
        &self,
        log: &LogId,
        after: u64,
        bytes_max: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.get().read(log, after, bytes_max, out)
    }

    fn offer(&mut self, batch: &Checked<'_>) -> Offer {
        let mut state = self.state();
        if !state.is_up {
            return Offer::Failed(StoreError::Failed);
        }
        let offer = state.live.offer(batch);
        if matches!(offer, Offer::Stored { .. }) {
            state.notice(batch);
        }
        offer
    }

    fn split(&mut self, split: &Split, batch: &Checked<'_>) -> Result<(), StoreError> {
        let mut state = self.state();
        if !state.is_up {
            return Err(StoreError::Failed);
        }
        state.notice(batch);
        state.live.split(split, batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let mut state = self.state();
        if !state.is_up {
            return Err(StoreError::Failed);
        }
        if !mutant::is_active(Mutant::EarlyAck) {
            state.flush();
        }
        Ok(())
    }

    fn proof(&self, branch: &LogId) -> Option<(Vec<u8>, Vec<u8>)> {
        self.get().proof(branch)
    }

    fn recall(&self, peer: ReplicaId) -> Option<PeerMemory> {
        self.get().recall(peer)
    }
}

impl MemoryNode {
    fn on(copy: MemoryReplica, birth: &Birth) -> Self {
        Self {
            durable: copy.clone(),
            copy: MemoryPort::new(copy, birth.seed),
            wall_us: birth.wall_us,
            must_mint: false,
        }
    }
}

impl Node for MemoryNode {
    type Port = MemoryPort;
    type Backup = MemoryReplica;
    const KEEPS_CLOCK: bool = false;

    fn create(birth: &Birth) -> Result<Self, Violation> {
        let id = Random::new(birth.seed ^ 0x1d).next_u64() | 1;
        Ok(Self::on(MemoryReplica::new(birth.database, ReplicaId::from_u64(id)), birth))
    }

    fn is_up(&self) -> bool {
        self.copy.state.borrow().is_up
    }

    fn port(&self) -> Option<MemoryPort> {
        self.is_up().then(|| self.copy.clone())
    }

    fn replica(&self) -> ReplicaId {
        self.copy.replica()
    }

    fn set_wall_us(&mut self, now_us: i64) {
        self.wall_us = now_us;
    }

    fn append(&mut self, wishes: &[Wish], care: Care) -> Appended {
        let now_ms = self.wall_us.max(0).unsigned_abs() / 1000;
        let mut state = self.copy.state();
        let mut last = Appended::Refused;
        for wish in wishes {
            let Ok(root) = RootName::try_from(wish.root) else { return Appended::Refused };
            let draft = EventDraft {
                valid_at: wish.valid_us,
                payload: &wish.payload,
                ..EventDraft::new(wish.key.as_str(), wish.type_name)
            };
            if state.live.append(&root, now_ms, &[draft]) {
                last = Appended::Done { millis: state.live.clock().millis() };
            }
        }
        if care == Care::Flushed {
            state.flush();
        }
        last
    }

    fn step(&mut self) {}

    fn record(&mut self, _outcomes: &[Outcome]) {}

    fn is_struck(&mut self) -> Option<Ending> {
        None
    }

    fn stop(&mut self, ending: Ending, random: &mut Random) {
        let mut state = self.copy.state();
        let survives = match ending {
            Ending::Closed | Ending::Killed => true,
            Ending::PowerCut => random.chance(1, 4),
        };
        if survives {
            state.flush();
        }
        state.is_up = false;
        self.durable = state.durable.clone();
    }

    fn reopen(&mut self, _is_strict: bool) -> Result<Option<Opened>, Violation> {
        let seed = self.copy.state().random.next_u64();
        let was_copied = std::mem::take(&mut self.must_mint);
        self.copy = MemoryPort::new(self.durable.clone(), seed);
        if was_copied {
            let mut state = self.copy.state();
            state.mint();
            state.flush();
        }
        Ok(Some(Opened { was_copied, ..Opened::default() }))
    }

    fn trouble(&mut self, _trouble: Option<Trouble>) {}

    fn backup(&mut self) -> MemoryReplica {
        let state = self.copy.state();
        if state.is_up { state.live.clone() } else { self.durable.clone() }
    }

    fn restore(&mut self, backup: &MemoryReplica, place: Place) {
        self.durable = backup.clone();
        self.must_mint = place == Place::Elsewhere;
    }

    fn fork(&self) -> Option<Self> {
        let state = self.copy.state.borrow().clone();
        Some(Self {
            copy: MemoryPort { state: Rc::new(RefCell::new(state)) },
            durable: self.durable.clone(),
            wall_us: self.wall_us,
            must_mint: self.must_mint,
        })
    }

    fn twin(&mut self, birth: &Birth, place: Place) -> Self {
        let copy = self.backup();
        let mut twin = Self::on(copy, birth);
        twin.copy.state().is_up = false;
        twin.must_mint = place == Place::Elsewhere || self.must_mint;
        twin
    }

    fn remember(&mut self, memory: &PeerMemory) {
        let mut state = self.copy.state();
        state.live.remember(memory);
        state.durable.remember(memory);
    }

    fn visible(&self) -> Result<Vec<Seen>, Violation> {
        let copy = self.copy.get();
        let mut seen = Vec::new();
        for bytes in copy.batches().values() {
            seen.extend(events_of(bytes)?);
        }
        seen.sort_unstable();
        Ok(seen)
    }

    fn quarantined(&self) -> Result<usize, Violation> {
        Ok(0)
    }

    fn retry_quarantine(&mut self) -> Result<(), Violation> {
        Ok(())
    }

    fn forks(&self) -> Result<Option<Vec<ForkSeen>>, Violation> {
        Ok(None)
    }

    fn verify(&self) -> Result<(), Violation> {
        if self.copy.get().is_sound() { Ok(()) } else { Err(violation!("a chain is broken")) }
    }
}

/// The events of a batch.
///
/// # Errors
/// [`Violation`] if it is no batch.
pub fn events_of(bytes: &[u8]) -> Result<Vec<Seen>, Violation> {
    let broken = |error| violation!("a batch that is held does not decode: {error}");
    let view = BatchView::parse(bytes).map_err(broken)?;
    let mut scratch = laterbase_event::DecodeScratch::default();
    let mut events = view.events(&mut scratch).map_err(broken)?;
    let mut seen = Vec::new();
    while let Some(event) = events.next().map_err(broken)? {
        seen.push(see(&Event::from(&event)));
    }
    Ok(seen)
}

/// What a reader sees of an event.
#[must_use]
pub fn see(event: &Event) -> Seen {
    let mut bytes = Vec::new();
    for text in [&event.root, event.key.as_str(), event.type_name.as_str(), &event.content_type] {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&event.seq.to_le_bytes());
    bytes.extend_from_slice(&event.valid_at.as_micros().to_le_bytes());
    bytes.extend_from_slice(&event.payload);
    let is_reserved = event.root.starts_with('_');
    Seen { id: event.id, content: Hash::of(&bytes), is_reserved }
}
