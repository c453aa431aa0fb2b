//! What an HTTP server has to look at and to answer before it hands a stream over here.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, header};

use crate::origin::TurnedAway;

/// What to answer in `Sec-WebSocket-Accept`, with status 101, to a request for an upgrade.
///
/// # Errors
/// 400 for a request that is none, 426 for another version of WebSocket.
pub fn upgrade_accept(headers: &HeaderMap) -> Result<String, TurnedAway> {
    let names = |name: HeaderName, word: &str| {
        let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    if !names(header::CONNECTION, "upgrade") || !names(header::UPGRADE, "websocket") {
        return Err(TurnedAway::new(400, "this is no request for a WebSocket"));
    }
    if !names(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(TurnedAway::new(426, "WebSocket has version 13 here"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    key.ok_or_else(|| TurnedAway::new(400, "the request has no Sec-WebSocket-Key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_request_for_an_upgrade_is_answered_with_the_key_of_the_standard() {
        let mut asked = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        assert_eq!(upgrade_accept(&asked).as_deref(), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for (missing, status) in
            [("sec-websocket-key", 400), ("sec-websocket-version", 426), ("upgrade", 400)]
        {
            asked.remove(missing);
            assert_eq!(upgrade_accept(&asked).unwrap_err().status, status, "{missing}");
        }
        assert_eq!(upgrade_accept(&headers(&[])).unwrap_err().status, 400);
    }
}
