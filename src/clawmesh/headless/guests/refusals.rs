//! What the links have refused or dropped, told to the tick, so that it stands where all refusals of a node stand. Pure.

use clawmesh_authority::{Code, Refusal};
use clawmesh_wire_link::{Count, Counts};

/// Who refuses, in the list of refusals.
const FROM: &str = "existing nodes";

/// What is told, under which code, and in which words.
const TOLD: &[(Count, Code, &str)] = &[
    (
        Count::TurnedAway,
        Code::NotAuthorized,
        "connections got no WebSocket: a foreign page, a wrong token or no place; see docs/guests.md",
    ),
    (
        Count::EndedUnproven,
        Code::NotAuthorized,
        "connections were ended because nobody showed in time who they are",
    ),
    (
        Count::EndedTooSlow,
        Code::LimitExceeded,
        "connections were ended because the other side reads too slowly; look at the network",
    ),
    (
        Count::EndedTooLarge,
        Code::LimitExceeded,
        "connections were ended because a message was larger than 1 MiB",
    ),
    (Count::BadMessages, Code::MalformedEnvelope, "messages are no frames of the protocol and were dropped"),
    (Count::RateLimited, Code::RateLimited, "calls were refused because there were too many of one caller"),
    (
        Count::Refused,
        Code::NotAuthorized,
        "calls were refused: there is no such method, or the caller may not use it",
    ),
    (Count::BusyCalls, Code::RateLimited, "calls were refused because too many of the same connection wait"),
    (
        Count::FramesBad,
        Code::InvalidParams,
        "context frames lack something, or come from the future, and were dropped; look at the clocks",
    ),
    (
        Count::FramesLimited,
        Code::RateLimited,
        "context frames were dropped because there were too many of one node",
    ),
    (
        Count::FramesOfStrangers,
        Code::NotAuthorized,
        "context frames of callers that have not shown who they are were dropped",
    ),
    (
        Count::FramesSecondHand,
        Code::NotAuthorized,
        "context frames in the name of a node that is connected itself were dropped",
    ),
    (Count::NewsBad, Code::InvalidParams, "news of nodes that go make no sense and were dropped"),
    (Count::EventsLimited, Code::RateLimited, "events were dropped because there were too many of one node"),
];

/// What of all this was told already.
#[derive(Debug)]
pub struct Refusals(Counts);

impl Refusals {
    /// Nothing that was counted before is to be told.
    pub fn after(counts: Counts) -> Self {
        Self(counts)
    }

    /// What is to be told now, each with how often it happened.
    pub fn due(&mut self, counts: Counts) -> Vec<(Refusal, u64)> {
        let many = |count: Count| counts.of(count).saturating_sub(self.0.of(count));
        let due = TOLD.iter().filter_map(|(count, code, sentence)| {
            let many = many(*count);
            (many > 0).then(|| (Refusal::new(*code, FROM, *sentence), many))
        });
        let due = due.collect();
        self.0 = counts;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(Count, u64)]) -> Counts {
        of.iter().copied().collect()
    }

    #[test]
    fn what_is_refused_is_told_once_with_how_often() {
        let mut refusals = Refusals::after(counts(&[(Count::FramesBad, 5)]));
        assert_eq!(refusals.due(counts(&[(Count::FramesBad, 5), (Count::FramesTaken, 9)])), []);
        let now = counts(&[(Count::FramesBad, 7), (Count::TurnedAway, 1)]);
        let told: Vec<(Code, u64)> =
            refusals.due(now.clone()).into_iter().map(|(refusal, many)| (refusal.code, many)).collect();
        assert_eq!(told, [(Code::NotAuthorized, 1), (Code::InvalidParams, 2)]);
        assert_eq!(refusals.due(now), []);
    }

    #[test]
    fn everything_that_refuses_or_drops_what_others_send_is_told() {
        let good = [
            Count::ConnectionsBegun,
            Count::HandshakesDone,
            Count::Superseded,
            Count::FramesTaken,
            Count::FramesSeen,
            Count::FramesForwarded,
            Count::ProbesAnswered,
            // Told by the host, with whose they were and why.
            Count::HandshakesRefused,
            Count::FramesWithoutRoom,
            // What failed on the way: the state of the peer says it.
            Count::UpgradesFailed,
            Count::EndedSilent,
            Count::EndedUntrusted,
            Count::AnswersToNothing,
            Count::FramesDropped,
            Count::ProbesInVain,
            Count::SyncFailed,
            Count::DialsFailed,
        ];
        for count in Count::ALL {
            let is_told = TOLD.iter().any(|(told, ..)| told == count);
            assert_ne!(is_told, good.contains(count), "{count:?}");
        }
    }
}
