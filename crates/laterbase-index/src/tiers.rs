//! Which runs to merge: size-tiered, among neighbours.
//!
//! A run's tier is the logarithm of its entries to the base `fan_out`. Once there are `fan_out`
//! neighbours of one tier they become one run of the next. So an entry is rewritten about once per
//! tier, and `n` entries lie in less than `fan_out` runs for each of `log(n)` tiers.
//! Only neighbours are merged, so that each run covers a stretch of positions of its own.

/// The place of the runs to merge, given the entries of each, oldest first.
///
/// A small run between larger ones goes along with them.
pub(crate) fn choose(entries: &[u64], fan_out: usize) -> Option<std::ops::Range<usize>> {
    let tiers: Vec<u32> = entries.iter().map(|&entries| tier(entries, fan_out)).collect();
    // The lowest tier first: its merges are the cheapest, and what they make may complete another.
    let mut levels = tiers.clone();
    levels.sort_unstable();
    levels.dedup();
    levels.into_iter().find_map(|level| {
        // From the newest run back over those that are no larger than the level.
        let mut end = tiers.len();
        loop {
            let small = tiers.get(..end)?.iter().rev().take_while(|&&tier| tier <= level).count();
            let at_level = tiers.get(end - small..end)?.iter().filter(|&&tier| tier == level);
            if at_level.count() >= fan_out {
                return Some(end - small..end);
            }
            end = end.checked_sub(small + 1)?;
        }
    })
}

const fn tier(entries: u64, fan_out: usize) -> u32 {
    // Between two powers lies what merging `fan_out` runs of the lower tier gives.
    match (entries.saturating_mul(2)).checked_ilog(fan_out as u64) {
        Some(tier) => tier,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(entries: &[u64], fan_out: usize) -> Vec<u64> {
        let mut runs = entries.to_vec();
        while let Some(range) = choose(&runs, fan_out) {
            assert!(range.len() >= fan_out, "{range:?} of {runs:?}");
            let sum = runs.get(range.clone()).unwrap_or_default().iter().sum();
            runs.splice(range, [sum]);
        }
        runs
    }

    #[test]
    fn equal_neighbours_become_one() {
        assert_eq!(choose(&[100, 100, 100], 4), None);
        assert_eq!(choose(&[100, 100, 100, 100], 4), Some(0..4));
        assert_eq!(choose(&[10_000, 100, 100, 100, 100], 4), Some(1..5));
        assert_eq!(merged(&[100; 64], 4), [6400]);
    }

    #[test]
    fn a_small_run_between_larger_ones_goes_along() {
        assert_eq!(choose(&[100, 100, 1, 100, 100], 4), Some(0..5));
        assert_eq!(choose(&[], 4), None);
    }

    #[test]
    fn runs_stay_few_and_are_rewritten_rarely() {
        let (mut runs, mut rewritten, mut most) = (Vec::new(), 0, 0);
        for i in 0..1000_u64 {
            runs.push(150_000 + i * 7919 % 50_000);
            while let Some(range) = choose(&runs, 6) {
                let sum = runs.get(range.clone()).unwrap_or_default().iter().sum::<u64>();
                rewritten += sum;
                runs.splice(range, [sum]);
            }
            most = most.max(runs.len());
        }
        let all: u64 = runs.iter().sum();
        assert!(most <= 24, "{most} runs");
        assert!(rewritten <= all * 5, "{} rewrites", rewritten / all);
    }
}
