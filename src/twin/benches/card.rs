//! What a card costs: a valve and a pump, and a rover, with 33 rollouts each; against a model built anew each time.
//!
//! `cargo bench -p clawmesh-twin --bench card`
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the monotonic clock")]

use std::hint::black_box;
use std::time::Instant;

use clawmesh_twin::rollout::{Fork, Model};
use clawmesh_twin::seed::seed_of;
use clawmesh_twin::site::{Name, Plan, Point, SwitchState};
use clawmesh_twin::trial::{Act, Estimate, Horizon, LastSeen, Limits, Pose, Snapshot, Step, Trial};
use criterion::{Criterion, criterion_group, criterion_main};

/// The most that people may wait for the card of a valve and a pump.
const WATERING_MS_MAX: f64 = 200.0;

#[derive(serde::Deserialize)]
struct SiteFile {
    #[expect(dead_code, reason = "the file has it")]
    name: String,
    plan: Option<Plan>,
}

fn name(text: &str) -> Name {
    Name::new(text).expect("it is well-formed")
}

fn farm() -> Plan {
    let file: SiteFile = ron::from_str(include_str!("../../../assets/sites/farm.ron")).expect("it is a site");
    file.plan.expect("the farm has a plan")
}

fn trial(steps: Vec<Step>) -> Trial {
    let fresh = |value| Estimate { value, age_s: 2.0, sigma: 0.5 };
    let snapshot = Snapshot {
        tank_level_percent: [(name("tank-01"), fresh(72.0))].into(),
        moisture_percent: [(name("z-food-forest-core"), fresh(18.0))].into(),
        rovers: [(name("rover-01"), Pose { at: Point(12.0, 16.0), heading_deg: 90.0, sigma_m: 0.05 })].into(),
        people: [(name("farmer-01"), LastSeen { at: Point(165.0, 120.0), age_s: 1.0 })].into(),
        switched: ["pump-main-01", "valve-food-forest", "valve-flower", "valve-grain", "valve-nursery"]
            .map(|part| (name(part), SwitchState::Off))
            .into(),
        ..Snapshot::default()
    };
    let (limits, horizon) = (Limits::default(), Horizon::default());
    Trial { snapshot, steps, limits, horizon, seed: seed_of(&[1; 32], &[2; 32]) }
}

fn watering() -> Vec<Step> {
    let on = |of: &str, for_s| Step { of: name(of), act: Act::Switch { state: SwitchState::On, for_s } };
    vec![on("valve-food-forest", 1_210.0), on("pump-main-01", 1_200.0)]
}

fn errand() -> Vec<Step> {
    vec![Step { of: name("rover-01"), act: Act::Drive { to: Point(25.0, 75.0) } }]
}

fn fork(model: &Model, steps: Vec<Step>) -> Fork {
    model.fork(trial(steps)).expect("the trial has no fault")
}

/// Each rollout with a model of its own, as it would be without forks.
fn card_without_forks(plan: &Plan, steps: &[Step]) {
    let fresh = || fork(&Model::new(plan).expect("the plan has no fault"), steps.to_vec());
    let outcomes: Vec<_> = (0..=Horizon::default().rollouts).map(|index| fresh().rollout(index)).collect();
    black_box(fresh().reduce(&outcomes));
}

fn criterion_groups(c: &mut Criterion) {
    let plan = farm();
    let model = Model::new(&plan).expect("the plan has no fault");
    let mut group = c.benchmark_group("card of 33 rollouts over 1,800 s in steps of 10 s");
    group.sample_size(20);
    group.bench_function("valve and pump", |b| b.iter(|| black_box(fork(&model, watering()).card())));
    group.bench_function("rover", |b| b.iter(|| black_box(fork(&model, errand()).card())));
    group.finish();
    report(&plan, &model);
}

/// The median of some runs, in milliseconds.
fn median_ms(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..11)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn report(plan: &Plan, model: &Model) {
    for (what, steps) in [("valve and pump", watering()), ("rover", errand())] {
        let forked = median_ms(|| drop(black_box(fork(model, steps.clone()).card())));
        let fresh = median_ms(|| card_without_forks(plan, &steps));
        let one = median_ms(|| drop(black_box(fork(model, steps.clone()).rollout(0))));
        println!(
            "card, {what}: {forked:.1} ms; with a fresh model for each rollout {fresh:.1} ms; \
             one nominal rollout {one:.2} ms, times 33 {:.1} ms",
            one * 33.0
        );
        let is_watering = steps.iter().all(|step| matches!(step.act, Act::Switch { .. }));
        assert!(!is_watering || forked <= WATERING_MS_MAX, "at most {WATERING_MS_MAX:.0} ms; too slow");
    }
}

criterion_group!(benches, criterion_groups);
criterion_main!(benches);
