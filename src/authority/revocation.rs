//! A key that counts for nothing any more, wherever it is known: a request to one owner that every other node takes from it too.

use crate::ids::{MeshId, OperatorId};
use crate::operator::{Role, Roster};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::request::{self, RequestBody};

/// The largest signed revocation, in bytes: its reason is the longest part.
pub const REVOCATION_BYTES_MAX: usize = 2 * 1024;

/// What a signed revocation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Whose key.
    pub key: OperatorId,
    /// Whose signature it has, which says nothing about whether they may.
    pub by: OperatorId,
    /// Why.
    pub why: String,
}

/// Opens a revocation that was asked of any node of this mesh. Nothing else is taken from one node for another.
///
/// # Errors
/// As [`request::open`]; `TOO_LARGE`, `MESH_ID_MISMATCH`, and `INVALID_PARAMS` for a request about something else.
pub fn open(bytes: &[u8], mesh: MeshId) -> Result<Revocation, Refused> {
    if bytes.len() > REVOCATION_BYTES_MAX {
        let sentence =
            format!("a revocation has at most {REVOCATION_BYTES_MAX} bytes; say why in fewer words");
        return Err(Refused::new(Code::TooLarge, "revocation.size", sentence));
    }
    let signed = request::open(bytes)?;
    if signed.request().mesh != mesh {
        let sentence = "the revocation belongs to another mesh; revoke the key in this one";
        return Err(Refused::new(Code::MeshIdMismatch, "revocation.mesh", sentence));
    }
    let RequestBody::Revoke { key, why } = &signed.request().body else {
        let sentence =
            "a request is taken by the owner it was asked of; only a revocation is passed on to others";
        return Err(Refused::new(Code::InvalidParams, "revocation.body", sentence));
    };
    Ok(Revocation { key: *key, by: signed.signer().operator_id(), why: why.clone() })
}

/// Judges whether `by` may revoke `key`: their own, however low their role, or anybody's as a supervisor.
///
/// # Errors
/// As [`Roster::may`].
pub fn may_revoke(by: &OperatorId, key: &OperatorId, roster: &Roster) -> Result<(), Refused> {
    if by == key && roster.get(by).is_some() {
        return Ok(());
    }
    roster.may(by, Role::Supervisor).map(drop).map_err(|refused| {
        let sentence = format!(
            "{}; everybody gives up their own key, and a supervisor revokes others",
            refused.sentence
        );
        Refused::new(refused.code, "revocation.supervisor", sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hlc::Hlc;
    use crate::ids::NodeId;
    use crate::keys::OperatorKey;
    use crate::operator::Operator;
    use crate::request::Request;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(seed: u8) -> OperatorKey {
        OperatorKey::from_secret(&[seed; 32])
    }

    fn signed(by: u8, body: RequestBody) -> Vec<u8> {
        let made = Hlc { wall_ms: 7, logical: 0 };
        let request = Request { mesh: MeshId::of_name("farm"), owner: NodeId([1; 32]), body, made };
        request::seal(&key(by), &request)
    }

    fn revoke(whom: u8) -> RequestBody {
        RequestBody::Revoke { key: key(whom).id(), why: "it is lost".to_owned() }
    }

    #[test]
    fn any_node_of_the_mesh_opens_a_revocation_and_nothing_else() {
        let farm = MeshId::of_name("farm");
        let opened = open(&signed(2, revoke(3)), farm).unwrap();
        assert_eq!((opened.key, opened.by, opened.why.as_str()), (key(3).id(), key(2).id(), "it is lost"));
        let rule = |bytes: &[u8], mesh| open(bytes, mesh).unwrap_err().rule;
        assert_eq!(rule(&signed(2, revoke(3)), MeshId::of_name("barn")), "revocation.mesh");
        assert_eq!(rule(&signed(2, RequestBody::Stop { why: "x".to_owned() }), farm), "revocation.body");
        let long = RequestBody::Revoke { key: key(3).id(), why: "x".repeat(1_025) };
        assert_eq!(rule(&signed(2, long), farm), "request.content");
        assert_eq!(rule(&vec![0; REVOCATION_BYTES_MAX + 1], farm), "revocation.size");
        let mut changed = signed(2, revoke(3));
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(rule(&changed, farm), "request.signature");
        let longest = RequestBody::Revoke { key: key(3).id(), why: "x".repeat(1_024) };
        assert!(open(&signed(2, longest), farm).is_ok(), "every reason that may be given fits");
    }

    #[test]
    fn everybody_gives_up_their_own_key_and_supervisors_revoke_others() {
        let mut roster = Roster::default();
        for (seed, role) in
            [(1, Role::Supervisor), (2, Role::Approver), (3, Role::Observer), (4, Role::Supervisor)]
        {
            roster.enroll(Operator::of_key(*key(seed).public().raw(), "x", role), &BTreeSet::new()).unwrap();
        }
        roster.revoke(&key(4).id()).unwrap();
        let judged =
            |by: u8, whom: u8| may_revoke(&key(by).id(), &key(whom).id(), &roster).map_err(|no| no.code);
        for (by, whom) in [(1, 2), (1, 1), (1, 9), (2, 2), (3, 3), (4, 4)] {
            assert_eq!(judged(by, whom), Ok(()), "{by} {whom}");
        }
        assert_eq!(judged(2, 1), Err(Code::NotAuthorized), "an approver revokes no supervisor");
        assert_eq!(judged(4, 1), Err(Code::OperatorRevoked), "a revoked supervisor revokes nobody else");
        assert_eq!(judged(9, 9), Err(Code::NotAuthorized), "whoever nobody knows fills no list");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(open(&bytes, MeshId::of_name("farm")).is_err());
        }
    }
}
