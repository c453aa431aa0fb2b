//! From what is known of each node to the one most probable reason why it is not connected. Pure.

use clawmesh_authority::NodeId;
use clawmesh_wire::peer_spec::WayRefused;
use serde::{Serialize, Serializer};

use crate::cli::doctor::Outcome;

/// Why a node is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A name leads nowhere, or to another node.
    Name,
    /// One of the two does not trust the other.
    Trust,
    /// A certificate is missing, or another one is shown than is expected.
    Certificate,
    /// The clocks are too far apart.
    Clock,
    /// The other one is in another mesh.
    Mesh,
    /// The way is called so that it may not be used as it is.
    Label,
    /// Nothing listens there, or something else does.
    Port,
    /// This node does not run.
    NotRunning,
    /// It cannot be seen from this side.
    Unknown,
}

impl Cause {
    /// The name for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Trust => "trust",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Mesh => "mesh",
            Self::Label => "label",
            Self::Port => "port",
            Self::NotRunning => "not_running",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// What was found about one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which node.
    pub id: NodeId,
    /// What people call it, or what it calls itself.
    pub name: Option<String>,
    /// Good when it is connected, bad when it should be and is not.
    pub outcome: Outcome,
    /// Why it is not connected.
    pub cause: Option<Cause>,
    /// The same in words, with what to do.
    pub sentence: String,
}

/// Everything that is known.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// This node; `None` when it has no identity yet.
    pub own: Option<NodeId>,
    /// Whether it runs.
    pub is_running: bool,
    /// What is wrong with its zenoh links as a whole.
    pub links: LinkFacts,
    /// The other nodes, by id.
    pub peers: Vec<PeerFacts>,
}

/// What is known of the links to nodes of our own kind.
#[derive(Debug, Clone, Default)]
pub struct LinkFacts {
    /// Why encrypted links cannot be had, if they are wanted.
    pub no_papers: Option<String>,
    /// Endpoints whose names lead nowhere.
    pub without_name: Vec<String>,
    /// Endpoints where nobody listens.
    pub without_listener: Vec<String>,
}

/// What is known of one node.
#[derive(Debug, Clone)]
pub struct PeerFacts {
    /// Its id.
    pub id: NodeId,
    /// What people here call it, or what it calls itself.
    pub name: Option<String>,
    /// Whether it is trusted.
    pub is_trusted: bool,
    /// Whether it is heard over zenoh.
    pub is_heard: bool,
    /// Whether it is connected over the wire protocol.
    pub is_guest: bool,
    /// Whether it was found in the local network.
    pub is_nearby: bool,
    /// How it is dialled.
    pub way: Option<WayFacts>,
    /// The code and the words with which it was refused here when it last wanted to connect.
    pub knock: Option<(String, String)>,
    /// The code and the words with which its statements were refused here last.
    pub refusal: Option<(String, String)>,
    /// Another node that calls itself by the name that people here gave to this one.
    pub namesake: Option<NodeId>,
}

impl PeerFacts {
    /// A node of which nothing is known but its id.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            name: None,
            is_trusted: false,
            is_heard: false,
            is_guest: false,
            is_nearby: false,
            way: None,
            knock: None,
            refusal: None,
            namesake: None,
        }
    }
}

/// How a node is dialled, or is to be.
#[derive(Debug, Clone, Default)]
pub struct WayFacts {
    /// Where.
    pub url: String,
    /// What the table of ways says against it.
    pub refused: Option<WayRefused>,
    /// What went wrong last, by the names of `Cause` in `wire-link`, and in words.
    pub trouble: Option<(String, String)>,
}

/// What to say of each node.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    facts.peers.iter().map(|peer| finding(facts, peer)).collect()
}

fn finding(facts: &Facts, peer: &PeerFacts) -> Finding {
    let (outcome, cause, sentence) = if peer.is_guest || peer.is_heard {
        (Outcome::Good, None, connected(peer))
    } else {
        let is_wanted = peer.is_trusted || peer.way.is_some();
        let outcome = if is_wanted { Outcome::Bad } else { Outcome::Note };
        let (cause, sentence) = why(facts, peer);
        (outcome, Some(cause), sentence)
    };
    Finding { id: peer.id, name: peer.name.clone(), outcome, cause, sentence }
}

fn connected(peer: &PeerFacts) -> String {
    match (peer.is_guest, peer.is_heard) {
        (true, true) => "connected over the wire protocol, and heard over zenoh",
        (true, false) => "connected over the wire protocol",
        _ => "heard over zenoh",
    }
    .to_owned()
}

/// The first that applies: what is certain before what is probable.
fn why(facts: &Facts, peer: &PeerFacts) -> (Cause, String) {
    by_table(peer)
        .or_else(|| not_running(facts))
        .or_else(|| by_dial(facts, peer))
        .or_else(|| by_knock(peer))
        .or_else(|| not_trusted(peer))
        .or_else(|| by_refusal(peer))
        .or_else(|| by_links(&facts.links))
        .or_else(|| by_name(peer))
        .or_else(|| by_endpoints(&facts.links))
        .unwrap_or_else(|| unknown(peer))
}

fn by_table(peer: &PeerFacts) -> Option<(Cause, String)> {
    let way = peer.way.as_ref()?;
    let (cause, lacks) = match way.refused? {
        WayRefused::Insecure => (Cause::Label, "its label says that it leaves the site, and it is in clear"),
        WayRefused::Unpinned => {
            (Cause::Certificate, "its label says that it leaves the site, and no certificate is pinned")
        }
    };
    let sentence = format!(
        "{} is not dialled: {lacks}; write wss://HOST:PORT|FINGERPRINT|LABEL (`clawmesh identity` over there prints the \
         fingerprint), or label it lan if it stays on the site",
        way.url
    );
    Some((cause, sentence))
}

fn not_running(facts: &Facts) -> Option<(Cause, String)> {
    let sentence = "this node does not run, so it is connected to nobody; start it with `clawmesh start`";
    (!facts.is_running).then(|| (Cause::NotRunning, sentence.to_owned()))
}

fn by_dial(facts: &Facts, peer: &PeerFacts) -> Option<(Cause, String)> {
    let (cause, words) = peer.way.as_ref()?.trouble.as_ref()?;
    // What it says when it comes by itself may tell more than that we do not reach it; but anybody can come in its name.
    let is_unreached = ["name", "unreached"].contains(&&**cause);
    let knock = by_knock(peer).filter(|_| is_unreached);
    if let Some(found) = knock.as_ref().filter(|_| !peer.is_trusted) {
        return Some(found.clone());
    }
    let words = knock.map_or_else(|| words.clone(), |(_, besides)| format!("{words} ({besides})"));
    let id = peer.id;
    let own = facts.own.map_or_else(|| "ID".to_owned(), |own| own.to_string());
    let (cause, remedy) = match &**cause {
        "untrusted_here" => (Cause::Trust, format!("`clawmesh trust add {id}` trusts it")),
        "untrusted_there" => (Cause::Trust, format!("over there, say `clawmesh trust add {own}`")),
        "name" => (Cause::Name, "write a name that this machine can look up, or an IP address".to_owned()),
        "other_node" => {
            let remedy = "the address leads to another node; `clawmesh identity` over there prints its id";
            (Cause::Name, remedy.to_owned())
        }
        "other_certificate" => {
            let remedy = "`clawmesh identity` over there prints the right one; if nobody there has changed it, somebody \
                          stands in between";
            (Cause::Certificate, remedy.to_owned())
        }
        "no_tls" => {
            (Cause::Certificate, "start it with --tls, or write ws:// if it is on this site".to_owned())
        }
        "way_unpinned" => (Cause::Certificate, "pin its fingerprint".to_owned()),
        "way_in_clear" => (Cause::Label, "write wss:// and pin its fingerprint".to_owned()),
        "clock" => (Cause::Clock, "set both clocks; at most 300 s are allowed".to_owned()),
        "other_mesh" => (Cause::Mesh, "give both the same `mesh_name`".to_owned()),
        "unreached" => {
            (Cause::Port, "start it, or correct the address, or open its port in the firewall".to_owned())
        }
        "not_a_node" => {
            let remedy = "something else listens there, or it wants wss://; correct the port";
            (Cause::Port, remedy.to_owned())
        }
        _ => (Cause::Unknown, "it is tried again; look at the log over there".to_owned()),
    };
    Some((cause, format!("{words}; {remedy}")))
}

fn by_knock(peer: &PeerFacts) -> Option<(Cause, String)> {
    let (code, words) = peer.knock.as_ref()?;
    let cause = match &**code {
        // It was so before somebody trusted it.
        "UNTRUSTED_PEER" if peer.is_trusted => return None,
        "UNTRUSTED_PEER" => {
            let sentence = format!(
                "it wants to connect and is not trusted here; `clawmesh trust add {}` trusts it",
                peer.id
            );
            return Some((Cause::Trust, sentence));
        }
        "AUTH_FAILED" => Cause::Clock,
        "MESH_ID_MISMATCH" => Cause::Mesh,
        "PUBLIC_KEY_MISMATCH" => Cause::Name,
        _ => Cause::Unknown,
    };
    Some((cause, format!("somebody who says to be this node wants to connect, and was refused: {words}")))
}

fn not_trusted(peer: &PeerFacts) -> Option<(Cause, String)> {
    let place = if peer.is_nearby { "nearby and " } else { "" };
    let sentence = format!("{place}not trusted here; if it is yours, `clawmesh trust add {}`", peer.id);
    (!peer.is_trusted).then_some((Cause::Trust, sentence))
}

fn by_refusal(peer: &PeerFacts) -> Option<(Cause, String)> {
    let (code, words) = peer.refusal.as_ref()?;
    let cause = match &**code {
        "UNTRUSTED_PEER" => Cause::Trust,
        "CLOCK_UNTRUSTED" => Cause::Clock,
        "MESH_ID_MISMATCH" => Cause::Mesh,
        _ => return None,
    };
    Some((cause, format!("what it said was refused: {words}")))
}

fn by_links(links: &LinkFacts) -> Option<(Cause, String)> {
    Some((Cause::Certificate, links.no_papers.clone()?))
}

fn by_name(peer: &PeerFacts) -> Option<(Cause, String)> {
    let (other, name) = (peer.namesake?, peer.name.as_deref()?);
    let sentence = format!(
        "a node that calls itself {name:?} is {other}, and {name:?} is trusted here with another id; anybody can say so: if it was \
         set up anew, `clawmesh identity` over there prints that id, and it is trusted in place of {}",
        peer.id.short()
    );
    Some((Cause::Name, sentence))
}

fn by_endpoints(links: &LinkFacts) -> Option<(Cause, String)> {
    if let Some(endpoint) = links.without_name.first() {
        let sentence = format!(
            "it is not heard, and {endpoint} in `connect` of node.ron has a name that leads nowhere; write a name that this \
             machine can look up, or an IP address"
        );
        return Some((Cause::Name, sentence));
    }
    let endpoint = links.without_listener.first()?;
    let sentence = format!(
        "it is not heard, and nobody listens at {endpoint}, which `connect` of node.ron names; start the node there, or \
         correct the endpoint"
    );
    Some((Cause::Port, sentence))
}

fn unknown(peer: &PeerFacts) -> (Cause, String) {
    let sentence = match &peer.way {
        Some(way) => format!("{} is being dialled for the first time; ask again in a moment", way.url),
        None => "it is trusted, and nothing of it is heard; say where it is (`connect` or `peers` of node.ron), or run \
                 `clawmesh doctor mesh` over there"
            .to_owned(),
    };
    (Cause::Unknown, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_wire_link::Cause as DialCause;

    const OWN: NodeId = NodeId([1; 32]);
    const PEER: NodeId = NodeId([2; 32]);

    fn trusted() -> PeerFacts {
        PeerFacts { is_trusted: true, name: Some("pump".to_owned()), ..PeerFacts::new(PEER) }
    }

    fn dialled(cause: &str) -> PeerFacts {
        let trouble = Some((cause.to_owned(), "it went wrong".to_owned()));
        let way = WayFacts { url: "ws://pump:18789".to_owned(), trouble, ..WayFacts::default() };
        PeerFacts { way: Some(way), ..trusted() }
    }

    fn said(code: &str) -> Option<(String, String)> {
        Some((code.to_owned(), "no".to_owned()))
    }

    fn found(peer: PeerFacts, links: LinkFacts) -> Finding {
        judge(&Facts { own: Some(OWN), is_running: true, links, peers: vec![peer] }).remove(0)
    }

    fn cause(peer: PeerFacts) -> (Outcome, Option<Cause>) {
        let found = found(peer, LinkFacts::default());
        (found.outcome, found.cause)
    }

    #[test]
    fn whatever_a_dial_ends_with_has_one_cause_and_something_to_do() {
        for dial in DialCause::ALL {
            let expected = match dial {
                DialCause::WayInClear => Cause::Label,
                DialCause::WayUnpinned | DialCause::NoTls | DialCause::OtherCertificate => Cause::Certificate,
                DialCause::UntrustedHere | DialCause::UntrustedThere => Cause::Trust,
                DialCause::Name | DialCause::OtherNode => Cause::Name,
                DialCause::Unreached | DialCause::NotANode => Cause::Port,
                DialCause::Clock => Cause::Clock,
                DialCause::OtherMesh => Cause::Mesh,
                DialCause::NoPlace | DialCause::RefusedThere | DialCause::Ended => Cause::Unknown,
            };
            let found = found(dialled(dial.as_str()), LinkFacts::default());
            assert_eq!((found.outcome, found.cause), (Outcome::Bad, Some(expected)), "{dial:?}");
            assert!(found.sentence.starts_with("it went wrong; "), "{}", found.sentence);
        }
    }

    #[test]
    fn a_way_that_the_table_refuses_is_told_before_all_else_also_while_the_node_stands_still() {
        for (refused, expected) in
            [(WayRefused::Insecure, Cause::Label), (WayRefused::Unpinned, Cause::Certificate)]
        {
            let way = WayFacts { refused: Some(refused), ..WayFacts::default() };
            let peers = vec![PeerFacts { way: Some(way), ..PeerFacts::new(PEER) }];
            let found = judge(&Facts { peers, ..Facts::default() }).remove(0);
            assert_eq!((found.outcome, found.cause), (Outcome::Bad, Some(expected)));
        }
        let still = judge(&Facts { peers: vec![dialled("clock")], ..Facts::default() }).remove(0);
        assert_eq!(still.cause, Some(Cause::NotRunning));
    }

    #[test]
    fn who_is_refused_at_our_door_is_told_with_the_reason_unless_a_dial_tells_more() {
        for (code, expected) in [
            ("UNTRUSTED_PEER", Cause::Trust),
            ("AUTH_FAILED", Cause::Clock),
            ("MESH_ID_MISMATCH", Cause::Mesh),
            ("PUBLIC_KEY_MISMATCH", Cause::Name),
            ("AUTH_NONCE_INVALID", Cause::Unknown),
        ] {
            let stranger = PeerFacts { knock: said(code), ..PeerFacts::new(PEER) };
            assert_eq!(cause(stranger).1, Some(expected), "{code}");
            let is_older = code == "UNTRUSTED_PEER";
            let before = if is_older { Cause::Unknown } else { expected };
            assert_eq!(cause(PeerFacts { knock: said(code), ..trusted() }).1, Some(before), "{code}");
            // Anybody can knock in its name.
            let behind = PeerFacts { knock: said(code), ..dialled("unreached") };
            let behind = found(behind, LinkFacts::default());
            assert_eq!(
                (behind.cause, behind.sentence.contains("somebody who says")),
                (Some(Cause::Port), !is_older),
                "{code}"
            );
            let refused = PeerFacts { knock: said(code), ..dialled("other_certificate") };
            assert_eq!(cause(refused).1, Some(Cause::Certificate));
        }
    }

    #[test]
    fn who_is_only_nearby_or_knocks_is_no_fault_of_the_mesh() {
        let nearby = PeerFacts { is_nearby: true, ..PeerFacts::new(PEER) };
        assert_eq!(cause(nearby), (Outcome::Note, Some(Cause::Trust)));
        let knocks = PeerFacts { knock: said("UNTRUSTED_PEER"), ..PeerFacts::new(PEER) };
        assert_eq!(cause(knocks), (Outcome::Note, Some(Cause::Trust)));
    }

    #[test]
    fn what_is_refused_over_zenoh_and_what_links_lack_is_told_in_this_order() {
        let links = LinkFacts {
            no_papers: Some("no papers".to_owned()),
            without_name: vec!["tcp/nowhere:1".to_owned()],
            without_listener: vec!["tcp/127.0.0.1:1".to_owned()],
        };
        let of = |peer: PeerFacts, links: &LinkFacts| found(peer, links.clone()).cause;
        for (code, expected) in [
            ("UNTRUSTED_PEER", Cause::Trust),
            ("CLOCK_UNTRUSTED", Cause::Clock),
            ("MESH_ID_MISMATCH", Cause::Mesh),
            ("RATE_LIMITED", Cause::Certificate),
        ] {
            assert_eq!(of(PeerFacts { refusal: said(code), ..trusted() }, &links), Some(expected), "{code}");
        }
        let links = LinkFacts { no_papers: None, ..links };
        let renamed = found(PeerFacts { namesake: Some(NodeId([3; 32])), ..trusted() }, links.clone());
        assert!(
            renamed.cause == Some(Cause::Name) && renamed.sentence.contains(&NodeId([3; 32]).to_string())
        );
        let nameless = found(trusted(), links.clone());
        assert!(nameless.cause == Some(Cause::Name) && nameless.sentence.contains("tcp/nowhere:1"));
        let links = LinkFacts { without_name: Vec::new(), ..links };
        assert_eq!(of(trusted(), &links), Some(Cause::Port));
        assert_eq!(of(trusted(), &LinkFacts::default()), Some(Cause::Unknown));
    }

    #[test]
    fn who_is_connected_is_good_whatever_went_wrong_before() {
        for peer in [
            PeerFacts { is_guest: true, ..dialled("clock") },
            PeerFacts { is_heard: true, knock: said("AUTH_FAILED"), ..trusted() },
        ] {
            assert_eq!(cause(peer), (Outcome::Good, None));
        }
    }
}
