//! Bytes of a simulated file, in shared pages: a copy costs a pointer per page, and a page of
//! zeroes costs nothing, so that images of a disk with zero-filled segments are cheap to take.
//!
//! Invariant: bytes beyond the length are zero in the last page, and there are no pages behind it.

use std::sync::Arc;

const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

/// A byte string that may be large, mostly zero, and mostly equal to others.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseBytes {
    /// `None` is a page of zeroes.
    pages: Vec<Option<Arc<Page>>>,
    len: u64,
}

impl SparseBytes {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Copies what there is from `offset` on into `buf`; returns how much that was.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = available.min(buf.len());
        let mut rest = buf.get_mut(..count).unwrap_or_default();
        let mut at = offset;
        while !rest.is_empty() {
            let (index, inside) = locate(at);
            let step = (PAGE_BYTES - inside).min(rest.len());
            let (place, behind) = rest.split_at_mut(step);
            let page = self.pages.get(index).and_then(Option::as_ref);
            match page.and_then(|page| page.get(inside..inside + step)) {
                Some(bytes) => place.copy_from_slice(bytes),
                None => place.fill(0),
            }
            rest = behind;
            at += step as u64;
        }
        count
    }

    /// Writes `bytes` at `offset`, extending with zeroes as needed.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        if end > self.len {
            self.set_len(end);
        }
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let (index, inside) = locate(at);
            let step = (PAGE_BYTES - inside).min(rest.len());
            let (now, behind) = rest.split_at(step);
            self.write_page(index, inside, now);
            rest = behind;
            at += step as u64;
        }
    }

    /// Cuts, or extends with zeroes.
    pub(super) fn set_len(&mut self, len: u64) {
        let (pages, inside) = locate(len);
        if len < self.len && inside > 0 {
            let zeroes = [0; PAGE_BYTES];
            self.write_page(pages, inside, zeroes.get(inside..).unwrap_or_default());
        }
        self.pages.resize(pages + usize::from(inside > 0), None);
        self.len = len;
    }

    fn write_page(&mut self, index: usize, inside: usize, bytes: &[u8]) {
        let Some(page) = self.pages.get_mut(index) else { return };
        let is_zero = bytes.iter().all(|byte| *byte == 0);
        if is_zero && (page.is_none() || bytes.len() == PAGE_BYTES) {
            *page = None;
            return;
        }
        let page = Arc::make_mut(page.get_or_insert_with(|| Arc::new([0; PAGE_BYTES])));
        if let Some(place) = page.get_mut(inside..inside + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

/// The page that holds `offset`, and where in it.
fn locate(offset: u64) -> (usize, usize) {
    let page_bytes = PAGE_BYTES as u64;
    let index = usize::try_from(offset / page_bytes).unwrap_or(usize::MAX);
    (index, usize::try_from(offset % page_bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::Random;
    use super::*;

    #[test]
    fn bytes_behave_as_a_plain_vector() {
        let mut random = Random::new(3);
        let (mut bytes, mut model) = (SparseBytes::default(), Vec::new());
        for _ in 0..3_000 {
            let at = random.index(20_000);
            match random.below(4) {
                0 => {
                    bytes.set_len(at as u64);
                    model.resize(at, 0);
                }
                1 | 2 => {
                    let fill = [0, 5, 9][random.index(3)];
                    let written = vec![fill; random.index(9_000)];
                    bytes.write(at as u64, &written);
                    if !written.is_empty() {
                        model.resize(model.len().max(at + written.len()), 0);
                        model[at..at + written.len()].copy_from_slice(&written);
                    }
                }
                _ => {
                    let mut buf = vec![1; random.index(9_000)];
                    let count = bytes.read(at as u64, &mut buf);
                    let expected = model.get(at..).unwrap_or_default();
                    let expected = &expected[..expected.len().min(buf.len())];
                    assert_eq!(&buf[..count], expected);
                }
            }
            assert_eq!(bytes.len(), model.len() as u64);
        }
    }

    #[test]
    fn zeroes_take_no_pages() {
        let mut bytes = SparseBytes::default();
        bytes.write(0, &[0; 10 * PAGE_BYTES]);
        bytes.write(100, b"x");
        bytes.write(0, &[0; PAGE_BYTES]);
        assert!(bytes.pages.iter().all(Option::is_none));
        assert_eq!(bytes.len(), 10 * PAGE_BYTES as u64);
    }
}
