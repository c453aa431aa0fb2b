//! Systems that follow what the driver layer says.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::{Capability, Code, NodeId, Refusal, Value};

use super::components::{Actuator, DriversPort, PolicyInForce, Site, SiteModes, Stands};
use super::files::SiteFiles;
use super::modes::{Signs, modes};
use super::shown::{Said, shown};
use crate::clock::{Tick, WallClock};
use crate::intake::{DriverReport, InputBody, SafeBecause, SourceId, TickBatch};
use crate::mesh::{Liveness, NodeIndex};
use crate::people::People;
use crate::safety::Refused;
use crate::settings::Settings;
use crate::world::{Belief, BeliefIndex, Latest, Quality, Sensor, SensorIndex};

/// The role, in the site, of a node where people decide.
const COMMAND_CENTER: &str = "command-center";
/// The role, in the site, of a node that has sensors and actuators.
const FIELD: &str = "field";
/// The belief in which somebody notes whether the supply is `stable`.
const POWER_KEY: &str = "site/power";

/// The time, and the site.
#[derive(SystemParam)]
pub(super) struct Here<'w> {
    tick: Res<'w, Tick>,
    wall: Res<'w, WallClock>,
    settings: Res<'w, Settings>,
    site: Res<'w, Site>,
}

impl Here<'_> {
    fn elapsed_ms(&self) -> u64 {
        self.wall.elapsed_ms(*self.tick, &self.settings)
    }

    fn is_on_guest(&self, actuator: &Actuator) -> bool {
        self.site.0.as_ref().is_some_and(|site| site.on_guests.contains(&actuator.0))
    }
}

/// Judges by the people and the policy of now. Only whoever runs this node may change the policy, and one that is bad changes
/// nothing.
pub(super) fn follow_files(
    tick: Res<Tick>,
    batch: Res<TickBatch>,
    people: Res<People>,
    mut site: ResMut<Site>,
    mut in_force: ResMut<PolicyInForce>,
    mut refused: MessageWriter<Refused>,
) {
    let Some(files) = &mut site.bypass_change_detection().0 else { return };
    if people.is_changed() {
        files.home.people = people.0.clone();
    }
    let newest = batch.iter().filter_map(|stamped| match (&stamped.input.source, &stamped.input.body) {
        (SourceId::Runner, InputBody::PolicyChanged(text)) => Some(text),
        _ => None,
    });
    if let Some(text) = newest.last() {
        match files.take_policy(text) {
            Ok(()) => {
                *in_force = PolicyInForce { hash: Some(files.home.policy), since_tick: tick.0 };
            }
            Err(why) => {
                let sentence = format!("{why}; the policy before stays in force, mend the file");
                let refusal = Refusal::new(Code::InvalidParams, SourceId::Runner, sentence);
                refused.write(Refused { refusal, count: 1 });
            }
        }
    }
}

/// Takes over what the hardware said.
pub(super) fn follow_drivers(
    here: Here,
    batch: Res<TickBatch>,
    mut actuators: Query<(&Actuator, &mut Stands)>,
) {
    for stamped in batch.iter() {
        let InputBody::Driver(report) = &stamped.input.body else { continue };
        // What somebody else says of our hardware is refused where what runs hears of it.
        if stamped.input.source != SourceId::Drivers {
            continue;
        }
        let about = match report {
            DriverReport::Seen { actuator, .. } | DriverReport::MadeSafe { actuator, .. } => actuator,
            DriverReport::NotCarried { in_doubt: Some(in_doubt), .. } => &in_doubt.actuator,
            DriverReport::Carried { .. } | DriverReport::NotCarried { in_doubt: None, .. } => continue,
        };
        // A node has a handful of actuators; which of them it is does not depend on the order of the query.
        let found = actuators.iter_mut().find(|(actuator, _)| actuator.0 == *about);
        let Some((actuator, mut stands)) = found else { continue };
        match report {
            DriverReport::Seen { seen, .. } => {
                stands.seen = *seen;
                stands.since_tick = here.tick.0;
            }
            DriverReport::MadeSafe { fault, because, .. } => {
                stands.unsafe_because.clone_from(fault);
                if here.is_on_guest(actuator) {
                    stands.told_safe_ms = Some(here.elapsed_ms());
                }
                if let SafeBecause::Stopped { stops } = because {
                    stands.stops_answered = stands.stops_answered.max(*stops);
                }
            }
            DriverReport::NotCarried { in_doubt: Some(in_doubt), .. } if here.is_on_guest(actuator) => {
                stands.leave_in_doubt(in_doubt.run_for_ms, here.elapsed_ms());
            }
            DriverReport::Carried { .. } | DriverReport::NotCarried { .. } => {}
        }
    }
}

/// Sees by its sensor where each actuator on a guest is, whatever its driver says.
pub(super) fn see_guests(
    here: Here,
    sensors: Res<SensorIndex>,
    said: Query<(&Latest, &Quality)>,
    mut actuators: Query<(&Actuator, &mut Stands)>,
) {
    let Some(site) = here.site.0.as_ref().filter(|site| !site.on_guests.is_empty()) else { return };
    let (wall_ms, now_ms) = (here.wall.at(*here.tick, &here.settings), here.elapsed_ms());
    for (actuator, mut stands) in &mut actuators {
        if !site.on_guests.contains(&actuator.0) {
            continue;
        }
        let position = site.showing(&actuator.0).and_then(|(by, sensor)| {
            let (latest, quality) = said.get(*sensors.0.get(&sensor)?).ok()?;
            let age_ms = latest.age_ms(*here.tick, wall_ms, &here.settings);
            shown(by, Said { latest, quality, age_ms, now_ms }, stands.told_safe_ms)
        });
        if stands.seen.position != position {
            stands.seen.position = position;
            stands.since_tick = here.tick.0;
        }
        let is_in_doubt = stands.in_doubt_until_ms.is_some_and(|until_ms| now_ms < until_ms);
        if stands.told_safe_ms.is_some()
            && !is_in_doubt
            && position.is_some()
            && position == site.safe_state_of(&actuator.0)
        {
            (stands.told_safe_ms, stands.in_doubt_until_ms) = (None, None);
        }
    }
}

/// What `assess_site` looks at.
#[derive(SystemParam)]
pub(super) struct Seen<'w, 's> {
    site: Res<'w, Site>,
    settings: Res<'w, Settings>,
    nodes: Res<'w, NodeIndex>,
    sensors: Res<'w, SensorIndex>,
    beliefs: Res<'w, BeliefIndex>,
    liveness: Query<'w, 's, &'static Liveness>,
    quality: Query<'w, 's, &'static Quality>,
    held: Query<'w, 's, &'static Belief>,
}

/// How the site is out of order.
pub(super) fn assess_site(seen: Seen, mut shown: ResMut<SiteModes>) {
    let Some(site) = &seen.site.0 else { return };
    shown.set_if_neq(SiteModes(modes(seen.signs(site))));
}

impl Seen<'_, '_> {
    fn signs(&self, site: &SiteFiles) -> Signs {
        let mut signs = Signs {
            sensor_doubted: self.is_a_sensor_doubted(site),
            power_unstable: self.is_power_unstable(),
            ..Signs::default()
        };
        for node in &site.plan.nodes {
            let Some(id) = site.home.nodes.get(node.name.as_str()) else { continue };
            let is_own = *id == self.settings.node;
            match node.role.as_str() {
                COMMAND_CENTER => {
                    signs.command_centers += 1;
                    signs.command_centers_heard += usize::from(is_own || self.is_heard(*id));
                }
                FIELD if !is_own => {
                    signs.field_nodes += 1;
                    signs.field_nodes_heard += usize::from(self.is_heard(*id));
                }
                _ => {}
            }
        }
        signs
    }

    fn is_heard(&self, id: NodeId) -> bool {
        let entity = self.nodes.0.get(&id);
        entity.is_some_and(|entity| self.liveness.get(*entity) == Ok(&Liveness::Alive))
    }

    /// A sensor that a rule names and that is not there, or is flagged. Without a policy no rule names any.
    fn is_a_sensor_doubted(&self, site: &SiteFiles) -> bool {
        let is_relied_on = |node: NodeId, capability: &Capability| {
            let entity = self.sensors.0.get(&Sensor { node, capability: capability.clone() });
            let quality = entity.and_then(|entity| self.quality.get(*entity).ok());
            quality.is_some_and(|quality| quality.words().next().is_none())
        };
        let mut named = site.policy.iter().flat_map(|policy| policy.sensors());
        named.any(|(name, capability)| {
            site.home.nodes.get(name).is_none_or(|node| !is_relied_on(*node, capability))
        })
    }

    fn is_power_unstable(&self) -> bool {
        let entity = self.beliefs.0.get(POWER_KEY);
        let belief = entity.and_then(|entity| self.held.get(*entity).ok());
        belief.is_some_and(|belief| match &belief.value {
            Value::Flag(is_stable) => !is_stable,
            Value::Text(text) => text != "stable",
            Value::Number(_) => true,
        })
    }
}

/// As long as ticks come, what runs may go on.
pub(super) fn renew_leases(port: Res<DriversPort>) {
    port.0.renew();
}
