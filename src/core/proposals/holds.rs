//! What people have put on hold at this owner, and who may release it. Pure.

use std::collections::BTreeMap;

use bevy::prelude::Resource;
use clawmesh_authority::hold::Held;
use clawmesh_authority::{Code, OperatorId, ProposalId, Refused, Role, Roster};
use minicbor::{Decode, Encode};

/// The most things that are on hold at once.
pub const HOLDS_MAX: usize = 64;

/// What is on hold.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Holds(#[n(0)] BTreeMap<Held, Hold>);

/// Who holds it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hold {
    /// Who.
    #[n(0)]
    pub by: OperatorId,
    /// Since when, Unix milliseconds.
    #[n(1)]
    pub since_ms: u64,
    /// Why, in their words.
    #[n(2)]
    pub why: String,
}

impl Holds {
    /// A person puts something on hold. Said again, the newest word stands.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` when too much is on hold.
    pub fn set(&mut self, what: &Held, hold: Hold) -> Result<(), Refused> {
        if !self.0.contains_key(what) && self.0.len() >= HOLDS_MAX {
            let sentence = format!("{HOLDS_MAX} things are on hold; release some of them");
            return Err(Refused::new(Code::LimitExceeded, "hold.bound", sentence));
        }
        self.0.insert(what.clone(), hold);
        Ok(())
    }

    /// A person releases something: whoever holds it, or a supervisor, and nobody who did not know of the hold.
    ///
    /// # Errors
    /// `INVALID_PARAMS` when it is not on hold, `FROZEN` when the word was signed before the hold, the refusal of the role.
    pub fn release(
        &mut self,
        what: &Held,
        person: &OperatorId,
        made_ms: u64,
        roster: &Roster,
    ) -> Result<(), Refused> {
        let Some(hold) = self.0.get(what) else {
            let sentence = format!("{what} is not on hold, so there is nothing to release");
            return Err(Refused::new(Code::InvalidParams, "hold.on", sentence));
        };
        if hold.since_ms >= made_ms {
            let sentence = format!(
                "somebody put {what} on hold when this was signed, or later; see why, then sign again"
            );
            return Err(Refused::new(Code::Frozen, "hold.newest", sentence));
        }
        if !roster.is_same_person(&hold.by, person) {
            roster.may(person, Role::Supervisor).map_err(|refused| {
                let name = name_of(&hold.by, roster);
                let sentence = format!("{name} holds {what}, and releases it or a supervisor does");
                Refused::new(refused.code, "hold.owner", sentence)
            })?;
        }
        self.0.remove(what);
        Ok(())
    }

    /// Everything that is on hold, with a sentence about it.
    pub fn in_words<'a>(&'a self, roster: &'a Roster) -> impl Iterator<Item = (Held, String)> + 'a {
        self.0.iter().map(|(what, hold)| (what.clone(), hold.in_words(what, roster)))
    }

    /// Forgets holds of proposals that have ended: nobody releases those, and they would take the place of others.
    pub fn forget_ended(&mut self, is_open: impl Fn(&ProposalId) -> bool) {
        self.0.retain(|what, _| match what {
            Held::Proposal(id) => is_open(id),
            Held::Programs | Held::Class(_) | Held::Actuator(_) => true,
        });
    }

    /// Takes over what an earlier run has kept, where nothing newer is known.
    pub fn recall(&mut self, kept: Self) {
        for (what, hold) in kept.0 {
            self.0.entry(what).or_insert(hold);
        }
    }
}

impl Hold {
    /// Who holds what, and why.
    #[must_use]
    pub fn in_words(&self, what: &Held, roster: &Roster) -> String {
        format!("{} holds {what}: {}", name_of(&self.by, roster), self.why)
    }
}

fn name_of(person: &OperatorId, roster: &Roster) -> String {
    roster.get(person).map_or_else(|| person.short(), |person| person.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold() -> Hold {
        Hold { by: OperatorId([1; 32]), since_ms: 1, why: "mud".to_owned() }
    }

    fn proposal(number: usize) -> Held {
        Held::Proposal(ProposalId([u8::try_from(number).unwrap(); 32]))
    }

    #[test]
    fn what_has_ended_takes_no_place_and_the_rest_is_bounded() {
        let mut holds = Holds::default();
        holds.set(&Held::Programs, hold()).unwrap();
        for number in 1..HOLDS_MAX {
            holds.set(&proposal(number), hold()).unwrap();
        }
        let refused = holds.set(&proposal(200), hold()).unwrap_err();
        assert_eq!((refused.code, refused.rule), (Code::LimitExceeded, "hold.bound"));
        holds.set(&proposal(1), hold()).unwrap();
        holds.forget_ended(|id| id.0[0] == 1);
        let left: Vec<Held> = holds.in_words(&Roster::default()).map(|(what, _)| what).collect();
        assert_eq!(left, [Held::Programs, proposal(1)]);
        holds.set(&proposal(200), hold()).unwrap();
    }
}
