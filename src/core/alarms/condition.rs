//! What can be the case: the key of each alarm, its priority and its sentence. Pure.

use clawmesh_authority::transition::Cause;
use clawmesh_authority::{Code, ProposalId};

use super::state::{Now, Priority};
use crate::safety::RefusalTally;

/// The key of the stop.
pub const STOP: &str = "stop";
/// The key of the planning that nobody leads.
pub const LEADERLESS: &str = "leaderless";
/// The key of the time that is not known.
pub const CLOCK: &str = "clock";
/// The key of the alarm that counts those without a place.
pub const MORE: &str = "more";
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 320;

/// A flag of a sensor must have lasted so long before it rings.
pub const FLAG_LASTS_MS: u64 = 1_000;
/// A sensor that the site names must have been met after so long.
pub const MET_WITHIN_MS: u64 = 30_000;
/// Nobody must have led the planning for so long before it rings: longer than it takes to choose somebody.
pub const LEADERLESS_LASTS_MS: u64 = 60_000;
/// The time must have been unknown for so long before it rings: longer than it takes to ask other nodes twice.
pub const CLOCK_LASTS_MS: u64 = 10_000;
/// An actuator that nothing of ours runs must have been shown on for so long before it rings.
pub const ON_LASTS_MS: u64 = 2_000;
/// Refusals of one kind are over when there was none for so long.
pub const REFUSALS_LAST_MS: u64 = 600_000;

/// The longest sentence, in characters.
const SENTENCE_CHARACTERS_MAX: usize = 600;
/// The longest sender inside a key, in bytes.
const SENDER_BYTES_MAX: usize = 160;

/// Something that is the case now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How soon a person has to look.
    pub priority: Priority,
    /// What is the case and what to do, one sentence.
    pub sentence: String,
    /// The tick since which it is the case.
    pub since_tick: u64,
    /// How long it must have been the case before it rings.
    pub on_delay_ms: u64,
    /// True for what has happened and does not end by itself.
    pub happens_once: bool,
}

impl Condition {
    /// Something that rings at once.
    #[must_use]
    pub fn at_once(priority: Priority, sentence: &str, now: &Now) -> Self {
        let sentence = cut(sentence);
        Self { priority, sentence, since_tick: now.tick, on_delay_ms: 0, happens_once: false }
    }

    /// True once it has lasted as long as it must.
    #[must_use]
    pub fn is_due(&self, now: &Now) -> bool {
        now.tick.saturating_sub(self.since_tick) >= now.ticks_of_ms(self.on_delay_ms)
    }
}

/// A flag of a sensor that rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SensorFlag {
    /// It has never said anything.
    Silent,
    /// It says nothing new.
    Stale,
    /// Its value does not move.
    Stuck,
    /// It says what cannot be.
    OutOfRange,
    /// It measures later than now.
    Future,
}

impl SensorFlag {
    /// The word, as in [`crate::world::Quality::words`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Stale => "stale",
            Self::Stuck => "stuck",
            Self::OutOfRange => "out_of_range",
            Self::Future => "future",
        }
    }

    /// The key for a sensor of a node.
    #[must_use]
    pub fn key(self, node: &str, sensor: &str) -> String {
        format!("{}/{node}/{sensor}", self.word())
    }

    /// What is the case and what to do.
    #[must_use]
    pub fn sentence(self, node: &str, sensor: &str) -> String {
        let words = match self {
            Self::Silent => "has never said anything; look at the sensor and its cable",
            Self::Stale => {
                "says nothing new for longer than its period allows; look at the sensor and its way here"
            }
            Self::Stuck => "has not moved for too long; look at the sensor",
            Self::OutOfRange => "says what is physically impossible; look at the sensor",
            Self::Future => "measures later than now; set the clock of that node, or ours",
        };
        cut(&format!("{sensor} of {node} {words}"))
    }
}

/// The stop is latched.
#[must_use]
pub fn stopped(reason: &str, now: &Now) -> (String, Condition) {
    let sentence = format!("the stop is latched: {reason}; a person has to re-arm");
    (STOP.to_owned(), Condition::at_once(Priority::Critical, &sentence, now))
}

/// An actuator could not be made safe.
#[must_use]
pub fn not_made_safe(actuator: &str, why: &str, now: &Now) -> (String, Condition) {
    let sentence = format!("{actuator} could not be made safe: {why}; go and look");
    (format!("unsafe/{actuator}"), Condition::at_once(Priority::Critical, &sentence, now))
}

/// Nobody has led the planning since `since_tick`, where somebody did before.
#[must_use]
pub fn leaderless(since_tick: u64) -> (String, Condition) {
    let sentence =
        "nobody leads the planning any more, so no planner proposes anything; look at the command center";
    let condition = Condition {
        priority: Priority::Low,
        sentence: sentence.to_owned(),
        since_tick,
        on_delay_ms: LEADERLESS_LASTS_MS,
        happens_once: false,
    };
    (LEADERLESS.to_owned(), condition)
}

/// The time is not known since the run began after `since_tick`.
#[must_use]
pub fn timeless(since_tick: u64) -> (String, Condition) {
    let sentence =
        "this node does not know what time it is and takes nothing that needs it; `clawmesh status` says why";
    let condition = Condition {
        priority: Priority::High,
        sentence: sentence.to_owned(),
        since_tick,
        on_delay_ms: CLOCK_LASTS_MS,
        happens_once: false,
    };
    (CLOCK.to_owned(), condition)
}

/// A sensor shows an actuator on, and nothing of ours has it run.
#[must_use]
pub fn on_by_itself(actuator: &str, since_tick: u64, now: &Now) -> (String, Condition) {
    let sentence = format!("{actuator} is shown to be on, and nothing of ours runs it; go and look");
    let condition = Condition::at_once(Priority::Critical, &sentence, now);
    (format!("on/{actuator}"), Condition { since_tick, on_delay_ms: ON_LASTS_MS, ..condition })
}

/// Somebody was refused what has to do with safety, and not long ago.
#[must_use]
pub fn refused(tally: &RefusalTally, now: &Now) -> Option<(String, Condition)> {
    let priority = priority_of(tally.code)?;
    let is_over = now.tick.saturating_sub(tally.tick) >= now.ticks_of_ms(REFUSALS_LAST_MS);
    if is_over {
        return None;
    }
    let RefusalTally { code, from, count, sentence, .. } = tally;
    let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
    let sentence = format!("{from} was refused {times} in this run: {sentence}");
    Some((format!("refusal/{code}/{}", sender(from)), Condition::at_once(priority, &sentence, now)))
}

/// A proposal ran, or was about to, and did not end as it should.
#[must_use]
pub fn failed(id: &ProposalId, home: &str, cause: &Cause, now: &Now) -> (String, Condition) {
    let kind = if *cause == Cause::Divergence { "divergence" } else { "failed" };
    let (priority, words) = of_cause(cause);
    let sentence = format!("proposal {} of {home} failed: {words}", id.short());
    let condition = Condition { happens_once: true, ..Condition::at_once(priority, &sentence, now) };
    (format!("{kind}/{id}"), condition)
}

/// How soon a person has to look at a refusal; never at those that only say that a network is a network, or that somebody
/// asked wrongly. Without a wildcard: whoever adds a code decides.
fn priority_of(code: Code) -> Option<Priority> {
    match code {
        // Somebody is not who they say, or says again what was said before.
        Code::BadSignature
        | Code::SourceMismatch
        | Code::ApprovalReplayed
        | Code::ApprovalMismatch
        | Code::OperatorRevoked
        | Code::PairingSasMismatch
        | Code::AmbiguousOwner
        | Code::JournalUnavailable => Some(Priority::High),
        Code::ClockUntrusted
        | Code::LimitExceeded
        | Code::NotAuthorized
        | Code::ApprovalRequired
        | Code::ApprovalExpired
        | Code::TwoPersonRequired
        | Code::SelfApproval
        | Code::EvidenceUnresolved
        | Code::EvidenceStale
        | Code::CardRequired
        | Code::CardStale
        | Code::CardVeto
        | Code::InterlockOpen
        | Code::BudgetExceeded
        | Code::StopLatched
        | Code::LeaseLost
        | Code::AuthorityHeld
        | Code::Frozen
        | Code::StaleTerm
        | Code::SiteMismatch
        | Code::UnknownOperation
        | Code::OutOfService
        | Code::LocalControl
        | Code::StateUnknown
        | Code::Unverified
        | Code::LlmOnlyActuationBlocked
        | Code::InsufficientTrustTier => Some(Priority::Medium),
        Code::UntrustedPeer => Some(Priority::Low),
        Code::MalformedEnvelope
        | Code::MeshIdMismatch
        | Code::Replayed
        | Code::RateLimited
        | Code::TooLarge
        | Code::NotANumber
        | Code::UndecodableSample
        | Code::UnitMismatch
        | Code::InvalidParams
        | Code::Busy
        | Code::StreamSkipped
        | Code::PairingNotActive
        | Code::PairingRejected
        | Code::PairingTimeout
        | Code::Duplicate => None,
    }
}

fn of_cause(cause: &Cause) -> (Priority, String) {
    let (priority, words) = match cause {
        Cause::OutcomeUnknown => (
            Priority::High,
            "its node restarted after it was ordered, or its hardware gave no answer; look at the plant whether it was carried out",
        ),
        Cause::NotAcknowledged => {
            (Priority::High, "the hardware did not take it in time; look at its driver")
        }
        Cause::Unverified => (Priority::High, "no sensor and no person confirmed it in time; go and look"),
        Cause::Contradicted => (Priority::High, "the driver says done and a sensor says no; go and look"),
        Cause::LeaseLost => (Priority::High, "its lease was not renewed in time, so it was ended"),
        Cause::Interlock => (Priority::High, "an interlock was no longer shown to hold, so it was ended"),
        Cause::Envelope => (Priority::High, "a limit of the actuator was left, so it was ended"),
        Cause::Divergence => {
            (Priority::High, "the plant left the band that its card predicted, so it was ended; go and look")
        }
        Cause::Policy => (Priority::Medium, "the policy changed and no longer allows it"),
        Cause::Authority => (Priority::Medium, "somebody else took authority over the actuator"),
        Cause::LocalControl => (Priority::Medium, "a person took the actuator in hand control"),
        Cause::StopLatched => (Priority::Low, "the stop came"),
        Cause::NotSimulated => (Priority::Low, "it could not be simulated, and nothing ran"),
        Cause::Driver(why) => return (Priority::High, format!("the driver says: {why}")),
        Cause::Refused { code, sentence } => return (Priority::Medium, format!("{code}: {sentence}")),
    };
    (priority, words.to_owned())
}

/// A sender as part of a key that people can type: what does not fit is replaced, and then a hash tells such senders apart.
fn sender(from: &str) -> String {
    let is_plain = from.len() <= SENDER_BYTES_MAX && from.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    let typed = from.chars().take(SENDER_BYTES_MAX).map(|c| if c.is_ascii_graphic() { c } else { '-' });
    let mut name: String = typed.collect();
    if !is_plain {
        let hash = blake3::hash(from.as_bytes()).to_hex();
        name.push('~');
        name.push_str(&hash[..8]);
    }
    name
}

/// At most so many characters that a row of a table is still one.
fn cut(sentence: &str) -> String {
    match sentence.char_indices().nth(SENTENCE_CHARACTERS_MAX) {
        None => sentence.to_owned(),
        Some((end, _)) => format!("{}…", &sentence[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        Now { tick: 100_000, wall_ms: 0, hz: 50 }
    }

    fn tally(code: Code, from: &str, tick: u64) -> RefusalTally {
        RefusalTally { code, from: from.to_owned(), count: 3, sentence: "it was made up".to_owned(), tick }
    }

    #[test]
    fn refusals_that_have_to_do_with_safety_ring_for_ten_minutes_and_others_never() {
        for (ago_s, rings) in [(0, true), (599, true), (600, false)] {
            let found = refused(&tally(Code::SelfApproval, "asha", now().tick - ago_s * 50), &now());
            assert_eq!(found.is_some(), rings, "{ago_s} s ago");
        }
        let (key, condition) = refused(&tally(Code::BadSignature, "barn", now().tick), &now()).unwrap();
        assert_eq!((&*key, condition.priority), ("refusal/BAD_SIGNATURE/barn", Priority::High));
        assert_eq!(condition.sentence, "barn was refused 3 times in this run: it was made up");
        for code in [Code::Replayed, Code::InvalidParams, Code::Busy] {
            assert_eq!(refused(&tally(code, "barn", now().tick), &now()), None, "{code}");
        }
    }

    #[test]
    fn a_sender_that_cannot_be_typed_has_a_key_that_can_and_is_no_other() {
        let key = |from: &str| refused(&tally(Code::BadSignature, from, now().tick), &now()).unwrap().0;
        assert_eq!(key("unproven 1a2b"), "refusal/BAD_SIGNATURE/unproven-1a2b");
        let (one, other) = (key("b\u{202e}arn"), key("b\u{1b}arn"));
        assert!(one.starts_with("refusal/BAD_SIGNATURE/b-arn~") && one != other, "{one} {other}");
        let (long, longer) = (key(&"x".repeat(5_000)), key(&"x".repeat(5_001)));
        assert!(long.len() <= KEY_BYTES_MAX && long != longer, "{long}");
    }

    #[test]
    fn a_divergence_has_its_own_kind_and_every_other_failure_says_why() {
        let id = ProposalId([0xab; 32]);
        let (key, condition) = failed(&id, "field-node", &Cause::Divergence, &now());
        assert_eq!(key, format!("divergence/{id}"));
        assert!(condition.happens_once && condition.sentence.contains("left the band"), "{condition:?}");
        let (key, condition) = failed(&id, "field-node", &Cause::Driver("coil 3 is open".to_owned()), &now());
        assert_eq!(key, format!("failed/{id}"));
        assert_eq!(
            (condition.priority, &*condition.sentence),
            (Priority::High, "proposal abababab of field-node failed: the driver says: coil 3 is open")
        );
        let refused = Cause::Refused { code: Code::InterlockOpen, sentence: "the tank is empty".to_owned() };
        assert!(
            failed(&id, "barn", &refused, &now()).1.sentence.ends_with("INTERLOCK_OPEN: the tank is empty")
        );
    }

    #[test]
    fn no_sentence_is_longer_than_a_row_can_show() {
        let (_, condition) = stopped(&"é".repeat(4_000), &now());
        assert_eq!(condition.sentence.chars().count(), SENTENCE_CHARACTERS_MAX + 1);
    }
}
