//! The comparison of a database with its model.

use laterbase::storage::Random;
use laterbase::{EventId, Hlc, Position, Query, Recorded};

use super::paths::{KINDS, Path, compare};
use super::{Stop, Violation, World, violation};

impl World {
    /// After an opening: what is there is a prefix of what was staged, in whole commits, and at
    /// least what was promised; from now on all of it is durable.
    pub fn check_opened(&mut self, promised: usize) -> Result<(), Stop> {
        let found = self.read_log()?;
        let last = found.last().map_or(0, |event| event.position.as_u64());
        let Some(commits) = self.model.commits_to(last) else {
            let end = self.model.position_after(self.model.commits.len());
            return Err(
                violation!("the log ends inside a commit or beyond {end}: at {last}").into()
            );
        };
        let staged: Vec<Recorded> = self.model.events().take(found.len()).cloned().collect();
        compare("the log", &staged, &found)?;
        if commits < promised {
            return Err(violation!(
                "{commits} commits are left of {}, {promised} were promised",
                self.model.commits.len()
            )
            .into());
        }
        self.tally.add("commits that were lost, none of them promised", lost(self, commits));
        self.model.settle_at(commits);
        self.revealed = commits;
        self.seen = self.look()?;
        let vector = self.db().version_vector().unwrap();
        if vector != self.model.version_vector() {
            return Err(violation!("the version vector differs: {vector:?}").into());
        }
        self.check_answers(3)?;
        if self.random.chance(1, 6) {
            self.check_all_paths()?;
        }
        Ok(())
    }

    fn read_log(&mut self) -> Result<Vec<Recorded>, Stop> {
        let query = Query::all().order(laterbase::Order::Arrival);
        let events = self.db().read(&query).map_err(|error| self.read_stop(error))?;
        let found: Result<Vec<Recorded>, _> = events.collect();
        found.map_err(|error| self.read_stop(error))
    }

    /// Some questions of every kind that names single events, and some queries.
    pub fn check_answers(&mut self, queries: usize) -> Result<(), Stop> {
        let mut random = self.random.fork();
        let commits = self.visible_commits()?;
        self.check_single(&mut random, commits)?;
        let model = &self.model.commits[..commits];
        let visible: Vec<&Recorded> = model.iter().flat_map(|commit| &commit.events).collect();
        for _ in 0..queries {
            let path = Path::random(&mut random, &visible);
            let answer = path.check(self.db(), &visible).map_err(|error| self.read_stop(error))?;
            answer.map_err(|Violation(text)| violation!("{text}; verify: {}", self.opinion()))?;
        }
        Ok(())
    }

    /// What the database thinks of itself, for people who look into a failure.
    fn opinion(&self) -> String {
        match self.db().verify(&mut |_| {}) {
            Ok(report) => format!("{:?}", report.problems),
            Err(error) => error.to_string(),
        }
    }

    /// Every kind of path, every event by its id, and the database's own verification.
    pub fn check_all_paths(&mut self) -> Result<(), Stop> {
        let mut random = self.random.fork();
        let commits = self.visible_commits()?;
        let model = &self.model.commits[..commits];
        let visible: Vec<&Recorded> = model.iter().flat_map(|commit| &commit.events).collect();
        for kind in 0..KINDS {
            let path = Path::of_kind(kind, &mut random, &visible);
            path.check(self.db(), &visible).map_err(|error| self.read_stop(error))??;
        }
        let ids: Vec<EventId> = visible.iter().map(|event| event.event.id).collect();
        let found = self.db().get_many(&ids).map_err(|error| self.read_stop(error))?;
        let expected: Vec<Recorded> = visible.iter().map(|event| (*event).clone()).collect();
        compare("by id", &expected, &found.events)?;
        let report = self.db().verify(&mut |_| {}).map_err(|error| self.read_stop(error))?;
        if !report.is_sound() {
            return Err(violation!("verify finds problems: {:?}", report.problems).into());
        }
        self.tally.one("verifications");
        Ok(())
    }

    /// How many commits reads see now: all that were revealed, and whole ones.
    pub fn visible_commits(&mut self) -> Result<usize, Stop> {
        let statistics = self.db().statistics().map_err(|error| self.read_stop(error))?;
        let Some(commits) = self.model.commits_to(statistics.events) else {
            return Err(violation!("reads see half a commit: up to {}", statistics.events).into());
        };
        if commits < self.revealed {
            let revealed = self.revealed;
            return Err(violation!("{revealed} commits were revealed, reads see {commits}").into());
        }
        Ok(commits)
    }

    fn check_single(&self, random: &mut Random, commits: usize) -> Result<(), Stop> {
        let db = self.db();
        let failed = |error| self.read_stop(error);
        let events: Vec<&Recorded> =
            self.model.commits[..commits].iter().flat_map(|commit| &commit.events).collect();
        let unknown = EventId::new(Hlc::new(17, 3), db.replica());
        if db.get(unknown).map_err(failed)?.is_some() {
            return Err(violation!("an unknown id is found").into());
        }
        if events.is_empty() {
            return Ok(());
        }
        for _ in 0..3 {
            let event = events[random.index(events.len())];
            let found = db.get(event.event.id).map_err(failed)?;
            compare("by id", std::slice::from_ref(event), found.as_slice())?;
            let (root, key) = (event.event.root.as_str(), event.event.key.as_str());
            let is_in = |e: &&&Recorded| e.event.root == root && e.event.key == key;
            let version = events.iter().filter(is_in).count() as u64;
            let found = db.stream_version(root, key).map_err(failed)?;
            if found != version {
                return Err(violation!("{root}/{key} has version {found}, not {version}").into());
            }
        }
        if self.keyed.is_empty() {
            return Ok(());
        }
        let draft = &self.keyed[random.index(self.keyed.len())];
        let key = draft.idempotency_key.as_deref().unwrap_or_default();
        let found = db.find_by_idempotency_key(&draft.root, key).map_err(failed)?;
        let is_it = |event: &&&Recorded| {
            event.event.root == draft.root && event.event.idempotency.as_deref() == Some(key)
        };
        let expected = events.iter().find(is_it).map(|event| (*event).clone());
        compare("by idempotency key", expected.as_slice(), found.as_slice())?;
        Ok(())
    }

    /// The segments and runs there are now.
    pub fn look(&self) -> Result<super::world::Seen, Stop> {
        let now = self.db().statistics().map_err(|error| self.read_stop(error))?;
        Ok(super::world::Seen {
            segment: now.segments.iter().map(|s| s.number.as_u64()).max().unwrap_or(0),
            sealed: now.segments.iter().filter(|segment| segment.sealed).count(),
            runs: now.index.runs,
        })
    }

    /// Counts what happened to segments and runs since the last look.
    pub fn observe(&mut self) -> Result<(), Stop> {
        let now = self.look()?;
        let before = std::mem::replace(&mut self.seen, now);
        self.tally.add("segments rolled", now.segment.saturating_sub(before.segment));
        let sealed = now.sealed.saturating_sub(before.sealed);
        self.tally.add("segments sealed", sealed as u64);
        self.tally.add("index runs written", u64::from(now.runs > before.runs));
        self.tally.add("index runs merged", u64::from(now.runs < before.runs));
        Ok(())
    }
}

fn lost(world: &World, commits: usize) -> u64 {
    (world.model.commits.len() - commits) as u64
}

/// Whether a position lies in a stretch.
pub fn is_within(position: Position, damage: &laterbase_log::Damage) -> bool {
    (damage.first_position..damage.next_position).contains(&position)
}

/// Fails unless an event is what the model says.
pub fn compare_one(what: &str, expected: &Recorded, found: &Recorded) -> Result<(), Violation> {
    compare(what, std::slice::from_ref(expected), std::slice::from_ref(found))
}
