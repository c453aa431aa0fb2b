//! What one run of a node is made of; written once into the journal, equal for the live node and its replay.

use std::collections::BTreeSet;

use bevy::prelude::Resource;
use clawmesh_authority::{MeshId, NodeId, Roster};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The settings of one run. They never change while it lasts.
#[derive(Resource, Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Settings {
    /// Who we are.
    #[n(0)]
    pub node: NodeId,
    /// The name people use for this node.
    #[n(1)]
    pub name: String,
    /// What it is for, for example `field`.
    #[n(2)]
    pub role: String,
    /// The name of the mesh.
    #[n(3)]
    pub mesh_name: String,
    /// The version of the software that made the run.
    #[n(4)]
    pub version: String,
    /// Which run of this node it is; every run has a larger one.
    #[n(5)]
    pub epoch: u64,
    /// Ticks per second.
    #[n(6)]
    pub hz: u32,
    /// A digest is taken at every tick that is a multiple of this.
    #[n(7)]
    pub digest_every_ticks: u64,
    /// The tick before the first one of this run.
    #[n(8)]
    pub tick_before: u64,
    /// The nodes whose statements are taken when the run begins.
    #[n(9)]
    pub trusted: BTreeSet<NodeId>,
    /// The site it works at, if somebody has drawn it.
    #[n(10)]
    pub site: Option<SiteText>,
    /// The people this node knows by their keys.
    #[n(11)]
    pub roster: Roster,
    /// Drawn anew at each start; the nonces of this run follow from it, and no earlier run had them.
    #[n(12)]
    pub entropy: [u8; 32],
    /// Whether plain commands of guests reach a mock actuator; without one they reach nothing.
    #[n(13)]
    #[cbor(default)]
    #[serde(default)]
    pub mock_actuator: bool,
    /// Whether it wishes to lead the planning, where its role may.
    #[n(14)]
    #[cbor(default)]
    #[serde(default)]
    pub plans: bool,
    /// The newest wall time that earlier runs knew, where this run begins without knowing the time: what it stamps comes after.
    /// 0 where the machine keeps its clock.
    #[n(15)]
    #[cbor(default)]
    #[serde(default)]
    pub wall_before_ms: u64,
    /// The newest wall time that earlier runs knew, whether or not this one knows the time; 0 where none is found.
    #[n(16)]
    #[cbor(default)]
    #[serde(default)]
    pub known_before_ms: u64,
}

/// A site and the policy of its owner as canonical texts, so that what was journaled is what was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct SiteText {
    /// The name and the plan, as a JSON list of two.
    #[n(0)]
    pub plan: String,
    /// The policy, as JSON, if this node has one.
    #[n(1)]
    pub policy: Option<String>,
}

/// The lowest and highest tick rate a node may run at.
pub const HZ_RANGE: std::ops::RangeInclusive<u32> = 1..=200;

impl Settings {
    /// Those of a node that runs for the first time: it ticks 50 times a second with a digest of each tick, knows nobody and has no
    /// site. Its entropy is fixed, as a lab or a bench wants it; a node in the field draws its own.
    #[must_use]
    pub fn of_first_run(node: NodeId, name: &str, role: &str, mesh_name: &str) -> Self {
        Self {
            node,
            name: name.to_owned(),
            role: role.to_owned(),
            mesh_name: mesh_name.to_owned(),
            version: "0".to_owned(),
            epoch: 1,
            hz: 50,
            digest_every_ticks: 1,
            tick_before: 0,
            trusted: BTreeSet::new(),
            site: None,
            roster: Roster::default(),
            entropy: [7; 32],
            mock_actuator: false,
            plans: false,
            wall_before_ms: 0,
            known_before_ms: 0,
        }
    }

    /// The mesh this node is in.
    #[must_use]
    pub fn mesh(&self) -> MeshId {
        MeshId::of_name(&self.mesh_name)
    }

    /// Milliseconds of wall time that `ticks` take.
    #[must_use]
    pub fn ms_of_ticks(&self, ticks: u64) -> u64 {
        ticks.saturating_mul(1_000) / u64::from(self.hz.max(1))
    }

    /// Ticks that `ms` milliseconds take, rounded up.
    #[must_use]
    pub fn ticks_of_ms(&self, ms: u64) -> u64 {
        ms.saturating_mul(u64::from(self.hz.max(1))).div_ceil(1_000)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A node that ticks 50 times a second.
    pub(crate) fn settings() -> Settings {
        Settings::of_first_run(NodeId([7; 32]), "center", "command-center", "test")
    }
}
