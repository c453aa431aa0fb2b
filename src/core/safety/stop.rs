//! The stop as edges reach it, outside the tick, and what may be said of the actuators after it. Pure.

use serde::{Deserialize, Serialize};

use crate::publish::Snapshot;

/// What a picture shows counts for the time after a stop when it was taken this long after it, milliseconds: by then the
/// driver layer has looked at every actuator again, and the tick has heard of it.
pub const SETTLE_MS: u64 = 300;

/// The largest report on a stop as text, in bytes; it has to fit into an answer.
pub const STOP_REPORT_BYTES_MAX: usize = 8 * 1024;

/// The way to the stop latch of this node.
pub trait StopPort: Send + Sync + 'static {
    /// Latches the stop. Drivers see it before this returns, whatever the tick does; it never fails.
    fn latch(&self, why: &str) -> Latched;

    /// True while the stop is latched.
    fn is_latched(&self) -> bool;
}

/// The stop, latched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latched {
    /// The reason that counts: the first one.
    pub reason: String,
    /// Why it would not outlive this process, if it would not.
    pub unkept: Option<String>,
}

/// How the actuators of a node stand, as one picture of its world shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Milliseconds since the picture was taken.
    pub age_ms: u64,
    /// True when its tick knew of a stop.
    pub is_stopped: bool,
    /// Actuators in their safe state.
    pub safe: Vec<String>,
    /// The others.
    pub not_safe: Vec<String>,
}

impl Standing {
    /// What a snapshot shows that was taken `age_ms` ago.
    #[must_use]
    pub fn of(snapshot: &Snapshot, age_ms: u64) -> Self {
        let named = |is_safe: bool| {
            let rows = snapshot.actuators.iter().filter(move |row| row.is_safe == is_safe);
            rows.map(|row| row.actuator.clone()).collect()
        };
        Self { age_ms, is_stopped: snapshot.stop.is_some(), safe: named(true), not_safe: named(false) }
    }
}

/// What a node says `since_ms` after it was told to stop.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StopReport {
    /// Actuators shown to be in their safe state since the stop.
    pub safe: Vec<String>,
    /// Actuators not shown to be.
    pub not_safe: Vec<String>,
    /// What else people have to know, or to look at.
    pub sentence: Option<String>,
}

impl StopReport {
    /// What `standing` shows of the time after a stop that was latched `since_ms` ago. What was seen earlier shows nothing.
    #[must_use]
    pub fn of(standing: Option<Standing>, since_ms: u64) -> Self {
        let Some(Standing { age_ms, is_stopped, mut safe, mut not_safe }) = standing else {
            return Self { sentence: Some(UNSEEN.to_owned()), ..Self::default() };
        };
        let is_settled = is_stopped && age_ms.saturating_add(SETTLE_MS) <= since_ms;
        if !is_settled {
            not_safe.append(&mut safe);
            not_safe.sort();
        }
        let sentence = match (is_settled, not_safe.len()) {
            (false, _) => Some(UNSEEN.to_owned()),
            (true, 0) => None,
            (true, count) => Some(format!(
                "{count} of its actuators are not shown to be safe yet; ask again, or go and look at them"
            )),
        };
        Self { safe, not_safe, sentence }
    }

    /// True when every actuator is shown to be safe.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sentence.is_none() && self.not_safe.is_empty()
    }

    /// Adds what else people have to know.
    #[must_use]
    pub fn with(mut self, more: Option<String>) -> Self {
        self.sentence = match (self.sentence, more) {
            (Some(sentence), Some(more)) => Some(format!("{more}; {sentence}")),
            (sentence, more) => sentence.or(more),
        };
        self
    }

    /// The report as one line of JSON, at most [`STOP_REPORT_BYTES_MAX`] bytes: what has no room is left off at the end,
    /// what is safe first, and the sentence says how many there are.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut report = self.clone();
        loop {
            // Texts always have a JSON form.
            let text = serde_json::to_string(&report).unwrap_or_default();
            let is_more = !report.safe.is_empty() || !report.not_safe.is_empty();
            if text.len() <= STOP_REPORT_BYTES_MAX || !is_more {
                return text;
            }
            let longer = if report.safe.is_empty() { &mut report.not_safe } else { &mut report.safe };
            longer.truncate(longer.len() / 2);
            let (safe, not_safe) = (self.safe.len(), self.not_safe.len());
            let too_many = format!(
                "{safe} actuators are safe and {not_safe} are not shown to be; too many to name, look at the node"
            );
            report.sentence = Some(too_many);
            report = report.with(self.sentence.clone());
        }
    }

    /// Reads [`StopReport::to_text`]; `None` for any other text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

const UNSEEN: &str = "the tick has not shown since the stop how the actuators stand; go and look at them";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(age_ms: u64, is_stopped: bool, not_safe: &[&str]) -> Option<Standing> {
        let not_safe = not_safe.iter().map(|name| (*name).to_owned()).collect();
        Some(Standing { age_ms, is_stopped, safe: vec!["actuator:valve:a".to_owned()], not_safe })
    }

    #[test]
    fn only_a_picture_of_the_time_after_the_stop_shows_that_something_is_safe() {
        for (standing, since_ms, safe, not_safe, is_complete) in [
            (standing(0, true, &[]), 300, 1, 0, true),
            (standing(0, true, &["actuator:pump:p"]), 300, 1, 1, false),
            (standing(1, true, &[]), 300, 0, 1, false),
            (standing(0, false, &[]), 300, 0, 1, false),
            (standing(u64::MAX, true, &["actuator:pump:p"]), 300, 0, 2, false),
            (None, 9_000, 0, 0, false),
        ] {
            let report = StopReport::of(standing.clone(), since_ms);
            assert_eq!((report.safe.len(), report.not_safe.len()), (safe, not_safe), "{standing:?}");
            assert_eq!(report.is_complete(), is_complete, "{report:?}");
            assert_eq!(report.sentence.is_none(), is_complete, "{report:?}");
        }
    }

    #[test]
    fn what_else_there_is_to_know_comes_first() {
        let report = StopReport::default();
        assert_eq!(report.clone().with(None), report);
        let told = report.with(Some("the disk is full".to_owned()));
        assert!(!told.is_complete(), "{told:?}");
        assert_eq!(told.with(Some("smoke".to_owned())).sentence.unwrap(), "smoke; the disk is full");
    }

    proptest! {
        #[test]
        fn a_report_comes_back_from_its_text_as_far_as_there_is_room(safe in 0_usize..200, not_safe in 0_usize..200) {
            let names = |count: usize| (0..count).map(|at| format!("actuator:valve:{at}{}", "x".repeat(100))).collect();
            let report = StopReport { safe: names(safe), not_safe: names(not_safe), sentence: None };
            let text = report.to_text();
            prop_assert!(text.len() <= STOP_REPORT_BYTES_MAX);
            let read = StopReport::from_text(&text).unwrap();
            if safe + not_safe < 60 {
                prop_assert_eq!(read, report);
            } else {
                prop_assert!(read.sentence.is_some() || read == report);
            }
        }
    }
}
