//! Links to trusted nodes that were found in the local network, also where zenoh's own scouting does not lead any more: it tells
//! the addresses that a machine had when its session was opened.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use zenoh::config::Locator;
use zenoh::internal::runtime::Runtime;
use zenoh::session::ZenohId;

use crate::dials::{Dials, Outcome};
use crate::edge::Edge;
use crate::ways::FoundWay;

/// How often it is looked whose time has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What takes no longer was hardly tried.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Dials whoever is found and trusted and not linked, as long as the session is open.
pub async fn dial_found(edge: Arc<Edge>, runtime: Runtime) {
    let mut found = edge.ways.follow();
    let mut dials = Dials::new(edge.own);
    let mut under_way = JoinSet::new();
    let mut beat = tokio::time::interval(LOOK_EVERY);
    loop {
        let due = dials.due(edge.now_ms(), &found.borrow_and_update(), |node| edge.trust.has(node));
        for (node, way) in due {
            let runtime = runtime.clone();
            // Never cut short: zenoh would take it for a dial that goes on, and try none of its own.
            under_way.spawn(async move { (node, dial(&runtime, &way).await) });
        }
        tokio::select! {
            _ = beat.tick() => {}
            Some(Ok((node, outcome))) = under_way.join_next() => dials.ended(node, outcome, edge.now_ms()),
        }
    }
}

/// zenoh waits ten seconds for each address. While it dials that session by itself, where it was found before, it dials nothing else
/// for us and says so at once.
async fn dial(runtime: &Runtime, way: &FoundWay) -> Outcome {
    let Ok(session) = way.session.parse::<ZenohId>() else { return Outcome::Failed };
    let locators: Vec<Locator> = way.locators.iter().filter_map(|locator| locator.parse().ok()).collect();
    let begun = Instant::now();
    match runtime.connect_peer(&session.into(), &locators).await {
        true => Outcome::Linked,
        false if begun.elapsed() < AT_ONCE => Outcome::FailedAtOnce,
        false => Outcome::Failed,
    }
}
