//! `clawmesh replay`: run a journal again, without any edge, and compare.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clawmesh_core::replay::{Difference, ReplayReport, Replayer};
use clawmesh_storage::JournalReader;
use serde::Serialize;

use super::args::ReplayArgs;
use super::terminal::{complain, say, say_json};
use crate::moments::now;

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Answer {
    journal: PathBuf,
    rows: u64,
    verified: bool,
    elapsed_ms: u64,
    #[serde(flatten)]
    report: ReplayReport,
}

/// Runs the command. A broken chain is an error; a difference is an answer with a non-zero exit code.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let journal = journal_file(&args.journal);
    let begun = now();
    let (rows, report) = replay(&journal, begun)?;
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let verified = report.difference.is_none();
    let answer = Answer { journal, rows, verified, elapsed_ms, report };
    if args.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer));
    }
    let has_failed = args.verify && !verified;
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn journal_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("journal.db") } else { path.to_owned() }
}

fn replay(journal: &Path, begun: Instant) -> anyhow::Result<(u64, ReplayReport)> {
    let reader = JournalReader::open(journal)?;
    let rows_in_all = reader.info()?.rows;
    let mut replayer = Replayer::default();
    let (mut rows, mut told) = (0, begun);
    for row in reader.records() {
        let (sequence, _, record) = row?;
        replayer.take(sequence, record).map_err(|why| anyhow::anyhow!("{why}: {}", journal.display()))?;
        rows += 1;
        if told.elapsed() >= PROGRESS_EVERY {
            told = now();
            complain(&format!("replaying {rows} of {rows_in_all} rows"));
        }
    }
    Ok((rows, replayer.finish()))
}

fn page(answer: &Answer) -> String {
    let ReplayReport { runs, ticks, inputs, digests_compared, total_digest, difference, .. } = &answer.report;
    let outcome = match difference {
        None => format!("verified: the chain holds and all {digests_compared} digests are equal"),
        Some(difference) => differs(difference),
    };
    format!(
        "{}\n{} rows, {runs} run(s), {ticks} ticks, {inputs} inputs in {:.1} s; digest of digests {total_digest}\n{outcome}",
        answer.journal.display(),
        answer.rows,
        answer.elapsed_ms as f64 / 1_000.0,
    )
}

fn differs(difference: &Difference) -> String {
    let Difference { sequence, tick, equal_until_tick, types, last_inputs } = difference;
    format!(
        "DIFFERS at tick {tick} (row {sequence}): the worlds were equal until tick {equal_until_tick}\n\
         differing  {}\nlast inputs before it:\n  {}",
        types.join(", "),
        last_inputs.join("\n  "),
    )
}
