//! The side that dials: asks for a challenge, signs it, and judges who has answered.

use std::fmt;

use clawmesh_authority::NodeId;

use super::{Admitted, Moment, Ourselves, PeerBook, PeerTrust, Signed, bound_key, is_same_mesh};
use crate::auth::{SignedText, is_uuid_shaped, uuid_text};
use crate::code::{Code, Refusal, timeless};
use crate::connect::{ConnectAnswer, ConnectParams, NONCE_BYTES_MAX, VERSION};
use crate::fields::Fields;
use crate::frame::Outcome;

/// The WebSocket close code of every failed handshake.
pub const CLOSE_CODE: u16 = 1008;

/// Why a dialler closes the connection, in the words existing nodes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// There was no challenge, or none we sign.
    ChallengeFailed,
    /// The listener has refused us.
    ConnectRejected,
    /// The answer is not in its form.
    InvalidResponse,
    /// Somebody else has answered, or somebody with another key.
    DeviceIdMismatch,
    /// The answer is not to the number we gave, or we have asked for nothing.
    UnexpectedResponse,
    /// The signature does not fit.
    SignatureMismatch,
    /// The signature was made at another time; existing nodes have the same word for both.
    AnotherTime,
    /// The listener is in another mesh.
    MeshIdMismatch,
}

/// The connection has to be closed with [`CLOSE_CODE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The reason that goes over the wire.
    pub reason: CloseReason,
    /// The same for the log: what happened and what to do.
    pub sentence: String,
}

/// The handshake of one connection that we have opened.
#[derive(Debug)]
pub struct Dialler {
    peer: NodeId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// We wait for a challenge.
    Asked,
    /// We wait for the answer that repeats this number.
    Signed { client_nonce: String },
    /// It is over, well or not.
    Over,
}

impl CloseReason {
    /// The text that goes over the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChallengeFailed => "mesh.challenge failed",
            Self::ConnectRejected => "mesh.connect rejected",
            Self::InvalidResponse => "invalid response",
            Self::DeviceIdMismatch => "device ID mismatch",
            Self::UnexpectedResponse => "unexpected connect response",
            Self::SignatureMismatch | Self::AnotherTime => "signature mismatch",
            Self::MeshIdMismatch => "mesh ID mismatch",
        }
    }
}

impl Close {
    fn new(reason: CloseReason, sentence: impl Into<String>) -> Self {
        Self { reason, sentence: sentence.into() }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.sentence)
    }
}

impl std::error::Error for Close {}

impl Dialler {
    /// Begins a handshake with `peer`; the next thing to send is `mesh.challenge` with `{}`.
    ///
    /// # Errors
    /// `UNTRUSTED_PEER`: who is not trusted is not dialled.
    pub fn new(peer: NodeId, book: &impl PeerBook) -> Result<Self, Refusal> {
        if book.trust(peer) == PeerTrust::Unknown {
            let sentence = format!("node {} is not trusted here; trust it first, by its id", peer.short());
            return Err(Refusal::new(Code::UntrustedPeer, sentence));
        }
        Ok(Self { peer, state: State::Asked })
    }

    /// Takes the answer to `mesh.challenge`; returns the parameters for `mesh.connect`.
    ///
    /// `random` becomes the number the listener has to sign.
    ///
    /// # Errors
    /// The reason to close.
    pub fn challenged(
        &mut self,
        outcome: &Outcome<'_>,
        ours: Ourselves<'_>,
        random: &[u8; 16],
        now: Moment,
    ) -> Result<ConnectParams, Close> {
        let State::Asked = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Close::new(
                CloseReason::UnexpectedResponse,
                "a challenge came that was not asked for",
            ));
        };
        let nonce = challenge_in(outcome)?;
        let client_nonce = uuid_text(random);
        let Signed { device_id, public_key, signature } = ours.sign(&nonce, now.unix_ms);
        self.state = State::Signed { client_nonce: client_nonce.clone() };
        Ok(ConnectParams {
            version: VERSION,
            device_id,
            public_key,
            signature,
            signed_at_ms: now.unix_ms,
            nonce: Some(nonce),
            client_nonce,
            about: ours.about.clone(),
        })
    }

    /// Takes the answer to `mesh.connect`; returns who it is.
    ///
    /// # Errors
    /// The reason to close.
    pub fn answered(
        &mut self,
        outcome: &Outcome<'_>,
        ours: Ourselves<'_>,
        book: &impl PeerBook,
        now: Moment,
    ) -> Result<Admitted, Close> {
        let State::Signed { client_nonce } = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Close::new(CloseReason::UnexpectedResponse, "an answer came that was not asked for"));
        };
        let payload = outcome.as_ref().map_err(|refusal| {
            let sentence =
                format!("node {} refused us: {}: {}", self.peer.short(), refusal.code, refusal.message);
            Close::new(CloseReason::ConnectRejected, sentence)
        })?;
        let answer = ConnectAnswer::read(*payload)
            .map_err(|refusal| Close::new(CloseReason::InvalidResponse, refusal.message))?;
        self.judge(answer, &client_nonce, ours, book, now)
    }

    fn judge(
        &self,
        answer: ConnectAnswer,
        client_nonce: &str,
        ours: Ourselves<'_>,
        book: &impl PeerBook,
        now: Moment,
    ) -> Result<Admitted, Close> {
        let peer = self.peer;
        if answer.device_id.parse() != Ok(peer) {
            let sentence =
                format!("we dialled {} and somebody else has answered; look at the peer spec", peer.short());
            return Err(Close::new(CloseReason::DeviceIdMismatch, sentence));
        }
        let Some(key) = bound_key(&answer.public_key, peer, &book.trust(peer)) else {
            let sentence =
                format!("who answers for {} has not its key, or it is trusted no longer", peer.short());
            return Err(Close::new(CloseReason::DeviceIdMismatch, sentence));
        };
        if answer.nonce != client_nonce {
            let sentence = format!("{} has answered another number than ours", peer.short());
            return Err(Close::new(CloseReason::UnexpectedResponse, sentence));
        }
        let text = SignedText {
            device_id: &answer.device_id,
            signed_at_ms: answer.signed_at_ms,
            nonce: client_nonce,
            mesh_id: answer.about.mesh_id.as_deref(),
            role: answer.about.role.as_deref(),
        };
        if now.unix_ms == 0 {
            return Err(Close::new(CloseReason::AnotherTime, timeless().message));
        }
        if !text.is_of_this_time(now.unix_ms) {
            let apart_s = now.unix_ms.abs_diff(answer.signed_at_ms) / 1_000;
            let sentence = format!(
                "{} has signed {apart_s} s away from our time, at most 300 s count; set the clocks",
                peer.short()
            );
            return Err(Close::new(CloseReason::AnotherTime, sentence));
        }
        if !text.is_signed_by(&key, &answer.signature) {
            let sentence = format!("the signature of {} does not fit", peer.short());
            return Err(Close::new(CloseReason::SignatureMismatch, sentence));
        }
        if !is_same_mesh(ours.about, &answer.about) {
            let sentence = format!("{} is in another mesh; give both the same mesh name", peer.short());
            return Err(Close::new(CloseReason::MeshIdMismatch, sentence));
        }
        Ok(Admitted::new(peer, key, answer.signed_at_ms, answer.about))
    }
}

fn challenge_in(outcome: &Outcome<'_>) -> Result<String, Close> {
    let failed = |sentence: String| Close::new(CloseReason::ChallengeFailed, sentence);
    let payload = outcome.as_ref().map_err(|refusal| {
        failed(format!("the listener gave no challenge: {}: {}", refusal.code, refusal.message))
    })?;
    let nonce = Fields::of_params(*payload, "the answer to mesh.challenge")
        .and_then(|fields| fields.required_text("nonce", NONCE_BYTES_MAX).map(|nonce| nonce.into_owned()))
        .map_err(|refusal| failed(refusal.message))?;
    // We are about to sign this number. In the form of a dialler's it may be one that a third node wants us to sign, and
    // our signature would let whoever answers here pose as us there.
    if is_uuid_shaped(&nonce) {
        return Err(failed("the challenge has the form of a dialler's number; we do not sign it".to_owned()));
    }
    Ok(nonce)
}
