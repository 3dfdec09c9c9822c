//! Rules for what is written: the files that must exist, the changelog, decision records, the table
//! of formats and links between pages.

use super::{Finding, TextFile};

/// Files that a repository of ours has.
const REQUIRED: &[&str] = &[
    ".ci/run",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "docs/decisions/README.md",
    "docs/reference/README.md",
    "docs/reference/upgrades.md",
    "scripts/setup",
];

/// Headings of the changelog's entries.
const CHANGES: &[&str] = &["Added", "Changed", "Fixed", "Breaking", "Removed", "Deprecated"];

/// Headings that each decision record has, in this order.
const RECORD_HEADINGS: &[&str] = &["## Context", "## Decision", "## Rejected", "## Consequences"];

/// The page with the table of formats.
const FORMATS: &str = "docs/reference/README.md";

/// All rules; `paths` also holds the files that are not text.
pub(super) fn check(files: &[TextFile], paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(required(paths));
    findings.extend(loose_notes(paths));
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        findings.extend(links(file, paths));
        if file.path == "CHANGELOG.md" {
            findings.extend(changelog(file));
        }
        if file.path == FORMATS {
            findings.extend(formats(file, files, paths));
        }
    }
    findings.extend(records(files));
    findings
}

fn required(paths: &[String]) -> Vec<Finding> {
    REQUIRED
        .iter()
        .filter(|required| paths.iter().all(|path| path != *required))
        .map(|missing| Finding::new(missing, 0, "is missing"))
        .collect()
}

/// Notes to each other do not belong into a repository.
fn loose_notes(paths: &[String]) -> Vec<Finding> {
    let is_note = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or_default().to_uppercase();
        ["NOTE.", "NOTES.", "NOTE_", "TODO."].iter().any(|start| name.starts_with(start))
    };
    let message = "a loose note: write what lasts into docs/, and leave out the rest";
    paths.iter().filter(is_note).map(|path| Finding::new(path, 0, message)).collect()
}

fn changelog(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut releases = 0;
    for (index, line) in file.text.lines().enumerate() {
        if line.starts_with("## ") {
            releases += 1;
        }
        if let Some(heading) = line.strip_prefix("### ").filter(|h| !CHANGES.contains(h)) {
            let message = format!("`{heading}` is none of: {}", CHANGES.join(", "));
            findings.push(Finding::new(&file.path, index + 1, message));
        }
    }
    if releases == 0 {
        findings.push(Finding::new(&file.path, 0, "names no release (`## …`)"));
    }
    findings
}

/// `docs/decisions/NNNN-title.md`: names, numbers and headings.
fn records(files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers: Vec<&str> = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix("docs/decisions/") else { continue };
        if matches!(name, "README.md" | "template.md") {
            continue;
        }
        let number = name.get(..4).unwrap_or_default();
        let numbered = number.len() == 4 && number.chars().all(|c| c.is_ascii_digit());
        if !numbered || name.get(4..5) != Some("-") || !name.ends_with(".md") {
            findings.push(Finding::new(&file.path, 0, "is named `NNNN-title.md`"));
        } else if numbers.contains(&number) {
            findings.push(Finding::new(&file.path, 0, format!("{number} is used twice")));
        }
        numbers.push(number);
        let mut lines = file.text.lines();
        for heading in RECORD_HEADINGS {
            if !lines.any(|line| line.trim() == *heading) {
                let message = format!("has no `{heading}` in its place (see template.md)");
                findings.push(Finding::new(&file.path, 0, message));
                break;
            }
        }
    }
    findings
}

/// The table of formats: `| [name](page) | version | fixture |`. The page says the version, and
/// both the page and the fixture exist.
fn formats(file: &TextFile, files: &[TextFile], paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rows = 0;
    let lines = file.text.lines().enumerate();
    for (index, line) in lines.skip_while(|(_, line)| line.trim() != "## Formats") {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [page, version, fixtures] = cells.as_slice() else { continue };
        let Some(target) = link_targets(page).into_iter().next() else { continue };
        rows += 1;
        let mut say = |message: String| findings.push(Finding::new(&file.path, index + 1, message));
        let path = format!("docs/reference/{target}");
        match files.iter().find(|file| file.path == path) {
            None => say(format!("the page {path} does not exist")),
            Some(found) if !names_version(&found.text, version) => {
                say(format!("{path} has no line `Format version: {version}`"));
            }
            Some(_) => {}
        }
        let named: Vec<&str> = fixtures.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            say("names no fixture".to_owned());
        }
        for fixture in named.iter().filter(|fixture| paths.iter().all(|path| path != *fixture)) {
            say(format!("the fixture {fixture} does not exist"));
        }
    }
    if rows == 0 {
        findings.push(Finding::new(&file.path, 0, "has no table of formats under `## Formats`"));
    }
    findings.extend(unlisted(file, files));
    findings
}

/// Pages that state a format version but are not in the table.
fn unlisted(table: &TextFile, files: &[TextFile]) -> Vec<Finding> {
    let listed: Vec<&str> = table.text.lines().flat_map(link_targets).collect();
    files
        .iter()
        .filter(|page| page.text.lines().any(|line| line.starts_with("Format version:")))
        .filter_map(|page| Some((page, page.path.strip_prefix("docs/reference/")?)))
        .filter(|(_, name)| !listed.contains(name))
        .map(|(page, _)| Finding::new(&page.path, 0, format!("is not in the table of {FORMATS}")))
        .collect()
}

/// Whether a page says `Format version: 1`, or `Identity format version 1` in a sentence.
fn names_version(page: &str, version: &str) -> bool {
    let page = page.to_lowercase();
    ["format version: ", "format version "].iter().any(|words| {
        page.split(words).skip(1).any(|rest| {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            number == version
        })
    })
}

/// Links to files of the repository must lead somewhere.
fn links(file: &TextFile, paths: &[String]) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for target in link_targets(line) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = resolve(folder, target);
            let prefix = format!("{}/", path.trim_end_matches('/'));
            if paths.iter().all(|other| *other != path && !other.starts_with(&prefix)) {
                let message = format!("the link to {target} leads nowhere");
                findings.push(Finding::new(&file.path, index + 1, message));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` in a line.
fn link_targets(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn owned(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn a_missing_file_is_found() {
        let mut paths = owned(REQUIRED);
        assert_eq!(required(&paths), []);
        paths.retain(|path| path != "CHANGELOG.md");
        assert_eq!(required(&paths)[0].to_string(), "CHANGELOG.md: is missing");
    }

    #[test]
    fn a_loose_note_is_found() {
        assert_eq!(loose_notes(&owned(&["crates/x/NOTES.txt", "TODO.md"])).len(), 2);
        assert_eq!(loose_notes(&owned(&["docs/decisions/0001-bytes.md"])).len(), 0);
    }

    #[test]
    fn a_changelog_keeps_to_its_headings() {
        let good = "# Changelog\n## Unreleased\n### Added\n- x\n";
        assert_eq!(changelog(&file("CHANGELOG.md", good)), []);
        let bad = good.replace("Added", "News");
        assert_eq!(changelog(&file("CHANGELOG.md", &bad)).len(), 1);
        assert_eq!(changelog(&file("CHANGELOG.md", "# Changelog\n")).len(), 1);
    }

    const RECORD: &str = "# 0001: x\n## Context\n## Decision\n## Rejected\n## Consequences\n";

    #[test]
    fn records_are_numbered_once_and_have_their_headings() {
        let record = |name: &str, text: &str| file(&format!("docs/decisions/{name}"), text);
        assert_eq!(records(&[record("0001-bytes.md", RECORD)]), []);
        assert_eq!(records(&[record("bytes.md", RECORD)]).len(), 1);
        let twice = [record("0001-bytes.md", RECORD), record("0001-more.md", RECORD)];
        assert_eq!(records(&twice).len(), 1);
        let short = RECORD.replace("## Rejected\n", "");
        assert_eq!(records(&[record("0001-bytes.md", &short)]).len(), 1);
    }

    #[test]
    fn a_format_has_a_page_that_says_its_version_and_a_fixture() {
        let paths = owned(&["docs/reference/frame.md", "crates/x/tests/fixtures/frame-v1.bin"]);
        let page = file("docs/reference/frame.md", "# Frame\nFormat version: 1\n");
        let pages = [page];
        let table = |row: &str| file(FORMATS, &format!("## Formats\n\n{row}\n"));
        let good = "| [frame](frame.md) | 1 | `crates/x/tests/fixtures/frame-v1.bin` |";
        assert_eq!(formats(&table(good), &pages, &paths), []);
        let other = good.replace("| 1 |", "| 2 |");
        assert_eq!(formats(&table(&other), &pages, &paths).len(), 1);
        let missing = good.replace("frame-v1", "frame-v0");
        assert_eq!(formats(&table(&missing), &pages, &paths).len(), 1);
        let nowhere = good.replace("frame.md", "frames.md");
        assert_eq!(formats(&table(&nowhere), &[], &paths).len(), 1);
        assert_eq!(formats(&table(&nowhere), &pages, &paths).len(), 2, "and a page not listed");
        assert_eq!(formats(&table(""), &[], &paths).len(), 1);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let paths = owned(&["docs/reference/upgrades.md", "CHANGELOG.md"]);
        let page = |text: &str| file("docs/reference/upgrades.md", text);
        assert_eq!(links(&page("[a](../../CHANGELOG.md#x) [b](https://a.b)"), &paths), []);
        assert_eq!(links(&page("[folder](../reference)"), &paths), []);
        assert_eq!(links(&page("[a](CHANGELOG.md)"), &paths).len(), 1);
    }
}
