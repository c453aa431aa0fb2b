//! What counts as evidence, and what only looks like it.

use super::*;

#[test]
fn guardrail_6_what_a_model_thinks_moves_nothing_at_any_tier_it_claims() {
    let (blocked, rule) = (Code::LlmOnlyActuationBlocked, Rule::NoModelAlone);
    let model = Mind::Model { name: "some-model".to_owned(), session_of: None };
    let thought = |evidence: Vec<ByteVec>| {
        let model = model.clone();
        Farm::with(move |farm| {
            farm.proposal.maker.mind = model;
            farm.proposal.evidence = evidence;
        })
    };
    assert_refused(thought(Vec::new()).proposed(), blocked, rule, "no measurement");
    let inferred = measured().into_iter().map(|reading| Reading { tier: Tier::T0, ..reading }).collect();
    assert_refused(thought(vec![sealed(&field(), inferred)]).proposed(), blocked, rule, "no measurement");
    // Signed, T3, and by nobody we trust: a claim.
    let claimed = measured().into_iter().map(|reading| Reading { tier: Tier::T3, ..reading }).collect();
    let stranger = NodeKey::from_secret(&[66; 32]);
    assert_refused(thought(vec![sealed(&stranger, claimed)]).proposed(), blocked, rule, "no measurement");
    assert_eq!(
        thought(vec![sealed(&field(), measured())]).proposed(),
        Ok(()),
        "a measurement stands behind it"
    );
    let closes = Farm::with(|farm| {
        farm.proposal.evidence.clear();
        farm.proposal.maker.mind = Mind::Operator(OperatorId::of_public_key(&[5; 32]));
        farm.proposal.steps = vec![step(valve(), "close", None)];
    });
    assert_eq!(closes.proposed(), Ok(()), "a person's own word is evidence that a person wants it");
}

#[test]
fn evidence_counts_only_from_the_named_sensor_of_the_named_node_fresh_and_worth_enough() {
    let with = |key: &NodeKey, readings: Vec<Reading>| {
        let evidence = vec![sealed(key, readings)];
        Farm::with(|farm| farm.proposal.evidence = evidence)
    };
    let changed = |change: fn(&mut Reading)| {
        let mut readings = measured();
        readings.iter_mut().for_each(change);
        with(&field(), readings)
    };
    let rule = Rule::Evidence;
    let other_zone =
        vec![reading("sensor:soil-moisture:flower", 9.0), reading("sensor:tank-level:tank-01", 70.0)];
    assert_refused(
        with(&field(), other_zone).proposed(),
        Code::EvidenceUnresolved,
        rule,
        "food-forest of field-node",
    );
    // Another node of ours relays its own idea of the same sensor.
    let mut relayed = with(&NodeKey::from_secret(&[2; 32]), measured());
    relayed.home.nodes.insert("barn".to_owned(), NodeKey::from_secret(&[2; 32]).id());
    let trusting = resolve(&relayed.proposal, &relayed.home, |_| true).unwrap();
    let judged =
        judge(&relayed.proposal, &trusting, Moment::Proposing, &relayed.home, &relayed.policy, &relayed.live);
    assert_refused(judged, Code::EvidenceUnresolved, rule, "food-forest of field-node");
    let relayed_tier = changed(|reading| reading.tier = Tier::T1);
    assert_refused(relayed_tier.proposed(), Code::InsufficientTrustTier, rule, "worth less than T2");
    // Also behind a proposal of a person.
    let mut drawn = changed(|reading| reading.tier = Tier::T0);
    drawn.proposal.maker.mind = Mind::Operator(OperatorId::of_public_key(&[5; 32]));
    assert_refused(drawn.proposed(), Code::InsufficientTrustTier, rule, "worth less than T2");
    let old = changed(|reading| reading.origin_ms = NOW_MS - 60_001);
    assert_refused(old.proposed(), Code::EvidenceStale, rule, "older than 60 s");
    let future = changed(|reading| reading.origin_ms = NOW_MS + 501);
    assert_refused(future.proposed(), Code::EvidenceStale, rule, "older than 60 s");
    assert_eq!(changed(|reading| reading.origin_ms = NOW_MS - 60_000).proposed(), Ok(()));
    let mut altered = Farm::in_order();
    *altered.proposal.evidence[0].last_mut().unwrap() ^= 1;
    assert_refused(altered.proposed(), Code::EvidenceUnresolved, rule, "evidence 0 does not open");
}

#[test]
fn what_a_broken_sensor_signed_is_no_evidence_also_once_people_were_asked() {
    let soil = || (field().id(), capability("sensor:soil-moisture:food-forest"));
    let of = |fault: Option<&str>| {
        let (fault, doubt) = (fault.map(str::to_owned), Some("stale".to_owned()));
        Farm::with(|farm| {
            let says =
                LiveReading { value: 14.0, tier: Tier::T2, age_ms: 99_000, unchanged_ms: 0, doubt, fault };
            farm.live.readings.insert(soil(), says);
        })
    };
    // That it has not spoken since takes nothing from what it said.
    assert_eq!(of(None).proposed(), Ok(()));
    assert!(of(None).authorized(0, &of(None).offer()).is_ok());
    let (code, rule, words) = (Code::EvidenceUnresolved, Rule::Evidence, "food-forest is stuck");
    let stuck = of(Some("stuck"));
    assert_refused(stuck.proposed(), code, rule, words);
    assert_refused(stuck.authorized(0, &stuck.offer()), code, rule, words);
}

#[test]
fn what_a_sensor_cannot_say_is_no_evidence_whoever_signed_it() {
    let said = |change: fn(&mut Reading)| {
        let mut readings = measured();
        change(&mut readings[1]);
        let evidence = vec![sealed(&field(), readings)];
        Farm::with(|farm| farm.proposal.evidence = evidence)
    };
    let (code, rule) = (Code::EvidenceUnresolved, Rule::Evidence);
    let nan = said(|reading| reading.value = f64::NAN);
    for (farm, words) in [
        (nan, "tank-01 is at NaN"),
        (said(|reading| reading.value = 999.0), "tank-01 is at 999, outside 0 to 100 %"),
        (said(|reading| reading.value = -0.1), "outside 0 to 100 %"),
        (said(|reading| reading.unit = Unit::Litre), "in L, and the site says %"),
    ] {
        assert_refused(farm.proposed(), code, rule, words);
        assert_refused(farm.authorized(0, &farm.offer()), code, rule, words);
    }
    assert_eq!(said(|reading| reading.value = 100.0).proposed(), Ok(()));
    let mut undrawn = Farm::in_order();
    undrawn.home.sensors.remove(&tank_level());
    assert_refused(undrawn.proposed(), code, rule, "no sensor of this site");
}

#[test]
fn no_sensor_is_worth_more_than_what_it_can_be_worth() {
    let mut farm = Farm::in_order();
    farm.policy.actuators.iter_mut().for_each(|rules| rules.tier_min = Tier::T3);
    let claimed = measured().into_iter().map(|reading| Reading { tier: Tier::T3, ..reading }).collect();
    farm.proposal.evidence = vec![sealed(&field(), claimed)];
    assert_refused(farm.proposed(), Code::InsufficientTrustTier, Rule::Evidence, "worth less than T3");
}

#[test]
fn a_program_switches_nothing_off_over_what_has_nothing_to_do_with_it() {
    let closes = |maker: Mind, readings: Vec<Reading>| {
        let evidence = vec![sealed(&field(), readings)];
        Farm::with(|farm| {
            farm.proposal.maker.mind = maker;
            farm.proposal.evidence = evidence;
            farm.proposal.steps = vec![step(valve(), "close", None)];
        })
    };
    let model = || Mind::Model { name: "some-model".to_owned(), session_of: None };
    let elsewhere = || vec![reading("sensor:soil-moisture:flower", 9.0)];
    let words = "of a sensor that the policy names for actuator:valve:valve-food-forest";
    let thought = || {
        let soil = reading("sensor:soil-moisture:food-forest", 9.0);
        vec![Reading { tier: Tier::T0, ..soil }, reading("sensor:tank-level:tank-01", 70.0)]
    };
    let old = || {
        let soil = reading("sensor:soil-moisture:food-forest", 9.0);
        vec![Reading { origin_ms: NOW_MS - 60_001, ..soil }]
    };
    for readings in [elsewhere(), thought(), old()] {
        let borrowed = closes(model(), readings);
        assert_refused(borrowed.proposed(), Code::EvidenceUnresolved, Rule::Evidence, words);
    }
    assert_eq!(closes(model(), measured()).proposed(), Ok(()));
    let person = Mind::Operator(OperatorId::of_public_key(&[5; 32]));
    assert_eq!(closes(person, elsewhere()).proposed(), Ok(()), "a person needs none to shut a valve");
}

#[test]
fn evidence_is_as_old_as_it_was_when_the_proposal_came_by_the_policy_that_holds_now() {
    let tightened = |age_s_max| {
        Farm::with(|farm| {
            let rules = farm.policy.actuators.iter_mut().flat_map(|rules| &mut rules.evidence);
            rules.for_each(|rule| rule.age_s_max = age_s_max);
            farm.live.wall_ms += 600_000;
            farm.live.readings.values_mut().for_each(|reading| reading.age_ms = 500);
        })
    };
    // A second old when it came, ten minutes ago.
    assert!(tightened(1).authorized(0, &tightened(1).offer()).is_ok());
    let stricter = tightened(0);
    let judged = stricter.authorized(0, &stricter.offer());
    assert_refused(judged, Code::EvidenceStale, Rule::Evidence, "older than 0 s");
}
