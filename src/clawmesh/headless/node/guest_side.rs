//! Everything that goes on with existing nodes, opened and closed.

use std::collections::BTreeSet;
use std::sync::Arc;

use clawmesh_authority::NodeId;
use clawmesh_bridge::Ways as ZenohWays;
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire_link::{Host, Links};
use tokio::runtime::Handle;

use super::start::Start;
use crate::config::settings::NodeConfig;
use crate::config::site_file;
use crate::headless::guests::discovery::{self, OwnRecord};
use crate::headless::guests::{GuestDoor, GuestFacts, GuestHost, Herald};
use crate::headless::worker::Worker;

/// Everything that goes on with existing nodes.
pub(super) struct GuestSide {
    pub(super) discovery: Option<Worker>,
    pub(super) herald: Herald,
    pub(super) host: Arc<GuestHost>,
    pub(super) links: Links,
}

impl GuestSide {
    /// Opens the door to existing nodes: from here on they are served, dialled, told what is new and, with a record of our own
    /// to tell, looked for.
    pub(super) fn open(
        door: &GuestDoor,
        host: GuestHost,
        dialled_only: BTreeSet<NodeId>,
        own: Option<(OwnRecord, Arc<ZenohWays>)>,
        tasks: &Handle,
    ) -> anyhow::Result<Self> {
        let _here = tasks.enter();
        let host = Arc::new(host);
        let config = clawmesh_wire_link::Config { dialled_only, ..clawmesh_wire_link::Config::default() };
        let links = Links::start(config, Arc::clone(&host) as Arc<dyn Host>);
        host.routes().use_links(Some(links.clone()));
        door.came(links.clone(), Arc::clone(&host), tasks.clone());
        for peer in host.peers() {
            links.dial(peer.clone());
        }
        let herald = Herald::start(Arc::clone(&host), links.clone(), tasks);
        let discovery = own
            .map(|(own, ways)| discovery::start(own, links.clone(), ways, door.nearby.clone()))
            .transpose()?;
        Ok(Self { discovery, herald, host, links })
    }

    /// Says nothing more by itself, and leaves what is to be closed.
    pub(super) fn hush(self) -> Links {
        drop(self.discovery);
        drop(self.herald);
        self.host.routes().use_links(None);
        self.links
    }
}

/// What existing nodes are told of this one.
pub(super) fn guest_facts(config: &NodeConfig, start: &Start) -> GuestFacts {
    GuestFacts {
        key: start.key.clone(),
        name: start.settings.name.clone(),
        role: start.settings.role.clone(),
        mesh: start.settings.mesh(),
        has_mock: start.settings.mock_actuator,
        is_discovering: config.discovery.value,
        peers: config.peers.value.iter().filter_map(|text| PeerSpec::read(text).ok()).collect(),
        owners: site_file::owners_of(&start.site),
        relay: config.relay.value.clone(),
        token: start.token.clone(),
    }
}

/// The guests that this node is guardian of an actuator on: it calls them, so it is for it to dial.
pub(super) fn with_actuators(start: &Start) -> BTreeSet<NodeId> {
    let place = site_file::place_of(&start.site, start.settings.node);
    let on_guests = place.map(|place| place.on_guests).unwrap_or_default();
    on_guests.values().filter_map(|guest| guest.peer.parse().ok()).collect()
}
