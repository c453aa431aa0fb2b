//! A refusal on the wire: a code for programs, one sentence for people.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($name:ident $text:literal $doc:literal;)*) => {
        /// Why something was refused. The texts are those of the protocol: programs match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $doc] $name,)* }

        impl Code {
            /// Every code, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    InvalidJson "INVALID_JSON" "The message is no JSON object we take.";
    MissingType "MISSING_TYPE" "The message does not say what it is.";
    InvalidType "INVALID_TYPE" "The message is neither `req` nor `res` nor `event`.";
    TooLarge "TOO_LARGE" "The message is larger than we take.";
    DataTooLarge "DATA_TOO_LARGE" "The payload of an event, or the data of a frame, is larger than we take.";
    UnknownMethod "UNKNOWN_METHOD" "There is no such method here.";
    InternalError "INTERNAL_ERROR" "We have failed, not the sender.";
    InvalidParams "INVALID_PARAMS" "A field is missing or makes no sense.";
    AuthNonceRequired "AUTH_NONCE_REQUIRED" "Whoever connects must sign a challenge of ours.";
    AuthNonceInvalid "AUTH_NONCE_INVALID" "The challenge is not the one this connection was given, or it is used or too old.";
    UntrustedPeer "UNTRUSTED_PEER" "The node is not trusted here.";
    PublicKeyMismatch "PUBLIC_KEY_MISMATCH" "The key is not the key of that node.";
    AuthFailed "AUTH_FAILED" "The signature does not fit, or it was made at another time.";
    ClockUntrusted "CLOCK_UNTRUSTED" "We do not know what time it is.";
    MeshIdMismatch "MESH_ID_MISMATCH" "The node is in another mesh.";
    NotAuthorized "NOT_AUTHORIZED" "Whoever asks has no right to this.";
    ApprovalRequired "APPROVAL_REQUIRED" "A person has to approve this first.";
    RateLimited "RATE_LIMITED" "Too much was asked in too short a time.";
    Busy "BUSY" "There is no room at the moment; try again.";
    LoopDetected "LOOP_DETECTED" "The message began here.";
    InvalidCommandEnvelope "INVALID_COMMAND_ENVELOPE" "The command is not in the form of version 1.";
    TrustEnvelopeMismatch "TRUST_ENVELOPE_MISMATCH" "The message and its command say different things about trust.";
    ActuationDeclarationRequired "ACTUATION_DECLARATION_REQUIRED" "Something for an actuator does not say that it is an actuation.";
    InvalidTrustPolicy "INVALID_TRUST_POLICY" "A word about trust is not one of the vocabulary.";
    TrustMetadataRequired "TRUST_METADATA_REQUIRED" "An actuation does not say on what it rests.";
    LlmOnlyActuationBlocked "LLM_ONLY_ACTUATION_BLOCKED" "Nothing but a language model, or nothing at all, speaks for the actuation.";
    InsufficientTrustTier "INSUFFICIENT_TRUST_TIER" "The evidence is of a lower tier than is needed.";
    VerificationRequired "VERIFICATION_REQUIRED" "The verification that is needed has not been given.";
    DeliveryFailed "DELIVERY_FAILED" "The message was allowed and could not be delivered.";
    Duplicate "DUPLICATE" "The same command was carried out before.";
    StopLatched "STOP_LATCHED" "The stop is latched; a person has to re-arm.";
    JournalUnavailable "JOURNAL_UNAVAILABLE" "The journal cannot commit, so nothing new is accepted.";
    NoPlanner "NO_PLANNER" "No planner is there to be asked.";
    NotFound "NOT_FOUND" "What was asked for is not there.";
    RemotePlannerError "REMOTE_PLANNER_ERROR" "The planner of another node has refused.";
    LlmBusy "LLM_BUSY" "The model answers somebody else.";
    LlmModelUnavailable "LLM_MODEL_UNAVAILABLE" "The model is not served here.";
    LlmTimeout "LLM_TIMEOUT" "The model has not answered in time.";
    LlmBackpressure "LLM_BACKPRESSURE" "Whoever asked does not read fast enough.";
    LlmCancelled "LLM_CANCELLED" "The inference was cancelled, or there is none.";
    NotConnected "NOT_CONNECTED" "There is no connection to that node.";
    SendFailed "SEND_FAILED" "The connection broke while we were sending.";
    Timeout "TIMEOUT" "The node has not answered in time.";
    PeerDisconnected "PEER_DISCONNECTED" "The connection ended before the answer came.";
}

impl Code {
    /// The code with this text; `None` for one we do not know.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The longest sentence of a refusal, in bytes; what is longer is cut.
pub const SENTENCE_BYTES_MAX: usize = 512;

/// One refusal, as it stands in `error` of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people: what happened and what to do, one sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal with `code`; a sentence longer than [`SENTENCE_BYTES_MAX`] is cut.
    #[must_use]
    pub fn new(code: Code, sentence: impl Into<String>) -> Self {
        let mut message = sentence.into();
        cut(&mut message, SENTENCE_BYTES_MAX);
        Self { code, message }
    }
}

/// What is refused while this node does not know the time.
#[must_use]
pub fn timeless() -> Refusal {
    let sentence = "this node does not know what time it is; `clawmesh status` there says why, send it again when it knows";
    Refusal::new(Code::ClockUntrusted, sentence)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut error = to.serialize_struct("Refusal", 2)?;
        error.serialize_field("code", self.code.as_str())?;
        error.serialize_field("message", &self.message)?;
        error.end()
    }
}

/// Cuts `text` to at most `bytes_max` bytes, between two characters.
pub(crate) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
}

/// The most characters of what somebody sent that we say back to them.
const QUOTED_CHARACTERS_MAX: usize = 40;

/// What somebody sent, in quotes, without control characters and not at length.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut begin: String = text.chars().take(QUOTED_CHARACTERS_MAX).collect();
    if begin.len() < text.len() {
        begin.push('…');
    }
    format!("{begin:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_text_of_its_own_and_is_found_by_it() {
        for code in Code::ALL {
            assert_eq!(Code::of_text(code.as_str()), Some(*code));
            assert!(code.as_str().chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{code}");
        }
        assert_eq!(Code::of_text("invalid_json"), None);
    }

    #[test]
    fn codes_that_our_own_refusals_share_with_the_wire_have_the_same_text() {
        let ours: Vec<&str> =
            clawmesh_authority::refusal::Code::ALL.iter().map(|code| code.as_str()).collect();
        for shared in
            [Code::UntrustedPeer, Code::NotAuthorized, Code::StopLatched, Code::Duplicate, Code::Busy]
        {
            assert!(ours.contains(&shared.as_str()), "{shared}");
        }
    }

    #[test]
    fn a_refusal_is_a_code_and_one_sentence_of_bounded_length() {
        let refusal = Refusal::new(Code::Busy, "the inbox is full; try again");
        assert_eq!(
            serde_json::to_string(&refusal).unwrap(),
            r#"{"code":"BUSY","message":"the inbox is full; try again"}"#
        );
        assert_eq!(Refusal::new(Code::Busy, "é".repeat(400)).message.len(), SENTENCE_BYTES_MAX);
        let shown = quoted(&format!("\u{1b}[2J{}", "x".repeat(100)));
        assert!(shown.len() < 70 && !shown.contains('\u{1b}'), "{shown}");
    }
}
