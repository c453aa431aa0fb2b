//! Links to trusted nodes that were found in the local network, also where zenoh's own scouting does not lead any more: it tells
//! the addresses that a machine had when its session was opened.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use zenoh::config::Locator;
use zenoh::internal::runtime::Runtime;
use zenoh::session::ZenohId;

use crate::dials::Dials;
use crate::edge::Edge;
use crate::ways::FoundWay;

/// How often it is looked whose time has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
            Some(Ok((node, is_linked))) = under_way.join_next() => dials.ended(node, is_linked, edge.now_ms()),
        }
    }
}

/// True when there is a link to that session, old or new. zenoh waits ten seconds for each address.
async fn dial(runtime: &Runtime, way: &FoundWay) -> bool {
    let Ok(session) = way.session.parse::<ZenohId>() else { return false };
    let locators: Vec<Locator> = way.locators.iter().filter_map(|locator| locator.parse().ok()).collect();
    runtime.connect_peer(&session.into(), &locators).await
}
