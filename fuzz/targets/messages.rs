//! Messages of the wire protocol: the frame, and the parameters, answer or payload of every method and event.

use clawmesh_wire::access::{Caller, Method};
use clawmesh_wire::code::SENTENCE_BYTES_MAX;
use clawmesh_wire::connect::{ConnectAnswer, ConnectParams};
use clawmesh_wire::frame::{
    BadFrame, Frame, ID_BYTES_MAX, MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, Request, Response, encode_event,
    encode_refusal, encode_request, encode_response, parse,
};
use clawmesh_wire::llm::{CancelParams, Chunk, Finished, InferParams};
use clawmesh_wire::peer_news::{PeerDown, PeerLeaving};
use clawmesh_wire::query::WorldQuery;
use clawmesh_wire::sync::{self, SyncParams};
use clawmesh_wire::system_events::{EventLog, EventsQuery};
use clawmesh_wire::trace::TraceQuery;
use clawmesh_wire::{Code, Refusal};
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::{MIB, NOW_MS, Seed, Target, context, forward, is_brief, promised};
use crate::mutate::Shape;
use clawmesh_lab::Lab;

pub(super) const TARGET: Target = Target {
    name: "messages",
    promise: "a frame that is read is written as the same frame, an error is answered with its id and not at length, and what we \
              read of parameters we write as the same",
    shapes: &[Shape::Json],
    seeds,
    check,
    memory_bytes_max: 2 * MIB,
    memory_per_byte: 128,
};

/// An error answer: id and sentence, every character of both escaped at the worst.
const ERROR_BYTES_MAX: usize = 6 * (ID_BYTES_MAX + SENTENCE_BYTES_MAX) + 128;

fn seeds() -> Vec<Seed> {
    let request = |method: &str, params: serde_json::Value| json!({"type": "req", "id": "r-1", "method": method, "params": params});
    let answer =
        |payload: serde_json::Value| json!({"type": "res", "id": "r-1", "ok": true, "payload": payload});
    let event = |event: &str, payload: serde_json::Value| json!({"type": "event", "event": event, "payload": payload});
    let signer = json!({"deviceId": Lab::id_of(1).to_string(), "publicKey": "A".repeat(43), "signature": "B".repeat(86),
        "signedAtMs": NOW_MS, "nonce": "C".repeat(32), "displayName": "barn", "capabilities": ["channel:clawmesh"],
        "meshId": "m", "role": "field"});
    let mut connect = signer.clone();
    connect["version"] = json!(2);
    connect["clientNonce"] = json!("00000000-0000-4000-8000-000000000000");
    let error =
        json!({"type": "res", "id": "r-1", "ok": false, "error": {"code": "BUSY", "message": "later"}});
    let frame = context::good();
    let talk = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "is it dry?"}]);
    let infer =
        json!({"requestId": "i-1", "model": "small", "messages": talk, "maxTokens": 64, "temperature": 0.5});
    let usage = json!({"inputTokens": 3, "outputTokens": 4, "totalTokens": 7});
    let done = json!({"requestId": "i-1", "finishReason": "stop", "usage": usage});
    let list = [
        ("challenge", request("mesh.challenge", json!({}))),
        ("connect", request("mesh.connect", connect)),
        ("connected", answer(signer)),
        ("forward", request("mesh.message.forward", forward::opening("actuator:mock:valve-1", "c-1"))),
        ("peers", request("mesh.peers", json!(null))),
        (
            "query",
            request("mesh.world.query", json!({"limit": 5, "kind": "observation", "sourceDeviceId": "x"})),
        ),
        ("events", request("mesh.events", json!({"limit": 5, "type": "error", "sinceMs": NOW_MS}))),
        ("trace", request("mesh.trace", json!({"frameId": "f-1", "stage": "sensor.ingest"}))),
        (
            "sync",
            request("context.sync", json!({"since": NOW_MS, "limit": 50, "kind": "event", "zone": "zone-1"})),
        ),
        (
            "synced",
            answer(json!({"frames": [frame, {"gen": 1}], "peerTimestamp": NOW_MS, "totalAvailable": 2})),
        ),
        ("infer", request("llm.infer", infer)),
        ("cancel", request("llm.cancel", json!({"requestId": "i-1"}))),
        ("inferred", answer(done)),
        ("chunk", event("llm.chunk", json!({"requestId": "i-1", "seq": 0, "delta": "yes"}))),
        ("told", event("context.frame", frame)),
        (
            "leaving",
            event(
                "peer.leaving",
                json!({"gen": 1, "deviceId": Lab::id_of(2).to_string(), "timestamp": NOW_MS}),
            ),
        ),
        (
            "down",
            event(
                "peer.down",
                json!({"gen": 1, "deviceId": Lab::id_of(3).to_string(), "reportedAtMs": NOW_MS}),
            ),
        ),
        ("refused", error),
    ];
    list.map(|(name, message)| (name, message.to_string().into_bytes())).into()
}

fn check(input: &[u8]) -> Result<String, String> {
    match parse(input) {
        Ok(Frame::Request(request)) => {
            let params = request.params.unwrap_or(RawValue::NULL);
            is_same(encode_request(&request.id, &request.method, &params), input, &request_text(&request))?;
            within("id", &request.id, ID_BYTES_MAX)?;
            within("method", &request.method, METHOD_BYTES_MAX)?;
            called(&request)
        }
        Ok(Frame::Response(response)) => {
            within("id", &response.id, ID_BYTES_MAX)?;
            answered(&response, input)
        }
        Ok(Frame::Event(event)) => {
            within("event", &event.event, METHOD_BYTES_MAX)?;
            let payload = event.payload.unwrap_or(RawValue::NULL);
            let name = event.event.clone();
            is_same(encode_event(&name, &payload), input, &format!("event {name} {}", payload.get()))?;
            told(&name, event.payload)
        }
        Err(bad) => refused(&bad),
    }
}

fn within(what: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    promised((1..=bytes_max).contains(&text.len()), || format!("`{what}` has {} bytes", text.len()))
}

fn request_text(request: &Request<'_>) -> String {
    let params = request.params.unwrap_or(RawValue::NULL);
    format!("req {} {} {}", request.id, request.method, params.get())
}

/// What was written reads as what was read. A message at the limit may have become a little too long.
fn is_same(written: Result<String, Refusal>, input: &[u8], read: &str) -> Result<(), String> {
    let written = match written {
        Ok(written) => written,
        Err(refusal) => {
            let is_at_the_limit = input.len() + 128 > MESSAGE_BYTES_MAX && refusal.code == Code::TooLarge;
            return promised(is_at_the_limit, || format!("what was read cannot be written: {refusal}"));
        }
    };
    let again = match parse(written.as_bytes()) {
        Ok(Frame::Request(request)) => request_text(&request),
        Ok(Frame::Event(event)) => {
            format!("event {} {}", event.event, event.payload.unwrap_or(RawValue::NULL).get())
        }
        Ok(Frame::Response(response)) => response_text(&response),
        Err(bad) => return Err(format!("what was written cannot be read: {}", bad.refusal)),
    };
    promised(again == read, || format!("read {} bytes, written as another frame", read.len()))
}

fn response_text(response: &Response<'_>) -> String {
    match &response.outcome {
        Ok(payload) => format!("res {} {}", response.id, payload.unwrap_or(RawValue::NULL).get()),
        Err(remote) => format!("res {} {} {}", response.id, remote.code, remote.message),
    }
}

fn refused(bad: &BadFrame) -> Result<String, String> {
    is_brief(&bad.refusal.message, SENTENCE_BYTES_MAX)?;
    promised(bad.answer().is_none() || bad.spoiled_call().is_none(), || "an answer is answered".to_owned())?;
    if let Some(answer) = bad.answer() {
        is_brief(&answer, ERROR_BYTES_MAX)?;
        let Ok(Frame::Response(response)) = parse(answer.as_bytes()) else {
            return Err("an error is answered with what is no answer".to_owned());
        };
        let fits = bad.id.as_deref() == Some(&*response.id) && response.outcome.is_err();
        promised(fits, || "an error is answered to another call".to_owned())?;
    }
    Ok(format!("{} {} {}", bad.refusal, bad.answer().is_some(), bad.spoiled_call().is_some()))
}

fn called(request: &Request<'_>) -> Result<String, String> {
    let method = match Method::of_name(&request.method) {
        Ok(method) => method,
        Err(refusal) => return of_refusal("method", &refusal),
    };
    promised(method.open_to(Caller::Operator).is_ok(), || "an operator may not ask".to_owned())?;
    let params = request.params;
    let name = method.as_str();
    match method {
        Method::Connect => written(name, params, ConnectParams::read),
        Method::LlmInfer => written(name, params, InferParams::read),
        Method::LlmCancel => written(name, params, CancelParams::read),
        Method::Forward => forward::judge(params),
        Method::WorldQuery => {
            let in_bounds = |query: &WorldQuery| (1..=clawmesh_wire::query::LIMIT_MAX).contains(&query.limit);
            asked(name, WorldQuery::read(params), in_bounds)
        }
        Method::Events => asked(name, EventsQuery::read(params), |query| {
            serde_json::to_string(&EventLog::default().answer(query, NOW_MS)).is_ok()
        }),
        Method::Trace => asked(name, TraceQuery::read(params), |query| {
            clawmesh_wire::trace::answer(query, std::iter::empty()).is_ok()
                == (matches!(query, TraceQuery::Count | TraceQuery::Stage(_)))
        }),
        Method::ContextSync => {
            asked(name, SyncParams::read(params), |params| params.limit <= sync::LIMIT_MAX)
        }
        _ => Ok(name.to_owned()),
    }
}

fn asked<Q>(name: &str, read: Result<Q, Refusal>, holds: impl FnOnce(&Q) -> bool) -> Result<String, String> {
    match read {
        Ok(query) => promised(holds(&query), || format!("{name} asks for more than it may"))
            .map(|()| format!("{name} asked")),
        Err(refusal) => of_refusal(name, &refusal),
    }
}

/// What was read is written so that it reads the same.
fn written<T: Serialize + PartialEq>(
    name: &str,
    raw: Option<&RawValue>,
    read: impl Fn(Option<&RawValue>) -> Result<T, Refusal>,
) -> Result<String, String> {
    let value = match read(raw) {
        Ok(value) => value,
        Err(refusal) => return of_refusal(name, &refusal),
    };
    let again = to_raw_value(&value).map_err(|fault| format!("{name} cannot be written: {fault}"))?;
    promised(read(Some(&again)).is_ok_and(|again| again == value), || {
        let beginning: String = again.get().chars().take(200).collect();
        format!("{name} is written as something else: {beginning}")
    })?;
    Ok(format!("{name} read"))
}

fn answered(response: &Response<'_>, input: &[u8]) -> Result<String, String> {
    match &response.outcome {
        Ok(payload) => {
            let raw = payload.unwrap_or(RawValue::NULL);
            is_same(encode_response(&response.id, &raw), input, &response_text(response))?;
            let connect = written("connected", *payload, ConnectAnswer::read)?;
            let finished = written("inferred", *payload, Finished::read)?;
            let synced = match sync::read_answer(*payload, NOW_MS) {
                Ok(synced) => {
                    let count = synced.frames.len() + synced.refused.len();
                    promised(count as u64 <= sync::ASKED_LIMIT, || format!("{count} frames are taken"))?;
                    format!("{} good, {} bad", synced.frames.len().min(3), synced.refused.len().min(3))
                }
                Err(refusal) => of_refusal("synced", &refusal)?,
            };
            Ok(format!("{connect} {finished} {synced}"))
        }
        Err(remote) => {
            is_brief(&remote.message, SENTENCE_BYTES_MAX)?;
            within("code", &remote.code, METHOD_BYTES_MAX)?;
            let refusal = Refusal::new(Code::Busy, remote.message.clone());
            is_brief(&encode_refusal(&response.id, &refusal), ERROR_BYTES_MAX)?;
            Ok(format!("refused {}", Code::of_text(&remote.code).is_some()))
        }
    }
}

fn told(event: &str, payload: Option<&RawValue>) -> Result<String, String> {
    let (sender, own) = (Lab::id_of(2), Lab::id_of(1));
    match event {
        "llm.chunk" => written(event, payload, Chunk::read),
        "context.frame" => context::judge(payload),
        clawmesh_wire::peer_news::LEAVING => {
            asked(event, PeerLeaving::read(payload, sender), |news| news.device_id == sender)
        }
        clawmesh_wire::peer_news::DOWN => asked(event, PeerDown::read(payload, sender, own), |news| {
            news.device_id != sender && news.device_id != own
        }),
        _ => Ok("another event".to_owned()),
    }
}

fn of_refusal(name: &str, refusal: &Refusal) -> Result<String, String> {
    is_brief(&refusal.message, SENTENCE_BYTES_MAX)?;
    Ok(format!("{name} {refusal}"))
}

/// The frame of an input, for targets that begin further inside.
pub(super) fn raw(input: &[u8]) -> Option<&RawValue> {
    let text = std::str::from_utf8(input).ok().filter(|text| text.len() <= MESSAGE_BYTES_MAX)?;
    serde_json::from_str(text).ok()
}
