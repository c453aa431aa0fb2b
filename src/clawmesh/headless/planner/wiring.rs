//! Putting a planner into a node: what it plans for, and its ways to owners and to what was measured.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::Context as _;
use clawmesh_authority::{Answer, AskKind, Code, NodeKey, Refused};
use clawmesh_core::Settings;
use clawmesh_core::intake::{InboxHandle, SourceId};
use clawmesh_core::mesh::Neighbours;
use clawmesh_core::planner::Wishes;
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::site::SiteFiles;
use clawmesh_gateway::SnapshotFeed;

use super::super::worker::Worker;
use super::wishes::{WishBook, wishes};
use super::{PlannerPorts, PlannerWays, start};
use crate::config::settings::NodeConfig;

/// How long the tick of this very node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A planner that is wanted and waits for its ways.
pub struct Planning {
    key: NodeKey,
    site: SiteFiles,
    inbox: InboxHandle,
    wishes: WishBook,
}

impl Planning {
    /// The planner of a node, and the tick's way to it; nothing if this node plans nothing.
    pub fn of(
        config: &NodeConfig,
        settings: &Settings,
        key: &NodeKey,
        inbox: &InboxHandle,
    ) -> anyhow::Result<Option<(Box<dyn Wishes>, Self)>> {
        let site = SiteFiles::of(settings).map_err(anyhow::Error::msg)?;
        let Some(site) = site.filter(|site| config.plans_at(&site.plan)) else { return Ok(None) };
        let (port, book) = wishes(inbox.clone());
        let (key, inbox) = (key.clone(), inbox.clone());
        Ok(Some((Box::new(port), Self { key, site, inbox, wishes: book })))
    }

    /// Begins to plan.
    pub fn start(
        self,
        mesh: Arc<dyn Neighbours>,
        desk: AnswerDesk,
        snapshots: SnapshotFeed,
        commits: CommitWatch,
    ) -> anyhow::Result<Worker> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the system gives the planner no runtime")?;
        let (own, door, shelf) = (self.site.home.owner, self.inbox.clone(), Arc::clone(&mesh));
        let ways = PlannerWays {
            evidence: Box::new(move |sensor| {
                shelf.evidence(sensor).into_iter().map(|(_, envelope)| envelope.to_vec()).collect()
            }),
            ask: Box::new(move |owner, bytes| {
                if owner == own {
                    ask_here(&door, &desk, bytes)
                } else {
                    runtime.block_on(mesh.ask(owner, AskKind::Request, bytes))
                }
            }),
        };
        let ports = PlannerPorts {
            key: self.key,
            mesh: self.site.home.mesh,
            plan: self.site.plan,
            site: self.site.home.site,
            snapshots,
            inbox: self.inbox,
            commits,
            wishes: self.wishes,
        };
        start(ports, ways).context("the system gives the planner no thread")
    }
}

/// A planner of the owner itself asks at its own door, like everybody else.
fn ask_here(door: &InboxHandle, desk: &AnswerDesk, bytes: Vec<u8>) -> Answer {
    let (tell, told) = sync_channel(1);
    let busy = |sentence: &str| Answer::from(Refused::new(Code::Busy, "door", sentence));
    // Nobody is there to tell when the planner has stopped waiting.
    let tell = move |answer| drop(tell.try_send(answer));
    let _place = match desk.ask(door, SourceId::Planner, AskKind::Request, bytes, tell) {
        Ok(place) => place,
        Err(refusal) => return busy(&refusal.sentence),
    };
    told.recv_timeout(ANSWER_WITHIN).unwrap_or_else(|_| busy("the tick has not answered in time"))
}
