//! What may be done with a `mesh.message.forward`: the rows of the receiver's table, in order, and only then who asks.
//!
//! The rows look at nothing but the message, our own id and the time, so anybody may learn what is wrong with a message.
//! Whoever has no right to ask learns that only of a message that would do. Rows 10 to 12 here are stricter than in
//! existing nodes, which believe the sender: evidence that is not there counts as a model's, the receiver has a tier of its
//! own, and a verification has to be one by its own words.

use clawmesh_authority::{NodeId, NodeRole, Tier};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::auth::uuid_text;
use crate::code::{Code, Refusal};
use crate::command::{Command, NAME_BYTES_MAX};
use crate::fields::Fields;
use crate::frame::DATA_BYTES_MAX;
use crate::trust::{ActionType, EvidenceSource, TrustClaims, Verification, tier_text};

/// What evidence has to be worth before anything moves here, whatever the sender says it needs.
pub const ACTUATION_TIER_MIN: Tier = Tier::T2;
/// The longest text of an intent, in bytes.
pub const INTENT_BYTES_MAX: usize = 4_096;

const METHOD: &str = "mesh.message.forward";
const ACTUATOR: &str = "actuator:";
const INTENT_UNSAID: &str = "Unknown intent";

/// What a message is, once the rows have passed it.
#[derive(Debug, Clone)]
pub enum Allowed {
    /// Words of a person to the planner.
    Intent(Intent),
    /// Something to deliver that moves nothing.
    Message(Forward),
    /// Something shall move.
    Actuation(Forward),
}

/// Words of a person to the planner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The words.
    pub text: String,
    /// The conversation they belong to; `None` begins a new one.
    pub conversation_id: Option<String>,
}

/// A message with what the rows were judged by.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The channel it is for.
    pub channel: String,
    /// Whom it is for.
    pub to: String,
    /// Where it began, as it says itself.
    pub origin_gateway_id: String,
    /// The node that has passed it on, if one has.
    pub relayed_by: Option<String>,
    /// What the sender calls it, to ask for it once only.
    pub idempotency_key: Option<String>,
    /// Its words.
    pub message: Option<String>,
    /// What to do.
    pub command: Option<Command>,
    /// Claims beside the command.
    pub trust: Option<TrustClaims>,
}

/// What whoever asks may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// To have messages delivered.
    pub may_message: bool,
    /// To have something moved.
    pub may_actuate: bool,
    /// To speak to the planner as a person.
    pub may_instruct: bool,
}

impl Rights {
    /// Somebody who has not shown who they are.
    pub const STRANGER: Self = Self { may_message: false, may_actuate: false, may_instruct: false };
    /// A person who has shown that they operate this node.
    pub const OPERATOR: Self = Self { may_message: true, may_actuate: true, may_instruct: true };

    /// A trusted node. It says its role itself, so a role only takes rights away.
    #[must_use]
    pub fn of_peer(role: NodeRole) -> Self {
        Self { may_message: true, may_actuate: role.may_ask_for_actuation(), may_instruct: false }
    }
}

impl Forward {
    /// The claims that count: those of the command, or those beside it.
    #[must_use]
    pub fn effective_trust(&self) -> Option<&TrustClaims> {
        self.command.as_ref().map(|command| &command.trust).or(self.trust.as_ref())
    }

    /// What is to be moved, or whom it is for.
    #[must_use]
    pub fn target(&self) -> &str {
        self.command.as_ref().map_or(&*self.to, |command| &*command.target_ref)
    }

    fn names_an_actuator(&self) -> bool {
        is_actuator(&self.to) || is_actuator(self.target())
    }
}

/// True for a reference to an actuator, in whatever letters and after whatever blanks.
#[must_use]
pub fn is_actuator(reference: &str) -> bool {
    actuator_name(reference).is_some()
}

/// The part of a reference after `actuator:`; `None` when it refers to something else.
#[must_use]
pub fn actuator_name(reference: &str) -> Option<&str> {
    let begin = reference.trim_start_matches(is_blank);
    let prefix = begin.get(..ACTUATOR.len())?;
    prefix.eq_ignore_ascii_case(ACTUATOR).then(|| begin[ACTUATOR.len()..].trim_end_matches(is_blank))
}

/// Blanks, and characters a reader does not see.
fn is_blank(c: char) -> bool {
    let is_invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    c.is_whitespace() || c.is_control() || is_invisible
}

/// Rows 1 to 12 of the table, in order; `unix_ms` is now.
///
/// # Errors
/// The refusal of the first row that applies.
pub fn judge(params: Option<&RawValue>, own_id: NodeId, unix_ms: u64) -> Result<Allowed, Refusal> {
    let fields = Fields::of_params(params, METHOD)?;
    if let Some(intent) = intent(&fields)? {
        return Ok(Allowed::Intent(intent));
    }
    let forward = read(&fields, own_id, unix_ms)?;
    let claims = forward.effective_trust();
    rows_5_to_12(forward.names_an_actuator(), claims)?;
    let is_actuation = claims.is_some_and(|claims| declares(claims, ActionType::Actuation));
    Ok(if is_actuation { Allowed::Actuation(forward) } else { Allowed::Message(forward) })
}

/// Whether whoever asks may have that done; judged after the rows, so that a message which no right would help is refused
/// for what is wrong with it.
///
/// # Errors
/// `NOT_AUTHORIZED`.
pub fn authorize(allowed: Allowed, rights: Rights) -> Result<Allowed, Refusal> {
    let (is_given, sentence) = match &allowed {
        Allowed::Intent(_) => {
            (rights.may_instruct, "only an operator speaks to the planner; show the operator token")
        }
        Allowed::Message(_) => {
            (rights.may_message, "messages are taken from trusted nodes and operators only; connect first")
        }
        Allowed::Actuation(_) => (
            rights.may_actuate,
            "who asks may not move anything here; connect as a trusted node that is no viewer, or as an operator",
        ),
    };
    if is_given { Ok(allowed) } else { Err(Refusal::new(Code::NotAuthorized, sentence)) }
}

/// Rows 1 to 4.
fn read(fields: &Fields<'_>, own_id: NodeId, unix_ms: u64) -> Result<Forward, Refusal> {
    let text = |name| fields.text(name, NAME_BYTES_MAX).map(|text| text.map(|text| text.into_owned()));
    let channel = fields.required_text("channel", NAME_BYTES_MAX)?.into_owned();
    let to = fields.required_text("to", NAME_BYTES_MAX)?.into_owned();
    let origin_gateway_id = fields.required_text("originGatewayId", NAME_BYTES_MAX)?.into_owned();
    let relayed_by = text("relayedBy")?;
    let idempotency_key = text("idempotencyKey")?;
    let message = fields.text("message", DATA_BYTES_MAX)?.map(|text| text.into_owned());
    if origin_gateway_id.trim().eq_ignore_ascii_case(&own_id.to_string()) {
        return Err(Refusal::new(
            Code::LoopDetected,
            "the message began here and has come back; it is not sent again",
        ));
    }
    let command = fields.raw("command").map(|raw| Command::read(raw, unix_ms)).transpose()?;
    let trust = fields
        .raw("trust")
        .map(|raw| TrustClaims::read(raw, "`trust`", Code::InvalidTrustPolicy))
        .transpose()?;
    if let (Some(command), Some(beside)) = (&command, &trust)
        && command.trust != *beside
    {
        let sentence = "`trust` and `command.trust` say different things; send one of them";
        return Err(Refusal::new(Code::TrustEnvelopeMismatch, sentence));
    }
    let forward =
        Forward { channel, to, origin_gateway_id, relayed_by, idempotency_key, message, command, trust };
    one_target(&forward)?;
    Ok(forward)
}

/// A command for one actuator within a message for another would be judged for one and carried out at the other.
fn one_target(forward: &Forward) -> Result<(), Refusal> {
    let Some(to) = actuator_name(&forward.to) else { return Ok(()) };
    if actuator_name(forward.target()) == Some(to) {
        return Ok(());
    }
    let sentence = "`to` and `command.target.ref` name different actuators; send the command to its target";
    Err(Refusal::new(Code::InvalidCommandEnvelope, sentence))
}

/// Rows 5 to 12, for the claims that count. Whatever carries something out judges by them again.
pub(crate) fn rows_5_to_12(for_actuator: bool, claims: Option<&TrustClaims>) -> Result<(), Refusal> {
    let is_declared = claims.is_some_and(|claims| declares(claims, ActionType::Actuation));
    if for_actuator && !is_declared {
        let sentence = "something for an actuator must say so: set action_type to actuation";
        return Err(Refusal::new(Code::ActuationDeclarationRequired, sentence));
    }
    let Some(claims) = claims else { return Ok(()) };
    if let Some(unknown) = claims.first_unknown() {
        return Err(Refusal::new(Code::InvalidTrustPolicy, format!("trust: {unknown}")));
    }
    if !is_declared {
        return Ok(());
    }
    rows_9_to_12(claims)
}

fn rows_9_to_12(claims: &TrustClaims) -> Result<(), Refusal> {
    let (Some(evidence), Some(minimum), Some(verification)) = (
        claims.evidence_trust_tier.known(),
        claims.minimum_trust_tier.known(),
        claims.verification_required.known(),
    ) else {
        let name = claims.first_missing().unwrap_or("evidence_trust_tier");
        let sentence = format!("an actuation must say on what it rests: `{name}` is missing");
        return Err(Refusal::new(Code::TrustMetadataRequired, sentence));
    };
    if claims.sources().iter().all(|source| *source == EvidenceSource::Llm) {
        let sentence = "nothing but a language model, or nothing at all, speaks for this; name what was measured or who has seen it";
        return Err(Refusal::new(Code::LlmOnlyActuationBlocked, sentence));
    }
    let needed = (*minimum).max(ACTUATION_TIER_MIN);
    if *evidence < needed {
        let sentence =
            format!("the evidence is {}, and {} is needed here", tier_text(*evidence), tier_text(needed));
        return Err(Refusal::new(Code::InsufficientTrustTier, sentence));
    }
    verified(*verification, claims)
}

/// Row 12: what has to be confirmed is said to be, by the kind of source that can.
fn verified(required: Verification, claims: &TrustClaims) -> Result<(), Refusal> {
    if required == Verification::None {
        return Ok(());
    }
    let refused = |sentence: &str| Err(Refusal::new(Code::VerificationRequired, sentence));
    if claims.verification_satisfied.known() != Some(&true) {
        return refused("the verification that this needs has not been given");
    }
    let has = |source| claims.sources().contains(&source);
    let by_device = has(EvidenceSource::Device) || has(EvidenceSource::Sensor);
    let by_human = has(EvidenceSource::Human) && claims.names_an_approver();
    match required {
        Verification::Human if !by_human => refused(
            "a person has to confirm this: put human into evidence_sources and their name into approved_by",
        ),
        Verification::Device if !by_device => {
            refused("a device has to confirm this: put device or sensor into evidence_sources")
        }
        Verification::DeviceOrHuman if !by_device && !by_human => {
            refused("a device, or a person by name in approved_by, has to confirm this")
        }
        _ => Ok(()),
    }
}

fn declares(claims: &TrustClaims, action: ActionType) -> bool {
    claims.action_type.known() == Some(&action)
}

/// What consoles of existing nodes send as words of a person. They leave out what row 1 needs.
fn intent(fields: &Fields<'_>) -> Result<Option<Intent>, Refusal> {
    if !is(fields, "channel", "clawmesh") || !is(fields, "to", "agent:pi") {
        return Ok(None);
    }
    let Some(draft) = fields.raw("commandDraft") else { return Ok(None) };
    let draft = Fields::read(draft, "`commandDraft`", Code::InvalidParams)?;
    let Some(operation) = draft.raw("operation") else { return Ok(None) };
    let operation = Fields::read(operation, "`commandDraft.operation`", Code::InvalidParams)?;
    if !is(&operation, "name", "intent:parse") {
        return Ok(None);
    }
    let mut text = None;
    if let Some(params) = operation.raw("params") {
        let params = Fields::read(params, "`commandDraft.operation.params`", Code::InvalidParams)?;
        text = params.text("text", INTENT_BYTES_MAX)?.filter(|text| !text.trim().is_empty());
    }
    Ok(Some(Intent {
        text: text.map_or_else(|| INTENT_UNSAID.to_owned(), |text| text.into_owned()),
        conversation_id: fields.text("conversationId", NAME_BYTES_MAX)?.map(|id| id.into_owned()),
    }))
}

fn is(fields: &Fields<'_>, name: &str, expected: &str) -> bool {
    fields.text(name, NAME_BYTES_MAX).is_ok_and(|text| text.as_deref() == Some(expected))
}

/// The answer to a message that was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// What we call it.
    pub message_id: String,
    /// The channel it went to.
    pub channel: String,
}

impl Delivered {
    /// The answer for `forward`, under a name made of `random`.
    #[must_use]
    pub fn new(forward: &Forward, random: &[u8; 16]) -> Self {
        Self { message_id: format!("mesh-fwd-{}", uuid_text(random)), channel: forward.channel.clone() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::command::tests::{NOW_MS, good};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn own() -> NodeId {
        NodeId([0xa7; 32])
    }

    pub(crate) fn judged(params: &Value) -> Result<Allowed, Refusal> {
        let raw = serde_json::value::to_raw_value(params).unwrap();
        judge(Some(&raw), own(), NOW_MS)
    }

    fn code(params: &Value) -> Option<Code> {
        judged(params).err().map(|refusal| refusal.code)
    }

    fn with_trust(trust: Value) -> Value {
        json!({"channel": "clawmesh", "to": "actuator:mock:valve-1", "originGatewayId": "x", "trust": trust})
    }

    fn trust() -> Value {
        json!({
            "action_type": "actuation", "evidence_sources": ["sensor"],
            "evidence_trust_tier": "T2_operational_observation", "minimum_trust_tier": "T2_operational_observation",
            "verification_required": "none",
        })
    }

    fn changed(changes: &[(&str, Value)]) -> Value {
        let mut trust = trust();
        for (name, value) in changes {
            trust[*name] = value.clone();
        }
        with_trust(trust)
    }

    pub(crate) fn command_message() -> Value {
        json!({"channel": "clawmesh", "to": "actuator:mock:valve-1", "originGatewayId": "x", "command": good()})
    }

    #[test]
    fn rows_1_to_4_come_in_order() {
        for missing in ["channel", "to", "originGatewayId"] {
            let mut params = command_message();
            params[missing] = Value::Null;
            params["command"] = json!(5);
            assert_eq!(code(&params), Some(Code::InvalidParams), "{missing}");
        }
        let mut params = command_message();
        params["command"] = json!({"version": 2});
        params["trust"] = json!({"action_type": "communication"});
        params["originGatewayId"] = json!(own().to_string().to_uppercase());
        assert_eq!(code(&params), Some(Code::LoopDetected));
        params["originGatewayId"] = json!("x");
        assert_eq!(code(&params), Some(Code::InvalidCommandEnvelope));
        params["command"] = good();
        assert_eq!(code(&params), Some(Code::TrustEnvelopeMismatch));
        params["trust"] = good()["trust"].clone();
        params["trust"]["evidence_sources"] = json!(["human", "sensor"]);
        assert_eq!(code(&params), None, "the order of a list is no difference");
    }

    #[test]
    fn row_5_holds_for_every_way_to_write_an_actuator() {
        for to in [
            "actuator:x",
            "ACTUATOR:x",
            " \t actuator:x",
            "Actuator:x",
            "\u{200b}actuator:x",
            "\u{feff}\nactuator:",
        ] {
            let params =
                |trust: Value| json!({"channel": "c", "to": to, "originGatewayId": "x", "trust": trust});
            let declared = Some(Code::ActuationDeclarationRequired);
            assert_eq!(code(&params(Value::Null)), declared, "{to:?}");
            assert_eq!(code(&params(json!({"action_type": "communication"}))), declared, "{to:?}");
            assert_eq!(code(&params(json!({"action_type": "ACTUATION"}))), declared, "{to:?}");
        }
        let mut params = command_message();
        params["to"] = json!("agent:pi");
        params["command"]["trust"]["action_type"] = json!("observation");
        assert_eq!(code(&params), Some(Code::ActuationDeclarationRequired), "by the target of the command");
    }

    #[test]
    fn rows_6_to_8_let_through_what_moves_nothing() {
        let message =
            |trust: Value| json!({"channel": "c", "to": "agent:x", "originGatewayId": "x", "trust": trust});
        assert!(matches!(judged(&message(Value::Null)), Ok(Allowed::Message(_))));
        assert!(matches!(judged(&message(json!({"action_type": "observation"}))), Ok(Allowed::Message(_))));
        assert!(matches!(judged(&message(json!({}))), Ok(Allowed::Message(_))));
        for unknown in [
            json!({"evidence_trust_tier": "quantum_entangled"}),
            json!({"minimum_trust_tier": "T9"}),
            json!({"verification_required": "maybe"}),
            json!({"action_type": "Actuation"}),
            json!({"evidence_sources": ["oracle"]}),
            json!({"evidence_sources": "sensor"}),
            json!([]),
        ] {
            assert_eq!(code(&message(unknown.clone())), Some(Code::InvalidTrustPolicy), "{unknown}");
        }
    }

    #[test]
    fn rows_9_to_12_refuse_what_is_not_shown() {
        use Code::*;
        let t1 = json!("T1_unverified_observation");
        for (changes, expected) in [
            (vec![], None),
            (vec![("evidence_trust_tier", Value::Null)], Some(TrustMetadataRequired)),
            (vec![("minimum_trust_tier", Value::Null)], Some(TrustMetadataRequired)),
            (vec![("verification_required", Value::Null)], Some(TrustMetadataRequired)),
            (vec![("evidence_sources", json!(["llm", "llm"]))], Some(LlmOnlyActuationBlocked)),
            (vec![("evidence_sources", json!([]))], Some(LlmOnlyActuationBlocked)),
            (vec![("evidence_sources", Value::Null)], Some(LlmOnlyActuationBlocked)),
            (vec![("evidence_trust_tier", t1.clone())], Some(InsufficientTrustTier)),
            // Row 11 comes before row 12.
            (
                vec![("evidence_trust_tier", t1.clone()), ("verification_required", json!("device"))],
                Some(InsufficientTrustTier),
            ),
            (
                vec![
                    ("evidence_trust_tier", t1.clone()),
                    ("minimum_trust_tier", json!("T0_planning_inference")),
                ],
                Some(InsufficientTrustTier),
            ),
            (vec![("minimum_trust_tier", json!("T3_verified_action_evidence"))], Some(InsufficientTrustTier)),
            (vec![("verification_required", json!("device"))], Some(VerificationRequired)),
            (vec![("verification_required", json!("device")), ("verification_satisfied", json!(true))], None),
        ] {
            assert_eq!(code(&changed(&changes)), expected, "{changes:?}");
        }
        assert_eq!(code(&with_trust(json!({"action_type": "actuation"}))), Some(TrustMetadataRequired));
    }

    #[test]
    fn a_verification_is_one_by_its_own_kind_of_source() {
        let required = |kind: &str, sources: Value, approved_by: Value| {
            code(&changed(&[
                ("verification_required", json!(kind)),
                ("verification_satisfied", json!(true)),
                ("evidence_sources", sources),
                ("approved_by", approved_by),
            ]))
        };
        let refused = Some(Code::VerificationRequired);
        assert_eq!(required("human", json!(["sensor", "human"]), json!(["farmer"])), None);
        assert_eq!(required("human", json!(["sensor", "human"]), json!([])), refused);
        assert_eq!(required("human", json!(["sensor", "human"]), json!([" "])), refused);
        assert_eq!(required("human", json!(["sensor"]), json!(["farmer"])), refused);
        assert_eq!(required("device", json!(["human", "llm"]), json!(["farmer"])), refused);
        assert_eq!(required("device", json!(["device"]), Value::Null), None);
        assert_eq!(required("device_or_human", json!(["sensor", "device"]), Value::Null), None);
        assert_eq!(required("device_or_human", json!(["human"]), Value::Null), refused);
        assert_eq!(required("device_or_human", json!(["mixed"]), json!(["farmer"])), refused);
    }

    #[test]
    fn a_command_for_one_actuator_does_not_travel_in_a_message_for_another() {
        let mut params = command_message();
        params["to"] = json!("actuator:mock:valve-2");
        assert_eq!(code(&params), Some(Code::InvalidCommandEnvelope));
        params["to"] = json!(" Actuator:mock:valve-1");
        assert_eq!(code(&params), None, "the same one, written in another way");
    }

    #[test]
    fn rights_are_asked_for_last_and_a_viewer_moves_nothing() {
        let answer = |params: &Value, rights| {
            judged(params).and_then(|allowed| authorize(allowed, rights)).err().map(|refusal| refusal.code)
        };
        let undeclared = with_trust(json!({"action_type": "communication"}));
        assert_eq!(answer(&undeclared, Rights::STRANGER), Some(Code::ActuationDeclarationRequired));
        let (actuation, message) =
            (command_message(), json!({"channel": "c", "to": "a", "originGatewayId": "x"}));
        for (rights, moves, speaks) in [
            (Rights::STRANGER, false, false),
            (Rights::of_peer(NodeRole::Viewer), false, true),
            (Rights::of_peer(NodeRole::Field), true, true),
            (Rights::OPERATOR, true, true),
        ] {
            assert_eq!(answer(&actuation, rights).is_none(), moves, "{rights:?}");
            assert_eq!(answer(&message, rights).is_none(), speaks, "{rights:?}");
        }
        assert_eq!(answer(&actuation, Rights::STRANGER), Some(Code::NotAuthorized));
    }

    #[test]
    fn words_for_the_planner_are_taken_as_consoles_send_them_and_only_from_a_person() {
        let params = json!({
            "channel": "clawmesh", "to": "agent:pi", "conversationId": "c-1",
            "commandDraft": {"operation": {"name": "intent:parse", "params": {"text": "water zone 1"}}},
        });
        let Ok(Allowed::Intent(intent)) = judged(&params) else { panic!() };
        assert_eq!((&*intent.text, intent.conversation_id.as_deref()), ("water zone 1", Some("c-1")));
        assert_eq!(
            authorize(judged(&params).unwrap(), Rights::of_peer(NodeRole::Planner)).unwrap_err().code,
            Code::NotAuthorized
        );
        assert!(authorize(judged(&params).unwrap(), Rights::OPERATOR).is_ok());
        let mut unsaid = params.clone();
        unsaid["commandDraft"]["operation"]["params"] = Value::Null;
        assert!(matches!(judged(&unsaid), Ok(Allowed::Intent(intent)) if intent.text == "Unknown intent"));
        let mut too_long = params;
        too_long["commandDraft"]["operation"]["params"]["text"] = json!("x".repeat(INTENT_BYTES_MAX + 1));
        assert_eq!(code(&too_long), Some(Code::InvalidParams));
    }

    #[test]
    fn the_answer_names_the_message_and_its_channel() {
        let Ok(Allowed::Actuation(forward)) = judged(&command_message()) else { panic!() };
        let text = serde_json::to_string(&Delivered::new(&forward, &[0; 16])).unwrap();
        assert_eq!(
            text,
            r#"{"messageId":"mesh-fwd-00000000-0000-4000-8000-000000000000","channel":"clawmesh"}"#
        );
    }

    proptest! {
        #[test]
        fn no_claim_of_a_model_alone_moves_anything(
            tier in 0_usize..4, minimum in 0_usize..4, verification in 0_usize..4, satisfied: bool, count in 0_usize..4,
        ) {
            let tiers = ["T0_planning_inference", "T1_unverified_observation", "T2_operational_observation", "T3_verified_action_evidence"];
            let params = changed(&[
                ("evidence_sources", json!(vec!["llm"; count])),
                ("evidence_trust_tier", json!(tiers[tier])),
                ("minimum_trust_tier", json!(tiers[minimum])),
                ("verification_required", json!(["none", "device", "human", "device_or_human"][verification])),
                ("verification_satisfied", json!(satisfied)),
                ("approved_by", json!(["operator"])),
            ]);
            prop_assert_eq!(code(&params), Some(Code::LlmOnlyActuationBlocked));
        }

        #[test]
        fn no_params_panic(name in "(channel|to|originGatewayId|command|trust|commandDraft)", at in 0_usize..6) {
            let value = [json!(null), json!({}), json!([]), json!(1), json!("agent:pi"), json!({"operation": {"name": 1}})][at].clone();
            let mut params = command_message();
            params[&name] = value;
            let _ = judged(&params);
        }

        #[test]
        fn no_reference_panics(reference in ".{0,20}") {
            let _ = is_actuator(&reference);
        }
    }
}
