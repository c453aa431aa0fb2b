//! What becomes of five nodes on a bad network.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::farm::{Farm, Host, PATIENCE};
use crate::looks::{beliefs, hears};
use crate::wait::until;

/// Names and roles: a planner on each side of the partition.
const NODES: [(&str, &str); 5] =
    [("one", "planner"), ("two", "field"), ("three", "field"), ("four", "planner"), ("five", "field")];

/// The ids of the guests of a node.
fn guests(host: &Host) -> Vec<String> {
    let Ok(peers) = host.try_json(&["peers"]) else { return Vec::new() };
    let rows = peers["guests"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["id"].as_str().expect("a guest has an id").to_owned()).collect()
}

/// Who leads the planning, as a node knows it: its id and the term.
fn leader(host: &Host) -> Option<(String, u64)> {
    let status = host.try_json(&["status"]).ok()?;
    let leader = &status["lead"]["leader"];
    Some((leader["id"].as_str()?.to_owned(), leader["term"].as_u64()?))
}

/// Waits until all of these nodes follow one and the same leader, which must be one of `among`; gives it.
fn one_leader(hosts: &[Host], among: &[&str]) -> (String, u64) {
    let what = format!("{} nodes follow one leader", hosts.len());
    until(&what, PATIENCE, || {
        let (first, others) = (leader(&hosts[0])?, &hosts[1..]);
        let is_expected = among.contains(&first.0.as_str());
        (is_expected && others.iter().all(|host| leader(host).as_ref() == Some(&first))).then_some(first)
    })
}

fn wait_for(farm: &Farm, what: &str, holds: impl Fn(&Host) -> bool) {
    for host in &farm.hosts {
        until(&format!("{} {what}", host.name), PATIENCE, || holds(host).then_some(()));
    }
}

#[test]
fn five_nodes_on_a_late_and_lossy_network_end_up_with_the_same_beliefs_and_one_leader_after_a_partition_and_lose_nothing()
 {
    let mut farm = Farm::new("farm", "tls", &NODES);
    farm.start();
    wait_for(&farm, "hears the four others", |host| hears(host) == 4);
    // Over the wire protocol they find each other: nobody was told those addresses.
    wait_for(&farm, "is linked with the four others over the wire protocol", |host| guests(host).len() == 4);

    let [one, four] = [0, 3].map(|at| farm.hosts[at].id.clone());
    let (_, first_term) = one_leader(&farm.hosts, &[&one, &four]);

    farm.network("set delay-ms=200 jitter-ms=20 loss-permille=50 duplicate-permille=10 reorder-permille=20");
    let mut noted: Vec<(String, String)> = Vec::new();
    let mut note = |host: &Host, key: String, value: &str| {
        host.note(&key, value);
        noted.push((key, value.to_owned()));
    };
    for host in &farm.hosts {
        note(host, format!("late/{}", host.name), "seen");
    }
    farm.network("partition one,two|three,four,five");
    for round in 0..4 {
        for host in &farm.hosts {
            note(host, format!("parted/{}/{round}", host.name), "seen");
        }
    }
    // Both sides say something about the same thing; the one that is said last stands on all nodes in the end.
    farm.hosts[0].note("gate", "open");
    farm.hosts[2].note("gate", "shut");
    // A machine gets another address meanwhile.
    farm.network("readdress five 10.77.0.99");
    until("the parted sides miss each other", PATIENCE, || (hears(&farm.hosts[0]) <= 1).then_some(()));
    // Each side has its own leader then.
    one_leader(&farm.hosts[..2], &[&one]);
    one_leader(&farm.hosts[2..], &[&four]);
    farm.network("heal");

    let expected: Vec<String> = noted.iter().map(|(key, _)| key.clone()).chain(["gate".to_owned()]).collect();
    let missing = |host: &Host| {
        let known = beliefs(host);
        expected.iter().filter(|key| !known.contains_key(*key)).cloned().collect::<Vec<String>>()
    };
    wait_for(&farm, "believes everything that was noted", |host| missing(host).is_empty());
    // A node may know every key and not yet the later word, so all are looked at until they agree.
    let first = until("all believe the same", PATIENCE, || {
        let all: Vec<BTreeMap<String, Value>> = farm.hosts.iter().map(beliefs).collect();
        all.iter().all(|known| *known == all[0]).then(|| all[0].clone())
    });
    assert_eq!(first["gate"][0], json!("shut"), "the later word stands: {}", first["gate"]);
    for (key, value) in &noted {
        assert_eq!(first[key][0], json!(value), "{key}");
    }
    let (_, last_term) = one_leader(&farm.hosts, &[&one, &four]);
    assert!(last_term > first_term, "terms only grow: {first_term}, {last_term}");
    wait_for(&farm, "hears the four others again", |host| hears(host) == 4);
    wait_for(&farm, "is linked with the four others again", |host| guests(host).len() == 4);

    farm.network("set delay-ms=0 jitter-ms=0 loss-permille=0 duplicate-permille=0 reorder-permille=0");
    for host in &mut farm.hosts {
        host.stop();
        let replayed = host.replayed();
        assert_eq!(replayed["verified"], json!(true), "{}: {replayed}", host.name);
    }
    farm.lab.end().expect("its namespaces are removed");
}
