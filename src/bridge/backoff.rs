//! How long to wait before trying again: doubling, bounded, and with jitter where many may wait at once.

use std::time::Duration;

/// A row of waits, each twice the one before, up to a longest one.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next wait, exactly.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = self.next.saturating_mul(2).min(self.longest);
        wait
    }

    /// The next wait, cut by up to half of it by `noise`: those who failed together do not return together.
    pub fn wait_with_jitter(&mut self, noise: u64) -> Duration {
        let wait = self.wait();
        let half_ms = u64::try_from(wait.as_millis() / 2).unwrap_or(u64::MAX);
        wait.saturating_sub(Duration::from_millis(noise % half_ms.saturating_add(1)))
    }

    /// The next wait is the first one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Spreads `seed` over 64 bits (the finisher of SplitMix64); enough for jitter, not for secrets.
pub fn noise(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let waits: Vec<u64> = (0..7).map(|_| backoff.wait().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.wait().as_secs(), 1);
    }

    proptest! {
        #[test]
        fn jitter_never_waits_longer_nor_less_than_half(seed: u64, rounds in 0_usize..12) {
            let mut exact = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
            let mut jittered = exact;
            for round in 0..rounds as u64 {
                let (wait, cut) = (exact.wait(), jittered.wait_with_jitter(noise(seed ^ round)));
                prop_assert!(cut <= wait && cut >= wait / 2, "{cut:?} of {wait:?}");
            }
        }
    }
}
