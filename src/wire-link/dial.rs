//! One task for each node that we dial: it keeps a connection as long as the node has no other one with us.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_wire::handshake::PeerTrust;
use clawmesh_wire::peer_spec::{PeerSpec, PeerUrl, WayRefused};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;

use crate::backoff::Backoff;
use crate::cause::{Cause, Trouble};
use crate::connection::Connection;
use crate::counts::Count;
use crate::hub::Hub;
use crate::link::{locked, whole_ms};
use crate::origin::TurnedAway;
use crate::peers::{Dialled, PeerState};
use crate::registry::may_dial;
use crate::requests::random_bytes;
use crate::shake::{DialFault, shake};
use crate::socket::{Carrier, Socket, bounds};
use crate::tls::{client_config, refused_certificate};

/// Begins to dial a node, or takes a new way to one that is dialled already. False when no more nodes can be dialled.
pub(crate) fn dial(hub: &Arc<Hub>, spec: PeerSpec, is_static: bool) -> bool {
    let node = spec.node;
    let mut dialled = locked(&hub.dialled);
    if let Some(known) = dialled.get(&node) {
        // Whoever only heard of an address does not change what a person has configured.
        if (is_static || !known.is_static()) && known.set_spec(spec, is_static) {
            known.poked.notify_one();
        }
        return true;
    }
    if dialled.len() >= hub.config.dialled_max || hub.is_closing() {
        return false;
    }
    let peer = Arc::new(Dialled::new(spec, is_static));
    dialled.insert(node, Arc::clone(&peer));
    drop(dialled);
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        let closing = hub.closing.notified();
        if !hub.is_closing() {
            tokio::select! {
                () = closing => {}
                () = peer.forgotten.notified() => {}
                () = keep_connected(&hub, &peer) => {}
            }
        }
    });
    true
}

/// Begins to dial a node whose address was discovered, if it is for us to do so. False when it is not.
pub(crate) fn dial_discovered(hub: &Arc<Hub>, spec: PeerSpec) -> bool {
    let is_ours = may_dial(hub.own_id, spec.node) || hub.config.dialled_only.contains(&spec.node);
    is_ours && hub.trust(spec.node) != PeerTrust::Unknown && dial(hub, spec, false)
}

/// Dials a node no more; a connection that it has stays.
pub(crate) fn forget(hub: &Hub, node: NodeId) {
    if let Some(peer) = locked(&hub.dialled).remove(&node) {
        peer.forgotten.notify_one();
    }
}

/// A node whose address was discovered is not there any more. One that somebody has configured is dialled on.
pub(crate) fn lost(hub: &Hub, node: NodeId) {
    let is_discovered = locked(&hub.dialled).get(&node).is_some_and(|peer| !peer.is_static());
    if is_discovered {
        forget(hub, node);
    }
}

async fn keep_connected(hub: &Arc<Hub>, peer: &Arc<Dialled>) {
    let timing = hub.config.timing;
    let mut backoff = Backoff::new(timing.redial_first, timing.redial_longest);
    let mut refusals = Backoff::new(timing.refused_first, timing.refused_longest);
    let mut dialled_at: Option<Instant> = None;
    loop {
        // However often somebody wants it dialled, or has its address change.
        if let Some(at) = dialled_at {
            tokio::time::sleep_until(at + timing.dial_rest).await;
        }
        // Two nodes that dial each other would take each other's place for ever; who finds the other one there stands down.
        while hub.session(peer.node()).is_some() {
            peer.is_connected();
            peer.session_changed.notified().await;
        }
        // What was in vain at another address says nothing about this one; but who refuses us does so at every address.
        if peer.take_fresh() {
            backoff.reset();
        }
        let spec = peer.view().spec;
        if let Err(way) = spec.may_dial() {
            let cause = match way {
                WayRefused::Insecure => Cause::WayInClear,
                WayRefused::Unpinned => Cause::WayUnpinned,
            };
            let sentence = way.to_string();
            let state = PeerState::Refused { until_ms: None, sentence: sentence.clone() };
            peer.is_in(Trouble { cause, sentence }, state);
            poked(peer, None).await;
            continue;
        }
        peer.is_connecting();
        peer.tries(&spec);
        dialled_at = Some(Instant::now());
        let stage = Stage::default();
        let reached = timeout(timing.handshake_max, reach(hub, &spec, &stage)).await;
        let in_time = || {
            let seconds = timing.handshake_max.as_secs();
            Err(DialFault::unreached(stage.at(), format!("no connection and handshake within {seconds} s")))
        };
        let wait = match reached.unwrap_or_else(|_| in_time()) {
            Ok(connection) => {
                peer.is_connected();
                let begun = Instant::now();
                // A task of its own, so that a node which is dialled no more keeps the connection that it has.
                let why = tokio::spawn(connection.run()).await;
                // Who lets us in and breaks off at once is not there.
                if begun.elapsed() >= timing.settled {
                    backoff.reset();
                    refusals.reset();
                }
                let sentence = why.map_or_else(|fault| fault.to_string(), |why| why.to_string());
                waiting(hub, peer, backoff.wait(random()), Trouble { cause: Cause::Ended, sentence })
            }
            Err(fault) => {
                hub.counters.add(Count::DialsFailed);
                tracing::debug!(node = %spec.node.short(), url = %spec.url, fault = fault.trouble.sentence, "a dial failed");
                if fault.takes_a_person {
                    refused(hub, peer, refusals.wait(random()), fault.trouble)
                } else {
                    waiting(hub, peer, backoff.wait(random()), fault.trouble)
                }
            }
        };
        poked(peer, Some(wait)).await;
    }
}

fn waiting(hub: &Hub, peer: &Dialled, wait: Duration, trouble: Trouble) -> Duration {
    let until_ms = hub.host.now().unix_ms.saturating_add(whole_ms(wait));
    let sentence = trouble.sentence.clone();
    peer.is_in(trouble, PeerState::Waiting { until_ms, sentence });
    wait
}

fn refused(hub: &Hub, peer: &Dialled, wait: Duration, trouble: Trouble) -> Duration {
    let until_ms = Some(hub.host.now().unix_ms.saturating_add(whole_ms(wait)));
    let sentence = trouble.sentence.clone();
    peer.is_in(trouble, PeerState::Refused { until_ms, sentence });
    wait
}

/// How far a dial has come: what it waits for when it is given up.
pub(crate) struct Stage(Mutex<Cause>);

impl Default for Stage {
    fn default() -> Self {
        Self(Mutex::new(Cause::Name))
    }
}

impl Stage {
    fn begin(&self, cause: Cause) {
        *locked(&self.0) = cause;
    }

    fn at(&self) -> Cause {
        *locked(&self.0)
    }
}

/// Waits, for ever or until a time, for somebody who wants the node dialled now, or for a session it has made itself.
async fn poked(peer: &Dialled, wait: Option<Duration>) {
    let over = async {
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        () = peer.poked.notified() => {}
    }
}

fn random() -> u16 {
    // Without random bytes everybody waits equally long, and no worse follows from it.
    random_bytes().map_or(u16::MAX / 2, u16::from_le_bytes)
}

/// Connects and shakes hands.
async fn reach(hub: &Arc<Hub>, spec: &PeerSpec, stage: &Stage) -> Result<Connection, DialFault> {
    if hub.trust(spec.node) == PeerTrust::Unknown {
        let sentence = format!("node {} is not trusted here; trust it first, by its id", spec.node.short());
        return Err(DialFault::refused(Cause::UntrustedHere, sentence));
    }
    let no_place = |turned: TurnedAway| DialFault::unreached(Cause::NoPlace, turned.sentence);
    let held = hub.enter_outbound().map_err(no_place)?;
    let (carrier, address) = carry(&spec.url, spec.fingerprint.as_deref(), stage).await?;
    stage.begin(Cause::NotANode);
    let upgraded = client_async_with_config(spec.url.to_string(), carrier, Some(bounds())).await;
    let (mut socket, _): (Socket, _) = upgraded.map_err(|fault| {
        let sentence = format!("{} has not upgraded to WebSocket: {fault}", spec.url);
        DialFault::unreached(Cause::NotANode, sentence)
    })?;
    let admitted = shake(hub, &mut socket, spec.node).await;
    let admitted = admitted
        .and_then(|admitted| match hub.has_room_to_join(admitted.node) {
            Ok(()) => Ok(admitted),
            Err(refusal) => Err(DialFault::unreached(Cause::NoPlace, refusal.message)),
        })
        .inspect_err(|_| hub.counters.add(Count::HandshakesRefused))?;
    let link = hub.begin(address);
    Ok(Connection::outbound(Arc::clone(hub), socket, admitted, spec.label.clone(), held, link))
}

/// Connects to an address, over TLS if it says so; with a fingerprint to the one certificate that has it.
pub(crate) async fn carry(
    url: &PeerUrl,
    fingerprint: Option<&str>,
    stage: &Stage,
) -> Result<(Box<dyn Carrier>, SocketAddr), DialFault> {
    let PeerUrl { is_tls, host, port, .. } = url;
    let port = port.unwrap_or(if *is_tls { 443 } else { 80 });
    let failed = |cause, what: &str, fault: std::io::Error| {
        DialFault::unreached(cause, format!("{} {what}: {fault}", url))
    };
    let unreached = |fault| failed(Cause::Unreached, "cannot be reached", fault);
    let found = lookup_host((&**host, port)).await;
    let found = found.map_err(|fault| failed(Cause::Name, "has a name that leads nowhere", fault))?;
    let addresses: Vec<SocketAddr> = found.collect();
    stage.begin(Cause::Unreached);
    let tcp = TcpStream::connect(&*addresses).await.map_err(unreached)?;
    let address = tcp.peer_addr().map_err(unreached)?;
    // Messages are small and somebody waits for each: they leave at once.
    tcp.set_nodelay(true).map_err(unreached)?;
    if !is_tls {
        return Ok((Box::new(tcp), address));
    }
    let config = client_config(fingerprint)
        .map_err(|fault| DialFault::refused(Cause::NoTls, format!("there is no TLS: {fault}")))?;
    let name = ServerName::try_from(host.clone())
        .map_err(|_| DialFault::refused(Cause::Name, format!("{} has no host that TLS can name", url)))?;
    stage.begin(Cause::NoTls);
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|fault| {
        if let Some(sentence) = refused_certificate(&fault) {
            return DialFault::refused(Cause::OtherCertificate, format!("{} {sentence}", url));
        }
        failed(Cause::NoTls, "speaks no TLS that we do", fault)
    })?;
    Ok((Box::new(tls), address))
}
