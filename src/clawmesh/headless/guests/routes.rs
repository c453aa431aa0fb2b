//! Who is asked for what: the directory, how the connections are now, and the way of messages to whoever has their channel.

use std::sync::{Arc, Mutex};

use clawmesh_authority::route::{Owner, Reach};
use clawmesh_authority::{NodeId, NodeRole};
use clawmesh_core::publish::Snapshot;
use clawmesh_gateway::{AbilityView, SnapshotFeed};
use clawmesh_wire::code::quoted;
use clawmesh_wire::gate::Forward;
use clawmesh_wire::relay::{Relayed, nobody_listens};
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Later, Links, Peer};

use super::commands::delivered;
use super::directory::{Directory, Qualities, name_of, shown};
use super::host::{GuestFacts, lock};
use super::relay::{Relay, is_from};

/// What this node knows about who can do what, and its ways there.
pub struct Routes {
    directory: Directory,
    snapshots: SnapshotFeed,
    /// Nothing before the links are there, and after they are gone: they hold the host, and must not be held by it for ever.
    links: Mutex<Option<Links>>,
    relay: Relay,
}

impl Routes {
    /// The routes of a node that can do `capabilities`.
    pub fn new(facts: &GuestFacts, capabilities: Vec<String>, snapshots: SnapshotFeed) -> Self {
        let (own, owners) = (facts.key.id(), facts.owners.clone());
        let directory = Directory { own, role: NodeRole::of_name(&facts.role), capabilities, owners };
        Self { directory, snapshots, links: Mutex::default(), relay: Relay::default() }
    }

    /// Messages go over these links from now on, or over none.
    pub fn use_links(&self, links: Option<Links>) {
        *lock(&self.links) = links;
    }

    fn look(&self) -> Option<(Arc<Snapshot>, Qualities, Option<Links>)> {
        let (snapshot, _) = self.snapshots.look()?;
        let links = lock(&self.links).clone();
        let vitals = links.as_ref().map(Links::vitals).unwrap_or_default();
        Some((snapshot, vitals.into_iter().map(|vitals| (vitals.node, vitals.quality)).collect(), links))
    }

    /// Who can do what `pattern` asks for, the best first; nothing before the first picture.
    pub fn who_can(&self, pattern: &str) -> Option<Vec<AbilityView>> {
        let (snapshot, qualities, _) = self.look()?;
        let ranked = self.directory.who_can(&snapshot, &qualities, pattern);
        Some(ranked.iter().map(|ranked| shown(ranked, &snapshot, &qualities)).collect())
    }

    /// Why a command for `target` is for another node and not for this one; nothing when it is not, as far as is known.
    pub fn is_of_another(&self, target: &str) -> Option<Refusal> {
        let (snapshot, ..) = self.look()?;
        let Owner::Node(owner) = self.directory.owner(&snapshot, target) else { return None };
        let name = name_of(&snapshot, owner).map_or_else(String::new, |name| format!(" ({})", quoted(&name)));
        let sentence = format!(
            "{} belongs to node {owner}{name}, and a command is never passed on; send it there",
            quoted(target)
        );
        Some(Refusal::new(Code::NotFound, sentence))
    }

    /// Brings a message to the one node that has its channel best.
    ///
    /// # Errors
    /// Why it is not passed on.
    pub fn message(&self, from: &Peer, forward: &Forward) -> Result<Later, Refusal> {
        let own = self.directory.own;
        // Whoever operates this node speaks in its name.
        let maker = from.node.unwrap_or(own);
        let nobody = || nobody_listens(&forward.channel);
        let message = Relayed::of(forward, maker, own)?;
        let (snapshot, qualities, links) = self.look().ok_or_else(nobody)?;
        let best = self.listener(&snapshot, &qualities, forward, &message, maker).ok_or_else(nobody)?;
        let brought = self.relay.bring(message, maker, best, links.ok_or_else(nobody)?)?;
        let forward = forward.clone();
        Ok(Box::pin(async move {
            brought.await?;
            delivered(&forward)
        }))
    }

    /// The best node that has the channel of a message, is connected over the wire protocol, takes calls, and has not made it.
    fn listener(
        &self,
        snapshot: &Snapshot,
        qualities: &Qualities,
        forward: &Forward,
        message: &Relayed,
        maker: NodeId,
    ) -> Option<NodeId> {
        let channel = message.capability();
        let ranked = self.directory.who_can(snapshot, qualities, &channel);
        let found = ranked.iter().map(|ranked| ranked.ability).find(|ability| {
            let takes_calls = qualities.get(&ability.node).is_some_and(|way| way.takes_calls != Some(false));
            // A channel is a name and no pattern, whoever writes a star into it.
            let is_asked = ability.capability == channel && ability.reach != Reach::Own;
            is_asked && takes_calls && !is_from(forward, maker, ability.node)
        });
        found.map(|ability| ability.node)
    }
}
