//! A command as existing nodes send it: the envelope of version 1, read strictly.

use serde_json::value::RawValue;

use crate::code::{Code, Refusal, timeless};
use crate::fields::Fields;
use crate::trust::TrustClaims;

/// How far the time of a command may be from ours, either way, in milliseconds.
pub const COMMAND_AGE_MS_MAX: u64 = 300_000;
/// The longest id of a command, name of an operation or reference to a target, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 4_096;

const ENVELOPE: &str = "`command`";
const CODE: Code = Code::InvalidCommandEnvelope;

/// One command.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its name; a command is carried out once under one name.
    pub command_id: String,
    /// When it was made, Unix milliseconds by the clock of who made it.
    pub created_at_ms: u64,
    /// Who made it, as it says itself.
    pub source: Option<CommandSource>,
    /// What kind of thing it is for; existing nodes say `capability`, `device`, `peer` or `task`.
    pub target_kind: String,
    /// What it is for.
    pub target_ref: String,
    /// What to do.
    pub operation: Operation,
    /// On what it rests.
    pub trust: TrustClaims,
    /// Words for people.
    pub note: Option<String>,
}

/// Who made a command, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSource {
    /// The node.
    pub node_id: Option<String>,
    /// Its role.
    pub role: Option<String>,
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The name of it.
    pub name: String,
    /// How, as JSON.
    pub params: Option<Box<RawValue>>,
}

impl Command {
    /// Reads a command; `unix_ms` is now, 0 while that is not known.
    ///
    /// # Errors
    /// `CLOCK_UNTRUSTED` while the time is not known: a machine that stands in 1970 is not near to ours by that.
    /// `INVALID_COMMAND_ENVELOPE`, naming the first field that is missing, of another type, too large, not of the
    /// vocabulary, or further from our time than [`COMMAND_AGE_MS_MAX`].
    pub fn read(raw: &RawValue, unix_ms: u64) -> Result<Self, Refusal> {
        let fields = Fields::read(raw, ENVELOPE, CODE)?;
        if fields.required_whole_number("version")? != 1 {
            return Err(fields.wrong("version", "must be 1"));
        }
        if fields.required_text("kind", NAME_BYTES_MAX)? != "clawmesh.command" {
            return Err(fields.wrong("kind", "must be clawmesh.command"));
        }
        let created_at_ms = fields.required_whole_number("createdAtMs")?;
        if unix_ms == 0 {
            return Err(timeless());
        }
        let apart_ms = unix_ms.abs_diff(created_at_ms);
        if apart_ms > COMMAND_AGE_MS_MAX {
            let must =
                format!("is {} s away from our time, at most 300 s count; send it anew", apart_ms / 1_000);
            return Err(fields.wrong("createdAtMs", must));
        }
        let target = within(&fields, "target", "`command.target`")?;
        Ok(Self {
            command_id: fields.required_text("commandId", NAME_BYTES_MAX)?.into_owned(),
            created_at_ms,
            source: source(&fields)?,
            target_kind: target.required_text("kind", NAME_BYTES_MAX)?.into_owned(),
            target_ref: target.required_text("ref", NAME_BYTES_MAX)?.into_owned(),
            operation: operation(&fields)?,
            trust: trust(&fields)?,
            note: fields.text("note", NOTE_BYTES_MAX)?.map(|note| note.into_owned()),
        })
    }
}

fn within<'a>(fields: &Fields<'a>, name: &str, what: &'static str) -> Result<Fields<'a>, Refusal> {
    let raw = fields.raw(name).ok_or_else(|| fields.wrong(name, "is missing"))?;
    Fields::read(raw, what, CODE)
}

fn source(fields: &Fields<'_>) -> Result<Option<CommandSource>, Refusal> {
    if fields.raw("source").is_none() {
        return Ok(None);
    }
    let source = within(fields, "source", "`command.source`")?;
    let text = |name| source.text(name, NAME_BYTES_MAX).map(|text| text.map(|text| text.into_owned()));
    Ok(Some(CommandSource { node_id: text("nodeId")?, role: text("role")? }))
}

fn operation(fields: &Fields<'_>) -> Result<Operation, Refusal> {
    let operation = within(fields, "operation", "`command.operation`")?;
    let params = operation.raw("params");
    if let Some(params) = params {
        Fields::read(params, "`command.operation.params`", CODE)?;
    }
    Ok(Operation {
        name: operation.required_text("name", NAME_BYTES_MAX)?.into_owned(),
        params: params.map(ToOwned::to_owned),
    })
}

fn trust(fields: &Fields<'_>) -> Result<TrustClaims, Refusal> {
    let raw = fields.raw("trust").ok_or_else(|| fields.wrong("trust", "is missing"))?;
    let claims = TrustClaims::read(raw, "`command.trust`", CODE)?;
    if let Some(unknown) = claims.first_unknown() {
        return Err(Refusal::new(CODE, format!("`command.trust`: {unknown}")));
    }
    let no_action = claims.action_type.is_missing().then_some("action_type");
    match no_action.or(claims.first_missing()) {
        Some(name) => Err(Refusal::new(CODE, format!("`command.trust`: `{name}` is missing"))),
        None => Ok(claims),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    pub(crate) const NOW_MS: u64 = 1_730_000_000_000;

    /// What existing nodes send by themselves when a person asks at the command line.
    pub(crate) fn good() -> Value {
        json!({
            "version": 1, "kind": "clawmesh.command", "commandId": "c-1", "createdAtMs": NOW_MS,
            "source": {"nodeId": "n", "role": "planner"},
            "target": {"kind": "capability", "ref": "actuator:mock:valve-1"},
            "operation": {"name": "open", "params": {"durationSec": 5}},
            "trust": {
                "action_type": "actuation", "evidence_trust_tier": "T3_verified_action_evidence",
                "minimum_trust_tier": "T2_operational_observation", "verification_required": "human",
                "verification_satisfied": true, "evidence_sources": ["sensor", "human"],
                "approved_by": ["operator:local-cli"],
            },
        })
    }

    fn read(value: &Value) -> Result<Command, Refusal> {
        let raw = serde_json::value::to_raw_value(value).unwrap();
        Command::read(&raw, NOW_MS)
    }

    #[test]
    fn a_command_of_an_existing_node_is_read() {
        let command = read(&good()).unwrap();
        assert_eq!((&*command.command_id, &*command.target_ref), ("c-1", "actuator:mock:valve-1"));
        assert_eq!(
            (&*command.operation.name, command.source.unwrap().role.as_deref()),
            ("open", Some("planner"))
        );
        let mut bare = good();
        bare.as_object_mut().unwrap().remove("source");
        assert!(read(&bare).unwrap().source.is_none());
    }

    #[test]
    fn every_wrong_field_is_refused_by_its_name() {
        for (pointer, value, named) in [
            ("/version", json!(2), "`version`"),
            ("/version", json!("1"), "`version`"),
            ("/kind", json!("command"), "`kind`"),
            ("/commandId", json!(""), "`commandId`"),
            ("/commandId", json!("x".repeat(129)), "`commandId`"),
            ("/createdAtMs", json!("now"), "`createdAtMs`"),
            ("/source", json!("n"), "`command.source`"),
            ("/source/nodeId", json!(1), "`nodeId`"),
            ("/target", Value::Null, "`target`"),
            ("/target/kind", json!(1), "`kind`"),
            ("/target/ref", json!(""), "`ref`"),
            ("/operation", json!([]), "`command.operation`"),
            ("/operation/name", Value::Null, "`name`"),
            ("/operation/params", json!("five"), "`command.operation.params`"),
            ("/trust", Value::Null, "`trust`"),
            ("/trust/action_type", Value::Null, "`action_type`"),
            ("/trust/minimum_trust_tier", Value::Null, "`minimum_trust_tier`"),
            ("/trust/evidence_trust_tier", json!("T9"), "`evidence_trust_tier`"),
            ("/trust/evidence_sources", json!(["oracle"]), "`evidence_sources`"),
            ("/trust/verification_satisfied", json!("true"), "`verification_satisfied`"),
        ] {
            let mut changed = good();
            *changed.pointer_mut(pointer).unwrap() = value;
            let refusal = read(&changed).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidCommandEnvelope, "{pointer}");
            assert!(refusal.message.contains(named), "{pointer}: {refusal}");
        }
    }

    #[test]
    fn a_command_counts_for_five_minutes_either_way() {
        for (created_at_ms, is_taken) in [
            (NOW_MS - COMMAND_AGE_MS_MAX, true),
            (NOW_MS + COMMAND_AGE_MS_MAX, true),
            (NOW_MS - COMMAND_AGE_MS_MAX - 1, false),
            (NOW_MS + COMMAND_AGE_MS_MAX + 1, false),
        ] {
            let mut changed = good();
            changed["createdAtMs"] = json!(created_at_ms);
            assert_eq!(read(&changed).is_ok(), is_taken, "{created_at_ms}");
        }
    }

    #[test]
    fn a_machine_that_stands_in_1970_commands_nobody_who_does_not_know_the_time() {
        let mut changed = good();
        changed["createdAtMs"] = json!(1_000);
        let raw = RawValue::from_string(changed.to_string()).unwrap();
        assert_eq!(Command::read(&raw, 0).unwrap_err().code, Code::ClockUntrusted);
    }

    proptest! {
        #[test]
        fn no_value_in_any_place_panics(at in 0_usize..9, value in 0_usize..6) {
            let pointers = ["/version", "/kind", "/commandId", "/target", "/target/ref", "/operation",
                "/operation/params", "/trust", "/trust/evidence_sources"];
            let values = [json!(null), json!(-1.5e300), json!([[]]), json!({"a": {}}), json!("\u{0}"), json!(true)];
            let mut changed = good();
            *changed.pointer_mut(pointers[at]).unwrap() = values[value].clone();
            let _ = read(&changed);
        }
    }
}
