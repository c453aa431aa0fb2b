//! How a connection speaks, by its first byte: TLS where this node shows a certificate; in clear only from this machine then.
//!
//! The handshake is part of the first read, so only the connection itself waits for it, and whoever is impatient with the
//! connection ends it too.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::answer::RefusedRequests;
use crate::places::{Caps, Place, Places};

/// The first byte of every TLS connection, a handshake record; no method of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// How many may be before the end of their handshake, well below how many may be connected: who knows how to speak here finds a
/// place.
const SHAKING: Caps = Caps { local: 256, elsewhere: 256, per_address: 64 };

/// Codes under which connections are counted that were ended before a request.
const TLS_REQUIRED: &str = "TLS_REQUIRED";
const TLS_FAILED: &str = "TLS_FAILED";
const TLS_BUSY: &str = "TLS_BUSY";

/// What a listener needs to take TLS.
pub(crate) struct TlsTerms {
    acceptor: TlsAcceptor,
    shaking: Places,
    refused: Arc<RefusedRequests>,
}

impl TlsTerms {
    pub(crate) fn new(config: Arc<ServerConfig>, refused: Arc<RefusedRequests>) -> Self {
        Self { acceptor: TlsAcceptor::from(config), shaking: Places::of(SHAKING), refused }
    }

    /// Takes a connection from `from` that came in at our address `to`; `None` when too many have not finished their handshake.
    pub(crate) fn take<S>(&self, stream: S, from: SocketAddr, to: Option<IpAddr>) -> Option<Secured<S>> {
        let Some(place) = self.shaking.enter(from.ip()) else {
            self.refused.count(TLS_BUSY);
            tracing::debug!(%from, "a connection was closed: too many of its address have not finished TLS");
            return None;
        };
        let unknown = Unknown {
            acceptor: self.acceptor.clone(),
            may_be_plain: is_this_machine(from.ip(), to),
            refused: Arc::clone(&self.refused),
            _place: place,
        };
        Some(Secured { stage: Stage::Silent { stream, unknown }, is_tls: Arc::default() })
    }
}

/// True for a connection that cannot have come over a network: from loopback, or from the very address it came to, which the
/// system takes from nobody else.
fn is_this_machine(from: IpAddr, to: Option<IpAddr>) -> bool {
    let from = from.to_canonical();
    from.is_loopback() || to.is_some_and(|to| to.to_canonical() == from)
}

/// What the first byte of a connection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Tls,
    Plain,
    Refused,
}

fn opening(first: u8, may_be_plain: bool) -> Opening {
    match first {
        TLS_HANDSHAKE => Opening::Tls,
        _ if may_be_plain => Opening::Plain,
        _ => Opening::Refused,
    }
}

/// A connection that speaks TLS or plain HTTP, or has not said yet which.
pub(crate) struct Secured<S> {
    stage: Stage<S>,
    is_tls: Arc<AtomicBool>,
}

enum Stage<S> {
    Silent { stream: S, unknown: Unknown },
    Shaking { accept: Box<Accept<Begun<S>>>, unknown: Unknown },
    Tls(Box<TlsStream<Begun<S>>>),
    Plain(Begun<S>),
    Over,
}

/// What is to be known of a connection until it is known how it speaks.
struct Unknown {
    acceptor: TlsAcceptor,
    may_be_plain: bool,
    refused: Arc<RefusedRequests>,
    _place: Place,
}

impl<S> Secured<S> {
    /// A connection to a node without TLS.
    pub(crate) fn plain(stream: S) -> Self {
        Self { stage: Stage::Plain(Begun { first: None, inner: stream }), is_tls: Arc::default() }
    }

    /// Whether it speaks TLS, known from the first byte that is read.
    pub(crate) fn is_tls(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_tls)
    }
}

/// Who goes away, or is sent away, in the middle of a handshake is counted.
impl<S> Drop for Secured<S> {
    fn drop(&mut self) {
        if let Stage::Shaking { unknown, .. } = &self.stage {
            unknown.refused.count(TLS_FAILED);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Secured<S> {
    /// Ready once it is known how the connection speaks.
    fn poll_known(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let next = match &mut self.stage {
                Stage::Tls(_) | Stage::Plain(_) => return Poll::Ready(Ok(())),
                Stage::Over => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
                Stage::Silent { stream, .. } => {
                    let mut byte = [0];
                    let mut buffer = ReadBuf::new(&mut byte);
                    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
                    let first = buffer.filled().first().copied();
                    self.opened(first)?
                }
                Stage::Shaking { accept, unknown } => match ready!(Pin::new(accept).poll(cx)) {
                    Ok(stream) => {
                        self.is_tls.store(true, Ordering::Relaxed);
                        Stage::Tls(Box::new(stream))
                    }
                    Err(fault) => {
                        unknown.refused.count(TLS_FAILED);
                        self.stage = Stage::Over;
                        return Poll::Ready(Err(fault));
                    }
                },
            };
            self.stage = next;
        }
    }

    /// The stage after the first byte; without one nobody says anything.
    fn opened(&mut self, first: Option<u8>) -> io::Result<Stage<S>> {
        let Stage::Silent { stream, unknown } = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let begun = Begun { first, inner: stream };
        Ok(match first.map_or(Opening::Plain, |first| opening(first, unknown.may_be_plain)) {
            Opening::Plain => Stage::Plain(begun),
            Opening::Tls => Stage::Shaking { accept: Box::new(unknown.acceptor.accept(begun)), unknown },
            Opening::Refused => {
                unknown.refused.count(TLS_REQUIRED);
                return Err(io::Error::other("plain HTTP from another machine, where only TLS is spoken"));
            }
        })
    }
}

/// A stream whose first byte was looked at.
struct Begun<S> {
    first: Option<u8>,
    inner: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_known(cx))?;
        match &mut self.stage {
            Stage::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stage::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_known(cx))?;
        match &mut self.stage {
            Stage::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stage::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_known(cx))?;
        match &mut self.stage {
            Stage::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stage::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Asked for before it is known how the connection speaks; both ways take several slices at once.
    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Before it is known how the connection speaks, nothing is to be flushed.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stage {
            Stage::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stage::Plain(stream) => Pin::new(stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stage {
            Stage::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stage::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stage::Silent { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            // To be dropped is the end of a handshake.
            Stage::Shaking { .. } | Stage::Over => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    fn terms() -> TlsTerms {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        TlsTerms::new(Arc::new(config), Arc::default())
    }

    /// What becomes of `said` on a connection from there to `to`, and what was counted.
    async fn heard(from: &str, to: &str, said: &[u8]) -> (io::Result<Vec<u8>>, Vec<String>) {
        let terms = terms();
        let (mut client, server) = duplex(64);
        let from = SocketAddr::new(from.parse().unwrap(), 5_000);
        let mut server = terms.take(server, from, Some(to.parse().unwrap())).unwrap();
        client.write_all(said).await.unwrap();
        drop(client);
        let mut all = Vec::new();
        let outcome = server.read_to_end(&mut all).await.map(|_| all);
        (outcome, terms.refused.by_code().into_keys().collect())
    }

    #[tokio::test]
    async fn plain_http_is_heard_from_this_machine_and_refused_and_counted_from_any_other() {
        for (from, to) in
            [("127.0.0.1", "127.0.0.1"), ("::ffff:127.0.0.1", "::1"), ("192.0.2.7", "::ffff:192.0.2.7")]
        {
            let (heard, refused) = heard(from, to, b"GET / HTTP/1.1\r\n\r\n").await;
            assert_eq!(heard.unwrap(), b"GET / HTTP/1.1\r\n\r\n", "{from}");
            assert!(refused.is_empty(), "{refused:?}");
        }
        for from in ["192.0.2.8", "2001:db8::1"] {
            let (heard, refused) = heard(from, "192.0.2.7", b"GET / HTTP/1.1\r\n\r\n").await;
            assert!(heard.is_err() && refused == [TLS_REQUIRED], "{from}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn what_begins_like_tls_and_is_none_is_counted_also_when_it_stalls() {
        for said in [&b"\x16\x03\x01"[..], b"\x16GET / HTTP/1.1\r\n\r\n"] {
            let (heard, refused) = heard("127.0.0.1", "127.0.0.1", said).await;
            assert!(heard.is_err() && refused == [TLS_FAILED], "{refused:?}");
        }
        let terms = terms();
        let (mut client, server) = duplex(64);
        let from = SocketAddr::from(([192, 0, 2, 8], 5_000));
        let mut server = terms.take(server, from, None).unwrap();
        client.write_all(b"\x16\x03").await.unwrap();
        let mut byte = [0];
        tokio::select! {
            biased;
            outcome = server.read(&mut byte) => panic!("{outcome:?}"),
            () = tokio::task::yield_now() => {}
        }
        drop(server);
        assert_eq!(terms.refused.by_code().into_keys().collect::<Vec<_>>(), [TLS_FAILED]);
    }

    #[tokio::test]
    async fn an_address_with_too_many_open_handshakes_is_closed_at_once_and_counted() {
        let terms = terms();
        let from = SocketAddr::from(([192, 0, 2, 8], 5_000));
        let held: Vec<_> = std::iter::from_fn(|| terms.take(duplex(1).1, from, None)).collect();
        assert_eq!(held.len(), 64);
        assert_eq!(terms.refused.by_code().into_keys().collect::<Vec<_>>(), [TLS_BUSY]);
        assert!(terms.take(duplex(1).1, SocketAddr::from(([192, 0, 2, 9], 5_000)), None).is_some());
        drop(held);
        assert!(terms.take(duplex(1).1, from, None).is_some());
    }

    #[test]
    fn the_first_byte_decides() {
        assert_eq!(opening(TLS_HANDSHAKE, false), Opening::Tls);
        assert_eq!(opening(TLS_HANDSHAKE, true), Opening::Tls);
        assert_eq!(opening(b'G', true), Opening::Plain);
        assert_eq!(opening(b'G', false), Opening::Refused);
    }
}
