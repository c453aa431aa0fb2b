//! Which nodes a node trusts, as people at its console say it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::bad_input::{empty, expect_sentence};
use crate::running::expect_proved;
use crate::support::cli::{end_of, id_of, json_on, program, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);
const FARM: &str = include_str!("../../assets/sites/farm.ron");

fn nodes(dir: &Path) -> Vec<Value> {
    json_on(dir, &["trust", "list"])["nodes"].as_array().expect("a list of nodes").clone()
}

/// What the node on `dir` knows of `id`, once `is_so` holds for it.
pub fn until_peer(node: &Node, id: &str, is_so: impl Fn(&Value) -> bool) {
    until("the peer is known so", PATIENCE, || {
        let peers = node.ask(&["peers"]);
        let peer = peers["peers"].as_array()?.iter().find(|peer| peer["id"] == id)?.clone();
        is_so(&peer).then_some(())
    });
}

#[test]
fn a_node_that_is_added_is_heard_and_one_that_is_removed_is_refused_whatever_else_names_it() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let (barn_id, pump_id) = (id_of(&barn), id_of(&pump));
    let added = json_on(&barn, &["trust", "add", &pump_id, "--name", "pump house"]);
    assert_eq!((&added["changed"], &added["node"]["name"]), (&Value::Bool(true), &"pump house".into()));

    let mut field = Node::start(&pump, &["--name", "pump", "--host-sensors"]);
    let mut desk = Node::start(&barn, &["--connect", &field.endpoint()]);
    desk.endpoint();
    // It runs already, and is told at its console.
    json_on(&pump, &["trust", "add", &barn_id]);
    until_peer(&desk, &pump_id, |peer| peer["name"] == "pump" && peer["trusted"] == true);

    let gone = json_on(&barn, &["trust", "remove", "pump house"]);
    assert_eq!((&gone["node"]["is_trusted"], &gone["note"]), (&Value::Bool(false), &Value::Null));
    until_peer(&desk, &pump_id, |peer| peer["trusted"] == false);
    until("what it says is refused", PATIENCE, || {
        let refusals = desk.ask(&["status"])["refusals"].as_array()?.clone();
        refusals.into_iter().find(|row| row["code"] == "UNTRUSTED_PEER" && row["from"] == pump_id.as_str())
    });
    desk.endpoint();
    desk.stop();

    // Also after a new start, and although the command line names it.
    let mut desk = Node::start(&barn, &["--trust", &pump_id, "--connect", &field.endpoint()]);
    desk.endpoint();
    until_peer(&desk, &pump_id, |peer| peer["trusted"] == false);
    // A node that only a flag could name can be removed too: its whole id says all.
    let unheard = "ef".repeat(32);
    assert_eq!(json_on(&barn, &["trust", "remove", &unheard])["node"]["is_trusted"], false);
    json_on(&barn, &["trust", "add", &pump_id]);
    until_peer(&desk, &pump_id, |peer| peer["name"] == "pump" && peer["trusted"] == true);
    desk.stop();
    expect_proved(&barn);
}

#[test]
fn the_list_tells_since_when_and_which_file_and_is_exported_as_commands() {
    let (_folder, dir) = empty();
    let own = id_of(&dir);
    let (gate, well) = ("ab".repeat(32), "cd".repeat(32));
    fs::write(dir.join("node.ron"), format!("(name: \"barn\", trusted: [\"{gate}\"])")).expect("a disk");
    json_on(&dir, &["trust", "add", &well, "--name", "well"]);
    let again = json_on(&dir, &["trust", "add", &well]);
    assert_eq!((&again["changed"], &again["node"]["name"]), (&Value::Bool(false), &"well".into()));
    let listed = nodes(&dir);
    assert_eq!((&listed[0]["id"], &listed[0]["since"]), (&gate.as_str().into(), &Value::Null));
    assert_eq!(listed[0]["named_in"], serde_json::json!(["node.ron"]));
    assert_eq!(listed[1]["named_in"], serde_json::json!(["trust.ron"]));
    assert!(listed[1]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{listed:?}");

    let exported = run_on(&dir, &["trust", "export"]).out;
    let commands: Vec<&str> = exported.lines().collect();
    let of = |id: &str, name: &str| format!("clawmesh trust add {id}{name}");
    assert_eq!(commands, [of(&own, " --name barn"), of(&gate, ""), of(&well, " --name well")]);
    // As another node takes them.
    let (_other, other) = empty();
    for command in &commands {
        let words = command.split(' ').skip(1);
        let said = end_of(program().arg("--state-dir").arg(&other).args(words));
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    assert_eq!(nodes(&other).len(), 3);

    let gone = json_on(&dir, &["trust", "remove", &gate[..8]]);
    assert!(gone["note"].as_str().is_some_and(|note| note.contains("node.ron names it too")), "{gone}");
    assert_eq!(run_on(&dir, &["trust", "export"]).out.lines().count(), 2, "what was removed stays here");
    let shown = json_on(&dir, &["config", "show"]).to_string();
    assert!(shown.contains(&well) && !shown.contains(&gate), "{shown}");
    let back = json_on(&dir, &["trust", "add", &gate]);
    assert!(back["note"].as_str().is_some_and(|note| note.contains("is trusted again")), "{back}");
}

#[test]
fn a_guest_that_an_actuator_is_on_is_not_removed_by_the_way() {
    let (_folder, dir) = empty();
    let guest = "ab".repeat(32);
    let there = format!(
        "on_silence: Holds, on_guest: (peer: \"{guest}\", target: \"actuator:valve:g\", on: \"open\", off: \"close\")"
    );
    fs::write(dir.join("site.ron"), FARM.replacen("on_silence: Holds", &there, 1)).unwrap();
    json_on(&dir, &["trust", "add", &guest, "--name", "press"]);
    let said = run_on(&dir, &["trust", "remove", "press"]);
    expect_sentence(&said, &["actuator:valve:valve-grain", "abababab", "--leave-as-it-is"]);
    assert_eq!(nodes(&dir)[0]["is_trusted"], true);
    json_on(&dir, &["trust", "remove", "press", "--leave-as-it-is"]);
    assert_eq!(nodes(&dir)[0]["is_trusted"], false);
    // Nobody keeps a key that was lost because a file is damaged.
    json_on(&dir, &["trust", "add", &guest]);
    fs::write(dir.join("site.ron"), "(name: ").unwrap();
    json_on(&dir, &["trust", "remove", "press"]);
}

#[test]
fn what_a_node_is_on_links_is_kept_listed_and_exported_and_a_router_is_not_trusted() {
    let (_folder, dir) = empty();
    id_of(&dir);
    let (hub, well) = ("ab".repeat(32), "cd".repeat(32));
    json_on(&dir, &["trust", "add", &hub, "--name", "hub", "--as", "router"]);
    let added = json_on(&dir, &["trust", "add", &well, "--as", "relay"]);
    assert_eq!((&added["changed"], &added["node"]["part"]), (&Value::Bool(true), &"relay".into()));
    assert_eq!(json_on(&dir, &["trust", "add", &well])["node"]["part"], "relay", "it stays what it was");
    let listed = nodes(&dir);
    let is = |row: &Value| (row["part"].clone(), row["is_trusted"].clone());
    assert_eq!(is(&listed[0]), ("router".into(), Value::Bool(false)));
    assert_eq!(is(&listed[1]), ("relay".into(), Value::Bool(true)));
    let shown = json_on(&dir, &["config", "show"]).to_string();
    assert!(shown.contains(&well) && !shown.contains(&hub), "{shown}");
    let exported = run_on(&dir, &["trust", "export"]).out;
    assert!(exported.contains(&format!("{hub} --name hub --as router\n")), "{exported}");
    assert!(exported.contains(&format!("{well} --as relay\n")), "{exported}");
    json_on(&dir, &["trust", "add", &hub, "--as", "node"]);
    assert_eq!(is(&nodes(&dir)[0]), ("node".into(), Value::Bool(true)));
    json_on(&dir, &["trust", "remove", "hub"]);
    assert_eq!(nodes(&dir)[0]["is_trusted"], false);
}

#[test]
fn papers_for_a_router_are_made_once_and_only_where_papers_are_issued() {
    let (folder, dir) = empty();
    let out = folder.path().join("hub");
    let out = out.to_str().expect("UTF-8");
    let make = |name: &str| run_on(&dir, &["papers", "router", name, "--out", out]);
    expect_sentence(&make("hub"), &["there is no node in", "clawmesh start"]);
    id_of(&dir);
    let made = make("hub");
    assert!(made.code == Some(0) && made.out.contains("--name hub --as router"), "{made:?}");
    for file in ["mesh.pem", "router.pem", "router.key", "zenohd.json5"] {
        assert!(Path::new(out).join(file).is_file(), "{file}");
    }
    expect_sentence(&make("hub"), &["is called \"hub\" here already"]);
    expect_sentence(&make("hub2"), &["cannot make", "a folder that is not there yet"]);
    // Who joined at another node has papers and no key of the mesh.
    fs::remove_file(dir.join("identity/mesh.pem")).expect("it issues");
    expect_sentence(&make("hub3"), &["another node issues the papers"]);
}

#[test]
fn whatever_is_wrong_is_one_sentence_and_changes_nothing() {
    let (_folder, dir) = empty();
    let own = id_of(&dir);
    let well = "cd".repeat(32);
    json_on(&dir, &["trust", "add", &well, "--name", "well"]);
    let before = fs::read(dir.join("trust.ron")).expect("a list");
    let other = "ab".repeat(32);
    for (args, words) in [
        (&["add", "abc"][..], "64 hexadecimal characters"),
        (&["add", own.as_str()], "is this node itself"),
        (&["add", &other, "--name", "well"], "is called \"well\" here already"),
        (&["add", &other, "--name", " "], "name"),
        (&["remove", &other[..8]], "no node of the list is called"),
        (&["remove", own.as_str()], "is this node itself"),
        (&["remove", "cdcd"], "at least 8 characters"),
    ] {
        let said = run_on(&dir, &[&["trust"], args].concat());
        expect_sentence(&said, &[words]);
        assert_eq!(fs::read(dir.join("trust.ron")).expect("a list"), before, "{args:?}");
    }
    fs::write(dir.join("trust.ron"), "[(").expect("a disk");
    for args in [&["trust", "list"][..], &["trust", "add", &other], &["start"]] {
        expect_sentence(&run_on(&dir, args), &["trust.ron:1:", "restore the file from a backup"]);
    }
}
