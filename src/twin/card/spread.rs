//! A number over many rollouts, as three.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// In five of a hundred rollouts a number is below `p05`, in half of them below `p50`, in ninety-five below `p95`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Hardly ever less.
    #[n(0)]
    pub p05: f64,
    /// The middle.
    #[n(1)]
    pub p50: f64,
    /// Hardly ever more.
    #[n(2)]
    pub p95: f64,
}

impl Spread {
    /// The spread of numbers in any order, by nearest rank; all zero of none.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return Self::default() };
        let rank =
            |percent: usize| sorted[(percent * sorted.len()).div_ceil(100).saturating_sub(1).min(last)];
        Self { p05: rank(5), p50: rank(50), p95: rank(95) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_those_of_the_sorted_numbers() {
        let spread = Spread::of((1..=100).rev().map(f64::from));
        assert_eq!(spread, Spread { p05: 5.0, p50: 50.0, p95: 95.0 });
        assert_eq!(Spread::of([7.0]), Spread { p05: 7.0, p50: 7.0, p95: 7.0 });
        assert_eq!(Spread::of([]), Spread::default());
    }

    proptest! {
        #[test]
        fn a_spread_rises_and_does_not_depend_on_the_order(mut numbers in prop::collection::vec(-1e9..1e9_f64, 1..50)) {
            let spread = Spread::of(numbers.iter().copied());
            prop_assert!(spread.p05 <= spread.p50 && spread.p50 <= spread.p95);
            numbers.reverse();
            prop_assert_eq!(Spread::of(numbers), spread);
        }
    }
}
