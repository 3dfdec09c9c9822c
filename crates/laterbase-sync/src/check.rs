//! What is checked of a batch before it may be stored.
//!
//! ```text
//! looks:   it parses · database · root · writer · the announced tag · each continues the last
//! proves:  canonical, within the limits (the Verifier) · ids rise above the batch before
//! ```
//! The first row costs a hash and decides whether the batch is held already; the second is paid
//! for new batches only. That the batch before it is held is the third check, and the port's.

use laterbase_event::{BatchView, DatabaseId, Hash, Hlc, ReplicaId, RootName, Verifier};

use crate::frame::Fault;

/// A batch that parsed and is what its frame says, but is not proved to be canonical.
#[derive(Clone, Debug)]
pub(crate) struct Looked<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) view: BatchView<'a>,
    pub(crate) hash: Hash,
}

/// What a frame says of its batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) database: DatabaseId,
    pub(crate) root: RootName,
    pub(crate) writer: ReplicaId,
}

/// The batch, and what speaks against it.
pub(crate) fn look<'a>(bytes: &'a [u8], claim: &Claim) -> Result<Looked<'a>, Fault> {
    let view = BatchView::parse(bytes).map_err(|_| Fault::Encoding)?;
    let header = view.header();
    if header.database != claim.database {
        return Err(Fault::Database);
    }
    if header.root != claim.root {
        return Err(Fault::Root);
    }
    if header.replica != claim.writer {
        return Err(Fault::Replica);
    }
    let hash = view.hash();
    Ok(Looked { bytes, view, hash })
}

/// Whether `next` follows `before` in one chain.
pub(crate) fn follows(before: &Looked<'_>, next: &Looked<'_>) -> bool {
    let (first, second) = (before.view.header(), next.view.header());
    first.last_seq().checked_add(1) == Some(second.first_seq) && second.previous == before.hash
}

/// Proves the batch, but for its place in the log. `before` is the last clock value before it.
pub(crate) fn prove(
    looked: &Looked<'_>,
    before: Option<Hlc>,
    verifier: &mut Verifier,
) -> Result<(), Fault> {
    verifier.verify(&looked.view).map_err(|_| Fault::Encoding)?;
    if before.is_some_and(|before| looked.view.header().first_hlc <= before) {
        return Err(Fault::NotRising);
    }
    Ok(())
}
