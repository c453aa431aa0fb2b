//! Samples of foreign programs: what becomes a sample of ours, and what is refused without harm.

use clawmesh_authority::{Capability, Code, Tier, Unit};
use clawmesh_bridge::{Decoder, Mapping};
use clawmesh_core::intake::{Input, InputBody, Sample, SourceId};

use crate::support::{NOW_MS, Node, Setup, Stranger};

fn mapping(key_expr: &str, sensor: &str, decoder: Decoder) -> Mapping {
    Mapping {
        key_expr: key_expr.to_owned(),
        sensor: Capability::new(sensor).unwrap(),
        decoder,
        quantity: "temperature".to_owned(),
        unit: Unit::Celsius,
        period_ms: 1_000,
        range: Some((-40.0, 85.0)),
        stuck_after_ms: None,
        about: None,
    }
}

fn mapped() -> (Node, Stranger) {
    let json = Decoder::JsonPointer("/air/t".to_owned());
    let mappings = vec![
        mapping("farm/shed/t", "sensor:t:shed", Decoder::Number),
        mapping("farm/jetson/*", "sensor:t:jetson", json),
    ];
    let (mut node, listen) = Node::open(1, Setup { mappings: mappings.clone(), ..Setup::trusting(&[]) });
    let specs = node.expect("the sensors", |input| match &input.body {
        InputBody::SensorsDeclared(specs) => Some(specs.clone()),
        _ => None,
    });
    assert_eq!(specs, mappings.iter().map(Mapping::spec).collect::<Vec<_>>());
    (node, Stranger::connecting(&listen))
}

fn value_of(input: &Input, sensor: &str) -> Option<f64> {
    let InputBody::Sampled(samples) = &input.body else { return None };
    let [Sample { sensor: ours, value, unit: Unit::Celsius, origin_ms: NOW_MS, tier: Tier::T1 }] =
        samples.as_slice()
    else {
        panic!("{samples:?}")
    };
    assert_eq!(input.source, SourceId::Bridge);
    (ours.as_str() == sensor).then_some(*value)
}

#[test]
fn a_number_of_any_zenoh_program_becomes_a_sample() {
    let (mut node, stranger) = mapped();
    stranger.put("farm/shed/t", "21.5");
    assert_eq!(node.expect("a sample", |input| value_of(input, "sensor:t:shed")), 21.5);
    stranger.put("farm/jetson/7", r#"{"air": {"t": -3}}"#);
    assert_eq!(node.expect("a sample", |input| value_of(input, "sensor:t:jetson")), -3.0);
}

#[test]
fn ten_megabytes_are_refused_and_the_link_still_works() {
    let (mut node, stranger) = mapped();
    stranger.put("farm/shed/t", vec![b'1'; 10_000_000]);
    let (refusal, count) = node.expect_refused(Code::TooLarge);
    assert_eq!((refusal.from.as_str(), count), ("farm/shed/t", 1));
    assert!(refusal.sentence.contains("10000000 bytes") && refusal.sentence.contains("65536"), "{refusal}");
    stranger.put("farm/shed/t", "21.5");
    assert_eq!(node.expect("a sample", |input| value_of(input, "sensor:t:shed")), 21.5);
}

#[test]
fn what_is_no_measurement_is_refused_with_what_would_be() {
    let (mut node, stranger) = mapped();
    let rows = [
        ("farm/shed/t", "NaN", Code::NotANumber, "is NaN"),
        ("farm/shed/t", "warm", Code::UndecodableSample, "the text of one number"),
        ("farm/jetson/7", "{", Code::UndecodableSample, "no JSON document"),
    ];
    for (key, payload, ..) in rows {
        stranger.put(key, payload);
    }
    for (key, _, code, words) in rows {
        let refusal = node.expect("the refusal", |input| match &input.body {
            InputBody::Refused { refusal, .. } if refusal.code == code && refusal.from == key => {
                Some(refusal.clone())
            }
            _ => None,
        });
        assert!(refusal.sentence.contains(words), "{refusal}");
    }
    node.expect_none("a sample of none of these", |input| value_of(input, "sensor:t:shed").is_some());
}
