//! Making tokens, narrowing them, and looking at them.
//!
//! To narrow takes the token and nothing else: its holder needs no key and asks nobody. Names go
//! into a token as terms, never as text of its language.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use biscuit_auth::builder::{Term, date, fact, set, string};
use biscuit_auth::error::Token;
use biscuit_auth::{Biscuit, BiscuitBuilder, BlockBuilder, UnverifiedBiscuit};
use laterbase::ReplicaId;

use super::authorize::{BLOCKS_MAX, TOKEN_BYTES_MAX};
use super::key::SecretKey;
use crate::access::Verb;

/// What a token allows: a verb, in a database, under a root; [`super::ALL`] stands for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// In which database.
    pub database: String,
    /// Under which root.
    pub root: String,
    /// What.
    pub verb: Verb,
}

/// What a new token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mint {
    /// What it allows.
    pub rights: Vec<Right>,
    /// Which replicas a peer that shows it may be; any, if not given. `sync-own` needs them: what
    /// these wrote is its own.
    pub replicas: Option<BTreeSet<ReplicaId>>,
    /// Until when; for ever, if not given.
    pub expires: Option<SystemTime>,
}

/// What a token is narrowed to. What is `None` stays as it is; an empty set leaves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// To these databases.
    pub databases: Option<BTreeSet<String>>,
    /// To these roots.
    pub roots: Option<BTreeSet<String>>,
    /// To these verbs.
    pub verbs: Option<BTreeSet<Verb>>,
    /// To these replicas, where it is shown to sync.
    pub replicas: Option<BTreeSet<ReplicaId>>,
    /// Until then.
    pub expires: Option<SystemTime>,
}

/// One block of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// By which it, and every token that was narrowed from it, is revoked: hexadecimal digits.
    pub revocation_id: String,
    /// What it says, in the language of Biscuits: a line for each fact and check.
    pub source: String,
}

/// A token cannot be made or narrowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It allows nothing.
    #[error("a token without a right allows nothing: name databases, roots and verbs")]
    Nothing,
    /// It names what no database or root is called.
    #[error("a token cannot name `{name}`: leave out quotes and control characters")]
    Name {
        /// The name.
        name: String,
    },
    /// The text is no token.
    #[error("this is no token: give the one line that `token create` wrote")]
    Malformed,
    /// It would be refused for its length.
    #[error(
        "the token would have {bytes} bytes or {blocks} blocks, and servers take {TOKEN_BYTES_MAX} \
         and {BLOCKS_MAX}: narrow an earlier one, or name fewer rights"
    )]
    TooLong {
        /// Its bytes as text.
        bytes: usize,
        /// Its blocks.
        blocks: usize,
    },
    /// The library refused.
    #[error("the token cannot be made: {reason}")]
    Failed {
        /// Why.
        reason: String,
    },
}

impl Mint {
    /// The token's text: characters that may stand in a header.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn sign(&self, key: &SecretKey) -> Result<String, TokenError> {
        if self.rights.is_empty() {
            return Err(TokenError::Nothing);
        }
        for Right { database, root, .. } in &self.rights {
            check_names([database, root])?;
        }
        let builder = self.builder().map_err(failed)?.root_key_id(key.public().id());
        let token = builder.build(key.pair()).map_err(failed)?;
        bounded(token.to_base64().map_err(failed)?, token.block_count())
    }

    /// The first block.
    pub(super) fn builder(&self) -> Result<BiscuitBuilder, Token> {
        let mut builder = Biscuit::builder();
        for Right { database, root, verb } in &self.rights {
            let terms = [string(database), string(root), string(verb.name())];
            builder = builder.fact(fact("right", &terms))?;
        }
        if let Some(replicas) = &self.replicas {
            let names = HashMap::from([("names".to_owned(), ids(replicas))]);
            builder = builder.code_with_params(REPLICAS, names, HashMap::new())?;
        }
        if let Some(expires) = self.expires {
            let until = HashMap::from([("until".to_owned(), date(&expires))]);
            builder = builder.code_with_params(UNTIL, until, HashMap::new())?;
        }
        Ok(builder)
    }
}

impl Limits {
    /// The block that says so.
    pub(super) fn block(&self) -> Result<BlockBuilder, Token> {
        let names = |names: &BTreeSet<String>| set(names.iter().map(|name| string(name)).collect());
        let verbs =
            |verbs: &BTreeSet<Verb>| set(verbs.iter().map(|verb| string(verb.name())).collect());
        let checks = [
            (DATABASES, self.databases.as_ref().map(names)),
            (ROOTS, self.roots.as_ref().map(names)),
            (VERBS, self.verbs.as_ref().map(verbs)),
            (REPLICAS, self.replicas.as_ref().map(ids)),
            (UNTIL, self.expires.as_ref().map(date)),
        ];
        let mut block = BlockBuilder::new();
        for (code, term) in checks {
            let Some(term) = term else { continue };
            let name = if code == UNTIL { "until" } else { "names" };
            let terms = HashMap::from([(name.to_owned(), term)]);
            block = block.code_with_params(code, terms, HashMap::new())?;
        }
        Ok(block)
    }
}

const DATABASES: &str = "check if database($database), {names}.contains($database)";
const ROOTS: &str = "check if root($root), {names}.contains($root)";
const VERBS: &str = "check if verb($verb), {names}.contains($verb)";
const REPLICAS: &str = "check if replica($replica), {names}.contains($replica)";
const UNTIL: &str = "check if time($time), $time < {until}";

fn ids(replicas: &BTreeSet<ReplicaId>) -> Term {
    set(replicas.iter().map(|replica| string(&replica.to_string())).collect())
}

/// A token that allows what `token` does, within `limits`.
///
/// # Errors
/// [`TokenError`].
pub fn narrow(token: &str, limits: &Limits) -> Result<String, TokenError> {
    let token = parse(token)?;
    check_names(limits.databases.iter().chain(&limits.roots).flatten())?;
    let block = limits.block().map_err(failed)?;
    let narrower = token.append(block).map_err(failed)?;
    bounded(narrower.to_base64().map_err(failed)?, narrower.block_count())
}

/// What a token says, block by block. Its signature is not checked.
///
/// # Errors
/// [`TokenError`] if it is none.
pub fn inspect(token: &str) -> Result<Vec<Block>, TokenError> {
    let token = parse(token)?;
    let ids = token.revocation_identifiers();
    let block = |(index, id): (usize, &Vec<u8>)| {
        let source = token.print_block_source(index).map_err(|_| TokenError::Malformed)?;
        Ok(Block { revocation_id: hex(id), source: source.trim_end().to_owned() })
    };
    ids.iter().enumerate().map(block).collect()
}

/// Names that mean the same wherever a token is shown.
fn check_names<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), TokenError> {
    let is_plain = |name: &&String| !name.contains(|c: char| c == '"' || c.is_control());
    match names.into_iter().find(|name| !is_plain(name)) {
        Some(name) => Err(TokenError::Name { name: name.clone() }),
        None => Ok(()),
    }
}

fn parse(text: &str) -> Result<UnverifiedBiscuit, TokenError> {
    let text = text.trim();
    if text.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    UnverifiedBiscuit::from_base64(text).map_err(|_| TokenError::Malformed)
}

fn bounded(text: String, blocks: usize) -> Result<String, TokenError> {
    if text.len() > TOKEN_BYTES_MAX || blocks > BLOCKS_MAX {
        return Err(TokenError::TooLong { bytes: text.len(), blocks });
    }
    Ok(text)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands on")]
fn failed(error: Token) -> TokenError {
    TokenError::Failed { reason: error.to_string() }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
