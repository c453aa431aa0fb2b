//! `clawmesh replay`: run a journal again, without any edge, and compare.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clawmesh_core::replay::{Difference, ReplayReport, Replayer};
use clawmesh_storage::JournalReader;
use serde::Serialize;

use super::args::ReplayArgs;
use super::progress::Progress;
use super::terminal::{say, say_json};
use crate::moments::now;

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
    let (rows, report) = replay(&journal, args.resimulate)?;
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let verified = report.difference.is_none();
    let answer = Answer { journal, rows, verified, elapsed_ms, report };
    if args.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer));
    }
    let has_failed = (args.verify || args.resimulate) && !verified;
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn journal_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("journal.db") } else { path.to_owned() }
}

fn replay(journal: &Path, resimulate: bool) -> anyhow::Result<(u64, ReplayReport)> {
    let reader = JournalReader::open(journal)?;
    let rows_in_all = reader.info()?.rows;
    let mut replayer = if resimulate { Replayer::resimulating() } else { Replayer::default() };
    let (mut rows, mut progress) = (0, Progress::begin());
    for row in reader.records() {
        let (sequence, _, record) = row?;
        replayer.take(sequence, record).map_err(|why| anyhow::anyhow!("{why}: {}", journal.display()))?;
        rows += 1;
        progress.tell(|| format!("replaying {rows} of {rows_in_all} rows"));
    }
    Ok((rows, replayer.finish()))
}

fn page(answer: &Answer) -> String {
    let ReplayReport { runs, ticks, inputs, digests_compared, total_digest, difference, .. } = &answer.report;
    let outcome = match difference {
        None => format!(
            "verified: the chain holds and all {digests_compared} digests are equal{}{}",
            cards(answer.report.cards_compared),
            unproved(answer.report.inputs_after_last_digest)
        ),
        Some(difference) => differs(difference),
    };
    let runs = if *runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    format!(
        "{}\n{} rows, {runs}, {ticks} ticks, {inputs} inputs in {:.1} s; digest of digests {total_digest}\n{outcome}",
        answer.journal.display(),
        answer.rows,
        answer.elapsed_ms as f64 / 1_000.0,
    )
}

fn cards(compared: u64) -> String {
    match compared {
        0 => String::new(),
        1 => "; 1 card was made again and is equal".to_owned(),
        compared => format!("; {compared} cards were made again and are equal"),
    }
}

/// What a killed run left behind its last digest is in the chain, and no more is known about it.
fn unproved(inputs: u64) -> String {
    match inputs {
        0 => String::new(),
        inputs => format!(
            "; {inputs} inputs at the end of runs that were killed, or still run, have no digest after them, so only \
             the chain holds them"
        ),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(runs: u64, inputs_after_last_digest: u64) -> Answer {
        let report =
            ReplayReport { runs, digests_compared: 9, inputs_after_last_digest, ..ReplayReport::default() };
        Answer { journal: "barn/journal.db".into(), rows: 43, verified: true, elapsed_ms: 200, report }
    }

    #[test]
    fn what_no_digest_proves_is_not_called_proved() {
        let proved = page(&answer(1, 0));
        assert!(proved.ends_with("\nverified: the chain holds and all 9 digests are equal"), "{proved}");
        assert!(proved.contains("43 rows, 1 run, "), "{proved}");
        let cut_off = page(&answer(2, 3));
        assert!(
            cut_off.contains("43 rows, 2 runs, ")
                && cut_off.contains("; 3 inputs at the end of runs that were killed, ")
        );
    }
}
