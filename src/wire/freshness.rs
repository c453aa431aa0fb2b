//! How fresh something is, by when it was made and not by when it came: what was restored or fetched late is old.

/// How often a value is expected when nothing else is said, in milliseconds.
pub const INTERVAL_MS: u64 = 30_000;

/// How fresh something is, freshest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// At most 3 values are missing.
    Fresh,
    /// At most 10 are.
    Aging,
    /// At most 60 are.
    Stale,
    /// More than that.
    Expired,
}

impl Freshness {
    /// The word people see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Aging => "aging",
            Self::Stale => "stale",
            Self::Expired => "expired",
        }
    }
}

/// How fresh a value is that was made at `origin_ms` and is expected every `interval_ms`, now being `unix_ms`.
///
/// A value from the future counts as made now; how far in the future one is taken at all is judged where it is read.
#[must_use]
pub fn freshness(origin_ms: u64, unix_ms: u64, interval_ms: u64) -> Freshness {
    let age_ms = unix_ms.saturating_sub(origin_ms);
    let within = |intervals: u64| age_ms <= interval_ms.saturating_mul(intervals);
    if within(3) {
        Freshness::Fresh
    } else if within(10) {
        Freshness::Aging
    } else if within(60) {
        Freshness::Stale
    } else {
        Freshness::Expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ages_have_the_classes_that_existing_nodes_give_them() {
        for (age_s, class) in [
            (0, Freshness::Fresh),
            (90, Freshness::Fresh),
            (93, Freshness::Aging),
            (120, Freshness::Aging),
            (300, Freshness::Aging),
            (330, Freshness::Stale),
            (1_800, Freshness::Stale),
            (1_830, Freshness::Expired),
        ] {
            assert_eq!(freshness(1_000_000, 1_000_000 + age_s * 1_000, INTERVAL_MS), class, "{age_s}");
        }
    }

    proptest! {
        #[test]
        fn an_older_value_is_never_fresher(origin: u64, now: u64, interval: u64, older: u64) {
            let old = freshness(origin.saturating_sub(older), now, interval);
            prop_assert!(old >= freshness(origin, now, interval));
        }
    }
}
