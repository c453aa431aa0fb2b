//! Evidence that is none.

use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::{Code, Hlc, Maker, MeshId, Mind, Reading, ReadingBatch, RequestBody, Tier, Unit};
use clawmesh_lab::Lab;
use minicbor::bytes::ByteVec;

use super::{CLAIMED, DRY, SOIL, TANK, model};
use crate::proposals::rig::{CENTER, FIELD, Farm, ann, capability, code, step, valve};

const UNRESOLVED: Code = Code::EvidenceUnresolved;
const MODEL: (Code, &str) = (Code::LlmOnlyActuationBlocked, "no-model-alone");

#[test]
fn what_only_a_model_thinks() {
    let mut farm = Farm::brief();
    let thought = farm.tampered(|reading| reading.tier = Tier::T0);
    farm.repels(MODEL.0, MODEL.1, |farm| {
        farm.propose_with(|it| (it.maker.mind, it.evidence) = (model(), thought))
    });
    let good = farm.changed(|it| it.maker.mind = model());
    farm.carries_out(&good);
}

#[test]
fn no_evidence_at_all() {
    let mut farm = Farm::brief();
    farm.repels(MODEL.0, MODEL.1, |farm| farm.propose_with(|it| it.evidence.clear()));
    // A person's word is no measurement.
    farm.repels(UNRESOLVED, "evidence", |farm| {
        let word = farm.changed(|it| {
            it.maker = Maker::person(it.maker.node, ann().id());
            it.evidence.clear();
        });
        farm.ask_as(&ann(), RequestBody::Propose(word))
    });
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn borrowed_evidence_that_is_fresh_and_about_something_else() {
    let mut farm = Farm::brief();
    let flower = ("sensor:soil-moisture:flower", Unit::Percent, 9.0);
    let borrowed = vec![farm.evidence_of(2, &[flower, DRY[1]])];
    farm.repels(UNRESOLVED, "evidence", |farm| farm.propose_with(|it| it.evidence = borrowed));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn borrowed_evidence_for_switching_off() {
    let mut farm = Farm::brief();
    let close = |farm: &mut Farm, sensor: &str| {
        let evidence = vec![farm.evidence_of(2, &[(sensor, Unit::Percent, 9.0)])];
        let mut proposal = farm.proposal_of(vec![step(valve(), "close", None)]);
        (proposal.maker.mind, proposal.evidence) = (model(), evidence);
        proposal
    };
    let borrowed = close(&mut farm, "sensor:soil-moisture:flower");
    farm.repels(UNRESOLVED, "evidence", |farm| farm.propose(&borrowed));
    let good = close(&mut farm, SOIL);
    farm.asked_for(&good);
    farm.replays();
}

#[test]
fn evidence_that_was_altered() {
    let mut farm = Farm::brief();
    let mut altered = farm.evidence(2);
    altered[200] ^= 1;
    farm.repels(UNRESOLVED, "evidence", |farm| farm.propose_with(|it| it.evidence = vec![altered]));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn evidence_that_a_stranger_signed() {
    let mut farm = Farm::brief();
    let forged = vec![farm.evidence(9)];
    farm.repels(MODEL.0, MODEL.1, |farm| farm.propose_with(|it| it.evidence = forged));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn evidence_of_a_number_that_the_sensor_cannot_say() {
    let mut farm = Farm::brief();
    for value in [f64::NAN, f64::INFINITY, 999.0, -1.0] {
        let impossible = farm.tampered(|reading| reading.value = value);
        farm.repels(UNRESOLVED, "evidence", |farm| farm.propose_with(|it| it.evidence = impossible));
    }
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn evidence_in_another_unit() {
    let mut farm = Farm::brief();
    let litres = farm.tampered(|reading| reading.unit = Unit::Litre);
    farm.repels(UNRESOLVED, "evidence", |farm| farm.propose_with(|it| it.evidence = litres));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn evidence_of_a_lower_tier() {
    let mut farm = Farm::brief();
    for (tier, code, rule) in
        [(Tier::T1, Code::InsufficientTrustTier, "evidence"), (Tier::T0, MODEL.0, MODEL.1)]
    {
        let relayed = farm.tampered(|reading| reading.tier = tier);
        farm.repels(code, rule, |farm| farm.propose_with(|it| it.evidence = relayed));
    }
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_tier_that_the_sender_chose() {
    let wants = |tier| Farm::brief_with(move |policy| policy.actuators[1].tier_min = tier);
    let valve_alone = |farm: &mut Farm| {
        let mut proposal = farm.proposal_of(vec![step(valve(), "open", Some(6.0))]);
        proposal.evidence = farm.tampered(|reading| reading.tier = CLAIMED);
        proposal
    };
    let mut farm = wants(Tier::T3);
    let claimed = valve_alone(&mut farm);
    farm.repels(Code::InsufficientTrustTier, "evidence", |farm| farm.propose(&claimed));
    // Worth what a sensor can be worth, and nobody asks for more.
    let mut farm = wants(Tier::T2);
    let good = valve_alone(&mut farm);
    farm.carries_out(&good);
}

#[test]
fn stale_evidence() {
    let mut farm = Farm::brief();
    for by_ms in [-60_600_i64, 60_000] {
        let old = farm.tampered(|reading| reading.origin_ms = reading.origin_ms.saturating_add_signed(by_ms));
        farm.repels(Code::EvidenceStale, "evidence", |farm| farm.propose_with(|it| it.evidence = old));
    }
    let good = farm.changed(|_| ());
    farm.carries_out(&good);
}

#[test]
fn evidence_that_was_used_before_and_is_brought_again_later() {
    let mut farm = Farm::brief();
    let used = farm.proposal();
    let evidence = used.evidence.clone();
    farm.carries_out(&used);
    farm.run_seconds(61);
    farm.repels(Code::EvidenceStale, "evidence", |farm| farm.propose_with(|it| it.evidence = evidence));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn evidence_of_another_mesh() {
    let mut farm = Farm::brief();
    let of_mesh = |farm: &Farm, mesh: &str| {
        let now_ms = farm.lab.now_ms();
        let of = |(sensor, unit, value): &(&str, Unit, f64)| Reading {
            sensor: capability(sensor),
            value: *value,
            unit: *unit,
            origin_ms: now_ms - 500,
            sequence: 7,
            tier: Tier::T2,
        };
        let statement = Statement {
            mesh: MeshId::of_name(mesh),
            epoch: 1,
            sequence: 7,
            hlc: Hlc { wall_ms: now_ms - 500, logical: 0 },
            body: Body::Readings(ReadingBatch(DRY.iter().map(of).collect())),
        };
        vec![ByteVec::from(envelope::seal(&Lab::key_of(2), &statement))]
    };
    let foreign = of_mesh(&farm, "another");
    farm.repels(UNRESOLVED, "evidence", |farm| farm.propose_with(|it| it.evidence = foreign));
    let own = of_mesh(&farm, "lab");
    let good = farm.changed(|it| it.evidence = own);
    farm.carries_out(&good);
}

#[test]
fn the_sensor_of_another_node() {
    let mut farm = Farm::brief();
    let of_the_center = vec![farm.evidence(1)];
    farm.repels(UNRESOLVED, "evidence", |farm| farm.propose_with(|it| it.evidence = of_the_center));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_model_that_writes_the_name_of_a_person() {
    let mut farm = Farm::brief();
    let center = farm.lab.id(CENTER);
    farm.repels(Code::NotAuthorized, "request.maker", |farm| {
        farm.propose_with(|it| it.maker = Maker::person(center, ann().id()))
    });
    farm.repels(Code::LlmOnlyActuationBlocked, "no-model-alone", |farm| {
        farm.propose_with(|it| {
            it.maker.mind = Mind::Model { name: "human".to_owned(), session_of: Some(ann().id()) };
            it.evidence.clear();
        })
    });
    let good = farm.changed(|it| it.maker = Maker::person(center, ann().id()));
    assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Propose(good.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(good.id());
    farm.assert_carried_out(&offer);
}

#[test]
fn evidence_that_its_sensor_takes_back() {
    let mut farm = Farm::brief();
    // Now it says what it cannot say: so it may have then.
    farm.lab.sample(
        FIELD,
        clawmesh_core::intake::Sample {
            sensor: capability(TANK),
            value: 140.0,
            unit: Unit::Percent,
            origin_ms: 0,
            tier: Tier::T2,
        },
    );
    farm.weather.is_tank_silent = true;
    farm.lab.run_ticks(3);
    let proposal = farm.proposal();
    farm.repels(UNRESOLVED, "evidence", |farm| farm.propose(&proposal));
    farm.weather.is_tank_silent = false;
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn old_evidence_that_a_clock_set_back_would_make_fresh() {
    let mut farm = Farm::brief();
    let old = farm.evidence(2);
    farm.run_seconds(300);
    farm.set_clocks_forward(-300_000);
    farm.repels(Code::EvidenceStale, "evidence", |farm| farm.propose_with(|it| it.evidence = vec![old]));
    // The twin: the same, asked for while it was fresh.
    let mut farm = Farm::brief();
    let good = farm.proposal();
    farm.run_seconds(1);
    farm.carries_out(&good);
}
