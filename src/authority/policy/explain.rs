//! What a policy demands of one operation, rule by rule, for people.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::capability::Capability;
use crate::ids::OperatorId;
use crate::policy::{ActuatorRules, FOR_S, HazardClass, OperationRule, Policy, Rule};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::setpoint::Setpoint;

/// One thing that has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// The rule that refuses when it does not.
    pub rule: Rule,
    /// What has to hold, one sentence.
    pub sentence: String,
}

/// Everything that has to hold for one operation, in the order in which the gate asks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The actuator.
    pub actuator: Capability,
    /// What it is told.
    pub operation: String,
    /// The state that brings.
    pub brings: Setpoint,
    /// How much harm a wrong command can do.
    pub class: HazardClass,
    /// What has to hold.
    pub demands: Vec<Demand>,
}

impl Policy {
    /// What has to hold for this operation of this actuator.
    ///
    /// # Errors
    /// `UNKNOWN_OPERATION`, when it may not be told that at all.
    pub fn explain(&self, actuator: &Capability, operation: &str) -> Result<Explanation, Refused> {
        let (rules, asked) = self.known(actuator, operation)?;
        let adds = asked.brings == Setpoint::On;
        let mut demands: Vec<Demand> = parameters(asked);
        demands.extend(self.dosage_of(asked));
        demands.push(Demand::new(Rule::NoModelAlone, Rule::NoModelAlone.demands()));
        if adds {
            demands.extend(evidence(rules));
        } else {
            demands.extend(about(rules));
        }
        demands.push(Demand::new(Rule::OnePlan, Rule::OnePlan.demands()));
        demands.push(Demand::new(Rule::Control, Rule::Control.demands()));
        demands.push(Demand::new(Rule::OutOfService, Rule::OutOfService.demands()));
        demands.push(Demand::new(Rule::ManualOverride, Rule::ManualOverride.demands()));
        demands.push(Demand::new(Rule::KnownComms, comms(adds)));
        demands.push(Demand::new(Rule::KnownState, Rule::KnownState.demands()));
        if adds {
            demands.extend(self.modes(rules));
            demands.extend(interlocks(rules));
            demands.extend(self.budgets_of(rules));
        }
        if adds {
            demands.push(Demand::new(Rule::OnHold, Rule::OnHold.demands()));
        }
        demands.push(Demand::new(Rule::Simulated, Rule::Simulated.demands()));
        demands.push(self.people(rules));
        if adds {
            demands.extend(bands(rules));
            demands.extend(shown(rules));
        }
        let (actuator, operation) = (actuator.clone(), operation.to_owned());
        Ok(Explanation { actuator, operation, brings: asked.brings, class: rules.class, demands })
    }

    /// The rules of an actuator and of one thing it may be told.
    ///
    /// # Errors
    /// `UNKNOWN_OPERATION`, with what is known instead.
    pub fn known(
        &self,
        actuator: &Capability,
        operation: &str,
    ) -> Result<(&ActuatorRules, &OperationRule), Refused> {
        let refuse = |sentence: String| Refused::new(Code::UnknownOperation, Rule::KnownOperation, sentence);
        let rules = self.rules_of(actuator);
        let rules = rules.ok_or_else(|| refuse(format!("the policy has no rules for {actuator}")))?;
        let found = rules.operations.get(operation).ok_or_else(|| {
            let known: Vec<&str> = rules.operations.keys().map(String::as_str).collect();
            refuse(format!("{actuator} knows no `{operation}`, it knows {}", known.join(", ")))
        })?;
        Ok((rules, found))
    }

    fn dosage_of(&self, operation: &OperationRule) -> Option<Demand> {
        let substance = operation.substance.as_ref()?;
        let sentence = match self.dosage(substance) {
            None => format!("refused until `dosages` says how much {substance} may go out"),
            Some(dosage) => {
                format!("{substance} goes out for at most {} s at once", dosage.seconds_per_command_max)
            }
        };
        Some(Demand::new(Rule::DosageFirst, sentence))
    }

    fn modes(&self, rules: &ActuatorRules) -> Vec<Demand> {
        let says = |what: &str, from: Option<HazardClass>, mode: &str| {
            from.is_some_and(|from| rules.class >= from).then(|| format!("{what} while {mode}"))
        };
        let modes = self.degraded.iter().flat_map(|(mode, degraded)| {
            [
                says("nothing is begun", degraded.refuse_from, mode.in_words()),
                says("what runs is ended", degraded.end_from, mode.in_words()),
            ]
        });
        modes.flatten().map(|sentence| Demand::new(Rule::DegradedMode, sentence)).collect()
    }

    fn budgets_of(&self, rules: &ActuatorRules) -> Vec<Demand> {
        let demand = |name: &String| match self.budget(name) {
            None => format!("refused, because there is no budget of {name}"),
            Some(budget) => format!(
                "{name}: at most {} L at once (planned at {} L/min), {} L and {} s in 24 hours",
                budget.litres_per_command_max,
                rules.draws_lpm_max,
                budget.litres_per_day_max,
                budget.seconds_per_day_max
            ),
        };
        rules.draws.iter().map(|name| Demand::new(Rule::ZoneBounds, demand(name))).collect()
    }

    fn people(&self, rules: &ActuatorRules) -> Demand {
        let people = match rules.level.approvals_needed() {
            // A standing permission would have to be there, and none is.
            0 | 1 if !rules.four_eyes => "one person approves, who may be the one who asked".to_owned(),
            0 | 1 => "one person approves, who is not the one who asked".to_owned(),
            people => format!("{people} persons approve, neither of whom asked"),
        };
        let named: Vec<String> = rules.approvers.iter().map(OperatorId::short).collect();
        let people = match named.as_slice() {
            [] => people,
            named => format!("{people}, of {}", named.join(", ")),
        };
        let lives = self.offer_expires_s.get(&rules.class);
        let within = lives.map(|lives_s| format!(", within {lives_s} s")).unwrap_or_default();
        Demand::new(Rule::Approved, format!("{} ({people}{within})", rules.level))
    }
}

impl Demand {
    fn new(rule: Rule, sentence: impl Into<String>) -> Self {
        Self { rule, sentence: sentence.into() }
    }
}

fn parameters(operation: &OperationRule) -> Vec<Demand> {
    let said: BTreeMap<_, _> = operation.parameters.iter().collect();
    let rule = |name: &str| if name == FOR_S { Rule::BoundedIrrigation } else { Rule::Parameters };
    said.into_iter()
        .map(|(name, parameter)| Demand::new(rule(name), format!("`{name}` is {}", parameter.in_words())))
        .collect()
}

fn evidence(rules: &ActuatorRules) -> Vec<Demand> {
    let demand = |rule: &crate::policy::EvidenceRule| {
        let sensors: Vec<&str> = rule.sensors.iter().map(Capability::as_str).collect();
        format!(
            "{} of {}, signed by {}, worth {} or more, at most {} s old when it is proposed",
            rule.count_min,
            sensors.join(", "),
            rule.node,
            rules.tier_min,
            rule.age_s_max
        )
    };
    rules.evidence.iter().map(|rule| Demand::new(Rule::Evidence, demand(rule))).collect()
}

/// What a program needs to switch something off; a person needs nothing.
fn about(rules: &ActuatorRules) -> Option<Demand> {
    let sensors: BTreeSet<&str> =
        rules.evidence.iter().flat_map(|rule| rule.sensors.iter().map(Capability::as_str)).collect();
    let sensors: Vec<&str> = sensors.into_iter().collect();
    let sentence = format!("of a program: a fresh reading of {}, whatever it says", sensors.join(" or "));
    (!sensors.is_empty()).then(|| Demand::new(Rule::Evidence, sentence))
}

fn comms(adds: bool) -> &'static str {
    if adds {
        "its driver answers, and the way to the mesh is shown to work when it is begun"
    } else {
        "its driver answers"
    }
}

fn interlocks(rules: &ActuatorRules) -> Vec<Demand> {
    let demand = |interlock: &crate::policy::Interlock| {
        let moves =
            interlock.stuck_after_s.map(|seconds| format!(", not the same for more than {seconds} s"));
        format!(
            "{} of {} is {}, not older than {} s{}, also while it runs: {}",
            interlock.sensor,
            interlock.node,
            interlock.must.in_words(),
            interlock.age_s_max,
            moves.unwrap_or_default(),
            interlock.why
        )
    };
    rules.interlocks.iter().map(|interlock| Demand::new(interlock.rule, demand(interlock))).collect()
}

fn bands(rules: &ActuatorRules) -> Vec<Demand> {
    let demand = |band: &crate::policy::BandRule| {
        format!(
            "{} of {} stays within {} % of its card, but for {} s after a change",
            band.sensor, band.node, band.tolerance_percent, band.settle_s
        )
    };
    rules.bands.iter().map(|band| Demand::new(Rule::PredictedBand, demand(band))).collect()
}

fn shown(rules: &ActuatorRules) -> Option<Demand> {
    let by = rules.verified_by.as_ref()?;
    let (sensor, node, must, within_s) = (&by.sensor, &by.node, by.must.in_words(), by.within_s);
    let sentence = format!("{sensor} of {node} is {must} within {within_s} s, or it was not done");
    Some(Demand::new(Rule::VerifiedBySensor, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farm() -> Policy {
        let text = include_str!("../../../assets/sites/farm.policy.ron");
        let options =
            ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        options.from_str(text).unwrap()
    }

    fn explained(actuator: &str, operation: &str) -> String {
        let explanation = farm().explain(&Capability::new(actuator).unwrap(), operation).unwrap();
        let lines = explanation.demands.iter().map(|demand| format!("{}: {}", demand.rule, demand.sentence));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_rule_of_the_file_is_told_in_the_order_of_the_gate() {
        let start = explained("actuator:pump:pump-main-01", "start");
        let mut at = 0;
        for words in [
            "bounded-irrigation: `for_s` is a number from 20 to 2400",
            "no-model-alone: ",
            "evidence: 1 of sensor:tank-level:tank-01, signed by field-node, worth T2 or more, at most 60 s old",
            "one-plan-at-a-time: ",
            "known-comms: its driver answers, and the way to the mesh",
            "known-state: ",
            "degraded-mode: nothing is begun while no command center is heard",
            "degraded-mode: what runs is ended while the supply is not steady",
            "source-before-pump: sensor:tank-level:tank-01 of field-node is at least 20, not older than 10 s",
            "interlock: sensor:pressure:mainline-01",
            "zone-bounds: pump-main-01: at most 1 L at once (planned at 0 L/min), 1 L and 21600 s in 24 hours",
            "simulated: ",
            "approved: L2 (one person approves, who may be the one who asked, within 300 s)",
            "predicted-band: sensor:flow:mainline-01 of field-node stays within 30 % of its card",
            "verified-by-sensor: sensor:flow:mainline-01 of field-node is at least 4 within 60 s",
        ] {
            let found = start[at..].find(words);
            at += found.unwrap_or_else(|| panic!("{words:?} does not follow in {start}"));
        }
    }

    #[test]
    fn what_switches_off_needs_no_condition_and_of_a_person_no_evidence() {
        let stop = explained("actuator:pump:pump-main-01", "stop");
        assert!(
            stop.contains("evidence: of a program: a fresh reading of sensor:tank-level:tank-01"),
            "{stop}"
        );
        assert!(stop.contains("known-comms: its driver answers\n"), "{stop}");
        for rule in ["interlock", "degraded-mode", "zone-bounds", "verified-by-sensor"] {
            assert!(!stop.contains(&format!("{rule}:")), "{stop}");
        }
        assert!(stop.contains("manual-override:") && stop.contains("approved: L2"), "{stop}");
    }

    #[test]
    fn every_rule_that_the_gate_has_for_a_start_is_told() {
        let start = explained("actuator:pump:pump-main-01", "start");
        // These are about the proposal, the node and the mesh, not about the operation; a dosage is for what has a substance.
        let others = [
            Rule::StopHolds,
            Rule::WrittenDown,
            Rule::OneOwner,
            Rule::SameSite,
            Rule::KnownOperation,
            Rule::Parameters,
            Rule::DosageFirst,
            Rule::Lease,
        ];
        for rule in Rule::ALL.iter().filter(|rule| !others.contains(rule)) {
            assert!(start.contains(&format!("{rule}: ")), "{rule} is not in {start}");
        }
    }

    #[test]
    fn what_may_not_be_told_is_refused_with_what_may_be() {
        let valve = Capability::new("actuator:valve:valve-food-forest").unwrap();
        let refused = farm().explain(&valve, "toggle").unwrap_err();
        assert_eq!(refused.code, Code::UnknownOperation);
        assert!(refused.sentence.contains("it knows close, fertigate, open"), "{refused}");
        assert!(explained(valve.as_str(), "fertigate").contains("dosage-first: refused until"));
        let other = Capability::new("actuator:valve:nowhere").unwrap();
        assert!(farm().explain(&other, "open").unwrap_err().sentence.contains("no rules for"));
    }

    #[test]
    fn how_many_people_and_who_is_told() {
        let pump = Capability::new("actuator:pump:pump-main-01").unwrap();
        let of = |change: fn(&mut ActuatorRules)| {
            let mut policy = farm();
            change(&mut policy.actuators[0]);
            let demands = policy.explain(&pump, "start").unwrap().demands;
            demands.into_iter().find(|demand| demand.rule == Rule::Approved).unwrap().sentence
        };
        assert!(of(|rules| rules.four_eyes = true).contains("who is not the one who asked"));
        let named = of(|rules| rules.approvers = vec![OperatorId([7; 32]), OperatorId([8; 32])]);
        assert!(
            named.contains("one person approves, who may be the one who asked, of 07070707, 08080808"),
            "{named}"
        );
        assert!(
            of(|rules| rules.level = crate::level::Level::L3).starts_with("L3 (2 persons approve, neither")
        );
    }
}
