//! Whether the parts of a plan fit together: every name unique and known, every actuator owned and made safe in order.

use std::collections::{BTreeMap, BTreeSet};

use super::equipment::OnGuest;
use super::irrigation::Irrigation;
use super::name::Name;
use super::water::PartKind;
use super::{Plan, SwitchState};

/// The most entries of one list of a plan.
pub const ENTRIES_MAX: usize = 4_096;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key and the index, for example `zones[2].outline`.
    pub at: String,
    /// What is wrong and what to do about it.
    pub sentence: String,
}

impl Plan {
    /// Everything that is wrong, in the order of the file; nothing if the plan can be used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let too_long = self.too_long();
        if !too_long.is_empty() {
            return too_long;
        }
        let mut faults = self.wrong_alone();
        faults.extend(self.named_twice());
        faults.extend(self.unknown_names());
        faults.extend(self.water.fault().map(|sentence| fault("water.lines", 0, "", sentence)));
        faults.extend(self.claimed_twice());
        faults.extend(self.no_guests());
        faults.extend(self.unsafe_order());
        faults.extend(self.unwatered());
        faults
    }

    fn too_long(&self) -> Vec<Fault> {
        let lengths = [
            ("nodes", self.nodes.len()),
            ("zones", self.zones.len()),
            ("water.parts", self.water.parts.len()),
            ("water.lines", self.water.lines.len()),
            ("sensors", self.sensors.len()),
            ("actuators", self.actuators.len()),
            ("safe_order", self.safe_order.len()),
            ("rovers", self.rovers.len()),
            ("people", self.people.len()),
            ("keep_outs", self.keep_outs.len()),
            ("operations", self.operations.len()),
        ];
        let sentence = |length| format!("the list has {length} entries, at most {ENTRIES_MAX} are allowed");
        let long = lengths.into_iter().filter(|(_, length)| *length > ENTRIES_MAX);
        long.map(|(key, length)| Fault { at: key.to_owned(), sentence: sentence(length) }).collect()
    }

    /// What is wrong with an entry whatever the others are.
    fn wrong_alone(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut note = |list: &str, index: usize, key: &str, found: Option<String>| {
            faults.extend(found.map(|sentence| fault(list, index, key, sentence)));
        };
        if let Some(sentence) = self.origin.fault() {
            note("origin", 0, "", Some(sentence));
        }
        for (index, zone) in self.zones.iter().enumerate() {
            note("zones", index, "outline", zone.outline.fault());
            note("zones", index, "irrigation", zone.irrigation.as_ref().and_then(Irrigation::fault));
        }
        for (index, part) in self.water.parts.iter().enumerate() {
            note("water.parts", index, "at", part.at.fault());
            note("water.parts", index, "kind", part.kind.fault());
        }
        for (index, line) in self.water.lines.iter().enumerate() {
            note("water.lines", index, "", line.fault());
        }
        for (index, sensor) in self.sensors.iter().enumerate() {
            note("sensors", index, "", sensor.fault());
        }
        for (index, actuator) in self.actuators.iter().enumerate() {
            note("actuators", index, "on_guest", actuator.on_guest.as_ref().and_then(OnGuest::fault));
        }
        for (index, rover) in self.rovers.iter().enumerate() {
            note("rovers", index, "home", rover.home.fault());
            note("rovers", index, "", rover.fault());
        }
        for (index, person) in self.people.iter().enumerate() {
            note("people", index, "usually_at", person.usually_at.fault());
            note("people", index, "", person.fault());
        }
        for (index, keep_out) in self.keep_outs.iter().enumerate() {
            note("keep_outs", index, "outline", keep_out.outline.fault());
            let (floor_m, ceiling_m) = (keep_out.floor_m, keep_out.ceiling_m);
            let is_volume = floor_m.is_finite() && ceiling_m.is_finite() && floor_m < ceiling_m;
            let sentence = "`ceiling_m` must be above `floor_m`, and both have to be numbers".to_owned();
            note("keep_outs", index, "ceiling_m", (!is_volume).then_some(sentence));
        }
        faults
    }

    /// Every name with the list and the place it stands at.
    fn names(&self) -> Vec<(&'static str, usize, &Name)> {
        fn of<'a, T>(
            list: &'static str,
            entries: &'a [T],
            name: fn(&'a T) -> &'a Name,
        ) -> impl Iterator<Item = (&'static str, usize, &'a Name)> {
            entries.iter().enumerate().map(move |(index, entry)| (list, index, name(entry)))
        }
        of("nodes", &self.nodes, |entry| &entry.name)
            .chain(of("zones", &self.zones, |entry| &entry.name))
            .chain(of("water.parts", &self.water.parts, |entry| &entry.name))
            .chain(of("water.lines", &self.water.lines, |entry| &entry.name))
            .chain(of("rovers", &self.rovers, |entry| &entry.name))
            .chain(of("people", &self.people, |entry| &entry.name))
            .chain(of("keep_outs", &self.keep_outs, |entry| &entry.name))
            .chain(of("operations", &self.operations, |entry| &entry.name))
            .collect()
    }

    fn named_twice(&self) -> Vec<Fault> {
        let mut first = BTreeMap::new();
        let mut twice = Vec::new();
        for (list, index, name) in self.names() {
            if let Some((list_before, before)) = first.insert(name, (list, index)) {
                let sentence = format!("{list_before}[{before}] is called {name} already; rename one");
                twice.push(fault(list, index, "name", sentence));
            }
        }
        let mut ids = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(before) = node.id.as_ref().and_then(|id| ids.insert(id, index)) {
                let sentence = format!("nodes[{before}] has this id already; one node has one place");
                twice.push(fault("nodes", index, "id", sentence));
            }
        }
        let mut capabilities = BTreeMap::new();
        let sensors = self.sensors.iter().map(|sensor| &sensor.capability).enumerate();
        for (index, capability) in sensors {
            if let Some(before) = capabilities.insert(capability, index) {
                let sentence = format!("sensors[{before}] is {capability} already; rename one");
                twice.push(fault("sensors", index, "capability", sentence));
            }
        }
        twice
    }

    /// Names that are used and stand for nothing.
    fn unknown_names(&self) -> Vec<Fault> {
        let nodes: BTreeSet<&Name> = self.nodes.iter().map(|node| &node.name).collect();
        let zones: BTreeSet<&Name> = self.zones.iter().map(|zone| &zone.name).collect();
        let parts: BTreeSet<&Name> = self.water.parts.iter().map(|part| &part.name).collect();
        let rovers: BTreeSet<&Name> = self.rovers.iter().map(|rover| &rover.name).collect();
        let mut faults = Vec::new();
        let mut need = |is_known: bool, list: &str, index: usize, key: &str, name: &Name, what: &str| {
            let sentence = format!("{name} is no {what} of this site; correct the name, or add it");
            faults.extend((!is_known).then(|| fault(list, index, key, sentence)));
        };
        for (index, part) in self.water.parts.iter().enumerate() {
            if let Some(zone) = part.kind.zone() {
                need(zones.contains(zone), "water.parts", index, "kind", zone, "zone");
            }
        }
        for (index, sensor) in self.sensors.iter().enumerate() {
            need(nodes.contains(&sensor.node), "sensors", index, "node", &sensor.node, "node");
            let is_known = zones.contains(&sensor.of) || parts.contains(&sensor.of);
            need(is_known, "sensors", index, "of", &sensor.of, "zone or part of the water");
        }
        for (index, actuator) in self.actuators.iter().enumerate() {
            need(nodes.contains(&actuator.owner), "actuators", index, "owner", &actuator.owner, "node");
            let is_known = parts.contains(&actuator.of) || rovers.contains(&actuator.of);
            need(is_known, "actuators", index, "of", &actuator.of, "part of the water or rover");
        }
        faults
    }

    /// Two entries that drive one thing: whoever of them is asked, the other may undo it.
    fn claimed_twice(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let (mut by_capability, mut by_thing) = (BTreeMap::new(), BTreeMap::new());
        let mut by_target = BTreeMap::new();
        for (index, actuator) in self.actuators.iter().enumerate() {
            let before = by_capability.insert(&actuator.capability, index);
            let before = before.or(by_thing.insert(&actuator.of, index));
            if let Some(before) = before {
                let owner = &self.actuators[before].owner;
                let sentence = format!(
                    "actuators[{before}] of {owner} drives {} already; one thing has one owner",
                    actuator.of
                );
                faults.push(fault("actuators", index, "owner", sentence));
            }
            let Some(guest) = &actuator.on_guest else { continue };
            // Over there letters may be large or small.
            if let Some(before) = by_target.insert((&guest.peer, guest.target.to_lowercase()), index) {
                let owner = &self.actuators[before].owner;
                let sentence = format!(
                    "actuators[{before}] of {owner} is {} of that guest already; one thing has one guardian",
                    guest.target
                );
                faults.push(fault("actuators", index, "on_guest.target", sentence));
            }
        }
        faults
    }

    /// Guests that are nodes of this site: those drive their own actuators, by approved proposals only.
    fn no_guests(&self) -> Vec<Fault> {
        let ids: BTreeMap<&String, &Name> =
            self.nodes.iter().filter_map(|node| Some((node.id.as_ref()?, &node.name))).collect();
        let mut faults = Vec::new();
        for (index, actuator) in self.actuators.iter().enumerate() {
            if let Some(name) = actuator.on_guest.as_ref().and_then(|guest| ids.get(&guest.peer)) {
                let sentence =
                    format!("this is {name}, a node of this site and no guest; make it the owner instead");
                faults.push(fault("actuators", index, "on_guest.peer", sentence));
            }
        }
        faults
    }

    /// Every actuator once, and no pump after a valve: a pump that runs against shut valves bursts a line.
    fn unsafe_order(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let place: BTreeMap<&String, usize> = self.safe_order.iter().zip(0..).collect();
        if place.len() != self.safe_order.len() {
            let sentence = "an actuator stands in the order twice".to_owned();
            faults.push(fault("safe_order", 0, "", sentence));
        }
        let known: BTreeSet<&String> = self.actuators.iter().map(|actuator| &actuator.capability).collect();
        for (index, capability) in self.safe_order.iter().enumerate() {
            if !known.contains(capability) {
                let sentence = format!("{capability} is no actuator of this site");
                faults.push(fault("safe_order", index, "", sentence));
            }
        }
        for (index, actuator) in self.actuators.iter().enumerate() {
            if !place.contains_key(&actuator.capability) {
                let sentence = format!("{} is missing in `safe_order`", actuator.capability);
                faults.push(fault("actuators", index, "capability", sentence));
            }
        }
        let first_valve = self.places_of(&place, |kind| matches!(kind, PartKind::Valve { .. })).min();
        let last_pump = self.places_of(&place, |kind| matches!(kind, PartKind::Pump { .. })).max();
        if let (Some(valve), Some(pump)) = (first_valve, last_pump)
            && valve < pump
        {
            let sentence = "a pump stands after a valve; it would run against a shut line".to_owned();
            faults.push(fault("safe_order", pump, "", sentence));
        }
        faults
    }

    /// What the irrigation of a zone names and the site has not, or has for something else.
    fn unwatered(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (index, zone) in self.zones.iter().enumerate() {
            // One whose steps are too many is told already, and is not looked at step by step.
            let sound = zone.irrigation.iter().filter(|irrigation| irrigation.fault().is_none());
            let found = sound.flat_map(|irrigation| irrigation.disunity(zone, self));
            let told =
                found.map(|(key, sentence)| fault("zones", index, &format!("irrigation.{key}"), sentence));
            faults.extend(told);
        }
        faults
    }

    /// The places in the order of the actuators that are switched off and move such a part.
    fn places_of<'a>(
        &'a self,
        place: &'a BTreeMap<&String, usize>,
        is_such: fn(&PartKind) -> bool,
    ) -> impl Iterator<Item = usize> + 'a {
        let kinds: BTreeMap<&Name, &PartKind> =
            self.water.parts.iter().map(|part| (&part.name, &part.kind)).collect();
        self.actuators
            .iter()
            .filter(move |actuator| kinds.get(&actuator.of).is_some_and(|kind| is_such(kind)))
            .filter(|actuator| actuator.safe_state == SwitchState::Off)
            .filter_map(|actuator| place.get(&actuator.capability).copied())
    }
}

fn fault(list: &str, index: usize, key: &str, sentence: String) -> Fault {
    let at = match (list, key) {
        ("origin", _) => "origin".to_owned(),
        (_, "") => format!("{list}[{index}]"),
        _ => format!("{list}[{index}].{key}"),
    };
    Fault { at, sentence }
}
