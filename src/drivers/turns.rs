//! What is to be made safe and waits for its turn: a valve does not shut against a pump that has only been asked to stop. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::{Capability, ProposalId};
use clawmesh_core::intake::SafeBecause;

/// How long a turn is waited for, milliseconds.
const WAIT_MS_MAX: u64 = 3_000;

/// Something that is to be made safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Why.
    pub because: SafeBecause,
    /// The proposal it worked for.
    pub proposal: Option<ProposalId>,
    until_ms: u64,
}

/// Everything that waits for its turn.
#[derive(Debug, Default)]
pub struct Turns(BTreeMap<Capability, Turn>);

impl Turns {
    /// Notes what is to be made safe. It waits from when that was said first, and the first reason stands, unless somebody
    /// stopped.
    pub fn wait(
        &mut self,
        actuator: &Capability,
        because: &SafeBecause,
        proposal: Option<ProposalId>,
        now_ms: u64,
    ) {
        let until_ms = now_ms.saturating_add(WAIT_MS_MAX);
        let new = || Turn { because: because.clone(), proposal, until_ms };
        let turn = self.0.entry(actuator.clone()).or_insert_with(new);
        if matches!(because, SafeBecause::Stopped { .. }) {
            turn.because = because.clone();
        }
        turn.proposal = turn.proposal.or(proposal);
    }

    /// Takes the turn of an actuator, if it waits for one that has come: nothing is before it, or it has waited long enough.
    pub fn take(&mut self, actuator: &Capability, must_wait: bool, now_ms: u64) -> Option<Turn> {
        let turn = self.0.get(actuator)?;
        (!must_wait || turn.until_ms <= now_ms).then(|| self.0.remove(actuator)).flatten()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True while an actuator waits.
    pub fn has(&self, actuator: &Capability) -> bool {
        self.0.contains_key(actuator)
    }

    /// True while something waits that worked for a proposal.
    pub fn is_ending(&self, proposal: ProposalId) -> bool {
        self.0.values().any(|turn| turn.proposal == Some(proposal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_from_the_first_word_and_keeps_the_first_reason_unless_somebody_stopped() {
        let valve = Capability::new("actuator:valve:main").unwrap();
        let (over, stop) = (SafeBecause::TimeIsOver, SafeBecause::Stopped { stops: 3 });
        let proposal = Some(ProposalId([7; 32]));
        for (second, stands) in [(SafeBecause::LeaseLost, &over), (stop.clone(), &stop)] {
            let mut turns = Turns::default();
            turns.wait(&valve, &over, proposal, 1_000);
            turns.wait(&valve, &second, None, 2_500);
            assert!(turns.has(&valve) && turns.is_ending(ProposalId([7; 32])));
            assert_eq!(turns.take(&valve, true, 3_999), None);
            let turn = turns.take(&valve, true, 4_000).unwrap();
            assert_eq!((&turn.because, turn.proposal), (stands, proposal));
            assert!(turns.is_empty() && turns.take(&valve, false, 4_000).is_none(), "it has one turn");
        }
    }
}
