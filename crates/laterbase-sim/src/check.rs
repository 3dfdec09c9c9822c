//! What must be true when all have come together: one set of batches, whole, named by the rules,
//! with everything that was ever promised, and the same for every reader.

use std::collections::{BTreeMap, BTreeSet};

use laterbase_event::Hash;
use laterbase_sync::Replica;

use crate::held::{Batches, batches_of, heads_of};
use crate::memory_node::events_of;
use crate::node::{Node, Seen, Violation, violation};
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
    let mut first: Option<Batches> = None;
    for (at, node) in nodes.iter().enumerate() {
        let batches = check_copy(at, *node)?;
        match &first {
            None => first = Some(batches),
            Some(first) if *first == batches => {}
            Some(first) => {
                return Err(violation!(
                    "copy {at} holds {} batches and copy 0 {}, not the same ones",
                    batches.len(),
                    first.len()
                ));
            }
        }
    }
    let batches = first.unwrap_or_default();
    for hash in promised {
        if !batches.contains_key(&hash) {
            return Err(violation!("a batch that was acknowledged is nowhere: {hash:?}"));
        }
    }
    Ok(())
}

/// Checks one copy by itself; what it holds.
fn check_copy<N: Node>(at: usize, node: &N) -> Result<Batches, Violation> {
    let port = node.port().ok_or_else(|| violation!("copy {at} is not open"))?;
    let name = |Violation(text)| violation!("copy {at}: {text}");
    let batches = batches_of(&port).map_err(name)?;
    let (heads, forks) = heads_of(&batches).map_err(name)?;
    if port.heads() != heads {
        return Err(violation!(
            "copy {at} calls its logs by other names than its batches give: {}",
            first_difference(&port.heads(), &heads)
        ));
    }
    node.verify().map_err(name)?;
    if let Some(reported) = node.forks().map_err(name)? {
        let reported: BTreeSet<_> = reported.into_iter().collect();
        if reported != forks {
            return Err(violation!(
                "copy {at} reports the forks {reported:?}, there are {forks:?}"
            ));
        }
    }
    check_events(at, node, &batches)?;
    Ok(batches)
}

/// Readers see the events of the batches, in the order of their ids.
fn check_events<N: Node>(at: usize, node: &N, batches: &Batches) -> Result<(), Violation> {
    let mut expected: Vec<Seen> = Vec::new();
    for batch in batches.values() {
        expected.extend(events_of(&batch.bytes)?);
    }
    expected.sort_unstable();
    let visible = node.visible()?;
    if visible.windows(2).any(|pair| pair[0].id > pair[1].id) {
        return Err(violation!("copy {at} reads events out of the order of their ids"));
    }
    let mut sorted = visible;
    sorted.sort_unstable();
    if sorted != expected {
        return Err(violation!(
            "copy {at} reads {} events, and holds {}, or others",
            sorted.len(),
            expected.len()
        ));
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
