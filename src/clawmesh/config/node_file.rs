//! `node.ron`: what people set for one node, in their words. Whether the values make sense, `settings` decides.

use std::path::Path;

use serde::Deserialize;

use crate::config::error::ConfigError;
use crate::config::ron_text;
use crate::config::settings::tls::Tls;

/// Settings of one layer: the file, or the command line. What is `None` is left to the layer below.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeFile {
    /// The name people use for the node.
    pub name: Option<String>,
    /// What it is for, for example `field` or `command-center`.
    pub role: Option<String>,
    /// The address the gateway listens on.
    pub host: Option<String>,
    /// The port the gateway listens on; 0 lets the system choose.
    pub port: Option<u16>,
    /// Whether the gateway speaks TLS, and with which certificate.
    pub tls: Option<Tls>,
    /// The mesh the node belongs to.
    pub mesh_name: Option<String>,
    /// Whether peers on the local network are looked for.
    pub discovery: Option<bool>,
    /// Whether the machine itself is a sensor: load, memory, temperatures.
    pub host_sensors: Option<bool>,
    /// Whether it has a mock sensor: numbers that are drawn, and worth nothing.
    pub mock_sensor: Option<bool>,
    /// How often the mock sensor shows a number, milliseconds.
    pub sensor_interval_ms: Option<u32>,
    /// Let plain commands of existing ClawMesh nodes reach a mock actuator.
    pub mock_actuator: Option<bool>,
    /// Whether it thinks about dry zones of its site and proposes to water them; a command center does.
    pub planner: Option<bool>,
    /// What the node is on zenoh: `peer`, `client` or `router`.
    pub zenoh_mode: Option<String>,
    /// Endpoints where other nodes can reach this one.
    pub listen: Option<Vec<String>>,
    /// Endpoints of other nodes, or of a router.
    pub connect: Option<Vec<String>>,
    /// Existing ClawMesh nodes to dial, as `<deviceId>=<url>[|<fingerprint>[|<label>]]`.
    pub peers: Option<Vec<String>>,
    /// Channels whose messages are passed on from one existing node to another, as `channel:<name>`.
    pub relay: Option<Vec<String>>,
    /// Ids of the nodes whose statements count.
    pub trusted: Option<Vec<String>>,
    /// What keeps the clock of the machine: `kept` (a real-time clock or NTP), `none`, or `believed`.
    pub clock: Option<String>,
    /// How many nodes have to agree on the time, where nothing keeps it.
    pub clock_agrees_with: Option<u32>,
    /// Ticks per second.
    pub hz: Option<u32>,
    /// A digest of the state is taken at every tick that is a multiple of this.
    pub digest_every_ticks: Option<u64>,
    /// Bounds against peers that flood.
    pub limits: Option<Limits>,
}

/// Bounds against peers that flood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most signed envelopes of one peer we open in a second.
    pub envelopes_per_second_max: Option<u32>,
}

/// Reads the text of `node.ron`; `path` is for the messages.
pub fn parse(path: &Path, text: &str) -> Result<NodeFile, ConfigError> {
    ron_text::parse(path, text, hint)
}

fn hint(key: &str) -> Option<&'static str> {
    Some(match key {
        "name" | "role" | "mesh_name" => "a text in quotes",
        "clock" => "\"kept\", \"none\" or \"believed\"",
        "clock_agrees_with" => "a whole number, 0 for as many as is usual",
        "zenoh_mode" => "\"peer\", \"client\" or \"router\"",
        "host" => "an IP address in quotes, for example \"127.0.0.1\"",
        "port" => "a port from 0 to 65535 (INVALID_PORT)",
        "discovery" | "host_sensors" | "mock_sensor" | "mock_actuator" | "planner" => "true or false",
        "sensor_interval_ms" => "milliseconds, from 100 to 3600000",
        "tls" | "tls.cert" | "tls.key" => "true, false or (cert: \"server.pem\", key: \"server.key\")",
        "listen" | "connect" => "a list of endpoints, for example [\"tcp/10.0.0.7:7447\"]",
        "peers" => "a list of nodes to dial, for example [\"<device id>=ws://10.0.0.7:18789\"]",
        "relay" => "a list of channels, for example [\"channel:ops\"]",
        "trusted" => "a list of node ids in quotes",
        "hz" => "a whole number from 1 to 200",
        "digest_every_ticks" | "limits.envelopes_per_second_max" => "a whole number from 1 on",
        "limits" => "(envelopes_per_second_max: 500)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<NodeFile, String> {
        parse(Path::new("node.ron"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_optional_and_somes_are_implicit() {
        assert_eq!(read("()"), Ok(NodeFile::default()));
        let file = read(
            "( // the pump house\n name: \"pump\", port: 18789, discovery: false, listen: [\"tcp/[::]:7447\"],\n\
             trusted: [], limits: (envelopes_per_second_max: 9) )",
        )
        .unwrap();
        let limits = Some(Limits { envelopes_per_second_max: Some(9) });
        let expected = NodeFile {
            name: Some("pump".into()),
            port: Some(18_789),
            discovery: Some(false),
            listen: Some(vec!["tcp/[::]:7447".into()]),
            trusted: Some(vec![]),
            limits,
            ..NodeFile::default()
        };
        assert_eq!(file, expected);
    }

    #[test]
    fn an_unknown_key_is_told_with_its_place_and_the_likely_one() {
        assert_eq!(
            read("(\n    hz: 50,\n    nmae: \"barn\",\n)").unwrap_err(),
            "node.ron:3:5: unknown key `nmae`, known keys are name, role, host, port, tls, mesh_name, discovery, \
             host_sensors, mock_sensor, sensor_interval_ms, mock_actuator, planner, zenoh_mode, listen, connect, peers, relay, trusted, clock, clock_agrees_with, hz, digest_every_ticks, limits; did you mean `name`?"
        );
        assert_eq!(
            read("(limits: (\n envelope_per_second_max: 1))").unwrap_err(),
            "node.ron:2:2: unknown key `envelope_per_second_max`, known keys are envelopes_per_second_max; \
             did you mean `envelopes_per_second_max`?"
        );
        assert_eq!(
            read("(mesh-name: \"farm\")").unwrap_err(),
            "node.ron:1:2: `mesh-name` is no key; keys have underscores: `mesh_name`"
        );
        assert_eq!(
            read("(tls: (certificate: \"a\"))").unwrap_err(),
            "node.ron:1:8: unknown key `certificate`, known keys are cert, key"
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_told_with_its_key_and_what_it_takes() {
        for (text, key, hint) in [
            (
                "(\n port: 70000)",
                "node.ron:2:",
                "`port`: integer is out of bounds; write a port from 0 to 65535",
            ),
            ("(\n port: \"x\")", "node.ron:2:", "write a port from 0 to 65535"),
            ("(\n hz: 50.5)", "node.ron:2:", "`hz`: "),
            ("(\n hz: -1)", "node.ron:2:", "write a whole number from 1 to 200"),
            ("(\n discovery: yes)", "node.ron:2:", "write true or false"),
            ("(\n name: barn)", "node.ron:2:", "write a text in quotes"),
            ("(\n listen: \"tcp/a:1\")", "node.ron:2:", "write a list of endpoints"),
            ("(\n connect: [1])", "node.ron:2:", "write a list of endpoints"),
            ("(\n tls: 7)", "node.ron:2:", "write true, false or (cert: "),
            ("(\n tls: (cert: \"a\"))", "node.ron:2:", "the key `key` is missing"),
            ("(\n tls: (cert: 7, key: \"b\"))", "node.ron:2:", "write true, false or (cert: "),
            ("(\n limits: 7)", "node.ron:2:", "write (envelopes_per_second_max: 500)"),
            ("(\n name: \"a\",\n name: \"b\")", "node.ron:3:", "given twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(key) && error.contains(hint), "{text}: {error}");
            assert!(!error.contains('\n') && !error.ends_with('.'), "{error}");
        }
    }

    #[test]
    fn a_text_that_stops_or_nests_too_far_is_an_error() {
        let good = "(name: \"barn\", listen: [\"tcp/a:1\"], limits: (envelopes_per_second_max: 9))";
        for end in 1..good.len() {
            assert!(read(&good[..end]).is_err(), "{}", &good[..end]);
        }
        assert!(read(&"(".repeat(100_000)).is_err());
        assert!(read(&format!("(name: {}", "[".repeat(100_000))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|[(]?[a-z_]{0,12}: ?[\\[(\"0-9a-z.,\\])-]{0,40}") {
            let _ = read(&text);
        }
    }
}
