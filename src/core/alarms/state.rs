//! How one alarm stands, and what may happen to it: the states of ISA-18.2 and IEC 62682, as far as we need them. Pure.

use bevy::prelude::Component;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// A condition that returns within this time after it has gone counts up and does not ring anew.
pub const QUIET_MS: u64 = 10_000;
/// What was acknowledged before a restart stays so if its condition is there again within this time: sensors have to
/// speak and other nodes to be heard first.
pub const QUIET_AFTER_RESTART_MS: u64 = 120_000;

/// How soon a person has to look.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When there is time.
    #[n(0)]
    Low,
    /// Today.
    #[n(1)]
    Medium,
    /// Soon.
    #[n(2)]
    High,
    /// Now.
    #[n(3)]
    Critical,
}

impl Priority {
    /// The word for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How an alarm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is the case, and nobody has acknowledged it.
    Unacknowledged,
    /// It is over, and nobody has acknowledged that it was the case.
    Returned,
    /// It is the case, and somebody has acknowledged it.
    Acknowledged,
    /// Somebody put it aside for a time.
    Shelved,
    /// It is over and acknowledged: no alarm any more.
    Normal,
}

impl Standing {
    /// The word for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unacknowledged => "unacknowledged",
            Self::Returned => "returned",
            Self::Acknowledged => "acknowledged",
            Self::Shelved => "shelved",
            Self::Normal => "normal",
        }
    }
}

/// The moment at which alarms are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The tick.
    pub tick: u64,
    /// Wall time at that tick, Unix milliseconds; 0 means unknown.
    pub wall_ms: u64,
    /// Ticks per second.
    pub hz: u32,
}

impl Now {
    /// Ticks that `ms` milliseconds take, rounded up.
    #[must_use]
    pub fn ticks_of_ms(&self, ms: u64) -> u64 {
        ms.saturating_mul(u64::from(self.hz.max(1))).div_ceil(1_000)
    }

    /// Milliseconds that `ticks` take.
    #[must_use]
    pub fn ms_of_ticks(&self, ticks: u64) -> u64 {
        ticks.saturating_mul(1_000) / u64::from(self.hz.max(1))
    }

    /// The tick that comes `ms` milliseconds after this one.
    #[must_use]
    pub fn after_ms(&self, ms: u64) -> u64 {
        self.tick.saturating_add(self.ticks_of_ms(ms))
    }
}

/// How an alarm stands, and how it came to.
#[derive(Component, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct AlarmState {
    /// How soon a person has to look.
    #[n(0)]
    pub priority: Priority,
    /// What is the case and what to do, one sentence.
    #[n(1)]
    pub sentence: String,
    /// True while it is the case.
    #[n(2)]
    pub is_active: bool,
    /// True once somebody has acknowledged it, until it rings anew.
    #[n(3)]
    pub is_acknowledged: bool,
    /// Who acknowledged it, as they called themselves.
    #[n(4)]
    pub acknowledged_by: Option<String>,
    /// How often it came, the returns that did not ring anew among them.
    #[n(5)]
    pub count: u64,
    /// The tick in which it rang last; of an earlier run about the tick, by the wall clock.
    #[n(6)]
    pub raised_tick: u64,
    /// When it rang last, Unix milliseconds.
    #[n(7)]
    pub raised_ms: u64,
    /// The tick in which it was over; absent while it is the case.
    #[n(8)]
    pub cleared_tick: Option<u64>,
    /// Until this tick a return counts and does not ring anew.
    #[n(9)]
    pub quiet_until_tick: u64,
    /// The tick in which it comes off the shelf, while it is on it.
    #[n(10)]
    pub shelved_until_tick: Option<u64>,
    /// Who shelved it, as they called themselves.
    #[n(11)]
    pub shelved_by: Option<String>,
    /// True for what has happened and does not end by itself: it is over when somebody acknowledges it.
    #[n(12)]
    pub happens_once: bool,
}

impl AlarmState {
    /// A new alarm.
    #[must_use]
    pub fn ring(condition: &Condition, now: &Now) -> Self {
        Self {
            priority: condition.priority,
            sentence: condition.sentence.clone(),
            is_active: true,
            is_acknowledged: false,
            acknowledged_by: None,
            count: 1,
            raised_tick: now.tick,
            raised_ms: now.wall_ms,
            cleared_tick: None,
            quiet_until_tick: now.tick,
            shelved_until_tick: None,
            shelved_by: None,
            happens_once: condition.happens_once,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.shelved_until_tick, self.is_active, self.is_acknowledged) {
            (Some(_), ..) => Standing::Shelved,
            (None, true, false) => Standing::Unacknowledged,
            (None, true, true) => Standing::Acknowledged,
            (None, false, false) => Standing::Returned,
            (None, false, true) => Standing::Normal,
        }
    }

    /// Its condition holds.
    pub fn hold(&mut self, condition: &Condition, now: &Now) {
        if self.happens_once && self.is_acknowledged {
            return;
        }
        if !self.is_active {
            let is_quiet = self.is_quiet(condition, now);
            // What is known to flicker is shown at once; only a ring waits until the condition has lasted.
            if !is_quiet && !condition.is_due(now) {
                return;
            }
            self.is_active = true;
            self.cleared_tick = None;
            self.count = self.count.saturating_add(1);
            if !is_quiet {
                self.ring_anew(now);
            }
        }
        self.priority = condition.priority;
        if self.sentence != condition.sentence {
            self.sentence.clone_from(&condition.sentence);
        }
    }

    /// Its condition does not hold.
    pub fn end(&mut self, now: &Now) {
        if self.is_active && !self.happens_once {
            self.is_active = false;
            self.cleared_tick = Some(now.tick);
            // What is critical does not flicker: the stop that comes after a stop is another one.
            let quiet_ms = if self.priority == Priority::Critical { 0 } else { QUIET_MS };
            self.quiet_until_tick = now.after_ms(quiet_ms);
        }
    }

    /// Takes it off the shelf when its time there is over.
    pub fn end_shelf(&mut self, now: &Now) {
        if self.shelved_until_tick.is_some_and(|until| until <= now.tick) {
            self.unshelve(now);
        }
    }

    /// Somebody has seen it.
    pub fn acknowledge(&mut self, by: &str, now: &Now) {
        self.is_acknowledged = true;
        self.acknowledged_by = Some(by.to_owned());
        if self.happens_once && self.is_active {
            self.is_active = false;
            self.cleared_tick = Some(now.tick);
        }
    }

    /// Somebody puts it aside for a time.
    pub fn shelve(&mut self, for_ms: u64, by: &str, now: &Now) {
        self.shelved_until_tick = Some(now.after_ms(for_ms));
        self.shelved_by = Some(by.to_owned());
    }

    /// Takes it off the shelf. What is the case then rings anew: nobody has looked at it all the while.
    pub fn unshelve(&mut self, now: &Now) {
        self.shelved_until_tick = None;
        self.shelved_by = None;
        if self.is_active {
            self.ring_anew(now);
        }
    }

    /// False when nothing would be lost with it.
    #[must_use]
    pub fn is_needed(&self, holds: bool, now: &Now) -> bool {
        let is_normal = self.standing() == Standing::Normal;
        let is_remembered = now.tick < self.quiet_until_tick || (self.happens_once && holds);
        !is_normal || is_remembered
    }

    fn ring_anew(&mut self, now: &Now) {
        self.is_acknowledged = false;
        self.acknowledged_by = None;
        self.raised_tick = now.tick;
        self.raised_ms = now.wall_ms;
    }

    fn is_quiet(&self, condition: &Condition, now: &Now) -> bool {
        let is_the_same = self.priority < Priority::Critical || self.sentence == condition.sentence;
        now.tick < self.quiet_until_tick && is_the_same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u32 = 50;

    fn at(second: u64) -> Now {
        Now { tick: second * u64::from(HZ), wall_ms: 1_000_000 + second * 1_000, hz: HZ }
    }

    fn condition(priority: Priority) -> Condition {
        let sentence = "the gate is open; close it".to_owned();
        Condition { priority, sentence, since_tick: 0, on_delay_ms: 0, happens_once: false }
    }

    #[derive(Debug, Clone, Copy)]
    enum Event {
        Holds,
        Ends,
        Acknowledged,
        Shelved,
        Unshelved,
        ShelfEnds,
    }
    use Event::{Acknowledged, Ends, Holds, ShelfEnds, Shelved, Unshelved};

    fn after(events: &[Event]) -> AlarmState {
        let mut state = AlarmState::ring(&condition(Priority::High), &at(100));
        for event in events {
            match event {
                Holds => state.hold(&condition(Priority::High), &at(200)),
                Ends => state.end(&at(101)),
                Acknowledged => state.acknowledge("asha", &at(102)),
                Shelved => state.shelve(60_000, "asha", &at(103)),
                Unshelved => state.unshelve(&at(104)),
                ShelfEnds => state.end_shelf(&at(163)),
            }
        }
        state
    }

    #[test]
    fn every_event_leads_from_every_state_where_the_standard_says() {
        use Standing as S;
        // The way to a state, then what each of the six events makes of it.
        let table: [(&[Event], S, [S; 6]); 5] = [
            (
                &[],
                S::Unacknowledged,
                [
                    S::Unacknowledged,
                    S::Returned,
                    S::Acknowledged,
                    S::Shelved,
                    S::Unacknowledged,
                    S::Unacknowledged,
                ],
            ),
            (
                &[Ends],
                S::Returned,
                [S::Unacknowledged, S::Returned, S::Normal, S::Shelved, S::Returned, S::Returned],
            ),
            (
                &[Acknowledged],
                S::Acknowledged,
                [S::Acknowledged, S::Normal, S::Acknowledged, S::Shelved, S::Unacknowledged, S::Acknowledged],
            ),
            (
                &[Acknowledged, Shelved],
                S::Shelved,
                [S::Shelved, S::Shelved, S::Shelved, S::Shelved, S::Unacknowledged, S::Unacknowledged],
            ),
            (
                &[Acknowledged, Ends],
                S::Normal,
                [S::Unacknowledged, S::Normal, S::Normal, S::Shelved, S::Normal, S::Normal],
            ),
        ];
        for (way, standing, outcomes) in table {
            assert_eq!(after(way).standing(), standing, "{way:?}");
            let events = [Holds, Ends, Acknowledged, Shelved, Unshelved, ShelfEnds];
            for (event, outcome) in events.into_iter().zip(outcomes) {
                let all = [way, &[event]].concat();
                assert_eq!(after(&all).standing(), outcome, "{all:?}");
            }
        }
    }

    #[test]
    fn what_returns_within_ten_seconds_counts_and_stays_acknowledged() {
        let mut state = AlarmState::ring(&condition(Priority::High), &at(0));
        state.acknowledge("asha", &at(1));
        for second in [10, 19, 28] {
            state.end(&at(second));
            state.hold(&condition(Priority::High), &at(second + 9));
        }
        assert_eq!((state.standing(), state.count, state.raised_tick), (Standing::Acknowledged, 4, 0));
        state.end(&at(50));
        state.hold(&condition(Priority::High), &at(60));
        assert_eq!((state.standing(), state.count), (Standing::Unacknowledged, 5));
        assert_eq!((state.raised_tick, state.raised_ms), (at(60).tick, at(60).wall_ms));
        assert_eq!(state.acknowledged_by, None);
    }

    #[test]
    fn a_critical_alarm_that_returns_always_rings_anew() {
        let mut state = AlarmState::ring(&condition(Priority::Critical), &at(0));
        state.acknowledge("asha", &at(1));
        state.end(&at(2));
        state.hold(&condition(Priority::Critical), &at(3));
        assert_eq!((state.standing(), state.count), (Standing::Unacknowledged, 2));
    }

    #[test]
    fn what_rings_anew_has_lasted_and_what_flickers_is_shown_at_once() {
        let slow = |since: u64| Condition {
            since_tick: at(since).tick,
            on_delay_ms: 1_000,
            ..condition(Priority::Medium)
        };
        let mut state = AlarmState::ring(&slow(0), &at(1));
        state.end(&at(2));
        state.hold(&slow(3), &at(3));
        assert!(state.is_active, "it is known to flicker");
        state.end(&at(4));
        state.hold(&slow(20), &at(20));
        assert!(!state.is_active, "it has not lasted yet");
        state.hold(&slow(20), &at(21));
        assert_eq!((state.is_active, state.raised_tick), (true, at(21).tick));
    }

    #[test]
    fn what_has_happened_is_over_when_somebody_acknowledges_it_and_does_not_ring_again() {
        let once = Condition { happens_once: true, ..condition(Priority::High) };
        let mut state = AlarmState::ring(&once, &at(0));
        state.end(&at(5));
        assert_eq!(state.standing(), Standing::Unacknowledged, "it happened, whatever became of it");
        state.acknowledge("asha", &at(6));
        assert_eq!((state.standing(), state.cleared_tick), (Standing::Normal, Some(at(6).tick)));
        state.hold(&once, &at(900));
        assert_eq!((state.standing(), state.count), (Standing::Normal, 1));
        assert!(state.is_needed(true, &at(900)), "as long as it is shown, it must not ring again");
        assert!(!state.is_needed(false, &at(900)));
    }

    #[test]
    fn an_alarm_is_forgotten_when_it_is_over_acknowledged_and_no_longer_flickers() {
        let mut state = AlarmState::ring(&condition(Priority::High), &at(0));
        for (second, is_needed) in [(1, true), (10, true), (11, false)] {
            state.end(&at(1));
            state.acknowledge("asha", &at(1));
            assert_eq!(state.is_needed(false, &at(second)), is_needed, "{second} s");
        }
        state.shelve(60_000, "asha", &at(20));
        assert!(state.is_needed(false, &at(79)), "the shelf is for what comes again");
    }
}
