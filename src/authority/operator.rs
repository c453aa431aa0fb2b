//! The people an owner knows: their keys, what they may do, and who stands for whom.
//!
//! A person is enrolled by a key. That one human holds two keys which do not stand for each other, no program can see;
//! whoever enrolls has to look at the human. An entry is never dropped, so that a revoked key cannot come back.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::hex32;
use crate::ids::{NodeId, OperatorId};
use crate::keys::{KeyId, PublicKey};
use crate::reading::TEXT_BYTES_MAX;
use crate::refusal::Code;
use crate::refused::Refused;

/// The most people one roster holds, the revoked ones too.
pub const OPERATORS_MAX: usize = 256;

/// What a person may do; each role may do what the one before may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything.
    #[n(0)]
    Observer,
    /// Proposes, and says no.
    #[n(1)]
    Operator,
    /// Says yes.
    #[n(2)]
    Approver,
    /// Enrolls and revokes others.
    #[n(3)]
    Supervisor,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Operator {
    /// Who: always what follows from the key.
    #[n(0)]
    pub id: OperatorId,
    /// Their raw Ed25519 public key.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "hex32")]
    pub key: [u8; 32],
    /// The name people use.
    #[n(2)]
    pub name: String,
    /// What they may do.
    #[n(3)]
    pub role: Role,
    /// The person they stand for. The two count as one person.
    #[n(4)]
    pub delegate_of: Option<OperatorId>,
    /// True from the moment their key counts for nothing.
    #[n(5)]
    #[serde(default)]
    pub revoked: bool,
}

impl Operator {
    /// The person who holds the key with these raw bytes.
    #[must_use]
    pub fn of_key(key: [u8; 32], name: impl Into<String>, role: Role) -> Self {
        let id = OperatorId::of_public_key(&key);
        Self { id, key, name: name.into(), role, delegate_of: None, revoked: false }
    }

    /// The same person, standing for another one.
    #[must_use]
    pub fn standing_for(self, other: OperatorId) -> Self {
        Self { delegate_of: Some(other), ..self }
    }
}

/// Everybody an owner knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Operator>", into = "Vec<Operator>")]
pub struct Roster {
    people: BTreeMap<OperatorId, Operator>,
}

impl Roster {
    /// Takes one more person. `nodes` are the nodes known here: the key of a node is nobody's.
    ///
    /// # Errors
    /// `INVALID_PARAMS` when the entry makes no sense, `NOT_AUTHORIZED` for the key of a node, `OPERATOR_REVOKED` for a
    /// revoked key or delegator, `DUPLICATE` for a second entry of one key, `LIMIT_EXCEEDED` when the roster is full.
    pub fn enroll(&mut self, candidate: Operator, nodes: &BTreeSet<NodeId>) -> Result<(), Refused> {
        if nodes.contains(&NodeId::of_public_key(&candidate.key)) {
            return Err(Refused::new(
                Code::NotAuthorized,
                "operator.not_a_node",
                "this is the key of a node, and no program approves; make a key for the person",
            ));
        }
        if candidate.delegate_of.is_some_and(|delegator| self.is_revoked(&delegator)) {
            return Err(revoked("the person to stand for"));
        }
        self.insert(candidate)
    }

    /// Makes a key count for nothing, with every key that stands for it.
    ///
    /// # Errors
    /// `NOT_AUTHORIZED` when nobody here has this id.
    pub fn revoke(&mut self, id: &OperatorId) -> Result<(), Refused> {
        self.people.get_mut(id).map(|person| person.revoked = true).ok_or_else(|| unknown(id))
    }

    /// The entry of one person.
    #[must_use]
    pub fn get(&self, id: &OperatorId) -> Option<&Operator> {
        self.people.get(id)
    }

    /// Everybody, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Operator> {
        self.people.values()
    }

    /// The entry of a person who may do what `needed` may.
    ///
    /// # Errors
    /// `NOT_AUTHORIZED` for somebody who is not enrolled, then `OPERATOR_REVOKED`, then `NOT_AUTHORIZED` for a role that
    /// is too low.
    pub fn may(&self, id: &OperatorId, needed: Role) -> Result<&Operator, Refused> {
        let person = self.get(id).ok_or_else(|| unknown(id))?;
        if self.is_revoked(id) {
            return Err(revoked(&person.name));
        }
        if person.role < needed {
            let Operator { name, role, .. } = person;
            let sentence =
                format!("{name} is enrolled as {role:?} and this needs {needed:?}; ask somebody who is one");
            return Err(Refused::new(Code::NotAuthorized, "operator.role", sentence));
        }
        Ok(person)
    }

    /// [`Roster::may`] for saying yes.
    ///
    /// # Errors
    /// As [`Roster::may`].
    pub fn may_approve(&self, id: &OperatorId) -> Result<&Operator, Refused> {
        self.may(id, Role::Approver)
    }

    /// True when this person, or whoever they stand for, is on each of these lists.
    #[must_use]
    pub fn is_on_all(&self, id: &OperatorId, lists: &[&[OperatorId]]) -> bool {
        lists.iter().all(|list| list.iter().any(|named| self.is_same_person(named, id)))
    }

    /// True for a revoked key, and for one that stands for a revoked key.
    #[must_use]
    pub fn is_revoked(&self, id: &OperatorId) -> bool {
        [*id, self.principal(id)].iter().any(|id| self.get(id).is_some_and(|person| person.revoked))
    }

    /// True when the two ids are one person for the rules: the same, or one stands for the other, or both for a third.
    #[must_use]
    pub fn is_same_person(&self, a: &OperatorId, b: &OperatorId) -> bool {
        self.principal(a) == self.principal(b)
    }

    /// The person who is meant in the end. One step is enough: a delegate has no delegates.
    fn principal(&self, id: &OperatorId) -> OperatorId {
        self.get(id).and_then(|person| person.delegate_of).unwrap_or(*id)
    }

    fn insert(&mut self, candidate: Operator) -> Result<(), Refused> {
        if let Some(fault) = candidate.fault() {
            return Err(invalid(fault));
        }
        if let Some(known) = self.get(&candidate.id) {
            return Err(match known.revoked {
                true => revoked(&known.name),
                false => Refused::new(
                    Code::Duplicate,
                    "operator.one_entry_a_key",
                    format!("{} is enrolled with this key; one key is one person", known.name),
                ),
            });
        }
        if let Some(delegator) = candidate.delegate_of {
            self.check_delegator(&candidate, &delegator)?;
        }
        if self.people.len() >= OPERATORS_MAX {
            let sentence = format!("{OPERATORS_MAX} people are enrolled; begin a new site with fewer");
            return Err(Refused::new(Code::LimitExceeded, "operator.bound", sentence));
        }
        self.people.insert(candidate.id, candidate);
        Ok(())
    }

    fn check_delegator(&self, candidate: &Operator, delegator: &OperatorId) -> Result<(), Refused> {
        let delegator = self.get(delegator).ok_or_else(|| unknown(delegator))?;
        if delegator.delegate_of.is_some() {
            return Err(invalid(format!(
                "{} is a delegate, and a delegate has no delegates; name the person both stand for",
                delegator.name
            )));
        }
        if delegator.role < candidate.role {
            return Err(invalid(format!(
                "{} would stand for {} with a higher role; enroll them with {:?} at most",
                candidate.name, delegator.name, delegator.role
            )));
        }
        Ok(())
    }
}

impl Operator {
    fn fault(&self) -> Option<String> {
        if PublicKey::from_raw(&self.key).is_none() {
            return Some("the key is no Ed25519 public key; give the 32 bytes the person showed".to_owned());
        }
        if self.id != OperatorId::of_public_key(&self.key) {
            return Some(format!("the id {} is not the one of this key; leave it to be derived", self.id));
        }
        if self.name.trim().is_empty() || self.name.len() > TEXT_BYTES_MAX {
            return Some(format!("the name of a person has 1 to {TEXT_BYTES_MAX} bytes"));
        }
        None
    }
}

fn invalid(sentence: String) -> Refused {
    Refused::new(Code::InvalidParams, "operator.form", sentence)
}

fn unknown(id: &OperatorId) -> Refused {
    let sentence = format!("{id} is not enrolled here; a supervisor can enroll the key of a person");
    Refused::new(Code::NotAuthorized, "operator.enrolled", sentence)
}

fn revoked(name: &str) -> Refused {
    let sentence = format!("the key of {name} was revoked; make a new key and have it enrolled");
    Refused::new(Code::OperatorRevoked, "operator.not_revoked", sentence)
}

impl TryFrom<Vec<Operator>> for Roster {
    type Error = String;

    /// Reads a stored roster; every rule of enrolling holds for it, except that delegates may outlive their delegator.
    fn try_from(people: Vec<Operator>) -> Result<Self, String> {
        let mut roster = Self::default();
        let (delegates, others): (Vec<_>, Vec<_>) =
            people.into_iter().partition(|person| person.delegate_of.is_some());
        for person in others.into_iter().chain(delegates) {
            roster.insert(person).map_err(|refused| refused.to_string())?;
        }
        Ok(roster)
    }
}

impl From<Roster> for Vec<Operator> {
    fn from(roster: Roster) -> Self {
        roster.people.into_values().collect()
    }
}

impl<C> Encode<C> for Roster {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(self.people.len() as u64)?;
        self.iter().try_for_each(|person| person.encode(e, context))
    }
}

impl<'b, C> Decode<'b, C> for Roster {
    fn decode(d: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        let people = Vec::<Operator>::decode(d, context)?;
        Self::try_from(people).map_err(minicbor::decode::Error::message)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::canonical;
    use crate::keys::{NodeKey, OperatorKey};
    use proptest::prelude::*;

    pub(crate) fn key_of(secret: u8) -> OperatorKey {
        OperatorKey::from_secret(&[secret; 32])
    }

    pub(crate) fn person(secret: u8, name: &str, role: Role) -> Operator {
        Operator::of_key(*key_of(secret).public().raw(), name, role)
    }

    pub(crate) fn roster(people: impl IntoIterator<Item = Operator>) -> Roster {
        let mut roster = Roster::default();
        for person in people {
            roster.enroll(person, &BTreeSet::new()).unwrap();
        }
        roster
    }

    fn enroll(roster: &mut Roster, person: Operator) -> Result<(), (Code, &'static str)> {
        roster.enroll(person, &BTreeSet::new()).map_err(|refused| (refused.code, refused.rule))
    }

    fn ann() -> Operator {
        person(1, "Ann", Role::Approver)
    }

    #[test]
    fn an_id_that_is_not_of_the_key_is_refused_and_the_derived_one_taken() {
        let mut roster = Roster::default();
        let lie = Operator { id: key_of(2).id(), ..ann() };
        assert_eq!(enroll(&mut roster, lie), Err((Code::InvalidParams, "operator.form")));
        assert_eq!(enroll(&mut roster, ann()), Ok(()));
        assert_eq!(roster.get(&key_of(1).id()), Some(&ann()));
    }

    #[test]
    fn a_person_has_a_name_and_a_key_that_is_one() {
        let no_point =
            (0..=255).map(|byte| [byte; 32]).find(|raw| PublicKey::from_raw(raw).is_none()).unwrap();
        let form = Err((Code::InvalidParams, "operator.form"));
        let enrolled = |person| enroll(&mut Roster::default(), person);
        assert_eq!(enrolled(Operator::of_key(no_point, "Ann", Role::Operator)), form);
        assert_eq!(enrolled(Operator { name: " ".to_owned(), ..ann() }), form);
        assert_eq!(enrolled(Operator { name: "x".repeat(TEXT_BYTES_MAX + 1), ..ann() }), form);
        assert_eq!(enrolled(Operator { name: "x".repeat(TEXT_BYTES_MAX), ..ann() }), Ok(()));
    }

    #[test]
    fn one_key_has_one_entry_and_another_key_another() {
        let mut roster = roster([ann()]);
        let again = Operator { name: "Ann B.".to_owned(), role: Role::Supervisor, ..ann() };
        assert_eq!(enroll(&mut roster, again), Err((Code::Duplicate, "operator.one_entry_a_key")));
        assert_eq!(enroll(&mut roster, person(2, "Bo", Role::Supervisor)), Ok(()));
    }

    #[test]
    fn a_revoked_key_does_not_come_back() {
        let mut roster = roster([ann()]);
        roster.revoke(&ann().id).unwrap();
        assert_eq!(enroll(&mut roster, ann()), Err((Code::OperatorRevoked, "operator.not_revoked")));
        assert_eq!(roster.may_approve(&ann().id).unwrap_err().code, Code::OperatorRevoked);
        assert_eq!(roster.revoke(&key_of(9).id()).unwrap_err().code, Code::NotAuthorized);
    }

    #[test]
    fn the_key_of_a_known_node_is_enrolled_for_nobody() {
        let node = NodeKey::from_secret(&[1; 32]).id();
        let mut roster = Roster::default();
        let refused = roster.enroll(ann(), &BTreeSet::from([node])).unwrap_err();
        assert_eq!((refused.code, refused.rule), (Code::NotAuthorized, "operator.not_a_node"));
        assert!(roster.enroll(person(2, "Bo", Role::Approver), &BTreeSet::from([node])).is_ok());
    }

    #[test]
    fn a_full_roster_takes_nobody_and_one_place_takes_one() {
        let people = (0..OPERATORS_MAX - 1).map(|at| {
            let secret: [u8; 32] = std::array::from_fn(|i| if i < 2 { at.to_le_bytes()[i] } else { 77 });
            Operator::of_key(*OperatorKey::from_secret(&secret).public().raw(), "x", Role::Observer)
        });
        let mut roster = roster(people);
        assert_eq!(enroll(&mut roster, ann()), Ok(()));
        let bo = person(2, "Bo", Role::Observer);
        assert_eq!(enroll(&mut roster, bo), Err((Code::LimitExceeded, "operator.bound")));
    }

    #[test]
    fn what_a_role_may_is_what_the_roles_below_may_and_no_more() {
        let roles = [Role::Observer, Role::Operator, Role::Approver, Role::Supervisor];
        for has in roles {
            let roster = roster([person(1, "Ann", has)]);
            for needed in roles {
                let may = roster.may(&ann().id, needed).map_err(|refused| (refused.code, refused.rule));
                let expected =
                    if has >= needed { Ok(()) } else { Err((Code::NotAuthorized, "operator.role")) };
                assert_eq!(may.map(|_| ()), expected, "{has:?} for {needed:?}");
            }
        }
        let refused = roster([]).may(&ann().id, Role::Observer).unwrap_err();
        assert_eq!((refused.code, refused.rule), (Code::NotAuthorized, "operator.enrolled"));
    }

    #[test]
    fn a_delegate_and_their_delegator_are_one_person() {
        let [ann, bo, cy, dee] = [1, 2, 3, 4].map(|secret| person(secret, "x", Role::Approver));
        let (bo, cy) = (bo.standing_for(ann.id), cy.standing_for(ann.id));
        let roster = roster([ann.clone(), bo.clone(), cy.clone(), dee.clone()]);
        for (a, b) in [(&ann, &ann), (&ann, &bo), (&bo, &ann), (&bo, &cy), (&dee, &dee)] {
            assert!(roster.is_same_person(&a.id, &b.id));
        }
        for (a, b) in [(&ann, &dee), (&dee, &bo), (&cy, &dee)] {
            assert!(!roster.is_same_person(&a.id, &b.id));
        }
    }

    #[test]
    fn who_stands_for_a_revoked_person_is_revoked_too() {
        let bo = person(2, "Bo", Role::Operator).standing_for(ann().id);
        let mut roster = roster([ann(), bo.clone()]);
        assert!(roster.may(&bo.id, Role::Operator).is_ok());
        roster.revoke(&ann().id).unwrap();
        assert_eq!(roster.may(&bo.id, Role::Operator).unwrap_err().code, Code::OperatorRevoked);
        let cy = person(3, "Cy", Role::Operator).standing_for(ann().id);
        assert_eq!(enroll(&mut roster, cy), Err((Code::OperatorRevoked, "operator.not_revoked")));
    }

    #[test]
    fn who_cannot_be_stood_for_is_named() {
        let bo = person(2, "Bo", Role::Approver).standing_for(ann().id);
        let mut roster = roster([ann(), bo.clone()]);
        let cy = |role, of: OperatorId| person(3, "Cy", role).standing_for(of);
        for (candidate, code, rule) in [
            (cy(Role::Operator, key_of(9).id()), Code::NotAuthorized, "operator.enrolled"),
            (cy(Role::Operator, key_of(3).id()), Code::NotAuthorized, "operator.enrolled"),
            (cy(Role::Operator, bo.id), Code::InvalidParams, "operator.form"),
            (cy(Role::Supervisor, ann().id), Code::InvalidParams, "operator.form"),
        ] {
            assert_eq!(enroll(&mut roster, candidate), Err((code, rule)));
        }
        assert_eq!(enroll(&mut roster, cy(Role::Approver, ann().id)), Ok(()));
    }

    #[test]
    fn a_stored_roster_comes_back_with_who_was_revoked() {
        let people = [ann(), person(2, "Bo", Role::Approver).standing_for(ann().id)];
        let mut stored = roster(people);
        stored.revoke(&ann().id).unwrap();
        assert_eq!(canonical::decode::<Roster>(&canonical::encode(&stored)), Ok(stored.clone()));
        assert_eq!(Roster::try_from(Vec::from(stored.clone())), Ok(stored));
    }

    #[test]
    fn a_stored_entry_under_another_id_makes_the_roster_unreadable() {
        let lie = Operator { id: key_of(2).id(), ..ann() };
        assert!(canonical::decode::<Roster>(&canonical::encode(&vec![lie])).is_err());
        assert!(canonical::decode::<Roster>(&canonical::encode(&vec![ann()])).is_ok());
        assert!(canonical::decode::<Roster>(&canonical::encode(&vec![ann(), ann()])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = canonical::decode::<Roster>(&bytes);
        }
    }
}
