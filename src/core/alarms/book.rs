//! All alarms of a node: which ring, which end, which have a place, and what people do with them. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::condition::{Condition, MORE, STOP};
use super::state::{AlarmState, Now, Priority, Standing};
use crate::intake::AlarmAct;

/// The most alarms one node keeps; one more tells how many have no place.
pub const ALARMS_MAX: usize = 256;
/// The most that are not critical, so that a flood of them hides no stop.
const OTHERS_MAX: usize = 240;

/// The longest time on the shelf, milliseconds.
pub const SHELF_MS_MAX: u64 = 8 * 3_600_000;
/// The longest time a critical alarm may be on the shelf, milliseconds.
pub const CRITICAL_SHELF_MS_MAX: u64 = 15 * 60_000;

/// All alarms, by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlarmBook(pub BTreeMap<String, AlarmState>);

/// How long an alarm may be shelved, milliseconds; 0 when it may not.
#[must_use]
pub fn shelf_ms_max(key: &str, priority: Priority) -> u64 {
    match (key, priority) {
        (STOP, _) => 0,
        (_, Priority::Critical) => CRITICAL_SHELF_MS_MAX,
        _ => SHELF_MS_MAX,
    }
}

/// Why an alarm may not be shelved for so long, if it may not.
#[must_use]
pub fn shelf_fault(key: &str, priority: Priority, for_ms: u64) -> Option<String> {
    let longest_ms = shelf_ms_max(key, priority);
    if longest_ms == 0 {
        return Some(
            "the stop cannot be shelved: nothing may move while it is latched, and everybody has to see why; \
             it ends when a person re-arms"
                .to_owned(),
        );
    }
    if for_ms == 0 {
        return Some("an alarm is shelved for at least a second; say for how long".to_owned());
    }
    let longest_min = longest_ms / 60_000;
    (for_ms > longest_ms).then(|| {
        format!("{key} is {} and can be shelved for at most {longest_min} min; ask for less", priority.word())
    })
}

impl AlarmBook {
    /// Brings all alarms to what is the case now.
    pub fn advance(&mut self, conditions: &BTreeMap<String, Condition>, now: &Now) {
        let more = self.0.remove(MORE);
        for (key, alarm) in &mut self.0 {
            step(alarm, conditions.get(key), now);
        }
        self.0.retain(|key, alarm| alarm.is_needed(conditions.contains_key(key), now));
        let is_new = |(key, condition): &(&String, &Condition)| {
            !self.0.contains_key(*key) && *key != MORE && condition.is_due(now)
        };
        let mut new: Vec<(&String, &Condition)> = conditions.iter().filter(is_new).collect();
        new.sort_by_key(|(key, condition)| (Reverse(condition.priority), *key));
        let mut rest: Vec<&Condition> = Vec::new();
        let mut critical = self.0.values().filter(|alarm| alarm.priority == Priority::Critical).count();
        for (key, condition) in new {
            let is_critical = condition.priority == Priority::Critical;
            let others = self.0.len() - critical;
            let has_place = self.0.len() < ALARMS_MAX && (is_critical || others < OTHERS_MAX);
            if has_place {
                self.0.insert(key.clone(), AlarmState::ring(condition, now));
                critical += usize::from(is_critical);
            } else {
                rest.push(condition);
            }
        }
        self.count_rest(more, &rest, now);
    }

    /// Does what a person wants done with one alarm.
    ///
    /// # Errors
    /// A sentence, when there is no such alarm or it may not be done; nothing has changed then.
    pub fn act(&mut self, key: &str, act: AlarmAct, by: &str, now: &Now) -> Result<(), String> {
        let found = self.0.get_mut(key).filter(|alarm| alarm.standing() != Standing::Normal);
        let Some(alarm) = found else { return Err(unknown(key)) };
        match act {
            AlarmAct::Acknowledge => alarm.acknowledge(by, now),
            AlarmAct::Shelve { for_ms } => match shelf_fault(key, alarm.priority, for_ms) {
                Some(sentence) => return Err(sentence),
                None => alarm.shelve(for_ms, by, now),
            },
            AlarmAct::Unshelve if alarm.standing() == Standing::Shelved => alarm.unshelve(now),
            AlarmAct::Unshelve => return Err(not_shelved(key)),
        }
        Ok(())
    }

    /// The alarm that counts those without a place is one like the others, besides all places.
    fn count_rest(&mut self, more: Option<AlarmState>, rest: &[&Condition], now: &Now) {
        let condition = rest.iter().map(|condition| condition.priority).max().map(|highest| {
            let sentence = format!(
                "{} more alarms have no place among the {ALARMS_MAX} that this node keeps; look after those first",
                rest.len()
            );
            Condition::at_once(highest, &sentence, now)
        });
        let more = match (more, &condition) {
            (None, None) => return,
            (None, Some(condition)) => AlarmState::ring(condition, now),
            (Some(mut more), condition) => {
                step(&mut more, condition.as_ref(), now);
                more
            }
        };
        if more.is_needed(condition.is_some(), now) {
            self.0.insert(MORE.to_owned(), more);
        }
    }
}

/// Why nothing is done with an alarm that is none.
#[must_use]
pub fn unknown(key: &str) -> String {
    let shown: String = key.chars().take(80).collect();
    format!("there is no alarm {shown:?} now; look which there are")
}

/// Why an alarm does not come off the shelf.
#[must_use]
pub fn not_shelved(key: &str) -> String {
    format!("{key} is not shelved")
}

fn step(alarm: &mut AlarmState, condition: Option<&Condition>, now: &Now) {
    match condition {
        Some(condition) => alarm.hold(condition, now),
        None => alarm.end(now),
    }
    // After it: what is over when it comes off the shelf does not ring.
    alarm.end_shelf(now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HZ: u32 = 10;

    fn at(tick: u64) -> Now {
        Now { tick, wall_ms: 1_000 + tick * 100, hz: HZ }
    }

    fn condition(priority: Priority, tick: u64) -> Condition {
        Condition::at_once(priority, "something is the case", &at(tick))
    }

    fn holding(keys: &[&str], priority: Priority, tick: u64) -> BTreeMap<String, Condition> {
        keys.iter().map(|key| ((*key).to_owned(), condition(priority, tick))).collect()
    }

    fn many(count: usize, tick: u64) -> BTreeMap<String, Condition> {
        (0..count).map(|n| (format!("stale/barn/{n:04}"), condition(Priority::Low, tick))).collect()
    }

    #[test]
    fn what_has_no_place_is_counted_and_rings_and_what_is_critical_has_one() {
        let mut book = AlarmBook::default();
        let mut conditions = many(300, 1);
        book.advance(&conditions, &at(1));
        assert_eq!(book.0.len(), OTHERS_MAX + 1);
        assert!(book.0[MORE].sentence.starts_with("60 more alarms "), "{}", book.0[MORE].sentence);
        conditions.extend(holding(&[STOP], Priority::Critical, 2));
        book.advance(&conditions, &at(2));
        assert!(book.0.contains_key(STOP), "a flood hides no stop");
        book.act(MORE, AlarmAct::Acknowledge, "asha", &at(2)).unwrap();
        book.advance(&BTreeMap::new(), &at(3));
        assert_eq!(book.0[MORE].standing(), Standing::Normal);
        book.advance(&BTreeMap::new(), &at(103));
        assert_eq!(book.0.get(MORE), None);
        assert_eq!(book.0[STOP].standing(), Standing::Returned, "nobody has seen it");
    }

    #[test]
    fn the_most_important_ones_take_the_places() {
        let mut conditions = many(300, 1);
        conditions.extend(holding(&["unsafe/z"], Priority::High, 1));
        let mut book = AlarmBook::default();
        book.advance(&conditions, &at(1));
        assert!(book.0.contains_key("unsafe/z") && !book.0.contains_key("stale/barn/0299"));
    }

    #[test]
    fn the_stop_cannot_be_shelved_and_nothing_for_longer_than_its_priority_allows() {
        let mut book = AlarmBook::default();
        let mut conditions = holding(&[STOP, "unsafe/actuator:pump:a"], Priority::Critical, 1);
        conditions.extend(holding(&["limit/a"], Priority::High, 1));
        book.advance(&conditions, &at(1));
        let minutes = |key: &str, minutes: u64| {
            let act = AlarmAct::Shelve { for_ms: minutes * 60_000 };
            book.clone().act(key, act, "asha", &at(2)).err().unwrap_or_default()
        };
        assert!(minutes(STOP, 1).contains("everybody has to see why"), "{}", minutes(STOP, 1));
        assert_eq!(minutes("unsafe/actuator:pump:a", 15), "");
        assert!(
            minutes("unsafe/actuator:pump:a", 16).contains("critical and can be shelved for at most 15 min")
        );
        assert_eq!(minutes("limit/a", 480), "");
        assert!(minutes("limit/a", 481).contains("at most 480 min"));
        assert!(minutes("limit/a", 0).contains("at least a second"));
        assert!(minutes("limit/b", 1).contains("no alarm \"limit/b\""));
    }

    #[test]
    fn a_shelf_ends_by_itself_and_what_is_still_the_case_rings_anew() {
        let mut book = AlarmBook::default();
        let conditions = holding(&["limit/a", "limit/b"], Priority::High, 1);
        book.advance(&conditions, &at(1));
        for key in ["limit/a", "limit/b"] {
            book.act(key, AlarmAct::Acknowledge, "asha", &at(2)).unwrap();
            book.act(key, AlarmAct::Shelve { for_ms: 60_000 }, "asha", &at(2)).unwrap();
        }
        let only_a = holding(&["limit/a"], Priority::High, 1);
        book.advance(&only_a, &at(601));
        assert_eq!(book.0["limit/a"].standing(), Standing::Shelved);
        book.advance(&only_a, &at(602));
        assert_eq!(book.0["limit/a"].standing(), Standing::Unacknowledged);
        assert_eq!((book.0["limit/a"].raised_tick, book.0["limit/a"].count), (602, 1));
        assert_eq!(book.0["limit/b"].standing(), Standing::Normal, "it is over, and was acknowledged");
    }

    #[test]
    fn only_what_is_shelved_comes_off_the_shelf_and_what_is_over_is_no_alarm() {
        let mut book = AlarmBook::default();
        book.advance(&holding(&["limit/a"], Priority::High, 1), &at(1));
        let not = book.act("limit/a", AlarmAct::Unshelve, "asha", &at(2)).unwrap_err();
        assert_eq!(not, "limit/a is not shelved");
        book.act("limit/a", AlarmAct::Acknowledge, "asha", &at(2)).unwrap();
        book.advance(&BTreeMap::new(), &at(3));
        assert_eq!(book.0["limit/a"].standing(), Standing::Normal);
        assert!(book.act("limit/a", AlarmAct::Acknowledge, "asha", &at(4)).is_err());
    }

    #[derive(Debug, Clone)]
    enum Deed {
        /// These conditions hold, by number and priority, for so many ticks.
        Hold(BTreeMap<u16, (u8, bool)>, u64),
        Act(u16, u8),
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let held = prop::collection::btree_map(0_u16..400, (0_u8..4, any::<bool>()), 0..320);
        let hold = (held, 1_u64..200).prop_map(|(held, ticks)| Deed::Hold(held, ticks));
        let act = (0_u16..400, 0_u8..3).prop_map(|(key, act)| Deed::Act(key, act));
        prop::collection::vec(prop_oneof![2 => hold, 3 => act], 1..24)
    }

    fn conditions_of(held: &BTreeMap<u16, (u8, bool)>, tick: u64) -> BTreeMap<String, Condition> {
        let priorities = [Priority::Low, Priority::Medium, Priority::High, Priority::Critical];
        let of = |(key, (priority, once)): (&u16, &(u8, bool))| {
            let happens_once = *once && key % 5 == 0;
            let priority = priorities[usize::from(*priority)];
            (format!("k{key}"), Condition { happens_once, ..condition(priority, tick) })
        };
        held.iter().map(of).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn nothing_that_is_the_case_is_lost_and_nothing_unseen_is_forgotten_in_bounded_places(deeds in deeds()) {
            let mut book = AlarmBook::default();
            let mut tick = 1;
            for deed in deeds {
                match deed {
                    Deed::Act(key, act) => {
                        let acts = [AlarmAct::Acknowledge, AlarmAct::Shelve { for_ms: 9_000 }, AlarmAct::Unshelve];
                        // An act on what is no alarm is refused, and that is an answer too.
                        let _ = book.act(&format!("k{key}"), acts[usize::from(act)], "asha", &at(tick));
                    }
                    Deed::Hold(held, ticks) => {
                        tick += ticks;
                        let conditions = conditions_of(&held, tick);
                        let before = book.clone();
                        book.advance(&conditions, &at(tick));
                        check(&before, &book, &conditions)?;
                    }
                }
            }
        }
    }

    fn check(
        before: &AlarmBook,
        book: &AlarmBook,
        conditions: &BTreeMap<String, Condition>,
    ) -> Result<(), TestCaseError> {
        prop_assert!(book.0.len() <= ALARMS_MAX + 1, "{} alarms", book.0.len());
        let missing = conditions.keys().filter(|key| !book.0.contains_key(*key)).count();
        match book.0.get(MORE).filter(|more| more.is_active) {
            Some(more) => {
                prop_assert!(more.sentence.starts_with(&format!("{missing} more ")), "{}", more.sentence)
            }
            None => prop_assert_eq!(missing, 0, "the case, and neither shown nor counted"),
        }
        for (key, alarm) in &book.0 {
            let is_seen = alarm.happens_once && alarm.is_acknowledged;
            if conditions.contains_key(key) && !is_seen {
                prop_assert!(alarm.is_active, "{key} is the case");
            }
        }
        for (key, alarm) in &before.0 {
            let is_unseen = !alarm.is_acknowledged;
            prop_assert!(!is_unseen || book.0.contains_key(key), "{key} was forgotten before anybody saw it");
        }
        Ok(())
    }
}
