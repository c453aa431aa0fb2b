//! What a restart must know of the alarms: who has acknowledged what, what nobody has seen yet, and what is on the shelf.
//! Pure.

use clawmesh_authority::{ContentHash, canonical};
use minicbor::{Decode, Encode};

use super::book::{ALARMS_MAX, AlarmBook, shelf_ms_max};
use super::condition::MORE;
use super::state::{AlarmState, Now, Priority, QUIET_AFTER_RESTART_MS, Standing};

/// The name under which it is kept.
pub const SUBJECT: &str = "alarms";

/// One alarm, without what follows from the world after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct KeptAlarm {
    #[n(0)]
    key: String,
    #[n(1)]
    priority: Priority,
    #[n(2)]
    sentence: String,
    #[n(3)]
    is_acknowledged: bool,
    #[n(4)]
    acknowledged_by: Option<String>,
    #[n(5)]
    count: u64,
    #[n(6)]
    raised_ms: u64,
    #[n(7)]
    shelved_until_ms: Option<u64>,
    #[n(8)]
    shelved_by: Option<String>,
    #[n(9)]
    happens_once: bool,
}

/// What is kept changes when this does. What changes all the time, such as a count, is not in it.
#[must_use]
pub fn mark_of(book: &AlarmBook) -> ContentHash {
    let rows: Vec<_> = kept(book)
        .map(|(key, alarm)| {
            let people = (&alarm.acknowledged_by, &alarm.shelved_by);
            (key, alarm.is_acknowledged, people, alarm.raised_tick, alarm.shelved_until_tick)
        })
        .collect();
    ContentHash::of(SUBJECT, &canonical::encode(&rows))
}

/// The record.
#[must_use]
pub fn encode(book: &AlarmBook, now: &Now) -> Vec<u8> {
    let of = |(key, alarm): (&String, &AlarmState)| {
        let shelved_until = alarm.shelved_until_tick;
        KeptAlarm {
            key: key.clone(),
            priority: alarm.priority,
            sentence: alarm.sentence.clone(),
            is_acknowledged: alarm.is_acknowledged,
            acknowledged_by: alarm.acknowledged_by.clone(),
            count: alarm.count,
            raised_ms: alarm.raised_ms,
            shelved_until_ms: shelved_until
                .map(|until| now.wall_ms.saturating_add(now.ms_of_ticks(until.saturating_sub(now.tick)))),
            shelved_by: alarm.shelved_by.clone(),
            happens_once: alarm.happens_once,
        }
    };
    canonical::encode(&kept(book).map(of).collect::<Vec<KeptAlarm>>())
}

/// The alarms of a record, as they stand before anything is known of the world.
///
/// # Errors
/// A sentence, when the bytes are not what [`encode`] writes.
pub fn decode(bytes: &[u8], now: &Now) -> Result<AlarmBook, String> {
    let kept: Vec<KeptAlarm> = canonical::decode(bytes).map_err(|fault| {
        format!("what this node kept of its alarms cannot be read ({fault}); what is the case rings anew")
    })?;
    Ok(AlarmBook(kept.into_iter().take(ALARMS_MAX).map(|alarm| alarm.recall(now)).collect()))
}

/// Everything but what is over and seen. What has happened once stays: it must not ring again.
fn kept(book: &AlarmBook) -> impl Iterator<Item = (&String, &AlarmState)> {
    let is_kept = |alarm: &AlarmState| alarm.happens_once || alarm.standing() != Standing::Normal;
    book.0.iter().filter(move |(key, alarm)| *key != MORE && is_kept(alarm))
}

impl KeptAlarm {
    fn recall(self, now: &Now) -> (String, AlarmState) {
        let is_active = self.happens_once && !self.is_acknowledged;
        // A clock that was set back must not leave it on the shelf for years.
        let left_ms =
            |until_ms: u64| until_ms.saturating_sub(now.wall_ms).min(shelf_ms_max(&self.key, self.priority));
        let left_ms = self.shelved_until_ms.filter(|_| now.wall_ms > 0).map(left_ms);
        let rang_ms_ago = if self.raised_ms == 0 { 0 } else { now.wall_ms.saturating_sub(self.raised_ms) };
        let state = AlarmState {
            priority: self.priority,
            sentence: self.sentence,
            is_active,
            is_acknowledged: self.is_acknowledged,
            acknowledged_by: self.acknowledged_by,
            count: self.count,
            raised_tick: now.tick.saturating_sub(now.ticks_of_ms(rang_ms_ago)),
            raised_ms: self.raised_ms,
            cleared_tick: (!is_active).then_some(now.tick),
            quiet_until_tick: now.after_ms(QUIET_AFTER_RESTART_MS),
            shelved_until_tick: left_ms.map(|left_ms| now.after_ms(left_ms)),
            shelved_by: self.shelved_by.filter(|_| left_ms.is_some()),
            happens_once: self.happens_once,
        };
        (self.key, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::condition::{Condition, STOP};
    use crate::intake::AlarmAct;
    use std::collections::BTreeMap;

    fn at(second: u64) -> Now {
        Now { tick: 7_000 + second * 50, wall_ms: 1_800_000_000_000 + second * 1_000, hz: 50 }
    }

    /// The same moment after a restart, whose ticks go on where the last ones ended.
    fn conditions(now: &Now) -> BTreeMap<String, Condition> {
        let once = Condition { happens_once: true, ..Condition::at_once(Priority::High, "it diverged", now) };
        BTreeMap::from([
            (STOP.to_owned(), Condition::at_once(Priority::Critical, "smoke", now)),
            ("limit/tank".to_owned(), Condition::at_once(Priority::High, "the tank is empty", now)),
            ("stale/barn/flow".to_owned(), Condition::at_once(Priority::Low, "it is stale", now)),
            ("divergence/ab".to_owned(), once),
        ])
    }

    fn book() -> AlarmBook {
        let mut book = AlarmBook::default();
        book.advance(&conditions(&at(0)), &at(0));
        for key in [STOP, "limit/tank", "divergence/ab"] {
            book.act(key, AlarmAct::Acknowledge, "asha", &at(1)).unwrap();
        }
        book.act("limit/tank", AlarmAct::Shelve { for_ms: 600_000 }, "bo", &at(1)).unwrap();
        book
    }

    #[test]
    fn who_acknowledged_what_and_what_is_shelved_outlives_a_restart() {
        let bytes = encode(&book(), &at(2));
        let mut recalled = decode(&bytes, &at(60)).unwrap();
        recalled.advance(&conditions(&at(90)), &at(90));
        let standing: Vec<_> = recalled.0.iter().map(|(key, alarm)| (&**key, alarm.standing())).collect();
        assert_eq!(
            standing,
            [
                ("divergence/ab", Standing::Normal),
                ("limit/tank", Standing::Shelved),
                ("stale/barn/flow", Standing::Unacknowledged),
                (STOP, Standing::Acknowledged),
            ]
        );
        assert_eq!(recalled.0[STOP].acknowledged_by.as_deref(), Some("asha"));
        assert_eq!(recalled.0["stale/barn/flow"].raised_ms, at(0).wall_ms, "it rang before the restart");
        recalled.advance(&conditions(&at(602)), &at(602));
        assert_eq!(recalled.0["limit/tank"].standing(), Standing::Unacknowledged, "600 s are over");
    }

    #[test]
    fn what_nobody_saw_before_a_restart_is_still_to_be_seen_after_it() {
        let mut recalled = decode(&encode(&book(), &at(2)), &at(60)).unwrap();
        recalled.advance(&BTreeMap::new(), &at(61));
        assert_eq!(recalled.0["stale/barn/flow"].standing(), Standing::Returned);
        recalled.advance(&BTreeMap::new(), &at(9_000));
        assert_eq!(recalled.0["stale/barn/flow"].standing(), Standing::Returned);
        assert!(!recalled.0.contains_key(STOP), "it was seen, and did not come back");
    }

    #[test]
    fn another_stop_and_what_comes_long_after_the_restart_ring_anew() {
        let recall = || decode(&encode(&book(), &at(2)), &at(60)).unwrap();
        let stop = |sentence: &str, second: u64| {
            let condition = Condition::at_once(Priority::Critical, sentence, &at(second));
            BTreeMap::from([(STOP.to_owned(), condition)])
        };
        let mut other = recall();
        other.advance(&stop("somebody fell", 61), &at(61));
        assert_eq!(other.0[STOP].standing(), Standing::Unacknowledged);
        let mut late = recall();
        late.advance(&stop("smoke", 181), &at(181));
        assert_eq!(late.0[STOP].standing(), Standing::Unacknowledged);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_nothing_on_the_shelf_for_longer_than_a_person_may() {
        let past = Now { wall_ms: 1_000, ..at(3) };
        let limit =
            |now: &Now| decode(&encode(&book(), &at(2)), now).unwrap().0.remove("limit/tank").unwrap();
        assert_eq!(limit(&past).shelved_until_tick, Some(past.after_ms(8 * 3_600_000)));
        assert_eq!(
            limit(&Now { wall_ms: 0, ..at(3) }).shelved_until_tick,
            None,
            "nobody knows how late it is"
        );
    }

    #[test]
    fn it_is_kept_again_when_people_act_or_something_rings_and_not_when_something_flickers() {
        let mut book = book();
        let mark = mark_of(&book);
        let mut conditions = conditions(&at(3));
        conditions.remove("stale/barn/flow");
        book.advance(&conditions, &at(3));
        assert_eq!(mark_of(&book), mark, "it is over, and still to be seen");
        book.act("stale/barn/flow", AlarmAct::Acknowledge, "bo", &at(4)).unwrap();
        assert_ne!(mark_of(&book), mark);
    }

    #[test]
    fn bytes_that_are_no_record_are_told() {
        let sentence = decode(&[0xff, 0x00], &at(0)).unwrap_err();
        assert!(sentence.contains("cannot be read") && sentence.contains("rings anew"), "{sentence}");
    }
}
