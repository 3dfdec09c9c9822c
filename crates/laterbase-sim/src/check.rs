//! What must be true when all have come together: one set of batches, whole, named by the rules,
//! with everything that was ever promised, and the same for every reader.

use std::collections::{BTreeMap, BTreeSet};

use laterbase_event::Hash;
use laterbase_sync::{Heads, Replica};

use crate::held::{Batches, batches_of, heads_of};
use crate::memory_node::events_of;
use crate::node::{ForkSeen, Node, Seen, Violation, violation};
use crate::world::World;

impl<N: Node> World<N> {
    /// Checks everything.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        let nodes: Vec<_> = self.seats.iter().map(|seat| &seat.node).collect();
        let promised = self.seats.iter().flat_map(|seat| seat.promises.batches.keys().copied());
        check_copies(&nodes, promised)?;
        self.check_ids()
    }

    fn check_ids(&self) -> Result<(), Violation> {
        let mut ids = BTreeMap::new();
        for (at, seat) in self.seats.iter().enumerate() {
            if let Some(other) = ids.insert(seat.node.replica(), at) {
                return Err(violation!(
                    "copies {other} and {at} write under one id, {}",
                    seat.node.replica()
                ));
            }
        }
        Ok(())
    }
}

/// Checks that these copies hold the same, whole and under the right names, with everything that
/// was promised.
pub(crate) fn check_copies<N: Node>(
    nodes: &[&N],
    promised: impl Iterator<Item = Hash>,
) -> Result<(), Violation> {
    let named = |at: usize, Violation(text)| violation!("copy {at}: {text}");
    let mut looks = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        node.verify().map_err(|violation| named(at, violation))?;
        looks.push(Look::at(*node).map_err(|violation| named(at, violation))?);
    }
    for (at, look) in looks.iter().enumerate() {
        look.check().map_err(|violation| named(at, violation))?;
    }
    check_same(&looks, promised)
}

/// What a copy shows of itself.
#[derive(Clone, Debug)]
struct Look {
    heads: Heads,
    batches: Batches,
    visible: Vec<Seen>,
    forks: Option<BTreeSet<ForkSeen>>,
    folded: BTreeMap<String, String>,
}

impl Look {
    fn at<N: Node>(node: &N) -> Result<Self, Violation> {
        let port = node.port().ok_or_else(|| violation!("it is not open"))?;
        Ok(Self {
            heads: port.heads(),
            batches: batches_of(&port)?,
            visible: node.visible()?,
            forks: node.forks()?.map(|forks| forks.into_iter().collect()),
            folded: node.folded()?,
        })
    }

    /// The names of its logs, the forks that it reports and the events that it shows follow from
    /// its batches.
    fn check(&self) -> Result<(), Violation> {
        let (heads, forks) = heads_of(&self.batches)?;
        if self.heads != heads {
            return Err(violation!(
                "calls its logs by other names than its batches give: {}",
                first_difference(&self.heads, &heads)
            ));
        }
        if let Some(reported) = self.forks.as_ref().filter(|reported| **reported != forks) {
            return Err(violation!("reports the forks {reported:?}, there are {forks:?}"));
        }
        let mut expected: Vec<Seen> = Vec::new();
        for batch in self.batches.values() {
            expected.extend(events_of(&batch.bytes)?);
        }
        expected.sort_unstable();
        if self.visible.windows(2).any(|pair| pair[0].id > pair[1].id) {
            return Err(violation!("reads events out of the order of their ids"));
        }
        let mut sorted = self.visible.clone();
        sorted.sort_unstable();
        if sorted != expected {
            return Err(violation!(
                "reads {} events, and holds {}, or others",
                sorted.len(),
                expected.len()
            ));
        }
        Ok(())
    }
}

/// All hold the same, and everything that was promised.
fn check_same(looks: &[Look], promised: impl Iterator<Item = Hash>) -> Result<(), Violation> {
    let Some((first, rest)) = looks.split_first() else { return Ok(()) };
    for (at, look) in rest.iter().enumerate() {
        if look.batches != first.batches {
            return Err(violation!(
                "copy {} holds {} batches and copy 0 {}, not the same ones",
                at + 1,
                look.batches.len(),
                first.batches.len()
            ));
        }
        if let Some((row, state)) =
            look.folded.iter().find(|(row, state)| first.folded.get(*row) != Some(*state))
        {
            return Err(violation!(
                "copy {} folds {row} to {state}, and copy 0 to {:?}",
                at + 1,
                first.folded.get(row)
            ));
        }
    }
    for hash in promised {
        if !first.batches.contains_key(&hash) {
            return Err(violation!("a batch that was acknowledged is nowhere: {hash:?}"));
        }
    }
    Ok(())
}

fn first_difference<T: PartialEq + std::fmt::Debug>(
    left: &BTreeMap<laterbase_sync::LogId, T>,
    right: &BTreeMap<laterbase_sync::LogId, T>,
) -> String {
    let keys: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let differs = keys.into_iter().find(|key| left.get(key) != right.get(key));
    differs.map_or_else(String::new, |key| {
        format!("{key:?}: {:?}, not {:?}", left.get(key), right.get(key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_node::MemoryNode;
    use crate::node::{Birth, Care, Ending, Place, Wish};
    use laterbase_event::{DatabaseId, EventId};
    use laterbase_log::storage::Random;
    use laterbase_sync::LogId;

    fn append(node: &mut MemoryNode, payload: u8) {
        let wish = Wish {
            root: "truck",
            key: "7".to_owned(),
            type_name: "seen",
            valid_us: None,
            payload: vec![payload],
        };
        node.append(&[wish], Care::Flushed);
    }

    /// What a copy shows that wrote three events, and two more after it was rolled back.
    fn look() -> Look {
        let birth = Birth {
            database: DatabaseId::from_bytes([1; 16]),
            number: 0,
            seed: 1,
            wall_us: 5_000_000,
            is_strict: false,
        };
        let mut node = MemoryNode::create(&birth).unwrap();
        append(&mut node, 1);
        let backup = node.backup();
        append(&mut node, 2);
        let mut other = node.twin(&Birth { seed: 2, ..birth }, Place::InPlace);
        other.reopen(false).unwrap();
        node.stop(Ending::Killed, &mut Random::new(1));
        node.restore(&backup, Place::InPlace);
        node.reopen(false).unwrap();
        append(&mut node, 3);
        let (mut here, mut there) = (node.port().unwrap(), other.port().unwrap());
        let mut asks = laterbase_sync::Session::initiator(Default::default(), None);
        let mut answers = laterbase_sync::Session::responder(Default::default());
        for _ in 0..10 {
            while let Some(frame) = asks.poll_frame(0, &mut here) {
                answers.handle_frame(&frame, 0, &mut there);
            }
            while let Some(frame) = answers.poll_frame(0, &mut there) {
                asks.handle_frame(&frame, 0, &mut here);
            }
        }
        let mut look = Look::at(&node).unwrap();
        look.forks = Some(heads_of(&look.batches).unwrap().1);
        look
    }

    fn assert_found(tampered: &Look, by: &str) {
        let Violation(text) = tampered.check().unwrap_err();
        assert!(text.contains(by), "{text}");
    }

    #[test]
    fn a_good_copy_with_a_fork_passes() {
        let look = look();
        look.check().unwrap();
        assert_eq!((look.batches.len(), look.heads.len(), look.visible.len()), (3, 3, 3));
        assert_eq!(look.forks.as_ref().map(BTreeSet::len), Some(1));
    }

    #[test]
    fn a_fork_that_is_not_reported_is_found() {
        assert_found(&Look { forks: Some(BTreeSet::new()), ..look() }, "reports the forks");
    }

    #[test]
    fn a_log_of_another_name_is_found() {
        let mut look = look();
        let (log, head) = look.heads.pop_last().unwrap();
        look.heads.insert(LogId::new(log.root, laterbase_event::ReplicaId::from_u64(9)), head);
        assert_found(&look, "other names");
    }

    #[test]
    fn an_event_that_is_not_shown_shown_twice_or_out_of_order_is_found() {
        let good = look();
        let mut less = good.clone();
        less.visible.pop();
        assert_found(&less, "reads 2 events");
        let mut twice = good.clone();
        twice.visible.push(good.visible[2]);
        assert_found(&twice, "reads 4 events");
        let mut turned = good.clone();
        turned.visible.reverse();
        assert_found(&turned, "out of the order");
        let mut other = good;
        other.visible[0].id = EventId::from_u128(1);
        assert_found(&other, "or others");
    }

    #[test]
    fn a_gap_is_found() {
        let mut look = look();
        let plain = |batch: &crate::held::Batch| batch.first_seq == 1;
        let first = look.batches.iter().find(|(_, batch)| plain(batch)).map(|(hash, _)| *hash);
        look.batches.remove(&first.unwrap());
        assert_found(&look, "extend nothing that is held");
    }

    #[test]
    fn a_batch_that_is_missing_here_or_everywhere_is_found() {
        let good = look();
        let mut less = good.clone();
        let (hash, _) = less.batches.pop_first().unwrap();
        check_same(&[good.clone(), good.clone()], [hash].into_iter()).unwrap();
        let Violation(text) = check_same(&[good, less.clone()], std::iter::empty()).unwrap_err();
        assert!(text.contains("not the same ones"), "{text}");
        let Violation(text) = check_same(&[less.clone(), less], [hash].into_iter()).unwrap_err();
        assert!(text.contains("is nowhere"), "{text}");
    }
}
