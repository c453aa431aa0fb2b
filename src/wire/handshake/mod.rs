//! Two nodes prove to each other who they are: the listener and the dialler, without a socket.
//! Reads what the other side sent, our own key, whom we trust, and the time. Writes what to send, or a refusal.
//! Invariant: nobody is admitted whose id is not the hash of the key that has signed our own number, or who is not trusted.
//! Not here: sockets and deadlines (the edge), who is trusted (`PeerBook`, the edge's own list).

mod dialler;
mod listener;

pub use dialler::{CLOSE_CODE, Close, CloseReason, Dialler};
pub use listener::{ChallengeAnswer, Listener};

use std::time::Duration;

use clawmesh_authority::{NodeId, NodeKey, NodeRole, PublicKey};

use crate::auth::{SignedText, key_text};
use crate::connect::About;

/// What a list of trusted nodes says about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerTrust {
    /// It is not on the list.
    Unknown,
    /// It is on the list by its id, which is the hash of its key.
    Trusted,
    /// It is on the list with its key.
    Pinned(PublicKey),
}

/// Whom we trust.
pub trait PeerBook {
    /// What the list says about `node` now.
    fn trust(&self, node: NodeId) -> PeerTrust;
}

impl<F: Fn(NodeId) -> PeerTrust> PeerBook for F {
    fn trust(&self, node: NodeId) -> PeerTrust {
        self(node)
    }
}

/// Now, on two clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Unix milliseconds of the wall clock, for what others have signed.
    pub unix_ms: u64,
    /// The time on a clock that only goes forward, for what we gave out ourselves.
    pub elapsed: Duration,
}

/// Our own side of a handshake.
#[derive(Debug, Clone, Copy)]
pub struct Ourselves<'a> {
    /// Our key.
    pub key: &'a NodeKey,
    /// What we say of ourselves.
    pub about: &'a About,
}

/// Whoever is on the other end, proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Who it is.
    pub node: NodeId,
    /// Its key.
    pub key: PublicKey,
    /// What it is for; it says so itself.
    pub role: NodeRole,
    /// When it has signed that, by its own clock, Unix milliseconds.
    pub signed_at_ms: u64,
    /// What else it says of itself. Name and capabilities are covered by no signature.
    pub about: About,
}

impl Admitted {
    fn new(node: NodeId, key: PublicKey, signed_at_ms: u64, about: About) -> Self {
        let role = NodeRole::of_name(about.role.as_deref().unwrap_or_default());
        Self { node, key, role, signed_at_ms, about }
    }

    /// What it offers to others: nothing if it only looks on, whatever it advertises.
    #[must_use]
    pub fn capabilities(&self) -> &[String] {
        if self.role.is_target() { &self.about.capabilities } else { &[] }
    }
}

/// Who signed what, ready to be sent: id, key, signature.
struct Signed {
    device_id: String,
    public_key: String,
    signature: String,
}

impl Ourselves<'_> {
    fn sign(&self, nonce: &str, unix_ms: u64) -> Signed {
        let device_id = self.key.id().to_string();
        let text = SignedText {
            device_id: &device_id,
            signed_at_ms: unix_ms,
            nonce,
            mesh_id: self.about.mesh_id.as_deref(),
            role: self.about.role.as_deref(),
        };
        let signature = text.sign(self.key);
        Signed { device_id, public_key: key_text(&self.key.public()), signature }
    }
}

/// True unless both sides name a mesh and it is not the same.
fn is_same_mesh(ours: &About, theirs: &About) -> bool {
    ours.mesh_id.is_none() || theirs.mesh_id.is_none() || ours.mesh_id == theirs.mesh_id
}

/// The key in `text` if it belongs to `node` and is the pinned one where a key is pinned.
fn bound_key(text: &str, node: NodeId, trust: &PeerTrust) -> Option<PublicKey> {
    let key = crate::auth::key_of_node(text, node)?;
    match trust {
        PeerTrust::Unknown => None,
        PeerTrust::Trusted => Some(key),
        PeerTrust::Pinned(pinned) => (*pinned == key).then_some(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{SignedText, challenge_text, uuid_text};
    use crate::code::{Code, Refusal};
    use crate::connect::{ConnectAnswer, ConnectParams};
    use crate::frame::{Outcome, RemoteRefusal};
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::value::{RawValue, to_raw_value};

    const NOW: Moment = Moment { unix_ms: 1_730_000_000_000, elapsed: Duration::from_secs(5) };

    fn key(secret: u8) -> NodeKey {
        NodeKey::from_secret(&[secret; 32])
    }

    fn about(mesh: &str, role: &str) -> About {
        About { mesh_id: Some(mesh.to_owned()), role: Some(role.to_owned()), ..About::default() }
    }

    fn raw(value: &impl Serialize) -> Box<RawValue> {
        to_raw_value(value).unwrap()
    }

    fn everybody(_: NodeId) -> PeerTrust {
        PeerTrust::Trusted
    }

    /// Node 1 dials node 2; a test may change what travels.
    struct Meeting {
        listener: Listener,
        dialler: Dialler,
        ours: About,
        theirs: About,
    }

    impl Meeting {
        fn new() -> Self {
            let dialler = Dialler::new(key(2).id(), &everybody).unwrap();
            let (ours, theirs) = (about("m", "field"), about("m", "planner"));
            Self { listener: Listener::default(), dialler, ours, theirs }
        }

        fn params(&mut self) -> ConnectParams {
            let challenge = raw(&self.listener.challenge(&[7; 24], NOW));
            let (key, about) = (key(1), &self.ours);
            let ours = Ourselves { key: &key, about };
            self.dialler.challenged(&Ok(Some(&challenge)), ours, &[8; 16], NOW).unwrap()
        }

        fn listen(&mut self, params: &impl Serialize) -> Result<(Admitted, ConnectAnswer), Refusal> {
            self.listen_with(params, &everybody, NOW)
        }

        fn listen_with(
            &mut self,
            params: &impl Serialize,
            book: &impl PeerBook,
            now: Moment,
        ) -> Result<(Admitted, ConnectAnswer), Refusal> {
            let ours = Ourselves { key: &key(2), about: &self.theirs };
            self.listener.connect(Some(&raw(params)), ours, book, now)
        }

        fn hear(&mut self, outcome: &Outcome<'_>, book: &impl PeerBook) -> Result<Admitted, Close> {
            let ours = Ourselves { key: &key(1), about: &self.ours };
            self.dialler.answered(outcome, ours, book, NOW)
        }
    }

    /// Signs `params` anew with the key of `secret`, after a change.
    fn signed(mut params: ConnectParams, secret: u8) -> ConnectParams {
        params.signature = SignedText {
            device_id: &params.device_id,
            signed_at_ms: params.signed_at_ms,
            nonce: params.nonce.as_deref().unwrap_or_default(),
            mesh_id: params.about.mesh_id.as_deref(),
            role: params.about.role.as_deref(),
        }
        .sign(&key(secret));
        params
    }

    #[test]
    fn two_nodes_that_trust_each_other_know_each_other_after_three_messages() {
        let mut meeting = Meeting::new();
        let params = meeting.params();
        let (dialler, answer) = meeting.listen(&params).unwrap();
        assert_eq!((dialler.node, dialler.role), (key(1).id(), NodeRole::Field));
        assert_eq!(answer.nonce, params.client_nonce);
        let listener = meeting.hear(&Ok(Some(&raw(&answer))), &everybody).unwrap();
        assert_eq!((listener.node, listener.role), (key(2).id(), NodeRole::Planner));
        assert_eq!(meeting.listener.admitted(), Some(key(1).id()));
        let again = meeting.listen(&params).unwrap_err();
        assert_eq!(again.code, Code::InvalidParams, "an admitted connection stays who it is");
    }

    #[test]
    fn an_id_that_is_not_the_hash_of_the_key_is_a_mismatch_even_if_no_key_is_pinned() {
        let mut meeting = Meeting::new();
        let mut params = meeting.params();
        params.public_key = key_text(&key(3).public());
        let refusal = meeting.listen(&signed(params, 3)).unwrap_err();
        assert_eq!(refusal.code, Code::PublicKeyMismatch);

        let mut meeting = Meeting::new();
        let params = meeting.params();
        let (_, mut answer) = meeting.listen(&params).unwrap();
        answer.public_key = key_text(&key(3).public());
        let close = meeting.hear(&Ok(Some(&raw(&answer))), &everybody).unwrap_err();
        assert_eq!(close.reason, CloseReason::DeviceIdMismatch);
    }

    #[test]
    fn a_pinned_key_must_be_the_one_that_is_presented() {
        let pinned = |secret: u8| move |_: NodeId| PeerTrust::Pinned(key(secret).public());
        let mut meeting = Meeting::new();
        let params = meeting.params();
        let refusal = meeting.listen_with(&params, &pinned(9), NOW).unwrap_err();
        assert_eq!(refusal.code, Code::PublicKeyMismatch);
        let params = {
            meeting.dialler = Dialler::new(key(2).id(), &everybody).unwrap();
            meeting.params()
        };
        assert!(meeting.listen_with(&params, &pinned(1), NOW).is_ok());
    }

    #[test]
    fn who_is_trusted_no_longer_is_neither_dialled_nor_believed() {
        let nobody = |_: NodeId| PeerTrust::Unknown;
        assert_eq!(Dialler::new(key(2).id(), &nobody).unwrap_err().code, Code::UntrustedPeer);
        let mut meeting = Meeting::new();
        let params = meeting.params();
        let (_, answer) = meeting.listen(&params).unwrap();
        assert!(meeting.hear(&Ok(Some(&raw(&answer))), &nobody).is_err());
    }

    #[test]
    fn neither_side_signs_a_number_in_the_form_of_the_other() {
        let mut meeting = Meeting::new();
        let mut params = meeting.params();
        params.client_nonce = challenge_text(&[1; 24]);
        let refusal = meeting.listen(&params).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidParams);
        assert!(refusal.message.contains("`clientNonce`"), "{refusal}");

        let bad = raw(&ChallengeAnswer { nonce: uuid_text(&[1; 16]) });
        let mut dialler = Dialler::new(key(2).id(), &everybody).unwrap();
        let ours = Ourselves { key: &key(1), about: &About::default() };
        let close = dialler.challenged(&Ok(Some(&bad)), ours, &[0; 16], NOW).unwrap_err();
        assert_eq!(close.reason, CloseReason::ChallengeFailed);
    }

    #[test]
    fn an_answer_of_another_time_is_told_apart_from_a_bad_signature_and_closed_with_the_same_word() {
        let heard_by = |answer: &ConnectAnswer| {
            let mut meeting = Meeting::new();
            meeting.params();
            meeting.hear(&Ok(Some(&raw(answer))), &everybody).unwrap_err()
        };
        let mut meeting = Meeting::new();
        let params = meeting.params();
        let (_, answer) = meeting.listen(&params).unwrap();
        let late = ConnectAnswer { signed_at_ms: NOW.unix_ms - 300_001, ..answer.clone() };
        let (late, forged) =
            (heard_by(&late), heard_by(&ConnectAnswer { signed_at_ms: NOW.unix_ms - 1, ..answer }));
        assert_eq!((late.reason, forged.reason), (CloseReason::AnotherTime, CloseReason::SignatureMismatch));
        assert_eq!(late.reason.as_str(), forged.reason.as_str());
        assert!(late.sentence.contains("300 s away from our time"), "{}", late.sentence);
    }

    #[test]
    fn the_dialler_closes_with_the_reason_existing_nodes_use() {
        let refused = Err(RemoteRefusal { code: "BUSY".into(), message: "later".into() });
        let mut meeting = Meeting::new();
        let ours = Ourselves { key: &key(1), about: &About::default() };
        let mut dialler = Dialler::new(key(2).id(), &everybody).unwrap();
        let close = dialler.challenged(&refused, ours, &[0; 16], NOW).unwrap_err();
        assert_eq!(close.reason.as_str(), "mesh.challenge failed");
        let params = meeting.params();
        let (_, answer) = meeting.listen(&params).unwrap();
        let changed = |change: &dyn Fn(&mut ConnectAnswer)| {
            let mut changed = answer.clone();
            change(&mut changed);
            let mut meeting = Meeting::new();
            meeting.params();
            meeting.hear(&Ok(Some(&raw(&changed))), &everybody).unwrap_err().reason.as_str()
        };
        assert_eq!(changed(&|a| a.device_id = key(3).id().to_string()), "device ID mismatch");
        assert_eq!(changed(&|a| a.nonce = "other".into()), "unexpected connect response");
        assert_eq!(changed(&|a| a.signed_at_ms += 1), "signature mismatch");
        assert_eq!(changed(&|a| a.about.role = None), "signature mismatch");
        assert_eq!(changed(&|a| a.signature.clear()), "invalid response");
        assert_eq!(meeting.hear(&refused, &everybody).unwrap_err().reason.as_str(), "mesh.connect rejected");
        let twice = meeting.hear(&Ok(Some(&raw(&answer))), &everybody).unwrap_err();
        assert_eq!(twice.reason.as_str(), "unexpected connect response");
        let mut meeting = Meeting::new();
        meeting.params();
        assert_eq!(meeting.hear(&Ok(None), &everybody).unwrap_err().reason.as_str(), "invalid response");
    }

    #[test]
    fn meshes_are_compared_only_if_both_sides_name_one() {
        for (theirs, is_same) in [(Some("m"), true), (None, true), (Some("n"), false)] {
            let mut meeting = Meeting::new();
            meeting.theirs.mesh_id = theirs.map(str::to_owned);
            let params = meeting.params();
            assert_eq!(meeting.listen(&params).is_ok(), is_same, "{theirs:?}");
            let mut meeting = Meeting::new();
            let params = meeting.params();
            meeting.ours.mesh_id = theirs.map(str::to_owned);
            let (_, answer) = meeting.listen(&params).unwrap();
            let heard = meeting.hear(&Ok(Some(&raw(&answer))), &everybody);
            assert_eq!(heard.is_ok(), is_same, "{theirs:?}");
        }
    }

    #[test]
    fn a_viewer_offers_nothing_whatever_it_advertises() {
        let mut meeting = Meeting::new();
        meeting.ours = About { capabilities: vec!["actuator:pump".into()], ..about("m", "viewer") };
        let params = meeting.params();
        let (viewer, _) = meeting.listen(&params).unwrap();
        assert!(viewer.capabilities().is_empty() && viewer.about.capabilities.len() == 1);
    }

    proptest! {
        #[test]
        fn one_changed_character_of_what_is_signed_admits_nobody(at in 0_usize..5) {
            let mut meeting = Meeting::new();
            let mut params = meeting.params();
            match at {
                0 => params.device_id.replace_range(..1, "0"),
                1 => params.signed_at_ms += 1,
                2 => params.about.mesh_id = Some("n".into()),
                3 => params.about.role = None,
                _ => params.nonce = params.nonce.map(|nonce| nonce.replace('B', "C") + "x"),
            }
            prop_assert!(meeting.listen(&params).is_err());
        }

        #[test]
        fn no_json_panics_either_side(text in r#"(\{("(nonce|deviceId|publicKey)":("x"|1|null),?){0,3}\}|\[\]|1|"x")"#) {
            if let Ok(payload) = serde_json::from_str::<Box<RawValue>>(&text) {
                let mut meeting = Meeting::new();
                let ours = Ourselves { key: &key(2), about: &About::default() };
                let _ = meeting.listener.connect(Some(&payload), ours, &everybody, NOW);
                let _ = meeting.dialler.challenged(&Ok(Some(&payload)), ours, &[0; 16], NOW);
                let _ = meeting.hear(&Ok(Some(&payload)), &everybody);
            }
        }
    }
}
