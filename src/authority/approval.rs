//! What a person answers to an offer, signed for [`Purpose::APPROVAL`] with their key.
//!
//! Reading and judging it stand apart: [`open`] shows who signed what, [`crate::judgement::judge`] says what it is worth.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::hex32;
use crate::ids::{ContentHash, MeshId, NodeId, OperatorId, ProposalId};
use crate::keys::{OperatorKey, PublicKey};
use crate::level::Level;
use crate::offer::Offer;
use crate::proposal::{REASON_BYTES_MAX, Step};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::signed::{self, Form, Purpose, Unsigned};

/// The largest approval, in bytes.
pub const APPROVAL_BYTES_MAX: usize = 256 * 1024;

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It shall be done.
    #[n(0)]
    Approve,
    /// It shall not be done.
    #[n(1)]
    Reject,
}

/// A person's answer to one offer. It repeats all that the offer says, so that nobody can show a person one thing and
/// have another one signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Approval {
    /// The mesh of the owner.
    #[n(0)]
    pub mesh: MeshId,
    /// The owner.
    #[n(1)]
    pub owner: NodeId,
    /// The site of the owner.
    #[n(2)]
    pub site: ContentHash,
    /// The policy of the owner.
    #[n(3)]
    pub policy: ContentHash,
    /// What was proposed.
    #[n(4)]
    pub proposal: ProposalId,
    /// The card that was shown.
    #[n(5)]
    pub card: ContentHash,
    /// Yes or no.
    #[n(6)]
    pub decision: Decision,
    /// How many people have to agree.
    #[n(7)]
    pub level: Level,
    /// The actuators, the operations and their limits.
    #[n(8)]
    pub steps: Vec<Step>,
    /// The nonce of the offer.
    #[n(9)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "hex32")]
    pub nonce: [u8; 32],
    /// Why, in the words of the person.
    #[n(10)]
    pub reason: Option<String>,
    /// When, by the clock of the person's device, Unix milliseconds. Shown to people; decides nothing.
    #[n(11)]
    pub signed_ms: u64,
}

impl Approval {
    /// The answer to `offer`, field by field.
    #[must_use]
    pub fn answering(offer: &Offer, decision: Decision, reason: Option<String>, signed_ms: u64) -> Self {
        Self {
            mesh: offer.mesh,
            owner: offer.owner,
            site: offer.site,
            policy: offer.policy,
            proposal: offer.proposal,
            card: offer.card,
            decision,
            level: offer.level,
            steps: offer.steps.clone(),
            nonce: offer.nonce,
            reason,
            signed_ms,
        }
    }

    /// Says what is wrong with the content, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let is_wrong = |reason: &String| reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX;
        self.reason
            .as_ref()
            .is_some_and(is_wrong)
            .then(|| format!("a reason has 1 to {REASON_BYTES_MAX} bytes; write one, or leave it out"))
    }
}

/// Signs `approval` with the key of the person.
#[must_use]
pub fn seal(key: &OperatorKey, approval: &Approval) -> Vec<u8> {
    signed::seal(key, Purpose::APPROVAL, canonical::encode(approval))
}

/// An approval that waits for the signature of `signer`.
#[must_use]
pub fn unsigned(signer: &PublicKey, approval: &Approval) -> Unsigned {
    Unsigned::by(signer, Purpose::APPROVAL, canonical::encode(approval))
}

/// An approval and whoever signed it. Only [`open`] makes one, so the signature holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedApproval {
    operator: OperatorId,
    key: PublicKey,
    approval: Approval,
}

impl SignedApproval {
    /// The person who holds the key, if a person does; whether one does, the roster says.
    #[must_use]
    pub fn operator(&self) -> OperatorId {
        self.operator
    }

    /// The key it was signed with.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What was signed.
    #[must_use]
    pub fn approval(&self) -> &Approval {
        &self.approval
    }
}

const FORM: Form = Form {
    purpose: Purpose::APPROVAL,
    called: "an approval",
    bytes_max: APPROVAL_BYTES_MAX,
    size: "approval.size",
    form: "approval.form",
    signature: "approval.signature",
    advice: "sign the offer again with this version",
};

/// Opens a signed approval: size, form, signature, content.
///
/// # Errors
/// `TOO_LARGE`, `MALFORMED_ENVELOPE`, `BAD_SIGNATURE`, `INVALID_PARAMS`, in this order.
pub fn open(bytes: &[u8]) -> Result<SignedApproval, Refused> {
    let (key, approval): (_, Approval) = signed::open(bytes, &FORM)?;
    if let Some(fault) = approval.fault() {
        return Err(Refused::new(Code::InvalidParams, "approval.content", fault));
    }
    Ok(SignedApproval { operator: key.operator_id(), key, approval })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NodeKey;
    use crate::offer::tests::offer;
    use crate::operator::tests::key_of;
    use proptest::prelude::*;

    fn approval() -> Approval {
        let offer = offer([5; 32], Level::L2);
        Approval::answering(&offer, Decision::Approve, Some("dry".to_owned()), 1_730_000_000_000)
    }

    fn refusal(bytes: &[u8]) -> (Code, &'static str) {
        let refused = open(bytes).unwrap_err();
        (refused.code, refused.rule)
    }

    #[test]
    fn what_a_person_sealed_opens_as_it_was_and_names_them() {
        let opened = open(&seal(&key_of(1), &approval())).unwrap();
        assert_eq!(opened.approval(), &approval());
        assert_eq!((opened.operator(), opened.key()), (key_of(1).id(), &key_of(1).public()));
    }

    #[test]
    fn a_signature_for_anything_else_is_no_approval() {
        let sealed = |purpose| signed::seal(&key_of(1), purpose, canonical::encode(&approval()));
        for other in [Purpose::REQUEST, Purpose::ENVELOPE] {
            assert_eq!(refusal(&sealed(other)), (Code::BadSignature, "approval.signature"), "{other:?}");
        }
        assert!(open(&sealed(Purpose::APPROVAL)).is_ok());
    }

    #[test]
    fn the_same_content_under_the_key_of_another_does_not_hold() {
        let mut sealed = seal(&key_of(1), &approval());
        let theirs = key_of(2);
        sealed[9..41].copy_from_slice(theirs.public().raw());
        assert_eq!(refusal(&sealed), (Code::BadSignature, "approval.signature"));
        assert!(open(&seal(&theirs, &approval())).is_ok());
    }

    #[test]
    fn a_node_key_opens_as_the_person_nobody_enrolled() {
        let node = NodeKey::from_secret(&[1; 32]);
        let opened = open(&signed::seal(&node, Purpose::APPROVAL, canonical::encode(&approval()))).unwrap();
        assert_ne!(opened.operator().0, node.id().0);
    }

    #[test]
    fn what_has_not_our_form_is_malformed() {
        let form = (Code::MalformedEnvelope, "approval.form");
        assert_eq!(refusal(b""), form);
        assert_eq!(refusal(&canonical::encode(&approval())), form);
        let longer = [canonical::encode(&approval()), vec![0]].concat();
        assert_eq!(refusal(&signed::seal(&key_of(1), Purpose::APPROVAL, longer)), form);
        assert_eq!(refusal(&vec![0; APPROVAL_BYTES_MAX + 1]), (Code::TooLarge, "approval.size"));
        assert_eq!(refusal(&vec![0; APPROVAL_BYTES_MAX]), form);
    }

    #[test]
    fn a_reason_has_words_and_a_bound() {
        let with = |reason: Option<String>| seal(&key_of(1), &Approval { reason, ..approval() });
        for wrong in [" ".to_owned(), "x".repeat(REASON_BYTES_MAX + 1)] {
            assert_eq!(refusal(&with(Some(wrong))), (Code::InvalidParams, "approval.content"));
        }
        for right in [None, Some("x".repeat(REASON_BYTES_MAX))] {
            assert!(open(&with(right)).is_ok());
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_refused(at in 0_usize..2_000, bit in 0_u8..8) {
            let mut bytes = seal(&key_of(1), &approval());
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(open(&bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(open(&bytes).is_err());
        }
    }
}
