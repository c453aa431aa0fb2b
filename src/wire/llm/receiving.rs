//! The side that asks: puts the chunks together, and takes nothing that does not fit.
//!
//! It belongs to one question on one connection, as a call does: chunks and the end count only from there.

use super::{ANSWER_BYTES_MAX, CHUNK, Chunk, FinishReason, Finished, Usage};
use crate::code::{Code, Refusal, quoted};
use crate::frame::Outcome;

/// A whole answer. It is what a model has said, and nothing that anybody has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inferred {
    /// What it has said.
    pub text: String,
    /// Why it ends there.
    pub finish_reason: FinishReason,
    /// What it has used, as the other node says.
    pub usage: Option<Usage>,
}

/// An answer on its way to us.
#[derive(Debug)]
pub struct Receiving {
    request_id: String,
    next_seq: u64,
    text: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// A part is wrong or missing. A text with a hole may say the opposite, so there will be no answer.
    Spoiled(Refusal),
    Closed,
}

impl Receiving {
    /// Waits for the answer to the question with this name.
    #[must_use]
    pub fn new(request_id: impl Into<String>) -> Self {
        Self { request_id: request_id.into(), next_seq: 0, text: String::new(), state: State::Open }
    }

    /// What has come so far, for people who read along.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// `LLM_CANCELLED` for a part of another question, or after the end: nothing changes. `INVALID_PARAMS` for a gap or a
    /// repeat, `TOO_LARGE` beyond [`ANSWER_BYTES_MAX`]: the answer is spoiled; cancel the question.
    pub fn hear(&mut self, chunk: &Chunk) -> Result<(), Refusal> {
        self.open_to(&chunk.request_id)?;
        if chunk.seq != self.next_seq {
            let (due, came) = (self.next_seq, chunk.seq);
            let sentence =
                format!("{CHUNK}: `seq` must be {due}, not {came}; the answer is spoiled, ask anew");
            return Err(self.spoil(Refusal::new(Code::InvalidParams, sentence)));
        }
        if self.text.len() + chunk.delta.len() > ANSWER_BYTES_MAX {
            let sentence =
                format!("an answer has at most {ANSWER_BYTES_MAX} bytes, this one has more; ask for less");
            return Err(self.spoil(Refusal::new(Code::TooLarge, sentence)));
        }
        self.text.push_str(&chunk.delta);
        self.next_seq += 1;
        Ok(())
    }

    /// Takes the end.
    ///
    /// # Errors
    /// `LLM_CANCELLED` for the end of another question or a second one; what has spoiled the answer before.
    pub fn finish(&mut self, finished: &Finished) -> Result<Inferred, Refusal> {
        self.open_to(&finished.request_id)?;
        self.state = State::Closed;
        let text = std::mem::take(&mut self.text);
        Ok(Inferred { text, finish_reason: finished.finish_reason, usage: finished.usage })
    }

    /// Takes what the call of `llm.infer` was answered with; after that nothing more is taken.
    ///
    /// # Errors
    /// As [`Receiving::finish`]; `INVALID_PARAMS` for an end that cannot be read; the refusal of the other side, as
    /// `INTERNAL_ERROR` when we do not know its code.
    pub fn answered(&mut self, outcome: &Outcome<'_>) -> Result<Inferred, Refusal> {
        let read = match outcome {
            Ok(payload) => Finished::read(*payload),
            Err(remote) => {
                let code = Code::of_text(&remote.code).unwrap_or(Code::InternalError);
                Err(Refusal::new(code, remote.message.clone()))
            }
        };
        let inferred = read.and_then(|finished| self.finish(&finished));
        self.state = State::Closed;
        inferred
    }

    fn open_to(&self, request_id: &str) -> Result<(), Refusal> {
        match &self.state {
            _ if request_id != self.request_id => {
                let sentence = format!("we have not asked {} there", quoted(request_id));
                Err(Refusal::new(Code::LlmCancelled, sentence))
            }
            State::Open => Ok(()),
            State::Spoiled(refusal) => Err(refusal.clone()),
            State::Closed => {
                Err(Refusal::new(Code::LlmCancelled, "the answer is complete; nothing comes after its end"))
            }
        }
    }

    fn spoil(&mut self, refusal: Refusal) -> Refusal {
        self.text = String::new();
        self.state = State::Spoiled(refusal.clone());
        refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::RemoteRefusal;
    use crate::llm::DELTA_BYTES_MAX;
    use proptest::prelude::*;
    use serde_json::{json, value::to_raw_value};

    fn chunk(seq: u64, delta: &str) -> Chunk {
        Chunk { request_id: "r".into(), seq, delta: delta.into() }
    }

    fn end(request_id: &str) -> Finished {
        Finished { request_id: request_id.into(), finish_reason: FinishReason::Stop, usage: None }
    }

    #[test]
    fn a_gap_and_a_repeat_spoil_the_whole_answer() {
        for seq in [0, 2, u64::MAX] {
            let mut receiving = Receiving::new("r");
            receiving.hear(&chunk(0, "do not ")).unwrap();
            let refusal = receiving.hear(&chunk(seq, "open")).unwrap_err();
            assert!(refusal.code == Code::InvalidParams && refusal.message.contains("`seq`"), "{refusal}");
            assert_eq!(receiving.hear(&chunk(1, "wait")).unwrap_err(), refusal, "it stays spoiled");
            assert_eq!((receiving.finish(&end("r")).unwrap_err(), receiving.text()), (refusal, ""));
        }
        assert_eq!(Receiving::new("r").hear(&chunk(1, "x")).unwrap_err().code, Code::InvalidParams);
    }

    #[test]
    fn what_belongs_to_another_question_changes_nothing() {
        let mut receiving = Receiving::new("r");
        receiving.hear(&chunk(0, "hel")).unwrap();
        let foreign = Chunk { request_id: "s".into(), ..chunk(1, "p") };
        assert_eq!(receiving.hear(&foreign).unwrap_err().code, Code::LlmCancelled);
        assert_eq!(receiving.finish(&end("s")).unwrap_err().code, Code::LlmCancelled);
        receiving.hear(&chunk(1, "lo")).unwrap();
        assert_eq!(receiving.finish(&end("r")).unwrap().text, "hello");
    }

    #[test]
    fn the_end_is_the_end() {
        let mut receiving = Receiving::new("r");
        receiving.hear(&chunk(0, "hello")).unwrap();
        receiving.finish(&end("r")).unwrap();
        assert_eq!(receiving.hear(&chunk(1, "!")).unwrap_err().code, Code::LlmCancelled);
        assert_eq!(receiving.finish(&end("r")).unwrap_err().code, Code::LlmCancelled);
    }

    #[test]
    fn more_than_the_bound_is_not_kept() {
        let (mut receiving, delta) = (Receiving::new("r"), "x".repeat(DELTA_BYTES_MAX));
        for seq in 0..(ANSWER_BYTES_MAX / DELTA_BYTES_MAX) as u64 {
            receiving.hear(&chunk(seq, &delta)).unwrap();
        }
        let last = (ANSWER_BYTES_MAX / DELTA_BYTES_MAX) as u64;
        assert_eq!(receiving.hear(&chunk(last, "x")).unwrap_err().code, Code::TooLarge);
        assert_eq!(receiving.text(), "");
    }

    #[test]
    fn the_answer_of_the_call_closes_it_whatever_it_is() {
        let good = to_raw_value(&end("r")).unwrap();
        let bad = to_raw_value(&json!({"requestId": "r"})).unwrap();
        let refused = |code: &str| Err(RemoteRefusal { code: code.into(), message: "no".into() });
        for (outcome, code) in [
            (Ok(Some(&*good)), None),
            (Ok(Some(&*bad)), Some(Code::InvalidParams)),
            (Ok(None), Some(Code::InvalidParams)),
            (refused("LLM_TIMEOUT"), Some(Code::LlmTimeout)),
            (refused("NEW_CODE"), Some(Code::InternalError)),
        ] {
            let mut receiving = Receiving::new("r");
            receiving.hear(&chunk(0, "hello")).unwrap();
            assert_eq!(receiving.answered(&outcome).err().map(|refusal| refusal.code), code);
            assert_eq!(receiving.hear(&chunk(1, "!")).unwrap_err().code, Code::LlmCancelled);
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_the_chunks_in_order_or_nothing(seqs in prop::collection::vec(0_u64..4, 0..8)) {
            let mut receiving = Receiving::new("r");
            for seq in &seqs {
                let _ = receiving.hear(&chunk(*seq, &seq.to_string()));
            }
            let is_in_order = seqs.iter().copied().eq(0..seqs.len() as u64);
            let text: String = seqs.iter().map(u64::to_string).collect();
            prop_assert_eq!(receiving.finish(&end("r")).ok().map(|inferred| inferred.text), is_in_order.then_some(text));
        }
    }
}
