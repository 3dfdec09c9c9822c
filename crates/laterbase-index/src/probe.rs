//! For fuzz targets: what lies behind the checksums, which no input gets past by chance.

use crate::bits::PAD_BYTES;
use crate::block::{self, BLOCK_ENTRIES_MAX};
use crate::entry::Entry;
use crate::fields::Fields;
use crate::manifest::{Manifest, ManifestRun};
use crate::run_file::{FOOT_BYTES, Foot};
use crate::section::{BlockMeta, CHECKSUM_BYTES, GroupMeta, GroupPage, read_table, seal};

/// Gives the bytes to every decoder. What can be decoded must be encoded to the same again.
///
/// # Panics
/// If it is not.
pub fn decode_parts(bytes: &[u8]) {
    let mut padded = bytes.to_vec();
    padded.extend([0; PAD_BYTES]);
    let mut entries = [Entry::MIN; BLOCK_ENTRIES_MAX];
    if let Ok(count) = block::decode(&padded, &mut entries) {
        let entries = entries.get(..count).unwrap_or_default();
        let mut encoded = Vec::new();
        block::encode(entries, &mut encoded);
        encoded.extend([0; PAD_BYTES]);
        let mut again = [Entry::MIN; BLOCK_ENTRIES_MAX];
        assert_eq!(block::decode(&encoded, &mut again), Ok(count));
        assert_eq!(again.get(..count), Some(entries));
    }
    if let Some(page) = GroupPage::read(bytes) {
        let mut encoded = Vec::new();
        page.write(&mut encoded);
        assert_eq!(encoded, bytes);
    }
    let groups = bytes.as_chunks::<{ GroupMeta::BYTES }>().0;
    let ends = groups.last().map(|last| GroupMeta::place(last));
    if let Some((offset, blocks, page)) = ends.flatten() {
        let end = offset.saturating_add(blocks).saturating_add(page);
        let begin = GroupMeta::place(bytes).map_or(0, |(offset, ..)| offset);
        let _ = read_table(bytes, begin, end);
    }
    let mut manifest = bytes.to_vec();
    manifest.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    if let Ok(decoded) = Manifest::decode(&manifest) {
        assert_eq!(decoded.encode().len(), manifest.len());
        assert_eq!(Manifest::decode(&decoded.encode()).as_ref(), Ok(&decoded));
    }
}

/// Makes the checksums of a run's parts right, as far as the parts can be found, and gives a
/// manifest that names the run.
pub fn reseal(run: &mut [u8], owner: [u8; 16]) -> Option<Vec<u8>> {
    let length = run.len();
    let foot_offset = length.checked_sub(FOOT_BYTES)?;
    let foot = Foot::read(&mut Fields::new(run.get(foot_offset..)?))?;
    let number = foot.span.number;
    let mut seal_part = |offset: u64, bytes: u64| -> Option<Vec<u8>> {
        let begin = usize::try_from(offset).ok()?;
        let end = begin.checked_add(usize::try_from(bytes).ok()?)?;
        let part = run.get_mut(begin..end)?;
        seal(number, offset, part);
        part.get(CHECKSUM_BYTES..).map(<[u8]>::to_vec)
    };
    for (_, section) in foot.sections.iter() {
        let table = seal_part(section.table, u64::from(section.table_bytes));
        for group in table.unwrap_or_default().as_chunks::<{ GroupMeta::BYTES }>().0 {
            let Some((offset, blocks_bytes, page_bytes)) = GroupMeta::place(group) else {
                continue;
            };
            let page = seal_part(offset.saturating_add(blocks_bytes), page_bytes);
            let page = page.unwrap_or_default();
            for block in page.get(4..)?.as_chunks::<{ BlockMeta::BYTES }>().0 {
                if let Some((place, bytes)) = BlockMeta::place(block) {
                    seal_part(offset.saturating_add(place), bytes);
                }
            }
        }
    }
    let foot = Foot { file_bytes: length as u64, ..foot };
    let (bytes, foot_crc) = foot.encode();
    run.get_mut(foot_offset..)?.copy_from_slice(&bytes);
    let entries = foot.entries();
    let manifest = Manifest {
        generation: 1,
        watermark: foot.span.highest,
        next_run: number.checked_add(1)?,
        owner,
        runs: vec![ManifestRun { span: foot.span, bytes: length as u64, entries, foot_crc }],
    };
    Some(manifest.encode())
}
