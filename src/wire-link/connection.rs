//! The one task that drives one connection: it reads, it writes what waits, it lets calls of the host run, it keeps time.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_wire::access::Caller;
use clawmesh_wire::handshake::{Admitted, Listener};
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::stream::FuturesUnordered;
use futures_util::{Sink, Stream};
use std::future::Future as _;
use std::pin::Pin;
use tokio::time::{Sleep, sleep_until};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{Bytes, Error};

use crate::counts::Count;
use crate::host::{Answer, Peer, Session, Why};
use crate::hub::Hub;
use crate::link::Link;
use crate::places::Held;
use crate::socket::{Socket, goodbye, why_of};

/// Something that runs beside reading and writing; it may end in the answer to a call.
pub(crate) type Work = BoxFuture<'static, Option<(String, Answer)>>;

/// One connection and everything that belongs to it alone.
pub(crate) struct Connection {
    pub hub: Arc<Hub>,
    pub link: Arc<Link>,
    pub peer: Peer,
    /// The handshake, where the other side has dialled.
    pub listener: Option<Listener>,
    pub attempts: u32,
    pub works: FuturesUnordered<Work>,
    socket: Socket,
    held: Held,
    session: Option<NodeId>,
    prove_by: Option<Duration>,
    pinged_at: Duration,
    unflushed: bool,
    said_goodbye: Option<String>,
    timer: Pin<Box<Sleep>>,
    is_over: bool,
}

/// What comes next.
enum Step {
    Message(Message),
    Done(Option<(String, Answer)>),
    Tick,
    End(Why),
}

impl Connection {
    /// A connection that came to us, upgraded already.
    pub fn inbound(hub: Arc<Hub>, socket: Socket, caller: Caller, held: Held, link: Arc<Link>) -> Self {
        let may_stay = caller != Caller::Stranger || crate::origin::is_loopback(link.address);
        let now = hub.elapsed();
        let prove_by = (!may_stay).then(|| now + hub.config.timing.handshake_max);
        let peer = Peer { connection: link.id, caller, node: None, address: link.address };
        let mut connection = Self::new(hub, socket, peer, held, link);
        connection.listener = Some(Listener::default());
        connection.prove_by = prove_by;
        connection
    }

    /// A connection that we have made, after its handshake. It ends at once when it stands down for another one.
    pub fn outbound(
        hub: Arc<Hub>,
        socket: Socket,
        admitted: Admitted,
        label: Option<String>,
        held: Held,
        link: Arc<Link>,
    ) -> Self {
        let peer = Peer { connection: link.id, caller: Caller::Stranger, node: None, address: link.address };
        let mut connection = Self::new(hub, socket, peer, held, link);
        connection.join(admitted, label);
        connection
    }

    fn new(hub: Arc<Hub>, socket: Socket, peer: Peer, held: Held, link: Arc<Link>) -> Self {
        let now = hub.elapsed();
        Self {
            link,
            peer,
            listener: None,
            attempts: 0,
            works: FuturesUnordered::new(),
            socket,
            held,
            session: None,
            prove_by: None,
            pinged_at: now,
            unflushed: false,
            said_goodbye: None,
            timer: Box::pin(sleep_until(tokio::time::Instant::now())),
            is_over: false,
            hub,
        }
    }

    /// Drives the connection to its end and says why it has ended.
    pub async fn run(mut self) -> Why {
        let why = loop {
            match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Message(message) => self.message(message),
                Step::Done(done) => self.done(done),
                Step::Tick => self.tick(),
                Step::End(why) => break why,
            }
        };
        self.over(&why);
        let goodbye_max = self.hub.config.timing.goodbye_max;
        // Whoever does not take our last words has had their time.
        let _ = tokio::time::timeout(goodbye_max, goodbye(&mut self.socket, &self.link, &why)).await;
        why
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        self.link.register(cx.waker());
        if let Some(why) = self.link.ending() {
            return Poll::Ready(Step::End(why));
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Step::Tick);
        }
        if let Err(fault) = self.poll_write(cx) {
            return Poll::Ready(Step::End(why_of(&fault)));
        }
        if let Poll::Ready(Some(done)) = Pin::new(&mut self.works).poll_next(cx) {
            return Poll::Ready(Step::Done(done));
        }
        // Whoever does not take the answers is not asked for more questions.
        if !self.link.is_filling()
            && let Poll::Ready(next) = Pin::new(&mut self.socket).poll_next(cx)
        {
            return Poll::Ready(match next {
                Some(Ok(message)) => Step::Message(message),
                Some(Err(fault)) => Step::End(self.said_goodbye.take().map_or(why_of(&fault), Why::Closed)),
                None => Step::End(Why::Closed(self.said_goodbye.take().unwrap_or_default())),
            });
        }
        // Only when there is nothing to read: the answers to what came together leave together.
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(fault)) => return Poll::Ready(Step::End(why_of(&fault))),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while let Poll::Ready(ready) = Pin::new(&mut self.socket).poll_ready(cx) {
            ready?;
            let message = if let Some(number) = self.link.take_ping(self.hub.elapsed()) {
                Message::Ping(Bytes::copy_from_slice(&number.to_be_bytes()))
            } else if let Some(text) = self.link.pop() {
                Message::Text(text)
            } else {
                break;
            };
            Pin::new(&mut self.socket).start_send(message)?;
            self.unflushed = true;
        }
        Ok(())
    }

    fn message(&mut self, message: Message) {
        self.link.heard(self.hub.elapsed());
        match message {
            Message::Text(text) => self.text(&text),
            Message::Close(frame) => {
                let said = frame.map(|frame| format!("{} {}", u16::from(frame.code), frame.reason));
                self.said_goodbye = Some(said.unwrap_or_else(|| "without a reason".to_owned()));
            }
            Message::Binary(_) => {
                self.hub.counters.add(Count::BadMessages);
                self.endure();
            }
            Message::Pong(payload) => self.link.pong(&payload, self.hub.elapsed()),
            Message::Ping(_) | Message::Frame(_) => {}
        }
    }

    fn done(&mut self, done: Option<(String, Answer)>) {
        if let Some((id, answer)) = done {
            self.respond(&id, answer);
        }
    }

    /// Looks at what is due, and sets the time of the next look.
    fn tick(&mut self) {
        let timing = self.hub.config.timing;
        let now = self.hub.elapsed();
        let silent_at = self.link.heard_at() + timing.silence_max;
        if now >= silent_at {
            // What we did not want to read was no silence.
            self.link.end(if self.link.is_filling() { Why::TooSlow } else { Why::Silent });
        }
        if self.prove_by.is_some_and(|by| now >= by) {
            let sentence = "no handshake in time; call mesh.challenge and mesh.connect".to_owned();
            self.link.end(Why::NoHandshake(sentence));
        }
        if now >= self.pinged_at + timing.keepalive {
            self.pinged_at = now;
            self.link.ping();
        }
        let next = silent_at.min(self.pinged_at + timing.keepalive);
        let next = self.prove_by.map_or(next, |by| next.min(by));
        // A millisecond more: what is due is due then, however times are rounded.
        let wait = next.saturating_sub(now) + Duration::from_millis(1);
        self.timer.as_mut().reset(tokio::time::Instant::now() + wait);
    }

    /// The other side has shown who it is.
    pub fn join(&mut self, admitted: Admitted, label: Option<String>) {
        let session = Session {
            node: admitted.node,
            connection: self.link.id,
            display_name: admitted.about.display_name.clone(),
            key: admitted.key.clone(),
            role: admitted.role,
            capabilities: admitted.capabilities().to_vec(),
            is_outbound: self.listener.is_none(),
            transport_label: label,
            address: self.link.address,
            signed_at_ms: admitted.signed_at_ms,
            connected_at_ms: self.hub.host.now().unix_ms,
        };
        if !self.hub.join(session, &self.link) {
            self.link.end(Why::Superseded);
            return;
        }
        self.session = Some(admitted.node);
        self.peer.node = Some(admitted.node);
        // Whoever has the token has more rights than a node, and keeps them.
        if self.peer.caller != Caller::Operator {
            self.peer.caller = Caller::Peer(admitted.role);
        }
        self.prove_by = None;
        self.held.proven();
        self.works.push(crate::events::sync(Arc::clone(&self.hub), Arc::clone(&self.link), admitted.node));
    }

    /// Forgets the connection everywhere; done once, also when its task is dropped.
    fn over(&mut self, why: &Why) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let count = match why {
            Why::Silent => Some(Count::EndedSilent),
            Why::TooSlow => Some(Count::EndedTooSlow),
            Why::TooLarge => Some(Count::EndedTooLarge),
            Why::Untrusted => Some(Count::EndedUntrusted),
            Why::Senseless => Some(Count::EndedSenseless),
            Why::NoHandshake(_) => Some(Count::EndedUnproven),
            _ => None,
        };
        if let Some(count) = count {
            self.hub.counters.add(count);
        }
        tracing::debug!(connection = self.link.id, address = %self.link.address, %why, "a connection has ended");
        let session = self.session.map(|node| (node, self.listener.is_none()));
        self.hub.finish(&self.link, session, why);
    }
}

/// A task that is dropped, or whose host panics, leaves nothing behind.
impl Drop for Connection {
    fn drop(&mut self) {
        self.over(&Why::Broken("its task was dropped".to_owned()));
    }
}
