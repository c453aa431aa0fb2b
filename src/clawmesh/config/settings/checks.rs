//! Which values make sense. Each check takes the text or number people wrote and gives what the node uses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use clawmesh_authority::NodeId;
use clawmesh_bridge::ZenohMode;
use clawmesh_core::settings::HZ_RANGE;
use clawmesh_wire::connect::CAPABILITY_BYTES_MAX;
use clawmesh_wire::diagnostics::DiagnosticCode;
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire::relay::{CHANNEL, COMMANDS};

use super::Clock;
use super::tls::Tls;

/// The longest name, role or mesh name, in characters: what a node may also say of itself when it is paired.
pub const NAME_CHARACTERS_MAX: usize = clawmesh_authority::pairing::NAME_CHARACTERS_MAX;
/// The most existing nodes that are dialled.
pub const PEERS_MAX: usize = 128;
/// The most entries of `listen`, `connect` or `trusted`.
pub const LIST_ENTRIES_MAX: usize = 1_024;
/// Ticks between two digests.
pub const DIGEST_EVERY_TICKS_RANGE: RangeInclusive<u64> = 1..=1_000_000;
/// Milliseconds between two numbers of the mock sensor: an hour at most.
pub const SENSOR_INTERVAL_MS_RANGE: RangeInclusive<u32> = 100..=3_600_000;
/// The most nodes that can be asked to agree on the time.
pub const CLOCK_AGREES_WITH_MAX: u32 = 64;
/// Envelopes of one peer in a second.
pub const ENVELOPES_PER_SECOND_RANGE: RangeInclusive<u32> = 1..=1_000_000;

/// The most channels whose messages are passed on.
pub const CHANNELS_MAX: usize = 64;

/// Transports with a host and a port.
const NETWORK_TRANSPORTS: &[&str] = &["tcp", "tls", "quic", "udp"];
const SOCKET_TRANSPORT: &str = "unixsock-stream";

/// A value that makes no sense, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, or the entry of a list, for example `trusted[0]`.
    pub path: String,
    /// What is wrong and what would be right.
    pub sentence: String,
}

impl Fault {
    fn new(path: &str, found: &str, rule: &str) -> Self {
        Self { path: path.to_owned(), sentence: format!("`{path}` is {found}, {rule}") }
    }
}

/// Any value is fine.
pub fn any<T: Clone>(_: &str, value: &T) -> Result<T, Fault> {
    Ok(value.clone())
}

/// A name: not blank, not long, nothing that would spoil a terminal.
pub fn name(key: &str, text: &str) -> Result<String, Fault> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Fault::new(key, "blank", "write at least one letter, or remove the key"));
    }
    if trimmed.chars().count() > NAME_CHARACTERS_MAX {
        let rule = format!("at most {NAME_CHARACTERS_MAX} characters are allowed");
        return Err(Fault::new(key, &quoted(trimmed), &rule));
    }
    if trimmed.chars().any(char::is_control) {
        return Err(Fault::new(key, &quoted(trimmed), "control characters are not allowed"));
    }
    Ok(trimmed.to_owned())
}

/// An IP address; names would make start-up depend on a name server.
pub fn host(key: &str, text: &str) -> Result<IpAddr, Fault> {
    let rule = "an IP address is needed, for example 127.0.0.1, or 0.0.0.0 for all networks";
    text.trim().parse().map_err(|_| Fault::new(key, &quoted(text), rule))
}

/// What keeps the clock.
pub fn clock(key: &str, text: &str) -> Result<Clock, Fault> {
    Ok(match text.trim() {
        "kept" => Clock::Kept,
        "none" => Clock::None,
        "believed" => Clock::Believed,
        _ => return Err(Fault::new(key, &quoted(text), "`kept`, `none` or `believed` is needed")),
    })
}

/// How many nodes have to agree on the time; 0 means as many as is usual.
pub fn clock_agrees_with(key: &str, number: &u32) -> Result<u32, Fault> {
    within(key, *number, &(0..=CLOCK_AGREES_WITH_MAX))
}

/// What a node is on zenoh.
pub fn zenoh_mode(key: &str, text: &str) -> Result<ZenohMode, Fault> {
    let found = ZenohMode::ALL.into_iter().find(|mode| mode.as_str() == text.trim());
    found.ok_or_else(|| Fault::new(key, &quoted(text), "`peer`, `client` or `router` is needed"))
}

/// Whether to speak TLS; files of one's own have names.
pub fn tls(key: &str, value: &Tls) -> Result<Tls, Fault> {
    if let Tls::Pair(pair) = value {
        for (part, file) in [("cert", &pair.cert), ("key", &pair.key)] {
            if file.as_os_str().is_empty() || file.to_string_lossy().trim().is_empty() {
                return Err(Fault::new(&format!("{key}.{part}"), "blank", "name a PEM file"));
            }
        }
    }
    Ok(value.clone())
}

/// Ticks per second.
pub fn hz(key: &str, value: &u32) -> Result<u32, Fault> {
    within(key, *value, &HZ_RANGE)
}

/// Milliseconds between two numbers of the mock sensor.
pub fn sensor_interval_ms(key: &str, value: &u32) -> Result<u32, Fault> {
    within(key, *value, &SENSOR_INTERVAL_MS_RANGE)
}

/// Ticks between two digests.
pub fn digest_every_ticks(key: &str, value: &u64) -> Result<u64, Fault> {
    within(key, *value, &DIGEST_EVERY_TICKS_RANGE)
}

/// Envelopes of one peer in a second.
pub fn envelopes_per_second(key: &str, value: &u32) -> Result<u32, Fault> {
    within(key, *value, &ENVELOPES_PER_SECOND_RANGE)
}

/// Endpoints such as `tcp/10.0.0.7:7447`, each once.
pub fn endpoints(key: &str, texts: &[String]) -> Result<Vec<String>, Fault> {
    list(key, texts, |text| endpoint_fault(text).map_or_else(|| Ok(text.to_owned()), Err))
}

/// Existing nodes to dial, each once, over a way that may be dialled: one that leaves the site needs TLS and a pin.
pub fn peers(key: &str, texts: &[String]) -> Result<Vec<String>, Fault> {
    if texts.len() > PEERS_MAX {
        let rule = format!("at most {PEERS_MAX} are dialled");
        return Err(Fault::new(key, &format!("a list of {} entries", texts.len()), &rule));
    }
    let specs = list(key, texts, |text| {
        let invalid = DiagnosticCode::InvalidPeerUrl.as_str();
        let spec = PeerSpec::read(text).map_err(|fault| format!("and {fault} ({invalid})"))?;
        spec.may_dial().map_err(|way| format!("{way} ({})", DiagnosticCode::from(way).as_str()))?;
        Ok(ByNode(spec, text.to_owned()))
    })?;
    Ok(specs.into_iter().map(|ByNode(_, text)| text).collect())
}

/// Channels, each once and by its whole name: a pattern would let through what nobody has thought of.
pub fn channels(key: &str, texts: &[String]) -> Result<Vec<String>, Fault> {
    if texts.len() > CHANNELS_MAX {
        let rule = format!("at most {CHANNELS_MAX} are passed on");
        return Err(Fault::new(key, &format!("a list of {} entries", texts.len()), &rule));
    }
    list(key, texts, |text| {
        let name = text.strip_prefix(CHANNEL).unwrap_or_default();
        let is_name =
            !name.is_empty() && !name.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control());
        if !is_name || text.len() > CAPABILITY_BYTES_MAX {
            return Err("a channel is written by its whole name, for example channel:ops".to_owned());
        }
        if name == COMMANDS {
            return Err("the channel of commands, which is never passed on; remove it".to_owned());
        }
        Ok(text.to_owned())
    })
}

/// Two ways to one node are one too many.
struct ByNode(PeerSpec, String);

impl PartialEq for ByNode {
    fn eq(&self, other: &Self) -> bool {
        self.0.node == other.0.node
    }
}

/// Node ids, each once.
pub fn node_ids(key: &str, texts: &[String]) -> Result<BTreeSet<NodeId>, Fault> {
    let ids = list(key, texts, |text| {
        text.parse().map_err(|fault| format!("{fault}; `clawmesh identity` on that node prints its id"))
    })?;
    Ok(ids.into_iter().collect())
}

fn list<T: PartialEq>(
    key: &str,
    texts: &[String],
    check: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Fault> {
    if texts.len() > LIST_ENTRIES_MAX {
        let rule = format!("at most {LIST_ENTRIES_MAX} are allowed");
        return Err(Fault::new(key, &format!("a list of {} entries", texts.len()), &rule));
    }
    let mut values = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let fault = |rule: &str| Fault::new(&format!("{key}[{index}]"), &quoted(text), rule);
        let value = check(text.trim()).map_err(|rule| fault(&rule))?;
        if values.contains(&value) {
            return Err(fault("which the list has already; remove one"));
        }
        values.push(value);
    }
    Ok(values)
}

fn within<N: PartialOrd + std::fmt::Display>(
    key: &str,
    value: N,
    range: &RangeInclusive<N>,
) -> Result<N, Fault> {
    if range.contains(&value) {
        return Ok(value);
    }
    let rule = format!("it must be {} to {}", range.start(), range.end());
    Err(Fault::new(key, &value.to_string(), &rule))
}

fn endpoint_fault(text: &str) -> Option<String> {
    let shape = || {
        let networks = NETWORK_TRANSPORTS.join("/, ");
        Some(format!("an endpoint is written tcp/host:port ({networks}/), or {SOCKET_TRANSPORT}/path"))
    };
    // What zenoh reads behind `?` and `#` includes the security of the link, which is ours to set.
    if text.contains(['?', '#']) {
        return Some("an endpoint cannot carry settings of its own (`?`, `#`)".to_owned());
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return shape();
    }
    match text.split_once('/') {
        Some((SOCKET_TRANSPORT, path)) if !path.is_empty() => None,
        Some((transport, address)) if NETWORK_TRANSPORTS.contains(&transport) => match port_of(address) {
            Some(_) => None,
            None => shape(),
        },
        _ => shape(),
    }
}

fn port_of(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_fine = match bracketed {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(['[', ']', ':', '/']),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    (host_is_fine && digits).then(|| port.parse().ok())?
}

/// The value as it can be shown: escaped, and not longer than a line.
fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sentence<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        result.unwrap_err().sentence
    }

    #[test]
    fn a_number_outside_its_range_is_told_with_the_range() {
        assert_eq!(hz("hz", &200), Ok(200));
        assert_eq!(sentence(hz("hz", &0)), "`hz` is 0, it must be 1 to 200");
        assert_eq!(sentence(hz("hz", &201)), "`hz` is 201, it must be 1 to 200");
        for (interval_ms, is_fine) in [(99, false), (100, true), (3_600_000, true), (3_600_001, false)] {
            assert_eq!(
                sensor_interval_ms("sensor_interval_ms", &interval_ms).is_ok(),
                is_fine,
                "{interval_ms}"
            );
        }
        assert!(digest_every_ticks("digest_every_ticks", &0).is_err());
        assert!(envelopes_per_second("limits.envelopes_per_second_max", &0).is_err());
    }

    #[test]
    fn a_name_is_short_and_can_be_printed() {
        assert_eq!(name("name", "  barn ").unwrap(), "barn");
        assert!(name("name", &"é".repeat(64)).is_ok());
        assert!(sentence(name("mesh_name", " ")).starts_with("`mesh_name` is blank, "));
        assert!(sentence(name("name", &"é".repeat(65))).contains("at most 64 characters"));
        assert_eq!(
            sentence(name("role", "a\u{1b}[2J")),
            "`role` is \"a\\u{1b}[2J\", control characters are not allowed"
        );
        assert!(sentence(name("name", &"x".repeat(1_000_000))).len() < 200);
    }

    #[test]
    fn the_host_is_an_address() {
        assert_eq!(host("host", "::1").unwrap().to_string(), "::1");
        assert!(sentence(host("host", "localhost")).starts_with("`host` is \"localhost\", "));
    }

    #[test]
    fn endpoints_look_like_endpoints() {
        for good in [
            "tcp/127.0.0.1:7447",
            "tls/barn.local:7447",
            "quic/[::1]:0",
            "udp/[fe80::1]:65535",
            "unixsock-stream/run/clawmesh.sock",
        ] {
            assert_eq!(endpoint_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "tcp",
            "tcp/",
            "tcp/:7447",
            "tcp/host",
            "tcp/host:",
            "tcp/host:65536",
            "tcp/host:+1",
            "tcp/::1:7447",
            "tcp/[x]:1",
            "tcp/a b:1",
            "http/host:1",
            "TCP/host:1",
            "127.0.0.1:7447",
            "tcp://host:1",
            "unixsock-stream/",
            "tls/host:1#verify_name_on_connect=false",
            "tcp/host:1?rel=0",
        ] {
            assert!(endpoint_fault(bad).is_some(), "{bad}");
        }
        let list = ["tcp/a:1".to_owned(), "tcp:b".to_owned()];
        let fault = endpoints("connect", &list).unwrap_err();
        assert_eq!(fault.path, "connect[1]");
        assert_eq!(
            fault.sentence,
            "`connect[1]` is \"tcp:b\", an endpoint is written tcp/host:port (tcp/, tls/, quic/, udp/), \
             or unixsock-stream/path"
        );
    }

    #[test]
    fn channels_to_pass_on_are_written_by_their_whole_names() {
        let read = |text: &str| channels("relay", &[text.to_owned()]);
        assert_eq!(read("channel:ops"), Ok(vec!["channel:ops".to_owned()]));
        for bad in [
            "ops",
            "channel:",
            "channel:*",
            "channel:ops:*",
            "channel:o ps",
            "channel:clawmesh",
            "actuator:pump",
            "",
        ] {
            assert_eq!(read(bad).unwrap_err().path, "relay[0]", "{bad}");
        }
        assert!(read(&format!("channel:{}", "x".repeat(200))).is_err());
        let twice = vec!["channel:ops".to_owned(); 2];
        assert!(sentence(channels("relay", &twice)).contains("already"));
        assert!(sentence(channels("relay", &vec![String::new(); 65])).contains("at most 64"));
    }

    #[test]
    fn node_ids_are_checked_one_by_one() {
        let good = NodeId([7; 32]).to_string();
        assert_eq!(node_ids("trusted", std::slice::from_ref(&good)), Ok(BTreeSet::from([NodeId([7; 32])])));
        let fault = node_ids("trusted", &[good.clone(), "abc".into()]).unwrap_err();
        assert_eq!(fault.path, "trusted[1]");
        assert_eq!(
            fault.sentence,
            "`trusted[1]` is \"abc\", an id has 64 hexadecimal characters, this one has 3; \
             `clawmesh identity` on that node prints its id"
        );
        assert!(sentence(node_ids("trusted", &[good.clone(), good])).contains("already"));
        assert!(sentence(node_ids("trusted", &vec![String::new(); 1_025])).contains("at most 1024"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}|(tcp|tls|unixsock-stream)/[\\[\\]:.a-z0-9/]{0,30}") {
            let _ = (name("k", &text), host("k", &text));
            let _ = endpoints("k", std::slice::from_ref(&text));
            let _ = node_ids("k", &[text]);
        }
    }
}
