//! The farm that is shipped, a quiet moment of it, and what is mostly asked: water the food forest for twenty minutes.

use std::collections::BTreeMap;

use clawmesh_twin::card::{Card, Verdict};
use clawmesh_twin::rollout::{Fork, Model};
use clawmesh_twin::seed::seed_of;
use clawmesh_twin::site::{Name, Plan, Point, SwitchState};
use clawmesh_twin::trial::{Act, Estimate, Horizon, LastSeen, Limits, Pose, Snapshot, Step, Trial, Weather};

#[derive(serde::Deserialize)]
struct SiteFile {
    #[expect(dead_code, reason = "the file has it")]
    name: String,
    plan: Option<Plan>,
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("it is well-formed")
}

pub fn plan() -> Plan {
    let file: SiteFile =
        ron::from_str(include_str!("../../../../assets/sites/farm.ron")).expect("it is a site");
    file.plan.expect("the farm has a plan")
}

pub fn model() -> Model {
    Model::new(&plan()).expect("the farm has no fault")
}

pub fn on(of: &str, for_s: f64) -> Step {
    Step { of: name(of), act: Act::Switch { state: SwitchState::On, for_s } }
}

pub fn drive(east: f64, north: f64) -> Step {
    Step { of: name("rover-01"), act: Act::Drive { to: Point(east, north) } }
}

/// Everything is known, fresh and at rest.
pub fn snapshot() -> Snapshot {
    let fresh = |value, sigma| Estimate { value, age_s: 2.0, sigma };
    let zones = [
        "z-food-forest-core",
        "z-flower-production",
        "z-rice-or-seasonal-grain",
        "z-nursery-grafting-trials",
    ];
    let parts = ["pump-main-01", "valve-food-forest", "valve-flower", "valve-grain", "valve-nursery"];
    Snapshot {
        tank_level_percent: [(name("tank-01"), fresh(72.0, 0.5))].into(),
        moisture_percent: zones.map(|zone| (name(zone), fresh(18.0, 1.0))).into(),
        switched: parts.map(|part| (name(part), SwitchState::Off)).into(),
        running: Vec::new(),
        rovers: [(name("rover-01"), Pose { at: Point(12.0, 16.0), heading_deg: 90.0, sigma_m: 0.05 })].into(),
        people: [(name("farmer-01"), LastSeen { at: Point(165.0, 120.0), age_s: 1.0 })].into(),
        weather: Weather { temperature_cel: 31.0, wind_mps: 2.0, rain_mm_per_h: 0.0 },
        agreement: None,
    }
}

/// The pump ends before the valve, so that it never runs against a shut line.
pub fn forest() -> Vec<Step> {
    vec![on("valve-food-forest", 1_210.0), on("pump-main-01", 1_200.0)]
}

pub fn trial(steps: Vec<Step>) -> Trial {
    Trial {
        snapshot: snapshot(),
        steps,
        limits: Limits::default(),
        horizon: Horizon::default(),
        seed: seed_of(&[1; 32], &[2; 32]),
    }
}

pub fn fork(trial: Trial) -> Fork {
    model().fork(trial).expect("the trial has no fault")
}

pub fn card(steps: Vec<Step>) -> Card {
    fork(trial(steps)).card()
}

#[test]
fn twenty_minutes_for_the_food_forest_pass_with_sane_numbers() {
    let card = card(forest());
    assert_eq!(card.verdict, Verdict::Pass, "{:#?}", card.reasons);
    assert!(card.reasons.is_empty(), "{:?}", card.reasons);
    let litres = card.litres;
    assert!((160.0..185.0).contains(&litres.p50) && litres.p05 > 150.0 && litres.p95 < 200.0, "{litres:?}");
    assert_eq!(card.otherwise_litres, 0.0);
    // 1,500 W for twenty minutes.
    assert!((card.energy_wh.p50 - 500.0).abs() < 1e-6, "{:?}", card.energy_wh);
    let tank = card.tanks[&name("tank-01")];
    assert_eq!(tank.before_percent, 72.0);
    assert!((tank.before_percent - tank.after_percent.p50 - 1.75).abs() < 0.6, "{tank:?}");
    let zone = card.zones[&name("z-food-forest-core")];
    let (before, after) = (zone.before_percent.unwrap(), zone.after_percent.unwrap());
    assert!(before == 18.0 && (18.5..19.5).contains(&after.p50) && after.p05 < after.p95, "{zone:?}");
    let mainline = card.bands[&name("manifold-01")];
    assert!(mainline.flow_lpm.low > 7.0 && mainline.flow_lpm.high < 10.5, "{mainline:?}");
    assert!(mainline.flow_lpm.holds(8.8), "{mainline:?}");
    assert!(mainline.pressure_kpa.low > 250.0 && mainline.pressure_kpa.high < 345.0, "{mainline:?}");
    assert_eq!(card.first_flow_s, Some(0.0));
    assert_eq!((card.rollouts_asked, card.rollouts_reached), (33, 33));
    assert!((0.6..0.7).contains(&card.confidence), "{}", card.confidence);
    assert_eq!(card.clearance.unwrap().to, name("farmer-01"));
    assert!(card.ghosts.is_empty() && card.collision_odds == 0.0);
    let adds = |phrase: &String| phrase == "what ws-source-01 adds to tank-01 by itself";
    assert!(card.not_modelled.iter().any(adds), "{:?}", card.not_modelled);
}

#[test]
fn a_card_comes_back_from_its_bytes_and_from_json_with_the_same_hash() {
    for steps in [forest(), vec![drive(25.0, 25.0)]] {
        let card = card(steps);
        let again = Card::from_bytes(&card.to_bytes()).unwrap();
        assert_eq!((again.hash(), &again), (card.hash(), &card));
        let json = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Card>(&json).unwrap().hash(), card.hash());
    }
}

#[test]
fn bytes_that_are_not_as_we_write_them_or_hold_no_number_are_no_card() {
    let card = card(forest());
    let mut trailing = card.to_bytes();
    trailing.push(0);
    assert!(Card::from_bytes(&trailing).is_err());
    let broken = Card { peak_force_n: f64::NAN, ..card.clone() };
    let sentence = Card::from_bytes(&broken.to_bytes()).unwrap_err();
    assert!(sentence.contains("is none"), "{sentence}");
    let longer = Card { confidence: card.confidence + 1e-15, ..card.clone() };
    assert_ne!(longer.hash(), card.hash());
}

#[test]
fn what_is_not_of_the_site_or_cannot_be_done_is_refused_in_a_sentence() {
    let model = model();
    let refusal = |trial: Trial| model.fork(trial).err().unwrap_or_default();
    let with = |change: &dyn Fn(&mut Trial)| {
        let mut trial = trial(forest());
        change(&mut trial);
        refusal(trial)
    };
    for (sentence, words) in [
        (with(&|it| it.steps = vec![on("valve-nowhere", 60.0)]), "valve-nowhere is not known"),
        (with(&|it| it.steps = vec![on("tank-01", 60.0)]), "is no valve and no pump"),
        (with(&|it| it.steps = vec![on("rover-01", 60.0)]), "drives, nothing switches it"),
        (with(&|it| it.steps[0].act = Act::Drive { to: Point(0.0, 0.0) }), "is no rover"),
        (with(&|it| it.steps.push(on("pump-main-01", 60.0))), "stands in the list twice"),
        (with(&|it| it.steps = Vec::new()), "no step"),
        (with(&|it| it.steps = vec![on("pump-main-01", 60.0); 65]), "at most 64"),
        (with(&|it| it.snapshot.tank_level_percent = BTreeMap::new()), "how full tank-01 is"),
        (
            with(&|it| it.snapshot.moisture_percent = [(name("z-moon"), Estimate::exact(1.0))].into()),
            "z-moon is no zone",
        ),
        (with(&|it| it.snapshot.switched = [(name("tank-01"), SwitchState::On)].into()), "no valve or pump"),
        (
            with(&|it| {
                it.steps = vec![drive(1.0, 1.0)];
                it.snapshot.rovers = BTreeMap::new();
            }),
            "where rover-01 is",
        ),
        (with(&|it| it.horizon.rollouts = 5_000), "`rollouts`"),
    ] {
        assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
    }
}

#[test]
fn a_plan_with_a_fault_or_a_number_beyond_the_twin_is_refused() {
    let mut tiny = plan();
    tiny.water.lines[0].diameter_mm = 1e-200;
    assert!(Model::new(&tiny).err().unwrap().contains("`diameter_mm` of pipe-source"));
    let mut loose = plan();
    loose.water.lines[0].to = name("nowhere");
    assert!(Model::new(&loose).err().unwrap().contains("leads to nowhere"));
}

#[test]
fn the_same_question_has_the_same_card_bit_for_bit_on_every_machine() {
    let mut errand = trial(vec![drive(25.0, 75.0)]);
    errand.horizon.rollouts = 8;
    let hex = |card: Card| card.hash().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(card(forest())), "ffa55a0fa02410af52c12a2bcea822cdb96d2ee37e7878581a9813a67f927469");
    assert_eq!(hex(fork(errand).card()), "3ec4e1010b48f4df3ff9eedd1d8dbdb272f0c23e07307908cf4a27a4653b1897");
}
