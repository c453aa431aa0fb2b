//! Context frames: what a node has seen, heard or thought, as it travels among existing nodes.
//!
//! Nobody signs them, and whoever relays one may have changed it. So a frame is shown, for no more than it can be worth,
//! and is never evidence for anything that moves.

use std::borrow::Cow;

use clawmesh_authority::{ContentHash, Tier};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::code::{Code, Refusal};
use crate::fields::{Fields, text_of};
use crate::frame::within_data;
use crate::trust::{CLAIMS_MAX, EvidenceSource, Word, tier_text};

/// The generation of the protocol; frames of another one are refused.
pub const GENERATION: u64 = 1;
/// The longest id, name or zone in a frame, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 4_096;
/// How far a frame may come from the future, by our clock, in milliseconds.
pub const FUTURE_MS_MAX: u64 = 300_000;
/// What a frame of a peer is shown for at most.
pub const SHOWN_TIER_MAX: Tier = Tier::T2;

/// What a frame tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameKind {
    /// Something was measured.
    Observation,
    /// Something has happened.
    Event,
    /// A person has said something.
    HumanInput,
    /// A model has concluded something.
    Inference,
    /// A node can do something else than before.
    CapabilityUpdate,
    /// A model has answered.
    AgentResponse,
}

impl Word for FrameKind {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Observation, "observation"),
        (Self::Event, "event"),
        (Self::HumanInput, "human_input"),
        (Self::Inference, "inference"),
        (Self::CapabilityUpdate, "capability_update"),
        (Self::AgentResponse, "agent_response"),
    ];
}

impl FrameKind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, text)| text)
    }

    /// The most that what is told in this way can be worth: what a model says is an inference.
    fn tier_max(self) -> Tier {
        match self {
            Self::Inference | Self::AgentResponse => Tier::T0,
            Self::Observation | Self::Event | Self::HumanInput | Self::CapabilityUpdate => SHOWN_TIER_MAX,
        }
    }
}

/// One frame, with everything in it that we know of.
#[derive(Debug, Clone)]
pub struct ContextFrame {
    /// What it tells.
    pub kind: FrameKind,
    /// Its name.
    pub frame_id: String,
    /// Who made it, as it says itself.
    pub source_device_id: String,
    /// What people call the source.
    pub source_display_name: Option<String>,
    /// When it was made, Unix milliseconds by the clock of the source.
    pub timestamp_ms: u64,
    /// What it holds: a JSON object.
    pub data: Box<RawValue>,
    /// Where in the field, if the data say so.
    pub zone: Option<String>,
    /// What was measured, if the data say so.
    pub metric: Option<String>,
    /// What speaks for it, as it says itself.
    pub sources: Vec<EvidenceSource>,
    /// What it is worth, as it says itself; show [`ContextFrame::shown_tier`].
    pub claimed_tier: Tier,
    /// Words for people.
    pub note: Option<String>,
    /// How many nodes have relayed it.
    pub hops: u64,
}

/// Where a frame stands among others, whenever it arrives: by time, then source, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// When it was made, Unix milliseconds by the clock of the source.
    pub timestamp_ms: u64,
    /// Who made it.
    pub source: String,
    /// Its name.
    pub frame_id: String,
}

impl ContextFrame {
    /// Reads a frame; `unix_ms` is now.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the first field that is missing, of another type, too large, not of the vocabulary, or from
    /// too far in the future; `DATA_TOO_LARGE`.
    pub fn read(raw: Option<&RawValue>, unix_ms: u64) -> Result<Self, Refusal> {
        let missing = || Refusal::new(Code::InvalidParams, "context.frame: the payload is missing");
        let fields = Fields::read(raw.ok_or_else(missing)?, "context.frame", Code::InvalidParams)?;
        if fields.required_whole_number("gen")? != GENERATION {
            return Err(fields.wrong("gen", "must be 1"));
        }
        let kind = word(&fields, "kind")?;
        let name = |name| fields.required_text(name, NAME_BYTES_MAX).map(Cow::into_owned);
        let timestamp_ms = fields.required_whole_number("timestamp")?;
        if timestamp_ms > unix_ms.saturating_add(FUTURE_MS_MAX) {
            let ahead_s = (timestamp_ms - unix_ms) / 1_000;
            let must = format!("is {ahead_s} s ahead of our time, at most 300 s count; set the clocks");
            return Err(fields.wrong("timestamp", must));
        }
        let data = data(&fields)?;
        let (sources, claimed_tier) = trust(&fields)?;
        Ok(Self {
            kind,
            frame_id: name("frameId")?,
            source_device_id: name("sourceDeviceId")?,
            source_display_name: fields.name("sourceDisplayName", NAME_BYTES_MAX)?,
            timestamp_ms,
            zone: string_in(&data, "zone"),
            metric: string_in(&data, "metric"),
            data: data.json.to_owned(),
            sources,
            claimed_tier,
            note: fields.text("note", NOTE_BYTES_MAX)?.map(Cow::into_owned),
            hops: fields.whole_number("hops")?.unwrap_or(0),
        })
    }

    /// What a receiver shows it for: never more than it claims, than [`SHOWN_TIER_MAX`], than its kind can be worth, nor
    /// more than an inference when nothing but a model, or nothing at all, speaks for it.
    #[must_use]
    pub fn shown_tier(&self) -> Tier {
        let by_sources = match self.sources.iter().all(|source| *source == EvidenceSource::Llm) {
            true => Tier::T0,
            false => SHOWN_TIER_MAX,
        };
        self.claimed_tier.min(self.kind.tier_max()).min(by_sources)
    }

    /// Where it stands among others.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp {
            timestamp_ms: self.timestamp_ms,
            source: self.source_device_id.clone(),
            frame_id: self.frame_id.clone(),
        }
    }

    /// What it says, in one number: the same however often it was relayed, and another one as soon as anything in it is.
    #[must_use]
    pub fn content(&self) -> ContentHash {
        let told = Self { hops: 0, ..self.clone() };
        // What was read can be written; were it not so, its stamp would still tell it apart.
        let text = serde_json::to_string(&told).unwrap_or_else(|_| format!("{:?}", self.stamp()));
        ContentHash::of("context-frame", text.as_bytes())
    }

    /// How many bytes it has when it is written.
    #[must_use]
    pub fn written_bytes(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX / 2, |text| text.len() + 1)
    }

    /// What it is about: frames with the same key follow each other, and the newest one counts.
    #[must_use]
    pub fn key(&self) -> String {
        let (source, kind) = (&self.source_device_id, self.kind.as_str());
        match (self.kind, &self.zone, &self.metric) {
            (FrameKind::Observation, Some(zone), Some(metric)) => format!("{source}:{kind}:{zone}:{metric}"),
            _ => format!("{source}:{kind}:{}", sorted(&self.data)),
        }
    }

    /// How much memory it takes, about, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = [&self.source_display_name, &self.zone, &self.metric, &self.note];
        let optional: usize = texts.into_iter().flatten().map(String::len).sum();
        size_of::<Self>()
            + self.frame_id.len()
            + self.source_device_id.len()
            + self.data.get().len()
            + optional
    }
}

impl Serialize for ContextFrame {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Trust<'a> {
            evidence_sources: &'a [&'static str],
            evidence_trust_tier: &'static str,
        }
        let sources: Vec<&'static str> = self.sources.iter().map(|source| source.as_str()).collect();
        let mut frame = to.serialize_struct("ContextFrame", 10)?;
        frame.serialize_field("gen", &GENERATION)?;
        frame.serialize_field("kind", self.kind.as_str())?;
        frame.serialize_field("frameId", &self.frame_id)?;
        frame.serialize_field("sourceDeviceId", &self.source_device_id)?;
        if let Some(name) = &self.source_display_name {
            frame.serialize_field("sourceDisplayName", name)?;
        }
        frame.serialize_field("timestamp", &self.timestamp_ms)?;
        frame.serialize_field("data", &self.data)?;
        let evidence_trust_tier = tier_text(self.claimed_tier);
        frame.serialize_field("trust", &Trust { evidence_sources: &sources, evidence_trust_tier })?;
        if let Some(note) = &self.note {
            frame.serialize_field("note", note)?;
        }
        frame.serialize_field("hops", &self.hops)?;
        frame.end()
    }
}

struct Data<'a> {
    json: &'a RawValue,
    fields: Fields<'a>,
}

fn data<'a>(fields: &Fields<'a>) -> Result<Data<'a>, Refusal> {
    let json = fields.raw("data").ok_or_else(|| fields.wrong("data", "is missing"))?;
    within_data("`data` of a frame", json.get().len())?;
    Ok(Data { json, fields: Fields::read(json, "`data` of a frame", Code::InvalidParams)? })
}

/// A zone or a metric of another type is data like any other.
fn string_in(data: &Data<'_>, name: &str) -> Option<String> {
    let text = text_of(data.fields.raw(name)?)?;
    (text.len() <= NAME_BYTES_MAX).then(|| text.into_owned())
}

fn trust(fields: &Fields<'_>) -> Result<(Vec<EvidenceSource>, Tier), Refusal> {
    let raw = fields.raw("trust").ok_or_else(|| fields.wrong("trust", "is missing"))?;
    let trust = Fields::read(raw, "`trust` of a frame", Code::InvalidParams)?;
    let tier = word(&trust, "evidence_trust_tier")?;
    let sources = trust.texts("evidence_sources", CLAIMS_MAX, NAME_BYTES_MAX)?.unwrap_or_default();
    let sources: Option<Vec<_>> = sources.iter().map(|source| EvidenceSource::of_text(source)).collect();
    Ok((sources.ok_or_else(|| trust.wrong("evidence_sources", "names a source we do not know"))?, tier))
}

fn word<W: Word>(fields: &Fields<'_>, name: &str) -> Result<W, Refusal> {
    let text = fields.required_text(name, NAME_BYTES_MAX)?;
    W::of_text(&text)
        .ok_or_else(|| fields.wrong(name, format_args!("is none we know: {}", crate::code::quoted(&text))))
}

/// The same object with its keys in the order of JavaScript and without blanks between its parts.
fn sorted(data: &RawValue) -> String {
    let Ok(fields) = Fields::read(data, "data", Code::InvalidParams) else { return compact(data.get()) };
    let mut entries: Vec<(&str, &RawValue)> = fields.entries().collect();
    entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let pairs: Vec<String> = entries
        .into_iter()
        .map(|(key, value)| format!("{}:{}", serde_json::Value::from(key), compact(value.get())))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// JSON without the blanks outside of its texts.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let mut keep = |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
        in_text || !matches!(c, ' ' | '\t' | '\n' | '\r')
    };
    json.chars().filter(|c| keep(*c)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::DATA_BYTES_MAX;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    pub(crate) const NOW_MS: u64 = 1_730_000_000_000;

    pub(crate) fn good() -> Value {
        json!({
            "gen": 1, "kind": "observation", "frameId": "f-1", "sourceDeviceId": "s", "timestamp": NOW_MS,
            "data": {"zone": "z", "metric": "m", "value": 21.5},
            "trust": {"evidence_sources": ["sensor"], "evidence_trust_tier": "T2_operational_observation"}, "hops": 0,
        })
    }

    pub(crate) fn read(value: &Value) -> Result<ContextFrame, Refusal> {
        let raw = serde_json::value::to_raw_value(value).unwrap();
        ContextFrame::read(Some(&raw), NOW_MS)
    }

    /// A reading of `metric` by `source`, as a frame.
    pub(crate) fn frame(source: &str, id: &str, metric: &str, timestamp_ms: u64) -> ContextFrame {
        let mut value = good();
        (value["sourceDeviceId"], value["frameId"], value["data"]["metric"]) =
            (json!(source), json!(id), json!(metric));
        ContextFrame { timestamp_ms, ..read(&value).unwrap() }
    }

    #[test]
    fn a_frame_that_is_relayed_says_what_it_said() {
        let mut value = good();
        value["sourceDisplayName"] = json!("North");
        value["note"] = json!("dry");
        let frame = read(&value).unwrap();
        assert_eq!((frame.zone.as_deref(), frame.metric.as_deref()), (Some("z"), Some("m")));
        assert_eq!(serde_json::to_value(&frame).unwrap(), value);
        assert_eq!(serde_json::to_string(&frame).unwrap(), serde_json::to_string(&frame.clone()).unwrap());
    }

    #[test]
    fn every_wrong_field_is_refused_by_its_name() {
        for (pointer, value, named) in [
            ("/gen", json!(2), "`gen`"),
            ("/gen", Value::Null, "`gen`"),
            ("/kind", json!("rumour"), "`kind`"),
            ("/frameId", json!(""), "`frameId`"),
            ("/frameId", json!("x".repeat(129)), "`frameId`"),
            ("/sourceDeviceId", json!(7), "`sourceDeviceId`"),
            ("/timestamp", json!(-5), "`timestamp`"),
            ("/timestamp", json!(NOW_MS + FUTURE_MS_MAX + 1), "`timestamp`"),
            ("/data", Value::Null, "`data`"),
            ("/data", json!([1]), "`data`"),
            ("/trust", Value::Null, "`trust`"),
            ("/trust/evidence_trust_tier", json!("T2"), "`evidence_trust_tier`"),
            ("/trust/evidence_sources", json!(["oracle"]), "`evidence_sources`"),
            ("/hops", json!("many"), "`hops`"),
        ] {
            let mut changed = good();
            *changed.pointer_mut(pointer).unwrap() = value;
            let refusal = read(&changed).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidParams, "{pointer}");
            assert!(refusal.message.contains(named), "{pointer}: {refusal}");
        }
        assert_eq!(ContextFrame::read(None, NOW_MS).unwrap_err().code, Code::InvalidParams);
        let mut huge = good();
        huge["data"]["text"] = json!("x".repeat(DATA_BYTES_MAX));
        assert_eq!(read(&huge).unwrap_err().code, Code::DataTooLarge);
    }

    #[test]
    fn a_frame_is_shown_for_what_it_can_be_worth_and_no_more() {
        for (kind, sources, claimed, shown) in [
            ("observation", json!(["sensor"]), "T2_operational_observation", Tier::T2),
            ("observation", json!(["sensor"]), "T1_unverified_observation", Tier::T1),
            ("observation", json!(["sensor"]), "T3_verified_action_evidence", Tier::T2),
            ("event", json!(["sensor", "human"]), "T3_verified_action_evidence", Tier::T2),
            ("human_input", json!(["human"]), "T3_verified_action_evidence", Tier::T2),
            ("observation", json!(["llm"]), "T3_verified_action_evidence", Tier::T0),
            ("observation", json!([]), "T3_verified_action_evidence", Tier::T0),
            ("inference", json!(["sensor"]), "T2_operational_observation", Tier::T0),
            ("agent_response", json!(["human"]), "T3_verified_action_evidence", Tier::T0),
        ] {
            let mut value = good();
            value["kind"] = json!(kind);
            value["trust"] = json!({"evidence_sources": sources, "evidence_trust_tier": claimed});
            let frame = read(&value).unwrap();
            assert_eq!(frame.shown_tier(), shown, "{kind} {sources} {claimed}");
            assert_eq!(serde_json::to_value(&frame).unwrap()["trust"], value["trust"], "relayed unchanged");
        }
    }

    fn with_data(value: &Value, data: &RawValue) -> ContextFrame {
        let mut value = value.clone();
        value["data"] = json!("HERE");
        let text = value.to_string().replace("\"HERE\"", data.get());
        let raw: Box<RawValue> = serde_json::from_str(&text).unwrap();
        ContextFrame::read(Some(&raw), NOW_MS).unwrap()
    }

    #[test]
    fn the_key_is_place_and_metric_or_the_sorted_data() {
        assert_eq!(read(&good()).unwrap().key(), "s:observation:z:m");
        let key = |kind: &str, data: &str| {
            let mut value = good();
            value["kind"] = json!(kind);
            let data = RawValue::from_string(data.to_owned()).unwrap();
            with_data(&value, &data).key()
        };
        assert_eq!(
            key("event", r#"{ "b": [1, "x y"], "a": {"d": 1, "c": 2} }"#),
            r#"s:event:{"a":{"d":1,"c":2},"b":[1,"x y"]}"#
        );
        assert_eq!(key("event", r#"{"zone":"z","metric":"m"}"#), r#"s:event:{"metric":"m","zone":"z"}"#);
        assert_eq!(
            key("observation", r#"{"zone":1,"metric":"m"}"#),
            r#"s:observation:{"metric":"m","zone":1}"#
        );
    }

    proptest! {
        #[test]
        fn no_json_panics(text in r#"\{("(gen|kind|data|trust|hops|timestamp)":(1|"observation"|\{\}|\[\]|null),?){0,8}\}"#) {
            if let Ok(raw) = serde_json::from_str::<Box<RawValue>>(&text) {
                let _ = ContextFrame::read(Some(&raw), NOW_MS);
            }
        }

        #[test]
        fn blanks_and_the_order_of_keys_change_no_key(a in "[ -~é]{0,12}", b in any::<i32>(), space in "[ \t\n]{0,3}") {
            let (a, b) = (json!(a).to_string(), b.to_string());
            let one: Box<RawValue> = serde_json::from_str(&format!("{{\"x\":{a},\"y\":[{b}]}}")).unwrap();
            let two: Box<RawValue> =
                serde_json::from_str(&format!("{{{space}\"y\"{space}:[{space}{b}],\"x\":{space}{a}}}")).unwrap();
            prop_assert_eq!(sorted(&one), sorted(&two));
        }
    }
}
