//! Sums of floats that do not depend on the order of adding.
//!
//! The sum so far is kept as floats that do not overlap, the smallest first, so that together they
//! are exact; it is rounded once, at the end (Shewchuk, "Adaptive precision floating-point
//! arithmetic", 1997). Infinities are kept apart.

/// An exact sum.
#[derive(Debug, Clone, Default)]
pub(super) struct ExactSum {
    parts: Vec<f64>,
    infinite: f64,
}

impl ExactSum {
    pub(super) fn add(&mut self, float: f64) {
        if !float.is_finite() {
            self.infinite += float;
            return;
        }
        let mut rest = float;
        let mut kept = 0;
        for at in 0..self.parts.len() {
            let Some(part) = self.parts.get(at).copied() else { break };
            let (large, small) = if rest.abs() < part.abs() { (part, rest) } else { (rest, part) };
            let sum = large + small;
            let lost = small - (sum - large);
            if lost != 0.0 {
                if let Some(place) = self.parts.get_mut(kept) {
                    *place = lost;
                }
                kept += 1;
            }
            rest = sum;
        }
        self.parts.truncate(kept);
        if rest.is_finite() {
            self.parts.push(rest);
        } else {
            self.infinite += rest;
        }
    }

    /// The float nearest to the sum; a not-a-number if infinities of both signs were added.
    pub(super) fn rounded(&self) -> f64 {
        if self.infinite != 0.0 {
            return self.infinite;
        }
        let mut parts = self.parts.iter().rev().copied();
        let mut sum = parts.next().unwrap_or_default();
        let mut lost = 0.0;
        for part in parts.by_ref() {
            let before = sum;
            sum = before + part;
            lost = part - (sum - before);
            if lost != 0.0 {
                break;
            }
        }
        // Half-way cases: what lies below decides, as the sum was rounded without it.
        if let Some(below) = parts.next().filter(|below| (lost < 0.0) == (*below < 0.0)) {
            let doubled = lost * 2.0;
            let other = sum + doubled;
            if below != 0.0 && lost != 0.0 && other - sum == doubled {
                sum = other;
            }
        }
        sum
    }
}
