//! How one batch comes in: held already, proved and stored, one of a fork, or refused.
//!
//! It is placed by what it says itself, writer, root, number and the hash before it, and not by
//! what its sender calls its log: two peers that know of different forks call logs differently.

use alloc::{boxed::Box, vec::Vec};

use laterbase_event::{BatchView, Hash, Verifier};

use crate::{
    check::{self, Looked},
    frame::Fault,
    log_id::{LogId, alias},
    mutant::{self, Mutant},
    outcome::Outcome,
    port::{Checked, Offer, Replica, Split, StoreError},
};

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Stored,
    Held,
    Gap,
    Forked(Box<Split>),
    Refused(Fault),
    Failed(StoreError),
}

/// Takes one batch in. `via` is who brought it.
pub(crate) fn take<R: Replica>(
    looked: &Looked<'_>,
    verifier: &mut Verifier,
    via: Option<laterbase_event::ReplicaId>,
    port: &mut R,
    outcomes: &mut Vec<Outcome>,
) -> Taken {
    let header = looked.view.header();
    let (writer, root) = (header.replica, header.root);
    // The port may take a new id while it stores a batch of this copy's own log.
    let is_own = writer == port.replica();
    let is_held = port.find(writer, &root, header.last_seq(), &looked.hash).is_some();
    if is_held && !mutant::is_active(Mutant::NoDuplicateCheck) {
        return Taken::Held;
    }
    let mut before = None;
    if let Some(last_seq) = header.first_seq.checked_sub(1).filter(|last| *last > 0) {
        match port.find(writer, &root, last_seq, &header.previous) {
            Some(found) => before = Some(found.last_hlc),
            None if mutant::is_active(Mutant::AcceptGap) => {}
            None => return Taken::Gap,
        }
    }
    if let Err(fault) = check::prove(looked, before, verifier) {
        return Taken::Refused(fault);
    }
    let checked = Checked { header, hash: looked.hash, bytes: looked.bytes };
    let taken = match port.offer(&checked) {
        Offer::Stored { log } => {
            let (first_seq, last_seq) = (header.first_seq, header.last_seq());
            outcomes.push(Outcome::Stored { log, first_seq, last_seq });
            Taken::Stored
        }
        Offer::AlreadyHeld => return Taken::Held,
        Offer::Gap => return Taken::Gap,
        Offer::Fork { log, ours } => match keep(looked, &checked, log, &ours, port) {
            Ok(split) => {
                outcomes.push(Outcome::Forked {
                    log,
                    writer,
                    seq: header.first_seq,
                    ours: split.ours,
                    theirs: split.theirs,
                    via,
                    signed: looked.view.signature().is_some(),
                });
                Taken::Forked(Box::new(split))
            }
            Err(error) => return Taken::Failed(error),
        },
        Offer::Refused => return Taken::Refused(Fault::Refused),
        Offer::Failed(error) => return Taken::Failed(error),
    };
    if is_own {
        outcomes.push(Outcome::Reincarnate {
            root,
            seq: header.first_seq,
            hash: looked.hash,
            forked: matches!(taken, Taken::Forked(_)),
        });
    }
    taken
}

/// Keeps both branches.
fn keep<R: Replica>(
    looked: &Looked<'_>,
    checked: &Checked<'_>,
    log: LogId,
    ours: &[u8],
    port: &mut R,
) -> Result<Split, StoreError> {
    let header = looked.view.header();
    let held = BatchView::parse(ours).map_err(|_| StoreError::Failed)?.hash();
    let name = |hash| alias(header.replica, &header.root, header.first_seq, hash);
    // The mutant names the newcomer after whom it found here.
    let is_mutant = mutant::is_active(Mutant::AliasByArrival);
    let newcomer = if is_mutant { Hash::of(held.as_bytes()) } else { looked.hash };
    let split = Split {
        log,
        after: header.first_seq.saturating_sub(1),
        ours: name(&held),
        theirs: name(&newcomer),
    };
    port.split(&split, checked)?;
    Ok(split)
}
