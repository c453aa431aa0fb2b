//! Alarms from the terminal: seen, acknowledged, put aside, and in the recording.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::bad_input::empty;
use crate::support::cli::{json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);

/// The alarm whose key begins so, as soon as it stands so.
fn alarm(dir: &Path, begins: &str, state: &str) -> Value {
    until(&format!("{begins} is {state}"), PATIENCE, || {
        let said = run_on(dir, &["alarms", "--all", "--json"]);
        let answer: Value = serde_json::from_str(&said.out).ok()?;
        let mut rows = answer["alarms"].as_array()?.iter();
        rows.find(|row| {
            row["key"].as_str().is_some_and(|key| key.starts_with(begins)) && row["state"] == state
        })
        .cloned()
    })
}

#[test]
fn a_stop_is_an_alarm_that_people_acknowledge_and_cannot_put_aside() {
    let (_folder, dir) = empty();
    fs::write(dir.join("stop"), r#"(reason:"smoke in the pump house",at_unix_ms:7)"#).unwrap();
    let mut node = Node::start(&dir, &[]);
    until("the session is open", PATIENCE, || {
        let said = run_on(&dir, &["status", "--json"]);
        let status: Value = serde_json::from_str(&said.out).ok()?;
        (status["state"] == "stopped").then_some(())
    });
    assert_eq!(alarm(&dir, "stop", "unacknowledged")["priority"], "critical");
    let page = run_on(&dir, &["alarms"]).out;
    assert!(page.starts_with("priority  is              rang"), "{page}");
    assert!(page.contains("the stop is latched: smoke in the pump house; a person has to re-arm"), "{page}");
    let status = run_on(&dir, &["status"]).out;
    assert!(status.contains("alarms    1 active, 1 unacknowledged, highest critical; see"), "{status}");

    let shelved = run_on(&dir, &["alarms", "shelve", "stop", "--for", "1m"]);
    assert_eq!((shelved.code, &*shelved.out), (Some(1), ""), "{shelved:?}");
    assert!(shelved.err.contains("the stop cannot be shelved: nothing may move"), "{shelved:?}");
    let unknown = run_on(&dir, &["alarms", "ack", "limit/nowhere"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("there is no alarm \"limit/nowhere\" now"), "{unknown:?}");

    let said = run_on(&dir, &["alarms", "ack", "stop", "--by", "Asha"]);
    assert_eq!((said.code, &*said.out), (Some(0), "acknowledged  stop\n"), "{said:?}");
    assert_eq!(alarm(&dir, "stop", "acknowledged")["acknowledged_by"], "Asha");
    let page = run_on(&dir, &["alarms", "list"]).out;
    assert!(page.contains("critical  acknowledged by Asha  "), "{page}");
    assert!(node.ended().is_none(), "{}", node.log());
    node.stop();
    let replay = json_on(&dir, &["replay", dir.to_str().unwrap(), "--verify"]);
    assert_eq!(replay["verified"], true, "{replay:#}");
}

#[test]
fn a_stranger_rings_and_can_be_put_aside_and_taken_up_again() {
    let (_folder, dir) = empty();
    let (_other_folder, other_dir) = empty();
    let mut node = Node::start(&dir, &[]);
    let stranger = Node::start(&other_dir, &["--host-sensors", "--connect", &node.endpoint()]);
    let row = alarm(&dir, "refusal/UNTRUSTED_PEER/", "unacknowledged");
    assert_eq!((&row["priority"], &row["shelf_ms_max"]), (&"low".into(), &28_800_000.into()));
    let key = row["key"].as_str().unwrap();
    let answer = json_on(&dir, &["alarms", "shelve", key, "--for", "30m", "--by", "Bo"]);
    assert_eq!(answer, serde_json::json!({ "committed": true }));
    assert_eq!(alarm(&dir, key, "shelved")["shelved_by"], "Bo");
    let page = run_on(&dir, &["alarms"]).out;
    assert!(page.ends_with("1 shelved; `clawmesh alarms --all` shows them too\n"), "{page}");
    assert!(!page.contains(key), "{page}");
    let page = run_on(&dir, &["alarms", "--all"]).out;
    assert!(page.contains("shelved by Bo, 29 min left"), "{page}");
    assert_eq!(run_on(&dir, &["alarms", "unshelve", key]).out, format!("unshelved  {key}\n"));
    alarm(&dir, key, "unacknowledged");
    for (time, words) in
        [("9h", "for at most 480 min"), ("500ms", "`for_s`"), ("soon", "write for example 30s")]
    {
        let said = run_on(&dir, &["alarms", "shelve", key, "--for", time]);
        assert!(said.code != Some(0) && said.err.contains(words), "{time}: {said:?}");
    }
    stranger.stop();
    node.stop();
}
