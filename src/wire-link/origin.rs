//! Who asks for an upgrade: a program with the operator token, a program on this machine, a web page, or anybody.
//!
//! A web page can make a browser on this machine connect, so the page's origin decides, before anything is upgraded. A page
//! that has bent its own name to this machine (DNS rebinding) sends that name as origin and as host, so only literal
//! loopback names count as this machine.

use std::net::SocketAddr;

use clawmesh_wire::access::Caller;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, header};

/// The longest header that is read, in bytes.
const HEADER_BYTES_MAX: usize = 1_024;

/// What an upgrade request says about whoever asks.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Head {
    host: Option<String>,
    origin: Option<String>,
    token: Option<String>,
    is_unreadable: bool,
}

/// Why an upgrade was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct TurnedAway {
    /// The HTTP status to answer with.
    pub status: u16,
    /// What is wrong and what to do.
    pub sentence: String,
}

impl TurnedAway {
    pub(crate) fn new(status: u16, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into() }
    }
}

/// Says nothing about the token.
impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").field("host", &self.host).field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Head {
    /// Reads the headers of an upgrade request.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut is_unreadable = false;
        let mut one = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            let first = values.next()?;
            let text = first.to_str().ok().filter(|text| text.len() <= HEADER_BYTES_MAX);
            // Of two, or of what is no text, another reader might see something else than we do.
            is_unreadable |= values.next().is_some() || text.is_none();
            text.map(str::to_owned)
        };
        let (host, origin) = (one(header::HOST), one(header::ORIGIN));
        let authorization = one(header::AUTHORIZATION);
        let token = authorization.as_deref().map(bearer_token);
        is_unreadable |= token == Some(None);
        Self { host, origin, token: token.flatten().map(str::to_owned), is_unreadable }
    }

    /// True when whoever asks shows a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Who it is before any handshake.
    ///
    /// # Errors
    /// The status and the sentence with which the upgrade is refused.
    pub(crate) fn judge(
        &self,
        from: SocketAddr,
        allowed_origins: &[String],
        is_operator_token: impl FnOnce(&str) -> bool,
    ) -> Result<Caller, TurnedAway> {
        if self.is_unreadable {
            let sentence = "a header of the request is malformed or stands there twice";
            return Err(TurnedAway::new(400, sentence));
        }
        if let Some(origin) = &self.origin
            && !self.is_welcome_page(origin, from, allowed_origins)
        {
            let sentence = "this web page may not connect; allow its origin in the settings of the node";
            return Err(TurnedAway::new(403, sentence));
        }
        if let Some(token) = &self.token {
            if is_operator_token(token) {
                return Ok(Caller::Operator);
            }
            return Err(TurnedAway::new(401, "this is not the operator token of this node"));
        }
        let is_program_here = self.origin.is_none() && is_loopback(from) && self.names_this_machine();
        Ok(if is_program_here { Caller::Local } else { Caller::Stranger })
    }

    fn is_welcome_page(&self, origin: &str, from: SocketAddr, allowed_origins: &[String]) -> bool {
        let Some(origin) = Place::of_origin(origin) else { return false };
        if allowed_origins.iter().filter_map(|allowed| Place::of_origin(allowed)).any(|place| place == origin)
        {
            return true;
        }
        // A page that we have served ourselves, to a browser on this machine.
        let host = self.host.as_deref().and_then(|host| Place::of_host(host, &origin.scheme));
        is_loopback(from) && is_this_machine(&origin.host) && host.as_ref() == Some(&origin)
    }

    fn names_this_machine(&self) -> bool {
        let Some(host) = &self.host else { return true };
        Place::of_host(host, "http").is_some_and(|place| is_this_machine(&place.host))
    }
}

/// True for an address of this machine alone.
pub(crate) fn is_loopback(from: SocketAddr) -> bool {
    from.ip().to_canonical().is_loopback()
}

fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A scheme, a host and a port.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    scheme: String,
    host: String,
    port: u16,
}

impl Place {
    fn of_origin(text: &str) -> Option<Self> {
        let (scheme, authority) = text.trim().split_once("://")?;
        Self::of_host(authority, &scheme.to_ascii_lowercase())
    }

    fn of_host(authority: &str, scheme: &str) -> Option<Self> {
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let authority = authority.trim().to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host.to_owned(), port.parse().ok()?),
            _ => (authority, default_port),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        let is_v6 = host.starts_with('[') && host.ends_with(']');
        (!host.is_empty() && host.chars().all(is_host) && (is_v6 || !host.contains([':', '[', ']'])))
            .then(|| Self { scheme: scheme.to_owned(), host, port })
    }
}

/// True for names that always mean the machine that uses them.
fn is_this_machine(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(pairs: &[(&str, &str)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        Head::of(&headers)
    }

    fn judged(from: &str, pairs: &[(&str, &str)]) -> Result<Caller, u16> {
        let allowed = ["https://farm.example".to_owned(), "http://10.0.0.5:3000".to_owned()];
        let from = format!("{from}:5000").parse().unwrap();
        head(pairs).judge(from, &allowed, |token| token == "right").map_err(|turned| turned.status)
    }

    #[test]
    fn a_program_here_may_look_one_with_the_token_is_an_operator_and_all_others_are_strangers() {
        assert_eq!(judged("127.0.0.1", &[("host", "localhost:18789")]), Ok(Caller::Local));
        assert_eq!(judged("[::1]", &[("host", "[::1]:18789")]), Ok(Caller::Local));
        assert_eq!(judged("[::ffff:127.0.0.1]", &[("host", "127.0.0.1:18789")]), Ok(Caller::Local));
        assert_eq!(judged("10.0.0.9", &[("host", "localhost:18789")]), Ok(Caller::Stranger));
        assert_eq!(judged("127.0.0.1", &[("host", "evil.example:18789")]), Ok(Caller::Stranger));
        for from in ["127.0.0.1", "10.0.0.9"] {
            assert_eq!(judged(from, &[("authorization", "Bearer right")]), Ok(Caller::Operator));
            assert_eq!(judged(from, &[("authorization", "Bearer wrong")]), Err(401));
            assert_eq!(judged(from, &[("authorization", "Basic right")]), Err(400));
        }
    }

    #[test]
    fn a_web_page_connects_only_from_an_allowed_origin_or_from_our_own_page_on_this_machine() {
        let page = |from, host, origin| judged(from, &[("host", host), ("origin", origin)]);
        assert_eq!(page("127.0.0.1", "localhost:18789", "http://localhost:18789"), Ok(Caller::Stranger));
        assert_eq!(page("[::1]", "[::1]:18789", "http://[::1]:18789"), Ok(Caller::Stranger));
        assert_eq!(page("127.0.0.1", "localhost:18789", "https://localhost:18789"), Ok(Caller::Stranger));
        assert_eq!(page("127.0.0.1", "localhost", "https://localhost:443"), Ok(Caller::Stranger));
        assert_eq!(page("10.0.0.9", "node:18789", "https://farm.example"), Ok(Caller::Stranger));
        assert_eq!(page("10.0.0.9", "node:18789", "HTTPS://FARM.example:443"), Ok(Caller::Stranger));
        for (from, host, origin) in [
            ("127.0.0.1", "localhost:18789", "https://evil.example"),
            ("127.0.0.1", "localhost:18789", "http://localhost:3000"),
            ("127.0.0.1", "localhost:18789", "https://localhost:18790"),
            ("127.0.0.1", "localhost:18789", "null"),
            ("127.0.0.1", "localhost:18789", "http://localhost.evil.example:18789"),
            ("127.0.0.1", "127.0.0.1.evil.example", "http://127.0.0.1.evil.example"),
            ("10.0.0.9", "localhost:18789", "http://localhost:18789"),
            ("10.0.0.9", "node:18789", "http://farm.example"),
            ("10.0.0.9", "node:18789", "https://farm.example.evil"),
        ] {
            assert_eq!(page(from, host, origin), Err(403), "{from} {host} {origin}");
        }
    }

    #[test]
    fn a_page_that_bends_its_own_name_to_this_machine_is_refused() {
        let rebound = [("host", "evil.example:18789"), ("origin", "http://evil.example:18789")];
        assert_eq!(judged("127.0.0.1", &rebound), Err(403));
    }

    #[test]
    fn the_token_does_not_open_the_door_for_a_page_from_elsewhere() {
        let page = [("origin", "https://evil.example"), ("authorization", "Bearer right")];
        assert_eq!(judged("127.0.0.1", &page), Err(403));
        let allowed = [("origin", "https://farm.example"), ("authorization", "bearer right")];
        assert_eq!(judged("10.0.0.9", &allowed), Ok(Caller::Operator));
    }

    #[test]
    fn headers_that_stand_twice_are_refused_and_the_token_is_never_shown() {
        for name in ["origin", "host", "authorization"] {
            let value = if name == "authorization" { "Bearer right" } else { "localhost" };
            assert_eq!(judged("127.0.0.1", &[(name, value), (name, value)]), Err(400), "{name}");
        }
        let shown = format!("{:?}", head(&[("authorization", "Bearer right"), ("host", "h")]));
        assert!(!shown.contains("right") && shown.contains('h'), "{shown}");
    }

    proptest! {
        #[test]
        fn no_header_panics_or_makes_a_stranger_an_operator(host in "[ -~]{0,24}", origin in "[ -~]{0,24}") {
            let found = judged("127.0.0.1", &[("host", &host), ("origin", &origin)]);
            prop_assert!(found != Ok(Caller::Operator) && found != Ok(Caller::Local), "{found:?}");
        }
    }
}
