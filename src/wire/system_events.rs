//! `mesh.events`: what has happened to this node lately, newest last.

use std::collections::{BTreeMap, VecDeque};

use clawmesh_authority::NodeId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal, quoted};
use crate::context::NAME_BYTES_MAX;
use crate::fields::Fields;
use crate::trust::Word;

/// The most events that are remembered.
pub const EVENTS_MAX: usize = 500;
/// How many events an answer has when nothing else is asked for.
pub const LIMIT_DEFAULT: usize = 50;
/// The most events of an answer.
pub const LIMIT_MAX: usize = 200;
/// What the summary looks back on, milliseconds.
pub const SUMMARY_MS: u64 = 3_600_000;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A node has connected.
    PeerConnect,
    /// A node is gone.
    PeerDisconnect,
    /// Something was proposed.
    ProposalCreated,
    /// A proposal has come to its end.
    ProposalResolved,
    /// A message of one node was passed on to another.
    MessageRelayed,
    /// Something was refused or went wrong.
    Error,
    /// This node has started.
    Startup,
    /// A reading beyond a bound. Nobody records it: what breaches a bound here is an alarm.
    ThresholdBreach,
    /// Another mode of planning. Nobody records it.
    ModeChange,
    /// This node is about to end.
    Shutdown,
}

impl Word for EventKind {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::PeerConnect, "peer.connect"),
        (Self::PeerDisconnect, "peer.disconnect"),
        (Self::ProposalCreated, "proposal.created"),
        (Self::ProposalResolved, "proposal.resolved"),
        (Self::MessageRelayed, "message.relayed"),
        (Self::ThresholdBreach, "threshold.breach"),
        (Self::ModeChange, "mode.change"),
        (Self::Error, "error"),
        (Self::Startup, "startup"),
        (Self::Shutdown, "shutdown"),
    ];
}

impl EventKind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, text)| text)
    }
}

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemEvent {
    /// What.
    pub kind: EventKind,
    /// When, Unix milliseconds by our clock.
    pub at_ms: u64,
    /// One sentence.
    pub message: String,
    /// The node it is about.
    pub node: Option<NodeId>,
    /// The proposal it is about.
    pub task: Option<String>,
}

impl Serialize for SystemEvent {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            timestamp: u64,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            device_id: Option<NodeId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            task_id: Option<&'a str>,
        }
        let Self { kind, at_ms, message, node, task } = self;
        let kind = kind.as_str();
        let shown = Shown { kind, timestamp: *at_ms, message, device_id: *node, task_id: task.as_deref() };
        shown.serialize(to)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsQuery {
    /// The most events; 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// Of this kind only. It counts more than `since_ms`.
    pub kind: Option<EventKind>,
    /// After this time only, Unix milliseconds.
    pub since_ms: Option<u64>,
}

impl EventsQuery {
    /// Reads the parameters; none at all means all defaults.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let all = Self { limit: LIMIT_DEFAULT, kind: None, since_ms: None };
        let Some(params) = params else { return Ok(all) };
        let fields = Fields::read(params, "mesh.events", Code::InvalidParams)?;
        let kind = fields.text("type", NAME_BYTES_MAX)?.map(|text| {
            let unknown = || fields.wrong("type", format_args!("is none we know: {}", quoted(&text)));
            EventKind::of_text(&text).ok_or_else(unknown)
        });
        let limit = fields.whole_number("limit")?.map(|limit| usize::try_from(limit).unwrap_or(LIMIT_MAX));
        Ok(Self {
            limit: limit.unwrap_or(all.limit).clamp(1, LIMIT_MAX),
            kind: kind.transpose()?,
            since_ms: fields.whole_number("sinceMs")?,
        })
    }

    fn fits(&self, event: &SystemEvent) -> bool {
        match (self.kind, self.since_ms) {
            (Some(kind), _) => kind == event.kind,
            (None, Some(since_ms)) => event.at_ms > since_ms,
            (None, None) => true,
        }
    }
}

/// The last hour, counted.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All events.
    pub total: usize,
    /// By what they are.
    pub by_type: BTreeMap<&'static str, usize>,
    /// Errors.
    pub errors: usize,
    /// Nodes that came and went.
    pub peer_changes: usize,
    /// News of proposals.
    pub proposals: usize,
}

/// What `mesh.events` answers.
#[derive(Debug, Serialize)]
pub struct EventsAnswer<'a> {
    /// The newest that fit, oldest first.
    pub events: Vec<&'a SystemEvent>,
    /// The last hour.
    pub summary: Summary,
    /// How many are remembered.
    pub total: usize,
}

/// The newest events.
#[derive(Debug, Clone, Default)]
pub struct EventLog(VecDeque<SystemEvent>);

impl EventLog {
    /// Remembers an event. The oldest of the kind of which there are most makes room, so that whoever causes a lot of one
    /// kind hides none of the others.
    pub fn push(&mut self, event: SystemEvent) {
        if self.0.len() >= EVENTS_MAX {
            let mut many: BTreeMap<EventKind, usize> = BTreeMap::new();
            self.0.iter().for_each(|event| *many.entry(event.kind).or_default() += 1);
            let most = many.into_iter().max_by_key(|(_, many)| *many).map(|(kind, _)| kind);
            let oldest = self.0.iter().position(|event| Some(event.kind) == most);
            oldest.map(|oldest| self.0.remove(oldest));
        }
        self.0.push_back(event);
    }

    /// Answers a question; `unix_ms` is now.
    #[must_use]
    pub fn answer(&self, query: &EventsQuery, unix_ms: u64) -> EventsAnswer<'_> {
        let (events, _) = self.newest(query.limit, |event| query.fits(event));
        EventsAnswer { events, summary: self.summary(unix_ms), total: self.len() }
    }

    /// The newest `limit` events that fit, oldest first, and how many more fit.
    pub fn newest(&self, limit: usize, fits: impl Fn(&SystemEvent) -> bool) -> (Vec<&SystemEvent>, usize) {
        let mut newest = self.0.iter().rev().filter(|event| fits(event));
        let mut events: Vec<&SystemEvent> = newest.by_ref().take(limit).collect();
        events.reverse();
        (events, newest.count())
    }

    /// How many events are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when nothing has happened yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn summary(&self, unix_ms: u64) -> Summary {
        let from_ms = unix_ms.saturating_sub(SUMMARY_MS);
        let mut summary = Summary::default();
        for event in self.0.iter().filter(|event| event.at_ms >= from_ms) {
            summary.total += 1;
            *summary.by_type.entry(event.kind.as_str()).or_default() += 1;
            match event.kind {
                EventKind::Error => summary.errors += 1,
                EventKind::PeerConnect | EventKind::PeerDisconnect => summary.peer_changes += 1,
                EventKind::ProposalCreated | EventKind::ProposalResolved => summary.proposals += 1,
                EventKind::MessageRelayed
                | EventKind::Startup
                | EventKind::Shutdown
                | EventKind::ThresholdBreach
                | EventKind::ModeChange => {}
            }
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::NOW_MS;
    use serde_json::{Value, json};

    fn event(kind: EventKind, at_ms: u64) -> SystemEvent {
        SystemEvent { kind, at_ms, message: "it happened".to_owned(), node: None, task: None }
    }

    fn read(params: &Value) -> Result<EventsQuery, Refusal> {
        EventsQuery::read(Some(&serde_json::value::to_raw_value(params).unwrap()))
    }

    fn ages(log: &EventLog, params: &Value) -> Vec<u64> {
        let answer = log.answer(&read(params).unwrap(), NOW_MS);
        answer.events.iter().map(|event| NOW_MS - event.at_ms).collect()
    }

    #[test]
    fn the_newest_that_fit_are_given_and_a_kind_counts_more_than_a_time() {
        let mut log = EventLog::default();
        log.push(event(EventKind::Startup, NOW_MS - 9_000_000));
        for age_ms in [300, 200, 100] {
            log.push(event(EventKind::PeerConnect, NOW_MS - age_ms));
        }
        log.push(event(EventKind::Error, NOW_MS - 50));
        assert_eq!(ages(&log, &json!({"limit": 2})), [100, 50]);
        assert_eq!(ages(&log, &json!({"sinceMs": NOW_MS - 200})), [100, 50]);
        assert_eq!(ages(&log, &json!({"type": "startup", "sinceMs": NOW_MS})), [9_000_000]);
        for kind in ["threshold.breach", "mode.change"] {
            assert_eq!(
                ages(&log, &json!({"type": kind})),
                [0; 0],
                "a word of the protocol of which there are none"
            );
        }
        let answer = serde_json::to_value(log.answer(&read(&json!({})).unwrap(), NOW_MS)).unwrap();
        assert_eq!(answer["total"], 5);
        assert_eq!(
            answer["summary"],
            json!({
                "total": 4, "byType": {"error": 1, "peer.connect": 3}, "errors": 1, "peerChanges": 3, "proposals": 0,
            })
        );
        assert_eq!(answer["events"][0]["type"], "startup");
        assert!(answer["events"][0].get("deviceId").is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_no_kind_hides_another() {
        let mut log = EventLog::default();
        log.push(event(EventKind::Startup, NOW_MS - 20_000));
        for n in 0..2 * EVENTS_MAX as u64 {
            log.push(event(EventKind::PeerConnect, NOW_MS - 10_000 + n));
        }
        let answer = log.answer(&read(&json!({"limit": 10_000})).unwrap(), NOW_MS);
        assert_eq!((answer.total, answer.events.len()), (EVENTS_MAX, LIMIT_MAX));
        assert_eq!(ages(&log, &json!({"type": "startup"})), [20_000]);
    }

    #[test]
    fn a_question_that_makes_no_sense_is_refused_by_its_field() {
        for (params, field) in [
            (json!({"type": "peer.hello"}), "type"),
            (json!({"type": 5}), "type"),
            (json!({"limit": "many"}), "limit"),
            (json!({"sinceMs": -1}), "sinceMs"),
        ] {
            let refusal = read(&params).unwrap_err();
            assert!(refusal.code == Code::InvalidParams && refusal.message.contains(field), "{refusal}");
        }
        assert_eq!(EventsQuery::read(None).unwrap().limit, LIMIT_DEFAULT);
        assert_eq!(read(&json!({"limit": 0})).unwrap().limit, 1);
    }
}
