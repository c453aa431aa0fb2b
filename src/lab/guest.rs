//! How an existing node of the lab answers for an actuator that one of our nodes is guardian of.

use clawmesh_authority::Capability;
use clawmesh_drivers::DriverFault;

/// How long it takes to answer, milliseconds.
const ANSWERS_AFTER_MS: u64 = 100;
/// How long it is waited for, milliseconds: as in a node.
const ANSWER_WITHIN_MS: u64 = 3_000;

/// What a guest does with what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manners {
    /// It does it, and says so.
    #[default]
    Obeys,
    /// It says that it did, and does nothing.
    Lies,
    /// It does nothing and says nothing.
    Silent,
    /// It does it and says nothing.
    DoesSilently,
    /// It says no.
    Refuses,
}

/// The line from a guardian to one actuator of a guest.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub manners: Manners,
    pub is_cut: bool,
    /// What is on its way back: when it is there, whether it is about the safe state, and what it says.
    answer: Option<(u64, bool, Result<(), DriverFault>)>,
}

impl Line {
    /// Asks the guest; true when it does what it is asked.
    pub fn ask(&mut self, actuator: &Capability, is_safing: bool, now_ms: u64) -> Result<bool, DriverFault> {
        let fault = |why: &str| DriverFault::Elsewhere { actuator: actuator.clone(), why: why.to_owned() };
        let in_doubt = |why: &str| DriverFault::InDoubt { actuator: actuator.clone(), why: why.to_owned() };
        let waits_for_safing = self.answer.as_ref().map(|(_, is_safing, _)| *is_safing);
        match (is_safing, waits_for_safing) {
            (true, Some(true)) => return Ok(false),
            (false, Some(_)) => return Err(fault("the guest has not answered yet")),
            (true, _) => self.answer = None,
            (false, None) => {}
        }
        if self.is_cut {
            return Err(fault("there is no connection to the guest"));
        }
        let (within_ms, outcome) = match self.manners {
            Manners::Obeys | Manners::Lies => (ANSWERS_AFTER_MS, Ok(())),
            Manners::Refuses => (ANSWERS_AFTER_MS, Err(fault("the guest refuses"))),
            Manners::Silent | Manners::DoesSilently => {
                (ANSWER_WITHIN_MS, Err(in_doubt("the guest did not answer; whether it did it is not known")))
            }
        };
        self.answer = Some((now_ms + within_ms, is_safing, outcome));
        Ok(matches!(self.manners, Manners::Obeys | Manners::DoesSilently))
    }

    /// What the guest has answered by now.
    pub fn answered(&mut self, now_ms: u64) -> Option<Result<(), DriverFault>> {
        self.answer.take_if(|(at_ms, ..)| *at_ms <= now_ms).map(|(_, _, outcome)| outcome)
    }
}
