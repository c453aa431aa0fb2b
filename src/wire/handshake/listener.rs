//! The side that was dialled: gives a challenge, and judges what comes back, in the order existing nodes expect.

use clawmesh_authority::NodeId;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Admitted, Moment, Ourselves, PeerBook, PeerTrust, Signed, bound_key, is_same_mesh};
use crate::auth::{CHALLENGE_BYTES, SignedText, is_challenge_shaped};
use crate::challenge::Challenge;
use crate::code::{Code, Refusal, quoted, timeless};
use crate::connect::{ConnectAnswer, ConnectParams};

/// The answer to `mesh.challenge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChallengeAnswer {
    /// The number to sign.
    pub nonce: String,
}

/// The handshake of one connection that was opened by the other side.
#[derive(Debug, Default)]
pub struct Listener {
    challenge: Challenge,
    admitted: Option<NodeId>,
}

impl Listener {
    /// Answers `mesh.challenge` with a number made of `random`; an earlier one is void.
    pub fn challenge(&mut self, random: &[u8; CHALLENGE_BYTES], now: Moment) -> ChallengeAnswer {
        ChallengeAnswer { nonce: self.challenge.issue(random, now.elapsed) }
    }

    /// Who was admitted on this connection.
    #[must_use]
    pub fn admitted(&self) -> Option<NodeId> {
        self.admitted
    }

    /// Judges `mesh.connect`. After a refusal the connection may try again; one that is admitted stays who it is.
    ///
    /// # Errors
    /// The first of these that applies: `INVALID_PARAMS`, `AUTH_NONCE_REQUIRED`, `AUTH_NONCE_INVALID`, `UNTRUSTED_PEER`,
    /// `PUBLIC_KEY_MISMATCH`, `AUTH_FAILED`, `MESH_ID_MISMATCH`.
    pub fn connect(
        &mut self,
        params: Option<&RawValue>,
        ours: Ourselves<'_>,
        book: &impl PeerBook,
        now: Moment,
    ) -> Result<(Admitted, ConnectAnswer), Refusal> {
        let params = ConnectParams::read(params)?;
        self.open_to(&params)?;
        let required =
            || Refusal::new(Code::AuthNonceRequired, "`nonce` is missing; ask for a challenge and sign it");
        let nonce = params.nonce.as_deref().ok_or_else(required)?;
        self.challenge.consume(nonce, now.elapsed)?;
        let admitted = judge_signer(&params, nonce, ours, book, now)?;
        self.admitted = Some(admitted.node);
        Ok((admitted, answer(&params.client_nonce, ours, now)))
    }

    fn open_to(&self, params: &ConnectParams) -> Result<(), Refusal> {
        if self.admitted.is_some() {
            let sentence = "this connection is admitted already; open another one for another node";
            return Err(Refusal::new(Code::InvalidParams, sentence));
        }
        // We are about to sign this number. In the form of a challenge it may be one that a third node gave out, and
        // our signature would let whoever asks in there as us.
        if is_challenge_shaped(&params.client_nonce) {
            let sentence = "mesh.connect: `clientNonce` has the form of a challenge; send a UUID";
            return Err(Refusal::new(Code::InvalidParams, sentence));
        }
        Ok(())
    }
}

fn judge_signer(
    params: &ConnectParams,
    nonce: &str,
    ours: Ourselves<'_>,
    book: &impl PeerBook,
    now: Moment,
) -> Result<Admitted, Refusal> {
    let untrusted = || {
        let sentence =
            format!("{} is not trusted here; trust it first, by its id", quoted(&params.device_id));
        Refusal::new(Code::UntrustedPeer, sentence)
    };
    // What is no id at all cannot be on any list.
    let node: NodeId = params.device_id.parse().map_err(|_| untrusted())?;
    let trust = book.trust(node);
    if trust == PeerTrust::Unknown {
        return Err(untrusted());
    }
    // The id is a pin by itself, whether or not a key is pinned as well, so a key with another hash is a mismatch of keys
    // and not only a bad signature; and nothing is computed for it.
    let Some(key) = bound_key(&params.public_key, node, &trust) else {
        let sentence = format!("`publicKey` is not the key of node {}", node.short());
        return Err(Refusal::new(Code::PublicKeyMismatch, sentence));
    };
    let text = SignedText {
        device_id: &params.device_id,
        signed_at_ms: params.signed_at_ms,
        nonce,
        mesh_id: params.about.mesh_id.as_deref(),
        role: params.about.role.as_deref(),
    };
    if now.unix_ms == 0 {
        return Err(timeless());
    }
    if !text.is_of_this_time(now.unix_ms) {
        let apart_s = now.unix_ms.abs_diff(params.signed_at_ms) / 1_000;
        let sentence =
            format!("it was signed {apart_s} s away from our time, at most 300 s count; set the clocks");
        return Err(Refusal::new(Code::AuthFailed, sentence));
    }
    if !text.is_signed_by(&key, &params.signature) {
        let sentence = "the signature does not fit key, time, challenge, mesh and role";
        return Err(Refusal::new(Code::AuthFailed, sentence));
    }
    if !is_same_mesh(ours.about, &params.about) {
        let sentence = "the node is in another mesh; give both the same mesh name";
        return Err(Refusal::new(Code::MeshIdMismatch, sentence));
    }
    Ok(Admitted::new(node, key, params.signed_at_ms, params.about.clone()))
}

fn answer(client_nonce: &str, ours: Ourselves<'_>, now: Moment) -> ConnectAnswer {
    let Signed { device_id, public_key, signature } = ours.sign(client_nonce, now.unix_ms);
    ConnectAnswer {
        device_id,
        public_key,
        signature,
        signed_at_ms: now.unix_ms,
        nonce: client_nonce.to_owned(),
        about: ours.about.clone(),
    }
}
