//! The nodes we dial, and how each of them stands, for people to see.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_wire::peer_spec::PeerSpec;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cause::Trouble;
use crate::link::locked;

/// How many of the ways that were tried last are remembered.
const TRIED_MAX: usize = 8;
/// For how long a way that was tried is no fresh one.
const TRIED_COUNTS: Duration = Duration::from_secs(60);

/// How it stands with a node that we dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerState {
    /// We are about to reach it.
    Connecting,
    /// It has a session, whoever has dialled.
    Connected,
    /// It was not reached.
    Waiting {
        /// When we try again, Unix milliseconds.
        until_ms: u64,
        /// What went wrong.
        sentence: String,
    },
    /// It has refused us, or it is not for us to dial it like this.
    Refused {
        /// When we try again, Unix milliseconds; `None` when somebody has to change something first.
        until_ms: Option<u64>,
        /// What is wrong and what to do.
        sentence: String,
    },
}

/// A node that we dial, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Where and how.
    pub spec: PeerSpec,
    /// True when somebody has configured it, false when it was discovered.
    pub is_static: bool,
    /// How it stands.
    pub state: PeerState,
    /// What went wrong last, until it is connected.
    pub trouble: Option<Trouble>,
}

/// A node that we dial.
#[derive(Debug)]
pub(crate) struct Dialled {
    view: Mutex<PeerView>,
    /// A session of it has begun or ended.
    pub session_changed: Notify,
    /// Somebody wants it dialled now.
    pub poked: Notify,
    /// Its way is one that was not tried lately, so the waits begin anew.
    is_fresh: AtomicBool,
    /// The ways that were tried last, oldest first.
    tried: Mutex<VecDeque<(PeerSpec, Instant)>>,
    /// It is not to be dialled any more.
    pub forgotten: Notify,
}

impl Dialled {
    pub fn new(spec: PeerSpec, is_static: bool) -> Self {
        Self {
            view: Mutex::new(PeerView { spec, is_static, state: PeerState::Connecting, trouble: None }),
            session_changed: Notify::new(),
            poked: Notify::new(),
            is_fresh: AtomicBool::new(false),
            tried: Mutex::default(),
            forgotten: Notify::new(),
        }
    }

    pub fn view(&self) -> PeerView {
        locked(&self.view).clone()
    }

    pub fn node(&self) -> NodeId {
        locked(&self.view).spec.node
    }

    pub fn is_static(&self) -> bool {
        locked(&self.view).is_static
    }

    /// It is about to be reached; what went wrong before is still worth knowing.
    pub fn is_connecting(&self) {
        locked(&self.view).state = PeerState::Connecting;
    }

    pub fn is_connected(&self) {
        let mut view = locked(&self.view);
        (view.state, view.trouble) = (PeerState::Connected, None);
    }

    pub fn is_in(&self, trouble: Trouble, state: PeerState) {
        let mut view = locked(&self.view);
        (view.state, view.trouble) = (state, Some(trouble));
    }

    /// A way is tried now.
    pub fn tries(&self, spec: &PeerSpec) {
        let mut tried = locked(&self.tried);
        tried.retain(|(known, _)| known != spec);
        tried.push_back((spec.clone(), Instant::now()));
        if tried.len() > TRIED_MAX {
            tried.pop_front();
        }
    }

    /// True, once, when the way was changed to one that was not tried lately.
    pub fn take_fresh(&self) -> bool {
        self.is_fresh.swap(false, Ordering::Relaxed)
    }

    /// Takes a new way to the node; true when it is to be tried at once. Whoever has us change between two ways gains nothing
    /// by it.
    pub fn set_spec(&self, spec: PeerSpec, is_static: bool) -> bool {
        let mut view = locked(&self.view);
        view.is_static |= is_static;
        if view.spec == spec {
            return false;
        }
        let is_recent = |at: &Instant| at.elapsed() < TRIED_COUNTS;
        let is_fresh = !locked(&self.tried).iter().any(|(known, at)| *known == spec && is_recent(at));
        view.spec = spec;
        // What was wrong with another way says nothing about this one.
        view.trouble = None;
        if is_fresh {
            self.is_fresh.store(true, Ordering::Relaxed);
        }
        // One that waits for a person waits for another way.
        is_fresh || matches!(view.state, PeerState::Refused { until_ms: None, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_way_that_was_not_tried_lately_is_fresh() {
        let way = |n: u16| PeerSpec::read(&format!("{}=ws://127.0.0.1:{n}", NodeId([7; 32]))).unwrap();
        let peer = Dialled::new(way(1), false);
        let comes = |n: u16| {
            let is_tried = peer.set_spec(way(n), false);
            assert_eq!(peer.take_fresh(), is_tried);
            peer.tries(&way(n));
            is_tried
        };
        peer.tries(&way(1));
        assert_eq!([1, 2, 1, 2, 1, 3, 2].map(comes), [false, true, false, false, false, true, false]);
        tokio::time::advance(TRIED_COUNTS).await;
        assert!(comes(1), "a minute later it may be there again");
        assert!((10..100).all(comes) && locked(&peer.tried).len() == TRIED_MAX, "and there is a bound");
    }
}
