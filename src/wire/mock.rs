//! The stand-in actuator: the only thing that plain commands of existing nodes may move, because it moves nothing.
//!
//! It judges by the rows of the gate again, so that no way to it goes around them, and its refusal is the answer.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal};
use crate::command::{COMMAND_AGE_MS_MAX, Command, Operation};
use crate::fields::Fields;
use crate::gate::{Forward, actuator_name, is_actuator, rows_5_to_12};

/// The most things that were done and are remembered.
pub const HISTORY_MAX: usize = 100;
/// The most ids of commands that are remembered.
pub const COMMANDS_MAX: u16 = 256;
/// The most targets that have a state.
pub const TARGETS_MAX: usize = 256;
/// The longest state that a command may set, in bytes.
pub const STATUS_BYTES_MAX: usize = 64;

/// The channel the actuator listens on.
const CHANNEL: &str = "clawmesh";

/// What was done to one target last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MockRecord {
    /// The target.
    pub target_ref: String,
    /// How it stands: `active`, `inactive`, a state that was set, or `command:` and the operation.
    pub status: String,
    /// The operation that was carried out.
    pub operation: String,
    /// The command it came with.
    pub command_id: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// The newest refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MockRefusal {
    /// What was to be moved.
    pub target_ref: String,
    /// The code, as it stands on the wire.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// Everything the actuator knows.
#[derive(Debug, Clone, Default)]
pub struct MockActuator {
    records: BTreeMap<String, MockRecord>,
    history: VecDeque<MockRecord>,
    refused_count: u64,
    last_refusal: Option<MockRefusal>,
    /// What was carried out and would count again, by place.
    done: BTreeMap<u16, Done>,
}

/// A command that was carried out, as it has to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its id.
    pub command_id: String,
    /// Until when it would count if it came again, Unix milliseconds.
    pub counts_until_ms: u64,
}

/// What `clawmesh.mock.actuator.state` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MockState {
    /// The targets, in order of their names.
    pub records: Vec<MockRecord>,
    /// What was done, oldest first.
    pub history: Vec<MockRecord>,
    /// How many commands were refused here.
    pub refused_count: u64,
    /// The newest refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<MockRefusal>,
}

impl MockActuator {
    /// Carries out the command in `forward`; `unix_ms` is now.
    ///
    /// # Errors
    /// The row of the gate that applies; `INVALID_COMMAND_ENVELOPE` without a command, `INVALID_PARAMS` on another channel,
    /// `NOT_FOUND` for what is no actuator, `DUPLICATE` for a command that was carried out, `BUSY` without room.
    pub fn execute(&mut self, forward: &Forward, unix_ms: u64) -> Result<MockRecord, Refusal> {
        let result = self.judge(forward, unix_ms).map(|command| record(command, unix_ms));
        match &result {
            Ok(record) => self.note(record, forward.command.as_ref()),
            Err(refusal) => {
                self.refused_count = self.refused_count.saturating_add(1);
                self.last_refusal = Some(MockRefusal {
                    target_ref: forward.target().to_owned(),
                    code: refusal.code.as_str(),
                    message: refusal.message.clone(),
                    at_ms: unix_ms,
                });
            }
        }
        result
    }

    /// The state of all targets, or of one.
    #[must_use]
    pub fn state(&self, target_ref: Option<&str>) -> MockState {
        let name = target_ref.map(normal);
        let of = |record: &&MockRecord| name.as_ref().is_none_or(|name| record.target_ref == *name);
        MockState {
            records: self.records.values().filter(of).cloned().collect(),
            history: self.history.iter().filter(of).cloned().collect(),
            refused_count: self.refused_count,
            last_refusal: self.last_refusal.clone(),
        }
    }

    /// What would be refused as known, by place. Whoever wants it refused after a restart keeps it, and gives it back to
    /// [`MockActuator::recall`].
    pub fn remembered(&self) -> impl ExactSizeIterator<Item = (u16, &Done)> {
        self.done.iter().map(|(place, done)| (*place, done))
    }

    /// The place of a command that was carried out, and what is remembered of it.
    #[must_use]
    pub fn carried_out(&self, command_id: &str) -> Option<(u16, &Done)> {
        self.remembered().find(|(_, done)| done.command_id == command_id)
    }

    /// Remembers what an earlier run has carried out; false for a place that is taken, or that there is not.
    pub fn recall(&mut self, place: u16, done: Done) -> bool {
        let is_free = place < COMMANDS_MAX && !self.done.contains_key(&place);
        is_free && self.done.insert(place, done).is_none()
    }

    fn judge<'a>(&mut self, forward: &'a Forward, unix_ms: u64) -> Result<&'a Command, Refusal> {
        if forward.channel != CHANNEL {
            let sentence = format!("the mock actuator listens on the channel {CHANNEL} only");
            return Err(Refusal::new(Code::InvalidParams, sentence));
        }
        let Some(command) = &forward.command else {
            let sentence = "an actuation needs a command; send it in `command`";
            return Err(Refusal::new(Code::InvalidCommandEnvelope, sentence));
        };
        if !is_actuator(&command.target_ref) {
            let sentence = "the target of the command is no actuator; it must begin with actuator:";
            return Err(Refusal::new(Code::NotFound, sentence));
        }
        if !is_mock(&command.target_ref) {
            let sentence = "the target is no mock actuator (actuator:mock, actuator:mock:…); what is real moves by an approved proposal only";
            return Err(Refusal::new(Code::NotFound, sentence));
        }
        rows_5_to_12(true, Some(&command.trust))?;
        self.once(command, unix_ms)?;
        if self.records.len() >= TARGETS_MAX && !self.records.contains_key(&normal(&command.target_ref)) {
            let sentence =
                format!("the mock actuator has {TARGETS_MAX} targets already, which is all it takes");
            return Err(Refusal::new(Code::Busy, sentence));
        }
        Ok(command)
    }

    /// An id may be forgotten only when its command is too old to count, or a flood of others would make it new again.
    fn once(&mut self, command: &Command, unix_ms: u64) -> Result<(), Refusal> {
        self.done.retain(|_, done| done.counts_until_ms >= unix_ms);
        if self.carried_out(&command.command_id).is_some() {
            let sentence = "this command was carried out before; give a new one another commandId";
            return Err(Refusal::new(Code::Duplicate, sentence));
        }
        if self.free_place().is_none() {
            let sentence =
                format!("{COMMANDS_MAX} commands were carried out in the last minutes; wait a little");
            return Err(Refusal::new(Code::Busy, sentence));
        }
        Ok(())
    }

    fn free_place(&self) -> Option<u16> {
        (0..COMMANDS_MAX).find(|place| !self.done.contains_key(place))
    }

    fn note(&mut self, record: &MockRecord, command: Option<&Command>) {
        if let (Some(command), Some(place)) = (command, self.free_place()) {
            let counts_until_ms = command.created_at_ms.saturating_add(COMMAND_AGE_MS_MAX);
            self.done.insert(place, Done { command_id: command.command_id.clone(), counts_until_ms });
        }
        self.records.insert(record.target_ref.clone(), record.clone());
        if self.history.len() >= HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(record.clone());
    }
}

fn record(command: &Command, unix_ms: u64) -> MockRecord {
    MockRecord {
        target_ref: normal(&command.target_ref),
        status: status(&command.operation),
        operation: command.operation.name.clone(),
        command_id: command.command_id.clone(),
        at_ms: unix_ms,
    }
}

/// To say that a real one was moved would be a lie that somebody might build on.
#[must_use]
pub fn is_mock(reference: &str) -> bool {
    let name = actuator_name(reference).unwrap_or_default().to_ascii_lowercase();
    name == "mock" || name.starts_with("mock:")
}

/// One name for one target, however it is written.
fn normal(reference: &str) -> String {
    actuator_name(reference).map_or_else(|| reference.to_owned(), |name| format!("actuator:{name}"))
}

/// How a target stands after `operation`.
#[must_use]
pub fn status(operation: &Operation) -> String {
    let name = operation.name.trim().to_lowercase();
    match name.as_str() {
        "open" | "start" | "on" | "enable" => "active".to_owned(),
        "close" | "stop" | "off" | "disable" => "inactive".to_owned(),
        "set" => operation.params.as_deref().and_then(state).unwrap_or_else(|| "command:set".to_owned()),
        _ => format!("command:{name}"),
    }
}

fn state(params: &RawValue) -> Option<String> {
    let fields = Fields::read(params, "params", Code::InvalidParams).ok()?;
    fields.required_text("state", STATUS_BYTES_MAX).ok().map(|state| state.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::NOW_MS;
    use crate::gate::tests::{command_message, judged};
    use crate::gate::{Allowed, Rights, authorize};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn forward(params: &Value) -> Forward {
        match authorize(judged(params).unwrap(), Rights::OPERATOR).unwrap() {
            Allowed::Actuation(forward) | Allowed::Message(forward) => forward,
            Allowed::Intent(_) => panic!(),
        }
    }

    fn named(id: &str) -> Forward {
        let mut params = command_message();
        params["command"]["commandId"] = json!(id);
        forward(&params)
    }

    fn after(name: &str, params: Value) -> String {
        let params = Some(serde_json::value::to_raw_value(&params).unwrap());
        status(&Operation { name: name.to_owned(), params })
    }

    #[test]
    fn the_status_follows_from_the_operation() {
        for name in ["open", "start", "on", "enable", "OPEN", "Start"] {
            assert_eq!(after(name, json!({})), "active", "{name}");
        }
        for name in ["close", "stop", "off", "disable", "Off"] {
            assert_eq!(after(name, json!({})), "inactive", "{name}");
        }
        assert_eq!(after("set", json!({"state": "half open"})), "half open");
        for params in [json!({}), json!({"state": 5}), json!({"state": "x".repeat(65)}), json!([])] {
            assert_eq!(after("set", params), "command:set");
        }
        assert_eq!(after("calibrate", json!({})), "command:calibrate");
    }

    #[test]
    fn what_is_carried_out_is_seen_in_the_state() {
        let mut mock = MockActuator::default();
        assert_eq!(mock.execute(&named("a"), NOW_MS).unwrap().status, "active");
        let state = mock.state(None);
        assert_eq!((state.records.len(), state.history.len(), state.refused_count), (1, 1, 0));
        assert_eq!(mock.state(Some(" ACTUATOR:mock:valve-1")).records, state.records);
        assert!(mock.state(Some("actuator:mock:valve-2")).records.is_empty());
        let text = serde_json::to_value(&state).unwrap();
        assert_eq!(text["records"][0]["targetRef"], "actuator:mock:valve-1");
        assert!(text.get("lastRefusal").is_none());
    }

    #[test]
    fn a_command_is_carried_out_once_also_when_it_comes_in_other_words() {
        let mut mock = MockActuator::default();
        mock.execute(&named("a"), NOW_MS).unwrap();
        let mut again = named("a");
        again.origin_gateway_id = "somebody else".to_owned();
        assert_eq!(mock.execute(&again, NOW_MS + 1).unwrap_err().code, Code::Duplicate);
        let state = mock.state(None);
        assert_eq!((state.refused_count, state.history.len()), (1, 1));
        assert_eq!(state.last_refusal.unwrap().code, "DUPLICATE");
    }

    #[test]
    fn no_flood_makes_an_old_command_new_again() {
        let mut mock = MockActuator::default();
        for number in 0..COMMANDS_MAX {
            mock.execute(&named(&number.to_string()), NOW_MS).unwrap();
        }
        assert_eq!(mock.execute(&named("one more"), NOW_MS).unwrap_err().code, Code::Busy);
        assert_eq!(mock.execute(&named("0"), NOW_MS).unwrap_err().code, Code::Duplicate);
        assert_eq!(mock.state(None).history.len(), HISTORY_MAX);
        let later = NOW_MS + COMMAND_AGE_MS_MAX + 1;
        assert!(mock.execute(&named("one more"), later).is_ok(), "none of the others counts any longer");
        assert_eq!(mock.done.len(), 1);
    }

    #[test]
    fn what_was_kept_of_an_earlier_run_is_carried_out_no_more() {
        let mut before = MockActuator::default();
        for id in ["a", "b"] {
            before.execute(&named(id), NOW_MS).unwrap();
        }
        let mut after = MockActuator::default();
        for (place, done) in before.remembered() {
            assert!(after.recall(place, done.clone()) && !after.recall(place, done.clone()));
        }
        assert_eq!(after.execute(&named("b"), NOW_MS).unwrap_err().code, Code::Duplicate);
        after.execute(&named("c"), NOW_MS).unwrap();
        let place = |mock: &MockActuator, id: &str| mock.carried_out(id).map(|(place, _)| place);
        assert_eq!((place(&before, "b"), place(&after, "c"), place(&after, "d")), (Some(1), Some(2), None));
        let (_, done) = before.remembered().next().unwrap();
        assert!(!after.recall(COMMANDS_MAX, done.clone()), "there is no such place");
    }

    #[test]
    fn the_rows_are_judged_again_and_a_refusal_is_the_answer() {
        let mut mock = MockActuator::default();
        let mut only_a_model = named("a");
        if let Some(command) = &mut only_a_model.command {
            command.trust.evidence_sources = crate::trust::Claim::Missing;
        }
        assert_eq!(mock.execute(&only_a_model, NOW_MS).unwrap_err().code, Code::LlmOnlyActuationBlocked);
        let without = Forward { command: None, ..named("b") };
        assert_eq!(mock.execute(&without, NOW_MS).unwrap_err().code, Code::InvalidCommandEnvelope);
        let elsewhere = Forward { channel: "telegram".to_owned(), ..named("c") };
        assert_eq!(mock.execute(&elsewhere, NOW_MS).unwrap_err().code, Code::InvalidParams);
        let mut task = named("d");
        if let Some(command) = &mut task.command {
            command.target_ref = "task:1".to_owned();
        }
        assert_eq!(mock.execute(&task, NOW_MS).unwrap_err().code, Code::NotFound);
        assert_eq!((mock.state(None).refused_count, mock.state(None).records.len()), (4, 0));
    }

    #[test]
    fn targets_are_bounded() {
        let mut mock = MockActuator::default();
        for number in 0..=TARGETS_MAX {
            let mut forward = named(&number.to_string());
            if let Some(command) = &mut forward.command {
                command.target_ref = format!("actuator:mock:{number}");
            }
            assert_eq!(mock.execute(&forward, NOW_MS).is_ok(), number < TARGETS_MAX, "{number}");
        }
    }

    proptest! {
        #[test]
        fn no_operation_panics_and_every_status_is_bounded(name in ".{0,128}", state in ".{0,200}") {
            let status = after(&name, json!({ "state": state }));
            prop_assert!(status.len() <= 3 * 128 + 64 * 4, "{}", status);
        }
    }
}
