//! What was used of every budget in the last 24 hours, by the hour: bounded, and it outlives the run. Its time is
//! [`WallClock::counted_ms`](crate::clock::WallClock::counted_ms), so that nobody empties a budget by setting a clock. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::gate::Spent;
use clawmesh_authority::policy::{Budget, Policy};
use clawmesh_authority::{Setpoint, Step, Value};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

const HOUR_MS: u64 = 3_600_000;
/// An hour that has begun counts whole, so that nothing is forgotten before 24 hours have passed.
const HOURS: u64 = 25;

/// What was used in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Used {
    /// Litres, planned at the most the actuator lets pass.
    #[n(0)]
    pub litres: f64,
    /// Seconds.
    #[n(1)]
    pub seconds: f64,
}

/// What was used, by the names of budgets and by hours since 1970.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Ledger {
    #[n(0)]
    hours: BTreeMap<String, BTreeMap<u64, Used>>,
}

/// What steps use of every budget they draw from when they run for `seconds_of` each.
#[must_use]
pub fn usage(
    steps: &[Step],
    policy: &Policy,
    seconds_of: impl Fn(usize, &Step) -> f64,
) -> BTreeMap<String, Used> {
    let mut all: BTreeMap<String, Used> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        let Some(rules) = policy.rules_of(&step.actuator) else { continue };
        let operation = rules.operations.get(&step.operation);
        if operation.is_none_or(|operation| operation.brings == Setpoint::Off) {
            continue;
        }
        let seconds = seconds_of(at, step);
        for name in &rules.draws {
            let used = all.entry(name.clone()).or_default();
            used.seconds += seconds;
            used.litres += seconds / 60.0 * rules.draws_lpm_max;
        }
    }
    all
}

/// How long a step asks to last, seconds; 0 for one that does not say.
#[must_use]
pub fn seconds_asked(step: &Step) -> f64 {
    match step.parameters.get(clawmesh_authority::policy::FOR_S) {
        Some(Value::Number(seconds)) => *seconds,
        _ => 0.0,
    }
}

impl Ledger {
    /// Books what is going to be used. It counts from now on, whatever becomes of it.
    pub fn book(&mut self, usage: &BTreeMap<String, Used>, now_ms: u64) {
        for (name, used) in usage {
            let hour = self.hours.entry(name.clone()).or_default().entry(now_ms / HOUR_MS).or_default();
            hour.litres += used.litres;
            hour.seconds += used.seconds;
        }
        self.forget(now_ms);
    }

    /// Counts every budget as used up in the hour of `at_ms`: what was used until then is not known. Said again it changes
    /// nothing, and a day later it is over. True when the ledger says otherwise now.
    pub fn exhaust(&mut self, budgets: &[Budget], at_ms: u64, now_ms: u64) -> bool {
        let hour = at_ms / HOUR_MS;
        if hour + HOURS <= now_ms / HOUR_MS {
            return false;
        }
        let before = self.clone();
        for budget in budgets {
            let used = self.hours.entry(budget.of.clone()).or_default().entry(hour).or_default();
            used.litres = used.litres.max(budget.litres_per_day_max);
            used.seconds = used.seconds.max(budget.seconds_per_day_max);
        }
        *self != before
    }

    /// Gives back what was booked at `booked_ms` and not used.
    pub fn give_back(&mut self, usage: &BTreeMap<String, Used>, booked_ms: u64) {
        for (name, used) in usage {
            let hour = self.hours.get_mut(name).and_then(|hours| hours.get_mut(&(booked_ms / HOUR_MS)));
            if let Some(hour) = hour {
                hour.litres = (hour.litres - used.litres).max(0.0);
                hour.seconds = (hour.seconds - used.seconds).max(0.0);
            }
        }
    }

    /// What was used in the last 24 hours. What a clock that was set back has left in the future counts too.
    #[must_use]
    pub fn spent(&self, now_ms: u64) -> BTreeMap<String, Spent> {
        let since = (now_ms / HOUR_MS).saturating_sub(HOURS - 1);
        let sum = |hours: &BTreeMap<u64, Used>| {
            hours.range(since..).fold(Spent::default(), |sum, (_, used)| Spent {
                litres: sum.litres + used.litres,
                seconds: sum.seconds + used.seconds,
            })
        };
        self.hours.iter().map(|(name, hours)| (name.clone(), sum(hours))).collect()
    }

    /// The newest hour in which anything was used, Unix milliseconds; 0 when there is none.
    #[must_use]
    pub fn newest_ms(&self) -> u64 {
        self.hours.values().filter_map(|hours| hours.keys().max()).max().map_or(0, |hour| hour * HOUR_MS)
    }

    fn forget(&mut self, now_ms: u64) {
        let since = (now_ms / HOUR_MS).saturating_sub(HOURS - 1);
        for hours in self.hours.values_mut() {
            hours.retain(|hour, _| *hour >= since);
        }
        self.hours.retain(|_, hours| !hours.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(seconds: f64) -> BTreeMap<String, Used> {
        BTreeMap::from([("tank".to_owned(), Used { litres: seconds / 5.0, seconds })])
    }

    fn seconds(ledger: &Ledger, now_ms: u64) -> f64 {
        ledger.spent(now_ms).get("tank").map_or(0.0, |spent| spent.seconds)
    }

    #[test]
    fn a_budget_of_which_nobody_knows_what_was_used_is_used_up_for_a_day() {
        let budget = Budget {
            of: "tank".to_owned(),
            litres_per_command_max: 100.0,
            litres_per_day_max: 1_000.0,
            seconds_per_day_max: 3_600.0,
        };
        let mut ledger = Ledger::default();
        let budgets = std::slice::from_ref(&budget);
        // Also when the node starts with a clock that is behind, and again when that was set right.
        for (now, is_news) in [(7, true), (7, false), (5, false), (31, false), (32, false)] {
            assert_eq!(ledger.exhaust(budgets, 7 * HOUR_MS, now * HOUR_MS), is_news, "at {now}");
        }
        for (hours, expected) in [(0, 3_600.0), (24, 3_600.0), (25, 0.0)] {
            assert_eq!(seconds(&ledger, (7 + hours) * HOUR_MS), expected, "after {hours} hours");
        }
        assert_eq!(ledger.spent(7 * HOUR_MS)["tank"].litres, 1_000.0);
        assert!(!Ledger::default().exhaust(budgets, 7 * HOUR_MS, 32 * HOUR_MS), "it is over");
    }

    #[test]
    fn what_was_used_counts_for_a_day_and_no_less() {
        let mut ledger = Ledger::default();
        let noon = 500_000 * HOUR_MS + HOUR_MS / 2;
        ledger.book(&of(600.0), noon);
        for (hours, expected) in [(0, 600.0), (12, 600.0), (24, 600.0), (25, 0.0)] {
            assert_eq!(seconds(&ledger, noon + hours * HOUR_MS), expected, "after {hours} hours");
        }
        assert_eq!(seconds(&ledger, noon - 48 * HOUR_MS), 600.0, "a clock that is set back forgives nothing");
        assert_eq!(ledger.newest_ms(), 500_000 * HOUR_MS);
        ledger.give_back(&of(500.0), noon);
        assert_eq!(seconds(&ledger, noon), 100.0);
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_never_negative(books in prop::collection::vec((0_u64..400, 0.0..1e4_f64), 0..200)) {
            let mut ledger = Ledger::default();
            for (hour, booked) in books {
                ledger.book(&of(booked), hour * HOUR_MS);
                ledger.give_back(&of(booked * 2.0), hour * HOUR_MS);
                prop_assert!(seconds(&ledger, hour * HOUR_MS) >= 0.0);
                let last = ledger.hours.values().flat_map(|hours| hours.keys()).max();
                prop_assert!(last.is_none_or(|last| *last < 400));
            }
        }
    }
}
