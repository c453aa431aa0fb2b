//! Keys that count for nothing whatever the list at the console says, because a person has revoked them over the mesh. Pure.

use std::collections::BTreeMap;

use bevy::prelude::Resource;
use clawmesh_authority::revocation::Revocation;
use clawmesh_authority::{Code, OperatorId, Refused, Roster, canonical};
use minicbor::{Decode, Encode};

/// The subject under which they are kept.
pub const SUBJECT: &str = "revocations";
/// The most keys that were revoked over the mesh; a key is never dropped, or it would come back.
pub const REVOCATIONS_MAX: usize = 512;
/// How many of them may be of people whom nobody has enrolled here, so that there is always room for those who are.
pub const STRANGERS_MAX: usize = 256;

/// Every key that was revoked over the mesh, and by whom.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Revocations(#[n(0)] BTreeMap<OperatorId, Revoked>);

/// Who has revoked a key, when this node heard of it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Revoked {
    /// Who.
    #[n(0)]
    pub by: OperatorId,
    /// Unix milliseconds.
    #[n(1)]
    pub since_ms: u64,
    /// Why, in their words.
    #[n(2)]
    pub why: String,
}

impl Revocations {
    /// True when this key was revoked over the mesh.
    #[must_use]
    pub fn has(&self, key: &OperatorId) -> bool {
        self.0.contains_key(key)
    }

    /// Judges whether one more key can be remembered.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED`.
    pub fn has_room(&self, key: &OperatorId, roster: &Roster) -> Result<(), Refused> {
        let max = if roster.get(key).is_some() { REVOCATIONS_MAX } else { STRANGERS_MAX };
        if self.has(key) || self.0.len() < max {
            return Ok(());
        }
        let sentence = format!(
            "{} keys were revoked over the mesh; take this one out of the list at the console",
            self.0.len()
        );
        Err(Refused::new(Code::LimitExceeded, "revocation.bound", sentence))
    }

    /// Remembers a revocation; true when it is news. The first word about a key stands.
    pub fn add(&mut self, revocation: Revocation, now_ms: u64) -> bool {
        let is_new = !self.has(&revocation.key);
        let Revocation { key, by, why } = revocation;
        self.0.entry(key).or_insert(Revoked { by, since_ms: now_ms, why });
        is_new
    }

    /// Takes over what an earlier run has kept, where nothing newer is known.
    pub fn recall(&mut self, kept: Self) {
        for (key, revoked) in kept.0 {
            self.0.entry(key).or_insert(revoked);
        }
    }

    /// Makes these keys count for nothing in `roster`; gives those that counted until then.
    pub fn apply(&self, roster: &mut Roster) -> Vec<OperatorId> {
        let counts = |key: &&OperatorId| roster.get(key).is_some_and(|person| !person.revoked);
        let new: Vec<OperatorId> = self.0.keys().filter(counts).copied().collect();
        for key in &new {
            // Each is enrolled, so it can be revoked.
            let _ = roster.revoke(key);
        }
        new
    }
}

/// Reads what was kept; `None` for what another feature kept.
///
/// # Errors
/// A sentence, when it is damaged.
pub fn read(subject: &str, bytes: &[u8]) -> Option<Result<Revocations, String>> {
    let fault = |fault| format!("what was kept of {subject} cannot be read: {fault}");
    (subject == SUBJECT).then(|| canonical::decode(bytes).map_err(fault))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clawmesh_authority::{Operator, Role};
    use proptest::prelude::*;

    use super::*;

    fn revocation(number: usize) -> Revocation {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        Revocation { key: OperatorId(key), by: OperatorId([9; 32]), why: "lost".to_owned() }
    }

    #[test]
    fn strangers_never_take_the_last_place_of_those_who_are_enrolled() {
        let (mut revocations, mut roster) = (Revocations::default(), Roster::default());
        let ann = Operator::of_key([1; 32], "Ann", Role::Approver);
        roster.enroll(ann.clone(), &BTreeSet::new()).unwrap();
        for number in 0..STRANGERS_MAX {
            revocations.has_room(&revocation(number).key, &roster).unwrap();
            assert!(revocations.add(revocation(number), 1));
        }
        let refused = revocations.has_room(&revocation(999).key, &roster).unwrap_err();
        assert_eq!((refused.code, refused.rule), (Code::LimitExceeded, "revocation.bound"));
        revocations.has_room(&revocation(0).key, &roster).unwrap();
        revocations.has_room(&ann.id, &roster).unwrap();
    }

    #[test]
    fn a_list_that_is_read_anew_brings_no_key_back() {
        let (mut revocations, mut roster) = (Revocations::default(), Roster::default());
        let ann = Operator::of_key([1; 32], "Ann", Role::Approver);
        roster.enroll(ann.clone(), &BTreeSet::new()).unwrap();
        assert!(revocations.add(Revocation { key: ann.id, ..revocation(0) }, 5));
        assert!(!revocations.add(Revocation { key: ann.id, ..revocation(1) }, 6), "the first word stands");
        let fresh = roster.clone();
        assert_eq!(revocations.apply(&mut roster), [ann.id]);
        assert_eq!(revocations.apply(&mut roster), [], "it counts for nothing already");
        let mut again = fresh;
        revocations.apply(&mut again);
        assert!(again.is_revoked(&ann.id));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_again_and_no_bytes_panic(count in 0usize..5, bytes: Vec<u8>) {
            let mut revocations = Revocations::default();
            for number in 0..count {
                revocations.add(revocation(number), 7);
            }
            prop_assert_eq!(read(SUBJECT, &canonical::encode(&revocations)), Some(Ok(revocations)));
            prop_assert!(read("holds", &bytes).is_none() && read(SUBJECT, &bytes).is_some());
        }
    }
}
