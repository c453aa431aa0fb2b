//! Nodes that are dialled because somebody said so: `<deviceId>=<url>[|<fingerprint>[|<label>]]`, and over which ways.

use std::fmt;

use clawmesh_authority::{NodeId, ids::IdFault};

use crate::code::quoted;

/// The longest spec, in bytes.
pub const SPEC_BYTES_MAX: usize = 1_024;

/// Labels of ways that do not leave the site; without a label a way counts as one of them.
const LOCAL_LABELS: [&str; 3] = ["lan", "local", "mdns"];

/// A node to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSpec {
    /// Whom to expect there; the id is a full pin of its key.
    pub node: NodeId,
    /// Where.
    pub url: PeerUrl,
    /// The pinned certificate: 64 lower-case hexadecimal digits.
    pub fingerprint: Option<String>,
    /// What people call the way, for example `lan` or `relay`.
    pub label: Option<String>,
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUrl {
    /// True for `wss`.
    pub is_tls: bool,
    /// The host, an IPv6 address without its brackets.
    pub host: String,
    /// The port; `None` means that of the scheme.
    pub port: Option<u16>,
    /// The path with its question, empty or from `/` on.
    pub path: String,
}

/// How well a way is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posture {
    /// In clear.
    Insecure,
    /// Encrypted to whoever answers.
    TlsUnpinned,
    /// Encrypted to the one certificate that is pinned.
    TlsPinned,
}

/// Why a node is not dialled over a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WayRefused {
    /// It leaves the site in clear.
    #[error("insecure: a way that leaves the site needs wss:// and the fingerprint of the certificate")]
    Insecure,
    /// It leaves the site encrypted to whoever answers.
    #[error("unpinned: a way that leaves the site needs the fingerprint of the certificate")]
    Unpinned,
}

/// Why a text is no peer spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerSpecFault {
    /// There is nothing.
    #[error("a peer spec is empty; write <deviceId>=<url>")]
    Empty,
    /// It is too long to be one.
    #[error("a peer spec has at most {SPEC_BYTES_MAX} bytes, this one has {0}")]
    Length(usize),
    /// Nothing parts the id from the address.
    #[error("{0} has no `=` between id and address; write <deviceId>=<url>")]
    NoSeparator(String),
    /// Nothing stands before or after the separator.
    #[error("{0} has no id or no address; write <deviceId>=<url>")]
    OneSided(String),
    /// The id is none.
    #[error("{text} is no device id: {fault}; ask the other node for its id")]
    DeviceId {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        fault: IdFault,
    },
    /// The address is none.
    #[error("{0} is no address; write ws://host:port or wss://host:port")]
    Url(String),
    /// The fingerprint has not 64 hexadecimal digits, so no certificate fits it.
    #[error("the fingerprint of a certificate has 64 hexadecimal digits, this one has {0}")]
    Fingerprint(usize),
    /// There is a fingerprint, and over `ws://` nobody shows a certificate.
    #[error(
        "{0} has a fingerprint, and over ws:// nobody shows a certificate; write wss://, or leave it out"
    )]
    PinInClear(String),
    /// Something stands after the label.
    #[error("{0} has more than id, address, fingerprint and label")]
    TooMany(String),
}

impl PeerSpec {
    /// Reads a spec; blanks around its parts count for nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, PeerSpecFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PeerSpecFault::Empty);
        }
        if text.len() > SPEC_BYTES_MAX {
            return Err(PeerSpecFault::Length(text.len()));
        }
        let separator = if text.contains('=') { '=' } else { '@' };
        let parts = text.split_once(separator).ok_or_else(|| PeerSpecFault::NoSeparator(quoted(text)))?;
        let (id, rest) = (parts.0.trim(), parts.1.trim());
        if id.is_empty() || rest.is_empty() {
            return Err(PeerSpecFault::OneSided(quoted(text)));
        }
        let node = id.parse().map_err(|fault| PeerSpecFault::DeviceId { text: quoted(id), fault })?;
        let mut parts = rest.split('|').map(str::trim);
        let url = PeerUrl::read(parts.next().unwrap_or_default())?;
        let fingerprint = parts.next().filter(|text| !text.is_empty()).map(pin).transpose()?;
        let label = parts.next().filter(|text| !text.is_empty()).map(str::to_owned);
        if parts.next().is_some() {
            return Err(PeerSpecFault::TooMany(quoted(text)));
        }
        if fingerprint.is_some() && !url.is_tls {
            return Err(PeerSpecFault::PinInClear(quoted(text)));
        }
        Ok(Self { node, url, fingerprint, label })
    }

    /// How well the way is protected.
    #[must_use]
    pub fn posture(&self) -> Posture {
        match (self.url.is_tls, &self.fingerprint) {
            (false, _) => Posture::Insecure,
            (true, None) => Posture::TlsUnpinned,
            (true, Some(_)) => Posture::TlsPinned,
        }
    }

    /// True when the label says that the way leaves the site.
    #[must_use]
    pub fn leaves_the_site(&self) -> bool {
        leaves_the_site(self.label.as_deref())
    }

    /// Whether the node may be dialled over this way.
    ///
    /// # Errors
    /// What the way lacks.
    pub fn may_dial(&self) -> Result<(), WayRefused> {
        may_dial(self.label.as_deref(), self.posture())
    }
}

impl PeerUrl {
    /// Reads `ws://`, `wss://`, `http://` or `https://` with a host.
    ///
    /// # Errors
    /// [`PeerSpecFault::Url`]; also for an address with a name and a password in it, which would end up in logs.
    pub fn read(text: &str) -> Result<Self, PeerSpecFault> {
        let fault = || PeerSpecFault::Url(quoted(text));
        let (scheme, rest) = text.split_once("://").ok_or_else(fault)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(fault()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        if text.contains(is_odd) || authority.contains('@') || path.contains('#') {
            return Err(fault());
        }
        let (host, port) = host_and_port(authority).ok_or_else(fault)?;
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        Ok(Self { is_tls, host: host.to_owned(), port, path })
    }
}

/// Written with the schemes of WebSocket, an IPv6 address in brackets.
impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        let is_v6 = self.host.contains(':');
        let (open, close) = if is_v6 { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl Posture {
    /// The name in the answer to `mesh.status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insecure => "insecure",
            Self::TlsUnpinned => "tls-unpinned",
            Self::TlsPinned => "tls-pinned",
        }
    }
}

/// True when a label says that the way leaves the site; a way without one does not.
#[must_use]
pub fn leaves_the_site(label: Option<&str>) -> bool {
    let label = label.map(|label| label.trim().to_lowercase()).filter(|label| !label.is_empty());
    label.is_some_and(|label| !LOCAL_LABELS.contains(&&*label))
}

/// Whether a way with this label may be used, protected like this.
///
/// # Errors
/// What the way lacks.
pub fn may_dial(label: Option<&str>, posture: Posture) -> Result<(), WayRefused> {
    match posture {
        _ if !leaves_the_site(label) => Ok(()),
        Posture::Insecure => Err(WayRefused::Insecure),
        Posture::TlsUnpinned => Err(WayRefused::Unpinned),
        Posture::TlsPinned => Ok(()),
    }
}

/// A fingerprint in the one form that is compared: lower-case hexadecimal digits and nothing else.
#[must_use]
pub fn normal_fingerprint(text: &str) -> String {
    let text = text.trim();
    let has = |prefix: &str| text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let prefix = ["sha256:", "sha-256:"].into_iter().find(|prefix| has(prefix));
    let begin = prefix.map_or(0, str::len);
    text[begin..].chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_lowercase()).collect()
}

/// The fingerprint of a certificate that somebody wrote, in that form.
///
/// # Errors
/// When it has not 64 digits.
pub fn pin(text: &str) -> Result<String, PeerSpecFault> {
    let digits = normal_fingerprint(text);
    if digits.len() == 64 { Ok(digits) } else { Err(PeerSpecFault::Fingerprint(digits.len())) }
}

fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
            (host, is_v6.then_some(rest)?)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) => Some(digits.parse::<u16>().ok().filter(|port| *port != 0)?),
        None => rest.is_empty().then_some(None)?,
    };
    (!host.is_empty() && !host.contains(['[', ']', '\\', '%'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";

    fn read(rest: &str) -> PeerSpec {
        PeerSpec::read(&format!("{ID}={rest}")).unwrap()
    }

    #[test]
    fn a_spec_is_id_address_fingerprint_and_label() {
        let pin = "AB:CD".repeat(16);
        let spec =
            PeerSpec::read(&format!("  {ID} = https://farm.example:8443/mesh | SHA-256:{pin} | Relay "))
                .unwrap();
        assert_eq!(spec.node.to_string(), ID);
        assert_eq!(spec.url.to_string(), "wss://farm.example:8443/mesh");
        assert_eq!(spec.fingerprint, Some("abcd".repeat(16)));
        assert_eq!((spec.label.as_deref(), spec.posture()), (Some("Relay"), Posture::TlsPinned));
        assert_eq!(spec.may_dial(), Ok(()));
        let short = PeerSpec::read(&format!("{ID}@ws://10.0.0.7:18789")).unwrap();
        assert_eq!((short.url.port, short.fingerprint, short.label), (Some(18789), None, None));
        let labelled = read("ws://h||lan");
        assert_eq!((labelled.fingerprint, labelled.label.as_deref()), (None, Some("lan")));
        assert_eq!(read("ws://h/?a=b").url.path, "/?a=b", "the first separator parts");
    }

    #[test]
    fn each_fault_says_what_is_wrong() {
        use PeerSpecFault::*;
        let fault = |text: &str| PeerSpec::read(text).unwrap_err();
        assert_eq!(fault("  "), Empty);
        assert_eq!(fault(&"x".repeat(1_025)), Length(1_025));
        assert!(matches!(fault(ID), NoSeparator(_)));
        for text in [&format!("{ID}="), "=ws://h", &format!("{ID}@"), "@ws://h"] {
            assert!(matches!(fault(text), OneSided(_)), "{text}");
        }
        assert!(matches!(fault("barn=ws://h"), DeviceId { .. }));
        assert_eq!(fault(&format!("{ID}=wss://h|abcd")), Fingerprint(4));
        assert!(matches!(fault(&format!("{ID}=ws://h|||x")), TooMany(_)));
        assert!(matches!(fault(&format!("{ID}=ws://h|{}", "ab".repeat(32))), PinInClear(_)));
        assert!(fault("abba=ws://h").to_string().contains("64 hexadecimal"));
    }

    #[test]
    fn addresses_are_read_and_written_with_brackets_where_they_belong() {
        for (text, written) in [
            ("ws://h", "ws://h"),
            ("HTTP://h:80", "ws://h:80"),
            ("https://h/a?b", "wss://h/a?b"),
            ("ws://[::1]:18789", "ws://[::1]:18789"),
            ("ws://[fe80::1]", "ws://[fe80::1]"),
            ("ws://h?x", "ws://h/?x"),
        ] {
            assert_eq!(PeerUrl::read(text).unwrap().to_string(), written);
        }
        for bad in [
            "",
            "h:1",
            "ftp://h",
            "ws://",
            "ws://:1",
            "ws://h:0",
            "ws://h:65536",
            "ws://h:",
            "ws://::1",
            "ws://[::1",
            "ws://[x]",
            "ws://[::1]x",
            "ws://u:p@h",
            "ws://u@h",
            "ws://a b",
            "ws://h/#x",
            "ws://h\u{7}",
        ] {
            assert!(PeerUrl::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_way_that_leaves_the_site_needs_a_pinned_certificate() {
        let (clear, unpinned, pinned) = (Posture::Insecure, Posture::TlsUnpinned, Posture::TlsPinned);
        for label in [None, Some("lan"), Some("local"), Some("mdns"), Some(" LAN "), Some("")] {
            for posture in [clear, unpinned, pinned] {
                assert_eq!(may_dial(label, posture), Ok(()), "{label:?} {posture:?}");
            }
        }
        for label in ["relay", "vpn", "tailscale", "anything"] {
            assert_eq!(may_dial(Some(label), clear), Err(WayRefused::Insecure));
            assert_eq!(may_dial(Some(label), unpinned), Err(WayRefused::Unpinned));
            assert_eq!(may_dial(Some(label), pinned), Ok(()));
        }
    }

    #[test]
    fn a_fingerprint_has_one_form() {
        for text in ["sha256:AA:bb", "SHA256:aabb", "SHA-256:AA BB", "  aa-bb ", "aAbB"] {
            assert_eq!(normal_fingerprint(text), "aabb", "{text}");
        }
        assert_eq!(normal_fingerprint("sha256:"), "");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}", rest in "(ws|wss)://[\\[\\]:@/a0|é]{0,20}") {
            let _ = PeerSpec::read(&text);
            if let Ok(spec) = PeerSpec::read(&format!("{ID}={rest}")) {
                prop_assert_eq!(PeerUrl::read(&spec.url.to_string()), Ok(spec.url));
            }
            let _ = normal_fingerprint(&text);
        }
    }
}
