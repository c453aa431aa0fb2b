//! Records of a journal, as a damaged or forged disk hands them to a replay.
//!
//! An input is a list of records, each in bytes of its own, so that one that cannot be read does not hide the others.

use clawmesh_authority::canonical;
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::replay::{Record, Replayer};
use clawmesh_lab::Lab;
use minicbor::bytes::ByteVec;

use super::tick::{guest, outside};
use super::{MIB, Seed, Target, is_brief, promised};
use crate::mutate::Shape;

pub(super) const TARGET: Target = Target {
    name: "journal",
    promise: "a record that decodes encodes to the same bytes, and a replay of any records ends with a report or a sentence",
    shapes: &[Shape::Cbor(0)],
    seeds,
    check,
    memory_bytes_max: 64 * MIB,
    memory_per_byte: 512,
};

/// The most records of one input, and how far its ticks may lie apart: a replay runs each of them.
const RECORDS_MAX: usize = 64;
const TICKS_MAX: u64 = 40;
const SENTENCE_BYTES_MAX: usize = 4_096;

fn seeds() -> Vec<Seed> {
    let mut lab = Lab::seeded(1).with_mock_actuator().with_nodes(["one", "two"]);
    lab.offer("one", SourceId::Runner, InputBody::TrustChanged([guest(), lab.id("two")].into()));
    lab.run_ticks(4);
    for (source, body) in outside() {
        lab.offer("one", source, body);
    }
    lab.run_ticks(4);
    let records = lab.records("one");
    let packed: Vec<ByteVec> =
        records.iter().map(|record| ByteVec::from(canonical::encode(record))).collect();
    let beginning: Vec<ByteVec> = packed.iter().take(6).cloned().collect();
    vec![("run", canonical::encode(&packed)), ("beginning", canonical::encode(&beginning))]
}

fn check(input: &[u8]) -> Result<String, String> {
    let Ok(packed) = minicbor::decode::<Vec<ByteVec>>(input) else { return Ok("no list".to_owned()) };
    let mut told = String::new();
    let mut records = Vec::new();
    for packed in packed.iter().take(RECORDS_MAX) {
        match canonical::decode::<Record>(packed) {
            Ok(record) => {
                promised(canonical::encode(&record) == **packed, || "a record has two encodings".to_owned())?;
                records.push(record);
            }
            Err(fault) => told = fault.to_string(),
        }
    }
    Ok(format!("{}; {told}", replayed(records)?))
}

fn replayed(records: Vec<Record>) -> Result<String, String> {
    let mut replayer = Replayer::default();
    let mut begin = 0;
    for (sequence, record) in (1..).zip(records) {
        let tick = match &record {
            Record::RunStarted(settings) => {
                begin = settings.tick_before;
                begin
            }
            Record::Input(stamped) => stamped.tick,
            Record::Digest(digest) => digest.tick,
            Record::Kept(kept) => kept.tick,
        };
        // A replay runs every tick there is, so a record of a far tick is a long replay and no finding.
        if tick.saturating_sub(begin) > TICKS_MAX {
            return Ok("too far".to_owned());
        }
        if let Err(why) = replayer.take(sequence, record) {
            is_brief(&why, SENTENCE_BYTES_MAX)?;
            return Ok(why);
        }
    }
    let report = replayer.finish();
    Ok(format!("{} runs, {:?}", report.runs.min(3), report.difference.map(|difference| difference.types)))
}
