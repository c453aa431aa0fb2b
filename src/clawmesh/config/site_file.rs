//! `site.ron`: what stands at this site, and which foreign samples are its sensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clawmesh_authority::{Capability, NodeId, SafeStates, Setpoint, Unit};
use clawmesh_bridge::Mapping;
use clawmesh_twin::site::{OnGuest, Plan, SwitchState};
use serde::{Deserialize, Serialize};

use crate::config::durable_file::{create_atomic, read_bounded};
use crate::config::error::ConfigError;
use crate::config::ron_text::{self, wrong_value};
use crate::config::state_dir::StateDir;

/// The most mappings of one site: one for each sensor a node may describe.
pub const MAPPINGS_MAX: usize = clawmesh_authority::reading::SENSORS_PER_NODE_MAX;

const EMPTY_SITE: &str = "\
// What stands at this site. A mapping makes a sensor of the samples that somebody else puts, for example:
//     (key_expr: \"orchard/moisture/1\", sensor: \"sensor:soil-moisture:zone-1\", decoder: Number,
//      quantity: \"soil moisture\", unit: \"%\", period_ms: 1000, range: (0.0, 100.0)),
(
    name: \"unnamed\",
    mappings: [],
)
";

/// The site of a node, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteFile {
    /// The name people use for the site.
    pub name: String,
    /// Which key expressions of other zenoh clients feed which sensors.
    #[serde(default)]
    pub mappings: Vec<Mapping>,
    /// What stands there, the same on every node of the site; absent while nobody has drawn it.
    #[serde(default)]
    pub plan: Option<Plan>,
}

impl Default for SiteFile {
    fn default() -> Self {
        Self { name: "unnamed".to_owned(), mappings: Vec::new(), plan: None }
    }
}

/// Reads the site; without a file it is empty.
pub fn load(dir: &StateDir) -> Result<SiteFile, ConfigError> {
    let path = dir.site_file();
    match read_bounded(&path)? {
        None => Ok(SiteFile::default()),
        Some(content) => parse(&path, ron_text::utf8(&path, &content)?),
    }
}

/// Writes an empty site with a word of explanation, for people to fill in; a file that is there stays.
pub fn create_missing(dir: &StateDir) -> Result<(), ConfigError> {
    create_atomic(&dir.site_file(), EMPTY_SITE.as_bytes()).map(drop)
}

/// Reads the text of `site.ron` and refuses it with the first thing wrong; `path` is for the messages.
pub fn parse(path: &Path, text: &str) -> Result<SiteFile, ConfigError> {
    let site: SiteFile = ron_text::parse(path, text, hint)?;
    match faults(&site).into_iter().next() {
        None => Ok(site),
        Some((at, sentence)) => Err(wrong_value(path, text, &at, sentence)),
    }
}

/// Reads the text of `site.ron` and tells everything that is wrong; the site is there if it can be read at all.
pub fn examine(path: &Path, text: &str) -> (Option<SiteFile>, Vec<ConfigError>) {
    match ron_text::parse::<SiteFile>(path, text, hint) {
        Err(unreadable) => (None, vec![unreadable]),
        Ok(site) => {
            let found = faults(&site).into_iter();
            let errors = found.map(|(at, sentence)| wrong_value(path, text, &at, sentence)).collect();
            (Some(site), errors)
        }
    }
}

/// What one node is at a site.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name there.
    pub name: String,
    /// The site.
    pub plan: Plan,
    /// The safe states of its actuators, in the order in which they are brought about.
    pub safe_states: SafeStates,
    /// Its valves that do not shut before pumps on guests have answered.
    pub shuts_after: BTreeMap<Capability, BTreeSet<Capability>>,
    /// The actuators on guests that it is guardian of.
    pub on_guests: BTreeMap<Capability, OnGuest>,
}

/// Finds the place of a node at its site by its id.
///
/// # Errors
/// A sentence, when the site has no plan, or no place for this node.
pub fn place_of(site: &SiteFile, node: NodeId) -> Result<Place, String> {
    let plan = site.plan.as_ref().ok_or("site.ron has no `plan`, so it gives this node nothing to drive")?;
    let id = node.to_string();
    let named = plan.nodes.iter().find(|entry| entry.id.as_deref() == Some(&id));
    let name = &named.ok_or_else(|| {
        format!("site.ron has no node with the id of this one; write `id: \"{id}\"` where it is listed")
    })?;
    let name = name.name.as_str();
    let own = |capability: &&String| {
        plan.actuators.iter().find(|entry| entry.capability == **capability && entry.owner.as_str() == name)
    };
    let states = plan.safe_order.iter().filter_map(|capability| own(&capability)).filter_map(|actuator| {
        let setpoint = match actuator.safe_state {
            SwitchState::On => Setpoint::On,
            SwitchState::Off => Setpoint::Off,
        };
        Some((Capability::new(&actuator.capability).ok()?, setpoint))
    });
    let safe_states = SafeStates::in_order(states);
    let on_guests = plan.actuators.iter().filter(|actuator| actuator.owner.as_str() == name);
    let on_guests = on_guests.filter_map(|actuator| {
        Some((Capability::new(&actuator.capability).ok()?, actuator.on_guest.clone()?))
    });
    let capability = |text: &str| Capability::new(text).ok();
    let shuts_after = plan.shuts_after(name).into_iter();
    let shuts_after = shuts_after.filter_map(|(valve, pumps)| {
        Some((capability(valve)?, pumps.into_iter().filter_map(capability).collect()))
    });
    Ok(Place {
        name: name.to_owned(),
        plan: plan.clone(),
        safe_states,
        shuts_after: shuts_after.collect(),
        on_guests: on_guests.collect(),
    })
}

/// The nodes that own the actuators of a site; nothing for one of which the site does not say the id.
#[must_use]
pub fn owners_of(site: &SiteFile) -> BTreeMap<String, Option<NodeId>> {
    let Some(plan) = &site.plan else { return BTreeMap::new() };
    let id_of = |name: &str| -> Option<NodeId> {
        plan.nodes.iter().find(|node| node.name.as_str() == name)?.id.as_deref()?.parse().ok()
    };
    let owned = plan.actuators.iter();
    owned.map(|entry| (entry.capability.clone(), id_of(entry.owner.as_str()))).collect()
}

fn hint(key: &str) -> Option<&'static str> {
    let key = key.strip_prefix("plan.").unwrap_or(key);
    Some(match key {
        "name" | "mappings.key_expr" | "mappings.quantity" => "a text in quotes",
        "mappings" => "a list, for example [(key_expr: …, sensor: …), (…)]",
        "mappings.decoder" => "Number, or JsonPointer(\"/value\")",
        "mappings.period_ms" | "mappings.stuck_after_ms" => "milliseconds as a whole number",
        "mappings.range" | "sensors.range" => "the lowest and the highest value, for example (0.0, 100.0)",
        "plan" => "what stands at the site, for example (origin: (…), zones: […], …)",
        "origin" => "a point of the Earth, for example (lat_deg: 29.45, lon_deg: 77.31, height_m: 248)",
        "zones.outline" | "keep_outs.outline" => {
            "its corners in metres, for example [(0, 0), (9, 0), (9, 9)]"
        }
        "zones.irrigation" => {
            "when it is dry and what is done then, for example (dry_below_percent: 22, wilting_percent: 10, moisture: \
             \"sensor:…\", steps: [(\"actuator:…\", \"open\")], for_s: 1200)"
        }
        "zones.irrigation.steps" => {
            "a list of actuator and operation, for example [(\"actuator:…\", \"open\")]"
        }
        "zones.irrigation.for_s" => "seconds as a whole number",
        "water.parts.at" | "rovers.home" | "people.usually_at" => {
            "metres east and north, for example (12, 16)"
        }
        "actuators.safe_state" => "Off or On",
        "actuators.on_silence" => "ClosesAfter(seconds: 10), Holds or Unknown",
        "actuators.on_guest" => {
            "an actuator of an existing node, for example (peer: \"<its id>\", target: \"actuator:valve:north\", \
             on: \"open\", off: \"close\")"
        }
        "operations.level" => "L1, L2 or L3",
        "operations.done_by" => "Machine, Human or Both",
        _ => return None,
    })
}

/// Everything wrong: where in the text, and the sentence.
fn faults(site: &SiteFile) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    if site.name.trim().is_empty() {
        faults.push(("name".to_owned(), "`name` is blank, write the name of the site".to_owned()));
    }
    faults.extend(mapping_faults(&site.mappings));
    if let Some(plan) = &site.plan {
        let found = plan.faults().into_iter().map(|fault| (fault.at, fault.sentence));
        let told = found.chain(word_faults(plan));
        faults.extend(told.map(|(at, sentence)| (format!("plan.{at}"), format!("`plan.{at}`: {sentence}"))));
    }
    faults
}

fn mapping_faults(mappings: &[Mapping]) -> Vec<(String, String)> {
    if mappings.len() > MAPPINGS_MAX {
        let found = mappings.len();
        let sentence = format!("`mappings` has {found} entries, at most {MAPPINGS_MAX} are allowed");
        return vec![("mappings".to_owned(), sentence)];
    }
    let mut faults = Vec::new();
    let mut first_use = BTreeMap::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let at = format!("mappings[{index}]");
        if let Some(fault) = mapping.fault() {
            // The fault names its key in backticks, if it is about one.
            let key = fault.split('`').nth(1).unwrap_or_default();
            faults.push((format!("{at}.{key}"), format!("`{at}`: {fault}")));
        }
        if let Some(first) = first_use.insert(mapping.sensor.to_string(), index) {
            let at = format!("{at}.sensor");
            let sensor = &mapping.sensor;
            let sentence = format!("`{at}` is {sensor}, which mappings[{first}] feeds already; rename one");
            faults.push((at, sentence));
        }
    }
    faults
}

/// Words of the plan that mean something to the rest of the node: ids, capabilities, units.
fn word_faults(plan: &Plan) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        if let Some(Err(fault)) = node.id.as_deref().map(str::parse::<NodeId>) {
            faults.push((format!("nodes[{index}].id"), fault.to_string()));
        }
    }
    for (index, sensor) in plan.sensors.iter().enumerate() {
        faults.extend(capability_fault(
            &format!("sensors[{index}].capability"),
            "sensor:",
            &sensor.capability,
        ));
        if let Err(fault) = sensor.unit.parse::<Unit>() {
            faults.push((format!("sensors[{index}].unit"), fault.to_string()));
        }
    }
    for (index, actuator) in plan.actuators.iter().enumerate() {
        faults.extend(capability_fault(
            &format!("actuators[{index}].capability"),
            "actuator:",
            &actuator.capability,
        ));
        let Some(guest) = &actuator.on_guest else { continue };
        if let Err(fault) = guest.peer.parse::<NodeId>() {
            faults.push((format!("actuators[{index}].on_guest.peer"), fault.to_string()));
        }
        faults.extend(capability_fault(
            &format!("actuators[{index}].on_guest.target"),
            "actuator:",
            &guest.target,
        ));
    }
    faults
}

fn capability_fault(at: &str, begins: &str, text: &str) -> Option<(String, String)> {
    match Capability::new(text) {
        Err(fault) => Some((at.to_owned(), fault.to_string())),
        Ok(_) if !text.starts_with(begins) => Some((
            at.to_owned(),
            format!("{text:?} must begin with {begins:?}, for example `{begins}valve:valve-1`"),
        )),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn mapping(sensor: &str, period_ms: u32) -> String {
        format!(
            "(key_expr: \"orchard/{sensor}\", sensor: \"sensor:{sensor}\", decoder: JsonPointer(\"/v\"), \
             quantity: \"soil moisture\", unit: \"%\", period_ms: {period_ms}, range: (0.0, 100.0))"
        )
    }

    fn site(mappings: &[String]) -> String {
        format!("(\n name: \"farm\",\n mappings: [\n  {},\n ],\n)", mappings.join(",\n  "))
    }

    fn read(text: &str) -> Result<SiteFile, String> {
        parse(Path::new("site.ron"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_site_without_a_file_is_empty_and_the_template_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        assert_eq!(load(&state).unwrap(), SiteFile::default());
        create_missing(&state).unwrap();
        assert_eq!(load(&state).unwrap(), SiteFile::default());
        fs::write(state.site_file(), site(&[mapping("a", 5)])).unwrap();
        create_missing(&state).unwrap();
        assert_eq!(load(&state).unwrap().mappings.len(), 1);
    }

    #[test]
    fn the_example_of_the_template_is_a_mapping() {
        let example: String = EMPTY_SITE
            .lines()
            .filter_map(|line| line.strip_prefix("//     ").or(line.strip_prefix("//      ")))
            .collect();
        let text = format!("(name: \"farm\", mappings: [{example}])");
        assert_eq!(read(&text).unwrap().mappings[0].sensor.to_string(), "sensor:soil-moisture:zone-1");
    }

    #[test]
    fn a_fault_is_told_with_line_mapping_and_key() {
        for (text, sentence) in [
            (
                site(&[mapping("a", 5), mapping("b", 0)]),
                "site.ron:5:3: `mappings[1]`: sensor:b has a period of zero",
            ),
            (
                site(&[mapping("a", 5), mapping("b", 5).replace("orchard/b", "clawmesh/b")]),
                "site.ron:5:4: `mappings[1]`: `key_expr` takes in keys of clawmesh itself; name keys outside of \
                 `clawmesh/`",
            ),
            (
                site(&[mapping("a", 5), mapping("b", 5), mapping("a", 5)]),
                "site.ron:6:27: `mappings[2].sensor` is sensor:a, which mappings[0] feeds already; rename one",
            ),
            (
                site(&[mapping("a", 5), mapping("b", 5).replace("period_ms", "perod_ms")]),
                "site.ron:5:113: unknown key `perod_ms`, known keys are key_expr, sensor, decoder, quantity, unit, \
                 period_ms, range, stuck_after_ms, about; did you mean `period_ms`?",
            ),
            (
                "(name: \"f\", mappings: [\n (key_expr: \"a\")])".to_owned(),
                "site.ron:2:2: the key `sensor` is missing in `mappings[0]`",
            ),
            ("(mappings: [])".to_owned(), "site.ron:1:14: the key `name` is missing"),
            ("(\n name: \" \")".to_owned(), "site.ron:2:2: `name` is blank, write the name of the site"),
            (
                "(\n nam: \"x\")".to_owned(),
                "site.ron:2:2: unknown key `nam`, known keys are name, mappings, plan; did you mean `name`?",
            ),
        ] {
            assert_eq!(read(&text).unwrap_err(), sentence);
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_its_mapping() {
        for (from, to) in [
            ("unit: \"%\"", "unit: \"furlong\""),
            ("sensor: \"sensor:a\"", "sensor: \"a b\""),
            ("JsonPointer(\"/v\")", "Jsonpointer(\"/v\")"),
            ("period_ms: 5", "period_ms: -5"),
        ] {
            let error = read(&site(&[mapping("a", 5).replace(from, to)])).unwrap_err();
            assert!(error.starts_with("site.ron:4:") && error.contains("`mappings[0]."), "{error}");
        }
    }

    #[test]
    fn too_many_mappings_are_refused() {
        let many: Vec<String> = (0..=MAPPINGS_MAX).map(|i| mapping(&i.to_string(), 5)).collect();
        assert!(read(&site(&many)).unwrap_err().contains("at most 1024"));
        assert!(read(&site(&many[1..])).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|\\(name: \"[a-z ]{0,3}\", mappings: \\[[(){}a-z_:\", 0-9.]{0,60}\\]\\)") {
            let _ = read(&text);
        }

        #[test]
        fn no_damage_to_a_good_site_panics(at in 0_usize..300, with in "\\PC{0,3}") {
            let good = site(&[mapping("a", 5), mapping("b", 5)]);
            let at = good.floor_char_boundary(at);
            let _ = read(&format!("{}{with}{}", &good[..at], &good[at..]));
            let _ = read(&good[..at]);
        }
    }
}
