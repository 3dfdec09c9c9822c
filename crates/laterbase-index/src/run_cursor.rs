//! Walks the wanted entries of one run, in either direction, reading no more than it must.
//!
//! From table to page to block: a group or block whose bounds, positions or extra bits exclude it
//! is stepped over, and where a single term is wanted, so is a group whose filter does not know it.
//! The cursor stands between entries; what it holds is what it needs to give the next one.

use crate::cache::PartCache;
use crate::entry::Entry;
use crate::error::ReadError;
use crate::range::{Direction, Overlap, Range};
use crate::run::Run;
use crate::section::{GroupPage, Summary};
use std::sync::Arc;

/// A place in a run; the range is the caller's to keep, and may shrink from the side already
/// passed.
#[derive(Debug, Default)]
pub(crate) struct RunCursor {
    started: bool,
    finished: bool,
    /// Ascending: the current group. Descending: how many are left, the current one included.
    group: usize,
    page: Option<Arc<GroupPage>>,
    /// Likewise, in the page.
    block: usize,
    entries: Option<Arc<[Entry]>>,
    /// Ascending: the next entry. Descending: how many are left.
    index: usize,
}

impl RunCursor {
    /// Is it plain from what is in memory that the run has nothing in the range?
    #[inline]
    pub(crate) fn excludes(run: &Run, range: &Range) -> bool {
        let Some(first) = run.groups(range.family).first() else { return true };
        let span = run.span();
        first.summary.first > range.hi
            || run.last(range.family) < range.lo
            || range.filter().overlap(span.lowest, span.highest) == Overlap::None
    }

    /// The next wanted entry in the range's direction.
    pub(crate) fn next(
        &mut self,
        run: &Run,
        cache: &PartCache,
        range: &Range,
    ) -> Result<Option<Entry>, ReadError> {
        if self.finished {
            return Ok(None);
        }
        if !self.started {
            self.started = true;
            if Self::excludes(run, range) {
                return Ok(self.finish());
            }
            self.group = match range.direction {
                Direction::Ascending => run.groups_upto(range.family, &range.lo).saturating_sub(1),
                Direction::Descending => run.groups_upto(range.family, &range.hi),
            };
        }
        match range.direction {
            Direction::Ascending => self.next_ascending(run, cache, range),
            Direction::Descending => self.next_descending(run, cache, range),
        }
    }

    /// Forgets its place, after the range has shrunk from the side already passed.
    pub(crate) fn restart(&mut self, range: &Range) {
        if self.finished {
            return;
        }
        // Often the next entry is in the block at hand.
        if let Some(entries) = &self.entries {
            let (first, last) = (entries.first(), entries.last());
            match range.direction {
                Direction::Ascending if last.is_some_and(|last| *last >= range.lo) => {
                    self.index = self.index.max(entries.partition_point(|it| *it < range.lo));
                    return;
                }
                Direction::Descending if first.is_some_and(|first| *first <= range.hi) => {
                    self.index = self.index.min(entries.partition_point(|it| *it <= range.hi));
                    return;
                }
                Direction::Ascending | Direction::Descending => {}
            }
        }
        *self = Self::default();
    }

    const fn finish(&mut self) -> Option<Entry> {
        self.finished = true;
        None
    }

    fn next_ascending(
        &mut self,
        run: &Run,
        cache: &PartCache,
        range: &Range,
    ) -> Result<Option<Entry>, ReadError> {
        let filter = range.filter();
        loop {
            if let Some(entries) = &self.entries {
                for entry in entries.get(self.index..).unwrap_or_default() {
                    if *entry > range.hi {
                        return Ok(self.finish());
                    }
                    self.index += 1;
                    if filter.accepts(entry) {
                        return Ok(Some(*entry));
                    }
                }
                self.entries = None;
                self.block += 1;
            }
            let Some(group) = run.groups(range.family).get(self.group) else {
                return Ok(self.finish());
            };
            if group.summary.first > range.hi {
                return Ok(self.finish());
            }
            let Some(page) = &self.page else {
                if wants(&group.summary, range) {
                    let term = range.single_term();
                    if let Some(page) = run.page(cache, range.family, self.group, term)? {
                        self.block = page
                            .blocks
                            .partition_point(|block| block.summary.first <= range.lo)
                            .saturating_sub(1);
                        self.page = Some(page);
                        continue;
                    }
                }
                self.group += 1;
                continue;
            };
            let Some(block) = page.blocks.get(self.block) else {
                self.page = None;
                self.group += 1;
                continue;
            };
            if block.summary.first > range.hi {
                return Ok(self.finish());
            }
            if wants(&block.summary, range) {
                let entries = run.block(cache, group, block)?;
                self.index = entries.partition_point(|entry| *entry < range.lo);
                self.entries = Some(entries);
            } else {
                self.block += 1;
            }
        }
    }

    fn next_descending(
        &mut self,
        run: &Run,
        cache: &PartCache,
        range: &Range,
    ) -> Result<Option<Entry>, ReadError> {
        let filter = range.filter();
        loop {
            if let Some(entries) = &self.entries {
                for entry in entries.get(..self.index).unwrap_or_default().iter().rev() {
                    if *entry < range.lo {
                        return Ok(self.finish());
                    }
                    self.index -= 1;
                    if filter.accepts(entry) {
                        return Ok(Some(*entry));
                    }
                }
                self.entries = None;
                if self.step_back(range, self.block_first()) {
                    return Ok(self.finish());
                }
                self.block -= 1;
            }
            let last = self.group.checked_sub(1);
            let Some(group) = last.and_then(|last| run.groups(range.family).get(last)) else {
                return Ok(self.finish());
            };
            let Some(page) = &self.page else {
                if wants(&group.summary, range) {
                    let term = range.single_term();
                    let index = self.group - 1;
                    if let Some(page) = run.page(cache, range.family, index, term)? {
                        self.block =
                            page.blocks.partition_point(|block| block.summary.first <= range.hi);
                        self.page = Some(page);
                        continue;
                    }
                }
                if self.step_back(range, Some(group.summary.first)) {
                    return Ok(self.finish());
                }
                self.group -= 1;
                continue;
            };
            let last = self.block.checked_sub(1);
            let Some(block) = last.and_then(|last| page.blocks.get(last)) else {
                self.page = None;
                if self.step_back(range, Some(group.summary.first)) {
                    return Ok(self.finish());
                }
                self.group -= 1;
                continue;
            };
            if wants(&block.summary, range) {
                let entries = run.block(cache, group, block)?;
                self.index = entries.partition_point(|entry| *entry <= range.hi);
                self.entries = Some(entries);
            } else if block.summary.first <= range.lo {
                return Ok(self.finish());
            } else {
                self.block -= 1;
            }
        }
    }

    /// The first entry of the current block.
    fn block_first(&self) -> Option<Entry> {
        let last = self.block.checked_sub(1)?;
        Some(self.page.as_ref()?.blocks.get(last)?.summary.first)
    }

    /// Walking back past a stretch that begins with `first`: has the range ended?
    fn step_back(&self, range: &Range, first: Option<Entry>) -> bool {
        first.is_none_or(|first| first <= range.lo)
    }
}

/// Can a stretch inside the bounds of the range have a wanted entry, as far as its summary tells?
#[inline]
fn wants(summary: &Summary, range: &Range) -> bool {
    let filter = range.filter();
    filter.overlap(summary.lowest, summary.highest) != Overlap::None
        && (!summary.uniform || filter.accepts_extra(summary.first.extra()))
}
