//! The dictionaries at the front of the envelopes, as a reader holds them.
//!
//! ```text
//! varint shapes, per shape:  u8 length, type | varint version | u8 length, content type
//! varint roots,  per root:   u8 length, name
//! ```
//! In order of first use; only a verifier checks that, and that each is used.
//!
//! The texts are kept together, so that reading a batch after another allocates nothing.

use alloc::{string::String, vec::Vec};

use super::decode_error::{DecodeError, Field};
use crate::{Limits, reader::Reader};

/// A span of some text, in bytes; its ends are between characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextSpan {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl TextSpan {
    #[inline]
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(super) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

/// A kind of event: what many events of a batch have in common.
#[derive(Clone, Copy, Debug)]
struct ShapeEntry {
    type_name: TextSpan,
    content_type: TextSpan,
    version: u32,
    is_wanted: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Dictionary {
    text: String,
    shapes: Vec<ShapeEntry>,
    roots: Vec<TextSpan>,
}

impl Dictionary {
    /// Replaces the content by what stands at the front of a batch's envelopes.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, count: u32) -> Result<(), DecodeError> {
        self.text.clear();
        self.shapes.clear();
        self.roots.clear();
        // No claimed number reserves memory: each entry takes at least one byte of input.
        for _ in 0..reader.varint_max(count, Field::Shapes)? {
            let type_name = self.read_text(reader, Field::Shapes)?;
            let version = reader.varint_max(u32::MAX, Field::Shapes)?;
            let content_type = self.read_text(reader, Field::Shapes)?;
            self.shapes.push(ShapeEntry { type_name, content_type, version, is_wanted: true });
        }
        let roots_max = Limits::BATCH_TAG_ROOTS_MAX as u32;
        for _ in 0..reader.varint_max(roots_max, Field::TagRoots)? {
            let root = self.read_text(reader, Field::TagRoots)?;
            self.roots.push(root);
        }
        Ok(())
    }

    /// Marks the shapes of wanted types; answers whether there are any.
    pub(super) fn want(&mut self, wants: impl Fn(&str) -> bool) -> bool {
        let mut is_any = false;
        for shape in &mut self.shapes {
            shape.is_wanted = wants(shape.type_name.of(&self.text));
            is_any |= shape.is_wanted;
        }
        is_any
    }

    /// Whether events of a shape are wanted; `None` if there is no such shape.
    #[inline]
    pub(super) fn is_wanted(&self, index: u32) -> Option<bool> {
        self.shapes.get(index as usize).map(|shape| shape.is_wanted)
    }

    pub(super) fn roots_len(&self) -> usize {
        self.roots.len()
    }

    #[inline]
    pub(super) fn type_name(&self, shape: u32) -> &str {
        self.shapes.get(shape as usize).map_or("", |entry| entry.type_name.of(&self.text))
    }

    #[inline]
    pub(super) fn content_type(&self, shape: u32) -> &str {
        self.shapes.get(shape as usize).map_or("", |entry| entry.content_type.of(&self.text))
    }

    #[inline]
    pub(super) fn version(&self, shape: u32) -> u32 {
        self.shapes.get(shape as usize).map_or(0, |entry| entry.version)
    }

    pub(super) fn root(&self, index: u32) -> &str {
        self.roots.get(index as usize).map_or("", |span| span.of(&self.text))
    }

    pub(super) fn root_bytes(&self, index: u32) -> usize {
        self.roots.get(index as usize).map_or(0, |span| span.len())
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.text.capacity()
            + self.shapes.capacity() * size_of::<ShapeEntry>()
            + self.roots.capacity() * size_of::<TextSpan>()
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.shapes.shrink_to_fit();
        self.roots.shrink_to_fit();
    }

    fn read_text(
        &mut self,
        reader: &mut Reader<'_>,
        field: Field,
    ) -> Result<TextSpan, DecodeError> {
        let len = reader.u8(field)?;
        let text = reader.text(usize::from(len), field)?;
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Ok(TextSpan { start, end: self.text.len() as u32 })
    }
}
