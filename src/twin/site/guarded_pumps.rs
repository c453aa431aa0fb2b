//! Which valves have to wait for a pump that somebody else switches off.

use std::collections::{BTreeMap, BTreeSet};

use super::equipment::{Actuator, SwitchState};
use super::water::PartKind;
use super::{Name, Plan};

impl Plan {
    /// The valves of a node, also those on guests, that shut when they are made safe, each with the pumps on guests that the same
    /// node guards, that are switched off then and that feed it or draw through it: one that was only asked to stop may run for a
    /// while.
    #[must_use]
    pub fn shuts_after(&self, owner: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let is_pump = |part: &Name| self.has_part(part, |kind| matches!(kind, PartKind::Pump { .. }));
        let is_valve = |part: &Name| self.has_part(part, |kind| matches!(kind, PartKind::Valve { .. }));
        let is_off_then = |actuator: &&Actuator| {
            actuator.owner.as_str() == owner && actuator.safe_state == SwitchState::Off
        };
        let off: Vec<&Actuator> = self.actuators.iter().filter(is_off_then).collect();
        let pumps: Vec<&&Actuator> =
            off.iter().filter(|actuator| actuator.on_guest.is_some() && is_pump(&actuator.of)).collect();
        let waits = off.iter().filter(|actuator| is_valve(&actuator.of)).map(|valve| {
            let above = self.water.upstream(&valve.of);
            let is_on_its_way = |pump: &&&&Actuator| {
                above.contains(&pump.of) || self.water.upstream(&pump.of).contains(&valve.of)
            };
            let pumps = pumps.iter().filter(is_on_its_way).map(|pump| pump.capability.as_str());
            (valve.capability.as_str(), pumps.collect::<BTreeSet<_>>())
        });
        waits.filter(|(_, pumps)| !pumps.is_empty()).collect()
    }

    fn has_part(&self, name: &Name, is_such: impl Fn(&PartKind) -> bool) -> bool {
        self.water.parts.iter().any(|part| part.name == *name && is_such(&part.kind))
    }
}
