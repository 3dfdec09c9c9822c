//! What a run found, as Markdown for people and as JSON with every sample.
//!
//! ```text
//! | case | laterbase | lmdb | … | ours to the best peer | ours to the device |
//! ```
//!
//! A cell is `median (min–max)`. The last columns are ratios, above 1 when Laterbase is better, and
//! are what may be claimed.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::device::Device;
use crate::error::BenchError;
use crate::measurement::{Measurement, ratio};

/// The subject that is the device itself and no store.
pub(crate) const DEVICE: &str = "device";
/// The subject that is us.
pub(crate) const OURS: &str = "laterbase";

/// Everything that was measured in one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Vec<String>,
    pub(crate) device: Option<Device>,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) notes: Vec<(&'static str, String)>,
    /// Bounds that were exceeded.
    pub(crate) exceeded: Vec<String>,
}

impl Report {
    pub(crate) fn new(machine: Vec<String>) -> Self {
        Self {
            machine,
            device: None,
            measurements: Vec::new(),
            notes: Vec::new(),
            exceeded: Vec::new(),
        }
    }

    /// Adds a sample, to the measurement with the same area, case and subject if there is one.
    pub(crate) fn add(&mut self, measurement: Measurement) {
        let same = self.measurements.iter_mut().find(|other| {
            other.area == measurement.area
                && other.case == measurement.case
                && other.subject == measurement.subject
        });
        match same {
            Some(other) => other.samples.extend(measurement.samples),
            None => self.measurements.push(measurement),
        }
    }

    /// Adds a sentence under an area's table.
    pub(crate) fn note(&mut self, area: &'static str, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&(area, text.clone())) {
            self.notes.push((area, text));
        }
    }

    /// The machine and the device's limits.
    pub(crate) fn header(&self) -> String {
        let mut text = String::from("# Benchmarks\n\n");
        for line in &self.machine {
            let _ = writeln!(text, "- {line}");
        }
        if let Some(device) = &self.device {
            let _ = writeln!(
                text,
                "- device: 4 KiB write and fdatasync {:.0} µs at the median, {:.0} µs at p99 \
                 ({}); {:.0} MiB/s written, {:.0} MiB/s read in sequence",
                device.commit_p50_us,
                device.commit_p99_us,
                if device.direct { "direct I/O" } else { "page cache: no direct I/O here" },
                device.write_mib_per_s,
                device.read_mib_per_s,
            );
        }
        text.push('\n');
        text
    }

    /// One area's table and its notes; nothing when nothing was measured.
    pub(crate) fn area_markdown(&self, area: &str) -> String {
        let rows: Vec<&Measurement> =
            self.measurements.iter().filter(|measured| measured.area == area).collect();
        let mut subjects: Vec<&str> = Vec::new();
        let mut cases: Vec<&str> = Vec::new();
        for row in &rows {
            if !subjects.contains(&row.subject.as_str()) {
                subjects.push(&row.subject);
            }
            if !cases.contains(&row.case.as_str()) {
                cases.push(&row.case);
            }
        }
        let mut text = format!("## {area}\n\n| case |");
        for subject in &subjects {
            let _ = write!(text, " {subject} |");
        }
        text.push_str(" ours to the best peer | ours to the device |\n|---|");
        text.push_str(&"---|".repeat(subjects.len() + 2));
        text.push('\n');
        for case in cases {
            let of_case: Vec<&Measurement> =
                rows.iter().copied().filter(|row| row.case == case).collect();
            text.push_str(&case_row(case, &subjects, &of_case));
        }
        text.push('\n');
        for (_, note) in self.notes.iter().filter(|(of, _)| *of == area) {
            let _ = writeln!(text, "{note}\n");
        }
        text
    }

    /// Writes everything as JSON.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn write_json(&self, path: &Path) -> Result<(), BenchError> {
        let wrap = |source| BenchError::File { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(self).map_err(|error| wrap(error.into()))?;
        std::fs::write(path, text + "\n").map_err(wrap)
    }

    /// Fails when a bound was exceeded.
    ///
    /// # Errors
    ///
    /// All bounds that were exceeded.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        if self.exceeded.is_empty() {
            Ok(())
        } else {
            Err(BenchError::Bound(self.exceeded.join("; ")))
        }
    }
}

fn case_row(case: &str, subjects: &[&str], rows: &[&Measurement]) -> String {
    let mut text = format!("| {case} |");
    for subject in subjects {
        match rows.iter().find(|row| row.subject == *subject) {
            Some(row) => {
                let _ = write!(text, " {} |", cell(row));
            }
            None => text.push_str(" – |"),
        }
    }
    let ours = rows.iter().find(|row| row.subject == OURS);
    let against = |theirs: Option<f64>| match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            format!("{:.2}×", ratio(ours.better, ours.median(), theirs))
        }
        (Some(_) | None, _) => "–".to_owned(),
    };
    let best = rows
        .iter()
        .filter(|row| row.subject != OURS && row.subject != DEVICE)
        .map(|row| (row.better, row.median()))
        .reduce(|a, b| if ratio(a.0, b.1, a.1) > 1.0 { b } else { a });
    let device = rows.iter().find(|row| row.subject == DEVICE).map(|row| row.median());
    let _ = writeln!(text, " {} | {} |", against(best.map(|(_, value)| value)), against(device));
    text
}

fn cell(row: &Measurement) -> String {
    let unit = row.unit;
    format!("{} {unit} ({}–{})", short(row.median()), short(row.min()), short(row.max()))
}

/// A number with about three digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{:.2}M", value / 1e6)
    } else if size >= 1e4 {
        format!("{:.0}k", value / 1e3)
    } else if size >= 1e3 {
        format!("{:.1}k", value / 1e3)
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Better;

    fn row(subject: &str, better: Better, samples: &[f64]) -> Measurement {
        Measurement {
            area: "append",
            case: "batch 1".to_owned(),
            subject: subject.to_owned(),
            unit: "/s",
            better,
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn ratios_are_to_the_best_peer_and_to_the_device() {
        let mut report = Report::new(Vec::new());
        report.add(row(DEVICE, Better::Higher, &[8_000.0]));
        report.add(row(OURS, Better::Higher, &[7_000.0, 7_200.0]));
        report.add(row(OURS, Better::Higher, &[7_400.0]));
        report.add(row("lmdb", Better::Higher, &[2_900.0]));
        report.add(row("fjall", Better::Higher, &[3_600.0]));
        let text = report.area_markdown("append");
        assert!(text.contains("| 7.2k /s (7.0k–7.4k) |"), "{text}");
        assert!(text.contains("| 2.00× | 0.90× |"), "{text}");
    }

    #[test]
    fn where_less_is_better_the_best_peer_is_the_least() {
        let mut report = Report::new(Vec::new());
        report.add(row(OURS, Better::Lower, &[2.0]));
        report.add(row("lmdb", Better::Lower, &[3.0]));
        report.add(row("fjall", Better::Lower, &[9.0]));
        let text = report.area_markdown("append");
        assert!(text.contains("| 1.50× | – |"), "{text}");
    }

    #[test]
    fn an_exceeded_bound_fails_the_check() {
        let mut report = Report::new(Vec::new());
        assert!(report.check().is_ok());
        report.exceeded.push("resident 70 MiB of 64".to_owned());
        assert!(report.check().is_err());
    }
}
