//! What a token says, read back from its blocks, and taken only in the form that is written here.
//!
//! The language of Biscuits can say more than rights and limits: rules and checks that take a
//! server minutes, written by a holder into a block of their own. So nothing of a token is ever
//! run. Its text is read by the few forms that [`Mint`] and [`Limits`] write; what was read is
//! written again, and must give the very bytes of each block. Names that would be ambiguous as text
//! then differ, and so does everything else that another program may have added.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use biscuit_auth::{Biscuit, BlockBuilder};
use laterbase::{ReplicaId, RootName, sync};

use super::ALL;
use super::authorize::Refused;
use super::key::SecretKey;
use super::mint::{Limits, Mint, Right};
use crate::access::{Asked, Roots, Verb};
use crate::sync_grant::SyncGrant;

/// Rights, and what they were narrowed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    mint: Mint,
    limits: Vec<Limits>,
}

impl Said {
    /// What `token` says; none if another program wrote a part of it.
    pub(super) fn read(token: &Biscuit) -> Option<Self> {
        let block = |index| token.print_block_source(index).ok();
        let mint = mint(&block(0)?)?;
        let narrowings = 1..token.block_count();
        let limits = narrowings.map(|index| limits(&block(index)?)).collect::<Option<_>>()?;
        let said = Self { mint, limits };
        (said.blocks()? == blocks(token)).then_some(said)
    }

    /// Whether it allows what is asked.
    pub(super) fn allows(&self, asked: &Asked<'_>) -> bool {
        match asked.roots {
            Roots::All => self.allows_under(ALL, asked),
            Roots::One(root) => self.allows_under(root, asked),
            Roots::Any => self.roots().any(|root| self.allows_under(root, asked)),
        }
    }

    /// What it allows in sync sessions of a database.
    pub(super) fn sync_grant(&self, database: &str) -> Result<SyncGrant, Refused> {
        let replicas = self.replicas();
        if self.allows_under(ALL, &asked(database, Verb::Relay)) {
            return Ok(SyncGrant { replicas, ..SyncGrant::all() });
        }
        let roots = self.roots_of(database, Verb::SyncOwn);
        if roots == sync::Roots::Only(BTreeSet::new()) {
            return Err(Refused::NotGranted);
        }
        // Who a peer is it says itself: without a name in the token, anybody's log would be its
        // own.
        if replicas.is_none() {
            return Err(Refused::NoReplica);
        }
        let told = self.roots_of(database, Verb::Read);
        Ok(SyncGrant { roots, told, may_relay: false, replicas })
    }

    /// Which replicas a peer may be that shows it.
    fn replicas(&self) -> Option<BTreeSet<ReplicaId>> {
        let all = self.limits.iter().map(|limits| &limits.replicas).chain([&self.mint.replicas]);
        all.flatten().cloned().reduce(|one, other| &one & &other)
    }

    /// Under which roots it allows a verb.
    fn roots_of(&self, database: &str, verb: Verb) -> sync::Roots {
        let asked = asked(database, verb);
        if self.allows_under(ALL, &asked) {
            return sync::Roots::All;
        }
        let named = self.roots().filter(|root| self.allows_under(root, &asked));
        sync::Roots::Only(named.filter_map(|root| RootName::try_from(root).ok()).collect())
    }

    /// The roots that it names. What it allows anywhere it allows under one of them: a root that
    /// is not named passes no limit of roots, and where there is none, only rights on all give it.
    fn roots(&self) -> impl Iterator<Item = &str> {
        let granted = self.mint.rights.iter().map(|right| &right.root);
        let limited = self.limits.iter().filter_map(|limits| limits.roots.as_ref()).flatten();
        granted.chain(limited).map(String::as_str)
    }

    fn allows_under(&self, root: &str, asked: &Asked<'_>) -> bool {
        let database = asked.database.unwrap_or(ALL);
        let is = |granted: &str, asked: &str| granted == ALL || granted == asked;
        let granted = self.mint.rights.iter().any(|right| {
            is(&right.database, database) && is(&right.root, root) && right.verb == asked.verb
        });
        granted
            && self.limits.iter().all(|limits| {
                limits.databases.as_ref().is_none_or(|names| names.contains(database))
                    && limits.roots.as_ref().is_none_or(|names| names.contains(root))
                    && limits.verbs.as_ref().is_none_or(|verbs| verbs.contains(&asked.verb))
            })
    }

    /// Whether its time is over.
    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        let all = self.limits.iter().map(|limits| limits.expires).chain([self.mint.expires]);
        all.flatten().any(|expires| expires <= now)
    }

    /// The same, written again: the bytes of each block.
    fn blocks(&self) -> Option<Vec<(Vec<u8>, bool)>> {
        let key = SecretKey::generate();
        let mut token = self.mint.builder().ok()?.build(key.pair()).ok()?;
        for limits in &self.limits {
            let block: BlockBuilder = limits.block().ok()?;
            token = token.append(block).ok()?;
        }
        Some(blocks(&token))
    }
}

fn asked(database: &str, verb: Verb) -> Asked<'_> {
    Asked { database: Some(database), roots: Roots::All, verb }
}

/// The bytes of each block, without signatures; and whether others signed it, too.
fn blocks(token: &Biscuit) -> Vec<(Vec<u8>, bool)> {
    let written = token.container().to_proto();
    let all = std::iter::once(written.authority).chain(written.blocks);
    all.map(|block| (block.block, block.external_signature.is_some())).collect()
}

/// The statements of a block.
fn statements(source: &str) -> impl Iterator<Item = Option<&str>> {
    source.lines().map(|line| line.strip_suffix(';'))
}

fn mint(source: &str) -> Option<Mint> {
    let mut mint = Mint::default();
    for statement in statements(source) {
        let statement = statement?;
        if let Some(terms) = between(statement, "right(", ")") {
            let terms = names(terms)?;
            let [database, root, verb] = <[String; 3]>::try_from(terms).ok()?;
            mint.rights.push(Right { database, root, verb: verb.parse().ok()? });
        } else if let Some(names) = set(statement, "replica") {
            mint.replicas = Some(replicas(&names)?);
        } else {
            mint.expires = Some(until(statement)?);
        }
    }
    Some(mint)
}

fn limits(source: &str) -> Option<Limits> {
    let mut limits = Limits::default();
    for statement in statements(source) {
        let statement = statement?;
        if let Some(names) = set(statement, "database") {
            limits.databases = Some(names);
        } else if let Some(names) = set(statement, "root") {
            limits.roots = Some(names);
        } else if let Some(names) = set(statement, "replica") {
            limits.replicas = Some(replicas(&names)?);
        } else if let Some(names) = set(statement, "verb") {
            let verbs = names.iter().map(|name| name.parse().ok());
            limits.verbs = Some(verbs.collect::<Option<_>>()?);
        } else {
            limits.expires = Some(until(statement)?);
        }
    }
    Some(limits)
}

/// The names of a check.
fn set(statement: &str, name: &str) -> Option<BTreeSet<String>> {
    let before = format!("check if {name}(${name}), {{");
    let inside = between(statement, &before, &format!("}}.contains(${name})"))?;
    let all = if inside == "," { Vec::new() } else { names(inside)? };
    Some(all.into_iter().collect())
}

fn replicas(names: &BTreeSet<String>) -> Option<BTreeSet<ReplicaId>> {
    names.iter().map(|name| name.parse().ok()).collect()
}

fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.strip_suffix(behind)
}

/// Names in quotes, with commas between them.
fn names(text: &str) -> Option<Vec<String>> {
    let inside = between(text, "\"", "\"")?;
    let all: Vec<String> = inside.split("\", \"").map(str::to_owned).collect();
    all.iter().all(|name| !name.contains('"')).then_some(all)
}

fn until(statement: &str) -> Option<SystemTime> {
    let text = statement.strip_prefix("check if time($time), $time < ")?;
    let micros = u64::try_from(laterbase_json::time::parse(text).ok()?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))
}
