//! What was refused or dropped, and what has gone well, counted for everybody to read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($name:ident $text:literal $doc:literal;)*) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Count { $(#[doc = $doc] $name,)* }

        impl Count {
            /// Everything that is counted, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name for programs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

counts! {
    ConnectionsBegun "connections_begun" "Connections that were let in or that we have dialled.";
    TurnedAway "turned_away" "Connections refused before the upgrade: origin, token, no room.";
    UpgradesFailed "upgrades_failed" "Connections that asked for no WebSocket, or not in time.";
    HandshakesDone "handshakes_done" "Nodes that have shown who they are.";
    HandshakesRefused "handshakes_refused" "Attempts that failed, on either side.";
    Superseded "superseded" "Sessions whose place a newer one took.";
    EndedSilent "ended_silent" "Connections ended because nothing came.";
    EndedTooSlow "ended_too_slow" "Connections ended because the other side read too slowly.";
    EndedUntrusted "ended_untrusted" "Connections ended because trust was withdrawn.";
    EndedSenseless "ended_senseless" "Connections ended for too much that was no message.";
    EndedUnproven "ended_unproven" "Connections ended for want of a handshake.";
    EndedTooLarge "ended_too_large" "Connections ended because a message was too large.";
    BadMessages "bad_messages" "Messages that are no frame of the protocol.";
    RateLimited "rate_limited" "Calls refused because there were too many.";
    Refused "refused" "Calls refused because there is no such method or the caller may not.";
    BusyCalls "busy_calls" "Calls refused because too many of the same connection wait.";
    AnswersToNothing "answers_to_nothing" "Answers that nobody waited for.";
    FramesTaken "frames_taken" "Context frames that were new.";
    FramesSeen "frames_seen" "Context frames that were here before, or that claim to be ours.";
    FramesWithoutRoom "frames_without_room" "Context frames for which the host had no room.";
    FramesBad "frames_bad" "Context frames that lack something.";
    FramesLimited "frames_limited" "Context frames dropped because there were too many.";
    FramesOfStrangers "frames_of_strangers" "Events dropped because their sender has not shown who it is.";
    FramesForwarded "frames_forwarded" "Copies of context frames given to connections.";
    FramesDropped "frames_dropped" "Copies dropped because a connection did not take them in time.";
    NewsBad "news_bad" "News of nodes that go that make no sense.";
    ProbesAnswered "probes_answered" "Nodes said to be down that answer us.";
    ProbesInVain "probes_in_vain" "Nodes said to be down that do not answer us either.";
    ProbesSpared "probes_spared" "News that a node is down that came while it was asked, or soon after.";
    SyncFailed "sync_failed" "Questions for missed frames without an answer.";
    DialsFailed "dials_failed" "Attempts to reach a node that failed before the handshake.";
    EventsLimited "events_limited" "Events other than frames dropped because there were too many.";
}

/// The counters of all links.
#[derive(Debug)]
pub(crate) struct Counters([AtomicU64; Count::ALL.len()]);

/// What was counted so far, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts(BTreeMap<Count, u64>);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Count::ALL.len()])
    }
}

impl Counters {
    pub fn add(&self, count: Count) {
        self.add_many(count, 1);
    }

    pub fn add_many(&self, count: Count, many: u64) {
        if let Some(counter) = self.0.get(count as usize) {
            counter.fetch_add(many, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> Counts {
        let pairs = Count::ALL.iter().zip(&self.0);
        pairs.map(|(count, counter)| (*count, counter.load(Ordering::Relaxed))).collect()
    }
}

impl FromIterator<(Count, u64)> for Counts {
    fn from_iter<I: IntoIterator<Item = (Count, u64)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Counts {
    /// How often.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.0.get(&count).copied().unwrap_or(0)
    }

    /// Every name with its number.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(count, many)| (count.as_str(), *many))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_under_its_own_name() {
        let counters = Counters::default();
        for (at, count) in Count::ALL.iter().enumerate() {
            counters.add_many(*count, at as u64 + 1);
        }
        let counts = counters.read();
        let mut names: Vec<&str> = counts.iter().map(|(name, _)| name).collect();
        assert!(counts.iter().map(|(_, many)| many).eq(1..=Count::ALL.len() as u64));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Count::ALL.len());
    }
}
