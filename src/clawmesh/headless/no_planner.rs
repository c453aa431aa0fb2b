//! What stands in the place of the planner in a build that has none: a planner that cannot be made.

use std::sync::Arc;

use clawmesh_authority::NodeKey;
use clawmesh_core::Settings;
use clawmesh_core::intake::InboxHandle;
use clawmesh_core::mesh::Neighbours;
use clawmesh_core::planner::Wishes;
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::replay::CommitWatch;
use clawmesh_gateway::SnapshotFeed;

use super::worker::Worker;
use crate::config::settings::NodeConfig;

/// A planner, of which this build has none.
pub enum Planning {}

impl Planning {
    /// Nothing: the settings of such a build have `planner` off.
    #[expect(clippy::unnecessary_wraps, reason = "a build with a planner has faults to tell of")]
    pub fn of(
        _: &NodeConfig,
        _: &Settings,
        _: &NodeKey,
        _: &InboxHandle,
    ) -> anyhow::Result<Option<(Box<dyn Wishes>, Self)>> {
        Ok(None)
    }

    /// Never called, as there is no planner to start.
    pub fn start(
        self,
        _: Arc<dyn Neighbours>,
        _: AnswerDesk,
        _: SnapshotFeed,
        _: CommitWatch,
    ) -> anyhow::Result<Worker> {
        match self {}
    }
}
