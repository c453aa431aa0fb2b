//! Looks for nodes in the local network by mDNS, and tells them of this one.
//! Reads records of `_clawmesh._tcp.local`. Writes ways to dial into the links and into the bridge, and our own record.
//! Invariant: whoever is found is dialled only when it is trusted, and only the handshake shows that it is there.
//! Not here: who dials and when (`wire_link`, and `bridge` for nodes of our own).

mod found;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_bridge::{Ways, ZenohWay};
use clawmesh_wire_link::Links;
use mdns_sd::{Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};

use crate::headless::worker::{Ends, Worker};
pub use found::Found;
use found::{FoundNodes, Record};

/// The type of the service, as existing nodes name it.
const SERVICE: &str = "_clawmesh._tcp.local.";
/// Under which name a record tells the fingerprint of a certificate; existing nodes do not look for it, and dial in clear.
const PIN: &str = "tls";
/// Under which names a record of ours tells where its zenoh session listens, and which session it is.
const ZENOH: &str = "zenoh";
const ZENOH_ID: &str = "zid";
/// How long a look at the records takes at most; whom somebody has come to trust is dialled after it.
const LOOK_FOR: Duration = Duration::from_millis(500);
/// The longest name of a record, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// How much of our id names the machine in records.
const HOST_ID_CHARACTERS: usize = 12;

/// What we tell others.
#[derive(Debug, Clone)]
pub struct OwnRecord {
    /// Our id.
    pub node: NodeId,
    /// What people call us.
    pub name: String,
    /// Where the gateway listens.
    pub address: SocketAddr,
    /// The fingerprint of the certificate it shows there, if it speaks TLS.
    pub pin: Option<String>,
}

/// Those that were found, for everybody to see. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Nearby(Arc<Mutex<Vec<Found>>>);

impl Nearby {
    /// Who is there now, by id.
    #[must_use]
    pub fn all(&self) -> Vec<Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, found: &FoundNodes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found.iter().cloned().collect();
    }
}

/// Begins to look, and to tell, until the worker is dropped.
///
/// # Errors
/// When the system gives no thread.
pub fn start(own: OwnRecord, links: Links, ways: Arc<Ways>, nearby: Nearby) -> std::io::Result<Worker> {
    let tasks = tokio::runtime::Handle::current();
    Worker::start("mdns", move |ends| {
        // Diallers are tasks of the runtime that the links belong to.
        let _here = tasks.enter();
        if let Err(fault) = look(&own, &links, &ways, &nearby, ends) {
            tracing::warn!(
                "nodes in the local network are not looked for: {fault}; name them with --peer, or say --no-discovery"
            );
        }
    })
}

fn look(own: &OwnRecord, links: &Links, ways: &Ways, nearby: &Nearby, ends: &Ends) -> mdns_sd::Result<()> {
    let daemon = ServiceDaemon::new()?;
    let events = daemon.browse(SERVICE)?;
    let mut told = ways.own();
    let mut record = tell(&daemon, own, told.as_ref())?;
    let mut found = FoundNodes::new(own.node);
    while !ends.is_asked() {
        take(&events, &mut found, links);
        nearby.set(&found);
        ways.found(found.zenoh());
        let own_way = ways.own();
        // Told at the next look when the daemon has no room for it now.
        if own_way != told
            && let Ok(renewed) = tell(&daemon, own, own_way.as_ref())
        {
            (record, told) = (renewed, own_way);
        }
        for found in found.iter() {
            // Nothing happens for those we have, and for those that dial us.
            links.discovered(found.spec.clone());
        }
    }
    // Others forget us at once and not after two minutes.
    if let Some(told) = record.and_then(|record| daemon.unregister(record.get_fullname()).ok()) {
        let _ = told.recv_timeout(LOOK_FOR);
    }
    let _ = daemon.shutdown();
    Ok(())
}

/// Tells our record as it is now, in the place of the one before, if there is any.
fn tell(
    daemon: &ServiceDaemon,
    own: &OwnRecord,
    zenoh: Option<&ZenohWay>,
) -> mdns_sd::Result<Option<ServiceInfo>> {
    let record = own_record(own, zenoh)?;
    if let Some(record) = record.clone() {
        daemon.register(record)?;
    }
    Ok(record)
}

/// Waits for news, and takes all there are.
fn take(events: &Receiver<ServiceEvent>, found: &mut FoundNodes, links: &Links) {
    let mut next = events.recv_timeout(LOOK_FOR).ok();
    while let Some(event) = next {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                found.take(&record_of(&service));
            }
            ServiceEvent::ServiceRemoved(_, full_name) => {
                if let Some(node) = found.lose(&full_name) {
                    links.lost(node);
                }
            }
            _ => {}
        }
        next = events.try_recv().ok();
    }
}

fn record_of(service: &ResolvedService) -> Record {
    Record {
        full_name: service.get_fullname().to_owned(),
        device_id: service.get_property_val_str("deviceId").map(str::to_owned),
        addresses: service.get_addresses().iter().map(mdns_sd::ScopedIp::to_ip_addr).collect(),
        port: service.get_port(),
        pin: service.get_property_val_str(PIN).map(str::to_owned),
        zenoh: zenoh_of(service),
    }
}

fn zenoh_of(service: &ResolvedService) -> Option<ZenohWay> {
    ZenohWay::read(service.get_property_val_str(ZENOH)?, service.get_property_val_str(ZENOH_ID)?)
}

/// Our record; nothing where nobody else could reach us.
fn own_record(own: &OwnRecord, zenoh: Option<&ZenohWay>) -> mdns_sd::Result<Option<ServiceInfo>> {
    if own.address.ip().is_loopback() {
        return Ok(None);
    }
    let id = own.node.to_string();
    let host = format!("clawmesh-{}.local.", &id[..HOST_ID_CHARACTERS]);
    let mut texts = vec![("deviceId", id.as_str()), ("version", env!("CARGO_PKG_VERSION"))];
    texts.extend(own.pin.as_deref().map(|pin| (PIN, pin)));
    let listens = zenoh.map(ZenohWay::listens);
    texts.extend(listens.as_deref().map(|listens| (ZENOH, listens)));
    texts.extend(zenoh.map(|way| (ZENOH_ID, way.session())));
    let addresses: &[IpAddr] = if own.address.ip().is_unspecified() { &[] } else { &[own.address.ip()] };
    let info =
        ServiceInfo::new(SERVICE, &name_of(&own.name), &host, addresses, own.address.port(), &texts[..])?;
    Ok(Some(if addresses.is_empty() { info.enable_addr_auto() } else { info }))
}

/// The name for a record: not empty, not too long.
fn name_of(name: &str) -> String {
    let mut short = name.trim().to_owned();
    while short.len() > NAME_BYTES_MAX {
        short.pop();
    }
    if short.is_empty() { "clawmesh-node".to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(address: &str, name: &str) -> OwnRecord {
        let address = address.parse().unwrap();
        OwnRecord { node: NodeId([0xab; 32]), name: name.to_owned(), address, pin: None }
    }

    #[test]
    fn who_listens_for_this_machine_alone_is_told_to_nobody() {
        assert!(own_record(&own("127.0.0.1:18789", "barn"), None).unwrap().is_none());
        assert!(own_record(&own("[::1]:18789", "barn"), None).unwrap().is_none());
    }

    #[test]
    fn our_record_has_the_words_of_the_protocol() {
        let all = own_record(&own("0.0.0.0:18789", "barn"), None).unwrap().unwrap();
        assert_eq!(all.get_property_val_str("deviceId"), Some(NodeId([0xab; 32]).to_string().as_str()));
        assert_eq!(all.get_property_val_str("version"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!((all.get_fullname(), all.get_port()), ("barn._clawmesh._tcp.local.", 18_789));
        assert!(all.is_addr_auto() && all.get_property_val_str(PIN).is_none());
        let pin = Some("ab".repeat(32));
        let secured =
            own_record(&OwnRecord { pin: pin.clone(), ..own("0.0.0.0:1", "barn") }, None).unwrap().unwrap();
        assert_eq!(secured.get_property_val_str(PIN), pin.as_deref());
        let one = own_record(&own("192.0.2.7:5", "barn"), None).unwrap().unwrap();
        assert!(
            !one.is_addr_auto() && one.get_addresses_v4().contains(&std::net::Ipv4Addr::new(192, 0, 2, 7))
        );
    }

    #[test]
    fn our_record_tells_the_way_to_our_zenoh_session_as_others_read_it() {
        let way = ZenohWay::read("tls/7447", "1f");
        let told = own_record(&own("0.0.0.0:1", "barn"), way.as_ref()).unwrap().unwrap();
        let text = |name| told.get_property_val_str(name);
        assert_eq!((text("zenoh"), text("zid")), (Some("tls/7447"), Some("1f")));
        assert_eq!(ZenohWay::read(text(ZENOH).unwrap(), text(ZENOH_ID).unwrap()), way);
    }

    #[test]
    fn a_name_fits_into_a_record() {
        assert_eq!(name_of("  "), "clawmesh-node");
        let long = name_of(&"ü".repeat(64));
        assert!(long.len() <= NAME_BYTES_MAX && long.chars().all(|c| c == 'ü'));
        assert!(own_record(&own("0.0.0.0:1", &"ü".repeat(64)), None).unwrap().is_some());
    }
}
