//! Which retired files may go: those that no reading process can still have open.
//!
//! A file waits for the leases that were held when it was first offered. Leases taken later belong
//! to readers that never saw the file.

use std::collections::HashMap;

use laterbase_log::storage::Storage;

use crate::lock::held_leases;

/// Remembers which leases each retired file waits for.
#[derive(Debug, Default)]
pub(crate) struct Reclaimer {
    held: Option<Vec<String>>,
    waiting: HashMap<String, Vec<String>>,
}

impl Reclaimer {
    /// Looks which leases are held now.
    pub(crate) fn look(&mut self, storage: &dyn Storage) {
        // If they cannot be listed, nothing is reclaimed this time.
        self.held = held_leases(storage).ok();
    }

    /// Whether nobody can read the file any more.
    pub(crate) fn may_reclaim(&mut self, path: &str) -> bool {
        let Some(held) = &self.held else { return false };
        if let Some(leases) = self.waiting.get_mut(path) {
            leases.retain(|lease| held.contains(lease));
            if !leases.is_empty() {
                return false;
            }
            self.waiting.remove(path);
            return true;
        }
        if held.is_empty() {
            return true;
        }
        self.waiting.insert(path.to_owned(), held.clone());
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_file_waits_for_the_leases_of_its_time_only() {
        let mut reclaimer = Reclaimer { held: leases(&["a", "b"]), ..Reclaimer::default() };
        assert!(!reclaimer.may_reclaim("run"));
        reclaimer.held = leases(&["b", "c"]);
        assert!(!reclaimer.may_reclaim("run"), "b still holds it");
        reclaimer.held = leases(&["c"]);
        assert!(reclaimer.may_reclaim("run"), "c never saw it");
    }

    #[test]
    fn nothing_goes_while_leases_are_unknown() {
        assert!(!Reclaimer::default().may_reclaim("run"));
    }
}
