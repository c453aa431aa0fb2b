//! What is wrong, or worth knowing, about the peers and the port of a node before it starts.

use std::fmt;

use clawmesh_authority::NodeId;

use crate::peer_spec::{PeerSpec, PeerSpecFault, Posture, WayRefused};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticLevel {
    /// Good to know.
    Info,
    /// It starts, and something may not work or not be safe.
    Warn,
    /// It does not start.
    Error,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticCode {
    /// The node has no key.
    NoIdentity,
    /// The port is none.
    InvalidPort,
    /// The port needs rights that a service should not have.
    PrivilegedPort,
    /// A peer spec is none.
    InvalidPeerUrl,
    /// The node would dial itself.
    SelfPeer,
    /// A way leaves the site in clear.
    InsecureRelayTransport,
    /// A way that should have a pinned certificate has none.
    MissingTlsFingerprint,
    /// Nobody is looked for and nobody is named.
    IsolatedNode,
    /// Nobody is named.
    NoStaticPeers,
    /// How the named ones are reached.
    StaticPeerTransports,
    /// A way has no label, and nothing else tells what it is.
    UnlabeledStaticPeerTransport,
    /// The node measures nothing, moves nothing and plans nothing.
    NoCapabilities,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What it is, for programs.
    pub code: DiagnosticCode,
    /// What it is about and what to do, one sentence.
    pub sentence: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct StartSettings<'a> {
    /// Our id; `None` when there is no key yet.
    pub own_id: Option<NodeId>,
    /// The port to listen on, as it was written; 0 lets the system choose.
    pub port: i64,
    /// Whether peers are looked for in the local network.
    pub is_discovering: bool,
    /// The peer specs, as they were written.
    pub peers: &'a [String],
    /// Whether it measures, moves or plans anything.
    pub can_do_something: bool,
}

impl From<WayRefused> for DiagnosticCode {
    fn from(way: WayRefused) -> Self {
        match way {
            WayRefused::Insecure => Self::InsecureRelayTransport,
            WayRefused::Unpinned => Self::MissingTlsFingerprint,
        }
    }
}

impl DiagnosticCode {
    /// The code as programs see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoIdentity => "NO_IDENTITY",
            Self::InvalidPort => "INVALID_PORT",
            Self::PrivilegedPort => "PRIVILEGED_PORT",
            Self::InvalidPeerUrl => "INVALID_PEER_URL",
            Self::SelfPeer => "SELF_PEER",
            Self::InsecureRelayTransport => "INSECURE_RELAY_TRANSPORT",
            Self::MissingTlsFingerprint => "MISSING_TLS_FINGERPRINT",
            Self::IsolatedNode => "ISOLATED_NODE",
            Self::NoStaticPeers => "NO_STATIC_PEERS",
            Self::StaticPeerTransports => "STATIC_PEER_TRANSPORTS",
            Self::UnlabeledStaticPeerTransport => "UNLABELED_STATIC_PEER_TRANSPORT",
            Self::NoCapabilities => "NO_CAPABILITIES",
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn level(self) -> DiagnosticLevel {
        match self {
            Self::NoIdentity | Self::InvalidPort | Self::InvalidPeerUrl => DiagnosticLevel::Error,
            Self::NoStaticPeers | Self::StaticPeerTransports | Self::NoCapabilities => DiagnosticLevel::Info,
            Self::PrivilegedPort
            | Self::SelfPeer
            | Self::InsecureRelayTransport
            | Self::MissingTlsFingerprint
            | Self::IsolatedNode
            | Self::UnlabeledStaticPeerTransport => DiagnosticLevel::Warn,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.sentence)
    }
}

/// Everything that is found, in a fixed order: the node, its port, each peer, all peers, what it can do.
#[must_use]
pub fn diagnose(settings: &StartSettings<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if settings.own_id.is_none() {
        found.push(finding(DiagnosticCode::NoIdentity, "the node has no key; make one first".to_owned()));
    }
    found.extend(port(settings.port));
    let read: Vec<Result<PeerSpec, PeerSpecFault>> =
        settings.peers.iter().map(|text| PeerSpec::read(text)).collect();
    for peer in &read {
        match peer {
            Ok(spec) => found.extend(ways(spec, settings)),
            Err(fault) => found.push(finding(DiagnosticCode::InvalidPeerUrl, fault.to_string())),
        }
    }
    let specs: Vec<&PeerSpec> = read.iter().flatten().collect();
    found.extend(all_peers(&specs, settings));
    if !settings.can_do_something {
        let sentence = "the node measures nothing and moves nothing; give it sensors, or look on with it";
        found.push(finding(DiagnosticCode::NoCapabilities, sentence.to_owned()));
    }
    found
}

/// True when nothing that was found keeps the node from starting.
#[must_use]
pub fn may_start(found: &[Diagnostic]) -> bool {
    found.iter().all(|diagnostic| diagnostic.code.level() != DiagnosticLevel::Error)
}

fn finding(code: DiagnosticCode, sentence: String) -> Diagnostic {
    Diagnostic { code, sentence }
}

fn port(port: i64) -> Option<Diagnostic> {
    let (code, sentence) = match port {
        0 | 1_024..=65_535 => return None,
        1..1_024 => (DiagnosticCode::PrivilegedPort, "needs special rights below 1024; 18789 does not"),
        _ => (DiagnosticCode::InvalidPort, "is not between 0 and 65535; 18789 is usual"),
    };
    Some(finding(code, format!("port {port} {sentence}")))
}

fn ways(spec: &PeerSpec, settings: &StartSettings<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let peer = format!("peer {} at {}", spec.node.short(), spec.url);
    if settings.own_id == Some(spec.node) {
        found.push(finding(DiagnosticCode::SelfPeer, format!("{peer} is this node; remove it")));
    }
    if spec.leaves_the_site() && spec.posture() == Posture::Insecure {
        let sentence =
            format!("{peer} leaves the site in clear and will not be dialled; use wss:// and a fingerprint");
        found.push(finding(DiagnosticCode::InsecureRelayTransport, sentence));
    }
    if spec.fingerprint.is_none() && (spec.leaves_the_site() || spec.url.is_tls) {
        let sentence = format!("{peer} has no fingerprint of its certificate; add it after the address");
        found.push(finding(DiagnosticCode::MissingTlsFingerprint, sentence));
    }
    if !settings.is_discovering && spec.label.is_none() {
        let sentence =
            format!("{peer} has no label, so it counts as local; add one, for example lan or relay");
        found.push(finding(DiagnosticCode::UnlabeledStaticPeerTransport, sentence));
    }
    found
}

fn all_peers(specs: &[&PeerSpec], settings: &StartSettings<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if settings.peers.is_empty() {
        found.push(finding(
            DiagnosticCode::NoStaticPeers,
            "no peers are named; others may still dial".to_owned(),
        ));
        if !settings.is_discovering {
            let sentence = "nobody is looked for and nobody is named; name a peer or turn discovery on";
            found.push(finding(DiagnosticCode::IsolatedNode, sentence.to_owned()));
        }
    }
    if !specs.is_empty() {
        let count = |posture: Posture| specs.iter().filter(|spec| spec.posture() == posture).count();
        let postures = [Posture::Insecure, Posture::TlsUnpinned, Posture::TlsPinned];
        let counts: Vec<String> =
            postures.iter().map(|posture| format!("{} {}", count(*posture), posture.as_str())).collect();
        found.push(finding(
            DiagnosticCode::StaticPeerTransports,
            format!("ways to named peers: {}", counts.join(", ")),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use DiagnosticCode::*;
    use proptest::prelude::*;

    fn spec(node: u8, rest: &str) -> String {
        format!("{}={rest}", NodeId([node; 32]))
    }

    fn codes(port: i64, is_discovering: bool, peers: &[String]) -> Vec<DiagnosticCode> {
        let own_id = Some(NodeId([7; 32]));
        let settings = StartSettings { own_id, port, is_discovering, peers, can_do_something: true };
        diagnose(&settings).into_iter().map(|found| found.code).collect()
    }

    #[test]
    fn ports_are_judged() {
        for (port, expected) in [
            (18_789, vec![NoStaticPeers]),
            (0, vec![NoStaticPeers]),
            (1_024, vec![NoStaticPeers]),
            (1_023, vec![PrivilegedPort, NoStaticPeers]),
            (1, vec![PrivilegedPort, NoStaticPeers]),
            (65_535, vec![NoStaticPeers]),
            (65_536, vec![InvalidPort, NoStaticPeers]),
            (-1, vec![InvalidPort, NoStaticPeers]),
        ] {
            assert_eq!(codes(port, true, &[]), expected, "{port}");
        }
    }

    #[test]
    fn each_peer_is_judged_by_its_way() {
        let pin = "ab".repeat(32);
        for (peer, expected) in [
            (spec(1, "ws://h||lan"), vec![StaticPeerTransports]),
            (spec(1, "ws://h"), vec![StaticPeerTransports]),
            (spec(7, "ws://h||lan"), vec![SelfPeer, StaticPeerTransports]),
            (
                spec(1, "ws://h||relay"),
                vec![InsecureRelayTransport, MissingTlsFingerprint, StaticPeerTransports],
            ),
            (spec(1, "wss://h||relay"), vec![MissingTlsFingerprint, StaticPeerTransports]),
            (spec(1, "https://h"), vec![MissingTlsFingerprint, StaticPeerTransports]),
            (spec(1, &format!("wss://h|{pin}|relay")), vec![StaticPeerTransports]),
            (spec(1, "ftp://h"), vec![InvalidPeerUrl]),
            ("barn".to_owned(), vec![InvalidPeerUrl]),
        ] {
            assert_eq!(codes(18_789, true, std::slice::from_ref(&peer)), expected, "{peer}");
        }
    }

    #[test]
    fn without_discovery_a_node_needs_peers_with_labels() {
        assert_eq!(codes(18_789, false, &[]), [NoStaticPeers, IsolatedNode]);
        assert_eq!(
            codes(18_789, false, &[spec(1, "ws://h")]),
            [UnlabeledStaticPeerTransport, StaticPeerTransports]
        );
        assert_eq!(codes(18_789, false, &[spec(1, "ws://h||lan")]), [StaticPeerTransports]);
    }

    #[test]
    fn only_errors_keep_a_node_from_starting() {
        let settings = StartSettings {
            own_id: None,
            port: 80,
            is_discovering: false,
            peers: &[],
            can_do_something: false,
        };
        let found = diagnose(&settings);
        assert_eq!(found.last().map(|found| found.code), Some(NoCapabilities));
        assert_eq!(found[0].code, NoIdentity);
        assert!(!may_start(&found) && may_start(&found[1..]));
        assert!(found[1].to_string().starts_with("PRIVILEGED_PORT: port 80"), "{}", found[1]);
    }

    proptest! {
        #[test]
        fn no_settings_panic(port: i64, is_discovering: bool, peers in prop::collection::vec(".{0,40}", 0..4)) {
            let _ = codes(port, is_discovering, &peers);
        }
    }
}
