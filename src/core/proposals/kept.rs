//! What of this feature outlives a run: each proposal in its place, how far signers were heard, what was used. Pure.

use clawmesh_authority::request::RequestMarks;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Proposal, StoryEntry, canonical};
use minicbor::{Decode, Encode};

use super::ledger::Ledger;

/// The subject of the marks of requests.
pub const ASKED: &str = "asked";
/// The subject of the ledger.
pub const SPENDING: &str = "spending";
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
        _ => None,
    }
}
