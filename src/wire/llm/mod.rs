//! `llm.infer` and `llm.cancel`: one node asks the model of another one, and reads along while it answers.
//! Reads parameters, events and answers, what the model says, and the time, all as arguments. Writes chunks and answers to send.
//! Invariant: what a model has said is text for whoever asked; nothing here makes a context frame of it. Whoever does, makes one
//! of a kind and with a source that are shown as an inference whatever else they claim.
//! Not here: the model (`models`), the connection that carries it (`wire-link`).
//!
//! | side | reads | writes |
//! |---|---|---|
//! | serves | [`InferParams`], [`CancelParams`] | [`Chunk`] events, one [`Finished`] or refusal; for a cancel [`CancelAnswer`] |
//! | asks | [`Chunk`], [`Finished`] | [`InferParams`], [`CancelParams`] |

mod answer;
mod receiving;
mod request;
mod serving;

use std::time::Duration;

pub use answer::{CancelAnswer, Chunk, FinishReason, Finished, Usage};
pub use receiving::{Inferred, Receiving};
pub use request::{CancelParams, ChatMessage, ChatRole, InferParams};
pub use serving::{Asker, Ended, Finish, Serving, Stopped, Ticket};

/// The event that carries a part of an answer.
pub const CHUNK: &str = "llm.chunk";
/// The longest name of a model, in bytes.
pub const MODEL_BYTES_MAX: usize = 256;
/// The most messages of one request.
pub const MESSAGES_MAX: usize = 256;
/// The most text of all messages of one request, in bytes.
pub const CONTENT_BYTES_MAX: usize = 524_288;
/// The most tokens that can be asked for.
pub const TOKENS_MAX: u64 = 1_048_576;
/// The highest temperature that can be asked for; the lowest is 0.
pub const TEMPERATURE_MAX: f64 = 2.0;
/// The most text of one chunk, in bytes.
pub const DELTA_BYTES_MAX: usize = 8_192;
/// The most text of one whole answer, in bytes. Who serves ends it there as too long; who asks takes no more.
pub const ANSWER_BYTES_MAX: usize = 1_048_576;
/// How much may wait to be sent to whoever asked when the next chunk comes, in bytes.
pub const WAITING_BYTES_MAX: usize = 1_048_576;
/// How long one inference may take.
pub const INFER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long whoever asks waits for the end: a little longer, so that it hears `LLM_TIMEOUT` and not only silence.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(130);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{good, read};
    use crate::frame::{DATA_BYTES_MAX, MESSAGE_BYTES_MAX, encode_event};
    use crate::trust::{EvidenceSource, Word as _, tier_text};
    use clawmesh_authority::Tier;
    use serde_json::json;

    #[test]
    fn what_a_model_says_is_shown_as_an_inference_whatever_is_claimed_for_it() {
        let claim = |kind: &str, source: &str, tier: Tier| {
            let mut frame = good();
            frame["kind"] = json!(kind);
            frame["trust"] = json!({"evidence_sources": [source], "evidence_trust_tier": tier_text(tier)});
            read(&frame).unwrap().shown_tier()
        };
        for (tier, _) in Tier::ALL {
            for (_, source) in EvidenceSource::ALL {
                for kind in ["inference", "agent_response"] {
                    assert_eq!(claim(kind, source, *tier), Tier::T0, "{kind} of {source}, {tier:?}");
                }
            }
            for kind in ["observation", "event", "human_input", "capability_update"] {
                assert_eq!(claim(kind, "llm", *tier), Tier::T0, "{kind}, {tier:?}");
            }
        }
    }

    #[test]
    fn neither_a_chunk_nor_an_end_is_a_context_frame() {
        let chunk = Chunk { request_id: "r".into(), seq: 0, delta: "open the valve".into() };
        let finished = Finished { request_id: "r".into(), finish_reason: FinishReason::Stop, usage: None };
        for payload in [serde_json::to_value(&chunk).unwrap(), serde_json::to_value(&finished).unwrap()] {
            assert!(read(&payload).is_err(), "{payload}");
        }
    }

    #[test]
    fn what_is_within_our_bounds_fits_into_one_message() {
        const { assert!(CONTENT_BYTES_MAX < MESSAGE_BYTES_MAX && 6 * DELTA_BYTES_MAX < DATA_BYTES_MAX) };
        // A control character takes six bytes in JSON, and there is nothing that takes more.
        let delta = "\u{1}".repeat(DELTA_BYTES_MAX);
        assert!(encode_event(CHUNK, &Chunk { request_id: "r".into(), seq: 0, delta }).is_ok());
    }
}
