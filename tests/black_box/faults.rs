//! Two waterings that cannot go well, with real processes: a command center that plans, and a farm in which something is broken.
//! All other faults are watched in virtual time, where the truth of the plant can be asked: `src/lab/tests/it/faults`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bad_input::empty;
use crate::support::cli::{approve_on, end_of, id_of, json_on, program};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(120);
const PUMP: &str = "actuator:pump:pump-main-01";
const VALVE: &str = "actuator:valve:valve-food-forest";

/// A command center, a farm, and a person who approves whatever is offered.
struct Farm {
    folder: TempDir,
    center: (PathBuf, Node),
    field: (PathBuf, Node),
}

impl Farm {
    /// The farm of the demo, ten times as fast as the wall, with these faults.
    fn with(faults: &[&str]) -> Self {
        let (folder, center) = empty();
        let field = folder.path().join("farm");
        fs::create_dir(&field).expect("the folder is ours");
        let (center_id, field_id) = (id_of(&center), id_of(&field));
        give_site(&[(&center, "command-center", &center_id), (&field, "field-node", &field_id)]);
        let key = folder.path().join("operator.key");
        let made =
            end_of(program().args(["operator", "new", "--no-passphrase", "--json", "--key", text_of(&key)]))
                .out;
        let made: Value = serde_json::from_str(&made).expect("a new key is told in JSON");
        let key = made["public_key"].as_str().expect("a new key has a public part");
        json_on(&field, &["operator", "enroll", key, "--name", "Ann", "--role", "approver"]);
        let here = ["--name", "command-center", "--role", "command-center", "--mesh-name", "demo"];
        let mut desk = Node::start(&center, &[&here[..], &["--trust", &field_id]].concat());
        let endpoint = desk.endpoint();
        let there = ["--name", "field-node", "--mesh-name", "demo", "--speed", "10", "--connect", &endpoint];
        let mut farm =
            Node::start_as("plant", &field, &[&there[..], &["--trust", &center_id], faults].concat());
        farm.endpoint();
        Self { folder, center: (center, desk), field: (field, farm) }
    }

    /// Approves whatever is offered until the first proposal is over, or is refused at once: its last state, code and words.
    fn outcome(&self) -> (String, String, String) {
        let mut answered: Vec<Value> = Vec::new();
        until("the watering is over", PATIENCE, || {
            let known = json_on(&self.field.0, &["proposals", "--all"]);
            let Some(report) = known["proposals"].as_array().and_then(|rows| rows.first()) else {
                return self.refusal();
            };
            let last = report["story"].as_array().and_then(|story| story.last())?;
            let text = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
            if ["completed", "failed", "vetoed", "expired"].contains(&text("state").as_str()) {
                return Some((text("state"), text("code"), text("words")));
            }
            let offer = &report["offer"];
            if offer.is_object() && !answered.contains(&offer["nonce"]) {
                let key = self.folder.path().join("operator.key");
                let [id, card] = [&report["id"], &offer["card"]].map(|text| text.as_str().expect("a text"));
                let said = approve_on(&self.center.0, id, card, &["--key", text_of(&key)]);
                // The copy may come to the command center a moment later.
                if said.code == Some(0) {
                    answered.push(offer["nonce"].clone());
                }
            }
            None
        })
    }

    /// What the owner refused to the planner, if that is how it ended.
    fn refusal(&self) -> Option<(String, String, String)> {
        let status = json_on(&self.field.0, &["status"]);
        let rows = status["refusals"].as_array().expect("a list of refusals");
        let row = rows.iter().find(|row| row["code"] == "LOCAL_CONTROL")?;
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        Some(("refused".to_owned(), text("code"), text("sentence")))
    }

    /// Everything is off and no water flows, as hardware and sensor say a moment later.
    fn expect_rest(&self) {
        until("the farm rests", PATIENCE, || {
            let world = json_on(&self.field.0, &["world"]);
            let row = |list: &str, key: &str, name: &str| {
                let rows = world[list].as_array().expect("a world has its lists");
                rows.iter().find(|row| row[key] == name).cloned()
            };
            let is_off =
                |name| row("actuators", "actuator", name).is_some_and(|row| row["position"] == "off");
            let flow = row("sensors", "sensor", "sensor:flow:mainline-01")?["value"].as_f64()?;
            (is_off(PUMP) && is_off(VALVE) && flow < 0.5).then_some(())
        });
    }

    fn alarms(&self) -> Vec<String> {
        let alarms = json_on(&self.field.0, &["alarms"]);
        let rows = alarms["alarms"].as_array().expect("a list of alarms");
        rows.iter().filter_map(|row| row["key"].as_str()).map(str::to_owned).collect()
    }

    /// Ends both nodes; what they recorded leads to the same digests and the same cards again.
    fn expect_proved(self) {
        for (dir, node) in [self.field, self.center] {
            node.stop();
            let replay = json_on(&dir, &["replay", text_of(&dir), "--verify", "--resimulate"]);
            assert_eq!(replay["verified"], json!(true), "{replay:#}");
        }
    }
}

/// The shipped farm, whose zones are watered for seconds, in the state dirs of its nodes.
fn give_site(nodes: &[(&PathBuf, &str, &str)]) {
    let site = include_str!("../../assets/sites/farm.ron").replace("for_s: 1200", "for_s: 20");
    let site = nodes.iter().fold(site, |site, (_, name, id)| {
        let planned = format!("(name: \"{name}\", ");
        site.replacen(&planned, &format!("{planned}id: \"{id}\", "), 1)
    });
    for (dir, ..) in nodes {
        fs::write(dir.join("site.ron"), &site).expect("the folder is ours");
        let policy = include_str!("../../assets/sites/farm.policy.ron");
        fs::write(dir.join("policy.ron"), policy).expect("the folder is ours");
    }
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

#[test]
fn a_stuck_valve_ends_a_watering_as_failed_and_everything_is_off() {
    let farm = Farm::with(&["--fault", "stuck-valve:valve-food-forest"]);
    let (state, code, words) = farm.outcome();
    assert_eq!((state.as_str(), code.as_str()), ("failed", "UNVERIFIED"), "{words}");
    assert!(words.contains("no sensor showed that actuator:valve:valve-food-forest did it"), "{words}");
    farm.expect_rest();
    let alarms = farm.alarms();
    assert!(alarms.iter().any(|key| key.starts_with("failed/")), "{alarms:?}");
    farm.expect_proved();
}

#[test]
fn the_hand_that_a_seed_lays_on_the_pump_wins_before_or_during_a_watering() {
    let farm = Farm::with(&["--seed", "6"]);
    let (state, code, words) = farm.outcome();
    assert!(["failed", "refused"].contains(&state.as_str()), "{state}: {words}");
    assert_eq!(code, "LOCAL_CONTROL", "{words}");
    assert!(words.contains("actuator:pump:pump-main-01 is under local control"), "{words}");
    farm.expect_rest();
    let alarms = farm.alarms();
    assert!(
        alarms.iter().any(|key| key.starts_with("failed/") || key.starts_with("refusal/LOCAL_CONTROL")),
        "{alarms:?}"
    );
    farm.expect_proved();
}
