//! What people have taken out of service: anybody who is known may, and only a person puts it back. Pure.

use std::collections::BTreeMap;

use bevy::prelude::Resource;
use clawmesh_authority::{Capability, Hlc, OperatorId, Value};
use minicbor::{Decode, Encode};

/// The tags of the actuators of this owner.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Tags(#[n(0)] BTreeMap<Capability, Tag>);

/// The newest word about one actuator.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
struct Tag {
    /// True while it is out of service.
    #[n(0)]
    is_on: bool,
    /// Since when, Unix milliseconds.
    #[n(1)]
    since_ms: u64,
    /// Who has signed for it, if it was signed for.
    #[n(2)]
    by: Option<OperatorId>,
    /// The newest note that was heeded.
    #[n(3)]
    noted: Hlc,
    /// When somebody said so last, Unix milliseconds.
    #[n(4)]
    newest_ms: u64,
}

/// What a note has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It is older than what is known.
    Nothing,
    /// The actuator is out of service by it.
    Set,
    /// It says that the actuator is in service, and a note cannot.
    Refused,
}

impl Tags {
    /// Heeds a note about an actuator. Whatever it says, other than that it is in service, takes it out of service.
    pub fn note(&mut self, actuator: &Capability, value: &Value, at: Hlc) -> Noted {
        let known = self.0.get(actuator);
        if known.is_some_and(|tag| at <= tag.noted) {
            return Noted::Nothing;
        }
        let is_on = known.is_some_and(|tag| tag.is_on);
        let tag = self.0.entry(actuator.clone()).or_default();
        tag.noted = at;
        match value {
            Value::Flag(false) if is_on => Noted::Refused,
            Value::Flag(false) => Noted::Nothing,
            _ => {
                if !is_on {
                    (tag.is_on, tag.since_ms, tag.by) = (true, at.wall_ms, None);
                }
                tag.newest_ms = tag.newest_ms.max(at.wall_ms);
                Noted::Set
            }
        }
    }

    /// A person takes an actuator out of service.
    pub fn set(&mut self, actuator: &Capability, by: Option<OperatorId>, now_ms: u64) {
        let tag = self.0.entry(actuator.clone()).or_default();
        (tag.is_on, tag.since_ms, tag.by, tag.newest_ms) = (true, now_ms, by, now_ms);
    }

    /// A person puts it back into service. Notes up to now count for nothing any more.
    pub fn take_off(&mut self, actuator: &Capability, now_ms: u64) {
        let tag = self.0.entry(actuator.clone()).or_default();
        (tag.is_on, tag.since_ms, tag.by) = (false, now_ms, None);
    }

    /// True when it was taken out of service at this time or later: whoever signed then did not know of it.
    #[must_use]
    pub fn is_newer(&self, actuator: &Capability, than_ms: u64) -> bool {
        self.0.get(actuator).is_some_and(|tag| tag.is_on && tag.newest_ms >= than_ms)
    }

    /// Whose tag it is, if a person has signed for it.
    #[must_use]
    pub fn owner_of(&self, actuator: &Capability) -> Option<OperatorId> {
        self.0.get(actuator).filter(|tag| tag.is_on)?.by
    }

    /// True while it is out of service. What was tagged since a backup was made is not in it, so after a restore a person has to
    /// say that it is in service.
    #[must_use]
    pub fn is_on(&self, actuator: &Capability, restored_ms: Option<u64>) -> bool {
        let tag = self.0.get(actuator);
        match restored_ms {
            None => tag.is_some_and(|tag| tag.is_on),
            Some(at_ms) => !tag.is_some_and(|tag| !tag.is_on && tag.since_ms > at_ms),
        }
    }

    /// Takes over what an earlier run has kept, where nothing newer is known.
    pub fn recall(&mut self, kept: Self) {
        for (actuator, tag) in kept.0 {
            self.0.entry(actuator).or_insert(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valve() -> Capability {
        Capability::new("actuator:valve:one").unwrap()
    }

    fn at(wall_ms: u64) -> Hlc {
        Hlc { wall_ms, logical: 0 }
    }

    #[test]
    fn a_note_sets_a_tag_and_takes_none_off() {
        let mut tags = Tags::default();
        let (yes, no) = (Value::Flag(true), Value::Flag(false));
        assert_eq!(tags.note(&valve(), &no, at(1)), Noted::Nothing, "there is none");
        for value in [yes.clone(), Value::Number(0.0), Value::Text("the fuse is out".to_owned())] {
            let mut tags = tags.clone();
            assert_eq!(tags.note(&valve(), &value, at(2)), Noted::Set);
            assert_eq!(tags.note(&valve(), &no, at(3)), Noted::Refused);
            assert!(tags.is_on(&valve(), None));
        }
        assert_eq!(tags.note(&valve(), &yes, at(2)), Noted::Set);
        tags.take_off(&valve(), 5);
        assert!(!tags.is_on(&valve(), None));
        assert_eq!(tags.note(&valve(), &yes, at(2)), Noted::Nothing, "heeded before");
        assert_eq!(tags.note(&valve(), &yes, at(6)), Noted::Set);
        assert_eq!(tags.note(&valve(), &yes, at(8)), Noted::Set);
        assert!(tags.is_newer(&valve(), 8) && !tags.is_newer(&valve(), 9), "said again");
        assert!(
            tags.is_on(&valve(), None) && !tags.is_on(&Capability::new("actuator:valve:two").unwrap(), None)
        );
    }

    #[test]
    fn what_a_person_has_signed_for_is_theirs_until_it_is_off() {
        let (mut tags, ann) = (Tags::default(), OperatorId([1; 32]));
        tags.set(&valve(), Some(ann), 1);
        assert_eq!(tags.owner_of(&valve()), Some(ann));
        assert_eq!(tags.note(&valve(), &Value::Flag(true), at(2)), Noted::Set);
        assert_eq!(tags.owner_of(&valve()), Some(ann), "a note takes it from nobody");
        tags.take_off(&valve(), 3);
        assert_eq!(tags.owner_of(&valve()), None);
    }

    #[test]
    fn after_a_restore_everything_is_out_of_service_until_a_person_says_otherwise() {
        let mut tags = Tags::default();
        assert!(tags.is_on(&valve(), Some(10)));
        tags.take_off(&valve(), 10);
        assert!(tags.is_on(&valve(), Some(10)), "that was before");
        tags.take_off(&valve(), 11);
        assert!(!tags.is_on(&valve(), Some(10)));
    }

    #[test]
    fn what_is_known_is_not_replaced_by_what_was_kept() {
        let (mut tags, mut kept) = (Tags::default(), Tags::default());
        kept.set(&valve(), None, 1);
        tags.recall(kept.clone());
        assert!(tags.is_on(&valve(), None));
        tags.take_off(&valve(), 2);
        tags.recall(kept);
        assert!(!tags.is_on(&valve(), None));
    }
}
