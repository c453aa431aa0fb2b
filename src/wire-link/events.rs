//! What a connection does with what nodes tell: context frames, news of nodes that go, and the frames that were missed.

use std::sync::Arc;

use clawmesh_authority::NodeId;
use clawmesh_wire::Refusal;
use clawmesh_wire::context::{ContextFrame, FrameKind};
use clawmesh_wire::frame::Event;
use clawmesh_wire::gossip::Heard;
use clawmesh_wire::peer_news::{DOWN, LEAVING, PeerDown, PeerLeaving};
use clawmesh_wire::sync::{question, read_answer};
use serde_json::value::RawValue;

use crate::connection::{Connection, Work};
use crate::counts::Count;
use crate::host::Why;
use crate::hub::Hub;
use crate::limits::Class;
use crate::link::Link;

/// The event that carries a context frame.
const CONTEXT_FRAME: &str = "context.frame";

impl Connection {
    /// Takes an event. Nothing that a stranger tells has any effect.
    pub fn event(&mut self, event: &Event<'_>) {
        let Some(node) = self.peer.node else {
            self.hub.counters.add(Count::FramesOfStrangers);
            self.endure();
            return;
        };
        let is_frame = event.event == CONTEXT_FRAME;
        if !self.may(Class::Frame) {
            let count = if is_frame { Count::FramesLimited } else { Count::EventsLimited };
            self.hub.counters.add(count);
            return;
        }
        match &*event.event {
            CONTEXT_FRAME => self.frame(node, event.payload),
            LEAVING => match PeerLeaving::read(event.payload, node) {
                Ok(_) => self.link.end(Why::Leaving),
                Err(refusal) => self.bad_news(&refusal),
            },
            DOWN => match PeerDown::read(event.payload, node, self.hub.own_id) {
                Ok(down) => self.hub.probe(down.device_id),
                Err(refusal) => self.bad_news(&refusal),
            },
            other => self.hub.host.event(&self.peer, other, event.payload),
        }
    }

    fn bad_news(&self, refusal: &Refusal) {
        self.hub.counters.add(Count::NewsBad);
        tracing::debug!(connection = self.link.id, %refusal, "news of a node were dropped");
    }

    fn frame(&mut self, node: NodeId, payload: Option<&RawValue>) {
        let frame = match ContextFrame::read(payload, self.hub.host.now().unix_ms) {
            Ok(frame) => frame,
            Err(refusal) => {
                self.hub.counters.add(Count::FramesBad);
                tracing::debug!(connection = self.link.id, %refusal, "a context frame was dropped");
                return;
            }
        };
        if !may_take(&self.hub, node, &frame) {
            return;
        }
        match self.hub.gossip(|gossip| gossip.hear(&frame)) {
            Heard::Seen if is_own_word(node, &frame) => {
                self.hub.counters.add(Count::FramesTaken);
                self.hub.host.frame(node, frame);
            }
            Heard::Seen | Heard::Own => self.hub.counters.add(Count::FramesSeen),
            Heard::New { forward } => {
                self.hub.counters.add(Count::FramesTaken);
                self.hub.spread(forward.as_deref(), &frame, Some(self.link.id));
                self.hub.host.frame(node, frame);
            }
        }
    }
}

/// True for what a node says itself about what it can do: that counts from it alone, so a copy that another one has brought
/// before does not stand for it.
fn is_own_word(from: NodeId, frame: &ContextFrame) -> bool {
    frame.kind == FrameKind::CapabilityUpdate && frame.source_device_id.parse() == Ok(from)
}

/// Whether a frame that `from` tells is to be taken: it is new, and there is room for it.
/// What is not taken is counted, and not remembered.
fn may_take(hub: &Hub, from: NodeId, frame: &ContextFrame) -> bool {
    let why_not = if !is_own_word(from, frame) && !hub.gossip(|gossip| gossip.is_new(frame)) {
        Count::FramesSeen
    } else if !hub.host.has_room(from, frame.written_bytes()) {
        Count::FramesWithoutRoom
    } else {
        return true;
    };
    hub.counters.add(why_not);
    false
}

/// Asks a node that has just connected for the frames we have missed, whichever side has dialled.
pub(crate) fn sync(hub: Arc<Hub>, link: Arc<Link>, node: NodeId) -> Work {
    Box::pin(async move {
        let asked = question(hub.host.newest_frame_ms(node), hub.host.now().unix_ms);
        // Existing nodes do not answer calls on a link they have dialled, so silence is nothing unusual.
        let Ok(payload) = link.call("context.sync", &asked, hub.config.timing.sync_max).await else {
            hub.counters.add(Count::SyncFailed);
            return None;
        };
        let Ok(synced) = read_answer(Some(&payload), hub.host.now().unix_ms) else {
            hub.counters.add(Count::SyncFailed);
            return None;
        };
        hub.counters.add_many(Count::FramesBad, synced.refused.len() as u64);
        for frame in synced.frames {
            let is_taken = may_take(&hub, node, &frame)
                && (hub.gossip(|gossip| gossip.note(&frame)) || is_own_word(node, &frame));
            if is_taken {
                hub.counters.add(Count::FramesTaken);
                hub.host.frame(node, frame);
            }
        }
        None
    })
}
