//! What the home of a proposal shows of it, to its own people and to other nodes. A copy decides nothing.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::hlc::Hlc;
use crate::ids::{OperatorId, ProposalId};
use crate::offer::Offer;
use crate::proposal::{Maker, REASON_BYTES_MAX, STEPS_MAX, Step};
use crate::reading::TEXT_BYTES_MAX;
use crate::refusal::Code;
use crate::transition::State;

/// The largest card in a report, in bytes.
pub const CARD_BYTES_MAX: usize = 64 * 1024;
/// The most entries of a story.
pub const STORY_MAX: usize = 64;
/// How many proposals a home shows at once: those that are open, and the last ones that have ended.
pub const SLOTS: u8 = 64;

/// A proposal as its home sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct ProposalReport {
    /// The place it has among those its home shows; a later proposal in the same place replaces it.
    #[n(0)]
    pub slot: u8,
    /// Its name.
    #[n(1)]
    pub id: ProposalId,
    /// Who made it.
    #[n(2)]
    pub maker: Maker,
    /// What is to be done.
    #[n(3)]
    pub steps: Vec<Step>,
    /// Why.
    #[n(4)]
    pub reason: String,
    /// When it was made.
    #[n(5)]
    pub made: Hlc,
    /// How it stands.
    #[n(6)]
    pub state: State,
    /// How it came to stand so, oldest first; the beginning may be missing.
    #[n(7)]
    pub story: Vec<StoryEntry>,
    /// The canonical bytes of the newest card, if there is one.
    #[n(8)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "hex_bytes")]
    pub card: Option<Vec<u8>>,
    /// What people are asked, while they are.
    #[n(9)]
    pub offer: Option<Offer>,
    /// Who has approved it so far.
    #[n(10)]
    pub approved_by: Vec<OperatorId>,
    /// Why nobody may say yes to it now, if nobody may: somebody holds it, or has control of what it moves.
    #[n(11)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
}

/// One thing that happened to a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct StoryEntry {
    /// When, by the clock of its home, Unix milliseconds.
    #[n(0)]
    pub at_ms: u64,
    /// The name of the state it came to be in.
    #[n(1)]
    pub state: String,
    /// What happened, for people.
    #[n(2)]
    pub words: String,
    /// The code, if something was refused.
    #[n(3)]
    pub code: Option<Code>,
}

impl ProposalReport {
    /// The subject under which its home says it.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("proposal/{}", self.slot)
    }

    /// Says what is wrong with the content, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.slot >= SLOTS {
            return Some(format!("slot {} of {SLOTS}", self.slot));
        }
        if !(1..=STEPS_MAX).contains(&self.steps.len()) || self.story.len() > STORY_MAX {
            return Some(format!("{} steps and {} entries of a story", self.steps.len(), self.story.len()));
        }
        if self.reason.len() > REASON_BYTES_MAX || self.approved_by.len() > STEPS_MAX {
            return Some("a reason or a list of people that is too long".to_owned());
        }
        if self.card.as_ref().is_some_and(|card| card.len() > CARD_BYTES_MAX) {
            return Some(format!("a card of more than {CARD_BYTES_MAX} bytes"));
        }
        if self.blocked.as_ref().is_some_and(|blocked| blocked.len() > TEXT_BYTES_MAX) {
            return Some(format!("a text of more than {TEXT_BYTES_MAX} bytes"));
        }
        let is_long = |entry: &StoryEntry| entry.state.len().max(entry.words.len()) > TEXT_BYTES_MAX;
        self.story.iter().any(is_long).then(|| format!("a text of more than {TEXT_BYTES_MAX} bytes"))
    }
}

/// Bytes as hexadecimal text, for JSON.
mod hex_bytes {
    use std::fmt::Write as _;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        let text = bytes.as_ref().map(|bytes| {
            bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        });
        text.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let wrong = || serde::de::Error::custom("bytes are an even number of hexadecimal characters");
        if !text.is_ascii() || text.len() % 2 != 0 {
            return Err(wrong());
        }
        let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
        pairs.collect::<Result<_, _>>().map(Some).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical;
    use crate::proposal::tests::proposal;
    use crate::transition::Round;

    fn report() -> ProposalReport {
        let proposal = proposal();
        ProposalReport {
            slot: 3,
            id: proposal.id(),
            maker: proposal.maker,
            steps: proposal.steps,
            reason: proposal.reason,
            made: proposal.made,
            state: State::Simulating { round: Round::FIRST },
            story: vec![StoryEntry {
                at_ms: 1,
                state: "draft".to_owned(),
                words: "it came".to_owned(),
                code: None,
            }],
            card: Some(vec![0, 171, 255]),
            offer: None,
            approved_by: Vec::new(),
            blocked: None,
        }
    }

    #[test]
    fn a_report_survives_its_bytes_and_its_text() {
        let report = report();
        assert_eq!(report.fault(), None);
        assert_eq!(canonical::decode::<ProposalReport>(&canonical::encode(&report)), Ok(report.clone()));
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains("\"card\":\"00abff\""), "{text}");
        assert_eq!(serde_json::from_str::<ProposalReport>(&text).unwrap(), report);
    }

    #[test]
    fn what_is_too_much_is_named() {
        let with = |change: fn(&mut ProposalReport)| {
            let mut changed = report();
            change(&mut changed);
            changed.fault()
        };
        for fault in [
            with(|r| r.slot = SLOTS),
            with(|r| r.steps.clear()),
            with(|r| r.card = Some(vec![0; CARD_BYTES_MAX + 1])),
            with(|r| r.story = vec![r.story[0].clone(); STORY_MAX + 1]),
            with(|r| r.story[0].words = "x".repeat(TEXT_BYTES_MAX + 1)),
        ] {
            assert!(fault.is_some());
        }
    }
}
