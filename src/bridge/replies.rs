//! Answers to queries. Signing one takes time and a full link may take its own, so neither zenoh's threads nor
//! the journal's send one: they leave it here. An answer that finds the link full is dropped (see `session`), or
//! whoever asks and does not read would keep everybody else waiting.

use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::envelope::Receipt;
use clawmesh_authority::hlc::OWN_CLOCK;
use clawmesh_authority::{Code, ContentHash, NodeId, Refusal};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use serde::{Deserialize, Serialize};
use zenoh::Wait;
use zenoh::query::Query;

use crate::edge::Edge;

/// Answers that may wait. One more is dropped: the asking node hears nothing in time and asks again.
pub const REPLIES_MAX: usize = 1_024;

/// How often a thread looks whether it should stop.
pub const STOP_POLL: Duration = Duration::from_millis(100);

/// An answer and the query it belongs to.
pub struct Reply {
    /// The query.
    pub query: Query,
    /// What to say.
    pub answer: Answer,
}

/// What to say.
pub enum Answer {
    /// The journal holds this.
    Held(Receipt),
    /// Nothing of the asking node has been heard.
    Nothing,
    /// What time it is, read when it is signed.
    Time {
        /// Who asks.
        to: NodeId,
        /// The number of the question.
        nonce: [u8; 16],
    },
    /// No, and why.
    Refused(Refusal),
    /// What this node answers as the owner, signed.
    Signed {
        /// The name of what was asked.
        to: ContentHash,
        /// Yes, or no and why.
        answer: clawmesh_authority::Answer,
    },
}

/// A refusal as the asking node sees it. It is not signed: whoever reads it may act on it, not prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalText {
    /// The code.
    pub code: String,
    /// The sentence.
    pub sentence: String,
}

impl RefusalText {
    /// The code, if this version knows it.
    pub fn known_code(&self) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == self.code)
    }
}

/// Reads a refusal of somebody.
pub fn refusal_text(bytes: &[u8]) -> Option<RefusalText> {
    serde_json::from_slice(bytes).ok()
}

/// Sends answers until the bridge stops.
pub fn send_replies(edge: &Arc<Edge>, replies: &Receiver<Reply>) {
    while !edge.is_stopping() {
        match replies.recv_timeout(STOP_POLL) {
            Ok(reply) => send(edge, reply),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn send(edge: &Edge, Reply { query, answer }: Reply) {
    let sent = match answer {
        Answer::Held(receipt) => query.reply(query.key_expr(), edge.seal_receipt(receipt)).wait(),
        Answer::Nothing => query.reply(query.key_expr(), Vec::new()).wait(),
        Answer::Time { to, nonce } => match edge.seal_time(to, nonce) {
            Some(bytes) => query.reply(query.key_expr(), bytes).wait(),
            None => query.reply_err(text_of(not_yet())).wait(),
        },
        Answer::Refused(refusal) => query.reply_err(text_of(refusal)).wait(),
        Answer::Signed { to, answer } => query.reply(query.key_expr(), edge.seal_answer(to, &answer)).wait(),
    };
    if let Err(fault) = sent {
        tracing::debug!(%fault, "an answer did not leave; the asking node will ask again");
    }
}

fn not_yet() -> Refusal {
    let sentence =
        "nothing shows yet that the clock here is right; ask again, or say there how its clock is kept";
    Refusal::new(Code::ClockUntrusted, OWN_CLOCK, sentence)
}

fn text_of(refusal: Refusal) -> Vec<u8> {
    let text = RefusalText { code: refusal.code.to_string(), sentence: refusal.sentence };
    // Two strings always have a JSON form.
    serde_json::to_vec(&text).unwrap_or_default()
}
