//! What a site wants watched: its sensors, and the limits that the owner's policy sets. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::policy::Must;
use clawmesh_authority::{Capability, NodeId};

use super::condition::Condition;
use super::state::{Now, Priority};
use crate::site::SiteFiles;
use crate::world::Sensor;

/// A limit of a reading. One limit has one key, however many interlocks ask for it; two limits of one sensor ring
/// each for itself, so that worse is not hidden behind bad.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Whose reading.
    pub sensor: Sensor,
    /// What it must be.
    pub must: Must,
    /// Why, for people; what each interlock says.
    pub why: Vec<String>,
}

/// What is watched at a site; constant for a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Watch {
    names: BTreeMap<NodeId, String>,
    sensors: BTreeMap<Sensor, Priority>,
    limits: BTreeMap<String, Limit>,
    has_plan: bool,
    is_watered: bool,
}

impl Watch {
    /// What a site wants watched; without one every sensor is.
    #[must_use]
    pub fn of(site: Option<&SiteFiles>) -> Self {
        let Some(site) = site else { return Self::default() };
        let mut watch = Self { has_plan: true, ..Self::default() };
        watch.is_watered = site.plan.is_watered();
        watch.names = site.home.nodes.iter().map(|(name, id)| (*id, name.clone())).collect();
        for sensor in &site.plan.sensors {
            let found = Capability::new(&sensor.capability).ok();
            let placed = found.and_then(|capability| placed(site, sensor.node.as_str(), &capability));
            watch.sensors.extend(placed.map(|sensor| (sensor, Priority::Low)));
        }
        let named = site.policy.iter().flat_map(|policy| policy.sensors());
        let named = named.filter_map(|(node, capability)| placed(site, node, capability));
        watch.sensors.extend(named.map(|sensor| (sensor, Priority::Medium)));
        watch.limits = limits(site);
        watch
    }

    /// How soon a person has to look when something is wrong with this sensor; absent when nobody relies on it.
    #[must_use]
    pub fn priority(&self, sensor: &Sensor) -> Option<Priority> {
        if self.has_plan { self.sensors.get(sensor).copied() } else { Some(Priority::Low) }
    }

    /// True where a planner has something to propose.
    #[must_use]
    pub fn is_watered(&self) -> bool {
        self.is_watered
    }

    /// Every sensor that the site names.
    pub fn sensors(&self) -> impl Iterator<Item = (&Sensor, Priority)> {
        self.sensors.iter().map(|(sensor, priority)| (sensor, *priority))
    }

    /// Every limit, with its key.
    pub fn limits(&self) -> impl Iterator<Item = (&str, &Limit)> {
        self.limits.iter().map(|(key, limit)| (key.as_str(), limit))
    }

    /// A node by its name in the site, or by its whole id: the beginning of one decides nothing.
    #[must_use]
    pub fn name_of(&self, node: &NodeId) -> String {
        self.names.get(node).cloned().unwrap_or_else(|| node.to_string())
    }

    /// What rings when a reading is outside of a limit.
    #[must_use]
    pub fn outside(&self, limit: &Limit, value: f64, unit: &str, now: &Now) -> Option<Condition> {
        if limit.must.holds(value) {
            return None;
        }
        let (sensor, node) = (&limit.sensor.capability, self.name_of(&limit.sensor.node));
        let (must, why) = (limit.must.in_words(), limit.why.join("; "));
        let sentence = format!("{sensor} of {node} says {value:.2} {unit} and must say {must}: {why}");
        Some(Condition::at_once(Priority::High, &sentence, now))
    }
}

/// The interlocks of the actuators that this node owns.
fn limits(site: &SiteFiles) -> BTreeMap<String, Limit> {
    let mut limits: BTreeMap<String, Limit> = BTreeMap::new();
    let rules = site.policy.iter().flat_map(|policy| &policy.actuators);
    let own = rules.filter(|rules| site.home.actuators.contains(&rules.actuator));
    for interlock in own.flat_map(|rules| &rules.interlocks) {
        let Some(sensor) = placed(site, &interlock.node, &interlock.sensor) else { continue };
        let must = interlock.must.in_words().replace(' ', "-");
        let key = format!("limit/{}/{}/{must}", interlock.node, interlock.sensor);
        let limit = limits.entry(key).or_insert(Limit { sensor, must: interlock.must, why: Vec::new() });
        if !limit.why.contains(&interlock.why) {
            limit.why.push(interlock.why.clone());
        }
    }
    limits
}

fn placed(site: &SiteFiles, node: &str, capability: &Capability) -> Option<Sensor> {
    let node = *site.home.nodes.get(node)?;
    Some(Sensor { node, capability: capability.clone() })
}
