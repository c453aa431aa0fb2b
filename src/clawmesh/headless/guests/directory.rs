//! Who can do what, as this node knows it: itself, our own nodes, and existing nodes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::pattern::Health;
use clawmesh_authority::route::{Ability, Owner, Ranked, Reach, Way, owner, rank};
use clawmesh_authority::{NodeId, NodeRole};
use clawmesh_core::guests::{GuestRow, GuestState};
use clawmesh_core::publish::{ActuatorView, SensorView, Snapshot};
use clawmesh_gateway::AbilityView;
use clawmesh_wire_link::LinkQuality;

/// The flag of a sensor that has never said anything.
const SILENT: &str = "silent";
/// The flag of a sensor whose node is not trusted.
const UNTRUSTED: &str = "untrusted";

/// How the connections with existing nodes are, by node.
pub type Qualities = BTreeMap<NodeId, LinkQuality>;

/// What this node itself can do, and what the site says about the others; it does not change while the node runs.
#[derive(Debug, Clone)]
pub struct Directory {
    /// This node.
    pub own: NodeId,
    /// What it is for.
    pub role: NodeRole,
    /// What it tells others that it can do.
    pub capabilities: Vec<String>,
    /// The owners of the actuators of the site, each with its id if the site says it.
    pub owners: BTreeMap<String, Option<NodeId>>,
}

/// Whose an actuator is, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody's that we know of.
    Nobody,
    /// This node's.
    Own,
    /// Another one's, by the site, which may not say its id.
    Owner(Option<NodeId>),
    /// Another one says so, and nobody else does.
    Claimed(NodeId),
    /// Several say so.
    Several,
}

impl Directory {
    /// Who can do what `pattern` asks for, the best first.
    #[must_use]
    pub fn who_can<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        qualities: &Qualities,
        pattern: &str,
    ) -> Vec<Ranked<'a>> {
        let mut ranked = rank(self.abilities(snapshot, qualities), pattern);
        // A node of ours may be heard over both protocols; what it can do, it can do once.
        let mut known = BTreeSet::new();
        ranked.retain(|ranked| known.insert((ranked.ability.node, ranked.ability.capability)));
        ranked
    }

    /// The best node that has a channel, is connected over the wire protocol, takes calls, and is none that a message comes from.
    #[must_use]
    pub fn listener(
        &self,
        snapshot: &Snapshot,
        qualities: &Qualities,
        channel: &str,
        is_from: impl Fn(NodeId) -> bool,
    ) -> Option<NodeId> {
        let ranked = self.who_can(snapshot, qualities, channel);
        let found = ranked.iter().map(|ranked| ranked.ability).find(|ability| {
            let takes_calls = qualities.get(&ability.node).is_some_and(|way| way.takes_calls != Some(false));
            // A channel is a name and no pattern, whoever writes a star into it.
            let is_asked = ability.capability == channel && ability.reach != Reach::Own;
            is_asked && takes_calls && !is_from(ability.node)
        });
        found.map(|ability| ability.node)
    }

    /// Whose an actuator is. What the site says of it, or of what it is a part of, counts, and only without a word there what
    /// others say of themselves.
    #[must_use]
    pub fn holder(&self, snapshot: &Snapshot, target: &str) -> Holder {
        let ends = target.match_indices(':').map(|(at, _)| at).chain([target.len()]);
        // The longest beginning of whole parts says it best.
        let by_site = ends.rev().find_map(|end| self.owners.get(&target[..end]));
        match by_site {
            Some(Some(node)) if *node == self.own => Holder::Own,
            Some(node) => Holder::Owner(*node),
            None => match owner(self.abilities(snapshot, &Qualities::new()), target) {
                Owner::Nobody => Holder::Nobody,
                Owner::Own => Holder::Own,
                Owner::Node(node) => Holder::Claimed(node),
                Owner::Several => Holder::Several,
            },
        }
    }

    /// Everything that anybody can do, as far as it is known.
    fn abilities<'a>(&'a self, snapshot: &'a Snapshot, qualities: &Qualities) -> Vec<Ability<'a>> {
        let own = self.capabilities.iter().map(|capability| self.own(capability, Health::Healthy));
        let actuators = snapshot.actuators.iter().map(|row| self.own(&row.actuator, health_of_actuator(row)));
        let sensors = snapshot.sensors.iter().filter_map(|row| self.sensor(snapshot, row));
        let owned = self.owners.iter().filter_map(|(capability, node)| Some((capability, (*node)?)));
        let owned = owned.filter(|(_, node)| *node != self.own);
        let owned = owned.map(|(capability, node)| of_node(snapshot, node, capability, Health::Unknown));
        let guests = snapshot.guests.guests().iter().flat_map(|row| of_guest(row, qualities));
        own.chain(actuators).chain(sensors).chain(owned).chain(guests).collect()
    }

    fn own<'a>(&self, capability: &'a str, health: Health) -> Ability<'a> {
        Ability {
            node: self.own,
            role: self.role,
            capability,
            reach: Reach::Own,
            health,
            way: Way::default(),
        }
    }

    fn sensor<'a>(&self, snapshot: &Snapshot, row: &'a SensorView) -> Option<Ability<'a>> {
        let has = |flag| row.flags.iter().any(|set| set == flag);
        let health = match row.flags.is_empty() {
            true => Health::Healthy,
            false if has(SILENT) => Health::Unhealthy,
            false => Health::Degraded,
        };
        if row.node == self.own {
            return Some(self.own(&row.sensor, health));
        }
        (!has(UNTRUSTED)).then(|| of_node(snapshot, row.node, &row.sensor, health))
    }
}

fn health_of_actuator(row: &ActuatorView) -> Health {
    match (row.answers, row.local_control || row.unsafe_because.is_some()) {
        (false, _) => Health::Unhealthy,
        (true, true) => Health::Degraded,
        (true, false) => Health::Healthy,
    }
}

/// What another node of ours can do.
fn of_node<'a>(snapshot: &Snapshot, node: NodeId, capability: &'a str, health: Health) -> Ability<'a> {
    let peer = snapshot.peers.iter().find(|peer| peer.id == node && peer.trusted);
    let reach = match peer.map(|peer| peer.liveness.as_str()) {
        Some("alive") => Reach::Alive,
        Some("suspect") => Reach::Suspect,
        _ => Reach::Lost,
    };
    let role = peer.and_then(|peer| peer.role.as_deref()).map_or(NodeRole::Node, NodeRole::of_name);
    Ability { node, role, capability, reach, health, way: Way::default() }
}

/// What an existing node can do. Once its connection has ended it is asked for nothing.
fn of_guest<'a>(row: &'a GuestRow, qualities: &Qualities) -> impl Iterator<Item = Ability<'a>> + use<'a> {
    let quality = qualities.get(&row.id).copied().unwrap_or_default();
    let reach = match row.state {
        GuestState::Alive if row.is_connected => Reach::Alive,
        GuestState::Suspect if row.is_connected => Reach::Suspect,
        _ => Reach::Lost,
    };
    let health = match quality.takes_calls {
        Some(true) => Health::Healthy,
        Some(false) => Health::Degraded,
        None => Health::Unknown,
    };
    let way = Way { round_trip_ms: quality.round_trip_ms, waiting_calls: quality.waiting_calls };
    let (node, role) = (row.id, NodeRole::of_name(&row.profile.role));
    let capabilities = row.profile.capabilities.iter();
    capabilities.map(move |capability| Ability { node, role, capability, reach, health, way })
}

/// What people see of it: the points, and of what they are made.
#[must_use]
pub fn shown(ranked: &Ranked<'_>, names: &Names<'_>, qualities: &Qualities) -> AbilityView {
    let Ability { node, capability, reach, health, way, .. } = ranked.ability;
    let reach = match reach {
        Reach::Own => "here",
        Reach::Alive => "alive",
        Reach::Suspect => "suspect",
        Reach::Lost => "lost",
    };
    let health = match health {
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::Unknown => "unknown",
        Health::Unhealthy => "unhealthy",
    };
    AbilityView {
        capability: capability.to_owned(),
        node,
        name: names.get(node).map(str::to_owned),
        reach: reach.to_owned(),
        health: health.to_owned(),
        points: ranked.points,
        round_trip_ms: way.round_trip_ms,
        waiting_calls: way.waiting_calls,
        takes_calls: qualities.get(&node).and_then(|quality| quality.takes_calls),
    }
}

/// What nodes are called, those that say it.
pub struct Names<'a>(BTreeMap<NodeId, &'a str>);

impl<'a> Names<'a> {
    /// The names in this picture; what our own nodes are called counts before what guests call themselves.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let guests = snapshot.guests.guests().iter();
        let guests = guests.filter_map(|row| Some((row.id, row.profile.name.as_deref()?)));
        let peers = snapshot.peers.iter().filter_map(|peer| Some((peer.id, peer.name.as_deref()?)));
        Self(guests.chain(peers).chain([(snapshot.node.id, &*snapshot.node.name)]).collect())
    }

    /// What a node is called, if it says.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&'a str> {
        self.0.get(&node).copied()
    }
}
