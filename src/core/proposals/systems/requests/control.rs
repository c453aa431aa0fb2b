//! Requests about exclusive control of an actuator.

use clawmesh_authority::reading::bounded;
use clawmesh_authority::{Answer, Capability, OperatorId, Refused};

use super::{Asker, Office, person_of, tell_waiting};
use crate::proposals::components::Proposed;
use crate::proposals::control::{Control, Wish};

impl Office<'_, '_> {
    pub(super) fn take_control(
        &mut self,
        actuator: &Capability,
        asker: &Asker,
        (for_s, is_forced, why): (u32, bool, &str),
    ) -> Result<Answer, Refused> {
        self.is_ours(actuator)?;
        let by = person_of(asker)?;
        let (for_ms, why) = (u64::from(for_s) * 1_000, bounded(why.to_owned()));
        let (now_ms, roster) = (self.counted_ms(), self.mover.here.people());
        let words = self.control.take(Wish { by, actuator, for_ms, why: &why, is_forced }, now_ms, roster)?;
        Ok(self.control_is(actuator, words))
    }

    pub(super) fn grant_control(
        &mut self,
        actuator: &Capability,
        asker: &Asker,
        to: &OperatorId,
    ) -> Result<Answer, Refused> {
        let by = person_of(asker)?;
        let words = self.control.grant(actuator, &by, to, self.mover.here.people())?;
        Ok(self.control_is(actuator, words))
    }

    pub(super) fn release_control(
        &mut self,
        actuator: &Capability,
        asker: &Asker,
    ) -> Result<Answer, Refused> {
        let (by, now_ms) = (person_of(asker)?, self.counted_ms());
        let words = self.control.release(actuator, &by, now_ms, self.mover.here.people())?;
        Ok(self.control_is(actuator, words))
    }

    fn counted_ms(&self) -> u64 {
        self.mover.here.ledger_ms(&self.spending)
    }

    /// It counts from this tick on, is kept, and stands in the story of whatever waits and moves it.
    fn control_is(&mut self, actuator: &Capability, words: String) -> Answer {
        let control: &Control = &self.control;
        control.keep(&mut self.keeping);
        self.now.live.controlled = control.in_force(self.mover.here.people());
        let moves =
            |proposed: &Proposed| proposed.proposal.steps.iter().any(|step| step.actuator == *actuator);
        let told = match self.control.get(actuator) {
            Some(lease) => format!("{} has control of {actuator}: {}", self.name_of(&lease.by), lease.why),
            None => format!("nobody has control of {actuator} any more"),
        };
        tell_waiting(&mut self.cases, self.mover.here.wall_ms(), &told, moves);
        Answer::Taken { proposal: None, words }
    }
}
