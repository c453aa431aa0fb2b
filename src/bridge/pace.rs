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
    /// How often the window was changed.
    changes: u64,
}

/// What a delivery can show about the way once it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The window it left in.
    changes: u64,
    /// True if it filled that window: what did not shows nothing about room for more.
    fills: bool,
}

impl Pace {
    /// Nothing is known of the way.
    pub fn new() -> Self {
        Self { deliveries: 1, bytes: BYTES_MIN, patience: PATIENCE_MIN, least: Duration::MAX, changes: 0 }
    }

    /// True while one delivery more may leave, so many being under way with so many bytes in all. One always may, however large;
    /// small ones need no larger window, and there are never more than [`WINDOW_MAX`].
    pub fn has_room(&self, under_way: usize, bytes: usize) -> bool {
        under_way == 0 || (under_way < WINDOW_MAX && bytes < self.window())
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
        *self = Self { patience: self.patience, changes: self.changes + 1, ..Self::new() };
    }

    /// A delivery leaves, and with it so many bytes are under way.
    pub fn leaving(&self, bytes: usize) -> Probe {
        Probe { changes: self.changes, fills: bytes.saturating_mul(2) >= self.window() }
    }

    /// Bytes that may be under way.
    fn window(&self) -> usize {
        self.deliveries * self.bytes
    }

    /// A delivery was taken, and the answer came after `took`.
    pub fn answered(&mut self, took: Duration, probe: Probe) {
        self.least = self.least.min(took);
        let later = took - self.least;
        self.patience = took.saturating_mul(4).max(self.patience / 2).clamp(PATIENCE_MIN, PATIENCE_MAX);
        // What left before the last change shows what the window before it did.
        if probe.changes != self.changes {
            return;
        }
        let is_least = (self.deliveries, self.bytes) == (1, BYTES_MIN);
        if later <= QUICK && probe.fills {
            self.change(Self::grow);
        } else if later > QUICK && is_least {
            // With so little under way it is the way itself that takes so long.
            self.least = took;
        } else if later > SLOW {
            self.change(Self::shrink);
        }
    }

    /// No answer came within `waited`. If that was for lack of patience, the next one is waited for longer; an end without a wait
    /// says nothing of the way.
    pub fn unanswered(&mut self, waited: Duration) {
        if waited.saturating_mul(2) >= self.patience {
            self.patience = self.patience.saturating_mul(2).min(PATIENCE_MAX);
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = (self.deliveries, self.bytes);
        change(self);
        self.changes += u64::from(before != (self.deliveries, self.bytes));
    }

    /// Larger deliveries first: many small ones cost more signatures.
    fn grow(&mut self) {
        if self.bytes < PARCEL_BYTES_MAX {
            self.bytes = (self.bytes * 2).min(PARCEL_BYTES_MAX);
        } else {
            self.deliveries = (self.deliveries * 2).min(WINDOW_MAX);
        }
    }

    fn shrink(&mut self) {
        if self.deliveries > 1 {
            self.deliveries /= 2;
        } else {
            self.bytes = (self.bytes / 2).max(BYTES_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A link: `rtt_ms` there and back, then so many bytes a second; what is under way stands in one row.
    struct Link {
        rtt_ms: u64,
        bytes_per_second: u64,
        now_ms: u64,
        free_ms: u64,
        /// When each delivery is answered, when it left, its bytes, and what it shows.
        under_way: VecDeque<(u64, u64, usize, Probe)>,
        /// The longest row so far, milliseconds.
        row_ms: u64,
        given_up: u32,
        /// The most deliveries under way.
        most: usize,
    }

    impl Link {
        fn of(rtt_ms: u64, bytes_per_second: u64) -> Self {
            let under_way = VecDeque::new();
            Self {
                rtt_ms,
                bytes_per_second,
                now_ms: 0,
                free_ms: 0,
                under_way,
                row_ms: 0,
                given_up: 0,
                most: 0,
            }
        }

        /// Sends all of it in deliveries of at most `size_max` bytes, as much at once as the pace says.
        fn carry(&mut self, pace: &mut Pace, mut bytes: usize, size_max: usize) {
            while bytes > 0 || !self.under_way.is_empty() {
                let sum = |link: &Self| link.under_way.iter().map(|(_, _, size, _)| *size).sum::<usize>();
                while bytes > 0 && pace.has_room(self.under_way.len(), sum(self)) {
                    let size = pace.bytes().min(bytes).min(size_max);
                    bytes -= size;
                    let takes_ms = size as u64 * 1_000 / self.bytes_per_second;
                    self.free_ms = self.free_ms.max(self.now_ms) + takes_ms;
                    self.row_ms = self.row_ms.max(self.free_ms - self.now_ms);
                    let probe = pace.leaving(sum(self) + size);
                    self.under_way.push_back((self.free_ms + self.rtt_ms, self.now_ms, size, probe));
                    self.most = self.most.max(self.under_way.len());
                }
                let Some((at_ms, left_ms, _, probe)) = self.under_way.pop_front() else { return };
                self.now_ms = at_ms;
                self.given_up += u32::from(ms(at_ms - left_ms) > pace.patience());
                pace.answered(ms(at_ms - left_ms), probe);
            }
        }
    }

    fn after(rtt_ms: u64, bytes_per_second: u64, bytes: usize) -> (Pace, Link) {
        let (mut pace, mut link) = (Pace::new(), Link::of(rtt_ms, bytes_per_second));
        link.carry(&mut pace, bytes, usize::MAX);
        (pace, link)
    }

    #[test]
    fn a_fast_link_is_filled_however_far_it_goes() {
        for rtt_ms in [1, 60, 700] {
            let (pace, _) = after(rtt_ms, 10_000_000, 20_000_000);
            assert_eq!(pace.window(), WINDOW_MAX * PARCEL_BYTES_MAX, "{rtt_ms}");
        }
    }

    #[test]
    fn a_slow_link_has_little_under_way_and_no_answer_is_given_up_too_early() {
        for bytes_per_second in [5_000, 10_000, 20_000, 50_000, 100_000, 200_000] {
            let (_, link) = after(50, bytes_per_second, 3_000_000);
            assert!(link.row_ms < 3_500, "{} ms at {bytes_per_second}/s", link.row_ms);
            assert_eq!(link.given_up, 0, "at {bytes_per_second}/s");
        }
    }

    #[test]
    fn a_burst_after_small_words_finds_no_window_that_nothing_has_tested() {
        let (mut pace, mut link) = (Pace::new(), Link::of(50, 10_000));
        for _ in 0..100 {
            link.carry(&mut pace, 300, 300);
            link.now_ms += 3_000;
        }
        link.row_ms = 0;
        link.carry(&mut pace, 400_000, usize::MAX);
        assert!(link.row_ms < 3_500 && link.given_up == 0, "{} ms, {} given up", link.row_ms, link.given_up);
    }

    #[test]
    fn small_deliveries_do_not_wait_for_one_another_and_do_not_make_room_for_more_than_they_were() {
        let (mut pace, mut link) = (Pace::new(), Link::of(600, 1_000_000));
        link.carry(&mut pace, 100 * 300, 300);
        assert_eq!(link.most, WINDOW_MAX);
        assert!(pace.window() <= 4 * WINDOW_MAX * 300, "{pace:?}");
    }

    #[test]
    fn a_way_that_has_become_slower_is_not_taken_for_a_full_one_for_ever() {
        for took_ms in [300, 700, 3_000] {
            let mut pace = Pace::new();
            for took_ms in [10, 2_000].into_iter().chain([took_ms; 40]) {
                let probe = pace.leaving(pace.window());
                pace.answered(ms(took_ms), probe);
            }
            assert_eq!(pace.window(), WINDOW_MAX * PARCEL_BYTES_MAX, "{took_ms} ms");
        }
    }

    #[test]
    fn answers_of_one_flight_change_the_window_once() {
        let (mut pace, _) = after(1, 10_000_000, 20_000_000);
        let probes: Vec<Probe> = (1..=WINDOW_MAX).map(|n| pace.leaving(n * pace.bytes())).collect();
        probes.into_iter().for_each(|probe| pace.answered(ms(5_000), probe));
        assert_eq!(pace.window(), WINDOW_MAX / 2 * PARCEL_BYTES_MAX);
    }

    #[test]
    fn whoever_does_not_answer_is_waited_for_longer_and_not_for_ever() {
        let mut pace = Pace::new();
        let waits: Vec<u64> = (0..6)
            .map(|_| {
                pace.unanswered(pace.patience());
                pace.begin();
                pace.patience().as_secs()
            })
            .collect();
        assert_eq!(waits, [4, 8, 16, 30, 30, 30]);
        let quick = |pace: &mut Pace| pace.answered(ms(10), pace.leaving(300));
        quick(&mut pace);
        assert_eq!(pace.patience(), ms(15_000), "one quick answer to little is no proof");
        (0..3).for_each(|_| quick(&mut pace));
        assert_eq!(pace.patience(), PATIENCE_MIN);
        // Where there is no way at all the end comes at once.
        pace.unanswered(ms(3));
        assert_eq!(pace.patience(), PATIENCE_MIN);
    }

    proptest! {
        #[test]
        fn everything_stays_within_its_bounds(answers: Vec<(Option<u32>, u32)>) {
            let mut pace = Pace::new();
            for (answer, bytes) in answers {
                let probe = pace.leaving(bytes as usize);
                match answer {
                    Some(took_ms) => pace.answered(ms(took_ms.into()), probe),
                    None => pace.unanswered(ms(bytes.into())),
                }
                prop_assert!((1..=WINDOW_MAX).contains(&pace.deliveries));
                prop_assert!((BYTES_MIN..=PARCEL_BYTES_MAX).contains(&pace.bytes()));
                prop_assert!((PATIENCE_MIN..=PATIENCE_MAX).contains(&pace.patience()));
            }
        }
    }
}
