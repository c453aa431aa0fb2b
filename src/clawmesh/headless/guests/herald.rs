//! Tells existing nodes what is new here, and the tick which of them were heard and what was refused at their door: one look a
//! second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_core::guests::HEARD_EVERY_MS;
use clawmesh_core::publish::Snapshot;
use clawmesh_wire::own_frames::TOLD_EVERY_MS;
use clawmesh_wire::system_events::EventKind;
use clawmesh_wire_link::Links;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::answers;
use super::guest_news::GuestNews;
use super::host::GuestHost;
use super::own::{News, ProposalNews};
use crate::moments::up_ms;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The event that says that something is proposed, and the one that says how it ended.
const PROPOSED: &str = "planner.proposal";
const RESOLVED: &str = "planner.proposal.resolved";

/// The herald at work; it ends when this is dropped.
pub struct Herald(AbortHandle);

impl Drop for Herald {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Herald {
    /// Begins, on these tasks.
    pub fn start(host: Arc<GuestHost>, links: Links, tasks: &Handle) -> Self {
        let mut rounds = Rounds {
            news: ProposalNews::default(),
            guests: GuestNews::default(),
            heard: BTreeMap::new(),
            told_heard_ms: None,
            told_ms: None,
            host,
            links,
        };
        let task = tasks.spawn(async move {
            let mut looks = interval(LOOK_EVERY);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                rounds.look();
            }
        });
        Self(task.abort_handle())
    }
}

struct Rounds {
    host: Arc<GuestHost>,
    links: Links,
    news: ProposalNews,
    guests: GuestNews,
    /// How often each connected node had been heard when that was told last.
    heard: BTreeMap<NodeId, u64>,
    /// When who was heard was told last.
    told_heard_ms: Option<u64>,
    /// When our own frames were told last.
    told_ms: Option<u64>,
}

impl Rounds {
    fn look(&mut self) {
        self.host.tell_refusals(self.links.counts());
        let now_ms = up_ms();
        let is_due = |told_ms: Option<u64>, every_ms| {
            told_ms.is_none_or(|told_ms| now_ms.saturating_sub(told_ms) >= every_ms)
        };
        if is_due(self.told_heard_ms, HEARD_EVERY_MS) {
            self.told_heard_ms = Some(now_ms);
            self.tell_heard();
        }
        let Some(snapshot) = self.host.snapshot() else { return };
        self.tell_proposals(&snapshot);
        self.note_guests(&snapshot);
        if is_due(self.told_ms, TOLD_EVERY_MS) {
            self.told_ms = Some(now_ms);
            for frame in self.host.renew_own(&snapshot) {
                self.links.publish(&frame);
            }
        }
    }

    /// Whoever was not heard since the last time is not named: the tick counts the silence.
    fn tell_heard(&mut self) {
        let now: BTreeMap<NodeId, u64> =
            self.links.vitals().into_iter().map(|vitals| (vitals.node, vitals.heard_count)).collect();
        let is_news = |(node, count): &(&NodeId, &u64)| self.heard.get(*node) != Some(*count);
        let heard: Vec<NodeId> = now.iter().filter(is_news).map(|(node, _)| *node).collect();
        self.host.tell_heard(&heard);
        self.heard = now;
    }

    fn note_guests(&mut self, snapshot: &Snapshot) {
        for news in self.guests.look(snapshot.guests.guests()) {
            let kind = if news.is_back { EventKind::PeerConnect } else { EventKind::PeerDisconnect };
            self.host.note(kind, news.words, Some(news.guest), None);
        }
    }

    fn tell_proposals(&mut self, snapshot: &Snapshot) {
        for news in self.news.look(snapshot) {
            let (id, event, kind) = match &news {
                News::Proposed(id) => (id, PROPOSED, EventKind::ProposalCreated),
                News::Resolved(id) => (id, RESOLVED, EventKind::ProposalResolved),
            };
            let Some(payload) = answers::proposal_event(snapshot, id) else { continue };
            self.host.note(kind, payload.words(), None, Some(id.clone()));
            self.links.announce(event, &payload);
        }
    }
}
