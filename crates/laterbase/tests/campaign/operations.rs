//! What a program does with a database, at random.

use laterbase::{
    AppendError, Cause, Commit, Durability, EventId, Expected, NewEvent, Outcome, Ticket,
};

use super::drafts::{KEYS, ROOTS, draft, pick};
use super::world::Kept;
use super::{Stop, World, violation};

impl World {
    /// Some random operations, until a fault shows.
    pub fn operate(&mut self, count: usize) -> Result<(), Stop> {
        (0..count).try_for_each(|_| self.operation())
    }

    /// One random operation.
    pub fn operation(&mut self) -> Result<(), Stop> {
        self.tally.one("operations");
        match self.random.below(100) {
            0..52 => self.append(),
            52..60 => self.wait_for_one(),
            60..64 => {
                if !self.tickets.is_empty() {
                    let at = self.random.index(self.tickets.len());
                    drop(self.tickets.swap_remove(at));
                }
                Ok(())
            }
            64..70 => self.flush(),
            70..86 => self.step(),
            86..96 => self.check_answers(2),
            _ => {
                self.jump();
                Ok(())
            }
        }
    }

    fn jump(&mut self) {
        let by_us = match self.random.below(6) {
            0 => -3_600_000_000,
            1 => 3_600_000_000,
            2 => -1_000,
            _ => self.random.below(5_000) as i64,
        };
        self.tally.one("clock jumps");
        self.environment.jump_us(by_us);
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let staged = self.model.commits.len();
        match self.db().flush() {
            Ok(()) => {
                self.model.acknowledge_flushed(staged);
                Ok(())
            }
            Err(error) => Err(self.append_stop(error)),
        }
    }

    fn step(&mut self) -> Result<(), Stop> {
        for _ in 0..=self.random.below(4) {
            let staged = self.model.commits.len();
            match self.db().step() {
                Ok(_) => self.model.acknowledge_flushed(staged),
                Err(error) => return Err(self.append_stop(error)),
            }
            self.observe()?;
        }
        Ok(())
    }

    fn wait_for_one(&mut self) -> Result<(), Stop> {
        if self.tickets.is_empty() {
            return Ok(());
        }
        let at = self.random.index(self.tickets.len());
        let kept = self.tickets.swap_remove(at);
        self.wait(kept)
    }

    fn wait(&mut self, kept: Kept) -> Result<(), Stop> {
        match kept.ticket.wait() {
            Ok(_) => {
                self.tally.one(&format!("acknowledged: {:?}", kept.durability));
                self.settle(kept.commits, kept.durability);
                self.revealed = self.revealed.max(kept.commits);
                Ok(())
            }
            Err(error) => Err(self.append_stop(error)),
        }
    }

    fn settle(&mut self, commits: usize, durability: Durability) {
        match durability {
            Durability::Flushed => self.model.acknowledge_flushed(commits),
            Durability::Buffered => self.model.acknowledge_written(commits),
            Durability::Relaxed => {}
        }
    }

    fn append(&mut self) -> Result<(), Stop> {
        let durability = match self.random.below(4) {
            0 => Durability::Buffered,
            1 => Durability::Relaxed,
            _ => Durability::Flushed,
        };
        match self.random.below(20) {
            0..3 if !self.keyed.is_empty() => self.append_again(durability),
            3 if !self.keyed.is_empty() => self.append_conflict(durability),
            4 => self.append_wrong_version(durability),
            _ => self.append_fresh(durability),
        }
    }

    fn append_fresh(&mut self, durability: Durability) -> Result<(), Stop> {
        let count = match self.random.below(20) {
            0 => 24,
            1..6 => 2 + self.random.index(5),
            _ => 1,
        };
        let before: Vec<EventId> = self.model.events().map(|event| event.event.id).collect();
        let mut drafts: Vec<NewEvent> = Vec::new();
        for _ in 0..count {
            let mut event = draft(&mut self.random, self.payloads, &before, &drafts);
            // What follows from the same commit cannot be repeated alone.
            if self.random.chance(1, 3) && !matches!(event.cause, Cause::Earlier(_)) {
                event = event.idempotency_key(format!("key {}", self.random.next_u64()));
            }
            drafts.push(event);
        }
        let mut commit = self.commit(&drafts, durability);
        if self.random.chance(1, 4) {
            let (root, key) = (pick(&mut self.random, &ROOTS), self.random.below(KEYS).to_string());
            let version = self.model.stream_version(root, &key);
            let expected = if version == 0 { Expected::None } else { Expected::At(version) };
            let names = (root.try_into().expect("a root"), key.as_str().try_into().expect("a key"));
            commit.expect(names.0, names.1, expected);
        }
        let ticket = match self.db().append(&mut commit) {
            Ok(ticket) => ticket,
            Err(error) => return Err(self.append_stop(error)),
        };
        self.take_staged(ticket, &drafts, durability)
    }

    /// Appends an event with an idempotency key as it was appended before, lost or not.
    fn append_again(&mut self, durability: Durability) -> Result<(), Stop> {
        let draft = self.keyed[self.random.index(self.keyed.len())].clone();
        let key = draft.idempotency_key.clone().unwrap_or_default();
        let existing = self.model.keyed(&draft.root, &key).map(|event| event.event.id);
        // What followed from an event that was lost would follow from nothing, or, where the clock
        // stands still, from whatever gets that id next.
        if let Cause::Id(cause) = draft.cause
            && !self.model.events().any(|event| event.event.id == cause)
        {
            return Ok(());
        }
        let mut commit = self.commit(std::slice::from_ref(&draft), durability);
        let ticket = match self.db().append(&mut commit) {
            Ok(ticket) => ticket,
            Err(error) => return Err(self.append_stop(error)),
        };
        let Some(existing) = existing else {
            self.tally.one("lost events appended again");
            return self.take_staged(ticket, std::slice::from_ref(&draft), durability);
        };
        let staged = ticket.staged().cloned();
        let staged = staged.ok_or_else(|| violation!("a new ticket is empty"))?;
        if staged.outcome != Outcome::AlreadyApplied || staged.id(0) != Some(existing) {
            return Err(violation!("{existing} was recorded with this key: {staged:?}").into());
        }
        self.tally.one("repetitions found");
        // What the answer is based on is as durable as was asked for.
        self.wait(Kept { ticket, commits: self.model.commits.len(), durability })
    }

    fn append_conflict(&mut self, durability: Durability) -> Result<(), Stop> {
        let mut draft = self.keyed[self.random.index(self.keyed.len())].clone();
        let key = draft.idempotency_key.clone().unwrap_or_default();
        let Some(existing) = self.model.keyed(&draft.root, &key).map(|event| event.event.id) else {
            return Ok(());
        };
        draft.payload.push(b'!');
        let staged = self.model.commits.len();
        let mut commit = self.commit(std::slice::from_ref(&draft), durability);
        match self.db().append(&mut commit) {
            Err(AppendError::IdempotencyConflict { existing: found, .. }) if found == existing => {
                self.tally.one("conflicting repetitions refused");
                self.settle(staged, durability);
                Ok(())
            }
            Err(error) => Err(self.append_stop(error)),
            Ok(_) => Err(violation!("the key of {existing} was taken for other content").into()),
        }
    }

    fn append_wrong_version(&mut self, durability: Durability) -> Result<(), Stop> {
        let (root, key) = (pick(&mut self.random, &ROOTS), self.random.below(KEYS).to_string());
        let version = self.model.stream_version(root, &key);
        let draft = NewEvent::new(root, key.as_str(), "departed");
        let mut commit = self.commit(&[draft], durability);
        let names = (root.try_into().expect("a root"), key.as_str().try_into().expect("a key"));
        commit.expect(names.0, names.1, Expected::At(version + 1));
        let staged = self.model.commits.len();
        match self.db().append(&mut commit) {
            Err(AppendError::VersionMismatch { actual, .. }) if actual == version => {
                self.tally.one("wrong versions refused");
                self.settle(staged, durability);
                Ok(())
            }
            Err(error) => Err(self.append_stop(error)),
            Ok(_) => Err(violation!("{root}/{key} has version {version} and took another").into()),
        }
    }

    fn commit(&self, drafts: &[NewEvent], durability: Durability) -> Commit {
        let mut commit = self.db().commit();
        for draft in drafts {
            commit.push(draft).expect("a good event");
        }
        commit.durability(durability);
        commit
    }

    /// Notes what was staged; waits for it, keeps the ticket or drops it.
    fn take_staged(
        &mut self,
        ticket: Ticket,
        drafts: &[NewEvent],
        durability: Durability,
    ) -> Result<(), Stop> {
        let replica = self.db().replica();
        let staged = ticket.staged().ok_or_else(|| violation!("a new ticket is empty"))?;
        if staged.outcome != Outcome::Recorded {
            return Err(violation!("nothing was recorded: {staged:?}").into());
        }
        self.model.stage(replica, drafts, staged)?;
        self.tally.add("events staged", drafts.len() as u64);
        let keyed = drafts.iter().filter(|draft| draft.idempotency_key.is_some());
        self.keyed.extend(keyed.cloned());
        let commits = self.model.commits.len();
        if durability == Durability::Relaxed {
            self.revealed = commits;
        }
        let kept = Kept { ticket, commits, durability };
        match self.random.below(10) {
            0..6 => self.wait(kept),
            6..9 => {
                self.tickets.push(kept);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
