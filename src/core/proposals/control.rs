//! Who has exclusive control of which actuator of this owner, until when, and who has asked for it. Pure.
//!
//! All times are counted time, [`WallClock::counted_ms`](crate::clock::WallClock::counted_ms): no clock that is set gives a minute
//! more, and the time for which a node was off counts.

use std::collections::BTreeMap;

use bevy::prelude::Resource;
use clawmesh_authority::gate::Controlled;
use clawmesh_authority::{Capability, Code, OperatorId, Refused, Role, Roster, canonical};
use minicbor::{Decode, Encode};

use super::kept;
use crate::replay::Keeping;

/// How long whoever has control may go without an answer to somebody who asks for it, milliseconds.
pub const HANDED_OVER_AFTER_MS: u64 = 300_000;

/// Who has control.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Control(#[n(0)] BTreeMap<Capability, Lease>);

/// Control of one actuator.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Lease {
    /// Who has it.
    #[n(0)]
    pub by: OperatorId,
    /// Until when.
    #[n(1)]
    pub until_ms: u64,
    /// Why, in their words.
    #[n(2)]
    pub why: String,
    /// Who else wants it.
    #[n(3)]
    pub wanted_by: Option<Wanted>,
}

/// Somebody who wants it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Wanted {
    /// Who.
    #[n(0)]
    pub by: OperatorId,
    /// When it is theirs, unless whoever has it says no until then.
    #[n(1)]
    pub from_ms: u64,
    /// For how long, from then on, milliseconds.
    #[n(2)]
    pub for_ms: u64,
    /// Why.
    #[n(3)]
    pub why: String,
}

/// What somebody wants to take.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Who.
    pub by: OperatorId,
    /// What.
    pub actuator: &'a Capability,
    /// For how long, milliseconds.
    pub for_ms: u64,
    /// Why.
    pub why: &'a str,
    /// True when a supervisor does not wait for whoever has it.
    pub is_forced: bool,
}

impl Control {
    /// A person takes control, or asks whoever has it for it. Whoever has it renews it so, and says no to others.
    ///
    /// # Errors
    /// `AUTHORITY_HELD` when somebody else has asked already, the refusal of the role when it is forced.
    pub fn take(&mut self, wish: Wish<'_>, now_ms: u64, roster: &Roster) -> Result<String, Refused> {
        let Wish { by, actuator, for_ms, why, is_forced } = wish;
        let minutes = for_ms.div_ceil(60_000);
        let lease = Lease { by, until_ms: now_ms + for_ms, why: why.to_owned(), wanted_by: None };
        let Some(held) = self.0.get_mut(actuator).filter(|held| held.by != by) else {
            self.0.insert(actuator.clone(), lease);
            return Ok(format!("you have control of {actuator} for {minutes} min; nobody else commands it"));
        };
        let holder = name_of(&held.by, roster);
        if is_forced {
            roster.may(&by, Role::Supervisor).map_err(|refused| {
                let sentence = format!(
                    "{holder} has control of {actuator}, and only a supervisor takes it by force; ask for it without"
                );
                Refused::new(refused.code, "control.force", sentence)
            })?;
            *held = lease;
            return Ok(format!("you have taken {actuator} from {holder}, for {minutes} min"));
        }
        if let Some(other) = held.wanted_by.as_ref().filter(|asked| asked.by != by) {
            let sentence = format!(
                "{holder} has control of {actuator}, and {} has asked for it before you; wait, or ask a supervisor",
                name_of(&other.by, roster)
            );
            return Err(Refused::new(Code::AuthorityHeld, "control.asked", sentence));
        }
        let from_ms = held.wanted_by.as_ref().map_or(now_ms + HANDED_OVER_AFTER_MS, |asked| asked.from_ms);
        held.wanted_by = Some(Wanted { by, from_ms, for_ms, why: why.to_owned() });
        let seconds = from_ms.min(held.until_ms).saturating_sub(now_ms).div_ceil(1_000);
        Ok(format!("{holder} has control of {actuator}; it is yours in {seconds} s unless they say no"))
    }

    /// Whoever has control hands it to somebody else, for the time that is left.
    ///
    /// # Errors
    /// `NOT_AUTHORIZED` when somebody else has it, or the other one may not command anything.
    pub fn grant(
        &mut self,
        actuator: &Capability,
        by: &OperatorId,
        to: &OperatorId,
        roster: &Roster,
    ) -> Result<String, Refused> {
        let held = self.of(actuator, by, roster)?;
        let name = roster.may(to, Role::Operator)?.name.clone();
        held.by = *to;
        held.wanted_by = None;
        Ok(format!("{name} has control of {actuator} now"))
    }

    /// Whoever has control gives it up; a supervisor may for them. Whoever has asked for it has it then.
    ///
    /// # Errors
    /// `INVALID_PARAMS` when nobody has it, `NOT_AUTHORIZED` when somebody else has.
    pub fn release(
        &mut self,
        actuator: &Capability,
        by: &OperatorId,
        now_ms: u64,
        roster: &Roster,
    ) -> Result<String, Refused> {
        let held = self.of(actuator, by, roster)?;
        if let Some(asked) = held.wanted_by.take() {
            let name = name_of(&asked.by, roster);
            *held = asked.lease(now_ms);
            return Ok(format!("{name} has asked for {actuator} and has control of it now"));
        }
        self.0.remove(actuator);
        Ok(format!("nobody has control of {actuator} any more"))
    }

    /// What time does by itself: control that is over ends, and goes to whoever has asked for it long enough ago. True if
    /// something has changed.
    pub fn settle(&mut self, now_ms: u64) -> bool {
        let before = self.0.len();
        let mut is_changed = false;
        self.0.retain(|_, held| {
            if let Some(asked) = held.wanted_by.take_if(|asked| asked.from_ms.min(held.until_ms) <= now_ms) {
                *held = asked.lease(now_ms);
                is_changed = true;
            }
            held.until_ms > now_ms
        });
        is_changed || self.0.len() != before
    }

    /// True when there is something that time can change.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// A stop ends all control.
    pub fn end(&mut self) {
        self.0.clear();
    }

    /// Keeps it for the next start.
    pub fn keep(&self, keeping: &mut Keeping) {
        keeping.keep(kept::CONTROL, canonical::encode(self));
    }

    /// Takes over what an earlier run has kept, where nothing newer is known.
    pub fn recall(&mut self, kept: Self) {
        for (actuator, lease) in kept.0 {
            self.0.entry(actuator).or_insert(lease);
        }
    }

    /// Who has control of each actuator, for the gate.
    #[must_use]
    pub fn in_force(&self, roster: &Roster) -> BTreeMap<Capability, Controlled> {
        let controlled = |lease: &Lease| Controlled { by: lease.by, name: name_of(&lease.by, roster) };
        self.0.iter().map(|(actuator, lease)| (actuator.clone(), controlled(lease))).collect()
    }

    /// Control of one actuator.
    #[must_use]
    pub fn get(&self, actuator: &Capability) -> Option<&Lease> {
        self.0.get(actuator)
    }

    /// What this person, or a supervisor, may decide about.
    fn of(&mut self, actuator: &Capability, by: &OperatorId, roster: &Roster) -> Result<&mut Lease, Refused> {
        let held = self.0.get_mut(actuator).ok_or_else(|| {
            let sentence = format!("nobody has control of {actuator}, so there is nothing to give");
            Refused::new(Code::InvalidParams, "control.held", sentence)
        })?;
        if held.by != *by {
            roster.may(by, Role::Supervisor).map_err(|refused| {
                let name = name_of(&held.by, roster);
                let sentence =
                    format!("{name} has control of {actuator}, and gives it up or a supervisor does");
                Refused::new(refused.code, "control.owner", sentence)
            })?;
        }
        Ok(held)
    }
}

impl Wanted {
    fn lease(self, now_ms: u64) -> Lease {
        Lease { by: self.by, until_ms: now_ms + self.for_ms, why: self.why, wanted_by: None }
    }
}

fn name_of(person: &OperatorId, roster: &Roster) -> String {
    roster.get(person).map_or_else(|| person.short(), |person| person.name.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clawmesh_authority::{Operator, OperatorKey};
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn person(secret: u8, role: Role) -> Operator {
        let key = OperatorKey::from_secret(&[secret; 32]);
        Operator::of_key(*key.public().raw(), format!("person {secret}"), role)
    }

    fn id(secret: u8) -> OperatorId {
        person(secret, Role::Observer).id
    }

    /// 1 and 2 are operators, 3 a supervisor, 4 an observer.
    fn people() -> Roster {
        let mut roster = Roster::default();
        for (secret, role) in
            [(1, Role::Operator), (2, Role::Operator), (3, Role::Supervisor), (4, Role::Observer)]
        {
            roster.enroll(person(secret, role), &BTreeSet::new()).unwrap();
        }
        roster
    }

    fn pump() -> Capability {
        Capability::new("actuator:pump:main").unwrap()
    }

    fn take(control: &mut Control, by: u8, now_ms: u64) -> Result<String, (Code, &'static str)> {
        take_for(control, by, now_ms, HOUR_MS, false)
    }

    fn take_for(
        control: &mut Control,
        by: u8,
        now_ms: u64,
        for_ms: u64,
        is_forced: bool,
    ) -> Result<String, (Code, &'static str)> {
        let actuator = pump();
        let wish = Wish { by: id(by), actuator: &actuator, for_ms, why: "mud", is_forced };
        control.take(wish, now_ms, &people()).map_err(|refused| (refused.code, refused.rule))
    }

    fn holder(control: &Control) -> Option<OperatorId> {
        control.get(&pump()).map(|lease| lease.by)
    }

    #[test]
    fn control_ends_by_itself_and_whoever_has_it_renews_it() {
        let mut control = Control::default();
        take(&mut control, 1, 0).unwrap();
        assert!(!control.settle(HOUR_MS - 1));
        take(&mut control, 1, HOUR_MS - 1).unwrap();
        assert!(!control.settle(2 * HOUR_MS - 2));
        assert!(control.settle(2 * HOUR_MS - 1));
        assert_eq!(holder(&control), None);
    }

    #[test]
    fn whoever_asks_has_it_after_five_minutes_unless_the_holder_says_no() {
        let mut control = Control::default();
        take(&mut control, 1, 0).unwrap();
        let words = take(&mut control, 2, 1_000).unwrap();
        assert!(words.contains("yours in 300 s"), "{words}");
        let again = take(&mut control, 2, 2_000).unwrap();
        assert!(again.contains("yours in 299 s"), "asking twice does not begin anew: {again}");
        assert_eq!(take(&mut control, 3, 2_000), Err((Code::AuthorityHeld, "control.asked")));
        assert!(!control.settle(300_999));
        take(&mut control, 1, 300_999).unwrap();
        assert!(!control.settle(400_000), "the holder said no");
        take(&mut control, 2, 400_000).unwrap();
        assert!(control.settle(700_000));
        assert_eq!(holder(&control), Some(id(2)));
        assert!(!control.settle(700_000 + HOUR_MS - 1), "for as long as they asked");
        assert!(control.settle(700_000 + HOUR_MS));
    }

    #[test]
    fn whoever_has_asked_has_it_as_soon_as_it_is_over_or_given_up() {
        let mut control = Control::default();
        take_for(&mut control, 1, 0, 60_000, false).unwrap();
        take(&mut control, 2, 1_000).unwrap();
        assert!(control.settle(60_000));
        assert_eq!(holder(&control), Some(id(2)));
        take(&mut control, 1, 61_000).unwrap();
        control.release(&pump(), &id(2), 62_000, &people()).unwrap();
        assert_eq!(holder(&control), Some(id(1)));
    }

    #[test]
    fn only_a_supervisor_takes_it_by_force() {
        let mut control = Control::default();
        take(&mut control, 1, 0).unwrap();
        let forced = take_for(&mut control, 2, 1, HOUR_MS, true);
        assert_eq!(forced, Err((Code::NotAuthorized, "control.force")));
        assert_eq!(holder(&control), Some(id(1)));
        take_for(&mut control, 3, 1, HOUR_MS, true).unwrap();
        assert_eq!(holder(&control), Some(id(3)));
    }

    #[test]
    fn only_the_holder_or_a_supervisor_gives_it_to_somebody_who_may_command() {
        let mut control = Control::default();
        let give = |control: &mut Control, by: u8, to: u8| {
            let given = control.grant(&pump(), &id(by), &id(to), &people());
            given.map(drop).map_err(|refused| (refused.code, refused.rule))
        };
        assert_eq!(give(&mut control, 1, 2), Err((Code::InvalidParams, "control.held")));
        take(&mut control, 1, 0).unwrap();
        assert_eq!(give(&mut control, 2, 2), Err((Code::NotAuthorized, "control.owner")));
        assert_eq!(give(&mut control, 1, 4), Err((Code::NotAuthorized, "operator.role")));
        assert_eq!(give(&mut control, 1, 2), Ok(()));
        assert_eq!(holder(&control), Some(id(2)));
        assert!(control.settle(HOUR_MS), "for the time that was left");
        take(&mut control, 1, 0).unwrap();
        assert_eq!(give(&mut control, 3, 2), Ok(()));
    }

    proptest! {
        #[test]
        fn nobody_loses_control_to_an_operator_without_a_word_for_five_minutes(
            asks in prop::collection::vec((1_u8..3, 0_u64..60_000), 0..20),
        ) {
            let mut control = Control::default();
            take_for(&mut control, 1, 0, HOUR_MS, false).unwrap();
            let mut now_ms = 0;
            for (by, after_ms) in asks {
                now_ms += after_ms;
                if now_ms >= HANDED_OVER_AFTER_MS {
                    break;
                }
                let _ = take(&mut control, by, now_ms);
                control.settle(now_ms);
                prop_assert_eq!(holder(&control), Some(id(1)));
            }
        }
    }
}
