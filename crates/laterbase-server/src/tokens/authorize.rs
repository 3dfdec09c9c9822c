//! Whether a token allows what is asked: a pure function of the token, the keys and the time.
//!
//! ```text
//!   length ─▶ signatures ─▶ blocks ─▶ revoked ids ─▶ what it says ─▶ time ─▶ rights ─▶ Grant
//! ```
//! The first that fails decides. Nothing of a token is run, so what one costs is bounded by its
//! length: a signature for each block, twice.

use std::time::SystemTime;

use biscuit_auth::Biscuit;
use biscuit_auth::error::{Format, Token};

use super::key::PublicKey;
use super::mint::hex;
use super::revoked::Revoked;
use super::said::Said;
use crate::access::Asked;
use crate::sync_grant::SyncGrant;

/// Bytes of a token's text; a longer one is not read.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Blocks of a token: each costs the check of a signature.
pub(super) const BLOCKS_MAX: usize = 16;

/// A token allows what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The revocation ids of its blocks, in hexadecimal digits: the first one names the token, and
    /// the last one the narrowing.
    pub revocation_ids: Vec<String>,
}

/// Why a token does not allow what was asked. For the operator: clients are told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none.
    #[error("no token")]
    Missing,
    /// It is too long, or has too many blocks.
    #[error("the token is too long")]
    TooLong,
    /// It is no token.
    #[error("what was sent is no token")]
    Malformed,
    /// Another key signed it.
    #[error("the token was signed with a key that this server does not know")]
    UnknownKey,
    /// A signature is wrong.
    #[error("the token's signature is wrong")]
    Forged,
    /// It, or the one that it was narrowed from, was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Another program wrote a part of it.
    #[error("the token holds what `token create` and `token narrow` do not write")]
    Strange,
    /// It allows something else.
    #[error("the token does not allow it")]
    NotGranted,
    /// It allows a peer to bring what it wrote, and does not say who the peer is.
    #[error("the token allows `sync-own` and names no replica: narrow it to those that it is for")]
    NoReplica,
}

impl Refused {
    /// Whether the token is good, and allows other things.
    #[must_use]
    pub fn is_of_rights(self) -> bool {
        match self {
            Self::NotGranted | Self::NoReplica => true,
            Self::Missing
            | Self::TooLong
            | Self::Malformed
            | Self::UnknownKey
            | Self::Forged
            | Self::Revoked
            | Self::Strange
            | Self::Expired => false,
        }
    }
}

/// Whether `token`, signed with one of `keys` and not revoked, allows what is asked at `now`.
///
/// # Errors
/// [`Refused`].
pub fn authorize(
    token: &str,
    keys: &[PublicKey],
    revoked: &Revoked,
    now: SystemTime,
    asked: &Asked<'_>,
) -> Result<Grant, Refused> {
    let (said, grant) = read(token, keys, revoked, now)?;
    if said.allows(asked) { Ok(grant) } else { Err(Refused::NotGranted) }
}

/// What `token`, signed with one of `keys` and not revoked, allows at `now` in sync sessions of a
/// database.
///
/// # Errors
/// [`Refused`].
pub fn sync_grant(
    token: &str,
    keys: &[PublicKey],
    revoked: &Revoked,
    now: SystemTime,
    database: &str,
) -> Result<SyncGrant, Refused> {
    read(token, keys, revoked, now)?.0.sync_grant(database)
}

/// What a token says that is good.
fn read(
    token: &str,
    keys: &[PublicKey],
    revoked: &Revoked,
    now: SystemTime,
) -> Result<(Said, Grant), Refused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refused::TooLong);
    }
    let choose = |id: Option<u32>| {
        // The id is no part of what is signed: without one nothing is guessed.
        let known = keys.iter().find(|key| id == Some(key.id()));
        known.map(PublicKey::inner).ok_or(Format::UnknownPublicKey)
    };
    let text = token;
    let token = Biscuit::from_base64(text, choose).map_err(|error| unread(&error))?;
    if token.block_count() > BLOCKS_MAX {
        return Err(Refused::TooLong);
    }
    // What is not signed may not differ either: one token has one text.
    if !token.to_base64().is_ok_and(|again| again == text) {
        return Err(Refused::Malformed);
    }
    let ids = token.revocation_identifiers();
    if ids.iter().any(|id| revoked.contains(id)) {
        return Err(Refused::Revoked);
    }
    let said = Said::read(&token).ok_or(Refused::Strange)?;
    if said.has_expired(now) {
        return Err(Refused::Expired);
    }
    Ok((said, Grant { revocation_ids: ids.iter().map(|id| hex(id)).collect() }))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is wrong, it is no token")]
fn unread(error: &Token) -> Refused {
    match error {
        Token::Format(Format::UnknownPublicKey) => Refused::UnknownKey,
        Token::Format(Format::Signature(_) | Format::SealedSignature) => Refused::Forged,
        _ => Refused::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE;
    use proptest::prelude::*;

    use super::super::{ALL, Limits, Mint, Right, SecretKey, narrow};
    use super::*;
    use laterbase::{ReplicaId, RootName, sync};

    use crate::access::{Roots, Verb};

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn key() -> SecretKey {
        format!("ed25519-private/{}", "07".repeat(32)).parse().unwrap()
    }

    fn right(database: &str, root: &str, verb: Verb) -> Right {
        Right { database: database.to_owned(), root: root.to_owned(), verb }
    }

    fn token(rights: &[Right], expires: Option<u64>) -> String {
        let mint = Mint { rights: rights.to_vec(), expires: expires.map(at), ..Mint::default() };
        mint.sign(&key()).unwrap()
    }

    fn one(root: &str, verb: Verb) -> Asked<'_> {
        Asked { database: Some("port"), roots: Roots::One(root), verb }
    }

    fn ask(token: &str, asked: Asked<'_>) -> Result<Grant, Refused> {
        authorize(token, &[key().public()], &Revoked::default(), at(NOW), &asked)
    }

    fn limits(roots: &[&str], verbs: &[Verb]) -> Limits {
        let roots: BTreeSet<String> = roots.iter().map(|&root| root.to_owned()).collect();
        let verbs: BTreeSet<Verb> = verbs.iter().copied().collect();
        Limits {
            roots: Some(roots).filter(|roots| !roots.is_empty()),
            verbs: Some(verbs).filter(|verbs| !verbs.is_empty()),
            ..Limits::default()
        }
    }

    #[test]
    fn a_right_allows_its_database_root_and_verb_and_nothing_else() {
        let token = token(&[right("port", "shipment", Verb::Read)], None);
        assert!(ask(&token, one("shipment", Verb::Read)).is_ok());
        let refused = |asked| assert_eq!(ask(&token, asked), Err(Refused::NotGranted), "{asked:?}");
        refused(one("truck", Verb::Read));
        refused(one("shipment", Verb::Write));
        refused(Asked { database: Some("yard"), ..one("shipment", Verb::Read) });
        refused(Asked { database: None, ..one("shipment", Verb::Read) });
        refused(Asked { roots: Roots::All, ..one("shipment", Verb::Read) });
        refused(one("*", Verb::Read));
    }

    #[test]
    fn all_databases_and_all_roots_are_granted_by_a_star_alone() {
        let whole = token(&[right(ALL, ALL, Verb::Read)], None);
        assert!(ask(&whole, one("shipment", Verb::Read)).is_ok());
        let spanning = Asked { database: None, roots: Roots::All, verb: Verb::Read };
        assert!(ask(&whole, spanning).is_ok());
        let several: Vec<Right> =
            ["shipment", "truck"].map(|root| right("port", root, Verb::Read)).into();
        let several = token(&several, None);
        assert_eq!(
            ask(&several, Asked { roots: Roots::All, ..one("", Verb::Read) }),
            Err(Refused::NotGranted)
        );
    }

    #[test]
    fn narrowing_takes_rights_away_and_never_adds_one() {
        let parent =
            token(&[right("port", ALL, Verb::Read), right("port", ALL, Verb::Write)], None);
        let child = narrow(&parent, &limits(&["shipment"], &[Verb::Read])).unwrap();
        assert!(ask(&child, one("shipment", Verb::Read)).is_ok());
        for asked in [one("shipment", Verb::Write), one("truck", Verb::Read)] {
            assert!(ask(&parent, asked).is_ok());
            assert_eq!(ask(&child, asked), Err(Refused::NotGranted));
        }
        let spanning = Asked { roots: Roots::All, ..one("", Verb::Read) };
        assert!(ask(&parent, spanning).is_ok());
        assert_eq!(ask(&child, spanning), Err(Refused::NotGranted));
        let wider = narrow(&child, &limits(&["shipment", "truck"], &[])).unwrap();
        assert_eq!(ask(&wider, one("truck", Verb::Read)), Err(Refused::NotGranted));
    }

    #[test]
    fn any_root_is_one_that_rights_and_all_limits_leave() {
        let any = |database, verb| Asked { database: Some(database), roots: Roots::Any, verb };
        let token = token(&[right("port", ALL, Verb::Read)], None);
        let (a, b) = (limits(&["a", "b"], &[]), limits(&["b", "c"], &[]));
        let both = narrow(&narrow(&token, &a).unwrap(), &b).unwrap();
        for token in [&token, &both] {
            assert!(ask(token, any("port", Verb::Read)).is_ok());
            for asked in [any("port", Verb::Write), any("yard", Verb::Read)] {
                assert_eq!(ask(token, asked), Err(Refused::NotGranted), "{asked:?}");
            }
        }
        let neither = narrow(&both, &limits(&["a", "c"], &[])).unwrap();
        assert_eq!(ask(&neither, any("port", Verb::Read)), Err(Refused::NotGranted));
    }

    #[test]
    fn what_a_holder_writes_into_a_block_by_other_means_is_refused() {
        let child =
            narrow(&token(&[right("port", ALL, Verb::Read)], None), &limits(&["shipment"], &[]));
        let child = biscuit_auth::UnverifiedBiscuit::from_base64(child.unwrap()).unwrap();
        for code in [
            "right(\"port\", \"*\", \"write\"); right(\"*\", \"*\", \"admin\");",
            "root(\"shipment\"); verb(\"read\"); database(\"port\");",
            "right($d, $r, $v) <- database($d), root($r), verb($v);",
            "check if true;",
            "check if root($root), {\"shipment\"}.contains($root) or true;",
            "check if replica($replica), {\"1\"}.contains($replica);",
            "replica(\"0000000000000001\");",
            "check if root($root), {\"shipment\"}.contains($root), {\"a\"}.contains(\"a\");",
            "check all root($root), {\"shipment\"}.contains($root);",
        ] {
            let block = biscuit_auth::BlockBuilder::new().code(code).unwrap();
            let forged = child.append(block).unwrap().to_base64().unwrap();
            for asked in [one("shipment", Verb::Read), one("shipment", Verb::Write)] {
                assert_eq!(ask(&forged, asked), Err(Refused::Strange), "{code}");
            }
        }
    }

    #[test]
    fn an_expired_token_is_refused_from_that_second_on() {
        let rights = [right(ALL, ALL, Verb::Read)];
        assert!(ask(&token(&rights, Some(NOW + 1)), one("a", Verb::Read)).is_ok());
        let refused = Err(Refused::Expired);
        assert_eq!(ask(&token(&rights, Some(NOW)), one("a", Verb::Read)), refused);
        let limits = Limits { expires: Some(at(NOW)), ..Limits::default() };
        let child = narrow(&token(&rights, Some(NOW + 1)), &limits).unwrap();
        assert_eq!(ask(&child, one("a", Verb::Read)), refused);
    }

    #[test]
    fn a_revoked_token_takes_those_narrowed_from_it_along_and_no_others() {
        let parent = token(&[right(ALL, ALL, Verb::Read)], None);
        let other = token(&[right(ALL, ALL, Verb::Read)], Some(NOW + 5));
        let child = narrow(&parent, &limits(&["a"], &[])).unwrap();
        let ask = |token: &str, list: &Revoked| {
            authorize(token, &[key().public()], list, at(NOW), &one("a", Verb::Read))
        };
        let ids = ask(&child, &Revoked::default()).unwrap().revocation_ids;
        assert_eq!(ids.len(), 2);
        let list =
            |id: &str| Revoked::parse(&Revoked::with_one_more("", id, None).unwrap()).unwrap();
        for token in [&parent, &child] {
            assert_eq!(ask(token, &list(&ids[0])), Err(Refused::Revoked));
        }
        assert!(ask(&other, &list(&ids[0])).is_ok());
        assert!(ask(&parent, &list(&ids[1])).is_ok());
        assert_eq!(ask(&child, &list(&ids[1])), Err(Refused::Revoked));
    }

    #[test]
    fn a_token_of_another_key_is_refused_and_one_of_several_keys_is_taken() {
        let token = token(&[right(ALL, ALL, Verb::Read)], None);
        let other = SecretKey::generate().public();
        let with = |keys: &[PublicKey]| {
            authorize(&token, keys, &Revoked::default(), at(NOW), &one("a", Verb::Read))
        };
        assert_eq!(with(&[other]), Err(Refused::UnknownKey));
        assert_eq!(with(&[]), Err(Refused::UnknownKey));
        assert!(with(&[other, key().public()]).is_ok());
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_read() {
        assert_eq!(
            ask(&"A".repeat(TOKEN_BYTES_MAX + 1), one("a", Verb::Read)),
            Err(Refused::TooLong)
        );
        assert_eq!(
            ask(&"A".repeat(TOKEN_BYTES_MAX), one("a", Verb::Read)),
            Err(Refused::Malformed)
        );
        let mut token = biscuit_auth::UnverifiedBiscuit::from_base64(token(
            &[right(ALL, ALL, Verb::Read)],
            None,
        ))
        .unwrap();
        for _ in 0..BLOCKS_MAX {
            token = token.append(biscuit_auth::BlockBuilder::new()).unwrap();
        }
        assert_eq!(ask(&token.to_base64().unwrap(), one("a", Verb::Read)), Err(Refused::TooLong));
    }

    #[test]
    fn rules_that_would_take_long_are_not_run() {
        let parent = token(&[right(ALL, ALL, Verb::Read)], None);
        let parent = biscuit_auth::UnverifiedBiscuit::from_base64(parent).unwrap();
        let mut code: String = (0..40).map(|n| format!("n({n});")).collect();
        code.push_str("all($a, $b, $c, $d) <- n($a), n($b), n($c), n($d);");
        let block = biscuit_auth::BlockBuilder::new().code(&code).unwrap();
        let costly = parent.append(block).unwrap().to_base64().unwrap();
        let began = std::time::Instant::now();
        assert_eq!(ask(&costly, one("a", Verb::Read)), Err(Refused::Strange));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "é}.contains($root)"];

    fn name() -> impl Strategy<Value = String> {
        prop::sample::select(&NAMES[..]).prop_map(str::to_owned)
    }

    fn name_or_all() -> impl Strategy<Value = String> {
        prop_oneof![3 => name(), 1 => Just(ALL.to_owned())]
    }

    fn verb() -> impl Strategy<Value = Verb> {
        prop::sample::select(&Verb::GRANTABLE[..])
    }

    fn rights() -> impl Strategy<Value = Vec<Right>> {
        let right = (name_or_all(), name_or_all(), verb());
        let right = right.prop_map(|(database, root, verb)| Right { database, root, verb });
        prop::collection::vec(right, 1..4)
    }

    fn some_limits() -> impl Strategy<Value = Limits> {
        let names = || prop::option::of(prop::collection::btree_set(name(), 0..3));
        let verbs = prop::option::of(prop::collection::btree_set(verb(), 0..4));
        let expires = prop::option::of((NOW - 2..NOW + 2).prop_map(at));
        let all = (names(), names(), verbs, some_replicas(), expires);
        all.prop_map(|(databases, roots, verbs, replicas, expires)| Limits {
            databases,
            roots,
            verbs,
            replicas,
            expires,
        })
    }

    fn some_replicas() -> impl Strategy<Value = Option<BTreeSet<ReplicaId>>> {
        let id = (1..4_u64).prop_map(ReplicaId::from_u64);
        prop::option::of(prop::collection::btree_set(id, 0..4))
    }

    fn granted(token: &str, database: &str) -> Result<SyncGrant, Refused> {
        sync_grant(token, &[key().public()], &Revoked::default(), at(NOW), database)
    }

    /// Whether a peer relays, which roots it takes part in, of which it is told, whom it may be.
    type InSync = (bool, Vec<RootName>, Vec<RootName>, Option<BTreeSet<ReplicaId>>);

    /// What rights and limits mean for sync, without a token.
    fn in_sync(mint: &Mint, limits: &[Limits], database: &str) -> Option<InSync> {
        let there_are = NAMES.into_iter().chain(["one-that-no-token-names"]);
        let there_are: Vec<RootName> =
            there_are.filter_map(|name| RootName::try_from(name).ok()).collect();
        let may = |root: Roots<'_>, verb| {
            allows(&mint.rights, limits, &Asked { database: Some(database), roots: root, verb })
        };
        let of = |verb| {
            let is = |root: &&RootName| may(Roots::One(root.as_str()), verb);
            there_are.iter().filter(is).copied().collect::<Vec<_>>()
        };
        let named = limits.iter().map(|limits| &limits.replicas).chain([&mint.replicas]).flatten();
        let replicas = named.cloned().reduce(|one, other| &one & &other);
        if limits.iter().any(|limits| limits.expires.is_some_and(|expires| expires <= at(NOW))) {
            return None;
        }
        if may(Roots::All, Verb::Relay) {
            return Some((true, there_are.clone(), there_are, replicas));
        }
        let own = of(Verb::SyncOwn);
        (!own.is_empty() && replicas.is_some()).then(|| (false, own, of(Verb::Read), replicas))
    }

    /// What a right and limits mean, without a token.
    fn allows(rights: &[Right], limits: &[Limits], asked: &Asked<'_>) -> bool {
        let database = asked.database.unwrap_or(ALL);
        let root = match asked.roots {
            Roots::All => ALL,
            Roots::One(root) => root,
            Roots::Any => {
                let mut there_are = NAMES.into_iter().chain([ALL, "one that no token names"]);
                return there_are.any(|root| {
                    allows(rights, limits, &Asked { roots: Roots::One(root), ..*asked })
                });
            }
        };
        let is = |granted: &str, asked: &str| granted == ALL || granted == asked;
        rights.iter().any(|right| {
            is(&right.database, database) && is(&right.root, root) && right.verb == asked.verb
        }) && limits.iter().all(|limits| {
            limits.databases.as_ref().is_none_or(|names| names.contains(database))
                && limits.roots.as_ref().is_none_or(|names| names.contains(root))
                && limits.verbs.as_ref().is_none_or(|verbs| verbs.contains(&asked.verb))
                && limits.expires.is_none_or(|expires| at(NOW) < expires)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn a_narrowed_token_allows_what_its_limits_leave_of_its_parent(
            rights in rights(),
            narrowings in prop::collection::vec(some_limits(), 0..4),
            database in prop::option::of(name()),
            root in prop::option::of(name()),
            known in any::<bool>(),
            verb in verb(),
        ) {
            let roots = if known { root.as_deref().into() } else { Roots::Any };
            let asked = Asked { database: database.as_deref(), roots, verb };
            let mut text = token(&rights, None);
            let mut was = ask(&text, asked).is_ok();
            prop_assert_eq!(was, allows(&rights, &[], &asked));
            for (count, limits) in narrowings.iter().enumerate() {
                text = narrow(&text, limits).unwrap();
                let is = ask(&text, asked).is_ok();
                prop_assert!(was || !is, "narrowing allowed more");
                prop_assert_eq!(is, allows(&rights, &narrowings[..=count], &asked));
                was = is;
            }
        }

        #[test]
        fn a_narrowed_token_syncs_within_what_its_parent_may(
            rights in rights(),
            replicas in some_replicas(),
            narrowings in prop::collection::vec(some_limits(), 0..4),
            database in name(),
        ) {
            let mint = Mint { rights, replicas, expires: None };
            let mut text = mint.sign(&key()).unwrap();
            let named = |roots: &sync::Roots| {
                let all = NAMES.into_iter().chain(["one-that-no-token-names"]);
                let all = all.filter_map(|name| RootName::try_from(name).ok());
                all.filter(|root| roots.names(root)).collect::<Vec<_>>()
            };
            let shown = |grant: SyncGrant| {
                let SyncGrant { roots, told, may_relay, replicas } = grant;
                (may_relay, named(&roots), named(&told), replicas)
            };
            for count in 0..=narrowings.len() {
                if let Some(limits) = count.checked_sub(1).and_then(|last| narrowings.get(last)) {
                    text = narrow(&text, limits).unwrap();
                }
                let granted = granted(&text, &database).ok().map(shown);
                prop_assert_eq!(granted, in_sync(&mint, &narrowings[..count], &database));
            }
        }

        #[test]
        fn a_token_with_one_bit_changed_is_refused(at in 0.0..1.0_f64, bit in 0..8_u8) {
            let parent = token(&[right(ALL, ALL, Verb::Read)], Some(NOW + 9));
            let child = narrow(&parent, &limits(&["a"], &[])).unwrap();
            for text in [parent, child] {
                let mut bytes = URL_SAFE.decode(&text).unwrap();
                let place = (at * bytes.len() as f64) as usize;
                bytes[place] ^= 1 << bit;
                let changed = URL_SAFE.encode(&bytes);
                prop_assert!(ask(&changed, one("a", Verb::Read)).is_err(), "byte {}", place);
            }
        }

        #[test]
        fn bytes_that_are_no_token_are_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            text in ".{0,100}",
        ) {
            prop_assert!(ask(&URL_SAFE.encode(&bytes), one("a", Verb::Read)).is_err());
            prop_assert!(ask(&text, one("a", Verb::Read)).is_err());
            prop_assert!(super::super::inspect(&text).is_err());
        }
    }
}
