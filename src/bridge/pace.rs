//! How much goes to one peer at once, and how long its answer may take. Pure.
//!
//! Whatever fills a link keeps everything behind it from arriving: signs of life, requests, answers. So a courier has no more
//! under way than the link carries in about a second, and finds out how much that is by how much later than the quickest the
//! answers come.

use std::time::Duration;

use crate::parcel::PARCEL_BYTES_MAX;

/// Deliveries under way to one peer.
pub const WINDOW_MAX: usize = 12;
/// What the first delivery has, in bytes: a second's worth on a link of 32 kbit/s.
const BYTES_MIN: usize = 4 * 1024;
/// An answer that comes this much later than the quickest says that there is room for more.
const QUICK: Duration = Duration::from_millis(250);
/// One that comes this much later says that there is too much under way.
const SLOW: Duration = Duration::from_secs(1);
/// How long an answer may take: at least …
const PATIENCE_MIN: Duration = Duration::from_secs(2);
/// … and at most, which is what the largest envelope needs on a link of 9 kB/s.
const PATIENCE_MAX: Duration = Duration::from_secs(30);

/// What a courier has learnt of the way to its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    deliveries: usize,
    bytes: usize,
    patience: Duration,
    /// How long the quickest answer took.
    least: Duration,
}

impl Pace {
    /// Nothing is known of the way.
    pub fn new() -> Self {
        Self { deliveries: 1, bytes: BYTES_MIN, patience: PATIENCE_MIN, least: Duration::MAX }
    }

    /// Deliveries that may be under way.
    pub fn deliveries(&self) -> usize {
        self.deliveries
    }

    /// Bytes of one delivery.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long an answer may take.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Nothing is under way any more; how patient one has to be is still known.
    pub fn begin(&mut self) {
        *self = Self { patience: self.patience, ..Self::new() };
    }

    /// A delivery was taken, and the answer came after `took`.
    pub fn answered(&mut self, took: Duration) {
        self.least = self.least.min(took);
        let later = took - self.least;
        if later <= QUICK {
            self.deliveries = (self.deliveries * 2).min(WINDOW_MAX);
            self.bytes = (self.bytes * 2).min(PARCEL_BYTES_MAX);
        } else if later > SLOW && (self.deliveries, self.bytes) == (1, BYTES_MIN) {
            // With so little under way the way itself has become slower.
            self.least = took;
        } else if later > SLOW {
            self.deliveries = (self.deliveries / 2).max(1);
            self.bytes = (self.bytes / 2).max(BYTES_MIN);
        }
        self.patience = took.saturating_mul(4).clamp(PATIENCE_MIN, PATIENCE_MAX);
    }

    /// No answer came in time. It may only be late, so the next one is waited for longer.
    pub fn unanswered(&mut self) {
        self.patience = self.patience.saturating_mul(2).min(PATIENCE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Answers of a link: `rtt_ms` there and back, then so many bytes a second; what is under way stands in one row.
    fn over(rtt_ms: u64, bytes_per_second: u64, rounds: usize) -> Pace {
        let mut pace = Pace::new();
        for _ in 0..rounds {
            let under_way = (pace.deliveries() * pace.bytes()) as u64;
            pace.answered(ms(rtt_ms + under_way * 1_000 / bytes_per_second));
        }
        pace
    }

    #[test]
    fn a_fast_link_is_filled_however_far_it_goes() {
        for rtt_ms in [1, 60, 700] {
            let pace = over(rtt_ms, 10_000_000, 8);
            assert_eq!((pace.deliveries(), pace.bytes()), (WINDOW_MAX, PARCEL_BYTES_MAX), "{rtt_ms}");
        }
    }

    #[test]
    fn a_slow_link_has_about_a_second_under_way_and_no_answer_is_given_up_too_early() {
        for bytes_per_second in [5_000, 20_000, 100_000] {
            for rounds in 8..40 {
                let pace = over(50, bytes_per_second, rounds);
                let under_way = (pace.deliveries() * pace.bytes()) as u64;
                assert!(under_way <= bytes_per_second * 5, "{under_way} bytes at {bytes_per_second}/s");
                assert!(pace.patience() >= ms(under_way * 1_000 / bytes_per_second), "{pace:?}");
            }
        }
    }

    #[test]
    fn a_way_that_has_become_slower_is_not_taken_for_a_full_one_for_ever() {
        let mut pace = Pace::new();
        pace.answered(ms(10));
        for _ in 0..20 {
            pace.answered(ms(3_000));
        }
        assert_eq!((pace.deliveries(), pace.bytes()), (WINDOW_MAX, PARCEL_BYTES_MAX));
    }

    #[test]
    fn whoever_does_not_answer_is_waited_for_longer_and_not_for_ever() {
        let mut pace = Pace::new();
        let waits: Vec<u64> = (0..6)
            .map(|_| {
                pace.unanswered();
                pace.begin();
                pace.patience().as_secs()
            })
            .collect();
        assert_eq!(waits, [4, 8, 16, 30, 30, 30]);
        pace.answered(ms(10));
        assert_eq!(pace.patience(), PATIENCE_MIN);
    }

    proptest! {
        #[test]
        fn everything_stays_within_its_bounds(answers: Vec<Option<u32>>) {
            let mut pace = Pace::new();
            for answer in answers {
                match answer {
                    Some(took_ms) => pace.answered(ms(took_ms.into())),
                    None => pace.unanswered(),
                }
                prop_assert!((1..=WINDOW_MAX).contains(&pace.deliveries()));
                prop_assert!((BYTES_MIN..=PARCEL_BYTES_MAX).contains(&pace.bytes()));
                prop_assert!((PATIENCE_MIN..=PATIENCE_MAX).contains(&pace.patience()));
            }
        }
    }
}
