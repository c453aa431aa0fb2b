//! What comes back: parts of the text, one after the other, and the end.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{CHUNK, DELTA_BYTES_MAX};
use crate::code::{Code, Refusal};
use crate::fields::Fields;
use crate::frame::ID_BYTES_MAX;
use crate::trust::{Word, text_of_word};

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// Of which inference.
    pub request_id: String,
    /// Its place, from 0 on without a gap.
    pub seq: u64,
    /// The text, at most [`DELTA_BYTES_MAX`] bytes.
    pub delta: String,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FinishReason {
    /// The model has said all.
    Stop,
    /// It has said as much as it may.
    Length,
    /// Whoever asked wants no more.
    Cancelled,
}

impl Word for FinishReason {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Stop, "stop"), (Self::Length, "length"), (Self::Cancelled, "cancelled")];
}

impl Serialize for FinishReason {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text_of_word(*self))
    }
}

/// What an inference has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens that the model has read.
    pub input_tokens: u64,
    /// Tokens that it has written.
    pub output_tokens: u64,
    /// Both, where the model counts them itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// Tokens that it had read before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Tokens that it will not have to read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
}

/// The end of an answer: what the call of `llm.infer` is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// Of which inference.
    pub request_id: String,
    /// Why it ends.
    pub finish_reason: FinishReason,
    /// What it has used, where the model says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What the call of `llm.cancel` is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelAnswer {
    /// Which inference.
    pub request_id: String,
    /// Always true; a cancel that ended nothing is refused.
    pub cancelled: bool,
}

impl Chunk {
    /// Reads the payload of [`CHUNK`].
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(payload: Option<&RawValue>) -> Result<Self, Refusal> {
        let fields = Fields::of_params(payload, CHUNK)?;
        let delta = fields.text("delta", DELTA_BYTES_MAX)?;
        Ok(Self {
            request_id: fields.required_text("requestId", ID_BYTES_MAX)?.into_owned(),
            seq: fields.required_whole_number("seq")?,
            delta: delta.ok_or_else(|| fields.wrong("delta", "is missing"))?.into_owned(),
        })
    }
}

impl Finished {
    /// Reads the answer to `llm.infer`.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(payload: Option<&RawValue>) -> Result<Self, Refusal> {
        let fields = Fields::of_params(payload, "the answer to llm.infer")?;
        let reason = FinishReason::of_text(&fields.required_text("finishReason", ID_BYTES_MAX)?);
        let must = || fields.wrong("finishReason", "must be stop, length or cancelled");
        Ok(Self {
            request_id: fields.required_text("requestId", ID_BYTES_MAX)?.into_owned(),
            finish_reason: reason.ok_or_else(must)?,
            usage: fields.raw("usage").map(usage).transpose()?,
        })
    }
}

fn usage(raw: &RawValue) -> Result<Usage, Refusal> {
    let fields = Fields::read(raw, "`usage` of llm.infer", Code::InvalidParams)?;
    Ok(Usage {
        input_tokens: fields.required_whole_number("inputTokens")?,
        output_tokens: fields.required_whole_number("outputTokens")?,
        total_tokens: fields.whole_number("totalTokens")?,
        cache_read_tokens: fields.whole_number("cacheReadTokens")?,
        cache_write_tokens: fields.whole_number("cacheWriteTokens")?,
    })
}

/// Takes the first `bytes_max` bytes of `text`, or a little less: never a part of a character.
pub(super) fn take_piece<'a>(text: &mut &'a str, bytes_max: usize) -> &'a str {
    let (piece, rest) = text.split_at(text.floor_char_boundary(bytes_max));
    *text = rest;
    piece
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json, value::to_raw_value};

    fn chunk(payload: &Value) -> Result<Chunk, Refusal> {
        Chunk::read(Some(&to_raw_value(payload).unwrap()))
    }

    fn finished(payload: &Value) -> Result<Finished, Refusal> {
        Finished::read(Some(&to_raw_value(payload).unwrap()))
    }

    #[test]
    fn what_is_sent_is_read_as_it_was_meant() {
        let sent = json!({"requestId": "r", "seq": 0, "delta": ""});
        assert_eq!(serde_json::to_value(chunk(&sent).unwrap()).unwrap(), sent);
        for sent in [
            json!({"requestId": "r", "finishReason": "cancelled"}),
            json!({"requestId": "r", "finishReason": "length", "usage": {
                "inputTokens": 1, "outputTokens": 2, "totalTokens": 3, "cacheReadTokens": 4, "cacheWriteTokens": 5,
            }}),
        ] {
            assert_eq!(serde_json::to_value(finished(&sent).unwrap()).unwrap(), sent);
        }
    }

    #[test]
    fn every_wrong_field_is_refused_by_its_name() {
        for (payload, named) in [
            (json!({"seq": 0, "delta": "x"}), "`requestId`"),
            (json!({"requestId": "r", "delta": "x"}), "`seq`"),
            (json!({"requestId": "r", "seq": -1, "delta": "x"}), "`seq`"),
            (json!({"requestId": "r", "seq": 0}), "`delta`"),
            (json!({"requestId": "r", "seq": 0, "delta": "x".repeat(DELTA_BYTES_MAX + 1)}), "`delta`"),
        ] {
            let refusal = chunk(&payload).unwrap_err();
            assert!(refusal.code == Code::InvalidParams && refusal.message.contains(named), "{refusal}");
        }
        for (payload, named) in [
            (json!({"finishReason": "stop"}), "`requestId`"),
            (json!({"requestId": "r"}), "`finishReason`"),
            (json!({"requestId": "r", "finishReason": "tired"}), "`finishReason`"),
            (
                json!({"requestId": "r", "finishReason": "stop", "usage": {"inputTokens": 1}}),
                "`outputTokens`",
            ),
        ] {
            let refusal = finished(&payload).unwrap_err();
            assert!(refusal.code == Code::InvalidParams && refusal.message.contains(named), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_short_whole_characters_and_together_the_text(text in "[a-zé€🌱]{0,40}", bytes_max in 4_usize..12) {
            let (mut rest, mut together) = (&*text, String::new());
            while !rest.is_empty() {
                let piece = take_piece(&mut rest, bytes_max);
                prop_assert!((1..=bytes_max).contains(&piece.len()));
                together.push_str(piece);
            }
            prop_assert_eq!(together, text);
        }
    }
}
