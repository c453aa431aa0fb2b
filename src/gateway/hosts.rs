//! By which names this node may be called. A page of somebody else can make a browser send requests here under
//! a name of its own (DNS rebinding); it cannot make the browser send one of these.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// What the origin of a page begins with that came the same way.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }

    /// The port that is not written.
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The names and the port of the door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hosts(SocketAddr);

impl Hosts {
    pub(crate) fn of(bound: SocketAddr) -> Self {
        Self(bound)
    }

    /// True for `localhost`, a loopback address or the bound address, with our port.
    pub(crate) fn allow(self, host: &str, scheme: Scheme) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let has_user = host.contains('@');
        let port = if authority.port().is_some() { authority.port_u16() } else { Some(scheme.port()) };
        !has_user && port == Some(self.0.port()) && self.allow_name(authority.host())
    }

    fn allow_name(self, name: &str) -> bool {
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok_and(|ip| self.allow_address(ip))
    }

    /// Bound to all interfaces we cannot know our addresses; an address, unlike a name, cannot be rebound.
    fn allow_address(self, ip: IpAddr) -> bool {
        let own = self.0.ip();
        let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
        own.is_unspecified() || own == ip || loopback.contains(&ip)
    }

    /// The names, for a sentence.
    pub(crate) fn in_words(self) -> String {
        let port = self.0.port();
        let own = self.0.ip();
        let more = if own.is_unspecified() {
            ", or any address of this machine with that port".to_owned()
        } else if own.is_loopback() {
            String::new()
        } else {
            format!(", {}", self.0)
        };
        format!("localhost:{port}, 127.0.0.1:{port}, [::1]:{port}{more}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(bound: &str) -> Hosts {
        Hosts::of(bound.parse().unwrap())
    }

    #[test]
    fn the_loopback_names_and_the_bound_address_are_ours_with_the_port() {
        let hosts = hosts("192.168.4.7:18789");
        for good in
            ["localhost:18789", "LocalHost:18789", "127.0.0.1:18789", "[::1]:18789", "192.168.4.7:18789"]
        {
            assert!(hosts.allow(good, Scheme::Http) && hosts.allow(good, Scheme::Https), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "localhost:80",
            "evil.example:18789",
            "127.0.0.1.evil.example:18789",
            "localhost@evil.example:18789",
            "evil@localhost:18789",
            "192.168.4.8:18789",
            "127.0.0.1:99999",
            "127.0.0.1:",
            "[::1:18789",
            "local host:18789",
        ] {
            assert!(!hosts.allow(bad, Scheme::Http), "{bad}");
        }
        assert!(hosts.in_words().ends_with("192.168.4.7:18789"));
    }

    #[test]
    fn the_port_of_the_scheme_may_be_left_out() {
        for (bound, http, https) in [("127.0.0.1:80", true, false), ("127.0.0.1:443", false, true)] {
            let hosts = hosts(bound);
            assert_eq!(hosts.allow("localhost", Scheme::Http), http);
            assert_eq!(hosts.allow("localhost", Scheme::Https), https);
        }
    }

    #[test]
    fn bound_to_all_interfaces_any_address_but_no_name_is_ours() {
        let hosts = hosts("0.0.0.0:18789");
        assert!(hosts.allow("10.1.2.3:18789", Scheme::Http) && hosts.allow("[fe80::1]:18789", Scheme::Https));
        assert!(!hosts.allow("node.example:18789", Scheme::Https));
    }
}
