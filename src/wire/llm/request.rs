//! What is asked of a model, and that it shall stop.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{CONTENT_BYTES_MAX, MESSAGES_MAX, MODEL_BYTES_MAX, TEMPERATURE_MAX, TOKENS_MAX};
use crate::code::{Code, Refusal};
use crate::fields::Fields;
use crate::frame::ID_BYTES_MAX;
use crate::trust::{Word, text_of_word};

/// Who has said a message of a talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChatRole {
    /// Whoever set the model to its work.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Word for ChatRole {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::System, "system"), (Self::User, "user"), (Self::Assistant, "assistant")];
}

impl Serialize for ChatRole {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text_of_word(*self))
    }
}

/// One message of a talk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChatMessage {
    /// Who has said it.
    pub role: ChatRole,
    /// What; it may be empty.
    pub content: String,
}

/// What is asked for with `llm.infer`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InferParams {
    /// The name of this inference, by whoever asks.
    pub request_id: String,
    /// Which model, as the node that serves it names it.
    pub model: String,
    /// The talk so far; never empty.
    pub messages: Vec<ChatMessage>,
    /// The most tokens of the answer, 1 to [`TOKENS_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// How freely the model chooses, 0 to [`TEMPERATURE_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

/// What is asked for with `llm.cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelParams {
    /// Which inference.
    pub request_id: String,
}

impl InferParams {
    /// Reads the parameters. A number of tokens that is not whole is rounded down, as existing nodes do.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let fields = Fields::of_params(params, "llm.infer")?;
        Ok(Self {
            request_id: fields.required_text("requestId", ID_BYTES_MAX)?.into_owned(),
            model: fields.required_text("model", MODEL_BYTES_MAX)?.into_owned(),
            messages: messages(&fields)?,
            max_tokens: max_tokens(&fields)?,
            temperature: temperature(&fields)?,
        })
    }
}

impl CancelParams {
    /// Reads the parameters.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let fields = Fields::of_params(params, "llm.cancel")?;
        Ok(Self { request_id: fields.required_text("requestId", ID_BYTES_MAX)?.into_owned() })
    }
}

fn messages(fields: &Fields<'_>) -> Result<Vec<ChatMessage>, Refusal> {
    let raw = fields.raw("messages").ok_or_else(|| fields.wrong("messages", "is missing"))?;
    let list: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| fields.wrong("messages", "must be a list"))?;
    if !(1..=MESSAGES_MAX).contains(&list.len()) {
        let must = format_args!("has 1 to {MESSAGES_MAX} messages, not {}", list.len());
        return Err(fields.wrong("messages", must));
    }
    let read = |(at, raw)| message(fields, at, raw);
    let messages: Vec<ChatMessage> = list.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
    if bytes > CONTENT_BYTES_MAX {
        let must = format_args!("has at most {CONTENT_BYTES_MAX} bytes of content in all, not {bytes}");
        return Err(fields.wrong("messages", must));
    }
    Ok(messages)
}

fn message(fields: &Fields<'_>, at: usize, raw: &RawValue) -> Result<ChatMessage, Refusal> {
    let wrong = |name: &str, must: &str| fields.wrong(&format!("messages[{at}]{name}"), must);
    let message = Fields::read(raw, "a message", Code::InvalidParams)
        .map_err(|_| wrong("", "must be a JSON object without a key that stands twice"))?;
    let role = message.text("role", ID_BYTES_MAX).ok().flatten();
    let role = role.and_then(|text| ChatRole::of_text(&text));
    let content = message.text("content", CONTENT_BYTES_MAX).ok().flatten();
    Ok(ChatMessage {
        role: role.ok_or_else(|| wrong(".role", "must be system, user or assistant"))?,
        content: content
            .ok_or_else(|| wrong(".content", "must be a text that is not too long"))?
            .into_owned(),
    })
}

fn max_tokens(fields: &Fields<'_>) -> Result<Option<u64>, Refusal> {
    let Some(number) = fields.number("maxTokens")? else { return Ok(None) };
    let floor = number.floor();
    #[expect(clippy::cast_precision_loss, reason = "the bound is a power of two")]
    if !(1.0..=TOKENS_MAX as f64).contains(&floor) {
        return Err(fields.wrong("maxTokens", format_args!("must be from 1 to {TOKENS_MAX}")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and in range, see above"
    )]
    let tokens = floor as u64;
    Ok(Some(tokens))
}

fn temperature(fields: &Fields<'_>) -> Result<Option<f64>, Refusal> {
    let Some(number) = fields.number("temperature")? else { return Ok(None) };
    let must = || fields.wrong("temperature", format_args!("must be from 0 to {TEMPERATURE_MAX}"));
    (0.0..=TEMPERATURE_MAX).contains(&number).then_some(Some(number)).ok_or_else(must)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json, value::to_raw_value};

    fn good() -> Value {
        json!({
            "requestId": "r-1", "model": "openai/gpt", "messages": [
                {"role": "system", "content": ""}, {"role": "user", "content": "how dry is it?"},
            ],
            "maxTokens": 12, "temperature": 0.5,
        })
    }

    fn read(params: &Value) -> Result<InferParams, Refusal> {
        InferParams::read(Some(&to_raw_value(params).unwrap()))
    }

    fn with(name: &str, value: Value) -> Value {
        let mut params = good();
        params[name] = value;
        params
    }

    #[test]
    fn what_we_ask_is_read_as_we_meant_it() {
        let params = read(&good()).unwrap();
        assert_eq!((params.messages.len(), params.messages[1].role), (2, ChatRole::User));
        assert_eq!(serde_json::to_value(&params).unwrap(), good());
        let bare = read(&with("maxTokens", Value::Null)).unwrap();
        assert_eq!((bare.max_tokens, bare.temperature), (None, Some(0.5)));
    }

    #[test]
    fn a_number_of_tokens_is_rounded_down_and_is_at_least_one() {
        for (given, tokens) in [
            (json!(1), Some(1)),
            (json!(1.9), Some(1)),
            (json!(1e3), Some(1_000)),
            (json!(TOKENS_MAX), Some(TOKENS_MAX)),
            (json!(TOKENS_MAX + 1), None),
            (json!(0.9), None),
            (json!(0), None),
            (json!(-3), None),
            (json!("12"), None),
        ] {
            let read = read(&with("maxTokens", given.clone()));
            assert_eq!(read.as_ref().ok().and_then(|params| params.max_tokens), tokens, "{given}");
            assert!(read.is_ok() || read.unwrap_err().message.contains("`maxTokens`"), "{given}");
        }
    }

    #[test]
    fn every_wrong_field_is_refused_by_its_name() {
        let said = |role: &str| json!({"role": role, "content": "x"});
        let many = json!(vec![said("user"); MESSAGES_MAX + 1]);
        let half = json!({"role": "user", "content": "x".repeat(CONTENT_BYTES_MAX / 2 + 1)});
        for (name, value, named) in [
            ("requestId", json!(""), "`requestId`"),
            ("requestId", json!("x".repeat(129)), "`requestId`"),
            ("requestId", json!(7), "`requestId`"),
            ("model", Value::Null, "`model`"),
            ("model", json!("x".repeat(MODEL_BYTES_MAX + 1)), "`model`"),
            ("messages", Value::Null, "`messages`"),
            ("messages", json!([]), "`messages`"),
            ("messages", json!("hello"), "`messages`"),
            ("messages", many, "`messages`"),
            ("messages", json!([half, half]), "`messages`"),
            ("messages", json!([said("user"), 7]), "`messages[1]`"),
            ("messages", json!([said("tool")]), "`messages[0].role`"),
            ("messages", json!([said("user"), {"role": "user"}]), "`messages[1].content`"),
            ("messages", json!([{"role": "user", "content": ["x"]}]), "`messages[0].content`"),
            ("temperature", json!(-0.1), "`temperature`"),
            ("temperature", json!(2.1), "`temperature`"),
            ("temperature", json!("hot"), "`temperature`"),
        ] {
            let refusal = read(&with(name, value)).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidParams, "{named}");
            assert!(refusal.message.contains(named), "{named}: {refusal}");
        }
        for refusal in [InferParams::read(None).unwrap_err(), CancelParams::read(None).unwrap_err()] {
            assert_eq!(refusal.code, Code::InvalidParams);
        }
    }

    #[test]
    fn a_cancel_names_one_inference() {
        let cancel = |params: &Value| CancelParams::read(Some(&to_raw_value(params).unwrap()));
        assert_eq!(cancel(&json!({"requestId": "r"})), Ok(CancelParams { request_id: "r".into() }));
        assert!(cancel(&json!({})).unwrap_err().message.contains("`requestId`"));
    }

    proptest! {
        #[test]
        fn no_parameters_panic(text in r#"\{("(requestId|model|messages|maxTokens)":("x"|1e300|-1|null|\[\{\}\]|\[1\]),?){0,4}"#) {
            let json = format!("{}}}", text.trim_end_matches(','));
            if let Ok(raw) = serde_json::from_str::<Box<RawValue>>(&json) {
                let _ = (InferParams::read(Some(&raw)), CancelParams::read(Some(&raw)));
            }
        }
    }
}
