//! The settings of a stock zenoh router that is let into a mesh with papers of its own: it brings what nodes say, and is nobody.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::{MeshId, NodeId};
use serde_json::{Value, json};

use crate::access::Audience;
use crate::config::{Part, ZenohMode};

/// The files of a router, as its settings name them.
#[derive(Debug, Clone, Copy)]
pub struct RouterFiles {
    /// The certificate of the mesh.
    pub root: &'static str,
    /// The certificate of the router.
    pub certificate: &'static str,
    /// Its key.
    pub key: &'static str,
}

/// The settings of a router at which these nodes link, each of which speaks under its own key only. What it enforces is what it was
/// told here: a router knows no list of ours, so it is told again when that changes.
#[must_use]
pub fn router_settings(
    mesh: MeshId,
    nodes: &BTreeSet<NodeId>,
    parts: &BTreeMap<NodeId, Part>,
    files: RouterFiles,
) -> Value {
    let samples = BTreeSet::new();
    let audience =
        Audience { mesh, own: None, mode: ZenohMode::Router, trusted: nodes, parts, samples: &samples };
    json!({
        "mode": "router",
        "listen": {"endpoints": ["tls/0.0.0.0:7447"]},
        "connect": {"endpoints": []},
        "scouting": {"multicast": {"enabled": false}},
        "transport": {"link": {
            "protocols": ["tls", "quic"],
            "tls": {
                "root_ca_certificate": files.root,
                "listen_certificate": files.certificate,
                "listen_private_key": files.key,
                "connect_certificate": files.certificate,
                "connect_private_key": files.key,
                "enable_mtls": true,
                // Papers are not bound to addresses.
                "verify_name_on_connect": false,
            },
        }},
        "access_control": audience.rules(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zenoh_takes_the_settings_of_a_router() {
        let files = RouterFiles { root: "mesh.pem", certificate: "router.pem", key: "router.key" };
        let nodes = BTreeSet::from([NodeId([1; 32]), NodeId([2; 32])]);
        let parts = BTreeMap::from([(NodeId([5; 32]), Part::Router)]);
        let settings = router_settings(MeshId::of_name("barn"), &nodes, &parts, files);
        assert!(zenoh::Config::from_json5(&settings.to_string()).is_ok());
        let subjects = settings["access_control"]["subjects"].as_array().unwrap();
        assert_eq!(subjects.len(), 3, "nobody else says or hears anything: {subjects:?}");
    }
}
