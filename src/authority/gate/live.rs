//! What the owner of an actuator is and knows at the moment it judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::capability::Capability;
use crate::hold::Held;
use crate::ids::{ContentHash, MeshId, NodeId, OperatorId, ProposalId};
use crate::operator::Roster;
use crate::policy::Mode;
use crate::reading::Tier;
use crate::setpoint::Setpoint;
use crate::unit::Unit;

/// Who judges, and by which files.
#[derive(Debug, Clone, PartialEq)]
pub struct Home {
    /// The mesh.
    pub mesh: MeshId,
    /// The owner.
    pub owner: NodeId,
    /// The site it holds, by its content.
    pub site: ContentHash,
    /// The policy it holds, by its content.
    pub policy: ContentHash,
    /// The nodes of the site by name.
    pub nodes: BTreeMap<String, NodeId>,
    /// The actuators the site gives to this owner.
    pub actuators: BTreeSet<Capability>,
    /// What the site says of each sensor: its node cannot say otherwise.
    pub sensors: BTreeMap<(NodeId, Capability), DeclaredSensor>,
    /// Who may simulate for it besides itself.
    pub simulators: BTreeSet<NodeId>,
    /// The people it knows.
    pub people: Roster,
}

/// What the site says of a sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeclaredSensor {
    /// The unit of its numbers.
    pub unit: Unit,
    /// The lowest and the highest it can say at all.
    pub range: (f64, f64),
    /// How often it speaks, milliseconds.
    pub period_ms: u32,
}

impl DeclaredSensor {
    /// Why this number in this unit is nothing that the sensor can say, if it is not.
    #[must_use]
    pub fn misfit(&self, value: f64, unit: Unit) -> Option<String> {
        let (low, high) = self.range;
        if unit != self.unit {
            return Some(format!("in {unit}, and the site says {}", self.unit));
        }
        // NaN is within no range.
        (!(low..=high).contains(&value)).then(|| format!("at {value}, outside {low} to {high} {unit}"))
    }
}

/// What the owner knows now. What is missing is unknown, and unknown is unsafe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    /// Why the stop is latched, if it is.
    pub stop: Option<String>,
    /// True while the journal commits. A tick cannot know that of itself: what it decides is answered and driven only once it is
    /// durable, so a node says `true` here, and who asks a node whose journal has failed is refused at its door by the same code.
    pub can_write_down: bool,
    /// Why the way to the mesh is not shown to work, if it is not.
    pub comms_unknown: Option<String>,
    /// How the site is out of order.
    pub modes: BTreeSet<Mode>,
    /// What each sensor last said.
    pub readings: BTreeMap<(NodeId, Capability), LiveReading>,
    /// How each actuator of this owner stands.
    pub actuators: BTreeMap<Capability, ActuatorState>,
    /// What works for a proposal now, and for which.
    pub held: BTreeMap<Capability, ProposalId>,
    /// What a person has exclusive control of.
    pub controlled: BTreeMap<Capability, Controlled>,
    /// What people have put on hold, each with a sentence that says who and why.
    pub on_hold: Vec<(Held, String)>,
    /// What was used in the last 24 hours, by the names of budgets.
    pub spent: BTreeMap<String, Spent>,
    /// The wall clock, Unix milliseconds.
    pub wall_ms: u64,
    /// What it would show if nobody had set it since the start, Unix milliseconds; 0 where nobody counts.
    pub counted_ms: u64,
}

impl Live {
    /// The time by which evidence ages: a clock that is set back makes nothing fresh again.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.wall_ms.max(self.counted_ms)
    }

    /// Where an actuator stands, as it was read back; `None` is unknown.
    #[must_use]
    pub fn position_of(&self, actuator: &Capability) -> Option<Setpoint> {
        self.actuators.get(actuator)?.read_back
    }
}

/// What a sensor last said.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveReading {
    /// The value.
    pub value: f64,
    /// What it is worth.
    pub tier: Tier,
    /// How old it is, by its origin or by its receipt, whichever is more, milliseconds.
    pub age_ms: u64,
    /// For how long its value has not changed, by the clock of its node, milliseconds.
    pub unchanged_ms: u64,
    /// Why it cannot be relied on, for example `stale`; `None` if it can.
    pub doubt: Option<String>,
    /// Why it would be wrong however fresh it is, for example `stuck`; `None` if nothing says so.
    pub fault: Option<String>,
}

/// How an actuator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ActuatorState {
    /// What its driver read back; `None` is unknown.
    pub read_back: Option<Setpoint>,
    /// True while its driver answers.
    pub answers: bool,
    /// True while a hand holds it.
    pub local_control: bool,
    /// True while a person has taken it out of service.
    pub out_of_service: bool,
    /// Another node that takes itself for its owner: it has a proposal that drives it.
    pub claimed_by: Option<NodeId>,
}

/// Who has exclusive control of an actuator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controlled {
    /// Who.
    pub by: OperatorId,
    /// What they are called.
    pub name: String,
}

/// What was used of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spent {
    /// Litres.
    pub litres: f64,
    /// Seconds.
    pub seconds: f64,
}
