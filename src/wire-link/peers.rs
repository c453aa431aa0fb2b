//! The nodes we dial, and how each of them stands, for people to see.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use clawmesh_authority::NodeId;
use clawmesh_wire::peer_spec::PeerSpec;
use tokio::sync::Notify;

use crate::cause::Trouble;
use crate::link::locked;

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
    /// Its way is another one than that of the last attempt, so the waits begin anew.
    is_fresh: AtomicBool,
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

    /// True, once, when the way was changed.
    pub fn take_fresh(&self) -> bool {
        self.is_fresh.swap(false, Ordering::Relaxed)
    }

    /// Takes a new way to the node; true when it is another one.
    pub fn set_spec(&self, spec: PeerSpec, is_static: bool) -> bool {
        let mut view = locked(&self.view);
        let is_other = view.spec != spec;
        view.spec = spec;
        // What was wrong with another way says nothing about this one.
        if is_other {
            view.trouble = None;
            self.is_fresh.store(true, Ordering::Relaxed);
        }
        view.is_static |= is_static;
        is_other
    }
}
