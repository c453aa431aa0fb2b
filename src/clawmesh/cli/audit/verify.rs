//! `clawmesh audit verify`: the whole safety log, line by line.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::audit::{Entry, Happened, Head};
use serde::Serialize;

use super::args::VerifyArgs;
use super::lines::Following;
use super::words::time_of;
use super::{each_record, journal_of};
use crate::cli::terminal::{say, say_json};

#[derive(Debug, Default, Serialize)]
struct Answer {
    journal: PathBuf,
    rows: u64,
    head: Head,
    /// True when the head that was given stands in the log.
    head_found: bool,
    first_ms: Option<u64>,
    last_ms: Option<u64>,
    starts: u64,
    stops: u64,
    orders: u64,
    refusals: u64,
}

impl Answer {
    fn count(&mut self, entry: &Entry) {
        if entry.at_ms > 0 {
            self.first_ms.get_or_insert(entry.at_ms);
            self.last_ms = Some(entry.at_ms);
        }
        match &entry.happened {
            Happened::Started { .. } => self.starts += 1,
            Happened::Stopped { .. } => self.stops += 1,
            Happened::Ordered { .. } => self.orders += 1,
            Happened::Answered { refused: Some(_), .. } => self.refusals += 1,
            _ => {}
        }
    }
}

/// Runs the command. Whatever does not hang together is an error.
pub fn run(state_dir: Option<PathBuf>, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let journal = journal_of(state_dir, args.journal.as_deref())?;
    let mut following = Following::until(args.head);
    let mut answer = Answer { head_found: args.head.is_some(), ..Answer::default() };
    answer.rows = each_record(&journal, |record| {
        following.take(record)?.iter().for_each(|entry| answer.count(entry));
        Ok(())
    })?;
    answer.head = following.finish().map_err(|why| anyhow::anyhow!("{}: {why}", journal.display()))?;
    answer.journal = journal;
    if args.output.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer));
    }
    Ok(ExitCode::SUCCESS)
}

fn page(answer: &Answer) -> String {
    let Answer { journal, rows, head, first_ms, last_ms, starts, stops, orders, refusals, .. } = answer;
    let journal = journal.display();
    let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) else {
        return format!(
            "{journal}\nverified: the chain of {rows} rows holds; the safety log has no dated line yet"
        );
    };
    let (first, last) = (time_of(*first_ms), time_of(*last_ms));
    let counted =
        |count: u64, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    let lines = match head.number {
        1 => "the 1 line of the safety log hangs on nothing else".to_owned(),
        lines => format!("{lines} lines of the safety log hang together"),
    };
    let counts = [
        counted(*starts, "start", "starts"),
        counted(*stops, "stop", "stops"),
        counted(*orders, "order to drivers", "orders to drivers"),
        counted(*refusals, "refused request or approval", "refused requests and approvals"),
    ]
    .join(", ");
    let earlier = match answer.head_found {
        true => "; the head that was given stands in it",
        false => "",
    };
    format!(
        "{journal}\n\
         verified: the chain of {rows} rows holds, and {lines}{earlier}\n\
         {first} to {last}: {counts}\n\
         head {}:{}\n\
         Write the head down somewhere else; `clawmesh audit verify --head` then proves that nothing up to it was written anew.",
        head.number, head.value,
    )
}
