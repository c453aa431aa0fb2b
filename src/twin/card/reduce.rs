//! Many outcomes into one card.

use std::collections::BTreeMap;

use super::confidence::{confidence, not_modelled};
use super::judge::{Finding, judge};
use super::reason::{Degree, Reason, Rule};
use super::{Breach, Card, Clearance, GHOST_POINTS_MAX, PlaceCard, Spread, TankCard, Verdict, ZoneCard};
use crate::rollout::{Fork, Outcome, TankRun};
use crate::site::{Name, Point};
use crate::trial::{Act, Trial};

/// A change of the water smaller than this is none.
const EFFECT_L_MIN: f64 = 0.1;

impl Fork {
    /// The card of what was reached: the outcomes from number 0 on without a gap, in whatever order they come. What
    /// lies behind a gap does not count.
    #[must_use]
    pub fn reduce(&self, outcomes: &[Outcome]) -> Card {
        let by_index: BTreeMap<u32, &Outcome> =
            outcomes.iter().map(|outcome| (outcome.index, outcome)).collect();
        let asked = self.trial().horizon.rollouts + 1;
        let prefix: Vec<&Outcome> = (0..asked).map_while(|index| by_index.get(&index).copied()).collect();
        let reached = prefix.len() as u32;
        let confidence = confidence(self, reached);
        let otherwise = self.otherwise();
        let (tallies, worst_rollout) = tally(&prefix, self.trial());
        let once = said_once(self.trial(), &prefix, &otherwise, confidence);
        let (reasons, verdict) = reasons(tallies, once, self.trial(), reached);
        let perturbed = prefix.iter().skip(1);
        let touching =
            perturbed.filter(|outcome| outcome.drives.values().any(|drove| !drove.touched.is_empty()));
        let drives = || prefix.iter().flat_map(|outcome| outcome.drives.values());
        Card {
            verdict,
            reasons,
            litres: Spread::of(prefix.iter().map(|outcome| outcome.litres)),
            otherwise_litres: otherwise.litres,
            energy_wh: Spread::of(prefix.iter().map(|outcome| outcome.energy_wh)),
            tanks: tanks(&prefix),
            zones: zones(&prefix),
            bands: bands(&prefix),
            first_flow_s: first_flow_s(&prefix),
            clearance: clearance(&prefix).or_else(|| self.beside_switched()),
            collision_odds: share(touching.count(), reached.saturating_sub(1)),
            breaches: breaches(&prefix),
            peak_force_n: drives().map(|drove| drove.peak_force_n).fold(0.0, f64::max),
            worst_rollout,
            horizon_s: self.trial().horizon.length_s,
            step_s: self.trial().horizon.step_s,
            rollouts_asked: asked,
            rollouts_reached: reached,
            not_modelled: not_modelled(self, prefix.first().copied()),
            confidence,
            seed: self.trial().seed,
            ghosts: ghosts(&prefix),
        }
    }

    /// The nearest that anybody may be to what is switched. Nothing is held against it: a valve harms nobody.
    fn beside_switched(&self) -> Option<Clearance> {
        let names = self.trial().steps.iter().map(|step| &step.of);
        let parts = names.filter_map(|name| self.plan().water.parts.iter().find(|part| part.name == *name));
        let mut nearest: Option<Clearance> = None;
        for part in parts {
            for person in &self.plan().people {
                let seen = self.trial().snapshot.people.get(&person.name);
                let at = seen.map_or(person.usually_at, |seen| seen.at);
                let apart_m = libm::hypot(at.0 - part.at.0, at.1 - part.at.1);
                let clearance_m = (apart_m - self.reach_m(&person.name)).max(0.0);
                if nearest.as_ref().is_none_or(|nearest| clearance_m < nearest.clearance_m) {
                    nearest = Some(Clearance { of: part.name.clone(), to: person.name.clone(), clearance_m });
                }
            }
        }
        nearest
    }
}

/// One rule about one thing, over all rollouts.
struct Tally {
    degree: Degree,
    nominal: Option<Degree>,
    value: f64,
    limit: f64,
    broken_perturbed: usize,
}

type Tallies = BTreeMap<(Rule, Option<Name>), Tally>;

/// What the rollouts hold against the proposal, and the one that holds most.
fn tally(prefix: &[&Outcome], trial: &Trial) -> (Tallies, u32) {
    let mut tallies = Tallies::new();
    let mut worst = (0, 0, 0.0, 0);
    for outcome in prefix {
        let findings = judge(outcome, &trial.limits);
        let broken = findings.iter().filter(|finding| finding.degree == Degree::Broken);
        let hard = broken.clone().filter(|finding| finding.rule.is_hard()).count();
        let force_n = outcome.drives.values().map(|drove| drove.peak_force_n).fold(0.0, f64::max);
        let this = (hard, findings.len(), force_n, outcome.index);
        if (this.0, this.1, this.2) > (worst.0, worst.1, worst.2) {
            worst = this;
        }
        for finding in findings {
            note(&mut tallies, finding, outcome.index == 0);
        }
    }
    (tallies, worst.3)
}

fn note(tallies: &mut Tallies, finding: Finding, is_nominal: bool) {
    let Finding { rule, of, degree, value, limit } = finding;
    let fresh = Tally { degree, nominal: None, value, limit, broken_perturbed: 0 };
    let tally = tallies.entry((rule, of)).or_insert(fresh);
    tally.value = if rule.is_floor() { tally.value.min(value) } else { tally.value.max(value) };
    tally.degree = tally.degree.max(degree);
    if is_nominal {
        tally.nominal = Some(degree);
    } else if degree == Degree::Broken {
        tally.broken_perturbed += 1;
    }
}

/// What is said of the proposal as a whole, not of single rollouts.
fn said_once(trial: &Trial, prefix: &[&Outcome], otherwise: &Outcome, confidence: f64) -> Vec<Finding> {
    let Some(nominal) = prefix.first() else {
        return vec![Finding::broken(Rule::NothingSimulated, None, 0.0, 1.0)];
    };
    let mut findings = Vec::new();
    let length_s = trial.horizon.length_s;
    for step in &trial.steps {
        if trial.snapshot.running.iter().any(|running| running.of == step.of) {
            findings.push(Finding::broken(Rule::UnderCommand, Some(&step.of), 1.0, 0.0));
        }
        if let Act::Switch { for_s, .. } = step.act
            && for_s > length_s
        {
            findings.push(Finding::broken(Rule::BeyondHorizon, Some(&step.of), for_s, length_s));
        }
    }
    for (name, drove) in &nominal.drives {
        if drove.arrived_s.is_none() {
            findings.push(Finding::broken(Rule::NotArrived, Some(name), length_s, length_s));
        }
    }
    if has_no_effect(nominal, otherwise) {
        let value = (nominal.litres - otherwise.litres).abs();
        findings.push(Finding::broken(Rule::NoEffect, None, value, EFFECT_L_MIN));
    }
    if confidence < trial.limits.confidence_min {
        findings.push(Finding::broken(Rule::Confidence, None, confidence, trial.limits.confidence_min));
    }
    findings
}

/// True if no more and no less water goes anywhere, and nothing drives.
fn has_no_effect(nominal: &Outcome, otherwise: &Outcome) -> bool {
    let is_same = |a: f64, b: f64| (a - b).abs() < EFFECT_L_MIN;
    let zone_l = |outcome: &Outcome, name: &Name| outcome.zones.get(name).map_or(0.0, |zone| zone.litres);
    let zones = nominal.zones.keys().chain(otherwise.zones.keys());
    let are_zones_same =
        zones.into_iter().all(|name| is_same(zone_l(nominal, name), zone_l(otherwise, name)));
    nominal.drives.is_empty() && are_zones_same && is_same(nominal.drawn_l, otherwise.drawn_l)
}

/// The reasons, the gravest first, and what they come to.
fn reasons(tallies: Tallies, once: Vec<Finding>, trial: &Trial, reached: u32) -> (Vec<Reason>, Verdict) {
    let perturbed = reached.saturating_sub(1);
    let mut graded: Vec<(Verdict, Reason)> = Vec::new();
    for ((rule, of), tally) in tallies {
        let Tally { degree, nominal, value, limit, broken_perturbed } = tally;
        let broken_share = share(broken_perturbed, perturbed);
        let (unit, is_nominal) = (rule.unit().to_owned(), nominal == Some(degree));
        let reason = Reason { rule, degree, of, value, limit, unit, is_nominal, broken_share };
        let breaks = nominal == Some(Degree::Broken) || broken_share > trial.limits.broken_share_max;
        let verdict = if rule.is_hard() && breaks { Verdict::Veto } else { Verdict::Caution };
        graded.push((verdict, reason));
    }
    for finding in once {
        let Finding { rule, of, degree, value, limit } = finding;
        let unit = rule.unit().to_owned();
        let reason = Reason { rule, degree, of, value, limit, unit, is_nominal: true, broken_share: 0.0 };
        graded.push((if rule.is_hard() { Verdict::Veto } else { Verdict::Caution }, reason));
    }
    graded.sort_by(|(a, one), (b, other)| {
        b.cmp(a).then_with(|| (one.rule, &one.of).cmp(&(other.rule, &other.of)))
    });
    let verdict = graded.first().map_or(Verdict::Pass, |(verdict, _)| *verdict);
    (graded.into_iter().map(|(_, reason)| reason).collect(), verdict)
}

fn share(count: usize, of: u32) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / f64::from(of) }
}

fn tanks(prefix: &[&Outcome]) -> BTreeMap<Name, TankCard> {
    let Some(nominal) = prefix.first() else { return BTreeMap::new() };
    let card = |(name, tank): (&Name, &TankRun)| {
        let after =
            prefix.iter().filter_map(|outcome| outcome.tanks.get(name)).map(|tank| tank.after_percent);
        (name.clone(), TankCard { before_percent: tank.before_percent, after_percent: Spread::of(after) })
    };
    nominal.tanks.iter().map(card).collect()
}

fn zones(prefix: &[&Outcome]) -> BTreeMap<Name, ZoneCard> {
    let names = prefix.iter().flat_map(|outcome| outcome.zones.keys());
    let mut cards = BTreeMap::new();
    for name in names {
        let runs = || prefix.iter().filter_map(|outcome| outcome.zones.get(name));
        let litres = prefix.iter().map(|outcome| outcome.zones.get(name).map_or(0.0, |zone| zone.litres));
        let before_percent = runs().find_map(|zone| zone.soil).map(|soil| soil.before_percent);
        let after = runs().filter_map(|zone| zone.soil).map(|soil| soil.after_percent);
        let after_percent = before_percent.map(|_| Spread::of(after));
        cards.entry(name.clone()).or_insert_with(|| ZoneCard {
            litres: Spread::of(litres),
            before_percent,
            after_percent,
        });
    }
    cards
}

fn bands(prefix: &[&Outcome]) -> BTreeMap<Name, PlaceCard> {
    let mut bands: BTreeMap<Name, PlaceCard> = BTreeMap::new();
    for (name, place) in prefix.iter().flat_map(|outcome| &outcome.places) {
        let (flow_lpm, pressure_kpa) = (place.flow_lpm, place.pressure_kpa);
        let band = bands.entry(name.clone()).or_insert(PlaceCard { flow_lpm, pressure_kpa });
        band.flow_lpm = band.flow_lpm.with(flow_lpm);
        band.pressure_kpa = band.pressure_kpa.with(pressure_kpa);
    }
    bands
}

fn first_flow_s(prefix: &[&Outcome]) -> Option<f64> {
    let times: Option<Vec<f64>> = prefix.iter().map(|outcome| outcome.first_flow_s).collect();
    times?.into_iter().reduce(f64::max)
}

fn clearance(prefix: &[&Outcome]) -> Option<Clearance> {
    let drives = prefix.iter().flat_map(|outcome| &outcome.drives);
    let near = drives.filter_map(|(name, drove)| Some((name, drove.nearest.as_ref()?)));
    let (name, nearest) = near.min_by(|(_, a), (_, b)| a.clearance_m.total_cmp(&b.clearance_m))?;
    Some(Clearance { of: name.clone(), to: nearest.to.clone(), clearance_m: nearest.clearance_m })
}

fn breaches(prefix: &[&Outcome]) -> Vec<Breach> {
    let mut counts: BTreeMap<(&Name, &Name), usize> = BTreeMap::new();
    for (rover, drove) in prefix.iter().flat_map(|outcome| &outcome.drives) {
        drove.entered.iter().for_each(|keep_out| *counts.entry((rover, keep_out)).or_default() += 1);
    }
    let all = prefix.len() as u32;
    let breach = |((rover, keep_out), count): ((&Name, &Name), usize)| Breach {
        rover: rover.clone(),
        keep_out: keep_out.clone(),
        share: share(count, all),
    };
    counts.into_iter().map(breach).collect()
}

fn ghosts(prefix: &[&Outcome]) -> BTreeMap<Name, Vec<Point>> {
    let Some(nominal) = prefix.first() else { return BTreeMap::new() };
    nominal.drives.iter().map(|(name, drove)| (name.clone(), thinned(&drove.path))).collect()
}

/// As many points as a ghost may have, its ends among them.
fn thinned(path: &[Point]) -> Vec<Point> {
    let last = path.len().saturating_sub(1);
    if path.len() <= GHOST_POINTS_MAX {
        return path.to_vec();
    }
    (0..GHOST_POINTS_MAX).map(|at| path[at * last / (GHOST_POINTS_MAX - 1)]).collect()
}
