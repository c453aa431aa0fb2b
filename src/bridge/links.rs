//! How links are secured: with which certificates, and what is told to whom over them.
//!
//! A node whose endpoints name TLS or QUIC is secured. Its listeners then want a certificate of the mesh, it uses no other
//! transport beyond this machine, whatever discovery finds, and it says things only to nodes that it trusts, named by their
//! certificates; `access` says who may say what.
//! Certificates are not bound to addresses, because field nodes change theirs; and zenoh lets a server with a certificate of
//! any public authority pass. So that it is a node we trust is never concluded from a link, only from the name in its
//! certificate, which no public authority gives, and from signatures.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clawmesh_authority::NodeId;
use serde_json::{Value, json};
use zenoh::Config;

use crate::access::Audience;
use crate::config::{BridgeConfig, Part};
use crate::papers::Papers;

const SECURE: [&str; 2] = ["tls/", "quic/"];
/// The transport of programs of this machine over a socket file.
pub const SOCKET: &str = "unixsock-stream";
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
    transport == SOCKET || transport == "tcp" && is_loopback(host)
}

/// Whether a host, without brackets, is reached from this machine only.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What a node is on its links.
pub struct Secured<'a> {
    /// Its certificates.
    pub papers: &'a Papers,
    /// Its key, PKCS#8 PEM.
    pub key: &'a str,
    /// Which node it is.
    pub own: NodeId,
    /// Whom it trusts now. Fixed when the session is opened.
    pub trusted: &'a BTreeSet<NodeId>,
    /// What they and routers are for our links now. Fixed likewise.
    pub parts: &'a BTreeMap<NodeId, Part>,
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
        let audience = Audience {
            mesh: config.mesh,
            own: Some(self.own),
            mode: config.mode,
            trusted: self.trusted,
            parts: self.parts,
            samples: &samples,
        };
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
            ("access_control", audience.rules()),
        ] {
            let taken = settings.insert_json5(setting, &value.to_string());
            // The value may hold the key, so it is not told.
            taken.map_err(|why| format!("zenoh does not take `{setting}`: {why}"))?;
        }
        Ok(())
    }
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
}
