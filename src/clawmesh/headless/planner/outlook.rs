//! From the newest picture of the world to a thought of every zone. Pure: the same picture gives the same thoughts.

use clawmesh_authority::{NodeId, Tier, Unit};
use clawmesh_brain::{Choice, ZoneFacts};
use clawmesh_core::intake::Thought;
use clawmesh_core::publish::Snapshot;
use clawmesh_gateway::STALLED_AFTER_MS;
use clawmesh_twin::site::Plan;

/// The zones that are looked after, in the order of the site. It is made from the site alone and never changes.
pub struct Outlook {
    zones: Vec<Zone>,
}

/// One zone, and where its moisture is measured.
struct Zone {
    name: String,
    sensor: String,
    /// The node of the sensor, once the site tells its id.
    node: Option<NodeId>,
    dry_below_percent: f64,
    wilting_percent: f64,
}

impl Outlook {
    /// Every zone that the site tells how to water.
    pub fn of(plan: &Plan) -> Self {
        let node_of = |sensor: &str| {
            let sensor = plan.sensors.iter().find(|found| found.capability == sensor)?;
            let node = plan.nodes.iter().find(|found| found.name == sensor.node)?;
            node.id.as_deref()?.parse().ok()
        };
        let zones = plan.zones.iter().filter_map(|zone| {
            let irrigation = zone.irrigation.as_ref()?;
            Some(Zone {
                name: zone.name.to_string(),
                sensor: irrigation.moisture.clone(),
                node: node_of(&irrigation.moisture),
                dry_below_percent: irrigation.dry_below_percent,
                wilting_percent: irrigation.wilting_percent,
            })
        });
        Self { zones: zones.collect() }
    }

    /// What is thought of every zone by a picture of the world that is `age_ms` old.
    pub fn think(&self, snapshot: &Snapshot, age_ms: u64) -> Vec<Thought> {
        let facts = self.facts(snapshot, age_ms);
        let thoughts = clawmesh_brain::think(&facts).into_iter().zip(&facts);
        let thoughts = thoughts.map(|(thought, facts)| Thought {
            zone: thought.zone,
            irrigate: thought.choice == Choice::Irrigate,
            urgency_permille: (thought.urgency * 1_000.0).round() as u16,
            moisture_permille: facts.moisture_percent.map(|percent| (percent * 10.0) as u16),
        });
        thoughts.collect()
    }

    /// What is known of every zone.
    pub fn facts(&self, snapshot: &Snapshot, age_ms: u64) -> Vec<ZoneFacts> {
        let facts = self.zones.iter().map(|zone| ZoneFacts {
            zone: zone.name.clone(),
            moisture_percent: zone.moisture_percent(snapshot, age_ms),
            dry_below_percent: zone.dry_below_percent,
            wilting_percent: zone.wilting_percent,
        });
        facts.collect()
    }
}

impl Zone {
    /// What the sensor of this zone, on the node that the site names, says now; unknown when anything is wrong with it, or
    /// when the tick that told us stands still.
    fn moisture_percent(&self, snapshot: &Snapshot, age_ms: u64) -> Option<f64> {
        if age_ms > STALLED_AFTER_MS {
            return None;
        }
        let mut rows = snapshot.sensors.iter();
        let row = rows.find(|row| Some(row.node) == self.node && row.sensor == self.sensor)?;
        // What is worth no more than somebody's thought, as a mock's numbers are, dries no zone.
        let is_measured = row.tier.is_some_and(|tier| tier > Tier::T0);
        let is_sound = is_measured && row.flags.is_empty() && row.unit == Some(Unit::Percent);
        row.value.filter(|percent| is_sound && (0.0..=100.0).contains(percent))
    }
}
