//! The planner at the shipped farm: a command center that thinks, a field node that measures, and what comes of it.

use std::path::Path;
use std::time::Duration;

use clawmesh_authority::leadership::Term;
use clawmesh_authority::{Hlc, NodeId, SensorSpec, Tier, Unit};
use clawmesh_core::intake::{InputBody, Sample, SourceId, Thought};
use clawmesh_core::planner::Wish;
use clawmesh_core::settings::SiteText;
use clawmesh_lab::Lab;
use clawmesh_plant::{Plant, PlantFile};
use clawmesh_twin::site::{Plan, Sensor};

use super::outlook::Outlook;
use crate::config::{farm, plant_file, site_file};
use crate::headless::plant::specs;

const CENTER: &str = farm::COMMAND_CENTER;
const FIELD: &str = farm::FIELD_NODE;
const FOREST: &str = "z-food-forest-core";

/// The shipped site, whose command center and field node have these ids.
pub fn site_of(center: NodeId, field: NodeId) -> (SiteText, Plan) {
    let text = farm::site_with(&[(CENTER, center), (FIELD, field)]);
    let site = site_file::parse(Path::new("farm.ron"), &text).unwrap();
    let plan = site.plan.unwrap();
    (SiteText::of(&site.name, &plan, None).unwrap(), plan)
}

/// Somebody's wish for a zone; nothing of it matters but the zone.
pub fn wish_for(zone: &str) -> Wish {
    Wish {
        zone: zone.to_owned(),
        owner: NodeId([2; 32]),
        steps: Vec::new(),
        reason: String::new(),
        evidence_of: Vec::new(),
        made: Hlc::default(),
        term: Term(1),
        cause: 0,
    }
}

fn plant() -> Plant {
    let file: PlantFile = plant_file::load(Path::new("there is none, so it is the shipped one")).unwrap();
    Plant::new(file, 0, 1, Vec::new()).unwrap()
}

/// The farm in the lab.
struct Farm {
    lab: Lab,
    plan: Plan,
}

impl Farm {
    /// With the sensors of the field node described, as it describes them itself.
    fn new() -> Self {
        let mut farm = Self::undescribed();
        farm.describe(|_| {});
        farm
    }

    fn undescribed() -> Self {
        let (text, plan) = site_of(Lab::id_of(1), Lab::id_of(2));
        let roles = [(CENTER, CENTER), (FIELD, "field")];
        let mut lab = Lab::seeded(5).at_site(text).with_roles(roles).with_nodes([CENTER, FIELD]);
        // Until the command center leads the planning.
        lab.run_seconds(11);
        Self { lab, plan }
    }

    fn describe(&mut self, change: fn(&mut SensorSpec)) {
        let mut specs = specs(&self.plan, FIELD, &plant()).unwrap();
        specs.iter_mut().for_each(change);
        self.lab.offer(FIELD, SourceId::HostSensors, InputBody::SensorsDeclared(specs));
    }

    fn moisture_sensors(&self) -> impl Iterator<Item = &Sensor> {
        self.plan.sensors.iter().filter(|sensor| sensor.quantity == "soil moisture")
    }

    /// Every zone at 30 %, but the food forest.
    fn measure(&mut self, at: &str, forest_percent: f64) {
        let sensors: Vec<String> = self.moisture_sensors().map(|sensor| sensor.capability.clone()).collect();
        for capability in sensors {
            let value = if capability.ends_with("food-forest") { forest_percent } else { 30.0 };
            self.lab.sample(at, sample(&capability, value));
        }
    }

    /// What somebody thinks by what the command center knows now.
    fn thoughts(&self, outlook: &Outlook) -> Vec<Thought> {
        outlook.think(&self.lab.snapshot(CENTER), 0)
    }

    /// One round of thinking, and the two seconds after it.
    fn think(&mut self, outlook: &Outlook) {
        let thoughts = self.thoughts(outlook);
        self.lab.offer(CENTER, SourceId::Planner, InputBody::Thoughts(thoughts));
        self.lab.run_seconds(2);
    }

    /// So many rounds in which the forest is measured at the field node.
    fn rounds(&mut self, rounds: u32, forest_percent: f64) {
        let outlook = Outlook::of(&self.plan);
        for _ in 0..rounds {
            self.measure(FIELD, forest_percent);
            self.lab.run_ticks(15);
            self.think(&outlook);
        }
    }

    fn wished(&self) -> Vec<String> {
        self.lab.wishes(CENTER).into_iter().map(|wish| wish.zone).collect()
    }
}

fn sample(capability: &str, value: f64) -> Sample {
    let sensor = clawmesh_authority::Capability::new(capability).unwrap();
    Sample { sensor, value, unit: Unit::Percent, origin_ms: 0, tier: Tier::T2 }
}

#[test]
fn a_dry_zone_leads_to_one_wish_and_the_others_to_none() {
    let mut farm = Farm::new();
    farm.rounds(1, 14.26);
    let thoughts = farm.thoughts(&Outlook::of(&farm.plan));
    let dry: Vec<&str> =
        thoughts.iter().filter(|thought| thought.irrigate).map(|thought| thought.zone.as_str()).collect();
    assert_eq!((thoughts.len(), dry), (4, vec![FOREST]));
    // 7.74 of the 12 between dry and wilting.
    assert_eq!((thoughts[0].urgency_permille, thoughts[0].moisture_permille), (645, Some(142)));
    assert_eq!(farm.wished(), [""; 0], "one round is none");
    farm.rounds(20, 14.26);
    assert_eq!(farm.wished(), [FOREST]);
    let reason = &farm.lab.wishes(CENTER)[0].reason;
    assert_eq!(reason, "z-food-forest-core is at 14.2 %, dry is below 22 %");
}

#[test]
fn a_zone_on_its_dry_line_is_left_alone() {
    let mut farm = Farm::new();
    farm.rounds(5, 22.0);
    assert_eq!(farm.wished(), [""; 0]);
    farm.rounds(5, 21.96);
    assert_eq!(farm.wished(), [FOREST]);
}

#[test]
fn a_sensor_that_cannot_be_relied_on_makes_no_zone_dry() {
    let unknown = |farm: &Farm| {
        let thoughts = farm.thoughts(&Outlook::of(&farm.plan));
        assert!(thoughts.iter().all(|thought| !thought.irrigate), "{thoughts:?}");
        thoughts.iter().filter(|thought| thought.moisture_permille.is_none()).count()
    };
    let mut never_heard = Farm::new();
    never_heard.lab.run_seconds(2);
    assert_eq!(unknown(&never_heard), 4);

    let mut stale = Farm::new();
    stale.measure(FIELD, 14.0);
    stale.lab.run_seconds(10);
    assert_eq!(unknown(&stale), 4);

    let mut stuck = Farm::undescribed();
    stuck.describe(|spec| spec.stuck_after_ms = Some(3_000));
    for _ in 0..4 {
        stuck.measure(FIELD, 14.0);
        stuck.lab.run_seconds(2);
    }
    assert_eq!(unknown(&stuck), 4);

    let mut undescribed = Farm::undescribed();
    undescribed.measure(FIELD, 14.0);
    undescribed.lab.run_ticks(15);
    assert_eq!(unknown(&undescribed), 4);

    // Somebody's thought, or a mock's number.
    let mut drawn = Farm::new();
    let sensors: Vec<String> = drawn.moisture_sensors().map(|sensor| sensor.capability.clone()).collect();
    for capability in sensors {
        drawn.lab.sample(FIELD, Sample { tier: Tier::T0, ..sample(&capability, 14.0) });
    }
    drawn.lab.run_ticks(15);
    assert_eq!(unknown(&drawn), 4);

    // A node that the site does not name for it says so too, and counts for nothing.
    let mut elsewhere = Farm::new();
    let specs = specs(&elsewhere.plan, FIELD, &plant()).unwrap();
    elsewhere.lab.offer(CENTER, SourceId::HostSensors, InputBody::SensorsDeclared(specs));
    elsewhere.measure(CENTER, 14.0);
    elsewhere.lab.run_ticks(15);
    assert_eq!(unknown(&elsewhere), 4);
    elsewhere.measure(FIELD, 30.0);
    elsewhere.lab.run_ticks(15);
    assert_eq!(unknown(&elsewhere), 0);
}

#[test]
fn a_picture_of_a_tick_that_stands_still_is_not_believed() {
    let mut farm = Farm::new();
    farm.measure(FIELD, 14.0);
    farm.lab.run_ticks(15);
    let dry = |age_ms| {
        let thoughts = Outlook::of(&farm.plan).think(&farm.lab.snapshot(CENTER), age_ms);
        thoughts.iter().filter(|thought| thought.irrigate).count()
    };
    assert_eq!((dry(2_000), dry(2_001)), (1, 0));
}

#[test]
fn to_make_the_brain_anew_between_any_two_rounds_changes_nothing() {
    let run = |is_made_anew: bool| {
        let mut farm = Farm::new();
        let mut outlook = Outlook::of(&farm.plan);
        for round in 0..30 {
            if is_made_anew {
                outlook = Outlook::of(&farm.plan);
            }
            // Dry, moist and dry again, and silent in between.
            if round % 11 < 8 {
                farm.measure(FIELD, if round % 7 < 5 { 14.2 + f64::from(round) / 10.0 } else { 31.0 });
                farm.lab.run_ticks(15);
            }
            farm.think(&outlook);
        }
        let report = farm.lab.replay(CENTER);
        assert_eq!(report.difference, None);
        (report.total_digest, farm.lab.wishes(CENTER))
    };
    let (digest, wishes) = run(false);
    assert_eq!(wishes.len(), 1);
    assert_eq!(run(true), (digest, wishes));
}

#[test]
fn at_the_start_of_the_demo_exactly_the_food_forest_is_dry() {
    let mut farm = Farm::new();
    let mut plant = plant();
    for _ in 0..3 {
        plant.advance(Duration::from_secs(2));
        let sensors: Vec<String> = farm.moisture_sensors().map(|sensor| sensor.capability.clone()).collect();
        for capability in sensors {
            // A sample may be lost on its way, as at a farm.
            let value = plant.sample(&sample(&capability, 0.0).sensor);
            value.into_iter().for_each(|value| farm.lab.sample(FIELD, sample(&capability, value)));
        }
        farm.lab.run_seconds(2);
    }
    let thoughts = farm.thoughts(&Outlook::of(&farm.plan));
    assert!(thoughts.iter().all(|thought| thought.moisture_permille.is_some()), "{thoughts:?}");
    let dry: Vec<&str> =
        thoughts.iter().filter(|thought| thought.irrigate).map(|thought| thought.zone.as_str()).collect();
    assert_eq!(dry, [FOREST], "{thoughts:?}");
}
