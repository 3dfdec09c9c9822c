//! Counts the wanted entries of a run, from metadata wherever that is enough.
//!
//! A stretch (a group, then a block) counts as a whole when it lies inside the bounds, all its
//! positions are wanted, and so are its extra bits; it is left out as a whole when none of its
//! positions are, or it has one kind of extra bits and not the wanted one. Only what lies on a
//! border is read. The term of a stream of a million events costs a few blocks.

use crate::cache::PartCache;
use crate::entry::Entry;
use crate::error::ReadError;
use crate::range::{Overlap, Range};
use crate::run::Run;
use crate::section::Summary;

/// How many wanted entries a run has that is not excluded by its bounds.
pub(crate) fn in_run(run: &Run, cache: &PartCache, range: &Range) -> Result<u64, ReadError> {
    let groups = run.groups(range.family);
    let begin = run.groups_upto(range.family, &range.lo).saturating_sub(1);
    let mut count = 0;
    for (i, group) in groups.iter().enumerate().skip(begin) {
        let next = groups.get(i + 1).map(|next| next.summary.first);
        let end = next.unwrap_or_else(|| run.last(range.family));
        match judge(&group.summary, end, range) {
            Judgement::End => break,
            Judgement::None => {}
            Judgement::All => count += u64::from(group.summary.count),
            Judgement::Look => {
                let page = run.page(cache, range.family, i, range.single_term())?;
                let Some(page) = page else { continue };
                for (j, block) in page.blocks.iter().enumerate() {
                    let next = page.blocks.get(j + 1).map(|next| next.summary.first);
                    match judge(&block.summary, next.unwrap_or(end), range) {
                        Judgement::End => break,
                        Judgement::None => {}
                        Judgement::All => count += u64::from(block.summary.count),
                        Judgement::Look => {
                            count += among(&run.block(cache, group, block)?, range);
                        }
                    }
                }
            }
        }
    }
    Ok(count)
}

/// What to do about a stretch of entries.
enum Judgement {
    /// It and all that follow lie beyond the range.
    End,
    None,
    All,
    Look,
}

/// Judges a stretch none of whose entries is above `end`.
fn judge(summary: &Summary, end: Entry, range: &Range) -> Judgement {
    let filter = range.filter();
    if summary.first > range.hi {
        return Judgement::End;
    }
    let overlap = filter.overlap(summary.lowest, summary.highest);
    let other_extra = summary.uniform && !filter.accepts_extra(summary.first.extra());
    if end < range.lo || overlap == Overlap::None || other_extra {
        return Judgement::None;
    }
    let inside = summary.first >= range.lo && end <= range.hi;
    let any_extra = filter.any_extra() || summary.uniform;
    if inside && overlap == Overlap::All && any_extra { Judgement::All } else { Judgement::Look }
}

/// How many entries of a block are wanted.
fn among(entries: &[Entry], range: &Range) -> u64 {
    let filter = range.filter();
    let begin = entries.partition_point(|entry| *entry < range.lo);
    let entries = entries.get(begin..).unwrap_or_default();
    let end = entries.partition_point(|entry| *entry <= range.hi);
    let entries = entries.get(..end).unwrap_or_default();
    entries.iter().filter(|entry| filter.accepts(entry)).count() as u64
}
