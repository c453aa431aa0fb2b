//! What a node says it is for. A role is signed by the node itself, so it can take rights away and never give one.

use std::fmt;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

/// What a node says it is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, Encode,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// Nothing in particular; also every role we do not know.
    #[n(0)]
    #[default]
    Node,
    /// It plans for the others.
    #[n(1)]
    Planner,
    /// It runs field hardware.
    #[n(2)]
    Field,
    /// It measures.
    #[n(3)]
    Sensor,
    /// It moves things.
    #[n(4)]
    Actuator,
    /// It looks on.
    #[n(5)]
    Viewer,
    /// It plans when no planner is there.
    #[n(6)]
    StandbyPlanner,
}

impl NodeRole {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Node,
        Self::Planner,
        Self::Field,
        Self::Sensor,
        Self::Actuator,
        Self::Viewer,
        Self::StandbyPlanner,
    ];

    /// What a node is called where people decide; it plans.
    pub const COMMAND_CENTER: &str = "command-center";

    /// The role with this name, a command center being a planner; [`NodeRole::Node`] for a name we do not know.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        if name == Self::COMMAND_CENTER {
            return Self::Planner;
        }
        Self::ALL.into_iter().find(|role| role.as_str() == name).unwrap_or_default()
    }

    /// The name, as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Planner => "planner",
            Self::Field => "field",
            Self::Sensor => "sensor",
            Self::Actuator => "actuator",
            Self::Viewer => "viewer",
            Self::StandbyPlanner => "standby-planner",
        }
    }

    /// True when something may be sent there to be done; a viewer offers nothing, whatever it advertises.
    #[must_use]
    pub fn is_target(self) -> bool {
        self != Self::Viewer
    }

    /// True when it may ask others to move something; a viewer only looks on.
    #[must_use]
    pub fn may_ask_for_actuation(self) -> bool {
        self != Self::Viewer
    }

    /// How strong its claim to lead the planning is; 0 means none.
    #[must_use]
    pub fn planner_rank(self) -> u8 {
        match self {
            Self::Planner => 2,
            Self::StandbyPlanner => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for NodeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_name_of_its_own_and_unknown_names_are_plain_nodes() {
        for role in NodeRole::ALL {
            assert_eq!(NodeRole::of_name(role.as_str()), role);
        }
        assert_eq!(NodeRole::of_name("command-center"), NodeRole::Planner);
        for unknown in ["", "Planner", "admin"] {
            assert_eq!(NodeRole::of_name(unknown), NodeRole::Node, "{unknown}");
        }
    }

    #[test]
    fn only_a_viewer_is_no_target_and_asks_for_nothing() {
        for role in NodeRole::ALL {
            assert_eq!(role.is_target(), role != NodeRole::Viewer);
            assert_eq!(role.may_ask_for_actuation(), role != NodeRole::Viewer);
        }
    }

    #[test]
    fn a_planner_leads_before_a_standby_and_nobody_else_leads() {
        let leaders: Vec<_> = NodeRole::ALL.into_iter().filter(|role| role.planner_rank() > 0).collect();
        assert_eq!(leaders, [NodeRole::Planner, NodeRole::StandbyPlanner]);
        assert!(NodeRole::Planner.planner_rank() > NodeRole::StandbyPlanner.planner_rank());
    }
}
