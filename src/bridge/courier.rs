//! The state lane out: one courier for each trusted node that is there. It asks what was heard, then brings
//! what was not, in order, several deliveries under way at a time, until signed receipts come back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::NodeId;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet, block_in_place};
use zenoh::Session;

use crate::answers::{Outcome, Peer, Sent};
use crate::backoff::{Backoff, noise};
use crate::edge::Edge;
use crate::outbound::Shelf;
use crate::pace::{Pace, Probe};
use crate::parcel::{Bounds, Run};

const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_LONGEST: Duration = Duration::from_secs(5);
/// What a person has to repair is not worth asking for more often.
const WAIT_FOR_A_PERSON: Duration = Duration::from_secs(5);
/// Nor is what the peer may never take. It is not given up either: anybody can refuse in its name.
const WAIT_REFUSED_FIRST: Duration = Duration::from_secs(1);
const WAIT_REFUSED_LONGEST: Duration = Duration::from_secs(30);
/// Sends a courier to every friend that comes and calls it back when the friend goes.
pub async fn send_couriers(
    edge: Arc<Edge>,
    session: Session,
    shelf: Arc<Shelf>,
    mut friends: watch::Receiver<BTreeSet<NodeId>>,
) {
    let mut couriers: BTreeMap<NodeId, AbortHandle> = BTreeMap::new();
    // Whoever ends this task calls all of them back.
    let mut tasks = JoinSet::new();
    loop {
        let present = friends.borrow_and_update().clone();
        couriers.retain(|node, courier| {
            let stays = present.contains(node);
            if !stays {
                courier.abort();
            }
            stays
        });
        for node in present {
            couriers.entry(node).or_insert_with(|| {
                let peer = Peer::new(Arc::clone(&edge), session.clone(), node);
                tasks.spawn(Courier::new(peer, Arc::clone(&shelf)).run())
            });
        }
        while tasks.try_join_next().is_some() {}
        if friends.changed().await.is_err() {
            return;
        }
    }
}

struct Courier {
    peer: Peer,
    shelf: Arc<Shelf>,
    backoff: Backoff,
    refused: Backoff,
    pace: Pace,
    tries: u64,
}

/// What is under way to the peer.
struct Window {
    /// How each delivery ended.
    ends: JoinSet<End>,
    /// Bytes of the deliveries that have not ended.
    bytes: usize,
    /// The last frame that was sent, or was heard before.
    sent: Option<u64>,
}

struct End {
    /// The sequence it should have ended with.
    last: u64,
    outcome: Outcome,
    took: Duration,
    bytes: usize,
    probe: Probe,
}

impl Window {
    fn after(heard: Option<u64>) -> Self {
        Self { ends: JoinSet::new(), bytes: 0, sent: heard }
    }
}

impl Courier {
    fn new(peer: Peer, shelf: Arc<Shelf>) -> Self {
        let backoff = Backoff::new(WAIT_FIRST, WAIT_LONGEST);
        let refused = Backoff::new(WAIT_REFUSED_FIRST, WAIT_REFUSED_LONGEST);
        Self { peer, shelf, backoff, refused, pace: Pace::new(), tries: 0 }
    }

    async fn run(mut self) {
        loop {
            let asked_ns = self.peer.edge.now_ns();
            match self.peer.ask_heard(self.pace.patience()).await {
                Ok(heard) => self.deliver_after(heard).await,
                Err(()) => self.pace.unanswered(self.peer.since(asked_ns)),
            }
            self.pause().await;
        }
    }

    /// Delivers everything after `heard` and what is still to come, until it has to be asked again what the peer has. What
    /// is under way then is forgotten: whether it came, the peer says.
    async fn deliver_after(&mut self, heard: Option<u64>) {
        let mut bell = self.shelf.bell();
        let mut window = Window::after(heard);
        self.pace.begin();
        loop {
            bell.borrow_and_update();
            while self.has_room(&window) && self.send(&mut window).await {}
            let is_room = self.has_room(&window);
            tokio::select! {
                Some(end) = window.ends.join_next() => match end {
                    // Those that went before it are held as well: the peer takes them in order.
                    Ok(End { last, outcome: Outcome::Held(held), took, bytes, probe }) => {
                        self.backoff.reset();
                        self.refused.reset();
                        if held < last {
                            // What went after it follows something that was not taken.
                            window = Window::after(Some(held));
                            self.pace.begin();
                        } else {
                            window.bytes -= bytes;
                            window.sent = window.sent.max(Some(held));
                            self.pace.answered(took, probe);
                        }
                    }
                    Ok(End { outcome: Outcome::NeedsAPerson, .. }) => {
                        return tokio::time::sleep(WAIT_FOR_A_PERSON).await;
                    }
                    Ok(End { outcome: Outcome::Refused, .. }) => {
                        return tokio::time::sleep(self.refused.wait()).await;
                    }
                    Ok(End { outcome: Outcome::Unknown, took, .. }) => return self.pace.unanswered(took),
                    Ok(End { outcome: Outcome::Later, .. }) | Err(_) => return,
                },
                // The shelf lives as long as we do, so the bell never goes away.
                _ = bell.changed(), if is_room => {}
            }
        }
    }

    fn has_room(&self, window: &Window) -> bool {
        self.pace.has_room(window.ends.len(), window.bytes)
    }

    /// Sends the next delivery; false when there is none.
    async fn send(&self, window: &mut Window) -> bool {
        let edge = &self.peer.edge;
        let bounds = Bounds { bytes: self.pace.bytes(), together: edge.limits.frames_signed_together_max };
        let (runs, newest) = self.shelf.pack(window.sent, bounds, edge.wall_ms());
        let (first, last) = (runs.first().and_then(Run::first), runs.last().and_then(Run::last));
        let (Some(first), Some(last), Some(newest)) = (first, last, newest) else { return false };
        let sent = Sent { first, last, newest };
        let seal = |run: &Run| edge.seal(&run.statement(edge.mesh, edge.epoch));
        let parcel = block_in_place(|| runs.iter().map(seal).collect::<Vec<_>>().concat());
        let bytes = parcel.len();
        window.bytes += bytes;
        let probe = self.pace.leaving(window.bytes);
        let begun_ns = edge.now_ns();
        let asked = self.peer.deliver(parcel, self.pace.patience()).await;
        window.sent = Some(last);
        let peer = self.peer.clone();
        window.ends.spawn(async move {
            let outcome = match asked {
                Some(asked) => peer.outcome(asked, sent).await,
                None => Outcome::Unknown,
            };
            End { last, outcome, took: peer.since(begun_ns), bytes, probe }
        });
        true
    }

    async fn pause(&mut self) {
        self.tries = self.tries.wrapping_add(1);
        let (own, peer) = (self.peer.edge.own, self.peer.id);
        let seed = u64::from_le_bytes(std::array::from_fn(|i| own.0[i] ^ peer.0[i]));
        let wait = self.backoff.wait_with_jitter(noise(seed ^ self.tries));
        tokio::time::sleep(wait).await;
    }
}
