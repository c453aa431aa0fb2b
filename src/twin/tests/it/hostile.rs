//! Whatever numbers come in, no card holds one that is none.

use clawmesh_twin::card::Card;
use clawmesh_twin::site::{Plan, Point};
use clawmesh_twin::trial::{Act, Estimate, Horizon, LastSeen, Trial};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::farm::{self, drive, forest, model, name, trial};

/// Numbers of every kind, the wrong ones more often than chance would bring them.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..100.0_f64,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![
            f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0, 1e300, 5e-324, 1e9, 100.0,
        ]),
    ]
}

fn trials() -> impl Strategy<Value = Trial> {
    let numbers = prop::collection::vec(number(), 20);
    (numbers, any::<bool>(), any::<bool>(), 0..4_u32, any::<[u8; 32]>()).prop_map(
        |(n, is_sane, drives, rollouts, seed)| {
            // Half of them are wrong in only one or two places, or none would get far.
            let or = |index: usize, sane: f64| {
                if is_sane && index % 7 != rollouts as usize { sane } else { n[index] }
            };
            let mut trial = trial(forest());
            if drives {
                trial.steps.push(drive(or(0, 20.0), or(1, 30.0)));
            }
            if let Act::Switch { for_s, .. } = &mut trial.steps[0].act {
                *for_s = or(2, 60.0);
            }
            let estimate = |a, b, c| Estimate { value: or(a, 50.0), age_s: or(b, 1.0), sigma: or(c, 1.0) };
            trial.snapshot.tank_level_percent = [(name("tank-01"), estimate(3, 4, 5))].into();
            trial.snapshot.moisture_percent = [(name("z-food-forest-core"), estimate(6, 7, 8))].into();
            let weather = &mut trial.snapshot.weather;
            (weather.temperature_cel, weather.wind_mps, weather.rain_mm_per_h) =
                (or(9, 20.0), or(10, 2.0), or(11, 0.0));
            let seen = LastSeen { at: Point(or(12, 100.0), or(13, 100.0)), age_s: or(14, 0.0) };
            trial.snapshot.people = [(name("farmer-01"), seen)].into();
            trial.limits.pressure_kpa_max = or(15, 400.0);
            trial.limits.tank_level_percent_min = or(16, 10.0);
            trial.snapshot.agreement = Some(or(17, 1.0));
            trial.horizon = Horizon { length_s: or(18, 120.0), step_s: or(19, 10.0), rollouts };
            Trial { seed, ..trial }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_trial_is_refused_or_gives_a_card_of_numbers(trial in trials()) {
        // A day in tenths of a second takes too long for a test.
        let is_long = trial.horizon.length_s / trial.horizon.step_s > 2_000.0;
        prop_assume!(!is_long);
        match model().fork(trial) {
            Err(sentence) => prop_assert!(sentence.len() > 10, "{sentence}"),
            Ok(fork) => {
                let card = fork.card();
                prop_assert_eq!(Card::from_bytes(&card.to_bytes()), Ok(card));
            }
        }
    }
}

#[test]
fn some_of_the_hostile_trials_get_as_far_as_a_card() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let model = model();
    let is_taken = |_| {
        let trial = trials().new_tree(&mut runner).unwrap().current();
        model.fork(trial).is_ok()
    };
    let taken = (0..400).map(is_taken).filter(|is_taken| *is_taken).count();
    assert!(taken > 40, "{taken} of 400");
}

#[test]
fn a_place_that_is_no_pair_of_numbers_is_told_wherever_it_stands() {
    let told = |change: fn(&mut Plan)| {
        let mut plan = farm::plan();
        change(&mut plan);
        plan.faults().into_iter().map(|fault| format!("{}: {}", fault.at, fault.sentence)).collect::<Vec<_>>()
    };
    let nowhere = "is no pair of numbers";
    for (faults, at, words) in [
        (told(|plan| plan.water.parts[0].at.1 = f64::INFINITY), "water.parts[0].at", nowhere),
        (told(|plan| plan.rovers[0].home.0 = f64::NAN), "rovers[0].home", nowhere),
        (told(|plan| plan.people[0].usually_at.0 = f64::NEG_INFINITY), "people[0].usually_at", nowhere),
        (
            told(|plan| plan.keep_outs[0].ceiling_m = f64::INFINITY),
            "keep_outs[0].ceiling_m",
            "have to be numbers",
        ),
        (
            told(|plan| plan.keep_outs[0].floor_m = f64::NEG_INFINITY),
            "keep_outs[0].ceiling_m",
            "have to be numbers",
        ),
    ] {
        let [fault] = &faults[..] else { panic!("{at} is told once: {faults:?}") };
        assert!(fault.starts_with(at) && fault.contains(words), "{fault}");
    }
}
