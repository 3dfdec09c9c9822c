//! Which integration tests there are and to which stage each belongs, told by its name.
//!
//! ```text
//! crates/laterbase-cli/tests/*    end-to-end: the program as people run it
//! */tests/{campaign,crash,…}*      campaigns: random operations, faulty disk, kill -9
//! */tests/mutant*                 mutants: built with the faults that tests must catch
//! powercut/*                      power cuts, and mutants of them: a stage of their own
//! crates/laterbase-iroh/tests/*   sync over iroh: built by itself, in a stage of its own
//! everything else                 unit, golden and property tests
//! ```
//!
//! A test that nobody named therefore runs in the first stage; none can fall between two.

use std::collections::BTreeSet;

/// How the names of campaigns begin.
const CAMPAIGNS: &[&str] = &["campaign", "crash", "faulty", "kill", "model", "simulation"];

/// The stage that an integration test runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestStage {
    Unit,
    Campaign,
    Mutant,
    EndToEnd,
    PowerCut,
    Iroh,
}

/// The names of the test targets of one stage, sorted.
pub(crate) fn names(files: &[String], stage: TestStage) -> Vec<String> {
    let names: BTreeSet<String> = files
        .iter()
        .filter_map(|file| classify(file))
        .filter(|(_, found)| *found == stage)
        .map(|(name, _)| name)
        .collect();
    names.into_iter().collect()
}

/// The target's name and stage, for a file that is the root of an integration test.
fn classify(file: &str) -> Option<(String, TestStage)> {
    let (package, inside) = file.split_once("/tests/")?;
    let name = match inside.strip_suffix(".rs")?.split_once('/') {
        None => inside.strip_suffix(".rs")?,
        Some((folder, "main")) => folder,
        Some(_) => return None,
    };
    let stage = match package {
        "powercut" => TestStage::PowerCut,
        "crates/laterbase-cli" => TestStage::EndToEnd,
        "crates/laterbase-iroh" => TestStage::Iroh,
        "fuzz" => return None,
        _ if name.starts_with("mutant") => TestStage::Mutant,
        _ if CAMPAIGNS.iter().any(|start| name.starts_with(start)) => TestStage::Campaign,
        _ => TestStage::Unit,
    };
    Some((name.to_owned(), stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_integration_test_belongs_to_exactly_one_stage() {
        let files = [
            "crates/laterbase-log/tests/recovery.rs",
            "crates/laterbase-log/tests/campaign_faulty_disk/main.rs",
            "crates/laterbase-log/tests/campaign_faulty_disk/model.rs",
            "crates/laterbase-log/tests/fixtures/segment-v1.bin",
            "crates/laterbase-log/tests/mutants.rs",
            "crates/laterbase-cli/tests/import.rs",
            "crates/laterbase-iroh/tests/loopback.rs",
            "powercut/tests/cuts.rs",
            "crates/laterbase-log/src/lib.rs",
        ]
        .map(str::to_owned);
        assert_eq!(names(&files, TestStage::Unit), ["recovery"]);
        assert_eq!(names(&files, TestStage::Campaign), ["campaign_faulty_disk"]);
        assert_eq!(names(&files, TestStage::Mutant), ["mutants"]);
        assert_eq!(names(&files, TestStage::EndToEnd), ["import"]);
        assert_eq!(names(&files, TestStage::PowerCut), ["cuts"]);
        assert_eq!(names(&files, TestStage::Iroh), ["loopback"]);
    }
}
