//! What a connection is carried by, its bounds, and its last words.

use clawmesh_wire::frame::MESSAGE_BYTES_MAX;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

use crate::host::Why;
use crate::link::Link;

/// How much is read at once, in bytes: little, because most connections are idle most of the time.
const READ_BYTES: usize = 4_096;
/// How much is gathered before it is written, in bytes.
const WRITE_BYTES: usize = 16_384;

/// What carries bytes: a TCP stream, TLS over one, or what the gateway hands over.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// A connection after its upgrade.
pub(crate) type Socket = WebSocketStream<Box<dyn Carrier>>;

/// The largest message that is taken in, so that one that is too large for the protocol is refused and not the connection ended.
const RECEIVED_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// The bounds of a connection.
pub(crate) fn bounds() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_write_buffer_size(4 * MESSAGE_BYTES_MAX)
        .max_message_size(Some(RECEIVED_BYTES_MAX))
        .max_frame_size(Some(RECEIVED_BYTES_MAX))
}

/// Writes what still waits, closes, and takes what is on its way.
pub(crate) async fn goodbye(socket: &mut Socket, link: &Link, why: &Why) {
    if !matches!(why, Why::TooSlow | Why::Broken(_) | Why::Silent) {
        while let Some(text) = link.pop() {
            if socket.feed(Message::Text(text)).await.is_err() {
                return;
            }
        }
    }
    let frame = CloseFrame { code: why.close_code().into(), reason: close_reason(why).into() };
    if socket.close(Some(frame)).await.is_ok() {
        // A connection that is dropped with something unread is reset, and the other side would not see the reason.
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// The reason in a close frame has at most 123 bytes.
fn close_reason(why: &Why) -> String {
    let mut reason = why.to_string();
    let end = (0..=reason.len().min(120)).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
    reason.truncate(end);
    reason
}

/// Why a connection has ended that has failed like this.
pub(crate) fn why_of(fault: &Error) -> Why {
    match fault {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Why::TooLarge,
        Error::ConnectionClosed | Error::AlreadyClosed => Why::Closed("without a reason".to_owned()),
        other => Why::Broken(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_a_close_frame_and_ends_between_two_characters() {
        let reason = close_reason(&Why::NoHandshake("ü".repeat(300)));
        assert!(reason.len() <= 123 && reason.chars().all(|c| c == 'ü'), "{reason}");
        assert_eq!(close_reason(&Why::Leaving), "peer leaving");
    }
}
