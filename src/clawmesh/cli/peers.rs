//! `clawmesh peers`: the other nodes a running node knows.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_core::publish::PeerView;
use clawmesh_gateway::{DialledView, GuestView, NearbyView, PeerDetail, Peers};

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
    say(&page(&answer));
    Ok(())
}

/// Our own nodes, then existing ClawMesh nodes; each table only when it has rows.
fn page(answer: &Peers) -> String {
    let mut tables = Vec::new();
    if !answer.peers.is_empty() {
        tables.push(peer_table(&answer.peers, answer.snapshot_age_ms));
    }
    if !answer.guests.is_empty() {
        tables.push(guest_table(&answer.guests, answer.wall_ms.saturating_add(answer.snapshot_age_ms)));
    }
    if !answer.dialled.is_empty() {
        tables.push(dialled_table(&answer.dialled, answer.wall_ms.saturating_add(answer.snapshot_age_ms)));
    }
    if !answer.nearby.is_empty() {
        tables.push(nearby_table(&answer.nearby));
    }
    if tables.is_empty() {
        return "no other nodes yet; connect to one with `clawmesh start --connect tcp/HOST:7447`".to_owned();
    }
    tables.join("\n\n")
}

fn guest_table(guests: &[GuestView], now_ms: u64) -> String {
    let rows: Vec<Vec<String>> = guests.iter().map(|guest| guest_row(guest, now_ms)).collect();
    table(&["existing node", "id", "role", "is", "heard", "link", "connected", "capabilities"], &rows)
}

fn dialled_table(dialled: &[DialledView], now_ms: u64) -> String {
    let rows: Vec<Vec<String>> = dialled.iter().map(|peer| dialled_row(peer, now_ms)).collect();
    table(&["dialled", "at", "way", "state", "why, and what to do"], &rows)
}

fn nearby_table(nearby: &[NearbyView]) -> String {
    let row = |found: &NearbyView| {
        let trusted = if found.trusted {
            "yes".to_owned()
        } else {
            format!("no; if it is yours, `clawmesh trust add {}`", found.id)
        };
        vec![plain(&found.name), plain(&found.url), trusted]
    };
    table(&["nearby", "at", "trusted"], &nearby.iter().map(row).collect::<Vec<_>>())
}

fn dialled_row(peer: &DialledView, now_ms: u64) -> Vec<String> {
    let way = peer.label.as_ref().map_or(peer.posture.clone(), |label| format!("{label}, {}", peer.posture));
    let again = peer.until_ms.map(|until_ms| format!(", again in {}", age(until_ms.saturating_sub(now_ms))));
    vec![
        peer.id.short(),
        plain(&peer.url),
        plain(&way),
        format!("{}{}", peer.state, again.unwrap_or_default()),
        plain(peer.sentence.as_deref().unwrap_or("-")),
    ]
}

fn guest_row(guest: &GuestView, now_ms: u64) -> Vec<String> {
    let profile = &guest.profile;
    let way = match (guest.is_connected, profile.is_outbound) {
        (false, _) => "none",
        (true, true) => "dialled",
        (true, false) => "came",
    };
    let link = profile.label.as_ref().map_or(way.to_owned(), |label| format!("{way}, {label}"));
    vec![
        plain(profile.name.as_deref().unwrap_or("-")),
        guest.id.short(),
        plain(&profile.role),
        guest.state.word().to_owned(),
        format!("{} ago", age(now_ms.saturating_sub(guest.heard_ms))),
        plain(&link),
        format!("{} ago", age(now_ms.saturating_sub(profile.connected_ms))),
        plain(&profile.capabilities.join(" ")),
    ]
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
    fn existing_nodes_have_a_table_of_their_own_and_no_text_of_theirs_moves_the_cursor() {
        let guest = serde_json::json!({
            "id": "cd".repeat(32), "name": "old\u{1b}[2Jnode", "role": "field", "capabilities": ["channel:clawmesh"],
            "is_outbound": false, "label": "mdns", "connected_ms": 10_000, "state": "suspect", "is_connected": true,
            "heard_ms": 11_500,
        });
        let answer: Peers = serde_json::from_value(serde_json::json!({
            "tick": 7, "wall_ms": 12_000, "snapshot_age_ms": 500, "peers": [], "guests": [guest],
            "dialled": [{
                "id": "ef".repeat(32), "url": "ws://192.0.2.7:18789", "label": null, "posture": "insecure",
                "is_static": true, "state": "waiting", "until_ms": 14_500, "sentence": "it cannot be reached",
            }],
            "nearby": [{
                "id": "ab".repeat(32), "name": "new pump", "url": "ws://192.0.2.8:18789", "trusted": false,
            }],
        }))
        .unwrap();
        let page = page(&answer);
        assert!(
            page.contains("  suspect  1.0 s ago  came, mdns  2.5 s ago  channel:clawmesh")
                && !page.contains('\u{1b}'),
            "{page}"
        );
        assert!(page.contains("  insecure  waiting, again in 2.0 s  it cannot be reached"), "{page}");
        assert!(
            page.contains("ws://192.0.2.8:18789  no; if it is yours, `clawmesh trust add abab"),
            "{page}"
        );
        let nobody = Peers { guests: Vec::new(), dialled: Vec::new(), nearby: Vec::new(), ..answer };
        assert!(super::page(&nobody).contains("no other nodes yet"));
    }

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
