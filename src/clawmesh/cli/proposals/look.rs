//! `clawmesh proposals` and `clawmesh show`: what is proposed, and everything about one of them.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::ContentHash;
use clawmesh_core::publish::ProposalView;
use clawmesh_gateway::{Proposals, Status};
use serde::Serialize;

use super::args::{ProposalsArgs, ShowArgs};
use super::find::{called, known_to};
use super::offer::{CardRead, card_of};
use super::page::{Look, rows};
use crate::cli::client::{Client, block_on};
use crate::cli::terminal::{complain, say, say_json};
use crate::moments::unix_ms;

/// What ended longer ago than this is history.
const SHOWN_AFTER_END_MS: u64 = 3_600_000;

/// Shows what is proposed, newest first.
pub fn list(state_dir: Option<PathBuf>, args: &ProposalsArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let mut known = block_on(known_to(&client))?;
    let all = known.proposals.len();
    let now_ms = unix_ms();
    known.proposals.retain(|view| args.all || !is_history(view, now_ms));
    known.proposals.sort_by_key(|view| std::cmp::Reverse((view.report.made, view.report.id)));
    if args.target.json {
        say_json(&known)?;
    } else {
        say(&page(&known, all - known.proposals.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// True for what ended more than an hour ago, by the last thing that is told of it.
fn is_history(view: &ProposalView, now_ms: u64) -> bool {
    let report = &view.report;
    let last_ms = report.story.last().map_or(report.made.wall_ms, |entry| entry.at_ms);
    report.state.is_final() && now_ms.saturating_sub(last_ms) > SHOWN_AFTER_END_MS
}

fn page(known: &Proposals, left_out: usize) -> String {
    let note = match left_out {
        0 => None,
        1 => Some("1 that ended more than an hour ago is left out; --all shows it".to_owned()),
        many => Some(format!("{many} that ended more than an hour ago are left out; --all shows them")),
    };
    let shown = if known.proposals.is_empty() {
        "nothing is proposed; see `clawmesh propose --help`".to_owned()
    } else {
        rows(&known.proposals.iter().collect::<Vec<_>>(), known.snapshot_age_ms)
    };
    [Some(shown), note].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

#[derive(Serialize)]
struct Shown<'a> {
    snapshot_age_ms: u64,
    proposal: &'a ProposalView,
    /// The card and its hash, both read from the bytes in the report.
    card: Option<&'a CardRead>,
    /// Whether it is the one of the offer; absent without an offer.
    card_is_as_offered: Option<bool>,
}

/// Shows everything about one proposal.
pub fn show(state_dir: Option<PathBuf>, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let known = block_on(known_to(&client))?;
    let view = called(&known, &args.id)?;
    let card = card_of(&view.report).unwrap_or_else(|fault| {
        complain(&format!("clawmesh: {fault:#}"));
        None
    });
    if args.target.json {
        let offer = view.report.offer.as_ref();
        let is_as_offered = |card: ContentHash| offer.map(|offer| offer.card == card);
        say_json(&Shown {
            snapshot_age_ms: known.snapshot_age_ms,
            proposal: view,
            card_is_as_offered: card.as_ref().and_then(|read| is_as_offered(read.hash)),
            card: card.as_ref(),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let status: Status = block_on(client.get("/api/status"))?;
    let look = Look {
        view,
        card: card.as_ref(),
        node: &status.node,
        people: &status.people,
        snapshot_age_ms: known.snapshot_age_ms,
        now_ms: unix_ms(),
    };
    say(&look.page());
    Ok(ExitCode::SUCCESS)
}
