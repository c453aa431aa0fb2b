//! Places among the connections: taken before an upgrade, given back when the connection is gone.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::admission::Place;
use crate::hub::Hub;
use crate::link::locked;
use crate::origin::TurnedAway;

/// A place among the connections, given back when this is dropped.
pub(crate) struct Held {
    hub: Arc<Hub>,
    place: Option<Place>,
}

impl Held {
    /// The connection has shown who it is.
    pub fn proven(&mut self) {
        if let Some(place) = &mut self.place {
            locked(&self.hub.admissions).proven(place);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            locked(&self.hub.admissions).leave(place);
            self.hub.emptied.notify_waiters();
        }
    }
}

impl Hub {
    /// A place for a connection that comes to us.
    pub fn enter(self: &Arc<Self>, from: SocketAddr) -> Result<Held, TurnedAway> {
        // The lock is given back before the place is looked at: a place that is dropped takes it.
        let place = locked(&self.admissions).enter(from);
        self.held(place)
    }

    /// A place for a connection that we make.
    pub fn enter_outbound(self: &Arc<Self>) -> Result<Held, TurnedAway> {
        let place = locked(&self.admissions).enter_outbound();
        self.held(place)
    }

    fn held(self: &Arc<Self>, place: Result<Place, TurnedAway>) -> Result<Held, TurnedAway> {
        if self.is_closing() {
            drop(Held { hub: Arc::clone(self), place: place.ok() });
            return Err(TurnedAway::new(503, "this node leaves"));
        }
        Ok(Held { hub: Arc::clone(self), place: Some(place?) })
    }

    /// The right to say to one more connection that there is no room; whoever comes while all are taken is only closed.
    pub fn turn_one_away(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turning_away).try_acquire_owned().ok()
    }

    /// Waits until no connection is left.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.connections() == 0 {
                return;
            }
            emptied.await;
        }
    }
}
