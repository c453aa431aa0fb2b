//! `clawmesh audit show`: the lines of the safety log.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::audit::Entry;
use serde::Serialize;

use super::args::ShowArgs;
use super::lines::Following;
use super::{each_record, journal_of, words};
use crate::cli::proposals::find::beginning;
use crate::cli::table::table;
use crate::cli::terminal::{say, say_json};

#[derive(Serialize)]
struct Answer {
    journal: PathBuf,
    lines: VecDeque<Entry>,
    /// Lines that were asked for and are not among these, because there are too many.
    left_off: u64,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let journal = journal_of(state_dir, args.journal.as_deref())?;
    let wanted = args.proposal.as_deref();
    let begins = wanted.map(|wanted| beginning(wanted, "a proposal", "clawmesh audit show")).transpose()?;
    let begins = begins.unwrap_or_default();
    let is_meant = |entry: &Entry| match entry.happened.proposal() {
        Some(proposal) => proposal.to_string().starts_with(&begins),
        None => begins.is_empty(),
    };
    let mut following = Following::default();
    let (mut lines, mut left_off) = (VecDeque::new(), 0);
    each_record(&journal, |record| {
        for entry in following.take(record)?.into_iter().filter(is_meant) {
            lines.push_back(entry);
            if lines.len() > args.limit {
                lines.pop_front();
                left_off += 1;
            }
        }
        Ok(())
    })?;
    let answer = Answer { journal, lines, left_off };
    if args.output.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer));
    }
    Ok(ExitCode::SUCCESS)
}

fn page(answer: &Answer) -> String {
    if answer.lines.is_empty() && answer.left_off == 0 {
        return "the safety log has no such line".to_owned();
    }
    let rows: Vec<_> = answer.lines.iter().map(words::row).collect();
    let mut page = table(&["line", "when", "about", "what"], &rows);
    if answer.left_off > 0 {
        page.push_str(&format!("\n{} older ones are not shown; --limit shows more", answer.left_off));
    }
    page
}
