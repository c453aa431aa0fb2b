//! What somebody asks an owner for, signed for [`Purpose::REQUEST`] by a node or by a person.
//!
//! Reading a request shows which key signed it and no more: whether that key may ask is for the roster and the trust
//! list to say. A request says to whom it goes and when it was made, and [`RequestMarks`] lets each one pass once.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::canonical;
use crate::capability::Capability;
use crate::hlc::Hlc;
use crate::hold::Held;
use crate::ids::{MeshId, NodeId, OperatorId, ProposalId};
use crate::keys::{Key, KeyId, PublicKey};
use crate::operator::{Operator, Roster};
use crate::proposal::{Mind, Proposal, REASON_BYTES_MAX};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::signed::{self, Form, Purpose, Unsigned};

/// The largest request, in bytes: room for all the evidence a proposal may hold.
pub const REQUEST_BYTES_MAX: usize = 512 * 1024;
/// The most signers whose newest request an owner remembers.
pub const SIGNERS_MAX: usize = 1_024;
/// For how long control is taken at least and at most, seconds.
pub const CONTROL_S_MIN: u32 = 60;
/// See [`CONTROL_S_MIN`].
pub const CONTROL_S_MAX: u32 = 43_200;
/// How old a re-arm may be that ends the stop of a restore, milliseconds: older ones may have been used before.
const REARM_AGE_MS_MAX: u64 = 120_000;

/// What somebody asks an owner for.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Request {
    /// The mesh of the owner.
    #[n(0)]
    pub mesh: MeshId,
    /// The owner.
    #[n(1)]
    pub owner: NodeId,
    /// What is asked for.
    #[n(2)]
    pub body: RequestBody,
    /// When it was made. Each request of a signer is later than the one before.
    #[n(3)]
    pub made: Hlc,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum RequestBody {
    /// Take this proposal.
    #[n(0)]
    Propose(#[n(0)] Proposal),
    /// Call a proposal off; of a person also one that runs, which ends it.
    #[n(1)]
    Withdraw {
        /// Which.
        #[n(0)]
        proposal: ProposalId,
        /// Why.
        #[n(1)]
        why: String,
    },
    /// Latch the stop.
    #[n(2)]
    Stop {
        /// Why.
        #[n(0)]
        why: String,
    },
    /// End the stop. Only a person may.
    #[n(3)]
    Rearm {
        /// Why it is safe again.
        #[n(0)]
        why: String,
    },
    /// Take an actuator out of service: nothing is told it any more, whoever asks.
    #[n(4)]
    Tag {
        /// Which.
        #[n(0)]
        actuator: Capability,
        /// Why.
        #[n(1)]
        why: String,
    },
    /// Put it back into service. Only a person may.
    #[n(5)]
    Untag {
        /// Which.
        #[n(0)]
        actuator: Capability,
        /// Why it may be used again.
        #[n(1)]
        why: String,
    },
    /// Hold something back: it is not approved and not begun until a person releases it. Only a person may.
    #[n(6)]
    Hold {
        /// What.
        #[n(0)]
        what: Held,
        /// Why.
        #[n(1)]
        why: String,
    },
    /// Release it. Only a person may.
    #[n(7)]
    Release {
        /// What.
        #[n(0)]
        what: Held,
        /// Why it may go on.
        #[n(1)]
        why: String,
    },
    /// Take exclusive control of an actuator for a while, or ask whoever has it. Only a person may.
    #[n(8)]
    TakeControl {
        /// Which.
        #[n(0)]
        actuator: Capability,
        /// For how long, seconds.
        #[n(1)]
        for_s: u32,
        /// True when a supervisor does not wait for whoever has it.
        #[n(2)]
        is_forced: bool,
        /// Why.
        #[n(3)]
        why: String,
    },
    /// Hand control to somebody else. Only whoever has it may, and a supervisor.
    #[n(9)]
    GrantControl {
        /// Of which.
        #[n(0)]
        actuator: Capability,
        /// To whom.
        #[n(1)]
        to: OperatorId,
        /// Why.
        #[n(2)]
        why: String,
    },
    /// Give control up. Only whoever has it may, and a supervisor.
    #[n(10)]
    ReleaseControl {
        /// Of which.
        #[n(0)]
        actuator: Capability,
        /// Why.
        #[n(1)]
        why: String,
    },
    /// A key counts for nothing any more, here and at every node that hears of it. Only its holder may, and a supervisor.
    #[n(11)]
    Revoke {
        /// Whose.
        #[n(0)]
        key: OperatorId,
        /// Why.
        #[n(1)]
        why: String,
    },
    /// Take this proposal in the place of one that waits, which ends; if it is refused, that one stays.
    #[n(15)]
    Supersede {
        /// The new one.
        #[n(0)]
        proposal: Proposal,
        /// The one that ends.
        #[n(1)]
        instead_of: ProposalId,
    },
}

impl RequestBody {
    /// The proposal that is to be taken, if one is.
    #[must_use]
    pub fn proposal(&self) -> Option<&Proposal> {
        match self {
            Self::Propose(proposal) | Self::Supersede { proposal, .. } => Some(proposal),
            _ => None,
        }
    }
}

impl Request {
    /// Says what is wrong with the content, whoever asks.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        match &self.body {
            RequestBody::Propose(proposal) | RequestBody::Supersede { proposal, .. } => {
                self.fault_of(proposal)
            }
            RequestBody::Withdraw { why, .. }
            | RequestBody::Stop { why }
            | RequestBody::Rearm { why }
            | RequestBody::Tag { why, .. }
            | RequestBody::Untag { why, .. }
            | RequestBody::Hold { why, .. }
            | RequestBody::Release { why, .. }
            | RequestBody::GrantControl { why, .. }
            | RequestBody::ReleaseControl { why, .. }
            | RequestBody::Revoke { why, .. } => fault_of_reason(why),
            RequestBody::TakeControl { for_s, why, .. } => {
                let is_wrong = !(CONTROL_S_MIN..=CONTROL_S_MAX).contains(for_s);
                let fault = || {
                    format!(
                        "control is taken for {CONTROL_S_MIN} to {CONTROL_S_MAX} s; take it anew when it ends"
                    )
                };
                is_wrong.then(fault).or_else(|| fault_of_reason(why))
            }
        }
    }

    fn fault_of(&self, proposal: &Proposal) -> Option<String> {
        if (proposal.mesh, proposal.owner) != (self.mesh, self.owner) {
            return Some(
                "the proposal is for another mesh or owner than the request; ask its owner".to_owned(),
            );
        }
        proposal.fault()
    }
}

fn fault_of_reason(why: &str) -> Option<String> {
    let is_wrong = why.trim().is_empty() || why.len() > REASON_BYTES_MAX;
    is_wrong.then(|| format!("a reason has 1 to {REASON_BYTES_MAX} bytes; say why"))
}

/// Signs `request` with the key of a node or of a person.
#[must_use]
pub fn seal<I: KeyId>(key: &Key<I>, request: &Request) -> Vec<u8> {
    signed::seal(key, Purpose::REQUEST, canonical::encode(request))
}

/// A request that waits for the signature of `signer`.
#[must_use]
pub fn unsigned(signer: &PublicKey, request: &Request) -> Unsigned {
    Unsigned::by(signer, Purpose::REQUEST, canonical::encode(request))
}

/// A request and the key it was signed with. Only [`open`] makes one, so the signature holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedRequest {
    signer: PublicKey,
    request: Request,
}

impl SignedRequest {
    /// The key it was signed with; a node's or a person's, which the bytes do not tell.
    #[must_use]
    pub fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// What is asked for.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The person who asks, if one does: a request is human only when an enrolled key that counts signed it.
    #[must_use]
    pub fn person<'a>(&self, roster: &'a Roster) -> Option<&'a Operator> {
        let id = self.signer.operator_id();
        roster.get(&id).filter(|_| !roster.is_revoked(&id))
    }

    /// Judges whether this owner is the one who is asked.
    ///
    /// # Errors
    /// `MESH_ID_MISMATCH` or `SOURCE_MISMATCH`.
    pub fn is_for(&self, mesh: MeshId, owner: NodeId) -> Result<(), Refused> {
        if self.request.mesh != mesh {
            let sentence = "the request belongs to another mesh; ask in the mesh of the owner";
            return Err(Refused::new(Code::MeshIdMismatch, "request.mesh", sentence));
        }
        if self.request.owner != owner {
            let sentence = "the request is for another owner, and nothing is passed on; ask that node";
            return Err(Refused::new(Code::SourceMismatch, "request.owner", sentence));
        }
        Ok(())
    }
}

const FORM: Form = Form {
    purpose: Purpose::REQUEST,
    called: "a request",
    bytes_max: REQUEST_BYTES_MAX,
    size: "request.size",
    form: "request.form",
    signature: "request.signature",
    advice: "sign it again with this version",
};

/// Opens a signed request: size, form, signature, content, and that a proposal was signed by who made it.
///
/// # Errors
/// `TOO_LARGE`, `MALFORMED_ENVELOPE`, `BAD_SIGNATURE`, `INVALID_PARAMS`, `NOT_AUTHORIZED`, in this order.
pub fn open(bytes: &[u8]) -> Result<SignedRequest, Refused> {
    let (key, request): (_, Request) = signed::open(bytes, &FORM)?;
    if let Some(fault) = request.fault() {
        return Err(Refused::new(Code::InvalidParams, "request.content", fault));
    }
    if let Some(proposal) = request.body.proposal() {
        maker_fits(proposal, &key)?;
    }
    Ok(SignedRequest { signer: key, request })
}

/// Judges whether a proposal was signed by who made it: a person's by exactly this person, a program's by the node it
/// runs on.
///
/// # Errors
/// `NOT_AUTHORIZED`.
pub fn maker_fits(proposal: &Proposal, signer: &PublicKey) -> Result<(), Refused> {
    let (fits, sentence) = match proposal.maker.mind {
        Mind::Operator(person) => (
            signer.operator_id() == person,
            "the proposal names a person who did not sign it; the person has to sign with their own key",
        ),
        Mind::Utility { .. } | Mind::Model { .. } => (
            signer.id() == proposal.maker.node,
            "the proposal of a program is signed by the node it runs on; send it from there",
        ),
    };
    if fits { Ok(()) } else { Err(Refused::new(Code::NotAuthorized, "request.maker", sentence)) }
}

/// How far each signer has been heard, so that no request passes twice. It has to outlive a restart: a replayed re-arm
/// would end a stop that nobody wants to end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RequestMarks {
    #[n(0)]
    newest: BTreeMap<OperatorId, Hlc>,
    #[n(1)]
    restore: Option<Restore>,
}

/// What a restore from a backup does to requests: which of them were taken since the backup was made is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
struct Restore {
    /// When, Unix milliseconds by the clock of the node.
    #[n(0)]
    at_ms: u64,
    /// What was signed until then never passes: the restore, and later the re-arm that ended its stop.
    #[n(1)]
    not_before_ms: u64,
    /// True until a person has ended the stop of the restore.
    #[n(2)]
    awaits_rearm: bool,
}

impl RequestMarks {
    /// The node was restored from a backup at `wall_ms`: which requests it had taken until then is not known, so none of
    /// them passes again. False when it knew of this restore, or of a later one.
    pub fn restored(&mut self, wall_ms: u64) -> bool {
        let is_news = self.restore.is_none_or(|known| known.at_ms < wall_ms);
        if is_news {
            self.restore = Some(Restore { at_ms: wall_ms, not_before_ms: wall_ms, awaits_rearm: true });
        }
        is_news
    }

    /// When the node was last restored, Unix milliseconds by its own clock.
    #[must_use]
    pub fn restored_ms(&self) -> Option<u64> {
        self.restore.map(|restore| restore.at_ms)
    }

    /// A person has ended the stop with a request made at `made_ms`. After a restore nothing that was signed earlier passes:
    /// the clock may have been wrong when the node was restored, and by now it has been looked at.
    pub fn rearmed(&mut self, made_ms: u64) {
        if let Some(restore) = self.restore.as_mut().filter(|restore| restore.awaits_rearm) {
            restore.not_before_ms = restore.not_before_ms.max(made_ms);
            restore.awaits_rearm = false;
        }
    }

    /// Why a request does not pass because of a restore.
    fn doubt_of(&self, request: &Request, wall_ms: u64) -> Option<String> {
        let (restore, made_ms) = (self.restore?, request.made.wall_ms);
        if made_ms <= restore.not_before_ms {
            return Some(
                "the request was signed before this node came back from a backup, and may have been taken already; make a \
                 new one"
                    .to_owned(),
            );
        }
        let is_old = made_ms.saturating_add(REARM_AGE_MS_MAX) < wall_ms;
        let ends_it = restore.awaits_rearm && matches!(request.body, RequestBody::Rearm { .. });
        (ends_it && is_old).then(|| {
            format!(
                "this node came back from a backup, so a re-arm has to be signed within {} s before it is brought; sign it \
                 again, with the right time on both machines",
                REARM_AGE_MS_MAX / 1_000
            )
        })
    }

    /// Takes a request of a signer who may ask; `wall_ms` is the owner's clock. A stop always passes and leaves no mark:
    /// to stop once too often is safe.
    ///
    /// # Errors
    /// `CLOCK_UNTRUSTED` when it was made in the future, `REPLAYED` unless it is later than the signer's last one and than
    /// the last restore, `LIMIT_EXCEEDED` when [`SIGNERS_MAX`] others are remembered.
    pub fn admit(&mut self, signed: &SignedRequest, wall_ms: u64) -> Result<(), Refused> {
        let made = signed.request.made;
        if matches!(signed.request.body, RequestBody::Stop { .. }) {
            return Ok(());
        }
        if made.is_from_the_future(wall_ms) {
            let sentence = "the request was made in the future; set the clock of the asking device";
            return Err(Refused::new(Code::ClockUntrusted, "request.clock", sentence));
        }
        if let Some(sentence) = self.doubt_of(&signed.request, wall_ms) {
            return Err(Refused::new(Code::Replayed, "request.restored", sentence));
        }
        // Only as a name of the key; whether it is a person's does not matter here.
        let signer = signed.signer.operator_id();
        if self.newest.get(&signer).is_some_and(|newest| made <= *newest) {
            let sentence = "this request, or a later one of the same key, was taken before; make a new one";
            return Err(Refused::new(Code::Replayed, "request.once", sentence));
        }
        if self.newest.len() >= SIGNERS_MAX && !self.newest.contains_key(&signer) {
            let sentence = format!("{SIGNERS_MAX} other keys have asked before; ask with one of them");
            return Err(Refused::new(Code::LimitExceeded, "request.signers", sentence));
        }
        self.newest.insert(signer, made);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::keys::NodeKey;
    use crate::operator::Role;
    use crate::operator::tests::{key_of, person, roster};
    use crate::proposal::tests::proposal;
    use crate::proposal::{Maker, Step};
    use crate::reading::Value;
    use proptest::prelude::*;

    fn node() -> NodeKey {
        NodeKey::from_secret(&[2; 32])
    }

    fn proposal_of(mind: Mind) -> Proposal {
        Proposal { maker: Maker { node: node().id(), mind, term: None }, ..proposal() }
    }

    fn utility() -> Mind {
        Mind::Utility { name: "dryness".to_owned() }
    }

    fn request(body: RequestBody) -> Request {
        let Proposal { mesh, owner, made, .. } = proposal();
        Request { mesh, owner, body, made }
    }

    fn rearm() -> RequestBody {
        RequestBody::Rearm { why: "the pipe is mended".to_owned() }
    }

    fn refusal<T: std::fmt::Debug>(answer: Result<T, Refused>) -> (Code, &'static str) {
        let refused = answer.unwrap_err();
        (refused.code, refused.rule)
    }

    #[test]
    fn what_was_asked_opens_as_it_was_and_names_its_key() {
        let withdraw = RequestBody::Withdraw { proposal: proposal().id(), why: "it rains".to_owned() };
        let stop = RequestBody::Stop { why: "a child".to_owned() };
        let actuator = || proposal().steps[0].actuator.clone();
        let tag = RequestBody::Tag { actuator: actuator(), why: "the fuse is out".to_owned() };
        let untag = RequestBody::Untag { actuator: actuator(), why: "it is in again".to_owned() };
        for body in [RequestBody::Propose(proposal_of(utility())), withdraw, stop, rearm(), tag, untag] {
            let opened = open(&seal(&node(), &request(body.clone()))).unwrap();
            assert_eq!((opened.request(), opened.signer()), (&request(body), &node().public()));
        }
    }

    #[test]
    fn a_signature_for_anything_else_is_no_request() {
        let sealed = |purpose| signed::seal(&key_of(1), purpose, canonical::encode(&request(rearm())));
        for other in [Purpose::APPROVAL, Purpose::ENVELOPE] {
            assert_eq!(refusal(open(&sealed(other))), (Code::BadSignature, "request.signature"), "{other:?}");
        }
        assert!(open(&sealed(Purpose::REQUEST)).is_ok());
    }

    #[test]
    fn what_has_not_our_form_or_size_is_refused_and_the_largest_proposal_fits() {
        let form = (Code::MalformedEnvelope, "request.form");
        assert_eq!(refusal(open(&vec![0; REQUEST_BYTES_MAX + 1])), (Code::TooLarge, "request.size"));
        assert_eq!(refusal(open(&vec![0; REQUEST_BYTES_MAX])), form);
        assert_eq!(refusal(open(&canonical::encode(&request(rearm())))), form);
        let mut largest = proposal_of(utility());
        largest.evidence = vec![vec![0; crate::proposal::EVIDENCE_BYTES_MAX].into(); 8];
        let name = |at: usize| format!("{at}{}", "x".repeat(511));
        let text = Value::Text("x".repeat(512));
        largest.steps[0].operation = "x".repeat(512);
        largest.steps[0].parameters = (0..8).map(|at| (name(at), text.clone())).collect();
        let actuator =
            |at: usize| Capability::new(&format!("actuator:valve:v{at}{}", "x".repeat(100))).unwrap();
        let step = largest.steps[0].clone();
        largest.steps = (0..16).map(|at| Step { actuator: actuator(at), ..step.clone() }).collect();
        assert!(open(&seal(&node(), &request(RequestBody::Propose(largest)))).is_ok());
    }

    #[test]
    fn content_that_makes_no_sense_is_refused_and_its_twin_taken() {
        let content = (Code::InvalidParams, "request.content");
        let with = |change: fn(&mut Request)| {
            let mut request = request(RequestBody::Propose(proposal_of(utility())));
            change(&mut request);
            open(&seal(&node(), &request))
        };
        assert!(with(|_| {}).is_ok());
        assert_eq!(refusal(with(|r| r.mesh = MeshId::of_name("field"))), content);
        assert_eq!(refusal(with(|r| r.owner = node().id())), content);
        assert_eq!(refusal(with(|r| r.body = RequestBody::Rearm { why: " ".to_owned() })), content);
        assert_eq!(refusal(with(|r| r.body = RequestBody::Stop { why: "x".repeat(1_025) })), content);
        let without_steps = |request: &mut Request| {
            if let RequestBody::Propose(proposal) = &mut request.body {
                proposal.steps.clear();
            }
        };
        assert_eq!(refusal(with(without_steps)), content);
    }

    #[test]
    fn only_who_made_a_proposal_can_ask_for_it() {
        let ann = key_of(1);
        let model = Mind::Model { name: "m".to_owned(), session_of: Some(ann.id()) };
        let by_ann = proposal_of(Mind::Operator(ann.id()));
        let maker = (Code::NotAuthorized, "request.maker");
        for program in [utility(), model] {
            let asks = request(RequestBody::Propose(proposal_of(program)));
            assert!(open(&seal(&node(), &asks)).is_ok());
            assert_eq!(refusal(open(&seal(&NodeKey::from_secret(&[3; 32]), &asks))), maker);
            assert_eq!(refusal(open(&seal(&ann, &asks))), maker);
        }
        let asks = request(RequestBody::Propose(by_ann));
        assert!(open(&seal(&ann, &asks)).is_ok());
        assert_eq!(refusal(open(&seal(&key_of(2), &asks))), maker);
        assert_eq!(refusal(open(&seal(&node(), &asks))), maker);
    }

    #[test]
    fn a_request_is_human_only_by_an_enrolled_key_that_counts() {
        let asks = open(&seal(&key_of(1), &request(rearm()))).unwrap();
        let ann = person(1, "Ann", Role::Operator);
        let mut roster = roster([ann.clone(), person(2, "Bo", Role::Operator)]);
        assert_eq!(asks.person(&roster), Some(&ann));
        let stranger = open(&seal(&key_of(3), &request(rearm()))).unwrap();
        assert_eq!(stranger.person(&roster), None);
        roster.revoke(&ann.id).unwrap();
        assert_eq!(asks.person(&roster), None);
    }

    #[test]
    fn a_request_for_another_owner_or_mesh_is_not_ours() {
        let asks = open(&seal(&key_of(1), &request(rearm()))).unwrap();
        let Request { mesh, owner, .. } = *asks.request();
        assert_eq!(asks.is_for(mesh, owner), Ok(()));
        assert_eq!(refusal(asks.is_for(mesh, node().id())), (Code::SourceMismatch, "request.owner"));
        let field = MeshId::of_name("field");
        assert_eq!(refusal(asks.is_for(field, owner)), (Code::MeshIdMismatch, "request.mesh"));
    }

    #[test]
    fn a_request_passes_once_even_after_a_restart() {
        let (wall_ms, mut marks) = (proposal().made.wall_ms, RequestMarks::default());
        let asks = |secret, body: RequestBody, logical| {
            let made = Hlc { wall_ms, logical };
            open(&seal(&key_of(secret), &Request { made, ..request(body) })).unwrap()
        };
        assert_eq!(marks.admit(&asks(1, rearm(), 5), wall_ms), Ok(()));
        let mut marks: RequestMarks = canonical::decode(&canonical::encode(&marks)).unwrap();
        let once = (Code::Replayed, "request.once");
        assert_eq!(refusal(marks.admit(&asks(1, rearm(), 5), wall_ms)), once);
        assert_eq!(refusal(marks.admit(&asks(1, rearm(), 4), wall_ms)), once);
        assert_eq!(marks.admit(&asks(2, rearm(), 4), wall_ms), Ok(()));
        assert_eq!(marks.admit(&asks(1, rearm(), 6), wall_ms), Ok(()));
        let stop = RequestBody::Stop { why: "a child".to_owned() };
        assert_eq!(marks.admit(&asks(1, stop.clone(), 0), wall_ms), Ok(()));
        assert_eq!(marks.admit(&asks(1, stop, u32::MAX), 0), Ok(()));
        assert_eq!(marks.admit(&asks(1, rearm(), 7), wall_ms), Ok(()));
    }

    #[test]
    fn a_request_from_the_future_leaves_no_mark() {
        let (mut marks, asks) =
            (RequestMarks::default(), open(&seal(&key_of(1), &request(rearm()))).unwrap());
        let early_ms = asks.request().made.wall_ms - 501;
        assert_eq!(refusal(marks.admit(&asks, early_ms)), (Code::ClockUntrusted, "request.clock"));
        assert_eq!(marks.admit(&asks, early_ms + 1), Ok(()));
    }

    #[test]
    fn marks_are_bounded_and_known_keys_still_ask() {
        let mut marks = RequestMarks::default();
        for number in 1..SIGNERS_MAX {
            let id = OperatorId(std::array::from_fn(|i| *number.to_le_bytes().get(i).unwrap_or(&0)));
            marks.newest.insert(id, Hlc::default());
        }
        let asks = |secret, logical| {
            let made = Hlc { wall_ms: 1, logical };
            open(&seal(&key_of(secret), &Request { made, ..request(rearm()) })).unwrap()
        };
        assert_eq!(marks.admit(&asks(1, 0), 1), Ok(()));
        assert_eq!(refusal(marks.admit(&asks(2, 0), 1)), (Code::LimitExceeded, "request.signers"));
        assert_eq!(marks.admit(&asks(1, 1), 1), Ok(()));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_refused(at in 0_usize..2_000, bit in 0_u8..8) {
            let mut bytes = seal(&key_of(1), &request(rearm()));
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
