//! `clawmesh peers`: the other nodes a running node knows.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_core::publish::PeerView;
use clawmesh_gateway::{PeerDetail, Peers};

use super::args::PeersArgs;
use super::client::{Client, block_on};
use super::table::{age, plain, table};
use super::terminal::{say, say_json};
use super::world::{sensor_table, warn_of_stall};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &PeersArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    match &args.id {
        Some(id) => show_one(&client, id, args.target.json)?,
        None => show_all(&client, args.target.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show_all(client: &Client, json: bool) -> anyhow::Result<()> {
    let answer: Peers = block_on(client.get("/api/peers"))?;
    warn_of_stall(answer.snapshot_age_ms);
    if json {
        return say_json(&answer);
    }
    if answer.peers.is_empty() {
        say("no other nodes yet; connect to one with `clawmesh start --connect tcp/HOST:7447`");
        return Ok(());
    }
    say(&peer_table(&answer.peers, answer.snapshot_age_ms));
    Ok(())
}

fn peer_table(peers: &[PeerView], snapshot_age_ms: u64) -> String {
    let head = ["name", "id", "role", "is", "trusted", "heard", "clock", "skipped", "sensors"];
    table(&head, &peers.iter().map(|peer| row(peer, snapshot_age_ms)).collect::<Vec<_>>())
}

fn row(peer: &PeerView, snapshot_age_ms: u64) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        plain(&or_dash(peer.name.clone())),
        peer.id.short(),
        plain(&or_dash(peer.role.clone())),
        peer.liveness.clone(),
        if peer.trusted { "yes" } else { "no" }.to_owned(),
        or_dash(peer.heard_age_ms.map(|ms| format!("{} ago", age(ms.saturating_add(snapshot_age_ms))))),
        or_dash(peer.clock_offset_ms.map(|ms| format!("{ms:+} ms"))),
        peer.stream_skipped.to_string(),
        peer.sensors.to_string(),
    ]
}

fn show_one(client: &Client, id: &str, json: bool) -> anyhow::Result<()> {
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_hexdigit()) {
        anyhow::bail!("{id:?} is no id; ids have only the characters 0-9 and a-f, see `clawmesh peers`");
    }
    let answer: PeerDetail = block_on(client.get(&format!("/api/peers/{}", id.to_ascii_lowercase())))?;
    warn_of_stall(answer.snapshot_age_ms);
    if json {
        return say_json(&answer);
    }
    say(&format!("id  {}", answer.peer.id));
    say(&peer_table(std::slice::from_ref(&answer.peer), answer.snapshot_age_ms));
    say("");
    say(&sensor_table(&answer.sensors, answer.snapshot_age_ms));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_a_peer_was_heard_is_as_of_now_not_as_of_the_snapshot() {
        let peer: PeerView = serde_json::from_value(serde_json::json!({
            "id": "ab".repeat(32), "name": "pump", "role": "field", "liveness": "alive", "trusted": true,
            "heard_age_ms": 1_000, "clock_offset_ms": -24, "stream_skipped": 0, "sensors": 12,
        }))
        .unwrap();
        let table = peer_table(&[peer], 2_500);
        assert!(table.contains("  3.5 s ago  -24 ms  "), "{table}");
    }
}
