//! `clawmesh events`: what has happened to a running node since its start.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_gateway::{EventView, Events};

use super::args::EventsArgs;
use crate::cli::client::{Client, block_on, with_query};
use crate::cli::table::{age, plain, table};
use crate::cli::terminal::{say, say_json};

/// What is said of the events of this node.
const PATH: &str = "/api/system-events";

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &EventsArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let within_ms = args.since.map(|since| since.as_millis().min(u128::from(u64::MAX)).to_string());
    let asked =
        [("limit", Some(args.limit.to_string())), ("kind", args.kind.clone()), ("within_ms", within_ms)];
    let events: Events = block_on(client.get(&with_query(PATH, &asked)?))?;
    if args.target.json {
        say_json(&events)?;
    } else {
        say(&page(&events));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks a node for its newest events.
pub async fn newest(client: &Client, limit: usize) -> anyhow::Result<Events> {
    client.get(&with_query(PATH, &[("limit", Some(limit.to_string()))])?).await
}

/// The table, and how many are not in it.
pub fn page(events: &Events) -> String {
    if events.events.is_empty() {
        return format!("no such event among the {} that are remembered", events.total);
    }
    let rows: Vec<_> = events.events.iter().map(|event| row(event, events.now_ms)).collect();
    let mut page = table(&["when", "event", "about", "what"], &rows);
    if events.left_off > 0 {
        page.push_str(&format!(
            "\n{} older ones are not shown; `clawmesh events --limit` shows more",
            events.left_off
        ));
    }
    page
}

fn row(event: &EventView, now_ms: u64) -> Vec<String> {
    let node = event.node.map(|node| node.short());
    let proposal = event.proposal.as_deref().map(|id| id.chars().take(8).collect());
    vec![
        format!("{} ago", age(now_ms.saturating_sub(event.at_ms))),
        plain(&event.kind),
        plain(&node.or(proposal).unwrap_or_else(|| "-".to_owned())),
        plain(&event.sentence),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::NodeId;

    #[test]
    fn events_are_as_of_the_clock_of_the_node_and_what_is_left_off_is_told() {
        let event = |kind: &str, at_ms, node, proposal: Option<&str>| EventView {
            kind: kind.to_owned(),
            at_ms,
            sentence: "old\u{1b}[2J has connected".to_owned(),
            node,
            proposal: proposal.map(str::to_owned),
        };
        let events = Events {
            now_ms: 10_000,
            total: 9,
            left_off: 7,
            events: vec![
                event("peer.connect", 7_500, Some(NodeId([0xab; 32])), None),
                event("proposal.created", 11_000, None, Some("0123456789")),
            ],
        };
        let told = page(&events);
        assert!(
            told.contains("2.5 s ago  peer.connect      abababab  old\u{fffd}[2J has connected"),
            "{told}"
        );
        assert!(told.contains("0.0 s ago  proposal.created  01234567  "), "{told}");
        assert!(told.ends_with("7 older ones are not shown; `clawmesh events --limit` shows more"), "{told}");
        let none = Events { events: Vec::new(), left_off: 0, ..events };
        assert_eq!(page(&none), "no such event among the 9 that are remembered");
    }
}
