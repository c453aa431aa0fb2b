//! What a node shows of what it knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::farm::Host;

/// What a node believes: the value for each key, by whom and when it was said.
pub fn beliefs(host: &Host) -> BTreeMap<String, Value> {
    let Ok(world) = host.try_json(&["world", "--limit", "10000"]) else { return BTreeMap::new() };
    let rows = world["beliefs"].as_array().cloned().unwrap_or_default();
    let of = |row: Value| {
        let key = row["key"].as_str().expect("a belief has a key").to_owned();
        (key, json!([row["value"], row["source"], row["hlc"]]))
    };
    rows.into_iter().map(of).collect()
}

/// How many of the others a node hears and trusts.
pub fn hears(host: &Host) -> usize {
    let Ok(peers) = host.try_json(&["peers"]) else { return 0 };
    let rows = peers["peers"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter(|row| {
            row["liveness"] == "alive" && row["trusted"] == json!(true) && row["name"] != Value::Null
        })
        .count()
}
