//! The settings of a node, layered: what is built in, then `node.ron`, then the command line.
//! Every value remembers where it came from, so that nobody has to guess why a node behaves as it does.

pub mod checks;
pub mod planning;
pub mod show;
pub mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use clawmesh_authority::{MeshId, NodeId};
use clawmesh_bridge::{BridgeLimits, Part, ZenohMode};
use clawmesh_wire::peer_spec::PeerSpec;
use serde::Serialize;

use crate::config::durable_file::read_bounded;
use crate::config::error::{ConfigError, Place};
use crate::config::node_file::{self, Limits, NodeFile};
use crate::config::ron_text;
use crate::config::state_dir::StateDir;
use crate::config::trust_file;
use checks::Fault;
use tls::Tls;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Built in.
    Default,
    /// A file.
    File {
        /// Which one.
        path: PathBuf,
    },
    /// The command line.
    CommandLine,
    /// A file, and the command line added to it.
    FileAndCommandLine {
        /// Which file.
        path: PathBuf,
    },
    /// All of that, and the list of a file that has the last word.
    AndList {
        /// What it was before.
        before: Box<Source>,
        /// Which file.
        path: PathBuf,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path } => write!(f, "{}", path.display()),
            Self::CommandLine => f.write_str("command line"),
            Self::FileAndCommandLine { path } => write!(f, "{} and command line", path.display()),
            Self::AndList { before, path } if **before == Self::Default => write!(f, "{}", path.display()),
            Self::AndList { before, path } => write!(f, "{before} and {}", path.display()),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// The layer that set it.
    pub source: Source,
}

/// What keeps the clock of the machine, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// A real-time clock or NTP.
    Kept,
    /// Nothing: the time is what other nodes say.
    None,
    /// What it shows is right, also where it showed something later before.
    Believed,
}

/// Every setting of a node, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The name people use for the node.
    pub name: Setting<String>,
    /// What it is for; self-declared, never an authority.
    pub role: Setting<String>,
    /// The address the gateway listens on.
    pub host: Setting<IpAddr>,
    /// The port the gateway listens on.
    pub port: Setting<u16>,
    /// Whether the gateway speaks TLS, and with which certificate.
    pub tls: Setting<Tls>,
    /// The mesh the node belongs to.
    pub mesh_name: Setting<String>,
    /// Whether peers on the local network are looked for.
    pub discovery: Setting<bool>,
    /// Whether the machine itself is a sensor.
    pub host_sensors: Setting<bool>,
    /// Whether it has a mock sensor: numbers that are drawn, and worth nothing.
    pub mock_sensor: Setting<bool>,
    /// How often the mock sensor shows a number, milliseconds.
    pub sensor_interval_ms: Setting<u32>,
    /// Whether plain commands of existing ClawMesh nodes reach a mock actuator, which moves nothing.
    pub mock_actuator: Setting<bool>,
    /// Whether it thinks about dry zones of its site and proposes to water them.
    pub planner: Setting<bool>,
    /// What the node is on zenoh.
    pub zenoh_mode: Setting<ZenohMode>,
    /// Endpoints where other nodes can reach this one.
    pub listen: Setting<Vec<String>>,
    /// Endpoints of other nodes, or of a router.
    pub connect: Setting<Vec<String>>,
    /// Existing ClawMesh nodes to dial, as people write them.
    pub peers: Setting<Vec<String>>,
    /// Channels whose messages are passed on from one existing node to another.
    pub relay: Setting<Vec<String>>,
    /// The nodes whose statements count.
    pub trusted: Setting<BTreeSet<NodeId>>,
    /// Those that `node.ron` and the command line name, whatever `trust.ron` says of them.
    pub trust_configured: BTreeSet<NodeId>,
    /// What nodes of `trust.ron` are for our links.
    pub parts: BTreeMap<NodeId, Part>,
    /// What keeps the clock of the machine.
    pub clock: Setting<Clock>,
    /// How many nodes have to agree on the time, where nothing keeps it; 0 means as many as is usual.
    pub clock_agrees_with: Setting<u32>,
    /// Ticks per second.
    pub hz: Setting<u32>,
    /// Ticks between two digests.
    pub digest_every_ticks: Setting<u64>,
    /// The most signed envelopes of one peer we open in a second.
    pub envelopes_per_second_max: Setting<u32>,
}

impl NodeConfig {
    /// Reads `node.ron` of the state dir, if there is one, and puts `command_line` on top. On whom to trust, the list of
    /// `trust.ron` has the last word.
    pub fn load(dir: &StateDir, command_line: NodeFile) -> Result<Self, ConfigError> {
        let path = dir.node_file();
        let content = read_bounded(&path)?;
        let text = content.as_deref().map(|content| ron_text::utf8(&path, content)).transpose()?;
        let mut config = Self::resolve(&path, text, command_line, &machine_name())?;
        let list = trust_file::load(dir)?;
        config.parts = list.parts();
        if list.iter().next().is_some() {
            let Setting { value, source } = config.trusted;
            let source = Source::AndList { before: Box::new(source), path: dir.trust_file() };
            config.trusted = Setting { value: list.applied_to(value), source };
        }
        Ok(config)
    }

    /// The same, with another usual name and role where nobody has set them.
    #[must_use]
    pub fn usually(mut self, name: &str, role: &str) -> Self {
        for (setting, usual) in [(&mut self.name, name), (&mut self.role, role)] {
            if setting.source == Source::Default {
                setting.value = usual.to_owned();
            }
        }
        self
    }

    /// The layers put together. Each layer is checked, also where a higher one covers it.
    pub fn resolve(
        path: &Path,
        text: Option<&str>,
        command_line: NodeFile,
        machine_name: &str,
    ) -> Result<Self, ConfigError> {
        let file = text.map(|text| node_file::parse(path, text)).transpose()?.unwrap_or_default();
        let layers = Layers { path, text: text.unwrap_or_default(), file, command_line };
        let trusted = layers.gather("trusted", |l| l.trusted.as_deref(), checks::node_ids, |a, b| &a | &b)?;
        let role = layers.pick("role", "node".to_owned(), |l| l.role.as_deref(), checks::name)?;
        let planner = layers.planner(&role.value)?;
        let (zenoh_mode, listen, connect) = layers.zenoh()?;
        Ok(Self {
            name: layers.pick("name", machine_name.to_owned(), |l| l.name.as_deref(), checks::name)?,
            role,
            host: layers.pick("host", Ipv4Addr::LOCALHOST.into(), |l| l.host.as_deref(), checks::host)?,
            port: layers.pick("port", 18_789, |l| l.port.as_ref(), checks::any)?,
            tls: layers.tls()?,
            mesh_name: layers.pick(
                "mesh_name",
                MeshId::DEFAULT_NAME.to_owned(),
                |l| l.mesh_name.as_deref(),
                checks::name,
            )?,
            discovery: layers.pick("discovery", true, |l| l.discovery.as_ref(), checks::any)?,
            host_sensors: layers.pick("host_sensors", false, |l| l.host_sensors.as_ref(), checks::any)?,
            mock_sensor: layers.pick("mock_sensor", false, |l| l.mock_sensor.as_ref(), checks::any)?,
            sensor_interval_ms: layers.pick(
                "sensor_interval_ms",
                5_000,
                |l| l.sensor_interval_ms.as_ref(),
                checks::sensor_interval_ms,
            )?,
            mock_actuator: layers.pick("mock_actuator", false, |l| l.mock_actuator.as_ref(), checks::any)?,
            planner,
            zenoh_mode,
            listen,
            connect,
            peers: layers.gather("peers", |l| l.peers.as_deref(), checks::peers, other_ways)?,
            relay: layers.pick("relay", Vec::new(), |l| l.relay.as_deref(), checks::channels)?,
            trust_configured: trusted.value.clone(),
            parts: BTreeMap::new(),
            trusted,
            clock: layers.pick("clock", Clock::Kept, |l| l.clock.as_deref(), checks::clock)?,
            clock_agrees_with: layers.pick(
                "clock_agrees_with",
                0,
                |l| l.clock_agrees_with.as_ref(),
                checks::clock_agrees_with,
            )?,
            hz: layers.pick("hz", 50, |l| l.hz.as_ref(), checks::hz)?,
            digest_every_ticks: layers.pick(
                "digest_every_ticks",
                50,
                |l| l.digest_every_ticks.as_ref(),
                checks::digest_every_ticks,
            )?,
            envelopes_per_second_max: layers.pick(
                "limits.envelopes_per_second_max",
                BridgeLimits::default().envelopes_per_second_max,
                |l| l.limits.as_ref().and_then(Limits::envelopes),
                checks::envelopes_per_second,
            )?,
        })
    }
}

impl Limits {
    fn envelopes(&self) -> Option<&u32> {
        self.envelopes_per_second_max.as_ref()
    }
}

struct Layers<'a> {
    path: &'a Path,
    text: &'a str,
    file: NodeFile,
    command_line: NodeFile,
}

type Links = (Setting<ZenohMode>, Setting<Vec<String>>, Setting<Vec<String>>);

impl Layers<'_> {
    /// What the node is on zenoh, where it listens and whom it connects to; a client has a link and listens nowhere.
    fn zenoh(&self) -> Result<Links, ConfigError> {
        let mode =
            self.pick("zenoh_mode", ZenohMode::Peer, |l| l.zenoh_mode.as_deref(), checks::zenoh_mode)?;
        let is_client = mode.value == ZenohMode::Client;
        let default_listen = if is_client { Vec::new() } else { vec!["tcp/127.0.0.1:7447".to_owned()] };
        let listen = self.pick("listen", default_listen, |l| l.listen.as_deref(), checks::endpoints)?;
        let connect = self.gather("connect", |l| l.connect.as_deref(), checks::endpoints, with_new)?;
        if is_client && !listen.value.is_empty() {
            let sentence =
                "`listen` is set, and a zenoh client listens nowhere; remove it, or be a `peer` or `router`";
            return Err(self.fault_of(&listen.source, "listen", sentence.to_owned()));
        }
        if is_client && connect.value.is_empty() {
            let sentence = "a zenoh client needs somebody to link to; name a router in `connect`";
            return Err(self.fault_of(&mode.source, "zenoh_mode", sentence.to_owned()));
        }
        Ok((mode, listen, connect))
    }

    fn pick<R: ?Sized, T>(
        &self,
        key: &str,
        default: T,
        raw: fn(&NodeFile) -> Option<&R>,
        check: fn(&str, &R) -> Result<T, Fault>,
    ) -> Result<Setting<T>, ConfigError> {
        let (in_file, given) = self.both(key, raw, check)?;
        Ok(match (given, in_file) {
            (Some(value), _) => Setting { value, source: Source::CommandLine },
            (None, Some(value)) => Setting { value, source: Source::File { path: self.path.to_owned() } },
            (None, None) => Setting { value: default, source: Source::Default },
        })
    }

    /// A list that the command line adds to: to trust one more node must not silence those in the file.
    fn gather<T: Default>(
        &self,
        key: &str,
        raw: fn(&NodeFile) -> Option<&[String]>,
        check: fn(&str, &[String]) -> Result<T, Fault>,
        join: fn(T, T) -> T,
    ) -> Result<Setting<T>, ConfigError> {
        let path = || self.path.to_owned();
        Ok(match self.both(key, raw, check)? {
            (None, None) => Setting { value: T::default(), source: Source::Default },
            (Some(value), None) => Setting { value, source: Source::File { path: path() } },
            (None, Some(value)) => Setting { value, source: Source::CommandLine },
            (Some(in_file), Some(given)) => {
                Setting { value: join(in_file, given), source: Source::FileAndCommandLine { path: path() } }
            }
        })
    }

    /// The flag switches TLS on, and with which certificate is for the file to say.
    fn tls(&self) -> Result<Setting<Tls>, ConfigError> {
        let setting = self.pick("tls", Tls::Off, |l| l.tls.as_ref(), checks::tls)?;
        Ok(match (&self.file.tls, &setting.value) {
            (Some(pair @ Tls::Pair(_)), Tls::Own) => {
                let source = Source::FileAndCommandLine { path: self.path.to_owned() };
                Setting { value: pair.clone(), source }
            }
            _ => setting,
        })
    }

    /// What the file says and what the command line says, each judged by itself.
    fn both<R: ?Sized, T>(
        &self,
        key: &str,
        raw: fn(&NodeFile) -> Option<&R>,
        check: fn(&str, &R) -> Result<T, Fault>,
    ) -> Result<(Option<T>, Option<T>), ConfigError> {
        let checked = |layer| raw(layer).map(|value| check(key, value)).transpose();
        let in_file = checked(&self.file).map_err(|fault| self.fault_in_file(fault))?;
        let given = checked(&self.command_line).map_err(|fault| fault_of_flag(key, fault))?;
        Ok((in_file, given))
    }

    /// What is wrong with a value only beside another one.
    fn fault_of(&self, source: &Source, key: &str, sentence: String) -> ConfigError {
        let fault = Fault { path: key.to_owned(), sentence };
        match source {
            Source::CommandLine => fault_of_flag(key, fault),
            _ => self.fault_in_file(fault),
        }
    }

    fn fault_in_file(&self, fault: Fault) -> ConfigError {
        ron_text::wrong_value(self.path, self.text, &fault.path, fault.sentence)
    }
}

/// A list, and what another one has besides.
fn with_new(mut list: Vec<String>, other: Vec<String>) -> Vec<String> {
    for entry in other {
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
    list
}

/// The nodes of a list and of another one; where both name a node, the other one says how it is reached.
fn other_ways(mut list: Vec<String>, other: Vec<String>) -> Vec<String> {
    let node = |text: &str| PeerSpec::read(text).ok().map(|spec| spec.node);
    list.retain(|entry| !other.iter().any(|new| node(new) == node(entry)));
    list.extend(other);
    list
}

fn fault_of_flag(key: &str, fault: Fault) -> ConfigError {
    let flag = match key {
        "trusted" => "--trust".to_owned(),
        "peers" => "--peer".to_owned(),
        "sensor_interval_ms" => "--sensor-interval".to_owned(),
        key => format!("--{}", key.replace('_', "-")),
    };
    ConfigError::Refused { place: Place::Flag(flag), sentence: fault.sentence }
}

/// The name of the machine as far as it can be the name of a node.
fn machine_name() -> String {
    let name = sysinfo::System::host_name().unwrap_or_default();
    checks::name("name", &name).unwrap_or_else(|_| "node".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: Option<&str>, command_line: NodeFile) -> Result<NodeConfig, String> {
        NodeConfig::resolve(Path::new("node.ron"), text, command_line, "barn")
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_to_dial_has_one_way_which_may_be_dialled() {
        let [one, two] = [1, 2].map(|n| NodeId([n; 32]));
        let given = |peers: &[String]| NodeFile { peers: Some(peers.to_vec()), ..NodeFile::default() };
        let text = format!("(peers: [\"{one}=ws://10.0.0.1:1\", \"{two}=ws://10.0.0.2:1\"])");
        let elsewhere = format!("{one}=ws://10.0.0.9:1");
        let config = resolve(Some(&text), given(std::slice::from_ref(&elsewhere))).unwrap();
        assert_eq!(config.peers.value, [format!("{two}=ws://10.0.0.2:1"), elsewhere]);
        for (bad, why) in [
            (vec![format!("{one}=ws://a:1"), format!("{one}=ws://b:1")], "has already"),
            (vec![format!("{one}=ws://a:1||relay")], "insecure"),
            (vec![format!("{one}=wss://a:1||vpn")], "unpinned"),
            (vec!["barn".to_owned()], "<deviceId>=<url>"),
            (vec![format!("{one}=ftp://a")], "ws://host:port"),
        ] {
            let sentence = resolve(None, given(&bad)).unwrap_err();
            assert!(sentence.contains("--peer") && sentence.contains(why), "{bad:?}: {sentence}");
        }
    }

    #[test]
    fn nothing_said_gives_the_defaults() {
        let config = resolve(None, NodeFile::default()).unwrap();
        assert_eq!(config.name, Setting { value: "barn".into(), source: Source::Default });
        assert_eq!(config.host.value.to_string(), "127.0.0.1");
        assert_eq!((config.port.value, config.hz.value, config.digest_every_ticks.value), (18_789, 50, 50));
        assert_eq!(config.mesh_name.value, "default");
        assert_eq!(config.listen.value, ["tcp/127.0.0.1:7447"]);
        assert!(config.discovery.value && !config.host_sensors.value);
        assert!(config.connect.value.is_empty() && config.trusted.value.is_empty());
        assert_eq!(resolve(Some("()"), NodeFile::default()).unwrap(), config);
    }

    #[test]
    fn the_higher_layer_wins_and_the_value_says_so() {
        let command_line = NodeFile { hz: Some(10), discovery: Some(false), ..NodeFile::default() };
        let config = resolve(Some("(hz: 100, port: 1, name: \"gate\")"), command_line).unwrap();
        let file = || Source::File { path: "node.ron".into() };
        assert_eq!(config.hz, Setting { value: 10, source: Source::CommandLine });
        assert_eq!(config.discovery, Setting { value: false, source: Source::CommandLine });
        assert_eq!(config.port, Setting { value: 1, source: file() });
        assert_eq!(config.name, Setting { value: "gate".into(), source: file() });
        assert_eq!(config.role.source, Source::Default);
    }

    #[test]
    fn a_zenoh_client_has_a_link_and_listens_nowhere() {
        let client = "zenoh_mode: \"client\"";
        let config = resolve(Some(&format!("({client}, connect: [\"tcp/hub:7447\"])")), NodeFile::default());
        let config = config.unwrap();
        assert_eq!((config.zenoh_mode.value, config.listen.value), (ZenohMode::Client, Vec::<String>::new()));
        for (text, expected) in [
            (format!("({client})"), "node.ron:1:2: a zenoh client needs somebody to link to"),
            (
                format!("({client}, connect: [\"tcp/hub:1\"],\n listen: [\"tcp/[::]:1\"])"),
                "node.ron:2:2: `listen` is set, and",
            ),
            (
                "(zenoh_mode: \"mesh\")".to_owned(),
                "node.ron:1:2: `zenoh_mode` is \"mesh\", `peer`, `client` or",
            ),
        ] {
            let error = resolve(Some(&text), NodeFile::default()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let by_flag = NodeFile { zenoh_mode: Some("client".into()), ..NodeFile::default() };
        assert!(resolve(None, by_flag).unwrap_err().starts_with("--zenoh-mode: a zenoh client needs"));
    }

    #[test]
    fn the_flag_switches_tls_on_with_the_certificate_of_the_file() {
        let flag = || NodeFile { tls: Some(Tls::Own), ..NodeFile::default() };
        let tls = |text, given| resolve(Some(text), given).unwrap().tls.value;
        assert_eq!(tls("()", NodeFile::default()), Tls::Off);
        assert_eq!(tls("(tls: true)", NodeFile::default()), Tls::Own);
        assert_eq!(tls("(tls: false)", flag()), Tls::Own);
        let pair = Tls::Pair(tls::Pair { cert: "a.pem".into(), key: "b.pem".into() });
        let text = "(tls: (cert: \"a.pem\", key: \"b.pem\"))";
        assert_eq!(tls(text, NodeFile::default()), pair);
        let config = resolve(Some(text), flag()).unwrap();
        assert_eq!(
            (config.tls.value, config.tls.source.to_string()),
            (pair, "node.ron and command line".into())
        );
        let error = resolve(Some("(tls: (cert: \"a\",\n key: \" \"))"), NodeFile::default()).unwrap_err();
        assert!(error.starts_with("node.ron:2:2: `tls.key` is blank, "), "{error}");
    }

    #[test]
    fn a_wrong_value_is_told_where_it_stands_even_when_covered() {
        let covering = NodeFile { hz: Some(10), ..NodeFile::default() };
        assert_eq!(
            resolve(Some("(\n  hz: 500,\n)"), covering).unwrap_err(),
            "node.ron:2:3: `hz` is 500, it must be 1 to 200"
        );
        let wrong = NodeFile { mesh_name: Some(" ".into()), ..NodeFile::default() };
        assert_eq!(
            resolve(Some("()"), wrong).unwrap_err(),
            "--mesh-name: `mesh_name` is blank, write at least one letter, or remove the key"
        );
        let error = resolve(Some("(\n trusted: [\n  \"ab\",\n ],\n)"), NodeFile::default()).unwrap_err();
        assert!(error.starts_with("node.ron:3:3: `trusted[0]` is \"ab\", "), "{error}");
        let limits = "(limits: (\n envelopes_per_second_max: 0))";
        let error = resolve(Some(limits), NodeFile::default()).unwrap_err();
        assert!(error.starts_with("node.ron:2:2: `limits.envelopes_per_second_max` is 0, "), "{error}");
    }

    #[test]
    fn to_trust_or_connect_on_the_command_line_adds_to_the_file_and_to_listen_replaces() {
        let [pump, gate] = [7, 8].map(|byte| NodeId([byte; 32]));
        let list = |entry: &str| Some(vec![entry.to_owned()]);
        let command_line = NodeFile {
            trusted: Some(vec![gate.to_string(), pump.to_string()]),
            connect: list("tcp/gate:1"),
            listen: list("tcp/127.0.0.1:0"),
            ..NodeFile::default()
        };
        let text = format!("(trusted: [\"{pump}\"], connect: [\"tcp/pump:1\"], listen: [\"tcp/[::]:7447\"])");
        let config = resolve(Some(&text), command_line.clone()).unwrap();
        let both = || Source::FileAndCommandLine { path: "node.ron".into() };
        assert_eq!(config.trusted, Setting { value: [pump, gate].into(), source: both() });
        let endpoints = vec!["tcp/pump:1".to_owned(), "tcp/gate:1".to_owned()];
        assert_eq!(config.connect, Setting { value: endpoints, source: both() });
        assert_eq!(config.connect.source.to_string(), "node.ron and command line");
        assert_eq!(config.listen.value, ["tcp/127.0.0.1:0"]);
        assert_eq!(resolve(Some("()"), command_line).unwrap().trusted.source, Source::CommandLine);
    }

    #[test]
    fn a_wrong_value_on_the_command_line_is_told_under_a_flag_that_there_is() {
        let wrong = NodeFile { trusted: Some(vec!["abc".to_owned()]), ..NodeFile::default() };
        let error = resolve(None, wrong).unwrap_err();
        assert!(error.starts_with("--trust: `trusted[0]` is \"abc\", "), "{error}");
    }

    #[test]
    fn the_file_of_a_state_dir_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        assert!(!NodeConfig::load(&state, NodeFile::default()).unwrap().name.value.is_empty());
        std::fs::write(state.node_file(), "(role: \"field\")").unwrap();
        let config = NodeConfig::load(&state, NodeFile::default()).unwrap();
        assert_eq!(config.role.source, Source::File { path: state.node_file() });
        std::fs::write(state.node_file(), b"(role: \"\xff\")").unwrap();
        let error = NodeConfig::load(&state, NodeFile::default()).unwrap_err().to_string();
        assert!(error.contains("node.ron: the file is not UTF-8"), "{error}");
    }
}
