//! The three frames of the protocol, read from bytes with a limit on everything, and written always the same way.
//!
//! A frame is read once: parameters and payloads stay the text they came as until the method that needs them reads them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::code::{Code, Refusal, cut, quoted};
use crate::fields::{Fields, Text, text_of};

/// The largest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1_048_576;
/// The largest payload of an event, and the largest `data` of a frame, in bytes.
pub const DATA_BYTES_MAX: usize = 524_288;
/// How deep objects and lists may lie in each other, the message itself counted.
pub const NESTING_MAX: usize = 64;
/// The longest id of a request, in bytes.
pub const ID_BYTES_MAX: usize = 128;
/// The longest name of a method or an event, in bytes.
pub const METHOD_BYTES_MAX: usize = 64;

/// One frame, on bytes that somebody else holds.
#[derive(Debug)]
pub enum Frame<'a> {
    /// Somebody asks.
    Request(Request<'a>),
    /// Somebody answers.
    Response(Response<'a>),
    /// Somebody tells.
    Event(Event<'a>),
}

/// A call of a method.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the answer has to repeat.
    pub id: Cow<'a, str>,
    /// What is called.
    pub method: Cow<'a, str>,
    /// With what; `None` when it is missing or `null`.
    pub params: Option<&'a RawValue>,
}

/// The answer to a call.
#[derive(Debug)]
pub struct Response<'a> {
    /// Which call.
    pub id: Cow<'a, str>,
    /// What came out.
    pub outcome: Outcome<'a>,
}

/// What came out of a call: a payload, which may be missing, or a refusal of the other side.
pub type Outcome<'a> = Result<Option<&'a RawValue>, RemoteRefusal>;

/// Something that was told.
#[derive(Debug)]
pub struct Event<'a> {
    /// What it is.
    pub event: Cow<'a, str>,
    /// What was told; `None` when it is missing or `null`.
    pub payload: Option<&'a RawValue>,
}

/// A refusal of the other side, in its own words, cut where they are too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRefusal {
    /// Its code; existing nodes may have codes we do not know.
    pub code: String,
    /// Its sentence; for people only, and nothing they should believe.
    pub message: String,
}

/// A message that is no frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFrame {
    /// Why not.
    pub refusal: Refusal,
    /// The id, where one could be read.
    pub id: Option<String>,
    kind: BadKind,
}

/// What a bad frame was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadKind {
    Response,
    Event,
    Request,
    Unknown,
}

impl BadFrame {
    /// The error response to send back, if one is due.
    ///
    /// What says that it is an answer or an event is never answered, or two nodes could refuse each other's refusals for
    /// ever. What does not say what it is was most likely meant as a request, and is answered when it has an id.
    #[must_use]
    pub fn answer(&self) -> Option<String> {
        let is_due = matches!(self.kind, BadKind::Request | BadKind::Unknown);
        self.id.as_deref().filter(|_| is_due).map(|id| encode_refusal(id, &self.refusal))
    }

    /// The id of the call that will get no better answer than this one.
    #[must_use]
    pub fn spoiled_call(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.kind == BadKind::Response)
    }
}

/// The keys of a frame as they came.
#[derive(Default)]
struct Envelope<'a> {
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    ok: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
    twice: Option<&'static str>,
}

impl<'a> Envelope<'a> {
    fn slot(&mut self, key: &str) -> Option<(&'static str, &mut Option<&'a RawValue>)> {
        Some(match key {
            "type" => ("type", &mut self.kind),
            "id" => ("id", &mut self.id),
            "method" => ("method", &mut self.method),
            "params" => ("params", &mut self.params),
            "ok" => ("ok", &mut self.ok),
            "payload" => ("payload", &mut self.payload),
            "error" => ("error", &mut self.error),
            "event" => ("event", &mut self.event),
            _ => return None,
        })
    }

    fn readable_id(&self) -> Option<String> {
        let id = text_of(self.id.filter(|_| self.twice != Some("id"))?)?;
        (1..=ID_BYTES_MAX).contains(&id.len()).then(|| id.into_owned())
    }

    fn bad_kind(&self) -> BadKind {
        match self.kind.and_then(text_of).as_deref() {
            Some("req") => BadKind::Request,
            Some("res") => BadKind::Response,
            Some("event") => BadKind::Event,
            _ => BadKind::Unknown,
        }
    }
}

/// Reads one message.
///
/// # Errors
/// The refusal of a message that is no frame, with the id of the call it belongs to where that can be read.
pub fn parse(bytes: &[u8]) -> Result<Frame<'_>, BadFrame> {
    let too_large = (bytes.len() > MESSAGE_BYTES_MAX).then(|| {
        let sentence =
            format!("a message has at most {MESSAGE_BYTES_MAX} bytes, this one has {}", bytes.len());
        Refusal::new(Code::TooLarge, sentence)
    });
    let unread = |sentence| {
        let refusal = too_large.clone().unwrap_or_else(|| Refusal::new(Code::InvalidJson, sentence));
        BadFrame { refusal, id: None, kind: BadKind::Unknown }
    };
    let text = std::str::from_utf8(bytes).map_err(|_| unread("the message is not UTF-8; send JSON text"))?;
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|_| unread("the message is not one JSON object"))?;
    let judged = too_large.clone().map_or_else(|| judge(text, &envelope), Err);
    judged.map_err(|refusal| BadFrame { refusal, id: envelope.readable_id(), kind: envelope.bad_kind() })
}

fn judge<'a>(text: &str, envelope: &Envelope<'a>) -> Result<Frame<'a>, Refusal> {
    // Values are skipped without recursion so far; whoever reads them later recurses.
    if is_deeper_than(text, NESTING_MAX) {
        let sentence = format!("the message nests deeper than {NESTING_MAX} objects and lists");
        return Err(Refusal::new(Code::InvalidJson, sentence));
    }
    if let Some(key) = envelope.twice {
        return Err(Refusal::new(Code::InvalidJson, format!("the message has `{key}` twice")));
    }
    let missing = || Refusal::new(Code::MissingType, "the message has no `type`; say req, res or event");
    let kind = there(envelope.kind).ok_or_else(missing)?;
    match text_of(kind).as_deref() {
        Some("req") => request(envelope).map(Frame::Request),
        Some("res") => response(envelope).map(Frame::Response),
        Some("event") => event(envelope).map(Frame::Event),
        _ => {
            let sentence = format!("`type` is req, res or event, not {}", quoted(kind.get()));
            Err(Refusal::new(Code::InvalidType, sentence))
        }
    }
}

fn request<'a>(envelope: &Envelope<'a>) -> Result<Request<'a>, Refusal> {
    Ok(Request {
        id: short_text(envelope.id, "id", ID_BYTES_MAX)?,
        method: short_text(envelope.method, "method", METHOD_BYTES_MAX)?,
        params: there(envelope.params),
    })
}

fn response<'a>(envelope: &Envelope<'a>) -> Result<Response<'a>, Refusal> {
    let id = short_text(envelope.id, "id", ID_BYTES_MAX)?;
    let outcome = match envelope.ok.map(RawValue::get) {
        Some("true") => Ok(there(envelope.payload)),
        Some("false") => Err(remote_refusal(there(envelope.error))?),
        _ => return Err(Refusal::new(Code::InvalidParams, "`ok` of an answer must be true or false")),
    };
    Ok(Response { id, outcome })
}

fn remote_refusal(error: Option<&RawValue>) -> Result<RemoteRefusal, Refusal> {
    let Some(error) = error else {
        let message = "the other side has given no reason".to_owned();
        return Ok(RemoteRefusal { code: Code::InternalError.as_str().to_owned(), message });
    };
    let fields = Fields::read(error, "`error`", Code::InvalidParams)?;
    let code = fields.required_text("code", METHOD_BYTES_MAX)?.into_owned();
    let mut message = fields.text("message", MESSAGE_BYTES_MAX)?.unwrap_or_default().into_owned();
    cut(&mut message, crate::code::SENTENCE_BYTES_MAX);
    Ok(RemoteRefusal { code, message })
}

fn event<'a>(envelope: &Envelope<'a>) -> Result<Event<'a>, Refusal> {
    let event = short_text(envelope.event, "event", METHOD_BYTES_MAX)?;
    let payload = there(envelope.payload);
    payload.map_or(Ok(()), |payload| within_data("the payload of an event", payload.get().len()))?;
    Ok(Event { event, payload })
}

/// Refuses data of more than [`DATA_BYTES_MAX`] bytes.
pub(crate) fn within_data(what: &str, bytes: usize) -> Result<(), Refusal> {
    if bytes <= DATA_BYTES_MAX {
        return Ok(());
    }
    let sentence = format!("{what} has at most {DATA_BYTES_MAX} bytes, this one has {bytes}");
    Err(Refusal::new(Code::DataTooLarge, sentence))
}

fn there(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|raw| raw.get() != "null")
}

fn short_text<'a>(raw: Option<&'a RawValue>, name: &str, bytes_max: usize) -> Result<Cow<'a, str>, Refusal> {
    let text = raw.and_then(text_of).filter(|text| (1..=bytes_max).contains(&text.len()));
    text.ok_or_else(|| {
        Refusal::new(Code::InvalidParams, format!("`{name}` must be a text of 1 to {bytes_max} bytes"))
    })
}

/// True when brackets outside of texts are open more than `max` deep.
fn is_deeper_than(text: &str, max: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfMessage;

        impl<'de> Visitor<'de> for OfMessage {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
                    let Some((name, slot)) = envelope.slot(&key) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    if slot.replace(map.next_value()?).is_some() {
                        envelope.twice.get_or_insert(name);
                    }
                }
                Ok(envelope)
            }
        }

        from.deserialize_map(OfMessage)
    }
}

#[derive(Serialize)]
struct RequestOut<'a, P> {
    r#type: &'static str,
    id: &'a str,
    method: &'a str,
    params: &'a P,
}

#[derive(Serialize)]
struct ResponseOut<'a, P> {
    r#type: &'static str,
    id: &'a str,
    ok: bool,
    payload: &'a P,
}

#[derive(Serialize)]
struct EventOut<'a, P> {
    r#type: &'static str,
    event: &'a str,
    payload: &'a P,
}

/// Writes a call of `method`.
///
/// # Errors
/// When `params` cannot be JSON, or make the message larger than the other side takes.
pub fn encode_request(id: &str, method: &str, params: &impl Serialize) -> Result<String, Refusal> {
    written(&RequestOut { r#type: "req", id, method, params })
}

/// Writes the answer to the call `id`.
///
/// # Errors
/// As [`encode_request`]; send that refusal instead, or the caller waits in vain.
pub fn encode_response(id: &str, payload: &impl Serialize) -> Result<String, Refusal> {
    written(&ResponseOut { r#type: "res", id, ok: true, payload })
}

/// Writes the refusal of the call `id`.
#[must_use]
pub fn encode_refusal(id: &str, refusal: &Refusal) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let (id, code, message) = (text(id), refusal.code, text(&refusal.message));
    format!(r#"{{"type":"res","id":{id},"ok":false,"error":{{"code":"{code}","message":{message}}}}}"#)
}

/// Writes an event.
///
/// # Errors
/// As [`encode_request`], and when the payload alone is larger than [`DATA_BYTES_MAX`].
pub fn encode_event(event: &str, payload: &impl Serialize) -> Result<String, Refusal> {
    let payload = serde_json::value::to_raw_value(payload).map_err(|fault| unwritable(&fault))?;
    within_data("the payload of an event", payload.get().len())?;
    written(&EventOut { r#type: "event", event, payload: &payload })
}

fn written(frame: &impl Serialize) -> Result<String, Refusal> {
    let text = serde_json::to_string(frame).map_err(|fault| unwritable(&fault))?;
    if text.len() > MESSAGE_BYTES_MAX {
        let sentence = format!("this would be a message of {} bytes; ask for less", text.len());
        return Err(Refusal::new(Code::TooLarge, sentence));
    }
    Ok(text)
}

fn unwritable(fault: &serde_json::Error) -> Refusal {
    Refusal::new(Code::InternalError, format!("what we have to say cannot be written as JSON: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(bytes: impl AsRef<[u8]>) -> BadFrame {
        match parse(bytes.as_ref()) {
            Err(bad) => bad,
            Ok(frame) => panic!("{frame:?}"),
        }
    }

    #[test]
    fn the_three_frames_are_read() {
        let Ok(Frame::Request(request)) =
            parse(br#"{"type":"req","id":"1","method":"mesh.health","params":{"a":[1]}}"#)
        else {
            panic!()
        };
        assert_eq!((&*request.id, &*request.method), ("1", "mesh.health"));
        assert_eq!(request.params.unwrap().get(), r#"{"a":[1]}"#);
        assert!(matches!(request.id, Cow::Borrowed(_)), "nothing is copied");

        let text = br#"{"type":"res","id":"1","ok":false,"error":{"code":"NEW_CODE","message":"no"}}"#;
        let Ok(Frame::Response(response)) = parse(text) else { panic!() };
        assert_eq!(
            response.outcome.unwrap_err(),
            RemoteRefusal { code: "NEW_CODE".into(), message: "no".into() }
        );

        let Ok(Frame::Event(event)) = parse(br#"{"type":"event","event":"peer.down","payload":null}"#) else {
            panic!()
        };
        assert_eq!((&*event.event, event.payload.is_none()), ("peer.down", true));
    }

    #[test]
    fn each_kind_of_bad_message_has_its_code() {
        for (text, code) in [
            ("", Code::InvalidJson),
            ("{", Code::InvalidJson),
            ("[]", Code::InvalidJson),
            ("5", Code::InvalidJson),
            (r#"{"type":"req"} x"#, Code::InvalidJson),
            (r#"{"type":"req","type":"res","id":"1"}"#, Code::InvalidJson),
            ("{}", Code::MissingType),
            (r#"{"type":null}"#, Code::MissingType),
            (r#"{"type":5}"#, Code::InvalidType),
            (r#"{"type":"request"}"#, Code::InvalidType),
            (r#"{"type":"req","method":"m"}"#, Code::InvalidParams),
            (r#"{"type":"req","id":"","method":"m"}"#, Code::InvalidParams),
            (r#"{"type":"req","id":7,"method":"m"}"#, Code::InvalidParams),
            (r#"{"type":"req","id":"1"}"#, Code::InvalidParams),
            (r#"{"type":"req","id":"1","method":""}"#, Code::InvalidParams),
            (r#"{"type":"res","id":"1","ok":1}"#, Code::InvalidParams),
            (r#"{"type":"res","id":"1","ok":false,"error":[]}"#, Code::InvalidParams),
            (r#"{"type":"event"}"#, Code::InvalidParams),
        ] {
            assert_eq!(refused(text).refusal.code, code, "{text}");
        }
        assert_eq!(refused(b"{\"type\":\"req\xff\"}").refusal.code, Code::InvalidJson);
    }

    #[test]
    fn bounds_are_in_bytes_and_hold_to_the_last_one() {
        let message = |fill: usize| {
            let empty = r#"{"type":"req","id":"1","method":"m","params":""}"#;
            empty.replace(r#":""}"#, &format!(r#":"{}"}}"#, "x".repeat(fill - empty.len())))
        };
        assert!(parse(message(MESSAGE_BYTES_MAX).as_bytes()).is_ok());
        assert_eq!(refused(message(MESSAGE_BYTES_MAX + 1)).refusal.code, Code::TooLarge);
        let two_byte_letters =
            format!(r#"{{"type":"event","event":"e","payload":"{}"}}"#, "é".repeat(DATA_BYTES_MAX / 2));
        assert_eq!(
            refused(two_byte_letters).refusal.code,
            Code::DataTooLarge,
            "two bytes too many: the quotes"
        );
        let fits =
            format!(r#"{{"type":"event","event":"e","payload":"{}"}}"#, "x".repeat(DATA_BYTES_MAX - 2));
        assert!(parse(fits.as_bytes()).is_ok());
        for (id, method, is_taken) in [(128, 64, true), (129, 64, false), (128, 65, false)] {
            let text =
                format!(r#"{{"type":"req","id":"{}","method":"{}"}}"#, "i".repeat(id), "m".repeat(method));
            assert_eq!(parse(text.as_bytes()).is_ok(), is_taken, "{id} {method}");
        }
    }

    #[test]
    fn nesting_is_bounded_before_anything_recurses_and_brackets_in_texts_do_not_count() {
        let nested = |depth: usize| {
            format!(
                r#"{{"type":"req","id":"7","method":"m","params":{}{}}}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            )
        };
        assert!(parse(nested(NESTING_MAX - 1).as_bytes()).is_ok());
        let bad = refused(nested(NESTING_MAX));
        assert_eq!((bad.refusal.code, bad.id.as_deref()), (Code::InvalidJson, Some("7")));
        assert_eq!(refused(nested(500_000)).refusal.code, Code::InvalidJson);
        let in_text = format!(r#"{{"type":"req","id":"1","method":"m","params":"\"{}"}}"#, "[".repeat(999));
        assert!(parse(in_text.as_bytes()).is_ok());
    }

    #[test]
    fn a_bad_request_with_a_readable_id_is_answered_and_a_bad_answer_never() {
        let answer = |text: &str| refused(text).answer();
        let expected = r#"{"type":"res","id":"a\"b","ok":false,"error":{"code":"INVALID_PARAMS","message":"`method` must be a text of 1 to 64 bytes"}}"#;
        assert_eq!(answer(r#"{"type":"req","id":"a\"b"}"#).as_deref(), Some(expected));
        assert!(answer(r#"{"id":"1","method":"m"}"#).is_some_and(|text| text.contains("MISSING_TYPE")));
        assert!(answer(r#"{"id":"1","type":"ping"}"#).is_some_and(|text| text.contains("INVALID_TYPE")));
        for silent in [
            r#"{"type":"res","id":"1"}"#,
            r#"{"type":"event","id":"1"}"#,
            r#"{"type":"req","id":"1","id":"2","method":"m"}"#,
            r#"{"type":"req","method":"m"}"#,
        ] {
            assert_eq!(answer(silent), None, "{silent}");
        }
        assert_eq!(refused(r#"{"type":"res","id":"1"}"#).spoiled_call(), Some("1"));
        assert_eq!(refused(r#"{"type":"req","id":"1"}"#).spoiled_call(), None);
    }

    #[test]
    fn what_we_write_has_one_form_and_reads_back() {
        let params = RawValue::from_string("{\"b\":1}".into()).unwrap();
        let text = encode_request("1", "mesh.health", &params).unwrap();
        assert_eq!(text, r#"{"type":"req","id":"1","method":"mesh.health","params":{"b":1}}"#);
        assert_eq!(
            encode_response("1", &params).unwrap(),
            r#"{"type":"res","id":"1","ok":true,"payload":{"b":1}}"#
        );
        assert_eq!(encode_event("e", &params).unwrap(), r#"{"type":"event","event":"e","payload":{"b":1}}"#);
        let huge = "x".repeat(DATA_BYTES_MAX);
        assert_eq!(encode_event("e", &huge).unwrap_err().code, Code::DataTooLarge);
        assert_eq!(encode_response("1", &huge.repeat(2)).unwrap_err().code, Code::TooLarge);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes).map_err(|bad| bad.answer());
        }

        #[test]
        fn no_broken_frame_panics(
            text in r#"\{"type":"(req|res|event|x)"(,"(id|method|params|ok|payload|error|event)":("a"|1|\{\}|\[|null|true|false|\{"code":1\})){0,7}\}?"#,
        ) {
            let _ = parse(text.as_bytes()).map_err(|bad| (bad.answer(), bad.spoiled_call().map(str::len)));
        }

        #[test]
        fn a_refusal_of_ours_is_read_as_what_it_was(id in ".{1,20}", sentence in ".{0,60}") {
            let text = encode_refusal(&id, &Refusal::new(Code::Busy, sentence.clone()));
            let Ok(Frame::Response(response)) = parse(text.as_bytes()) else { panic!("{text}") };
            prop_assert_eq!(&*response.id, &id);
            prop_assert_eq!(response.outcome.unwrap_err(), RemoteRefusal { code: "BUSY".into(), message: sentence });
        }
    }
}
