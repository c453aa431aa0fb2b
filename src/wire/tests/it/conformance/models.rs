//! Vector 8: asking the model of another node.

use std::time::Duration;

use clawmesh_wire::frame::{Frame, encode_event, encode_response, parse};
use clawmesh_wire::llm::{
    Asker, CHUNK, CancelParams, Chunk, Finish, InferParams, Receiving, Serving, Stopped, Ticket, Usage,
    WAITING_BYTES_MAX,
};
use clawmesh_wire::{Code, Refusal};
use serde_json::{Value, json};

use super::raw;

const NOW: Duration = Duration::from_secs(100);

fn asked(request_id: &str, model: &str) -> InferParams {
    let messages = json!([{"role": "user", "content": "say hello"}]);
    let params = json!({"requestId": request_id, "model": model, "messages": messages, "maxTokens": 16.7});
    InferParams::read(Some(&raw(&params))).unwrap()
}

fn begin(serving: &mut Serving, connection: u64, request_id: &str, model: &str) -> Result<Ticket, Refusal> {
    let asker = Asker { connection, call_id: format!("call-{request_id}") };
    serving.begin(asker, &asked(request_id, model), NOW)
}

/// A node that serves `nanochat/d20` and works for connection 1, on `r-1`.
fn serving() -> (Serving, Ticket) {
    let mut serving = Serving::default();
    serving.offer(["nanochat/d20".to_owned()]);
    let ticket = begin(&mut serving, 1, "r-1", "nanochat/d20").unwrap();
    (serving, ticket)
}

fn cancel(request_id: &str) -> CancelParams {
    CancelParams::read(Some(&raw(&json!({"requestId": request_id})))).unwrap()
}

#[test]
fn c08_hel_and_lo_are_two_chunks_and_the_end_says_what_was_used() {
    let (mut serving, ticket) = serving();
    let mut sent: Vec<String> = ["hel", "lo"]
        .map(|mut said| serving.chunk(ticket, &mut said, 0, NOW).unwrap())
        .iter()
        .map(|chunk| encode_event(CHUNK, chunk).unwrap())
        .collect();
    let usage = Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() };
    let ended = serving.finish(ticket, Finish::Stop, Some(usage), NOW).unwrap();
    sent.push(encode_response(&ended.asker.call_id, &ended.outcome.unwrap()).unwrap());
    let shown: Vec<Value> = sent.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let usage = json!({"inputTokens": 1, "outputTokens": 2});
    assert_eq!(
        shown,
        [
            json!({"type": "event", "event": "llm.chunk", "payload": {"requestId": "r-1", "seq": 0, "delta": "hel"}}),
            json!({"type": "event", "event": "llm.chunk", "payload": {"requestId": "r-1", "seq": 1, "delta": "lo"}}),
            json!({"type": "res", "id": "call-r-1", "ok": true, "payload": {
                "requestId": "r-1", "finishReason": "stop", "usage": usage,
            }}),
        ]
    );

    let mut receiving = Receiving::new("r-1");
    for text in &sent[..2] {
        let Ok(Frame::Event(event)) = parse(text.as_bytes()) else { panic!() };
        receiving.hear(&Chunk::read(event.payload).unwrap()).unwrap();
    }
    let Ok(Frame::Response(response)) = parse(sent[2].as_bytes()) else { panic!() };
    let inferred = receiving.answered(&response.outcome).unwrap();
    assert_eq!((&*inferred.text, inferred.usage.unwrap().output_tokens), ("hello", 2));
}

#[test]
fn c08_availability_comes_first_and_then_one_at_a_time() {
    let (mut serving, ticket) = serving();
    let mut refused = |model| begin(&mut serving, 2, "r-2", model).unwrap_err().code;
    assert_eq!(refused("nanochat/d32"), Code::LlmModelUnavailable);
    assert_eq!(refused("nanochat/d20"), Code::LlmBusy);
    assert!(serving.finish(ticket, Finish::Stop, None, NOW).is_ok());
    assert!(begin(&mut serving, 2, "r-2", "nanochat/d20").is_ok());
}

#[test]
fn c08_whoever_does_not_read_gets_no_chunk() {
    let (mut serving, ticket) = serving();
    let Err(Stopped::Now(ended)) = serving.chunk(ticket, &mut "hel", WAITING_BYTES_MAX + 1, NOW) else {
        panic!()
    };
    assert_eq!(ended.outcome.unwrap_err().code, Code::LlmBackpressure);
    assert_eq!(WAITING_BYTES_MAX, 1_048_576);
}

#[test]
fn c08_a_cancel_ends_it_once_and_for_whoever_asked_only() {
    let (mut serving, ticket) = serving();
    assert_eq!(serving.cancel(2, &cancel("r-1")).unwrap_err().code, Code::LlmCancelled, "of somebody else");
    assert_eq!(serving.cancel(1, &cancel("r-9")).unwrap_err().code, Code::LlmCancelled, "unknown");
    let (answer, ended) = serving.cancel(1, &cancel("r-1")).unwrap();
    assert_eq!(serde_json::to_value(&answer).unwrap(), json!({"requestId": "r-1", "cancelled": true}));
    let end = serde_json::to_value(ended.outcome.unwrap()).unwrap();
    assert_eq!(end, json!({"requestId": "r-1", "finishReason": "cancelled"}));
    assert_eq!(serving.chunk(ticket, &mut "hel", 0, NOW), Err(Stopped::Over));
}

#[test]
fn c08_two_minutes_or_a_lost_connection_end_it_and_make_room() {
    let (mut serving, _) = serving();
    let ended = serving.overdue(NOW + Duration::from_secs(120)).unwrap();
    assert_eq!(ended.outcome.unwrap_err().code, Code::LlmTimeout);
    let ticket = begin(&mut serving, 2, "r-2", "nanochat/d20").unwrap();
    assert_eq!(serving.connection_ended(2), Some(ticket));
    assert!(begin(&mut serving, 3, "r-3", "nanochat/d20").is_ok());
}

#[test]
fn c08_a_long_text_is_cut_between_characters_within_eight_kibibytes() {
    let (mut serving, ticket) = serving();
    let text = "🌱".repeat(5_000) + "é";
    let (mut rest, mut receiving, mut bytes) = (&*text, Receiving::new("r-1"), Vec::new());
    while !rest.is_empty() {
        let chunk = serving.chunk(ticket, &mut rest, 0, NOW).unwrap();
        bytes.push(chunk.delta.len());
        receiving.hear(&chunk).unwrap();
    }
    assert_eq!(bytes, [8_192, 8_192, 3_618]);
    assert_eq!(receiving.text(), text);
}
