//! `clawmesh status`: how a running node is doing, and what it refused.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::{NodeId, Role};
use clawmesh_core::clock::{ClockView, Keeping};
use clawmesh_core::intake::LinkState;
use clawmesh_core::publish::{LeadView, SiteView};
use clawmesh_gateway::{AlarmCounts, Events, GatewayCounts, GuestCounts, NodeState, Status};
use serde::Serialize;

use super::args::StatusArgs;
use super::client::{Client, block_on};
use super::history::events;
use super::table::{age, plain, table};
use super::terminal::{say, say_json};
use super::world::warn_of_stall;
use crate::moments::unix_ms;

/// How many of the newest events are shown.
const EVENTS_SHOWN: usize = 20;

/// For programs.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Events>,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let events = args.events.then(|| block_on(events::newest(&client, EVENTS_SHOWN))).transpose()?;
    warn_of_stall(status.snapshot_age_ms.unwrap_or(0));
    if args.target.json {
        say_json(&Answer { status, events })?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&page(&status));
    if let Some(events) = events {
        say("");
        say(&events::page(&events));
    }
    Ok(ExitCode::SUCCESS)
}

/// The word for what the node is doing.
pub fn word(state: NodeState) -> String {
    let state = serde_json::to_value(state).ok().and_then(|state| state.as_str().map(str::to_owned));
    state.unwrap_or_default()
}

fn page(status: &Status) -> String {
    let Status { node, peers, sensors, .. } = status;
    let mut lines = vec![
        format!("{}  {}  {}", plain(&node.name), plain(&node.role), word(status.state)),
        format!("id        {}", node.id),
        format!("mesh      {}", plain(&node.mesh)),
        format!("link      {}", link(&status.link)),
        format!("tick      {} at {} Hz, up {}", status.tick, node.hz, age(status.uptime_ms)),
        format!("clock     {}", clock(&status.clock)),
        format!("peers     {} known, {} alive, {} trusted", peers.known, peers.alive, peers.trusted),
        format!("guests    {}", guests(&status.guests)),
        format!("leader    {}", leader(&status.lead, &node.id)),
        format!("sensors   {} known, {} flagged", sensors.known, sensors.flagged),
        format!("beliefs   {}", status.beliefs),
        format!("alarms    {}", alarms(&status.alarms)),
        format!("journal   {}", journal(status)),
        format!("gateway   {}", gateway(&status.gateway)),
    ];
    if let Some(digest) = &status.digest {
        lines.push(format!("digest    {} at tick {}", digest.total, digest.tick));
    }
    if !status.people.is_empty() {
        let may_approve =
            status.people.iter().filter(|person| person.role >= Role::Approver && !person.is_revoked).count();
        lines.push(format!("people    {} enrolled, {may_approve} may approve", status.people.len()));
    }
    if let Some(site) = &status.site {
        lines.push(format!("site      {}", site_words(site)));
    }
    if let Some(reason) = &status.stop {
        lines.push(format!("STOP      latched: {}", plain(reason)));
    }
    lines.push(format!("refused   {}", status.refused_total));
    if !status.refusals.is_empty() {
        lines.push(String::new());
        lines.push(refusals(status));
    }
    lines.join("\n")
}

/// The site, and whether it is in order.
pub fn site_words(site: &SiteView) -> String {
    let modes: Vec<String> = site.modes.iter().map(|mode| plain(mode)).collect();
    let state =
        if modes.is_empty() { "in order".to_owned() } else { format!("NOT IN ORDER: {}", modes.join("; ")) };
    format!("{}, {state}", plain(&site.name))
}

/// How the link to the mesh stands.
pub fn link(link: &LinkState) -> String {
    match link {
        LinkState::Connecting => "connecting".to_owned(),
        LinkState::Open { listen } if listen.is_empty() => "open, listens nowhere".to_owned(),
        LinkState::Open { listen } => format!("open, listens at {}", listen.join(", ")),
        LinkState::Failed { sentence } => format!("FAILED: {}", plain(sentence)),
    }
}

/// What to date a request by: where nothing keeps the clock of a machine, by what its node has agreed on with others.
pub fn time_at(status: &Status) -> u64 {
    match status.clock.kept {
        Keeping::None | Keeping::Doubted if status.wall_ms > 0 => {
            status.wall_ms.saturating_add(status.snapshot_age_ms.unwrap_or(0))
        }
        _ => unix_ms(),
    }
}

/// What keeps the clock, and what is wrong with it.
pub fn clock(clock: &ClockView) -> String {
    let agreed = clock.agreed_with.len();
    match (&clock.fault, clock.kept) {
        (Some(fault), _) if clock.is_unknown => format!("UNKNOWN: {}", plain(fault)),
        (Some(fault), _) => format!("agreed with {agreed} nodes, but {}", plain(fault)),
        (None, Keeping::Kept) => "kept by this machine".to_owned(),
        (None, Keeping::None) => format!("nothing keeps it, agreed with {agreed} nodes"),
        (None, Keeping::Doubted) => format!("doubted when it started, agreed with {agreed} nodes"),
    }
}

/// Who leads the planning, and in which term.
fn leader(lead: &LeadView, own: &NodeId) -> String {
    let Some(leader) = &lead.leader else { return "nobody leads the planning".to_owned() };
    let term = leader.term.map(|term| format!(", term {term}")).unwrap_or_default();
    match &leader.name {
        _ if leader.id == *own => format!("this node leads the planning{term}"),
        Some(name) => format!("{} leads the planning{term}", plain(name)),
        None => format!("{} leads the planning{term}", leader.id.short()),
    }
}

/// What a person has to look at, and what they have put aside.
fn alarms(counts: &AlarmCounts) -> String {
    let shelved = if counts.shelved == 0 { String::new() } else { format!(", {} shelved", counts.shelved) };
    match counts.highest {
        None => format!("none{shelved}"),
        Some(highest) => format!(
            "{} active, {} unacknowledged{shelved}, highest {}; see `clawmesh alarms`",
            counts.active,
            counts.unacknowledged,
            highest.word()
        ),
    }
}

fn journal(status: &Status) -> String {
    match &status.journal.failure {
        None => format!("{} rows durable", status.journal.committed),
        Some(why) => format!("FAILED after row {}: {why}", status.journal.committed),
    }
}

/// Who knocks with a wrong token, a wrong name or from a foreign page is of interest to whoever looks after a node.
fn gateway(counts: &GatewayCounts) -> String {
    if counts.refused.is_empty() {
        return format!("{} event streams, no request refused", counts.streams);
    }
    let refused: Vec<String> =
        counts.refused.iter().map(|(code, times)| format!("{times} × {code}")).collect();
    format!("{} event streams, requests refused: {}", counts.streams, refused.join(", "))
}

/// Existing ClawMesh nodes; what was refused at their door stands among the refusals.
pub fn guests(guests: &GuestCounts) -> String {
    let GuestCounts { nodes, lost, connections, frames, things, .. } = guests;
    let lost = if *lost == 0 { String::new() } else { format!(", {lost} lost") };
    format!(
        "{nodes} existing nodes on {connections} connections{lost}, {frames} frames about {things} things"
    )
}

fn refusals(status: &Status) -> String {
    let since_ms = status.snapshot_age_ms.unwrap_or(0);
    let rows: Vec<Vec<String>> = status
        .refusals
        .iter()
        .map(|row| {
            let last = age(row.age_ms.saturating_add(since_ms));
            let cells = [&row.code.to_string(), &row.count.to_string(), &last, &row.from, &row.sentence];
            cells.map(|cell| plain(cell)).to_vec()
        })
        .collect();
    table(&["code", "times", "last", "from", "why, and what to do"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_counted_with_the_highest_priority() {
        let mut counts = AlarmCounts::default();
        assert_eq!(alarms(&counts), "none");
        counts.shelved = 1;
        assert_eq!(alarms(&counts), "none, 1 shelved");
        let highest = Some(clawmesh_core::alarms::Priority::High);
        counts = AlarmCounts { active: 3, unacknowledged: 2, shelved: 1, highest };
        assert_eq!(
            alarms(&counts),
            "3 active, 2 unacknowledged, 1 shelved, highest high; see `clawmesh alarms`"
        );
    }

    #[test]
    fn the_clock_says_what_keeps_it_and_what_is_wrong() {
        let told =
            ClockView { kept: Keeping::None, agreed_with: vec![NodeId([1; 32])], ..ClockView::default() };
        let unknown = ClockView { fault: Some("nobody says".to_owned()), is_unknown: true, ..told.clone() };
        assert_eq!(clock(&ClockView::default()), "kept by this machine");
        assert_eq!(clock(&told), "nothing keeps it, agreed with 1 nodes");
        assert_eq!(clock(&unknown), "UNKNOWN: nobody says");
        let old = clock(&ClockView { is_unknown: false, ..unknown });
        assert_eq!(old, "agreed with 1 nodes, but nobody says");
    }

    #[test]
    fn requests_refused_at_the_gateway_are_told_by_code() {
        let mut counts = GatewayCounts { streams: 2, ..GatewayCounts::default() };
        assert_eq!(gateway(&counts), "2 event streams, no request refused");
        counts.refused = [("NOT_AUTHORIZED", 3), ("WRONG_HOST", 1)].map(|(c, n)| (c.to_owned(), n)).into();
        assert_eq!(gateway(&counts), "2 event streams, requests refused: 3 × NOT_AUTHORIZED, 1 × WRONG_HOST");
    }
}
