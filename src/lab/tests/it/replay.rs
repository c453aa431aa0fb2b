//! A run is a function of its inputs.

use clawmesh_authority::Value;
use clawmesh_core::intake::{Input, InputBody, SourceId, StampedInput};
use clawmesh_core::replay::{DigestRecord, Record};
use clawmesh_core::{Core, Settings};
use clawmesh_lab::{Lab, LinkFaults, START_MS, lone_settings, replay};
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

/// A recording without some of its records; those that are left are numbered to stand without a gap.
fn without(records: Vec<Record>, is_taken: impl Fn(usize, &Record) -> bool) -> Vec<Record> {
    let numbered = records.into_iter().enumerate();
    let mut left: Vec<Record> =
        numbered.filter(|(at, record)| !is_taken(*at, record)).map(|(_, record)| record).collect();
    for (at, record) in left.iter_mut().enumerate() {
        if let Record::Input(stamped) = record {
            stamped.journal_sequence = at as u64 + 1;
        }
    }
    left
}

#[test]
fn a_recording_without_its_digests_proves_nothing_and_is_refused() {
    let mut lab = pump_and_barn();
    lab.run_seconds(2);
    let records = lab.records("pump");
    assert!(replay(records.clone()).digests_compared > 50);
    for is_taken in [(|_| true) as fn(u64) -> bool, |tick| tick == 40] {
        let forged =
            without(records.clone(), |_, record| matches!(record, Record::Digest(d) if is_taken(d.tick)));
        let said = std::panic::catch_unwind(|| replay(forged)).expect_err("it must be refused");
        let said = said.downcast_ref::<String>().expect("with a sentence");
        assert!(said.contains("is missing; somebody took it out"), "{said}");
    }
}

#[test]
fn what_another_node_signed_cannot_be_altered_whatever_digests_follow() {
    let mut lab = pump_and_barn();
    lab.sample("pump", flow_of(7.0));
    lab.run_ticks(10);
    let mut records = lab.records("barn");
    let envelopes = records.iter_mut().filter_map(|record| match record {
        Record::Input(StampedInput {
            input: Input { body: InputBody::Envelope { bytes, .. }, .. }, ..
        }) => Some(bytes),
        _ => None,
    });
    let envelope = envelopes.last().expect("the reading is in the journal");
    let value = envelope.windows(9).position(|bytes| bytes == [0xfb, 0x40, 0x1c, 0, 0, 0, 0, 0, 0]);
    envelope[value.expect("7.0 stands in it") + 2] ^= 1;
    let said = std::panic::catch_unwind(|| replay(records)).expect_err("it is refused");
    let said = said.downcast_ref::<String>().expect("with a sentence");
    assert!(said.contains("is not what was signed"), "{said}");
}

#[test]
fn a_run_that_ends_in_order_proves_its_last_input_too() {
    let settings = || Settings { digest_every_ticks: 50, ..lone_settings() };
    let mut core = Core::replaying(settings(), 2);
    let note = |n| InputBody::ClockSampled { unix_ms: START_MS + n, up_ms: n };
    let input = |journal_sequence, tick, n| StampedInput {
        journal_sequence,
        tick,
        input: Input { source: SourceId::Clock, sequence: tick, body: note(n) },
    };
    let mut begun = vec![Record::RunStarted(settings())];
    for tick in 1..=3 {
        let input = input(begun.len() as u64 + 1, tick, tick);
        begun.push(Record::Input(input.clone()));
        core.feed(vec![input]);
        core.tick();
        begun.extend(core.kept().iter().cloned().map(Record::Kept));
    }
    assert!(matches!(begun.pop(), Some(Record::Input(_))), "the last tick has kept nothing");
    let recorded = |last, end: Option<DigestRecord>| {
        let last = Record::Input(input(begun.len() as u64 + 1, 3, last));
        begun.iter().cloned().chain([last]).chain(end.map(Record::Digest)).collect()
    };
    let end = core.digest();
    let whole = replay(recorded(3, Some(end.clone())));
    assert_eq!((whole.difference, whole.digests_compared, whole.inputs_after_last_digest), (None, 1, 0));
    assert_eq!(replay(recorded(4, Some(end))).difference.map(|difference| difference.tick), Some(3));
    let cut = replay(recorded(4, None));
    assert_eq!((cut.difference, cut.inputs_after_last_digest), (None, 3), "what nothing shows is counted");
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
        let records = lab.records("barn");
        let inputs: Vec<usize> = (0..records.len())
            .filter(|at| matches!(records[*at], Record::Input(_)))
            .collect();
        let dropped = inputs[nth % inputs.len()];
        let left = without(records, |at, _| at == dropped);
        prop_assert!(replay(left).difference.is_some(), "nobody missed the record at {}", dropped);
    }
}
