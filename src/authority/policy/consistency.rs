//! Whether a policy contradicts itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::level::Level;
use crate::policy::bounds::{Budget, Parameter};
use crate::policy::{APPROVERS_MAX, ActuatorRules, FOR_S, HazardClass, OperationRule, Policy};
use crate::reading::Tier;
use crate::setpoint::Setpoint;

/// The most actuators, budgets or dosages of one policy, and the most entries of any of their lists.
pub const ENTRIES_MAX: usize = 1_024;

/// The oldest word of a sensor that may show how an actuator stands, seconds.
const SHOWN_AGE_S_MAX: u32 = 30;

/// One thing that is wrong with a policy, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    /// The key and the index, for example `actuators[2].interlocks[0]`.
    pub at: String,
    /// What is wrong and what to do about it.
    pub sentence: String,
}

impl Policy {
    /// Everything that is wrong, in the order of the file; nothing if the policy can be used.
    #[must_use]
    pub fn faults(&self) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        let mut note = |at: String, sentence: String| faults.push(PolicyFault { at, sentence });
        for (key, length) in [
            ("actuators", self.actuators.len()),
            ("budgets", self.budgets.len()),
            ("dosages", self.dosages.len()),
        ] {
            if length > ENTRIES_MAX {
                note(key.to_owned(), format!("{length} entries, at most {ENTRIES_MAX} are allowed"));
                return faults;
            }
        }
        let mut first = BTreeMap::new();
        for (index, rules) in self.actuators.iter().enumerate() {
            let at = format!("actuators[{index}]");
            if let Some(before) = first.insert(&rules.actuator, index) {
                let sentence = format!(
                    "actuators[{before}] has rules for {} already; two rules for one actuator contradict each other",
                    rules.actuator
                );
                note(format!("{at}.actuator"), sentence);
            }
            self.judge_rules(&at, rules, &mut note);
        }
        for (index, sentence) in self.shown_in_doubt() {
            note(format!("actuators[{index}].shown_by"), sentence);
        }
        let mut named = BTreeMap::new();
        for (index, budget) in self.budgets.iter().enumerate() {
            if let Some(before) = named.insert(&budget.of, index) {
                let sentence = format!("budgets[{before}] is of {} already; keep one", budget.of);
                note(format!("budgets[{index}].of"), sentence);
            }
            if let Some(sentence) = budget.fault() {
                note(format!("budgets[{index}]"), sentence);
            }
        }
        for (index, dosage) in self.dosages.iter().enumerate() {
            let is_number =
                dosage.seconds_per_command_max.is_finite() && dosage.seconds_per_command_max > 0.0;
            if !is_number {
                note(format!("dosages[{index}]"), "`seconds_per_command_max` must be above 0".to_owned());
            }
        }
        faults
    }

    /// Where what shows how an actuator stands could not tell, or tells of two.
    fn shown_in_doubt(&self) -> Vec<(usize, String)> {
        let shown = self.actuators.iter().enumerate();
        let shown = shown.filter_map(|(index, rules)| Some((index, rules, rules.shown_by.as_ref()?)));
        let (mut faults, mut first) = (Vec::new(), BTreeMap::new());
        for (index, rules, by) in shown {
            let is_young = (1..=SHOWN_AGE_S_MAX).contains(&by.age_s_max);
            if !by.on.can_hold() || !by.off.can_hold() || !by.on.excludes(&by.off) || !is_young {
                let (on, off) = (by.on.in_words(), by.off.in_words());
                faults.push((index, format!(
                    "{on} for on and {off} for off, {} s old at most, tell nothing apart; write two ranges without a \
                     common value, and an age of 1 to {SHOWN_AGE_S_MAX} s",
                    by.age_s_max
                )));
            }
            if let Some(before) = first.insert((&by.node, &by.sensor), &rules.actuator) {
                let sentence =
                    format!("{} shows how {before} stands already; one sensor shows one actuator", by.sensor);
                faults.push((index, sentence));
            }
        }
        faults
    }

    fn judge_rules(&self, at: &str, rules: &ActuatorRules, note: &mut impl FnMut(String, String)) {
        for (name, operation) in &rules.operations {
            let at = format!("{at}.operations");
            for sentence in self.operation_faults(rules, operation) {
                note(at.clone(), format!("{name:?}: {sentence}"));
            }
        }
        for (index, interlock) in rules.interlocks.iter().enumerate() {
            if !interlock.must.can_hold() {
                let sentence =
                    format!("nothing is {}; the actuator could never run", interlock.must.in_words());
                note(format!("{at}.interlocks[{index}].must"), sentence);
            }
        }
        for (index, rule) in rules.evidence.iter().enumerate() {
            if rule.count_min == 0 || rule.count_min > rule.sensors.len() {
                let sentence = format!(
                    "`count_min` is {} and {} sensors count; it must be 1 or more and at most as many",
                    rule.count_min,
                    rule.sensors.len()
                );
                note(format!("{at}.evidence[{index}].count_min"), sentence);
            }
        }
        if let Some(by) = rules.verified_by.as_ref().filter(|by| by.within_s == 0 || !by.must.can_hold()) {
            let sentence = format!("nothing can be {} within {} s", by.must.in_words(), by.within_s);
            note(format!("{at}.verified_by"), sentence);
        }
        for (index, band) in rules.bands.iter().enumerate() {
            let is_share = band.tolerance_percent.is_finite() && band.tolerance_percent >= 0.0;
            if !is_share || band.settle_s == 0 {
                let sentence = "`tolerance_percent` is 0 or more, and `settle_s` above 0".to_owned();
                note(format!("{at}.bands[{index}]"), sentence);
            }
        }
        if !(rules.draws_lpm_max.is_finite() && rules.draws_lpm_max >= 0.0) {
            note(format!("{at}.draws_lpm_max"), "litres per minute are 0 or more".to_owned());
        }
        for name in rules.draws.iter().filter(|name| self.budget(name).is_none()) {
            note(format!("{at}.draws"), format!("there is no budget of {name}; add it to `budgets`"));
        }
        if rules.level == Level::L1 && rules.class >= HazardClass::Hazardous {
            let sentence = format!("{:?} and L1 contradict each other; somebody must be asked", rules.class);
            note(format!("{at}.level"), sentence);
        }
        if let Some(sentence) = fault_of_approvers(rules) {
            note(format!("{at}.approvers"), sentence);
        }
    }

    fn operation_faults(&self, rules: &ActuatorRules, operation: &OperationRule) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, parameter) in &operation.parameters {
            if let Parameter::Number(low, high) = parameter
                && !(low.is_finite() && high.is_finite() && low <= high)
            {
                faults.push(format!("no number is from {low} to {high} as `{name}` must be"));
            }
        }
        if operation.brings == Setpoint::Off {
            return faults;
        }
        if rules.level == Level::L0 {
            faults.push("L0 only looks; an operation that switches on needs L1 or more".to_owned());
        }
        if rules.tier_min < Tier::T2 {
            faults.push("`tier_min` is below T2; what is switched on rests on T2 at least".to_owned());
        }
        if rules.evidence.is_empty() {
            faults.push(
                "`evidence` is missing; what is switched on rests on a reading that the policy names"
                    .to_owned(),
            );
        }
        if rules.verified_by.is_none() {
            faults.push("`verified_by` is missing; done means that a sensor says so".to_owned());
        }
        let Some(Parameter::Number(low_s, high_s)) = operation.parameters.get(FOR_S) else {
            faults
                .push(format!("it needs the parameter `{FOR_S}`, for how long, as Number(lowest, highest)"));
            return faults;
        };
        if *low_s <= 0.0 {
            faults.push(format!("`{FOR_S}` must be above 0"));
        }
        for budget in rules.draws.iter().filter_map(|name| self.budget(name)) {
            let litres = high_s / 60.0 * rules.draws_lpm_max;
            if litres > budget.litres_per_command_max || *high_s > budget.seconds_per_day_max {
                faults.push(format!(
                    "its longest run, {high_s} s or {litres:.0} L, is more than the budget of {} gives",
                    budget.of
                ));
            }
        }
        faults
    }
}

impl Budget {
    fn fault(&self) -> Option<String> {
        let Self { litres_per_command_max, litres_per_day_max, seconds_per_day_max, .. } = self;
        let numbers = [litres_per_command_max, litres_per_day_max, seconds_per_day_max];
        if !numbers.iter().all(|number| number.is_finite() && **number > 0.0) {
            return Some("litres and seconds must be above 0".to_owned());
        }
        (litres_per_command_max > litres_per_day_max).then(|| {
            format!(
                "one command may use {litres_per_command_max} L and a whole day only {litres_per_day_max} L"
            )
        })
    }
}

/// Says what is wrong with the people whom the rules of an actuator name, if anything is.
fn fault_of_approvers(rules: &ActuatorRules) -> Option<String> {
    let (named, needed) = (&rules.approvers, rules.level.approvals_needed());
    if named.is_empty() {
        return None;
    }
    if named.len() > APPROVERS_MAX {
        return Some(format!("{} are named; at most {APPROVERS_MAX} can be", named.len()));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = named.iter().find(|id| !seen.insert(**id)) {
        return Some(format!("{} is named twice; each stands there once", twice.short()));
    }
    (named.len() < needed).then(|| {
        format!("{} needs {needed} people and {} is named; name more, or nobody", rules.level, named.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OperatorId;
    use crate::policy::{Dosage, Interlock, Must, Rule, Showing};

    /// As the file is read.
    fn read(text: &str) -> Policy {
        let options =
            ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        options.from_str(text).unwrap()
    }

    fn farm() -> Policy {
        read(include_str!("../../../assets/sites/farm.policy.ron"))
    }

    fn faults(change: impl FnOnce(&mut Policy)) -> Vec<String> {
        let mut policy = farm();
        change(&mut policy);
        policy.faults().into_iter().map(|fault| format!("{}: {}", fault.at, fault.sentence)).collect()
    }

    fn showing(on_from: f64, off_to: f64, age_s_max: u32) -> Showing {
        let verified = farm().actuators[0].verified_by.clone().unwrap();
        let (on, off) = (Must::BeAtLeast(on_from), Must::BeAtMost(off_to));
        Showing { sensor: verified.sensor, node: verified.node, on, off, age_s_max }
    }

    #[test]
    fn what_shows_an_actuator_shows_it_on_or_off_and_between_the_two_it_is_unknown() {
        let by = showing(4.0, 1.0, 5);
        for (value, position) in
            [(4.0, Some(Setpoint::On)), (1.0, Some(Setpoint::Off)), (2.5, None), (f64::NAN, None)]
        {
            assert_eq!(by.position(value), position, "{value}");
        }
        assert_eq!(faults(|p| p.actuators[0].shown_by = Some(by)), [""; 0]);
        let within = Must::BeWithin;
        for (a, b, excludes) in [
            (within(1.0, 2.0), within(2.1, 3.0), true),
            (within(1.0, 2.0), within(2.0, 3.0), false),
            (Must::BeAtLeast(1.0), Must::BeAtLeast(5.0), false),
            (Must::BeAtMost(1.0), within(2.0, 3.0), true),
        ] {
            assert_eq!((a.excludes(&b), b.excludes(&a)), (excludes, excludes), "{a:?} {b:?}");
        }
    }

    /// The names of all fields in `value`; `of_site` are words that the example has chosen itself.
    fn keys(value: &serde_json::Value, of_site: &[&str], found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                if !of_site.contains(&name.as_str()) {
                    found.insert(name.clone());
                }
                keys(field, of_site, found);
            }),
            serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, of_site, found)),
            _ => {}
        }
    }

    #[test]
    fn the_page_about_policies_has_an_example_without_faults_and_names_every_key() {
        let page = include_str!("../../../docs/policy.md");
        let (_, rest) = page.split_once("```ron\n").unwrap();
        let (example, rest) = rest.split_once("```").unwrap();
        let mut policy = read(example);
        assert_eq!(policy.faults(), []);
        policy.actuators[0].shown_by = Some(showing(4.0, 1.0, 5));
        policy.dosages.push(Dosage { substance: "jeevamrit".to_owned(), seconds_per_command_max: 60.0 });
        let mut found = BTreeSet::new();
        keys(&serde_json::to_value(&policy).unwrap(), &["start", "stop", "open", "close"], &mut found);
        assert!(found.len() > 40, "{found:?}");
        let missing: Vec<_> = found.iter().filter(|key| !rest.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "docs/policy.md does not say what these are: {missing:?}");
    }

    #[test]
    fn a_policy_that_names_too_few_people_or_one_twice_says_so() {
        let named = |level, ids: &[u8]| {
            let approvers: Vec<OperatorId> = ids.iter().map(|id| OperatorId([*id; 32])).collect();
            faults(|p| {
                p.actuators[0].level = level;
                p.actuators[0].approvers = approvers;
            })
        };
        assert_eq!(named(Level::L2, &[1]), [""; 0]);
        assert_eq!(named(Level::L3, &[1, 2]), [""; 0]);
        for (level, ids, words) in [
            (Level::L3, &[1][..], "actuators[0].approvers: L3 needs 2 people and 1 is named"),
            (Level::L2, &[1, 2, 1], "01010101 is named twice"),
            (Level::L2, &[1; 65], "65 are named; at most 64 can be"),
        ] {
            let found = named(level, ids);
            assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}");
        }
    }

    #[test]
    fn a_policy_that_contradicts_itself_says_where() {
        assert_eq!(faults(|_| {}), [""; 0]);
        let open = |policy: &mut Policy, change: fn(&mut OperationRule)| {
            change(policy.actuators[1].operations.get_mut("open").unwrap());
        };
        let numbers = |low, high| Parameter::Number(low, high);
        for (found, words) in [
            (
                faults(|p| p.actuators.push(p.actuators[1].clone())),
                "actuators[5].actuator: actuators[1] has rules",
            ),
            (faults(|p| p.budgets.push(p.budgets[0].clone())), "budgets[6].of: budgets[0] is of tank-01"),
            (faults(|p| open(p, |o| o.parameters.clear())), "\"open\": it needs the parameter `for_s`"),
            (
                faults(|p| open(p, |o| drop(o.parameters.insert(FOR_S.to_owned(), Parameter::Flag)))),
                "it needs the parameter `for_s`",
            ),
            (
                faults(|p| {
                    let operation = p.actuators[1].operations.get_mut("open").unwrap();
                    operation.parameters.insert(FOR_S.to_owned(), numbers(60.0, 2_501.0));
                }),
                "its longest run, 2501 s or 500 L, is more than the budget of z-food-forest-core",
            ),
            (
                faults(|p| {
                    let operation = p.actuators[1].operations.get_mut("open").unwrap();
                    operation.parameters.insert(FOR_S.to_owned(), numbers(600.0, 60.0));
                }),
                "no number is from 600 to 60",
            ),
            (faults(|p| p.actuators[0].verified_by = None), "`verified_by` is missing"),
            (
                faults(|p| p.actuators[0].shown_by = Some(showing(4.0, 4.0, 5))),
                "actuators[0].shown_by: at least 4 for on and at most 4 for off, 5 s old at most, tell nothing apart",
            ),
            (faults(|p| p.actuators[0].shown_by = Some(showing(f64::NAN, 1.0, 5))), "tell nothing apart"),
            (faults(|p| p.actuators[0].shown_by = Some(showing(4.0, 1.0, 0))), "tell nothing apart"),
            (
                faults(|p| {
                    p.actuators.iter_mut().take(2).for_each(|r| r.shown_by = Some(showing(4.0, 1.0, 5)))
                }),
                "actuators[1].shown_by: sensor:flow:mainline-01 shows how actuator:pump:pump-main-01 stands already",
            ),
            (faults(|p| p.actuators[0].evidence.clear()), "\"start\": `evidence` is missing"),
            (faults(|p| p.actuators[0].tier_min = Tier::T1), "`tier_min` is below T2"),
            (faults(|p| p.actuators[0].level = Level::L0), "L0 only looks"),
            (faults(|p| p.actuators[0].level = Level::L1), "actuators[0].level: Hazardous and L1 contradict"),
            (
                faults(|p| p.actuators[0].interlocks[0].must = Must::BeWithin(5.0, 4.0)),
                "actuators[0].interlocks[0].must: nothing is between 5 and 4",
            ),
            (faults(|p| p.actuators[1].evidence[0].count_min = 2), "`count_min` is 2 and 1 sensors count"),
            (faults(|p| p.actuators[1].draws.push("tank-02".to_owned())), "there is no budget of tank-02"),
            (faults(|p| p.actuators[1].draws_lpm_max = f64::NAN), "litres per minute are 0 or more"),
            (faults(|p| p.budgets[0].litres_per_command_max = 9_001.0), "a whole day only 9000 L"),
            (faults(|p| p.budgets[0].seconds_per_day_max = 0.0), "must be above 0"),
            (
                faults(|p| {
                    let substance = "jeevamrit".to_owned();
                    p.dosages.push(Dosage { substance, seconds_per_command_max: -1.0 });
                }),
                "dosages[0]: `seconds_per_command_max` must be above 0",
            ),
        ] {
            assert!(found.iter().any(|fault| fault.contains(words)), "{words:?} is not in {found:#?}");
        }
    }

    #[test]
    fn a_condition_that_is_met_is_no_fault() {
        let found = faults(|policy| {
            let sensor = policy.actuators[0].interlocks[0].sensor.clone();
            policy.actuators[0].interlocks.push(Interlock {
                rule: Rule::Interlock,
                sensor,
                node: "field-node".to_owned(),
                must: Must::BeWithin(4.0, 4.0),
                age_s_max: 1,
                stuck_after_s: None,
                why: "exactly four".to_owned(),
            });
        });
        assert_eq!(found, [""; 0]);
    }
}
