//! Who is asked for what: the directory, how the connections are now, and the way of messages to whoever has their channel.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use clawmesh_authority::{NodeId, NodeRole};
use clawmesh_core::publish::Snapshot;
use clawmesh_gateway::{AbilityView, SnapshotFeed};
use clawmesh_wire::access::Caller;
use clawmesh_wire::code::quoted;
use clawmesh_wire::gate::Forward;
use clawmesh_wire::relay::{Relayed, capability_of, nobody_listens};
use clawmesh_wire::system_events::{EventKind, EventLog, SystemEvent};
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Later, Links, Peer};

use super::commands::delivered;
use super::directory::{Directory, Holder, Names, Qualities, shown};
use super::host::{GuestFacts, lock};
use super::refusals::{self, Refusals};
use super::relay::{Relay, is_from};
use crate::moments::unix_ms;

/// What this node knows about who can do what, and its ways there.
pub struct Routes {
    directory: Directory,
    snapshots: SnapshotFeed,
    /// Nothing before the links are there, and after they are gone: they hold the host, and must not be held by it for ever.
    links: Mutex<Option<Links>>,
    relay: Relay,
    events: Arc<Mutex<EventLog>>,
    refusals: Arc<Mutex<Refusals>>,
}

impl Routes {
    /// The routes of a node that can do `capabilities`; what goes over them is noted in `events`, and why not in `refusals`.
    pub fn new(
        facts: &GuestFacts,
        capabilities: Vec<String>,
        snapshots: SnapshotFeed,
        events: Arc<Mutex<EventLog>>,
        refusals: Arc<Mutex<Refusals>>,
    ) -> Self {
        let (own, owners) = (facts.key.id(), facts.owners.clone());
        let directory = Directory { own, role: NodeRole::of_name(&facts.role), capabilities, owners };
        let relay = Relay::of(&facts.relay);
        Self { directory, snapshots, links: Mutex::default(), relay, events, refusals }
    }

    /// Messages go over these links from now on, or over none.
    pub fn use_links(&self, links: Option<Links>) {
        *lock(&self.links) = links;
    }

    /// How many messages were passed on, and how many were not, by name.
    pub fn counts(&self) -> [(&'static str, u64); 2] {
        let tally = &self.relay.tally;
        [
            ("messages_passed_on", tally.passed_on.load(Ordering::Relaxed)),
            ("messages_not_passed_on", tally.refused.load(Ordering::Relaxed)),
        ]
    }

    fn look(&self) -> Option<(Arc<Snapshot>, Qualities, Option<Links>)> {
        let (snapshot, _) = self.snapshots.look()?;
        let links = lock(&self.links).clone();
        let vitals = links.as_ref().map(Links::vitals).unwrap_or_default();
        Some((snapshot, vitals.into_iter().map(|vitals| (vitals.node, vitals.quality)).collect(), links))
    }

    /// Who can do what `pattern` asks for, the best `rows_max`, and how many more; nothing before the first picture.
    pub fn who_can(&self, pattern: &str, rows_max: usize) -> Option<(Vec<AbilityView>, usize)> {
        let (snapshot, qualities, _) = self.look()?;
        let mut ranked = self.directory.who_can(&snapshot, &qualities, pattern);
        let left_off = ranked.len().saturating_sub(rows_max);
        ranked.truncate(rows_max);
        let names = Names::of(&snapshot);
        Some((ranked.iter().map(|ranked| shown(ranked, &names, &qualities)).collect(), left_off))
    }

    /// Why a command for `target` is for another node and not for this one; nothing when it is not, as far as is known.
    pub fn is_of_another(&self, target: &str) -> Option<Refusal> {
        let (snapshot, ..) = self.look()?;
        let named = |node: NodeId| {
            let name = Names::of(&snapshot).get(node).map(|name| format!(" ({})", quoted(name)));
            format!("node {node}{}", name.unwrap_or_default())
        };
        let target_text = quoted(target);
        let sentence = match self.directory.holder(&snapshot, target) {
            Holder::Nobody | Holder::Own => return None,
            Holder::Owner(Some(node)) => format!(
                "{target_text} belongs to {}, and a command is never passed on; send it there",
                named(node)
            ),
            Holder::Owner(None) => format!(
                "{target_text} belongs to another node of the site, whose id site.ron does not say, and a command is never passed on"
            ),
            Holder::Claimed(node) => format!(
                "{} says that it has {target_text}, and a command is never passed on; send it there if you trust its word",
                named(node)
            ),
            Holder::Several => format!(
                "several nodes say that they have {target_text}, so nobody here knows whose it is, and a command is never passed on"
            ),
        };
        Some(Refusal::new(Code::NotFound, sentence))
    }

    /// Brings a message to the one node that has its channel best.
    ///
    /// # Errors
    /// Why it is not passed on.
    pub fn message(&self, from: &Peer, forward: &Forward) -> Result<Later, Refusal> {
        let brought = self.brought(from, forward);
        if brought.is_err() {
            self.relay.tally.refused.fetch_add(1, Ordering::Relaxed);
        }
        brought
    }

    fn brought(&self, from: &Peer, forward: &Forward) -> Result<Later, Refusal> {
        let wanted = capability_of(&forward.channel);
        let nobody = || nobody_listens(&forward.channel);
        if !self.relay.passes_on(&wanted) {
            return Err(nobody());
        }
        let (own, maker) = (self.directory.own, speaker(from)?);
        let message = Relayed::of(forward, maker, own)?;
        // Before anything is looked for: to look for somebody is work, too.
        let place = self.relay.enter(maker)?;
        let (snapshot, qualities, links) = self.look().ok_or_else(nobody)?;
        let is_from = |node| is_from(forward, maker, node);
        let best = self.directory.listener(&snapshot, &qualities, &wanted, is_from).ok_or_else(nobody)?;
        let brought = self.relay.bring(place, message, best, links.ok_or_else(nobody)?)?;
        let (events, refusals) = (Arc::clone(&self.events), Arc::clone(&self.refusals));
        let (tally, from, forward) = (Arc::clone(&self.relay.tally), *from, forward.clone());
        Ok(Box::pin(async move {
            let message = format!(
                "a message of {} for {} is passed on to {}",
                maker.short(),
                quoted(&wanted),
                best.short()
            );
            let event = SystemEvent {
                kind: EventKind::MessageRelayed,
                at_ms: unix_ms(),
                message,
                node: Some(maker),
                task: None,
            };
            lock(&events).push(event);
            if let Err(refusal) = brought.await {
                tally.refused.fetch_add(1, Ordering::Relaxed);
                lock(&refusals).add(refusals::of_wire(&from, &refusal), 1);
                return Err(refusal);
            }
            tally.passed_on.fetch_add(1, Ordering::Relaxed);
            delivered(&forward)
        }))
    }
}

/// In whose name something is passed on: of a node that has shown who it is and does more than look on.
fn speaker(from: &Peer) -> Result<NodeId, Refusal> {
    let refused = |sentence: &str| Err(Refusal::new(Code::NotAuthorized, sentence));
    match (from.node, from.caller) {
        (None, _) => {
            refused("a message is passed on for a node that has shown who it is; connect as one first")
        }
        (_, Caller::Peer(NodeRole::Viewer)) => refused("a viewer looks on, and nothing is passed on for it"),
        (Some(node), _) => Ok(node),
    }
}
