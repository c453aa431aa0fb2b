//! The nodes that were found in the local network, and how each can be reached. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clawmesh_authority::NodeId;
use clawmesh_bridge::{FoundWay, ZenohWay};
use clawmesh_wire::peer_spec::{PeerSpec, PeerUrl, normal_fingerprint};

/// The most nodes that are remembered; whoever says more of them takes the place of nobody.
pub const FOUND_MAX: usize = 256;
/// The longest name that is remembered, in characters.
const NAME_CHARACTERS_MAX: usize = 64;
/// The label of ways that were found.
const LABEL: &str = "mdns";

/// What a record says, before anybody believes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The whole name of the record.
    pub full_name: String,
    /// The id in its text, if it has one.
    pub device_id: Option<String>,
    /// Where the node listens.
    pub addresses: Vec<IpAddr>,
    /// On which port.
    pub port: u16,
    /// The fingerprint of its certificate, if it says that it speaks TLS.
    pub pin: Option<String>,
    /// Where its zenoh session listens and which one it is, if it has one that other machines reach.
    pub zenoh: Option<ZenohWay>,
}

/// A node that was found. Anybody in the network can say it: only the handshake shows who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it calls itself.
    pub name: String,
    /// The way to it.
    pub spec: PeerSpec,
    zenoh: Option<FoundWay>,
    full_name: String,
}

/// All of them.
#[derive(Debug)]
pub struct FoundNodes {
    own: NodeId,
    nodes: BTreeMap<NodeId, Found>,
}

impl FoundNodes {
    /// None yet, looked for by the node `own`.
    pub fn new(own: NodeId) -> Self {
        Self { own, nodes: BTreeMap::new() }
    }

    /// Takes a record; the node it tells of, if it is another one that can be reached.
    pub fn take(&mut self, record: &Record) -> Option<NodeId> {
        let node: NodeId = record.device_id.as_ref()?.parse().ok()?;
        let addresses = best_first(&record.addresses);
        let host = addresses.first()?;
        let is_known = self.nodes.contains_key(&node);
        if node == self.own || record.port == 0 || (!is_known && self.nodes.len() >= FOUND_MAX) {
            return None;
        }
        // It proves nothing, like the address: who answers there shows it by the key of the node.
        let fingerprint = record.pin.as_deref().map(normal_fingerprint).filter(|pin| pin.len() == 64);
        let (is_tls, port) = (fingerprint.is_some(), Some(record.port));
        let url = PeerUrl { is_tls, host: host.to_string(), port, path: String::new() };
        let spec = PeerSpec { node, url, fingerprint, label: Some(LABEL.to_owned()) };
        let name = instance(&record.full_name);
        let zenoh = record.zenoh.as_ref().map(|way| way.at(&addresses));
        self.nodes.insert(node, Found { name, spec, zenoh, full_name: record.full_name.clone() });
        Some(node)
    }

    /// A record is gone: a node that says goodbye, or that nobody has heard of for long.
    pub fn lose(&mut self, full_name: &str) -> Option<NodeId> {
        let node = *self.nodes.iter().find(|(_, found)| found.full_name == full_name)?.0;
        self.nodes.remove(&node).map(|_| node)
    }

    /// Where the zenoh sessions of those who have one are said to be.
    pub fn zenoh(&self) -> BTreeMap<NodeId, FoundWay> {
        let ways = self.nodes.iter().filter_map(|(node, found)| Some((*node, found.zenoh.clone()?)));
        ways.collect()
    }

    /// Everybody who was found and not lost.
    pub fn iter(&self) -> impl Iterator<Item = &Found> {
        self.nodes.values()
    }
}

/// The addresses to dial: IPv4 before IPv6, and none that is known only together with an interface; the lowest first, so
/// that the same record always gives the same way.
fn best_first(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let is_plain = |address: &&IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unicast_link_local(),
    };
    // Addresses of this machine lead to the other node only when that is here too.
    let rank = |address: &&IpAddr| (address.is_ipv6(), address.is_loopback(), **address);
    let mut plain: Vec<IpAddr> = addresses.iter().filter(is_plain).copied().collect();
    plain.sort_by_key(|address| rank(&address));
    plain
}

/// What stands before the type of the service.
fn instance(full_name: &str) -> String {
    let name = full_name.split("._clawmesh.").next().unwrap_or_default();
    name.chars().filter(|c| !c.is_control() && *c != '\\').take(NAME_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: NodeId = NodeId([1; 32]);

    fn record(node: u8, addresses: &[&str]) -> Record {
        Record {
            full_name: format!("pump {node}._clawmesh._tcp.local."),
            device_id: Some(NodeId([node; 32]).to_string()),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            port: 18_789,
            pin: None,
            zenoh: None,
        }
    }

    fn url(addresses: &[&str]) -> Option<String> {
        let mut found = FoundNodes::new(OWN);
        found.take(&record(2, addresses))?;
        found.iter().next().map(|found| found.spec.url.to_string())
    }

    #[test]
    fn ipv4_comes_first_and_ipv6_has_its_brackets() {
        for (addresses, expected) in [
            (&["fd00::2", "10.0.0.9", "10.0.0.7"][..], Some("ws://10.0.0.7:18789")),
            (&["fd00::2", "fe80::1"], Some("ws://[fd00::2]:18789")),
            (&["127.0.0.1", "10.0.0.7"], Some("ws://10.0.0.7:18789")),
            (&["127.0.0.1"], Some("ws://127.0.0.1:18789")),
            (&["fe80::1"], None),
            (&["0.0.0.0", "224.0.0.251"], None),
            (&[], None),
        ] {
            assert_eq!(
                url(addresses).as_deref().map(|url| url.trim_end_matches('/')),
                expected,
                "{addresses:?}"
            );
        }
    }

    #[test]
    fn who_says_that_it_speaks_tls_is_dialled_so_with_its_pin() {
        for (pin, url, is_pinned) in
            [(&*"ab".repeat(32), "wss://10.0.0.7:18789", true), ("no pin", "ws://10.0.0.7:18789", false)]
        {
            let mut found = FoundNodes::new(OWN);
            found.take(&Record { pin: Some(pin.to_owned()), ..record(2, &["10.0.0.7"]) }).unwrap();
            let spec = &found.iter().next().unwrap().spec;
            assert_eq!((spec.url.to_string().as_str(), spec.fingerprint.is_some()), (url, is_pinned));
        }
    }

    #[test]
    fn a_new_address_takes_the_place_of_the_old_one_and_a_goodbye_removes_it() {
        let mut found = FoundNodes::new(OWN);
        let node = NodeId([2; 32]);
        assert_eq!(found.take(&record(2, &["10.0.0.7"])), Some(node));
        assert_eq!(found.take(&record(2, &["10.0.0.8"])), Some(node));
        let all: Vec<&Found> = found.iter().collect();
        assert!(all.len() == 1 && all[0].spec.url.host == "10.0.0.8" && all[0].name == "pump 2");
        assert_eq!(all[0].spec.label.as_deref(), Some("mdns"));
        assert_eq!(found.lose("nobody._clawmesh._tcp.local."), None);
        assert_eq!(found.lose("pump 2._clawmesh._tcp.local."), Some(node));
        assert_eq!(found.iter().count(), 0);
    }

    #[test]
    fn the_zenoh_session_of_a_node_is_where_its_record_is() {
        let mut found = FoundNodes::new(OWN);
        let zenoh = ZenohWay::read("tcp/7447", "1f");
        found
            .take(&Record { zenoh: zenoh.clone(), ..record(2, &["fd00::2", "fe80::1", "10.0.0.7"]) })
            .unwrap();
        found.take(&record(3, &["10.0.0.8"])).unwrap();
        let ways = found.zenoh();
        assert_eq!(ways.len(), 1);
        assert_eq!(ways[&NodeId([2; 32])].locators, ["tcp/10.0.0.7:7447", "tcp/[fd00::2]:7447"]);
        found.take(&Record { zenoh, ..record(2, &["10.0.0.9"]) }).unwrap();
        assert_eq!(found.zenoh()[&NodeId([2; 32])].locators, ["tcp/10.0.0.9:7447"]);
        found.lose("pump 2._clawmesh._tcp.local.");
        assert!(found.zenoh().is_empty());
    }

    #[test]
    fn what_is_nobody_or_ourselves_is_not_found() {
        let mut found = FoundNodes::new(OWN);
        let good = record(2, &["10.0.0.7"]);
        for bad in [
            record(1, &["10.0.0.7"]),
            Record { device_id: None, ..good.clone() },
            Record { device_id: Some("pump".to_owned()), ..good.clone() },
            Record { port: 0, ..good.clone() },
        ] {
            assert_eq!(found.take(&bad), None, "{bad:?}");
        }
        for n in 0..=u16::MAX {
            let mut id = [9; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            let device_id = Some(NodeId(id).to_string());
            found.take(&Record { device_id, ..good.clone() });
        }
        assert_eq!(found.iter().count(), FOUND_MAX);
    }

    proptest! {
        #[test]
        fn no_record_panics_and_no_name_moves_a_cursor(name in ".{0,200}", id in ".{0,80}", port: u16, address: [u8; 4]) {
            let mut found = FoundNodes::new(OWN);
            let addresses = vec![IpAddr::from(address)];
            found.take(&Record { full_name: name.clone(), device_id: Some(id), addresses: addresses.clone(), port, pin: None, zenoh: None });
            let device_id = Some(NodeId([2; 32]).to_string());
            found.take(&Record { full_name: name, device_id, addresses, port, pin: None, zenoh: None });
            prop_assert!(found.iter().all(|found| !found.name.chars().any(char::is_control)));
        }
    }
}
