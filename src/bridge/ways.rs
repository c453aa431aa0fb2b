//! Ways over zenoh that go with a record in the local network: the one to this node, and those to nodes that were found. Anybody
//! may have made such a record, so nothing follows from it but where to dial whom.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clawmesh_authority::NodeId;
use tokio::sync::watch;

use crate::links::is_loopback;

/// What a record can lead to: links between two machines that are dialled.
const TRANSPORTS: [&str; 3] = ["tcp", "tls", "quic"];
/// The most characters in the id of a session.
const SESSION_CHARACTERS_MAX: usize = 32;
/// The most addresses of one node that are tried.
pub const ADDRESSES_MAX: usize = 4;

/// How the zenoh session of a node is reached, at whatever address its machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZenohWay {
    transport: String,
    port: u16,
    session: String,
}

impl ZenohWay {
    /// Reads `tcp/7447` and the id of a session, as a record has them.
    #[must_use]
    pub fn read(listens: &str, session: &str) -> Option<Self> {
        let (transport, port) = listens.split_once('/')?;
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let is_session =
            (1..=SESSION_CHARACTERS_MAX).contains(&session.len()) && session.chars().all(is_digit);
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let is_way = TRANSPORTS.contains(&transport) && is_session;
        is_way.then(|| Self { transport: transport.to_owned(), port, session: session.to_owned() })
    }

    /// The way to a session that was told to `listen`, and does so at `locators`; `None` when no other machine reaches it.
    pub fn of_session(listen: &[String], locators: &[String], session: &str) -> Option<Self> {
        let ports = |texts: &[String], wanted: &str| {
            let parts = texts.iter().filter_map(|text| parts(text));
            let beyond = parts.filter(|(transport, host, _)| *transport == wanted && !is_loopback(host));
            beyond.map(|(.., port)| port).find(|port| *port != 0)
        };
        listen.iter().find_map(|endpoint| {
            let (transport, host, _) = parts(endpoint).filter(|(_, host, _)| !is_loopback(host))?;
            // A machine that has no address yet listens all the same. Port 0 is any; only the session knows which.
            let port =
                ports(std::slice::from_ref(endpoint), transport).or_else(|| ports(locators, transport));
            let port = port.or_else(|| {
                // Of a listener on all addresses zenoh may tell those of this machine only.
                let any = locators.iter().filter_map(|text| parts(text));
                any.filter(|(other, ..)| *other == transport && is_any(host)).map(|(.., port)| port).next()
            })?;
            Self::read(&format!("{transport}/{port}"), session)
        })
    }

    /// The transport and the port, as a record tells them.
    #[must_use]
    pub fn listens(&self) -> String {
        format!("{}/{}", self.transport, self.port)
    }

    /// The id of the session. It is another one each time the session is opened.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The way at these addresses, the first of them.
    #[must_use]
    pub fn at(&self, addresses: &[IpAddr]) -> FoundWay {
        let host = |address: &IpAddr| match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        let locator = |address| format!("{}/{}:{}", self.transport, host(address), self.port);
        let locators = addresses.iter().take(ADDRESSES_MAX).map(locator).collect();
        FoundWay { session: self.session.clone(), locators }
    }
}

/// Where the session of a node is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundWay {
    /// The id of the session.
    pub session: String,
    /// Its locators, as zenoh writes them.
    pub locators: Vec<String>,
}

/// What discovery and the bridge tell each other.
#[derive(Debug, Default)]
pub struct Ways {
    own: watch::Sender<Option<ZenohWay>>,
    found: watch::Sender<BTreeMap<NodeId, FoundWay>>,
}

impl Ways {
    /// The way to this node, while its session is open and other machines reach it.
    #[must_use]
    pub fn own(&self) -> Option<ZenohWay> {
        self.own.borrow().clone()
    }

    /// These nodes are found now, and no others. Those of them that are trusted are dialled.
    pub fn found(&self, found: BTreeMap<NodeId, FoundWay>) {
        self.found.send_if_modified(|known| {
            let is_new = *known != found;
            *known = found;
            is_new
        });
    }

    /// From now on this is the way to this node.
    pub(crate) fn tell_own(&self, way: Option<ZenohWay>) {
        self.own.send_replace(way);
    }

    /// Tells of every change of what was found.
    pub(crate) fn follow(&self) -> watch::Receiver<BTreeMap<NodeId, FoundWay>> {
        self.found.subscribe()
    }
}

/// Transport, host and port of an endpoint.
fn parts(endpoint: &str) -> Option<(&str, &str, u16)> {
    let bare = endpoint.split(['?', '#']).next()?;
    let (transport, address) = bare.split_once('/')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((transport, host.trim_matches(['[', ']']), port.parse().ok()?))
}

fn is_any(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_way_that_is_told_is_one_that_other_machines_can_go() {
        for (listen, locators, told) in [
            (&["tcp/0.0.0.0:7447"][..], &[][..], Some("tcp/7447")),
            (&["tcp/[::]:7447#iface=eth0"], &[], Some("tcp/7447")),
            (&["tcp/127.0.0.1:7447"], &["tcp/127.0.0.1:7447"], None),
            (&["tcp/localhost:1", "quic/10.0.0.9:7448"], &[], Some("quic/7448")),
            (
                &["tls/0.0.0.0:0", "tcp/127.0.0.1:7"],
                &["tcp/127.0.0.1:7", "tls/10.0.0.9:4711"],
                Some("tls/4711"),
            ),
            (&["tls/0.0.0.0:0"], &["tls/127.0.0.1:4711"], Some("tls/4711")),
            (&["udp/0.0.0.0:7447", "unixsock-stream//run/x"], &[], None),
            (&[], &[], None),
        ] {
            let way = ZenohWay::of_session(&texts(listen), &texts(locators), "1f");
            assert_eq!(way.map(|way| way.listens()).as_deref(), told, "{listen:?}");
        }
    }

    #[test]
    fn a_way_is_gone_at_the_addresses_of_its_record() {
        let way = ZenohWay::read("tls/7447", "1f").unwrap();
        let addresses: Vec<IpAddr> = ["10.0.0.9", "fd00::2", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let found = way.at(&addresses);
        assert_eq!(found.locators[..2], ["tls/10.0.0.9:7447", "tls/[fd00::2]:7447"]);
        assert_eq!((found.locators.len(), found.session.as_str()), (ADDRESSES_MAX, "1f"));
    }

    #[test]
    fn what_leads_nowhere_is_no_way() {
        let long = "1".repeat(33);
        for (listens, session) in [
            ("udp/7447", "1f"),
            ("tcp/0", "1f"),
            ("tcp/70000", "1f"),
            ("tcp/7447#iface=lo", "1f"),
            ("tcp", "1f"),
            ("tcp/7447", ""),
            ("tcp/7447", "1F"),
            ("tcp/7447", &long),
        ] {
            assert_eq!(ZenohWay::read(listens, session), None, "{listens} {session}");
        }
    }

    proptest! {
        #[test]
        fn no_record_makes_anything_but_a_locator(listens in ".{0,20}", session in ".{0,40}") {
            if let Some(way) = ZenohWay::read(&listens, &session) {
                prop_assert_eq!(ZenohWay::read(&way.listens(), way.session()), Some(way));
            }
        }
    }
}
