//! What of this feature outlives a run: each proposal in its place, how far signers were heard, what was used. Pure.

use clawmesh_authority::request::RequestMarks;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Proposal, StoryEntry, canonical};
use minicbor::{Decode, Encode};

use super::control::Control;
use super::holds::Holds;
use super::ledger::Ledger;
use super::tags::Tags;

/// The subject of the marks of requests.
pub const ASKED: &str = "asked";
/// The subject of the ledger.
pub const SPENDING: &str = "spending";
/// The subject of the tags.
pub const TAGS: &str = "tags";
/// The subject of what is on hold.
pub const HOLDS: &str = "holds";
/// The subject of who has control of what.
pub const CONTROL: &str = "control";
const PLACE: &str = "proposal/";

/// A proposal as it is kept. A grant is not: what was approved and not dispatched has to be asked again.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct KeptProposal {
    /// What is proposed.
    #[n(0)]
    pub proposal: Proposal,
    /// How it stood.
    #[n(1)]
    pub state: State,
    /// How it came to.
    #[n(2)]
    pub story: Vec<StoryEntry>,
    /// When it came, Unix milliseconds; absent in what earlier builds kept.
    #[n(3)]
    pub asked_ms: Option<u64>,
}

impl KeptProposal {
    /// True when a driver was told something of it.
    pub fn was_dispatched(&self) -> bool {
        self.story.iter().any(|entry| entry.state == State::Dispatched.name())
    }

    /// When it came, Unix milliseconds; at the latest when its story begins.
    pub fn came_ms(&self) -> Option<u64> {
        self.asked_ms.or_else(|| Some(self.story.first()?.at_ms))
    }

    /// When the last happened to it, Unix milliseconds.
    pub fn last_ms(&self) -> Option<u64> {
        Some(self.story.last()?.at_ms)
    }

    /// True when the last that happened to it was before `wall_ms`.
    pub fn ended_before(&self, wall_ms: u64) -> bool {
        self.story.last().is_some_and(|entry| entry.at_ms < wall_ms)
    }
}

/// Something of this feature that an earlier run kept.
#[derive(Debug, PartialEq)]
pub enum Recalled {
    /// The proposal of a place.
    Proposal(u8, Box<KeptProposal>),
    /// How far signers were heard.
    Asked(RequestMarks),
    /// What was used.
    Spending(Ledger),
    /// What was out of service.
    Tags(Tags),
    /// What was on hold.
    Holds(Holds),
    /// Who had control of what.
    Control(Control),
}

/// The subject of the proposal in a place.
#[must_use]
pub fn subject_of(slot: u8) -> String {
    format!("{PLACE}{slot}")
}

/// Reads what was kept; `None` for what another feature kept.
///
/// # Errors
/// A sentence, when it is damaged.
pub fn read(subject: &str, bytes: &[u8]) -> Option<Result<Recalled, String>> {
    let fault = |fault: canonical::DecodeFault| format!("what was kept of {subject} cannot be read: {fault}");
    if let Some(slot) = subject.strip_prefix(PLACE) {
        let slot = slot.parse().ok().filter(|slot| subject_of(*slot) == subject);
        let Some(slot) = slot else { return Some(Err(format!("{subject} is no place"))) };
        let kept = canonical::decode(bytes).map_err(fault).and_then(|kept: KeptProposal| match kept.state {
            // Nothing takes up a draft: a proposal is kept once it was taken.
            State::Draft => Err(format!("what was kept of {subject} was never taken")),
            _ => Ok(Recalled::Proposal(slot, Box::new(kept))),
        });
        return Some(kept);
    }
    match subject {
        ASKED => Some(canonical::decode(bytes).map(Recalled::Asked).map_err(fault)),
        SPENDING => Some(canonical::decode(bytes).map(Recalled::Spending).map_err(fault)),
        TAGS => Some(canonical::decode(bytes).map(Recalled::Tags).map_err(fault)),
        HOLDS => Some(canonical::decode(bytes).map(Recalled::Holds).map_err(fault)),
        CONTROL => Some(canonical::decode(bytes).map(Recalled::Control).map_err(fault)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clawmesh_authority::{Capability, ContentHash, Hlc, Maker, MeshId, Mind, NodeId, Step};
    use proptest::prelude::*;

    use super::*;

    fn kept(state: State) -> KeptProposal {
        let step = Step {
            actuator: Capability::new("actuator:valve:valve-flower").unwrap(),
            operation: "close".to_owned(),
            parameters: BTreeMap::new(),
        };
        let proposal = Proposal {
            mesh: MeshId::of_name("farm"),
            owner: NodeId([1; 32]),
            site: ContentHash([2; 32]),
            maker: Maker {
                node: NodeId([3; 32]),
                mind: Mind::Utility { name: "dryness".to_owned() },
                term: None,
            },
            steps: vec![step],
            reason: "the bed is wet".to_owned(),
            evidence: Vec::new(),
            made: Hlc { wall_ms: 7, logical: 0 },
        };
        KeptProposal { proposal, state, story: Vec::new(), asked_ms: Some(7) }
    }

    #[test]
    fn what_is_kept_is_read_back_by_its_subject() {
        let kept = kept(State::Completed);
        let read_back = read(&subject_of(31), &canonical::encode(&kept));
        assert_eq!(read_back, Some(Ok(Recalled::Proposal(31, Box::new(kept)))));
        let (marks, ledger) = (RequestMarks::default(), Ledger::default());
        assert_eq!(read(ASKED, &canonical::encode(&marks)), Some(Ok(Recalled::Asked(marks))));
        assert_eq!(read(SPENDING, &canonical::encode(&ledger)), Some(Ok(Recalled::Spending(ledger))));
    }

    #[test]
    fn what_is_damaged_or_no_place_says_so_and_what_others_kept_is_theirs() {
        let bytes = canonical::encode(&kept(State::Completed));
        let refused = |subject: &str, bytes: &[u8]| read(subject, bytes).unwrap().unwrap_err();
        for subject in ["proposal/", "proposal/031", "proposal/+3", "proposal/256", "proposal/one"] {
            assert_eq!(refused(subject, &bytes), format!("{subject} is no place"));
        }
        assert!(refused("proposal/3", &bytes[1..]).contains("proposal/3 cannot be read"));
        assert!(refused(ASKED, &bytes).contains("asked cannot be read"));
        let draft = canonical::encode(&kept(State::Draft));
        assert_eq!(refused("proposal/3", &draft), "what was kept of proposal/3 was never taken");
        assert_eq!(read("alarms", &bytes), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(slot: u8, bytes: Vec<u8>) {
            prop_assert!(!matches!(read(&subject_of(slot), &bytes), None | Some(Ok(_))));
            prop_assert!([ASKED, SPENDING, TAGS, HOLDS, CONTROL].iter().all(|subject| read(subject, &bytes).is_some()));
        }
    }
}
