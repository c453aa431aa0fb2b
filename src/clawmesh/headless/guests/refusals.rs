//! What was refused or dropped at the door of existing nodes, told to the tick, so that it stands where all refusals of a node
//! stand: the first at once, then every ten seconds with how many there were. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::{Code, Refusal};
use clawmesh_wire::Refusal as WireRefusal;
use clawmesh_wire_link::{Count, Counts, Peer};

/// How often refusals of one kind are told, milliseconds.
const TOLD_EVERY_MS: u64 = 10_000;
/// The most kinds that are told apart; what is more is told as one.
const KINDS_MAX: usize = 64;
/// Under which name that is.
const MORE: &str = "existing nodes/others";

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
    (Count::NewsBad, Code::InvalidParams, "news of nodes that go make no sense and were dropped"),
    (
        Count::EndedSenseless,
        Code::RateLimited,
        "connections were ended, because too much of what came on them was no message of the protocol",
    ),
    (Count::EventsLimited, Code::RateLimited, "events were dropped because there were too many of one node"),
];

/// What a caller on the wire was refused, under our code that says the same.
pub fn of_wire(from: &Peer, refusal: &WireRefusal) -> Refusal {
    let whose = from.node.map_or_else(|| from.address.ip().to_string(), |node| node.short());
    let same = Code::ALL.iter().copied().find(|code| code.as_str() == refusal.code.as_str());
    Refusal::new(same.unwrap_or(Code::InvalidParams), whose, refusal.message.clone())
}

/// What was refused and is to be told.
#[derive(Debug, Default)]
pub struct Refusals {
    /// What the links had counted when it was looked at last.
    counted: Option<Counts>,
    kinds: BTreeMap<(Code, String), Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    sentence: String,
    many: u64,
    told_ms: Option<u64>,
}

impl Refusals {
    /// Takes what was refused; its words stand for all of its code and of whom it is.
    pub fn add(&mut self, refusal: Refusal, many: u64) {
        let mut key = (refusal.code, refusal.from);
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&key) {
            key.1 = MORE.to_owned();
        }
        let kind = self.kinds.entry(key).or_default();
        kind.sentence = refusal.sentence;
        kind.many = kind.many.saturating_add(many);
    }

    /// Takes what the links have counted since the last look.
    pub fn count(&mut self, counts: Counts) {
        let before = self.counted.take();
        for (count, code, sentence) in TOLD {
            let known = before.as_ref().map_or(0, |before| before.of(*count));
            let many = counts.of(*count).saturating_sub(known);
            if many > 0 {
                self.add(Refusal::new(*code, format!("existing nodes/{}", count.as_str()), *sentence), many);
            }
        }
        self.counted = Some(counts);
    }

    /// What is to be told at `now_ms`, of a clock that only goes forward, each with how often it happened.
    pub fn due(&mut self, now_ms: u64) -> Vec<(Refusal, u64)> {
        let mut due = Vec::new();
        let is_old =
            |kind: &Kind| kind.told_ms.is_none_or(|told_ms| now_ms.saturating_sub(told_ms) >= TOLD_EVERY_MS);
        for ((code, from), kind) in &mut self.kinds {
            if kind.many > 0 && is_old(kind) {
                due.push((Refusal::new(*code, from, kind.sentence.clone()), std::mem::take(&mut kind.many)));
                kind.told_ms = Some(now_ms);
            }
        }
        self.kinds.retain(|_, kind| kind.many > 0 || !is_old(kind));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(Count, u64)]) -> Counts {
        of.iter().copied().collect()
    }

    fn told(refusals: &mut Refusals, now_ms: u64) -> Vec<(Code, u64)> {
        refusals.due(now_ms).into_iter().map(|(refusal, many)| (refusal.code, many)).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_together_after_a_while() {
        let mut refusals = Refusals::default();
        refusals.count(counts(&[(Count::FramesBad, 2), (Count::FramesTaken, 9), (Count::TurnedAway, 1)]));
        assert_eq!(told(&mut refusals, 0), [(Code::InvalidParams, 2), (Code::NotAuthorized, 1)]);
        refusals.count(counts(&[(Count::FramesBad, 7), (Count::TurnedAway, 1)]));
        assert_eq!(told(&mut refusals, 1_000), []);
        refusals.count(counts(&[(Count::FramesBad, 8), (Count::TurnedAway, 1)]));
        assert_eq!(told(&mut refusals, TOLD_EVERY_MS), [(Code::InvalidParams, 6)]);
        assert_eq!(told(&mut refusals, 2 * TOLD_EVERY_MS), []);
        assert!(refusals.kinds.is_empty(), "what is quiet is forgotten");
    }

    #[test]
    fn kinds_are_told_apart_by_code_and_by_whom_and_there_are_not_too_many() {
        let mut refusals = Refusals::default();
        for n in 0..500 {
            refusals.add(Refusal::new(Code::RateLimited, format!("guest {n}"), "too much"), 1);
        }
        refusals.add(Refusal::new(Code::UntrustedPeer, "guest 0", "a stranger"), 1);
        let due = refusals.due(0);
        assert!(
            due.len() <= KINDS_MAX + 2 && due.iter().any(|(refusal, _)| refusal.code == Code::UntrustedPeer)
        );
        assert_eq!(due.iter().map(|(_, many)| many).sum::<u64>(), 501, "none is lost");
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
            // Not dropped: what is said meanwhile is asked about afterwards.
            Count::ProbesSpared,
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
