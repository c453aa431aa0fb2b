//! How long to wait before a node is dialled again.

use std::time::Duration;

/// How far a wait may be from its exact length, in percent, either way.
const JITTER_PERCENT: u32 = 20;

/// A row of waits, each twice the one before, up to a longest one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next wait, moved by `random`: those who failed together do not return together.
    pub fn wait(&mut self, random: u16) -> Duration {
        let wait = self.next;
        self.next = self.next.saturating_mul(2).min(self.longest);
        jittered(wait, random)
    }

    /// The next wait is the first one again. Only a connection that has lasted is worth that, or another address.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// `wait`, up to [`JITTER_PERCENT`] shorter or longer.
pub(crate) fn jittered(wait: Duration, random: u16) -> Duration {
    let least = wait * (100 - JITTER_PERCENT) / 100;
    let span = wait * (2 * JITTER_PERCENT) / 100;
    least + span * u32::from(random) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIDDLE: u16 = u16::MAX / 2;

    #[test]
    fn waits_double_from_one_second_to_thirty_and_begin_again_only_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let waits: Vec<u128> = (0..7).map(|_| (backoff.wait(MIDDLE).as_millis() + 5) / 100).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        backoff.reset();
        assert_eq!((backoff.wait(MIDDLE).as_millis() + 5) / 100, 10);
    }

    #[test]
    fn jitter_reaches_a_fifth_to_both_sides() {
        let second = Duration::from_secs(1);
        let (least, most) = (jittered(second, 0), jittered(second, u16::MAX));
        assert_eq!((least, most), (Duration::from_millis(800), Duration::from_millis(1_200)));
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(random: u16, rounds in 0_usize..12, wait_ms in 0_u64..400_000) {
            let wait = Duration::from_millis(wait_ms);
            let moved = jittered(wait, random);
            prop_assert!(moved >= wait * 4 / 5 && moved <= wait * 6 / 5);
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
            for _ in 0..rounds {
                prop_assert!(backoff.wait(random) <= Duration::from_secs(36));
            }
        }
    }
}
