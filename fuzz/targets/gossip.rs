//! Frames of many nodes, in any order, again and again, in floods and from the future: what is passed on, and what is kept.
//!
//! A script is a list of steps: a frame, who tells it, how often with a name of its own, and how much time passes.

use std::collections::BTreeSet;

use clawmesh_authority::ContentHash;
use clawmesh_lab::Lab;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::frame::encode_response;
use clawmesh_wire::gossip::{Gossip, HOPS_MAX, Heard, SEEN_MAX};
use clawmesh_wire::log::{BYTES_MAX, ENTRIES_MAX, FRAMES_MAX, Taken, WorldLog};
use clawmesh_wire::sync::{self, ANSWER_BYTES_MAX, SyncParams};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::{MIB, NOW_MS, Seed, Target, context, promised};
use crate::mutate::Shape;

pub(super) const TARGET: Target = Target {
    name: "gossip",
    promise: "what is kept has its bounds and does not depend on the order, nothing goes on twice, our own words are not taken \
              back, and an answer to a sync fits into a message",
    shapes: &[Shape::Json],
    seeds,
    check,
    // The log is full of the largest frames, and an answer is made of it.
    memory_bytes_max: 2 * BYTES_MAX + 64 * MIB,
    memory_per_byte: 128,
};

const STEPS_MAX: usize = 48;
/// The most frames of one script: more than any bound of the log.
const FRAMES_TOLD_MAX: u64 = 2_100;
/// The most frames of one step that is no flood.
const TIMES_MAX: u64 = 20;
/// Up to here nothing has to give way, so the order may not matter.
const FEW: usize = 100;

fn seeds() -> Vec<Seed> {
    let tell = |from: u64, times: u64, frame: &Value| json!({"from": from, "times": times, "frame": frame});
    let of = |changes: Value| {
        let mut frame = context::good();
        frame
            .as_object_mut()
            .into_iter()
            .for_each(|fields| fields.extend(changes.as_object().cloned().unwrap_or_default()));
        frame
    };
    let two = Lab::id_of(2).to_string();
    let own = of(json!({"sourceDeviceId": Lab::id_of(1).to_string().to_uppercase()}));
    let old = of(json!({"timestamp": NOW_MS - 70_000, "frameId": "old"}));
    let ahead = of(json!({"timestamp": NOW_MS + 300_000, "frameId": "ahead", "hops": 3}));
    let calm = json!([tell(2, 1, &context::good()), tell(3, 1, &context::good()), tell(2, 1, &old)]);
    let own = json!([tell(4, 1, &own), tell(2, 2, &context::good()), tell(4, 1, &own)]);
    let late = json!([tell(2, 1, &ahead), {"ms": 300_000}, tell(3, 1, &ahead), tell(3, 1, &old)]);
    let asked = json!([
        tell(2, 9, &context::good()), {"sync": {"since": 0, "limit": 500}}, {"sync": {"zone": "zone-1", "limit": 1}},
    ]);
    let flood = |from: u64, count: u64, frame: &Value| json!({"from": from, "flood": count, "frame": frame});
    let flooded = json!([
        tell(2, 3, &context::good()), flood(3, 1_010, &of(json!({"kind": "event", "data": {"n": 1}}))), {"ms": 1_000},
        tell(2, 1, &ahead), {"sync": {"since": 0, "limit": 500}},
    ]);
    let large = of(json!({"sourceDeviceId": two, "data": {"text": "x".repeat(60_000)}}));
    let full = json!([flood(2, 300, &large), tell(3, 1, &context::good()), {"sync": {"zone": "zone-1"}}, {"sync": {}}]);
    let list =
        [("calm", calm), ("own", own), ("late", late), ("asked", asked), ("flood", flooded), ("full", full)];
    list.map(|(name, script)| (name, script.to_string().into_bytes())).into()
}

struct Node {
    gossip: Gossip,
    log: WorldLog,
    now_ms: u64,
    left: u64,
    /// How many came for the first time.
    new: usize,
    /// The first few of them, and who told each: to keep all would take more memory than the log may.
    taken: Vec<(ContextFrame, usize)>,
    told: BTreeSet<String>,
}

fn check(input: &[u8]) -> Result<String, String> {
    let Ok(script) = serde_json::from_slice::<Vec<&RawValue>>(input) else {
        return Ok("no script".to_owned());
    };
    let mut node = Node {
        gossip: Gossip::new(Lab::id_of(1)),
        log: WorldLog::default(),
        now_ms: NOW_MS,
        left: FRAMES_TOLD_MAX,
        new: 0,
        taken: Vec::new(),
        told: BTreeSet::new(),
    };
    for step in script.into_iter().take(STEPS_MAX) {
        node.step(step)?;
    }
    node.is_bounded()?;
    node.is_without_order()?;
    let count = node.log.frames().len();
    node.told.insert(format!(
        "{} kept",
        if count < 10 {
            "few"
        } else if count < FRAMES_MAX {
            "many"
        } else {
            "all"
        }
    ));
    Ok(node.told.into_iter().collect::<Vec<_>>().join("; "))
}

impl Node {
    fn step(&mut self, step: &RawValue) -> Result<(), String> {
        let Ok(Value::Object(fields)) = serde_json::from_str(step.get()) else { return Ok(()) };
        let number = |name: &str, or: u64| fields.get(name).and_then(Value::as_u64).unwrap_or(or);
        self.now_ms = self.now_ms.saturating_add(number("ms", 0)).min(1 << 53);
        if let Some(question) = fields.get("sync") {
            return self.sync(question);
        }
        let Some(frame) = fields.get("frame") else { return Ok(()) };
        let from = usize::try_from(number("from", 2) % 8).unwrap_or(2) + 1;
        let Ok(raw) = to_raw_value(frame) else { return Ok(()) };
        let frame = match ContextFrame::read(Some(&raw), self.now_ms) {
            Ok(frame) => frame,
            Err(refusal) => {
                self.told.insert(refusal.to_string());
                return Ok(());
            }
        };
        let times = number("times", 1).min(TIMES_MAX).saturating_add(number("flood", 0)).min(self.left);
        for n in 0..times {
            self.left -= 1;
            let frame_id = if n == 0 { frame.frame_id.clone() } else { format!("f-{n}") };
            self.hear(ContextFrame { frame_id, ..frame.clone() }, from)?;
        }
        Ok(())
    }

    fn hear(&mut self, frame: ContextFrame, from: usize) -> Result<(), String> {
        let is_own = frame.source_device_id.eq_ignore_ascii_case(&Lab::id_of(1).to_string());
        match self.gossip.hear(&frame) {
            Heard::Seen => drop(self.told.insert("seen".to_owned())),
            Heard::Own => {
                promised(is_own, || "somebody else's frame counts as ours".to_owned())?;
                self.told.insert("own".to_owned());
            }
            Heard::New { forward } => {
                promised(!is_own, || "our own words are taken back".to_owned())?;
                let goes_too_far = forward.is_some_and(|forward| forward.hops > HOPS_MAX);
                promised(!goes_too_far, || "a frame goes on too far".to_owned())?;
                self.take(frame, from)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: ContextFrame, from: usize) -> Result<(), String> {
        let taken = self.log.take(frame.clone(), Lab::id_of(from), self.now_ms);
        if self.new < FEW {
            let count = self.log.frames().len();
            // What gave way at once may come again; what stayed is known.
            let again = self.log.take(frame.clone(), Lab::id_of(from), self.now_ms);
            let is_twice = again != Taken::Known && self.log.frames().len() > count;
            promised(!is_twice, || "a frame is kept twice".to_owned())?;
        }
        self.told.insert(format!("{taken:?}"));
        self.new += 1;
        if self.new <= FEW {
            self.taken.push((frame, from));
        }
        if self.new.is_multiple_of(250) {
            self.is_bounded()?;
        }
        Ok(())
    }

    fn sync(&mut self, question: &Value) -> Result<(), String> {
        let Ok(raw) = to_raw_value(question) else { return Ok(()) };
        let params = match SyncParams::read(Some(&raw)) {
            Ok(params) => params,
            Err(refusal) => {
                self.told.insert(refusal.to_string());
                return Ok(());
            }
        };
        let answer = sync::answer(&params, self.log.frames().map(|told| &**told), self.now_ms);
        let bytes: usize = answer.frames.iter().map(|frame| frame.written_bytes()).sum();
        promised(bytes <= ANSWER_BYTES_MAX && answer.frames.len() as u64 <= params.limit, || {
            format!("an answer of {} frames and {bytes} bytes", answer.frames.len())
        })?;
        promised(encode_response("r-1", &answer).is_ok(), || "an answer fits into no message".to_owned())?;
        self.told.insert(format!("synced {}", answer.frames.len().min(3)));
        Ok(())
    }

    fn is_bounded(&self) -> Result<(), String> {
        let bytes = |frame: &ContextFrame| frame.bytes();
        let held: usize = self.log.frames().map(|told| bytes(&told.frame)).sum();
        let (frames, entries) = (self.log.frames().len(), self.log.entries().len());
        promised(frames <= FRAMES_MAX && entries <= ENTRIES_MAX && held <= BYTES_MAX, || {
            format!("the log holds {frames} frames, {entries} entries and {held} bytes")
        })?;
        const { assert!(FRAMES_TOLD_MAX < SEEN_MAX as u64) };
        Ok(())
    }

    fn is_without_order(&self) -> Result<(), String> {
        if self.new > FEW {
            return Ok(());
        }
        let mut other = WorldLog::default();
        for (frame, from) in self.taken.iter().rev() {
            other.take(frame.clone(), Lab::id_of(*from), self.now_ms);
        }
        let held = |log: &WorldLog| log.frames().map(|told| told.content).collect::<BTreeSet<ContentHash>>();
        promised(held(&self.log) == held(&other), || "what is kept depends on the order".to_owned())
    }
}
