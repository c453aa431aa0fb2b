//! What the owner of actuators allows: its own file, which nothing a sender says can lower.
//! Reads/Writes: nothing; a policy is a value that somebody else read from a file.
//! Invariant: of a policy without faults every operation that adds energy or flow ends by itself, fits its budgets, and
//! is confirmed by a sensor.
//! Not here: whether a command is allowed now (`gate`), the text of files (`clawmesh`).

mod bounds;
mod consistency;
mod explain;
mod hazard;
mod rule;

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use bounds::{Budget, Dosage, Interlock, Misfit, Must, Parameter};
pub use consistency::PolicyFault;
pub use explain::{Demand, Explanation};
pub use hazard::HazardClass;
pub use rule::Rule;

use crate::capability::Capability;
use crate::ids::OperatorId;
use crate::level::Level;
use crate::operator::Role;
use crate::proposal::Step;
use crate::reading::Tier;
use crate::setpoint::Setpoint;

/// The parameter that says how long something that was switched on stays on.
pub const FOR_S: &str = "for_s";

/// The policy of one owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The name of the site it is made for.
    pub site: String,
    /// What each actuator may be told, and when.
    pub actuators: Vec<ActuatorRules>,
    /// What may be drawn from or put onto something, in all.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// How much of a substance may go out with the water. What is not listed may not go out at all.
    #[serde(default)]
    pub dosages: Vec<Dosage>,
    /// What a site that is not in order may still do.
    #[serde(default)]
    pub degraded: BTreeMap<Mode, Degraded>,
    /// How long an offer of an approval stands, seconds, for each class.
    #[serde(default = "offer_expires_s")]
    pub offer_expires_s: BTreeMap<HazardClass, u32>,
    /// How long a proposal may wait in all before it is carried out, however often it is simulated and offered, seconds.
    #[serde(default = "proposal_expires_s")]
    pub proposal_expires_s: u32,
}

/// What one actuator may be told, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuatorRules {
    /// The actuator.
    pub actuator: Capability,
    /// How much harm a wrong command can do.
    pub class: HazardClass,
    /// How much of a say people have.
    pub level: Level,
    /// What evidence must at least be worth.
    pub tier_min: Tier,
    /// What it may be told, by name.
    pub operations: BTreeMap<String, OperationRule>,
    /// What a proposal must rest on.
    #[serde(default)]
    pub evidence: Vec<EvidenceRule>,
    /// What must be shown to hold while it is on.
    #[serde(default)]
    pub interlocks: Vec<Interlock>,
    /// What it draws from or puts onto while it is on, by the names of budgets.
    #[serde(default)]
    pub draws: Vec<String>,
    /// What it lets pass at most, litres per minute: what a command is planned to use.
    #[serde(default)]
    pub draws_lpm_max: f64,
    /// What shows that it did what it was told.
    #[serde(default)]
    pub verified_by: Option<Verification>,
    /// What shows how it stands, for an actuator on a guest: nobody can read that back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_by: Option<Showing>,
    /// How near to its card the plant must stay while it runs.
    #[serde(default)]
    pub bands: Vec<BandRule>,
    /// True when whoever proposes may not approve.
    #[serde(default)]
    pub four_eyes: bool,
    /// Who may approve, by their ids; when nobody is named, everybody whose role allows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<OperatorId>,
}

/// The most people whom the rules of one actuator name.
pub const APPROVERS_MAX: usize = 64;

/// One thing an actuator may be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationRule {
    /// The state it brings.
    pub brings: Setpoint,
    /// What the site calls this work, for example `irrigation`.
    pub serves: String,
    /// What must be said with it.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// What goes out with the water, if anything does.
    #[serde(default)]
    pub substance: Option<String>,
}

/// One thing a proposal must rest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRule {
    /// The sensors that count.
    pub sensors: Vec<Capability>,
    /// The node they must be mounted on, by its name in the site.
    pub node: String,
    /// How old a reading may be.
    pub age_s_max: u32,
    /// How many of the sensors must have spoken.
    #[serde(default = "one")]
    pub count_min: usize,
}

/// What shows that a command did what it should.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The sensor; never the driver's own echo.
    pub sensor: Capability,
    /// The node it must be mounted on, by its name in the site.
    pub node: String,
    /// What it must say.
    pub must: Must,
    /// How soon after the command, seconds.
    pub within_s: u32,
}

/// What shows how an actuator stands that no driver of ours can read back. What is neither shown on nor off is unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Showing {
    /// The sensor; it shows this actuator and no other.
    pub sensor: Capability,
    /// The node it must be mounted on, by its name in the site.
    pub node: String,
    /// What it says while the actuator is on.
    pub on: Must,
    /// What it says while the actuator is off.
    pub off: Must,
    /// How old its reading may be.
    pub age_s_max: u32,
}

impl Showing {
    /// How the actuator stands when the sensor says this.
    #[must_use]
    pub fn position(&self, value: f64) -> Option<Setpoint> {
        match (self.on.holds(value), self.off.holds(value)) {
            (true, false) => Some(Setpoint::On),
            (false, true) => Some(Setpoint::Off),
            _ => None,
        }
    }
}

/// How near to its card the plant must stay: what a sensor says may leave the band of its place on the card by this much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandRule {
    /// The sensor, of flow or pressure.
    pub sensor: Capability,
    /// The node it must be mounted on, by its name in the site.
    pub node: String,
    /// How far below the lowest and above the highest value of the card it may be, percent of them.
    pub tolerance_percent: f64,
    /// For how long it may be further off, seconds: when something begins, and whenever it changes.
    pub settle_s: u32,
}

/// A way in which a site can be out of order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
pub enum Mode {
    /// No command center is heard.
    #[n(0)]
    CommandCenterAway,
    /// A field node is not heard.
    #[n(1)]
    FieldNodeAway,
    /// A sensor that a rule names cannot be relied on.
    #[n(2)]
    SensorFault,
    /// The supply is not steady.
    #[n(3)]
    PowerUnstable,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] =
        [Self::CommandCenterAway, Self::FieldNodeAway, Self::SensorFault, Self::PowerUnstable];

    /// What is out of order, in words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::CommandCenterAway => "no command center is heard",
            Self::FieldNodeAway => "a field node is not heard",
            Self::SensorFault => "a sensor that a rule names cannot be relied on",
            Self::PowerUnstable => "the supply is not steady",
        }
    }
}

/// What may still be done in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Degraded {
    /// From this class on nothing new is begun; absent if everything may.
    #[serde(default)]
    pub refuse_from: Option<HazardClass>,
    /// From this class on what runs is ended; absent if it may go on.
    #[serde(default)]
    pub end_from: Option<HazardClass>,
}

fn one() -> usize {
    1
}

fn offer_expires_s() -> BTreeMap<HazardClass, u32> {
    BTreeMap::from([
        (HazardClass::Routine, 1_800),
        (HazardClass::Caution, 900),
        (HazardClass::Hazardous, 300),
        (HazardClass::Irreversible, 120),
    ])
}

fn proposal_expires_s() -> u32 {
    1_800
}

impl Policy {
    /// The rules of an actuator; without any it may not be told anything.
    #[must_use]
    pub fn rules_of(&self, actuator: &Capability) -> Option<&ActuatorRules> {
        self.actuators.iter().find(|rules| rules.actuator == *actuator)
    }

    /// The rules of every actuator that these steps move, in their order.
    pub fn rules_for<'a>(&'a self, steps: &'a [Step]) -> impl Iterator<Item = &'a ActuatorRules> {
        steps.iter().filter_map(|step| self.rules_of(&step.actuator))
    }

    /// The strictest level of these steps. Standing permissions are not there yet, so somebody is always asked.
    #[must_use]
    pub fn level_of(&self, steps: &[Step]) -> Level {
        self.rules_for(steps).map(|rules| rules.level).max().unwrap_or(Level::L3).max(Level::L2)
    }

    /// True when whoever proposes these steps may not be one of those who approve them.
    #[must_use]
    pub fn wants_others(&self, steps: &[Step]) -> bool {
        self.level_of(steps) >= Level::L3 || self.rules_for(steps).any(|rules| rules.four_eyes)
    }

    /// The people whom the actuators of these steps name as those who may approve, a list for each that names any: whoever approves has to
    /// stand on all of them.
    #[must_use]
    pub fn approvers_of<'a>(&'a self, steps: &'a [Step]) -> Vec<&'a [OperatorId]> {
        let named = self.rules_for(steps).map(|rules| rules.approvers.as_slice());
        named.filter(|named| !named.is_empty()).collect()
    }

    /// Who may end a stop: somebody of more weight where more harm can be done.
    #[must_use]
    pub fn rearmed_by(&self) -> Role {
        match self.actuators.iter().map(|rules| rules.class).max() {
            None | Some(HazardClass::Routine) => Role::Operator,
            Some(HazardClass::Caution) => Role::Approver,
            Some(HazardClass::Hazardous | HazardClass::Irreversible) => Role::Supervisor,
        }
    }

    /// The budget with this name.
    #[must_use]
    pub fn budget(&self, name: &str) -> Option<&Budget> {
        self.budgets.iter().find(|budget| budget.of == name)
    }

    /// How much of this substance may go out; without a dosage none of it.
    #[must_use]
    pub fn dosage(&self, substance: &str) -> Option<&Dosage> {
        self.dosages.iter().find(|dosage| dosage.substance == substance)
    }

    /// Every sensor that a rule names, with the node it must be mounted on.
    pub fn sensors(&self) -> impl Iterator<Item = (&str, &Capability)> {
        self.actuators.iter().flat_map(|rules| {
            let evidence = rules
                .evidence
                .iter()
                .flat_map(|rule| rule.sensors.iter().map(move |sensor| (rule.node.as_str(), sensor)));
            let interlocks =
                rules.interlocks.iter().map(|interlock| (interlock.node.as_str(), &interlock.sensor));
            let verified = rules.verified_by.iter().map(|by| (by.node.as_str(), &by.sensor));
            let shown = rules.shown_by.iter().map(|by| (by.node.as_str(), &by.sensor));
            let bands = rules.bands.iter().map(|band| (band.node.as_str(), &band.sensor));
            evidence.chain(interlocks).chain(verified).chain(shown).chain(bands)
        })
    }
}
