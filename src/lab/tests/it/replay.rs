//! A run is a function of its inputs.

use clawmesh_authority::Value;
use clawmesh_core::intake::InputBody;
use clawmesh_core::replay::Record;
use clawmesh_lab::{Lab, LinkFaults, replay};
use proptest::prelude::*;

use crate::{flow_of, pump_and_barn};

/// Ten eventful seconds on a bad network, with a crash in the middle.
fn stormy(seed: u64) -> Lab {
    let faults = LinkFaults { delay_ms_min: 0, delay_ms_max: 200, loss_percent: 20, duplicate_percent: 10 };
    let mut lab = Lab::seeded(seed).with_faults(faults).with_nodes(["pump", "barn", "gate"]);
    for second in 0..10 {
        lab.sample("pump", flow_of(f64::from(second)));
        lab.record("gate", "gate", Value::Number(f64::from(second)));
        match second {
            3 => lab.partition(&["pump"], &["gate"]),
            5 => lab.crash("barn"),
            7 => lab.start("barn"),
            8 => lab.heal(),
            _ => {}
        }
        lab.run_seconds(1);
    }
    lab
}

#[test]
fn every_node_replays_to_its_own_digests_through_crash_and_partition() {
    let lab = stormy(11);
    for name in ["pump", "barn", "gate"] {
        let report = lab.replay(name);
        assert_eq!(report.difference, None, "{name}");
        assert!(report.digests_compared > 300, "{name}: {report:?}");
        assert_eq!(report.runs, if name == "barn" { 2 } else { 1 });
    }
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let totals = |seed| ["pump", "barn", "gate"].map(|name| stormy(seed).replay(name).total_digest);
    assert_eq!(totals(11), totals(11));
    assert_ne!(totals(11), totals(12));
}

#[test]
fn a_reading_altered_in_the_journal_makes_the_replay_differ_at_its_tick() {
    let mut lab = pump_and_barn();
    for n in 0..20 {
        lab.sample("pump", flow_of(f64::from(n)));
        lab.run_ticks(3);
    }
    let mut records = lab.records("pump");
    let altered = records.iter_mut().filter_map(|record| match record {
        Record::Input(stamped) => match &mut stamped.input.body {
            InputBody::Sampled(samples) if samples[0].value == 7.0 => {
                samples[0].value = 7.000_000_1;
                Some(stamped.tick)
            }
            _ => None,
        },
        _ => None,
    });
    let tick = altered.last().expect("the seventh sample is in the journal");
    let difference = replay(records).difference.expect("it must differ");
    assert_eq!((difference.tick, difference.equal_until_tick), (tick, tick - 1));
    assert!(difference.types.iter().any(|name| name == "latest_reading"), "{difference:?}");
    assert!(difference.last_inputs.last().unwrap().contains("7.0000001"), "{difference:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn dropping_any_one_input_is_noticed(nth in 0_usize..40) {
        let mut lab = pump_and_barn();
        for n in 0..20 {
            lab.sample("pump", flow_of(f64::from(n)));
            lab.run_ticks(3);
        }
        let mut records = lab.records("barn");
        let inputs: Vec<usize> = (0..records.len())
            .filter(|at| matches!(records[*at], Record::Input(_)))
            .collect();
        records.remove(inputs[nth % inputs.len()]);
        // Every later record now stands at the wrong place, which is refused before any digest is compared.
        let refused = std::panic::catch_unwind(|| replay(records));
        prop_assert!(refused.is_err() || refused.is_ok_and(|report| report.difference.is_some()));
    }
}
