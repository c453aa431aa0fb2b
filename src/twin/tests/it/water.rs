//! What water does, seen through whole rollouts.

use clawmesh_twin::card::{Card, Degree, Rule, Verdict};
use clawmesh_twin::rollout::Model;
use clawmesh_twin::rollout::Outcome;
use clawmesh_twin::site::{Line, Part, PartKind, Plan, Point, SwitchState};
use clawmesh_twin::trial::{Act, Estimate, Horizon, Step, Trial};
use proptest::prelude::*;

use crate::farm::{card, forest, fork, model, name, on, plan, trial};

fn rules(card: &Card) -> Vec<(Rule, Degree)> {
    card.reasons.iter().map(|reason| (reason.rule, reason.degree)).collect()
}

fn nominal(steps: Vec<Step>) -> Outcome {
    fork(trial(steps)).rollout(0)
}

fn litres(outcome: &Outcome, zone: &str) -> f64 {
    outcome.zones.get(&name(zone)).map_or(0.0, |zone| zone.litres)
}

fn with_level(level_percent: f64, steps: Vec<Step>) -> Trial {
    let mut trial = trial(steps);
    trial.snapshot.tank_level_percent = [(name("tank-01"), Estimate::exact(level_percent))].into();
    trial
}

#[test]
fn what_leaves_the_tank_arrives_in_the_zones_also_when_it_runs_dry() {
    let grain = vec![on("valve-grain", 1_700.0), on("pump-main-01", 1_600.0), on("valve-flower", 900.0)];
    for level in [90.0, 12.0, 3.0, 0.0] {
        for index in 0..4 {
            let outcome = fork(with_level(level, grain.clone())).rollout(index);
            let tank = outcome.tanks[&name("tank-01")];
            let lost_l = (tank.before_percent - tank.after_percent) * 100.0;
            let got_l: f64 = outcome.zones.values().map(|zone| zone.litres).sum();
            assert!((lost_l - got_l).abs() < 1e-9 * 10_000.0, "{lost_l} {got_l}");
            assert!((outcome.drawn_l - outcome.litres).abs() < 1e-9, "{outcome:?}");
        }
    }
}

#[test]
fn two_open_valves_lower_the_flow_of_each_also_when_one_was_open_before() {
    // The grain valve has no rows: its open end takes nearly all the pump can move.
    let alone = nominal(vec![on("valve-flower", 600.0), on("pump-main-01", 600.0)]);
    let mut shared = trial(vec![on("valve-flower", 600.0)]);
    shared.snapshot.running = vec![on("valve-grain", 900.0), on("pump-main-01", 600.0)];
    let shared = fork(shared).rollout(0);
    let (high, low) = (litres(&alone, "z-flower-production"), litres(&shared, "z-flower-production"));
    assert!(low < high * 0.98, "{low} {high}");
    assert!(litres(&shared, "z-rice-or-seasonal-grain") > 500.0);
}

#[test]
fn a_pump_that_outlives_its_valve_is_found_running_against_a_shut_line() {
    let briefly = card(vec![on("valve-food-forest", 600.0), on("pump-main-01", 610.0)]);
    assert_eq!(
        (briefly.verdict, rules(&briefly)),
        (Verdict::Caution, vec![(Rule::DeadHead, Degree::Approached)])
    );
    let long = card(vec![on("valve-food-forest", 600.0), on("pump-main-01", 1_200.0)]);
    assert_eq!((long.verdict, rules(&long)), (Verdict::Veto, vec![(Rule::DeadHead, Degree::Broken)]));
    assert!((long.reasons[0].value - 600.0).abs() < 1e-6);
    assert!(
        long.reasons[0].sentence().contains("600 s against shut valves"),
        "{}",
        long.reasons[0].sentence()
    );
}

#[test]
fn a_tank_that_would_be_drawn_too_low_is_a_veto_and_near_it_a_caution() {
    let veto = fork(with_level(10.5, forest())).card();
    assert_eq!(veto.verdict, Verdict::Veto);
    assert_eq!(rules(&veto), [(Rule::TankLow, Degree::Broken)]);
    let near = fork(with_level(12.0, forest())).card();
    assert_eq!((near.verdict, rules(&near)), (Verdict::Caution, vec![(Rule::TankLow, Degree::Approached)]));
}

#[test]
fn a_tank_whose_level_is_hardly_known_is_a_veto_when_too_many_futures_run_it_low() {
    let mut trial = with_level(16.0, forest());
    assert_eq!(fork(trial.clone()).card().verdict, Verdict::Pass);
    let old = Estimate { value: 16.0, age_s: 3.0 * 3_600.0, sigma: 1.0 };
    trial.snapshot.tank_level_percent = [(name("tank-01"), old)].into();
    let card = fork(trial).card();
    assert_eq!(card.verdict, Verdict::Veto, "{:?}", card.reasons);
    let low = &card.reasons[0];
    assert!(low.rule == Rule::TankLow && !low.is_nominal && low.broken_share > 0.1, "{low:?}");
}

#[test]
fn an_empty_tank_gives_nothing_and_the_pump_runs_dry() {
    let outcome = fork(with_level(0.0, forest())).rollout(0);
    assert_eq!((outcome.litres, outcome.first_flow_s), (0.0, None));
    assert!((outcome.pumps[&name("pump-main-01")].dry_s - 1_200.0).abs() < 1e-6);
    let card = fork(with_level(0.0, forest())).card();
    assert!(rules(&card).contains(&(Rule::DryRun, Degree::Broken)) && card.verdict == Verdict::Veto);
}

#[test]
fn without_the_pump_the_tank_alone_gives_less() {
    let by_gravity = nominal(vec![on("valve-food-forest", 1_200.0)]);
    let pumped = nominal(vec![on("valve-food-forest", 1_200.0), on("pump-main-01", 1_200.0)]);
    assert!(by_gravity.litres > 10.0 && by_gravity.litres < pumped.litres * 0.7, "{}", by_gravity.litres);
    assert_eq!(by_gravity.energy_wh, 0.0);
}

#[test]
fn what_changes_nothing_says_so() {
    let off = |of: &str| Step { of: name(of), act: Act::Switch { state: SwitchState::Off, for_s: 600.0 } };
    let shut_again = card(vec![off("valve-food-forest")]);
    assert_eq!(
        (shut_again.verdict, rules(&shut_again)),
        (Verdict::Caution, vec![(Rule::NoEffect, Degree::Broken)])
    );
    assert_eq!(shut_again.first_flow_s, None);
    let mut running = trial(vec![off("valve-food-forest")]);
    running.snapshot.running = vec![on("valve-food-forest", 1_200.0)];
    let closes = fork(running).card();
    assert_eq!(rules(&closes), [(Rule::UnderCommand, Degree::Broken)]);
    assert!(closes.otherwise_litres > 10.0 && closes.litres.p50 == 0.0, "{closes:?}");
}

#[test]
fn a_step_that_ends_after_the_horizon_is_said_to() {
    let long = card(vec![on("valve-food-forest", 7_200.0), on("pump-main-01", 1_200.0)]);
    assert_eq!(rules(&long), [(Rule::BeyondHorizon, Degree::Broken)]);
}

#[test]
fn limits_on_pressure_litres_and_moisture_are_held() {
    let judged = |change: fn(&mut Trial)| {
        let mut trial = trial(forest());
        change(&mut trial);
        let card = fork(trial).card();
        (card.verdict, rules(&card))
    };
    let veto = |rule| (Verdict::Veto, vec![(rule, Degree::Broken)]);
    assert_eq!(judged(|it| it.limits.pressure_kpa_max = 300.0), veto(Rule::Pressure));
    assert_eq!(judged(|it| it.limits.zone_litres_max = 100.0), veto(Rule::ZoneLitres));
    assert_eq!(judged(|it| it.limits.moisture_percent_max = 17.0), veto(Rule::Moisture));
    assert_eq!(
        judged(|it| it.limits.confidence_min = 0.9),
        (Verdict::Caution, vec![(Rule::Confidence, Degree::Broken)])
    );
}

#[test]
fn a_valve_nobody_has_read_back_is_open_in_some_futures_and_costs_confidence() {
    let steps = vec![on("valve-flower", 1_210.0), on("pump-main-01", 1_200.0)];
    let known = card(steps.clone());
    let mut trial = trial(steps);
    trial.snapshot.switched.remove(&name("valve-grain"));
    let unknown = fork(trial).card();
    assert!(unknown.litres.p95 > known.litres.p95 * 3.0, "{:?} {:?}", unknown.litres, known.litres);
    assert!(unknown.confidence < known.confidence);
    assert!(unknown.not_modelled.iter().any(|phrase| phrase.contains("the state of valve-grain")));
}

/// The farm with a pump that lifts water from the source into the tank.
fn with_lift_pump(flow_lpm_max: f64) -> Plan {
    let mut plan = plan();
    let kind = PartKind::Pump { flow_lpm_max, head_m_max: 20.0, power_w: 500.0 };
    plan.water.parts.push(Part { name: name("pump-lift-01"), at: Point(6.0, 5.0), kind });
    let first = plan.water.lines[0].clone();
    plan.water.lines[0].to = name("pump-lift-01");
    plan.water.lines.push(Line { name: name("pipe-lift"), from: name("pump-lift-01"), ..first });
    plan
}

#[test]
fn a_tank_is_filled_no_faster_than_its_source_gives_and_runs_over_when_full() {
    let fill = |flow_lpm_max: f64, level_percent: f64| {
        let mut trial = with_level(level_percent, vec![on("pump-lift-01", 600.0)]);
        trial.horizon.rollouts = 2;
        Model::new(&with_lift_pump(flow_lpm_max)).unwrap().fork(trial).unwrap()
    };
    let strong = fill(2_000.0, 20.0);
    let tank = strong.rollout(0).tanks[&name("tank-01")];
    // 150 L/min for ten minutes into 10,000 L.
    assert!((tank.after_percent - 35.0).abs() < 1e-6, "{tank:?}");
    assert_eq!(rules(&strong.card()), [(Rule::Starved, Degree::Broken)]);
    let full = fill(100.0, 99.0);
    assert!((full.rollout(0).tanks[&name("tank-01")].after_percent - 100.0).abs() < 1e-9);
    assert_eq!(
        (full.card().verdict, rules(&full.card())),
        (Verdict::Caution, vec![(Rule::Overflow, Degree::Broken)])
    );
}

/// The pump of the farm with another head.
fn with_pump_head(head_m: f64) -> Plan {
    let mut plan = plan();
    for part in &mut plan.water.parts {
        if let PartKind::Pump { head_m_max, .. } = &mut part.kind {
            *head_m_max = head_m;
        }
    }
    plan
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_longer_opening_never_brings_fewer_litres(for_s in 1.0..1_600.0_f64, more_s in 0.0..150.0_f64) {
        let model = model();
        let brings = |for_s: f64| {
            let steps = vec![on("valve-food-forest", for_s), on("pump-main-01", for_s)];
            model.fork(trial(steps)).unwrap().rollout(0).litres
        };
        prop_assert!(brings(for_s + more_s) >= brings(for_s) - 1e-9);
    }

    #[test]
    fn a_stronger_pump_never_brings_fewer_litres(head_m in 1.0..80.0_f64, more_m in 0.0..40.0_f64) {
        let brings = |head_m: f64| {
            Model::new(&with_pump_head(head_m)).unwrap().fork(trial(forest())).unwrap().rollout(0).litres
        };
        prop_assert!(brings(head_m + more_m) >= brings(head_m) - 1e-9);
    }

    #[test]
    fn finer_steps_of_time_bring_the_same_litres(step_s in 1.0..60.0_f64) {
        let brings = |step_s: f64| {
            let horizon = Horizon { step_s, ..Horizon::default() };
            fork(Trial { horizon, ..trial(forest()) }).rollout(0).litres
        };
        let (fine, coarse) = (brings(1.0), brings(step_s));
        prop_assert!((fine - coarse).abs() < 0.01 * fine, "{} {}", fine, coarse);
    }
}
