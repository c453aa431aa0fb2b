//! Connections that get nothing done are closed: half a request, a reader that does not read, an idle line.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

use crate::answer::RefusedRequests;
use crate::places::{Caps, Place, Places};
use crate::secured::{Secured, TlsTerms};

/// How many may be connected; one more is closed at once, and counted. Most of them are for WebSockets, of which the edge that
/// takes them allows 2,048.
const CONNECTED: Caps = Caps { local: 1_280, elsewhere: 2_048, per_address: 256 };

/// The code under which those are counted.
const CONNECTIONS_BUSY: &str = "CONNECTIONS_BUSY";

/// How long a connection may go without a byte of an answer. Event streams write more often than that.
const PATIENCE: Duration = Duration::from_secs(15);

/// A listener that hands out bounded, impatient connections.
pub(crate) struct BoundedListener {
    inner: TcpListener,
    places: Places,
    refused: Arc<RefusedRequests>,
    tls: Option<TlsTerms>,
}

impl BoundedListener {
    pub(crate) fn new(inner: TcpListener, refused: Arc<RefusedRequests>, tls: Option<TlsTerms>) -> Self {
        Self { inner, places: Places::of(CONNECTED), refused, tls }
    }
}

impl Listener for BoundedListener {
    type Io = Impatient<Secured<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.inner).await;
            let Some(place) = self.places.enter(address.ip()) else {
                self.refused.count(CONNECTIONS_BUSY);
                tracing::debug!(%address, "a connection was closed: too many of its address are open");
                continue;
            };
            if let Err(fault) = stream.set_nodelay(true) {
                tracing::debug!(%fault, "a connection will answer late");
            }
            let to = stream.local_addr().ok().map(|to| to.ip());
            let taken = match &self.tls {
                None => Some(Secured::plain(stream)),
                Some(terms) => terms.take(stream, address, to),
            };
            if let Some(stream) = taken {
                return (Impatient::new(stream, Some(place)), address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection whose clock runs from the first byte of a request, or from the last byte of an answer.
pub(crate) struct Impatient<S> {
    inner: S,
    deadline: Pin<Box<Sleep>>,
    is_answered: bool,
    _place: Option<Place>,
}

impl<S> Impatient<S> {
    /// What is impatient.
    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }

    fn new(inner: S, place: Option<Place>) -> Self {
        let deadline = Box::pin(tokio::time::sleep(PATIENCE));
        Self { inner, deadline, is_answered: true, _place: place }
    }

    fn restart(&mut self) {
        self.deadline.as_mut().reset(Instant::now() + PATIENCE);
    }

    /// Pending work stays pending until patience runs out.
    fn hurry<T>(&mut self, cx: &mut Context<'_>, pending: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if pending.is_pending() && self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        pending
    }

    fn wrote(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(outcome, Poll::Ready(Ok(1..))) {
            self.is_answered = true;
            self.restart();
        }
        self.hurry(cx, outcome)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buffer);
        // Only the first bytes of a request count: dripping more of them must not buy time.
        if buffer.filled().len() > before && self.is_answered {
            self.is_answered = false;
            self.restart();
        }
        self.hurry(cx, outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.wrote(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.wrote(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        self.hurry(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.hurry(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn who_finds_no_place_is_closed_at_once_and_counted_and_the_place_comes_back() {
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inner.local_addr().unwrap();
        let refused = Arc::<RefusedRequests>::default();
        let caps = Caps { local: 1, elsewhere: 0, per_address: 0 };
        let places = Places::of(caps);
        let mut listener = BoundedListener { inner, places, refused: Arc::clone(&refused), tls: None };
        let connect = || TcpStream::connect(address);
        let (_first, held) = (connect().await.unwrap(), listener.accept().await);
        let mut second = connect().await.unwrap();
        tokio::select! {
            biased;
            (_, from) = listener.accept() => panic!("{from} was taken"),
            said = second.read_u8() => assert!(said.is_err()),
        }
        assert_eq!(refused.by_code().into_iter().collect::<Vec<_>>(), [(CONNECTIONS_BUSY.to_owned(), 1)]);
        drop(held);
        let third = connect().await.unwrap();
        assert_eq!(listener.accept().await.1, third.local_addr().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_is_cut_off_however_slowly_it_drips() {
        let (mut client, server) = duplex(64);
        let mut server = Impatient::new(server, None);
        let began = Instant::now();
        let drip = async {
            loop {
                tokio::time::sleep(Duration::from_secs(4)).await;
                client.write_all(b"G").await.unwrap();
            }
        };
        let mut all = Vec::new();
        tokio::select! {
            () = drip => unreachable!("the drip never ends"),
            outcome = server.read_to_end(&mut all) => {
                assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
        }
        assert_eq!(began.elapsed(), Duration::from_secs(4) + PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_is_cut_off() {
        let (_client, server) = duplex(8);
        let mut server = Impatient::new(server, None);
        let outcome = server.write_all(&[0; 64]).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_buys_the_next_request_its_full_time() {
        let (mut client, server) = duplex(64);
        let mut server = Impatient::new(server, None);
        for _ in 0..5 {
            tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
            client.write_all(b"G").await.unwrap();
            server.read_u8().await.unwrap();
            tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
            server.write_u8(b'!').await.unwrap();
            client.read_u8().await.unwrap();
        }
    }
}
