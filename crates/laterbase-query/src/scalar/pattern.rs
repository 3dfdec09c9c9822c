//! Regular expressions of bounded size, each read once.
//!
//! They match in time linear in the text (no backtracking); a pattern whose compiled form needs
//! more than [`PATTERN_BYTES_MAX`] is refused, and so is one nested deeper than
//! [`PATTERN_DEPTH_MAX`].

use std::sync::Arc;

use hashbrown::HashMap;
use regex::{Regex, RegexBuilder};
use rustc_hash::FxBuildHasher;

use crate::error::MistakeKind;

const PATTERN_BYTES_MAX: usize = 1 << 20;
const PATTERN_DEPTH_MAX: u32 = 64;

/// Patterns that are kept; more of them, as columns may hold them, are read anew.
const PATTERNS_KEPT_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Patterns {
    by_text: HashMap<Arc<str>, Result<Regex, MistakeKind>, FxBuildHasher>,
}

impl Patterns {
    pub(super) fn matches(&mut self, pattern: &Arc<str>, text: &str) -> Result<bool, MistakeKind> {
        if let Some(read) = self.by_text.get(pattern) {
            return read.as_ref().map(|regex| regex.is_match(text)).map_err(|kind| *kind);
        }
        let read = compile(pattern);
        let result = read.as_ref().map(|regex| regex.is_match(text)).map_err(|kind| *kind);
        if self.by_text.len() >= PATTERNS_KEPT_MAX {
            self.by_text.clear();
        }
        self.by_text.insert(pattern.clone(), read);
        result
    }
}

fn compile(pattern: &str) -> Result<Regex, MistakeKind> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(MistakeKind::PatternTooLarge);
    }
    let built = RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .nest_limit(PATTERN_DEPTH_MAX)
        .build();
    built.map_err(|error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            MistakeKind::PatternTooLarge
        } else {
            MistakeKind::BadPattern
        }
    })
}
