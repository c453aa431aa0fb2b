//! What `doctor mesh` judges by: the state dir, the running node over its gateway, and the endpoints that node.ron names.

use std::collections::BTreeMap;
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_bridge::{LinkSecurity, link_security};
use clawmesh_gateway::{Peers, Status};
use clawmesh_wire::peer_spec::PeerSpec;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use super::causes::{Facts, LinkFacts, PeerFacts, WayFacts};
use crate::cli::args::Target;
use crate::cli::client::{Client, block_on};
use crate::config::durable_file::read_bounded;
use crate::config::node_file::{self, NodeFile};
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::config::trust_file::TrustList;
use crate::config::{identity, papers, ron_text, trust_file};

/// How long a first dial is waited for; it gives up before that.
const FIRST_DIALS_WITHIN: Duration = Duration::from_secs(12);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// How old a refusal at our door may be; who is refused tries again within five minutes.
const KNOCK_MS_MAX: u64 = 600_000;
/// How many endpoints are tried, and how long each.
const ENDPOINTS_MAX: usize = 16;
const ENDPOINT_WITHIN: Duration = Duration::from_secs(2);

/// Looks.
pub fn gather(dir: &StateDir) -> anyhow::Result<Facts> {
    let own = identity::load(dir)?.map(|key| key.id());
    let list = trust_file::load(dir)?;
    let is_running = dir.is_in_use()?;
    let mut peers = Gathered::default();
    let (config, ways) = configured(dir)?;
    peers.take_ways(ways);
    if let Some(config) = &config {
        peers.take_trusted(config);
    }
    let mut links = LinkFacts::default();
    if is_running {
        let (status, answer) = block_on(ask(dir))?;
        peers.take_running(&status, &answer);
        if let Some(config) = &config {
            links = block_on(async { Ok(look_at_links(dir, config).await) })?;
        }
    }
    Ok(Facts { own, is_running, links, peers: peers.finish(own, &list) })
}

/// The settings, and the ways that node.ron names. With a way in it that may not be used there are no settings, and the ways are
/// what people want to hear of.
fn configured(dir: &StateDir) -> anyhow::Result<(Option<NodeConfig>, Vec<PeerSpec>)> {
    let loaded = NodeConfig::load(dir, NodeFile::default());
    let texts = match &loaded {
        Ok(config) => config.peers.value.clone(),
        Err(_) => in_node_file(dir).unwrap_or_default(),
    };
    let ways: Vec<PeerSpec> = texts.iter().filter_map(|text| PeerSpec::read(text).ok()).collect();
    match loaded {
        Ok(config) => Ok((Some(config), ways)),
        Err(_) if ways.iter().any(|way| way.may_dial().is_err()) => Ok((None, ways)),
        Err(fault) => Err(fault.into()),
    }
}

fn in_node_file(dir: &StateDir) -> Option<Vec<String>> {
    let path = dir.node_file();
    let content = read_bounded(&path).ok()??;
    node_file::parse(&path, ron_text::utf8(&path, &content).ok()?).ok()?.peers
}

/// What the running node says, once no dial is the first of its node.
async fn ask(dir: &StateDir) -> anyhow::Result<(Status, Peers)> {
    let target = Target { url: None, token_file: None, fingerprint: None, json: false };
    let client = Client::new(Some(dir.root().to_owned()), &target)?;
    let looks = FIRST_DIALS_WITHIN.as_millis() / BETWEEN_LOOKS.as_millis();
    let mut answer: Peers = client.get("/api/peers").await?;
    for _ in 0..looks {
        let is_first = answer.dialled.iter().any(|way| way.state == "connecting" && way.cause.is_none());
        if !is_first {
            break;
        }
        sleep(BETWEEN_LOOKS).await;
        answer = client.get("/api/peers").await?;
    }
    Ok((client.get("/api/status").await?, answer))
}

/// What is known of each node so far.
#[derive(Default)]
struct Gathered {
    peers: BTreeMap<NodeId, PeerFacts>,
    /// What each calls itself.
    names: BTreeMap<NodeId, String>,
}

impl Gathered {
    fn of(&mut self, id: NodeId) -> &mut PeerFacts {
        self.peers.entry(id).or_insert_with(|| PeerFacts::new(id))
    }

    fn take_ways(&mut self, ways: Vec<PeerSpec>) {
        for way in ways {
            let refused = way.may_dial().err();
            let facts = WayFacts { url: way.url.to_string(), refused, trouble: None };
            self.of(way.node).way = Some(facts);
        }
    }

    fn take_trusted(&mut self, config: &NodeConfig) {
        for id in &config.trusted.value {
            self.of(*id).is_trusted = true;
        }
    }

    fn take_running(&mut self, status: &Status, answer: &Peers) {
        for peer in &answer.peers {
            self.names.extend(peer.name.clone().map(|name| (peer.id, name)));
            // Strangers that were only heard of are many, and nobody wants them.
            if peer.trusted || self.peers.contains_key(&peer.id) {
                let facts = self.of(peer.id);
                facts.is_trusted |= peer.trusted;
                facts.is_heard = peer.trusted && peer.liveness == "alive";
            }
        }
        for way in &answer.dialled {
            let trouble = way.cause.clone().zip(way.sentence.clone());
            self.of(way.id).way = Some(WayFacts { url: way.url.clone(), refused: None, trouble });
        }
        for found in &answer.nearby {
            self.names.insert(found.id, found.name.clone());
            let facts = self.of(found.id);
            facts.is_nearby = true;
            facts.is_trusted |= found.trusted;
        }
        let now_ms = answer.wall_ms.saturating_add(answer.snapshot_age_ms);
        for knock in &answer.knocks {
            if now_ms.saturating_sub(knock.at_ms) <= KNOCK_MS_MAX {
                self.of(knock.id).knock = Some((knock.code.clone(), knock.sentence.clone()));
            }
        }
        for guest in &answer.guests {
            self.names.extend(guest.profile.name.clone().map(|name| (guest.id, name)));
            self.of(guest.id).is_guest = guest.is_connected;
        }
        for facts in self.peers.values_mut() {
            let of_it = |row: &&clawmesh_core::publish::RefusalView| row.from == facts.id.to_string();
            let last = status.refusals.iter().filter(of_it).min_by_key(|row| row.age_ms);
            facts.refusal = last.map(|row| (row.code.as_str().to_owned(), row.sentence.clone()));
        }
    }

    /// All but ourselves, with the names that people here gave them, or else their own.
    fn finish(mut self, own: Option<NodeId>, list: &TrustList) -> Vec<PeerFacts> {
        if let Some(own) = own {
            self.peers.remove(&own);
        }
        for facts in self.peers.values_mut() {
            let given = list.get(&facts.id).and_then(|peer| peer.name.clone());
            let is_its = |(id, name): &(&NodeId, &String)| **id != facts.id && Some(*name) == given.as_ref();
            facts.namesake = self.names.iter().find(is_its).map(|(id, _)| *id);
            facts.name = given.or_else(|| self.names.get(&facts.id).cloned());
        }
        self.peers.into_values().collect()
    }
}

async fn look_at_links(dir: &StateDir, config: &NodeConfig) -> LinkFacts {
    let mut links = LinkFacts { no_papers: missing_papers(dir, config), ..LinkFacts::default() };
    for endpoint in config.connect.value.iter().take(ENDPOINTS_MAX) {
        let Some((transport, address)) = endpoint.split_once('/') else { continue };
        if !["tcp", "tls", "quic", "udp"].contains(&transport) {
            continue;
        }
        let found = timeout(ENDPOINT_WITHIN, lookup_host(address)).await;
        let addresses: Vec<_> = found.into_iter().flatten().flatten().collect();
        if addresses.is_empty() {
            links.without_name.push(endpoint.clone());
        } else if ["tcp", "tls"].contains(&transport) {
            let connected = timeout(ENDPOINT_WITHIN, TcpStream::connect(&*addresses)).await;
            if !matches!(connected, Ok(Ok(_))) {
                links.without_listener.push(endpoint.clone());
            }
        }
    }
    links
}

/// Why encrypted links cannot be had, if they are wanted.
fn missing_papers(dir: &StateDir, config: &NodeConfig) -> Option<String> {
    let security = link_security(&config.listen.value, &config.connect.value);
    let (LinkSecurity::Secured | LinkSecurity::Leaky(_)) = security else { return None };
    let key = identity::load(dir).ok()??;
    match papers::load(dir, &key.public(), &config.mesh_name.value) {
        Ok(Some(_)) => None,
        Ok(None) => Some(
            "node.ron says tls/ or quic/, and this node has no papers of the mesh to show; pair it with `clawmesh pair`"
                .to_owned(),
        ),
        Err(fault) => Some(fault.to_string()),
    }
}
