//! How much one zone is minded: what was thought of it, and when it may be wished for again.

use bevy::prelude::Component;
use clawmesh_authority::leadership::Term;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::intake::Thought;
use crate::settings::Settings;

/// Rounds in a row in which a zone must be thought dry before anything is wished: one odd reading moves nobody.
pub const DRY_ROUNDS_MIN: u8 = 2;
/// How long a zone rests after a wish, milliseconds, whatever became of it.
pub const REST_AFTER_WISH_MS: u64 = 10 * 60_000;
/// How long a zone rests after it was watered, milliseconds: water is slow to reach the sensor.
pub const REST_AFTER_COMPLETED_MS: u64 = 60 * 60_000;
/// How long a zone rests after a proposal that ended otherwise, milliseconds.
pub const REST_AFTER_END_MS: u64 = 10 * 60_000;
/// For so long after a wish its actuators count as wanted, milliseconds: until then its proposal shows, or never will.
pub const SETTLES_MS: u64 = 60_000;

/// How much this node minds one zone. All that its planner remembers is here.
#[derive(Component, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Attention {
    /// True while it is thought to be dry.
    #[n(0)]
    pub is_dry: bool,
    /// How pressing that is, thousandths.
    #[n(1)]
    pub urgency_permille: u16,
    /// How moist it was then, thousandths by volume; absent while that is unknown.
    #[n(2)]
    pub moisture_permille: Option<u16>,
    /// The tick since which it is thought so.
    #[n(3)]
    pub since_tick: u64,
    /// Rounds in a row in which it was thought dry, counted as far as [`DRY_ROUNDS_MIN`].
    #[n(4)]
    pub dry_rounds: u8,
    /// The tick of the last wish.
    #[n(5)]
    pub wished_tick: Option<u64>,
    /// Until when it rests because a proposal for it has ended, Unix milliseconds.
    #[n(6)]
    pub rests_until_ms: u64,
    /// The term of the last wish.
    #[n(7)]
    pub wished_term: Option<Term>,
}

/// A proposal for a zone that has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// True when the zone was watered, and a sensor has confirmed it.
    pub is_completed: bool,
}

/// The moment at which attention is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The tick.
    pub tick: u64,
    /// Wall time by our estimate, Unix milliseconds; 0 means unknown.
    pub wall_ms: u64,
}

impl Attention {
    /// Takes in what one round of thinking said of the zone. What is not known to be moist or dry is not dry.
    pub fn take(&mut self, thought: &Thought, tick: u64) {
        let is_dry = thought.irrigate && thought.moisture_permille.is_some();
        if is_dry != self.is_dry || self.since_tick == 0 {
            self.since_tick = tick;
        }
        self.is_dry = is_dry;
        self.urgency_permille = thought.urgency_permille;
        self.moisture_permille = thought.moisture_permille;
        self.dry_rounds = if is_dry { (self.dry_rounds + 1).min(DRY_ROUNDS_MIN) } else { 0 };
    }

    /// Until when the zone rests after the end of a proposal for it, if that is longer than it rests anyway.
    #[must_use]
    pub fn longer_rest_ms(&self, ended: Ended) -> Option<u64> {
        let rest_ms = if ended.is_completed { REST_AFTER_COMPLETED_MS } else { REST_AFTER_END_MS };
        let until_ms = ended.at_ms.saturating_add(rest_ms);
        (until_ms > self.rests_until_ms).then_some(until_ms)
    }

    /// True when, in this term, the zone is dry for certain and does not rest. While nobody knows the time nothing is wished: the age of
    /// evidence could not be judged.
    #[must_use]
    pub fn may_wish(&self, now: Moment, term: Term, settings: &Settings) -> bool {
        let is_dry = self.dry_rounds >= DRY_ROUNDS_MIN;
        // In an earlier term it may have come too late, and another leader would not know of it.
        let rest_ms = if self.wished_term == Some(term) { REST_AFTER_WISH_MS } else { SETTLES_MS };
        let has_rested = self.wished_ms_ago(now, settings).is_none_or(|ago_ms| ago_ms >= rest_ms);
        is_dry && has_rested && now.wall_ms > 0 && now.wall_ms >= self.rests_until_ms
    }

    /// True while nobody can tell yet what came of the last wish.
    #[must_use]
    pub fn is_settling(&self, now: Moment, settings: &Settings) -> bool {
        self.wished_ms_ago(now, settings).is_some_and(|ago_ms| ago_ms < SETTLES_MS)
    }

    fn wished_ms_ago(&self, now: Moment, settings: &Settings) -> Option<u64> {
        self.wished_tick.map(|tick| settings.ms_of_ticks(now.tick.saturating_sub(tick)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;
    use proptest::prelude::*;

    const START_MS: u64 = 1_800_000_000_000;
    const MINUTE_TICKS: u64 = 60 * 50;

    fn thought(irrigate: bool, moisture_permille: Option<u16>) -> Thought {
        Thought { zone: "z-core".to_owned(), irrigate, urgency_permille: 650, moisture_permille }
    }

    fn dry() -> Thought {
        thought(true, Some(142))
    }

    fn wet() -> Thought {
        thought(false, Some(305))
    }

    /// So many ticks after the start of the node, with a clock that runs as it should.
    fn at(tick: u64) -> Moment {
        Moment { tick, wall_ms: START_MS + tick * 20 }
    }

    fn after(rounds: &[Thought]) -> Attention {
        let mut attention = Attention::default();
        rounds.iter().zip(1..).for_each(|(round, tick)| attention.take(round, tick));
        attention
    }

    #[test]
    fn only_two_dry_rounds_in_a_row_are_dry_for_certain() {
        let unknown = || thought(true, None);
        for (rounds, expected) in [
            (vec![], false),
            (vec![dry()], false),
            (vec![dry(), dry()], true),
            (vec![dry(), dry(), dry()], true),
            (vec![dry(), wet()], false),
            (vec![dry(), wet(), dry()], false),
            (vec![dry(), dry(), wet()], false),
            (vec![wet(), dry(), dry()], true),
            (vec![dry(), unknown()], false),
            (vec![dry(), unknown(), dry()], false),
            (vec![unknown(), unknown()], false),
        ] {
            let attention = after(&rounds);
            assert_eq!(attention.may_wish(at(100), Term(1), &settings()), expected, "{rounds:?}");
        }
    }

    #[test]
    fn it_is_known_since_when_a_zone_is_thought_so() {
        let since = |rounds: &[Thought]| after(rounds).since_tick;
        assert_eq!((since(&[wet(), wet()]), since(&[wet(), dry(), dry()])), (1, 2));
        assert_eq!(since(&[dry(), dry(), wet(), dry()]), 4);
    }

    #[test]
    fn a_zone_rests_after_a_wish_and_after_the_end_of_what_came_of_it() {
        let ended =
            |minute: u64, is_completed| Ended { at_ms: at(minute * MINUTE_TICKS).wall_ms, is_completed };
        for (wished_minute, ended, from_minute) in [
            (None, None, 0),
            (Some(5), None, 15),
            (Some(5), Some(ended(8, false)), 18),
            (Some(5), Some(ended(30, true)), 90),
            (Some(5), Some(ended(2, false)), 15),
            (None, Some(ended(30, true)), 90),
        ] {
            let mut attention = after(&[dry(), dry()]);
            attention.wished_tick = wished_minute.map(|minute| minute * MINUTE_TICKS);
            attention.wished_term = attention.wished_tick.map(|_| Term(1));
            attention.rests_until_ms = ended.and_then(|ended| attention.longer_rest_ms(ended)).unwrap_or(0);
            let may = |tick| attention.may_wish(at(tick), Term(1), &settings());
            let from = from_minute * MINUTE_TICKS;
            assert!(may(from), "{wished_minute:?} {ended:?}: not at minute {from_minute}");
            assert!(from == 0 || !may(from - 1), "{wished_minute:?} {ended:?}: before minute {from_minute}");
        }
    }

    #[test]
    fn in_a_later_term_a_zone_rests_until_the_wish_of_the_earlier_one_has_settled() {
        let mut attention = after(&[dry(), dry()]);
        (attention.wished_tick, attention.wished_term) = (Some(0), Some(Term(1)));
        for (term, from) in [(1, 10 * MINUTE_TICKS), (2, MINUTE_TICKS)] {
            let may = |tick| attention.may_wish(at(tick), Term(term), &settings());
            assert!(may(from) && !may(from - 1), "term {term}");
        }
    }

    #[test]
    fn an_earlier_end_does_not_shorten_a_rest() {
        let mut attention = Attention { rests_until_ms: 5_000_000, ..Attention::default() };
        assert_eq!(attention.longer_rest_ms(Ended { at_ms: 4_000_000, is_completed: false }), None);
        let completed = Ended { at_ms: 4_000_000, is_completed: true };
        assert_eq!(attention.longer_rest_ms(completed), Some(7_600_000));
        attention.rests_until_ms = 7_600_000;
        assert_eq!(attention.longer_rest_ms(completed), None);
        assert_eq!(attention.longer_rest_ms(Ended { at_ms: u64::MAX, is_completed: true }), Some(u64::MAX));
    }

    #[test]
    fn nothing_is_wished_before_the_time_is_known() {
        let attention = after(&[dry(), dry()]);
        assert!(!attention.may_wish(Moment { wall_ms: 0, ..at(100) }, Term(1), &settings()));
    }

    #[test]
    fn a_wish_settles_within_a_minute() {
        let mut attention = after(&[dry(), dry()]);
        assert!(!attention.is_settling(at(100), &settings()));
        attention.wished_tick = Some(100);
        assert!(attention.is_settling(at(100 + MINUTE_TICKS - 1), &settings()));
        assert!(!attention.is_settling(at(100 + MINUTE_TICKS), &settings()));
    }

    #[derive(Debug, Clone)]
    enum Event {
        Round(bool),
        Pass(u64),
        End(bool),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => any::<bool>().prop_map(Event::Round),
            2 => (1_u64..20 * MINUTE_TICKS).prop_map(Event::Pass),
            1 => any::<bool>().prop_map(Event::End),
        ]
    }

    proptest! {
        /// Whoever wishes whenever it may never wishes too soon, and always may again in the end.
        #[test]
        fn wishes_keep_their_distance_whatever_happens(events in prop::collection::vec(event(), 0..200)) {
            let (mut attention, mut tick) = (Attention::default(), 100);
            let (mut rounds, mut wishes, mut ends) = (Vec::new(), Vec::new(), Vec::new());
            for event in events {
                match event {
                    Event::Round(is_dry) => {
                        attention.take(&if is_dry { dry() } else { wet() }, tick);
                        rounds.push(is_dry);
                    }
                    Event::Pass(ticks) => tick += ticks,
                    Event::End(is_completed) => {
                        let ended = Ended { at_ms: at(tick).wall_ms, is_completed };
                        attention.rests_until_ms =
                            attention.longer_rest_ms(ended).unwrap_or(attention.rests_until_ms);
                        ends.push((tick, if is_completed { 60 } else { 10 }));
                    }
                }
                if attention.may_wish(at(tick), Term(1), &settings()) {
                    prop_assert!(rounds.ends_with(&[true, true]));
                    prop_assert!(wishes.last().is_none_or(|last| tick - last >= 10 * MINUTE_TICKS));
                    prop_assert!(ends.iter().all(|(end, rest)| tick - end >= rest * MINUTE_TICKS));
                    (attention.wished_tick, attention.wished_term) = (Some(tick), Some(Term(1)));
                    wishes.push(tick);
                }
            }
            attention.take(&dry(), tick);
            attention.take(&dry(), tick);
            prop_assert!(attention.may_wish(at(tick + 60 * MINUTE_TICKS), Term(1), &settings()));
        }
    }
}
