//! Where something stands in a text.

/// From one byte of a text up to, and without, another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte, from 0.
    pub start: u32,
    /// The first byte behind it.
    pub end: u32,
}

impl Span {
    /// From one byte up to another one.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// What reaches from the start of this one to the end of another one.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end.max(self.end) }
    }

    /// The text that it stands for; nothing if it is of another text.
    #[must_use]
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}
