//! Requests about what is out of service and what is on hold.

use std::collections::BTreeSet;

use clawmesh_authority::hold::Held;
use clawmesh_authority::reading::bounded;
use clawmesh_authority::{Answer, Capability, Code, ProposalId, Refused, Role, canonical};

use super::{Asker, Office, person_of, tell_waiting};
use crate::proposals::components::Proposed;
use crate::proposals::holds::Hold;
use crate::proposals::kept;
use crate::proposals::systems::tags::set_now;

impl Office<'_, '_> {
    pub(super) fn tag(&mut self, actuator: &Capability, asker: &Asker) -> Result<Answer, Refused> {
        self.is_ours(actuator)?;
        let by = match asker {
            Asker::Person(person) => Some(*person),
            Asker::Node(_) => None,
        };
        self.tags.set(actuator, by, self.mover.here.wall_ms());
        set_now(&mut self.now, actuator);
        self.keeping.keep(kept::TAGS, canonical::encode(&*self.tags));
        Ok(Answer::Taken { proposal: None, words: format!("{actuator} is out of service") })
    }

    /// Whoever has signed for a tag takes it off, or a supervisor does.
    pub(super) fn untag(
        &mut self,
        actuator: &Capability,
        asker: &Asker,
        made_ms: u64,
    ) -> Result<Answer, Refused> {
        self.is_ours(actuator)?;
        let restored_ms = self.asked.0.restored_ms();
        if !self.tags.is_on(actuator, restored_ms) {
            let sentence = format!("{actuator} is in service, so there is nothing to take off");
            return Err(Refused::new(Code::InvalidParams, "tag.on", sentence));
        }
        if self.tags.is_newer(actuator, made_ms) {
            let sentence = format!(
                "somebody took {actuator} out of service when this was signed, or later; see why, then sign again"
            );
            return Err(Refused::new(Code::OutOfService, "tag.newest", sentence));
        }
        let roster = self.mover.here.people();
        if let (Some(owner), Asker::Person(person)) = (self.tags.owner_of(actuator), asker)
            && !roster.is_same_person(&owner, person)
        {
            roster.may(person, Role::Supervisor).map_err(|refused| {
                let name = roster.get(&owner).map_or_else(|| owner.short(), |owner| owner.name.clone());
                let sentence = format!("{name} has tagged {actuator}, and takes it off or a supervisor does");
                Refused::new(refused.code, "tag.owner", sentence)
            })?;
        }
        self.tags.take_off(actuator, self.mover.here.wall_ms());
        self.keeping.keep(kept::TAGS, canonical::encode(&*self.tags));
        Ok(Answer::Taken { proposal: None, words: format!("{actuator} is in service again") })
    }

    pub(super) fn hold(&mut self, what: &Held, asker: &Asker, why: &str) -> Result<Answer, Refused> {
        let person = person_of(asker)?;
        self.is_here(what)?;
        let since_ms = self.mover.here.wall_ms();
        let hold = Hold { by: person, since_ms, why: bounded(why.to_owned()) };
        let words = hold.in_words(what, self.mover.here.people());
        let open = self.cases.iter().filter(|(_, life)| !life.state.is_final());
        let open: BTreeSet<ProposalId> = open.map(|(proposed, _)| proposed.id).collect();
        self.holds.forget_ended(|id| open.contains(id));
        self.holds.set(what, hold)?;
        self.holds_are(what, &words);
        Ok(Answer::Taken { proposal: None, words: format!("{what} is on hold") })
    }

    pub(super) fn release(
        &mut self,
        what: &Held,
        asker: &Asker,
        (made_ms, why): (u64, &str),
    ) -> Result<Answer, Refused> {
        let person = person_of(asker)?;
        let roster = self.mover.here.people();
        self.holds.release(what, &person, made_ms, roster)?;
        let words = format!("{} releases {what}: {why}", self.name_of(&person));
        self.holds_are(what, &words);
        Ok(Answer::Taken { proposal: None, words: format!("{what} is not on hold any more") })
    }

    /// What is on hold has changed: it counts from this tick on, is kept, and stands in the story of whatever waits and it is about.
    fn holds_are(&mut self, what: &Held, words: &str) {
        self.now.live.on_hold = self.holds.in_words(self.mover.here.people()).collect();
        self.keeping.keep(kept::HOLDS, canonical::encode(&*self.holds));
        let Some((_, policy)) = self.mover.here.files() else { return };
        let covers = |proposed: &Proposed| what.covers(&proposed.proposal, proposed.id, policy);
        tell_waiting(&mut self.cases, self.mover.here.wall_ms(), words, covers);
    }

    /// What is to be held is known here.
    fn is_here(&self, what: &Held) -> Result<(), Refused> {
        match what {
            Held::Programs | Held::Class(_) => Ok(()),
            Held::Actuator(actuator) => self.is_ours(actuator),
            Held::Proposal(id) => {
                let entity = self.index.0.get(id).copied();
                let life = entity.and_then(|entity| self.cases.get(entity).ok()).map(|(_, life)| life);
                if life.is_some_and(|life| !life.state.is_final()) {
                    return Ok(());
                }
                let sentence = format!("{} is no open proposal of this node; list them", id.short());
                Err(Refused::new(Code::InvalidParams, "proposal.known", sentence))
            }
        }
    }
}
