//! The driver against a guest that a test plays, and the envelopes it gets against the gate that our own nodes judge by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clawmesh_authority::{Capability, NodeId, NodeRole, SafeStates, SafingCommand, Setpoint};
use clawmesh_drivers::{Answered, Driver as _, DriverFault, Taken};
use clawmesh_twin::site::OnGuest;
use clawmesh_wire::gate::{self, Allowed, Forward, Rights};
use clawmesh_wire::mock::MockActuator;
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::CallFault;
use serde_json::{Value, json};

use super::reach::{Outcome, Reach, Recall, Tell, outcome};
use super::{GuestDriver, Remote, Sender};
use allowed::{command, off, pump, valve};

// The one way to a command is the gate, and this is how tests go it.
#[path = "../../../../drivers/tests/it/allowed.rs"]
mod allowed;

const NOW_MS: u64 = 1_730_000_000_000;
const GUARDIAN: NodeId = NodeId([7; 32]);
const GUEST: NodeId = NodeId([8; 32]);

/// What was sent, and who waits for the answer to it.
type Sent = (Value, Tell);

/// The way to a guest that a test plays.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Wire>>);

#[derive(Default)]
struct Wire {
    is_cut: bool,
    sent: Vec<Sent>,
    /// The names of what was taken back.
    taken_back: Vec<Value>,
}

impl Line {
    fn cut(&self, is_cut: bool) {
        self.0.lock().unwrap().is_cut = is_cut;
    }

    /// What was sent and not looked at yet.
    fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap().sent)
    }

    /// The one thing that was sent.
    fn one(&self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "one thing is sent");
        sent.remove(0)
    }
}

impl Reach for Line {
    fn is_there(&self, guest: NodeId) -> bool {
        guest == GUEST && !self.0.lock().unwrap().is_cut
    }

    fn send(&self, guest: NodeId, message: &Value, tell: Tell) -> Recall {
        assert_eq!(guest, GUEST);
        self.0.lock().unwrap().sent.push((message.clone(), tell));
        let (wire, id) = (Arc::clone(&self.0), message["command"]["commandId"].clone());
        Recall::by(move || wire.lock().unwrap().taken_back.push(id))
    }
}

fn driver() -> (GuestDriver<Line>, Line) {
    let line = Line::default();
    let on_guest = |target: &str, on: &str, off: &str| OnGuest {
        peer: GUEST.to_string(),
        target: target.to_owned(),
        on: on.to_owned(),
        off: off.to_owned(),
    };
    let remotes = BTreeMap::from([
        (pump(), on_guest("actuator:mock:pump-1", "start", "stop")),
        (valve(), on_guest("actuator:mock:valve-1", "open", "close")),
    ]);
    let remotes = remotes.into_iter().map(|(actuator, guest)| (actuator, Remote::of(&guest).unwrap()));
    let sender = Sender { node: GUARDIAN, role: "field".to_owned() };
    (GuestDriver::new(remotes.collect(), line.clone(), sender, || NOW_MS), line)
}

fn safing(actuator: &Capability) -> SafingCommand {
    SafeStates::in_order([(actuator.clone(), Setpoint::Off)]).all()[0].clone()
}

fn why(answered: Option<Answered>) -> String {
    answered.unwrap().outcome.unwrap_err().to_string()
}

fn refused(code: &str) -> Outcome {
    Outcome::Refused { code: code.to_owned(), words: "no".to_owned() }
}

/// As one of our own nodes judges a message of a trusted node.
fn judged(message: &Value) -> Result<Forward, Refusal> {
    let raw = serde_json::value::to_raw_value(message).unwrap();
    let allowed = gate::judge(Some(&raw), GUEST, NOW_MS + 1_000)?;
    match gate::authorize(allowed, Rights::of_peer(NodeRole::Field))? {
        Allowed::Actuation(forward) => Ok(forward),
        other => panic!("{other:?} is no actuation"),
    }
}

#[test]
fn an_envelope_says_what_is_so_and_passes_the_gate_of_its_receiver() {
    let (mut driver, line) = driver();
    let order = command(&valve(), 59.5);
    assert_eq!(driver.drive(&order), Ok(Taken::Asked));
    driver.make_safe(&safing(&pump())).unwrap();
    let mut mock = MockActuator::default();
    let sent: Vec<Value> = line.sent().into_iter().map(|(message, _)| message).collect();
    let [on, off] = &sent[..] else { panic!("{sent:#?}") };
    let id = format!("{}-0", order.proposal());
    assert_eq!(on["command"]["commandId"], json!(id));
    assert_eq!(on["command"]["operation"], json!({"name": "open", "params": {"durationSec": 60}}));
    assert_eq!(
        on["command"]["trust"],
        json!({
            "action_type": "actuation", "evidence_sources": ["human"],
            "evidence_trust_tier": "T2_operational_observation", "minimum_trust_tier": "T2_operational_observation",
            "verification_required": "human", "verification_satisfied": true,
            "approved_by": [format!("operator:proposal/{}", order.proposal())],
        })
    );
    assert_eq!(off["command"]["operation"], json!({"name": "stop", "params": {}}));
    let trust = &off["command"]["trust"];
    assert_eq!((&trust["evidence_sources"], &trust["approved_by"]), (&json!(["device"]), &Value::Null));
    assert_eq!(trust["verification_required"], "none", "nobody is said to have looked");
    for (message, status) in [(on, "active"), (off, "inactive")] {
        let forward = judged(message).unwrap();
        assert_eq!(forward.origin_gateway_id, GUARDIAN.to_string());
        assert_eq!(mock.execute(&forward, NOW_MS).unwrap().status, status);
        assert_eq!(mock.execute(&forward, NOW_MS).unwrap_err().code, Code::Duplicate);
    }
    // The same word of a model would not pass: what lets it through is what it says, and that is so.
    let mut lie = on.clone();
    lie["trust"]["evidence_sources"] = json!(["llm"]);
    lie["command"]["trust"]["evidence_sources"] = json!(["llm"]);
    assert_eq!(judged(&lie).unwrap_err().code, Code::LlmOnlyActuationBlocked);
}

#[test]
fn a_command_to_switch_off_is_sent_in_the_name_of_who_approved_it_and_has_no_time() {
    let (mut driver, line) = driver();
    assert_eq!(driver.drive(&off(&valve())), Ok(Taken::Asked));
    let (message, _tell) = line.one();
    assert_eq!(message["command"]["operation"], json!({"name": "close", "params": {}}));
    assert_eq!(message["command"]["trust"]["evidence_sources"], json!(["human"]));
    assert_eq!(judged(&message).unwrap().origin_gateway_id, GUARDIAN.to_string());
}

#[test]
fn a_guest_that_is_not_connected_is_told_nothing_and_does_not_answer() {
    let (mut driver, line) = driver();
    line.cut(true);
    assert_eq!(driver.read_back(&valve()), None);
    for fault in [driver.drive(&command(&valve(), 60.0)), driver.make_safe(&safing(&valve()))] {
        let fault = fault.unwrap_err();
        assert!(matches!(fault, DriverFault::Elsewhere { .. }));
        assert!(
            fault.to_string().contains("its guest 08080808 is not connected; look at `clawmesh peers`"),
            "{fault}"
        );
    }
    assert!(line.sent().is_empty());
    line.cut(false);
    let seen = driver.read_back(&valve()).unwrap();
    assert_eq!(
        (seen.position, seen.local_control),
        (None, false),
        "it is there, and nobody knows how it stands"
    );
}

#[test]
fn what_a_guest_answers_is_told_on_and_a_command_is_sent_once_whatever_that_is() {
    for (said, words) in [
        (Outcome::Took, None),
        (refused("STOP_LATCHED"), Some("its guest refused: \"STOP_LATCHED\", \"no\"")),
        (refused("DUPLICATE"), Some("its guest refused: \"DUPLICATE\"")),
        (refused("\u{1b}[2J"), Some("\"\\u{1b}[2J\"")),
        (
            Outcome::NotSent("the line is full".to_owned()),
            Some("nothing was sent to its guest: the line is full"),
        ),
        (
            Outcome::Unknown("no answer in time".to_owned()),
            Some("its guest may have done it or not: no answer in time"),
        ),
    ] {
        let (mut driver, line) = driver();
        driver.drive(&command(&valve(), 60.0)).unwrap();
        assert_eq!(driver.heard(), None, "it waits for no answer");
        let again = driver.drive(&command(&valve(), 60.0)).unwrap_err().to_string();
        assert!(again.contains("has not answered the call before"), "{again}");
        let (_, tell) = line.one();
        tell.tell(said);
        match words {
            None => assert_eq!(driver.heard(), Some(Answered { actuator: valve(), outcome: Ok(()) })),
            Some(words) => {
                let told = why(driver.heard());
                assert!(told.starts_with("actuator:valve:main: ") && told.contains(words), "{told}");
            }
        }
        assert_eq!(driver.heard(), None, "it is told once");
        assert_eq!(line.sent().len(), 0, "nothing is sent again by itself");
    }
}

#[test]
fn a_call_that_is_dropped_half_way_is_told_too_so_that_nothing_waits_for_it_for_ever() {
    let (mut driver, line) = driver();
    driver.make_safe(&safing(&valve())).unwrap();
    drop(line.one());
    assert!(why(driver.heard()).contains("the call was given up half-way"));
    driver.make_safe(&safing(&valve())).unwrap();
    assert_eq!(line.sent().len(), 1, "it is asked for again");
}

#[test]
fn nobody_waits_for_the_answer_to_a_command_before_it_is_told_to_be_safe() {
    let (mut driver, line) = driver();
    driver.drive(&command(&valve(), 60.0)).unwrap();
    assert_eq!(driver.make_safe(&safing(&valve())), Ok(Taken::Asked));
    assert_eq!(
        driver.make_safe(&safing(&valve())),
        Ok(Taken::Asked),
        "one call in flight, however often it is ordered"
    );
    let [(on, tell_on), (off, tell_off)] = <[Sent; 2]>::try_from(line.sent()).ok().unwrap();
    assert_eq!(
        (&on["command"]["operation"]["name"], &off["command"]["operation"]["name"]),
        (&json!("open"), &json!("close"))
    );
    assert_eq!(
        line.0.lock().unwrap().taken_back,
        [on["command"]["commandId"].clone()],
        "if it is still here"
    );
    tell_on.tell(Outcome::Took);
    assert_eq!(driver.heard(), None, "that command was given up");
    tell_off.tell(Outcome::Took);
    assert_eq!(driver.heard(), Some(Answered { actuator: valve(), outcome: Ok(()) }));
}

#[test]
fn a_safe_state_is_told_under_a_new_name_each_time_and_is_not_taken_because_somebody_heard_of_one_before() {
    let (mut driver, line) = driver();
    let mut names = Vec::new();
    for said in [
        Outcome::Unknown("no answer in time".to_owned()),
        refused("DUPLICATE"),
        Outcome::Unknown("no answer in time".to_owned()),
        refused("STOP_LATCHED"),
    ] {
        driver.make_safe(&safing(&valve())).unwrap();
        let (message, tell) = line.one();
        tell.tell(said);
        assert!(driver.heard().unwrap().outcome.is_err());
        let name = message["command"]["commandId"].clone();
        assert!(!names.contains(&name), "{name} of {names:?}");
        names.push(name);
    }
}

#[test]
fn only_what_a_guest_may_have_done_is_in_doubt_and_only_what_has_left_was_asked() {
    for (said, is_in_doubt, is_unsent) in [
        (Outcome::Unknown("no answer in time".to_owned()), true, false),
        (Outcome::NotSent("the line is full".to_owned()), false, true),
        (refused("DUPLICATE"), false, false),
    ] {
        let (mut driver, line) = driver();
        driver.drive(&command(&valve(), 60.0)).unwrap();
        line.one().1.tell(said);
        let fault = driver.heard().unwrap().outcome.unwrap_err();
        assert_eq!(matches!(fault, DriverFault::InDoubt { .. }), is_in_doubt, "{fault}");
        assert_eq!(matches!(fault, DriverFault::Unsent { .. }), is_unsent, "{fault}");
    }
}

#[test]
fn an_answer_without_a_name_for_what_was_delivered_is_none() {
    let raw = |value: Value| Ok(serde_json::value::to_raw_value(&value).unwrap());
    let ours = |code| Err(CallFault::Ours(Refusal::new(code, "so it is")));
    assert_eq!(outcome(raw(json!({"messageId": "mesh-fwd-1", "channel": "clawmesh"}))), Outcome::Took);
    for garbage in [json!(null), json!([]), json!({}), json!({"messageId": 7}), json!("yes")] {
        assert!(matches!(outcome(raw(garbage.clone())), Outcome::Unknown(_)), "{garbage}");
    }
    for code in [Code::NotConnected, Code::SendFailed, Code::Busy] {
        assert!(matches!(outcome(ours(code)), Outcome::NotSent(_)), "{code}");
    }
    for code in [Code::Timeout, Code::PeerDisconnected, Code::InvalidParams] {
        assert!(matches!(outcome(ours(code)), Outcome::Unknown(_)), "{code}");
    }
}
