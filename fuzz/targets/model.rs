//! A model that is asked over the wire: the side that serves and the side that asks, in any order of steps.

use std::collections::BTreeMap;
use std::time::Duration;

use clawmesh_wire::code::SENTENCE_BYTES_MAX;
use clawmesh_wire::llm::{
    ANSWER_BYTES_MAX, Asker, CancelParams, Chunk, DELTA_BYTES_MAX, Finish, Finished, INFER_TIMEOUT,
    InferParams, Receiving, Serving, Stopped, Ticket,
};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::{MIB, Seed, Target, is_brief, promised};
use crate::mutate::Shape;

pub(super) const TARGET: Target = Target {
    name: "model",
    promise: "one inference at a time, each ends once and in time, and an answer with a gap, a repeat or too much text is none",
    shapes: &[Shape::Json],
    seeds,
    check,
    memory_bytes_max: 8 * MIB,
    memory_per_byte: 128,
};

const STEPS_MAX: usize = 200;

fn seeds() -> Vec<Seed> {
    let asked = json!({"requestId": "i-1", "model": "small", "messages": [{"role": "user", "content": "dry?"}],
        "maxTokens": 64, "temperature": 0.5});
    let begin = json!({"do": "begin", "connection": 1, "params": asked});
    let chunk =
        |seq: u64| json!({"do": "hear", "payload": {"requestId": "i-1", "seq": seq, "delta": "yes, "}});
    let end = json!({"do": "answered", "payload": {"requestId": "i-1", "finishReason": "stop",
        "usage": {"inputTokens": 3, "outputTokens": 4}}});
    let served = json!([begin, {"do": "say", "text": "it is dry", "times": 3}, {"do": "finish"}, begin,
        {"do": "cancel", "connection": 1, "params": {"requestId": "i-1"}}, {"do": "say", "text": "more"}]);
    let late = json!([begin, begin, {"do": "wait", "ms": 120_000}, {"do": "say", "text": "x"}, {"do": "finish"}, begin,
        {"do": "hang-up", "connection": 1}, begin, {"do": "say", "text": "x", "waiting": 2_000_000}, {"do": "fail"}]);
    let heard = json!([chunk(0), chunk(1), end, chunk(2)]);
    let gap = json!([chunk(0), chunk(2), chunk(1), end]);
    let long = json!([begin, {"do": "say", "text": "é".repeat(9_000), "times": 80}, {"do": "finish"}]);
    let list = [("served", served), ("late", late), ("heard", heard), ("gap", gap), ("long", long)];
    list.map(|(name, script)| (name, script.to_string().into_bytes())).into()
}

struct Talk {
    serving: Serving,
    receiving: Receiving,
    elapsed: Duration,
    ticket: Option<Ticket>,
    begun: BTreeMap<Ticket, (Duration, usize)>,
    heard: String,
    chunks: u64,
    is_whole: bool,
    told: Vec<String>,
}

fn check(input: &[u8]) -> Result<String, String> {
    let Ok(script) = serde_json::from_slice::<Vec<Value>>(input) else { return Ok("no script".to_owned()) };
    let mut serving = Serving::default();
    serving.offer(["small".to_owned()]);
    let mut talk = Talk {
        serving,
        receiving: Receiving::new("i-1"),
        elapsed: Duration::ZERO,
        ticket: None,
        begun: BTreeMap::new(),
        heard: String::new(),
        chunks: 0,
        is_whole: true,
        told: Vec::new(),
    };
    for step in script.iter().take(STEPS_MAX) {
        talk.step(step)?;
    }
    talk.told.sort();
    talk.told.dedup();
    Ok(talk.told.join("; "))
}

fn payload(step: &Value, name: &str) -> Option<Box<RawValue>> {
    step.get(name).and_then(|payload| to_raw_value(payload).ok())
}

impl Talk {
    fn step(&mut self, step: &Value) -> Result<(), String> {
        let number = |name: &str, or: u64| step.get(name).and_then(Value::as_u64).unwrap_or(or);
        match step.get("do").and_then(Value::as_str).unwrap_or_default() {
            "wait" => {
                self.elapsed =
                    self.elapsed.saturating_add(Duration::from_millis(number("ms", 0).min(1 << 40)))
            }
            "begin" => self.begin(step, number("connection", 1))?,
            "say" => self.say(step, number("times", 1).min(200), number("waiting", 0))?,
            "finish" => {
                let ended =
                    self.ticket.map(|ticket| self.serving.finish(ticket, Finish::Stop, None, self.elapsed));
                self.ended(ended.map(|ended| ended.map_err(|stopped| stopped == Stopped::Over)))?;
            }
            "fail" => {
                let ended = self.ticket.map(|ticket| self.serving.fail(ticket, "it broke", self.elapsed));
                self.ended(ended.map(|ended| ended.map_err(|stopped| stopped == Stopped::Over)))?;
            }
            "cancel" => self.cancel(step, number("connection", 1))?,
            "hang-up" => {
                if let Some(ticket) = self.serving.connection_ended(number("connection", 1)) {
                    self.over(ticket)?;
                }
            }
            "overdue" => {
                if let Some(ended) = self.serving.overdue(self.elapsed) {
                    self.over(ended.ticket)?;
                }
            }
            "hear" => self.hear(step)?,
            "answered" => self.answered(step)?,
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, step: &Value, connection: u64) -> Result<(), String> {
        let raw = payload(step, "params");
        let params = match InferParams::read(raw.as_deref()) {
            Ok(params) => params,
            Err(refusal) => return self.refused(&refusal),
        };
        let asker = Asker { connection, call_id: "r-1".to_owned() };
        match self.serving.begin(asker, &params, self.elapsed) {
            Ok(ticket) => {
                promised(self.begun.is_empty(), || "two inferences at a time".to_owned())?;
                self.begun.insert(ticket, (self.elapsed, 0));
                self.ticket = Some(ticket);
                self.told.push("begun".to_owned());
                Ok(())
            }
            Err(refusal) => self.refused(&refusal),
        }
    }

    fn say(&mut self, step: &Value, times: u64, waiting: u64) -> Result<(), String> {
        let Some(ticket) = self.ticket else { return Ok(()) };
        let text = step.get("text").and_then(Value::as_str).unwrap_or_default();
        for _ in 0..times {
            let mut left = text;
            while !left.is_empty() {
                let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
                match self.serving.chunk(ticket, &mut left, waiting, self.elapsed) {
                    Ok(chunk) => self.told_of(ticket, &chunk)?,
                    Err(Stopped::Over) => return Ok(()),
                    Err(Stopped::Now(ended)) => return self.over(ended.ticket),
                }
            }
        }
        Ok(())
    }

    fn told_of(&mut self, ticket: Ticket, chunk: &Chunk) -> Result<(), String> {
        let (since, told) = self.begun.get_mut(&ticket).ok_or("what has ended goes on")?;
        *told += chunk.delta.len();
        let in_time = self.elapsed < since.saturating_add(INFER_TIMEOUT);
        promised(in_time, || "an inference goes on after its time".to_owned())?;
        promised(*told <= ANSWER_BYTES_MAX && (1..=DELTA_BYTES_MAX).contains(&chunk.delta.len()), || {
            format!("{told} bytes are said, {} of them now", chunk.delta.len())
        })
    }

    fn ended(&mut self, ended: Option<Result<clawmesh_wire::llm::Ended, bool>>) -> Result<(), String> {
        match (ended, self.ticket) {
            (Some(Ok(ended)), _) => self.over(ended.ticket),
            (Some(Err(false)), Some(ticket)) => self.over(ticket),
            _ => Ok(()),
        }
    }

    fn over(&mut self, ticket: Ticket) -> Result<(), String> {
        self.told.push("ended".to_owned());
        promised(self.begun.remove(&ticket).is_some(), || "an inference ends twice".to_owned())
    }

    fn cancel(&mut self, step: &Value, connection: u64) -> Result<(), String> {
        let raw = payload(step, "params");
        let cancelled =
            CancelParams::read(raw.as_deref()).and_then(|params| self.serving.cancel(connection, &params));
        match cancelled {
            Ok((_, ended)) => self.over(ended.ticket),
            Err(refusal) => self.refused(&refusal),
        }
    }

    fn hear(&mut self, step: &Value) -> Result<(), String> {
        let raw = payload(step, "payload");
        let heard = Chunk::read(raw.as_deref()).and_then(|chunk| {
            let is_ours = chunk.request_id == "i-1";
            let result = self.receiving.hear(&chunk);
            match &result {
                Ok(()) => {
                    self.is_whole &= is_ours && chunk.seq == self.chunks;
                    self.chunks += 1;
                    self.heard.push_str(&chunk.delta);
                }
                Err(_) if is_ours => self.is_whole = false,
                Err(_) => {}
            }
            result
        });
        promised(self.receiving.text().len() <= ANSWER_BYTES_MAX, || "too long an answer".to_owned())?;
        heard.or_else(|refusal| self.refused(&refusal))
    }

    fn answered(&mut self, step: &Value) -> Result<(), String> {
        let raw = payload(step, "payload");
        let spoiled_before = !self.is_whole;
        let inferred = self.receiving.answered(&Ok(raw.as_deref()));
        self.is_whole = false;
        match inferred {
            Ok(inferred) => {
                promised(!spoiled_before, || "an answer with a hole is whole".to_owned())?;
                promised(inferred.text == self.heard, || "an answer is not what was heard".to_owned())?;
                promised(Finished::read(raw.as_deref()).is_ok(), || "an end that is none".to_owned())?;
                self.told.push("inferred".to_owned());
                Ok(())
            }
            Err(refusal) => self.refused(&refusal),
        }
    }

    fn refused(&mut self, refusal: &clawmesh_wire::Refusal) -> Result<(), String> {
        self.told.push(refusal.to_string());
        is_brief(&refusal.message, SENTENCE_BYTES_MAX)
    }
}
