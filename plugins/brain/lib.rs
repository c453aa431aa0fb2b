//! Utility AI: looks at what is known of each zone and chooses what to propose for it.
//! Reads the `ZoneFacts` it is given. Writes nothing: it answers with one `Thought` per zone, in the order of the facts.
//! Invariant: a choice is a function of its facts alone; every world is built from facts, stepped a fixed number of times and thrown away.
//! Not here: memory (the core's components), the judgement that a reading is stale (the caller passes `None`), the
//! journal (a thought is journaled as an input), and acting (a choice only ever becomes a proposal).
//!
//! The scoring and picking is big-brain's. It needs a Bevy older than the rest of clawmesh, so no Bevy or big-brain type may
//! stand in this crate's public interface.
//!
//! ```
//! use clawmesh_brain::{Choice, ZoneFacts, think};
//!
//! let north = ZoneFacts {
//!     zone: "north".into(),
//!     moisture_percent: Some(14.0),
//!     dry_below_percent: 22.0,
//!     wilting_percent: 10.0,
//! };
//! let thoughts = think(&[north]);
//! assert_eq!(thoughts[0].choice, Choice::Irrigate);
//! ```

mod dryness;
mod thinker;

/// What is known of one zone at the moment of thinking.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneFacts {
    /// The zone's id in the site file; repeated in its [`Thought`].
    pub zone: String,
    /// Soil moisture; `None` when unknown or stale, and unknown is never dry.
    ///
    /// NaN, infinities and anything outside 0 to 100 count as unknown: they are a broken probe, not a soil.
    pub moisture_percent: Option<f64>,
    /// Below this moisture the zone is dry; on it, it is not.
    pub dry_below_percent: f64,
    /// At or below this moisture the plants wilt and the urgency of a dry zone is 1.
    pub wilting_percent: f64,
}

/// What to propose for a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// Propose nothing.
    Wait,
    /// Propose to irrigate the zone.
    Irrigate,
}

/// The choice made for one zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Thought {
    /// The zone the choice is for, as its [`ZoneFacts`] named it.
    pub zone: String,
    /// What to propose.
    pub choice: Choice,
    /// How pressing irrigation is, from 0 (not dry, or unknown) to 1 (wilting).
    pub urgency: f32,
}

/// Chooses for every zone; the n-th thought answers the n-th facts.
///
/// Total: any number of zones and any `f64` is answered. Zones do not influence each other.
#[must_use]
pub fn think(facts: &[ZoneFacts]) -> Vec<Thought> {
    facts.chunks(thinker::THINKERS_PER_WORLD_MAX).flat_map(thinker::think_in_one_world).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str, moisture_percent: Option<f64>) -> ZoneFacts {
        ZoneFacts { zone: name.into(), moisture_percent, dry_below_percent: 22.0, wilting_percent: 10.0 }
    }

    /// A farm whose every third zone is dry, every seventh unknown, and no two dry ones alike.
    fn farm(zones: u32) -> Vec<ZoneFacts> {
        let moisture = |n: u32| match (n % 7, n % 3) {
            (0, _) => None,
            (_, 0) => Some(10.0 + f64::from(n) / 1_000.0),
            _ => Some(30.0),
        };
        (0..zones).map(|n| zone(&format!("zone-{n}"), moisture(n))).collect()
    }

    fn choices(thoughts: &[Thought]) -> Vec<(&str, Choice)> {
        thoughts.iter().map(|t| (t.zone.as_str(), t.choice)).collect()
    }

    #[test]
    fn a_dry_zone_irrigates_and_a_wet_one_waits() {
        let thoughts = think(&[zone("dry", Some(14.0)), zone("wet", Some(30.0))]);
        assert_eq!(choices(&thoughts), [("dry", Choice::Irrigate), ("wet", Choice::Wait)]);
    }

    #[test]
    fn a_zone_exactly_on_its_line_waits() {
        assert_eq!(think(&[zone("edge", Some(22.0))])[0].choice, Choice::Wait);
    }

    #[test]
    fn a_zone_hardly_below_its_line_irrigates() {
        let hardly_dry = zone("edge", Some(22.0_f64.next_down()));
        assert_eq!(think(&[hardly_dry])[0].choice, Choice::Irrigate);
    }

    #[test]
    fn unknown_moisture_waits_without_urgency() {
        for moisture in [None, Some(f64::NAN), Some(f64::NEG_INFINITY), Some(-1.0)] {
            let thought = think(&[zone("north", moisture)]).remove(0);
            assert_eq!((thought.choice, thought.urgency), (Choice::Wait, 0.0), "{moisture:?}");
        }
    }

    #[test]
    fn no_zones_give_no_thoughts() {
        assert_eq!(think(&[]), []);
    }

    #[test]
    fn the_same_facts_give_the_same_thoughts_twice() {
        let facts = farm(50);
        assert_eq!(think(&facts), think(&facts));
    }

    #[test]
    fn thinking_of_something_else_in_between_changes_nothing() {
        let facts = farm(50);
        let before = think(&facts);
        let parched: Vec<_> = (0..50).map(|_| zone("other", Some(0.0))).collect();
        let _ = think(&parched);
        assert_eq!(think(&facts), before);
    }

    #[test]
    fn a_thousand_zones_each_get_their_own_thought() {
        let facts = farm(1_000);
        let thoughts = think(&facts);
        assert_eq!(thoughts.len(), facts.len());
        for (facts, thought) in facts.iter().zip(&thoughts) {
            let dry = facts.moisture_percent.is_some_and(|m| m < 22.0);
            assert_eq!(thought.zone, facts.zone);
            assert_eq!(thought.choice == Choice::Irrigate, dry, "{facts:?}");
            assert_eq!(thought.urgency, dryness::urgency(facts), "{facts:?}");
        }
    }

    #[test]
    fn reversing_the_facts_reverses_the_thoughts() {
        let mut facts = farm(900);
        let mut thoughts = think(&facts);
        facts.reverse();
        thoughts.reverse();
        assert_eq!(think(&facts), thoughts);
    }

    #[test]
    fn zones_of_the_same_name_are_kept_apart_by_their_place() {
        let thoughts = think(&[zone("twin", Some(30.0)), zone("twin", Some(5.0))]);
        assert_eq!(choices(&thoughts), [("twin", Choice::Wait), ("twin", Choice::Irrigate)]);
    }

    prop_compose! {
        fn any_facts()(
            moisture_percent in proptest::option::of(any_number()),
            dry_below_percent in any_number(),
            wilting_percent in any_number(),
        ) -> ZoneFacts {
            ZoneFacts { zone: "any".into(), moisture_percent, dry_below_percent, wilting_percent }
        }
    }

    /// Every bit pattern, with plausible percentages often enough that dry zones occur.
    fn any_number() -> impl Strategy<Value = f64> {
        prop_oneof![0.0..=100.0, any::<u64>().prop_map(f64::from_bits)]
    }

    proptest! {
        #[test]
        fn any_numbers_are_answered(facts in proptest::collection::vec(any_facts(), 0..20)) {
            let thoughts = think(&facts);
            prop_assert_eq!(thoughts.len(), facts.len());
            for thought in thoughts {
                prop_assert!((0.0..=1.0).contains(&thought.urgency));
                prop_assert_eq!(thought.choice == Choice::Irrigate, thought.urgency > 0.0);
            }
        }
    }
}
