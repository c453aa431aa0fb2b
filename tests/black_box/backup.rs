//! A machine is lost: what comes back out of its backup, what does not, and how another node takes its place.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clawmesh_authority::{Hlc, MeshId, OperatorKey, Request, RequestBody, request};
use serde_json::{Value, json};

use crate::bad_input::{empty, expect_sentence};
use crate::proposals::scene::unix_ms;
use crate::stops::answer_to;
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);

fn bea() -> OperatorKey {
    OperatorKey::from_secret(&[2; 32])
}

fn enroll(dir: &Path, secret: u8, name: &str) -> String {
    let key = OperatorKey::from_secret(&[secret; 32]);
    let public: String = key.public().raw().iter().map(|byte| format!("{byte:02x}")).collect();
    json_on(dir, &["operator", "enroll", &public, "--name", name, "--role", "supervisor"]);
    key.id().to_string()
}

/// Waits until a restored node has started: it is stopped, and says why.
fn until_stopped(dir: &Path) {
    until("the stop is told", PATIENCE, || {
        // Until it listens there is nobody to ask.
        let status: Value = serde_json::from_str(&run_on(dir, &["status", "--json"]).out).ok()?;
        let reason = status["stop"].as_str()?.to_owned();
        (status["state"] == "stopped" && reason.contains("restored from a backup")).then_some(())
    });
}

/// What Bea signs to end the stop of the node on `dir`.
fn signed_rearm(dir: &Path) -> Vec<u8> {
    let request = Request {
        mesh: MeshId::of_name("default"),
        owner: id_of(dir).parse().expect("an id"),
        body: RequestBody::Rearm { why: "everything was looked at".to_owned() },
        made: Hlc { wall_ms: unix_ms(), logical: 0 },
    };
    request::seal(&bea(), &request)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn a_node_comes_back_stopped_and_what_was_signed_removed_or_revoked_since_the_backup_stays_so() {
    let ((folder, dir), pump_id) = (empty(), "ab".repeat(32));
    let own_id = id_of(&dir);
    enroll(&dir, 2, "Bea");
    let mallory = enroll(&dir, 3, "Mallory");
    json_on(&dir, &["trust", "add", &pump_id, "--name", "pump"]);
    let mut node = Node::start_as("plant", &dir, &[]);
    node.endpoint();
    let backup = folder.path().join("backup");
    let made = json_on(&dir, &["backup", text(&backup)]);
    assert!(made["journal_rows"].as_u64().is_some_and(|rows| rows > 0), "it runs, and is backed up: {made}");
    // What happens since: one leaves, one is no longer trusted, and somebody writes down what Bea signs.
    json_on(&dir, &["trust", "remove", "pump"]);
    json_on(&dir, &["operator", "revoke", &mallory]);
    let overheard = signed_rearm(&dir);
    node.stop();

    let new = folder.path().join("new");
    let restored = json_on(&new, &["restore", text(&backup)]);
    assert_eq!((&restored["node"], &restored["has_journal"]), (&json!(own_id), &json!(true)));
    assert_eq!(restored["nodes_to_confirm"], json!([{"id": pump_id, "name": "pump"}]));
    let people = restored["people_to_confirm"].as_array().expect("a list of people");
    let names: Vec<&Value> = people.iter().map(|person| &person["name"]).collect();
    assert_eq!(names.len(), 2, "who they were is told: {restored}");
    assert_eq!(json_on(&new, &["trust", "list"])["nodes"][0]["is_trusted"], json!(false));
    assert_eq!(json_on(&new, &["operator", "list"])["operators"], json!([]));

    // A unit file that nobody has changed names a node that nobody has confirmed.
    let stranger = "cd".repeat(32);
    let said = run_on(&new, &["plant", "--no-discovery", "--stop-with-stdin", "--trust", &stranger]);
    expect_sentence(&said, &["came from a backup", "is named by --trust or node.ron alone"]);
    // Bea is known to be still right.
    enroll(&new, 2, "Bea");
    let node = Node::start_as("plant", &new, &[]);
    until_stopped(&new);
    let (status, answer) = answer_to(&new, "/api/requests", &overheard);
    assert_eq!(
        (status, &answer["code"], &answer["rule"]),
        (422, &json!("REPLAYED"), &json!("request.restored"))
    );
    assert_eq!(node.ask(&["status"])["state"], "stopped");
    let (status, answer) = answer_to(&new, "/api/requests", &signed_rearm(&new));
    assert_eq!(status, 200, "what she signs now ends it: {answer}");
    until("the stop has ended", PATIENCE, || (node.ask(&["status"])["state"] == "running").then_some(()));
    node.stop();
    // The copy was made while the node ran, so the run in it has no end; nothing of it differs.
    assert_eq!(json_on(&new, &["replay", text(&new), "--verify"])["verified"], json!(true));
}

#[test]
fn a_new_node_takes_the_place_of_one_that_is_gone_at_every_node_of_the_site() {
    let ((folder, field), (_desk, desk)) = (empty(), empty());
    let (old, desk_id) = (id_of(&field), id_of(&desk));
    // The plant draws its site with its own id in it.
    let mut node = Node::start_as("plant", &field, &["--trust", &desk_id]);
    node.endpoint();
    node.stop();
    for file in ["site.ron", "policy.ron"] {
        fs::copy(field.join(file), desk.join(file)).expect("the plant has made it");
    }
    json_on(&desk, &["trust", "add", &old, "--name", "field node"]);
    let backup = folder.path().join("backup");
    json_on(&field, &["backup", text(&backup), "--without-journal"]);

    let dir = folder.path().join("new");
    let restored = json_on(&dir, &["restore", text(&backup), "--new-key"]);
    let new = restored["node"].as_str().expect("an id").to_owned();
    assert_eq!((&restored["in_place_of"], &restored["has_journal"]), (&json!(old), &json!(false)));
    assert_ne!(new, old);
    let replaced = json_on(&desk, &["replace", "field node", &new]);
    assert_eq!((&replaced["site_places"], &replaced["trust_moved"]), (&json!(1), &json!(true)));
    let trusted = json_on(&desk, &["trust", "list"]);
    let is = |id: &str| {
        let nodes = trusted["nodes"].as_array().expect("a list of nodes");
        let row = nodes.iter().find(|row| row["id"] == id).expect("it is in the list");
        (row["is_trusted"].clone(), row["name"].clone())
    };
    assert_eq!((is(&new), is(&old)), ((json!(true), json!("field node")), (json!(false), Value::Null)));
    let site = |dir: &Path| fs::read_to_string(dir.join("site.ron")).expect("a site");
    assert_eq!(site(&desk), site(&dir), "one site, one hash");
    let node = Node::start_as("plant", &dir, &[]);
    until_stopped(&dir);
    node.stop();
    let said = run_on(&desk, &["replace", &old, &"ef".repeat(32)]);
    expect_sentence(&said, &["nothing in ", "it is not trusted"]);
}

#[test]
fn who_takes_the_place_of_a_viewer_a_relay_or_a_router_is_that_on_links_and_no_more() {
    let (_folder, desk) = empty();
    id_of(&desk);
    for (n, part) in ["viewer", "relay", "router", "node"].into_iter().enumerate() {
        let (old, new) = (format!("a{n}").repeat(32), format!("b{n}").repeat(32));
        json_on(&desk, &["trust", "add", &old, "--name", part, "--as", part]);
        json_on(&desk, &["replace", part, &new]);
        let listed = json_on(&desk, &["trust", "list"]);
        let rows = listed["nodes"].as_array().expect("a list of nodes");
        let row = rows.iter().find(|row| row["id"] == new).expect("it is in the list");
        assert_eq!((&row["part"], &row["is_trusted"]), (&json!(part), &json!(part != "router")));
    }
}

#[test]
fn a_backup_or_restore_that_cannot_be_is_one_sentence_and_changes_nothing() {
    let (folder, dir) = empty();
    let (backup, new) = (folder.path().join("backup"), folder.path().join("new"));
    expect_sentence(&run_on(&dir, &["backup", text(&backup)]), &["there is no node in "]);
    assert!(!backup.exists(), "nothing was made");
    let own = id_of(&dir);
    json_on(&dir, &["backup", text(&backup)]);
    expect_sentence(&run_on(&dir, &["backup", text(&backup)]), &["nothing is overwritten; name a new one"]);
    expect_sentence(
        &run_on(&dir, &["restore", text(&backup)]),
        &["nothing is overwritten; move the folder away"],
    );
    expect_sentence(&run_on(&new, &["restore", text(folder.path())]), &["this is no backup"]);
    for (old, id, words) in [
        (&*own, &*"ab".repeat(32), "is this node itself; on the new machine"),
        (&*"ab".repeat(32), &*"ab".repeat(32), "cannot take its own place"),
        (&*own, "abc", "`clawmesh identity` on that node prints its id"),
        ("nobody", &*"ab".repeat(32), "no node of the list is called"),
    ] {
        expect_sentence(&run_on(&dir, &["replace", old, id]), &[words]);
    }
    let list = backup.join("backup.ron");
    let good = fs::read_to_string(&list).expect("the list");
    let made = good.lines().find(|line| line.trim_start().starts_with("made: ")).expect("when it was made");
    fs::write(&list, good.replacen(made, "    made: \"2096-01-01T00:00:00Z\",", 1)).expect("a disk");
    expect_sentence(&run_on(&new, &["restore", text(&backup)]), &["set the clock first"]);
    fs::write(&list, good).expect("a disk");
    fs::write(backup.join("identity/node.pem"), "other").expect("a disk");
    expect_sentence(&run_on(&new, &["restore", text(&backup)]), &["is not as it was backed up"]);
    let left: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(
        !new.exists() && !left.iter().any(|name| name.to_string_lossy().starts_with(".clawmesh")),
        "{left:?}"
    );
}
