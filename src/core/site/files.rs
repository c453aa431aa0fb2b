//! The site of a run, read from its settings once, and the policy that holds there now.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::gate::{DeclaredSensor, Home};
use clawmesh_authority::policy::{PolicyFault, Showing};
use clawmesh_authority::{Capability, ContentHash, NodeId, Policy, Setpoint};
use clawmesh_twin::site::{self, Plan, SwitchState};

use crate::settings::{Settings, SiteText};
use crate::site::disagreements;
use crate::world::Sensor;

/// What a node holds of its site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteFiles {
    /// The name people use for the site.
    pub name: String,
    /// What stands there.
    pub plan: Plan,
    /// What the owner of actuators allows, if this node has a policy.
    pub policy: Option<Policy>,
    /// Who this node is there, for the gate.
    pub home: Home,
    /// The actuators of this owner that stand on guests: it is their guardian.
    pub on_guests: BTreeSet<Capability>,
}

impl SiteText {
    /// The texts of a site and its policy.
    ///
    /// # Errors
    /// When a number in them is none; a plan and a policy without faults have no such number.
    pub fn of(name: &str, plan: &Plan, policy: Option<&Policy>) -> Result<Self, String> {
        let policy = policy.map(Self::policy_of).transpose()?;
        let plan = serde_json::to_string(&(name, plan)).map_err(|fault| fault.to_string())?;
        Ok(Self { plan, policy })
    }

    /// The text of a policy.
    ///
    /// # Errors
    /// When a number in it is none; a policy without faults has no such number.
    pub fn policy_of(policy: &Policy) -> Result<String, String> {
        serde_json::to_string(policy).map_err(|fault| fault.to_string())
    }

    /// The plan by its content: equal on nodes that have the same site in mind, whatever comments stand in their files.
    #[must_use]
    pub fn site_hash(&self) -> ContentHash {
        ContentHash::of_site(&self.plan)
    }

    /// The policy by its content.
    #[must_use]
    pub fn policy_hash(&self) -> ContentHash {
        ContentHash::of_policy(self.policy.as_deref().unwrap_or_default())
    }
}

impl SiteFiles {
    /// Reads the site of a run; without one there is nothing to read.
    ///
    /// # Errors
    /// A sentence, when the texts are not what this software writes.
    pub fn of(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(text) = &settings.site else { return Ok(None) };
        let unreadable =
            |fault: serde_json::Error| format!("the site in the settings cannot be read: {fault}");
        let (name, plan): (String, Plan) = serde_json::from_str(&text.plan).map_err(unreadable)?;
        let policy = text.policy.as_deref().map(serde_json::from_str).transpose().map_err(unreadable)?;
        let home = home(settings, text, &plan);
        let is_on_guest = |actuator: &Capability| {
            let entry = plan.actuators.iter().find(|entry| entry.capability == actuator.as_str());
            entry.is_some_and(|entry| entry.on_guest.is_some())
        };
        let on_guests = home.actuators.iter().filter(|actuator| is_on_guest(actuator)).cloned().collect();
        Ok(Some(Self { name, plan, policy, home, on_guests }))
    }

    /// Takes another policy. All of it holds from now on, or nothing has changed.
    ///
    /// # Errors
    /// A sentence, for a text that is no policy, that contradicts itself or that does not fit the plan.
    pub fn take_policy(&mut self, text: &str) -> Result<(), String> {
        let policy: Policy =
            serde_json::from_str(text).map_err(|fault| format!("the policy cannot be read: {fault}"))?;
        let mut faults = policy.faults();
        faults.extend(disagreements(&self.name, &self.plan, &policy));
        if let Some(PolicyFault { at, sentence }) = faults.first() {
            return Err(format!("`{at}`: {sentence}"));
        }
        self.home.policy = ContentHash::of_policy(text);
        self.policy = Some(policy);
        Ok(())
    }
}

impl SiteFiles {
    /// What shows how an actuator on a guest stands, and the sensor it is on; nothing where the policy names none.
    #[must_use]
    pub fn showing(&self, actuator: &Capability) -> Option<(&Showing, Sensor)> {
        let by = self.policy.as_ref()?.rules_of(actuator)?.shown_by.as_ref()?;
        let node = *self.home.nodes.get(&by.node)?;
        Some((by, Sensor { node, capability: by.sensor.clone() }))
    }

    /// The state in which an actuator harms nobody, as the plan declares it.
    #[must_use]
    pub fn safe_state_of(&self, actuator: &Capability) -> Option<Setpoint> {
        let found = self.plan.actuators.iter().find(|found| found.capability == actuator.as_str())?;
        Some(match found.safe_state {
            SwitchState::On => Setpoint::On,
            SwitchState::Off => Setpoint::Off,
        })
    }
}

fn home(settings: &Settings, text: &SiteText, plan: &Plan) -> Home {
    let nodes: BTreeMap<String, NodeId> = plan
        .nodes
        .iter()
        .filter_map(|node| Some((node.name.to_string(), node.id.as_deref()?.parse().ok()?)))
        .collect();
    let is_ours = |owner: &str| nodes.get(owner) == Some(&settings.node);
    let actuators: BTreeSet<Capability> = plan
        .actuators
        .iter()
        .filter(|actuator| is_ours(actuator.owner.as_str()))
        .filter_map(|actuator| Capability::new(&actuator.capability).ok())
        .collect();
    let declared = |sensor: &site::Sensor| {
        let of = (*nodes.get(sensor.node.as_str())?, Capability::new(&sensor.capability).ok()?);
        let unit = sensor.unit.parse().ok()?;
        Some((of, DeclaredSensor { unit, range: sensor.range, period_ms: sensor.period_ms }))
    };
    let sensors = plan.sensors.iter().filter_map(declared).collect();
    Home {
        mesh: settings.mesh(),
        owner: settings.node,
        site: text.site_hash(),
        policy: text.policy_hash(),
        nodes,
        actuators,
        sensors,
        simulators: BTreeSet::new(),
        people: settings.roster.clone(),
    }
}
