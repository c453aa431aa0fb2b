//! `clawmesh audit check`: a bundle, looked at by somebody who has nothing else.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clawmesh_authority::audit::{self, Entry, Finding, Outcome, Readers};
use clawmesh_authority::{ContentHash, NodeId, Policy, ProposalId};
use clawmesh_twin::card::Card;
use serde::Serialize;

use super::args::CheckArgs;
use super::words::{self, time_of};
use crate::cli::table::{plain, table};
use crate::cli::terminal::{say, say_json};
use crate::cli::wording::card::word;

#[derive(Serialize)]
struct Answer {
    proposal: ProposalId,
    reason: String,
    node: NodeId,
    node_name: String,
    made_ms: u64,
    /// True when nothing fails.
    holds: bool,
    findings: Vec<Finding>,
    lines: Vec<Entry>,
}

/// Runs the command. A finding that fails is an answer with a non-zero exit code.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let bytes = read(&args.file)?;
    let (signer, bundle) = audit::open(&bytes).map_err(|refused| {
        anyhow::anyhow!("{} is not believed: {}", args.file.display(), refused.sentence)
    })?;
    let mut findings = audit::check(&signer, &bundle, Readers { card: &card, policy: &policy });
    if let Some(expected) = args.node.filter(|expected| *expected != signer.id()) {
        let words = format!("{expected} had to sign it, and {} did", signer.id());
        findings.insert(0, Finding { of: "signature", outcome: Outcome::Fails, words });
    }
    let answer = Answer {
        proposal: bundle.proposal.id(),
        reason: bundle.proposal.reason.clone(),
        node: bundle.node,
        node_name: bundle.node_name.clone(),
        made_ms: bundle.made_ms,
        holds: findings.iter().all(|finding| finding.outcome == Outcome::Holds),
        findings,
        lines: bundle.log.shown().cloned().collect(),
    };
    if args.output.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer, args.node.is_some()));
    }
    Ok(if answer.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let what = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(what)?;
    // Opening a pipe or a folder would wait or fail later, with less to say.
    if !file.metadata().with_context(what)?.is_file() {
        bail!("{} is no regular file", path.display());
    }
    let (max, mut bytes) = (audit::BUNDLE_BYTES_MAX as u64, Vec::new());
    file.take(max + 1).read_to_end(&mut bytes).with_context(what)?;
    Ok(bytes)
}

fn card(bytes: &[u8]) -> Result<(ContentHash, String), String> {
    let card = Card::from_bytes(bytes)?;
    Ok((ContentHash(card.hash()), format!("says {}", word(card.verdict))))
}

fn policy(text: &str) -> Result<Policy, String> {
    serde_json::from_str(text).map_err(|fault| format!("its policy cannot be read: {fault}"))
}

fn page(answer: &Answer, is_expected: bool) -> String {
    let Answer { proposal, reason, node_name, made_ms, .. } = answer;
    let lines: Vec<_> = answer.lines.iter().map(words::row).collect();
    let findings: Vec<_> = answer.findings.iter().map(row).collect();
    let failed = answer.findings.iter().filter(|finding| finding.outcome == Outcome::Fails).count();
    let outcome = match (failed, is_expected) {
        (0, true) => "everything holds".to_owned(),
        (0, false) => {
            format!("everything holds, if {} is the id of that node; --node ID compares it", answer.node)
        }
        (1, _) => "1 thing FAILS".to_owned(),
        (several, _) => format!("{several} things FAIL"),
    };
    format!(
        "proposal {proposal}\n{}\nfrom {}, {}\n\n{}\n\n{}\n\n{outcome}",
        plain(reason),
        plain(node_name),
        time_of(*made_ms),
        table(&["line", "when", "about", "what"], &lines),
        table(&["looked at", "", "found"], &findings),
    )
}

fn row(finding: &Finding) -> Vec<String> {
    let outcome = match finding.outcome {
        Outcome::Holds => "holds",
        Outcome::Fails => "FAILS",
    };
    vec![finding.of.to_owned(), outcome.to_owned(), plain(&finding.words)]
}
