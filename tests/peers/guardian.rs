//! A pump that stands on an existing node, and a node of ours that is its guardian. The valve before it, and the sensor that
//! shows whether water flows, are the guardian's own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clawmesh_authority::NodeKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::python;
use crate::support::cli::{Said, approve_on, end_of, id_of, json_on, program, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

/// Generous: a build may run beside us.
const PATIENCE: Duration = Duration::from_secs(60);
const PUMP: &str = "actuator:pump:pump-main-01";
const TARGET: &str = "actuator:mock:well-pump";
const MESH: &str = "farm";
const SEED: [u8; 32] = [9; 32];

/// A guardian with the stand-in plant, whose pump is on a guest, and a person who may approve.
struct Guardian {
    folder: TempDir,
    dir: PathBuf,
    id: String,
}

impl Guardian {
    /// It trusts a guest and does not run yet.
    fn of(guest: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let dir = folder.path().join("guardian");
        let id = id_of(&dir);
        let (site, policy) = files(&id, guest);
        fs::write(dir.join("site.ron"), site).expect("the folder is ours");
        fs::write(dir.join("policy.ron"), policy).expect("the folder is ours");
        json_on(&dir, &["trust", "add", guest, "--name", "well"]);
        let guardian = Self { folder, dir, id };
        let key = guardian.key();
        let made =
            end_of(program().args(["operator", "new", "--no-passphrase", "--json", "--key", &key])).out;
        let made: Value = serde_json::from_str(&made).expect("a new key is told in JSON");
        let public = made["public_key"].as_str().expect("a new key has a public part");
        json_on(&guardian.dir, &["operator", "enroll", public, "--name", "Ann", "--role", "approver"]);
        guardian
    }

    fn key(&self) -> String {
        text_of(&self.folder.path().join("operator.key")).to_owned()
    }

    fn start(&self, more: &[&str]) -> Node {
        let mut node = Node::start_as("plant", &self.dir, &[&["--mesh-name", MESH], more].concat());
        node.endpoint();
        node
    }

    /// The pump, once `is_it` is true of it.
    fn pump(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        until(what, PATIENCE, || {
            let world = json_on(&self.dir, &["world"]);
            let rows = world["actuators"].as_array()?;
            rows.iter().find(|row| row["actuator"] == PUMP && is_it(row)).cloned()
        })
    }

    fn run(&self, args: &[&str]) -> Said {
        run_on(&self.dir, &[args, &["--key", &self.key()]].concat())
    }

    /// Ann wants water for the food forest; the proposal, once people are asked.
    fn proposed(&self) -> Value {
        let wanted =
            ["propose", "valve-food-forest=open", "pump-main-01=start", "--for", "20s", "--why", "it is dry"];
        until("the proposal is taken", PATIENCE, || {
            let said = self.run(&[&wanted[..], &["--json"]].concat());
            (said.code == Some(0)).then_some(())
        });
        self.proposal("people are asked", |report| report["offer"].is_object())
    }

    fn proposal(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        until(what, PATIENCE, || {
            let known = json_on(&self.dir, &["proposals", "--all"]);
            known["proposals"].as_array()?.iter().find(|report| is_it(report)).cloned()
        })
    }

    fn approve(&self, report: &Value) {
        let [id, card] = [&report["id"], &report["offer"]["card"]].map(|text| text.as_str().expect("a text"));
        let said = approve_on(&self.dir, id, card, &["--key", &self.key()]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    fn expect_proved(self, node: Node) {
        node.stop();
        let replay = json_on(&self.dir, &["replay", text_of(&self.dir), "--verify", "--resimulate"]);
        assert_eq!(replay["verified"], json!(true), "{replay:#}");
    }
}

/// The shipped farm with its pump on a guest, which the power that it draws shows; nobody else looks after it.
fn files(own: &str, guest: &str) -> (String, String) {
    let changed = |text: &str, changes: &[(&str, String)]| {
        changes.iter().fold(text.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "the shipped file has {from:?}");
            text.replacen(from, to, 1)
        })
    };
    let node = "(name: \"field-node\", ";
    let silence = "on_silence: ClosesAfter(seconds: 5)";
    let on_guest = format!("(peer: \"{guest}\", target: \"{TARGET}\", on: \"start\", off: \"stop\")");
    let site = changed(
        include_str!("../../assets/sites/farm.ron"),
        &[
            (node, format!("{node}id: \"{own}\", ")),
            (silence, format!("on_silence: Unknown, on_guest: {on_guest}")),
        ],
    );
    let verified = "must: BeAtLeast(4), within_s: 60),";
    let shown = "shown_by: (sensor: \"sensor:power:pump-main-01\", node: \"field-node\", on: BeAtLeast(200), \
                 off: BeAtMost(100), age_s_max: 5),";
    let policy = changed(
        include_str!("../../assets/sites/farm.policy.ron"),
        &[
            (verified, format!("must: BeAtLeast(4), within_s: 6), {shown}")),
            ("CommandCenterAway: (refuse_from: Hazardous),", String::new()),
        ],
    );
    (site, policy)
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

fn address(dir: &Path) -> String {
    fs::read_to_string(dir.join("gateway.address")).expect("a running node has one").trim().to_owned()
}

/// What the mock actuator of a guest was told, in order.
fn history(guest: &Path) -> Vec<(String, String)> {
    let said: Value = serde_json::from_str(&python::run("mock_state.py", &[&address(guest)])).expect("JSON");
    let rows = said.as_array().expect("a list").iter();
    let text = |row: &Value, key: &str| row[key].as_str().expect("a text").to_owned();
    rows.inspect(|row| assert_eq!(row["targetRef"], TARGET))
        .map(|row| (text(row, "operation"), text(row, "commandId")))
        .collect()
}

/// It was told, and nobody has said yes to anything else. How often: until its sensor has shown it.
#[track_caller]
fn assert_only_stops(operations: &[String]) {
    assert!(
        !operations.is_empty() && operations.iter().all(|operation| operation == "stop"),
        "{operations:?}"
    );
}

/// What the guest that Python plays was told to do.
fn operations_of(told: &Value) -> Vec<String> {
    let rows = told.as_array().expect("a list").iter();
    rows.map(|row| row["operation"]["name"].as_str().expect("a text").to_owned()).collect()
}

fn operations(guest: &Path) -> Vec<String> {
    history(guest).into_iter().map(|(operation, _)| operation).collect()
}

#[test]
fn what_a_person_approved_reaches_the_guest_through_its_guardian_and_its_ok_completes_nothing() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let well = folder.path().join("well");
    let guest_id = id_of(&well);
    let guardian = Guardian::of(&guest_id);
    json_on(&well, &["trust", "add", &guardian.id]);
    let start_well = |port: &str| {
        let settings =
            ["--mock-actuator", "--mesh-name", MESH, "--port", port, "--listen", "tcp/127.0.0.1:0"];
        let mut node = Node::start_at("start", &well, &settings);
        node.endpoint();
        node
    };
    let guest = start_well("0");
    let way = format!("{guest_id}=ws://{}||lan", address(&well));
    let node = guardian.start(&["--peer", &way]);
    let row = guardian.pump("its sensor shows it", |row| row["position"] == "off" && row["is_safe"] == true);
    assert_eq!(
        (&row["guest"], &row["answers"], &row["unsafe_because"]),
        (&json!(guest_id), &json!(true), &Value::Null)
    );
    assert_only_stops(&operations(&well));

    let report = guardian.proposed();
    assert_only_stops(&operations(&well));
    guardian.approve(&report);
    let id = report["id"].as_str().expect("it has an id");
    let started = until("the guest is told", PATIENCE, || {
        history(&well).into_iter().find(|(operation, _)| operation == "start")
    });
    assert_eq!(started.1, format!("{id}-1"), "the second step of the proposal");
    // The mock says that it did it, and moves nothing; so no power is drawn, and our sensor says so.
    let last = |report: &Value| report["story"].as_array().and_then(|story| story.last()).cloned();
    let report = guardian.proposal("the run is over", |report| {
        report["id"] == id && last(report).is_some_and(|last| last["state"] == "failed")
    });
    assert_eq!(last(&report).map(|last| last["code"].clone()), Some(json!("UNVERIFIED")), "{report:#}");
    until("the guest is told to stop", PATIENCE, || (operations(&well).last()? == "stop").then_some(()));
    assert_eq!(operations(&well).iter().filter(|operation| *operation == "start").count(), 1);
    guardian.pump("it is safe again", |row| row["is_safe"] == true);

    // The guest dies, and somebody stops: what is not shown is named, and told when it is back.
    let port = address(&well).rsplit_once(':').expect("a port").1.to_owned();
    drop(guest);
    guardian.pump("it does not answer", |row| row["answers"] == false);
    let stopped = run_on(&guardian.dir, &["stop", "--why", "smoke", "--json"]);
    assert!(stopped.out.contains(PUMP), "{stopped:?}");
    guardian.pump("it could not be told", |row| row["unsafe_because"].is_string() && row["is_safe"] == false);
    let guest = start_well(&port);
    guardian.pump("it is told and shown", |row| row["unsafe_because"].is_null() && row["is_safe"] == true);
    assert_only_stops(&operations(&well));
    guardian.expect_proved(node);
    guest.stop();
    let replay = json_on(&well, &["replay", text_of(&well), "--verify"]);
    assert_eq!(replay["verified"], json!(true), "{replay:#}");
}

#[test]
fn an_existing_node_takes_what_its_guardian_says_by_its_own_table_and_whatever_it_answers_moves_nothing_here()
{
    let seed: String = SEED.iter().map(|byte| format!("{byte:02x}")).collect();
    let guest_id = NodeKey::from_secret(&SEED).id().to_string();
    let guardian = Guardian::of(&guest_id);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port is free");
    let node = guardian.start(&["--peer", &format!("{guest_id}=ws://{free}||lan")]);
    guardian.pump("nobody is there", |row| row["answers"] == false && row["unsafe_because"].is_string());
    let port = free.port().to_string();
    let mut guest = python::talk("guest_actuator.py", &[&port, &address(&guardian.dir), &seed, MESH]);
    guardian.pump("its sensor shows it", |row| row["is_safe"] == true && row["unsafe_because"].is_null());
    // On a link of its own it would answer nothing; it gets none, and ours stays.
    let refused = guest.ask("dial");
    assert_eq!(refused["error"]["code"], "NOT_AUTHORIZED", "{refused:#}");
    let told = guest.ask("garbage");
    let row = &told[0];
    assert_only_stops(&operations_of(&told));
    assert_eq!(
        (&row["refused"], &row["sources"], &row["from"]),
        (&Value::Null, &json!(["device"]), &json!(guardian.id))
    );
    assert_eq!(row["to"], TARGET);

    let report = guardian.proposed();
    assert_only_stops(&operations_of(&guest.ask("garbage")));
    guardian.approve(&report);
    let id = &report["id"];
    let report = guardian.proposal("the answer is none", |report| {
        report["id"] == *id && report["story"].to_string().contains("has no `messageId`")
    });
    assert!(report["story"].to_string().contains("may have done it or not"), "{report:#}");
    let told = guest.ask("obey");
    let rows = told.as_array().expect("a list");
    let on: Vec<&Value> = rows.iter().filter(|row| row["operation"]["name"] == "start").collect();
    let [on] = on[..] else { panic!("it is told once: {told:#}") };
    assert_eq!(on["operation"]["params"], json!({"durationSec": 20}));
    let [proposal, approved_by] =
        [id.as_str(), on["approved_by"][0].as_str()].map(|text| text.expect("a text"));
    assert_eq!(on["id"], format!("{proposal}-1"));
    assert_eq!((&on["refused"], &on["sources"]), (&Value::Null, &json!(["human"])));
    assert_eq!(approved_by, format!("operator:proposal/{proposal}"));
    guardian.pump("it is safe again", |row| row["is_safe"] == true && row["unsafe_because"].is_null());
    let told = guest.ask("obey");
    let last = told.as_array().and_then(|rows| rows.last()).expect("it was told");
    assert_eq!((&last["operation"]["name"], &last["refused"]), (&json!("stop"), &Value::Null), "{told:#}");
    drop(guest);
    guardian.expect_proved(node);
}
