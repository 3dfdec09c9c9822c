//! Samples of one thing, and what is said about them.

use serde::Serialize;

/// Which way a number is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// One store's samples in one case of one area.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measurement {
    pub(crate) area: &'static str,
    pub(crate) case: String,
    /// A store's name, or `device`.
    pub(crate) subject: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) samples: Vec<f64>,
}

impl Measurement {
    pub(crate) fn median(&self) -> f64 {
        median(&self.samples)
    }

    pub(crate) fn min(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn max(&self) -> f64 {
        self.samples.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The middle of the samples; the mean of the two middle ones where there is no middle one.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 }
}

/// How many times better `ours` is than `theirs`; above 1 is better.
pub(crate) fn ratio(better: Better, ours: f64, theirs: f64) -> f64 {
    match better {
        Better::Higher => ours / theirs,
        Better::Lower => theirs / ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_sample() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_above_one_is_better_whichever_way_is_good() {
        assert_eq!(ratio(Better::Higher, 10.0, 5.0), 2.0);
        assert_eq!(ratio(Better::Lower, 5.0, 10.0), 2.0);
    }
}
