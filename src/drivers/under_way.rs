//! What hardware was asked for and has not answered yet, one thing for each actuator. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId};
use clawmesh_core::intake::SafeBecause;

/// Something that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// What the gate allowed.
    Command(AuthorizedCommand),
    /// The safe state.
    Safe(Safing),
}

/// Why the safe state was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safing {
    /// Why.
    pub because: SafeBecause,
    /// The proposal it worked for.
    pub proposal: Option<ProposalId>,
    /// True when the tick was told before that it could not be made safe, and was not told otherwise since.
    pub is_again: bool,
    /// True when it may run for us, so that nothing shuts against it before it has answered; what is only told again holds
    /// nobody up.
    pub holds_up: bool,
}

/// Everything that was asked for.
#[derive(Debug, Default)]
pub struct UnderWay(BTreeMap<Capability, Asked>);

impl UnderWay {
    /// Notes a command.
    pub fn command(&mut self, command: &AuthorizedCommand) {
        self.0.insert(command.actuator().clone(), Asked::Command(command.clone()));
    }

    /// Notes a safe state. Where one was asked for already, both have one answer: the first reason stands, unless somebody
    /// stopped, and the proposal is kept.
    pub fn safe(&mut self, actuator: &Capability, new: Safing) {
        let safing = match self.0.remove(actuator) {
            Some(Asked::Safe(before)) => {
                let is_stop = matches!(new.because, SafeBecause::Stopped { .. });
                let because = if is_stop || before.is_again { new.because } else { before.because };
                Safing {
                    because,
                    proposal: before.proposal.or(new.proposal),
                    is_again: before.is_again && new.is_again,
                    holds_up: before.holds_up || new.holds_up,
                }
            }
            _ => new,
        };
        self.0.insert(actuator.clone(), Asked::Safe(safing));
    }

    /// True while nothing may shut against an actuator, whose safe state is asked for.
    pub fn holds_up(&self, actuator: &Capability) -> bool {
        matches!(self.0.get(actuator), Some(Asked::Safe(safing)) if safing.holds_up)
    }

    /// True while the safe state of something that worked for a proposal is asked for.
    pub fn is_ending(&self, proposal: ProposalId) -> bool {
        self.0.values().any(|asked| matches!(asked, Asked::Safe(safing) if safing.proposal == Some(proposal)))
    }

    /// True while anything is asked for.
    pub fn is_asked(&self, actuator: &Capability) -> bool {
        self.0.contains_key(actuator)
    }

    /// Takes a command out, if one was asked for: it is given up.
    pub fn give_up(&mut self, actuator: &Capability) -> Option<AuthorizedCommand> {
        match self.0.remove(actuator)? {
            Asked::Command(command) => Some(command),
            safe @ Asked::Safe(_) => {
                self.0.insert(actuator.clone(), safe);
                None
            }
        }
    }

    /// Takes out what was answered.
    pub fn answered(&mut self, actuator: &Capability) -> Option<Asked> {
        self.0.remove(actuator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_reasons_to_be_safe_the_first_stands_unless_somebody_stopped_and_the_proposal_is_kept() {
        let pump = Capability::new("actuator:pump:main").unwrap();
        let (over, stop) = (SafeBecause::TimeIsOver, SafeBecause::Stopped { stops: 3 });
        let ordered = SafeBecause::Ordered("it failed".to_owned());
        let proposal = Some(ProposalId([7; 32]));
        for (reasons, stands) in [
            (vec![over.clone(), ordered.clone()], &over),
            (vec![over.clone(), stop.clone(), ordered.clone()], &stop),
            (vec![stop.clone(), SafeBecause::Stopped { stops: 4 }], &SafeBecause::Stopped { stops: 4 }),
        ] {
            let mut under_way = UnderWay::default();
            for (nth, because) in reasons.into_iter().enumerate() {
                let proposal = proposal.filter(|_| nth == 0);
                under_way.safe(&pump, Safing { because, proposal, is_again: false, holds_up: false });
            }
            let expected = Safing { because: stands.clone(), proposal, is_again: false, holds_up: false };
            assert_eq!(under_way.give_up(&pump), None);
            assert_eq!(under_way.answered(&pump), Some(Asked::Safe(expected)));
            assert_eq!(under_way.answered(&pump), None, "it answers once");
        }
    }

    #[test]
    fn what_is_tried_again_is_told_as_soon_as_somebody_orders_it_anew() {
        let pump = Capability::new("actuator:pump:main").unwrap();
        let mut under_way = UnderWay::default();
        let again = Safing { because: SafeBecause::Started, proposal: None, is_again: true, holds_up: false };
        let stop = Safing {
            because: SafeBecause::Ordered("look".to_owned()),
            proposal: None,
            is_again: false,
            holds_up: false,
        };
        under_way.safe(&pump, again);
        under_way.safe(&pump, stop.clone());
        assert_eq!(under_way.answered(&pump), Some(Asked::Safe(stop)));
    }
}
