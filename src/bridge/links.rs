//! How links are secured: with which certificates, and what is told to whom over them.
//!
//! A node whose endpoints name TLS or QUIC is secured. Its listeners then want a certificate of the mesh, it uses no other
//! transport beyond this machine, whatever discovery finds, and it says things only to nodes that it trusts, named by their
//! certificates. What others say over TLS all the same is not filtered but judged at the envelope, so that the refusal is counted.
//! Certificates are not bound to addresses, because field nodes change theirs; and zenoh lets a server with a certificate of
//! any public authority pass. So that it is a node we trust is never concluded from a link, only from the name in its
//! certificate, which no public authority gives, and from signatures.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clawmesh_authority::{MeshId, NodeId};
use serde_json::{Value, json};
use zenoh::Config;

use crate::config::BridgeConfig;
use crate::keys;
use crate::papers::Papers;

const SECURE: [&str; 2] = ["tls/", "quic/"];
const SOCKET: &str = "unixsock-stream";
const EVERYTHING: [&str; 9] = [
    "put",
    "delete",
    "declare_subscriber",
    "query",
    "declare_queryable",
    "reply",
    "liveliness_token",
    "declare_liveliness_subscriber",
    "liveliness_query",
];

/// How a node with these endpoints links to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkSecurity<'a> {
    /// Only with a certificate of the mesh.
    Secured,
    /// Secured, and here it would still let others come or go in clear.
    Leaky(&'a str),
    /// In clear, within this machine only.
    Local,
    /// In clear, also to other machines; here for example.
    Clear(&'a str),
}

/// How a node that listens and connects there links to others.
#[must_use]
pub fn link_security<'a>(listen: &'a [String], connect: &'a [String]) -> LinkSecurity<'a> {
    let endpoints = || listen.iter().chain(connect).map(String::as_str);
    let in_clear = endpoints().find(|endpoint| !is_secure(endpoint) && !is_local(endpoint));
    match (endpoints().any(is_secure), in_clear) {
        (true, None) => LinkSecurity::Secured,
        (true, Some(endpoint)) => LinkSecurity::Leaky(endpoint),
        (false, None) => LinkSecurity::Local,
        (false, Some(endpoint)) => LinkSecurity::Clear(endpoint),
    }
}

/// Whether links of this node want certificates.
pub fn are_secured(config: &BridgeConfig) -> bool {
    link_security(&config.listen, &config.connect) == LinkSecurity::Secured
}

fn is_secure(endpoint: &str) -> bool {
    SECURE.iter().any(|transport| endpoint.starts_with(transport))
}

/// Within this machine. UDP is not: zenoh may send it to whole networks, and asks nobody who may hear it.
fn is_local(endpoint: &str) -> bool {
    let Some((transport, address)) = endpoint.split_once('/') else { return false };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let is_loopback = || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    transport == SOCKET || transport == "tcp" && is_loopback()
}

/// What a node is on its links.
pub struct Secured<'a> {
    /// Its certificates.
    pub papers: &'a Papers,
    /// Its key, PKCS#8 PEM.
    pub key: &'a str,
    /// Whom it trusts now. Fixed when the session is opened.
    pub trusted: &'a BTreeSet<NodeId>,
}

impl Secured<'_> {
    /// Puts it into the settings of a session.
    ///
    /// # Errors
    /// What zenoh says against it.
    pub fn put_into(&self, settings: &mut Config, config: &BridgeConfig) -> Result<(), String> {
        let [certificate, root] = self.papers.as_pem();
        let encoded = |pem: &str| Value::from(BASE64_STANDARD.encode(pem));
        let samples: BTreeSet<&str> =
            config.mappings.iter().map(|mapping| mapping.key_expr.as_str()).collect();
        let transports: BTreeSet<&str> = config
            .listen
            .iter()
            .chain(&config.connect)
            .filter_map(|endpoint| Some(endpoint.split_once('/')?.0))
            .collect();
        for (setting, value) in [
            // What is found by discovery is linked to as well, so it must not lead to another transport.
            ("transport/link/protocols", json!(transports)),
            ("transport/link/tls/root_ca_certificate_base64", encoded(&root)),
            ("transport/link/tls/listen_certificate_base64", encoded(&certificate)),
            ("transport/link/tls/listen_private_key_base64", encoded(self.key)),
            ("transport/link/tls/connect_certificate_base64", encoded(&certificate)),
            ("transport/link/tls/connect_private_key_base64", encoded(self.key)),
            ("transport/link/tls/enable_mtls", true.into()),
            ("transport/link/tls/verify_name_on_connect", false.into()),
            ("access_control", access(config.mesh, self.trusted, &samples)),
        ] {
            let taken = settings.insert_json5(setting, &value.to_string());
            // The value may hold the key, so it is not told.
            taken.map_err(|why| format!("zenoh does not take `{setting}`: {why}"))?;
        }
        Ok(())
    }
}

/// Who may say and hear what: over TLS anybody may say things to us and hear our answers, nodes we trust also hear everything
/// and are seen, and programs of this machine say their samples without a certificate.
fn access(mesh: MeshId, trusted: &BTreeSet<NodeId>, samples: &BTreeSet<&str>) -> Value {
    let allow = |id: &str, flow: &str, messages: &[&str], key_exprs: &Value| json!({"id": id, "permission": "allow", "flows": [flow], "messages": messages, "key_exprs": key_exprs});
    let of_mesh = json!([keys::of_mesh(mesh)]);
    let mut rules = vec![
        allow("judge", "ingress", &["put", "query"], &of_mesh),
        allow("answer", "egress", &["reply"], &of_mesh),
    ];
    let mut subjects = vec![json!({"id": "encrypted", "link_protocols": ["tls", "quic"]})];
    let mut policies = vec![json!({"rules": ["judge", "answer"], "subjects": ["encrypted"]})];
    // zenoh takes a list without names for one of all names.
    if !trusted.is_empty() {
        let names: Vec<String> = trusted.iter().map(ToString::to_string).collect();
        rules.push(allow("hear", "ingress", &EVERYTHING, &of_mesh));
        rules.push(allow("say", "egress", &EVERYTHING, &of_mesh));
        subjects.push(json!({"id": "trusted", "cert_common_names": names}));
        policies.push(json!({"rules": ["hear", "say"], "subjects": ["trusted"]}));
    }
    if !samples.is_empty() {
        let samples = json!(samples);
        rules.push(allow("take samples", "ingress", &["put", "delete"], &samples));
        rules.push(allow("ask for samples", "egress", &["declare_subscriber"], &samples));
        // The names that Linux and macOS have for it.
        subjects.push(json!({"id": "loopback", "interfaces": ["lo", "lo0"], "link_protocols": ["tcp"]}));
        subjects.push(json!({"id": "socket", "link_protocols": [SOCKET]}));
        policies
            .push(json!({"rules": ["take samples", "ask for samples"], "subjects": ["loopback", "socket"]}));
    }
    json!({"enabled": true, "default_permission": "deny", "rules": rules, "subjects": subjects, "policies": policies})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_secured_by_its_endpoints_and_then_nothing_leaves_the_machine_in_clear() {
        use LinkSecurity::{Clear, Leaky, Local, Secured};
        for (listen, connect, is) in [
            (&["tcp/0.0.0.0:7447"][..], &["tcp/10.0.0.7:7447"][..], Clear("tcp/0.0.0.0:7447")),
            (&["tcp/127.0.0.1:7447"], &[], Local),
            (&["tls/0.0.0.0:7447"], &[], Secured),
            (&["tcp/127.0.0.1:7447"], &["quic/10.0.0.7:7447"], Secured),
            (&["tls/[::]:7447", "tcp/[::1]:7447", "unixsock-stream//run/x"], &["tcp/localhost:1"], Secured),
            (&["tls/0.0.0.0:7447", "tcp/0.0.0.0:7448"], &[], Leaky("tcp/0.0.0.0:7448")),
            (&["tls/0.0.0.0:7447"], &["udp/10.0.0.7:7447"], Leaky("udp/10.0.0.7:7447")),
            (&["tls/0.0.0.0:7447", "udp/127.0.0.1:7447"], &[], Leaky("udp/127.0.0.1:7447")),
        ] {
            let [listen, connect] =
                [listen, connect].map(|list| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
            assert_eq!(link_security(&listen, &connect), is, "{listen:?}");
        }
    }

    #[test]
    fn who_trusts_nobody_says_nothing_to_anybody() {
        let mesh = MeshId::of_name("barn");
        let names = |trusted: &[u8]| {
            let trusted = trusted.iter().map(|n| NodeId([*n; 32])).collect();
            let access = access(mesh, &trusted, &BTreeSet::new());
            assert_eq!(access["default_permission"], "deny");
            access["subjects"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|subject| subject["cert_common_names"].as_array().cloned())
                .collect::<Vec<_>>()
        };
        assert!(names(&[]).is_empty());
        assert_eq!(names(&[7]), [vec![Value::from(NodeId([7; 32]).to_string())]]);
    }
}
