//! What the journal costs: appending through the writer beside a bare insert of the same bytes.
//!
//! Both sides write the same rows into the same table under the same pragmas, one transaction for each batch
//! of 100 rows. The journal side starts from records: it encodes them, computes the chain, moves the marks,
//! crosses the channel to its thread and reports the commit. The bare side has everything ready.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use clawmesh_authority::{
    Body, Capability, Hlc, Lane, MeshId, NodeKey, Reading, ReadingBatch, Statement, Tier, Unit, envelope,
};
use clawmesh_core::intake::{Input, InputBody, SourceId, StampedInput};
use clawmesh_core::replay::{Batch, JournalWriter as _, Record};
use clawmesh_storage::{Journal, JournalOptions, OpenJournal};
use criterion::{Criterion, Throughput};
use rusqlite::{Connection, params};

const BATCHES: usize = 200;
const BATCH_ROWS: usize = 100;
const ROWS: usize = BATCHES * BATCH_ROWS;
const ROUNDS: usize = 11;
const RATIO_MIN: f64 = 0.4;
const PATIENCE: Duration = Duration::from_secs(120);

/// One row as the journal left it.
struct Row {
    sequence: i64,
    tick: i64,
    lane: i64,
    kind: String,
    source: String,
    record: Vec<u8>,
    chain: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn records() -> Vec<Record> {
    let key = NodeKey::from_secret(&[7; 32]);
    let reading = |sensor: &str, sequence| Reading {
        sensor: Capability::new(sensor).expect("a well-formed name"),
        value: 31.25 + sequence as f64,
        unit: Unit::Percent,
        origin_ms: 1_730_000_000_000 + sequence,
        sequence,
        tier: Tier::T2,
    };
    let record = |at: usize| {
        let sequence = at as u64;
        let readings = vec![
            reading("sensor:soil-moisture:zone-1", sequence),
            reading("sensor:tank-level:tank-1", sequence),
        ];
        let statement = Statement {
            mesh: MeshId::of_name("barn"),
            epoch: 3,
            sequence,
            hlc: Hlc { wall_ms: 1_730_000_000_000 + sequence, logical: 0 },
            body: Body::Readings(ReadingBatch(readings)),
        };
        let body = InputBody::Envelope { lane: Lane::Stream, bytes: envelope::seal(&key, &statement) };
        let input = Input { source: SourceId::Node(key.id()), sequence, body };
        Record::Input(StampedInput { journal_sequence: sequence + 1, tick: 1 + sequence / 100, input })
    };
    (0..ROWS).map(record).collect()
}

fn batches(records: &[Record]) -> Vec<Batch> {
    let batch = |(at, records): (usize, &[Record])| Batch {
        first_sequence: (at * BATCH_ROWS) as u64 + 1,
        records: records.to_vec(),
        tickets: Vec::new(),
    };
    records.chunks(BATCH_ROWS).enumerate().map(batch).collect()
}

fn open(path: &Path, stream_commit_rows: usize) -> OpenJournal {
    let options = JournalOptions { stream_commit_rows, ..JournalOptions::default() };
    Journal::open(path, options).expect("an empty folder")
}

/// Appends everything to a new journal and waits until it is durable.
fn append(records: &[Record], stream_commit_rows: usize) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let OpenJournal { mut writer, watch, .. } =
        open(&folder.path().join("journal.sqlite"), stream_commit_rows);
    let batches = batches(records);
    timed(|| {
        for batch in batches {
            writer.append(batch);
        }
        assert!(watch.wait_for(ROWS as u64, PATIENCE), "{:?}", watch.failure());
    })
}

/// The rows that the journal makes of the records.
fn rows(records: &[Record]) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal.sqlite");
    let OpenJournal { mut writer, .. } = open(&path, BATCH_ROWS);
    for batch in batches(records) {
        writer.append(batch);
    }
    writer.close().expect("room on the disk");
    let conn = Connection::open(&path).expect("the journal");
    let mut select = conn.prepare("SELECT * FROM journal ORDER BY sequence").expect("the table");
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            sequence: row.get(0)?,
            tick: row.get(1)?,
            lane: row.get(2)?,
            kind: row.get(3)?,
            source: row.get(4)?,
            record: row.get(5)?,
            chain: row.get(6)?,
        })
    };
    let rows = select.query_map([], row).expect("the rows");
    rows.collect::<rusqlite::Result<_>>().expect("rows of the known shape")
}

/// Inserts the ready rows into the same tables, one prepared statement, in transactions of this many.
fn bare_insert(rows: &[Row], transaction_rows: usize) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal.sqlite");
    open(&path, BATCH_ROWS).writer.close().expect("room on the disk");
    let mut conn = Connection::open(&path).expect("the journal");
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("a file that can have a log");
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )
    .expect("pragmas");
    timed(|| {
        for chunk in rows.chunks(transaction_rows) {
            insert_one_batch(&mut conn, black_box(chunk)).expect("room on the disk");
        }
    })
}

fn insert_one_batch(conn: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = conn.transaction()?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO journal (sequence, tick, lane, kind, source, record, chain) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for row in rows {
            insert.execute(params![
                row.sequence,
                row.tick,
                row.lane,
                row.kind,
                row.source,
                row.record,
                row.chain
            ])?;
        }
    }
    transaction.commit()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Rounds of both sides, one after the other, so that a slow moment of the machine meets both.
fn rates(records: &[Record], rows: &[Row], transaction_rows: usize) -> (f64, f64) {
    let (mut appended, mut inserted) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        inserted.push(bare_insert(rows, transaction_rows));
        appended.push(append(records, transaction_rows));
    }
    (ROWS as f64 / median(appended), ROWS as f64 / median(inserted))
}

#[expect(clippy::print_stdout, reason = "the ratio is what this benchmark is for")]
fn print_ratios(records: &[Record], rows: &[Row]) {
    let bytes = rows.iter().map(|row| row.record.len()).sum::<usize>() / rows.len();
    println!("{ROWS} rows with records of {bytes} bytes, median of {ROUNDS} rounds, rows a second:");
    let grouped_rows = JournalOptions::default().stream_commit_rows;
    let (grouped, bare_grouped) = rates(records, rows, grouped_rows);
    println!("  {grouped_rows} rows a transaction: journal {grouped:.0}, bare insert {bare_grouped:.0}");
    println!("  ratio with {grouped_rows} rows a transaction on both sides: {:.2}", grouped / bare_grouped);
    let (appended, bare) = rates(records, rows, BATCH_ROWS);
    println!("  {BATCH_ROWS} rows a transaction: journal {appended:.0}, bare insert {bare:.0}");
    let ratio = appended / bare;
    println!("journal append / bare insert = {ratio:.2} (at least {RATIO_MIN})");
    assert!(ratio >= RATIO_MIN, "too slow");
}

fn main() {
    let records = records();
    let rows = rows(&records);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("journal");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("append", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| append(&records, BATCH_ROWS)).sum());
    });
    group.bench_function("bare insert", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| bare_insert(&rows, BATCH_ROWS)).sum());
    });
    group.finish();
    criterion.final_summary();
    print_ratios(&records, &rows);
}
