//! One outcome against the limits.

use super::reason::{Degree, Rule};
use crate::rollout::Outcome;
use crate::site::Name;
use crate::trial::Limits;

/// So much of a limit may be left before it counts as approached.
const MARGIN: f64 = 0.1;
/// Less than this is not drawn, and does not run over.
const LITRES_MIN: f64 = 0.1;

/// A rule that one outcome came near to or broke.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What it is about.
    pub of: Option<Name>,
    /// How far.
    pub degree: Degree,
    /// The number there was.
    pub value: f64,
    /// The limit.
    pub limit: f64,
}

impl Finding {
    /// Something that is so, without a number to hold it against.
    #[must_use]
    pub fn broken(rule: Rule, of: Option<&Name>, value: f64, limit: f64) -> Self {
        Self { rule, of: of.cloned(), degree: Degree::Broken, value, limit }
    }

    /// Compares a number with its limit.
    #[must_use]
    pub fn compare(rule: Rule, of: Option<&Name>, value: f64, limit: f64) -> Option<Self> {
        let (is_broken, is_near) = if rule.is_floor() {
            (value < limit, value < limit * (1.0 + MARGIN))
        } else {
            (value > limit, value > limit * (1.0 - MARGIN))
        };
        let degree = if is_broken { Degree::Broken } else { Degree::Approached };
        (is_broken || is_near).then(|| Self { rule, of: of.cloned(), degree, value, limit })
    }
}

/// Everything that speaks against an outcome.
#[must_use]
pub fn judge(outcome: &Outcome, limits: &Limits) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !outcome.is_solved {
        findings.push(Finding::broken(Rule::Unsolved, None, 1.0, 0.0));
    }
    let peak = outcome.peak.as_ref();
    findings.extend(peak.and_then(|peak| {
        Finding::compare(Rule::Pressure, Some(&peak.at), peak.pressure_kpa, limits.pressure_kpa_max)
    }));
    judge_tanks(outcome, limits, &mut findings);
    judge_zones(outcome, limits, &mut findings);
    judge_pumps(outcome, limits, &mut findings);
    judge_drives(outcome, limits, &mut findings);
    findings
}

fn judge_tanks(outcome: &Outcome, limits: &Limits, findings: &mut Vec<Finding>) {
    for (name, tank) in &outcome.tanks {
        // A tank that was low before and is left alone is nobody's fault.
        if tank.low_percent < tank.before_percent {
            let floor = limits.tank_level_percent_min;
            findings.extend(Finding::compare(Rule::TankLow, Some(name), tank.low_percent, floor));
        }
        if tank.overflow_l > LITRES_MIN {
            findings.push(Finding::broken(Rule::Overflow, Some(name), tank.overflow_l, 0.0));
        }
    }
}

fn judge_zones(outcome: &Outcome, limits: &Limits, findings: &mut Vec<Finding>) {
    for (name, zone) in outcome.zones.iter().filter(|(_, zone)| zone.litres > LITRES_MIN) {
        findings.extend(Finding::compare(Rule::ZoneLitres, Some(name), zone.litres, limits.zone_litres_max));
        findings.extend(zone.soil.and_then(|soil| {
            Finding::compare(Rule::Moisture, Some(name), soil.highest_percent, limits.moisture_percent_max)
        }));
    }
}

fn judge_pumps(outcome: &Outcome, limits: &Limits, findings: &mut Vec<Finding>) {
    for (name, pump) in &outcome.pumps {
        let limit = limits.pump_without_flow_s_max;
        for (rule, value) in [(Rule::DeadHead, pump.dead_head_s), (Rule::DryRun, pump.dry_s)] {
            let degree = if value > limit { Degree::Broken } else { Degree::Approached };
            let finding = Finding { rule, of: Some(name.clone()), degree, value, limit };
            findings.extend((value > 0.0).then_some(finding));
        }
        if pump.starved_s > 0.0 {
            findings.push(Finding::broken(Rule::Starved, Some(name), pump.starved_s, 0.0));
        }
    }
}

fn judge_drives(outcome: &Outcome, limits: &Limits, findings: &mut Vec<Finding>) {
    for (name, drove) in &outcome.drives {
        findings.extend(drove.nearest.as_ref().and_then(|nearest| {
            Finding::compare(Rule::Clearance, Some(name), nearest.clearance_m, limits.clearance_m_min)
        }));
        let touched = drove.touched.iter();
        findings.extend(touched.map(|to| Finding::broken(Rule::Contact, Some(to), drove.peak_force_n, 0.0)));
        let entered = drove.entered.iter();
        findings.extend(entered.map(|keep_out| Finding::broken(Rule::KeepOut, Some(keep_out), 1.0, 0.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Peak, PumpRun, TankRun};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn found(outcome: &Outcome) -> Vec<(Rule, Degree)> {
        let outcome = Outcome { is_solved: true, ..outcome.clone() };
        judge(&outcome, &Limits::default())
            .into_iter()
            .map(|finding| (finding.rule, finding.degree))
            .collect()
    }

    fn tank(before_percent: f64, low_percent: f64) -> Outcome {
        let run = TankRun { before_percent, low_percent, after_percent: low_percent, overflow_l: 0.0 };
        Outcome { tanks: [(name("tank"), run)].into(), ..Outcome::default() }
    }

    #[test]
    fn a_tank_may_be_drawn_to_its_least_level_and_no_further() {
        assert_eq!(found(&tank(50.0, 40.0)), []);
        assert_eq!(found(&tank(50.0, 10.5)), [(Rule::TankLow, Degree::Approached)]);
        assert_eq!(found(&tank(50.0, 9.9)), [(Rule::TankLow, Degree::Broken)]);
        assert_eq!(found(&tank(5.0, 5.0)), [], "it was low before, and nothing is drawn");
    }

    #[test]
    fn pressure_is_approached_from_nine_tenths_on() {
        let under = |pressure_kpa| Outcome {
            peak: Some(Peak { at: name("pump"), pressure_kpa }),
            ..Outcome::default()
        };
        assert_eq!(found(&under(359.0)), []);
        assert_eq!(found(&under(361.0)), [(Rule::Pressure, Degree::Approached)]);
        assert_eq!(found(&under(401.0)), [(Rule::Pressure, Degree::Broken)]);
    }

    #[test]
    fn any_second_against_shut_valves_is_worth_a_word() {
        let ran = |dead_head_s| {
            let run = PumpRun { on_s: 60.0, dead_head_s, ..PumpRun::default() };
            Outcome { pumps: [(name("pump"), run)].into(), ..Outcome::default() }
        };
        assert_eq!(found(&ran(0.0)), []);
        assert_eq!(found(&ran(1.0)), [(Rule::DeadHead, Degree::Approached)]);
        assert_eq!(found(&ran(31.0)), [(Rule::DeadHead, Degree::Broken)]);
    }

    #[test]
    fn flows_that_could_not_be_calculated_are_no_flows() {
        let findings = judge(&Outcome::default(), &Limits::default());
        assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<Rule>>(), [Rule::Unsolved]);
    }
}
