//! Records, journals and answers for the tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::{Capability, NodeId, Refusal, Tier, Unit};
use clawmesh_core::Settings;
use clawmesh_core::intake::{Input, InputBody, Sample, SourceId, StampedInput};
use clawmesh_core::replay::{Batch, CommitWatch, DigestRecord, JournalWriter, Record, Ticket};
use clawmesh_storage::{Journal, JournalError, JournalOptions, JournalReader, OpenJournal, Writer};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Stream rows wait until a test makes them go.
pub const PATIENT: JournalOptions = JournalOptions {
    stream_commit_ms: 3_600_000,
    stream_commit_rows: 5,
    queue_batches: 1_024,
    pages_max: None,
};

pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    (folder, path)
}

pub fn open(path: &Path) -> OpenJournal {
    Journal::open(path, JournalOptions::default()).unwrap()
}

pub fn settings(epoch: u64) -> Settings {
    Settings {
        version: "0.1.0".to_owned(),
        epoch,
        digest_every_ticks: 50,
        ..Settings::of_first_run(NodeId([1; 32]), "barn", "field", "farm")
    }
}

fn input(sequence: u64, source: SourceId, body: InputBody) -> Record {
    let input = Input { source, sequence: 0, body };
    Record::Input(StampedInput { journal_sequence: sequence, tick: sequence, input })
}

pub fn stream(sequence: u64) -> Record {
    let sample = Sample {
        sensor: Capability::new("sensor:soil-moisture:zone-1").unwrap(),
        value: sequence as f64,
        unit: Unit::Percent,
        origin_ms: 1_730_000_000_000 + sequence,
        tier: Tier::T2,
    };
    input(sequence, SourceId::HostSensors, InputBody::Sampled(vec![sample]))
}

pub fn state(sequence: u64) -> Record {
    input(sequence, SourceId::Node(NodeId([9; 32])), InputBody::PeerAppeared(NodeId([9; 32])))
}

pub fn sampled(sequence: u64, unix_ms: u64) -> Record {
    input(sequence, SourceId::Clock, InputBody::ClockSampled { unix_ms, up_ms: 0 })
}

pub fn digest(tick: u64) -> Record {
    Record::Digest(DigestRecord { tick, total: 7, types: vec![("Liveness".to_owned(), 7)] })
}

/// A run of `rows` rows of every kind.
pub fn story(rows: u64) -> Vec<Record> {
    (1..=rows)
        .map(|sequence| match sequence % 4 {
            _ if sequence == 1 => Record::RunStarted(settings(1)),
            0 => digest(sequence),
            1 => state(sequence),
            _ => stream(sequence),
        })
        .collect()
}

pub fn batch(first_sequence: u64, records: Vec<Record>) -> Batch {
    Batch { first_sequence, records, tickets: Vec::new() }
}

/// Makes a journal that holds `records` and is closed.
pub fn written(path: &Path, records: &[Record]) {
    let mut journal = open(path);
    journal.writer.append(batch(1, records.to_vec()));
    journal.writer.close().unwrap();
}

pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
    JournalReader::open(path)?.records().map(|row| row.map(|(_, _, record)| record)).collect()
}

/// The rows somebody else can see, asked through a connection of its own.
pub fn rows_in(path: &Path) -> u64 {
    JournalReader::open(path).unwrap().info().unwrap().rows
}

pub fn wait(watch: &CommitWatch, sequence: u64) {
    assert!(watch.wait_for(sequence, PATIENCE), "row {sequence}: {:?}", watch.failure());
}

/// What tickets were answered, in order: their name, the outcome, the rows in the file at that moment.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<Vec<(&'static str, Result<(), Refusal>, u64)>>>);

impl Answers {
    pub fn ticket(&self, name: &'static str, path: &Path) -> Ticket {
        let (answers, path) = (self.clone(), path.to_owned());
        Ticket::new(move |outcome| {
            let rows = if path.exists() { rows_in(&path) } else { 0 };
            answers.0.lock().unwrap().push((name, outcome, rows));
        })
    }

    pub fn take(&self) -> Vec<(&'static str, Result<(), Refusal>, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Appends `records` with one ticket of this name.
pub fn append(writer: &mut Writer, first: u64, records: Vec<Record>, ticket: Ticket) {
    writer.append(Batch { first_sequence: first, records, tickets: vec![ticket] });
}
