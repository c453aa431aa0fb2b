//! Whether a policy fits the site it is made for.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::policy::{ActuatorRules, PolicyFault, Rule};
use clawmesh_authority::{Capability, HazardClass, Level, Policy, Setpoint};
use clawmesh_twin::site::{self, DoneBy, OnSilence, PartKind, Plan, SwitchState};

/// What shows how a pump on a guest stands, and in which unit.
const SHOWS_PUMP: [(&str, &str); 2] = [("power", "W"), ("current", "A")];
/// What shows how a valve on a guest stands, and in which unit.
const SHOWS_VALVE: [(&str, &str); 2] = [("position", "%"), ("state", "1")];

/// Everything in which the policy does not fit the plan of the site called `site_name`, in the order of the policy.
#[must_use]
pub fn disagreements(site_name: &str, plan: &Plan, policy: &Policy) -> Vec<PolicyFault> {
    let mut faults = Vec::new();
    if policy.site != site_name {
        let sentence = format!("the policy is made for {:?}, the site is {site_name:?}", policy.site);
        faults.push(PolicyFault { at: "site".to_owned(), sentence });
    }
    let index = Index::of(plan);
    for (number, rules) in policy.actuators.iter().enumerate() {
        let at = format!("actuators[{number}]");
        let found = index.judge_rules(rules).into_iter();
        faults.extend(found.map(|(key, sentence)| PolicyFault { at: format!("{at}.{key}"), sentence }));
    }
    for (number, budget) in policy.budgets.iter().enumerate() {
        if !index.has_place(&budget.of) {
            let sentence = format!("{} is no zone and no part of the water of this site", budget.of);
            faults.push(PolicyFault { at: format!("budgets[{number}].of"), sentence });
        }
    }
    faults
}

/// The names of a plan, for looking up.
struct Index<'a> {
    actuators: BTreeMap<&'a str, &'a site::Actuator>,
    sensors: BTreeMap<&'a str, &'a site::Sensor>,
    nodes: BTreeSet<&'a str>,
    zones: BTreeSet<&'a str>,
    parts: BTreeMap<&'a str, &'a PartKind>,
    operations: BTreeMap<&'a str, &'a site::Operation>,
}

impl<'a> Index<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            actuators: plan.actuators.iter().map(|entry| (entry.capability.as_str(), entry)).collect(),
            sensors: plan.sensors.iter().map(|entry| (entry.capability.as_str(), entry)).collect(),
            nodes: plan.nodes.iter().map(|entry| entry.name.as_str()).collect(),
            zones: plan.zones.iter().map(|entry| entry.name.as_str()).collect(),
            parts: plan.water.parts.iter().map(|entry| (entry.name.as_str(), &entry.kind)).collect(),
            operations: plan.operations.iter().map(|entry| (entry.name.as_str(), entry)).collect(),
        }
    }

    fn has_place(&self, name: &str) -> bool {
        self.zones.contains(name) || self.parts.contains_key(name)
    }

    /// What is wrong with the rules of one actuator, with the key it stands under.
    fn judge_rules(&self, rules: &ActuatorRules) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        match self.actuators.get(rules.actuator.as_str()) {
            None => faults.push(("actuator", format!("{} is no actuator of this site", rules.actuator))),
            Some(actuator) => {
                faults.extend(too_free(rules, actuator));
                faults.extend(shown_for_nothing(rules, actuator));
                faults.extend(self.shown_by_others(rules, actuator));
                faults.extend(silent_for_nobody(actuator));
                faults.extend(called_a_mock(actuator));
                faults.extend(self.starts_by_itself(rules, actuator));
                faults.extend(self.unguarded(rules, actuator));
            }
        }
        faults.extend(self.unknown_work(rules));
        faults.extend(self.unknown_sensors(rules));
        faults
    }

    /// Work that the site does not know, leaves to people, or wants more of a say in.
    fn unknown_work(&self, rules: &ActuatorRules) -> Vec<(&'static str, String)> {
        let judge = |(name, rule): (&String, &clawmesh_authority::policy::OperationRule)| {
            let Some(work) = self.operations.get(rule.serves.as_str()) else {
                return Some(format!(
                    "{name:?} serves {:?}, which is no operation of this site",
                    rule.serves
                ));
            };
            if work.done_by == DoneBy::Human {
                return Some(format!("{name:?} serves {:?}, which people do", rule.serves));
            }
            let asked = level_of(work.level);
            (rules.level < asked).then(|| {
                format!("the site wants {asked} for {:?}, the policy gives {}", rule.serves, rules.level)
            })
        };
        rules.operations.iter().filter_map(judge).map(|sentence| ("operations", sentence)).collect()
    }

    /// Sensors that are not there, or on another node than the rule says.
    fn unknown_sensors(&self, rules: &ActuatorRules) -> Vec<(&'static str, String)> {
        let judge = |node: &str, sensor: &Capability| {
            if !self.nodes.contains(node) {
                return Some(format!("{node} is no node of this site"));
            }
            match self.sensors.get(sensor.as_str()) {
                None => Some(format!("{sensor} is no sensor of this site")),
                Some(found) if found.node.as_str() != node => {
                    Some(format!("{sensor} is mounted on {}, not on {node}", found.node))
                }
                Some(_) => None,
            }
        };
        let evidence = rules.evidence.iter().flat_map(|rule| {
            let judged = rule.sensors.iter().filter_map(|sensor| judge(&rule.node, sensor));
            judged.map(|sentence| ("evidence", sentence)).collect::<Vec<_>>()
        });
        let interlocks = rules
            .interlocks
            .iter()
            .filter_map(|interlock| Some(("interlocks", judge(&interlock.node, &interlock.sensor)?)));
        let verified = rules.verified_by.iter();
        let verified = verified.filter_map(|by| Some(("verified_by", judge(&by.node, &by.sensor)?)));
        let shown = rules.shown_by.iter();
        let shown = shown.filter_map(|by| Some(("shown_by", judge(&by.node, &by.sensor)?)));
        let bands = rules.bands.iter();
        let bands = bands.filter_map(|band| Some(("bands", judge(&band.node, &band.sensor)?)));
        evidence.chain(interlocks).chain(verified).chain(shown).chain(bands).collect()
    }

    /// A sensor that may say what it says because of something else: a shut valve stops the flow of a pump that runs. Only what
    /// is measured on the part itself, and comes of nothing but how it stands, shows that.
    fn shown_by_others(
        &self,
        rules: &ActuatorRules,
        actuator: &site::Actuator,
    ) -> Option<(&'static str, String)> {
        let by = rules.shown_by.as_ref()?;
        let sensor = self.sensors.get(by.sensor.as_str())?;
        let shows: &[(&str, &str)] = match self.parts.get(actuator.of.as_str()) {
            Some(PartKind::Pump { .. }) => &SHOWS_PUMP,
            Some(PartKind::Valve { .. }) => &SHOWS_VALVE,
            _ => &[],
        };
        let (quantity, unit) = (sensor.quantity.as_str(), sensor.unit.as_str());
        let is_own = sensor.of == actuator.of && shows.contains(&(quantity, unit));
        let sentence = format!(
            "{} ({quantity:?} in {unit:?}, on {}) does not show how {} itself stands; name a sensor on {}: only \"power\" in \"W\" or \
             \"current\" in \"A\" shows a pump, and only \"position\" in \"%\" or \"state\" in \"1\" a valve",
            by.sensor, sensor.of, rules.actuator, actuator.of
        );
        (!is_own).then_some(("shown_by", sentence))
    }

    /// A pump without a look at its water, a valve without a budget of its zone.
    /// What is brought into its safe state without anybody's yes must not begin anything by that.
    fn starts_by_itself(
        &self,
        rules: &ActuatorRules,
        actuator: &site::Actuator,
    ) -> Option<(&'static str, String)> {
        let is_pump = matches!(self.parts.get(actuator.of.as_str()), Some(PartKind::Pump { .. }));
        let begins = actuator.safe_state == SwitchState::On;
        let sentence = format!(
            "the site says `safe_state: On` of {}, so every start, stop and failure would switch it on and nobody is asked; \
             a pump, and what is Hazardous, is safe when it is off",
            rules.actuator
        );
        (begins && (is_pump || rules.class >= HazardClass::Hazardous)).then_some(("actuator", sentence))
    }

    fn unguarded(&self, rules: &ActuatorRules, actuator: &site::Actuator) -> Option<(&'static str, String)> {
        if !rules.operations.values().any(|operation| operation.brings == Setpoint::On) {
            return None;
        }
        match self.parts.get(actuator.of.as_str())? {
            PartKind::Pump { .. } => {
                let is_guarded =
                    rules.interlocks.iter().any(|interlock| interlock.rule == Rule::SourceBeforePump);
                let sentence = "a pump needs an interlock with `rule: \"source-before-pump\"`".to_owned();
                (!is_guarded).then_some(("interlocks", sentence))
            }
            PartKind::Valve { zone } => {
                let is_bounded = rules.draws.iter().any(|name| name == zone.as_str());
                let sentence = format!("the valve waters {zone}, so it draws on the budget of {zone}");
                (!is_bounded).then_some(("draws", sentence))
            }
            _ => None,
        }
    }
}

/// Nobody is asked, and the hardware does not end by itself what goes wrong.
fn too_free(rules: &ActuatorRules, actuator: &site::Actuator) -> Option<(&'static str, String)> {
    let ends_itself = ends_itself(actuator) && actuator.on_guest.is_none();
    if rules.level > Level::L1 || rules.class < HazardClass::Hazardous || ends_itself {
        return None;
    }
    let sentence = format!(
        "{:?} with `on_silence: {:?}` forbids L1; somebody must be asked",
        rules.class, actuator.on_silence
    );
    Some(("level", sentence))
}

fn ends_itself(actuator: &site::Actuator) -> bool {
    matches!(actuator.on_silence, OnSilence::ClosesAfter { .. })
}

/// `on_silence` is about us, who vanish: a guest goes on with what it was told last.
fn silent_for_nobody(actuator: &site::Actuator) -> Option<(&'static str, String)> {
    let sentence = format!(
        "{} is on a guest, which does not close it when we vanish; say `on_silence: Unknown` or `Holds` in the site",
        actuator.capability
    );
    (actuator.on_guest.is_some() && ends_itself(actuator)).then_some(("actuator", sentence))
}

/// For existing nodes such a name means that nothing real moves, and that nobody has to be asked.
fn called_a_mock(actuator: &site::Actuator) -> Option<(&'static str, String)> {
    let name = actuator.capability.as_str();
    let is_mock = name == "actuator:mock" || name.starts_with("actuator:mock:");
    let sentence =
        format!("{name} is a name of mocks, which existing nodes move without asking; give it another one");
    is_mock.then_some(("actuator", sentence))
}

/// What its driver reads back is not shown by anything else.
fn shown_for_nothing(rules: &ActuatorRules, actuator: &site::Actuator) -> Option<(&'static str, String)> {
    let is_read_back = actuator.on_guest.is_none() && rules.shown_by.is_some();
    let sentence = format!(
        "{} is read back by its driver; leave `shown_by` out, it is for what stands `on_guest`",
        rules.actuator
    );
    is_read_back.then_some(("shown_by", sentence))
}

fn level_of(level: site::Level) -> Level {
    match level {
        site::Level::L1 => Level::L1,
        site::Level::L2 => Level::L2,
        site::Level::L3 => Level::L3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::policy::{Must, Showing};
    use clawmesh_twin::site::{Name, OnGuest};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Farm {
        name: String,
        plan: Option<Plan>,
    }

    fn read<T: for<'de> Deserialize<'de>>(text: &str) -> T {
        let options =
            ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        options.from_str(text).unwrap()
    }

    fn found(change: impl FnOnce(&mut Plan, &mut Policy)) -> Vec<String> {
        let farm: Farm = read(include_str!("../../../assets/sites/farm.ron"));
        let mut plan = farm.plan.unwrap();
        let mut policy: Policy = read(include_str!("../../../assets/sites/farm.policy.ron"));
        change(&mut plan, &mut policy);
        let faults = disagreements(&farm.name, &plan, &policy);
        faults.into_iter().map(|fault| format!("{}: {}", fault.at, fault.sentence)).collect()
    }

    #[test]
    fn the_policy_of_the_farm_fits_the_farm() {
        assert_eq!(found(|_, _| {}), [""; 0]);
    }

    #[test]
    fn what_the_policy_names_and_the_site_has_not_is_told() {
        let name = |text| Name::new(text).unwrap();
        for (faults, words) in [
            (
                found(|_, policy| policy.site = "orchard".to_owned()),
                "site: the policy is made for \"orchard\"",
            ),
            (
                found(|plan, _| drop(plan.actuators.remove(0))),
                "actuators[0].actuator: actuator:pump:pump-main-01 is no actuator",
            ),
            (found(|plan, _| plan.sensors.clear()), "sensor:tank-level:tank-01 is no sensor of this site"),
            (
                found(|plan, _| plan.sensors[0].node = name("command-center")),
                "is mounted on command-center, not on field-node",
            ),
            (found(|plan, _| drop(plan.nodes.remove(1))), "field-node is no node of this site"),
            (found(|plan, _| plan.zones[2].name = name("z-other")), "z-food-forest-core is no zone"),
            (
                found(|plan, _| drop(plan.operations.remove(0))),
                "\"start\" serves \"irrigation\", which is no",
            ),
            (found(|plan, _| plan.operations[0].done_by = DoneBy::Human), "\"irrigation\", which people do"),
            (
                found(|plan, _| plan.operations[0].level = site::Level::L3),
                "the site wants L3 for \"irrigation\", the policy gives L2",
            ),
        ] {
            assert!(faults.iter().any(|fault| fault.contains(words)), "{words:?} is not in {faults:#?}");
        }
    }

    #[test]
    fn a_pump_looks_at_its_water_and_a_valve_draws_on_its_zone() {
        let blind = found(|_, policy| {
            policy.actuators[0].interlocks.retain(|interlock| interlock.rule == Rule::Interlock);
        });
        assert!(blind[0].starts_with("actuators[0].interlocks: a pump needs an interlock"), "{blind:?}");
        let unbounded = found(|_, policy| policy.actuators[1].draws.retain(|name| name == "tank-01"));
        assert!(unbounded[0].starts_with("actuators[1].draws: the valve waters z-food-forest-core"));
    }

    #[test]
    fn a_sensor_shows_only_what_stands_on_a_guest_and_stands_where_the_policy_says() {
        let shown = |sensor: &str, node: &str, is_on_guest: bool| {
            found(|plan, policy| {
                let sensor = Capability::new(sensor).unwrap();
                let (on, off) = (Must::BeAtLeast(200.0), Must::BeAtMost(20.0));
                let node = node.to_owned();
                policy.actuators[0].shown_by = Some(Showing { sensor, node, on, off, age_s_max: 5 });
                if is_on_guest {
                    give_to_guest(&mut plan.actuators[0], OnSilence::Unknown);
                }
            })
        };
        let power = "sensor:power:pump-main-01";
        assert_eq!(shown(power, "field-node", true), [""; 0]);
        let here = shown(power, "field-node", false);
        assert!(
            here[0]
                .starts_with("actuators[0].shown_by: actuator:pump:pump-main-01 is read back by its driver")
        );
        let elsewhere = shown(power, "command-center", true);
        assert!(elsewhere[0].contains("is mounted on field-node, not on command-center"), "{elsewhere:?}");
        for sensor in ["flow:mainline-01", "pressure:mainline-01", "soil-moisture:flower"] {
            let others = shown(&format!("sensor:{sensor}"), "field-node", true);
            assert!(
                others[0].contains("itself stands; name a sensor on pump-main-01: only \"power\" in \"W\"")
            );
        }
    }

    #[test]
    fn only_what_comes_of_nothing_but_how_it_stands_shows_a_pump_or_a_valve() {
        let (pump, valve) = ("pump-main-01", "valve-food-forest");
        let shown = |of: &str, on: &str, quantity: &str, unit: &str| {
            found(|plan, policy| {
                let sensor = plan.sensors.iter_mut().find(|sensor| sensor.quantity == "power").unwrap();
                (sensor.quantity, sensor.unit) = (quantity.to_owned(), unit.to_owned());
                sensor.of = Name::new(on).unwrap();
                let sensor = Capability::new(&sensor.capability).unwrap();
                let at = plan.actuators.iter().position(|actuator| actuator.of.as_str() == of).unwrap();
                let (on, off) = (Must::BeAtLeast(0.9), Must::BeAtMost(0.1));
                let node = "field-node".to_owned();
                policy.actuators[at].shown_by = Some(Showing { sensor, node, on, off, age_s_max: 5 });
                give_to_guest(&mut plan.actuators[at], OnSilence::Unknown);
            })
        };
        for (of, quantity, unit) in
            [(pump, "power", "W"), (pump, "current", "A"), (valve, "position", "%"), (valve, "state", "1")]
        {
            assert_eq!(shown(of, of, quantity, unit), [""; 0], "{of} {quantity} {unit}");
        }
        for (of, on, quantity, unit) in [
            (pump, valve, "power", "W"),
            (pump, pump, "flow", "L/min"),
            (pump, pump, "flow speed", "m/s"),
            (pump, pump, "pressure", "bar"),
            (pump, pump, "pressure head", "m"),
            (pump, pump, "power", "W.h"),
            (pump, pump, "voltage", "V"),
            (pump, pump, "position", "%"),
            (pump, pump, "vibration", "Hz"),
            (valve, pump, "position", "%"),
            (valve, valve, "moisture", "%"),
            (valve, valve, "position", "m"),
            (valve, valve, "power", "W"),
        ] {
            let told = shown(of, on, quantity, unit);
            let words = "does not show how actuator:";
            let at = told.iter().filter(|told| told.contains(".shown_by: ") && told.contains(words));
            assert_eq!(at.count(), 1, "{of} {on} {quantity} {unit}: {told:#?}");
        }
    }

    fn give_to_guest(actuator: &mut site::Actuator, on_silence: OnSilence) {
        actuator.on_silence = on_silence;
        actuator.on_guest = Some(OnGuest {
            peer: "ab".repeat(32),
            target: "actuator:valve:north".to_owned(),
            on: "open".to_owned(),
            off: "close".to_owned(),
        });
    }

    #[test]
    fn s7_a_guest_is_not_believed_to_close_anything_when_we_vanish() {
        let told = found(|plan, policy| {
            give_to_guest(&mut plan.actuators[1], OnSilence::ClosesAfter { seconds: 5 });
            policy.actuators[1].class = HazardClass::Hazardous;
            policy.actuators[1].level = Level::L1;
            plan.operations.iter_mut().for_each(|work| work.level = site::Level::L1);
        });
        assert!(told.iter().any(|told| told.contains("does not close it when we vanish")), "{told:?}");
        assert!(told.iter().any(|told| told.contains("forbids L1")), "{told:?}");
    }

    #[test]
    fn no_pump_and_nothing_hazardous_is_switched_on_for_safety() {
        let on = |at: usize, class| {
            found(move |plan, policy| {
                plan.actuators[at].safe_state = SwitchState::On;
                policy.actuators[at].class = class;
            })
        };
        for (at, class) in
            [(0, HazardClass::Routine), (0, HazardClass::Hazardous), (1, HazardClass::Hazardous)]
        {
            let told = on(at, class);
            assert!(
                told.iter().any(|told| told.contains("is safe when it is off")),
                "{at} {class:?}: {told:?}"
            );
        }
        let relief = on(1, HazardClass::Caution);
        assert!(!relief.iter().any(|told| told.contains("is safe when it is off")), "{relief:?}");
    }

    #[test]
    fn nothing_real_is_called_a_mock() {
        let called = |name: &'static str| {
            found(move |plan, policy| {
                plan.actuators[1].capability = name.to_owned();
                policy.actuators[1].actuator = Capability::new(name).unwrap();
            })
        };
        for name in ["actuator:mock:valve-1", "actuator:mock"] {
            assert!(called(name).iter().any(|told| told.contains("is a name of mocks")), "{name}");
        }
        assert_eq!(called("actuator:mockingbird:1"), [""; 0]);
    }

    #[test]
    fn where_the_hardware_does_not_end_it_somebody_is_asked() {
        let free = |on_silence| {
            found(|plan, policy| {
                plan.actuators[1].on_silence = on_silence;
                policy.actuators[1].class = HazardClass::Hazardous;
                policy.actuators[1].level = Level::L1;
                plan.operations.iter_mut().for_each(|work| work.level = site::Level::L1);
            })
        };
        for on_silence in [OnSilence::Holds, OnSilence::Unknown] {
            let faults = free(on_silence);
            assert!(faults[0].contains("forbids L1"), "{faults:?}");
        }
        assert_eq!(free(OnSilence::ClosesAfter { seconds: 5 }), [""; 0]);
    }
}
