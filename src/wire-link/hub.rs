//! What all connections of a node share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::{NodeId, PublicKey};
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::frame::encode_event;
use clawmesh_wire::gossip::Gossip;
use clawmesh_wire::handshake::PeerTrust;
use clawmesh_wire::peer_news::{DOWN, PeerDown};
use clawmesh_wire::{Code, Refusal};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::admission::Admissions;
use crate::config::Config;
use crate::counts::{Count, Counters};
use crate::host::{Host, Session, Why};
use crate::limits::{Class, Limits, Who};
use crate::link::{Link, locked};
use crate::news::Budgets;
use crate::peers::Dialled;
use crate::probe::Again;
use crate::registry::{Entry, Join, Registry};

/// The most connections at a time that are told that there is no room.
const TURNED_AWAY_AT_ONCE: usize = 32;

/// What a session takes when it is written down, its end included, in bytes.
const JOIN_BYTES: usize = 2 * 1_024;

/// What is shared. Its locks are held for a few lines each, never two at once but for `news` and `probed`, which come first.
pub(crate) struct Hub {
    pub host: Arc<dyn Host>,
    pub own_id: NodeId,
    pub config: Config,
    pub counters: Counters,
    pub dialled: Mutex<BTreeMap<NodeId, Arc<Dialled>>>,
    pub closing: Notify,
    begun: Instant,
    is_closing: AtomicBool,
    next_connection: AtomicU64,
    limits: Mutex<Limits>,
    pub admissions: Mutex<Admissions>,
    pub emptied: Notify,
    pub turning_away: Arc<Semaphore>,
    registry: Mutex<Registry<Arc<Link>>>,
    links: Mutex<BTreeMap<u64, Arc<Link>>>,
    followers: Mutex<BTreeMap<u64, Arc<Link>>>,
    gossip: Mutex<Gossip>,
    pub probed: Mutex<BTreeMap<NodeId, Again>>,
    /// How much news nodes were told that we have dialled.
    budgets: Mutex<Budgets>,
    /// Of whom we have said lately that they are down.
    told_down: Mutex<BTreeMap<NodeId, Duration>>,
    /// Held while the host is told who came and who went, so that it hears of it in the order it happened.
    news: Mutex<()>,
}

impl Hub {
    pub fn new(config: Config, host: Arc<dyn Host>) -> Self {
        let own_id = host.key().id();
        Self {
            own_id,
            counters: Counters::default(),
            dialled: Mutex::default(),
            closing: Notify::new(),
            begun: Instant::now(),
            is_closing: AtomicBool::new(false),
            next_connection: AtomicU64::new(1),
            limits: Mutex::new(Limits::new(config.rates)),
            admissions: Mutex::new(Admissions::new(config.connections_max, config.unproven_per_address_max)),
            emptied: Notify::new(),
            turning_away: Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE)),
            registry: Mutex::default(),
            links: Mutex::default(),
            followers: Mutex::default(),
            gossip: Mutex::new(Gossip::new(own_id)),
            probed: Mutex::default(),
            budgets: Mutex::default(),
            told_down: Mutex::default(),
            news: Mutex::default(),
            config,
            host,
        }
    }

    /// The time since the beginning, on a clock that only goes forward.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// True while `node` is trusted with `key`.
    pub fn is_trusted(&self, node: NodeId, key: &PublicKey) -> bool {
        match self.trust(node) {
            PeerTrust::Unknown => false,
            PeerTrust::Trusted => true,
            PeerTrust::Pinned(pinned) => pinned == *key,
        }
    }

    pub fn trust(&self, node: NodeId) -> PeerTrust {
        // Whoever has our own key is us, or has stolen it; neither is a peer.
        if node == self.own_id { PeerTrust::Unknown } else { self.host.trust(node) }
    }

    pub fn may(&self, who: Who, class: Class) -> bool {
        locked(&self.limits).take(who, class, self.elapsed())
    }

    pub fn connections(&self) -> usize {
        locked(&self.admissions).connections()
    }

    /// A new connection, known from now on.
    pub fn begin(&self, address: SocketAddr) -> Arc<Link> {
        let id = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let link = Arc::new(Link::new(id, address));
        link.heard(self.elapsed());
        self.counters.add(Count::ConnectionsBegun);
        locked(&self.links).insert(id, Arc::clone(&link));
        // Closing looks at the links after it has set its flag, so one of the two sees this one.
        if self.is_closing() {
            link.end(Why::WeLeave);
        }
        link
    }

    /// Whether a session of `node` may begin: that it came and that it went is written down.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn has_room_to_join(&self, node: NodeId) -> Result<(), Refusal> {
        if self.host.has_room(node, JOIN_BYTES) {
            return Ok(());
        }
        let sentence = "this node comes and goes, or tells, more than is written down; connect later";
        Err(Refusal::new(Code::RateLimited, sentence))
    }

    /// A session has begun; false when it stands down for another one.
    pub fn join(&self, session: Session, link: &Arc<Link>) -> bool {
        let node = session.node;
        let news = locked(&self.news);
        let join = locked(&self.registry).join(self.own_id, session.clone(), Arc::clone(link));
        let Join::Joined { displaced } = join else { return false };
        self.host.joined(&session);
        drop(news);
        self.counters.add(Count::HandshakesDone);
        if let Some(displaced) = displaced {
            self.counters.add(Count::Superseded);
            displaced.end(Why::Superseded);
        }
        // Trust may have been withdrawn after it was asked for and before the session could be found.
        if !self.is_trusted(node, &session.key) {
            link.end(Why::Untrusted);
        }
        self.wake_dialler(node);
        true
    }

    /// A connection has ended.
    pub fn finish(&self, link: &Arc<Link>, session: Option<(NodeId, bool)>, why: &Why) {
        link.close();
        locked(&self.links).remove(&link.id);
        locked(&self.followers).remove(&link.id);
        let Some((node, is_outbound)) = session else { return };
        let news = locked(&self.news);
        let was_last = locked(&self.registry).leave(node, link.id);
        if was_last {
            self.host.left(node, why);
        }
        drop(news);
        if was_last && is_outbound && why.is_unexpected() && self.may_tell_down(node) {
            self.tell_all(DOWN, &PeerDown::new(node, self.host.now().unix_ms));
        }
        self.wake_dialler(node);
    }

    /// Whoever breaks off again and again is told of once in a while.
    fn may_tell_down(&self, node: NodeId) -> bool {
        let (now, mut told) = (self.elapsed(), locked(&self.told_down));
        told.retain(|_, at| now.saturating_sub(*at) < self.config.timing.down_rest);
        let is_due = !told.contains_key(&node);
        told.entry(node).or_insert(now);
        is_due
    }

    fn wake_dialler(&self, node: NodeId) {
        if let Some(dialled) = locked(&self.dialled).get(&node) {
            dialled.session_changed.notify_one();
        }
    }

    pub fn sessions(&self) -> Vec<Session> {
        locked(&self.registry).iter().map(|entry| entry.session.clone()).collect()
    }

    pub fn session(&self, node: NodeId) -> Option<Entry<Arc<Link>>> {
        locked(&self.registry).get(node).cloned()
    }

    pub fn peers(&self) -> Vec<(NodeId, Arc<Link>)> {
        locked(&self.registry).iter().map(|entry| (entry.session.node, Arc::clone(&entry.link))).collect()
    }

    fn entries(&self) -> Vec<Entry<Arc<Link>>> {
        locked(&self.registry).iter().cloned().collect()
    }

    /// True while a node may be told more news.
    fn may_tell(&self, to: &Entry<Arc<Link>>) -> bool {
        let (node, per_minute_max) = (to.session.node, self.config.news_per_minute_max);
        let has_room = || locked(&self.budgets).take(node, per_minute_max, self.elapsed());
        let may = !to.session.is_outbound || has_room();
        self.counters.add_many(Count::FramesDropped, u64::from(!may));
        may
    }

    pub fn links(&self) -> Vec<Arc<Link>> {
        locked(&self.links).values().cloned().collect()
    }

    pub fn link(&self, connection: u64) -> Option<Arc<Link>> {
        locked(&self.links).get(&connection).cloned()
    }

    /// From now on the connection hears what the user interface follows.
    pub fn follow(&self, link: &Arc<Link>) {
        locked(&self.followers).insert(link.id, Arc::clone(link));
    }

    pub fn followers(&self) -> Vec<Arc<Link>> {
        locked(&self.followers).values().cloned().collect()
    }

    /// Nodes and followers, by connection.
    pub fn audience(&self) -> BTreeMap<u64, Arc<Link>> {
        let peers = self.entries().into_iter().filter(|peer| self.may_tell(peer)).map(|peer| peer.link);
        peers.chain(self.followers()).map(|link| (link.id, link)).collect()
    }

    /// Tells every connected node; returns how many were told.
    pub fn tell_all(&self, event: &str, payload: &impl serde::Serialize) -> usize {
        let Ok(text) = encode_event(event, payload) else { return 0 };
        let text = Utf8Bytes::from(text);
        self.entries().into_iter().filter(|peer| self.may_tell(peer) && peer.link.push(text.clone())).count()
    }

    pub fn gossip<T>(&self, ask: impl FnOnce(&mut Gossip) -> T) -> T {
        ask(&mut locked(&self.gossip))
    }

    /// Gives `frame` to all nodes but the one on `except` and the one that has made it, and `shown`, the frame as it came,
    /// to whoever follows; returns how many nodes get it.
    pub fn spread(&self, frame: Option<&ContextFrame>, shown: &ContextFrame, except: Option<u64>) -> usize {
        let mut given = 0;
        let text = frame.and_then(encoded);
        if frame.is_some() && text.is_none() {
            self.counters.add(Count::FramesDropped);
        }
        if let Some(text) = text {
            for peer in self.entries() {
                let is_source = shown.source_device_id.parse() == Ok(peer.session.node);
                if Some(peer.link.id) != except && !is_source && self.may_tell(&peer) {
                    self.counters.add_many(Count::FramesDropped, peer.link.push_frame(text.clone()));
                    given += 1;
                }
            }
            self.counters.add_many(Count::FramesForwarded, given as u64);
        }
        let followers = self.followers();
        if !followers.is_empty()
            && let Some(text) = encoded(shown)
        {
            for link in followers {
                self.counters.add_many(Count::FramesDropped, link.push_frame(text.clone()));
            }
        }
        given
    }

    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst)
    }

    pub fn begin_closing(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        self.closing.notify_waiters();
    }
}

fn encoded(frame: &ContextFrame) -> Option<Utf8Bytes> {
    encode_event("context.frame", frame).ok().map(Utf8Bytes::from)
}
